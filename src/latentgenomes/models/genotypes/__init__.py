"""Models of haplotypes, and the codec that turns them into bytes."""

from latentgenomes.models.genotypes.copying import CopyingMixture
from latentgenomes.models.genotypes.haplotype_codec import HaplotypeCodec
from latentgenomes.models.genotypes.haplotype_vae import HaplotypeVAE

__all__ = ["CopyingMixture", "HaplotypeCodec", "HaplotypeVAE"]
