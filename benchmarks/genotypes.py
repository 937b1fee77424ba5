"""Every line of the acceptance table of the genotype study, from stored tables; or the runs that make them.

Print:  python benchmarks/genotypes.py
Run:    python benchmarks/genotypes.py --run compression scaling roundtrip entropy canids latents

Runs read real data, take minutes each, and write tables with their record into data/results/genotypes. Splits
that are finished are kept in build/genotypes, so that a killed run goes on.
"""

import argparse
import time
from pathlib import Path

import genotype_lines
import genotype_runs
import pandas as pd

from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.genotypes.data.public import (
    FILES_805,
    LCT_FILE,
    PANEL_FILE,
    SNPS_805_FILE,
    WOLF_FILES,
    load_hgdp,
    load_lct,
    load_tgp,
    load_wolves,
)
from latentgenomes.genotypes.experiments import canids, compression, diversity
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.simulate import simulate_haplotypes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results" / "genotypes"
KEPT = ROOT / "build" / "genotypes"
N_SPLITS, TEST_FRACTION, MIN_MAF = 3, 0.1, 0.01


def checksums(*names: str) -> dict[str, str]:
    """SHA-256 of registered files."""
    return dict(load_registry().set_index("name").loc[list(names), "sha256"])


def kept(name: str, make: callable) -> pd.DataFrame:
    """Table of a finished part, or the part made now."""
    path = KEPT / f"{name}.csv"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        table = make()
        table.to_csv(path, index=False)
    return pd.read_csv(path)


def run_compression() -> None:
    """Code the held-out people of three splits in every way, and the whole table once."""
    data = load_lct(min_maf=MIN_MAF)
    data_used = checksums(LCT_FILE, PANEL_FILE)
    settings = {"min_maf": MIN_MAF, "n_splits": N_SPLITS, "test_fraction": TEST_FRACTION}
    parts = [
        kept(f"split{split.number}", lambda split=split: score(split))
        for split in compression.splits(data, N_SPLITS, test_fraction=TEST_FRACTION)
    ]
    code = (load_lct, compression.splits, compression.score_split)
    store(pd.concat(parts), "compression", settings, data_used, code)
    whole = kept("whole", lambda: compression.score_whole(data))
    store(whole, "compression_whole", {"min_maf": MIN_MAF}, data_used, (load_lct, compression.score_whole))


def score(split: compression.Split) -> pd.DataFrame:
    """Code one split; only the first counts what the panel itself would take."""
    return compression.score_split(split, self_contained_panel=split.number == 0)


AWESOME = tuple(
    f"genotypes/Awesome_{kind}_{name}.rda" for name in ("TGP", "HGDP") for kind in ("data", "map")
)


def run_scaling() -> None:
    """Speed and memory on real sets, and on simulated chromosomes of up to 100,000 SNPs."""
    table = kept("scaling", lambda: genotype_runs.scaling(KEPT))
    used = checksums(LCT_FILE, PANEL_FILE, SNPS_805_FILE, FILES_805["real"])
    settings = {"model": "OutOfAfrica_3G09", "length": 40_000_000, "min_maf": MIN_MAF}
    store(table, "scaling", settings, used, (HaplotypeCodec, simulate_haplotypes))


def run_roundtrip() -> None:
    """Ten thousand arrays there and back, and ten thousand files altered."""
    table = kept("roundtrip", genotype_runs.round_trips)
    settings = {"n_arrays": genotype_runs.N_ARRAYS, "n_files": genotype_runs.N_FILES}
    store(table, "roundtrip", settings, {}, (HaplotypeCodec, CopyingMixture))


