"""Codes without a network: general compressors, PBWT with contexts, Li-Stephens, PCA with its mean.

Each function returns bytes of a real file, or ideal bits of every haplotype, -log2 P(x), and says which.
Where a panel is given it is known to both sides and costs nothing.

References
----------
Durbin 2014, Bioinformatics 30:1266-1272 (PBWT); Li & Stephens 2003, Genetics 165:2213-2233; Krichevsky &
Trofimov 1981, IEEE Trans. Inf. Theory 27:199-207 (counts of a half).
"""

import importlib
import lzma
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaln
from sklearn.decomposition import PCA

from latentgenomes.core.extras import require
from latentgenomes.genotypes.evaluate.compression import published_bits

Calls = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]

_NEAR = 4  # neighbours on either side that make a context
_LEVELS = 256  # of a quantised PCA score
_BINS = 64  # of a PCA reconstruction


def layouts(calls: Calls) -> dict[str, bytes]:
    """Calls of 0 and 1 as general compressors see them: one bit or one byte a call, haplotype after
    haplotype.
    """
    return {"bits": np.packbits(calls == 1, axis=1).tobytes(), "bytes": calls.astype(np.uint8).tobytes()}


def xz_bytes(calls: Calls, panel: Calls | None = None) -> int:
    """Bytes that xz -9e writes for haplotypes: alone the better layout, or the growth of a file behind a
    panel.

    That file has one bit a call, which was the better layout and is the faster.
    """
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    if panel is None:
        return min(len(lzma.compress(data, filters=filters)) for data in layouts(calls).values())
    before, data = layouts(panel)["bits"], layouts(calls)["bits"]
    return len(lzma.compress(before + data, filters=filters)) - len(lzma.compress(before, filters=filters))


def zstd_bytes(calls: Calls, panel: Calls | None = None, *, level: int = 19) -> int:
    """Bytes that zstd writes for haplotypes, alone or with a panel as dictionary; the best layout counts."""
    zstandard = require("zstandard", extra="genotypes")
    sizes = []
    for name, data in layouts(calls).items():
        before = b"" if panel is None else layouts(panel)[name]
        settings = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=len(before) + len(data), window_log=26, enable_ldm=True
        )
        dictionary = None
        if before:
            dictionary = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        coder = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)
        sizes.append(len(coder.compress(data)))
    return min(sizes)


def pgen_bytes(calls: Calls) -> int | None:
    """Bytes of a PLINK 2 file of phased people, or None where its library (Pgenlib) is not installed.

    The two haplotypes of a person stand in neighbouring rows. Names of people and SNPs are not counted.
    """
    try:
        pgenlib: Any = importlib.import_module("pgenlib")
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.pgen"
        writer = pgenlib.PgenWriter(
            str(path).encode(), len(calls) // 2, variant_ct=calls.shape[1], hardcall_phase_present=True
        )
        with writer:
            for column in np.ascontiguousarray(calls.T, dtype=np.int32):
                writer.append_alleles(column, all_phased=True)
        return path.stat().st_size


def _neighbourhood(ordered: Calls, rows: npt.NDArray[np.int64], skip: int) -> npt.NDArray[np.int64]:
    """Context of places in a PBWT column: the nearest calls above and below, and how many of the near are 1.

    `rows` is the first place below; `skip` is 1 where that place is the haplotype itself.
    """
    n = len(ordered)
    padded = np.concatenate([[0], np.cumsum(ordered, dtype=np.int64)])
    low, high = np.maximum(rows - _NEAR, 0), np.minimum(rows + skip + _NEAR, n)
    own = ordered[np.minimum(rows, n - 1)].astype(np.int64) if skip else 0
    ones = padded[high] - padded[low] - own
    above = np.where(rows > 0, ordered[np.maximum(rows - 1, 0)], 2)
    below = np.where(rows + skip < n, ordered[np.minimum(rows + skip, n - 1)], 2)
    return np.asarray((above * 3 + below) * (2 * _NEAR + 1) + ones, dtype=np.int64)


