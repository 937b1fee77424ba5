"""Figures of pathways: which set is dominant, and by chance; how well scores are predicted."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from latentgenomes.core.checks import list_names
from latentgenomes.core.style import FAINT, INK, axes_or_new, colours, style


def _require_columns(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"{name} must have rows and the columns {', '.join(columns)}, but it has {len(frame)} rows and "
            f"lacks {list_names(missing) or 'none'}. Pass the table as it was made."
        )


def plot_dominance(dominance: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how often each pathway is dominant, beside random sets as large.

    Parameters
    ----------
    dominance : DataFrame
        Indexed by pathway, with columns dominant, by_chance and sd, as from
        `latentgenomes.multimodal.evaluate.pathways.chance_dominance`.
    ax : Axes, optional
        Axes to draw into; a new figure by default.

    Returns
    -------
    Axes
        Bars are the real sets, in the order of the frame; a point with its bar is the mean and two standard
        deviations of the random ones.

    Raises
    ------
    ValueError
        If a column is missing or the frame is empty.
    """
    _require_columns(dominance, ("dominant", "by_chance", "sd"), "dominance")
    ax = axes_or_new(ax, height=1.1 + 0.4 * len(dominance))
    with style():
        places = np.arange(len(dominance))
        ax.barh(places, dominance["dominant"], height=0.62, color=colours(1)[0], label="the pathway")
        ax.errorbar(
            dominance["by_chance"].to_numpy(),
            places,
            xerr=2 * dominance["sd"].to_numpy(),
            fmt="D",
            color=INK,
            markerfacecolor="white",
            markersize=6,
            linewidth=1.4,
            label="random sets as large\n(mean, 2 sd)",
        )
        ax.set_yticks(places, dominance.index.astype(str).tolist())
        ax.set_ylim(len(dominance) - 0.4, -0.6)
        ax.set_xlabel("Share of the tumours in which the set is dominant")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_agreement(predictions: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the rank correlation of predicted and true scores, over all samples and within types.

    Parameters
    ----------
    predictions : DataFrame
        Columns target, input, overall, within and within_se, as from
        `latentgenomes.multimodal.evaluate.pathways.predict_targets`.
    ax : Axes, optional
        Axes to draw into; a new figure by default.

    Returns
    -------
    Axes
        One row per target and, in it, one line per input: a hollow circle is the correlation over all
        samples, a filled one within types, its bar two standard errors.

    Raises
    ------
    ValueError
        If a column is missing or the frame is empty.
    """
    _require_columns(predictions, ("target", "input", "overall", "within", "within_se"), "predictions")
    targets = list(dict.fromkeys(predictions["target"]))
    inputs = list(dict.fromkeys(predictions["input"]))
    ax = axes_or_new(ax, height=1.2 + len(targets) * (0.12 + 0.1 * len(inputs)))
    with style():
        for number, (name, colour) in enumerate(zip(inputs, colours(len(inputs)), strict=True)):
            part = predictions[predictions["input"] == name]
            rows = part["target"].map({target: place for place, target in enumerate(targets)})
            places = rows + 0.76 * ((number + 0.5) / len(inputs) - 0.5)
            z, error = np.arctanh(part["within"]), 2 * part["within_se"]
            ax.hlines(places, np.tanh(z - error), np.tanh(z + error), color=colour, linewidth=1.5)
            ax.plot(part["within"], places, "o", color=colour, markersize=4.5, label=str(name))
            ax.plot(part["overall"], places, "o", color=colour, markersize=5, markerfacecolor="white")
        ax.plot([], [], "o", color=FAINT, markerfacecolor="white", markersize=5, label="hollow: all tumours")
        ax.axvline(0, color=INK, linewidth=0.8)
        for place in range(1, len(targets)):
            ax.axhline(place - 0.5, color="#e2e2e2", linewidth=0.8)
        ax.set_yticks(range(len(targets)), [str(target) for target in targets])
        ax.set_ylim(len(targets) - 0.45, -0.55)
        ax.set_xlabel("Spearman correlation of predicted and true score (filled: within types)")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax
