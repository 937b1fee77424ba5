"""Figures of the report of `impute`: restored against true, and how well each gene is restored."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from latentgenomes.core.style import FAINT, INK, PAGE_WIDTH, axes_or_new, colours, style

_STATES = ("restored", "not restored", "measured")


def plot_restored_genes(points: pd.DataFrame) -> list[Axes]:
    """Draw restored against true values of hidden entries, one panel a gene; on the diagonal they agree.
    `points` have ``gene``, ``true`` and ``restored``. ValueError if there are none.
    """
    genes = list(dict.fromkeys(points["gene"]))
    if not genes:
        raise ValueError("points must hold hidden entries of a gene at least, but there are none.")
    with style():
        _, axes = plt.subplots(1, len(genes), figsize=(PAGE_WIDTH, 2.9), squeeze=False, layout="constrained")
        for gene, ax in zip(genes, axes[0], strict=True):
            part = points[points["gene"] == gene]
            low = float(min(part["true"].min(), part["restored"].min()))
            high = float(max(part["true"].max(), part["restored"].max()))
            room = 0.05 * max(high - low, 1e-6)
            ax.plot([low, high], [low, high], color=FAINT, linewidth=1)
            ax.scatter(part["true"], part["restored"], s=10, color=colours(1)[0], alpha=0.6, linewidths=0)
            ax.set_xlim(low - room, high + room)
            ax.set_ylim(low - room, high + room)
            varies = part["true"].std() > 0 and part["restored"].std() > 0
            r = float(np.corrcoef(part["true"], part["restored"])[0, 1]) if varies else 0.0
            ax.set_title(f"{gene}\nr = {r:.2f}, n = {len(part)}")
            ax.set_xlabel("True")
        axes[0][0].set_ylabel("Restored")
    return list(axes[0])


def plot_gene_accuracy(genes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the correlation of restored and true values of every gene, from the worst to the best, with its
    95% interval. `genes` are the rows that `impute` wrote; genes that were not checked are left out.
    """
    judged = genes[genes["n_checked"] > 0].sort_values("correlation", kind="stable")
    if judged.empty:
        raise ValueError("genes must hold a checked gene at least, but n_checked is 0 in all of them.")
    ax = axes_or_new(ax, height=3.4)
    rank = np.arange(1, len(judged) + 1)
    state = np.where(judged["status"].str.startswith("not restored"), _STATES[1], judged["status"])
    with style():
        ax.fill_between(
            rank,
            judged["correlation_lower"],
            judged["correlation_upper"],
            color=FAINT,
            alpha=0.25,
            linewidth=0,
        )
        hues = dict(zip(_STATES, colours(len(_STATES)), strict=True))
        for name in _STATES:
            seen = state == name
            if seen.any():
                ax.plot(
                    rank[seen],
                    judged["correlation"][seen],
                    ".",
                    color=hues[name],
                    markersize=3 if len(judged) > 200 else 6,
                    label=f"{name} ({seen.sum():,})",
                )
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("Genes, from the worst to the best")
        ax.set_ylabel("Correlation, hidden entries")
        ax.set_ylim(max(-1.05, float(judged["correlation_lower"].min()) - 0.05), 1.05)
        ax.legend(loc="lower right")
    return ax
