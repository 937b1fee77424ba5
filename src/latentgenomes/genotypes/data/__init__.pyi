from latentgenomes.genotypes.data.files import write_vcf_haplotypes as write_vcf
from latentgenomes.genotypes.data.public import (
    LCT_FILE,
    PANEL_FILE,
    load_hgdp,
    load_lct,
    load_tgp,
    load_wolves,
)

__all__ = ["LCT_FILE", "PANEL_FILE", "load_hgdp", "load_lct", "load_tgp", "load_wolves", "write_vcf"]
