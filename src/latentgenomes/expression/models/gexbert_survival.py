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
import torch
from torch import Tensor

from latentgenomes.expression.models.cox import breslow, cox_loss, risk_sets
from latentgenomes.expression.models.gexbert_heads import GexBERTHead, HeadNet
from latentgenomes.expression.models.gexbert_net import GexBERTNet
from latentgenomes.expression.models.imputers import Array, RandomState
from latentgenomes.expression.models.survival import CoxRegression, ProportionalHazards, check_survival


class SurvivalHeadNet(HeadNet):
    """Backbone and layer that answer with log hazard ratios."""

    def log_hazards(self, genes: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Log hazard ratio of each patient, (n,)."""
        return self.scores(genes, values, present).squeeze(-1)

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Negative log partial likelihood per event, "nll"; the batch also holds "time" and "event"."""
        eta = self._training_scores(batch, noise).squeeze(-1)
        return {"nll": cox_loss(eta.double(), batch["time"], batch["event"])}


class GexBERTSurvival(ProportionalHazards, GexBERTHead):
    """Cox regression on the embedding of GexBERT, and fine-tuning of the whole.

    Parameters
    ----------
    backbone : as for `latentgenomes.expression.models.gexbert_classifier.GexBERTClassifier`
    alpha : ridge penalty of the layer, >= 0; see `CoxRegression`
    fine_tune : go on with all weights
    max_epochs, batch_size, learning_rate : of fine-tuning; a batch should hold several events
    gene_dropout, validation_fraction, device, random_state : as for `GexBERTClassifier`

    Attributes
    ----------
    event_times_, baseline_cumulative_hazard_ : of a patient with log hazard 0, in the unit of the times
    module_ : the fitted SurvivalHeadNet
    history_ : DataFrame of fine-tuning, empty without
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
        """Fit the layer on X, (n_samples, n_genes), and outcomes y, fine-tune where that is asked for, and
        estimate the baseline.

        X has the genes of the backbone, NaN where one was not measured; for y see `check_survival`.
        ValueError if they are refused, or a setting is out of range.
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

    def _new_net(self, backbone: GexBERTNet) -> SurvivalHeadNet:
        return SurvivalHeadNet(backbone, 1, gene_dropout=self.gene_dropout)

    def _fit_layer(self, embedding: Array, targets: Mapping[str, Array]) -> tuple[Array, Array]:
        outcome = np.column_stack([targets["time"], targets["event"]])
        return CoxRegression(self.alpha).fit(embedding, outcome).coef_[None, :], np.zeros(1)
