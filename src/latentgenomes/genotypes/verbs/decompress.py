"""An archive back to the file of calls that it holds, or to a part of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from latentgenomes.core.checks import list_names
from latentgenomes.genotypes.data.outputs import check_output, write_plink_pieces, write_vcf_pieces
from latentgenomes.genotypes.models.compiled import require_compiler
from latentgenomes.genotypes.models.container import CodecError
from latentgenomes.genotypes.verbs import archives, first_archives
from latentgenomes.genotypes.verbs.compress import in_order, shown

_REGION = re.compile(
    r"(?P<chromosome>[^:]+(?::[^:\d][^:]*)?)(?::(?P<first>[\d,]+)(?P<dash>-(?P<last>[\d,]*))?)?"
)
_END = 1 << 40


def decompress_file(
    path: str | Path,
    out: str | Path,
    *,
    panel: str | Path | None = None,
    region: str | None = None,
    samples: list[str] | None = None,
) -> dict[str, int]:
    """Write the file of calls that an archive holds, or a part of it, reading no more than that needs.

    Parameters
    ----------
    path : str or pathlib.Path
        The archive.
    out : str or pathlib.Path
        ``.vcf``, ``.vcf.gz`` or ``.bcf``, or the ``.bed`` of a PLINK 1 file set. It appears whole or not at
        all.
    panel : str or pathlib.Path, optional
        The panel with which it was written, where there was one.
    region : str, optional
        ``20``, ``20:1000000`` or ``20:1000000-2000000``, first and last base counted from 1: sites of which a
        base lies in it.
    samples : list of str, optional
        Names of the samples to write, in this order; all by default.

    Returns
    -------
    dict of str to int
        samples and sites written, and blocks read.

    Raises
    ------
    CodecError
        If the archive is cut, altered or foreign, or was written with another panel.
    FileExistsError, ValueError
        If the output exists, or there is no such chromosome or sample.
    """
    path, out = Path(path), Path(out)
    if archives.version_of(path) == archives.FIRST_VERSION:
        if region is not None or samples is not None or panel is None:
            raise ValueError(
                f"{path.name} is an archive of the first version: it needs its panel (panel, or --panel) and "
                "is decoded whole. Name the panel, and leave region and samples out."
            )
        return first_archives.decompress_file(path, panel, out)
    require_compiler()
    from latentgenomes.genotypes.models.blocks import CallBlock, decode_block
    from latentgenomes.genotypes.verbs.blocks_of import bed_bytes, site_places, vcf_lines

    directory = archives.read_directory(path)
    check_output(out, directory.kind)
    held = _panel(path, directory, panel)
    chosen = _chosen(directory.samples, samples)
    wanted = _blocks(directory, region)

    def decode(given: tuple[int, bytes]) -> CallBlock:
        number, data = given
        entry = directory.blocks[number]
        block = decode_block(data, len(directory.samples), held.rows, held.places)
        if block.n_sites != entry.n_sites or archives.mark(block.digest()) != entry.content:
            raise CodecError(
                f"Block {number + 1} of {len(directory.blocks)} must decode to what was written, but it "
                "decodes to something else: the file was altered, or this machine computes otherwise. "
                "Copy it again."
            )
        if region is not None:
            inside = _inside(*site_places(block), region)
            block = block.take(np.flatnonzero(inside), chosen)
        elif chosen is not None:
            block = block.take(np.arange(block.n_sites), chosen)
        return block

    def data() -> Iterator[tuple[int, bytes]]:
        with path.open("rb") as file:
            for number in wanted:
                yield number, archives.read_block(file, directory, number)

    names = directory.samples if samples is None else samples
    n_sites = 0

    def blocks() -> Iterator[CallBlock]:
        nonlocal n_sites
        for block in shown(in_order(decode, data())):
            n_sites += block.n_sites
            if block.n_sites:
                yield block

    if directory.kind == "plink":
        fam = directory.header.encode(errors="surrogateescape")
        if chosen is not None:
            lines = fam.split(b"\n")
            fam = b"".join(lines[i] + b"\n" for i in chosen)
        pieces = ((bed_bytes(block), b"\n".join(block.columns["line"])) for block in blocks())
        write_plink_pieces(pieces, out, fam, whole_lines=directory.whole_lines or region is not None)
    else:
        write_vcf_pieces(_vcf(directory, names, blocks(), vcf_lines), out)
    return {"samples": len(names), "sites": n_sites, "blocks": len(wanted)}


def _vcf(
    directory: archives.Directory, names: list[str], blocks: Iterator[Any], lines: Any
) -> Iterator[bytes]:
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    columns += ["FORMAT", *names] if directory.samples else []
    head = [directory.header] if directory.header else ["##fileformat=VCFv4.2"]
    if directory.samples and "##FORMAT=<ID=GT," not in directory.header:
        head.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    yield ("\n".join([*head, "\t".join(columns)]) + "\n").encode(errors="surrogateescape")
    for block in blocks:
        yield b"".join(line + b"\n" for line in lines(block))


def _panel(path: Path, directory: archives.Directory, panel: str | Path | None) -> Any:
    from latentgenomes.genotypes.verbs.panels import NO_PANEL, read_panel

    if directory.panel is None:
        return NO_PANEL
    if panel is None:
        raise ValueError(
            f"{path.name} was written with the panel {directory.panel['name']}, and needs it. Name it "
            "(panel, or --panel)."
        )
    held = read_panel(Path(panel), directory.kind)
    if held.fingerprint != directory.panel["fingerprint"]:
        raise CodecError(
            f"{path.name} must be decoded with the panel that compressed it, {directory.panel['name']}, of "
            f"fingerprint {directory.panel['fingerprint']}, but {Path(panel).name} has {held.fingerprint}. "
            "Pass that panel."
        )
    return held


def _chosen(known: list[str], samples: list[str] | None) -> Any:
    if samples is None:
        return None
    unknown = [name for name in samples if name not in set(known)]
    if unknown or len(set(samples)) < len(samples):
        twice = [name for name in samples if samples.count(name) > 1]
        what = f"{list_names(unknown)} are not" if unknown else f"{list_names(twice)} come again"
        raise ValueError(
            f"Samples must be in the archive, and named once, but {what}. Name others (samples, or "
            "--samples)."
        )
    place = {name: i for i, name in enumerate(known)}
    return np.array([place[name] for name in samples], dtype=np.int64)


def _parse(region: str) -> tuple[str, int, int]:
    match = _REGION.fullmatch(region)
    if match is None:
        raise ValueError(
            f"A region must be such as 20, 20:1000000 or 20:1000000-2000000, but it is {region!r}. Write it "
            "so."
        )
    first, last = ((match[name] or "").replace(",", "") for name in ("first", "last"))
    start = int(first) if first else 0
    stop = int(last) if last else (_END if match["dash"] or not first else start)
    return match["chromosome"], start, stop


def _same_chromosome(one: str, other: str) -> bool:
    return one.removeprefix("chr") == other.removeprefix("chr")


def _inside(chromosomes: list[bytes], firsts: Any, lasts: Any, region: str) -> Any:
    chromosome, start, stop = _parse(region)
    there = [_same_chromosome(name.decode(errors="surrogateescape"), chromosome) for name in chromosomes]
    return np.array(there) & (firsts <= stop) & (lasts >= start)


def _blocks(directory: archives.Directory, region: str | None) -> list[int]:
    """Numbers of the blocks that a region needs."""
    if region is None:
        return list(range(len(directory.blocks)))
    chromosome, start, stop = _parse(region)
    stretches = [
        (number, *stretch)
        for number, entry in enumerate(directory.blocks)
        for stretch in entry.stretches
        if _same_chromosome(stretch[0], chromosome)
    ]
    if not stretches:
        have = sorted({stretch[0] for entry in directory.blocks for stretch in entry.stretches})
        raise ValueError(
            f"The region must be on a chromosome of the archive, but {chromosome!r} is not one; it has "
            f"{list_names(have)}. Name another."
        )
    return sorted({number for number, _, first, last in stretches if first <= stop and last >= start})
