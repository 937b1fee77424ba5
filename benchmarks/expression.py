"""Every line of the table of the expression study, from stored tables; and the runs that make these tables.

    python benchmarks/expression.py                       print what was to be reached and what was measured
    python benchmarks/expression.py --run imputation      run one comparison and store its tables

A run is resumable: finished parts are kept in the folder given by --cells.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from latentgenomes.data.expression import SURVIVAL_COHORTS
from latentgenomes.data.registry import load_registry
from latentgenomes.provenance import write_results

RESULTS = Path(__file__).parents[1] / "data" / "results" / "expression"
RATES = ("0.5", "0.7", "0.8", "0.9", "0.95")
TARGET = dict(zip(RATES, (0.460, 0.487, 0.515, 0.562, 0.625), strict=True))
LOCAL_RIDGE = dict(zip(RATES, (0.473, 0.495, 0.523, 0.573, 0.643), strict=True))
MIRNA = (
    "prepared/tcga_mirna_log2rpm.npz",
    "prepared/tcga_mirna_meta.tsv.gz",
    "prepared/tcga_cdr_survival.tsv.gz",
)
IMPUTATION_CODE = (
    "data/expression.py",
    "data/mirna.py",
    "data/splits.py",
    "evaluate/expression.py",
    "models/expression/imputers.py",
    "models/expression/mixture.py",
    "models/expression/restorer.py",
    "models/expression/stack.py",
    "train.py",
    "workflows/imputation.py",
    "workflows/masking.py",
)
SURVIVAL_CODE = (
    "data/expression.py",
    "data/survival.py",
    "evaluate/expression.py",
    "evaluate/resampling.py",
    "evaluate/survival.py",
    "models/expression/imputers.py",
    "models/expression/newton.py",
    "nn/cox.py",
    "workflows/survival.py",
)
GENE_METHODS = ("knn", "ridge", "local_ridge", "mixture", "restorer", "stack")

Tables = dict[str, pd.DataFrame]


def run_imputation(cells: str) -> tuple[Tables, dict[str, object]]:
    """The imputers on 384 miRNAs, three seeds."""
    from latentgenomes.workflows.masking import ImputationSettings

    return _imputation("mirna", "imputation", ImputationSettings(), (0, 1, 2), cells)


def run_mrna(cells: str) -> tuple[Tables, dict[str, object]]:
    """The imputers on 500 mRNAs of 602 tumours, five seeds."""
    from latentgenomes.workflows.masking import ImputationSettings

    small = {"n_test": 100, "n_validation": 50, "max_epochs": 100, "batch_size": 64}
    settings = ImputationSettings(n_genes=500, n_components=22, mixture_ridge=0.2, **small)
    return _imputation("mrna", "mrna", settings, (0, 1, 2, 3, 4), cells)


def _imputation(
    dataset: str, name: str, settings: object, seeds: tuple[int, ...], cells: str
) -> tuple[Tables, dict[str, object]]:
    from latentgenomes.workflows.imputation import METHOD_NAMES, compare_imputers, paired_over_patients

    found = compare_imputers(dataset, METHOD_NAMES, seeds=seeds, settings=settings, folder=cells or None)
    paired = [
        paired_over_patients(found.samples, baseline=baseline).assign(baseline=baseline)
        for baseline in ("local_ridge", "stack")
    ]
    genes = found.genes[(found.genes["mask"] == "0.8") & found.genes["method"].isin(GENE_METHODS)]
    by_gene = genes.groupby(["gene", "method"])[["rmse", "correlation"]].mean().round(4).reset_index()
    tables = {name: found.scores, f"{name}_paired": pd.concat(paired), f"{name}_genes": by_gene}
    return tables, {"settings": repr(settings), "seeds": list(seeds)}


def run_structures(cells: str) -> tuple[Tables, dict[str, object]]:
    """Holes with a structure, miRNA, three seeds."""
    from latentgenomes.workflows.platforms import compare_structures

    return {"structures": compare_structures("mirna")}, {"seeds": [0, 1, 2], "max_training": 3000}


def run_platform(cells: str) -> tuple[Tables, dict[str, object]]:
    """Transfer between GA and HiSeq, miRNA, three seeds."""
    from latentgenomes.workflows.masking import ImputationSettings
    from latentgenomes.workflows.platforms import compare_platforms

    settings = ImputationSettings(n_components=20)
    return {"platform": compare_platforms(settings=settings)}, {"seeds": [0, 1, 2], "rate": 0.8}


def run_survival(cells: str) -> tuple[Tables, dict[str, object]]:
    """Arms of the survival study on 13 cohorts."""
    from latentgenomes.workflows.survival import (
        SurvivalSettings,
        choose_penalties,
        compare_arms,
        compare_over_cohorts,
        load_cohorts,
    )

    cohorts = load_cohorts()
    scores = compare_arms(cohorts, folder=cells or None)
    keys = ["cohort", "size", "arm", "alpha"]
    means = scores.groupby(keys, sort=False)[["score", "restored_correlation"]].mean().round(5)
    about = pd.DataFrame(
        {
            "cohort": list(cohorts),
            "n_patients": [len(cohort.values) for cohort in cohorts.values()],
            "n_events": [int(cohort.outcome[:, 1].sum()) for cohort in cohorts.values()],
            "n_excluded": [cohort.n_excluded for cohort in cohorts.values()],
        }
    )
    chosen = choose_penalties(scores)
    tables = {
        "survival": means.reset_index(),
        "survival_chosen": chosen,
        "survival_paired": compare_over_cohorts(chosen),
        "survival_cohorts": about,
    }
    return tables, {"settings": repr(SurvivalSettings())}


def run_heads(cells: str) -> tuple[Tables, dict[str, object]]:
    """All genes and 30 principal components, four measures."""
    from latentgenomes.evaluate.compare import paired_differences
    from latentgenomes.workflows.risk_models import ALPHAS, calibration_table, compare_heads
    from latentgenomes.workflows.survival import choose_penalties, load_cohorts

    scores, predictions = compare_heads(load_cohorts(), folder=cells or None)
    measures = ["score", "ipcw", "brier", "brier_null"]
    means = scores.groupby(["cohort", "arm", "alpha"], sort=False)[measures].mean().round(5).reset_index()
    chosen = choose_penalties(scores, by=["arm"]).merge(
        means.drop(columns="score"), on=["cohort", "arm", "alpha"]
    )
    paired = paired_differences(
        chosen.rename(columns={"cohort": "split", "arm": "method"}), baseline="30 PCs"
    )
    usual = chosen.groupby("arm")["alpha"].agg(lambda alphas: alphas.mode().iloc[0]).to_dict()
    tables = {
        "survival_heads": chosen,
        "survival_heads_alphas": means,
        "survival_heads_paired": paired,
        "survival_calibration": calibration_table(predictions, usual),
    }
    return tables, {"alphas": list(ALPHAS), "n_splits": 5, "n_repeats": 10}


RUNS: dict[str, Callable[[str], tuple[Tables, dict[str, object]]]] = {
    "imputation": run_imputation,
    "mrna": run_mrna,
    "structures": run_structures,
    "platform": run_platform,
    "survival": run_survival,
    "heads": run_heads,
}


def files_and_code(run: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Data files and code files behind the tables of a run."""
    if run == "mrna":
        names = load_registry()["name"]
        return tuple(names[names.str.startswith("expression/metagsca/")]), IMPUTATION_CODE
    if run in ("survival", "heads"):
        files = [
            f"expression/porpoise/tcga_{cohort.lower()}_all_clean.csv.zip" for cohort in SURVIVAL_COHORTS
        ]
        heads = ("workflows/risk_models.py",) if run == "heads" else ()
        return tuple(files), (*SURVIVAL_CODE, *heads)
    platforms = ("workflows/platforms.py",) if run in ("structures", "platform") else ()
    return MIRNA, (*IMPUTATION_CODE, *platforms)


def store(name: str, cells: str) -> None:
    """Run one comparison and write its tables with provenance."""
    start, cpu = time.perf_counter(), time.process_time()
    tables, parameters = RUNS[name](cells)
    files, code = files_and_code(name)
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


def main() -> None:
    """Print the table, or run and store a comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", choices=RUNS)
    parser.add_argument("--cells", default="", help="folder for finished parts")
    given = parser.parse_args()
    if given.run:
        store(given.run, given.cells)


if __name__ == "__main__":
    main()
