from latentgenomes.book.notebooks import Outputs, full_results

__all__ = ["Outputs", "full_results"]
