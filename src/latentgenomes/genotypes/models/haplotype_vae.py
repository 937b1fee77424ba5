r"""HaplotypeVAE: the variational autoencoder of haplotypes as a scikit-learn estimator.

The equations stand in `latentgenomes.genotypes.models.haplotype_net`, and what a trained network can do in
`latentgenomes.genotypes.models.haplotype_estimator`. This file trains:

    loss at step t = -log p(x | z) + beta min(1, t / (w T)) KL(q(z | x) || N(0, I)),      t = 1 ... T

The weight of KL grows over the first share w of the steps, so that the decoder can learn to use a latent
variable before the KL term switches it off.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `calls` | (n, l) |
| $f$ | `frequencies` | (l,) |
| $\beta$ | `beta` | scalar |
| $w$ | `warmup` | scalar |
| $T$ | `steps` | scalar |

References
----------
Sonderby et al. 2016, Ladder variational autoencoders, NeurIPS (warm-up of the KL term).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from latentgenomes.genotypes.models.copying import check_values
from latentgenomes.genotypes.models.haplotype_estimator import HaplotypeEstimator
from latentgenomes.genotypes.models.haplotype_net import HaplotypeNet
from latentgenomes.genotypes.models.latent_mixture import fit_latent_mixture
from latentgenomes.nn.ensemble import seeded
from latentgenomes.nn.train import Batch, SingleLearner, TrainConfig, run

NO_POPULATION = "all"  # the only class where no populations were given


def published_settings() -> dict[str, Any]:
    """Settings of `HaplotypeVAE` that follow the network of Geleta et al. 2026.

    32 is one of the two numbers of latent variables in their Table 1; hidden widths are those of the example
    in their code, commit 536fb68.
    """
    return {
        "hidden": (512, 64),
        "n_latent": 32,
        "batch_norm": True,
        "input_dropout": 0.0,
        "warmup": 0.0,
        "learning_rate": 1e-3,
        "decay_to": 1.0,
    }


class _WarmUp:
    """A learner whose KL term counts little at first: its gradient is scaled, its value is not."""

    def __init__(self, learner: SingleLearner, n_steps: int) -> None:
        self.n_members, self.n_samples, self.device = 1, learner.n_samples, learner.device
        self.parameters, self.draw = learner.parameters, learner.draw
        self.validation_terms, self.remember = learner.validation_terms, learner.remember
        self.narrow = learner.narrow
        self._learner, self._n_steps, self._step = learner, n_steps, 0

    def training_terms(self, rows: Tensor, noise: Batch) -> dict[str, Tensor]:
        """Return the terms on rows of the training data."""
        terms = self._learner.training_terms(rows, noise)
        self._step += 1
        share = min(1.0, self._step / max(self._n_steps, 1))
        terms["kl"] = share * terms["kl"] + (1.0 - share) * terms["kl"].detach()
        return terms


class HaplotypeVAE(HaplotypeEstimator):
    """Variational autoencoder of phased haplotypes.

    Parameters
    ----------
    n_latent : int
        Latent variables (of each window).
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    batch_norm, slope, input_dropout, n_previous
        See `latentgenomes.genotypes.models.haplotype_net.HaplotypeNet`. With `n_previous` > 0 the decoder is
        causal.
    window : int or None
        SNPs of a window, each with a network of its own; the last may be shorter. None for one window.
    conditional : bool
        Tell encoder and decoder the population, which `fit` then needs as `y`.
    n_components : int
        Gaussians of each population's latent mixture, at most.
    beta : float
        Weight of the KL term in training.
    warmup : float
        Share of the epochs over which that weight grows from 0.
    max_epochs, batch_size, learning_rate, decay_to : int, int, float, float
        Training, see `latentgenomes.nn.train.TrainConfig`. There is no early stopping.
    device : str
        "auto" takes the GPU where there is one.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    module_ : HaplotypeNet
        The trained network.
    classes_ : ndarray of shape (n_populations,)
        Names of the populations; only ``"all"`` where none were given.
    mixture_weights_, mixture_means_, mixture_cholesky_, mixture_population_ : ndarray
        Of the latent mixture, see `latentgenomes.genotypes.models.latent_mixture.LatentMixture`.
    history_ : DataFrame
        "nll" and "kl" by epoch, in nats per haplotype, see `latentgenomes.nn.train.run`.
    n_features_in_ : int
        Number of SNPs.

    Notes
    -----
    Deviations from the published network, all of them settings that `published_settings` takes back: no
    BatchNorm, LeakyReLU, input dropout, warm-up of beta, a falling learning rate. The causal decoder and the
    latent mixture are additions of this package.
    """

    def __init__(
        self,
        n_latent: int = 16,
        *,
        hidden: Sequence[int] = (256, 256),
        batch_norm: bool = False,
        slope: float = 0.1,
        input_dropout: float = 0.1,
        n_previous: int = 0,
        window: int | None = None,
        conditional: bool = False,
        n_components: int = 8,
        beta: float = 1.0,
        warmup: float = 0.3,
        max_epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        decay_to: float = 0.01,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latent = n_latent
        self.hidden = hidden
        self.batch_norm = batch_norm
        self.slope = slope
        self.input_dropout = input_dropout
        self.n_previous = n_previous
        self.window = window
        self.conditional = conditional
        self.n_components = n_components
        self.beta = beta
        self.warmup = warmup
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay_to = decay_to
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on a panel.

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Phased calls 0 and 1, -1 for missing.
        y : array of shape (n_haplotypes,), optional
            Population of every haplotype. Without `conditional` it only shapes the latent mixture.

        Raises
        ------
        ValueError
            If a call is not 0, 1 or -1, a setting is out of range, or populations are wanted and not given.
        """
        self._check_settings()
        calls = check_values(validate_data(self, X, dtype=None, ensure_min_samples=2))
        if y is None and self.conditional:
            raise ValueError(
                "A conditional model must be told the population of every haplotype, but y is None. "
                "Pass y, or set conditional=False."
            )
        labels = np.full(len(calls), NO_POPULATION) if y is None else np.asarray(y)
        if labels.shape != (len(calls),):
            raise ValueError(
                f"y must name one population a haplotype, but its shape is {labels.shape} for {len(calls)} "
                "haplotypes. Pass one name a row of X."
            )
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        seed, noise_seed, mixture_seed = self._seeds(3)
        (module,) = seeded(self._build_module, [seed])
        known = (calls >= 0).sum(0)
        frequencies = ((calls == 1).sum(0) + 0.5) / (known + 1)
        module.set_frequencies(torch.from_numpy(frequencies).float())
        self.module_ = module.to(self._device())
        self._train({k: v.float() for k, v in self._batch(calls, numbers).items()}, seed)
        # Trained in single, used in double precision: a haplotype must not depend on those beside it.
        self.module_.double().eval()
        mean, log_var = self._posterior(calls, numbers)
        noise = np.random.default_rng(noise_seed).standard_normal(mean.shape)
        drawn = mean + np.exp(0.5 * log_var) * noise
        mixture = fit_latent_mixture(drawn, numbers, self.n_components, seed=mixture_seed)
        self.mixture_weights_, self.mixture_means_ = mixture.weights, mixture.means
        self.mixture_cholesky_, self.mixture_population_ = mixture.cholesky, mixture.population
        return self

    def _check_settings(self) -> None:
        least = {"n_latent": 1, "n_previous": 0, "n_components": 1, "max_epochs": 1, "batch_size": 1}
        least |= {} if self.window is None else {"window": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be >= {value}, but {getattr(self, name)!r} came. Raise it.")
        for name in ("input_dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), but {getattr(self, name)!r} came. Change it.")
        if not self.hidden:
            raise ValueError("hidden must name at least one layer, but it is empty. Pass (256, 256).")

    def _train(self, batch: Mapping[str, Tensor], seed: int) -> None:
        config = TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay_to=self.decay_to,
        )
        steps = self.max_epochs * (len(batch["calls"]) // min(self.batch_size, len(batch["calls"])))
        learner = _WarmUp(SingleLearner(self.module_, batch, None), int(self.warmup * steps))
        weights = {"kl": self.beta}
        self.history_ = run(learner, config, seeds=[seed], weights=weights, validate=False)

    def _build_module(self) -> HaplotypeNet:
        n_snps = self.n_features_in_
        size = min(self.window or n_snps, n_snps)
        rest = n_snps % size
        return HaplotypeNet(
            [size] * (n_snps // size) + ([rest] if rest else []),
            n_latent=self.n_latent,
            hidden=tuple(self.hidden),
            batch_norm=self.batch_norm,
            slope=self.slope,
            input_dropout=self.input_dropout,
            n_populations=len(self.classes_) if self.conditional else 0,
            n_previous=self.n_previous,
        )
