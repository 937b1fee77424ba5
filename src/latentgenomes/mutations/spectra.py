"""Figures of spectra: one spectrum, a grid of signatures, what a fit leaves over.

A frame goes in, axes come out; the frame is never changed. The labels tell which classification it is:
SBS96, ID83, DBS78, CN48 or SV32. Channels are found by label, so the order of the columns does not matter.
Bars stand in the plotting order of the field, see `latentgenomes.mutations.layouts`.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.pyplot import subplots
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory, offset_copy

from latentgenomes.core.style import INK, PAGE_WIDTH, axes_or_new, height_in_inches, style, width_in_inches
from latentgenomes.mutations.layouts import Layout, Span, layout_of

FloatArray = npt.NDArray[np.float64]


def plot_spectrum(
    spectrum: pd.Series, ax: Axes | None = None, *, title: str = "", ylabel: str | None = None
) -> Axes:
    """Draw a spectrum or signature of any classification, in the order and colours of the field.

    `spectrum` holds mutations, or fractions that sum to 1, by labels in any order. Ticks name every bar where
    there is room for its name. On narrower axes SBS96 names the 5' base of every four bars; on very narrow
    ones nothing is named. `ylabel` is found from the sum where it is None.
    """
    layout = layout_of(spectrum.index)
    values = _in_plotting_order(spectrum, "spectrum", layout)
    ax = axes_or_new(ax, height=2.6 if layout.heads else 2.4)
    with style():
        _bars(ax, values, layout)
        ax.set_ylim(0, 1.08 * values.max() or 1.0)
        ax.set_ylabel(_unit(values, layout) if ylabel is None else ylabel)
        _strips(ax, layout, title)
        _bar_names(ax, layout)
    return ax


def plot_signatures(
    signatures: pd.DataFrame,
    *,
    reference: pd.DataFrame | None = None,
    matches: pd.DataFrame | None = None,
    columns: int = 2,
) -> Figure:
    """Draw a grid of signatures, each mirrored by the reference signature that it matches.

    Rows of `signatures`, (n_signatures, n_channels), sum to 1; so do those of `reference`, drawn downwards by
    `matches` (columns signature, reference, cosine). The two come together or not at all.
    """
    if (reference is None) != (matches is None):
        absent = "reference" if reference is None else "matches"
        raise ValueError(
            f"reference and matches must be given together, but {absent} is missing. "
            "Pass the reference signatures and the pairs (signature, reference, cosine)."
        )
    if len(signatures) == 0 or columns < 1:
        raise ValueError(
            "signatures must have at least one row and columns must be at least 1, but there are "
            f"{len(signatures)} rows and columns is {columns}. Check what was extracted."
        )
    n_rows = -(-len(signatures) // columns)
    layout = layout_of(signatures.columns)
    with style():
        figure, grid = subplots(
            n_rows,
            columns,
            figsize=(PAGE_WIDTH, 0.35 + (1.7 if layout.heads else 1.55) * n_rows),
            squeeze=False,
        )
        for ax in grid.flat[len(signatures) :]:
            ax.set_axis_off()
        for name, ax in zip(signatures.index, grid.flat, strict=False):
            values = _in_plotting_order(signatures.loc[name], f"signature {name!r}", layout)
            if reference is None or matches is None:
                plot_spectrum(signatures.loc[name], ax, title=str(name), ylabel="")
            else:
                below, subtitle = _pair(name, reference, matches, layout)
                plot_spectrum(signatures.loc[name], ax, title=f"{name}, {subtitle}", ylabel="")
                _mirror(ax, values, below, layout)
        for ax in grid.flat[: max(0, len(signatures) - columns)]:  # names below the lowest panels only
            _unname_bars(ax)
        unit = _unit(_in_plotting_order(signatures.iloc[0], "signature", layout), layout)
        figure.supylabel(
            unit if reference is None else f"{unit} (up: estimated, down: reference)", fontsize=9.5
        )
    return figure


def plot_residuals(
    counts: pd.DataFrame, rates: pd.DataFrame, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw, per channel, how much wider the residuals are than Poisson noise.

    The bar is the sum over samples of (counts - rates)^2, divided by the sum of rates, both (n_samples,
    n_channels). Poisson noise around the right rates gives 1 (dashed line); a channel that the signatures
    miss gives more.
    """
    if set(counts.index) != set(rates.index) or len(counts) != len(rates):
        raise ValueError(
            f"counts and rates must hold the same samples, but hold {len(counts)} and {len(rates)} rows "
            f"of which {len(counts.index.intersection(rates.index))} are shared. Select the shared samples."
        )
    layout = layout_of(counts.columns)
    _in_plotting_order(rates.sum(), "rates", layout)
    _in_plotting_order(counts.sum(), "counts", layout)
    squares = ((counts - rates) ** 2).sum()
    expected = rates.sum()
    dispersion = (squares / expected.where(expected > 0)).fillna(0.0)  # a channel without rates has no bar
    ax = plot_spectrum(dispersion, ax, title=title, ylabel="Squared residual / rate")
    ax.axhline(1.0, color=INK, linewidth=1, linestyle="--", zorder=3)
    ax.set_ylim(0, max(ax.get_ylim()[1], 1.4))
    return ax


def _bars(ax: Axes, values: FloatArray, layout: Layout) -> None:
    """Draw one bar per channel, upwards or (negative values) downwards."""
    outline = {"edgecolor": INK, "linewidth": 0.4} if layout.edges else {"linewidth": 0}
    ax.bar(np.arange(len(values)), values, width=0.8, color=list(layout.colours), **outline)
    ax.set_xlim(-0.7, len(values) - 0.3)


