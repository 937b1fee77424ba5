"""Rows of calls, as every format of calls gives them, and a count of what is left out.

A call has a chromosome, the position of its first base (1-based), the reference and the alternative bases,
and a sample. Where a file writes ``-`` for no base, the allele is empty here, and the position of an
insertion is that of the base behind it.
"""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Number of calls that were left out, by reason, then by detail (such as a FILTER); the detail may be empty.
LeftOut = dict[str, Counter[str]]
COLUMNS = ("chromosome", "position", "ref", "alt", "sample")
NO_ALLELE = ("", ".", "NA")

_CHUNK = 200_000  # rows read at once
_GZIP = b"\x1f\x8b"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # an empty last block


def leave_out(left_out: LeftOut, reason: str, details: Iterable[str]) -> None:
    """Count calls that are left out, one detail a call."""
    counted = Counter(details)
    if counted:
        left_out.setdefault(reason, Counter()).update(counted)


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, through gzip where its first bytes say so."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if compressed else path.open("rb")


@contextmanager
def whole_file(path: Path, what: str) -> Iterator[None]:
    """Turn the many errors of a damaged file into one."""
    try:
        with path.open("rb") as raw:
            start = raw.read(16)
            raw.seek(max(0, path.stat().st_size - len(_BGZF_END)))
            if start.startswith(_GZIP) and start[12:14] == b"BC" and raw.read() != _BGZF_END:
                raise EOFError  # blocks are missing, although each that is there is whole
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{what} must be whole, but {path.name} is cut off or damaged. Copy or write it again."
        ) from error


def text_chunks(
    handle: IO[bytes] | IO[str], n_columns: int, columns: Sequence[int], *, mark: str = "\t"
) -> Iterator[pd.DataFrame]:
    """Some columns of the rows that follow, as text; a cell that a row lacks is empty."""
    yield from pd.read_csv(
        handle,
        sep=mark,
        header=None,
        names=list(range(n_columns)),
        usecols=sorted(set(columns)),
        dtype=str,
        na_filter=False,
        quoting=csv.QUOTE_NONE if mark == "\t" else csv.QUOTE_MINIMAL,
        chunksize=_CHUNK,
        encoding="utf-8",
    )


def stripped(cells: pd.Series) -> pd.Series:
    """Cells without the spaces around them."""
    codes, texts = pd.factorize(cells)
    return pd.Series(texts.str.strip().to_numpy(dtype=object)[codes], index=cells.index, dtype=object)


def passing(rows: pd.DataFrame, filters: pd.Series, left_out: LeftOut) -> pd.DataFrame:
    """Rows whose FILTER is PASS or empty."""
    passes = filters.isin(["PASS", *NO_ALLELE])
    leave_out(left_out, "the FILTER is not PASS", filters[~passes])
    return rows[passes]


def positions(cells: pd.Series, path: Path) -> npt.NDArray[np.int64]:
    """Whole numbers of some cells."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(numbers == np.floor(numbers)) | (numbers < 0)
    if bad.any():
        raise ValueError(
            f"A position must be a whole number, but {int(bad.sum())} of {path.name} are not; the first is "
            f"{cells.iloc[int(bad.argmax())]!r}. Correct the file, or write it again."
        )
    return numbers.astype(np.int64)


def readable(table: pd.DataFrame, left_out: LeftOut) -> pd.DataFrame:
    """Calls with two different alleles of known bases, in upper case; ``-`` becomes no base."""
    table = table.assign(chromosome=stripped(table["chromosome"]))
    for column in ("ref", "alt"):
        codes, texts = pd.factorize(stripped(table[column]))
        upper = np.array([text.upper() for text in texts], dtype=object)
        faults = [_fault(text) for text in upper]
        bad = np.array([bool(reason) for reason, _ in faults], dtype=bool)[codes]
        for code in codes[bad]:
            leave_out(left_out, faults[code][0], [faults[code][1]])
        table = table.assign(**{column: upper[codes]})[~bad]
    equal = (table["ref"] == table["alt"]).to_numpy(bool)
    leave_out(left_out, "REF and ALT are equal", [""] * int(equal.sum()))
    table = table[~equal].reset_index(drop=True)
    # An insertion without an anchor stands behind the base that is named.
    position = table["position"] + (table["ref"] == "-")
    ref, alt = table["ref"].replace("-", ""), table["alt"].replace("-", "")
    return table.assign(position=position.astype(np.int64), ref=ref, alt=alt)


def _fault(allele: str) -> tuple[str, str]:
    """Why an allele cannot be counted, and a detail; two empty texts where it can."""
    if allele in NO_ALLELE:
        return "an allele is missing", ""
    if "[" in allele or "]" in allele or (len(allele) > 1 and "." in (allele[0], allele[-1])):
        return "the allele is symbolic", "breakend"
    if allele == "*" or allele.startswith("<"):
        return "the allele is symbolic", allele
    if allele != "-" and set(allele) - set("ACGT"):
        return "an allele has other letters than A, C, G, T", allele[:20]
    return "", ""
