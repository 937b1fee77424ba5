"""How many signatures: one rule per system, each with its reason in words.

Every rule takes a table with one row per number of signatures tried and returns the number and a
sentence that says why this one, in the numbers of the table. The rules of the published systems are
theirs; the rule of VAE-MS, which has none, is ours and is the same as that of the Gamma-Poisson NMF.

=========================  =========================================================================
system                     rule
=========================  =========================================================================
SigProfilerExtractor       `choose_stable`: the most signatures that are stable and fit no worse
MUSE-XAE                   `choose_least_error`: the least error among the stable ones
signeR                     `choose_highest` of the median BIC
VAE-MS, Gamma-Poisson NMF  `choose_highest` of the penalised evidence
=========================  =========================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

_WORDS = {"evidence": "penalised evidence", "bic": "BIC"}


@dataclass(frozen=True)
class Choice:
    """A number of signatures and why.

    Attributes
    ----------
    n_signatures : int
        The number.
    reason : str
        One or two sentences for a reader.
    """

    n_signatures: int
    reason: str


def choose_highest(table: pd.DataFrame, column: str) -> Choice:
    """Take the number of signatures where a criterion is highest.

    Parameters
    ----------
    table : DataFrame
        Index: numbers of signatures. `column` holds the criterion, in nats; higher is better.
    column : str
        ``"evidence"`` or ``"bic"``.
    """
    values = _column(table, column).dropna()
    best = int(values.idxmax())
    word = _WORDS.get(column, column)
    if len(values) == 1:
        return Choice(best, f"{best} was the only number of signatures tried.")
    beside = [
        f"{n} would lose {values[best] - values[n]:,.1f}"
        for n in values.index.sort_values()
        if n != best and abs(n - best) <= 2
    ]
    runner_up = int(values.drop(best).idxmax())
    tail = (
        "; ".join(beside) or f"the next best, {runner_up}, would lose {values[best] - values[runner_up]:,.1f}"
    )
    edge = "" if best < values.index.max() else " It is the largest number tried: more may be better."
    return Choice(best, f"The {word} is highest at {best} signatures ({tail}, in nats).{edge}")


def choose_least_error(table: pd.DataFrame, *, least_mean: float = 0.7, least_minimum: float = 0.2) -> Choice:
    """Take the number of least reconstruction error among those whose signatures are stable.

    Parameters
    ----------
    table : DataFrame
        Index: numbers of signatures; columns stability_mean, stability_min (mean silhouette over all
        signatures, and that of the least stable one) and error.
    least_mean, least_minimum : float
        Demands on the two.

    References
    ----------
    Pancotti et al. 2024, Bioinformatics 40:btae320 (MUSE-XAE).
    """
    stable = _stable(table, least_mean, least_minimum)
    if not len(stable):
        return _most_stable(table, least_mean, least_minimum)
    best = int(stable["error"].idxmin())
    return Choice(
        best,
        f"Of {_count(stable)} with mean stability >= {least_mean:g} and minimum >= {least_minimum:g}, "
        f"{best} has the least error ({stable.loc[best, 'error']:.6g}).",
    )


def choose_stable(
    table: pd.DataFrame,
    sample_errors: Mapping[int, np.ndarray],
    *,
    least_mean: float = 0.8,
    least_minimum: float = 0.2,
    level: float = 0.05,
) -> Choice:
    """Take SigProfilerExtractor's number: from the most stable signatures down while the fit holds.

    Parameters
    ----------
    table : DataFrame
        Index: numbers of signatures; columns stability_mean and stability_min. Both are rounded to two
        digits and must also sum to at least 1.
    sample_errors : mapping of int to ndarray of shape (n_samples,)
        Reconstruction error of every sample by number of signatures.
    least_mean, least_minimum : float
        Demands on the mean and on the least stable signature.
    level : float
        The largest stable number is the top. Smaller stable ones, no less stable than the top on
        average, are taken until one has significantly larger errors than the top (two-sided rank sum
        test). The smallest number tried is never taken so: it ends the walk.

    References
    ----------
    Islam et al. 2022, Cell Genomics 2:100179. SigProfilerExtractor 1.4.1, ``stabVsRError``.
    """
    rounded = table.round({"stability_mean": 2, "stability_min": 2})
    stable = _stable(rounded, least_mean, least_minimum)
    stable = stable[stable["stability_mean"] + stable["stability_min"] >= 1.0]
    if not len(stable):
        return _most_stable(table, least_mean, least_minimum)
    top = int(stable.index.max())
    as_stable = stable[stable["stability_mean"] >= stable.loc[top, "stability_mean"]]
    chosen, stopped = top, ""
    for fewer in sorted((int(n) for n in as_stable.index if top > n > table.index.min()), reverse=True):
        p = float(stats.ranksums(sample_errors[fewer], sample_errors[top]).pvalue)
        if p < level and np.median(sample_errors[fewer]) > np.median(sample_errors[top]):
            stopped = f" {fewer} would fit significantly worse (p = {p:.2g})."
            break
        chosen = fewer
    return Choice(
        chosen,
        f"{top} is the most with mean stability >= {least_mean:g} and minimum >= {least_minimum:g}"
        + (f"; {chosen} fits no worse and is as stable." if chosen != top else ".")
        + stopped,
    )


def _stable(table: pd.DataFrame, least_mean: float, least_minimum: float) -> pd.DataFrame:
    """Rows that meet both demands."""
    mean, minimum = _column(table, "stability_mean"), _column(table, "stability_min")
    return table[(mean >= least_mean) & (minimum >= least_minimum)]


def _most_stable(table: pd.DataFrame, least_mean: float, least_minimum: float) -> Choice:
    """Fall back on the highest mean stability where nothing meets the demands."""
    best = int(table["stability_mean"].idxmax())
    return Choice(
        best,
        f"No number reached mean stability {least_mean:g} with minimum {least_minimum:g}; "
        f"{best} is the most stable (mean {table.loc[best, 'stability_mean']:.2f}). Use with care.",
    )


def _count(rows: pd.DataFrame) -> str:
    return "one number" if len(rows) == 1 else f"{len(rows)} numbers"


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        raise ValueError(
            f"The table of a choice must have a column {name!r}, but it has {list(table.columns)}. "
            "Fit with the method that this rule belongs to."
        )
    return table[name]
