r"""Gamma-Poisson NMF that finds the number of signatures by its evidence.

The model is that of `latentgenomes.signatures.models.spike_slab`: Poisson counts, and exposures that a
sample either lacks or draws from a gamma distribution,

.. math::
    x_{nm} \sim \text{Poisson}\Big(\sum_k z_{nk} e_{nk} s_{km}\Big), \qquad
    z_{nk} \sim \text{Bernoulli}(\pi_k), \qquad e_{nk} \sim \text{Gamma}(a_k, b_k / t_n).

`latentgenomes.signatures.models.elimination` searches the signatures and their number K for the largest
penalised evidence, with :math:`n_k` the number of samples that carry signature k:

.. math:: \mathcal{E} = \mathcal{B} - (m - 1) \sum_k \max\big(\tfrac{1}{2} \log n_k, 1\big).

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $s$ | `components_` | (k, m), rows sum to 1 |
| $z\,\mathrm{E}_q\,e$ | `_exposures` | (n, k), mutations |
| $a$ | `prior_shape_` | (k,) |
| $b$ | `prior_rate_` | (k,) |
| $\pi$ | `prevalence_` | (k,) |
| $\mathcal{E}$ | `evidence_` | scalar, nats |

References
----------
Cemgil 2009, Comput. Intell. Neurosci. 2009:785152 (variational Gamma-Poisson NMF). Hayashi & Fujimaki 2013,
NIPS 26 (the penalty of a binary latent feature by its carriers). Tan & Fevotte 2013, IEEE TPAMI 35:1592
(the number of components of an NMF by relevance).
"""

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from latentgenomes.nn.train import resolve_device
from latentgenomes.signatures.models.elimination import Search, Solution
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.spike_slab import (
    Catalogue,
    Factors,
    bound,
    climb,
    close_exposures,
    infer,
    open_factors,
    posterior,
    update,
)

_CHUNK = 4096  # samples whose exposures are inferred at once


def evidence(
    counts: np.ndarray,
    signatures: np.ndarray,
    *,
    max_mutations: float | None = None,
    device: str = "cpu",
) -> float:
    """Penalised evidence of given signatures (k, m) of any positive sums, in nats; higher is better. Larger
    samples are scaled down to `max_mutations`, by default the median total: compare only values for the same.
    Exposures and their prior are inferred without a random number.
    """
    x, s = np.asarray(counts, dtype=np.float64), np.asarray(signatures, dtype=np.float64)
    if x.ndim != 2 or s.ndim != 2 or x.shape[1] != s.shape[1]:
        raise ValueError(
            "counts and signatures must be tables with the same channels in their columns, but their "
            f"shapes are {x.shape} and {s.shape}."
        )
    for name, table in (("counts", x), ("signatures", s)):
        if not (np.isfinite(table).all() and (table >= 0).all() and table.sum() > 0):
            raise ValueError(f"{name} must hold finite numbers >= 0, not all 0, but some are not.")
    if not (s.sum(1) > 0).all():
        raise ValueError(
            f"Every signature must have a positive sum, but row {int(s.sum(1).argmin())} has none."
        )
    place = resolve_device(device)
    catalogue = Catalogue.of(_limit(x, max_mutations)[0], place, torch.float64)
    rows = torch.from_numpy(s / s.sum(1, keepdims=True)).to(place)
    return _penalised(catalogue, infer(catalogue, rows.unsqueeze(0)))


def _penalised(catalogue: Catalogue, factors: Factors) -> float:
    return float((bound(catalogue, factors) - catalogue.penalty(factors.active.sum(1)))[0])


