r"""Signatures with knowledge: known ones that are there, those that have changed, and new ones beside them.

An extraction without knowledge must learn 95 numbers for every signature, and so it misses those that few
samples hold, and mixes those that look alike. Where the signatures of other cohorts are known, most of these
numbers are. Here a known signature stands as it is, moves under a Dirichlet prior, or is absent, and new ones
have the flat prior; `latentgenomes.signatures.models.dictionary` has the equations and
`latentgenomes.signatures.models.informed_search` the search. What is new is proposed by
`latentgenomes.signatures.models.gamma_poisson` from counts so quiet that scatter is not taken for structure.

| symbol | name in code | shape |
|---|---|---|
| $s$ | `components_` | (k, m), rows sum to 1 |
| $c$ | `known` | (l, m), rows sum to 1 |
| $\tau$ | `strengths_` | (k,), mutations; infinite where known, 0 where new |
| $e$ | `exposures` | (n, k), mutations |
| $\varphi$ | `dispersion_` | scalar, 0 for Poisson counts |
| $\mathcal{E}$ | `evidence_` | scalar, nats |

References
----------
Alexandrov et al. 2020, Nature 578:94 (known signatures). MacKay 1992, Neural Comput. 4:415 (evidence). Shao &
Wu 1989, Ann. Stat. 17:1176 (the delete-d jackknife).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.dictionary import Array, Dictionary, Judge
from latentgenomes.signatures.models.exposure_errors import (
    interval_ends,
    inverse_information,
    search_quietly,
    variance_over_versions,
)
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.informed_search import margins, nearest, own_versions, search, start
from latentgenomes.signatures.models.negative_binomial import _updated
from latentgenomes.signatures.models.refitting import refit_sparse

_N_LIMITS = 3  # extractions that propose, at most, each from quieter counts
_N_SUBSETS, _SHARE = 20, 0.6  # of the jackknife
_N_UPDATES = 60
_TINY = 1e-12


class InformedNMF(SignatureExtractor):
    """Negative binomial NMF that starts from known signatures, lets them move, and adds new ones.

    Parameters
    ----------
    known : array of shape (n_known, n_channels), or None
        Known signatures, rows of any positive sum, channels as in the counts. A list of lists can be saved
        with the model. None: every signature is new.
    names : sequence of str, or None
        Their names; K1, K2, ... without.
    n_signatures : int
        The most new signatures.
    n_restarts, max_iter, tol
        Of the extraction that proposes new ones, see `GammaPoissonNMF`.
    max_mutations : float or None
        There, larger samples are scaled down to this total; None takes the median of the totals.
    device, random_state : str, int or RandomState
        "auto" takes the GPU where there is one; the seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures; rows sum to 1.
    origins_ : ndarray of int of shape (n_signatures,)
        Row of the known signature that each is or is a form of; -1 where it is new.
    strengths_ : ndarray of shape (n_signatures,)
        Strength of its prior in mutations: infinite for a known signature that stands as it is, 0 for the
        flat prior.
    margins_ : ndarray of shape (n_signatures,)
        Evidence in nats for each: lost where a known or new one is left out, a changed one set back.
    versions_ : ndarray of shape (n_signatures, n_channels)
        Each as the data alone would have it, the others as found.
    labels_ : ndarray of str of shape (n_signatures,)
        Name of the known signature, with " changed" where it moved; "new 1", ...
    prevalence_ : ndarray of shape (n_signatures,)
        Share of the samples that hold it.
    subset_signatures_ : ndarray of shape (20, n_signatures, n_channels)
        Signatures relearnt from subsets of the samples, from those found.
    dispersion_ : float
        Variance = rate + dispersion * rate^2; 0 where the counts are no more than Poisson.
    evidence_ : float
        Evidence, in nats.
    n_iter_ : int
        Cycles of the extraction that proposed.
    path_ : DataFrame
        The best evidence of every number of signatures visited: n_signatures, evidence.
    """

    def __init__(
        self,
        known: Sequence[Sequence[float]] | Array | None = None,
        *,
        names: Sequence[str] | None = None,
        n_signatures: int = 25,
        n_restarts: int = 1,
        max_iter: int = 10,
        tol: float = 5.0,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.known = known
        self.names = names
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.max_mutations = max_mutations
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        known, names = self._known(counts.shape[1])
        seed = self._seeds(1)[0]
        proposals = self._proposals(counts, seed)
        judge = Judge(counts, known)
        begun = start(judge) if len(known) else _all_free(judge, proposals)
        found = search(judge, begun, proposals, self.n_signatures)
        margin = margins(judge, found)
        self.evidence_, self.dispersion_ = judge.evidence(found), found.dispersion
        self.path_ = pd.DataFrame(sorted(judge.best.items()), columns=["n_signatures", "evidence"])
        self.components_ = found.signatures
        self.prevalence_ = ((found.exposures > 0).sum(0) + 1.0) / (len(counts) + 2.0)
        order = self._keep(found.signatures, self._exposures(counts))
        found = found.only(order)
        self.prevalence_, self.margins_ = self.prevalence_[order], margin[order]
        self.versions_ = own_versions(judge, found)
        self.strengths_ = found.strengths
        self.origins_ = np.array([nearest(judge, found, k) for k in range(found.size)], dtype=np.int64)
        self.labels_ = _labels(self.origins_, np.isinf(self.strengths_), names)
        self.subset_signatures_ = _relearnt(judge, found, seed)

    def _known(self, n_channels: int) -> tuple[Array, list[str]]:
        """Known signatures with rows that sum to 1, and their names; a ValueError for what is none."""
        rows = np.zeros((0, n_channels)) if self.known is None else np.asarray(self.known, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != n_channels:
            raise ValueError(
                f"known must have one column for each of the {n_channels} channels, but its shape is "
                f"{rows.shape}. Use the channels of the counts, in their order."
            )
        if not (np.isfinite(rows).all() and (rows >= 0).all() and (rows.sum(1) > 0).all()):
            raise ValueError("known must hold finite numbers >= 0, and no row of zeros, but it does not.")
        names = (
            [f"K{k + 1}" for k in range(len(rows))] if self.names is None else [str(n) for n in self.names]
        )
        if len(names) != len(rows) or len(set(names)) < len(names):
            raise ValueError(
                f"names must give each of the {len(rows)} known signatures a name of its own, but "
                f"{len(names)} came, {len(set(names))} of them different."
            )
        return rows / rows.sum(1, keepdims=True), names

    def _proposals(self, counts: np.ndarray, seed: int) -> Array:
        """Signatures of an extraction without knowledge, from counts whose scatter is below their noise."""
        totals = counts.sum(1)
        cap = float(np.median(totals[totals > 0])) if self.max_mutations is None else self.max_mutations

        def search(shown: Array) -> GammaPoissonNMF:
            return GammaPoissonNMF(
                n_restarts=self.n_restarts,
                max_iter=self.max_iter,
                tol=self.tol,
                max_mutations=cap,
                device=self.device,
                random_state=seed,
            ).fit(shown)

        model = search_quietly(counts, cap, search, _N_LIMITS)[0]
        self.n_iter_ = model.n_iter_
        return np.asarray(model.components_)

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        names = [f"s{k}" for k in range(len(self.components_))]
        filled = counts.sum(1) > 0
        exposures = np.zeros((len(counts), len(names)))
        if not filled.any():
            return exposures
        frame = pd.DataFrame(counts[filled])
        signatures = pd.DataFrame(self.components_, index=names, columns=frame.columns)
        prior = pd.Series(self.prevalence_, index=names)
        exposures[filled] = refit_sparse(frame, signatures, prior=prior, learn_prevalence=False).exposures
        for _ in range(_N_UPDATES):
            exposures = _updated(counts, exposures, self.components_, self.dispersion_)
        return exposures

    def exposure_intervals(self, X: Any, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Intervals of the exposures, in mutations, that carry the error of changed and new signatures.

        Two variances add up. That of the counts is the inverse information of all exposures of a sample at
        once, none of them taken for absent, widened by the scatter. That of the signatures is the delete-d
        jackknife over subsets of the samples; a known signature that stands as it is has none.

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
        """
        counts = self._check(X)
        exposures = self._exposures(counts)
        variance = inverse_information(counts, exposures, self.components_, self.dispersion_)
        variance += variance_over_versions(
            counts,
            exposures,
            self.subset_signatures_,
            dispersion=self.dispersion_,
            share=_SHARE,
            n_updates=_N_UPDATES,
        )
        return interval_ends(exposures, variance, level)

    def _build_module(self) -> None:
        return None


