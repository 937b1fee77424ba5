"""Figures of the expression study: restoration by missing rate, Kaplan-Meier curves, calibration."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from latentgenomes.core.style import FAINT, INK, axes_or_new, colours, style


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing or frame.empty:
        raise ValueError(
            f"{name} must have rows and the columns {list(columns)}, but has {len(frame)} rows and lacks "
            f"{missing}. Pass the table as it was made."
        )


def plot_restoration(scores: pd.DataFrame, ax: Axes | None = None, *, bold: Sequence[str] = ()) -> Axes:
    """Draw rmse of every method against the missing rate (mask); the band spans the seeds. Methods in `bold`
    are drawn in colour and thick, the others grey; all in colour where it is empty.
    """
    _require(scores, ("mask", "method", "rmse"), "scores")
    methods = list(dict.fromkeys(scores["method"]))
    unknown = [name for name in bold if name not in methods]
    if unknown:
        raise ValueError(f"bold must name methods of {methods}, but {unknown[0]!r} came. Name one of these.")
    ax = axes_or_new(ax, height=3.6)
    shown = list(bold) or methods
    hues = dict(zip(shown, colours(len(shown)), strict=True))
    rates = scores.assign(mask=scores["mask"].astype(float))
    ends: list[tuple[float, str]] = []
    with style():
        for method in methods:
            table = rates[rates["method"] == method].groupby("mask")["rmse"].agg(["mean", "min", "max"])
            colour, width = hues.get(method, FAINT), 2.0 if method in hues else 1.0
            x = 100 * table.index.to_numpy(dtype=float)
            ax.plot(x, table["mean"], "o-", color=colour, linewidth=width, markersize=1.5 + width)
            ax.fill_between(x, table["min"], table["max"], color=colour, alpha=0.15, linewidth=0)
            ends.append((float(table["mean"].iloc[-1]), method))
        low, high = ax.get_ylim()
        places = _apart([end for end, _ in ends], 0.05 * (high - low))
        for place, (_, method) in zip(places, ends, strict=True):
            ax.annotate(
                method,
                (1.02, place),
                xycoords=("axes fraction", "data"),
                color=hues.get(method, INK),
                va="center",
                fontsize=8.5,
            )
        ax.set_xlabel("Genes missing (%)")
        ax.set_ylabel("RMSE (standard deviations of a gene)")
    return ax


def _apart(ends: Sequence[float], gap: float) -> npt.NDArray[np.float64]:
    """Places for labels, in order and at least a gap from each other."""
    values = np.asarray(ends, dtype=np.float64)
    order = np.argsort(values)
    places = values.copy()
    for below, above in pairwise(order):
        places[above] = max(places[above], places[below] + gap)
    return places


def plot_kaplan_meier(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw Kaplan-Meier `survival_curves` with pointwise 95% intervals and, below, the numbers at risk."""
    _require(curves, ("group", "time", "survival", "lower", "upper", "at_risk"), "curves")
    ax = axes_or_new(ax, height=3.8)
    groups = list(dict.fromkeys(curves["group"]))
    end = float(curves.groupby("group")["time"].max().max()) / 365.25
    with style():
        ticks = _round_ticks(end)
        for row, (group, colour) in enumerate(zip(groups, colours(len(groups)), strict=True)):
            table = curves[curves["group"] == group]
            x = table["time"].to_numpy() / 365.25
            ax.step(x, table["survival"], where="post", color=colour, linewidth=1.8, label=str(group))
            ax.fill_between(
                x, table["lower"], table["upper"], step="post", color=colour, alpha=0.15, linewidth=0
            )
            for tick in ticks:
                later = table["at_risk"].to_numpy()[x >= tick - 1e-9]
                ax.annotate(
                    str(int(later[0])) if len(later) else "0",
                    (tick, -0.30 - 0.085 * row),
                    xycoords=("data", "axes fraction"),
                    color=colour,
                    ha="center",
                    fontsize=8.5,
                    annotation_clip=False,
                )
        ax.annotate("At risk", (0, -0.22), xycoords="axes fraction", fontsize=8.5, color=INK)
        ax.set_xticks(ticks)
        ax.set_xlim(-0.02 * end, end * 1.02)
        ax.set_ylim(0, 1.03)
        ax.set_xlabel("Time (years)")
        ax.set_ylabel("Share without the event")
        ax.legend(loc="upper right")
    return ax


def _round_ticks(end: float) -> list[float]:
    """Four to eight round numbers from 0 to the end of follow-up."""
    size = 10.0 ** np.floor(np.log10(end / 3)) if end > 0 else 1.0
    step = next(factor * size for factor in (5, 2, 1) if factor * size <= end / 3 or factor == 1)
    return [float(step * number) for number in range(int(end / step) + 1)]


def plot_calibration(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw observed against predicted survival, a line for each arm; on the diagonal predictions hold."""
    _require(table, ("arm", "predicted", "observed", "standard_error"), "table")
    ax = axes_or_new(ax, height=3.6, width=4.2)
    arms = list(dict.fromkeys(table["arm"]))
    with style():
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        for arm, colour in zip(arms, colours(len(arms)), strict=True):
            part = table[table["arm"] == arm]
            ax.errorbar(
                part["predicted"],
                part["observed"],
                yerr=1.96 * part["standard_error"],
                fmt="o-",
                color=colour,
                label=str(arm),
            )
        low = max(float(min(table["predicted"].min(), table["observed"].min())) - 0.1, 0.0)
        ax.set_xlim(low, 1.02)
        ax.set_ylim(low, 1.02)
        ax.set_xlabel("Predicted survival")
        ax.set_ylabel("Observed survival (95% interval)")
        ax.legend(loc="upper left")
    return ax


def plot_coefficients(table: pd.DataFrame, ax: Axes | None = None, *, n_genes: int = 20) -> Axes:
    """Draw the largest coefficients, log hazard ratios of a standard deviation, and the range over folds. The
    table has ``gene``, ``coefficient``, ``fold_lower`` and ``fold_upper``.
    """
    _require(table, ("gene", "coefficient", "fold_lower", "fold_upper"), "table")
    largest = table.reindex(table["coefficient"].abs().sort_values(ascending=False).index).head(n_genes)
    shown = largest.sort_values("coefficient", kind="stable")
    ax = axes_or_new(ax, height=0.6 + 0.22 * len(shown))
    place = np.arange(len(shown))
    with style():
        ax.axvline(0, color=FAINT, linewidth=1)
        ax.hlines(place, shown["fold_lower"], shown["fold_upper"], color=FAINT, linewidth=2)
        ax.plot(shown["coefficient"], place, "o", color=colours(1)[0], markersize=5)
        ax.set_yticks(place, labels=shown["gene"].astype(str).tolist())
        ax.set_xlabel("Log hazard ratio of one standard deviation")
    return ax
