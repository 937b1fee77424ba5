from latentgenomes.genotypes.evaluate.simulation import compare_haplotypes, nearest_distances

__all__ = ["compare_haplotypes", "nearest_distances"]
