from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import KLNMF, refit
from latentgenomes.signatures.models.muse_xae import MuseXAE
from latentgenomes.signatures.models.negative_binomial import NegativeBinomialNMF
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.models.vaems import VAEMS

__all__ = [
    "KLNMF",
    "VAEMS",
    "GammaPoissonNMF",
    "MuseXAE",
    "NegativeBinomialNMF",
    "SignerNMF",
    "refit",
]
