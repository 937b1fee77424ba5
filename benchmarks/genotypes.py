"""Every line of the acceptance table of the genotype study, from stored tables; or the runs that make them.

Print:  python benchmarks/genotypes.py
Run:    python benchmarks/genotypes.py --run compression scaling roundtrip entropy canids latents
        python benchmarks/genotypes.py --run archives archive_files parts altered
        python benchmarks/genotypes.py --run codes simulation ancestry      (the autoencoders: hours)

Runs read real data, take minutes each, and write tables with their record into data/results/genotypes. Parts
that are finished, and fitted models, are kept in build, so that a killed run goes on.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import genotype_archives
import genotype_runs
import pandas as pd

from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.genotypes.data import public
from latentgenomes.genotypes.experiments import autoencoders, compression, diversity
from latentgenomes.genotypes.experiments.ancestry import ancestry_summary, classify_ancestry
from latentgenomes.genotypes.models.blocks import decode_block, encode_block
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.simulate import simulate_haplotypes
from latentgenomes.genotypes.verbs import compress_file, decompress_file

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results" / "genotypes"
KEPT, CELLS = ROOT / "build" / "genotypes", ROOT / "build" / "genotypes_cells"
N_SPLITS, TEST_FRACTION, MIN_MAF = 3, 0.1, 0.01
SNP805 = (*public.FILES_805.values(), public.SNPS_805_FILE, public.PANEL_FILE)
AWESOME = tuple(
    f"genotypes/Awesome_{kind}_{name}.rda" for name in ("TGP", "HGDP") for kind in ("data", "map")
)
CANIDS = {"model": "EarlyWolfAdmixture_6F14", "n_animals": 60, "length": 1_000_000, "min_maf": 0.01}
BLOCKS = (0.0, 5.0, 10.0)  # degrees
COMMAND = {"command": "python benchmarks/genotypes.py"}  # the settings stand in the package
MISSING = "no table stored yet"
Measured = tuple[str, str] | None  # in words, and whether the aim was reached; None without its rows


class Result(NamedTuple):
    """A table to store: its settings, the data files and the code that made it, and how far it is rounded."""

    table: pd.DataFrame
    name: str
    settings: dict
    files: tuple[str, ...]
    code: tuple[Callable, ...]
    digits: int | None = 6


def store(result: Result, start: float) -> None:
    """Write a table of a run, which began at `start`, with its record."""
    table, registry = result.table, load_registry().set_index("name")
    once = table[table["level"] == "all"] if "level" in table else table  # groups repeat the seconds of all
    seconds = once["seconds"].sum() if "seconds" in table else time.process_time() - start
    table = table.drop(columns="seconds", errors="ignore").reset_index(drop=True)
    write_results(
        table if result.digits is None else table.round(result.digits),
        RESULTS / f"{result.name}.csv",
        parameters=result.settings,
        data={file: str(registry.loc[file, "sha256"]) for file in result.files},
        seed=0,
        seconds=seconds,
        code=list(result.code),
    )


def kept(name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Table of a finished part, or the part made now."""
    path = KEPT / f"{name}.csv"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().to_csv(path, index=False)
    return pd.read_csv(path)


def run_compression() -> Iterator[Result]:
    """Code the held-out people of three splits in every way, and the whole table once."""
    data = public.load_lct(min_maf=MIN_MAF)
    parts = []
    for split in compression.splits(data, N_SPLITS, test_fraction=TEST_FRACTION):
        first = split.number == 0  # the only one that counts what the panel itself would take
        score = partial(compression.score_split, split, self_contained_panel=first)
        parts.append(kept(f"split{split.number}", score))
    files = (public.LCT_FILE, public.PANEL_FILE)
    settings = {"min_maf": MIN_MAF, "n_splits": N_SPLITS, "test_fraction": TEST_FRACTION}
    code = (public.load_lct, compression.splits, compression.score_split)
    yield Result(pd.concat(parts), "compression", settings, files, code)
    whole = kept("whole", lambda: compression.score_whole(data))
    code = (public.load_lct, compression.score_whole)
    yield Result(whole, "compression_whole", {"min_maf": MIN_MAF}, files, code)


