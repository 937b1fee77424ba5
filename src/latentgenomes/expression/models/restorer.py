r"""Denoising network that restores masked genes, alone or on top of the Gaussian conditional mean.

In every step the genes of a sample are hidden anew with a rate drawn from :math:`r_0 + \Delta \sqrt{U}`,
which favours high rates. With m = 1 where a gene is observed, the network sees the filled sample and the mask
and answers

.. math::
    \hat x = b(x, m) + f_\theta\left([\,b(x, m),\, m\,]\right),

where the base b is the conditional mean of `latentgenomes.expression.models.imputers.RidgeImputer`, or,
without it, :math:`m \odot x`, to which only f is then the answer. The loss is the mean squared error of the
hidden genes, all standardised.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `values` | (n, p) |
| $m$ | `observed` | (n, p) |
| $b$ | `base` | (n, p) |
| $f_\theta$ | `correction` | (n, p) |
| $r_0$ | `lowest_rate` | scalar |
| $\Delta$ | `rate_span` | scalar |

References
----------
Vincent et al. 2010, J Mach Learn Res 11:3371 (denoising autoencoders). The masked restoration is the task of
GexBERT, Jiang & Hassanpour 2025, arXiv 2504.09704, here with the plainest network that can do it.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from latentgenomes.expression.models.imputers import (
    Array,
    ExpressionImputer,
    Mask,
    RandomState,
    RidgeImputer,
    conditional_means,
)
from latentgenomes.nn.train import TrainConfig, fit

_ROWS_PER_MASK = 16  # the base costs one linear system for each mask, not for each row


class RestorerNet(nn.Module):
    """Multilayer perceptron over filled values and mask, with `residual` on top of a Gaussian base. Missing
    rates in training are ``lowest_rate + rate_span * sqrt(U)``.
    """

    covariance: Tensor
    precision: Tensor

    def __init__(
        self,
        n_genes: int,
        *,
        hidden: int = 512,
        n_layers: int = 2,
        residual: bool = True,
        lowest_rate: float = 0.3,
        rate_span: float = 0.68,
    ) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.residual = residual
        self.lowest_rate = lowest_rate
        self.rate_span = rate_span
        sizes = [2 * n_genes] + [hidden] * n_layers
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.GELU()]
        last = nn.Linear(hidden, n_genes)
        nn.init.zeros_(last.weight)  # training starts at the base
        self.correction = nn.Sequential(*layers, last)
        size = n_genes if residual else 0
        self.register_buffer("covariance", torch.eye(size))
        self.register_buffer("precision", torch.eye(size))

    def set_base(self, covariance: Array, precision: Array) -> None:
        """Take the covariance of standardised genes, and its inverse, (n_genes, n_genes)."""
        self.covariance.copy_(torch.from_numpy(covariance))
        self.precision.copy_(torch.from_numpy(precision))

    def base(self, values: Tensor, observed: Tensor) -> Tensor:
        """What is known without the network: observed values, and conditional means (or 0) of the others."""
        if not self.residual:
            return values * observed
        arrays = [tensor.detach().cpu().numpy() for tensor in (values, self.covariance, self.precision)]
        means = conditional_means(arrays[0], observed.cpu().numpy().astype(bool), arrays[1], arrays[2])
        return torch.from_numpy(means).to(values)

    def restore(self, values: Tensor, observed: Tensor) -> Tensor:
        """Standardised prediction of all genes, (n, p); hidden `values` are not used."""
        base = self.base(values, observed)
        correction = self.correction(torch.cat([base, observed.to(base)], dim=-1))  # (n, 2p) -> (n, p)
        return base + correction if self.residual else correction

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Masks of one step: one for each 16 samples, (n_masks, p), True where observed."""
        n_masks = max(n_samples // _ROWS_PER_MASK, 1)
        rates = self.lowest_rate + self.rate_span * torch.rand(n_masks, 1, generator=generator).sqrt()
        return {"observed": torch.rand(n_masks, self.n_genes, generator=generator) >= rates}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared error of hidden genes, in variances of a gene; sample i has mask i mod n_masks of the
        noise.
        """
        values = batch["values"]
        observed = noise["observed"][torch.arange(len(values), device=values.device) % len(noise["observed"])]
        hidden = ~observed
        error = (self.restore(values, observed) - values).square() * hidden
        return {"squared_error": error.sum() / hidden.sum().clamp_min(1)}


class MaskedRestorer(ExpressionImputer):
    """Denoising network that fills missing genes, as a scikit-learn imputer.

    Training samples with missing genes are filled by the conditional mean first, and count as complete.

    Parameters
    ----------
    hidden, n_layers, residual : see `RestorerNet`
    ridge : of the base; see `RidgeImputer`
    lowest_rate, rate_span : missing rates in training are ``lowest_rate + rate_span * sqrt(U)``
    max_epochs, batch_size, learning_rate, decay_to, patience : see `latentgenomes.nn.train.TrainConfig`
    validation_fraction : share held out for early stopping, in [0, 1); 0 trains for all epochs
    device : "auto" takes the GPU where there is one
    random_state : int, RandomState or None; the seed

    Attributes
    ----------
    mean_, scale_ : of the observed training values, (n_genes,)
    history_ : squared error of every epoch
    module_ : the trained RestorerNet
    """

    module_: RestorerNet

    def __init__(
        self,
        *,
        hidden: int = 512,
        n_layers: int = 2,
        residual: bool = True,
        ridge: float = 0.1,
        lowest_rate: float = 0.3,
        rate_span: float = 0.68,
        max_epochs: int = 120,
        batch_size: int = 256,
        learning_rate: float = 1.5e-3,
        decay_to: float = 0.01,
        patience: int = 120,
        validation_fraction: float = 0.05,
        device: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.hidden = hidden
        self.n_layers = n_layers
        self.residual = residual
        self.ridge = ridge
        self.lowest_rate = lowest_rate
        self.rate_span = rate_span
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay_to = decay_to
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def _learn(self, values: Array) -> None:
        if not 0 <= self.lowest_rate < self.lowest_rate + self.rate_span <= 1:
            raise ValueError(
                "lowest_rate and lowest_rate + rate_span must be rates, in [0, 1], and differ, but they are "
                f"{self.lowest_rate} and {self.lowest_rate + self.rate_span}."
            )
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction must be in [0, 1), but {self.validation_fraction} came.")
        seeds = self._seeds(2)
        base = RidgeImputer(self.ridge).fit(values)
        complete = torch.from_numpy(base.impute(values)).float().to(self._device())
        shuffled = np.random.default_rng(seeds[0]).permutation(len(complete))
        held_out, rest = np.split(shuffled, [round(self.validation_fraction * len(complete))])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds[1])
            module = self._build_module().to(complete.device)
        if self.residual:
            # Without the held-out samples: with them the base would look better than it is.
            part = base.impute(values)[rest]
            covariance = part.T @ part / len(part) + self.ridge * np.eye(part.shape[1])
            module.set_base(covariance, np.linalg.inv(covariance))
        config = TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
            min_delta=0.0,
            decay_to=self.decay_to,
        )
        validation = {"values": complete[held_out]} if len(held_out) else None
        self.history_ = fit(module, {"values": complete[rest]}, config, seed=seeds[1], validation=validation)
        self.module_ = module

    def _fill(self, values: Array, observed: Mask) -> Array:
        device = self._device()
        with torch.no_grad():
            answer = self.module_.restore(
                torch.from_numpy(values).float().to(device), torch.from_numpy(observed).to(device)
            )
        return answer.cpu().numpy().astype(np.float64)

    def _build_module(self) -> RestorerNet:
        return RestorerNet(
            self.n_features_in_,
            hidden=self.hidden,
            n_layers=self.n_layers,
            residual=self.residual,
            lowest_rate=self.lowest_rate,
            rate_span=self.rate_span,
        )
