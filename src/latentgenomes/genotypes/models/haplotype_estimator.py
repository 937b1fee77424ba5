"""What every autoencoder of haplotypes can do once its network is trained.

The code length of a haplotype, in bits, has the upper bounds

    bits(x) <= -log2 (1/s) sum_s p(x | z_s) p(z_s) / q(z_s | x),         z_1 ... z_s drawn from q

on average over the draws. s = 1 is the negative ELBO; more draws give a tighter bound.

References
----------
Burda et al. 2016, arXiv 1509.00519 (importance-weighted bound).
"""

import math
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from scipy.special import expit, logit
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from latentgenomes.core.checks import list_names
from latentgenomes.genotypes.models.copying import Calls, check_values
from latentgenomes.genotypes.models.haplotype_net import HaplotypeNet
from latentgenomes.genotypes.models.latent_mixture import Array, LatentMixture
from latentgenomes.nn.estimator import TorchEstimator

_ROWS = 512  # haplotypes in memory at once


class HaplotypeEstimator(TransformerMixin, TorchEstimator):
    """Abstract base: a subclass trains `module_`, in double precision, and sets the attributes below."""

    module_: HaplotypeNet
    conditional: bool
    n_features_in_: int
    classes_: np.ndarray
    mixture_weights_: Array
    mixture_means_: Array
    mixture_cholesky_: Array
    mixture_population_: np.ndarray

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on a panel X (n_haplotypes, n_snps), with populations y where known."""

    def _calls(self, X: Any) -> Calls:
        check_is_fitted(self)
        return check_values(validate_data(self, X, dtype=None, reset=False))

    def _numbers(self, calls: Calls, y: Any) -> np.ndarray:
        """Places of the populations in `classes_`: y, or the likeliest where the model needs them."""
        if not self.conditional:
            return np.zeros(len(calls), dtype=np.int64)
        if y is None:
            return self._likeliest(calls)
        labels = np.broadcast_to(np.asarray(y), len(calls))
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise ValueError(
                f"population must be one of {list_names(self.classes_.tolist())}, but {list_names(unknown)} "
                "came. Name one that the model was fitted to."
            )
        return np.searchsorted(self.classes_.astype(str), labels.astype(str))

    def _batch(self, calls: Calls, numbers: np.ndarray) -> dict[str, Tensor]:
        one_hot = np.eye(len(self.classes_))[numbers] if self.conditional else np.zeros((len(calls), 0))
        arrays = {"calls": calls.astype(np.float64), "population": one_hot}
        return {name: torch.from_numpy(value).to(self._device()) for name, value in arrays.items()}

    def _posterior(self, calls: Calls, numbers: np.ndarray) -> tuple[Array, Array]:
        parts = []
        for start in range(0, len(calls), _ROWS):
            rows = slice(start, start + _ROWS)
            batch = self._batch(calls[rows], numbers[rows])
            with torch.no_grad():
                parts.append(
                    self.module_.posterior(self.module_.centred(batch["calls"]), batch["population"])
                )
        mean, log_var = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return mean, log_var

    def _likeliest(self, calls: Calls) -> np.ndarray:
        bounds = [
            self._bits(calls, np.full(len(calls), number), 1, 0) for number in range(len(self.classes_))
        ]
        return np.argmin(bounds, axis=0)

    def _bits(self, calls: Calls, numbers: np.ndarray, n_draws: int, seed: int) -> Array:
        """Upper bound on the code length of every haplotype, in bits: see the text above."""
        bits = np.empty(len(calls))
        for start in range(0, len(calls), _ROWS):
            rows = slice(start, start + _ROWS)
            batch = self._batch(calls[rows], numbers[rows])
            # Every haplotype meets the same draws: it does not matter which others stand beside it.
            noise = torch.randn(n_draws, self.module_.n_latent, generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                centred = self.module_.centred(batch["calls"])
                mean, log_var = self.module_.posterior(centred, batch["population"])
                log_ratios = []
                for drawn in noise.double().to(mean.device):
                    latent = mean + (0.5 * log_var).exp() * drawn
                    log_ratio = 0.5 * (log_var + drawn.square() - latent.square()).sum(-1)  # log p(z) - log q
                    logits = self.module_.logits(latent, centred, batch["population"])
                    log_ratios.append(log_ratio - self.module_.nll(batch["calls"], logits))
                total = torch.stack(log_ratios).logsumexp(0) - math.log(n_draws)
            bits[rows] = -total.cpu().numpy() / math.log(2)
        return bits

    def transform(self, X: Any, y: Any = None) -> Array:
        """Latent variables of haplotypes, (n_haplotypes, n_latent x number of windows): the mean of q(z | x).

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Calls 0 and 1, -1 for missing.
        y : array of shape (n_haplotypes,) or str, optional
            Populations, for a conditional model. Without them each haplotype's likeliest is taken.
        """
        calls = self._calls(X)
        return self._posterior(calls, self._numbers(calls, y))[0]

    def inverse_transform(self, X: Any, y: Any = None) -> Array:
        """Probabilities of allele 1, (n_haplotypes, n_snps), from latent variables.

        A causal decoder is told nothing of the calls before; see `sample` for haplotypes.

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_latent x number of windows)
            Latent variables.
        y : array of shape (n_haplotypes,) or str, optional
            Populations; a conditional model needs them.
        """
        latent, population = self._latent(X, y)
        with torch.no_grad():
            nothing = latent.new_zeros(len(latent), self.n_features_in_)
            return self.module_.logits(latent, nothing, population).sigmoid().cpu().numpy()

    def _latent(self, X: Any, y: Any) -> tuple[Tensor, Tensor]:
        check_is_fitted(self)
        latent = np.asarray(X, dtype=np.float64)
        if latent.ndim != 2 or latent.shape[1] != self.module_.n_latent:
            raise ValueError(
                f"Latent variables must have shape (n_haplotypes, {self.module_.n_latent}), but theirs is "
                f"{latent.shape}. Pass what transform returned."
            )
        if self.conditional and y is None:
            raise ValueError("A conditional model must be told the population, but none came. Pass one.")
        placeholder = np.zeros((len(latent), self.n_features_in_), dtype=np.int8)
        population = self._batch(placeholder, self._numbers(placeholder, y))["population"]
        return torch.from_numpy(latent).to(population.device), population

    def sample(
        self,
        n_samples: int = 1,
        *,
        population: str | None = None,
        aggregate: bool = True,
        temperature: float = 1.0,
        random_state: int | np.random.Generator | None = None,
    ) -> Calls:
        """Draw new haplotypes, int8 of shape (n_samples, n_snps).

        Parameters
        ----------
        n_samples : int
            How many, >= 1.
        population : str, optional
            Of this population only. Without it populations come in the shares of the panel.
        aggregate : bool
            True draws z from the mixture fitted to the panel's latent variables, False from N(0, I).
        temperature : float
            > 0. Every call is drawn with the log odds of the decoder divided by it. A decoder that has learnt
            its panel too well is too sure, and a little more than 1 makes up for that.
        random_state : int, numpy.random.Generator or None
            Seed of the draws; None takes the estimator's.

        Raises
        ------
        ValueError
            If a number is out of range, the population is unknown, or it would not matter: the model is not
            conditional and z comes from N(0, I).
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be >= 1, but {n_samples} came. Ask for one or more.")
        if not temperature > 0:
            raise ValueError(
                f"temperature must be above 0, but {temperature} came. 1 takes the model's odds."
            )
        if population is not None and population not in self.classes_.tolist():
            raise ValueError(
                f"population must be one of {list_names(self.classes_.tolist())}, but {population!r} came. "
                "Name one that the model was fitted to."
            )
        if population is not None and not (aggregate or self.conditional):
            raise ValueError(
                "N(0, I) knows no populations and this decoder neither. Set aggregate=True, or fit with "
                "conditional=True."
            )
        given = self._seeds(1)[0] if random_state is None else random_state
        rng = np.random.default_rng(given)
        shares = np.bincount(
            self.mixture_population_, weights=self.mixture_weights_, minlength=len(self.classes_)
        )
        numbers = (
            rng.choice(len(shares), n_samples, p=shares / shares.sum())
            if population is None
            else np.full(n_samples, self.classes_.tolist().index(population))
        )
        latent = rng.standard_normal((n_samples, self.module_.n_latent))
        if aggregate:
            for number in np.unique(numbers):
                own = numbers == number
                latent[own] = self._mixture().draw(int(own.sum()), rng, population=int(number))
        uniform = rng.random((n_samples, self.n_features_in_))
        if temperature != 1:  # a call is 1 where logit(u) < log odds: as well scale u as divide the odds
            uniform = expit(temperature * logit(uniform))
        return self._generate(latent, numbers, uniform, np.full(uniform.shape, -1, dtype=np.int8))

    def _mixture(self) -> LatentMixture:
        return LatentMixture(
            self.mixture_weights_, self.mixture_means_, self.mixture_cholesky_, self.mixture_population_
        )

    def _generate(self, latent: Array, numbers: np.ndarray, uniform: Array, calls: Calls) -> Calls:
        parts = []
        for start in range(0, len(calls), _ROWS):
            rows = slice(start, start + _ROWS)
            batch = self._batch(calls[rows], numbers[rows])
            draws = [torch.from_numpy(array[rows]).to(self._device()) for array in (latent, uniform)]
            with torch.no_grad():
                filled = self.module_.generate(draws[0], batch["population"], draws[1], batch["calls"])
            parts.append(filled.cpu().numpy().astype(np.int8))
        return np.concatenate(parts)

    def impute(self, X: Any, y: Any = None) -> Calls:
        """Fill missing calls with the likelier allele, given the latent variables; see `transform`."""
        calls = self._calls(X)
        numbers = self._numbers(calls, y)
        return self._generate(self._posterior(calls, numbers)[0], numbers, np.full(calls.shape, 0.5), calls)

    def bits(self, X: Any, y: Any = None, *, n_draws: int = 1) -> Array:
        """Upper bound on the code length of every haplotype, in bits; the model is not counted.

        Parameters
        ----------
        X, y
            As in `transform`. A missing call costs nothing.
        n_draws : int
            Draws of z; 1 gives a draw of the negative ELBO, more give the tighter importance-weighted bound.
        """
        if n_draws < 1:
            raise ValueError(f"n_draws must be >= 1, but {n_draws} came. Take 1, or 200 for a tight bound.")
        calls = self._calls(X)
        return self._bits(calls, self._numbers(calls, y), n_draws, self._seeds(1)[0])

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log2 probability of a call that is there, by the ELBO: minus the bits per SNP; see `bits`."""
        return -float(self.bits(X, y).sum() / max((np.asarray(X) >= 0).sum(), 1))

    def likeliest_population(self, X: Any) -> np.ndarray:
        """Population under which a conditional model spends the fewest bits, (n_haplotypes,)."""
        calls = self._calls(X)
        if not self.conditional:
            raise ValueError("The model must be conditional to tell populations apart. Fit it with y.")
        return self.classes_[self._likeliest(calls)]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the latent variables: latent1, latent2, ..."""
        check_is_fitted(self)
        return np.array([f"latent{i + 1}" for i in range(self.module_.n_latent)], dtype=object)
