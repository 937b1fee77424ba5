"""Genotypes to files of the reader: phased VCF, and PLINK 1.

A VCF written here holds sites and GT, nothing else; `readers` reads it back to the
same table. Of a PLINK 1 file set the ``.bed`` is written from calls, and ``.bim`` and ``.fam`` from their
text.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from latentgenomes.core.provenance import replacing
from latentgenomes.genotypes.data.calls import Calls, HaplotypeData

_BED_START = bytes([0x6C, 0x1B, 0x01])  # PLINK 1, SNP after SNP
_BED_CODES = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)  # of 0, 1, 2 copies of A1, and missing (-1)


def _call_words(calls: Calls, copies: npt.NDArray[np.int64]) -> list[str]:
    """GT of every person at one SNP."""
    alleles = np.array(["0", "1", "."])[calls]
    words, start = [], 0
    for n in copies:
        words.append("|".join(alleles[start : start + n]))
        start += n
    return words


def write_vcf_haplotypes(data: HaplotypeData, path: str | Path) -> Path:
    """Write phased haplotypes as a VCF file.

    Parameters
    ----------
    data : HaplotypeData
        `metadata` has ``person``; a person has one haplotype or two, in neighbouring rows. `snps` may have
        ``id``.
    path : str or pathlib.Path
        The file, ``.vcf``. It appears whole or not at all.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If the name does not end in ``.vcf``, or a person has more than two haplotypes, or not side by side.
    """
    path = Path(path)
    if path.suffix != ".vcf":
        raise ValueError(f"path must end in .vcf, but it is {path.name}. Compress it later, with bgzip.")
    people = data.metadata["person"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], people[1:] != people[:-1]]))
    copies = np.diff(np.append(starts, len(people)))
    if copies.max() > 2 or len(starts) != len(set(people)):
        raise ValueError(
            "Every person must have one or two haplotypes in neighbouring rows, but some have not. Sort the "
            "haplotypes by person."
        )
    snps = data.snps
    names = snps["id"] if "id" in snps else np.full(len(snps), ".")
    contigs = "".join(f"##contig=<ID={name}>\n" for name in snps["chromosome"].unique())
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people[starts]]
    sites = zip(snps["chromosome"], snps["position"], names, snps["allele_0"], snps["allele_1"], strict=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("##fileformat=VCFv4.2\n" + contigs)
        file.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        file.write("\t".join(columns) + "\n")
        for site, column in zip(sites, data.calls.T, strict=True):
            row = [*map(str, site), ".", ".", ".", "GT", *_call_words(column, copies)]
            file.write("\t".join(row) + "\n")
    return path


def write_plink(calls: Calls, path: str | Path, *, bim: str, fam: str) -> Path:
    """Write a PLINK 1 file set.

    Parameters
    ----------
    calls : ndarray of int8, shape (n_samples, n_snps)
        Copies of A1: 0, 1 or 2; -1 for missing.
    path : str or pathlib.Path
        The ``.bed`` file. The three files appear whole or not at all, the ``.bed`` last.
    bim, fam : str
        Text of the other two: one line a SNP, and one line a sample.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If the name does not end in ``.bed``, or the numbers of lines do not fit the calls.
    """
    path = Path(path)
    if path.suffix != ".bed":
        raise ValueError(f"path must end in .bed, but it is {path.name}. Name the .bed file.")
    n_lines = len(fam.splitlines()), len(bim.splitlines())
    if n_lines != calls.shape:
        raise ValueError(
            f"fam and bim must have one line a sample and one a SNP, but they have {n_lines[0]} and "
            f"{n_lines[1]} for calls of shape {calls.shape}. Pass the lines of these calls."
        )
    with ExitStack() as stack:
        # Left in reverse order: the .bed, which makes the set whole, is renamed last.
        bed = stack.enter_context(replacing(path))
        bed.write_bytes(_BED_START + _pack_bed(calls))
        for suffix, text in ((".bim", bim), (".fam", fam)):
            stack.enter_context(replacing(path.with_suffix(suffix))).write_bytes(text.encode())
    return path


def _pack_bed(calls: Calls) -> bytes:
    """Two bits a call, four samples a byte, every SNP from a new byte."""
    n_samples, n_snps = calls.shape
    codes = np.zeros((n_snps, -(-n_samples // 4) * 4), dtype=np.uint8)
    codes[:, :n_samples] = _BED_CODES[calls.T]
    shifts = np.arange(0, 8, 2, dtype=np.uint8)
    packed = np.bitwise_or.reduce(codes.reshape(n_snps, -1, 4) << shifts, axis=2)
    return packed.astype(np.uint8).tobytes()
