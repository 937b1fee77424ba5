from latentgenomes.multimodal.experiments.comparison import compare_typing
from latentgenomes.multimodal.experiments.tables import write_tables
from latentgenomes.multimodal.experiments.typing import SYSTEMS, load_tumours

__all__ = ["SYSTEMS", "compare_typing", "load_tumours", "write_tables"]
