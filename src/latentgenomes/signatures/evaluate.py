"""How good an extraction is: signatures against a reference, exposures against truth, rates against counts.

=================  ==========================  ====================================================
symbol             name in code                meaning
=================  ==========================  ====================================================
S                  ``estimated``, ``truth``    signatures, shape (n_signatures, n_channels)
cos(a, b)          ``cosine_similarity``       a . b over the product of their lengths, no unit
x                  ``counts``                  mutations per sample and channel
lambda             ``rates``                   expected mutations per sample and channel
log p(x; lambda)   ``poisson_log_likelihood``  sum of x log lambda - lambda - log x!, in nats
=================  ==========================  ====================================================

Frames are aligned by label, never by position, and never changed.
"""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, xlogy

FloatArray = npt.NDArray[np.float64]
ArrayOrFrame = npt.ArrayLike | pd.DataFrame


def cosine_similarity(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Cosine of every row of `a` with every row of `b`, labelled so; rows of any scale, channels in any
    order.
    """
    _require_same_labels(a.columns, b.columns, "the channels (columns)", ("a", "b"))
    unit_a = _unit_rows(a, "a")
    unit_b = _unit_rows(b[a.columns], "b")
    cosines = np.clip(unit_a @ unit_b.T, -1.0, 1.0)  # (n_a, n_channels) @ (n_channels, n_b) -> (n_a, n_b)
    return pd.DataFrame(cosines, index=a.index, columns=b.index)


def match_signatures(
    estimated: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    how: Literal["assignment", "nearest"] = "assignment",
) -> pd.DataFrame:
    """Pair estimated with reference signatures, in the order of the first: signature, reference, cosine.
    "assignment" pairs one to one so that the sum of cosines is largest; surplus rows stay without a pair.
    "nearest" gives every estimated signature its best reference, which may repeat.
    """
    cosines = cosine_similarity(estimated, reference)
    values = cosines.to_numpy()
    if how == "assignment":
        rows, columns = linear_sum_assignment(values, maximize=True)
    elif how == "nearest":
        rows, columns = np.arange(len(values)), values.argmax(axis=1)
    else:
        raise ValueError(f'how must be "assignment" or "nearest", but is {how!r}. Choose one of the two.')
    return pd.DataFrame(
        {
            "signature": cosines.index[rows],
            "reference": cosines.columns[columns],
            "cosine": values[rows, columns],
        }
    )


def recovery(
    estimated: pd.DataFrame,
    truth: pd.DataFrame,
    thresholds: Sequence[float] = (0.8, 0.9, 0.95),
) -> pd.DataFrame:
    """Count how many true signatures were found, one to one, at several demands on the cosine (threshold).
    Precision is found / estimated, recall found / true; no threshold flatters mean_cosine, of all pairs.
    """
    outside = [threshold for threshold in thresholds if not 0 <= threshold <= 1]
    if outside:
        raise ValueError(f"thresholds must lie in 0..1, but {outside[0]} does not. Give cosines such as 0.9.")
    cosines = match_signatures(estimated, truth)["cosine"].to_numpy()
    records = []
    for threshold in thresholds:
        found = cosines[cosines >= threshold]
        records.append(
            {
                "threshold": float(threshold),
                "n_estimated": len(estimated),
                "n_true": len(truth),
                "n_matched": len(found),
                "precision": len(found) / len(estimated),
                "recall": len(found) / len(truth),
                "f1": 2 * len(found) / (len(estimated) + len(truth)),
                "mean_cosine": float(cosines.mean()),
            }
        )
    return pd.DataFrame.from_records(records)


def exposure_errors(
    estimated: pd.DataFrame,
    truth: pd.DataFrame,
    matches: pd.DataFrame,
    *,
    presence_fraction: float = 0.05,
) -> pd.DataFrame:
    """Compare estimated with true exposures, a row per matched signature: rmse (mutations), relative_error
    (sum of absolute errors over true exposures), correlation (NaN where a side is constant), n_present, and
    scores of presence (NaN where undefined): more than `presence_fraction` of the sample's true mutations.
    """
    if not 0 <= presence_fraction < 1:
        raise ValueError(
            f"presence_fraction must lie in [0, 1), but is {presence_fraction}. "
            "Give a fraction of the sample's mutations, such as 0.05."
        )
    _require_same_labels(estimated.index, truth.index, "the samples (rows)", ("estimated", "truth"))
    _require_columns(matches, ("signature", "reference"), "matches")
    _require_columns(estimated, matches["signature"].tolist(), "estimated")
    _require_columns(truth, matches["reference"].tolist(), "truth")
    _finite(estimated, "estimated")
    least = presence_fraction * _finite(truth, "truth").sum(axis=1)  # (n_samples,)
    aligned = estimated.loc[truth.index]
    records = []
    for signature, reference in zip(matches["signature"], matches["reference"], strict=True):
        guess = aligned[signature].to_numpy(dtype=float)
        true = truth[reference].to_numpy(dtype=float)
        errors = _errors_of_one(guess, true) | _presence(guess > least, true > least)
        records.append({"signature": signature, "reference": reference} | errors)
    return pd.DataFrame.from_records(records)


def poisson_log_likelihood(counts: ArrayOrFrame, rates: ArrayOrFrame) -> FloatArray:
    """Log p(counts | rates) of every sample under Poisson counts, in nats; frames are aligned by label. Log
    x! is exact, of fractions too. A zero count at a zero rate adds 0, a positive one minus infinity.
    """
    if isinstance(counts, pd.DataFrame) and isinstance(rates, pd.DataFrame):
        _require_same_labels(counts.index, rates.index, "the samples (rows)", ("counts", "rates"))
        _require_same_labels(counts.columns, rates.columns, "the channels (columns)", ("counts", "rates"))
        rates = rates.loc[counts.index, counts.columns]
    x = _non_negative(counts, "counts")
    expected = _non_negative(rates, "rates")
    if x.shape != expected.shape or x.ndim != 2:
        raise ValueError(
            "counts and rates must both have shape (n_samples, n_channels), but counts has "
            f"{x.shape} and rates has {expected.shape}. Pass one rate for every count."
        )
    terms: FloatArray = xlogy(x, expected) - expected - gammaln(x + 1.0)
    return np.asarray(terms.sum(axis=1), dtype=float)


def log_likelihood_per_mutation(counts: ArrayOrFrame, rates: ArrayOrFrame) -> float:
    """Poisson log-likelihood of a whole catalogue over its mutations, in nats. Higher is better."""
    total = float(np.asarray(counts, dtype=float).sum())
    log_likelihood = float(poisson_log_likelihood(counts, rates).sum())
    if total == 0:
        raise ValueError(
            "counts must hold at least one mutation, but sum to 0. Check the file or drop the empty samples."
        )
    return log_likelihood / total


def _errors_of_one(guess: FloatArray, true: FloatArray) -> dict[str, float]:
    """Compute size and correlation of the errors of one signature; both arrays (n_samples,)."""
    total = np.abs(true).sum()
    constant = np.ptp(guess) == 0 or np.ptp(true) == 0
    return {
        "rmse": float(np.sqrt(np.mean((guess - true) ** 2))),
        "relative_error": float(np.abs(guess - true).sum() / total) if total > 0 else np.nan,
        "correlation": np.nan if constant else float(np.corrcoef(guess, true)[0, 1]),
    }


def _presence(called: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Compute precision, recall and F1 of presence calls; both arrays (n_samples,)."""
    hits, n_called, n_present = int((called & present).sum()), int(called.sum()), int(present.sum())
    return {
        "n_present": n_present,
        "presence_precision": hits / n_called if n_called else np.nan,
        "presence_recall": hits / n_present if n_present else np.nan,
        "presence_f1": 2 * hits / (n_called + n_present) if n_called + n_present else np.nan,
    }


def _unit_rows(frame: pd.DataFrame, name: str) -> FloatArray:
    """Scale rows to length 1, after checking that they have one."""
    if frame.index.has_duplicates:
        label = frame.index[frame.index.duplicated()][0]
        raise ValueError(f"{name} must have unique row labels, but {label!r} repeats. Rename the rows.")
    values = _finite(frame, name)
    if values.size == 0:
        raise ValueError(
            f"{name} must have at least one row and one channel, but has shape {values.shape}. "
            "Check what was extracted or loaded."
        )
    # Dividing by the largest entry first keeps the squares of tiny and huge rows in range.
    largest = np.abs(values).max(axis=1, keepdims=True)
    if (largest == 0).any():
        row = frame.index[int(np.argmin(largest))]
        raise ValueError(
            f"{name} must have no row of zeros, whose cosine is undefined, but row {row!r} is one. "
            "Drop that row."
        )
    scaled = values / largest
    unit: FloatArray = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return unit


def _finite(values: ArrayOrFrame, name: str) -> FloatArray:
    """Convert to floats, refusing NaN and infinity."""
    array = np.asarray(values, dtype=float)
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must hold finite numbers, but {int(bad.sum())} of {array.size} entries do not; "
            f"the first is {array[first]} at position {first}. Fill or drop them first."
        )
    return array


