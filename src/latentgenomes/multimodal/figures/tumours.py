"""Figures of several mutation profiles: embeddings, F1 by type, separation of types, attention, pathways.

An embedding to hover over is in `latentgenomes.multimodal.figures.map`.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.pyplot import subplots

from latentgenomes.core.checks import list_names
from latentgenomes.core.style import FAINT, INK, PAGE_WIDTH, PALETTE, RGB, axes_or_new, colours, style
from latentgenomes.mutations.layouts import LAYOUTS
from latentgenomes.mutations.spectra import plot_spectrum

_MACRO = "macro"
_SEPARATOR = "|"  # in a wide table, between the profile and the channel
_LARGE = 0.8  # Cohen's rule of thumb for a large effect, and the paper's mark
_SHAPES = "os^"  # of the palette, its lighter and its darker turn: colour alone does not tell 24 types apart
_COLUMNS = 4  # of the grid of attention matrices


def _require_columns(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"{name} must have rows and the columns {', '.join(columns)}, but it has {len(frame)} rows and "
            f"lacks {list_names(missing) or 'none'}. Pass the table as it was made."
        )


def type_colours(labels: pd.Series) -> dict[str, tuple[str, str]]:
    """Hexadecimal colour and marker of every type, at most 24, in alphabetical order."""
    names = sorted(labels.astype(str).unique())
    shades = ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in colours(len(names))]
    shapes = [_SHAPES[number // len(PALETTE)] for number in range(len(names))]
    return dict(zip(names, zip(shades, shapes, strict=True), strict=True))


def check_coordinates(coordinates: pd.DataFrame, labels: pd.Series) -> pd.Series:
    """Types in the order of the coordinates; refuses those that are no finite points of labelled samples."""
    values = coordinates.to_numpy(dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"coordinates must hold two finite columns, but the shape is {values.shape} and "
            f"{int((~np.isfinite(values)).sum())} entries are not finite. Pass a map into the plane, such as "
            "that of t-SNE."
        )
    absent = [name for name in coordinates.index if name not in labels.index]
    if absent or not coordinates.index.is_unique or labels.reindex(coordinates.index).isna().any():
        raise ValueError(
            f"Every sample must come once and have a type, but {len(absent)} of {len(coordinates)} are not "
            f"among the labels ({list_names(absent[:1]) or 'some come twice or have none'}). Index the "
            "labels by sample."
        )
    return labels.loc[coordinates.index].astype(str)


def plot_profiles(profiles: pd.Series, title: str = "") -> Figure:
    """Draw all profiles of one tumour, a row of a wide table; of an absent one it says "never called"."""
    parts = profiles.index.astype(str).str.partition(_SEPARATOR).to_frame(index=False)
    if (parts[1] == "").any():
        raise ValueError(
            f"profiles must be named such as SBS96|A[C>A]A, but {(parts[1] == '').sum()} of {len(parts)} "
            "names have no |. Pass a row of a wide table."
        )
    names = list(dict.fromkeys(parts[0]))
    with style():
        figure, axes = subplots(len(names), 1, figsize=(PAGE_WIDTH, 2.1 * len(names)), squeeze=False)
        for ax, name in zip(axes.ravel(), names, strict=True):
            own = (parts[0] == name).to_numpy()
            spectrum = profiles[own].set_axis(parts.loc[own, 2].to_list()).astype(float)
            if spectrum.isna().any():
                ax.text(0.5, 0.5, f"{name}: never called", ha="center", va="center", transform=ax.transAxes)
                ax.set_axis_off()
            elif name in LAYOUTS:
                plot_spectrum(spectrum, ax, ylabel=name)
            else:
                ax.bar(range(len(spectrum)), spectrum.to_numpy(), color=PALETTE[0])
                ax.set_ylabel(name)
                ax.set_xticks([])
        figure.suptitle(title, fontsize=10)
    return figure


def plot_embedding(
    coordinates: pd.DataFrame, labels: pd.Series, ax: Axes | None = None, *, name: str = "t-SNE"
) -> Axes:
    """Draw samples in the plane, coloured by type, at most 24; the legend gives the number of each."""
    types = check_coordinates(coordinates, labels)
    looks = type_colours(types)
    ax = axes_or_new(ax, height=4.4)
    size = float(np.clip(9000 / len(types), 5, 26))
    with style():
        # Every fifth sample of all types in turn, so that no type covers the others.
        for layer in range(5):
            part = coordinates.iloc[layer::5]
            for kind, (colour, shape) in looks.items():
                own = part[types.loc[part.index] == kind].to_numpy()
                ax.scatter(
                    own[:, 0], own[:, 1], s=size, c=colour, marker=shape, alpha=0.75, linewidths=0, zorder=2
                )
        counts = types.value_counts()
        handles = [
            Line2D([], [], linestyle="", marker=shape, color=colour, markersize=5, label=f"{k} ({counts[k]})")
            for k, (colour, shape) in looks.items()
        ]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel(f"{name} 1")
        ax.set_ylabel(f"{name} 2")
    return ax


def plot_f1(trials: pd.DataFrame, published: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw the F1 of every type and method, beside what was published.

    A filled circle is the mean over the splits, its bar one standard error to either side; an open diamond of
    the same colour is the published value of the method of that name. The best type of the first method is on
    top, the mean, ``"macro"``, last. Where `published` (method, label, f1) has no row ``"macro"``, its mean
    over labels is drawn there.
    """
    _require_columns(trials, ("split", "method", "label", "score"), "trials")
    groups = trials.groupby(["method", "label"], sort=False)["score"]
    means, errors = groups.mean(), groups.sem().fillna(0.0)
    ours = list(dict.fromkeys(trials["method"].astype(str)))
    points = pd.Series(dtype=float) if published is None else _published_points(published)
    theirs = [] if published is None else list(dict.fromkeys(published["method"].astype(str)))
    methods = [*ours, *(method for method in theirs if method not in ours)]
    kinds = [label for label in dict.fromkeys(trials["label"]) if label != _MACRO]
    kinds.sort(key=lambda label: -means.get((ours[0], label), 0.0))
    rows = [*kinds, _MACRO]
    ax = axes_or_new(ax, height=1.3 + len(rows) * (0.16 + 0.055 * len(methods)))
    with style():
        for number, (method, colour) in enumerate(zip(methods, colours(len(methods)), strict=True)):
            shift = 0.7 * ((number + 0.5) / len(methods) - 0.5)
            for place, label in enumerate(rows):
                at = (method, label)
                if at in means.index:
                    ends = [means[at] - errors[at], means[at] + errors[at]]
                    ax.plot(ends, [place + shift] * 2, color=colour, linewidth=1.6)
                    ax.plot(means[at], place + shift, "o", color=colour, markersize=5)
                if at in points.index:
                    ax.plot(points[at], place + shift, **_diamond(colour))
        ax.axhline(len(kinds) - 0.5, color=INK, linewidth=0.8)
        ax.set_yticks(range(len(rows)), [*kinds, "mean"])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(-0.02, 1.02)
        ax.grid(axis="x", color="#e2e2e2", linewidth=0.7)
        ax.set_xlabel("F1 on test tumours (mean and standard error over splits)")
        handles = [
            Line2D([], [], linestyle="", marker="o", color=colour, markersize=5, label=method)
            if method in ours
            else Line2D([], [], label=method, **_diamond(colour))
            for method, colour in zip(methods, colours(len(methods)), strict=True)
        ]
        if theirs:
            handles.append(Line2D([], [], label="published", **_diamond(FAINT)))
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def _diamond(colour: RGB | str) -> dict[str, Any]:
    """Look of a published value."""
    return {"linestyle": "", "marker": "D", "color": colour, "markersize": 5, "markerfacecolor": "white"}


