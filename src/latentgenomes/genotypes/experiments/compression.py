"""Every code on the same held-out people: the comparison of the genotype study.

People are drawn by chance into a panel and a held-out part, both haplotypes together. All codes learn from
the panel, and choose their settings on a part of it. The held-out part is coded once. What is known to both
sides is said in the column ``known``; what it would cost to send that too, in ``model_bytes``.
"""

import lzma
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.splits import grouped_split, repeated_grouped_splits
from latentgenomes.genotypes.data.calls import Calls, HaplotypeData
from latentgenomes.genotypes.evaluate import classical_codes
from latentgenomes.genotypes.evaluate.compression import (
    frequency_bits,
    population_frequency_bits,
    ratio_table,
    smoothed_frequencies,
)
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec

Floats = npt.NDArray[np.float64]

_FREQUENCY_BYTES = 2  # of a number of a model
_N_COMPONENTS = (4, 8, 16)
_SETTINGS = ((0.001, 0.0004), (0.001, 0.002), (0.003, 0.001))
_FIRST, _GROWTH = 8, 1.5
_N_CHOOSING = 40  # haplotypes of the panel on which settings are chosen


@dataclass(frozen=True)
class Split:
    """Known and held-out haplotypes, with their labels; no person stands in both."""

    panel: HaplotypeData
    held_out: HaplotypeData
    number: int


def take(data: HaplotypeData, rows: npt.NDArray[np.int64]) -> HaplotypeData:
    """Some haplotypes of a table, in the order wanted."""
    return HaplotypeData(data.calls[rows], data.metadata.iloc[rows], data.snps)


def splits(
    data: HaplotypeData, n_splits: int, *, test_fraction: float = 0.1, random_state: int = 0
) -> Iterator[Split]:
    """Draw people into panel and held-out part, several times."""
    drawn = repeated_grouped_splits(
        data.metadata["person"], n_splits, test_fraction=test_fraction, random_state=random_state
    )
    for number, (train, test) in enumerate(drawn):
        yield Split(take(data, train), take(data, test), number)


