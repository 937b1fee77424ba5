"""What every classifier of tumour types does with labels, whatever its network."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from latentgenomes.nn.estimator import TorchEstimator

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class TypeClassifier(ClassifierMixin, TorchEstimator):
    """Abstract classifier: a subclass fits, and says how probable every type is.

    Fitted attributes are described under the subclasses.
    """

    class_weighted: bool
    validation_fraction: float

    @abstractmethod
    def predict_log_proba(self, X: Any) -> Array:
        """Log-probability of every type in nats: (n_samples, n_classes), in order of `classes_`."""

    def predict_proba(self, X: Any) -> Array:
        """Probability of every type: (n_samples, n_classes), in order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable type of every sample: (n_samples,)."""
        probability = self.predict_log_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    def _refuse_settings(self, least_one: Sequence[str], shares: Sequence[str]) -> None:
        """Refuse parameters below 1, and shares outside [0, 1)."""
        for name in least_one:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, but {getattr(self, name)!r} came.")
        for name in shares:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), but {getattr(self, name)!r} came.")

    def _check_labels(self, y: Any, n_samples: int) -> npt.NDArray[np.int64]:
        assert_all_finite(np.asarray(y), input_name="y")
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        if len(labels) != n_samples:
            raise ValueError(
                f"y must have one label per sample, but {len(labels)} came for {n_samples} samples."
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, but it holds 1 class: {self.classes_[0]!r}.")
        counts = np.bincount(codes)
        self.class_weight_ = np.ones(len(counts))
        if self.class_weighted:
            self.class_weight_ = len(codes) / (len(counts) * counts)
        return codes.astype(np.int64)

    def _code(self, y: Any) -> npt.NDArray[np.int64]:
        labels = column_or_1d(y)
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y_val must hold classes of the training samples, but {unknown.tolist()[:10]} are not "
                "among them. Split so that every class is in the training part."
            )
        return np.searchsorted(self.classes_, labels).astype(np.int64)

    def _check_validation(self, X_val: Any, y_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both or neither, but one of them is None.")

    def _hold_out(self, n_samples: int, seed: int) -> tuple[Rows, Rows]:
        """Rows to train on, increasing, and a random share of rows to stop by."""
        shuffled = np.random.default_rng(seed).permutation(n_samples)
        held_out, rows = np.split(shuffled, [round(self.validation_fraction * n_samples)])
        return np.sort(rows), held_out
