"""A file of calls to an archive."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from latentgenomes.core.provenance import replacing
from latentgenomes.genotypes.data.outputs import refuse_existing
from latentgenomes.genotypes.data.records import SITES_A_BLOCK, SiteRows, open_calls
from latentgenomes.genotypes.models.compiled import require_compiler
from latentgenomes.genotypes.models.container import CodecError

Given = TypeVar("Given")
Done = TypeVar("Done")


def in_order(work: Callable[[Given], Done], things: Iterable[Given]) -> Iterator[Done]:
    """Work on all cores, a few things ahead, and give the results in order."""
    n_workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for thing in things:
                waiting.append(pool.submit(work, thing))
                if len(waiting) > n_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def shown(blocks: Iterator[Done]) -> Iterator[Done]:
    """Blocks with a progress bar after two seconds; ``LATENTGENOMES_PROGRESS=0`` switches it off."""
    quiet = os.environ.get("LATENTGENOMES_PROGRESS", "1") == "0"
    return iter(tqdm(blocks, desc="blocks of sites", delay=2.0, leave=False, disable=quiet))


def compress_file(
    path: str | Path,
    out: str | Path,
    *,
    panel: str | Path | None = None,
    keep: str = "sites",
    sites_a_block: int = SITES_A_BLOCK,
) -> dict[str, Any]:
    """Write a file of calls as an archive that decodes to the same calls, record by record.

    Parameters
    ----------
    path : str or pathlib.Path
        ``.vcf``, ``.vcf.gz``, ``.bcf``, or the ``.bed`` of a PLINK 1 file set. Calls may be phased or not,
        missing in part, of any ploidy up to 16 and any alleles; sites may come in any order.
    out : str or pathlib.Path
        The archive. It appears whole or not at all; each block was decoded and compared.
    panel : str or pathlib.Path, optional
        File of the same kind that the reader holds too. Its haplotypes make the archive smaller where it has
        the site: same chromosome (with or without chr), position and alleles.
    keep : {"sites", "all"}
        What of a VCF stays: chromosome, position, ID, REF, ALT and GT, or all of it.
    sites_a_block : int
        Sites of a block, at most 65,536. Longer blocks are smaller, and slower to read in part.

    Returns
    -------
    dict
        samples, sites, bytes, panel_sites (sites that the panel has), and left_out: what is not kept, and at
        how many sites it stood.

    Raises
    ------
    FileExistsError
        If there is such a file already.
    ValueError
        If a file cannot be read, or holds what is no call.

    References
    ----------
    Durbin 2014, Bioinformatics 30:1266-1272; Li & Stephens 2003, Genetics 165:2213-2233.
    """
    require_compiler()
    from latentgenomes.genotypes.models.blocks import MOST_SITES, decode_block, encode_block
    from latentgenomes.genotypes.verbs import archives
    from latentgenomes.genotypes.verbs.blocks_of import block_of, site_places
    from latentgenomes.genotypes.verbs.panels import NO_PANEL, read_panel

    path, out = Path(path), Path(out)
    refuse_existing(out)
    if not 1 <= sites_a_block <= MOST_SITES:
        raise ValueError(
            f"A block must have 1 to {MOST_SITES} sites, but it shall have {sites_a_block}. Pass another "
            "number (sites_a_block, or --block)."
        )
    file = open_calls(path, keep=keep, sites_a_block=sites_a_block)
    held = NO_PANEL if panel is None else read_panel(Path(panel), file.kind)

    def encode(rows: SiteRows) -> tuple[bytes, archives.BlockEntry, int]:
        block = block_of(rows, file.samples)
        where = held.places(block.columns, block.positions)
        data = encode_block(block, held.rows, where)
        content = block.digest()
        if decode_block(data, len(file.samples), held.rows, held.places).digest() != content:
            raise CodecError(
                "The archive must decode to the file, but it does not. Nothing was written. Report it."
            )
        stretches: dict[str, list[Any]] = {}
        for name, first, last in zip(*site_places(block), strict=True):
            word = name.decode(errors="surrogateescape")
            before = stretches.setdefault(word, [word, int(first), int(last)])
            before[1:] = min(before[1], int(first)), max(before[2], int(last))
        entry = archives.BlockEntry(
            len(data), block.n_sites, archives.mark(data), archives.mark(content), list(stretches.values())
        )
        return data, entry, int((where >= 0).sum())

    entries: list[archives.BlockEntry] = []
    panel_sites = 0
    with replacing(out) as temporary, temporary.open("wb") as target:
        target.write(archives.head())
        for data, entry, n_held in shown(in_order(encode, file.blocks)):
            target.write(data)
            entries.append(entry)
            panel_sites += n_held
        named = {"name": Path(panel).name, "fingerprint": held.fingerprint} if panel is not None else None
        header = file.header.decode(errors="surrogateescape")
        directory = archives.Directory(
            file.kind, file.samples, header, keep, file.whole_lines, named, entries
        )
        target.write(directory.to_bytes())
    return {
        "samples": len(file.samples),
        "sites": sum(entry.n_sites for entry in entries),
        "bytes": out.stat().st_size,
        "panel_sites": panel_sites,
        "left_out": {name: n for name, n in file.left_out.items() if n},
    }
