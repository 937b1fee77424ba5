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
    "plot_dominance",
    "plot_embedding",
    "plot_f1",
    "plot_profiles",
    "plot_separation",
]
