r"""Tumour type by an autoencoder that is trained without labels first, and then with them.

The encoder of `latentgenomes.multimodal.models.fusion` is trained to restore profiles. Then one linear layer
is put on its embedding h, and all weights are trained on the types, with the same features and whole profiles
left out at random:

.. math::
    \log p(y \mid m) = \text{log softmax}\left(W\, (d \odot \text{GELU}(h))\right), \qquad
    L = -\frac{1}{n} \sum_i w_{y_i} \log p(y_i \mid m_i).

| symbol | name in code | shape |
|---|---|---|
| $m$ | `standardized` | (n, d), all profiles side by side |
| $h$ | `embedding` | (n, q) |
| $W$ | `output` | (q, classes) |
| $d$ | `hidden_mask` | (n, q) |
| $w$ | `weight` | (n,) |
| $\log p$ | `log_probability` | (n, classes) |

References
----------
Vincent et al. 2010, J Mach Learn Res 11:3371-3408 (pretraining by denoising).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from latentgenomes.multimodal.models.classifier import Array, TypeClassifier
from latentgenomes.multimodal.models.embedder import standardized_batch
from latentgenomes.multimodal.models.features import CLR, check_wide
from latentgenomes.multimodal.models.fusion import FusionAutoencoder, FusionNet
from latentgenomes.nn.ensemble import seeded
from latentgenomes.nn.train import TrainConfig, fit


class FineTuneNet(nn.Module):
    """An encoder of several profiles, whose weights are trained on, and a linear layer on its embedding."""

    def __init__(self, backbone: FusionNet, n_classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.backbone = backbone
        self.output = nn.Linear(backbone.to_latent.out_features, n_classes)
        self.dropout = dropout

    def log_probability(
        self, standardized: Tensor, shown: Tensor, hidden_mask: Tensor | None = None
    ) -> Tensor:
        """Log-probability of every class: (n, d) and (n, k) -> (n, classes)."""
        units = nn.functional.gelu(self.backbone.embedding(standardized, shown))
        units = units if hidden_mask is None else units * hidden_mask
        return self.output(units).log_softmax(-1)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the masks of `terms`: those of the encoder, and units of the embedding kept (scaled)."""
        uniform = torch.empty(n_samples, self.output.in_features, device=generator.device)
        kept = (uniform.uniform_(generator=generator) >= self.dropout).float() / (1.0 - self.dropout)
        return {**self.backbone.noise(n_samples, generator), "hidden_mask": kept}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one term of the objective, "nll" = L in nats per sample.

        The batch is that of `standardized_batch` with "label" and "weight"; masks are used in training only.
        """
        seen, shown, hidden_mask = batch["standardized"], batch["present"], None
        if self.training:
            seen, shown = seen * noise["feature_mask"], shown & noise["profile_mask"]
            hidden_mask = noise["hidden_mask"]
        log_probability = self.log_probability(seen, shown, hidden_mask)
        own = log_probability.gather(-1, batch["label"].unsqueeze(-1)).squeeze(-1)
        return {"nll": -(batch["weight"] * own).mean()}


class FineTunedClassifier(TypeClassifier):
    """Denoising autoencoder of several profiles, trained on to tell tumour types.

    Parameters
    ----------
    profiles, n_latent, width, feature_dropout, profile_dropout : various
        See `FusionAutoencoder`; features and profiles are hidden without labels and with.
    dropout : float
        Share of the embedding left out in a step with labels.
    pretrain_epochs : int
        Epochs without labels, over the training samples; 0 starts from random weights.
    class_weighted : bool
        Let every class weigh the same in the loss.
    max_epochs, batch_size, learning_rate, patience, device, random_state : int, int, float, int, str, int
        Training with labels, see `latentgenomes.nn.train.TrainConfig`. "auto" takes a GPU if there is one.
    validation_fraction : float
        Share held out for early stopping where `fit` gets no validation samples.

    Attributes
    ----------
    classes_, class_weight_ : ndarray of shape (n_classes,)
        Types, sorted, and the weight of each in the loss.
    mean_, scale_ : ndarray of shape (n_features,)
        Of every feature over the training samples that have the profile.
    profile_names_, profile_lengths_, feature_lengths_ : list
        Profiles in column order, their channels, and their features.
    module_, history_ : FineTuneNet, DataFrame
        The trained network, and its cross-entropy by epoch and set, in nats per sample.
    """

    module_: FineTuneNet

    def __init__(
        self,
        profiles: Sequence[int] | None = None,
        *,
        n_latent: int = 128,
        width: int = 128,
        feature_dropout: float = 0.2,
        profile_dropout: float = 0.1,
        dropout: float = 0.5,
        pretrain_epochs: int = 60,
        class_weighted: bool = True,
        max_epochs: int = 40,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        patience: int = 8,
        validation_fraction: float = 0.25,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.profiles = profiles
        self.n_latent = n_latent
        self.width = width
        self.feature_dropout = feature_dropout
        self.profile_dropout = profile_dropout
        self.dropout = dropout
        self.pretrain_epochs = pretrain_epochs
        self.class_weighted = class_weighted
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train without labels, then with them, on counts as in `FusionAutoencoder.fit` and their types.

        Validation samples stop it early, see `MLPEnsembleClassifier.fit`.
        """
        self._refuse_settings(
            least_one=("max_epochs", "batch_size", "patience"), shares=("dropout", "validation_fraction")
        )
        counts, present = check_wide(self, X, reset=True)
        labels = self._check_labels(y, len(counts))
        self._check_validation(X_val, y_val)
        seeds = self._seeds(3)
        rows, held_out = np.arange(len(counts)), np.arange(0)
        if X_val is None:
            rows, held_out = self._hold_out(len(counts), seeds[0])
            other, other_labels = (counts[held_out], present[held_out]), labels[held_out]
        else:
            other, other_labels = check_wide(self, X_val, reset=False), self._code(y_val)
        backbone = self._pretrain(counts[rows], seeds[1])
        (module,) = seeded(lambda: self._with_head(backbone), [seeds[2]])
        self.module_ = module.float().to(self._device())
        batch = self._labelled_batch(counts[rows], present[rows], labels[rows])
        check = self._labelled_batch(*other, other_labels) if len(other_labels) else None
        config = TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
        )
        self.history_ = fit(self.module_, batch, config, seed=seeds[2], validation=check)
        self.module_.double()
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Log-probability of every type in nats: (n_samples, n_classes), in order of `classes_`."""
        check_is_fitted(self)
        batch = standardized_batch(self, CLR, *check_wide(self, X, reset=False))
        with torch.no_grad():
            logs = self.module_.log_probability(batch["standardized"], batch["present"])
        return np.asarray(logs.cpu().numpy())

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative; NaN may stand for whole profiles only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _pretrain(self, counts: Array, seed: int) -> FusionNet:
        """Fit the autoencoder without labels; take over how features were standardised."""
        embedder = FusionAutoencoder(
            self.profile_lengths_,
            n_latent=self.n_latent,
            width=self.width,
            feature_dropout=self.feature_dropout,
            profile_dropout=self.profile_dropout,
            max_epochs=self.pretrain_epochs,
            device=self.device,
            random_state=seed,
        ).fit(counts)
        self.mean_, self.scale_ = embedder.mean_, embedder.scale_
        self.feature_lengths_ = embedder.feature_lengths_
        return embedder.module_

    def _labelled_batch(self, counts: Array, present: np.ndarray, labels: np.ndarray) -> dict[str, Tensor]:
        batch = standardized_batch(self, CLR, counts, present)
        batch["label"] = torch.from_numpy(labels).to(self._device())
        batch["weight"] = torch.from_numpy(self.class_weight_[labels]).to(self._device())
        return {name: v.float() if v.is_floating_point() else v for name, v in batch.items()}

    def _with_head(self, backbone: FusionNet) -> FineTuneNet:
        return FineTuneNet(backbone, len(self.classes_), dropout=self.dropout)

    def _build_module(self) -> FineTuneNet:
        backbone = FusionNet(
            self.feature_lengths_,
            width=self.width,
            n_latent=self.n_latent,
            feature_dropout=self.feature_dropout,
            profile_dropout=self.profile_dropout,
        )
        return self._with_head(backbone)
