"""Figures of SBS96 spectra: one spectrum, a grid of signatures, what a fit leaves over.

A frame goes in, axes come out; the frame is never changed. Channels are found by label, so the order of
the columns does not matter. Bars stand in the plotting order of the field: substitution class, then the
base before the mutated one (5'), then the base after it (3').
"""

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.pyplot import subplots
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory, offset_copy

from latentgenomes.figures.style import (
    INK,
    PAGE_WIDTH,
    SUBSTITUTION_COLOURS,
    axes_or_new,
    height_in_inches,
    style,
    width_in_inches,
)
from latentgenomes.labels import SBS96_BY_SUBSTITUTION

FloatArray = npt.NDArray[np.float64]

_N_CHANNELS = len(SBS96_BY_SUBSTITUTION)
_BAR_COLOURS = [SUBSTITUTION_COLOURS[channel[2:5]] for channel in SBS96_BY_SUBSTITUTION]


def plot_spectrum(
    spectrum: pd.Series, ax: Axes | None = None, *, title: str = "", ylabel: str | None = None
) -> Axes:
    """Draw an SBS96 spectrum or signature: 96 bars in the six colours of the field.

    Ticks name all trinucleotides where every bar has room for its name, the 5' base of every four
    bars on narrower axes, and nothing on very narrow ones.

    Parameters
    ----------
    spectrum : Series of shape (96,)
        Mutations, or fractions that sum to 1; its index holds the SBS96 labels in any order.
    ax : Axes, optional
        Axes to draw into; a new figure by default.
    title : str
        Text above the axes.
    ylabel : str, optional
        Label with unit. By default "Fraction of mutations" where the sum is at most 1, else
        "Mutations".

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the labels are not those of SBS96, or a value is negative or not finite.
    """
    values = _in_plotting_order(spectrum, "spectrum")
    ax = axes_or_new(ax, height=2.4)
    with style():
        _bars(ax, values)
        ax.set_ylim(0, 1.08 * values.max() or 1.0)
        ax.set_ylabel(_unit(values) if ylabel is None else ylabel)
        _class_strips(ax, title)
        _context_ticks(ax)
    return ax


def plot_signatures(
    signatures: pd.DataFrame,
    *,
    reference: pd.DataFrame | None = None,
    matches: pd.DataFrame | None = None,
    columns: int = 2,
) -> Figure:
    """Draw a grid of signatures, each mirrored by the reference signature that it matches.

    Parameters
    ----------
    signatures : DataFrame of shape (n_signatures, 96)
        One signature per row; fractions that sum to 1.
    reference : DataFrame of shape (n_reference, 96), optional
        Reference signatures, drawn downwards. Needs `matches`.
    matches : DataFrame, optional
        Columns signature, reference, cosine, one row per matched signature. Needs `reference`.
    columns : int
        Panels per row of the grid.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If only one of `reference` and `matches` is given, a label is unknown, `columns` is below 1, or
        there is no signature.
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
    with style():
        figure, grid = subplots(n_rows, columns, figsize=(PAGE_WIDTH, 0.35 + 1.55 * n_rows), squeeze=False)
        for ax in grid.flat[len(signatures) :]:
            ax.set_axis_off()
        for name, ax in zip(signatures.index, grid.flat, strict=False):
            values = _in_plotting_order(signatures.loc[name], f"signature {name!r}")
            if reference is None or matches is None:
                plot_spectrum(signatures.loc[name], ax, title=str(name), ylabel="")
            else:
                _mirrored(ax, str(name), values, *_pair(name, reference, matches))
        for ax in grid.flat[: max(0, len(signatures) - columns)]:  # contexts below the lowest panels only
            ax.set_xticks([])
            ax.set_xlabel("")
        unit = _unit(_in_plotting_order(signatures.iloc[0], "signature"))
        figure.supylabel(
            unit if reference is None else f"{unit} (up: estimated, down: reference)", fontsize=9.5
        )
    return figure


def plot_residuals(
    counts: pd.DataFrame, rates: pd.DataFrame, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw, per SBS96 channel, how much wider the residuals are than Poisson noise.

    The bar is the sum over samples of (counts - rates)^2, divided by the sum of rates. Poisson noise
    around the right rates gives 1 (dashed line); a channel that the signatures miss gives more.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, 96)
        Mutations.
    rates : DataFrame of shape (n_samples, 96)
        Expected mutations of the same samples and channels, in any order.
    ax : Axes, optional
        Axes to draw into; a new figure by default.
    title : str
        Text above the axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If samples or channels differ, or a value is negative or not finite.
    """
    if set(counts.index) != set(rates.index) or len(counts) != len(rates):
        raise ValueError(
            f"counts and rates must hold the same samples, but hold {len(counts)} and {len(rates)} rows "
            f"of which {len(counts.index.intersection(rates.index))} are shared. Select the shared samples."
        )
    _in_plotting_order(rates.sum(), "rates")
    _in_plotting_order(counts.sum(), "counts")
    squares = ((counts - rates) ** 2).sum()
    expected = rates.sum()
    dispersion = (squares / expected.where(expected > 0)).fillna(0.0)  # a channel without rates has no bar
    ax = plot_spectrum(dispersion, ax, title=title, ylabel="Squared residual / rate")
    ax.axhline(1.0, color=INK, linewidth=1, linestyle="--", zorder=3)
    ax.set_ylim(0, max(ax.get_ylim()[1], 1.4))
    return ax


