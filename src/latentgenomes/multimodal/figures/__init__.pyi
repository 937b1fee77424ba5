from latentgenomes.multimodal.figures.answers import (
    plot_burden,
    plot_coverage,
    plot_on_map,
    plot_reliability,
    plot_verdicts,
)
from latentgenomes.multimodal.figures.cards import tumour_cards
from latentgenomes.multimodal.figures.map import embedding_map
from latentgenomes.multimodal.figures.tumours import (
    plot_agreement,
    plot_attention,
    plot_dominance,
    plot_embedding,
    plot_f1,
    plot_profiles,
    plot_separation,
)

__all__ = [
    "embedding_map",
    "plot_agreement",
    "plot_attention",
    "plot_burden",
    "plot_coverage",
    "plot_dominance",
    "plot_embedding",
    "plot_f1",
    "plot_on_map",
    "plot_profiles",
    "plot_reliability",
    "plot_separation",
    "plot_verdicts",
    "tumour_cards",
]