def _all_free(judge: Judge, proposals: Array) -> Dictionary:
    """Where nothing is known, the proposals, all of them free."""
    k = len(proposals)
    nothing = np.zeros((len(judge.counts), k))
    return judge.refitted(Dictionary(proposals, np.full(k, -1), np.zeros(k), nothing, 0.0))


def _labels(origins: np.ndarray, stands: np.ndarray, names: list[str]) -> np.ndarray:
    """What to call each signature."""
    labels, n_new = [], 0
    for origin, same in zip(origins, stands, strict=True):
        n_new += origin < 0
        labels.append(f"new {n_new}" if origin < 0 else names[origin] + ("" if same else " changed"))
    return np.array(labels, dtype=object)


def _relearnt(judge: Judge, found: Dictionary, seed: int) -> Array:
    """Signatures learnt again from subsets of the samples, from those found, (20, k, m)."""
    rng = np.random.default_rng(seed)
    n = len(judge.counts)
    size = max(round(_SHARE * n), 2)
    versions = []
    for _ in progress(range(_N_SUBSETS), "subsets of samples", unit="subset"):
        rows = rng.permutation(n)[:size]
        part = Judge(judge.counts[rows], judge.known)
        versions.append(part.learnt(found.of_samples(rows), _N_UPDATES).signatures)
    return np.stack(versions)
