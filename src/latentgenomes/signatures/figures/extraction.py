"""Figures of an extraction: exposures, matches to a reference, recovery of a truth, choice of the number."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from latentgenomes.core.style import (
    FAINT,
    INK,
    MOST_COLOURS,
    axes_or_new,
    colours,
    height_in_inches,
    style,
    width_in_inches,
)

FloatArray = npt.NDArray[np.float64]

_MARKERS = "osD^vP*X"
_STABILITY = {"stability_mean": "stability, mean", "stability_min": "stability, minimum"}
_FIT = {
    "evidence": "penalised evidence (nats)",
    "bic": "BIC",
    "error": "error",
    "divergence": "KL divergence",
}


def plot_exposures(
    exposures: pd.DataFrame,
    ax: Axes | None = None,
    *,
    groups: pd.Series | None = None,
) -> Axes:
    """Draw exposures, in mutations or fractions, as stacked bars, by total within each group. Ties (fractions
    all sum to 1) go by the largest signature. Beyond 24 signatures the smallest are summed as "others". Small
    groups are widened so that their names can be read.
    """
    _check_values(exposures.to_numpy(dtype=float), "exposures")
    order, sizes = _sample_order(exposures, groups)
    table = _fold_small(exposures.iloc[order])
    ax = axes_or_new(ax, height=3.4)
    with style():
        widths = _group_widths(ax, sizes)
        edges = np.concatenate([[0.0], np.cumsum(np.repeat(widths / sizes.to_numpy(), sizes))])
        base = np.zeros(len(table))
        for name, colour in zip(table.columns, colours(table.shape[1]), strict=True):
            ceiling = base + table[name].to_numpy(dtype=float)
            ax.stairs(ceiling, edges, baseline=base, fill=True, color=colour, label=str(name))
            base = ceiling
        ax.set_xlim(0, edges[-1])
        ax.set_ylim(0, 1.03 * base.max() or 1.0)
        fractions = base.max() <= 1.001
        ax.set_ylabel("Fraction of the sample's mutations" if fractions else "Mutations per sample")
        _mark_groups(ax, sizes, widths)
        rows = max(4, int(height_in_inches(ax) / 0.2))
        handles, names = ax.get_legend_handles_labels()
        ax.legend(
            handles[::-1],
            names[::-1],
            title="Signature",
            loc="upper left",
            bbox_to_anchor=(1.01, 1.02),
            ncols=-(-len(handles) // rows),
            borderaxespad=0,
        )
    return ax


def plot_matches(cosines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw cosines as a heat map, with numbers where there is room; a frame marks the best of every row.
    References beyond what the axes can name are left out, unless they are the best of some row.
    """
    _check_values(cosines.to_numpy(dtype=float), "cosines")
    ax = axes_or_new(ax, height=1.6 + 0.27 * len(cosines))
    room = 0.85 * width_in_inches(ax)  # inches, beside the colour bar
    label = "Reference signature"
    shown = cosines
    if room < 0.12 * cosines.shape[1]:
        shown = cosines.iloc[:, np.unique(cosines.to_numpy().argmax(axis=1))]
        label = f"{label} (best of a row: {shown.shape[1]} of {cosines.shape[1]})"
    values = shown.to_numpy(dtype=float)
    with style():
        image = ax.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        ax.set_xticks(range(shown.shape[1]), shown.columns.astype(str), rotation=90, fontsize=8.5)
        ax.set_yticks(range(len(shown)), shown.index.astype(str), fontsize=8.5)
        ax.set_xlabel(label)
        ax.set_ylabel("Estimated signature")
        ax.tick_params(length=0)
        for row, column in enumerate(values.argmax(axis=1)):
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.2))
        if room > 0.26 * shown.shape[1]:
            for (row, column), value in np.ndenumerate(values):
                colour = "white" if value > 0.7 else INK
                ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=colour)
        figure = ax.get_figure(root=True)
        if figure is not None:
            figure.colorbar(image, ax=ax, label="Cosine similarity", pad=0.02)
    return ax


