"""How short haplotypes become: the published estimate, honest bits, and the entropy of populations.

Raw data cost one bit a call. A ratio is raw bits over bits used, so 40 means a fortieth. Two costs stand
side by side. The estimate of Geleta et al. 2026 takes the thresholded reconstruction, and counts

    bits = 16 runs(x XOR [p > 1/2]) + 32 n_latents

with one run for every maximal stretch of equal residuals. Honest bits are what a decoder needs: a length in
bytes of a file that decodes, or the ideal length sum -log2 P(x), which a range coder meets within a few
bytes.

References
----------
Geleta et al. 2026, Genome Research (the estimate); Nei 1978, Genetics 89:583-590 (heterozygosity without
bias).
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names

Calls = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]

_RUN_BITS, _LATENT_BITS = 16, 32  # of the published estimate
_LEAST = 0.5  # added to the counts of each allele, so that no call is impossible


def residual_runs(residuals: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number of maximal runs of equal values in every row, at least 1."""
    changes = residuals[:, 1:] != residuals[:, :-1]
    return np.asarray(changes.sum(axis=1) + 1, dtype=np.int64)


def published_bits(calls: Calls, probabilities: npt.ArrayLike, n_latents: int) -> Floats:
    """Bits of every haplotype by the published estimate; ValueError for other shapes or a missing call.

    probabilities (n_haplotypes, n_snps) are p(x = 1 | z), or any other number that is above 1/2 for a 1.
    """
    reconstructed = np.asarray(probabilities) > 0.5
    if reconstructed.shape != calls.shape or calls.ndim != 2:
        raise ValueError(
            f"calls and probabilities must be tables of one shape, but they are {calls.shape} and "
            f"{reconstructed.shape}. Pass one probability a call."
        )
    _refuse_missing(calls)
    if n_latents < 0:
        raise ValueError(f"n_latents must be >= 0, but it is {n_latents}. Count the numbers of the code.")
    residuals = reconstructed != (calls == 1)
    return _RUN_BITS * residual_runs(residuals).astype(np.float64) + _LATENT_BITS * n_latents


def _refuse_missing(calls: Calls) -> None:
    if calls.min() < 0:
        raise ValueError(
            f"calls must be 0 or 1, but {int((calls < 0).sum())} of {calls.size} are missing. "
            "Impute them, or drop their SNPs."
        )


def smoothed_frequencies(calls: Calls) -> Floats:
    """Frequency of allele 1 at every SNP, inside (0, 1), with half a count added to each allele."""
    ones = (calls == 1).sum(axis=0)
    known = (calls >= 0).sum(axis=0)
    return np.asarray((ones + _LEAST) / (known + 2 * _LEAST), dtype=np.float64)


def frequency_bits(calls: Calls, frequencies: npt.ArrayLike) -> Floats:
    """Ideal bits of every haplotype when each SNP stands alone, P(x = 1) in (0, 1); a gap costs nothing."""
    ones = np.broadcast_to(np.asarray(frequencies, dtype=np.float64), calls.shape)
    costs = -np.log2(np.where(calls == 1, ones, 1 - ones))
    return np.asarray(np.where(calls < 0, 0.0, costs).sum(axis=1), dtype=np.float64)


def population_frequency_bits(
    panel: Calls, panel_groups: npt.ArrayLike, calls: Calls, groups: npt.ArrayLike
) -> Floats:
    """Ideal bits of every haplotype with the frequencies of its own population in a panel."""
    known, wanted = np.asarray(panel_groups), np.asarray(groups)
    unknown = sorted(set(wanted.tolist()) - set(known.tolist()))
    if unknown:
        raise ValueError(
            f"Every population must be in the panel, but {len(unknown)} are not: {list_names(unknown)}. "
            "Draw the panel from all populations."
        )
    bits = np.zeros(len(calls))
    for name in np.unique(wanted):
        rows = wanted == name
        bits[rows] = frequency_bits(calls[rows], smoothed_frequencies(panel[known == name]))
    return bits


