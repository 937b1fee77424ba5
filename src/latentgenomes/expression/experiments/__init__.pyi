from latentgenomes.expression.experiments import tables
from latentgenomes.expression.experiments.imputation import (
    METHOD_NAMES,
    compare_imputers,
    load_dataset,
    paired_over_patients,
)
from latentgenomes.expression.experiments.platforms import (
    both_platforms,
    compare_platforms,
    compare_structures,
)
from latentgenomes.expression.experiments.survival import (
    ARMS,
    SurvivalSettings,
    choose_penalties,
    compare_arms,
    compare_heads,
    compare_over_cohorts,
    load_cohorts,
)
from latentgenomes.expression.experiments.transcriptomes import beside_knn, large_matrix, panel_transfer

__all__ = [
    "ARMS",
    "METHOD_NAMES",
    "SurvivalSettings",
    "beside_knn",
    "both_platforms",
    "choose_penalties",
    "compare_arms",
    "compare_heads",
    "compare_imputers",
    "compare_over_cohorts",
    "compare_platforms",
    "compare_structures",
    "large_matrix",
    "load_cohorts",
    "load_dataset",
    "paired_over_patients",
    "panel_transfer",
    "tables",
]
