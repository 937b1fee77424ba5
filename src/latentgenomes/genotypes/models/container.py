"""Range coder bridge and container format: calls and integer probability tables to bytes, and back.

A file is one container, all numbers little-endian:

====================  =======================================================================
bytes                 content
====================  =======================================================================
4                     ``LGHC``
1                     version of the format
1                     method: which model wrote the payload
8                     fingerprint of the model or panel, BLAKE2b
8                     digest of the decoded calls, BLAKE2b
1 to 5, 1 to 5        number of haplotypes, number of SNPs, 7 bits a byte, last byte < 128
4 n                   payload: words of the range coder
8                     digest of all bytes before it, BLAKE2b
====================  =======================================================================

The last digest is checked first, so a file that was cut or altered is refused before anything is read from
it. The fingerprint and the number of SNPs are checked against the model that shall decode. The digest of the
calls is checked after decoding: a machine that computes other probabilities is found out, never believed.

Probabilities are whole numbers, shares of 2**24. The range coder takes them as double precision numbers, but
every product it forms of them has fewer than 53 bits, so that each step is exact and the same everywhere.

References
----------
Bamler 2022, arXiv 2201.01741 (the range coder of constriction).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentgenomes.core.extras import require

MAGIC = b"LGHC"
VERSION = 1
PRECISION = 24  # bits of a probability
TOTAL = 1 << PRECISION
#: Least share of 2**24 that a call may have. It bounds how many calls a payload can hold.
SMALLEST = 1 << 8
DIGEST_BYTES = 8
_MOST = 1 << 35  # haplotypes or SNPs that five bytes can name
# A call of the greatest probability costs this many bits; no payload holds more calls than its bits allow.
_LEAST_BITS = -float(np.log2(1 - SMALLEST / TOTAL))
_CODER_BITS = 128  # what the range coder may add to the calls of a whole file

IntArray = npt.NDArray[np.integer[Any]]


class CodecError(ValueError):
    """A compressed file is cut, altered, foreign, or cannot be decoded here."""


@dataclass(frozen=True)
class Header:
    """What a container says of its payload: `method` 0 to 255, two digests of 8 bytes, the shape of the
    calls.
    """

    method: int
    fingerprint: bytes
    calls_digest: bytes
    n_haplotypes: int
    n_snps: int


def digest(parts: Iterable[bytes | npt.NDArray[Any]]) -> bytes:
    """BLAKE2b digest of arrays (little-endian, C order) and bytes, 8 bytes; type and shape of every part
    count.
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        if isinstance(part, np.ndarray):
            ordered = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
            state.update(f"{ordered.dtype.str}{ordered.shape}".encode())
            state.update(ordered.tobytes())
        else:
            state.update(f"bytes{len(part)}".encode())
            state.update(part)
    return state.digest()


def _varint(number: int) -> bytes:
    if not 1 <= number < _MOST:
        raise ValueError(
            f"A container holds 1 to {_MOST - 1} haplotypes and SNPs, but {number} came. Pass at least one."
        )
    groups = []
    while number >= 128:
        groups.append(number % 128 + 128)
        number //= 128
    return bytes([*groups, number])


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Number that starts at a byte, and where the next one starts."""
    number = 0
    for place, byte in enumerate(data[start : start + 5]):
        number += (byte % 128) << (7 * place)
        if byte < 128:
            return number, start + place + 1
    raise CodecError("The header must hold two numbers of at most 5 bytes, but it does not. Compress again.")


def pack(header: Header, payload: npt.NDArray[np.uint32]) -> bytes:
    """Bytes of a container; refused (ValueError) where the header names no haplotype or no SNP."""
    start = MAGIC + bytes([VERSION, header.method]) + header.fingerprint + header.calls_digest
    body = start + _varint(header.n_haplotypes) + _varint(header.n_snps) + payload.astype("<u4").tobytes()
    return body + hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()


def _check_whole(data: bytes) -> None:
    """Refuse what is no container of this version, or not as it was written."""
    least = len(MAGIC) + 2 + 3 * DIGEST_BYTES + 2
    if data[: len(MAGIC)] != MAGIC:
        raise CodecError(
            f"A compressed file must start with {MAGIC!r}, but this one starts with {data[:4]!r}. "
            "Pass what compress returned."
        )
    if len(data) < least:
        raise CodecError(
            f"A compressed file has at least {least} bytes, but this one has {len(data)}: it is cut off. "
            "Copy it again from its source."
        )
    if hashlib.blake2b(data[:-DIGEST_BYTES], digest_size=DIGEST_BYTES).digest() != data[-DIGEST_BYTES:]:
        raise CodecError(
            f"The last {DIGEST_BYTES} bytes must be the digest of the {len(data) - DIGEST_BYTES} before "
            "them, but they are not: the file was cut or altered. Copy it again from its source."
        )
    if data[len(MAGIC)] != VERSION:
        raise CodecError(
            f"The format must be version {VERSION}, but this file has version {data[len(MAGIC)]}. "
            "Decode it with the version of the package that wrote it."
        )


def unpack(
    data: bytes, *, method: int, fingerprint: bytes, n_snps: int
) -> tuple[Header, npt.NDArray[np.uint32]]:
    """Header and payload of a container; CodecError unless it is whole, this model's, and long enough."""
    data = bytes(data)
    _check_whole(data)
    start = len(MAGIC) + 2
    marks = data[start : start + DIGEST_BYTES], data[start + DIGEST_BYTES : start + 2 * DIGEST_BYTES]
    n_haplotypes, after = _read_varint(data, start + 2 * DIGEST_BYTES)
    found, after = _read_varint(data, after)
    words = data[after:-DIGEST_BYTES]
    if data[len(MAGIC) + 1] != method:
        raise CodecError(
            f"The file must be of method {method}, but it is of method {data[len(MAGIC) + 1]}. "
            "Decode it with a codec of that method."
        )
    if marks[0] != fingerprint:
        raise CodecError(
            f"The file must be written with the model or panel {fingerprint.hex()}, but it was written with "
            f"{marks[0].hex()}. Fit the codec to the panel that compressed it."
        )
    if found != n_snps or n_haplotypes < 1 or len(words) % 4:
        raise CodecError(
            f"The file must hold whole words for >= 1 haplotypes of {n_snps} SNPs, but it holds {len(words)} "
            f"bytes for {n_haplotypes} of {found}. Compress again."
        )
    if n_haplotypes * n_snps * _LEAST_BITS > 8 * len(words) + _CODER_BITS:
        raise CodecError(
            f"The header names {n_haplotypes} x {n_snps} calls, but {len(words)} bytes cannot hold so many. "
            "Nothing was decoded. Compress again."
        )
    return Header(method, *marks, n_haplotypes, n_snps), np.frombuffer(words, dtype="<u4").astype(np.uint32)