def plot_recovery(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the scores of `recovery` against the cosine demanded. With a column method, F1 of every method is
    drawn: lines are means, dots single rows (data sets, seeds).
    """
    methods = "method" in frame.columns
    scores = ["f1"] if methods else ["precision", "recall", "f1"]
    missing = [column for column in ("threshold", *scores) if column not in frame.columns]
    if missing:
        raise ValueError(
            f"frame must have the columns threshold, precision, recall and f1, but {missing} are not among "
            f"{frame.columns.tolist()}. Pass a table of recovery."
        )
    ax = axes_or_new(ax, height=2.8)
    if methods:
        curves = [(str(name), part, "f1") for name, part in frame.groupby("method", sort=False)]
    else:
        curves = [(score.capitalize(), frame, score) for score in scores]
    with style():
        for i, (name, part, score) in enumerate(curves):
            colour, marker = colours(len(curves))[i], _MARKERS[i % len(_MARKERS)]
            mean = part.groupby("threshold")[score].mean()
            size = max(4.0, 9.0 - 2 * i)  # later curves are smaller, so that equal ones all show
            ax.plot(mean.index, mean.to_numpy(), marker=marker, markersize=size, color=colour, label=name)
            if len(mean) < len(part):
                ax.scatter(part["threshold"], part[score], s=14, color=colour, alpha=0.4, linewidths=0)
        ax.set_ylim(-0.03, 1.03)
        ax.set_xticks(sorted(frame["threshold"].unique()))
        ax.set_xlabel("Smallest cosine that counts as found")
        ax.set_ylabel("F1 of the signatures" if methods else "Score of the signatures")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_selection(selection: pd.DataFrame, ax: Axes | None = None, *, chosen: int) -> Axes:
    """Draw the criterion that ranks fits against the number of signatures, with a line at the chosen one.
    Where restarts were clustered, the right axis shows how stable the signatures are.
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


def _check_values(values: FloatArray, name: str) -> None:
    """Refuse an empty table, and values that are negative or not finite."""
    if values.size == 0:
        raise ValueError(
            f"{name} must have at least one row and one column, but has shape {values.shape}. "
            "Check how it was selected."
        )
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must hold finite values >= 0, but {int(bad.sum())} of {values.size} do not; "
            f"the first is {values[row, column]:g} at row {row}, column {column}. Fill or drop them first."
        )


def _sample_order(
    exposures: pd.DataFrame, groups: pd.Series | None
) -> tuple[npt.NDArray[np.intp], pd.Series]:
    """Sort samples within their groups; also the size of every group, in order of appearance."""
    totals = exposures.sum(axis=1).to_numpy(dtype=float)
    rounded = np.round(totals / (totals.max() or 1.0), 9)  # fractions sum to 1 only up to rounding
    largest = exposures.iloc[:, int(exposures.sum().to_numpy().argmax())].to_numpy(dtype=float)
    if groups is None:
        return np.lexsort((-largest, -rounded)), pd.Series({"": len(exposures)})
    missing = exposures.index.difference(groups.dropna().index, sort=False)
    if len(missing) or groups.index.has_duplicates:
        first = f"; the first without is {missing[0]!r}" if len(missing) else ""
        raise ValueError(
            f"groups must name one group for every sample, but {len(missing)} of {len(exposures)} samples "
            f"have none{first}, or labels repeat. Index the groups by sample label, once each."
        )
    codes, names = pd.factorize(groups.loc[exposures.index])
    sizes = pd.Series(np.bincount(codes), index=[str(name) for name in names])
    return np.lexsort((-largest, -rounded, codes)), sizes


def _fold_small(exposures: pd.DataFrame) -> pd.DataFrame:
    """Sum the signatures with the smallest totals where there are more than colours."""
    surplus = exposures.shape[1] - MOST_COLOURS
    if surplus <= 0:
        return exposures
    small = exposures.sum().sort_values(kind="stable").index[: surplus + 1]
    return exposures.drop(columns=small).assign(**{f"{len(small)} others": exposures[small].sum(axis=1)})


def _group_widths(ax: Axes, sizes: pd.Series) -> FloatArray:
    """Width of every group on the axis: its samples, or what its upright name needs; sums to any total."""
    samples_per_inch = sizes.sum() / max(0.8 * width_in_inches(ax), 0.1)  # the legend takes about a fifth
    return np.maximum(sizes.to_numpy(dtype=float), 0.15 * samples_per_inch)


def _mark_groups(ax: Axes, sizes: pd.Series, widths: FloatArray) -> None:
    """Separate the groups by lines, and name them and their sizes below."""
    if len(sizes) == 1 and not sizes.index[0]:
        ax.set_xticks([])
        ax.set_xlabel(f"{sizes.iloc[0]:,} samples, by total")
        return
    ends = np.cumsum(widths)
    for end in ends[:-1]:
        ax.axvline(end, color=FAINT, linewidth=0.8)
    names = [f"{name} ({size:,})" for name, size in sizes.items()]
    room = 0.8 * width_in_inches(ax) * widths / ends[-1]  # inches per group
    upright = any(0.085 * len(name) > inches for name, inches in zip(names, room, strict=True))
    ax.set_xticks(ends - widths / 2, names, rotation=90 if upright else 0)
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("Group (number of samples)")


def _ticks(numbers: np.ndarray) -> list[int]:
    """Whole numbers, at most a dozen."""
    step = max(1, int(np.ceil(len(numbers) / 12)))
    return [int(n) for n in numbers[::step]]
