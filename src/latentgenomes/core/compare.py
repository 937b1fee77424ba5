"""Paired comparison of methods over the same splits.

======  ====================================  =======================================================
symbol  name in code                          meaning
======  ====================================  =======================================================
k       ``n_splits``                          number of splits that every method was scored on
d_i     ``differences``                       score of the method minus score of the baseline, split i
f       ``test_fraction``                     n_test / (n_train + n_test)
c       ``variance_factor``                   1/k, or 1/k + f / (1 - f) for resampled splits
se      ``difference_standard_error``         sqrt(c * var(d)), var with k - 1 in the denominator
t       mean(d) / se                          judged against Student's t with k - 1 degrees of freedom
======  ====================================  =======================================================
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

_COLUMNS = ("split", "method", "score")
_LEVEL = 0.05  # two-sided, for verdict and interval


def paired_differences(
    scores: pd.DataFrame, *, baseline: str, test_fraction: float | None = None
) -> pd.DataFrame:
    """Compare every method with a baseline on the same splits.

    Without `test_fraction` the test is the paired t-test, right for independent repetitions such as simulated
    data sets. With it, the corrected resampled t-test: splits of one data set share training samples, and the
    plain test is then far too sure of itself. No correction is made for the number of methods.

    Parameters
    ----------
    scores : DataFrame
        One row per split and method, with columns split, method (text) and score (float, any unit).
    baseline : str
        The method that the others are compared with.
    test_fraction : float in (0, 1), optional
        Fraction of the samples that each split holds out for testing.

    Returns
    -------
    DataFrame
        One row per method, in order of first appearance: method, n_splits, mean and standard_error of
        its score, difference to the baseline, difference_standard_error, lower and upper end of the 95%
        interval of the difference, p_value (two-sided), test (its name), and verdict: "baseline",
        "within noise", "higher" or "lower" (p < .05). Whether higher is better depends on the score.

    Raises
    ------
    ValueError
        If a score is missing or not finite, a pair of split and method repeats, or there are no 2 splits.

    References
    ----------
    .. [1] Nadeau, C. & Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52,
       239-281.
    """
    if test_fraction is not None and not 0 < test_fraction < 1:
        raise ValueError(
            f"test_fraction must lie in (0, 1), but is {test_fraction}. Give n_test / n, such as 0.2, "
            "or leave it out for independent repetitions."
        )
    table = _table(scores, baseline)  # (n_splits, n_methods)
    n_splits = len(table)
    variance_factor = 1 / n_splits
    test = "paired t-test"
    if test_fraction is not None:
        variance_factor += test_fraction / (1 - test_fraction)
        test = "corrected resampled t-test"
    reference = table[baseline].to_numpy()
    records = []
    for method in table.columns:
        values = table[method].to_numpy()
        summary = {
            "method": method,
            "n_splits": n_splits,
            "mean": float(values.mean()),
            "standard_error": float(np.sqrt(variance_factor * values.var(ddof=1))),
        }
        records.append(summary | _paired_test(values - reference, variance_factor, test))
    frame = pd.DataFrame.from_records(records)
    is_baseline = frame["method"] == baseline
    frame.loc[is_baseline, ["p_value"]] = np.nan
    frame.loc[is_baseline, "test"] = "none"
    frame.loc[is_baseline, "verdict"] = "baseline"
    return frame


def _paired_test(
    differences: npt.NDArray[np.float64], variance_factor: float, test: str
) -> dict[str, float | str]:
    """Test whether the mean of `differences`, shape (n_splits,), is zero."""
    mean = float(differences.mean())
    error = float(np.sqrt(variance_factor * differences.var(ddof=1)))
    freedom = len(differences) - 1
    p_value = 1.0 if mean == 0 else 0.0  # stands where all differences are equal: t is 0/0 or infinite
    if error > 0:
        p_value = float(2 * stats.t.sf(abs(mean) / error, freedom))
    half_width = float(stats.t.ppf(1 - _LEVEL / 2, freedom)) * error
    direction = "higher" if mean > 0 else "lower"
    return {
        "difference": mean,
        "difference_standard_error": error,
        "lower": mean - half_width,
        "upper": mean + half_width,
        "p_value": p_value,
        "test": test,
        "verdict": direction if p_value < _LEVEL else "within noise",
    }


def _table(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Turn tidy scores into a complete table of shape (n_splits, n_methods)."""
    missing = [column for column in _COLUMNS if column not in scores.columns]
    if missing:
        raise ValueError(
            f"scores must have the columns {list(_COLUMNS)}, but {missing} are not among "
            f"{scores.columns.tolist()}. Rename or add them."
        )
    finite = np.isfinite(scores["score"].to_numpy(dtype=float))
    if not finite.all():
        row = scores[~finite].iloc[0]
        raise ValueError(
            f"every score must be finite, but method {row['method']!r} scores {row['score']} on split "
            f"{row['split']}. Rerun that fit, or leave its split out for every method."
        )
    repeated = scores.duplicated(["split", "method"])
    if repeated.any():
        row = scores[repeated].iloc[0]
        raise ValueError(
            f"every method must have one score per split, but {row['method']!r} has several on split "
            f"{row['split']}. Average them first, or give them split names of their own."
        )
    table = scores.pivot(index="split", columns="method", values="score")
    table = table[scores["method"].drop_duplicates().tolist()].astype(float)
    if baseline not in table.columns:
        raise ValueError(
            f"baseline must be one of the methods {table.columns.tolist()}, but is {baseline!r}. "
            "Choose one of them."
        )
    holes = np.argwhere(table.isna().to_numpy())
    if len(holes):
        split, method = table.index[holes[0][0]], table.columns[holes[0][1]]
        raise ValueError(
            f"every method must be scored on every split, but {len(holes)} pairs are missing; "
            f"the first is method {method!r} on split {split}. "
            "Score it there, or leave the split out for every method."
        )
    if len(table) < 2:
        raise ValueError(
            f"a paired test must have at least 2 splits, but scores hold {len(table)}. Add splits or seeds."
        )
    return table
