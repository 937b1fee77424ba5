"""Genotypes: the 1000 Genomes LCT window, the 805-SNP set, TGP, HGDP, wolves, and a reader's own files.

Two kinds of table. `HaplotypeData` is phased: one row a haplotype, calls 0 and 1. `GenotypeData` is not: one
row a person (or wolf), calls 0, 1 and 2 copies. In both, -1 is a missing call, and people, populations and
SNPs are joined by name.
"""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.core.registry import DataError, fetch
from latentgenomes.genotypes.data.calls import (
    SNP_COLUMNS,
    Calls,
    GenotypeData,
    HaplotypeData,
    check_calls,
)
from latentgenomes.genotypes.data.files import read_plink

LCT_FILE = "genotypes/Ravages_LCT.haplotypes.rda"
PANEL_FILE = "genotypes/integrated_call_samples_v3.20130502.ALL.panel"
SNPS_805_FILE = "genotypes/805_SNP.legend"
FILES_805 = {
    "real": "genotypes/805_SNP_1000G_real.hapt.zip",
    "gan": "genotypes/805_SNP_GAN_AG_20000epochs.hapt.zip",
    "rbm": "genotypes/805_SNP_RBM_AG_800Epochs.hapt.zip",
}
WOLF_FILES = tuple(f"genotypes/wolvesadmix.{suffix}" for suffix in ("bed", "bim", "fam", "coord"))


def _read_r(name: str) -> dict[str, Any]:
    return dict(require("rdata", extra="genotypes").read_rda(fetch(name)))


def _populations(people: pd.Series) -> pd.DataFrame:
    """Population and region of people of the 1000 Genomes Project, joined by name."""
    panel = pd.read_csv(
        fetch(PANEL_FILE), sep="\t", usecols=["sample", "pop", "super_pop"], index_col="sample"
    )
    known = panel.reindex(people)
    unknown = people[known["pop"].isna().to_numpy()]
    if len(unknown):
        raise DataError(
            f"{PANEL_FILE} must name every person, but {len(unknown)} of {len(people)} are not in it: "
            f"{list_names(unknown.unique().tolist())}. Fetch both files again."
        )
    columns = {"population": known["pop"].to_numpy(), "region": known["super_pop"].to_numpy()}
    return pd.DataFrame({"person": people.to_numpy(), **columns}, index=people.index)


def load_lct(min_maf: float = 0.0) -> HaplotypeData:
    """Phased haplotypes around the lactase gene: all 2504 people of 1000 Genomes phase 3.

    5008 haplotypes of 8076 SNPs (1261 with a min_maf of 0.01) of chr2:136.40-136.70 Mb (GRCh37), the two of a
    person in neighbouring rows, of 26 populations in 5 regions. 1000 Genomes Project Consortium 2015, Nature
    526:68-74; the R package Ravages.
    """
    tables = _read_r(LCT_FILE)
    calls = np.asarray(tables["LCT.hap"].values).astype(np.int8)
    names = pd.Index(tables["LCT.hap"].coords["dim_0"].values.astype(str))
    people = pd.Series(names.str.rsplit(".", n=1).str[0], index=names)
    table = tables["LCT.snps"]
    snps = pd.DataFrame(
        {
            "chromosome": table["chr"].astype(str).to_numpy(),
            "position": table["pos"].astype("int64").to_numpy(),
            "allele_0": table["A1"].astype(str).to_numpy(),
            "allele_1": table["A2"].astype(str).to_numpy(),
        },
        index=pd.Index(table["id"].astype(str)),
    )
    return HaplotypeData(calls, _populations(people), snps).filter_maf(min_maf)


def _read_hapt(path: Path) -> tuple[list[str], Calls]:
    """Names and calls of a zipped ``.hapt`` file: per line a label, a name, then 0 and 1 between blanks."""
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).split(b"\n")
    rows = [line.rstrip().split(b" ", 2) for line in lines if line.strip()]
    calls = np.stack([np.frombuffer(row[2], dtype=np.uint8)[::2] for row in rows])
    return [row[1].decode() for row in rows], calls.astype(np.int8) - ord("0")


def load_805(source: str = "real") -> HaplotypeData:
    """The 805 ancestry-informative SNPs of all autosomes: 5008 real haplotypes of the 1000 Genomes Project.

    Or 5000 artificial ones, without population, of a generative adversarial network ("gan") or a restricted
    Boltzmann machine ("rbm"). Yelmen et al. 2021, PLoS Genetics 17:e1009303.
    """
    if source not in FILES_805:
        raise ValueError(
            f"source must be one of {', '.join(FILES_805)}, but it is {source!r}. Name one of these."
        )
    legend = pd.read_csv(fetch(SNPS_805_FILE), sep=" ", index_col="id", dtype={"a0": str, "a1": str})
    legend.insert(0, "chromosome", legend.index.str.split(":").str[0])
    snps = legend.set_axis(SNP_COLUMNS, axis=1).rename_axis(None)
    names, calls = _read_hapt(fetch(FILES_805[source]))
    index = pd.Index(names)
    if source == "real":
        metadata = _populations(pd.Series(index.str.rsplit("_", n=1).str[0], index=index))
    else:
        metadata = pd.DataFrame({"person": names}, index=index)
    return HaplotypeData(calls, metadata, snps)


def _load_awesome(data_name: str, map_name: str) -> GenotypeData:
    table = next(iter(_read_r(data_name).values()))
    labels = next(iter(_read_r(map_name).values())).set_index("Indiv")
    people = pd.Index(table.coords["dim_0"].values.astype(str))
    known = labels.reindex(people)  # by name: the two files have orders of their own
    region = known["Superpop"].astype(str).replace("Afica", "Africa")  # a typo of the source
    metadata = pd.DataFrame({"population": known["Pop"].astype(str), "region": region}, index=people)
    snps = pd.DataFrame(index=pd.Index(table.coords["dim_1"].values.astype(str)))
    kept = (region != "Other").to_numpy()  # Denisova, the reference, and apes among the people
    return GenotypeData(check_calls(table.values[kept], ploidy=2), metadata[kept], snps)


def load_tgp() -> GenotypeData:
    """1092 people of 1000 Genomes phase 1: 5000 SNPs thinned over the genome, 14 populations, 4 regions.

    1000 Genomes Project Consortium 2012, Nature 491:56-65.
    """
    return _load_awesome("genotypes/Awesome_data_TGP.rda", "genotypes/Awesome_map_TGP.rda")


def load_hgdp() -> GenotypeData:
    """934 people of the Human Genome Diversity Project: 5000 SNPs thinned over the genome, 7 regions.

    The 8 rows that are no people of today are left out. Patterson et al. 2012, Genetics 192:1065-1093.
    """
    return _load_awesome("genotypes/Awesome_data_HGDP.rda", "genotypes/Awesome_map_HGDP.rda")


def load_wolves() -> GenotypeData:
    """111 North American grey wolves and their coordinates: 17,729 SNPs, 2.1% of calls missing.

    Schweizer et al. 2016, Molecular Ecology 25:380-402; Marcus et al. 2021, eLife 10:e61927.
    """
    bed, _, _, coordinates = (fetch(name) for name in WOLF_FILES)
    data = read_plink(bed)
    degrees = pd.read_csv(coordinates, sep=r"\s+", header=None, names=["longitude", "latitude"])
    return replace(data, metadata=data.metadata.join(degrees.set_index(data.metadata.index)))