def run_scaling() -> Iterator[Result]:
    """Speed and memory on real sets, and on simulated chromosomes of up to 100,000 SNPs."""
    table = kept("scaling", lambda: genotype_runs.scaling(KEPT))
    settings = {"model": "OutOfAfrica_3G09", "length": 40_000_000, "min_maf": MIN_MAF}
    files = (public.LCT_FILE, public.PANEL_FILE, public.SNPS_805_FILE, public.FILES_805["real"])
    yield Result(table, "scaling", settings, files, (HaplotypeCodec, simulate_haplotypes))


def run_roundtrip() -> Iterator[Result]:
    """Ten thousand arrays there and back, and ten thousand files altered."""
    table = kept("roundtrip", genotype_runs.round_trips)
    settings = {"n_arrays": genotype_runs.N_ARRAYS, "n_files": genotype_runs.N_FILES}
    yield Result(table, "roundtrip", settings, (), (HaplotypeCodec, CopyingMixture))


def run_entropy() -> Iterator[Result]:
    """Diversity of populations on two arrays of the world, in the LCT window, and in simulated people."""
    hgdp, tgp, lct = public.load_hgdp(), public.load_tgp(), public.load_lct(min_maf=MIN_MAF)
    drawn = simulate_haplotypes(n_people=60, length=2_000_000, random_state=0).data
    origin = drawn.metadata["population"].map({"YRI": "AFR", "CEU": "EUR", "CHB": "EAS"})
    parts = [
        diversity.diversity_table(hgdp.calls, hgdp.metadata, name="HGDP", ploidy=2, n_drawn=8),
        diversity.diversity_table(tgp.calls, tgp.metadata, name="TGP", ploidy=2, n_drawn=50),
        diversity.diversity_table(lct.calls, lct.metadata, name="LCT window", n_drawn=120),
        diversity.diversity_table(drawn.calls, drawn.metadata.assign(region=origin), name="simulated"),
    ]
    settings = {"n_drawn": {"HGDP": 8, "TGP": 50, "LCT window": 120, "simulated": 120}, "min_maf": MIN_MAF}
    table, files = pd.concat(parts), (public.LCT_FILE, public.PANEL_FILE, *AWESOME)
    loaders = (public.load_hgdp, public.load_tgp, public.load_lct)
    code = (*loaders, simulate_haplotypes, diversity.diversity_table)
    yield Result(table, "entropy", settings, files, code)
    trends = diversity.migration_trends(table)
    yield Result(trends, "entropy_trends", settings, files, (*code, diversity.migration_trends))


def simulated_canids():
    """Haplotypes of dogs, wolves and jackals, 60 animals of each population."""
    length, min_maf = CANIDS["length"], CANIDS["min_maf"]
    return simulate_haplotypes(CANIDS["model"], 60, length=length, min_maf=min_maf, random_state=0).data


def run_canids() -> Iterator[Result]:
    """Dogs and wolves: codes and diversity of simulated ones, places of real ones."""
    drawn = simulated_canids()
    split = next(compression.splits(drawn, 1, test_fraction=TEST_FRACTION))
    table = kept("canids", lambda: compression.score_split(split, self_contained_panel=False))
    code = (simulate_haplotypes, compression.splits, compression.score_split, diversity.diversity_table)
    yield Result(table, "canids_compression", CANIDS, (), code)
    table = diversity.diversity_table(drawn.calls, drawn.metadata, name="canids")
    yield Result(table, "canids_entropy", CANIDS, (), code)
    wolves = public.load_wolves()
    places = pd.concat([diversity.locate_samples(wolves, block_degrees=block) for block in BLOCKS])
    code = (public.load_wolves, diversity.locate_samples)
    yield Result(places, "canids_places", {"n_repeats": 5}, public.WOLF_FILES, code)


