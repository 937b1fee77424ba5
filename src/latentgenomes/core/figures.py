"""Figures of any study: how fits went, and how methods compare on the same splits.

A tidy frame goes in, axes come out; the frame is never changed.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from latentgenomes.core.style import INK, axes_or_new, colours, style

_SETS = {"training": "-", "validation": "--"}
_LOG_RANGE = 30.0  # beyond this ratio of largest to smallest a linear axis hides the smaller terms


def plot_history(history: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the terms of the objective against the epoch.

    A thin line is one member of an ensemble, a thick line the median of the members that still train.
    Training is solid, validation dashed. The vertical axis is logarithmic where all values are positive and
    the largest is over 30 times the smallest.

    `history` has columns epoch, member, term, value (nats per sample) and set ("training" or "validation").
    """
    _require_columns(history, ("epoch", "member", "term", "value", "set"), "history")
    unknown = [name for name in history["set"].unique() if name not in _SETS]
    if unknown:
        raise ValueError(
            f"the column set of history must hold {list(_SETS)}, but holds {unknown[0]!r}. Rename it."
        )
    ax = axes_or_new(ax, height=3.0)
    terms = history["term"].unique()
    several = history["member"].nunique() > 1
    with style():
        for term, colour in zip(terms, colours(len(terms)), strict=True):
            for name, line in _SETS.items():
                part = history[(history["term"] == term) & (history["set"] == name)]
                if part.empty:
                    continue
                table = part.pivot_table(index="epoch", columns="member", values="value")
                if several:
                    ax.plot(table.index, table.to_numpy(), line, color=colour, alpha=0.3, linewidth=0.7)
                label = f"{term}, {name}"
                ax.plot(table.index, table.median(axis=1), line, color=colour, linewidth=1.8, label=label)
        smallest = float(history["value"].min())
        if smallest > 0 and float(history["value"].max()) > _LOG_RANGE * smallest:
            ax.set_yscale("log")
        ax.set_xlabel("Epoch")
        ax.set_ylabel("Nats per sample")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_paired(comparison: pd.DataFrame, ax: Axes | None = None, *, score: str = "score") -> Axes:
    """Draw the difference of every method to the baseline, with its 95% interval, around zero.

    A filled point differs from the baseline (p < .05); a hollow one is within noise. `comparison` is a table
    of `paired_differences`; `score` says what was compared, with its unit.
    """
    columns = ("method", "difference", "lower", "upper", "verdict", "n_splits")
    _require_columns(comparison, columns, "comparison")
    is_baseline = comparison["verdict"] == "baseline"
    if is_baseline.sum() != 1:
        raise ValueError(
            f'comparison must have one row with verdict "baseline", but has {int(is_baseline.sum())}. '
            "Pass the whole table of one paired comparison."
        )
    rows = comparison[~is_baseline]
    ax = axes_or_new(ax, height=1.1 + 0.33 * len(rows))
    with style():
        ax.axvline(0, color=INK, linewidth=1)
        colour = colours(1)[0]
        for place, (_, row) in enumerate(rows.iterrows()):
            # Each end by itself: an interval need not be symmetric.
            ax.plot([row["lower"], row["upper"]], [place, place], color=colour, linewidth=1.8)
            face = "white" if row["verdict"] == "within noise" else colour
            ax.plot(row["difference"], place, "o", color=colour, markerfacecolor=face, markersize=7)
            ax.annotate(
                str(row["verdict"]),
                (1.01, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8.5,
                color=INK,
            )
        ax.set_yticks(np.arange(len(rows)), rows["method"].astype(str).tolist())
        ax.set_ylim(len(rows) - 0.5, -0.5)
        baseline = comparison.loc[is_baseline, "method"].iloc[0]
        n_splits = int(comparison["n_splits"].iloc[0])
        ax.set_xlabel(f"Difference in {score} to {baseline} (mean and 95% interval, {n_splits} splits)")
    return ax


def _require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse an empty frame, and one without the columns that are drawn."""
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"{name} must have rows and the columns {list(columns)}, but has {len(frame)} rows "
            f"and lacks {missing}. Pass the table as it was made, before renaming or filtering."
        )
