r"""How sure exposures are, and how many mutations a sample may show before scatter passes for structure.

The variance of an exposure has two parts. That of the counts is the inverse information of all exposures of a
sample at once, none of them taken for absent. That of the signatures is the spread of the exposures under
versions of them from parts of the donors, a delete-d jackknife: times h / (n - h) for parts of h of n donors.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $e$ | `exposures` | (n, k), mutations |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $s_b$ | `versions` | (b, k, m) |
| $\varphi$ | `dispersion` | scalar, 0 for Poisson counts |
| $T$ | `limits` | (n,), mutations |

References
----------
Shao & Wu 1989, Ann. Stat. 17:1176 (the delete-d jackknife).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import entr

from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF, _limit
from latentgenomes.signatures.models.negative_binomial import _scatters, _updated, fit_dispersion

Array = npt.NDArray[np.float64]

_OPENED = 1e-3  # share of a sample's mutations
_AS_MANY = 0.8  # share of the mutations that must go for another search to be worth it
_TINY = 1e-12


def interval_ends(exposures: Array, variance: Array, level: float) -> tuple[Array, Array]:
    """Both ends of the intervals of exposures, (n, k) each. A `level` outside (0, 1) is a ValueError."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), but {level!r} came. Use 0.9 for 90% intervals.")
    half = stats.norm.ppf((1.0 + level) / 2.0) * np.sqrt(variance)
    return np.maximum(exposures - half, 0.0), exposures + half


def variance_over_versions(
    counts: Array, exposures: Array, versions: Array, *, dispersion: float, share: float, n_updates: int
) -> Array:
    """Variance of the exposures that comes from the signatures, (n, k); each version of these is from a part
    with that share of the donors.
    """
    start = np.maximum(exposures, _OPENED * counts.sum(1, keepdims=True)) * (exposures > 0)
    found = []
    for version in versions:
        values = start
        for _ in range(n_updates):
            values = _updated(counts, values, version, dispersion)
        found.append(values)
    return np.asarray(np.var(found, axis=0) * share / (1.0 - share))


def inverse_information(counts: Array, exposures: Array, signatures: Array, dispersion: float) -> Array:
    """Variance of exposures of greatest likelihood under fixed signatures, none of them absent, (n, k)."""
    opened = np.maximum(exposures, _OPENED * counts.sum(1, keepdims=True))
    rates = np.maximum(opened @ signatures, 1e-6)
    k = len(signatures)
    products = (signatures[:, None] * signatures[None]).reshape(k * k, -1)
    information = ((1.0 / (rates + dispersion * rates**2)) @ products.T).reshape(-1, k, k)
    own = np.einsum("nkk->nk", information)
    information += (1e-8 * own + _TINY)[:, :, None] * np.eye(k)
    return np.asarray(np.einsum("nkk->nk", np.linalg.inv(information)))


def quiet_totals(counts: Array, rates: Array) -> Array:
    """Totals, in mutations, (n,), at which the scatter of a sample's counts is as large as Poisson noise."""
    if not _scatters(counts, rates):
        return np.full(len(counts), np.inf)
    shares = rates / rates.sum(1, keepdims=True)
    return np.asarray(np.exp(entr(shares).sum(1)) / fit_dispersion(counts, rates))


def search_quietly(
    counts: Array, cap: float, search: Callable[[Array], GammaPoissonNMF], most: int
) -> tuple[GammaPoissonNMF, Array, bool]:
    """Search, and search again, at most `most` times, from counts whose scatter is below their noise.

    The last search, the counts that it saw (n, m), and whether the counts scatter.
    """
    totals = counts.sum(1)
    shown = _limit(counts, cap)[0]
    for _ in range(most):
        found = search(shown)
        rates = np.maximum(found.transform(counts) @ found.components_, _TINY)
        quiet = quiet_totals(counts, rates)
        limits = np.minimum(quiet, cap)
        fewer = counts / np.maximum(totals / limits, 1.0)[:, None]
        if fewer.sum() > _AS_MANY * shown.sum():
            break
        shown = fewer
    return found, shown, bool(np.isfinite(quiet).all())
