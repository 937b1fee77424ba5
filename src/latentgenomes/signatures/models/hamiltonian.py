r"""Hamiltonian steps for the signatures and exposures of signeR's model, both at once.

Gibbs draws of signatures given exposures and of exposures given signatures are short where counts are large:
each nearly fixes the other. Here all logarithms :math:`q = (\log e, \log p)` move together, along

.. math::
    \dot q = M^{-1} r, \qquad \dot r = -\nabla U(q), \qquad r \sim \mathcal{N}(0, M),

in leapfrog steps, with :math:`U` the negative log posterior given the parameters of the priors,

.. math::
    U = \sum_{nm} (\lambda_{nm} - x_{nm} \log \lambda_{nm})
        + \sum_{v \in \{e, p\}} \big(\beta v - (\alpha + 1) \log v\big), \qquad
    \lambda_{nm} = w_{nm} \sum_k e_{nk} p_{km}.

The end is accepted with probability :math:`\min(1, \exp(-\Delta H))`, :math:`H = U + r^\top M^{-1} r / 2`, so
the posterior stays as it is. :math:`M` has one (k, k) block for the exposures of every sample and one for the
entries of every channel: the Fisher information about their logarithms, and that of the prior,

.. math::
    M_n = e_n e_n^\top \circ \sum_m \frac{w_{nm}}{(e p)_{nm}}\, p_{\cdot m} p_{\cdot m}^\top
        + \text{diag}(\alpha_n + 1).

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $w$ | `opportunities` | (n, m) |
| $e$ | `exposures.values` | (n, k) |
| $p$ | `signatures.values` | (k, m) |
| $\alpha$ | `shapes` | of $e$ or $p$ |
| $\beta$ | `rates` | of $e$ or $p$ |
| $r$ | `momenta` | of $e$ and of $p$ |
| $M^{-1}$ | `inverse` | (n, k, k), (m, k, k) |

References
----------
Neal 2011, Handbook of Markov Chain Monte Carlo, ch. 5. Girolami & Calderhead 2011, JRSS B 73:123 (Fisher
information as a metric; here it is held fixed). Robbins & Monro 1951 (the length of the steps).
"""

from typing import NamedTuple, Self

import numpy as np

from latentgenomes.signatures.models.gamma_factor import GammaFactor

Rng = np.random.Generator
Pair = tuple[np.ndarray, np.ndarray]  # of the exposures, (n, k), and of the signatures, (k, m)
_LENGTH = 3.5  # of a trajectory, in standard deviations: half as long mixes four times as slowly
_MAX_STEPS = 40
_FIRST_STEP = 0.1
_WANTED = 0.75  # acceptance
_GAIN = 0.1  # of the logarithm of the step's length
_JITTER = 0.2  # so that no trajectory comes back to where it began each time


class Metric(NamedTuple):
    """Blocks of M for one factor: their Cholesky factors and inverses, each (n, k, k)."""

    root: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, other: np.ndarray, weights: np.ndarray, shapes: np.ndarray) -> Self:
        """Information about the logarithms of values, (n, k), given other, (m, k), and weights, (n, m)."""
        k = values.shape[1]
        pairs = (other[:, :, None] * other[:, None, :]).reshape(-1, k * k)
        blocks = (weights @ pairs).reshape(-1, k, k) * (values[:, :, None] * values[:, None, :])
        blocks[:, np.arange(k), np.arange(k)] += shapes + 1.0
        return cls(np.linalg.cholesky(blocks), np.linalg.inv(blocks))

    def draw(self, rng: Rng) -> np.ndarray:
        """Momenta, (n, k)."""
        return _times(self.root, rng.standard_normal(self.root.shape[:2]))

    def velocities(self, momenta: np.ndarray) -> np.ndarray:
        """Change of the logarithms in a unit of time, (n, k)."""
        return _times(self.inverse, momenta)


def _times(blocks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (blocks @ vectors[:, :, None])[:, :, 0]


class Trajectories:
    """Metropolis steps along Hamilton's equations; counts >= 0 and opportunities > 0 are both (n, m)."""

    def __init__(self, counts: np.ndarray, opportunities: np.ndarray) -> None:
        self.counts, self.opportunities = counts, opportunities
        self.step = _FIRST_STEP
        self._metrics: tuple[Metric, Metric] | None = None

    @property
    def tuned(self) -> bool:
        """Whether there is a metric to move in."""
        return self._metrics is not None

    def tune(self, exposures: GammaFactor, signatures: GammaFactor) -> None:
        """Take the metric at this state. It follows the chain, so tune in the burn-in only."""
        e, p = exposures.values, signatures.values
        weights = self.opportunities / (e @ p)
        self._metrics = (
            Metric.of(e, p.T, weights, exposures.shapes),
            Metric.of(p.T, e, weights.T, signatures.shapes.T),
        )

    def move(
        self, exposures: GammaFactor, signatures: GammaFactor, rng: Rng, *, learn: bool = False
    ) -> float:
        """Move both factors given their priors, and return the acceptance probability. `values` are replaced
        if the step is accepted; `learn` adapts the length of the steps, in the burn-in only.
        """
        if self._metrics is None:
            raise RuntimeError("There is no metric yet. Call tune first.")
        of_e, of_p = self._metrics
        logs = np.log(exposures.values), np.log(signatures.values)
        momenta = of_e.draw(rng), of_p.draw(rng).T
        step = self.step * rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)
        n_steps = min(int(np.ceil(_LENGTH / self.step)), _MAX_STEPS)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a lost trajectory is rejected
            before, slopes = self.potential(logs, exposures, signatures)
            before += self._kinetic(momenta)
            for _ in range(n_steps):
                momenta = momenta[0] - step / 2 * slopes[0], momenta[1] - step / 2 * slopes[1]
                logs = (
                    logs[0] + step * of_e.velocities(momenta[0]),
                    logs[1] + step * of_p.velocities(momenta[1].T).T,
                )
                after, slopes = self.potential(logs, exposures, signatures)
                momenta = momenta[0] - step / 2 * slopes[0], momenta[1] - step / 2 * slopes[1]
            loss = after + self._kinetic(momenta) - before
        accepted = float(np.exp(-max(loss, 0.0))) if np.isfinite(loss) else 0.0
        if rng.random() < accepted:
            exposures.values, signatures.values = np.exp(logs[0]), np.exp(logs[1])
        if learn:
            self.step *= np.exp(_GAIN * (accepted - _WANTED))
        return accepted

    def potential(self, logs: Pair, exposures: GammaFactor, signatures: GammaFactor) -> tuple[float, Pair]:
        """U at these logarithms, in nats up to a constant, and its derivatives by them."""
        e, p = np.exp(logs[0]), np.exp(logs[1])
        product = e @ p
        value = (product * self.opportunities - self.counts * np.log(product)).sum()
        for factor, values, log in ((exposures, e, logs[0]), (signatures, p, logs[1])):
            value += (factor.rates * values - (factor.shapes + 1.0) * log).sum()
        excess = self.opportunities - self.counts / product
        by_e = e * (excess @ p.T + exposures.rates) - exposures.shapes - 1.0
        by_p = p * (e.T @ excess + signatures.rates) - signatures.shapes - 1.0
        return float(value), (by_e, by_p)

    def _kinetic(self, momenta: Pair) -> float:
        of_e, of_p = self._metrics  # type: ignore[misc]
        of_samples = (momenta[0] * of_e.velocities(momenta[0])).sum()
        of_channels = (momenta[1].T * of_p.velocities(momenta[1].T)).sum()
        return float(of_samples + of_channels) / 2.0
