"""Figure of what comes back from the other half of the donors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from latentgenomes.core.style import FAINT, axes_or_new, colours, style


def plot_halves(table: pd.DataFrame, ax: Axes | None = None, *, value: str, label: str) -> Axes:
    """Draw a column of `compare_halves` by cohort (rows) and method (colours): large dots are means over the
    splits, small ones single splits; a line joins the methods of a cohort.
    """
    missing = [name for name in ("cohort", "method", "split", value) if name not in table.columns]
    if missing or table.empty:
        raise ValueError(
            f"table must have rows and the columns cohort, method, split and {value}, but lacks {missing}. "
            "Pass a table of compare_halves with its cohort."
        )
    methods = list(dict.fromkeys(table["method"]))
    means = table.groupby(["cohort", "method"])[value].mean().unstack()[methods]
    means = means.sort_values(methods[-1])
    places = pd.Series(np.arange(len(means)), index=means.index)
    ax = axes_or_new(ax, height=0.9 + 0.4 * len(means))
    with style():
        ax.hlines(places, means.min(axis=1), means.max(axis=1), color=FAINT, linewidth=1, zorder=1)
        for number, (method, colour) in enumerate(zip(methods, colours(len(methods)), strict=True)):
            part = table[table["method"] == method]
            shift = 0.12 * (number - (len(methods) - 1) / 2)
            ax.scatter(part[value], part["cohort"].map(places) + shift, s=9, color=colour, alpha=0.5, lw=0)
            ax.scatter(means[method], places, s=46, color=colour, zorder=3, label=method)
        ax.set_yticks(places, list(means.index))
        ax.set_xlabel(label)
        ax.margins(y=0.12)
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(methods), borderaxespad=0.2)
    return ax
