"""Whether probabilities hold, what is gained by not answering, and whether what is unknown is seen.

Answers are a frame with a row for each tumour: ``probability`` of the type that was named, ``right`` (bool).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

N_BINS = 15


def _columns(answers: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    missing = [name for name in ("probability", "right") if name not in answers.columns]
    if missing or answers.empty:
        raise ValueError(
            f"answers must have rows and the columns probability and right, but there are {len(answers)} "
            f"rows and {', '.join(missing) or 'none'} is missing. Pass one row per answer."
        )
    probability = answers["probability"].to_numpy(dtype=np.float64)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probability must lie in 0..1, but some does not. Pass probabilities, not scores.")
    return probability, answers["right"].to_numpy(dtype=bool)


def reliability(answers: pd.DataFrame, n_bins: int = N_BINS) -> pd.DataFrame:
    """Answers by stated probability, in bins of equal width: n, probability (mean), right (share)."""
    probability, right = _columns(answers)
    bins = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    table = pd.DataFrame({"bin": bins, "probability": probability, "right": right.astype(np.float64)})
    found = table.groupby("bin").agg(
        n=("right", "size"), probability=("probability", "mean"), right=("right", "mean")
    )
    return found.reset_index()


def calibration_error(answers: pd.DataFrame, n_bins: int = N_BINS) -> float:
    """Expected calibration error: mean distance of share right and stated probability, over bins, by size.

    References
    ----------
    Guo et al. 2017, ICML 34:1321-1330, eq. 3.
    """
    table = reliability(answers, n_bins)
    return float(np.average((table["probability"] - table["right"]).abs(), weights=table["n"]))


def selective(answers: pd.DataFrame, thresholds: Sequence[float]) -> pd.DataFrame:
    """Coverage, the share of tumours answered, and precision, the share right of these, by least probability.

    One row a threshold: threshold, coverage, precision (NaN where nothing is answered), n.
    """
    probability, right = _columns(answers)
    rows = []
    for threshold in thresholds:
        answered = probability >= threshold
        precision = float(right[answered].mean()) if answered.any() else float("nan")
        rows.append((float(threshold), float(answered.mean()), precision, int(answered.sum())))
    return pd.DataFrame(rows, columns=["threshold", "coverage", "precision", "n"])


def unknown_auroc(p_values: npt.ArrayLike, unknown: npt.ArrayLike) -> float:
    """Area under the ROC curve of low p-values for tumours of a type that the model never saw."""
    values, flags = np.asarray(p_values, dtype=np.float64), np.asarray(unknown, dtype=bool)
    if flags.all() or not flags.any():
        raise ValueError("unknown must hold known and unknown tumours, but holds one kind. Pass both.")
    return float(roc_auc_score(flags, -values))
