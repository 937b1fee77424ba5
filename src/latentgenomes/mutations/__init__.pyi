from latentgenomes.mutations.aetiologies import doubts
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.copynumber import SEGMENTS_FILE
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.finer import collapse_channels
from latentgenomes.mutations.pcawg import (
    CHORD_FILE,
    CLINICAL_FILE,
    HRDETECT_FILE,
    PCAWG_FILES,
    REPAIR_FILE,
    REPAIR_SCORES,
    SAMPLE_SHEET,
    SUMMARY_FILE,
    load_pcawg,
)
from latentgenomes.mutations.spectra import plot_residuals, plot_signatures, plot_spectrum

__all__ = [
    "CHORD_FILE",
    "CLINICAL_FILE",
    "HRDETECT_FILE",
    "PCAWG_FILES",
    "REPAIR_FILE",
    "REPAIR_SCORES",
    "SAMPLE_SHEET",
    "SEGMENTS_FILE",
    "SUMMARY_FILE",
    "collapse_channels",
    "cosmic_signatures",
    "doubts",
    "load_pcawg",
    "plot_residuals",
    "plot_signatures",
    "plot_spectrum",
    "read_catalog",
]