def run_latents() -> Iterator[Result]:
    """Real wolves and simulated canids by an autoencoder, beside principal components of the same width."""
    wolves = public.load_wolves()
    parts = [
        kept(f"wolves{block:g}", lambda block=block: diversity.locate_by_codes(wolves, block_degrees=block))
        for block in BLOCKS
    ]
    settings, code = {"n_latent": 10, "n_snps": 1500}, (public.load_wolves, diversity.locate_by_codes)
    yield Result(pd.concat(parts), "canids_latent_places", settings, public.WOLF_FILES, code)
    table = kept("canid_classes", lambda: diversity.classify_canids(simulated_canids()))
    settings = CANIDS | {"n_latent": 8, "n_snps": 1500}
    code = (simulate_haplotypes, diversity.classify_canids)
    yield Result(table, "canids_classes", settings, (), code)


def run_codes() -> Iterator[Result]:
    """Code lengths and bytes of the autoencoders on the LCT window."""
    table = autoencoders.code_lengths(public.load_lct(MIN_MAF), folder=CELLS)
    code = (public.load_lct, autoencoders.code_lengths)
    yield Result(table, "vae_codes", COMMAND, (public.LCT_FILE, public.PANEL_FILE), code, None)


def run_simulation() -> Iterator[Result]:
    """Artificial haplotypes of the 805 SNPs."""
    scores = autoencoders.compare_simulations(folder=CELLS)
    means = scores.groupby("source", sort=False).mean().drop(columns="repeat").rename_axis("method")
    tables = {
        "simulation": scores,
        "simulation_means": means.round(4).assign(n_snps=805).reset_index(),
        "simulation_decay": autoencoders.simulated_decay(folder=CELLS).round(5),
        "simulation_bits": autoencoders.learnt_bits(folder=CELLS).round(1).assign(n_snps=805),
    }
    code = (autoencoders.compare_simulations, autoencoders.simulated_decay, autoencoders.learnt_bits)
    for name, table in tables.items():
        yield Result(table, name, COMMAND, SNP805, code, None)


def run_ancestry() -> Iterator[Result]:
    """Ancestry by representation, five folds."""
    scores = classify_ancestry(folder=CELLS)
    summary = ancestry_summary(scores)
    wide = summary.pivot(index="method", columns=["dataset", "level"], values="mean")
    wide.columns = ["_".join(column) for column in wide.columns]
    means = wide.round(4).assign(n_splits=int(summary["n_splits"].max())).reset_index()
    files = (public.FILES_805["real"], public.SNPS_805_FILE, public.LCT_FILE, public.PANEL_FILE, *AWESOME)
    code = (classify_ancestry, ancestry_summary)
    for name, table in {"ancestry_folds": scores, "ancestry": summary, "ancestry_means": means}.items():
        yield Result(table, name, COMMAND, files, code, None)


def run_archives() -> Iterator[Result]:
    """Archives of the whole window: bytes and speed beside the copying codec, and beside other files."""
    files = (public.LCT_FILE, public.PANEL_FILE)
    parts = (genotype_archives.alone, genotype_archives.beside_panel, genotype_archives.growing_panel)
    table = pd.concat([kept(f"archives_{part.__name__}", part) for part in parts])
    code = (public.load_lct, compression.splits, compression.self_contained, encode_block, decode_block)
    yield Result(table, "archives", {"min_maf": MIN_MAF}, files, code)


def run_archive_files() -> Iterator[Result]:
    """Every record of the window as a file, by each kind of file."""
    files = (public.LCT_FILE, public.PANEL_FILE)
    table = kept("archive_files", genotype_archives.whole_files)
    yield Result(table, "archive_files", {"records": "all"}, files, (public.load_lct, compress_file))


def run_parts() -> Iterator[Result]:
    """One hundredth of a chromosome for ten people."""
    table = kept("parts", genotype_archives.parts)
    settings = {"length": 14_000_000, "n_people": 100}
    yield Result(table, "archive_parts", settings, (), (simulate_haplotypes, compress_file, decompress_file))


def run_altered() -> Iterator[Result]:
    """Ten thousand altered archives."""
    table = kept("altered", genotype_archives.altered_archives)
    settings = {"n_altered": genotype_archives.N_ALTERED}
    yield Result(
        table, "archive_altered", settings, (), (simulate_haplotypes, compress_file, decompress_file)
    )