def _bars(ax: Axes, values: FloatArray) -> None:
    """Draw 96 bars, upwards or (negative values) downwards."""
    ax.bar(np.arange(_N_CHANNELS), values, width=0.8, color=_BAR_COLOURS, linewidth=0)
    ax.set_xlim(-0.7, _N_CHANNELS - 0.3)


def _mirrored(ax: Axes, name: str, values: FloatArray, below: FloatArray | None, subtitle: str) -> None:
    """Draw a signature upwards and, where there is one, its reference downwards."""
    plot_spectrum(pd.Series(values, index=SBS96_BY_SUBSTITUTION), ax, title=f"{name}, {subtitle}", ylabel="")
    if below is None:
        return
    _bars(ax, -below)
    limit = 1.08 * max(values.max(), below.max()) or 1.0
    ax.set_ylim(-limit, limit)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, symmetric=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))


def _pair(name: Hashable, reference: pd.DataFrame, matches: pd.DataFrame) -> tuple[FloatArray | None, str]:
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
    return _in_plotting_order(
        reference.loc[partner], f"reference {partner!r}"
    ), f"{partner} cosine {cosine:.2f}"


def _class_strips(ax: Axes, title: str) -> None:
    """Draw the coloured strips with the names of the substitution classes above the bars."""
    n_classes = len(SUBSTITUTION_COLOURS)
    size = _N_CHANNELS // n_classes
    points = 1 / (72 * max(height_in_inches(ax), 0.1))  # one point in axes units
    placed = blended_transform_factory(ax.transData, ax.transAxes)
    figure = ax.get_figure(root=True)
    for i, (name, colour) in enumerate(SUBSTITUTION_COLOURS.items()):
        ax.add_patch(
            Rectangle(
                (i * size - 0.4, 1 + 2 * points),
                size - 0.2,
                5 * points,
                transform=placed,
                color=colour,
                linewidth=0,
                clip_on=False,
            )
        )
        ax.text(
            (i + 0.5) * size - 0.5,
            1.0,
            name,
            transform=offset_copy(placed, fig=figure, y=9, units="points"),
            ha="center",
            va="bottom",
            fontsize=8.5,
            color=INK,
        )
    if title:
        ax.set_title(title, loc="left", pad=23, fontsize=9.5)


def _context_ticks(ax: Axes) -> None:
    """Name the contexts as far as there is room for readable letters."""
    inches = width_in_inches(ax)
    if inches > _N_CHANNELS * 0.09:  # the layout widens the axes later, to 0.105 inches per name
        names = [f"{channel[0]}{channel[2]}{channel[-1]}" for channel in SBS96_BY_SUBSTITUTION]
        ax.set_xticks(range(_N_CHANNELS), names, rotation=90, fontsize=7.5, family="monospace")
        ax.set_xlabel("Trinucleotide before the mutation")
    elif inches > 4.0:
        ax.set_xticks(np.arange(1.5, _N_CHANNELS, 4), [channel[0] for channel in SBS96_BY_SUBSTITUTION[::4]])
        ax.set_xlabel("5' base (in each group of four bars, the 3' base: A C G T)")
    else:
        ax.set_xticks([])
    ax.tick_params(axis="x", length=0, pad=2)


def _in_plotting_order(spectrum: pd.Series, name: str) -> FloatArray:
    """Check an SBS96 spectrum and sort it into plotting order, shape (96,)."""
    missing = [label for label in SBS96_BY_SUBSTITUTION if label not in spectrum.index]
    if missing or len(spectrum) != _N_CHANNELS:
        first = f"; the first missing is {missing[0]!r}" if missing else ""
        raise ValueError(
            f"{name} must hold the {_N_CHANNELS} SBS96 channels once each, but it has {len(spectrum)} "
            f"labels, and {len(missing)} channels are missing{first}. Use the labels of labels.SBS96."
        )
    values = spectrum[list(SBS96_BY_SUBSTITUTION)].to_numpy(dtype=float)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"{name} must hold finite values >= 0, but {int(bad.sum())} of {_N_CHANNELS} do not; "
            f"the first is {values[at]:g} at {SBS96_BY_SUBSTITUTION[at]!r}. Pass mutations or fractions."
        )
    return values


def _unit(values: FloatArray) -> str:
    """Name the unit of a spectrum: fractions sum to 1, or less where channels were left out."""
    return "Fraction of mutations" if values.sum() <= 1.001 else "Mutations"
