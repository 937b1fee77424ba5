"""Figures of what a classifier answers: verdicts, places on the map, reliability, coverage and precision."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from latentgenomes.core.style import FAINT, INK, PALETTE, axes_or_new, style
from latentgenomes.multimodal.figures.cards import VERDICT_COLOURS
from latentgenomes.multimodal.figures.tumours import type_colours


def plot_verdicts(predictions: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many tumours were named each organ, by verdict: columns organ and verdict."""
    counts = pd.crosstab(predictions["organ"], predictions["verdict"])
    counts = counts.loc[counts.sum(axis=1).sort_values(kind="stable").index]
    ax = axes_or_new(ax, height=0.9 + 0.24 * len(counts))
    left = np.zeros(len(counts))
    with style():
        for verdict, shade in VERDICT_COLOURS.items():
            width = counts[verdict].to_numpy() if verdict in counts else np.zeros(len(counts))
            ax.barh(counts.index.astype(str), width, left=left, color=shade, label=verdict, height=0.7)
            left = left + width
        ax.set_xlabel("tumours")
        ax.margins(y=0.01)
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
    return ax


def plot_on_map(
    known: pd.DataFrame, places: pd.DataFrame, verdicts: pd.Series, ax: Axes | None = None
) -> Axes:
    """Draw tumours, as crosses coloured by verdict, among the known ones, as points coloured by organ.

    `known` has organ, map_1 and map_2; `places` has map_1 and map_2, and `verdicts` the same rows.
    """
    ax = axes_or_new(ax, height=5.2)
    looks = type_colours(known["organ"])
    with style():
        for organ, (shade, shape) in looks.items():
            own = known[known["organ"] == organ]
            ax.scatter(own["map_1"], own["map_2"], s=5, c=shade, marker=shape, alpha=0.35, linewidths=0)
        size = float(np.clip(9000 / len(places), 8, 110))
        for verdict, shade in VERDICT_COLOURS.items():
            mine = places[(verdicts.loc[places.index] == verdict).to_numpy()]
            ax.scatter(
                mine["map_1"], mine["map_2"], s=size, c=shade, marker="X", edgecolors="white", linewidths=0.6
            )
        handles = [
            Line2D([], [], linestyle="", marker=shape, color=shade, markersize=4.5, label=organ)
            for organ, (shade, shape) in looks.items()
        ] + [
            Line2D([], [], linestyle="", marker="X", color=shade, markersize=7, label=verdict)
            for verdict, shade in VERDICT_COLOURS.items()
        ]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("map 1")
        ax.set_ylabel("map 2")
    return ax


def plot_reliability(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the share of right answers against the stated probability: a line a table of `reliability`."""
    ax = axes_or_new(ax, height=3.6, width=4.4)
    with style():
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
        for (name, table), shade in zip(tables.items(), PALETTE, strict=False):
            ax.plot(table["probability"], table["right"], color=shade, linewidth=1.6, label=name)
            area = 220 * table["n"] / table["n"].sum()
            ax.scatter(table["probability"], table["right"], s=12 + area, color=shade, zorder=3)
        ax.set_xlabel("stated probability")
        ax.set_ylabel("share of answers that are right")
        ax.set_xlim(0, 1.02)
        ax.set_ylim(0, 1.02)
        ax.legend(loc="upper left")
    return ax


def plot_coverage(
    tables: Mapping[str, pd.DataFrame],
    marks: Mapping[str, tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw precision against coverage, a line a table of `selective`; `marks` are verdicts, a ring each."""
    ax = axes_or_new(ax, height=3.6, width=4.4)
    with style():
        for (name, table), shade in zip(tables.items(), PALETTE, strict=False):
            ax.plot(table["coverage"], table["precision"], color=shade, linewidth=1.8, label=name)
            if marks and name in marks:
                ax.plot(
                    *marks[name],
                    marker="o",
                    markersize=9,
                    markerfacecolor="none",
                    color=shade,
                    markeredgewidth=2,
                )
        ax.axhline(0.95, color=INK, linewidth=0.8, linestyle=":")
        ax.set_xlabel("coverage: share of tumours answered")
        ax.set_ylabel("precision: share right of these")
        ax.set_xlim(0, 1.02)
        ax.legend(loc="lower left")
    return ax


def plot_burden(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of right answers (full lines) and of *confident* ones (dashed) against the substitutions
    that are left: columns shown, burden, right and confident, a row an answer.
    """
    ax = axes_or_new(ax, height=3.2, width=5.6)
    with style():
        for (shown, part), shade in zip(table.groupby("shown", sort=False), PALETTE, strict=False):
            shares = part.groupby("burden")[["right", "confident"]].mean()
            ax.plot(shares.index, shares["right"], "-o", color=shade, markersize=4, label=str(shown))
            ax.plot(shares.index, shares["confident"], "--o", color=shade, markersize=3, linewidth=1)
        ax.set_xscale("log")
        ticks = sorted(table["burden"].unique())
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
        ax.set_ylim(0, 1.02)
        ax.set_xlabel("substitutions left of a tumour, at most")
        ax.set_ylabel("share of the answers")
        ax.legend(loc="upper left", title="right (full) and confident (dashed)", title_fontsize=8.5)
    return ax
