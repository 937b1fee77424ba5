r"""Signatures that come back: searches on all donors and on both halves of many divisions of them.

One search, however good, finds one of many sets of signatures that explain a cohort about equally well. In
another cohort it finds another. So the sparse search of `latentgenomes.signatures.models.gamma_poisson` is
run on all donors and on both halves of P divisions of them, and `latentgenomes.signatures.models.agreement`
keeps what the runs agree on. The sparse search has errors of its own: it prefers few exposures. So plain NMF
of the halves, which errs in other ways, has as many votes, with the number of signatures of the search on all
donors. And both take the counts for Poisson: where these scatter more, no sample shows more mutations than
leave the scatter below the Poisson noise of a channel of average weight,

.. math:: T_n = \frac{1}{\varphi} \exp\Big(-\sum_m p_{nm} \log p_{nm}\Big), \qquad
    p_{nm} = \frac{r_{nm}}{\sum_m r_{nm}}.

With the signatures fixed, exposures and their prior are inferred, and the counts may scatter:

.. math::
    x_{nm} \sim \text{NegBin}\Big(\sum_k e_{nk} s_{km}, \varphi\Big).

A signature that comes back in 40% of the pairs of halves or more is *found*: another cohort of this kind
and size would show it too. The others are *possible*.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $s$ | `components_` | (k, m), rows sum to 1 |
| $s_b$ | `half_signatures_` | (b, k, m), the partners in every half |
| $e$ | `training_exposures_` | (n, k), mutations |
| $\varphi$ | `dispersion_` | scalar, 0 for Poisson counts |
| $\text{support}$ | `support_` | (k,), in 0..1 |

References
----------
Shah & Samworth 2013, J. R. Stat. Soc. B 75:55 (complementary pairs). Breiman 1996, Machine Learning 24:123
(means over resampled fits).
"""

from numbers import Integral
from typing import Any

import numpy as np
import torch

from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.agreement import Agreement, agree
from latentgenomes.signatures.models.exposure_errors import (
    interval_ends,
    inverse_information,
    search_quietly,
    variance_over_versions,
)
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF, _penalised
from latentgenomes.signatures.models.klnmf import factorize
from latentgenomes.signatures.models.negative_binomial import ScatteringNMF, _scatters, fit_dispersion
from latentgenomes.signatures.models.spike_slab import Catalogue, infer

FOUND = 0.4  # support from which a signature is promised to come back
_SPARE = 8  # signatures that a half may hold beyond those of all donors
_CYCLES = {True: 4, False: 1}  # of the search on a half, where counts scatter and where they do not
_LARGEST_HALF = 600
_NMF_UPDATES = 1000
_NMF_TOL = 1e-4
_N_LIMITS = 4  # searches on all donors, at most, each with quieter counts
_HALF_UPDATES = 100
_TINY = 1e-12


