from latentgenomes.multimodal.evaluate.calibration import (
    calibration_error,
    reliability,
    selective,
    unknown_auroc,
)
from latentgenomes.multimodal.evaluate.pathways import (
    chance_dominance,
    dominant_pathway,
    genes_found,
    pathway_scores,
    predict_targets,
    random_gene_sets,
)
from latentgenomes.multimodal.evaluate.typing import (
    MACRO,
    cosine_separation,
    f1_table,
    macro_scores,
    mean_attention,
    paper_trials,
    project_recall,
)

__all__ = [
    "MACRO",
    "calibration_error",
    "chance_dominance",
    "cosine_separation",
    "dominant_pathway",
    "f1_table",
    "genes_found",
    "macro_scores",
    "mean_attention",
    "paper_trials",
    "pathway_scores",
    "predict_targets",
    "project_recall",
    "random_gene_sets",
    "reliability",
    "selective",
    "unknown_auroc",
]
