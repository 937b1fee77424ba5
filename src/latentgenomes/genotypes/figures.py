"""Figures of the study: ratios of codes, diversity, cost against length, latent maps, linkage, calls."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from latentgenomes.core.extras import require
from latentgenomes.core.style import FAINT, INK, PAGE_WIDTH, axes_or_new, colours, style

#: How the bits of a code were found, from the strictest on.
KINDS = {"bytes": "bytes of a file", "ideal": "ideal length", "estimate": "published estimate"}

_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
_MISSING, _ZERO, _ONE = "#e69f00", "#f2f2f2", "#0072b2"


def _require(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"The table must have rows and the columns {list(columns)}, but it has {len(frame)} rows and "
            f"lacks {missing}. Pass the table as it was made."
        )


def plot_ratios(table: pd.DataFrame, ax: Axes | None = None, *, target: float | None = None) -> Axes:
    """Draw how many times shorter each code is than one bit a call: mean bar, a point for every split.

    The table has rows of `score_split` of one group: split, method, kind, ratio. A line marks the target.
    """
    _require(table, ("split", "method", "kind", "ratio"))
    means = table.groupby("method")["ratio"].mean().sort_values()
    kinds = table.drop_duplicates("method").set_index("method")["kind"]
    ax = axes_or_new(ax, height=0.8 + 0.28 * len(means))
    shades = dict(zip(KINDS, colours(len(KINDS)), strict=True))
    with style():
        for place, (method, mean) in enumerate(zip(means.index.astype(str), means, strict=True)):
            ax.barh(place, mean, color=shades[str(kinds[method])], height=0.62, alpha=0.75)
            values = table.loc[table["method"] == method, "ratio"]
            ax.plot(values, np.full(len(values), place), "o", color=INK, markersize=2.5)
            ax.annotate(f"{mean:.1f}", (values.max() * 1.06, place), va="center", fontsize=8.5, color=INK)
        for kind in [kind for kind in KINDS if (kinds == kind).any()]:
            ax.barh(-9, 1, color=shades[kind], alpha=0.75, label=KINDS[kind])
        if target is not None:
            ax.axvline(target, color=FAINT, linestyle="--", linewidth=1)
        ax.set_yticks(np.arange(len(means)), means.index.astype(str).tolist())
        ax.set_ylim(-0.6, len(means) - 0.4)
        ax.set_xscale("log")
        ax.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(min(1.0, float(means.min()) * 0.8), float(table["ratio"].max()) * 1.5)
        ax.set_xlabel("Times shorter than one bit a call")
        ax.legend(loc="lower right")
    return ax


def plot_diversity(table: pd.DataFrame, ax: Axes | None = None, *, measure: str = "heterozygosity") -> Axes:
    """Draw the diversity of every population against the steps of its region from Africa.

    The table has rows of `diversity_table` of one data set: region, steps and the measure.
    """
    _require(table, ("region", "steps", measure))
    ax = axes_or_new(ax, height=3.2)
    regions = table.dropna(subset="steps").sort_values("steps", kind="stable")["region"].unique()
    with style():
        for region, colour in zip(regions, colours(len(regions)), strict=True):
            part = table[table["region"] == region]
            spread = np.linspace(-0.18, 0.18, len(part)) if len(part) > 1 else np.zeros(1)
            ax.plot(part["steps"] + spread, part[measure], "o", color=colour, markersize=4.5, label=region)
        ax.set(xlabel="Steps from Africa", ylabel=measure.replace("_", " ").capitalize())
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_scaling(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the time of a haplotype against its number of SNPs, with a line of equal cost a call."""
    _require(table, ("n_snps", "encode_per_second", "decode_per_second"))
    ax = axes_or_new(ax, height=3.0)
    with style():
        for verb, colour in zip(("encode", "decode"), colours(2), strict=True):
            ax.plot(table["n_snps"], 1 / table[f"{verb}_per_second"], "o-", color=colour, label=verb)
        most = table.loc[table["n_snps"].idxmax()]
        line = table["n_snps"] / most["n_snps"] / most["encode_per_second"]
        ax.plot(table["n_snps"], line, "--", color=FAINT, linewidth=1, label="equal cost a call")
        ax.set(xscale="log", yscale="log", xlabel="SNPs", ylabel="Processor seconds a haplotype")
        ax.legend()
    return ax


