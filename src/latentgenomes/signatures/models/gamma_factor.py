r"""Signatures or exposures with a gamma prior on each entry, as signeR has them.

.. math::
    v \sim \text{Gamma}(\alpha + 1, \beta), \qquad \alpha \sim \text{Exponential}(\lambda), \qquad
    \beta \sim \text{Gamma}(a, b).

The conditionals of :math:`v` and :math:`\beta` are gammas; :math:`\alpha` takes a Metropolis step. How they
make a chain stands in `latentgenomes.signatures.models.gibbs`.

| symbol | name in code | shape |
|---|---|---|
| $v$ | `values` | of the factor |
| $\alpha$ | `shapes` | of the factor |
| $\beta$ | `rates` | of the factor |
| $a, b, \lambda$ | `prior` | 3 numbers |

References
----------
Rosales et al. 2017, Bioinformatics 33:8. van Dyk & Park 2008, JASA 103:790 (steps with a variable integrated
out).
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.special import gammaln

Rng = np.random.Generator
_SHAPE_STEP = 1.5  # standard deviation of the proposals of log alpha


class Prior(NamedTuple):
    """Hyperparameters: beta is gamma with shape `a` and rate `b`, alpha is exponential with rate `decay`."""

    a: float
    b: float
    decay: float  # lambda


@dataclass
class GammaFactor:
    """Values p or e > 0, with the shape alpha (+ 1) and the rate beta of the gamma prior of each."""

    values: np.ndarray
    shapes: np.ndarray
    rates: np.ndarray
    prior: Prior

    @classmethod
    def start(cls, values: np.ndarray, prior: Prior, rng: Rng) -> Self:
        """Begin with alpha from its prior and beta given alpha and the values."""
        shapes = rng.exponential(1.0 / prior.decay, values.shape)
        factor = cls(values, shapes, np.ones_like(values), prior)
        factor.draw_rates(rng)
        return factor

    def draw_values(self, allocated: np.ndarray, pull: np.ndarray, rng: Rng) -> None:
        """Draw p or e given its mutations and `pull`, the derivative of the expected counts."""
        self.values = rng.gamma(self.shapes + 1.0 + allocated) / (self.rates + pull)

    def draw_rates(self, rng: Rng) -> None:
        """Draw beta given alpha and the values."""
        a, b = self.prior.a, self.prior.b
        self.rates = rng.gamma(self.shapes + 1.0 + a) / (self.values + b)

    def draw_shapes(self, rng: Rng) -> None:
        """Move alpha by a Metropolis step in log alpha, beta integrated out: draw beta right after it."""
        a, b, decay = self.prior
        tilt = np.log(self.values / (self.values + b)) - decay

        def log_density(shapes: np.ndarray) -> np.ndarray:  # of log alpha
            return gammaln(shapes + 1.0 + a) - gammaln(shapes + 1.0) + shapes * tilt + np.log(shapes)

        step = np.exp(_SHAPE_STEP * rng.standard_normal(self.shapes.shape))
        proposed = np.clip(self.shapes * step, 1e-100, 1e100)
        gain = log_density(proposed) - log_density(self.shapes)
        self.shapes = np.where(np.log(rng.random(gain.shape)) < gain, proposed, self.shapes)

    def log_prior(self, values: np.ndarray, shapes: np.ndarray) -> float:
        """Log density of values given alpha with beta integrated out, summed, up to a constant."""
        a, b = self.prior.a, self.prior.b
        return float((shapes * np.log(values) - (shapes + 1.0 + a) * np.log(values + b)).sum())
