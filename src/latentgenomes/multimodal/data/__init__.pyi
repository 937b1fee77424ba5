from latentgenomes.multimodal.data.pathways import KEGG_FILE, load_repair_pathways
from latentgenomes.multimodal.data.profiles import PAPER_ORGANS, SV_FILE, load_pcawg_profiles, to_wide

__all__ = ["KEGG_FILE", "PAPER_ORGANS", "SV_FILE", "load_pcawg_profiles", "load_repair_pathways", "to_wide"]
