from latentgenomes.core.compare import paired_differences
from latentgenomes.core.figures import plot_history, plot_paired
from latentgenomes.core.resources import locate
from latentgenomes.core.splits import grouped_split, repeated_grouped_splits

__all__ = [
    "grouped_split",
    "locate",
    "paired_differences",
    "plot_history",
    "plot_paired",
    "repeated_grouped_splits",
]
