r"""Non-negative matrix factorisation under the Kullback-Leibler divergence, all restarts at once.

Model: :math:`x_{nm} \sim \text{Poisson}\left(\sum_k e_{nk} s_{km}\right)`. Maximising its likelihood is
minimising :math:`\sum x \log(x / r) - x + r` with :math:`r = e\,s`. Each multiplicative update lowers it:

.. math::
    e_{nk} \leftarrow e_{nk} \frac{\sum_m s_{km}\, x_{nm} / r_{nm}}{\sum_m s_{km}}, \qquad
    s_{km} \leftarrow s_{km} \frac{\sum_n e_{nk}\, x_{nm} / r_{nm}}{\sum_n e_{nk}}.

Accelerated, an update starts from a point ahead, in the direction of what grew since the last one:

.. math:: \hat e = e + \beta\, [e - e']_+, \qquad \beta = \frac{t - 1}{t + 2}

in the t-th update, with :math:`e'` the exposures before, and likewise for the signatures.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $e$ | `exposures` | (n, k) |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $r$ | `rates` | (n, m) |
| $\beta$ | `share` | scalar |

References
----------
Lee & Seung 2001, NIPS 13, eq. 5 (the updates). Brunet et al. 2004, PNAS 101:4164 and Islam et al.
2022, Cell Genomics 2:100179: the form that SigProfilerExtractor iterates from random starts. Hien et
al. 2024, arXiv 2401.06646 (extrapolation of what grew, with proof of convergence).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from latentgenomes.nn.ensemble import bootstrap_counts
from latentgenomes.nn.train import make_generators, progress
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.consensus import cluster_signatures
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.sigprofiler import relative_errors

_CHECK_EVERY = 20


def divergence(counts: Tensor, rates: Tensor) -> Tensor:
    """KL divergence of rates from counts, summed over samples and channels, in nats; any leading axes."""
    entries = torch.special.xlogy(counts, counts / rates.clamp_min(poisson.TINY)) - counts + rates
    return entries.sum((-2, -1), dtype=torch.float64)


def _ratio(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """X / r, (..., n, m), in one piece of memory: most of the time of an update goes there."""
    rates = (exposures @ signatures).clamp_min_(poisson.TINY)
    return torch.div(counts, rates, out=rates)


def update_exposures(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """One multiplicative update of the exposures, with any leading axes; rows of `signatures` sum to 1."""
    return exposures * (_ratio(counts, exposures, signatures) @ signatures.transpose(-1, -2))


def update_signatures(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """One multiplicative update of the signatures, returned with rows that sum to 1."""
    updated = signatures * (exposures.transpose(-1, -2) @ _ratio(counts, exposures, signatures))
    return updated / updated.sum(-1, keepdim=True).clamp_min(poisson.TINY)


def _ahead(now: Tensor, before: Tensor, share: float) -> Tensor:
    """Extrapolate entries that grew. The others stay, so that none comes near 0, where it would stick."""
    return (now - before).clamp_min_(0.0).mul_(share).add_(now)


def factorize(
    counts: Tensor,
    n_signatures: int,
    *,
    seeds: Sequence[int],
    max_iter: int,
    tol: float,
    accelerated: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Factorise counts, shared (n, m) or one catalogue per seed (r, n, m), from a random start per seed. A
    restart stops when its divergence fell by less than `tol` of itself in 20 updates. Signatures (r, k, m),
    exposures (r, n, k), divergences (r,) in nats, updates made (r,).
    """
    x = counts if counts.dim() == 3 else counts.unsqueeze(0)
    signatures, exposures = _random_start(x, n_signatures, seeds)
    final = [torch.empty_like(signatures), torch.empty_like(exposures)]
    last = torch.full((len(seeds),), float("inf"), dtype=torch.float64, device=x.device)
    n_iter = torch.zeros(len(seeds), dtype=torch.long)
    alive = torch.arange(len(seeds), device=x.device)
    before = signatures, exposures
    for step in progress(range(1, max_iter + 1), "NMF", unit="update"):
        if accelerated:
            share = (step - 1) / (step + 2)
            ahead = _ahead(signatures, before[0], share), _ahead(exposures, before[1], share)
            before = signatures, exposures
            signatures, exposures = ahead[0] / ahead[0].sum(-1, keepdim=True), ahead[1]
        exposures = update_exposures(x, exposures, signatures)
        signatures = update_signatures(x, exposures, signatures)
        if step % _CHECK_EVERY and step < max_iter:
            continue
        now = divergence(x, exposures @ signatures)
        done = (last[alive] - now <= tol * now.abs()) | (step == max_iter)
        last[alive] = now
        if not bool(done.any()):
            continue
        final[0][alive[done]], final[1][alive[done]] = signatures[done], exposures[done]
        n_iter[alive[done].cpu()] = step
        alive, signatures, exposures = alive[~done], signatures[~done], exposures[~done]
        before = before[0][~done], before[1][~done]
        x = x if len(x) == 1 else x[~done]
        if len(alive) == 0:
            break
    return final[0], final[1], last, n_iter


