"""Runs behind the acceptance table of the genotype study for archives: bytes, speed, parts, altered ones.

`benchmarks/genotypes.py --run archives archive_files parts altered` calls them and stores their tables.
Seconds are those of the processor, so that other work on the machine does not count.
"""

import importlib
import json
import lzma
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.genotypes.data import public, write_vcf
from latentgenomes.genotypes.data.calls import HaplotypeData
from latentgenomes.genotypes.experiments import compression
from latentgenomes.genotypes.models.blocks import CallBlock, KnownRows, decode_block, encode_block
from latentgenomes.genotypes.models.container import CodecError
from latentgenomes.genotypes.simulate import simulate_haplotypes
from latentgenomes.genotypes.verbs import archives, compress_file, decompress_file

N_ALTERED = 10_000


def timed(run: Callable[[], object]) -> tuple[object, float]:
    """Result, and seconds of the processor."""
    start = time.process_time()
    found = run()
    return found, time.process_time() - start


def phased_block(calls: np.ndarray) -> CallBlock:
    """Haplotypes (n_haplotypes, n_snps) as one block of phased calls, without the text of its sites."""
    cells = np.ascontiguousarray(calls.T.reshape(calls.shape[1], -1, 2)).astype(np.int16)
    return CallBlock({}, None, cells, np.ones(cells.shape[:2], dtype=np.uint32))


