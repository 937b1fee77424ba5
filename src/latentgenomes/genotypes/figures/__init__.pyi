from latentgenomes.genotypes.figures.compression import plot_diversity, plot_ratios, plot_scaling
from latentgenomes.genotypes.figures.haplotypes import (
    latent_map,
    plot_frequencies,
    plot_haplotypes,
    plot_latent_map,
    plot_linkage_decay,
)

__all__ = [
    "latent_map",
    "plot_diversity",
    "plot_frequencies",
    "plot_haplotypes",
    "plot_latent_map",
    "plot_linkage_decay",
    "plot_ratios",
    "plot_scaling",
]