def refit_exposures(counts: Tensor, signatures: Tensor, *, max_iter: int, tol: float) -> Tensor:
    """Exposures (..., n, k) of greatest Poisson likelihood for fixed signatures, whose rows sum to 1. A
    sample is done when no exposure moved by more than `tol` of its total: it does not depend on the samples
    beside it. The likelihood is concave, so the start does not matter.
    """
    totals = counts.sum(-1, keepdim=True)  # (..., n, 1)
    shape = torch.broadcast_shapes(counts.shape[:-2], signatures.shape[:-2])
    start = totals / signatures.shape[-2]
    exposures = start.expand(*shape, -1, signatures.shape[-2]).clone()
    moving = torch.ones(exposures.shape[:-1] + (1,), dtype=torch.bool, device=counts.device)
    for _ in range(max_iter):
        updated = update_exposures(counts, exposures, signatures)
        change = (updated - exposures).abs().amax(-1, keepdim=True)
        exposures = torch.where(moving, updated, exposures)
        moving &= change > tol * totals
        if not bool(moving.any()):
            break
    return exposures


def refit(
    counts: pd.DataFrame, signatures: pd.DataFrame, *, max_iter: int = 5000, tol: float = 1e-5
) -> pd.DataFrame:
    """Exposures of greatest Poisson likelihood for signatures that are known.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Mutation counts >= 0.
    signatures : DataFrame of shape (n_signatures, n_channels)
        Rows are scaled to sum to 1; columns are aligned with `counts` by label, and must be the same.
    max_iter, tol : int, float
        Updates, at most; share of a sample's total that exposures may still move.

    Returns
    -------
    DataFrame of shape (n_samples, n_signatures)
        Exposures in mutations.
    """
    if set(counts.columns) != set(signatures.columns):
        odd = sorted(map(str, set(counts.columns) ^ set(signatures.columns)))
        raise ValueError(
            f"counts and signatures must have the same channels, but {len(odd)} are in only one of them, "
            f"such as {odd[0]!r}. Use the same classification for both."
        )
    x = torch.from_numpy(counts.to_numpy(dtype=np.float64))
    s = torch.from_numpy(signatures[counts.columns].to_numpy(dtype=np.float64))
    exposures = refit_exposures(x, s / s.sum(-1, keepdim=True), max_iter=max_iter, tol=tol)
    return pd.DataFrame(exposures.numpy(), index=counts.index, columns=signatures.index)


