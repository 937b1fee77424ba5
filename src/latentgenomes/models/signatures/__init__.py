"""Systems that extract mutational signatures: catalogue = exposures x signatures + noise."""

from latentgenomes.models.signatures.gamma_poisson import GammaPoissonNMF, evidence
from latentgenomes.models.signatures.klnmf import KLNMF, refit
from latentgenomes.models.signatures.muse_xae import MuseXAE
from latentgenomes.models.signatures.negative_binomial import NegativeBinomialNMF
from latentgenomes.models.signatures.refitting import SparseExposures, decompose, refit_sparse
from latentgenomes.models.signatures.signer import SignerNMF
from latentgenomes.models.signatures.sigprofiler import hypermutator_limit
from latentgenomes.models.signatures.vaems import VAEMS

__all__ = [
    "KLNMF",
    "VAEMS",
    "GammaPoissonNMF",
    "MuseXAE",
    "NegativeBinomialNMF",
    "SignerNMF",
    "SparseExposures",
    "decompose",
    "evidence",
    "hypermutator_limit",
    "refit",
    "refit_sparse",
]