def code_block(calls: np.ndarray, known: np.ndarray | None = None) -> tuple[int, float, float]:
    """Bytes, and seconds to write and to read."""
    block = phased_block(calls)
    rows = KnownRows() if known is None else KnownRows(np.ascontiguousarray(known.T).astype(np.int16))
    where = np.full(block.n_sites, -1) if known is None else np.arange(block.n_sites)
    data, write = timed(lambda: encode_block(block, rows, where))
    again, read = timed(lambda: decode_block(data, len(calls) // 2, rows, lambda *_: where))
    if again.digest() != block.digest():
        raise RuntimeError("A block must decode to what was written, but it does not. Report it.")
    return len(data), write, read


def row(what: str, method: str, calls: np.ndarray, coded: tuple[int, float, float]) -> pd.DataFrame:
    """One line of the table of archives."""
    size, write, read = coded
    line = {"what": what, "method": method, "n_haplotypes": len(calls), "n_snps": calls.shape[1]}
    line |= {"bytes": size, "ratio": calls.size / 8 / size}
    rates = {"write_per_second": calls.size / write, "read_per_second": calls.size / read}
    return pd.DataFrame([line | {name: round(rate, -3) for name, rate in rates.items()}])


def alone() -> pd.DataFrame:
    """All haplotypes of the LCT window, common SNPs and all that vary, nothing known beforehand."""
    every = public.load_lct()
    code_block(every.calls[:20, :50])  # compiled now
    varied = every.calls[:, (every.calls == 1).any(axis=0) & (every.calls == 0).any(axis=0)]
    common = public.load_lct(min_maf=0.01).calls
    parts = {"alone, common": common, "alone, variable": varied}
    return pd.concat([row(what, "archive", calls, code_block(calls)) for what, calls in parts.items()])


def beside_panel() -> pd.DataFrame:
    """Held-out people of one split beside the panel, by the archive and by the copying codec."""
    split = next(compression.splits(public.load_lct(min_maf=0.01), 1, test_fraction=0.1))
    known, calls = split.panel.calls, split.held_out.calls
    code_block(calls[:20, :50], known[:, :50])  # compiled now
    codec = compression.HaplotypeCodec().fit(known)
    codec.decompress(codec.compress(calls[:2]))
    data, write = timed(lambda: codec.compress(calls))
    _, read = timed(lambda: codec.decompress(data))
    archive = row("beside a panel", "archive", calls, code_block(calls, known))
    return pd.concat([archive, row("beside a panel", "copying", calls, (len(data), write, read))])


def growing_panel() -> pd.DataFrame:
    """All haplotypes, common SNPs, by the copying codec with a growing panel; half of the time is reading."""
    calls = public.load_lct(min_maf=0.01).calls
    files, seconds = timed(lambda: compression.self_contained(calls))
    coded = sum(map(len, files)), seconds / 2, seconds / 2
    return row("alone, common", "copying, growing panel", calls, coded)


def pgen_bytes(data: HaplotypeData) -> int | None:
    """Bytes of the calls in a PLINK 2 file, or None without its library."""
    return compression.classical_codes.pgen_bytes(data.calls) if importlib.util.find_spec("pgenlib") else None


def whole_files() -> pd.DataFrame:
    """Every record of the LCT window as a file, by each kind of file."""
    data = public.load_lct()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_vcf(data, folder / "lct.vcf")
        sizes = {"VCF": source.stat().st_size}
        for sites in (4096, 16_384):
            archive = folder / f"{sites}.lg"
            compress_file(source, archive, sites_a_block=sites)
            sizes[f"archive, {sites} sites a block"] = archive.stat().st_size
        for suffix, kind in ((".bcf", "BCF (htslib)"), (".vcf.gz", "VCF, bgzip")):
            decompress_file(archive, folder / f"again{suffix}")
            sizes[kind] = (folder / f"again{suffix}").stat().st_size
        decompress_file(archive, folder / "again.vcf")
        same = (folder / "again.vcf").read_bytes() == source.read_bytes()
        sizes["VCF, xz -6"] = len(lzma.compress(source.read_bytes(), preset=6))
    sizes["PLINK 2 pgen, calls alone"] = pgen_bytes(data)
    table = pd.DataFrame({"file": sizes.keys(), "file_bytes": sizes.values()}).dropna()
    smallest = table.loc[table["file"].str.startswith("archive"), "file_bytes"].min()
    return table.assign(times_smallest=table["file_bytes"] / smallest, same=same)


def parts() -> pd.DataFrame:
    """Time to read one hundredth of a simulated chromosome for ten people, against all of it."""
    drawn = simulate_haplotypes(n_people=100, length=14_000_000, min_maf=0.01, random_state=0).data
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, archive = write_vcf(drawn, folder / "all.vcf"), folder / "a.lg"
        compress_file(source, archive)
        positions = drawn.snps["position"].to_numpy()
        people = drawn.metadata["person"].unique().tolist()
        _, whole = timed(lambda: decompress_file(archive, folder / "again.vcf"))
        n, rows = len(positions), []
        for start in (0.1, 0.35, 0.6, 0.85):
            first, last = positions[int(start * n)], positions[int((start + 0.01) * n) - 1]
            region = f"{drawn.snps['chromosome'].iloc[0]}:{first}-{last}"
            out = folder / f"{start}.vcf"
            done, seconds = timed(
                lambda region=region, out=out: decompress_file(
                    archive, out, region=region, samples=people[:10]
                )
            )
            rows.append({"n_sites": n, "region_sites": done["sites"], "blocks": done["blocks"]})
            rows[-1] |= {"share_of_time": seconds / whole}
    return pd.DataFrame(rows)


def alter(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """An archive with a bit turned, cut, a byte more, or bits of a block turned and all digests made anew."""
    altered = bytearray(data)
    if kind == "bit":
        altered[rng.integers(len(data))] ^= 1 << rng.integers(8)
    elif kind == "cut":
        altered = altered[: rng.integers(len(data))]
    elif kind == "byte more":
        altered.insert(rng.integers(len(data)), rng.integers(256))
    else:
        length = int.from_bytes(data[-24:-20], "little")
        filters = archives._FILTERS
        unpack = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters)
        words = json.loads(unpack.decompress(data[-24 - length : -24]))
        block = altered[5 : -24 - length]
        for _ in range(rng.integers(1, 4)):
            block[rng.integers(len(block))] ^= 1 << rng.integers(8)
        words["blocks"][0]["mark"] = archives.mark(bytes(block))
        words["blocks"] = [archives.BlockEntry(**entry) for entry in words["blocks"]]
        altered = data[:5] + block + archives.Directory(**words).to_bytes()
    return bytes(altered)


def altered_archives(n_altered: int = N_ALTERED) -> pd.DataFrame:
    """Altered archives by kind: how many are refused, and how many decode to other calls in silence."""
    rng = np.random.default_rng(0)
    drawn = simulate_haplotypes(n_people=3, length=60_000, random_state=0).data
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, archive, out = write_vcf(drawn, folder / "a.vcf"), folder / "a.lg", folder / "b.vcf"
        compress_file(source, archive)
        right, text = archive.read_bytes(), source.read_bytes()
        for kind in ("bit", "cut", "byte more", "block, digests made anew"):
            refused = wrong = 0
            for _ in range(n_altered // 4):
                changed = alter(right, kind, rng)
                archive.write_bytes(changed)
                out.unlink(missing_ok=True)
                try:
                    decompress_file(archive, out)
                except CodecError:
                    refused += 1
                else:
                    wrong += out.read_bytes() != text
            rows.append({"altered": kind, "n": n_altered // 4, "refused": refused, "other_calls": wrong})
    return pd.DataFrame(rows)
