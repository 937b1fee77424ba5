from latentgenomes.signatures.data.published import load_breast192, load_islam

__all__ = ["load_breast192", "load_islam"]
