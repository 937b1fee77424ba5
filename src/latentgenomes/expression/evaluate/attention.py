"""Whether attention between genes means anything: agreement with other tables of pairs, and with families.

A table of pairs is compared with another by the rank correlation over all pairs of different genes. Its
significance comes from permuting the names of the genes in one of the two: the pairs of one gene depend on
each other, so that a test that counts pairs would be far too sure of itself. The test of families permutes
the genes among the families in the same way.

References
----------
Mantel 1967, Cancer Research 27:209.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]


def mirna_families(names: Sequence[str]) -> npt.NDArray[np.str_]:
    """Families of miRNAs as their names tell: ``hsa-mir-30a`` and ``hsa-mir-30c-2`` are of ``mir-30``.

    Letters behind the number stand for near-identical mature sequences, a second number for copies in the
    genome. A true family may unite several numbers; the name does not say so.

    Parameters
    ----------
    names : sequence of str
        Names as in miRBase.

    Raises
    ------
    ValueError
        If a name is none of a miRNA.
    """
    found = [re.fullmatch(r"[a-z]{3}-(let|mir|miR)-(\d+)[a-z]*(-\d+)*(-[35]p)?", name) for name in names]
    unknown = [name for name, match in zip(names, found, strict=True) if match is None]
    if unknown:
        raise ValueError(
            f"names must be those of miRNAs, such as 'hsa-mir-30a', but {len(unknown)} of {len(names)} are "
            f"not; the first is {unknown[0]!r}. Leave them out."
        )
    return np.array([f"{match[1].lower()}-{match[2]}" for match in found if match is not None])


def _pairs(table: Array) -> Array:
    """Symmetric entries above the diagonal."""
    upper = np.triu_indices(len(table), k=1)
    return ((table + table.T) / 2)[upper]


def _p_value(found: float, null: Array) -> float:
    """Share of permutations at least as large, the data themselves among them."""
    return float((1 + (null >= found).sum()) / (1 + len(null)))


def pair_agreement(
    table: npt.ArrayLike, other: npt.ArrayLike, *, n_permutations: int = 999, random_state: int = 0
) -> dict[str, float]:
    """Rank correlation of two tables of pairs of genes, with a permutation test.

    Parameters
    ----------
    table, other : array of shape (n_genes, n_genes)
        Made symmetric by the mean with their transpose; the diagonal is not used.
    n_permutations : int
    random_state : int
        Seed.

    Returns
    -------
    dict
        ``value``, ``null_mean``, ``null_sd`` and the one-sided ``p_value``.
    """
    a, b = np.asarray(table, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 3:
        raise ValueError(
            f"Both tables must be (n_genes, n_genes) with the same 3 genes or more, but their shapes are "
            f"{a.shape} and {b.shape}."
        )
    n, generator = len(a), np.random.default_rng(random_state)
    upper = np.triu_indices(n, k=1)
    ranks = np.zeros((n, n))
    ranks[upper] = rankdata(_pairs(a))
    ranks += ranks.T
    other_ranks = rankdata(_pairs(b))

    def correlation(order: npt.NDArray[np.int64]) -> float:
        return float(np.corrcoef(ranks[np.ix_(order, order)][upper], other_ranks)[0, 1])

    found = correlation(np.arange(n))
    null = np.array([correlation(generator.permutation(n)) for _ in range(n_permutations)])
    return _summary(found, null)


def family_enrichment(
    table: npt.ArrayLike, families: Sequence[str], *, n_permutations: int = 999, random_state: int = 0
) -> dict[str, float]:
    """Mean rank of pairs within a family, from 0 to 1; .5 is what no relation gives.

    Parameters
    ----------
    table : array of shape (n_genes, n_genes)
        Made symmetric by the mean with its transpose; the diagonal is not used.
    families : sequence of str
        Family of each gene.
    n_permutations : int
    random_state : int
        Seed.

    Returns
    -------
    dict
        ``value``, ``null_mean``, ``null_sd``, the one-sided ``p_value``, and ``n_pairs`` within families.

    Raises
    ------
    ValueError
        If no family has two genes.
    """
    a, names = np.asarray(table, dtype=np.float64), np.asarray(families)
    upper = np.triu_indices(len(a), k=1)
    within = (names[upper[0]] == names[upper[1]]).nonzero()[0]
    if len(within) == 0:
        raise ValueError("families must hold two genes of one family at least, but all genes are alone.")
    ranks = np.zeros(a.shape)
    ranks[upper] = (rankdata(_pairs(a)) - 0.5) / len(upper[0])
    ranks += ranks.T
    first, second = upper[0][within], upper[1][within]
    generator = np.random.default_rng(random_state)

    def mean_rank(order: npt.NDArray[np.int64]) -> float:
        return float(ranks[order[first], order[second]].mean())

    found = mean_rank(np.arange(len(a)))
    null = np.array([mean_rank(generator.permutation(len(a))) for _ in range(n_permutations)])
    return {**_summary(found, null), "n_pairs": float(len(within))}


def _summary(found: float, null: Array) -> dict[str, float]:
    return {
        "value": found,
        "null_mean": float(null.mean()),
        "null_sd": float(null.std()),
        "p_value": _p_value(found, null),
    }
