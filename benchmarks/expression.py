"""Every line of the table of the expression study, from stored tables; and the runs that make these tables.

    python benchmarks/expression.py                       print what was to be reached and what was measured
    python benchmarks/expression.py --run imputation      run one comparison and store its tables

A run is resumable: finished parts are kept in the folder given by --cells.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from latentgenomes.core.provenance import provenance_path, write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.expression.experiments import tables as full
from latentgenomes.expression.experiments.imputation import METHOD_NAMES, compare_imputers
from latentgenomes.expression.experiments.platforms import compare_platforms, compare_structures
from latentgenomes.expression.experiments.risk_models import compare_heads
from latentgenomes.expression.experiments.survival import SurvivalSettings, compare_arms, load_cohorts
from latentgenomes.expression.verbs.methods import ImputationSettings

RESULTS = Path(__file__).parents[1] / "data" / "results" / "expression"
RATES = ("0.5", "0.7", "0.8", "0.9", "0.95")
Parameters = dict[str, object]


def run_imputation(cells: str, n_seeds: int = 3, dataset: str = "mirna", name: str = "imputation"):
    """The imputers on 384 miRNAs."""
    settings, seeds = full.FULL[dataset], range(n_seeds)
    found = compare_imputers(dataset, METHOD_NAMES, seeds=seeds, settings=settings, folder=cells or None)
    return full.imputation_tables(found, name), {"settings": repr(settings), "n_seeds": n_seeds}


def run_mrna(cells: str, n_seeds: int = 5):
    """The imputers on 500 mRNAs of 602 tumours."""
    return run_imputation(cells, n_seeds, "mrna", "mrna")


def run_structures(cells: str):
    """Holes with a structure, miRNA, three seeds."""
    return {"structures": compare_structures("mirna")}, {"n_seeds": 3, "max_training": 3000}


def run_platform(cells: str):
    """Transfer between GA and HiSeq, miRNA, three seeds."""
    settings = ImputationSettings(n_components=20)
    return {"platform": compare_platforms(settings=settings)}, {"n_seeds": 3, "rate": 0.8}


def run_survival(cells: str):
    """Arms of the survival study on 13 cohorts."""
    cohorts = load_cohorts()
    scores = compare_arms(cohorts, folder=cells or None)
    return full.survival_tables(cohorts, scores), {"settings": repr(SurvivalSettings())}


def run_heads(cells: str):
    """All genes and 30 principal components, four measures."""
    tables = full.head_tables(*compare_heads(load_cohorts(), folder=cells or None))
    return tables, {"n_splits": 5, "n_repeats": 10}


Run = tuple[Callable[..., tuple[full.Tables, Parameters]], Sequence[str], Sequence[Callable[..., object]]]
RUNS: dict[str, Run] = {
    "imputation": (run_imputation, full.MIRNA_FILES, (compare_imputers,)),
    "mrna": (run_mrna, full.MRNA_FILES, (compare_imputers,)),
    "structures": (run_structures, full.MIRNA_FILES, (compare_structures,)),
    "platform": (run_platform, full.MIRNA_FILES, (compare_platforms,)),
    "survival": (run_survival, full.COHORT_FILES, (load_cohorts, compare_arms)),
    "heads": (run_heads, full.COHORT_FILES, (load_cohorts, compare_heads)),
}


def store(name: str, cells: str, n_seeds: int | None = None) -> None:
    """Run one comparison and write its tables with provenance; fewer seeds than usual are recorded."""
    run, files, code = RUNS[name]
    start, cpu = time.perf_counter(), time.process_time()
    tables, parameters = run(cells, **({} if n_seeds is None else {"n_seeds": n_seeds}))
    sha256 = load_registry().set_index("name")["sha256"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    record = {**parameters, "cpu_seconds": round(time.process_time() - cpu), "peak_memory_gb": round(peak, 2)}
    for table, frame in tables.items():
        write_results(
            frame.reset_index(drop=True),
            RESULTS / f"{table}.csv",
            parameters=record,
            data={file: sha256[file] for file in files},
            seed=0,
            seconds=time.perf_counter() - start,
            code=code,
        )
        print(f"{table}: {len(frame)} rows")


def stored(name: str) -> pd.DataFrame:
    """A stored table, with masks as text; empty where it does not stand."""
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        return pd.DataFrame()
    return pd.read_csv(path, dtype={"mask": str, "rate": str})


def store_means() -> None:
    """Write the small tables that the pages show, each with the record of the table it came from."""
    names = (
        "imputation",
        "mrna",
        "structures",
        "platform",
        "survival_heads",
        "gexbert_imputation_means",
    )
    tables = {name: table for name in names if len(table := stored(name))}
    for target, (source, frame) in full.page_tables(tables).items():
        record = json.loads(provenance_path(RESULTS / f"{source}.csv").read_text(encoding="utf-8"))
        write_results(
            frame.round(5),
            RESULTS / f"{target}.csv",
            parameters={"means_of": source, **record["parameters"]},
            data=record["data"],
            seed=record["seed"],
            seconds=record["seconds"],
            code=list(record["code"]),
        )


def by_rate(name: str) -> pd.DataFrame:
    """Mean RMSE over seeds, methods by rates; empty without the table."""
    table = stored(name)
    if table.empty:
        return table
    return table.pivot_table(index="method", columns="mask", values="rmse")[list(RATES)]


def text(values: Sequence[float]) -> str:
    """Numbers as in the table of the study: .460/.487."""
    return "/".join(f"{value:.3f}".lstrip("0") for value in values)


def imputation_line() -> list[str]:
    """Best network and stack on miRNA."""
    table, target = by_rate("imputation"), (0.460, 0.487, 0.515, 0.562, 0.625)
    yardstick = "local ridge .473/.495/.523/.573/.643; KNN .558/.561/.574/.601/.644"
    line = ["imputation, miRNA 384, RMSE", yardstick, f"at or below {text(target)}"]
    if table.empty:
        return [*line, "not run", "no"]
    best = table.loc["stack"]
    reached = all(best.round(3).to_numpy() <= target)
    return [*line, f"stack {text(best)}; mixture {text(table.loc['mixture'])}", "yes" if reached else "no"]


def gexbert_line() -> list[str]:
    """GexBERT against 30 principal components, at the last step of its training."""
    table, target = stored("gexbert_imputation_means"), (0.573, 0.606, 0.637, 0.710, 0.781)
    yardstick = "Perceiver .655-.805, attention .521-.746"
    line = ["faithful GexBERT, same table", yardstick, f"below PCA30 {text(target)} at every rate"]
    if table.empty:
        return [*line, "not run", "no"]
    means = table.set_index("method")[list(RATES)]
    ours, ideal = means.loc["gexbert"], means.loc["pca30"]
    reached = bool((ours < ideal).all()) and all(ours.to_numpy() < target)
    return [*line, f"{text(ours)}; PCA30 there {text(ideal)}", "yes" if reached else "no"]


def mrna_line() -> list[str]:
    """Best of the chapter on mRNA, against ridge and KNN on the same genes."""
    table = by_rate("mrna")
    line = ["mRNA 11 cancers, imputation", "ridge .614-.775, KNN .695-.738", "below both, every rate"]
    if table.empty:
        return [*line, "not run", "no"]
    stack = table.loc["stack"]
    reached = bool((stack < table.loc["ridge"]).all() and (stack < table.loc["knn"]).all())
    ours = f"stack {text(stack)}; ridge {text(table.loc['ridge'])}; KNN {text(table.loc['knn'])}"
    return [*line, ours, "yes" if reached else "no"]


def classification_line() -> list[str]:
    """Types from few genes; the table is made by benchmarks/gexbert_classification.py."""
    line = [
        "classification, 32 types, 16/64/256 genes",
        "SVM or MLP .723/.897/.951",
        "all baselines; paired place",
    ]
    table = stored("classification_means")
    if table.empty:
        return [*line, "not run", "no"]
    means = table[table["n_labels"] == 0].pivot(index="method", columns="n_genes", values="accuracy")
    bounds = {size: bound for size, bound in ((16, 0.723), (64, 0.897), (256, 0.951)) if size in means}
    means = means[list(bounds)]
    best = means[~means.index.str.startswith("gexbert")].max()
    near = all(best[size] > bound - 0.01 for size, bound in bounds.items())
    ours = "; ".join(f"{name} {text(row)}" for name, row in zip(means.index, means.to_numpy(), strict=True))
    return [*line, f"{ours}; {places()}", "yes" if near and len(bounds) == 3 else "no"]


def places() -> str:
    """GexBERT against the support vector machine at ten labels a type, paired over draws."""
    tests = stored("classification_tests").query(
        "n_labels == 10 and baseline == 'svm' and score == 'accuracy'"
    )
    parts = []
    for name in ("gexbert_frozen", "gexbert_restored"):
        rows = tests[tests["method"] == name].sort_values("n_genes")
        found = ", ".join(
            f"{row.n_genes} genes {row.difference:+.3f} {row.verdict}" for row in rows.itertuples()
        )
        parts.append(f"10 labels, {name} less svm: {found}")
    return "; ".join(parts)


def survival_line() -> list[str]:
    """Observed and restored against observed."""
    table = stored("survival_paired")
    line = ["survival, 13 cohorts, C-index gained", "+.008 at 16 genes, 0 at 64", "10 repeats, intervals"]
    if table.empty:
        return [*line, "not run", "no"]
    rows = table[table["method"] == "observed + restored"]
    gains = [
        f"{row.size} genes {row.difference:+.4f} [{row.lower:+.4f}, {row.upper:+.4f}]"
        for row in rows.itertuples()
    ]
    return [*line, "; ".join(gains), "yes"]


def head_line() -> list[str]:
    """All genes against 30 principal components."""
    line = ["Cox head, all genes, mean C-index", "30 PCs + ridge .636", "within noise or better"]
    table = stored("survival_heads_paired")
    if table.empty:
        return [*line, "not run", "no"]
    row, base = (table[table["method"] == name].iloc[0] for name in ("all genes", "30 PCs"))
    ours = f"{row['mean']:.4f}; 30 PCs {base['mean']:.4f}; {row['verdict']}"
    return [*line, ours, "no" if row["verdict"] == "lower" or row["mean"] < 0.63 else "yes"]


LINES = (imputation_line, gexbert_line, mrna_line, classification_line, survival_line, head_line)


def main() -> None:
    """Print the table, or run and store a comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", choices=RUNS)
    parser.add_argument("--cells", default="", help="folder for finished parts")
    parser.add_argument("--seeds", type=int, help="fewer or more seeds, of imputation and mrna")
    given = parser.parse_args()
    if given.run:
        store(given.run, given.cells, given.seeds)
        store_means()
        return
    for line in LINES:
        for name, value in zip(("what", "yardstick", "to reach", "measured", "reached"), line(), strict=True):
            print(f"{name:>10}: {value}")
        print()


if __name__ == "__main__":
    main()
