"""Every yardstick of the multimodal study from the stored tables, and the run behind them.

Run: python benchmarks/multimodal.py                  print what was measured against what was wanted
     python benchmarks/multimodal.py run -c CELLS     the full run, into data/results/multimodal
     python benchmarks/multimodal.py run -c CELLS -f  write what is finished of the comparison, and no more
     python benchmarks/multimodal.py run muat         these tables only

CELLS is a folder that keeps finished cells: a run that was stopped goes on from there.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from scipy import stats

from latentgenomes.multimodal.experiments.tables import write_tables
from latentgenomes.multimodal.experiments.typing import load_tumours

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results" / "multimodal"
MISSING = "no full run stored"
#: What a classifier sees is learned without labels in these; the others are supervised throughout.
FROZEN = ("mutembed", "mutembed_scaled", "pca_plain", "pca_frequency", "pca_counts", "dae_plain", "dae")
SUPERVISED = ("concat", "concat_ensemble", "svm", "extra_trees", "late_fusion", "dae_tuned", "SBS96_full")


def macro(task: str, protocol: str) -> pd.DataFrame:
    """Mean macro-F1 of every method, its standard error (corrected for resampling), number of splits."""
    table = pd.read_csv(RESULTS / "differences.csv")
    part = table[(table["task"] == task) & (table["protocol"] == protocol)]
    return part.drop_duplicates("method").set_index("method")[["mean", "standard_error", "n_splits"]]


def words(row: pd.Series, name: str = "") -> str:
    """A mean with its 95% interval over the splits."""
    half = stats.t.ppf(0.975, row["n_splits"] - 1) * row["standard_error"]
    ends = f"[{row['mean'] - half:.3f}, {row['mean'] + half:.3f}]"
    text = f"{row['mean']:.3f} {ends}, {row['n_splits']:.0f} splits"
    return f"{name}: {text}" if name else text


def reproduced(protocol: str, weighted: bool = True) -> tuple[str, bool | None]:
    """MutEmbed with the paper's classifier."""
    row = macro("organ", protocol).loc["mutembed" if weighted else "mutembed_unweighted"]
    return words(row), bool(0.705 <= round(row["mean"], 3) <= 0.745)


def best(
    task: str, names: tuple[str, ...], least: float, n_splits: int = 2
) -> Callable[[], tuple[str, bool | None]]:
    """The best of some methods with donors kept together, among those with so many splits."""

    def line() -> tuple[str, bool | None]:
        table = macro(task, "donor")
        table = table[table.index.isin(names) & (table["n_splits"] >= n_splits)]
        if table.empty:
            return f"{MISSING} with {n_splits} splits", None
        name = str(table["mean"].idxmax())
        return words(table.loc[name], name), bool(table.loc[name, "mean"] >= least)

    return line


def alone() -> tuple[str, bool | None]:
    """SBS96 alone, as it should be run, and as the paper ran it."""
    table = macro("organ", "donor")
    row = table.loc["SBS96_full"]
    return words(row), bool(row["mean"] >= 0.80)


def plain(weighted: bool) -> tuple[str, bool | None]:
    """SBS96 alone with plain frequencies: whether the published score comes out."""
    row = macro("organ", "random").loc["SBS96_plain" if weighted else "SBS96_plain_unweighted"]
    return words(row), None


def subtypes(protocol: str) -> tuple[str, bool | None]:
    """MutEmbed on 11 subtypes."""
    return words(macro("subtype", protocol).loc["mutembed"]), None


def training() -> tuple[str, bool | None]:
    """CPU seconds of one core and peak memory of MutEmbed's training on all tumours."""
    row = pd.read_csv(RESULTS / "training.csv").set_index("embedding").loc["mutembed"]
    text = (
        f"{row['cpu_seconds']:.0f} CPU s, {row['peak_megabytes'] / 1000:.2f} GB, n = {row['n_samples']:.0f}"
    )
    return text, bool(row["cpu_seconds"] < 600 and row["peak_megabytes"] < 2000)


#: what, yardstick, to reach, line
LINES: list[tuple[str, str, str, Callable[[], tuple[str, bool | None]]]] = [
    ("MutEmbed-64, weighted, random splits", "paper .725", ".705 to .745", lambda: reproduced("random")),
    ("MutEmbed-64, weighted, donors together", "explored .729", ".705 to .745", lambda: reproduced("donor")),
    ("MutEmbed-64, unweighted, random splits", "paper .740", "shown", lambda: reproduced("random", False)),
    ("SBS96 alone, plain, weighted", "paper .579", "shown", lambda: plain(True)),
    ("SBS96 alone, plain, unweighted", "paper .541", "shown", lambda: plain(False)),
    ("SBS96 alone, properly trained", "explored .809-.818", ">= .80", alone),
    ("best frozen embedding, 10 splits", "explored .787", ">= .78", best("organ", FROZEN, 0.78, 10)),
    ("best frozen embedding, any splits", "explored .787", ">= .78", best("organ", FROZEN, 0.78)),
    ("best supervised system", "explored .844", ">= .83", best("organ", SUPERVISED, 0.83)),
    ("11 subtypes: MutEmbed, random splits", "paper .789", "reported", lambda: subtypes("random")),
    ("11 subtypes: MutEmbed, donors together", "explored .802", "reported", lambda: subtypes("donor")),
    ("11 subtypes: best", "explored .908", ">= .89", best("subtype", (*FROZEN, *SUPERVISED), 0.89)),
    ("MutEmbed, 2780 samples, 500 epochs", "-", "< 600 s, < 2 GB", training),
]


def summary() -> pd.DataFrame:
    """One row per yardstick: what, yardstick, to reach, measured, reached."""
    rows = []
    for what, yardstick, wanted, line in LINES:
        try:
            measured, reached = line()
        except (FileNotFoundError, KeyError):
            measured, reached = MISSING, None
        judged = wanted not in ("shown", "reported")
        answer = ("not measured" if reached is None else "yes" if reached else "no") if judged else "-"
        rows.append((what, yardstick, wanted, measured, answer))
    return pd.DataFrame(rows, columns=["what", "yardstick", "to reach", "measured", "reached"])


def main() -> None:
    """Print the yardsticks, or run what stands behind them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", nargs="?", choices=("show", "run"), default="show")
    parser.add_argument("tables", nargs="*", help="tables to write; all by default")
    parser.add_argument("-c", "--cells", help="folder that keeps embeddings and finished cells")
    parser.add_argument("-f", "--finished", action="store_true", help="write what is finished, and no more")
    given = parser.parse_args()
    if given.action == "run":
        write_tables(load_tumours(folder=given.cells), RESULTS, given.tables, finished=given.finished)
    with pd.option_context("display.width", 220, "display.max_colwidth", 80, "display.max_rows", None):
        print(summary().to_string(index=False))


if __name__ == "__main__":
    main()
