r"""A Gibbs sampler over signatures and exposures: the model of signeR, and the draws from its posterior.

Every mutation belongs to one signature, but which one was not observed. With opportunities :math:`w`, a
signature's entries :math:`p` and a sample's exposures :math:`e`,

.. math::
    x_{nm} = \sum_k z_{nkm}, \qquad z_{nkm} \sim \text{Poisson}(e_{nk}\, p_{km}\, w_{nm}).

Both factors :math:`v \in \{e, p\}` have gamma priors, each entry with a shape and a rate of its own:

.. math::
    v \sim \text{Gamma}(\alpha + 1, \beta), \qquad \alpha \sim \text{Exponential}(\lambda), \qquad
    \beta \sim \text{Gamma}(a, b).

Given the rest, :math:`z_{nm}` is multinomial with probabilities :math:`e_{nk} p_{km} / \sum_j e_{nj} p_{jm}`,
and with the sums :math:`z_{\cdot km}` and :math:`z_{nk \cdot}`

.. math::
    p_{km} \sim \text{Gamma}\Big(\alpha + 1 + z_{\cdot km},\; \beta + \sum_n e_{nk} w_{nm}\Big), \quad
    e_{nk} \sim \text{Gamma}\Big(\alpha + 1 + z_{nk \cdot},\; \beta + \sum_m p_{km} w_{nm}\Big), \quad
    \beta \sim \text{Gamma}(a + \alpha + 1,\; b + v).

:math:`\alpha` has no such form and takes a Metropolis step. At the end of a sweep all of :math:`e` and
:math:`p` move along their gradient (`latentgenomes.signatures.models.hamiltonian`): each nearly fixes the
other where counts are large, so the draws above alone are slow.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $w$ | `opportunities` | (n, m) |
| $z_{nk \cdot}$ | `by_sample` | (n, k) |
| $z_{\cdot km}$ | `by_channel` | (k, m) |
| $e$ | `exposures` | (n, k) |
| $p$ | `signatures` | (k, m) |
| $\alpha$ | `shapes` | of $e$ or $p$ |
| $\beta$ | `rates` | of $e$ or $p$ |

References
----------
Rosales et al. 2017, Bioinformatics 33:8 (model, sampler, BIC). Drummond et al. 2023, BMC Bioinformatics 24
(version 2). van Dyk & Park 2008, JASA 103:790 (steps with a variable integrated out). Gelman et al. 2013,
Bayesian Data Analysis, section 11.4 (split R-hat).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.gamma_factor import GammaFactor
from latentgenomes.signatures.models.hamiltonian import Trajectories

Rng = np.random.Generator
_SHEARS = 5  # a sweep; they cost little beside the allocation
_TUNE_EVERY = 10  # sweeps of the burn-in


@dataclass
class Draws:
    """What one chain recorded."""

    signatures: np.ndarray  # (d, k, m), rows sum to 1
    scales: np.ndarray  # (d, k), row sums of p before that
    totals: np.ndarray  # (d, k), mutations of each signature in all samples
    log_likelihoods: np.ndarray  # (d,), nats
    exposures: np.ndarray  # (n_kept, n, k), float32, in mutations, of every `every`-th draw
    every: int


class Allocation:
    """Draws which signature each mutation came from, and keeps only the two sums that the sampler needs.
    Counts are (n, m); a fraction of a mutation is shared out in proportion, without a draw.
    """

    def __init__(self, counts: np.ndarray) -> None:
        whole = np.floor(counts)
        self._rows, self._channels = np.nonzero(whole)
        self._whole = whole[self._rows, self._channels].astype(np.int64)
        fraction = counts - whole
        self._fraction = fraction if fraction.any() else None

    def draw(self, exposures: np.ndarray, signatures: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Draw by_sample, (n, k), and by_channel, (k, m): binomials, signature after signature. Every sample
        goes through its own signatures from the largest exposure down, and an entry drops out once all its
        mutations are placed: most do so after the few signatures that the sample has.
        """
        (n, k), m = exposures.shape, signatures.shape[1]
        order = np.argsort(-exposures * signatures.sum(1), axis=1)
        expected = exposures @ signatures
        rows, channels, left = self._rows, self._channels, self._whole
        rest = expected[rows, channels]  # expected mutations of the signatures still to come
        by_sample, by_channel = np.zeros(n * k), np.zeros(k * m)
        for rank in range(k):
            own = order[rows, rank]
            in_sample, in_channel = rows * k + own, own * m + channels
            share = exposures.ravel()[in_sample] * signatures.ravel()[in_channel]
            last = rank == k - 1
            placed = left if last else rng.binomial(left, share / np.maximum(rest, share))
            by_sample += np.bincount(in_sample, placed, n * k)
            by_channel += np.bincount(in_channel, placed, k * m)
            left = left - placed
            open_ = np.flatnonzero(left)
            rest = rest[open_] - share[open_]
            rows, channels, left = rows[open_], channels[open_], left[open_]
            if len(left) == 0:
                break
        by_sample, by_channel = by_sample.reshape(n, k), by_channel.reshape(k, m)
        if self._fraction is not None:
            ratio = self._fraction / expected
            by_sample += exposures * (ratio @ signatures.T)
            by_channel += signatures * (exposures.T @ ratio)
        return by_sample, by_channel


