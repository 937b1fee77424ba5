"""The look of every figure: palette, fonts and the six colours of the field."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from latentgenomes.core.provenance import replacing

RGB = tuple[float, float, float]

#: Colours of the six substitution classes, as COSMIC draws them. Red and green are fixed by custom.
SUBSTITUTION_COLOURS: dict[str, str] = {
    "C>A": "#03bcee",
    "C>G": "#010101",
    "C>T": "#e32926",
    "T>A": "#cac9c9",
    "T>C": "#a1ce63",
    "T>G": "#ebc6c4",
}

#: Eight colours that colour-blind readers tell apart (Okabe and Ito 2008), strongest contrasts first.
PALETTE: tuple[str, ...] = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#7f7f7f",
    "#e0d000",
)
#: How many colours `colours` tells apart: the palette, lighter and darker.
MOST_COLOURS = 3 * len(PALETTE)
INK = "#222222"
FAINT = "#8a8a8a"

#: Inches. Seven inches at 100 dots per inch are the 700 pixels of a book page.
PAGE_WIDTH = 7.0

_PARAMETERS: dict[Any, float | bool] = {
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the book, and leave rcParams as they were."""
    interactive = mpl.is_interactive()
    try:
        with mpl.rc_context(_PARAMETERS):
            yield
            # A notebook's backend, loaded by the first figure, switches this on; it must stay on,
            # or no later figure is shown.
            interactive = mpl.is_interactive()
    finally:
        mpl.interactive(interactive)


def colours(n_colours: int) -> list[RGB]:
    """Distinct colours, at most 24, as floats in 0..1: the palette, then lighter and darker turns of it."""
    if not 0 <= n_colours <= MOST_COLOURS:
        raise ValueError(
            f"n_colours must lie in 0..{MOST_COLOURS}, but is {n_colours}: nobody tells more apart. "
            "Merge or leave out the smallest groups."
        )
    base = [to_rgb(colour) for colour in PALETTE]
    light = [_mix(colour, (1.0, 1.0, 1.0), 0.55) for colour in base]
    dark = [_mix(colour, (0.0, 0.0, 0.0), 0.45) for colour in base]
    return [*base, *light, *dark][:n_colours]


def axes_or_new(ax: Axes | None, *, height: float, width: float = PAGE_WIDTH) -> Axes:
    """Return `ax`, or the axes of a new figure of that size (inches), with room for labels and legends."""
    if ax is None:
        with style():
            _, ax = plt.subplots(figsize=(width, height))
    figure = ax.get_figure(root=True)
    if figure is not None and figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")  # else what stands outside the axes is cut off
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def width_in_inches(ax: Axes) -> float:
    """Width of the axes at their present size, in inches."""
    figure = ax.get_figure(root=True)
    return 0.0 if figure is None else float(ax.get_position().width * figure.get_size_inches()[0])


def height_in_inches(ax: Axes) -> float:
    """Height of the axes at their present size, in inches."""
    figure = ax.get_figure(root=True)
    return 0.0 if figure is None else float(ax.get_position().height * figure.get_size_inches()[1])


def _mix(colour: RGB, other: RGB, share: float) -> RGB:
    """Blend `share` of `other` into `colour`."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(colour, other, strict=True))
    return red, green, blue


def save_figures(folder: str | Path, figures: Mapping[str, Axes | Figure]) -> list[Path]:
    """Save figures as PNG and SVG under their names, and close them. The same figure gives the same bytes."""
    saved = []
    for name, drawn in figures.items():
        figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
        if figure is None:
            raise ValueError(f"figures must hold figures or axes of one, but {name!r} belongs to none.")
        for kind, about in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            with (
                replacing(Path(folder) / f"{name}.{kind}") as part,
                mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "savefig.dpi": 200}),
            ):
                figure.savefig(part, format=kind, metadata=about, bbox_inches="tight")
            saved.append(Path(folder) / f"{name}.{kind}")
        plt.close(figure)
    return saved
