"""Models of haplotypes, and the codec that turns them into bytes."""

from latentgenomes.models.genotypes.copying import CopyingMixture
from latentgenomes.models.genotypes.haplotype_codec import HaplotypeCodec

__all__ = ["CopyingMixture", "HaplotypeCodec"]
