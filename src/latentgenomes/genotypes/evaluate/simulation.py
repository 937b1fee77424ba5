"""How alike real and artificial haplotypes are: frequencies, linkage, structure, and whether rows are copies.

======  ======================  ===========================================================================
symbol  name in code            meaning
======  ======================  ===========================================================================
f       ``frequencies``         frequency of allele 1
r2      ``squared_r``           squared correlation of two SNPs: linkage disequilibrium
c3      ``three_point``         E[(x_i - f_i)(x_j - f_j)(x_k - f_k)]
d_TS    ``to_synthetic``        Hamming distance of a real haplotype to the nearest artificial one
d_TT    ``to_real``             the same to the nearest other real one
AA_T    ``aats_truth``          share of real ones with d_TS > d_TT; 0.5 is ideal
AA_S    ``aats_synthetic``      the same seen from the artificial ones
======  ======================  ===========================================================================

AA_T falls below 0.5 where artificial haplotypes crowd around real ones, copies of them for instance, and
rises to 1 where they are unlike them. AA_S near 1 says that artificial ones are more like each other than
like real ones. Their mean alone hides both: (0 + 1) / 2 is 0.5.

References
----------
Yale et al. 2020, Neurocomputing 416:244-255 (AATS, privacy loss); Yelmen et al. 2021, PLoS Genetics
17:e1009303 (these measures on artificial genomes).
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.decomposition import PCA

Calls = npt.NDArray[np.int8]
Array = npt.NDArray[np.float64]
NEAR = 10  # SNPs
N_COMPONENTS = 6
_TRIPLES = 20_000
_ROWS = 1024


def _refuse_gaps(real: Calls, synthetic: Calls) -> None:
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1] or min(real.shape) < 2:
        raise ValueError(
            "Real and artificial haplotypes must be two tables of the same SNPs, but their shapes are "
            f"{real.shape} and {synthetic.shape}. Pass one row a haplotype and one column a SNP."
        )
    if min(real.min(), synthetic.min()) < 0:
        raise ValueError(
            "Haplotypes must have no missing call to be compared, but -1 came. Impute them first."
        )


def squared_correlations(calls: Calls) -> Array:
    """Squared correlation of every pair of SNPs, (n_snps, n_snps); NaN for SNPs that never vary."""
    centred = calls - calls.mean(axis=0)
    scale = np.sqrt(np.square(centred).mean(axis=0))
    covariance = centred.T @ centred / len(calls)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.square(covariance / np.outer(scale, scale)))


def _correlation(left: Array, right: Array) -> float:
    known = np.isfinite(left) & np.isfinite(right)
    if known.sum() < 2:
        return float("nan")
    return float(np.corrcoef(left[known], right[known])[0, 1])


def linkage(real: Calls, synthetic: Calls) -> dict[str, float]:
    """Correlation of r2 of SNP pairs, real against artificial: all, up to 10 SNPs apart ("near"), and
    farther.
    """
    first, second = np.triu_indices(real.shape[1], 1)
    squared_r = [squared_correlations(calls)[first, second] for calls in (real, synthetic)]
    near = second - first <= NEAR
    return {
        "r2_all": _correlation(*squared_r),
        "r2_near": _correlation(squared_r[0][near], squared_r[1][near]),
        "r2_far": _correlation(squared_r[0][~near], squared_r[1][~near]),
    }


def linkage_decay(calls: Calls, edges: npt.ArrayLike, positions: npt.ArrayLike | None = None) -> pd.DataFrame:
    """Mean linkage by the distance of two SNPs, in base pairs with positions, else in SNPs.

    A bin has its upper edge and not its lower one. Columns lower, upper, n_pairs, mean_r2.
    """
    where = np.arange(calls.shape[1]) if positions is None else np.asarray(positions)
    first, second = np.triu_indices(calls.shape[1], 1)
    squared_r = squared_correlations(calls)[first, second]
    known = np.isfinite(squared_r)
    limits = np.asarray(edges, dtype=np.float64)
    bins = np.searchsorted(limits, np.abs(where[second] - where[first])[known], side="left")
    n_pairs = np.bincount(bins, minlength=len(limits) + 1)[1 : len(limits)]
    sums = np.bincount(bins, weights=squared_r[known], minlength=len(limits) + 1)[1 : len(limits)]
    means = np.divide(sums, n_pairs, out=np.full(len(sums), np.nan), where=n_pairs > 0)
    return pd.DataFrame({"lower": limits[:-1], "upper": limits[1:], "n_pairs": n_pairs, "mean_r2": means})


def three_point(calls: Calls, triples: npt.NDArray[np.int64]) -> Array:
    """Three-point correlations E[(x_i - f_i)(x_j - f_j)(x_k - f_k)], triples (n, 3) -> (n,)."""
    centred = (calls - calls.mean(axis=0)).T.astype(np.float32)
    parts = np.array_split(triples, max(len(triples) // _ROWS, 1))
    return np.concatenate(
        [(centred[t[:, 0]] * centred[t[:, 1]] * centred[t[:, 2]]).mean(axis=1) for t in parts]
    )


def _triples(n_snps: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Three SNPs, the same number of SNPs apart: 1, 4, 16, ... as far as there is room."""
    gaps = [gap for gap in (1, 4, 16, 64, 256) if 2 * gap < n_snps]
    gap = rng.choice(gaps, size=min(_TRIPLES, 20 * n_snps))
    first = rng.integers(n_snps - 2 * gap)
    return np.stack([first, first + gap, first + 2 * gap], axis=1)