RUNS = {name.removeprefix("run_"): run for name, run in list(globals().items()) if name.startswith("run_")}


#: What is measured, the yardstick, the aim, the columns of the table that has it, and how.
LINES: list[tuple[str, str, str, str, Callable[[pd.DataFrame], Measured]]] = []


def line(what: str, yardstick: str, aim: str, columns: str) -> Callable:
    """Make a function of a stored table, which has these columns, a line of the acceptance table."""

    def add(measure: Callable[[pd.DataFrame], Measured]) -> Callable:
        LINES.append((what, yardstick, aim, columns, measure))
        return measure

    return add


def verdict(reached: bool) -> str:
    """Whether the aim was reached, in a word."""
    return "yes" if reached else "NO"


@line(
    "VAE by the paper's metric",
    "1.0-2.3 published, 1.74 explored",
    "reported beside Table 1",
    "method group ratio",
)
def published_metric(table: pd.DataFrame) -> Measured:
    """The VAE by the paper's estimate, by super-population."""
    table = table[table["method"].astype(str).str.contains("published metric")]
    if table.empty:
        return None
    parts = []
    for method, part in table.groupby("method", sort=False):
        ratios = [f"{group} {ratio:.2f}" for group, ratio in zip(part["group"], part["ratio"], strict=True)]
        parts.append(f"{str(method).partition(':')[0]}: {', '.join(ratios)}")
    return "; ".join(parts), "reported"


@line(
    "VAE alone, real bytes",
    "20.1 quantised, 24.3 bits-back, ideal",
    ">= 20",
    "method ratio encoded_per_second",
)
def vae_bytes(table: pd.DataFrame) -> Measured:
    """The shortest files of a VAE alone."""
    table = table[table["method"].astype(str).str.contains("bytes")]
    table = table.dropna(subset="encoded_per_second")
    if table.empty:
        return None
    means = table.groupby("method")["ratio"].mean().sort_values(ascending=False)
    parts = [f"{method.replace(': bytes', '')} {ratio:.1f}" for method, ratio in means.head(4).items()]
    return "; ".join(parts), verdict(means.iloc[0] >= 20)


@line(
    "best codec, real bytes",
    "zstd 20.4, Li-Stephens ideal 37.5, explored 41.7",
    ">= 40",
    "split method level ratio known ratio_counted",
)
def codec_bytes(table: pd.DataFrame) -> Measured:
    """Files of the codec, over the splits; beside zstd and Li-Stephens on the same people."""
    table = table[(table["level"] == "all") & (table["group"] == "all") & (table["n_haplotypes"] > 400)]
    if table.empty:
        return None
    wide = table.pivot(index="split", columns="method", values="ratio")
    own = wide["HaplotypeCodec"]
    text = (
        f"{own.mean():.1f} (mean of {len(own)} splits; {', '.join(f'{value:.1f}' for value in own)}); "
        f"on the same people zstd after the panel {wide['zstd after the panel'].mean():.1f}, "
        f"Li-Stephens ideal {wide['Li-Stephens, one setting'].mean():.1f}"
    )
    return text, verdict(own.min() >= 40)


@line(
    "encode and decode, one core, a second",
    "5-9 in a Python loop",
    ">= 100",
    "data encode_per_second decode_per_second",
)
def speed(table: pd.DataFrame) -> Measured:
    """Haplotypes of the LCT window a second."""
    lct = table[table["data"] == "LCT window"].iloc[0]
    both = lct["encode_per_second"], lct["decode_per_second"]
    return f"{both[0]:.0f} encoded, {both[1]:.0f} decoded", verdict(min(both) >= 100)


