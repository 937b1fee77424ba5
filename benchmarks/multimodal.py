"""Every yardstick of the multimodal study from the stored tables, and the run behind them.

Run: python benchmarks/multimodal.py                  print what was measured against what was wanted
     python benchmarks/multimodal.py run -c CELLS     the full run, into data/results/multimodal
     python benchmarks/multimodal.py run -c CELLS -f  write what is finished of the comparison, and no more
     python benchmarks/multimodal.py run muat         these tables only
     python benchmarks/multimodal.py train            the weights of `latentgenomes classify`, anew
     python benchmarks/multimodal.py classify         answers on other donors, projects and types
     python benchmarks/multimodal.py classify burden  these tables only: answers, unknown, burden, curves

CELLS is a folder that keeps finished cells: a run that was stopped goes on from there.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import f1_score

from latentgenomes.multimodal.evaluate.calibration import calibration_error
from latentgenomes.multimodal.experiments.answers import PARTS, against, write_answers
from latentgenomes.multimodal.experiments.pretraining import write_classifier
from latentgenomes.multimodal.experiments.tables import write_tables
from latentgenomes.multimodal.experiments.typing import load_tumours
from latentgenomes.multimodal.verbs.classify import LEAST_P_VALUE, WEIGHTS

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


def answered(protocol: str, shown: str = "", task: str = "organ") -> pd.DataFrame:
    """Answers of the classifier, from all profiles or one, with the verdict."""
    table = pd.read_csv(RESULTS / "typer_answers.csv")
    own = (table["shown"] == shown) if shown else table["shown"].str.contains("+", regex=False)
    table = table[own & (table["protocol"] == protocol) & (table["task"] == task)]
    sure = (table["probability"] >= table["needed"]) & (table["p_value"] >= LEAST_P_VALUE)
    return table.assign(confident=sure)


def macro_f1(answers: pd.DataFrame) -> pd.DataFrame:
    """Macro-F1 of every split, as `against` takes it."""
    rows = []
    for split, own in answers.groupby("round"):
        kinds = np.unique(own["type"])
        score = f1_score(own["type"], own["predicted"], labels=kinds, average="macro", zero_division=0.0)
        rows.append({"split": int(split), "method": "typer", "score": float(score)})
    return pd.DataFrame(rows)


def typed(task: str, rival: str, least: float, shown: str = "") -> Callable[[], tuple[str, bool | None]]:
    """Macro-F1 of the classifier on other donors, paired with a stored rival on the same splits."""

    def line() -> tuple[str, bool | None]:
        scores = pd.read_csv(RESULTS / "scores.csv")
        own = (scores["task"] == task) & (scores["protocol"] == "donor") & (scores["label"] == "macro")
        baseline = scores.loc[own & (scores["method"] == rival), ["split", "method", "score"]]
        found = against(macro_f1(answered("donor", shown, task)), baseline).set_index("method").loc["typer"]
        said = f"{found['difference']:+.3f} to {rival} (p {found['p_value']:.2f}, {found['verdict']})"
        return f"{words(found)}; {said}", bool(found["mean"] >= least)

    return line


def elsewhere(
    least: float, shown: str = "", rival: str = "late_fusion"
) -> Callable[[], tuple[str, bool | None]]:
    """Macro-recall on projects that were left out, beside a stored rival; tested over projects and types."""

    def line() -> tuple[str, bool | None]:
        answers, stored = answered("project", shown), pd.read_csv(RESULTS / "projects.csv")
        theirs = stored[stored["method"] == rival].set_index(["project", "label"])
        other = theirs.groupby("label")[["n_correct", "n_test"]].sum()
        recall = answers.groupby("type")["right"].mean()
        ours = answers.groupby(["round", "type"])["right"].mean()
        test = stats.wilcoxon(ours - (theirs["n_correct"] / theirs["n_test"]).reindex(ours.index).to_numpy())
        beside = f"{rival} {(other['n_correct'] / other['n_test']).mean():.3f} (Wilcoxon p {test.pvalue:.2f})"
        return f"{recall.mean():.3f}, {len(recall)} types; {beside}", bool(recall.mean() >= least)

    return line


def calibrated(protocol: str, most: float) -> Callable[[], tuple[str, bool | None]]:
    """Expected calibration error, 15 bins."""

    def line() -> tuple[str, bool | None]:
        error = calibration_error(answered(protocol))
        return f"{error:.3f}", bool(error <= most)

    return line


def confident() -> tuple[str, bool | None]:
    """Precision and coverage of the answers marked confident, project left out."""
    answers = answered("project")
    sure = answers["confident"]
    precision, coverage = float(answers.loc[sure, "right"].mean()), float(sure.mean())
    return f"precision {precision:.3f}, coverage {coverage:.3f}", bool(precision >= 0.95 and coverage >= 0.40)


def strangers() -> tuple[str, bool | None]:
    """AUROC of low p-values for each type as an unknown one."""
    table = pd.read_csv(RESULTS / "typer_unknown.csv").sort_values("auroc")
    low, high = table.iloc[0], table.iloc[-1]
    ends = f"{low['type']} {low['auroc']:.2f} to {high['type']} {high['auroc']:.2f}"
    return f"{table['auroc'].mean():.3f}, {ends}", bool(table["auroc"].mean() >= 0.80)


def few(burden: int) -> tuple[str, bool | None]:
    """Accuracy, and that of confident answers, from SBS96 thinned to few mutations."""
    table = pd.read_csv(RESULTS / "typer_burden.csv")
    own = table[(table["burden"] == burden) & (table["shown"] == "SBS96")]
    sure = (own["probability"] >= own["needed"]) & (own["p_value"] >= LEAST_P_VALUE)
    told = (
        f"{own.loc[sure, 'right'].mean():.3f} of {sure.mean():.3f} confident"
        if sure.any()
        else "none confident"
    )
    return f"right {own['right'].mean():.3f}; {told}", None


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
    ("classify: 15 organs, other donors", "SVM .853", ">= .86", typed("organ", "svm", 0.86)),
    (
        "classify: the same beside late fusion",
        "late fusion .850",
        "shown",
        typed("organ", "late_fusion", 0.86),
    ),
    ("classify: 11 subtypes, other donors", "SVM .897", ">= .91", typed("subtype", "svm", 0.91)),
    ("classify: other projects, macro-recall", "late fusion .725", ">= .76", elsewhere(0.76)),
    ("classify: the same beside the SVM", "SVM .588", "shown", elsewhere(0.76, rival="svm")),
    (
        "classify: SBS96 only, other donors",
        "dedicated .817",
        ">= .82",
        typed("organ", "SBS96_full", 0.82, "SBS96"),
    ),
    (
        "classify: SBS96 only, other projects",
        "dedicated .677",
        ">= .677",
        elsewhere(0.677, "SBS96", "SBS96_full"),
    ),
    ("classify: calibration error, other donors", "-", "<= .03", calibrated("donor", 0.03)),
    ("classify: calibration error, other projects", "-", "<= .08", calibrated("project", 0.08)),
    ("classify: confident, other projects", "-", ">= .95 at >= .40", confident),
    ("classify: unknown types, mean AUROC", "-", ">= .80", strangers),
    ("classify: SBS96 of 200 mutations", "-", "reported", lambda: few(200)),
    ("classify: SBS96 of 50 mutations", "-", "reported", lambda: few(50)),
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
    parser.add_argument("action", nargs="?", choices=("show", "run", "train", "classify"), default="show")
    parser.add_argument("tables", nargs="*", help="tables to write; all by default")
    parser.add_argument("-c", "--cells", help="folder that keeps embeddings and finished cells")
    parser.add_argument("-f", "--finished", action="store_true", help="write what is finished, and no more")
    given = parser.parse_args()
    if given.action == "run":
        write_tables(load_tumours(folder=given.cells), RESULTS, given.tables, finished=given.finished)
    if given.action == "train":
        write_classifier(WEIGHTS)
    if given.action == "classify":
        write_answers(RESULTS, given.tables or PARTS)
    with pd.option_context("display.width", 220, "display.max_colwidth", 80, "display.max_rows", None):
        print(summary().to_string(index=False))


if __name__ == "__main__":
    main()
