r"""Cancer types from the embedding of GexBERT, frozen or fine-tuned.

With the standardised embedding :math:`\tilde z` of a sample,

.. math::
    \log p(y \mid x) = \text{log softmax}(B \tilde z + c)_y, \qquad
    L = -\frac{1}{n} \sum_i \log p(y_i \mid x_i) .

On a frozen embedding, B minimises :math:`n L + \lVert B \rVert^2 / (2 C)`: logistic regression. Fine-tuning
goes on from there and minimises L over all weights.

| symbol | name in code | shape |
|---|---|---|
| $\tilde z$ | `embedding` | (n, r) |
| $B, c$ | `_fit_layer` | (classes, r), (classes,) |
| $\log p$ | `log_probability` | (n, classes) |
| $C$ | `C` | scalar |
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from latentgenomes.expression.models.gexbert_heads import GexBERTHead, HeadNet
from latentgenomes.expression.models.gexbert_net import GexBERTNet
from latentgenomes.expression.models.imputers import Array, RandomState


class ClassifierHeadNet(HeadNet):
    """Backbone and layer that answer with log-probabilities of types."""

    def log_probability(self, genes: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Log-probability of each type, (n, classes), in nats."""
        return self.scores(genes, values, present).log_softmax(-1)

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy in nats per sample, "nll"; the batch holds genes, values, present and "label"."""
        logs = self._training_scores(batch, noise).log_softmax(-1)
        return {"nll": -logs.gather(-1, batch["label"].unsqueeze(-1)).mean()}


class GexBERTClassifier(ClassifierMixin, GexBERTHead):
    """Logistic regression on the embedding of GexBERT, and fine-tuning of the whole.

    Parameters
    ----------
    backbone : FrozenEstimator of a fitted GexBERT, str, GexBERT or None
        Frozen, it is used as it is, also by clones in cross-validation; a str is the path of a saved one. An
        unfrozen GexBERT, or None for the default one, is pretrained on the samples of the fit.
    C : inverse strength of the penalty of the layer
    fine_tune : go on with all weights
    max_epochs, batch_size, learning_rate : of fine-tuning; see `latentgenomes.nn.train.TrainConfig`
    gene_dropout : share of a sample's genes that a step of fine-tuning hides, in [0, 1)
    validation_fraction : share of the samples that says when to stop, in [0, 1); 0 trains for all epochs
    device : "auto" takes the GPU where there is one
    random_state : int, RandomState or None; the seed

    Attributes
    ----------
    classes_ : types, sorted
    module_ : the fitted ClassifierHeadNet
    history_ : DataFrame of fine-tuning, empty without
    """

    def __init__(
        self,
        backbone: Any = None,
        *,
        C: float = 0.1,
        fine_tune: bool = False,
        max_epochs: int = 12,
        batch_size: int = 64,
        learning_rate: float = 3e-4,
        gene_dropout: float = 0.0,
        validation_fraction: float = 0.1,
        device: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.backbone = backbone
        self.C = C
        self.fine_tune = fine_tune
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.gene_dropout = gene_dropout
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the layer on X, (n_samples, n_genes), and types y, and fine-tune where that is asked for.

        X has the genes of the backbone, NaN where one was not measured. ValueError if there are fewer than
        two types, the genes are others, or a setting is out of range.
        """
        values = self._checked(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        assert_all_finite(np.asarray(y), input_name="y")
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        if len(labels) != len(values):
            raise ValueError(
                f"y must have one type a sample, but {len(labels)} came for {len(values)} samples."
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, but it holds 1 class: {self.classes_[0]!r}.")
        return self._fit_head(X, {"label": codes.astype(np.int64)})

    def predict_log_proba(self, X: Any) -> Array:
        """Log-probability of each type in nats, (n_samples, n_classes), in order of `classes_`."""
        scores = torch.from_numpy(self._scores(X))
        return scores.log_softmax(-1).numpy()

    def predict_proba(self, X: Any) -> Array:
        """Probability of each type, (n_samples, n_classes), in order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable type of each sample, (n_samples,)."""
        check_is_fitted(self)
        return self.classes_[self.predict_log_proba(X).argmax(1)]

    def _new_net(self, backbone: GexBERTNet) -> ClassifierHeadNet:
        return ClassifierHeadNet(backbone, len(self.classes_), gene_dropout=self.gene_dropout)

    def _fit_layer(self, embedding: Array, targets: Mapping[str, Array]) -> tuple[Array, Array]:
        found = LogisticRegression(C=self.C, max_iter=300, tol=1e-3).fit(embedding, targets["label"])
        weights, biases = found.coef_, found.intercept_
        if len(weights) == 1:  # two classes: the layer answers for both
            weights, biases = np.vstack([-weights, weights]) / 2, np.r_[-biases, biases] / 2
        return weights, biases
