"""Systems that extract mutational signatures: catalogue = exposures x signatures + noise."""

from latentgenomes.models.signatures.klnmf import KLNMF, refit
from latentgenomes.models.signatures.vaems import VAEMS

__all__ = ["KLNMF", "VAEMS", "refit"]
