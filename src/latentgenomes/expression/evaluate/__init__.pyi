from latentgenomes.expression.evaluate.restoration import imputation_benchmark, impute, random_masks
from latentgenomes.expression.evaluate.survival import concordance_index, survival_curves

__all__ = ["concordance_index", "imputation_benchmark", "impute", "random_masks", "survival_curves"]
