from latentgenomes.signatures.experiments.cohorts import compare_consistency, compare_generalisation
from latentgenomes.signatures.experiments.comparison import compare_intervals, compare_systems, load_truth
from latentgenomes.signatures.experiments.halves import compare_halves

__all__ = [
    "compare_consistency",
    "compare_generalisation",
    "compare_halves",
    "compare_intervals",
    "compare_systems",
    "load_truth",
]
