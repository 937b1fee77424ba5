"""Sites of a file as blocks of numbers, and blocks as lines of a file."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from latentgenomes.genotypes.data.records import SiteRows
from latentgenomes.genotypes.models import call_text
from latentgenomes.genotypes.models.blocks import MOST_CELLS, MOST_PLACES, CallBlock

_WRONG = {
    call_text.NO_ALLELE: "a call without an allele",
    call_text.TOO_LARGE: "an allele number above 32767",
    call_text.TOO_FEW: "a line of fewer calls than samples",
    call_text.TOO_MANY: "a line of more calls than samples",
    call_text.NO_SEPARATOR: "a call that is no GT",
    call_text.TOO_MANY_PLACES: f"a call of more than {MOST_PLACES} alleles",
}


def block_of(rows: SiteRows, samples: list[str]) -> CallBlock:
    """Block of some sites of a file; a ValueError names the first call that is none."""
    if not isinstance(rows.calls, list):
        return CallBlock(rows.columns, rows.positions, rows.calls, np.zeros(rows.calls.shape[:2], np.uint32))
    n_samples, n_sites = len(samples), len(rows.calls)
    there = np.flatnonzero([bool(text) for text in rows.calls])
    text = np.frombuffer(b"".join(rows.calls[i] + b"\n" for i in there) or b"\n", dtype=np.uint8)
    for n_places in (2, 4, MOST_PLACES):
        if n_sites * n_samples * n_places > MOST_CELLS:
            raise ValueError(
                f"A block must have at most {MOST_CELLS} alleles, but {n_sites} sites of {n_samples} samples "
                "have more. Pass fewer sites a block (--block)."
            )
        cells = np.full((len(there), n_samples, n_places), -2, dtype=np.int16)
        separators = np.zeros((len(there), n_samples), dtype=np.uint32)
        wrong, site, sample = call_text.read_calls(text, cells, separators)
        if wrong != call_text.TOO_MANY_PLACES:
            break
    if wrong:
        at = there[site]
        position = 0 if rows.positions is None else rows.positions[at]
        where = f"{rows.columns['chromosome'][at].decode()}:{position}"
        raise ValueError(
            f"Calls must be such as 0|1, 0/1 or ./., but at {where} there is {_WRONG[wrong]}, at sample "
            f"{samples[sample]}. Check the file, for example with bcftools view."
        )
    used = max(int((cells != -2).any(axis=(0, 1)).sum()), 1) if cells.size else 1
    every = np.full((n_sites, n_samples, used), -2, dtype=np.int16)
    every[there] = cells[:, :, :used]
    words = np.zeros((n_sites, n_samples), dtype=np.uint32)
    words[there] = separators
    return CallBlock(rows.columns, rows.positions, every, words)


def _fields(block: CallBlock, name: str, otherwise: bytes) -> list[bytes]:
    return block.columns.get(name, [otherwise] * block.n_sites)


def vcf_lines(block: CallBlock) -> Iterator[bytes]:
    """Lines of a VCF, without their line feeds."""
    n_samples = block.cells.shape[1]
    calls = call_text.call_lines(block.cells, block.separators)
    positions = [] if block.positions is None else block.positions.tolist()
    columns = block.columns
    kept = "rest" in columns
    fixed = zip(
        columns["chromosome"],
        positions,
        *(columns[name] for name in ("id", "ref", "alt")),
        *(_fields(block, name, b".") for name in ("quality", "filter", "info")),
        strict=True,
    )
    forms, rests = _fields(block, "format", b"GT"), _fields(block, "rest", b"")
    for site, form, rest, text in zip(fixed, forms, rests, calls, strict=True):
        head = b"\t".join((site[0], b"%d" % site[1], *site[2:]))
        if n_samples == 0:
            yield head + (b"\t" + form if kept and form else b"")
        elif rest and form != b"GT" and not form.startswith(b"GT:"):
            yield b"\t".join((head, form, rest))
        elif rest:
            pairs = zip(text.split(b"\t"), rest.split(b"\t"), strict=True)
            yield b"\t".join((head, form, *(call + more for call, more in pairs)))
        else:
            yield b"\t".join((head, form, text))


def bed_bytes(block: CallBlock) -> bytes:
    """Calls of a PLINK 1 set: two bits a call, four samples a byte, every SNP from a new byte."""
    first, second = block.cells[:, :, 0], block.cells[:, :, 1]
    codes = np.where(first < 0, 1, np.where(first > 0, 0, np.where(second > 0, 2, 3))).astype(np.uint8)
    n_sites, n_samples = codes.shape
    padded = np.zeros((n_sites, -(-n_samples // 4), 4), dtype=np.uint8)
    padded.reshape(n_sites, -1)[:, :n_samples] = codes
    return np.bitwise_or.reduce(padded << np.arange(0, 8, 2, dtype=np.uint8), axis=2).tobytes()


def site_places(block: CallBlock) -> tuple[list[bytes], npt.NDArray[Any], npt.NDArray[Any]]:
    """Chromosome, first and last base of every site; the last by the length of REF."""
    if block.positions is not None:
        ends = block.positions + np.array([max(len(ref), 1) - 1 for ref in block.columns["ref"]])
        return block.columns["chromosome"], block.positions, ends
    words = [(line.split() + [b""] * 4)[:4] for line in block.columns["line"]]
    positions = np.array([int(word[3]) if word[3].isdigit() else 0 for word in words], dtype=np.int64)
    return [word[0] for word in words], positions, positions