def self_contained(calls: Calls, *, random_state: int = 0, check: bool = True) -> list[bytes]:
    """Files that hold all haplotypes (2 n_people, n_snps) when nothing is known beforehand.

    The first people are packed by xz. Each further file is written with all people before it as its panel,
    and is half as large as that. People are taken in a random order, which follows from the seed.
    """
    people = np.random.default_rng(random_state).permutation(len(calls) // 2)
    ordered = calls[(2 * people[:, None] + [0, 1]).ravel()]
    n_known = min(_FIRST, len(ordered))
    files = [lzma.compress(np.packbits(ordered[:n_known], axis=1).tobytes(), format=lzma.FORMAT_ALONE)]
    while n_known < len(ordered):
        stop = min(int(n_known * _GROWTH) // 2 * 2, len(ordered))
        codec = HaplotypeCodec().fit(ordered[:n_known])
        files.append(codec.compress(ordered[n_known:stop]))
        if check:
            _check_equal(codec.decompress(files[-1]), ordered[n_known:stop])
        n_known = stop
    return files


def _check_equal(decoded: Calls, calls: Calls) -> None:
    if not np.array_equal(decoded, calls):
        raise RuntimeError(
            f"A file must decode to what was coded, but {int((decoded != calls).sum())} of {calls.size} "
            "calls differ. Report it."
        )


def score_split(split: Split, *, self_contained_panel: bool = True) -> pd.DataFrame:
    """Code the held-out haplotypes of a split in every way: one row a code and group.

    known is what both sides have, kind "bytes" of a real file or "ideal", model_bytes what sending the known
    part too would take, ratio_counted the ratio with that. To code the panel itself takes longest.
    """
    panel, calls = split.panel.calls, split.held_out.calls
    panel_bytes = np.nan
    if self_contained_panel:
        panel_bytes = float(sum(map(len, self_contained(panel, random_state=split.number, check=False))))
    rows = [_row(code, split, panel_bytes) for code in _codes(split)]
    table = pd.concat(rows, ignore_index=True)
    raw = calls.size / 8
    total = table["bits_per_haplotype"] * table["n_haplotypes"] / 8 + table["model_bytes"]
    return table.assign(ratio_counted=np.where(table["level"] == "all", raw / total, np.nan))


@dataclass(frozen=True)
class _Code:
    """One way to code: its name, what both sides know, and bits of every haplotype or bytes of all."""

    method: str
    known: str
    run: Callable[[], Floats | int | None]
    model_bytes: float | None = 0.0  # None: the panel


def _codes(split: Split) -> Iterator[_Code]:
    panel, calls = split.panel, split.held_out.calls
    known, n_snps = panel.calls, calls.shape[1]
    frequencies = smoothed_frequencies(known)
    yield _Code(
        "allele frequencies",
        "frequencies",
        lambda: frequency_bits(calls, frequencies),
        _FREQUENCY_BYTES * n_snps,
    )
    populations = split.held_out.metadata["population"]
    yield _Code(
        "allele frequencies of the population",
        "frequencies, population",
        lambda: population_frequency_bits(known, panel.metadata["population"], calls, populations),
        _FREQUENCY_BYTES * n_snps * panel.metadata["population"].nunique(),
    )
    n_components = choose_components(panel, random_state=split.number)
    size = _FREQUENCY_BYTES * n_snps * (n_components + 1)
    honest, published = classical_codes.pca_codes(known, calls, n_components)
    yield _Code("PCA, entropy coded", "components", lambda: honest, size)
    yield _Code("PCA, published estimate", "components", lambda: published, size)
    yield _Code("xz", "nothing", lambda: classical_codes.xz_bytes(calls))
    yield _Code("zstd", "nothing", lambda: classical_codes.zstd_bytes(calls))
    yield _Code("PLINK 2 pgen", "nothing", lambda: classical_codes.pgen_bytes(calls))
    yield _Code("xz after the panel", "panel", lambda: classical_codes.xz_bytes(calls, known), None)
    yield _Code("zstd after the panel", "panel", lambda: classical_codes.zstd_bytes(calls, known), None)
    yield _Code("PBWT contexts", "panel", lambda: classical_codes.pbwt_panel_bits(known, calls), None)
    switch, mismatch = choose_rates(panel, random_state=split.number)
    yield _Code(
        "Li-Stephens, one setting",
        "panel",
        lambda: classical_codes.li_stephens_bits(known, calls, switch=switch, mismatch=mismatch),
        None,
    )
    codec = HaplotypeCodec().fit(known)
    yield _Code("HaplotypeCodec, ideal", "panel", lambda: codec.model_.bits(calls), None)
    yield _Code("HaplotypeCodec", "panel", lambda: _checked_bytes(codec, calls), None)


def _checked_bytes(codec: HaplotypeCodec, calls: Calls) -> int:
    data = codec.compress(calls)
    _check_equal(codec.decompress(data), calls)
    return len(data)


def _row(code: _Code, split: Split, panel_bytes: float) -> pd.DataFrame:
    """Rows of one code: of all held-out haplotypes, and of each group where its bits are known one by one."""
    start = time.perf_counter()
    found = code.run()
    seconds = time.perf_counter() - start
    calls, metadata = split.held_out.calls, split.held_out.metadata
    if found is None:
        return pd.DataFrame()
    whole = isinstance(found, int)
    bits = np.full(len(calls), 8 * found / len(calls)) if isinstance(found, int) else found
    tables = []
    for level in ["all"] if whole else ["all", "region", "population"]:
        if level != "all" and level not in metadata:
            continue
        groups = np.full(len(calls), "all") if level == "all" else metadata[level].to_numpy()
        table = ratio_table(bits, groups, n_snps=calls.shape[1], method=code.method, split=split.number)
        kept = table.iloc[:1] if level == "all" else table.iloc[1:]
        tables.append(kept.assign(level=level))
    labels = {
        "known": code.known,
        "kind": "bytes" if whole else ("estimate" if "estimate" in code.method else "ideal"),
        "model_bytes": panel_bytes if code.model_bytes is None else code.model_bytes,
        "seconds": seconds,
    }
    return pd.concat(tables).assign(**labels)


def choose_components(panel: HaplotypeData, *, random_state: int = 0) -> int:
    """Number of PCA scores that code a part of the panel shortest, learnt from the rest of it."""
    train, test = grouped_split(panel.metadata["person"], test_fraction=0.1, random_state=random_state)
    rest, kept = panel.calls[train], panel.calls[test]
    possible = [n for n in _N_COMPONENTS if n < min(rest.shape)]
    costs = [classical_codes.pca_codes(rest, kept, n)[0].mean() for n in possible]
    return possible[int(np.argmin(costs))]


def choose_rates(panel: HaplotypeData, *, random_state: int = 0) -> tuple[float, float]:
    """Switch and mismatch rate of the Li-Stephens model that code a part of the panel shortest."""
    train, test = grouped_split(panel.metadata["person"], test_fraction=0.1, random_state=random_state)
    chosen = np.sort(np.random.default_rng(random_state).permutation(test)[:_N_CHOOSING])
    rest, kept = panel.calls[train], panel.calls[chosen]
    costs = [
        classical_codes.li_stephens_bits(rest, kept, switch=switch, mismatch=mismatch).mean()
        for switch, mismatch in _SETTINGS
    ]
    return _SETTINGS[int(np.argmin(costs))]


def score_whole(data: HaplotypeData) -> pd.DataFrame:
    """Code a whole table when nothing is known beforehand: method, kind, bytes, ratio, seconds."""
    calls = data.calls
    codes: list[tuple[str, str, Callable[[], float | None]]] = [
        ("xz", "bytes", lambda: classical_codes.xz_bytes(calls)),
        ("zstd", "bytes", lambda: classical_codes.zstd_bytes(calls)),
        ("PLINK 2 pgen", "bytes", lambda: classical_codes.pgen_bytes(calls)),
        ("PBWT and adaptive contexts", "ideal", lambda: classical_codes.pbwt_bits(calls) / 8),
        ("HaplotypeCodec, growing panel", "bytes", lambda: sum(map(len, self_contained(calls)))),
    ]
    rows = []
    for method, kind, run in codes:
        start = time.perf_counter()
        size = run()
        if size is not None:
            row = {"method": method, "kind": kind, "bytes": size, "ratio": calls.size / 8 / size}
            rows.append(row | {"seconds": time.perf_counter() - start})
    return pd.DataFrame(rows)
