from latentgenomes.genotypes.data.public import (
    LCT_FILE,
    PANEL_FILE,
    load_hgdp,
    load_lct,
    load_tgp,
    load_wolves,
)

__all__ = ["LCT_FILE", "PANEL_FILE", "load_hgdp", "load_lct", "load_tgp", "load_wolves"]