def plot_latent_map(
    latent: npt.NDArray[np.float64],
    groups: Sequence[str] | npt.ArrayLike,
    *,
    axes_names: tuple[str, str] = ("latent 1", "latent 2"),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw haplotypes (n, 2) in two dimensions, one colour a group; at most 24 groups."""
    ax = axes_or_new(ax, height=3.6)
    names = np.asarray(groups).astype(str)
    kinds = np.unique(names)
    for name, colour in zip(kinds, colours(len(kinds)), strict=True):
        own = latent[names == name]
        ax.scatter(own[:, 0], own[:, 1], s=9, color=colour, alpha=0.65, linewidths=0, label=name)
    ax.set(xlabel=axes_names[0], ylabel=axes_names[1])
    ax.set_title(title, loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.8, handletextpad=0.2)
    return ax


def latent_map(
    latent: npt.NDArray[np.float64], labels: pd.DataFrame, *, colour: str = "population", title: str = ""
) -> Any:
    """Latent map (n, 2) to explore, in plotly: labels under the pointer, groups that can be switched off."""
    if colour not in labels or len(labels) != len(latent):
        raise ValueError(
            f"labels must have the column {colour!r} and one row for each of {len(latent)} haplotypes, but "
            f"it has {list(labels.columns)} and {len(labels)} rows. Pass the metadata of these haplotypes."
        )
    graph = require("plotly.graph_objects", extra="genotypes")
    kinds = sorted(labels[colour].astype(str).unique())
    figure = graph.Figure()
    for name, shade in zip(kinds, colours(len(kinds)), strict=True):
        own = (labels[colour].astype(str) == name).to_numpy()
        text = [
            "<br>".join([str(index), *(f"{k}: {v}" for k, v in row.items())])
            for index, row in labels[own].iterrows()
        ]
        x, y = np.round(latent[own], 3).T
        figure.add_scatter(
            x=x.tolist(), y=y.tolist(), mode="markers", name=name, text=text, hoverinfo="text",
            marker={"size": 5, "color": to_hex(shade), "opacity": 0.7},
        )  # fmt: skip
    figure.update_layout(
        title=title,
        template="plotly_white",
        width=700,
        height=460,
        legend={"itemsizing": "constant"},
        margin={"l": 50, "r": 10, "t": 40, "b": 40},
        xaxis_title="latent 1",
        yaxis_title="latent 2",
    )
    return figure


def plot_linkage_decay(table: pd.DataFrame, *, unit: str = "SNPs", ax: Axes | None = None) -> Axes:
    """Draw mean_r2 of SNP pairs against upper, one line a source; the first is the real one, in black."""
    ax = axes_or_new(ax, height=3.0)
    sources = table["source"].drop_duplicates().tolist()
    shades = [INK, *colours(len(sources) - 1)] if sources else []
    for place, (name, shade) in enumerate(zip(sources, shades, strict=True)):
        own = table[table["source"] == name]
        width = 2.2 if place == 0 else 1.4
        ax.plot(own["upper"], own["mean_r2"], "-o", ms=3, lw=width, color=shade, label=name)
    ax.set(xscale="log", yscale="log", xlabel=f"distance, {unit}, up to", ylabel="mean r2")
    ax.legend()
    return ax


def plot_frequencies(
    real: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the allele frequencies (n_snps,) of artificial haplotypes against the real ones."""
    ax = axes_or_new(ax, height=3.0, width=3.2)
    ax.plot([0, 1], [0, 1], color=FAINT, lw=1)
    ax.scatter(real, drawn, s=8, color=_ONE, alpha=0.5, linewidths=0)
    ax.set_title(title, loc="left")
    ax.set(xlabel="frequency, real", ylabel="frequency, drawn", aspect="equal")
    return ax


def plot_haplotypes(tables: dict[str, npt.NDArray[np.int8]], *, n_rows: int = 60) -> Figure:
    """Draw the first n_rows of calls as pictures, one panel a table: rows are haplotypes, columns SNPs."""
    shades = ListedColormap([_MISSING, _ZERO, _ONE])
    with style():
        figure, axes = plt.subplots(
            len(tables), 1, figsize=(PAGE_WIDTH, 1.5 * len(tables) + 0.4), squeeze=False
        )
    for ax, (name, calls) in zip(axes[:, 0], tables.items(), strict=True):
        ax.imshow(calls[:n_rows], cmap=shades, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(name, loc="left")
        ax.set(yticks=[], ylabel="haplotypes")
    axes[-1, 0].set_xlabel("SNP")
    return figure
