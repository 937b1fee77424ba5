"""A block of sites with its calls, to bytes and back.

The bytes of a block, all numbers little-endian:

==========  ==================================================================================
bytes       content
==========  ==================================================================================
4, 1, 1     number of sites, places of a call, number of text columns
1, 1, 4     of each column: which, how (0 one value for all, 1 as it is, 2 LZMA), length
...         the texts of the columns, a line a value
1, 4 n      number of classes of separators, and what each stands for
4, ...      length of the stream of positions and single bases (0 where there is none), the stream
...         the stream of calls
==========  ==================================================================================

Separators of a call are bits: bit k is 1 where a bar stands after allele k, and bits 16 and 17 say what
stands before the first one: nothing, a slash (1) or a bar (2).
"""

import hashlib
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from latentgenomes.genotypes.models.arithmetic import (
    N_NUMBER,
    new_chances,
    new_coder,
    pace_table,
    written,
)
from latentgenomes.genotypes.models.call_streams import code_calls, code_sites, new_sides
from latentgenomes.genotypes.models.columns import new_model
from latentgenomes.genotypes.models.container import CodecError

COLUMNS = ("chromosome", "id", "ref", "alt", "quality", "filter", "info", "format", "rest", "line")
MOST_SITES, MOST_PLACES, MOST_CELLS, MOST_ROWS = 1 << 16, 16, 1 << 27, 1 << 22
DIGEST_BYTES = 16
_MOST_TEXT = 1 << 30
_HEAD, _COLUMN, _LENGTH = struct.Struct("<IBB"), struct.Struct("<BBI"), struct.Struct("<I")
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 24}]
_BASES = b"ACGT"
_TRAINED = 1024  # rows of a panel that the chances learn from, at least; see `_n_trained`

Cells = npt.NDArray[np.int16]


@dataclass(frozen=True)
class CallBlock:
    """Sites and calls.

    columns: text of each site by name of the column; positions (n_sites,), or None where a column ``line``
    holds them; cells (n_sites, n_samples, n_places), allele numbers, -1 missing, -2 no such place; separators
    (n_sites, n_samples), see the module.
    """

    columns: dict[str, list[bytes]]
    positions: npt.NDArray[np.int64] | None
    cells: Cells
    separators: npt.NDArray[np.uint32]

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.cells)

    def digest(self) -> bytes:
        """BLAKE2b of everything in it, 16 bytes."""
        state = hashlib.blake2b(digest_size=DIGEST_BYTES)
        state.update(str(self.cells.shape).encode())
        for name in COLUMNS:
            if name in self.columns:
                state.update(name.encode() + b"\0" + b"\n".join(self.columns[name]) + b"\0")
        if self.positions is not None:
            state.update(self.positions.astype("<i8").tobytes())
        state.update(self.cells.astype("<i2").tobytes())
        state.update(self.separators.astype("<u4").tobytes())
        return state.digest()

    def take(self, sites: npt.NDArray[Any], samples: npt.NDArray[Any] | None = None) -> "CallBlock":
        """Some sites, and some samples, in the order wanted."""
        columns = {name: [values[i] for i in sites] for name, values in self.columns.items()}
        cells, separators = self.cells[sites], self.separators[sites]
        if samples is not None:
            cells, separators = cells[:, samples], separators[:, samples]
            if "rest" in columns:
                split = [value.split(b"\t") for value in columns["rest"]]
                columns["rest"] = [
                    b"" if words == [b""] else b"\t".join(words[i] for i in samples) for words in split
                ]
        return CallBlock(
            columns, None if self.positions is None else self.positions[sites], cells, separators
        )


@dataclass(frozen=True)
class KnownRows:
    """Rows of a panel, which writer and reader hold: alleles (n_panel_sites, n_rows), -1 where there is
    none.
    """

    alleles: Cells = field(default_factory=lambda: np.zeros((1, 0), dtype=np.int16))

    def n_trained(self, n_coded: int) -> int:
        """How many rows the chances learn from."""
        n_rows = self.alleles.shape[1]
        return min(n_rows, max(_TRAINED, 2 * n_coded))


