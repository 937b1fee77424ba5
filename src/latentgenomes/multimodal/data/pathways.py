"""Gene sets: the KEGG pathways of DNA damage and repair, and any file of gene sets in GMT form."""

from pathlib import Path

from latentgenomes.core.checks import list_names
from latentgenomes.core.registry import fetch

KEGG_FILE = "multimodal/c2.cp.kegg.v7.5.1.symbols.gmt"
#: The five pathways of the MutEmbed paper: name here -> name in MSigDB.
REPAIR_PATHWAYS = {
    "cell cycle": "KEGG_CELL_CYCLE",
    "homologous recombination": "KEGG_HOMOLOGOUS_RECOMBINATION",
    "mismatch repair": "KEGG_MISMATCH_REPAIR",
    "base excision repair": "KEGG_BASE_EXCISION_REPAIR",
    "nucleotide excision repair": "KEGG_NUCLEOTIDE_EXCISION_REPAIR",
}


def read_gene_sets(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Genes of every set of a GMT file, each once: a line is name, description and genes, divided by tabs."""
    path = Path(path)
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        name, *rest = (part.strip() for part in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not genes or name in sets:
            raise ValueError(
                f"{path.name} must hold one set a line, 'name TAB description TAB gene TAB gene ...', each "
                f"name once, but line {number} ({name!r}) has {len(genes)} genes or comes again. Mend it."
            )
        sets[name] = genes
    if not sets:
        raise ValueError(f"{path.name} must hold at least one gene set, but it is empty. Pass a GMT file.")
    return sets


def load_repair_pathways() -> dict[str, tuple[str, ...]]:
    """HGNC symbols of the five KEGG pathways of the paper, from MSigDB 7.5.1: 125, 28, 23, 35 and 44.

    Liberzon et al. 2011, Bioinformatics 27:1739 (MSigDB); Kanehisa and Goto 2000, Nucleic Acids Res 28:27.
    """
    sets = read_gene_sets(fetch(KEGG_FILE))
    missing = [name for name in REPAIR_PATHWAYS.values() if name not in sets]
    if missing:
        raise ValueError(
            f"{KEGG_FILE} must hold the five pathways of the paper, but lacks {list_names(missing)}. Fetch "
            "it again."
        )
    return {ours: sets[theirs] for ours, theirs in REPAIR_PATHWAYS.items()}
