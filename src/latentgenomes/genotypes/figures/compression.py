"""Figures of the haplotype codec: ratios of codes, diversity of populations, cost against length."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from latentgenomes.core.style import FAINT, INK, axes_or_new, colours, style

#: How the bits of a code were found, from the strictest on.
KINDS = {"bytes": "bytes of a file", "ideal": "ideal length", "estimate": "published estimate"}

_TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)


def _require(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"The table must have rows and the columns {list(columns)}, but it has {len(frame)} rows and "
            "lacks "
            f"{missing}. Pass the table as it was made."
        )


def plot_ratios(table: pd.DataFrame, ax: Axes | None = None, *, target: float | None = None) -> Axes:
    """Draw how many times shorter each code is than one bit a call: mean bar, a point for every split.

    Parameters
    ----------
    table : DataFrame
        Rows of `score_split`, one group only: columns split, method, kind
        (bytes, ideal or estimate) and ratio.
    ax : Axes, optional
        Axes to draw into; a new figure by default.
    target : float, optional
        A ratio to mark with a line.

    Returns
    -------
    Axes
        The axis is logarithmic.

    Raises
    ------
    ValueError
        If a column is missing, or the table is empty.
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

    Parameters
    ----------
    table : DataFrame
        Rows of `diversity_table` of one data set: columns region, steps and
        the measure.
    ax : Axes, optional
        Axes to draw into; a new figure by default.
    measure : str
        Column to draw.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a column is missing, or the table is empty.
    """
    _require(table, ("region", "steps", measure))
    ax = axes_or_new(ax, height=3.2)
    regions = table.dropna(subset="steps").sort_values("steps", kind="stable")["region"].unique()
    with style():
        for region, colour in zip(regions, colours(len(regions)), strict=True):
            part = table[table["region"] == region]
            spread = np.linspace(-0.18, 0.18, len(part)) if len(part) > 1 else np.zeros(1)
            ax.plot(part["steps"] + spread, part[measure], "o", color=colour, markersize=4.5, label=region)
        ax.set_xlabel("Steps from Africa")
        ax.set_ylabel(measure.replace("_", " ").capitalize())
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_scaling(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the time of a haplotype against its number of SNPs, with a line of equal cost a call.

    Parameters
    ----------
    table : DataFrame
        Columns n_snps, encode_per_second and decode_per_second.
    ax : Axes, optional
        Axes to draw into; a new figure by default.

    Returns
    -------
    Axes
        Both axes are logarithmic.

    Raises
    ------
    ValueError
        If a column is missing, or the table is empty.
    """
    _require(table, ("n_snps", "encode_per_second", "decode_per_second"))
    ax = axes_or_new(ax, height=3.0)
    with style():
        for verb, colour in zip(("encode", "decode"), colours(2), strict=True):
            ax.plot(table["n_snps"], 1 / table[f"{verb}_per_second"], "o-", color=colour, label=verb)
        most = table.loc[table["n_snps"].idxmax()]
        line = table["n_snps"] / most["n_snps"] / most["encode_per_second"]
        ax.plot(table["n_snps"], line, "--", color=FAINT, linewidth=1, label="equal cost a call")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("SNPs")
        ax.set_ylabel("Processor seconds a haplotype")
        ax.legend()
    return ax
