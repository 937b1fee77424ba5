from latentgenomes.expression.figures.accuracy import plot_gene_accuracy, plot_restored_genes
from latentgenomes.expression.figures.curves import (
    plot_calibration,
    plot_coefficients,
    plot_kaplan_meier,
    plot_restoration,
)
from latentgenomes.expression.figures.restoration import restoration_figure

__all__ = [
    "plot_calibration",
    "plot_coefficients",
    "plot_gene_accuracy",
    "plot_kaplan_meier",
    "plot_restoration",
    "plot_restored_genes",
    "restoration_figure",
]
