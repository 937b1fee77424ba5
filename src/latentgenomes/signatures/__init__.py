"""Signature extraction: which mutational processes were at work, and how much of each.

`extract`              signatures of a catalogue, their number found and explained
`refit`                exposures of known signatures, sparse, with presence calls
`simulate`             catalogues with known signatures and exposures
`read_catalog`         your own table of mutation counts
`count_mutations`      such tables from calls: VCF, BCF, MAF
`cosmic`               COSMIC's reference signatures
`Extraction`           what `extract` gives: signatures, exposures, reason, matches
`ConsensusNMF`         signatures that come back in subsets of the donors, with their support
`NegativeBinomialNMF`  the default of `extract`: counts that scatter more than Poisson
`GammaPoissonNMF`      sparse Bayesian NMF that finds its number of signatures
`KLNMF`                NMF of the Kullback-Leibler divergence, as SigProfilerExtractor runs it
`MuseXAE`              the autoencoder MUSE-XAE
`SignerNMF`            signeR's Gibbs sampler
`VAEMS`                the variational autoencoder VAE-MS
"""

from latentgenomes.core.doors import open_door

open_door(__name__)