class ConsensusNMF(ScatteringNMF):
    """Sparse NMF of all donors and of halves of them: signatures that come back, each with its support.

    Parameters
    ----------
    n_signatures, eliminate, min_signatures, n_restarts, max_iter, tol
        Of each search, see `GammaPoissonNMF`; on halves with at most 4 cycles, or 1 where counts are Poisson.
    extend : bool
        With `eliminate`, double the largest number while the search ends there.
    n_pairs : int
        Divisions of the donors in two halves, of at most 600 each, that are searched too.
    max_mutations : float or None
        The largest cap; None takes the median of the totals.
    device, random_state
        As in `GammaPoissonNMF`.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures, rows sum to 1, from the largest total exposure down.
    support_ : ndarray of shape (n_signatures,)
        Share of the pairs of halves that agree on the signature, at a cosine of 0.8.
    found_ : ndarray of bool of shape (n_signatures,)
        Support of 0.4 or more.
    half_signatures_ : ndarray of shape (n_fits, n_signatures, n_channels)
        Every half's version of the signatures; the signature itself where it holds none alike.
    cap_ : float
        Median of the mutations that samples showed to the searches.
    dispersion_ : float
        Variance = rate + dispersion * rate^2; 0 where the counts are no more than Poisson.
    evidence_ : float
        Penalised evidence of the signatures, in nats.
    n_searched_ : int
        Number of signatures that the search on all donors found.
    path_ : DataFrame
        As in `GammaPoissonNMF`, of that search.

    Notes
    -----
    Rows are taken for donors: keep one sample of each. The other attributes are those of `GammaPoissonNMF`.
    """

    cap_: float
    half_size_: int
    n_searched_: int

    def __init__(
        self,
        n_signatures: int = 25,
        *,
        eliminate: bool = True,
        min_signatures: int = 1,
        n_restarts: int = 1,
        max_iter: int = 10,
        tol: float = 5.0,
        extend: bool = True,
        n_pairs: int = 10,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_signatures,
            eliminate=eliminate,
            min_signatures=min_signatures,
            n_restarts=n_restarts,
            max_iter=max_iter,
            tol=tol,
            max_mutations=max_mutations,
            device=device,
            random_state=random_state,
        )
        self.extend = extend
        self.n_pairs = n_pairs

    def _extract(self, counts: np.ndarray) -> None:
        if not isinstance(self.n_pairs, Integral) or self.n_pairs < 1:
            raise ValueError(f"n_pairs must be a whole number >= 1, but {self.n_pairs!r} came.")
        seeds = self._seeds(self.n_pairs + 1)
        totals = counts.sum(1)
        cap = float(np.median(totals[totals > 0])) if self.max_mutations is None else self.max_mutations
        whole, shown, scatters = search_quietly(
            counts, cap, lambda quiet: self._search_all(quiet, cap, seeds[0]), _N_LIMITS
        )
        self.cap_ = float(np.median(shown.sum(1)[totals > 0]))
        self.path_, self.restarts_, self.n_iter_ = whole.path_, whole.restarts_, whole.n_iter_
        self.n_searched_ = len(whole.components_)
        asked = self.n_signatures if not (self.eliminate and self.extend) else counts.shape[1]
        halves = self._halves(shown, seeds[1:])
        k, cycles = len(whole.components_), min(self.max_iter, _CYCLES[scatters])
        fits = self._search_halves(halves, min(k + _SPARE, asked), cycles, cap, seeds[1:])
        fits += self._factorise_halves(halves, k, seeds[1:])
        self._settle(counts, shown, agree(whole.components_, fits, most=asked))

    def _search_all(self, counts: np.ndarray, cap: float, seed: int) -> GammaPoissonNMF:
        """The search on all donors, with a range that grows while the largest number is the best."""
        most, possible = self.n_signatures, min(counts.shape[1], int((counts.sum(1) > 0).sum()))
        whole = self._search(counts, most, self.max_iter, cap, seed)
        while self.eliminate and self.extend and len(whole.components_) == most < possible:
            most = 2 * most
            whole = self._search(counts, most, self.max_iter, cap, seed)
        return whole

    def _halves(self, counts: np.ndarray, seeds: list[int]) -> list[np.ndarray]:
        """Counts of the halves of every division, one after the other."""
        filled = np.flatnonzero(counts.sum(1) > 0)
        self.half_size_ = max(min(len(filled) // 2, _LARGEST_HALF), 1)
        orders = [np.random.RandomState(seed).permutation(filled) for seed in seeds]
        size = self.half_size_
        return [counts[rows] for order in orders for rows in (order[:size], order[-size:])]

    def _search_halves(
        self, halves: list[np.ndarray], most: int, cycles: int, cap: float, seeds: list[int]
    ) -> list[np.ndarray]:
        """Signatures of the search on each half."""
        fits = []
        for number, half in enumerate(progress(halves, "halves of the donors", unit="half")):
            fits.append(self._search(half, min(most, len(half)), cycles, cap, seeds[number // 2]).components_)
        return fits

    def _factorise_halves(self, halves: list[np.ndarray], n: int, seeds: list[int]) -> list[np.ndarray]:
        """Signatures of plain NMF of each half."""
        stacked = torch.from_numpy(np.stack(halves)).to(self._device(), torch.float32)
        starts = [seed + turn for seed in seeds for turn in range(2)]
        found = factorize(stacked, n, seeds=starts, max_iter=_NMF_UPDATES, tol=_NMF_TOL, accelerated=True)[
            0
        ].double()
        return list((found / found.sum(-1, keepdim=True)).cpu().numpy())

    def _search(self, counts: np.ndarray, most: int, max_iter: int, cap: float, seed: int) -> GammaPoissonNMF:
        return GammaPoissonNMF(
            most,
            eliminate=self.eliminate,
            min_signatures=min(self.min_signatures, most),
            n_restarts=self.n_restarts,
            max_iter=max_iter,
            tol=self.tol,
            max_mutations=cap,
            device=self.device,
            random_state=seed,
        ).fit(counts)

    def _settle(self, counts: np.ndarray, shown: np.ndarray, found: Agreement) -> None:
        """Infer the exposures of the signatures, their prior and the scatter."""
        catalogue = Catalogue.of(shown, self._device(), torch.float64)
        rows = torch.from_numpy(found.signatures).to(catalogue.counts)
        factors = infer(catalogue, rows.unsqueeze(0))
        self.evidence_ = _penalised(catalogue, factors)
        self.components_ = found.signatures
        self.n_signatures_ = len(found.signatures)
        self.prior_shape_ = factors.shape[0].cpu().numpy()
        self.prior_rate_ = factors.rate[0].cpu().numpy()
        self.prevalence_ = factors.prevalence[0].cpu().numpy()
        self.dispersion_ = 0.0
        exposures = self._exposures(counts)
        rates = np.maximum(exposures @ self.components_, _TINY)
        if _scatters(counts, rates):
            self.dispersion_ = fit_dispersion(counts, rates)
            exposures = self._exposures(counts)
        order = self._keep(self.components_, exposures)
        for name in ("prior_shape_", "prior_rate_", "prevalence_"):
            setattr(self, name, getattr(self, name)[order])
        self.support_ = found.support[order]
        self.found_ = self.support_ >= FOUND
        self.half_signatures_ = found.partners[:, order]

    def exposure_intervals(self, X: Any, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Intervals of the exposures, in mutations, that carry the error of the signatures.

        Two variances add up. That of the counts is the inverse information of all exposures of a sample at
        once, with the signatures held fixed and none of them taken for absent. That of the signatures is the
        delete-d jackknife over the halves: the variance of the exposures under their signatures, times
        h / (n - h) for h of n donors in a half.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0, with the channels of the fit.
        level : float in (0, 1)
            Nominal probability within.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples, n_signatures)

        Raises
        ------
        ValueError
            If `level` is outside (0, 1).

        References
        ----------
        Shao & Wu 1989, Ann. Stat. 17:1176 (the delete-d jackknife).
        """
        counts = self._check(X)
        exposures = self._exposures(counts)
        variance = inverse_information(counts, exposures, self.components_, self.dispersion_)
        variance += variance_over_versions(
            counts,
            exposures,
            self.half_signatures_,
            dispersion=self.dispersion_,
            share=self.half_size_ / len(self.training_exposures_),
            n_updates=_HALF_UPDATES,
        )
        return interval_ends(exposures, variance, level)
