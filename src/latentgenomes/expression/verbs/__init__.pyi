from latentgenomes.expression.verbs.methods import ImputationSettings

__all__ = ["ImputationSettings"]