def pbwt_panel_bits(panel: Calls, calls: Calls) -> Floats:
    """Ideal bits of every haplotype by its neighbours in the PBWT of a panel (Durbin 2014, algorithm 1).

    At each SNP the panel is sorted by the reversed haplotypes up to there, and a new haplotype stands between
    those that match it furthest. Their calls are the context; counts of a following 1 are the panel's own.
    """
    order, place = np.arange(len(panel)), np.full(len(calls), len(panel) // 2)
    counts = np.full((9 * (2 * _NEAR + 1), 2), 0.5)
    contexts = np.empty(calls.shape, dtype=np.int64)
    everyone = np.arange(len(panel))
    for snp in range(panel.shape[1]):
        ordered = panel[order, snp]
        np.add.at(counts, (_neighbourhood(ordered, everyone, 1), ordered), 1)
        contexts[:, snp] = _neighbourhood(ordered, place, 0)
        zeros = np.concatenate([[0], np.cumsum(ordered == 0)])
        ones_before = place - zeros[place]
        place = np.where(calls[:, snp] == 1, zeros[-1] + ones_before, zeros[place])
        order = np.concatenate([order[ordered == 0], order[ordered == 1]])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.asarray(-np.log2(shares[contexts, calls]).sum(axis=1), dtype=np.float64)


def pbwt_bits(calls: Calls, *, keep: float = 0.6) -> float:
    """Ideal bits of a whole table by PBWT columns and adaptive counts; nothing is known beforehand.

    A call is coded after those above it in the sorted column. Its context is the call above, how long the run
    of that call is, and the call before the run. Counts start a column with a share (keep, in [0, 1)) of
    those of the columns before. With contexts fixed, the order of calls does not change the sum.
    """
    order, bits = np.arange(len(calls)), 0.0
    prior = np.full((4 * 16, 2), 0.5)
    for column in calls.T:
        ordered = column[order].astype(np.int64)
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        run = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(ordered))))
        length = np.arange(len(ordered)) - starts[run] + 1  # of the run so far, this call included
        bucket = np.minimum(np.log2(length).astype(np.int64), 15)
        context = np.concatenate([[0], (1 + ordered * 16 + bucket)[:-1]])
        counts = np.zeros_like(prior)
        np.add.at(counts, (context, ordered), 1)
        bits += float((betaln(*prior.T) - betaln(*(prior + counts).T)).sum()) / np.log(2)
        prior = np.maximum(keep * (prior + counts), 0.02)
        order = np.concatenate([order[ordered == 0], order[ordered == 1]])
    return bits


def li_stephens_bits(panel: Calls, calls: Calls, *, switch: float, mismatch: float) -> Floats:
    """Ideal bits of every haplotype by one Li-Stephens model, in floating point (appendix A)."""
    n_panel = len(panel)
    weights = np.full((len(calls), n_panel), 1 / n_panel, dtype=np.float32)
    bits = np.zeros(len(calls))
    for snp in range(panel.shape[1]):
        weights *= np.float32(1 - switch)
        weights += np.float32(switch / n_panel)
        carriers = panel[:, snp].astype(np.float32)
        ones = (weights @ carriers).astype(np.float64)
        same = np.where(calls[:, snp] == 1, ones, 1 - ones)
        likelihood = (1 - mismatch) * same + mismatch * (1 - same)
        bits -= np.log2(likelihood)
        right, wrong = (1 - mismatch) / likelihood, mismatch / likelihood
        factors = np.stack([np.where(calls[:, snp] == a, right, wrong) for a in (0, 1)], axis=1)
        weights *= factors.astype(np.float32)[:, panel[:, snp]]
        weights /= weights.sum(axis=1, keepdims=True)
    return bits


def pca_codes(panel: Calls, calls: Calls, n_components: int) -> tuple[Floats, Floats]:
    """Bits of every haplotype by PCA with its mean added back: ideal, and by the published estimate.

    Scores are rounded to 256 steps over the range of the panel's, and cost -log2 of their frequency there.
    The residual is coded by how often the panel's calls are 1 at each level of the reconstruction.
    """
    pca = PCA(n_components, random_state=0).fit(panel.astype(np.float32))
    scores = pca.transform(panel.astype(np.float32))
    low, step = scores.min(axis=0), np.ptp(scores, axis=0) / (_LEVELS - 1)

    def coded(x: Calls) -> tuple[npt.NDArray[np.int64], Floats]:
        levels = np.clip(np.rint((pca.transform(x.astype(np.float32)) - low) / step), 0, _LEVELS - 1)
        return levels.astype(np.int64), pca.inverse_transform(levels * step + low)

    def bins(values: Floats) -> npt.NDArray[np.int64]:
        return np.clip((values * _BINS / 1.5 + _BINS / 6), 0, _BINS - 1).astype(np.int64)

    known_levels, known = coded(panel)
    counts = np.full((_BINS, 2), 0.5)
    np.add.at(counts, (bins(known), panel), 1)
    levels, reconstructed = coded(calls)
    bits = -np.log2(counts / counts.sum(axis=1, keepdims=True))[bins(reconstructed), calls].sum(axis=1)
    for component in range(n_components):
        seen = np.bincount(known_levels[:, component], minlength=_LEVELS) + 0.5
        bits -= np.log2(seen / seen.sum())[levels[:, component]]
    return bits, published_bits(calls, reconstructed, n_components)
