r"""Non-negative matrix factorisation under the Kullback-Leibler divergence, all restarts at once.

Model: :math:`x_{nm} \sim \text{Poisson}\left(\sum_k e_{nk} s_{km}\right)`. Maximising its likelihood is
minimising :math:`\sum x \log(x / r) - x + r` with :math:`r = e\,s`. Each multiplicative update lowers it:

.. math::
    e_{nk} \leftarrow e_{nk} \frac{\sum_m s_{km}\, x_{nm} / r_{nm}}{\sum_m s_{km}}, \qquad
    s_{km} \leftarrow s_{km} \frac{\sum_n e_{nk}\, x_{nm} / r_{nm}}{\sum_n e_{nk}}.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $e$ | `exposures` | (n, k) |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $r$ | `rates` | (n, m) |

References
----------
Lee & Seung 2001, NIPS 13, eq. 5 (the updates). Brunet et al. 2004, PNAS 101:4164 and Islam et al.
2022, Cell Genomics 2:100179: the form that SigProfilerExtractor iterates from random starts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from latentgenomes.ensemble import bootstrap_counts
from latentgenomes.models.signatures.extractor import SignatureExtractor
from latentgenomes.nn import poisson
from latentgenomes.train import make_generators, progress

_CHECK_EVERY = 20


def divergence(counts: Tensor, rates: Tensor) -> Tensor:
    """KL divergence of rates from counts, summed over samples and channels, in nats.

    Parameters
    ----------
    counts : Tensor of shape (..., n_samples, n_channels)
        Counts >= 0.
    rates : Tensor
        Of the same shape, > 0 wherever counts are.
    """
    entries = torch.special.xlogy(counts, counts / rates.clamp_min(poisson.TINY)) - counts + rates
    return entries.sum((-2, -1), dtype=torch.float64)


def _ratio(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """X / r, (..., n, m), in one piece of memory: most of the time of an update goes there."""
    rates = (exposures @ signatures).clamp_min_(poisson.TINY)
    return torch.div(counts, rates, out=rates)


def update_exposures(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """One multiplicative update of the exposures; `signatures` have rows that sum to 1.

    All tensors may carry leading axes of restarts.
    """
    return exposures * (_ratio(counts, exposures, signatures) @ signatures.transpose(-1, -2))


def update_signatures(counts: Tensor, exposures: Tensor, signatures: Tensor) -> Tensor:
    """One multiplicative update of the signatures, returned with rows that sum to 1."""
    updated = signatures * (exposures.transpose(-1, -2) @ _ratio(counts, exposures, signatures))
    return updated / updated.sum(-1, keepdim=True).clamp_min(poisson.TINY)


def factorize(
    counts: Tensor, n_signatures: int, *, seeds: Sequence[int], max_iter: int, tol: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Factorise a batch of catalogues from random starts, one per seed.

    Parameters
    ----------
    counts : Tensor of shape (n_samples, n_channels) or (n_restarts, n_samples, n_channels)
        Shared by the restarts, or one catalogue each.
    n_signatures : int
        Rank.
    seeds : sequence of int
        One per restart.
    max_iter : int
        Updates of both factors, at most.
    tol : float
        A restart stops when its divergence fell by less than `tol` of itself in 20 updates.

    Returns
    -------
    signatures : Tensor of shape (n_restarts, n_signatures, n_channels)
        Rows sum to 1.
    exposures : Tensor of shape (n_restarts, n_samples, n_signatures)
        In mutations.
    divergences : Tensor of shape (n_restarts,)
        Final KL divergence in nats.
    n_iter : Tensor of shape (n_restarts,)
        Updates made.
    """
    x = counts if counts.dim() == 3 else counts.unsqueeze(0)
    signatures, exposures = _random_start(x, n_signatures, seeds)
    final = [torch.empty_like(signatures), torch.empty_like(exposures)]
    last = torch.full((len(seeds),), float("inf"), dtype=torch.float64, device=x.device)
    n_iter = torch.zeros(len(seeds), dtype=torch.long)
    alive = torch.arange(len(seeds), device=x.device)
    for step in progress(range(1, max_iter + 1), "NMF", unit="update"):
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
        x = x if len(x) == 1 else x[~done]
        if len(alive) == 0:
            break
    return final[0], final[1], last, n_iter


