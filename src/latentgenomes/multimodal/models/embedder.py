"""What every embedding of mutation profiles can do: its network restores standardised features of counts."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, Self, cast

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from latentgenomes.multimodal.models.features import check_wide, encode
from latentgenomes.nn.ensemble import seeded
from latentgenomes.nn.estimator import TorchEstimator
from latentgenomes.nn.train import Batch, TrainConfig, fit


def standardized_batch(
    model: Any, parts: Sequence[str], counts: np.ndarray, present: np.ndarray
) -> dict[str, Tensor]:
    """What a network over profiles sees of checked samples, standardised as a fitted model does.

    "standardized" (n, d), 0 where a profile is absent; "observed" (n, d), 1 or 0; "present" (n, k), bool.
    """
    features, _ = encode(counts, model.profile_lengths_, parts)
    standardized = (features - model.mean_) / model.scale_
    arrays = {
        "standardized": np.nan_to_num(standardized, nan=0.0),
        "observed": (~np.isnan(standardized)).astype(np.float64),
        "present": present,
    }
    return {name: torch.from_numpy(value).to(model._device()) for name, value in arrays.items()}


class EmbeddingNet(Protocol):
    """What the estimator asks of a network; it is an `nn.Module` besides."""

    def embedding(self, standardized: Tensor, present: Tensor) -> Tensor:
        """Embeddings: (n, d) and (n, k) -> (n, n_latent)."""

    def reconstruction(self, embedding: Tensor) -> Tensor:
        """Restored standardised features: (n, n_latent) -> (n, d)."""

    def terms(self, batch: Batch, noise: Batch) -> dict[str, Tensor]:
        """The objective, "squared_error" alone."""


class ProfileEmbedder(TransformerMixin, TorchEstimator):
    """Abstract base of the embeddings; a subclass says which features, which network, which training."""

    profiles: Sequence[int] | None
    n_latent: int

    @abstractmethod
    def _feature_parts(self) -> Sequence[str]:
        """Features of a profile, see `latentgenomes.multimodal.models.features.encode`."""

    @abstractmethod
    def _train_config(self) -> TrainConfig:
        """Settings of the training loop; refuses parameters that are out of range."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the embedding of counts (n_samples, n_channels), NaN in all channels of an absent profile."""
        config = self._train_config()
        counts, present = check_wide(self, X, reset=True)
        features, self.feature_lengths_ = encode(counts, self.profile_lengths_, self._feature_parts())
        self.mean_ = np.nanmean(features, axis=0)
        spread = np.nanstd(features, axis=0)
        self.scale_ = np.where(spread > 1e-12, spread, 1.0)  # a feature that never varies stays 0
        (seed,) = self._seeds(1)
        (module,) = seeded(lambda: cast(nn.Module, self._build_module()), [seed])
        self.module_ = module.to(self._device())
        batch = self._batch(counts, present)
        single = {name: v.float() if v.is_floating_point() else v for name, v in batch.items()}
        self.history_ = fit(self.module_, single, config, seed=seed)
        # Trained in single, used in double precision: an embedding must not depend on the samples beside it.
        self.module_.double()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed samples, of the fit or new: counts as in `fit` -> (n_samples, n_latent)."""
        batch = self._checked_batch(X)
        with torch.no_grad():
            embedding = self._net().embedding(batch["standardized"], batch["present"])
        return embedding.cpu().numpy()

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Restore features, as of `ProfileFeatures`, from embeddings: (n_samples, n_latent) -> (n_samples,
        n_features).

        The decoders are linear: a frequency may come out a little below 0.
        """
        check_is_fitted(self)
        embedding = np.asarray(X, dtype=np.float64)
        if embedding.ndim != 2 or embedding.shape[1] != self.n_latent:
            raise ValueError(
                f"Embeddings must have shape (n_samples, {self.n_latent}), but theirs is {embedding.shape}. "
                "Pass what transform returned."
            )
        with torch.no_grad():
            restored = self._net().reconstruction(torch.from_numpy(embedding).to(self._device()))
        return restored.cpu().numpy() * self.scale_ + self.mean_

    def score(self, X: Any, y: Any = None) -> float:
        """Share of the variance that the reconstruction explains, over all features of present profiles.

        1 is perfect, 0 is what the mean of the fit reaches. Features count alike, being standardised.
        """
        batch = self._checked_batch(X)
        with torch.no_grad():
            error = self._net().terms(batch, {})["squared_error"]
        return float(1 - error / batch["standardized"].square().sum(-1).mean().clamp_min(1e-12))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the embedding's entries: the class in lower case, and a number from 1."""
        check_is_fitted(self)
        name = type(self).__name__.lower()
        return np.array([f"{name}{i}" for i in range(1, self.n_latent + 1)], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative; NaN may stand for whole profiles only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _net(self) -> EmbeddingNet:
        return cast(EmbeddingNet, self.module_)

    def _checked_batch(self, X: Any) -> dict[str, Tensor]:
        check_is_fitted(self)
        return self._batch(*check_wide(self, X, reset=False))

    def _batch(self, counts: np.ndarray, present: np.ndarray) -> dict[str, Tensor]:
        return standardized_batch(self, self._feature_parts(), counts, present)

    def _refuse_below(self, least: float, names: Sequence[str]) -> None:
        """Refuse parameters below `least`."""
        for name in names:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least:g}, but {getattr(self, name)!r} came.")
