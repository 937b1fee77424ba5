from latentgenomes.signatures.figures.extraction import plot_exposures, plot_matches, plot_recovery
from latentgenomes.signatures.figures.halves import plot_halves
from latentgenomes.signatures.figures.mixing import mixing_figure

__all__ = ["mixing_figure", "plot_exposures", "plot_halves", "plot_matches", "plot_recovery"]
