"""Population genotypes: structure, simulation and lossless compression of haplotypes.

`compress`        a VCF or PLINK 1 file to a small archive, with a panel
`decompress`      the archive back to the very calls
`simulate`        haplotypes of humans or canids from published demographic models
`read_vcf`        phased haplotypes of a VCF or BCF file
`read_plink`      unphased genotypes of a PLINK 1 file set
`HaplotypeCodec`  haplotypes to bytes and back, by a model of a panel
`CopyingMixture`  the model behind the codec: copying from the panel
`HaplotypeVAE`    variational autoencoder of haplotypes, with or without ancestry
`PopulationVAEs`  one autoencoder a population, as a classifier
`VAECoding`       exact code lengths and bytes from an autoencoder
"""

from latentgenomes.core.doors import open_door

open_door(__name__)
