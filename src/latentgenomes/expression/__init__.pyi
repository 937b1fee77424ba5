from latentgenomes.expression import data, evaluate, experiments, figures, models
from latentgenomes.expression.data.matrix import read_expression
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.gexbert_survival import GexBERTSurvival
from latentgenomes.expression.models.imputers import LocalRidgeImputer, NeighbourImputer, RidgeImputer
from latentgenomes.expression.models.mixture import MixtureImputer
from latentgenomes.expression.models.restorer import MaskedRestorer
from latentgenomes.expression.models.stack import StackedImputer
from latentgenomes.expression.models.survival import CoxRegression
from latentgenomes.expression.simulate import simulate_expression as simulate
from latentgenomes.expression.verbs.impute import restore_matrix as impute
from latentgenomes.expression.verbs.panel import choose_panel
from latentgenomes.expression.verbs.survival import predict_survival as survival

__all__ = [
    "CoxRegression",
    "GexBERT",
    "GexBERTClassifier",
    "GexBERTSurvival",
    "LocalRidgeImputer",
    "MaskedRestorer",
    "MixtureImputer",
    "NeighbourImputer",
    "RidgeImputer",
    "StackedImputer",
    "choose_panel",
    "data",
    "evaluate",
    "experiments",
    "figures",
    "impute",
    "models",
    "read_expression",
    "simulate",
    "survival",
]
