r"""Tumour type by a small network, or the average of a few.

Each member has one hidden layer. It sees a tumour's features standardised over the training samples, where 0
stands for a feature that is not known:

.. math::
    \log p_m(y \mid v) = \text{log softmax}\left(W_2\, d_2 \odot \text{ReLU}(W_1\, d_1 \odot v)\right),
    \qquad p(y \mid v) = \frac{1}{M} \sum_m p_m(y \mid v),

with biases left out here, and dropout masks d in training only. Training minimises the cross-entropy, in
which every class may weigh the same in all, w, and stops when it no longer falls on the validation samples:

.. math:: L = -\frac{1}{n} \sum_i w_{y_i} \log p_m(y_i \mid v_i).

| symbol | name in code | shape |
|---|---|---|
| $v$ | `features` | (n, d), standardised |
| $y$ | `label` | (n,) |
| $W_1$ | `hidden` | (d, h) |
| $W_2$ | `output` | (h, classes) |
| $d_1$ | `input_mask` | (n, d) |
| $d_2$ | `hidden_mask` | (n, h) |
| $w$ | `weight` | (n,) |
| $\log p_m$ | `log_probability` | (n, classes) |
| $M$ | `n_members` | scalar |

References
----------
Narain et al. 2025, MutEmbed, ICLR 2025 Tiny Papers, appendix A.1.3 (the classifier of one member).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn

from latentgenomes.multimodal.models.features import column_slices
from latentgenomes.nn.ensemble import fit_ensemble, seeded
from latentgenomes.nn.estimator import TorchEstimator
from latentgenomes.nn.train import TrainConfig, fit

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class TypeClassifier(ClassifierMixin, TorchEstimator):
    """Abstract classifier: a subclass fits, and says how probable every type is."""

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


class ClassifierNet(nn.Module):
    """One member: a network with one hidden layer over one view."""

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        *,
        hidden: int = 128,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, hidden)
        self.output = nn.Linear(hidden, n_classes)
        self.dropout = dropout
        self.input_dropout = input_dropout

    def log_probability(
        self, features: Tensor, input_mask: Tensor | None = None, hidden_mask: Tensor | None = None
    ) -> Tensor:
        """Log-probability of every class: (n, d) -> (n, classes)."""
        shown = features if input_mask is None else features * input_mask
        units = self.hidden(shown).relu()
        units = units if hidden_mask is None else units * hidden_mask
        return self.output(units).log_softmax(-1)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the dropout masks of `terms`: 0, or the inverse of the share that stays."""
        rates = {
            "input_mask": (self.input_dropout, self.hidden.in_features),
            "hidden_mask": (self.dropout, self.hidden.out_features),
        }
        masks = {}
        for name, (rate, width) in rates.items():
            if rate > 0:
                uniform = torch.empty(n_samples, width, device=generator.device).uniform_(generator=generator)
                masks[name] = (uniform >= rate).float() / (1.0 - rate)
        return masks

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one term of the objective, "nll" = L in nats per sample; masks are used in training only."""
        masks = dict(noise) if self.training else {}
        log_probability = self.log_probability(batch["features"], **masks)
        own = log_probability.gather(-1, batch["label"].unsqueeze(-1)).squeeze(-1)
        return {"nll": -(batch["weight"] * own).mean()}

    def forward(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return `terms`: what ``torch.func`` calls when members are stacked."""
        return self.terms(batch, noise)