def ratio_table(
    bits: npt.ArrayLike, groups: npt.ArrayLike, *, n_snps: int, method: str, split: int = 0
) -> pd.DataFrame:
    """Mean bits and ratio of each group of haplotypes, and of "all", which comes first.

    Columns split, method, group, n_haplotypes, bits_per_haplotype, ratio.
    """
    frame = pd.DataFrame({"group": np.asarray(groups), "bits": np.asarray(bits, dtype=np.float64)})
    both = pd.concat([frame.assign(group="all"), frame])
    means = both.groupby("group", sort=False)["bits"].agg(["size", "mean"]).reset_index()
    means = means.set_axis(["group", "n_haplotypes", "bits_per_haplotype"], axis=1)
    table = means.assign(ratio=n_snps / means["bits_per_haplotype"], split=split, method=method)
    order = ["split", "method", "group", "n_haplotypes", "bits_per_haplotype", "ratio"]
    return table[order].reset_index(drop=True)


def heterozygosity(calls: Calls, *, ploidy: int = 1) -> Floats:
    """Chance that two haplotypes drawn from the sample differ, at every SNP, without bias (Nei 1978, eq. 3).

    n / (n - 1) 2 p (1 - p), with n known haplotypes; NaN where n < 2.
    """
    known = ploidy * (calls >= 0).sum(axis=0).astype(np.float64)
    ones = np.where(calls < 0, 0, calls).sum(axis=0)
    pairs = known * (known - 1)
    out = np.full(calls.shape[1], np.nan)
    return np.divide(2 * ones * (known - ones), pairs, out=out, where=pairs > 0)


def site_entropy(calls: Calls, *, ploidy: int = 1) -> Floats:
    """Entropy of the alleles at every SNP, in bits, with the correction of Miller (1955) and Madow."""
    known = ploidy * (calls >= 0).sum(axis=0).astype(np.float64)
    ones = np.where(calls < 0, 0, calls).sum(axis=0)
    share = np.divide(ones, known, out=np.full(calls.shape[1], np.nan), where=known > 0)
    inside = (share > 0) & (share < 1)
    p = np.where(inside, share, 0.5)
    plain = np.where(inside, -p * np.log2(p) - (1 - p) * np.log2(1 - p), 0.0 * share)
    bias = np.where(inside, np.log2(np.e) / (2 * np.maximum(known, 1)), 0.0)
    return np.asarray(np.minimum(plain + bias, 1.0), dtype=np.float64)


def diversity_by_population(
    calls: Calls, groups: npt.ArrayLike, *, ploidy: int = 1, n_drawn: int | None = None, random_state: int = 0
) -> pd.DataFrame:
    """Diversity of every population from n_drawn samples, or as many as the smallest has; smaller are left
    out.

    Heterozygosity and entropy_bits are means over SNPs, polymorphic is the share of SNPs that vary in the
    draw, distinct the share of rows that are distinct.
    """
    names, sizes = np.unique(np.asarray(groups), return_counts=True)
    n = int(sizes.min()) if n_drawn is None else n_drawn
    if n < 2:
        raise ValueError(f"n_drawn must be >= 2, but it is {n}. Leave small populations out first.")
    generator = np.random.default_rng(random_state)
    rows = []
    for name in names[sizes >= n]:
        chosen = calls[generator.permutation(np.flatnonzero(np.asarray(groups) == name))[:n]]
        diversity = heterozygosity(chosen, ploidy=ploidy)
        rows.append(
            {
                "population": name,
                "n_drawn": n,
                "heterozygosity": np.nanmean(diversity),
                "entropy_bits": np.nanmean(site_entropy(chosen, ploidy=ploidy)),
                "polymorphic": np.mean(diversity > 0),
                "distinct": len(np.unique(chosen, axis=0)) / n,
            }
        )
    return pd.DataFrame(rows)
