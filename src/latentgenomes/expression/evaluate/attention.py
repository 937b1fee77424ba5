"""Whether attention between genes means anything: agreement with other tables of pairs, and with families.

Tables are made symmetric and compared by the ranks of all pairs of different genes. Significance comes from
permuting the names of the genes (Mantel 1967, Cancer Research 27:209): the pairs of one gene depend on each
other, so that a test that counts pairs would be far too sure of itself.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]


def mirna_families(names: Sequence[str]) -> npt.NDArray[np.str_]:
    """Families of miRNAs as their names tell: ``hsa-mir-30a`` and ``hsa-mir-30c-2`` are of ``mir-30``.
    Letters behind the number stand for near-identical mature sequences, a second number for copies in the
    genome. A true family may unite several numbers; the name does not say so.
    """
    found = [re.fullmatch(r"[a-z]{3}-(let|mir|miR)-(\d+)[a-z]*(-\d+)*(-[35]p)?", name) for name in names]
    unknown = [name for name, match in zip(names, found, strict=True) if match is None]
    if unknown:
        raise ValueError(
            f"names must be those of miRNAs, such as 'hsa-mir-30a', but {len(unknown)} of {len(names)} are "
            f"not; the first is {unknown[0]!r}. Leave them out."
        )
    return np.array([f"{match[1].lower()}-{match[2]}" for match in found if match is not None])


def pair_agreement(
    table: npt.ArrayLike, other: npt.ArrayLike, *, n_permutations: int = 999, random_state: int = 0
) -> dict[str, float]:
    """Rank correlation of two tables of pairs of genes, (n_genes, n_genes), with a permutation test:
    ``value``, ``null_mean``, ``null_sd`` and the one-sided ``p_value``.
    """
    a, b = np.asarray(table, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 3:
        raise ValueError(
            f"Both tables must be (n_genes, n_genes) with the same 3 genes or more, but their shapes are "
            f"{a.shape} and {b.shape}."
        )
    upper = np.triu_indices(len(a), k=1)
    ranks, other_ranks = _ranks(a), _ranks(b)[upper]

    def correlation(order: npt.NDArray[np.int64]) -> float:
        return float(np.corrcoef(ranks[np.ix_(order, order)][upper], other_ranks)[0, 1])

    return _permuted(correlation, len(a), n_permutations, random_state)


def family_enrichment(
    table: npt.ArrayLike, families: Sequence[str], *, n_permutations: int = 999, random_state: int = 0
) -> dict[str, float]:
    """Mean rank of pairs within a family, from 0 to 1; .5 is what no relation gives. The entries of
    `pair_agreement`, and ``n_pairs`` within families. ValueError if no family has two genes.
    """
    a, names = np.asarray(table, dtype=np.float64), np.asarray(families)
    upper = np.triu_indices(len(a), k=1)
    within = (names[upper[0]] == names[upper[1]]).nonzero()[0]
    if len(within) == 0:
        raise ValueError("families must hold two genes of one family at least, but all genes are alone.")
    ranks = (_ranks(a) - 0.5) / len(upper[0])
    first, second = upper[0][within], upper[1][within]

    def mean_rank(order: npt.NDArray[np.int64]) -> float:
        return float(ranks[order[first], order[second]].mean())

    return {**_permuted(mean_rank, len(a), n_permutations, random_state), "n_pairs": float(len(within))}


def _ranks(table: Array) -> Array:
    """Rank of each pair in a table made symmetric, (n_genes, n_genes); the diagonal has none."""
    upper, ranks = np.triu_indices(len(table), k=1), np.zeros(table.shape)
    ranks[upper] = rankdata(((table + table.T) / 2)[upper])
    return ranks + ranks.T


def _permuted(
    statistic: Callable[[npt.NDArray[np.int64]], float], n_genes: int, n_permutations: int, random_state: int
) -> dict[str, float]:
    """A statistic of the genes as they are, beside its values when their names are permuted."""
    generator, found = np.random.default_rng(random_state), statistic(np.arange(n_genes))
    null = np.array([statistic(generator.permutation(n_genes)) for _ in range(n_permutations)])
    p_value = float((1 + (null >= found).sum()) / (1 + n_permutations))  # the data are one permutation
    return {"value": found, "null_mean": float(null.mean()), "null_sd": float(null.std()), "p_value": p_value}