def refit_exposures(counts: Tensor, signatures: Tensor, *, max_iter: int, tol: float) -> Tensor:
    """Exposures of greatest Poisson likelihood for fixed signatures, in mutations.

    Parameters
    ----------
    counts : Tensor of shape (..., n_samples, n_channels)
        Counts >= 0.
    signatures : Tensor of shape (..., n_signatures, n_channels)
        Rows sum to 1. Leading axes broadcast.
    max_iter : int
        Updates, at most.
    tol : float
        A sample is done when no exposure moved by more than `tol` of the sample's total in one
        update.

    Returns
    -------
    Tensor of shape (..., n_samples, n_signatures)

    Notes
    -----
    The likelihood is concave in the exposures, so the start does not matter. Every sample keeps
    its own count of updates: its exposures do not depend on the samples beside it.
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
        Rows sum to 1; columns are aligned with `counts` by label.
    max_iter, tol : int, float
        See `refit_exposures`.

    Returns
    -------
    DataFrame of shape (n_samples, n_signatures)
        Exposures in mutations.

    Raises
    ------
    ValueError
        If the channels differ.
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
        Random starts, run as one batch; the one of lowest divergence on X is kept.
    max_iter : int
        Updates per restart, at most.
    tol : float
        A restart stops when its divergence fell by less than this share in 20 updates.
    max_mutations : float or None
        Samples with more mutations are scaled down to this total for the extraction, so that
        hypermutators do not rule it. None uses the counts as they are.
    resample : {None, "bootstrap"}
        Whether each restart factorises its own multinomial bootstrap of the catalogue.
    device : str
        "auto" takes the GPU where there is one.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures; rows sum to 1. `signatures_` is the same as a labelled frame.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Exposures of the training samples, in mutations.
    restarts_ : DataFrame
        Seed, divergence on X (nats) and number of updates of every restart.
    n_iter_ : int
        Updates made by the restart that was kept.
    restart_signatures_ : ndarray of shape (n_restarts, n_signatures, n_channels)
        The signatures of every restart, in the order of `restarts_`.

    Notes
    -----
    Deviations from SigProfilerExtractor: the number of signatures is given, restarts are judged by
    their divergence instead of being clustered, and updates stop at `tol` instead of after at
    least 10,000.
    """

    def __init__(
        self,
        n_signatures: int = 8,
        *,
        n_restarts: int = 10,
        max_iter: int = 5000,
        tol: float = 1e-5,
        max_mutations: float | None = None,
        resample: str | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.max_mutations = max_mutations
        self.resample = resample
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
        signatures, exposures, _, n_iter = factorize(
            drawn, self.n_signatures, seeds=seeds, max_iter=self.max_iter, tol=self.tol
        )
        if self.resample == "bootstrap":
            exposures = refit_exposures(x, signatures, max_iter=self.max_iter, tol=self.tol)
        divergences = divergence(x.unsqueeze(0), exposures @ signatures)
        best = int(divergences.argmin())
        self.restart_signatures_ = signatures.cpu().numpy().astype(np.float64)
        self.restarts_ = pd.DataFrame(
            {"seed": seeds, "divergence": divergences.cpu().numpy(), "n_iter": n_iter.numpy()}
        )
        self.n_iter_ = int(n_iter[best])
        components = self.restart_signatures_[best]
        components = components / components.sum(1, keepdims=True)
        self._keep(components, exposures[best].cpu().numpy().astype(np.float64) * factor)

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        device = self._device()
        refit = refit_exposures(
            torch.from_numpy(counts).to(device),
            torch.from_numpy(self.components_).to(device),
            max_iter=self.max_iter,
            tol=self.tol,
        )
        return refit.cpu().numpy()

    def _build_module(self) -> None:
        return None
