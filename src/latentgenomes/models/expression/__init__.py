"""Systems that restore masked expression, and what is predicted from expression: type and survival."""

from latentgenomes.models.expression.imputers import LocalRidgeImputer, NeighbourImputer, RidgeImputer
from latentgenomes.models.expression.mixture import MixtureImputer
from latentgenomes.models.expression.restorer import MaskedRestorer
from latentgenomes.models.expression.stack import StackedImputer
from latentgenomes.models.expression.survival import CoxRegression

__all__ = [
    "CoxRegression",
    "LocalRidgeImputer",
    "MaskedRestorer",
    "MixtureImputer",
    "NeighbourImputer",
    "RidgeImputer",
    "StackedImputer",
]
