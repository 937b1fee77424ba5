"""Read calls from VCF and BCF.

A record gives one call for each alternative allele and each sample whose genotype holds it. Without samples,
the file name is the sample. Where the only sample has no genotype, all alleles are its own.

References
----------
The Variant Call Format Specification, version 4.4 (samtools/hts-specs).
"""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.mutations.calls import LeftOut, leave_out, opened, passing, positions, text_chunks

_FIRST = ["#CHROM", "POS", "ID", "REF", "ALT"]
_CHROM, _POS, _REF, _ALT, _FILTER, _INFO, _FORMAT = 0, 1, 3, 4, 6, 7, 8
_BATCH = 50_000  # records of a BCF that are held as text at once


def read_vcf(
    path: Path, *, binary: bool, passed: bool, left_out: LeftOut
) -> tuple[list[pd.DataFrame], list[str]]:
    """Calls of a VCF, or of a BCF where `binary`, in parts, and the names of its samples."""
    with opened(path) as handle:
        text = (line.decode("utf-8") for line in iter(handle.readline, b""))
        lines = _bcf_header(path) if binary else text
        header = next((line for line in lines if not line.startswith("##")), "").rstrip("\r\n").split("\t")
        samples = _samples(header, path)
        # The last column is never empty: where it is, the row was cut off.
        columns = [_CHROM, _POS, _REF, _ALT, _FILTER, *range(_FORMAT, len(header)), len(header) - 1]
        parts: list[pd.DataFrame] = []
        for source in _bcf_rows(path) if binary else [handle]:
            for rows in text_chunks(source, len(header), columns):
                if (rows[len(header) - 1] == "").any():
                    raise EOFError
                parts += _calls(
                    passing(rows, rows[_FILTER], left_out) if passed else rows, path, samples, left_out
                )
    return parts, samples or [_stem(path)]


def _samples(header: list[str], path: Path) -> list[str]:
    if header[: len(_FIRST)] != _FIRST or len(header) <= _INFO:
        raise ValueError(
            f"A VCF must have the line '#CHROM POS ID REF ALT QUAL FILTER INFO' with tabs between, but "
            f"{path.name} has {' '.join(header)[:60]!r}. Write it again with bcftools view."
        )
    samples = header[_FORMAT + 1 :]
    twice = [name for name, times in Counter(samples).items() if times > 1]
    if twice:
        raise ValueError(
            f"A VCF must name every sample once, but {path.name} repeats {list_names(twice)}. Rename one."
        )
    return samples


def _bcf_header(path: Path) -> Iterator[str]:
    yield from require("cyvcf2", extra="signatures").VCF(str(path)).raw_header.splitlines()


def _bcf_rows(path: Path) -> Iterator[IO[str]]:
    """Records of a BCF as the lines of a VCF, some at a time."""
    reader = require("cyvcf2", extra="signatures").VCF(str(path))
    try:
        while batch := list(islice(reader, _BATCH)):
            yield io.StringIO("".join(map(str, batch)))
    except Exception as error:  # cyvcf2 raises no narrower one for a record that it cannot read
        raise EOFError from error


def _stem(path: Path) -> str:
    return re.sub(r"(\.(vcf|bcf|gz|bgz))+$", "", path.name, flags=re.IGNORECASE)


def _calls(
    rows: pd.DataFrame, path: Path, samples: Sequence[str], left_out: LeftOut
) -> Iterator[pd.DataFrame]:
    """Calls of some records, in parts: each alternative allele, for each sample whose genotype holds it."""
    rows = rows.reset_index(drop=True)
    position = positions(rows[_POS], path)
    several = rows[_ALT].str.contains(",", regex=False).any()
    alleles = rows[_ALT].str.split(",", expand=True) if several else rows[[_ALT]].set_axis([0], axis=1)
    given = alleles.notna().to_numpy()  # (n_records, most alleles of one)
    bare = ~rows[_FORMAT].str.startswith("GT").to_numpy(bool) if samples else np.full(len(rows), True)
    if len(samples) > 1 and bare.any():
        first = rows.index[bare][0]
        raise ValueError(
            f"A VCF of several samples must give genotypes (GT), but {int(bare.sum())} records of "
            f"{path.name} have none; the first is at {rows[_CHROM][first]}:{rows[_POS][first]}. "
            "Keep one sample (bcftools view -s NAME), or none (bcftools view -G)."
        )
    found = np.zeros(len(rows), dtype=bool)
    for column, sample in enumerate(samples or [_stem(path)], start=_FORMAT + 1):
        there = given
        if samples:
            there = given & (bare[:, None] | _held(rows[column].where(~bare, "."), given.sum(axis=1), path))
        found |= there.any(axis=1)
        for allele in range(alleles.shape[1]):
            one = there[:, allele]
            yield pd.DataFrame(
                {
                    "chromosome": rows[_CHROM][one],
                    "position": position[one],
                    "ref": rows[_REF][one],
                    "alt": alleles[allele][one],
                    "sample": sample,
                }
            )
    leave_out(left_out, "no genotype holds the ALT", [""] * int((~found).sum()))


def _held(cells: pd.Series, n_alleles: npt.NDArray[np.int64], path: Path) -> npt.NDArray[np.bool_]:
    """Which alternative alleles the genotypes of one sample hold: (n_records, most alleles)."""
    codes, texts = pd.factorize(cells.str.split(":", n=1).str[0])
    most = int(n_alleles.max(initial=1))
    table = np.zeros((len(texts), most + 1), dtype=bool)
    highest = np.zeros(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        numbers = [number for number in re.split(r"[/|]", text.lstrip("/|")) if number != "."]
        held = [int(number) if number.isdecimal() else most + 1 for number in numbers]
        highest[row] = max(held, default=0)
        table[row, [number for number in held if number <= most]] = True
    wrong = highest[codes] > n_alleles
    if wrong.any():
        raise ValueError(
            f"A genotype must number alleles of its record, such as 0/1 or 1|2, but {int(wrong.sum())} of "
            f"{path.name} do not; the first is {texts[codes[wrong][0]]!r}. Write the file again."
        )
    return np.asarray(table[codes, 1:], dtype=bool)
