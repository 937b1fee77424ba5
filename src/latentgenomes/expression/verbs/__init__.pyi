from latentgenomes.expression.verbs.impute import ImputationSettings

__all__ = ["ImputationSettings"]
