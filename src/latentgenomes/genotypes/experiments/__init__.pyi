from latentgenomes.genotypes.experiments import compression, diversity
from latentgenomes.genotypes.experiments.autoencoders import decay_table

__all__ = ["compression", "decay_table", "diversity"]
