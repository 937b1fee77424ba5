"""The acceptance table of the genotype study, read from stored tables."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

MISSING = "no table stored yet"
Line = tuple[str, str, str, str, str]


def tables(folder: Path) -> list[pd.DataFrame]:
    """Every stored table of the study."""
    return [pd.read_csv(path) for path in sorted(folder.glob("*.csv"))]


def holding(found: list[pd.DataFrame], *columns: str) -> pd.DataFrame:
    """Rows of all tables that have these columns; empty without one."""
    fitting = [table for table in found if set(columns) <= set(table.columns)]
    return pd.concat(fitting, ignore_index=True) if fitting else pd.DataFrame()


def verdict(reached: bool) -> str:
    """Whether the aim was reached, in a word."""
    return "yes" if reached else "NO"


def published_metric(found: list[pd.DataFrame]) -> tuple[str, str]:
    """The VAE by the paper's estimate, by super-population."""
    table = holding(found, "method", "group", "ratio")
    if len(table):
        table = table[table["method"].astype(str).str.contains("published metric")]
    if table.empty:
        return MISSING, "-"
    parts = []
    for method, part in table.groupby("method", sort=False):
        ratios = [f"{group} {ratio:.2f}" for group, ratio in zip(part["group"], part["ratio"], strict=True)]
        parts.append(f"{str(method).partition(':')[0]}: {', '.join(ratios)}")
    return "; ".join(parts), "reported"


def vae_bytes(found: list[pd.DataFrame]) -> tuple[str, str]:
    """The shortest files of a VAE alone."""
    table = holding(found, "method", "ratio", "encoded_per_second")
    if len(table):
        table = table[table["method"].astype(str).str.contains("bytes")]
        table = table.dropna(subset="encoded_per_second")
    if table.empty:
        return MISSING, "-"
    means = table.groupby("method")["ratio"].mean().sort_values(ascending=False)
    text = "; ".join(
        f"{method.replace(': bytes', '')} {ratio:.1f}" for method, ratio in means.head(4).items()
    )
    return text, verdict(means.iloc[0] >= 20)


def codec_bytes(found: list[pd.DataFrame]) -> tuple[str, str]:
    """Files of the codec, over the splits; beside zstd and Li-Stephens on the same people."""
    table = holding(found, "split", "method", "level", "ratio", "known", "ratio_counted")
    if len(table):
        table = table[(table["level"] == "all") & (table["group"] == "all") & (table["n_haplotypes"] > 400)]
    if table.empty:
        return MISSING, "-"
    wide = table.pivot(index="split", columns="method", values="ratio")
    own = wide["HaplotypeCodec"]
    text = (
        f"{own.mean():.1f} (mean of {len(own)} splits; {', '.join(f'{value:.1f}' for value in own)}); on "
        "the same "
        f"people zstd after the panel {wide['zstd after the panel'].mean():.1f}, Li-Stephens ideal "
        f"{wide['Li-Stephens, one setting'].mean():.1f}"
    )
    return text, verdict(own.min() >= 40)


def speed(found: list[pd.DataFrame]) -> tuple[str, str]:
    """Haplotypes of the LCT window a second."""
    table = holding(found, "data", "encode_per_second", "decode_per_second")
    if table.empty:
        return MISSING, "-"
    lct = table[table["data"] == "LCT window"].iloc[0]
    both = lct["encode_per_second"], lct["decode_per_second"]
    return f"{both[0]:.0f} encoded, {both[1]:.0f} decoded", verdict(min(both) >= 100)


def linear(found: list[pd.DataFrame]) -> tuple[str, str]:
    """Cost of a call and memory from 1000 to 100,000 SNPs."""
    table = holding(found, "data", "microseconds_per_call", "peak_mb")
    if table.empty:
        return MISSING, "-"
    drawn = table[table["data"] == "simulated"].sort_values("n_snps")
    costs = drawn["microseconds_per_call"]
    text = (
        f"{costs.min():.2f} to {costs.max():.2f} microseconds a call from {drawn['n_snps'].min()} to "
        f"{drawn['n_snps'].max()} SNPs; peak {table['peak_mb'].max() / 1000:.1f} GB"
    )
    grown = costs.iloc[-1] <= 1.5 * costs.iloc[0]
    return text, verdict(grown and drawn["n_snps"].max() >= 100_000 and table["peak_mb"].max() < 6000)