def _published_points(published: pd.DataFrame) -> pd.Series:
    """F1 by method and label; the mean over labels where none is given."""
    _require_columns(published, ("method", "label", "f1"), "published")
    points = published.groupby(["method", "label"])["f1"].mean()
    for method, part in published[published["label"] != _MACRO].groupby("method"):
        points.loc[(method, _MACRO)] = points.get((method, _MACRO), part["f1"].mean())
    return points


def plot_separation(separation: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw Cohen's d of the similarity within types against that between types, largest first.

    `separation` comes from `cosine_separation`. A column method, if there is one, makes one bar for every
    method beside the next. The dashed line is 0.8, a large effect.
    """
    _require_columns(separation, ("label", "cohens_d", "stars", "n_samples"), "separation")
    frame = separation if "method" in separation.columns else separation.assign(method="")
    methods = list(dict.fromkeys(frame["method"]))
    first = frame[frame["method"] == methods[0]].sort_values("cohens_d", ascending=False)
    order = {label: place for place, label in enumerate(first["label"])}
    ax = axes_or_new(ax, height=1.2 + len(order) * (0.14 + 0.11 * len(methods)))
    thick = 0.78 / len(methods)
    with style():
        for number, (method, colour) in enumerate(zip(methods, colours(len(methods)), strict=True)):
            part = frame[(frame["method"] == method) & frame["label"].isin(order)]
            places = part["label"].map(order) + thick * (number - (len(methods) - 1) / 2)
            ax.barh(places, part["cohens_d"], height=0.92 * thick, color=colour, label=str(method))
            for place, d, stars in zip(places, part["cohens_d"], part["stars"], strict=True):
                # The glyph of a star stands high in its line.
                ax.annotate(
                    str(stars), (max(d, 0.0), place), xytext=(3, -2), textcoords="offset points",
                    va="center", fontsize=8, color=INK,
                )  # fmt: skip
        ax.axvline(_LARGE, color=INK, linestyle="--", linewidth=1)
        ax.axvline(0, color=INK, linewidth=0.8)
        names = [f"{label} ({n})" for label, n in zip(first["label"], first["n_samples"], strict=True)]
        ax.set_yticks(range(len(order)), names)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.set_xlabel("Cohen's d: similarity within the type against that to other types")
        if len(methods) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)
    return ax


def plot_attention(attention: pd.DataFrame) -> Figure:
    """Draw the mean attention between profiles, one matrix per type, rows of which sum to about 1."""
    _require_columns(attention, ("label", "n_samples", "profile", "attends_to", "weight"), "attention")
    if attention.duplicated(["label", "profile", "attends_to"]).any():
        raise ValueError(
            "attention must hold every pair of profiles once for a type, but some come twice. Pass one layer."
        )
    kinds, names = list(dict.fromkeys(attention["label"])), list(dict.fromkeys(attention["profile"]))
    n_columns = min(_COLUMNS, len(kinds))
    n_rows = -(-len(kinds) // n_columns)
    with style():
        figure, grid = subplots(
            n_rows, n_columns, figsize=(PAGE_WIDTH, 0.5 + 1.85 * n_rows), squeeze=False, sharey=True
        )
        for ax, kind in zip(grid.ravel(), kinds, strict=False):
            part = attention[attention["label"] == kind]
            table = part.pivot(index="profile", columns="attends_to", values="weight").loc[names, names]
            image = ax.imshow(table.to_numpy(), vmin=0, vmax=1, cmap="Blues", aspect="auto")
            ax.set_title(f"{kind} ({int(part['n_samples'].max())})", fontsize=9.5)
            ax.set_xticks(
                range(len(names)), names, rotation=60, fontsize=8, ha="right", rotation_mode="anchor"
            )
            ax.set_yticks(range(len(names)), names, fontsize=8)
            ax.tick_params(length=0)
            for (row, column), weight in np.ndenumerate(table.to_numpy()):
                colour = "white" if weight > 0.6 else INK
                text = "" if np.isnan(weight) else f"{weight:.2f}"
                ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)
        for ax in grid.ravel()[len(kinds) :]:
            ax.set_visible(False)
        figure.colorbar(image, ax=grid, label="Mean attention", pad=0.02, shrink=0.9)
        figure.supylabel("New row of", fontsize=9.5)
        figure.supxlabel("attends to", fontsize=9.5)
    return figure


def plot_dominance(dominance: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how often each pathway is dominant, and random sets as large: mean and two standard deviations."""
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

    `predictions` come from `predict_targets`. One row per target and, in it, one line per input: a hollow
    circle is the correlation over all samples, a filled one within types, its bar two standard errors.
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
