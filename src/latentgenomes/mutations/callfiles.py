"""Find files of calls, recognise their format, and read them: VCF, BCF, MAF, or a table with a row per call.

References
----------
Mutation Annotation Format, Genomic Data Commons.
"""

import csv
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.mutations.calls import (
    COLUMNS,
    NO_ALLELE,
    LeftOut,
    opened,
    passing,
    positions,
    readable,
    stripped,
    text_chunks,
    whole_file,
)
from latentgenomes.mutations.vcf import read_vcf

# Spellings of the columns, in lower case.
_MAF = {
    "chromosome": ("chromosome",),
    "position": ("start_position",),
    "ref": ("reference_allele",),
    "alt": ("tumor_seq_allele2",),
    "sample": ("tumor_sample_barcode",),
}
_TABLE = {
    "chromosome": ("chromosome", "chrom", "chr"),
    "position": ("position", "pos"),
    "ref": ("ref", "reference"),
    "alt": ("alt", "alternate"),
    "sample": ("sample",),
}
_MORE = {"other": ("tumor_seq_allele1",), "filter": ("filter",)}  # columns that may be there
_ASIDE = {".tbi", ".csi", ".idx"}  # indexes beside the calls
_HEAD = 1 << 16  # bytes in which a format is recognised


@dataclass(frozen=True)
class Calls:
    """Calls of one file, its samples in their order, and what was left out."""

    table: pd.DataFrame  # COLUMNS; text but for the position
    samples: list[str]
    left_out: LeftOut


def call_format(path: Path) -> str | None:
    """Format of a file of calls by its first bytes: VCF, BCF, MAF, table, or None for none of them."""
    try:
        with opened(path) as handle:
            head = handle.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return None
    if head.startswith(b"BCF"):
        return "BCF"
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    if any(line.startswith(("##fileformat=VCF", "#CHROM\t")) for line in lines):
        return "VCF"
    names = _names(next((line for line in lines if not line.startswith("#")), ""))
    for kind, known in (("MAF", _MAF), ("table", _TABLE)):
        if all(set(spellings) & set(names) for spellings in known.values()):
            return kind
    return None


def find_calls(paths: Sequence[Path]) -> dict[Path, str]:
    """Files of calls with their formats; a folder stands for its files, which must be of one format.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Files and folders. Hidden files and indexes in a folder are passed over.

    Returns
    -------
    dict of pathlib.Path to str
        VCF, BCF, MAF or table, in the order of `paths` and of the names in a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a folder is empty or holds several formats, or a file is of none.
    """
    found: dict[Path, str] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"Calls must be files or folders, but {path} is none. Check the spelling."
            )
        files = [path]
        if path.is_dir():
            files = [
                file
                for file in sorted(path.iterdir())
                if not file.name.startswith(".") and file.suffix not in _ASIDE
            ]
        if not files:
            raise ValueError(f"A folder of calls must hold files, but {path} holds none. Name another.")
        formats = {file: call_format(file) if file.is_file() else None for file in files}
        unknown = [file.name for file, kind in formats.items() if kind is None]
        if unknown:
            raise ValueError(
                "Calls must be VCF, BCF, MAF, or a table with the columns chromosome, position, ref, alt and "
                f"sample, but {len(unknown)} of {len(files)} at {path} are not: {list_names(unknown)}. "
                "Convert or remove them."
            )
        kinds = Counter(kind for kind in formats.values() if kind is not None)
        if len(kinds) > 1:
            rare = min(kinds, key=lambda kind: kinds[kind])
            odd = [file.name for file, kind in formats.items() if kind == rare]
            raise ValueError(
                f"A folder of calls must hold one format, but {path} holds {' and '.join(sorted(kinds))}; "
                f"{rare}: {list_names(odd)}. Name the files one by one instead."
            )
        found |= {file: kind for file, kind in formats.items() if kind is not None}
    return found


def read_calls(path: Path, kind: str, *, passed: bool = True) -> Calls:
    """Read one file of calls.

    Parameters
    ----------
    path : pathlib.Path
        A file, plain or compressed with gzip or bgzip.
    kind : str
        What `call_format` found.
    passed : bool
        Leave out calls whose FILTER is neither PASS nor empty; a MAF or table may have no such column.

    Returns
    -------
    Calls

    Raises
    ------
    ValueError
        If the file is cut off or damaged, a position is no whole number, a sample has no name, or the file
        does not say which sample holds a call.
    ImportError
        If cyvcf2, which reads BCF, is not installed.
    """
    left_out: LeftOut = {}
    with whole_file(path, "A file of calls"):
        if kind in ("VCF", "BCF"):
            parts, samples = read_vcf(path, binary=kind == "BCF", passed=passed, left_out=left_out)
        else:
            parts, samples = _read_table(path, maf=kind == "MAF", passed=passed, left_out=left_out)
    empty = pd.DataFrame(columns=list(COLUMNS), dtype=object).astype({"position": np.int64})
    table = pd.concat([empty, *parts], ignore_index=True) if parts else empty
    return Calls(readable(table, left_out), samples, left_out)


def _mark(header: str) -> str:
    return "\t" if "\t" in header else ("," if "," in header else ";")


def _names(header: str) -> list[str]:
    """Names of a header line, in lower case."""
    return [name.strip().casefold() for name in next(csv.reader([header], delimiter=_mark(header)), [])]


def _places(names: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Number of each column that is there, by its name here."""
    return {
        column: next(names.index(spelling) for spelling in spellings if spelling in names)
        for column, spellings in {**known, **_MORE}.items()
        if set(spellings) & set(names)
    }


def _read_table(
    path: Path, *, maf: bool, passed: bool, left_out: LeftOut
) -> tuple[list[pd.DataFrame], list[str]]:
    parts: list[pd.DataFrame] = []
    samples: dict[str, None] = {}
    with opened(path) as handle:
        lines = (line.decode("utf-8-sig") for line in iter(handle.readline, b""))
        header = next(line for line in lines if line.strip() and not line.startswith("#")).rstrip("\r\n")
        names = _names(header)
        places = _places(names, _MAF if maf else _TABLE)
        for rows in text_chunks(handle, len(names), list(places.values()), mark=_mark(header)):
            cells = pd.DataFrame({column: stripped(rows[number]) for column, number in places.items()})
            nameless = (cells["sample"] == "").to_numpy(bool)
            if nameless.any():
                raise ValueError(
                    f"Every call must name its sample, but {int(nameless.sum())} of {path.name} do not; the "
                    f"first is at {cells['chromosome'][nameless].iloc[0]}:"
                    f"{cells['position'][nameless].iloc[0]}. The file may be cut off; write it again."
                )
            samples |= dict.fromkeys(cells["sample"].unique())
            if passed and "filter" in cells:
                cells = passing(cells, cells["filter"], left_out)
            cells = cells.assign(position=positions(cells["position"], path))
            parts += _both_alleles(cells) if maf and "other" in cells else [cells[list(COLUMNS)]]
    return parts, list(samples)


def _both_alleles(cells: pd.DataFrame) -> list[pd.DataFrame]:
    """Calls of a MAF by its second allele, and by its first where that is one more change."""
    ref, first, second = cells["ref"], cells["other"], cells["alt"]
    more = ~first.isin(NO_ALLELE) & (first != ref) & (first != second)
    only_first = more & (second == ref)
    return [cells.loc[~only_first, list(COLUMNS)], cells.assign(alt=first).loc[more, list(COLUMNS)]]
