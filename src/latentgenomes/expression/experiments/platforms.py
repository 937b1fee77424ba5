"""Holes with a structure, and models carried from one platform to another.

Genes are rarely missing at random. Three masks hide the same share of the genes:

===========  =================================================================================================
mask         what is left
===========  =================================================================================================
``random``   a sixth of the genes, drawn anew for every sample
``panel``    a sixth of the genes, drawn once for each of three panels; every sample is measured with one
``modules``  whole co-expression modules: a sixth of the clusters of genes, so that a hidden gene rarely has
             a close relative left
===========  =================================================================================================

For the transfer, the imputers are trained on miRNA samples of one platform (Illumina GA or HiSeq), or of
both, in cohorts that were measured on both.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans

from latentgenomes.core.splits import grouped_split
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    one_tumour_each,
)
from latentgenomes.expression.evaluate.restoration import (
    Mask,
    imputation_benchmark,
    panel_masks,
    random_masks,
)
from latentgenomes.expression.experiments.imputation import Array, load_dataset, make_task
from latentgenomes.expression.verbs.methods import METHODS, ImputationSettings

PLATFORMS = ("GA", "HiSeq")
PLAIN_METHODS = ("knn", "ridge", "local_ridge", "mixture")
_KEPT = 1 / 6
_N_MODULES = 24
_N_PANELS = 3


def structured_masks(train: Array, n_samples: int, *, seed: int) -> dict[str, Mask]:
    """The three masks at the head of this module; `train`, (n, n_genes), tells which are co-expressed."""
    rng = np.random.default_rng([seed, 4])
    n_genes = train.shape[1]
    n_kept = round(_KEPT * n_genes)
    panels: dict[str, npt.NDArray[np.bool_]] = {}
    for number in range(_N_PANELS):
        panels[f"panel {number}"] = np.isin(np.arange(n_genes), rng.permutation(n_genes)[:n_kept])
    scaled = (train - train.mean(0)) / np.where(train.std(0) > 0, train.std(0), 1.0)
    profile = np.corrcoef(scaled.T)
    n_modules = min(_N_MODULES, n_genes // 4)
    module = KMeans(n_modules, n_init=1, random_state=seed).fit_predict(profile)
    order, kept = rng.permutation(n_modules), np.zeros(n_genes, dtype=bool)
    for one in order:
        if kept.sum() + (module == one).sum() <= 1.2 * n_kept or not kept.any():
            kept |= module == one
    return {
        "random": random_masks((n_samples, n_genes), 1 - _KEPT, random_state=rng),
        "panel": panel_masks(n_samples, panels, random_state=rng)[0],
        "modules": np.tile(~kept, (n_samples, 1)),
    }


def compare_structures(
    dataset: str, *, seeds: Sequence[int] = (0, 1, 2), settings: ImputationSettings | None = None
) -> pd.DataFrame:
    """`imputation_scores` under the three masks, with seed, mask, missing (share hidden) and method."""
    chosen = settings or ImputationSettings(max_training=3000, n_test=200)
    data, by = load_dataset(dataset), "detected" if dataset == "mirna" else "chance"
    tables = []
    for seed in seeds:
        task = make_task(data, by=by, seed=seed, settings=chosen)
        train = task.train.to_numpy()
        fitted = {name: METHODS[name](seed, chosen).fit(train) for name in PLAIN_METHODS}
        masks = structured_masks(train, len(task.test), seed=seed)
        table = imputation_benchmark(fitted, task.test, masks, centre=task.centre, scale=task.scale)
        missing = {name: mask.mean() for name, mask in masks.items()}
        tables.append(table.assign(seed=seed, missing=table["mask"].map(missing)))
    return pd.concat(tables, ignore_index=True)


def both_platforms(data: ExpressionData, *, min_samples: int = 60) -> ExpressionData:
    """Samples of the cohorts with `min_samples` on each platform; ValueError if there is no such cohort."""
    counts = pd.crosstab(data.samples["cohort"], data.samples["platform"]).reindex(
        columns=list(PLATFORMS), fill_value=0
    )
    cohorts = counts.index[(counts >= min_samples).all(axis=1)]
    if not len(cohorts):
        raise ValueError(
            f"A cohort must have {min_samples} samples of each platform, but none of {len(counts)} has. "
            "Lower min_samples, or add cohorts."
        )
    return data.select(data.samples["cohort"].isin(cohorts), "cohort not measured on both platforms")


def compare_platforms(
    *,
    seeds: Sequence[int] = (0, 1, 2),
    rate: float = 0.8,
    n_test: int = 150,
    settings: ImputationSettings | None = None,
) -> pd.DataFrame:
    """Restore miRNAs of one platform with imputers trained on the other, or on both, with as many samples of
    each cohort. Scores are in standard deviations of the training samples of both platforms.
    """
    chosen = settings or ImputationSettings()
    data = both_platforms(detected_everywhere(one_tumour_each(load_mirna())))
    platform = data.samples["platform"].to_numpy()
    tables = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 5])
        train, test = grouped_split(data.samples["patient"], test_fraction=0.2, random_state=seed)
        values = data.values.to_numpy(dtype=np.float64)
        detected = (values[train] > 0).mean(0)
        values = values[:, np.sort(np.argsort(-detected, kind="stable")[: chosen.n_genes])]
        training = matched_sets(data.samples.iloc[train], train, rng)
        centre, scale = values[training["both"]].mean(0), values[training["both"]].std(0)
        masked = {}
        for tested in PLATFORMS:
            rows = rng.permutation(test[platform[test] == tested])[:n_test]
            hidden = random_masks((len(rows), values.shape[1]), rate, random_state=rng)
            masked[tested] = rows, hidden
        for trained, samples in training.items():
            fitted = {name: METHODS[name](seed, chosen).fit(values[samples]) for name in PLAIN_METHODS}
            for tested, (rows, hidden) in masked.items():
                table = imputation_benchmark(
                    fitted, values[rows], {tested: hidden}, centre=centre, scale=scale
                )
                table = table.rename(columns={"mask": "tested"})
                tables.append(table.assign(seed=seed, trained=trained, n_training=len(samples)))
    return pd.concat(tables, ignore_index=True)


def matched_sets(
    samples: pd.DataFrame, positions: npt.NDArray[np.int64], rng: np.random.Generator
) -> dict[str, npt.NDArray[np.int64]]:
    """As many `positions` (rows of `samples`) of each cohort from GA, from HiSeq, and from both in halves."""
    drawn: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in (*PLATFORMS, "both")}
    for cohort in sorted(samples["cohort"].unique()):
        inside = (samples["cohort"] == cohort).to_numpy()
        sets = [
            rng.permutation(positions[inside & (samples["platform"] == name).to_numpy()])
            for name in PLATFORMS
        ]
        size = min(map(len, sets))
        for name, rows in zip(PLATFORMS, sets, strict=True):
            drawn[name].append(rows[:size])
        drawn["both"].append(np.r_[sets[0][: size // 2], sets[1][: size - size // 2]])
    return {name: np.sort(np.concatenate(rows)) for name, rows in drawn.items()}