def run_entropy() -> None:
    """Diversity of populations on two arrays of the world, in the LCT window, and in simulated people."""
    hgdp, tgp, lct = load_hgdp(), load_tgp(), load_lct(min_maf=MIN_MAF)
    drawn = simulate_haplotypes(n_people=60, length=2_000_000, random_state=0).data
    origin = drawn.metadata["population"].map({"YRI": "AFR", "CEU": "EUR", "CHB": "EAS"})
    parts = [
        diversity.diversity_table(hgdp.calls, hgdp.metadata, name="HGDP", ploidy=2, n_drawn=8),
        diversity.diversity_table(tgp.calls, tgp.metadata, name="TGP", ploidy=2, n_drawn=50),
        diversity.diversity_table(lct.calls, lct.metadata, name="LCT window", n_drawn=120),
        diversity.diversity_table(drawn.calls, drawn.metadata.assign(region=origin), name="simulated"),
    ]
    settings = {"n_drawn": {"HGDP": 8, "TGP": 50, "LCT window": 120, "simulated": 120}, "min_maf": MIN_MAF}
    table = pd.concat(parts)
    used = checksums(LCT_FILE, PANEL_FILE, *AWESOME)
    code = (load_hgdp, load_tgp, load_lct, simulate_haplotypes, diversity.diversity_table)
    store(table, "entropy", settings, used, code)
    trends = diversity.migration_trends(table)
    store(trends, "entropy_trends", settings, used, (*code, diversity.migration_trends))


def run_canids() -> None:
    """Dogs and wolves: codes and diversity of simulated ones, places of real ones."""
    drawn = simulate_haplotypes(
        "EarlyWolfAdmixture_6F14", 60, length=1_000_000, min_maf=0.01, random_state=0
    ).data
    settings = {"model": "EarlyWolfAdmixture_6F14", "n_animals": 60, "length": 1_000_000, "min_maf": 0.01}
    split = next(compression.splits(drawn, 1, test_fraction=TEST_FRACTION))
    table = kept("canids", lambda: compression.score_split(split, self_contained_panel=False))
    code = (simulate_haplotypes, compression.splits, compression.score_split, diversity.diversity_table)
    store(table, "canids_compression", settings, {}, code)
    store(
        diversity.diversity_table(drawn.calls, drawn.metadata, name="canids"),
        "canids_entropy",
        settings,
        {},
        code,
    )
    wolves = load_wolves()
    places = [diversity.locate_samples(wolves, block_degrees=block) for block in (0.0, 5.0, 10.0)]
    code, used = (load_wolves, diversity.locate_samples), checksums(*WOLF_FILES)
    store(pd.concat(places), "canids_places", {"n_repeats": 5}, used, code)


def run_latents() -> None:
    """Real wolves and simulated canids by an autoencoder, beside principal components of the same width."""
    wolves = load_wolves()
    parts = [
        kept(f"wolves{block:g}", lambda block=block: canids.locate_by_codes(wolves, block_degrees=block))
        for block in (0.0, 5.0, 10.0)
    ]
    used = checksums(*WOLF_FILES)
    code = (load_wolves, canids.locate_by_codes)
    store(pd.concat(parts), "canids_latent_places", {"n_latent": 10, "n_snps": 1500}, used, code)
    model, settings = "EarlyWolfAdmixture_6F14", {"n_animals": 60, "length": 1_000_000, "min_maf": 0.01}
    drawn = simulate_haplotypes(model, 60, length=1_000_000, min_maf=0.01, random_state=0).data
    table = kept("canid_classes", lambda: canids.classify_canids(drawn))
    settings |= {"model": model, "n_latent": 8, "n_snps": 1500}
    store(table, "canids_classes", settings, {}, (simulate_haplotypes, canids.classify_canids))


def store(table: pd.DataFrame, name: str, settings: dict, data: dict, code: tuple) -> None:
    """Write a table of a run with its record."""
    once = table[table["level"] == "all"] if "level" in table else table  # groups repeat the seconds of all
    seconds = once["seconds"].sum() if "seconds" in table else time.process_time()
    write_results(
        table.drop(columns="seconds", errors="ignore").reset_index(drop=True).round(6),
        RESULTS / f"{name}.csv",
        parameters=settings,
        data=data,
        seed=0,
        seconds=seconds,
        code=code,
    )


RUNS = {
    "compression": run_compression,
    "scaling": run_scaling,
    "roundtrip": run_roundtrip,
    "entropy": run_entropy,
    "canids": run_canids,
    "latents": run_latents,
}


def main() -> None:
    """Run what was asked for, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", nargs="+", choices=RUNS, default=[], help="make stored tables anew")
    wanted = parser.parse_args().run
    for name in wanted:
        RUNS[name]()
    if not wanted:
        for line in genotype_lines.acceptance(RESULTS).itertuples(index=False):
            print(f"{line[0]}\n  yardstick  {line[1]}\n  to reach   {line[2]}")
            print(f"  measured   {line[3]}\n  reached    {line[4]}")


if __name__ == "__main__":
    main()
