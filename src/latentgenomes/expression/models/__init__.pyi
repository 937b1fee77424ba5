from latentgenomes.expression.models.factors import FactorImputer
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.gexbert_survival import GexBERTSurvival
from latentgenomes.expression.models.imputers import LocalRidgeImputer, NeighbourImputer, RidgeImputer
from latentgenomes.expression.models.mixture import MixtureImputer
from latentgenomes.expression.models.panels import PanelImputer
from latentgenomes.expression.models.restorer import MaskedRestorer
from latentgenomes.expression.models.stack import StackedImputer
from latentgenomes.expression.models.survival import CoxRegression

__all__ = [
    "CoxRegression",
    "FactorImputer",
    "GexBERT",
    "GexBERTClassifier",
    "GexBERTSurvival",
    "LocalRidgeImputer",
    "MaskedRestorer",
    "MixtureImputer",
    "NeighbourImputer",
    "PanelImputer",
    "RidgeImputer",
    "StackedImputer",
]
