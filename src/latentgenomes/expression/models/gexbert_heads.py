r"""What stands on top of GexBERT: a network with one linear layer over the embedding, and its fine-tuning.

The embedding z of a sample is standardised over the training samples, :math:`\tilde z = (z - m) / s`, and
read by one linear layer, :math:`\eta = B \tilde z + c`. First the layer alone is fitted, as a penalised
regression on the frozen embedding. Fine-tuning then goes on from there, with all weights, the backbone's
among them.

References
----------
Kumar et al. 2022, arXiv 2202.10054 (fit the layer first, then fine-tune).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_net import GexBERTNet
from latentgenomes.expression.models.imputers import Array
from latentgenomes.nn.estimator import TorchEstimator
from latentgenomes.nn.train import TrainConfig, fit


class HeadNet(ABC, nn.Module):
    """A linear layer over the standardised embedding; fine-tuning hides a share `gene_dropout` of genes."""

    centre: Tensor
    spread: Tensor

    def __init__(self, backbone: GexBERTNet, n_outputs: int, *, gene_dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.gene_dropout = gene_dropout
        self.layer = nn.Linear(backbone.size.n_embedding, n_outputs)
        self.register_buffer("centre", torch.zeros(backbone.size.n_embedding))
        self.register_buffer("spread", torch.ones(backbone.size.n_embedding))

    def embedding(self, genes: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Standardised embeddings: genes and values side by side, (n, m) -> (n, r)."""
        encoded = self.backbone.encode(genes, values, None if bool(present.all()) else present)
        return (self.backbone.summary(encoded) - self.centre) / self.spread

    def scores(self, genes: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """What the layer answers, (n, n_outputs)."""
        return self.layer(self.embedding(genes, values, present))

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the numbers that decide which genes a step hides, (n, p)."""
        return {"hide": torch.rand(n_samples, self.backbone.n_genes, generator=generator)}

    def _training_scores(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        present = batch["present"]
        if self.training and self.gene_dropout > 0:
            present = present & (noise["hide"][:, : present.shape[1]] >= self.gene_dropout)
        return self.scores(batch["genes"], batch["values"], present)

    @abstractmethod
    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one term of the objective, see `latentgenomes.nn.train`."""


class GexBERTHead(TorchEstimator):
    """Abstract estimator over a GexBERT: a subclass fits the layer on a frozen embedding."""

    backbone: Any
    fine_tune: bool
    max_epochs: int
    batch_size: int
    learning_rate: float
    gene_dropout: float
    validation_fraction: float
    module_: HeadNet

    @abstractmethod
    def _new_net(self, backbone: GexBERTNet) -> HeadNet:
        """A network with an untrained layer."""

    @abstractmethod
    def _fit_layer(self, embedding: Array, targets: Mapping[str, Array]) -> tuple[Array, Array]:
        """Weights (n_outputs, r) and biases (n_outputs,) of a penalised regression."""

    def _fit_head(self, X: Any, targets: Mapping[str, Array]) -> Self:
        """Take or train the backbone, fit the layer, and fine-tune where that is asked for."""
        self._check_settings()
        self._pretrained = self._take_backbone(X)
        self.backbone_settings_ = self._pretrained.get_params(deep=False) | {
            "checkpoint": None,
            "stop_at": None,
        }
        self.mean_, self.scale_ = self._pretrained.mean_, self._pretrained.scale_
        seeds = self._seeds(2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds[0])
            net = self._new_net(self._pretrained._build_module()).to(self._device())
        net.backbone.load_state_dict(self._pretrained.module_.state_dict())
        net.eval()
        self.module_ = net
        raw = self._pretrained.transform(X)
        spread = raw.std(0)
        standardised = (raw - raw.mean(0)) / np.where(spread > 1e-6, spread, 1.0)
        weights, biases = self._fit_layer(standardised, targets)
        with torch.no_grad():
            for name, value in (("centre", raw.mean(0)), ("spread", np.where(spread > 1e-6, spread, 1.0))):
                getattr(net, name).copy_(torch.from_numpy(value))
            net.layer.weight.copy_(torch.from_numpy(np.atleast_2d(weights)))
            net.layer.bias.copy_(torch.from_numpy(np.atleast_1d(biases)))
        self.history_ = pd.DataFrame(columns=["member", "epoch", "set", "term", "value"])
        if self.fine_tune:
            self._fine_tune(X, targets, seeds[1])
        net.double()  # so that a sample's answer does not depend on those beside it
        return self

    def _fine_tune(self, X: Any, targets: Mapping[str, Array], seed: int) -> None:
        """Train all weights; a random part of the samples says when to stop."""
        data = self._packed(X) | {
            name: torch.from_numpy(value).to(self._device()) for name, value in targets.items()
        }
        n = len(data["genes"])
        shuffled = np.random.default_rng(seed).permutation(n)
        held_out, rest = np.split(shuffled, [round(self.validation_fraction * n)])
        config = TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=max(self.max_epochs // 3, 2),
            decay_to=0.1,
        )
        parts = [
            {name: value[torch.from_numpy(rows)] for name, value in data.items()} for rows in (rest, held_out)
        ]
        validation = parts[1] if len(held_out) else None
        self.history_ = fit(self.module_, parts[0], config, seed=seed, validation=validation)

    def _take_backbone(self, X: Any) -> GexBERT:
        """The pretrained backbone, whose genes X must have, or one pretrained on X."""
        frozen = getattr(self.backbone, "estimator", None)
        if not isinstance(self.backbone, str) and frozen is None:
            pretrained: GexBERT = clone(self.backbone or GexBERT(device=self.device)).fit(X)
            return pretrained
        found: Any = GexBERT.load(self.backbone) if isinstance(self.backbone, str) else frozen
        if not isinstance(found, GexBERT):
            raise ValueError(f"backbone must be a GexBERT, but a frozen {type(found).__name__} came.")
        if found.n_features_in_ != self.n_features_in_:
            raise ValueError(
                f"X must have the {found.n_features_in_} genes of the backbone, NaN where one was not "
                f"measured, but it has {self.n_features_in_}. Align the genes first."
            )
        return found

    def _check_settings(self) -> None:
        for name in ("max_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but {getattr(self, name)!r} came.")
        for name in ("gene_dropout", "validation_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), but {getattr(self, name)!r} came.")

    def _checked(self, X: Any, *, reset: bool) -> Array:
        return validate_data(
            self,
            X,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=1 + reset,
            reset=reset,
        )

    def _packed(self, X: Any) -> dict[str, Tensor]:
        """Observed genes of each sample side by side: genes, values, present, each (n, m)."""
        values = np.asarray(X, dtype=np.float64)
        observed = np.isfinite(values)
        standardised = np.where(observed, (values - self.mean_) / self.scale_, 0.0)
        m = max(int(observed.sum(1).max()), 1)
        order = np.argsort(~observed, axis=1, kind="stable")[:, :m]
        device, dtype = self._device(), self.module_.layer.weight.dtype
        return {
            "genes": torch.from_numpy(order).to(device),
            "values": torch.from_numpy(np.take_along_axis(standardised, order, axis=1)).to(device, dtype),
            "present": torch.from_numpy(np.take_along_axis(observed, order, axis=1)).to(device),
        }

    def _scores(self, X: Any) -> npt.NDArray[np.float64]:
        """Answers of the layer, (n, n_outputs)."""
        check_is_fitted(self)
        values = self._checked(X, reset=False)
        parts = []
        with torch.no_grad():
            for start in range(0, len(values), 128):
                packed = self._packed(values[start : start + 128])
                parts.append(self.module_.scores(**packed).cpu().numpy())
        return np.concatenate(parts).astype(np.float64)

    def _build_module(self) -> HeadNet:
        backbone = GexBERT(**self.backbone_settings_)
        backbone.n_features_in_ = self.n_features_in_
        return self._new_net(backbone._build_module())

    def __sklearn_tags__(self) -> Tags:
        """State that NaN is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
