from latentgenomes.expression.data.cohorts import PAIRED_CANCERS, load_paired_mrna
from latentgenomes.expression.data.matrix import check_expression
from latentgenomes.expression.data.outcomes import load_metabric

__all__ = ["PAIRED_CANCERS", "check_expression", "load_metabric", "load_paired_mrna"]