def _pack_text(values: list[bytes]) -> tuple[int, bytes]:
    if len(set(values)) == 1:
        return 0, values[0]
    text = b"\n".join(values)
    packed = lzma.compress(text, format=lzma.FORMAT_RAW, filters=_FILTERS)
    return (2, packed) if len(packed) < len(text) else (1, text)


def _unpack_text(how: int, data: bytes, n_values: int) -> list[bytes]:
    if how == 0:
        return [data] * n_values
    if how == 2:
        try:
            unpack = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_FILTERS)
            data = unpack.decompress(data, _MOST_TEXT)
        except (lzma.LZMAError, EOFError):
            data = b""
    values = data.split(b"\n") if n_values else []
    if how > 2 or len(values) != n_values:
        raise CodecError(
            f"A column of text must hold {n_values} values, but it does not: the archive was altered. Copy "
            "it again from its source."
        )
    return values


def _run(start: Callable[[], tuple[Any, ...]], function: Any, room: int) -> bytes:
    """Bytes of a stream that a compiled function writes; with more room when there was too little."""
    while True:
        data = np.empty(room, dtype=np.uint8)
        coder = new_coder(reading=False)
        function(*start(), (coder, data))
        if not coder[5]:
            return written(data, coder)
        room *= 4


def _pair_numbers(columns: dict[str, list[bytes]]) -> npt.NDArray[np.uint8]:
    """Number of each site's pair of single bases, or 16."""
    found = []
    for ref, alt in zip(columns["ref"], columns["alt"], strict=True):
        single = len(ref) == len(alt) == 1 and ref in _BASES and alt in _BASES
        found.append(4 * _BASES.index(ref) + _BASES.index(alt) if single else 16)
    return np.array(found, dtype=np.uint8)


