"""Tables of the full runs of the expression study, with the files and the code that they depend on.

The notebooks with their full presets and ``benchmarks/expression.py --run`` both make their tables here.
"""

from collections.abc import Mapping

import pandas as pd

from latentgenomes.core.compare import paired_differences
from latentgenomes.expression.data.cohorts import PAIRED_CANCERS, SURVIVAL_COHORTS
from latentgenomes.expression.experiments.imputation import Comparison, paired_over_patients
from latentgenomes.expression.experiments.survival import (
    HEADS,
    Cohort,
    calibration_table,
    choose_penalties,
    compare_over_cohorts,
)
from latentgenomes.expression.verbs.methods import ImputationSettings

Tables = dict[str, pd.DataFrame]

#: Sizes of the full runs.
FULL = {
    "mirna": ImputationSettings(),
    "mrna": ImputationSettings(
        n_genes=500,
        n_test=100,
        n_validation=50,
        max_epochs=100,
        batch_size=64,
        n_components=22,
        mixture_ridge=0.2,
    ),
}
MIRNA_FILES = (
    "prepared/tcga_mirna_log2rpm.npz",
    "prepared/tcga_mirna_meta.tsv.gz",
    "prepared/tcga_cdr_survival.tsv.gz",
)
MRNA_FILES = tuple(f"expression/metagsca/{cancer}.RData" for cancer in PAIRED_CANCERS)
COHORT_FILES = tuple(
    f"expression/porpoise/tcga_{name.lower()}_all_clean.csv.zip" for name in SURVIVAL_COHORTS
)
_GENE_METHODS = ("knn", "ridge", "local_ridge", "mixture", "restorer", "stack")


def imputation_tables(found: Comparison, name: str) -> Tables:
    """Scores, paired differences over patients, and errors of each gene with 80% missing."""
    paired = [
        paired_over_patients(found.samples, baseline=baseline).assign(baseline=baseline)
        for baseline in ("local_ridge", "stack")
    ]
    genes = found.genes[(found.genes["mask"] == "0.8") & found.genes["method"].isin(_GENE_METHODS)]
    by_gene = genes.groupby(["gene", "method"])[["rmse", "correlation"]].mean().round(4).reset_index()
    return {name: found.scores, f"{name}_paired": pd.concat(paired), f"{name}_genes": by_gene}


def survival_tables(cohorts: Mapping[str, Cohort], scores: pd.DataFrame) -> Tables:
    """Means of the arms, the penalties chosen, paired differences over cohorts, and the cohorts."""
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
    return {
        "survival": means.reset_index(),
        "survival_chosen": chosen,
        "survival_paired": compare_over_cohorts(chosen),
        "survival_cohorts": about,
    }


def head_tables(scores: pd.DataFrame, predictions: pd.DataFrame) -> Tables:
    """Both heads under their chosen penalties, all penalties, paired differences, and calibration."""
    measures = ["score", "ipcw", "brier", "brier_null"]
    means = scores.groupby(["cohort", "arm", "alpha"], sort=False)[measures].mean().round(5).reset_index()
    chosen = choose_penalties(scores, by=["arm"]).merge(
        means.drop(columns="score"), on=["cohort", "arm", "alpha"]
    )
    wide = chosen.rename(columns={"cohort": "split", "arm": "method"})
    usual = {arm: float(chosen.loc[chosen["arm"] == arm, "alpha"].mode().iloc[0]) for arm in HEADS}
    return {
        "survival_heads": chosen,
        "survival_heads_alphas": means,
        "survival_heads_paired": paired_differences(wide, baseline="30 PCs"),
        "survival_calibration": calibration_table(predictions, usual),
    }


def page_tables(stored: Mapping[str, pd.DataFrame]) -> dict[str, tuple[str, pd.DataFrame]]:
    """Means over seeds or cohorts for the pages of the book, each with the stored table it came from."""
    found = {}
    for name in ("imputation", "mrna"):
        if name in stored:
            wide = stored[name].pivot_table(index="method", columns="mask", values="rmse", sort=False)
            wide.columns = [f"{float(rate):g}" for rate in wide.columns]
            most = stored[name][stored[name]["mask"].astype(float) == 0.8].groupby("method")
            seconds = stored[name].groupby("method")["fit_seconds"].mean().round(1)
            wide = wide.assign(dataset=name, fit_seconds=seconds)
            wide["gene_correlation"] = most["gene_correlation"].mean()
            found[f"{name}_means"] = name, wide.reset_index()
    if "imputation" in stored and "gexbert_imputation_means" in stored:
        first = stored["imputation"][stored["imputation"]["seed"] == 0]
        wide = first.pivot_table(index="method", columns="mask", values="rmse", sort=False)
        wide.columns = [f"{float(rate):g}" for rate in wide.columns]
        network = stored["gexbert_imputation_means"].set_index("method").loc[["gexbert"]]
        both = pd.concat([wide[network.columns], network]).rename_axis("method")
        found["imputation_beside"] = "imputation", both.assign(seed=0).reset_index()
    if "structures" in stored:
        wide = stored["structures"].pivot_table(index="method", columns="mask", values="rmse")
        found["structures_means"] = "structures", wide.assign(dataset="mirna").reset_index()
    if "platform" in stored:
        wide = stored["platform"].pivot_table(index=["tested", "method"], columns="trained", values="rmse")
        found["platform_means"] = "platform", wide.reset_index()
    if "survival_heads" in stored:
        measures = ["score", "ipcw", "brier", "brier_null"]
        wide = stored["survival_heads"].groupby("arm")[measures].mean()
        wide = wide.assign(n_cohorts=stored["survival_heads"]["cohort"].nunique()).rename_axis("method")
        found["survival_heads_means"] = "survival_heads", wide.reset_index()
    return found
