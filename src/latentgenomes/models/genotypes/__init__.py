"""Models of haplotypes, and the codec that turns them into bytes."""

from latentgenomes.models.genotypes.copying import CopyingMixture
from latentgenomes.models.genotypes.haplotype_codec import METHODS, HaplotypeCodec
from latentgenomes.models.genotypes.haplotype_vae import HaplotypeVAE
from latentgenomes.models.genotypes.population_vaes import PopulationVAEs
from latentgenomes.models.genotypes.vae_coding import VAECoding

METHODS["vae"] = (2, VAECoding)

__all__ = ["CopyingMixture", "HaplotypeCodec", "HaplotypeVAE", "PopulationVAEs", "VAECoding"]
