"""Copy number of PCAWG: segments of the consensus calls, counted by total copy number and size.

The public table holds the total copy number and the size of every autosomal segment, but not the minor copy
number. So the 48 channels of COSMIC, which also ask for loss of heterozygosity, cannot be counted. `CN28` are
the 28 that remain without that question.

The R file takes most of a minute to read. It is read once; the counts are kept in the data folder.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.extras import require
from latentgenomes.core.registry import data_folder, fetch

SEGMENTS_FILE = "multimodal/pcawg_cn_tally_W.rds"
SIZES: tuple[str, ...] = ("0-100kb", "100kb-1Mb", "1Mb-10Mb", "10Mb-40Mb", ">40Mb")
TOTALS: tuple[str, ...] = ("1", "2", "3-4", "5-8", "9+")
HOMDEL_SIZES: tuple[str, ...] = ("0-100kb", "100kb-1Mb", ">1Mb")
#: Channels of CN48 with loss of heterozygosity and heterozygous segments counted together.
CN28: tuple[str, ...] = tuple(
    [f"0:homdel:{size}" for size in HOMDEL_SIZES] + [f"{total}:{size}" for total in TOTALS for size in SIZES]
)

_SIZE_EDGES = (1e5, 1e6, 1e7, 4e7)  # base pairs; a size on an edge belongs below it
_LAST_TOTALS = (1, 2, 4, 8)  # the largest total copy number of each class but the last
_CACHE = "pcawg-cn28-1.npz"  # raise the number when the channels or their counting change


def count_segments(segments: pd.DataFrame) -> pd.DataFrame:
    """Count segments of every sample by total copy number and size, (n_samples, 28), columns `CN28`.

    `segments` has one row per segment: ``sample``, ``total`` (copy number, whole, >= 0) and ``size`` (base
    pairs, > 0). Classes as in Steele et al. 2022, Nature 606:984-991.
    """
    total = segments["total"].to_numpy(dtype=np.float64)
    size = segments["size"].to_numpy(dtype=np.float64)
    good = (total >= 0) & (total == np.floor(total)) & (size > 0) & np.isfinite(size)
    if not good.all():
        first = segments.iloc[int((~good).argmax())]
        raise ValueError(
            "segments must hold whole total copy numbers >= 0 and sizes > 0, but "
            f"{(~good).sum()} of {len(good)} do not; the first is total {first['total']}, size "
            f"{first['size']} of sample {first['sample']!r}. Leave such segments out."
        )
    by_size = np.searchsorted(_SIZE_EDGES, size, side="left")  # 0 to 4
    n_homdel = len(HOMDEL_SIZES)
    channel = np.where(
        total == 0,
        np.minimum(by_size, n_homdel - 1),
        n_homdel + len(SIZES) * np.searchsorted(_LAST_TOTALS, total, side="left") + by_size,
    )
    codes, names = pd.factorize(segments["sample"], sort=True)
    flat = np.bincount(codes * len(CN28) + channel, minlength=len(names) * len(CN28))
    return pd.DataFrame(flat.reshape(len(names), len(CN28)), index=pd.Index(names), columns=list(CN28))


def _frame_classes() -> dict[str, Any]:
    """How rdata is to build R's tables of data.table and tibble: as plain data frames."""
    conversion = require("rdata", "multimodal").conversion
    frames = dict.fromkeys(("data.table", "tbl_df", "tbl"), conversion.dataframe_constructor)
    return {**conversion.DEFAULT_CLASS_MAP, **frames}


def read_frame(path: Path) -> pd.DataFrame:
    """Read the one table of an ``.rds`` file: a data frame, data table or tibble."""
    rdata = require("rdata", "multimodal")
    return pd.DataFrame(rdata.read_rds(path, constructor_dict=_frame_classes()))


def _members(value: Any) -> dict[str, Any]:
    """Named elements of a parsed R list."""
    node = value.attributes
    while node is not None:
        symbol = node.tag.referenced_object or node.tag
        if symbol.value.value == b"names":
            names = [item.value.decode("ascii") for item in node.value[0].value]
            return dict(zip(names, value.value, strict=True))
        node = node.value[1]
    return {}


def read_segments(path: Path) -> pd.DataFrame:
    """``sample``, ``total`` and ``size`` (base pairs) of the segments in sigminer's tally, an ``.rds`` file.

    Only the two tables that are needed are converted, ``CN`` (total) and ``SS`` (log10 of base pairs); the
    file holds a dozen.
    """
    rdata = require("rdata", "multimodal")
    parsed = rdata.parser.parse_file(path)
    features = _members(_members(parsed.object)["features"])
    total, size = (
        rdata.conversion.convert(replace(parsed, object=features[name]), constructor_dict=_frame_classes())
        for name in ("CN", "SS")
    )
    samples = total["ID"].to_numpy(dtype=np.str_)
    if not np.array_equal(samples, size["ID"].to_numpy(dtype=np.str_)):
        raise ValueError(
            f"The tables CN and SS of {path.name} must name the same samples row by row, but they do not. "
            "Take the file from its source again."
        )
    # A size is stored as its logarithm: rounding gives back the whole number of base pairs.
    base_pairs = np.rint(10.0 ** size["value"].to_numpy(dtype=np.float64))
    return pd.DataFrame(
        {"sample": samples, "total": total["value"].to_numpy(dtype=np.int64), "size": base_pairs}
    )


def _write(path: Path, counts: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples: npt.NDArray[np.str_] = counts.index.to_numpy(dtype=np.str_)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        part = Path(folder) / path.name
        np.savez_compressed(part, counts=counts.to_numpy(dtype=np.int32), samples=samples)
        os.replace(part, path)


def load_cn28() -> pd.DataFrame:
    """Segments of the 2778 tumours of PCAWG with consensus copy number, (2778, 28), by specimen.

    The first call reads the R file, which takes most of a minute; later calls read
    ``converted/pcawg-cn28-1.npz`` in the data folder. Consensus copy number: PCAWG Consortium 2020, Nature
    578:82-93; the table: Tao et al. 2023, Brief Bioinform 24:bbad053.
    """
    path = data_folder() / "converted" / _CACHE
    source = fetch(SEGMENTS_FILE)
    if not path.is_file():
        _write(path, count_segments(read_segments(source)))
    with np.load(path, allow_pickle=False) as file:
        return pd.DataFrame(
            file["counts"].astype(np.int64), index=pd.Index(file["samples"].tolist()), columns=list(CN28)
        )
