from latentgenomes import expression, genotypes, multimodal, signatures

__all__ = ["expression", "genotypes", "multimodal", "signatures"]
