"""A reader's own genotypes: VCF and BCF, phased or not, and PLINK 1, in and out.

What each kind of call becomes, in `read_vcf_haplotypes` and `read_vcf_genotypes`:

=========================  =================================  ======================================
call                       haplotypes                         genotypes
=========================  =================================  ======================================
0|1                        0 and 1                            1
0/1                        refused: no phase                  1
0/0, 1/1                   both alleles, phase plays no part  0, 2
``./.``, ``.``             -1 and -1                          -1
0|.                        0 and -1                           -1: the number of copies is not known
0/.                        refused: no phase                  -1
0 (haploid, such as X)     0 and no second call (-1)          0
1 (haploid)                1 and no second call (-1)          2, as PLINK counts it
two or more ALT alleles    refused, or dropped on request     the same
more than two alleles      refused                            refused
no GT                      refused                            refused
=========================  =================================  ======================================

A sample that is haploid at every site has one haplotype, otherwise two. A VCF written here holds sites and
GT, nothing else, and is read back to the same table.
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.extras import require
from latentgenomes.core.provenance import replacing
from latentgenomes.genotypes.data.calls import SNP_COLUMNS, Calls, GenotypeData, HaplotypeData

_NO_CALL, _NO_ALLELE = -1, -2  # as htslib gives them
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_PLINK_MISSING = -127
_BED_START = bytes([0x6C, 0x1B, 0x01])  # PLINK 1, SNP after SNP
_BED_CODES = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)  # of 0, 1, 2 copies of A1, and missing (-1)
_X_NAMES = ("X", "23", "chrX", "chr23")

Alleles = npt.NDArray[np.int16]


def check_whole(path: Path) -> None:
    """Refuse a path without a file, and a blocked file without its last block."""
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, but there is none at {path}. Check the spelling.")
    with path.open("rb") as file:
        start = file.read(18)
        file.seek(max(path.stat().st_size - len(_BGZF_END), 0))
        end = file.read()
    blocked = start[:4] == _BGZF_END[:4] and start[12:14] == b"BC"
    if blocked and end != _BGZF_END:
        raise ValueError(
            f"{path.name} must end with the empty block of a compressed VCF or BCF, but it does not: "
            "it is cut off. Copy it again from its source."
        )


def _open_vcf(path: Path) -> Any:
    cyvcf2 = require("cyvcf2", extra="genotypes")
    check_whole(path)
    try:
        reader = cyvcf2.VCF(str(path))
    except Exception as error:
        raise ValueError(
            f"{path.name} must be a VCF or BCF file, but it cannot be read: {error}. Write it again, for "
            "example with bcftools."
        ) from error
    if not reader.samples:
        raise ValueError(f"{path.name} must hold samples, but it holds sites only. Pass a file with GT.")
    return reader


def _variants(path: Path, reader: Any, drop_multiallelic: bool) -> Iterator[tuple[tuple[Any, ...], Alleles]]:
    """Site (chromosome, position, REF, ALT, ID) and alleles (n_samples, 3) of each variant to keep."""
    variants = iter(reader)
    while True:
        try:
            variant = next(variants)
            alternatives = list(variant.ALT)
        except StopIteration:
            return
        except Exception as error:
            raise ValueError(
                f"{path.name} must be a whole VCF or BCF file, but a line cannot be read: {error}. Check it, "
                "for example with bcftools view."
            ) from error
        where = f"{variant.CHROM}:{variant.POS}"
        if len(alternatives) > 1:
            if drop_multiallelic:
                continue
            raise ValueError(
                f"{path.name} must have one ALT allele a site, but {where} has {len(alternatives)}: "
                f"{','.join(alternatives)}. Pass drop_multiallelic=True, or split the sites "
                "(bcftools norm -m-)."
            )
        if "GT" not in variant.FORMAT:
            raise ValueError(
                f"{path.name} must give GT at every site, but {where} has none. Remove the site."
            )
        alleles = variant.genotype.array()
        if alleles.shape[1] > 3:
            sample = reader.samples[int((alleles[:, 2] > _NO_ALLELE).argmax())]
            raise ValueError(
                f"{path.name} must have one or two alleles a call, but {sample} has "
                f"{alleles.shape[1] - 1} at {where}. Remove the sample or the site."
            )
        if alleles.shape[1] == 2:  # haploid in every sample
            alleles = np.insert(alleles, 1, _NO_ALLELE, axis=1)
        site = variant.CHROM, variant.POS, variant.REF, alternatives[0] if alternatives else "."
        yield (*site, variant.ID), alleles


def _snp_table(sites: list[tuple[Any, ...]], path: Path) -> pd.DataFrame:
    if not sites:
        raise ValueError(
            f"{path.name} must hold at least one site to keep, but it holds none. Check filters."
        )
    names = [":".join(map(str, site[:4])) for site in sites]
    snps = pd.DataFrame([site[:4] for site in sites], columns=SNP_COLUMNS, index=pd.Index(names))
    return snps.assign(id=[site[4] or "." for site in sites])


def read_vcf_haplotypes(path: str | Path, *, drop_multiallelic: bool = False) -> HaplotypeData:
    """Read phased haplotypes from a VCF or BCF file.

    Parameters
    ----------
    path : str or pathlib.Path
        ``.vcf``, ``.vcf.gz`` or ``.bcf``.
    drop_multiallelic : bool
        Leave sites with two or more ALT alleles out. By default they are refused.

    Returns
    -------
    HaplotypeData
        Allele 0 is REF, 1 is ALT, -1 missing; the table of this module says what each call becomes.
        Haplotypes are named ``<sample>.1`` and ``<sample>.2``, SNPs ``<chromosome>:<position>:<REF>:<ALT>``.
        Column ``id`` of `snps` holds the identifiers of the file.

    Raises
    ------
    ValueError
        If the file is no VCF or BCF, is cut off, or has no samples or no sites; if a site comes twice, has no
        GT or, unless dropped, several ALT alleles; if a call is not phased or has more than two alleles.
    """
    path = Path(path)
    reader = _open_vcf(path)
    names = np.array(reader.samples)
    sites, columns = [], []
    haploid = np.full(len(names), True)
    for site, alleles in _variants(path, reader, drop_multiallelic):
        first, second, phased = alleles.T
        loose = (second != _NO_ALLELE) & (first != second) & (phased != 1)
        if loose.any():
            raise ValueError(
                f"{path.name} must hold phased calls such as 0|1, but {loose.sum()} of {len(names)} at "
                f"{site[0]}:{site[1]} are not; the first is of {names[loose.argmax()]}. "
                "Phase the file first, or read it with read_vcf_genotypes."
            )
        haploid &= second == _NO_ALLELE
        sites.append(site)
        columns.append(np.maximum(alleles[:, :2], _NO_CALL).astype(np.int8))
    snps = _snp_table(sites, path)
    calls = np.stack(columns, axis=-1).reshape(-1, len(sites))  # (n, 2, n_snps) -> (2 n, n_snps)
    index = pd.Index([f"{name}.{copy}" for name in names for copy in (1, 2)])
    kept = np.stack([np.full(len(names), True), ~haploid], axis=1).ravel()
    metadata = pd.DataFrame({"person": np.repeat(names, 2)}, index=index)
    return HaplotypeData(calls[kept], metadata[kept], snps)


def read_vcf_genotypes(path: str | Path, *, drop_multiallelic: bool = False) -> GenotypeData:
    """Copies of the ALT allele from a VCF or BCF file; as `read_vcf_haplotypes`, but phase plays no part."""
    path = Path(path)
    reader = _open_vcf(path)
    sites, columns = [], []
    for site, alleles in _variants(path, reader, drop_multiallelic):
        first, second = alleles[:, 0], alleles[:, 1]
        copies = np.where(second == _NO_ALLELE, 2 * first, first + second)
        unknown = (first < 0) | (second == _NO_CALL)
        sites.append(site)
        columns.append(np.where(unknown, -1, copies).astype(np.int8))
    snps = _snp_table(sites, path)
    metadata = pd.DataFrame({"person": reader.samples}, index=pd.Index(reader.samples))
    return GenotypeData(np.stack(columns, axis=1), metadata, snps)


def _refuse_heterozygous_males(calls: Calls, metadata: pd.DataFrame, snps: pd.DataFrame, path: Path) -> None:
    on_x = snps["chromosome"].isin(_X_NAMES).to_numpy()
    male = (metadata["sex"] == "male").to_numpy()
    bad = (calls == 1) & male[:, None] & on_x
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{path.name} must hold no male with two alleles on X, but {bad.sum()} calls are such; the "
            f"first is of {metadata.index[row]} at {snps.index[column]}. Set them missing (plink "
            "--set-hh-missing) or move the pseudo-autosomal region to XY (plink --split-x)."
        )


def read_plink(path: str | Path) -> GenotypeData:
    """Read a PLINK 1 file set: ``.bed`` with the ``.bim`` and ``.fam`` beside it.

    Parameters
    ----------
    path : str or pathlib.Path
        The ``.bed`` file.

    Returns
    -------
    GenotypeData
        Copies of A1 (column 5 of the ``.bim``), which is `allele_1`; -1 missing. A male on X has 0 or 2.
        `metadata` is indexed by the individual's name (column 2 of the ``.fam``) and holds ``family`` and
        ``sex`` (male, female or unknown). A PLINK 1 file has neither phase nor half-calls nor third alleles.

    Raises
    ------
    FileNotFoundError
        If one of the three files is missing.
    ValueError
        If they do not fit together or cannot be read, a name comes twice, or a male has two alleles on X.
    """
    bed_reader = require("bed_reader", extra="genotypes")
    path = Path(path)
    for suffix in (".bed", ".bim", ".fam"):
        if not path.with_suffix(suffix).is_file():
            raise FileNotFoundError(
                f"A PLINK 1 file set needs .bed, .bim and .fam, but there is no {path.with_suffix(suffix)}. "
                "Put the three side by side."
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a text value in a number's place is an error here
            with bed_reader.open_bed(path, num_threads=1) as bed:
                people = bed.fid, bed.iid, bed.sex
                sites = bed.chromosome, bed.bp_position, bed.allele_2, bed.allele_1, bed.sid
                raw = bed.read(dtype="int8", num_threads=1)
    except Exception as error:
        raise ValueError(
            f"{path.name} must be a PLINK 1 file set, but it cannot be read: {error}. Write it again with "
            "plink --make-bed."
        ) from error
    family, names, sex = people
    words = np.array(["unknown", "male", "female"])[np.where(np.isin(sex, (1, 2)), sex, 0)]
    metadata = pd.DataFrame({"family": family, "sex": words}, index=pd.Index(names))
    snps = pd.DataFrame(dict(zip(SNP_COLUMNS, sites[:4], strict=True)), index=pd.Index(sites[4]))
    calls = np.ascontiguousarray(np.where(raw == _PLINK_MISSING, -1, raw))
    _refuse_heterozygous_males(calls, metadata, snps, path)
    return GenotypeData(calls, metadata, snps)


def _call_words(calls: Calls, copies: npt.NDArray[np.int64]) -> list[str]:
    """GT of every person at one SNP."""
    alleles = np.array(["0", "1", "."])[calls]
    words, start = [], 0
    for n in copies:
        words.append("|".join(alleles[start : start + n]))
        start += n
    return words


def write_vcf_haplotypes(data: HaplotypeData, path: str | Path) -> Path:
    """Write phased haplotypes, a person's in neighbouring rows, as a ``.vcf`` that appears whole or not at
    all.
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
    """Write copies of A1 (n_samples, n_snps), -1 for missing, as ``.bed``, with the text of ``.bim`` and
    ``.fam``.

    The three files appear whole or not at all, the ``.bed`` last.
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