@line("cost linear in SNPs, peak memory", "-", "to 100,000; < 6 GB", "data microseconds_per_call peak_mb")
def linear(table: pd.DataFrame) -> Measured:
    """Cost of a call and memory from 1000 to 100,000 SNPs."""
    drawn = table[table["data"] == "simulated"].sort_values("n_snps")
    costs = drawn["microseconds_per_call"]
    text = (
        f"{costs.min():.2f} to {costs.max():.2f} microseconds a call from {drawn['n_snps'].min()} to "
        f"{drawn['n_snps'].max()} SNPs; peak {table['peak_mb'].max() / 1000:.1f} GB"
    )
    grown = costs.iloc[-1] <= 1.5 * costs.iloc[0]
    return text, verdict(grown and drawn["n_snps"].max() >= 100_000 and table["peak_mb"].max() < 6000)


@line(
    "805-SNP simulation, best single model",
    "GAN, RBM",
    "AF >= .998, r2 near >= .95, W <= .08, AATS .4-.6",
    "source frequency_correlation aats_truth",
)
def simulation(table: pd.DataFrame) -> Measured:
    """The best VAE on 805 SNPs: all aims at once, or the one that reaches most of them."""
    table = table[table["source"].astype(str).str.startswith("VAE")]
    if table.empty:
        return None
    means = table.groupby("source").mean(numeric_only=True)
    aims = pd.DataFrame(
        {
            "AF": means["frequency_correlation"] >= 0.998,
            "r2 near": means["r2_near"] >= 0.95,
            "Wasserstein": means["wasserstein"] <= 0.08,
            "AATS": means["aats_truth"].between(0.4, 0.6) & means["aats_synthetic"].between(0.4, 0.6),
        }
    )
    best = aims.sum(axis=1).idxmax()
    row = means.loc[best]
    text = (
        f"{best}: AF {row['frequency_correlation']:.4f}, r2 near {row['r2_near']:.3f}, Wasserstein "
        f"{row['wasserstein']:.3f}, AATS {row['aats_truth']:.2f}/{row['aats_synthetic']:.2f}"
    )
    missed = [name for name, reached in aims.loc[best].items() if not reached]
    return text, verdict(not missed) + (f" ({', '.join(missed)})" if missed else "")


@line(
    "ancestry, grouped cross-validation",
    "PCA10 + LR: TGP .988 / .758",
    "within noise of PCA or better",
    "dataset level method mean verdict",
)
def ancestry(table: pd.DataFrame) -> Measured:
    """Latents beside principal components of the same width, each set and level."""
    latent = table[table["method"].astype(str).str.contains("vae|latent", case=False)]
    base = table[table["verdict"] == "baseline"].set_index(["dataset", "level"])["mean"]
    parts, worse = [], False
    for row in latent.itertuples():
        other = base[row.dataset, row.level]
        parts.append(f"{row.dataset} {row.level} {row.mean:.3f} against {other:.3f} ({row.verdict})")
        worse |= row.verdict == "lower"
    return "; ".join(parts), verdict(not worse)


@line(
    "round trip", "-", "10,000 arrays exact, 10,000 files never silently wrong", "what right silently_wrong"
)
def round_trips(table: pd.DataFrame) -> Measured:
    """Arrays there and back, and altered files."""
    sums = table.groupby("what")[["n", "right", "silently_wrong"]].sum()
    text = "; ".join(f"{row.right} of {row.n} {what}" for what, row in sums.iterrows())
    enough = sums["n"].min() >= 10_000 and sums["silently_wrong"].sum() == 0
    return f"{text}; silently wrong {sums['silently_wrong'].sum()}", verdict(bool(enough))


@line(
    "alone, 5,008 haplotypes, everything counted",
    "xz 19.5, explored 33.9",
    ">= 36",
    "what method ratio bytes",
)
def alone(table: pd.DataFrame) -> Measured:
    """Archive of the common SNPs beside the copying codec with a growing panel."""
    ratios = table[table["what"] == "alone, common"].set_index("method")["ratio"]
    if "archive" not in ratios:
        return None
    text = ", ".join(f"{method} {ratio:.1f}" for method, ratio in ratios.items())
    return text, verdict(ratios["archive"] >= 36)


@line("alone, all variable SNPs", "PBWT and coder 76", ">= 85", "what method ratio bytes")
def alone_variable(table: pd.DataFrame) -> Measured:
    """Archive of all SNPs that vary."""
    table = table[table["what"] == "alone, variable"]
    if table.empty:
        return None
    return f"{table['ratio'].iloc[0]:.1f}", verdict(table["ratio"].iloc[0] >= 85)