class ViewClassifier(TypeClassifier):
    """Abstract classifier: a subclass says in `_views` what views there are of a table."""

    n_members: int
    hidden: int
    dropout: float
    input_dropout: float
    standardize: bool = True  # a subclass may make it a parameter
    max_epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    module_: nn.ModuleList

    @abstractmethod
    def _views(self, X: Any, *, reset: bool) -> list[Array]:
        """Views of checked samples, each (n_samples, n_features), NaN where a feature is not known."""

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train the members of every view on samples (n_samples, n_columns) and their types (n_samples,).

        `X_val` and `y_val` are validation samples for early stopping. Without them, a random share of the
        training samples, `validation_fraction`, is held out; pass them whenever samples share donors.
        ValueError if there are fewer than two classes, a validation sample is of a class that is not in `y`,
        or a parameter is out of range.
        """
        self._refuse_settings(
            least_one=("n_members", "hidden", "max_epochs", "batch_size", "patience"),
            shares=("dropout", "input_dropout", "validation_fraction"),
        )
        views = self._views(X, reset=True)
        labels = self._check_labels(y, len(views[0]))
        self._check_validation(X_val, y_val)
        seeds = self._seeds(1 + self.n_members * len(views))
        rows = np.arange(len(labels))
        if X_val is not None:
            unseen, unseen_labels = self._views(X_val, reset=False), self._code(y_val)
        else:
            rows, held_out = self._hold_out(len(labels), seeds[0])
            unseen, unseen_labels = [view[held_out] for view in views], labels[held_out]
        self._standardize([view[rows] for view in views])
        histories, modules = [], []
        for number, (view, other) in enumerate(zip(views, unseen, strict=True)):
            own = seeds[1 + number * self.n_members :][: self.n_members]
            members = [m.to(self._device()) for m in seeded(partial(self._new_net, number), own)]
            batch = self._batch(number, view[rows], labels[rows])
            check = self._batch(number, other, unseen_labels) if len(unseen_labels) else None
            history = self._train(members, batch, check, own)
            histories.append(history.assign(view=number))
            modules += members
        self.history_ = pd.concat(histories, ignore_index=True)
        self.module_ = nn.ModuleList(modules).double()
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Log-probability of every type in nats: (n_samples, n_classes), in order of `classes_`."""
        check_is_fitted(self)
        total: Array = np.zeros((1, len(self.classes_)))
        for number, view in enumerate(self._views(X, reset=False)):
            features = torch.from_numpy(self._scale(number, view)).to(self._device())
            with torch.no_grad():
                members = self.module_[number * self.n_members : (number + 1) * self.n_members]
                logs = torch.stack([cast(ClassifierNet, m).log_probability(features) for m in members])
            known = ~np.isnan(view).all(
                axis=1, keepdims=True
            )  # a view of which nothing is known says nothing
            total = total + np.where(known, logsumexp(logs.cpu().numpy(), axis=0), 0.0)
        return np.asarray(total - logsumexp(total, axis=1, keepdims=True))

    def _standardize(self, views: Sequence[Array]) -> None:
        """Mean and standard deviation of every feature over the training samples that have it."""
        joined = np.hstack(views)
        n_known = np.maximum((~np.isnan(joined)).sum(axis=0), 1)
        self.mean_ = np.nansum(joined, axis=0) / n_known
        spread = np.sqrt(np.nansum((joined - self.mean_) ** 2, axis=0) / n_known)
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)
        if not self.standardize:
            self.mean_, self.scale_ = np.zeros_like(self.mean_), np.ones_like(self.scale_)
        self.view_lengths_ = [view.shape[1] for view in views]

    def _scale(self, number: int, view: Array) -> Array:
        columns = column_slices(self.view_lengths_)[number]
        return np.nan_to_num((view - self.mean_[columns]) / self.scale_[columns], nan=0.0)

    def _batch(self, number: int, view: Array, labels: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        arrays = {
            "features": self._scale(number, view).astype(np.float32),
            "label": labels,
            "weight": self.class_weight_[labels].astype(np.float32),
        }
        return {name: torch.from_numpy(value).to(self._device()) for name, value in arrays.items()}

    def _train(
        self,
        members: Sequence[ClassifierNet],
        batch: dict[str, Tensor],
        check: dict[str, Tensor] | None,
        seeds: Sequence[int],
    ) -> pd.DataFrame:
        config = TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
        )
        if len(members) == 1:  # a stack of one costs twice as much and gives the same
            return fit(members[0], batch, config, seed=seeds[0], validation=check)
        validation = None if check is None else [check] * len(members)
        return fit_ensemble(members, [batch] * len(members), config, seeds=seeds, validation=validation)

    def _new_net(self, number: int) -> ClassifierNet:
        return ClassifierNet(
            self.view_lengths_[number],
            len(self.classes_),
            hidden=self.hidden,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
        )

    def _build_module(self) -> nn.ModuleList:
        numbers = range(len(self.view_lengths_))
        return nn.ModuleList([self._new_net(n) for n in numbers for _ in range(self.n_members)])


class MLPEnsembleClassifier(ViewClassifier):
    """One network, or a few, over one table of features: the paper's classifier by default.

    Parameters
    ----------
    n_members : int
        Networks, each with its own initial weights and dropout; their probabilities are averaged.
    hidden : int
        Width of the hidden layer.
    dropout, input_dropout : float
        Share of hidden units and of features left out in a training step.
    class_weighted : bool
        Let every class weigh the same in the loss.
    standardize : bool
        Give features mean 0 and standard deviation 1 over the training samples; else NaN becomes 0.
    max_epochs, batch_size, learning_rate, patience, device, random_state : int, int, float, int, str, int
        Training, see `latentgenomes.nn.train.TrainConfig`. "auto" takes a GPU if there is one.
    validation_fraction : float
        Share held out for early stopping where `fit` gets no validation samples; 0 trains for all epochs.

    Attributes
    ----------
    classes_, class_weight_ : ndarray of shape (n_classes,)
        Types, sorted, and the weight of each in the loss.
    mean_, scale_ : ndarray
        Of every feature over the training samples; NaN becomes the mean. 0 and 1 without `standardize`.
    module_, history_ : ModuleList of ClassifierNet, DataFrame
        The trained members, and their cross-entropy by view, member, epoch and set, in nats per sample.

    Notes
    -----
    The paper does not say how long early stopping waits, nor whether features are standardised here.
    """

    def __init__(
        self,
        *,
        n_members: int = 1,
        hidden: int = 128,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        class_weighted: bool = True,
        standardize: bool = True,
        max_epochs: int = 50,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        patience: int = 10,
        validation_fraction: float = 0.25,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_members = n_members
        self.hidden = hidden
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.class_weighted = class_weighted
        self.standardize = standardize
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def _views(self, X: Any, *, reset: bool) -> list[Array]:
        checked: Array = validate_data(
            self,
            X,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=1 + reset,
            reset=reset,
        )
        return [checked]

    def __sklearn_tags__(self) -> Tags:
        """State that NaN may stand for features that are not known."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