def _mirror(ax: Axes, values: FloatArray, below: FloatArray | None, layout: Layout) -> None:
    """Draw the reference, where there is one, downwards below a signature."""
    if below is None:
        return
    _bars(ax, -below, layout)
    limit = 1.08 * max(values.max(), below.max()) or 1.0
    ax.set_ylim(-limit, limit)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, symmetric=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))


def _pair(
    name: Hashable, reference: pd.DataFrame, matches: pd.DataFrame, layout: Layout
) -> tuple[FloatArray | None, str]:
    """Find the reference of a signature: its values in plotting order, and words for the title."""
    rows = matches[matches["signature"] == name]
    if len(rows) == 0:
        return None, "no match"
    partner, cosine = rows["reference"].iloc[0], rows["cosine"].iloc[0]
    if partner not in reference.index:
        raise ValueError(
            f"reference must hold every signature that matches name, but {partner!r} is not among its "
            f"{len(reference)} rows. Pass the reference that the matches were made with."
        )
    values = _in_plotting_order(reference.loc[partner], f"reference {partner!r}", layout)
    return values, f"{partner} cosine {cosine:.2f}"


def _strips(ax: Axes, layout: Layout, title: str) -> None:
    """Draw the coloured strips above the bars, with their names, and the names of groups of strips."""
    points = 1 / (72 * max(height_in_inches(ax), 0.1))  # one point in axes units
    placed = blended_transform_factory(ax.transData, ax.transAxes)
    narrow = width_in_inches(ax) < 4.0
    for strip in layout.strips:
        ax.add_patch(
            Rectangle(
                (strip.first - 0.4, 1 + 2 * points),
                strip.n_bars - 0.2,
                5 * points,
                transform=placed,
                color=strip.colour,
                linewidth=0,
                clip_on=False,
            )
        )
    if narrow:  # room for one line: the names of groups, where there are groups
        _name_spans(ax, layout.heads or layout.strips, above=9, fontsize=7.5, short=True)
    else:
        _name_spans(ax, layout.strips, above=9, fontsize=7.5 if layout.heads else 8.5)
        _name_spans(ax, layout.heads, above=20, fontsize=8, weight="bold")
    if title:
        pad = 34 if layout.heads and not narrow else 23
        ax.set_title(title, loc="left", pad=pad, fontsize=9.5)


def _name_spans(
    ax: Axes,
    spans: Sequence[Span],
    *,
    above: float,
    fontsize: float,
    weight: str = "normal",
    short: bool = False,
) -> None:
    """Write the names of spans, so many points above the axes (or below, where negative)."""
    placed = blended_transform_factory(ax.transData, ax.transAxes)
    figure = ax.get_figure(root=True)
    for span in spans:
        ax.text(
            span.first + span.n_bars / 2 - 0.5,
            1.0 if above > 0 else 0.0,
            span.short if short else span.name,
            transform=offset_copy(placed, fig=figure, y=above, units="points"),
            ha="center",
            va="bottom" if above > 0 else "top",
            fontsize=fontsize,
            weight=weight,
            color=INK,
        )


def _bar_names(ax: Axes, layout: Layout) -> None:
    """Name the bars as far as there is room for readable letters."""
    inches = width_in_inches(ax)
    pitch = 72 * inches / len(layout.channels)  # points from bar to bar
    ax.tick_params(axis="x", length=0, pad=2)
    if inches < 4.0:
        ax.set_xticks([])
    elif layout.context == "SBS96" and pitch < 6.48:  # the layout widens the axes later, to 7.5 points
        ax.set_xticks(np.arange(1.5, 96, 4), [name[0] for name in layout.names[::4]])
        ax.set_xlabel("5' base (in each group of four bars, the 3' base: A C G T)")
    else:
        size = min(7.5, 1.1 * pitch)
        ax.set_xticks(
            range(len(layout.names)), list(layout.names), rotation=90, fontsize=size, family="monospace"
        )
        if len(layout.feet) == 1:
            ax.set_xlabel(layout.feet[0].name)
        else:
            _name_spans(ax, layout.feet, above=-16, fontsize=8.5)


def _unname_bars(ax: Axes) -> None:
    """Take away what stands below the bars."""
    ax.set_xticks([])
    ax.set_xlabel("")
    for text in list(ax.texts):
        if text.get_verticalalignment() == "top":
            text.remove()


def _in_plotting_order(spectrum: pd.Series, name: str, layout: Layout) -> FloatArray:
    """Check a spectrum and sort it into plotting order, shape (n_channels,)."""
    channels, n_channels = list(layout.channels), len(layout.channels)
    missing = [label for label in channels if label not in spectrum.index]
    if missing or len(spectrum) != n_channels:
        first = f"; the first missing is {missing[0]!r}" if missing else ""
        raise ValueError(
            f"{name} must hold the {n_channels} {layout.context} channels once each, but it has "
            f"{len(spectrum)} labels, and {len(missing)} channels are missing{first}. Use the labels of "
            f"labels.{layout.context}."
        )
    values = spectrum[channels].to_numpy(dtype=float)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"{name} must hold finite values >= 0, but {int(bad.sum())} of {n_channels} do not; "
            f"the first is {values[at]:g} at {channels[at]!r}. Pass mutations or fractions."
        )
    return values


def _unit(values: FloatArray, layout: Layout) -> str:
    """Name the unit of a spectrum: fractions sum to 1, or less where channels were left out."""
    what = {"CN48": "segments", "SV32": "rearrangements"}.get(layout.context, "mutations")
    return f"Fraction of {what}" if values.sum() <= 1.001 else what.capitalize()