def _random_start(counts: Tensor, n_signatures: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Uniform random signatures, and exposures that share each sample's total at random."""
    n, m = counts.shape[-2:]
    signatures, exposures = [], []
    for generator in make_generators(seeds):
        signatures.append(torch.rand(n_signatures, m, generator=generator, dtype=torch.float64))
        exposures.append(torch.rand(n, n_signatures, generator=generator, dtype=torch.float64))
    s, e = torch.stack(signatures).to(counts), torch.stack(exposures).to(counts)
    s = s / s.sum(-1, keepdim=True)
    e = e / e.sum(-1, keepdim=True) * counts.sum(-1, keepdim=True)
    return s, e


class KLNMF(SignatureExtractor):
    """NMF under the KL divergence: the factorisation at the heart of SigProfilerExtractor.

    Parameters
    ----------
    n_signatures : int
        Number of signatures.
    n_restarts : int
        Random starts, run as one batch; that of lowest divergence on X is kept, or all of them with
        `consensus`.
    max_iter : int
        Updates per restart, at most.
    tol : float
        A restart stops when its divergence fell by less than this share in 20 updates.
    accelerated : bool
        Extrapolate, in single precision: a lower divergence after far fewer updates. Numbers differ from
        those of plain updates, like those of another start.
    max_mutations : float or None
        Larger samples are scaled down to this total for the extraction, so that hypermutators do not rule it.
        None does not; `hypermutator_limit` finds SigProfilerExtractor's limit.
    resample : {None, "bootstrap"}
        Whether each restart factorises its own multinomial bootstrap of the catalogue.
    consensus : bool
        Cluster the signatures of all restarts and keep the centroids. With ``resample="bootstrap"`` this is
        SigProfilerExtractor's procedure; without, stability speaks of random starts alone.
    device, random_state : str, int or RandomState
        "auto" takes the GPU where there is one; the seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures; rows sum to 1. `signatures_` is the same as a labelled frame.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Exposures of the training samples, in mutations.
    restarts_ : DataFrame
        Seed, divergence (nats; on X, or with `consensus` on what was factorised) and updates of every
        restart.
    n_iter_ : int
        Updates made by the restart that was kept, or the most that any made with `consensus`.
    restart_signatures_ : ndarray of shape (n_restarts, n_signatures, n_channels)
        Signatures of every restart, in the order of `restarts_`; with `consensus` in that of `components_`.
    stability_ : ndarray of shape (n_signatures,)
        With `consensus`: mean silhouette of each signature over the restarts, in [-1, 1].
    sample_errors_ : ndarray of shape (n_samples,)
        With `consensus`: misfit of every training sample, see `relative_errors`.

    Notes
    -----
    Deviations from SigProfilerExtractor: the number of signatures is given; updates stop at `tol` instead of
    after at least 10,000; clustering starts from the most central restart instead of 50 random centroids;
    exposures of the centroids maximise the Poisson likelihood, where it takes non-negative least squares
    (used here for `sample_errors_` only), rounded to whole mutations.
    """

    def __init__(
        self,
        n_signatures: int = 8,
        *,
        n_restarts: int = 10,
        max_iter: int = 5000,
        tol: float = 1e-5,
        accelerated: bool = False,
        max_mutations: float | None = None,
        resample: str | None = None,
        consensus: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.accelerated = accelerated
        self.max_mutations = max_mutations
        self.resample = resample
        self.consensus = consensus
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        if self.resample not in (None, "bootstrap"):
            raise ValueError(f"resample must be None or 'bootstrap', but {self.resample!r} came.")
        seeds = self._seeds(self.n_restarts)
        capped, factor = self._cap(counts)
        x = torch.from_numpy(capped).to(self._device())
        drawn = x
        if self.resample == "bootstrap":
            own = [self._cap(bootstrap_counts(counts, seed))[0] for seed in seeds]
            drawn = torch.from_numpy(np.stack(own)).to(x)
        signatures, exposures, divergences, n_iter = factorize(
            drawn.float() if self.accelerated else drawn,
            self.n_signatures,
            seeds=seeds,
            max_iter=self.max_iter,
            tol=self.tol,
            accelerated=self.accelerated,
        )
        signatures, exposures = signatures.to(x), exposures.to(x)
        if not self.consensus:
            if self.resample == "bootstrap":
                exposures = self._refit(x, signatures)
            divergences = divergence(x.unsqueeze(0), exposures @ signatures)
        self.restart_signatures_ = signatures.cpu().numpy().astype(np.float64)
        self.restarts_ = pd.DataFrame(
            {"seed": seeds, "divergence": divergences.cpu().numpy(), "n_iter": n_iter.numpy()}
        )
        if self.consensus:
            self._agree(counts, x, factor)
            return
        best = int(divergences.argmin())
        self.n_iter_ = int(n_iter[best])
        components = self.restart_signatures_[best]
        components = components / components.sum(1, keepdims=True)
        self._keep(components, exposures[best].cpu().numpy().astype(np.float64) * factor)

    def _agree(self, counts: np.ndarray, capped: Tensor, factor: np.ndarray) -> None:
        """Keep what the restarts have in common, and how well they agree on it."""
        found = cluster_signatures(self.restart_signatures_)
        exposures = self._refit(capped, torch.from_numpy(found.signatures).to(capped))
        order = self._keep(found.signatures, exposures.cpu().numpy() * factor)
        self.stability_ = found.stability[order]
        members = found.members[:, order, None]
        self.restart_signatures_ = np.take_along_axis(self.restart_signatures_, members, axis=1)
        self.n_iter_ = int(self.restarts_["n_iter"].max())
        self.sample_errors_ = relative_errors(counts, self.components_)

    def _refit(self, counts: Tensor, signatures: Tensor) -> Tensor:
        """Exposures for fixed signatures under the settings of the fit."""
        return refit_exposures(counts, signatures, max_iter=self.max_iter, tol=self.tol)

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        x, signatures = (torch.from_numpy(part).to(self._device()) for part in (counts, self.components_))
        return self._refit(x, signatures).cpu().numpy()

    def _build_module(self) -> None:
        return None
