r"""Survival from the embedding of GexBERT, frozen or fine-tuned.

The log hazard of a patient is :math:`\eta = \beta^\top \tilde z` with the standardised embedding
:math:`\tilde z`. On a frozen embedding, beta is that of the ridge regression in
`latentgenomes.expression.models.survival`. Fine-tuning goes on from there:
each step takes a batch of patients as a cohort of its own and minimises

.. math::
    L = -\frac{1}{d}\, \ell(\eta),

with Efron's log partial likelihood of the batch and its number of events d. Breslow's baseline hazard is that
of all patients.

| symbol | name in code | shape |
|---|---|---|
| $\tilde z$ | `embedding` | (n, r) |
| $\beta$ | `_fit_layer` | (1, r) |
| $\eta$ | `log_hazards` | (n,) |
| $\alpha$ | `alpha` | scalar |
| $t$ | `event_times_` | (n_event_times,) |
| $H_0$ | `baseline_cumulative_hazard_` | (n_event_times,) |

References
----------
Faraggi & Simon 1995, Stat Med 14:73; Katzman et al. 2018, BMC Med Res Methodol 18:24 (networks in Cox
models).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import Tags
from torch import Tensor

from latentgenomes.expression.models.cox import breslow, cox_loss, log_partial_likelihood, risk_sets
from latentgenomes.expression.models.gexbert_heads import GexBERTHead, HeadNet
from latentgenomes.expression.models.gexbert_net import GexBERTNet
from latentgenomes.expression.models.imputers import Array, RandomState
from latentgenomes.expression.models.survival import CoxRegression, check_survival


class SurvivalHeadNet(HeadNet):
    """Backbone and layer that answer with log hazard ratios."""

    def log_hazards(self, genes: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Log hazard ratio of each patient, (n,)."""
        return self.scores(genes, values, present).squeeze(-1)

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Negative log partial likelihood per event, "nll"; the batch also holds "time" and "event"."""
        eta = self._training_scores(batch, noise).squeeze(-1)
        return {"nll": cox_loss(eta.double(), batch["time"], batch["event"])}


class GexBERTSurvival(GexBERTHead):
    """Cox regression on the embedding of GexBERT, and fine-tuning of the whole.

    Parameters
    ----------
    backbone : FrozenEstimator of a fitted GexBERT, str, GexBERT or None
        See `latentgenomes.expression.models.gexbert_classifier.GexBERTClassifier`.
    alpha : float
        Ridge penalty of the layer, >= 0; see `CoxRegression`.
    fine_tune : bool
        Go on with all weights.
    max_epochs, batch_size, learning_rate
        Of fine-tuning. A batch should hold several events.
    gene_dropout, validation_fraction, device, random_state
        See `latentgenomes.expression.models.gexbert_classifier.GexBERTClassifier`.

    Attributes
    ----------
    event_times_, baseline_cumulative_hazard_ : ndarray of shape (n_event_times,)
        Baseline of a patient with log hazard 0, in the unit of the times.
    module_ : SurvivalHeadNet
        Fitted.
    history_ : DataFrame
        Of fine-tuning, empty without.
    """

    def __init__(
        self,
        backbone: Any = None,
        *,
        alpha: float = 1.0,
        fine_tune: bool = False,
        max_epochs: int = 12,
        batch_size: int = 128,
        learning_rate: float = 1e-4,
        gene_dropout: float = 0.2,
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.backbone = backbone
        self.alpha = alpha
        self.fine_tune = fine_tune
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.gene_dropout = gene_dropout
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the layer, fine-tune where that is asked for, and estimate the baseline.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_genes)
            Expression, with the genes of the backbone; NaN where a gene was not measured.
        y : DataFrame, structured array or array of shape (n_samples, 2)
            Outcomes; see `latentgenomes.expression.models.survival.check_survival`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If outcomes are refused, the genes are not those of the backbone, or a setting is out of range.
        """
        values = self._checked(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        times, events = check_survival(y, n_samples=len(values))
        self._fit_head(X, {"time": times, "event": events})
        sets = risk_sets(torch.from_numpy(times), torch.from_numpy(events))
        found, hazard = breslow(torch.from_numpy(self.predict(X)), sets)
        self.event_times_, self.baseline_cumulative_hazard_ = found.numpy(), hazard.numpy()
        return self

    def predict(self, X: Any) -> Array:
        """Log hazard ratio of each sample, (n_samples,); higher is a higher risk."""
        return self._scores(X)[:, 0]

    def predict_survival_function(self, X: Any, times: npt.ArrayLike) -> Array:
        """Probability of being without the event at each time, (n_samples, n_times)."""
        position = np.searchsorted(self.event_times_, np.asarray(times, dtype=np.float64), side="right")
        cumulative = np.r_[0.0, self.baseline_cumulative_hazard_][position]
        survival: Array = np.exp(-np.exp(self.predict(X))[:, None] * cumulative)
        return survival

    def score(self, X: Any, y: Any) -> float:
        """Log partial likelihood per event over that of no features, in nats; higher is better."""
        log_hazards = torch.from_numpy(self.predict(X))
        times, events = check_survival(y, n_samples=len(log_hazards))
        sets = risk_sets(torch.from_numpy(times), torch.from_numpy(events))
        nothing = log_partial_likelihood(torch.zeros_like(log_hazards), sets)
        return float(log_partial_likelihood(log_hazards, sets) - nothing) / len(sets.members)

    def _new_net(self, backbone: GexBERTNet) -> SurvivalHeadNet:
        return SurvivalHeadNet(backbone, 1, gene_dropout=self.gene_dropout)

    def _fit_layer(self, embedding: Array, targets: Mapping[str, Array]) -> tuple[Array, Array]:
        outcome = np.column_stack([targets["time"], targets["event"]])
        return CoxRegression(self.alpha).fit(embedding, outcome).coef_[None, :], np.zeros(1)

    def __sklearn_tags__(self) -> Tags:
        """State that outcomes are needed, and that times must be positive."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        return tags
