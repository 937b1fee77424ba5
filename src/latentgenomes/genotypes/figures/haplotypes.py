"""Figures of haplotypes: latent maps, linkage decay, likeness of artificial genomes, calls as pictures."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure

from latentgenomes.core.extras import require
from latentgenomes.core.style import FAINT, INK, PAGE_WIDTH, axes_or_new, colours, style

_MISSING, _ZERO, _ONE = "#e69f00", "#f2f2f2", "#0072b2"


def plot_latent_map(
    latent: npt.NDArray[np.float64],
    groups: Sequence[str] | npt.ArrayLike,
    *,
    axes_names: tuple[str, str] = ("latent 1", "latent 2"),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw haplotypes in two dimensions, one colour a group.

    Parameters
    ----------
    latent : ndarray of shape (n_haplotypes, 2)
        Coordinates.
    groups : array of shape (n_haplotypes,)
        Such as populations; at most 24.
    axes_names : tuple of str
        Of the two coordinates.
    title : str
        Above the axes.
    ax : Axes, optional
        A new figure by default.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, height=3.6)
    names = np.asarray(groups).astype(str)
    kinds = np.unique(names)
    for name, colour in zip(kinds, colours(len(kinds)), strict=True):
        own = latent[names == name]
        ax.scatter(own[:, 0], own[:, 1], s=9, color=colour, alpha=0.65, linewidths=0, label=name)
    ax.set_xlabel(axes_names[0])
    ax.set_ylabel(axes_names[1])
    ax.set_title(title, loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.8, handletextpad=0.2)
    return ax


def latent_map(
    latent: npt.NDArray[np.float64], labels: pd.DataFrame, *, colour: str = "population", title: str = ""
) -> Any:
    """Latent map to explore: names under the pointer, groups that can be switched off.

    Parameters
    ----------
    latent : ndarray of shape (n_haplotypes, 2)
        Coordinates.
    labels : DataFrame of shape (n_haplotypes, n_columns)
        Shown under the pointer; the index names the haplotypes.
    colour : str
        Column that gives the colour.
    title : str
        Above the map.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If there is no such column, or not one row a haplotype.
    """
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
    """Draw the mean r2 of SNP pairs against their distance, one line a source.

    Parameters
    ----------
    table : DataFrame
        Columns source, upper, mean_r2. The first source is drawn in black: the real haplotypes.
    unit : str
        Of the distance.
    ax : Axes, optional
        A new figure by default.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, height=3.0)
    sources = table["source"].drop_duplicates().tolist()
    shades = [INK, *colours(len(sources) - 1)] if sources else []
    for place, (name, shade) in enumerate(zip(sources, shades, strict=True)):
        own = table[table["source"] == name]
        width = 2.2 if place == 0 else 1.4
        ax.plot(own["upper"], own["mean_r2"], "-o", ms=3, lw=width, color=shade, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(f"distance, {unit}, up to")
    ax.set_ylabel("mean r2")
    ax.legend()
    return ax


def plot_frequencies(
    real: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the allele frequencies of artificial haplotypes against the real ones.

    Parameters
    ----------
    real, drawn : ndarray of shape (n_snps,)
        In [0, 1].
    title : str
        Above the axes.
    ax : Axes, optional
        A new figure by default.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, height=3.0, width=3.2)
    ax.plot([0, 1], [0, 1], color=FAINT, lw=1)
    ax.scatter(real, drawn, s=8, color=_ONE, alpha=0.5, linewidths=0)
    ax.set_xlabel("frequency, real")
    ax.set_ylabel("frequency, drawn")
    ax.set_title(title, loc="left")
    ax.set_aspect("equal")
    return ax


def plot_haplotypes(tables: dict[str, npt.NDArray[np.int8]], *, n_rows: int = 60) -> Figure:
    """Draw calls as pictures, one panel a table: rows are haplotypes, columns SNPs.

    Parameters
    ----------
    tables : dict of str to ndarray of int8, shape (n, n_snps)
        0, 1, and -1 for missing.
    n_rows : int
        Haplotypes of each to show, the first ones.

    Returns
    -------
    Figure
    """
    shades = ListedColormap([_MISSING, _ZERO, _ONE])
    with style():
        figure, axes = plt.subplots(
            len(tables), 1, figsize=(PAGE_WIDTH, 1.5 * len(tables) + 0.4), squeeze=False
        )
    for ax, (name, calls) in zip(axes[:, 0], tables.items(), strict=True):
        ax.imshow(calls[:n_rows], cmap=shades, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(name, loc="left")
        ax.set_yticks([])
        ax.set_ylabel("haplotypes")
    axes[-1, 0].set_xlabel("SNP")
    return figure
