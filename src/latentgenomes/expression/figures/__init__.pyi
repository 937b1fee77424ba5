from latentgenomes.expression.figures.curves import plot_calibration, plot_kaplan_meier, plot_restoration
from latentgenomes.expression.figures.restoration import restoration_figure

__all__ = ["plot_calibration", "plot_kaplan_meier", "plot_restoration", "restoration_figure"]
