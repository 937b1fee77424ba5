"""A file of calls as the panel that writer and reader of an archive both hold."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latentgenomes.genotypes.data.records import open_calls
from latentgenomes.genotypes.models.blocks import KnownRows
from latentgenomes.genotypes.verbs.blocks_of import block_of

Places = Callable[[dict[str, list[bytes]], Any], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Panel:
    """Rows of a panel, its sites by name, and its fingerprint."""

    rows: KnownRows
    sites: dict[tuple[bytes, ...], int]
    fingerprint: str

    def places(self, columns: dict[str, list[bytes]], positions: Any) -> npt.NDArray[np.int64]:
        """The panel's site of each site (n_sites,), or -1: the same chromosome, position and alleles."""
        return np.array([self.sites.get(name, -1) for name in site_names(columns, positions)], dtype=np.int64)


NO_PANEL = Panel(KnownRows(), {}, "")


def plain_chromosome(name: bytes) -> bytes:
    """Name of a chromosome without the prefix chr."""
    return name[3:] if name[:3].lower() == b"chr" and len(name) > 3 else name


def site_names(columns: dict[str, list[bytes]], positions: Any) -> list[tuple[bytes, ...]]:
    """Chromosome (without chr), position and alleles of every site."""
    if positions is None:
        words = [(line.split() + [b""] * 6)[:6] for line in columns["line"]]
        return [(plain_chromosome(word[0]), word[3], word[4], word[5]) for word in words]
    chromosomes = [plain_chromosome(name) for name in columns["chromosome"]]
    texts = [b"%d" % position for position in positions.tolist()]
    return list(zip(chromosomes, texts, columns["ref"], columns["alt"], strict=True))


def read_panel(path: Path, kind: str) -> Panel:
    """Panel of a file of a kind; a missing allele is the site's commonest, a place that half lack is left
    out.

    Raises
    ------
    ValueError
        If the file is of another kind, or holds no calls.
    """
    file = open_calls(path)
    if file.kind != kind:
        raise ValueError(
            f"The panel must be of the kind {kind}, as the file is, but {path.name} is of {file.kind}. "
            "Convert one of them."
        )
    blocks = [block_of(rows, file.samples) for rows in file.blocks]
    n_sites = sum(block.n_sites for block in blocks)
    n_places = max((block.cells.shape[2] for block in blocks), default=0)
    if n_sites * len(file.samples) * n_places == 0:
        raise ValueError(f"A panel must hold sites and samples, but {path.name} has none. Pass another file.")
    alleles = np.full((n_sites, len(file.samples), n_places), -2, dtype=np.int16)
    names, at = [], 0
    for block in blocks:
        alleles[at : at + block.n_sites, :, : block.cells.shape[2]] = block.cells
        names += site_names(block.columns, block.positions)
        at += block.n_sites
    rows = alleles.reshape(n_sites, -1)
    rows = rows[:, (rows == -2).mean(axis=0) <= 0.5]
    rows = np.ascontiguousarray(rows[:, : rows.shape[1] // 2 * 2])
    for site in np.flatnonzero((rows < 0).any(axis=1)):
        seen = rows[site][rows[site] >= 0]
        rows[site][rows[site] < 0] = np.bincount(seen).argmax() if len(seen) else 0
    sites: dict[tuple[bytes, ...], int] = {}
    for number, name in enumerate(names):
        sites.setdefault(name, number)
    state = hashlib.blake2b(digest_size=16)
    state.update(b"\n".join(b"\t".join(name) for name in names))
    state.update(str(rows.shape).encode() + rows.astype("<i2").tobytes())
    return Panel(KnownRows(rows), sites, state.hexdigest())