def simulation(found: list[pd.DataFrame]) -> tuple[str, str]:
    """The best VAE on 805 SNPs: all aims at once, or the one that reaches most of them."""
    table = holding(found, "source", "frequency_correlation", "aats_truth")
    if len(table):
        table = table[table["source"].astype(str).str.startswith("VAE")]
    if table.empty:
        return MISSING, "-"
    means = table.groupby("source").mean(numeric_only=True)
    aims = pd.DataFrame(
        {
            "AF": means["frequency_correlation"] >= 0.998,
            "r2 near": means["r2_near"] >= 0.95,
            "Wasserstein": means["wasserstein"] <= 0.08,
            "AATS": means[["aats_truth", "aats_synthetic"]].min(axis=1).between(0.4, 0.6)
            & means[["aats_truth", "aats_synthetic"]].max(axis=1).between(0.4, 0.6),
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


def ancestry(found: list[pd.DataFrame]) -> tuple[str, str]:
    """Latents beside principal components of the same width, each set and level."""
    table = holding(found, "dataset", "level", "method", "mean", "verdict")
    if table.empty:
        return MISSING, "-"
    latent = table[table["method"].astype(str).str.contains("vae|latent", case=False)]
    base = table[table["verdict"] == "baseline"].set_index(["dataset", "level"])["mean"]
    parts, worse = [], False
    for row in latent.itertuples():
        other = base[row.dataset, row.level]
        parts.append(f"{row.dataset} {row.level} {row.mean:.3f} against {other:.3f} ({row.verdict})")
        worse |= row.verdict == "lower"
    return "; ".join(parts), verdict(not worse)


def round_trips(found: list[pd.DataFrame]) -> tuple[str, str]:
    """Arrays there and back, and altered files."""
    table = holding(found, "what", "right", "silently_wrong")
    if table.empty:
        return MISSING, "-"
    sums = table.groupby("what")[["n", "right", "silently_wrong"]].sum()
    text = "; ".join(f"{row.right} of {row.n} {what}" for what, row in sums.iterrows())
    enough = sums["n"].min() >= 10_000 and sums["silently_wrong"].sum() == 0
    return f"{text}; silently wrong {sums['silently_wrong'].sum()}", verdict(bool(enough))


LINES: tuple[tuple[str, str, str, Callable], ...] = (
    (
        "VAE by the paper's metric",
        "1.0-2.3 published, 1.74 explored",
        "reported beside Table 1",
        published_metric,
    ),
    ("VAE alone, real bytes", "20.1 quantised, 24.3 bits-back, ideal", ">= 20", vae_bytes),
    ("best codec, real bytes", "zstd 20.4, Li-Stephens ideal 37.5, explored 41.7", ">= 40", codec_bytes),
    ("encode and decode, one core, a second", "5-9 in a Python loop", ">= 100", speed),
    ("cost linear in SNPs, peak memory", "-", "to 100,000; < 6 GB", linear),
    (
        "805-SNP simulation, best single model",
        "GAN, RBM",
        "AF >= .998, r2 near >= .95, W <= .08, AATS .4-.6",
        simulation,
    ),
    (
        "ancestry, grouped cross-validation",
        "PCA10 + LR: TGP .988 / .758",
        "within noise of PCA or better",
        ancestry,
    ),
    ("round trip", "-", "10,000 arrays exact, 10,000 files never silently wrong", round_trips),
)


def acceptance(folder: Path) -> pd.DataFrame:
    """All lines: what, yardstick, to reach, measured, reached."""
    found = tables(folder)
    rows = [(what, yardstick, aim, *measure(found)) for what, yardstick, aim, measure in LINES]
    return pd.DataFrame(rows, columns=["what", "yardstick", "to reach", "measured", "reached"])
