"""The figures of a report as files, PNG and SVG."""

from pathlib import Path

import pandas as pd

from latentgenomes.core.style import save_figures
from latentgenomes.mutations.finer import collapse_channels
from latentgenomes.mutations.spectra import plot_residuals, plot_signatures
from latentgenomes.signatures.figures.extraction import plot_exposures
from latentgenomes.signatures.verbs.extraction import Extraction


def save_extraction_figures(
    found: Extraction, folder: str | Path, known: pd.DataFrame | None, matches: pd.DataFrame | None
) -> list[Path]:
    """Draw the figures of the extract report into a folder; without `known`, signatures stand alone."""
    rates = found.exposures @ found.signatures
    figures = {
        "number_of_signatures": found.plot_selection(),
        "signatures_beside_cosmic" if known is not None else "signatures": plot_signatures(
            collapse_channels(found.signatures), reference=known, matches=matches
        ),
        "exposures_by_sample": plot_exposures(_shares(found.exposures)),
        "residuals_by_channel": plot_residuals(collapse_channels(found.counts), collapse_channels(rates)),
    }
    return save_figures(folder, figures)


def save_refit_figures(exposures: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Draw the figure of the refit report into a folder."""
    called = exposures.loc[:, (exposures > 0).any()]
    return save_figures(folder, {"exposures_by_sample": plot_exposures(_shares(called))})


def _shares(exposures: pd.DataFrame) -> pd.DataFrame:
    """Shares of every sample's mutations; samples without any are left out."""
    filled = exposures[exposures.sum(axis=1) > 0]
    return filled.div(filled.sum(axis=1), axis=0)
