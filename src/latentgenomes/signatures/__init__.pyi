from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.cosmic import cosmic_signatures as cosmic
from latentgenomes.mutations.count import count_mutations
from latentgenomes.signatures import data, evaluate, experiments, figures, models
from latentgenomes.signatures.models.consensus_nmf import ConsensusNMF
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.models.muse_xae import MuseXAE
from latentgenomes.signatures.models.negative_binomial import NegativeBinomialNMF
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.models.vaems import VAEMS
from latentgenomes.signatures.simulate import simulate_signature_catalogs as simulate
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.informed import extract
from latentgenomes.signatures.verbs.refit import refit_known as refit

__all__ = [
    "KLNMF",
    "VAEMS",
    "ConsensusNMF",
    "Extraction",
    "GammaPoissonNMF",
    "MuseXAE",
    "NegativeBinomialNMF",
    "SignerNMF",
    "cosmic",
    "count_mutations",
    "data",
    "evaluate",
    "experiments",
    "extract",
    "figures",
    "models",
    "read_catalog",
    "refit",
    "simulate",
]
