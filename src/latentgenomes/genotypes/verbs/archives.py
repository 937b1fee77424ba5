"""Compressed files of calls: blocks of sites, and a directory of them at the end.

All numbers little-endian:

==========  ==================================================================================
bytes       content
==========  ==================================================================================
4, 1        ``LGVF``, version of the format
...         blocks of sites, one after another: `latentgenomes.genotypes.models.blocks`
...         directory: LZMA of JSON
4, 16, 4    length of the directory, BLAKE2b of it and of the first five bytes, ``LGVE``
==========  ==================================================================================

The directory holds what is one for all (kind, samples, header, what is kept, the panel by its fingerprint)
and of each block its length, number of sites, BLAKE2b of its bytes and of what it decodes to, and the stretch
of each chromosome in it. So a reader takes the end, then the blocks that it needs. A block whose bytes are
not those of the directory is refused, and so is one that decodes to anything else than was written.
"""

import hashlib
import json
import lzma
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from latentgenomes.genotypes.models.container import CodecError

MAGIC, END, VERSION = b"LGVF", b"LGVE", 2
FIRST_VERSION = 1
MARK_BYTES = 8  # of the digests of a block
_FOOT = struct.Struct("<I16s4s")
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 22}]
_MOST_DIRECTORY = 1 << 28


def mark(data: bytes) -> str:
    """BLAKE2b of bytes, 8 bytes, in hexadecimals."""
    return hashlib.blake2b(data, digest_size=MARK_BYTES).hexdigest()


@dataclass(frozen=True)
class BlockEntry:
    """A block in the directory: length in bytes, number of sites, two digests, and [chromosome, first base,
    last base] of each of its chromosomes.
    """

    length: int
    n_sites: int
    mark: str
    content: str
    stretches: list[list[Any]]


@dataclass(frozen=True)
class Directory:
    """What an archive holds. `panel`: name, fingerprint and number of rows, or None where it stands alone."""

    kind: str
    samples: list[str]
    header: str
    keep: str
    whole_lines: bool
    panel: dict[str, Any] | None
    blocks: list[BlockEntry]

    def to_bytes(self) -> bytes:
        """Directory and foot."""
        text = json.dumps(asdict(self), separators=(",", ":")).encode()
        packed = lzma.compress(text, format=lzma.FORMAT_RAW, filters=_FILTERS)
        return packed + _FOOT.pack(len(packed), _seal(packed), END)


def head() -> bytes:
    """First bytes of an archive."""
    return MAGIC + bytes([VERSION])


def _seal(packed: bytes) -> bytes:
    return hashlib.blake2b(head() + packed, digest_size=16).digest()


def version_of(path: Path) -> int:
    """Version of an archive; CodecError for any other file."""
    if not path.is_file():
        raise FileNotFoundError(f"path must be an archive, but there is none at {path}. Check the spelling.")
    with path.open("rb") as file:
        start = file.read(5)
    if start[:4] != MAGIC:
        raise CodecError(
            f"An archive must start with {MAGIC!r}, but {path.name} starts with {start[:4]!r}. Pass what "
            "latentgenomes compress wrote."
        )
    if len(start) < 5 or start[4] not in (FIRST_VERSION, VERSION):
        raise CodecError(
            f"An archive must be of version {FIRST_VERSION} or {VERSION}, but {path.name} is of "
            f"{start[4:5].hex() or 'none'}. Decode it with the version of the package that wrote it."
        )
    return start[4]


def _cut(path: Path) -> CodecError:
    return CodecError(
        f"{path.name} must end with the directory of its blocks and its digest, but it does not: the file "
        "was cut or altered. Copy it again from its source."
    )


def read_directory(path: Path) -> Directory:
    """Directory of an archive of this version; CodecError where it was cut or altered."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < len(head()) + _FOOT.size:
            raise _cut(path)
        file.seek(size - _FOOT.size)
        length, seal, end = _FOOT.unpack(file.read(_FOOT.size))
        start = size - _FOOT.size - length
        if end != END or start < len(head()):
            raise _cut(path)
        file.seek(start)
        packed = file.read(length)
    if _seal(packed) != seal:
        raise _cut(path)
    try:
        unpack = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_FILTERS)
        words = json.loads(unpack.decompress(packed, _MOST_DIRECTORY))
        words["blocks"] = [BlockEntry(**entry) for entry in words["blocks"]]
        found = Directory(**words)
        lengths = [entry.length for entry in found.blocks]
        sound = all(isinstance(n, int) and n >= 0 for n in lengths) and len(head()) + sum(lengths) == start
        sound &= found.kind in ("vcf", "plink") and all(isinstance(name, str) for name in found.samples)
        sound &= all(len(part) == 3 for entry in found.blocks for part in entry.stretches)
    except (lzma.LZMAError, EOFError, ValueError, TypeError, KeyError) as error:
        raise _cut(path) from error
    if not sound:
        raise _cut(path)
    return found


def read_block(file: BinaryIO, directory: Directory, number: int) -> bytes:
    """Bytes of a block; CodecError where they are not those that the directory names."""
    entry = directory.blocks[number]
    file.seek(len(head()) + sum(other.length for other in directory.blocks[:number]))
    data = file.read(entry.length)
    if mark(data) != entry.mark:
        raise CodecError(
            f"Block {number + 1} of {len(directory.blocks)} must have the digest that the directory names, "
            "but it has not: the file was cut or altered. Copy it again from its source."
        )
    return data
