from latentgenomes.genotypes.models.container import CodecError
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.population_vaes import PopulationVAEs
from latentgenomes.genotypes.models.vae_coding import VAECoding

__all__ = [
    "CodecError",
    "CopyingMixture",
    "HaplotypeCodec",
    "HaplotypeVAE",
    "PopulationVAEs",
    "VAECoding",
]