def encode_block(block: CallBlock, known: KnownRows, panel_site: npt.NDArray[np.int64]) -> bytes:
    """Bytes of a block; panel_site (n_sites,) names the panel's site of each, or -1."""
    n_sites, n_samples, n_places = block.cells.shape
    columns = dict(block.columns)
    sites = b""
    if block.positions is not None:
        bases = _pair_numbers(columns)
        odd = np.flatnonzero(bases == 16)
        for name in ("ref", "alt"):
            columns[name] = [columns[name][i] for i in odd]
        positions = block.positions

        def start() -> tuple[Any, ...]:
            chances = new_chances(2, N_NUMBER), new_chances(64)
            return positions.copy(), bases.copy(), chances, pace_table()

        sites = _run(start, code_sites, 1024 + 16 * n_sites)
    words, classes = np.unique(block.separators, return_inverse=True)
    if len(words) > 255:
        raise ValueError(
            f"A block must hold at most 255 ways to separate alleles, but it holds {len(words)}. Write fewer "
            "sites a block."
        )
    classes = classes.reshape(block.separators.shape).astype(np.uint8)
    n_coded = n_samples * n_places

    def begin() -> tuple[Any, ...]:
        sides, model = new_sides(n_samples, n_places), new_model(known.alleles.shape[1] + n_coded)
        return (
            block.cells.copy(),
            classes.copy(),
            (known.alleles, panel_site, known.n_trained(n_coded)),
            sides,
            model,
        )

    calls = _run(begin, code_calls, 4096 + n_sites * n_coded // 2)
    texts = [(COLUMNS.index(name), *_pack_text(values)) for name, values in columns.items() if values]
    parts = [_HEAD.pack(n_sites, n_places, len(texts))]
    parts += [_COLUMN.pack(number, how, len(text)) for number, how, text in texts]
    parts += [text for _, _, text in texts]
    parts += [bytes([len(words)]), words.astype("<u4").tobytes(), _LENGTH.pack(len(sites)), sites, calls]
    return b"".join(parts)


class _Bytes:
    """Bytes that are taken from the front; CodecError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, n: int | None = None) -> bytes:
        stop = len(self._data) if n is None else self._at + n
        if stop > len(self._data):
            raise CodecError(
                f"A block must hold {stop} bytes or more, but it holds {len(self._data)}: the archive was "
                "altered. Copy it again from its source."
            )
        found = self._data[self._at : stop]
        self._at = stop
        return found

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.take(form.size))


def _check_size(n_sites: int, n_samples: int, n_places: int) -> None:
    fits = 1 <= n_sites <= MOST_SITES and 1 <= n_places <= MOST_PLACES
    n_rows = n_samples * n_places
    if not fits or n_rows > MOST_ROWS or n_sites * n_rows > MOST_CELLS:
        raise CodecError(
            f"A block must hold at most {MOST_SITES} sites, {MOST_PLACES} places a call, {MOST_ROWS} places "
            f"a site and {MOST_CELLS} in all, but its head says {n_sites} sites of {n_samples} samples and "
            f"{n_places} places. Copy the archive again from its source."
        )


def _read_sites(data: bytes, n_sites: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    positions, bases = np.zeros(n_sites, dtype=np.int64), np.zeros(n_sites, dtype=np.uint8)
    chances = new_chances(2, N_NUMBER), new_chances(64)
    code_sites(positions, bases, chances, pace_table(), (new_coder(reading=True), _stream(data)))
    return positions, bases


def _stream(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8).copy()


def decode_block(data: bytes, n_samples: int, known: KnownRows, panel_site: Any) -> CallBlock:
    """The block that `encode_block` wrote; CodecError where the bytes cannot be one.

    panel_site is a function of the columns and positions: (n_sites,) the panel's site of each, or -1.
    """
    rest = _Bytes(data)
    n_sites, n_places, n_columns = rest.unpack(_HEAD)
    _check_size(n_sites, n_samples, n_places)
    heads = [rest.unpack(_COLUMN) for _ in range(n_columns)]
    packed = {number: (how, rest.take(length)) for number, how, length in heads}
    n_words = rest.take(1)[0]
    words = np.frombuffer(rest.take(4 * n_words), dtype="<u4").astype(np.uint32)
    n_stream = rest.unpack(_LENGTH)[0]
    positions, odd, bases = None, np.arange(n_sites), np.zeros(0, dtype=np.uint8)
    if n_stream:
        positions, bases = _read_sites(rest.take(n_stream), n_sites)
        odd = np.flatnonzero(bases == 16)
    columns = {}
    for number, name in enumerate(COLUMNS):
        if number in packed:
            columns[name] = _unpack_text(*packed[number], len(odd) if name in ("ref", "alt") else n_sites)
    if positions is not None:
        if "chromosome" not in columns or (len(odd) and not {"ref", "alt"} <= columns.keys()):
            raise CodecError(
                "A block must hold the text of its sites, but it does not: the archive was altered. Copy it "
                "again from its source."
            )
        for name, numbers in (("ref", bases >> 2), ("alt", bases & 3)):
            values = [_BASES[i : i + 1] for i in numbers & 3]
            for site, value in zip(odd, columns.get(name, []), strict=True):
                values[site] = value
            columns[name] = values
    cells = np.zeros((n_sites, n_samples, n_places), dtype=np.int16)
    classes = np.zeros((n_sites, n_samples), dtype=np.uint8)
    n_coded = n_samples * n_places
    sides, model = new_sides(n_samples, n_places), new_model(known.alleles.shape[1] + n_coded)
    panel = known.alleles, panel_site(columns, positions), known.n_trained(n_coded)
    stream = new_coder(reading=True), _stream(rest.take())
    code_calls(cells, classes, panel, sides, model, stream)
    if n_samples and classes.max() >= n_words:
        raise CodecError(
            "The calls must use the separators that the block names, but they use others: the archive was "
            "altered. Copy it again from its source."
        )
    separators = words[classes] if n_words else np.zeros(classes.shape, dtype=np.uint32)
    return CallBlock(columns, positions, cells, separators)