def _limit(counts: np.ndarray, max_mutations: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Scale samples above the limit down to it; return also what to multiply exposures with, (n, 1)."""
    totals = counts.sum(1, keepdims=True)
    limit = float(np.median(totals[totals > 0])) if max_mutations is None else max_mutations
    factor = np.maximum(totals / limit, 1.0)
    return counts / factor, factor


class GammaPoissonNMF(SignatureExtractor):
    """Variational Gamma-Poisson NMF that eliminates the signatures its evidence does not ask for.

    Parameters
    ----------
    n_signatures : int
        With `eliminate`, the largest number considered; never more than samples or channels. Else the number.
    eliminate : bool
        True keeps the number of signatures with the best penalised evidence; False finds exactly
        `n_signatures`, still coming down from more.
    min_signatures : int
        The smallest number that `eliminate` may return.
    n_restarts : int
        Searches from different random signatures. The best goes on to ruin and recreation.
    max_iter : int
        Cycles of birth, elimination and tightening, at most: in each restart, and then with some signatures
        of the best restart taken out first.
    tol : float
        Nats of evidence that a cycle must gain for another one to follow.
    max_mutations : float or None
        Larger samples are scaled down to this total for the extraction, so that hypermutators do not rule it.
        None takes the median of the totals. `transform` uses all counts.
    device, random_state : str, int or RandomState
        "auto" takes the GPU where there is one; the seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures; rows sum to 1. `signatures_` is the same as a labelled frame.
    n_signatures_ : int
        Number of signatures found.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Exposures of the training samples, in mutations: posterior means, and exactly 0 where absent.
    evidence_ : float
        Penalised evidence of what was found, in nats.
    path_ : DataFrame
        Best set of every number of signatures visited: n_signatures, evidence (the bound), penalty and
        penalised_evidence, in nats.
    restarts_ : DataFrame
        Seed, number of signatures and penalised evidence (nats) of every restart.
    n_iter_ : int
        Cycles of the longest restart.
    prior_shape_, prior_rate_, prevalence_ : ndarray of shape (n_signatures,)
        Learnt prior: shape a and rate b of the gamma distribution of an exposure over the sample's total, and
        the share of the samples that carry the signature.
    """

    def __init__(
        self,
        n_signatures: int = 25,
        *,
        eliminate: bool = True,
        min_signatures: int = 1,
        n_restarts: int = 2,
        max_iter: int = 10,
        tol: float = 5.0,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.eliminate = eliminate
        self.min_signatures = min_signatures
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.max_mutations = max_mutations
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        fewest, most = self._range(counts)
        device = self._device()
        limited = _limit(counts, self.max_mutations)[0]
        search = Search(Catalogue.of(limited, device, torch.float32), fewest, most)
        seeds = self._seeds(self.n_restarts)
        n_start = most if self.eliminate else max(most + 2, round(1.5 * most))
        found = [search.run(n_start, seed, max_cycles=self.max_iter, tol=self.tol) for seed in seeds]
        self.restarts_ = pd.DataFrame(
            {
                "seed": seeds,
                "n_signatures": [one.factors.n_signatures for one in found],
                "penalised_evidence": [one.evidence for one in found],
            }
        )
        best = search.ruin_and_recreate(
            max(found, key=lambda one: one.evidence), seeds[0], max_tries=self.max_iter, tol=self.tol
        )
        self.n_iter_ = search.n_cycles
        self._store(best, Catalogue.of(limited, device, torch.float64), counts)
        self.path_ = search.path()

    def _range(self, counts: np.ndarray) -> tuple[int, int]:
        """Smallest and largest number of signatures that may be returned."""
        if not self.eliminate:
            return self.n_signatures, self.n_signatures
        if not 1 <= self.min_signatures <= self.n_signatures:
            raise ValueError(
                f"min_signatures must be between 1 and n_signatures ({self.n_signatures}), but "
                f"{self.min_signatures!r} came."
            )
        n_filled = int((counts.sum(1) > 0).sum())
        most = max(min(self.n_signatures, n_filled, counts.shape[1]), 1)
        return min(self.min_signatures, most), most

    def _store(self, solution: Solution, catalogue: Catalogue, counts: np.ndarray) -> None:
        """Improve the solution once more in double precision, and keep it."""
        factors = climb(catalogue, solution.factors.to(torch.float64), 50)
        self.evidence_ = _penalised(catalogue, factors)
        self.components_ = factors.signatures[0].cpu().numpy()
        self.n_signatures_ = len(self.components_)
        self.prior_shape_ = factors.shape[0].cpu().numpy()
        self.prior_rate_ = factors.rate[0].cpu().numpy()
        self.prevalence_ = factors.prevalence[0].cpu().numpy()
        order = self._keep(self.components_, self._exposures(counts))
        for name in ("prior_shape_", "prior_rate_", "prevalence_"):
            setattr(self, name, getattr(self, name)[order])

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        alpha, beta, active = self._posterior(counts)
        return active * alpha / beta

    def exposure_intervals(self, X: np.ndarray, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Central credible intervals of the exposures, in mutations.

        They hold the signatures fixed and treat exposures of a sample as independent. Both make them too
        narrow: expect them to cover less than `level`. An absent exposure has the interval (0, 0).

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0, with the channels of the fit.
        level : float in (0, 1)
            Posterior probability within.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples, n_signatures)
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie in (0, 1), but {level!r} came. Use 0.9 for 90% intervals.")
        alpha, beta, active = self._posterior(self._check(X))
        lower, upper = (
            active * stats.gamma.ppf(tail, alpha, scale=1.0 / beta)
            for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
        )
        return lower, upper

    def _posterior(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shape and rate of the gamma posterior, and presence, each (n, k), under the learnt prior. As many
        updates for every sample: its exposures do not depend on those beside it.
        """
        alpha = np.tile(self.prior_shape_, (len(counts), 1))
        beta, active = np.ones_like(alpha), np.zeros_like(alpha)
        filled = np.flatnonzero(counts.sum(1) > 0)
        for first in range(0, len(filled), _CHUNK):
            rows = filled[first : first + _CHUNK]
            catalogue = Catalogue.of(counts[rows], self._device(), torch.float64)
            factors = self._inferred(catalogue)
            parts = posterior(catalogue, factors)
            alpha[rows], beta[rows] = (part[0].cpu().numpy() for part in parts[:2])
            active[rows] = factors.active[0].cpu().numpy()
        return alpha, beta, active

    def _inferred(self, catalogue: Catalogue) -> Factors:
        def on_device(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(catalogue.counts).unsqueeze(0)

        shape, rate, prevalence = map(on_device, (self.prior_shape_, self.prior_rate_, self.prevalence_))
        start = open_factors(catalogue, on_device(self.components_))
        factors = Factors(start.signatures, start.allotted, start.active, shape, rate)
        factors = _repeat(catalogue, factors, 60)
        odds = ((1.0 - prevalence) / prevalence).log().clamp_min(0.5)
        for _ in range(factors.n_signatures - 1):
            factors, _ = close_exposures(catalogue, factors, odds=odds)
            factors = _repeat(catalogue, factors, 8)
        return _repeat(catalogue, factors, 40)

    def _build_module(self) -> None:
        return None


def _repeat(catalogue: Catalogue, factors: Factors, n_updates: int) -> Factors:
    """Updates of the exposures alone, under a fixed prior."""
    for _ in range(n_updates):
        factors = update(catalogue, factors, learn_signatures=False, learn_prior=False)
    return factors