def _non_negative(values: ArrayOrFrame, name: str) -> FloatArray:
    """Convert to floats, refusing NaN, infinity and negative entries."""
    array = _finite(values, name)
    negative = array < 0
    if negative.any():
        first = tuple(int(i) for i in np.argwhere(negative)[0])
        raise ValueError(
            f"{name} must hold numbers >= 0, but {int(negative.sum())} of {array.size} entries do not; "
            f"the first is {array[first]:g} at position {first}. Pass mutations, not log-ratios or z-scores."
        )
    return array


def _require_same_labels(first: pd.Index, second: pd.Index, what: str, names: tuple[str, str]) -> None:
    """Refuse repeated labels, and labels that only one side has."""
    for index, name in zip((first, second), names, strict=True):
        if index.has_duplicates:
            label = index[index.duplicated()][0]
            raise ValueError(f"{what} of {name} must be unique, but {label!r} repeats. Drop or rename it.")
    for index, other, name, absent in ((first, second, *names), (second, first, *names[::-1])):
        only = index.difference(other, sort=False)
        if len(only):
            raise ValueError(
                f"{what} of {names[0]} and {names[1]} must be the same, but {len(only)} of {name} are not in "
                f"{absent}; the first is {only[0]!r}. Select the shared ones, or rename them to one spelling."
            )


def _require_columns(frame: pd.DataFrame, needed: Sequence[Hashable], name: str) -> None:
    """Refuse a frame without the columns that are asked of it, or with several of one name."""
    if frame.columns.has_duplicates:
        label = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"the columns of {name} must be unique, but {label!r} repeats. Rename one of them.")
    missing = [label for label in needed if label not in frame.columns]
    if missing:
        raise ValueError(
            f"{name} must have a column for every label asked of it, but {missing[0]!r} is not among "
            f"{frame.columns.tolist()[:8]}. Pass frames that belong together."
        )
