"""Sequences of chromosomes from a FASTA file, whichever way it names them."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.mutations.calls import opened, whole_file
from latentgenomes.mutations.channels import BASES

UNKNOWN = 4  # code of every other letter
_BLOCK = 1 << 24  # bytes read at once
_LETTERS = bytes(ord(chr(i).upper()) if chr(i).upper() in BASES and i < 128 else ord("N") for i in range(256))
_CODES = np.array([BASES.find(chr(i)) % (UNKNOWN + 1) for i in range(256)], dtype=np.uint8)


def common_name(chromosome: str) -> str:
    """Name of a chromosome without its prefix: ``chr1`` is 1, and ``chrM`` is MT.

    Parameters
    ----------
    chromosome : str
        As a file of calls or a FASTA file has it.

    Returns
    -------
    str
        In upper case.
    """
    name = chromosome.upper()
    name = name[3:] if name.startswith("CHR") and len(name) > 3 else name
    return "MT" if name == "M" else name


def bases_at(sequence: bytes, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Codes 0 to 3 of A, C, G and T at 0-based positions; `UNKNOWN` for N and outside of the sequence."""
    inside = (index >= 0) & (index < len(sequence))
    letters = np.frombuffer(sequence, dtype=np.uint8)
    codes = np.full(len(index), UNKNOWN, dtype=np.uint8)
    codes[inside] = _CODES[letters[index[inside]]]
    return codes


def read_chromosomes(path: str | Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Read some chromosomes of a FASTA file, one after the other.

    Where a plain file has an index beside it (``.fai``, not older than the file), only these chromosomes are
    read; without one, the file is read once from its start to its end.

    Parameters
    ----------
    path : str or pathlib.Path
        FASTA, plain or compressed with gzip or bgzip.
    wanted : collection of str
        Names as `common_name` gives them.

    Yields
    ------
    tuple of str and bytes
        The common name and the bases: A, C, G, T, and N for all else.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no FASTA, is cut off, or has a chromosome twice.
    ImportError
        If there is an index and pyfaidx, which reads by it, is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The genome must be a FASTA file, but {path} is none. Check the spelling.")
    with opened(path) as handle:
        start = handle.read(1)
    if start != b">":
        raise ValueError(f"The genome must be FASTA, which begins with '>', but {path.name} does not.")
    index = path.with_name(path.name + ".fai")
    indexed = index.is_file() and os.stat(index).st_mtime >= os.stat(path).st_mtime and _plain(path)
    seen: dict[str, str] = {}
    with whole_file(path, "A genome"):
        for name, bases in _by_index(path, index, wanted) if indexed else _in_full(path, wanted):
            common = common_name(name)
            if common in seen:
                raise ValueError(
                    f"A genome must hold every chromosome once, but {path.name} holds {common} as "
                    f"{seen[common]!r} and as {name!r}. Remove one of them."
                )
            seen[common] = name
            yield common, bases


def chromosome_names(path: str | Path) -> str:
    """First names of a FASTA file, for an error message."""
    with opened(Path(path)) as handle:
        return list_names([name for name, _ in _records(handle, ())])


def _plain(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(1) == b">"


def _by_index(path: Path, index: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    faidx = require("pyfaidx", extra="signatures").Faidx(str(path), indexname=str(index), rebuild=False)
    try:
        for name, entry in faidx.index.items():
            if common_name(name) in wanted:
                text = faidx.fetch(name, 1, entry.rlen).seq
                yield name, text.encode("ascii", errors="replace").translate(_LETTERS)
    finally:
        faidx.close()


def _in_full(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    with opened(path) as handle:
        for name, bases in _records(handle, wanted):
            if common_name(name) in wanted:
                yield name, bases


def _records(handle: IO[bytes], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Name of every record, with its bases where it is wanted."""
    name: str | None = None
    kept: list[bytes] = []
    while block := handle.read(_BLOCK):
        block += handle.readline()  # up to the end of a line, so that no header is cut
        for number, piece in enumerate((b"\n" + block).split(b"\n>")):
            if number:
                if name is not None:
                    yield name, b"".join(kept)
                header, _, piece = piece.partition(b"\n")
                name, kept = (header.decode("utf-8").split() or [""])[0], []
            if name is not None and common_name(name) in wanted:
                kept.append(piece.translate(_LETTERS, b"\r\n \t"))
    if name is not None:
        yield name, b"".join(kept)
