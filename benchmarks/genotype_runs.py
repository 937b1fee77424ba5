"""Runs behind the acceptance table of the genotype study that need no data set: speed, memory, round trips.

`benchmarks/genotypes.py --run scaling roundtrip` calls them and stores their tables. Seconds are those of the
processor, of one core, so that other work on the machine does not count.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.splits import grouped_split
from latentgenomes.genotypes.data.public import load_805, load_lct
from latentgenomes.genotypes.models.container import CodecError, pack, unpack
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.simulate import simulate_haplotypes

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
N_PANEL, N_CODED = 1000, 50
N_ARRAYS = N_FILES = 10_000

_MEASURE = """
import json, resource, sys, time
import numpy as np
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec

calls = np.load(sys.argv[1])[:, : int(sys.argv[2])]
n_panel = int(sys.argv[3])
warm = HaplotypeCodec().fit(calls[:16, :50])
warm.decompress(warm.compress(calls[:2, :50]))
marks = [time.process_time()]
codec = HaplotypeCodec().fit(calls[:n_panel])
marks.append(time.process_time())
data = codec.compress(calls[n_panel:])
marks.append(time.process_time())
same = bool((codec.decompress(data) == calls[n_panel:]).all())
marks.append(time.process_time())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([*np.diff(marks), len(data), peak, same]))
"""


def measure(calls_file: Path, n_snps: int, n_panel: int) -> list:
    """Seconds of fit, encoding, decoding; bytes, peak memory (MB), exactness; in a process of its own."""
    words = [sys.executable, "-c", _MEASURE, str(calls_file), str(n_snps), str(n_panel)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, calls: np.ndarray, n_snps: int, n_panel: int, folder: Path) -> dict:
    """One line of the table of speeds; the last rows of the calls are coded."""
    path = folder / f"{name}.npy"
    np.save(path, calls)
    fit, encode, decode, size, peak, same = measure(path, n_snps, n_panel)
    n_coded = len(calls) - n_panel
    return {
        "data": name,
        "n_panel": n_panel,
        "n_coded": n_coded,
        "n_snps": n_snps,
        "fit_seconds": fit,
        "encode_per_second": n_coded / encode,
        "decode_per_second": n_coded / decode,
        "microseconds_per_call": 1e6 * (encode + decode) / 2 / (n_coded * n_snps),
        "bytes": size,
        "peak_mb": peak,
        "exact": same,
    }


def scaling(folder: Path) -> pd.DataFrame:
    """Speed and memory on real sets and on simulated chromosomes of up to 100,000 SNPs.

    The peak also counts what the starting process held, so it is an upper bound.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, data in (("LCT window, MAF >= 1%", load_lct(min_maf=0.01)), ("805 SNPs", load_805())):
        train, test = grouped_split(data.metadata["person"], test_fraction=0.1, random_state=0)
        ordered = data.calls[np.concatenate([train, test])]
        rows.append(row(name.split(",")[0], ordered, ordered.shape[1], len(train), folder))
    drawn = simulate_haplotypes(n_people=175, length=40_000_000, min_maf=0.01, random_state=0)
    calls = drawn.data.calls
    people = np.random.default_rng(0).permutation(len(calls) // 2)
    calls = calls[(2 * people[:, None] + [0, 1]).ravel()]
    if calls.shape[1] < SIZES[-1]:
        raise RuntimeError(f"{SIZES[-1]} SNPs are needed, but {calls.shape[1]} were drawn. Simulate more.")
    rows += [row("simulated", calls[: N_PANEL + N_CODED], size, N_PANEL, folder) for size in SIZES]
    return pd.DataFrame(rows)


def mosaics(n_haplotypes: int, n_snps: int, rng: np.random.Generator) -> np.ndarray:
    """Haplotypes that copy a few founders, with errors."""
    founders = (rng.random((12, n_snps)) < rng.beta(0.5, 1, n_snps)).astype(np.int8)
    jumps = np.cumsum(rng.random((n_haplotypes, n_snps)) < 0.05, axis=1)
    copied = np.take_along_axis(rng.integers(12, size=(n_haplotypes, n_snps + 1)), jumps, axis=1)
    return founders[copied, np.arange(n_snps)] ^ (rng.random(copied.shape) < 0.01)


def hard_calls(kind: str, panel: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Calls to code: like the panel, unlike it, or of no kind at all."""
    calls = panel[rng.integers(len(panel), size=n)].copy()
    if kind == "random":
        return rng.integers(-1, 2, calls.shape).astype(np.int8)
    if kind == "constant":
        return np.full(calls.shape, rng.integers(-1, 2), dtype=np.int8)
    if kind == "opposite of the panel":
        calls = 1 - calls
    if kind == "with missing calls":
        calls[rng.random(calls.shape) < rng.choice([0.01, 0.1, 0.9])] = -1
    return calls


KINDS = ("random", "constant", "copies of the panel", "opposite of the panel", "with missing calls")


def array_round_trips(rng: np.random.Generator) -> pd.DataFrame:
    """Code and decode arrays of every kind with panels of many shapes."""
    codecs = []
    for n_snps in (1, 2, 3, 5, 9, 24):
        panel = mosaics(int(rng.integers(2, 30)) * 2, n_snps, rng)
        codecs.append(
            (HaplotypeCodec(model=CopyingMixture(max_block=int(rng.integers(1, 9)))).fit(panel), panel)
        )
    exact = dict.fromkeys(KINDS, 0)
    for trial in range(N_ARRAYS):
        codec, panel = codecs[trial % len(codecs)]
        kind = KINDS[trial % len(KINDS)]
        calls = hard_calls(kind, panel, int(rng.integers(1, 9)), rng)
        exact[kind] += bool(np.array_equal(codec.decompress(codec.compress(calls)), calls))
    n = N_ARRAYS // len(KINDS)
    rows = [
        {
            "what": "arrays decoded bit for bit",
            "kind": kind,
            "n": n,
            "right": right,
            "silently_wrong": n - right,
        }
        for kind, right in exact.items()
    ]
    return pd.DataFrame(rows)


def mutate(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A file with something done to it."""
    place = int(rng.integers(len(data)))
    if kind == "one bit flipped":
        return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
    if kind == "cut off":
        return data[:place]
    if kind == "bytes added":
        return data[:place] + rng.bytes(int(rng.integers(1, 9))) + data[place:]
    if kind == "bytes removed":
        return data[:place] + data[place + int(rng.integers(1, 9)) :]
    return data[:place] + rng.bytes(int(rng.integers(1, 65))) + data[place + 64 :]


MUTATIONS = ("one bit flipped", "cut off", "bytes added", "bytes removed", "64 bytes overwritten")


def mutated_files(codec: HaplotypeCodec, calls: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Decode altered files; each must be refused, or give the very calls."""
    data = codec.compress(calls)
    rows = []
    for kind in MUTATIONS:
        n, refused, same = N_FILES // len(MUTATIONS), 0, 0
        for _ in range(n):
            altered = mutate(data, kind, rng)
            try:
                same += bool(np.array_equal(codec.decompress(altered), calls))
            except CodecError:
                refused += 1
        right = refused + same
        rows.append(
            {"what": "files refused", "kind": kind, "n": n, "right": right, "silently_wrong": n - right}
        )
    return pd.DataFrame(rows)


def forged_files(codec: HaplotypeCodec, calls: np.ndarray, rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Decode payloads that were changed by someone who also forged the digest of the file."""
    who = {"method": 1, "fingerprint": codec.model_.fingerprint(), "n_snps": codec.n_features_in_}
    header, words = unpack(codec.compress(calls), **who)
    refused = 0
    for _ in range(n):
        other = words.copy()
        other[rng.integers(len(other) - 2)] ^= np.uint32(1 << int(rng.integers(32)))
        try:
            codec.decompress(pack(header, other))
        except CodecError:
            refused += 1
    row = {"what": "files refused", "kind": "payload altered, digest forged", "n": n, "right": refused}
    return pd.DataFrame([row | {"silently_wrong": n - refused}])


def round_trips() -> pd.DataFrame:
    """Every round trip and every mutation, with the number of right ends."""
    start = time.process_time()
    rng = np.random.default_rng(0)
    panel = mosaics(200, 300, rng)
    codec = HaplotypeCodec().fit(panel)
    calls = hard_calls("with missing calls", panel, 40, rng)
    parts = [array_round_trips(rng), mutated_files(codec, calls, rng), forged_files(codec, calls, rng, 100)]
    return pd.concat(parts).assign(seconds=lambda table: (time.process_time() - start) / len(table))