def pca_wasserstein(real: Calls, synthetic: Calls, n_components: int = N_COMPONENTS) -> Array:
    """Wasserstein distance along each principal component of the real ones, in their standard deviations."""
    n_kept = min(n_components, *real.shape)
    pca = PCA(n_kept, svd_solver="covariance_eigh").fit(real.astype(np.float64))
    along = [pca.transform(calls.astype(np.float64)) for calls in (real, synthetic)]
    spread = along[0].std(axis=0)
    pairs = zip(along[0].T, along[1].T, spread, strict=True)
    return np.array([stats.wasserstein_distance(a, b) / sd for a, b, sd in pairs])


def nearest_distances(calls: Calls, others: Calls, *, skip_self: bool = False) -> Array:
    """SNPs in which each haplotype differs from the nearest of others; `skip_self`: both tables are one."""
    right = others.astype(np.float32)
    ones = right.sum(axis=1)
    nearest = np.empty(len(calls))
    for start in range(0, len(calls), _ROWS):
        left = calls[start : start + _ROWS].astype(np.float32)
        distance = left.sum(axis=1)[:, None] + ones - 2.0 * left @ right.T
        if skip_self:
            own = np.arange(len(left))
            distance[own, start + own] = np.inf
        nearest[start : start + _ROWS] = distance.min(axis=1)
    return nearest


def adversarial_accuracy(real: Calls, synthetic: Calls, *, random_state: int = 0) -> dict[str, float]:
    """Both halves of the nearest-neighbour adversarial accuracy, in [0, 1]; a tie counts half.

    It compares nearest neighbours among as many: the larger table is thinned to the size of the smaller.
    """
    rng = np.random.default_rng(random_state)
    n = min(len(real), len(synthetic))
    real, synthetic = (t[np.sort(rng.choice(len(t), n, replace=False))] for t in (real, synthetic))
    to_synthetic, back = nearest_distances(real, synthetic), nearest_distances(synthetic, real)
    to_real = nearest_distances(real, real, skip_self=True)
    within = nearest_distances(synthetic, synthetic, skip_self=True)
    return {
        "aats_truth": float(((to_synthetic > to_real) + 0.5 * (to_synthetic == to_real)).mean()),
        "aats_synthetic": float(((back > within) + 0.5 * (back == within)).mean()),
    }


def privacy_loss(train: Calls, test: Calls, synthetic: Calls, *, random_state: int = 0) -> float:
    """Adversarial accuracy on haplotypes that the model never saw, minus that on those of its training.

    About 0 where the model treats both alike, > 0 where it reveals its training set. All are equally many.
    """
    rng = np.random.default_rng(random_state)
    n = min(len(train), len(test), len(synthetic))
    tables = [t[np.sort(rng.choice(len(t), n, replace=False))] for t in (train, test, synthetic)]
    seen, unseen = (adversarial_accuracy(real, tables[2]) for real in tables[:2])
    return float(np.mean(list(unseen.values())) - np.mean(list(seen.values())))


def compare_haplotypes(real: Calls, synthetic: Calls, *, random_state: int = 0) -> dict[str, float]:
    """Every measure of likeness of artificial haplotypes (n, n_snps) of 0 and 1; ValueError for a missing
    call.

    Correlations are ideal at 1, "wasserstein" at 0 (mean over 6 components, standard deviations), both "aats"
    at 0.5. "nearest_real" is the median distance, in SNPs, of an artificial haplotype to the nearest real
    one, and "nearest_real_to_real" of a real one to another.
    """
    _refuse_gaps(real, synthetic)
    triples = _triples(real.shape[1], np.random.default_rng(random_state))
    return (
        {"frequency_correlation": _correlation(real.mean(axis=0), synthetic.mean(axis=0))}
        | linkage(real, synthetic)
        | {
            "three_point": _correlation(three_point(real, triples), three_point(synthetic, triples)),
            "wasserstein": float(pca_wasserstein(real, synthetic).mean()),
        }
        | adversarial_accuracy(real, synthetic, random_state=random_state)
        | {
            "nearest_real": float(np.median(nearest_distances(synthetic, real))),
            "nearest_real_to_real": float(np.median(nearest_distances(real, real, skip_self=True))),
        }
    )
