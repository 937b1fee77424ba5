"""Scale of a matrix: found, brought to log2 or z-scores, and back again.

==============  ==========================================================================================
found           rule, in this order over all measured values, and what is done
==============  ==========================================================================================
``"counts"``    whole numbers >= 0: log2(1e6 x / size of the sample + 1)
``"log2 + c"``  the lowest value comes again and again, and is log2 of c = .1, .05, .01, .001 or less, which
                was added: brought to log2(x + 1), where what was not seen does not lie far from all else
``"z-score"``   some value is negative and the median lies within 1 of 0: kept
``"log2"``      no value is above 30: kept; 2 to the power of 30 reads are more than any gene has
``"linear"``    the rest (TPM, FPKM, RPM, intensities): log2(x + 1)
==============  ==========================================================================================

Where counts have gaps, a sample's total is too small, and differently so for every sample. Its size is
therefore the maximum-likelihood one of the model in which the count of gene g in sample i is Poisson with
mean s_i p_g, over the measured entries: without gaps it is the total.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.floating[Any]]
Scale = Literal["auto", "z-score", "log2", "counts", "linear"]
SCALES = ("auto", "z-score", "log2", "counts", "linear")
LARGEST_LOG2 = 30.0
_PSEUDOCOUNTS = (0.1, 0.05, 0.01, 0.005, 0.001, 1e-4, 1e-5, 1e-6, 1e-9)
_FLOOR_SHARE = 0.005


@dataclass(frozen=True)
class Measure:
    """A scale and the way back from it: `name` as found; `sizes`, (n_samples,), of counts, in reads;
    `pseudocount` c of log2(x + c).
    """

    name: str
    sizes: npt.NDArray[np.float64] | None = None
    pseudocount: float = 1.0

    def inward(self, values: Array) -> Array:
        """log2(x + 1), or z-scores, of values on the scale."""
        if self.name in ("z-score", "log2"):
            return values
        amounts = values
        if self.name == "counts" and self.sizes is not None:
            amounts = values / self.sizes[:, None] * 1e6
        elif self.name == "log2 + c":
            amounts = np.maximum(np.exp2(values) - self.pseudocount, 0.0)
        return np.log2(amounts + 1)

    def outward(self, values: Array) -> Array:
        """Values on the scale from log2(x + 1) or z-scores; amounts are >= 0. Counts are not rounded."""
        if self.name in ("z-score", "log2"):
            return values
        amounts = np.maximum(np.exp2(values) - 1, 0.0)
        if self.name == "log2 + c":
            return np.log2(amounts + self.pseudocount)
        if self.name == "counts" and self.sizes is not None:
            return amounts * self.sizes[:, None] / 1e6
        return amounts

    @property
    def done(self) -> str:
        """What was done, in words."""
        return {
            "counts": "log2(counts per million + 1) taken",
            "linear": "log2(x + 1) taken",
            "log2 + c": f"log2(x + {self.pseudocount:.3g}), brought to log2(x + 1)",
        }.get(self.name, "kept")


def detect_scale(values: pd.DataFrame) -> str:
    """Scale by the rules at the head of this module; ValueError for negative values of no such scale."""
    measured = values.to_numpy()
    measured = measured[np.isfinite(measured)]
    low, high = float(measured.min()), float(measured.max())
    if low >= 0 and bool((measured == np.floor(measured)).all()) and high > 1:
        return "counts"
    if (
        high <= LARGEST_LOG2
        and _is_floor(low)
        and (measured <= low + 1e-3).sum() >= max(3, _FLOOR_SHARE * measured.size)
    ):
        return "log2 + c"
    if low < 0 and abs(float(np.median(measured))) <= 1:
        return "z-score"
    if high <= LARGEST_LOG2:
        return "log2"
    if low < 0:
        raise ValueError(
            f"Expression must be logarithms, z-scores or amounts >= 0, but the values reach from "
            f"{low:g} to {high:g}. Pass the matrix before it was centred."
        )
    return "linear"


def _is_floor(low: float) -> bool:
    """Whether a value is the logarithm of an amount that one adds."""
    return low < -3 and bool(np.min(np.abs(np.exp2(low) / np.array(_PSEUDOCOUNTS) - 1)) < 0.01)


def sample_sizes(counts: Array, *, n_rounds: int = 50) -> npt.NDArray[np.float64]:
    """Reads of every sample, had all genes been measured, (n_samples,); see the head of this module."""
    observed = np.isfinite(counts)
    known = np.where(observed, counts, 0.0)
    totals = known.sum(axis=1, dtype=np.float64)
    sizes = np.maximum(totals, 1.0)
    if observed.all():
        return sizes
    genes = known.sum(axis=0, dtype=np.float64)
    for _ in range(n_rounds):
        shares = genes / np.maximum(sizes @ observed, 1e-300)
        shares /= shares.sum()
        sizes = np.maximum(totals, 1.0) / np.maximum(observed @ shares, 1e-12)
    return sizes


def measure(values: pd.DataFrame, scale: Scale) -> Measure:
    """Scale of samples in rows, found or as given. ValueError for one of no such name, and for negative
    amounts.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, but it is {scale!r}. Name one of these.")
    found = detect_scale(values) if scale == "auto" else scale
    low = float(np.nanmin(values.to_numpy()))
    if found in ("counts", "linear") and low < 0:
        raise ValueError(f"Values on the {found} scale must be >= 0, but the smallest is {low:g}.")
    if found == "counts":
        return Measure(found, sizes=sample_sizes(values.to_numpy()))
    return Measure(found, pseudocount=float(np.exp2(low)) if found == "log2 + c" else 1.0)
