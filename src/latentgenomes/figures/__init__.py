"""Figures: a frame and axes in, axes out; one is HTML text. The only home of matplotlib."""

from latentgenomes.figures.compare import plot_history, plot_paired
from latentgenomes.figures.embedding_map import embedding_map
from latentgenomes.figures.expression import plot_calibration, plot_kaplan_meier, plot_restoration
from latentgenomes.figures.mixing import mixing_figure
from latentgenomes.figures.multimodal import (
    plot_attention,
    plot_embedding,
    plot_f1,
    plot_profiles,
    plot_separation,
)
from latentgenomes.figures.pathways import plot_agreement, plot_dominance
from latentgenomes.figures.restoration import restoration_figure
from latentgenomes.figures.selection import plot_selection
from latentgenomes.figures.signatures import plot_exposures, plot_matches, plot_recovery
from latentgenomes.figures.spectra import plot_residuals, plot_signatures, plot_spectrum
from latentgenomes.figures.style import PALETTE, SUBSTITUTION_COLOURS, colours, style

__all__ = [
    "PALETTE",
    "SUBSTITUTION_COLOURS",
    "colours",
    "embedding_map",
    "mixing_figure",
    "plot_agreement",
    "plot_attention",
    "plot_calibration",
    "plot_dominance",
    "plot_embedding",
    "plot_exposures",
    "plot_f1",
    "plot_history",
    "plot_kaplan_meier",
    "plot_matches",
    "plot_paired",
    "plot_profiles",
    "plot_recovery",
    "plot_residuals",
    "plot_restoration",
    "plot_selection",
    "plot_separation",
    "plot_signatures",
    "plot_spectrum",
    "restoration_figure",
    "style",
]
