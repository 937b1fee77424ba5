"""What a reader asks for in one call: models, their evaluation and their figures put together."""

from latentgenomes.workflows.extraction import Extraction
from latentgenomes.workflows.signatures import extract_signatures

__all__ = ["Extraction", "extract_signatures"]
