"""Why this number of signatures: what a rule judged, against the number."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from latentgenomes.core.style import INK, axes_or_new, colours, style

_STABILITY = {"stability_mean": "stability, mean", "stability_min": "stability, minimum"}
_FIT = {
    "evidence": "penalised evidence (nats)",
    "bic": "BIC",
    "error": "error",
    "divergence": "KL divergence",
}


def plot_selection(selection: pd.DataFrame, ax: Axes | None = None, *, chosen: int) -> Axes:
    """Draw the criteria of an extraction against the number of signatures.

    The left axis shows the criterion that ranks fits: the first present of reconstruction error, BIC,
    penalised evidence and KL divergence. Where restarts were clustered, the right axis shows how
    stable the signatures are. A vertical line marks the choice.

    Parameters
    ----------
    selection : DataFrame
        Index: numbers of signatures. Columns as in `Extraction.selection`.
    ax : Axes, optional
        Axes to draw into; a new figure by default.
    chosen : int
        The number that was taken.

    Returns
    -------
    Axes
        The left axes.

    Raises
    ------
    ValueError
        If no column can be drawn, or `chosen` is not in the table.
    """
    fit = next((name for name in _FIT if name in selection), None)
    if fit is None or chosen not in selection.index:
        raise ValueError(
            f"selection must hold one of {list(_FIT)} and the chosen number {chosen}, but it has columns "
            f"{list(selection.columns)} and numbers {list(selection.index)}. Pass Extraction.selection."
        )
    table = selection.sort_index()
    ax = axes_or_new(ax, height=3.0)
    first, second, third = colours(3)
    with style():
        ax.plot(table.index, table[fit], "-o", color=first, markersize=4, label=_FIT[fit])
        ax.axvline(chosen, color=INK, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{chosen}",
            (chosen, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
        )
        ax.set_xlabel("number of signatures")
        ax.set_ylabel(_FIT[fit])
        ax.set_xticks(_ticks(table.index.to_numpy()))
        handles = ax.get_lines()[:1]
        if "stability_mean" in table:
            right = ax.twinx()
            for (name, label), colour in zip(_STABILITY.items(), (second, third), strict=True):
                handles += right.plot(
                    table.index, table[name], "--s", color=colour, markersize=3, label=label
                )
            right.set_ylim(min(0.0, float(table["stability_min"].min())) - 0.05, 1.05)
            right.set_ylabel("stability (silhouette)")
            ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=3, frameon=False)
    return ax


def _ticks(numbers: np.ndarray) -> list[int]:
    """Whole numbers, at most a dozen."""
    step = max(1, int(np.ceil(len(numbers) / 12)))
    return [int(n) for n in numbers[::step]]