class GibbsChain:
    """One Markov chain over exposures, signatures and the parameters of their priors."""

    def __init__(
        self,
        counts: np.ndarray,
        opportunities: np.ndarray,
        *,
        exposures: GammaFactor,
        signatures: GammaFactor,
        rng: Rng,
    ) -> None:
        self.counts, self.opportunities = counts, opportunities
        self.exposures, self.signatures = exposures, signatures
        self.trajectories = Trajectories(counts, opportunities)
        self._allocation, self._rng = Allocation(counts), rng
        self._log_factorial = float(gammaln(counts + 1.0).sum())

    def sweep(self, *, learn: bool = False) -> None:
        """Update everything once, at the end by a trajectory if tuned; `learn` adapts its steps."""
        e, p, rng = self.exposures, self.signatures, self._rng
        by_sample, by_channel = self._allocation.draw(e.values, p.values, rng)
        p.draw_values(by_channel, e.values.T @ self.opportunities, rng)
        e.draw_values(by_sample, self.opportunities @ p.values.T, rng)
        self.rescale()
        for _ in range(_SHEARS):
            self.shear()
        for factor in (e, p):
            factor.draw_shapes(rng)
            factor.draw_rates(rng)
        if self.trajectories.tuned:
            self.trajectories.move(e, p, rng, learn=learn)

    def sweep_exposures(self) -> None:
        """Update the exposures and their priors, given the signatures."""
        e, p, rng = self.exposures, self.signatures, self._rng
        by_sample, _ = self._allocation.draw(e.values, p.values, rng)
        e.draw_values(by_sample, self.opportunities @ p.values.T, rng)
        e.draw_shapes(rng)
        e.draw_rates(rng)

    def rescale(self) -> None:
        """Move each signature's scale into its exposures or back by a Metropolis step, before beta is drawn.
        The likelihood does not see the scale: the other draws alone need thousands of sweeps to find it.
        """
        e, p = self.exposures, self.signatures
        (n, k), m = e.values.shape, p.values.shape[1]
        step = 4.8 / np.sqrt(n + m) * self._rng.standard_normal(k)
        scale = np.exp(step)
        moved, received = e.values / scale, p.values * scale[:, None]
        for j in range(k):
            gain = e.log_prior(moved[:, j], e.shapes[:, j]) - e.log_prior(e.values[:, j], e.shapes[:, j])
            gain += p.log_prior(received[j], p.shapes[j]) - p.log_prior(p.values[j], p.shapes[j])
            if np.log(self._rng.random()) < gain + (m - n) * step[j]:  # the last term is the Jacobian
                e.values[:, j], p.values[j] = moved[:, j], received[j]

    def shear(self) -> None:
        """Move part of one signature into another, with exposures that keep every expected count. p_j + c p_i
        and e_i - c e_j leave e p as it is; c is uniform over all that keeps both >= 0. The prior decides,
        beta integrated out: draw it after this. Without this, overlapping signatures need thousands of
        sweeps.
        """
        e, p = self.exposures, self.signatures
        order = self._rng.permutation(len(p.values))
        for j, i in zip(order, np.roll(order, 1), strict=True):  # with one signature j is i: nothing to move
            least, most = -(p.values[j] / p.values[i]).min(), (e.values[:, i] / e.values[:, j]).min()
            c = self._rng.uniform(least, most)
            received, given = p.values[j] + c * p.values[i], e.values[:, i] - c * e.values[:, j]
            if j == i or received.min() <= 0 or given.min() <= 0:
                continue
            gain = p.log_prior(received, p.shapes[j]) - p.log_prior(p.values[j], p.shapes[j])
            gain += e.log_prior(given, e.shapes[:, i]) - e.log_prior(e.values[:, i], e.shapes[:, i])
            if np.log(self._rng.random()) < gain:
                p.values[j], e.values[:, i] = received, given

    def log_likelihood(self) -> float:
        """Poisson log-likelihood of the present state, in nats, with the exact log x!."""
        rates = (self.exposures.values @ self.signatures.values) * self.opportunities
        return float((xlogy(self.counts, rates) - rates).sum() - self._log_factorial)

    def run(self, n_burn_in: int, n_samples: int, *, thinning: int, keep: int) -> Draws:
        """Record every `thinning`-th sweep after the burn-in; at most `keep` draws hold exposures."""
        n_draws = n_samples // thinning
        every = -(-n_draws // keep)  # rounded up
        mean_opportunity = self.opportunities.mean(0)
        (n, k), m = self.exposures.values.shape, self.signatures.values.shape[1]
        draws = Draws(
            signatures=np.empty((n_draws, k, m)),
            scales=np.empty((n_draws, k)),
            totals=np.empty((n_draws, k)),
            log_likelihoods=np.empty(n_draws),
            exposures=np.empty((-(-n_draws // every), n, k), dtype=np.float32),
            every=every,
        )
        for sweep in progress(range(1, n_burn_in + n_draws * thinning + 1), "Gibbs", unit="sweep"):
            if sweep <= n_burn_in and sweep % _TUNE_EVERY == 1:
                self.trajectories.tune(self.exposures, self.signatures)
            self.sweep(learn=sweep <= n_burn_in)
            position, skipped = divmod(sweep - n_burn_in, thinning)
            if sweep <= n_burn_in or skipped:
                continue
            d = position - 1
            spectra = self.signatures.values * mean_opportunity
            draws.scales[d] = spectra.sum(1)
            draws.signatures[d] = spectra / spectra.sum(1, keepdims=True)
            mutations = self.exposures.values * (self.opportunities @ self.signatures.values.T)  # (n, k)
            draws.totals[d] = mutations.sum(0)
            draws.log_likelihoods[d] = self.log_likelihood()
            if d % every == 0:
                draws.exposures[d // every] = mutations
        return draws


def split_r_hat(draws: np.ndarray) -> np.ndarray:
    """Split R-hat of draws (n_chains, n_draws >= 4, ...); 1 for a quantity that never moved."""
    half = draws.shape[1] // 2
    halves = np.concatenate([draws[:, :half], draws[:, -half:]])  # (2 n_chains, half, ...)
    within = halves.var(axis=1, ddof=1).mean(0)
    between = halves.mean(axis=1).var(axis=0, ddof=1)  # of the means
    still = (within == 0) & (between == 0)
    ratio = np.divide(between, within, out=np.full_like(within, np.inf), where=within > 0)
    return np.where(still, 1.0, np.sqrt((half - 1) / half + ratio))