@line("archive beside a panel, one split", "the copying codec", "no larger", "what method ratio bytes")
def beside_panel(table: pd.DataFrame) -> Measured:
    """Held-out people by the archive and by the copying codec."""
    ratios = table[table["what"] == "beside a panel"].set_index("method")["ratio"]
    if not {"archive", "copying"} <= set(ratios.index):
        return None
    text = f"archive {ratios['archive']:.1f}, copying codec {ratios['copying']:.1f}"
    return text, verdict(ratios["archive"] >= ratios["copying"])


@line(
    "write and read, SNP-haplotypes a second of one core",
    "the copying codec, same run",
    ">= 20 times",
    "what method write_per_second read_per_second",
)
def archive_speed(table: pd.DataFrame) -> Measured:
    """Archive against the copying codec on the whole window."""
    table = table[table["what"] == "alone, common"].set_index("method")
    if len(table) < 2:
        return None
    new, old = table.loc["archive"], table.loc["copying, growing panel"]
    times = [new[name] / old[name] for name in ("write_per_second", "read_per_second")]
    text = (
        f"{new['write_per_second'] / 1e6:.2f} and {new['read_per_second'] / 1e6:.2f} million, "
        f"{times[0]:.1f} and {times[1]:.1f} times the copying codec"
    )
    return text, verdict(min(times) >= 20)


@line(
    "a whole real file, all records",
    "BCF, bgzip, xz, pgen",
    "smallest of all",
    "file file_bytes times_smallest",
)
def whole_file(table: pd.DataFrame) -> Measured:
    """Sizes of one file by kind."""
    own = table["file"].str.startswith("archive")
    text = "; ".join(
        f"{row.file} {row.file_bytes:.0f} ({row.times_smallest:.1f})" for row in table.itertuples()
    )
    return text, verdict(table.loc[own, "file_bytes"].max() < table.loc[~own, "file_bytes"].min())


@line("1% of a chromosome, ten people", "time of the whole", "<= 5%", "region_sites blocks share_of_time")
def one_part(table: pd.DataFrame) -> Measured:
    """Share of the time of the whole file, over four places."""
    shares = 100 * table["share_of_time"]
    return f"{shares.mean():.1f}% (at most {shares.max():.1f}%)", verdict(shares.mean() <= 5)


@line("altered archives", "-", "10,000, none decodes to other calls", "altered n refused other_calls")
def altered(table: pd.DataFrame) -> Measured:
    """Archives refused, and decoded to other calls."""
    sums = table[["n", "refused", "other_calls"]].sum()
    text = f"{sums['refused']} of {sums['n']} refused, {sums['other_calls']} decoded to other calls"
    return text, verdict(bool(sums["n"] >= 10_000 and sums["other_calls"] == 0))


def acceptance(folder: Path) -> pd.DataFrame:
    """All lines: what, yardstick, to reach, measured, reached."""
    stored = [pd.read_csv(path) for path in sorted(folder.glob("*.csv"))]
    rows = []
    for what, yardstick, aim, columns, measure in LINES:
        fitting = [table for table in stored if set(columns.split()) <= set(table.columns)]
        found = measure(pd.concat(fitting, ignore_index=True)) if fitting else None
        rows.append((what, yardstick, aim, *(found or (MISSING, "-"))))
    return pd.DataFrame(rows, columns=["what", "yardstick", "to reach", "measured", "reached"])


def main() -> None:
    """Run what was asked for, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", nargs="+", choices=RUNS, default=[], help="make stored tables anew")
    wanted = parser.parse_args().run
    for name in wanted:
        start = time.process_time()
        for result in RUNS[name]():
            store(result, start)
    if not wanted:
        for line in acceptance(RESULTS).itertuples(index=False):
            print(f"{line[0]}\n  yardstick  {line[1]}\n  to reach   {line[2]}")
            print(f"  measured   {line[3]}\n  reached    {line[4]}")


if __name__ == "__main__":
    main()
