"""Full runs of the autoencoders of the genotype study: code lengths and bytes, simulation, ancestry.

Run:  python benchmarks/genotype_vaes.py codes simulation ancestry

Tables go into data/results/genotypes, with their record. Fitted models and finished cells are kept in
build/genotypes_cells, so that a killed run goes on. ``python benchmarks/genotypes.py`` prints the acceptance
lines.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.genotypes.data.public import FILES_805, LCT_FILE, PANEL_FILE, SNPS_805_FILE, load_lct
from latentgenomes.genotypes.experiments import ancestry
from latentgenomes.genotypes.experiments import autoencoders as haplotype_vaes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results" / "genotypes"
KEPT = ROOT / "build" / "genotypes_cells"
AWESOME = tuple(
    f"genotypes/Awesome_{kind}_{name}.rda" for name in ("TGP", "HGDP") for kind in ("data", "map")
)


def store(
    table: pd.DataFrame, name: str, files: tuple[str, ...], code: tuple[Callable, ...], start: float
) -> None:
    """Write a table with its record."""
    registry = load_registry().set_index("name")
    record = {
        "parameters": {"command": "python benchmarks/genotype_vaes.py"},
        "data": {file: str(registry.loc[file, "sha256"]) for file in files},
        "seed": 0,
        "seconds": time.process_time() - start,
        "code": list(code),
    }
    write_results(table, RESULTS / f"{name}.csv", **record)


def run_codes(names: list[str]) -> None:
    """Code lengths and bytes on the LCT window."""
    start = time.process_time()
    table = haplotype_vaes.code_lengths(load_lct(0.01), names, folder=KEPT)
    store(table, "vae_codes", (LCT_FILE, PANEL_FILE), (load_lct, haplotype_vaes.code_lengths), start)


def run_simulation(names: list[str]) -> None:
    """Artificial haplotypes of the 805 SNPs."""
    start = time.process_time()
    scores = haplotype_vaes.compare_simulations(names, n_repeats=3, folder=KEPT)
    means = scores.groupby("source", sort=False).mean().drop(columns="repeat").rename_axis("method")
    decay = haplotype_vaes.simulated_decay(folder=KEPT)
    files = (*FILES_805.values(), SNPS_805_FILE, PANEL_FILE)
    tables = {
        "simulation": scores,
        "simulation_means": means.round(4).assign(n_snps=805).reset_index(),
        "simulation_decay": decay.round(5),
        "simulation_bits": haplotype_vaes.learnt_bits(names, folder=KEPT).round(1).assign(n_snps=805),
    }
    code = (haplotype_vaes.compare_simulations, haplotype_vaes.simulated_decay, haplotype_vaes.learnt_bits)
    for name, table in tables.items():
        store(table, name, files, code, start)


def run_ancestry(datasets: list[str], methods: list[str]) -> None:
    """Ancestry by representation, five folds."""
    start = time.process_time()
    scores = ancestry.classify_ancestry(datasets, methods, folder=KEPT)
    files = (*[FILES_805["real"], SNPS_805_FILE, LCT_FILE, PANEL_FILE], *AWESOME)
    code = (ancestry.classify_ancestry, ancestry.ancestry_summary)
    store(scores, "ancestry_folds", files, code, start)
    summary = ancestry.ancestry_summary(scores)
    store(summary, "ancestry", files, code, start)
    wide = summary.pivot(index="method", columns=["dataset", "level"], values="mean")
    wide.columns = ["_".join(column) for column in wide.columns]
    n_splits = int(summary["n_splits"].max())
    store(wide.round(4).assign(n_splits=n_splits).reset_index(), "ancestry_means", files, code, start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", choices=("codes", "simulation", "ancestry"))
    parser.add_argument("--models", nargs="+", default=list(haplotype_vaes.LCT_VAES))
    parser.add_argument("--generators", nargs="+", default=list(haplotype_vaes.SNP805_VAES))
    parser.add_argument("--datasets", nargs="+", default=list(ancestry.DATASETS))
    parser.add_argument("--methods", nargs="+", default=list(ancestry.METHODS))
    given = parser.parse_args()
    if "codes" in given.runs:
        run_codes(given.models)
    if "simulation" in given.runs:
        run_simulation(given.generators)
    if "ancestry" in given.runs:
        run_ancestry(given.datasets, given.methods)
