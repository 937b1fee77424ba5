from latentgenomes.genotypes import data, evaluate, experiments, figures, models
from latentgenomes.genotypes.data.files import read_plink
from latentgenomes.genotypes.data.files import read_vcf_haplotypes as read_vcf
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.population_vaes import PopulationVAEs
from latentgenomes.genotypes.models.vae_coding import VAECoding
from latentgenomes.genotypes.simulate import simulate_haplotypes as simulate
from latentgenomes.genotypes.verbs.compress import compress_file as compress
from latentgenomes.genotypes.verbs.decompress import decompress_file as decompress

__all__ = [
    "CopyingMixture",
    "HaplotypeCodec",
    "HaplotypeVAE",
    "PopulationVAEs",
    "VAECoding",
    "compress",
    "data",
    "decompress",
    "evaluate",
    "experiments",
    "figures",
    "models",
    "read_plink",
    "read_vcf",
    "simulate",
]
