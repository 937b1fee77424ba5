"""Tables of calls with the names of their samples and SNPs, phased and unphased."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names

Calls = npt.NDArray[np.int8]
SNP_COLUMNS = ["chromosome", "position", "allele_0", "allele_1"]


def check_calls(calls: npt.ArrayLike, *, name: str = "X", ploidy: int = 1) -> Calls:
    """Checked copy of calls (n_samples, n_snps): 0 ... `ploidy` copies of allele 1, -1 for missing."""
    array = np.asarray(calls)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must be a table (n_samples, n_snps) with at least one of each, but its shape is "
            f"{array.shape}. Pass one row a sample."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers, but its type is {array.dtype}. Code missing calls as -1."
        )
    whole = array.dtype.kind in "biu" or bool((array == np.floor(array)).all())
    if not (whole and array.min() >= -1 and array.max() <= ploidy):
        bad = ~np.isin(array, np.arange(-1, ploidy + 1))
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must hold calls of 0 to {ploidy} copies, or -1 for missing, but {bad.sum()} of "
            f"{bad.size} entries are not; the first is {array[row, column]} at row {row}, column {column}. "
            "Recode missing calls as -1, and phase genotypes before using them as haplotypes."
        )
    return array.astype(np.int8)


def allele_frequencies(calls: Calls, *, ploidy: int = 1) -> npt.NDArray[np.float64]:
    """Frequency of allele 1 at every SNP among calls that are there, (n_snps,); NaN where none is."""
    known = (calls >= 0).sum(axis=0)
    copies = np.where(calls < 0, 0, calls).sum(axis=0)
    return np.divide(copies, ploidy * known, out=np.full(calls.shape[1], np.nan), where=known > 0)


def _check_table(calls: Calls, metadata: pd.DataFrame, snps: pd.DataFrame, ploidy: int) -> None:
    check_calls(calls, name="calls", ploidy=ploidy)
    for table, length, what in ((metadata, calls.shape[0], "sample"), (snps, calls.shape[1], "SNP")):
        if len(table) != length:
            raise ValueError(
                f"calls must have one row a sample and one column a SNP, but there are {length} for "
                f"{len(table)} names of {what}s. Name every {what}."
            )
        twice = list(table.index[table.index.duplicated()].unique())
        if twice:
            raise ValueError(
                f"Every {what} must have a name of its own, but {len(twice)} names come again: "
                f"{list_names(twice)}. Rename or remove them."
            )


def _kept_snps(calls: Calls, ploidy: int, min_maf: float) -> npt.NDArray[np.bool_]:
    if not 0 <= min_maf <= 0.5:
        raise ValueError(f"min_maf must be in [0, 0.5], but it is {min_maf!r}. Try 0.01.")
    frequency = allele_frequencies(calls, ploidy=ploidy)
    return np.asarray(np.minimum(frequency, 1 - frequency) >= min_maf)  # NaN is dropped


@dataclass(frozen=True)
class HaplotypeData:
    """Phased calls, int8 of shape (n_haplotypes, n_snps): 0 or 1 for `allele_0` or `allele_1`, -1 for
    missing.

    `metadata` is indexed by haplotype: ``person``, and ``population`` and ``region`` where known. `snps` is
    indexed by SNP: ``chromosome`` (text), ``position`` (base pairs), ``allele_0`` and ``allele_1``.
    """

    calls: Calls
    metadata: pd.DataFrame
    snps: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse calls and names that do not belong together."""
        _check_table(self.calls, self.metadata, self.snps, 1)

    def filter_maf(self, min_maf: float) -> Self:
        """Only SNPs with a call whose rarer allele has at least this frequency, in [0, 0.5]; ValueError if
        none.
        """
        kept = _kept_snps(self.calls, 1, min_maf)
        return replace(self, calls=self.calls[:, kept], snps=self.snps[kept])


@dataclass(frozen=True)
class GenotypeData:
    """Calls without phase, int8 of shape (n_samples, n_snps): copies of `allele_1`, 0, 1 or 2, -1 for
    missing.

    `metadata` is indexed by person or animal: ``population`` and ``region``, or ``longitude`` and
    ``latitude`` (degrees), where known. `snps` as in `HaplotypeData`, where known.
    """

    calls: Calls
    metadata: pd.DataFrame
    snps: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse calls and names that do not belong together."""
        _check_table(self.calls, self.metadata, self.snps, 2)

    def filter_maf(self, min_maf: float) -> Self:
        """Only the SNPs whose rarer allele has at least this frequency; see `HaplotypeData.filter_maf`."""
        kept = _kept_snps(self.calls, 2, min_maf)
        return replace(self, calls=self.calls[:, kept], snps=self.snps[kept])