def binary_table(ones: IntArray) -> npt.NDArray[np.int64]:
    """Probability table (n, 2) of calls 0 and 1 from shares of a 1 (n,): rows sum to 2**24, none < 2**8."""
    table = np.empty((len(ones), 2), dtype=np.int64)
    kept = np.maximum(ones, SMALLEST, out=table[:, 1])
    np.minimum(kept, TOTAL - SMALLEST, out=kept)
    np.subtract(TOTAL, kept, out=table[:, 0])
    return table


def _probabilities(table: IntArray) -> npt.NDArray[np.float64]:
    if table.ndim != 2 or table.dtype.kind not in "iu":
        raise ValueError(
            f"table must hold whole numbers, one row a symbol, but it is {table.dtype} of shape "
            f"{table.shape}. Round probabilities to shares of 2**{PRECISION} first."
        )
    if len(table) and (table.min() < 1 or (table.sum(axis=1) != TOTAL).any()):
        off = (table < 1).any(axis=1) | (table.sum(axis=1) != TOTAL)
        raise ValueError(
            f"table must have rows of whole numbers >= 1 that sum to 2**{PRECISION}, but {off.sum()} of "
            f"{len(off)} rows do not; the first is row {off.argmax()}. Round so that every row keeps its sum."
        )
    return table / TOTAL  # exact: a power of two


class SymbolWriter:
    """Writes symbols with integer probability tables."""

    def __init__(self) -> None:
        stream = require("constriction", extra="genotypes").stream
        self._encoder = stream.queue.RangeEncoder()
        self._family = stream.model.Categorical(perfect=False)

    def write(self, symbols: IntArray, table: IntArray) -> None:
        """Append symbols (n,), each in 0 ... n_symbols - 1, with shares (n, n_symbols) >= 1 in rows that sum
        to 2**24.
        """
        probabilities = _probabilities(table)
        if symbols.shape != table.shape[:1]:
            raise ValueError(
                f"symbols must have one entry a row of table, but their shapes are {symbols.shape} and "
                f"{table.shape}. Pass one table row a symbol."
            )
        if len(symbols) == 0:
            return
        if symbols.min() < 0 or symbols.max() >= table.shape[1]:
            raise ValueError(
                f"symbols must lie in 0 ... {table.shape[1] - 1}, but they reach from {symbols.min()} to "
                f"{symbols.max()}. Pass a column for every symbol."
            )
        self._encoder.encode(symbols.astype(np.int32), self._family, probabilities)

    def words(self) -> npt.NDArray[np.uint32]:
        """Payload of everything written so far."""
        return np.asarray(self._encoder.get_compressed(), dtype=np.uint32)


class SymbolReader:
    """Reads what `SymbolWriter` wrote, with the same tables in the same order."""

    def __init__(self, words: npt.NDArray[np.uint32]) -> None:
        stream = require("constriction", extra="genotypes").stream
        self._decoder = stream.queue.RangeDecoder(np.ascontiguousarray(words, dtype=np.uint32))
        self._family = stream.model.Categorical(perfect=False)

    def read(self, table: IntArray) -> npt.NDArray[np.int64]:
        """Next symbols (n,) by tables (n, n_symbols); CodecError where the payload cannot come from these."""
        probabilities = _probabilities(table)
        if len(probabilities) == 0:
            return np.zeros(0, dtype=np.int64)
        try:
            return np.asarray(self._decoder.decode(self._family, probabilities), dtype=np.int64)
        except AssertionError as error:  # how the coder says that no symbol has these bits
            raise CodecError(
                "The payload must come from these probabilities, but no symbol has its bits. "
                "Decode it with the model that wrote it."
            ) from error

    def finish(self) -> None:
        """Refuse (CodecError) a payload with words left over."""
        if not self._decoder.maybe_exhausted():
            raise CodecError(
                "The payload must end with the last call, but words are left over. "
                "Decode it with the model that wrote it."
            )
