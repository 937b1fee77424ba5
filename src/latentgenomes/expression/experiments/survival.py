"""Is restoring prognostic genes worth anything? Ridge Cox models of 13 cohorts on the same splits, resumable.

A cohort is measured with a few observed genes. Fifty anchors, the genes most related to survival in the
training patients, are not among them. They are restored by a local ridge that was trained on the *other*
cohorts, so it never saw the patients that it serves. Each arm is one set of features:

==============================  ==============================================================================
arm                             features
==============================  ==============================================================================
observed                        the observed genes
restored anchors                the restored anchors alone
observed + restored             both
observed + restored, random     as many restored genes that were drawn at random: the control
true anchors                    the anchors as measured, which the panel lacks: a ceiling
observed + true                 both
==============================  ==============================================================================

Every arm is fitted with every penalty. `choose_penalties` then takes for each cohort the penalty that was
best in the other cohorts, arm by arm, so that no arm gains by being penalised more fittingly.

`compare_heads` sets ridge Cox models on all genes beside those on principal components, judged in four ways:

==================  ==========================================================================================
column              meaning
==================  ==========================================================================================
``score``           Harrell's C-index
``ipcw``            Uno's C-index, up to the time before which nine tenths of the training events fall
``brier``           integrated Brier score up to that time; lower is better
``brier_null``      that of the Kaplan-Meier curve for everybody
==================  ==========================================================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import SURVIVAL_COHORTS, load_zscores
from latentgenomes.expression.data.outcomes import clean_outcomes
from latentgenomes.expression.evaluate.restoration import gene_subsets
from latentgenomes.expression.evaluate.survival import (
    brier_scores,
    calibration,
    concordance_index,
    integrated_brier_score,
    ipcw_concordance_index,
    survival_splits,
)
from latentgenomes.expression.experiments.imputation import paired_by
from latentgenomes.expression.models.imputers import LocalRidgeImputer
from latentgenomes.expression.models.newton import RidgeModel, ridge_path, rotate

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
ARMS = (
    "observed",
    "restored anchors",
    "observed + restored",
    "observed + restored, random",
    "true anchors",
    "observed + true",
)


@dataclass(frozen=True)
class SurvivalSettings:
    """Numbers of observed genes (nested), restored anchors, folds and repeats; penalties, decreasing."""

    sizes: tuple[int, ...] = (16, 64, 256)
    n_anchors: int = 50
    n_splits: int = 5
    n_repeats: int = 10
    alphas: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1)
    seed: int = 0


@dataclass(frozen=True)
class Cohort:
    """Patients with z-scores of shared genes, outcome (n, 2) of days and event, and how many are left out."""

    values: pd.DataFrame
    outcome: Array
    n_excluded: int


def load_cohorts(cohorts: Sequence[str] = SURVIVAL_COHORTS) -> dict[str, Cohort]:
    """Cohorts of z-scores over the genes that all have; two at least, for each is restored by the others."""
    if len(cohorts) < 2:
        raise ValueError(f"cohorts must name two at least, but {len(cohorts)} came. Name one more.")
    loaded = {name: load_zscores(name) for name in cohorts}
    shared = sorted(set.intersection(*(set(data.values.columns) for data in loaded.values())))
    found = {}
    for name, data in loaded.items():
        usable = clean_outcomes(data.samples)
        values = data.values.loc[usable.table.index, shared].astype(np.float64)
        outcome = usable.table[["time", "event"]].to_numpy(dtype=np.float64)
        found[name] = Cohort(values.fillna(0.0), outcome, int(usable.excluded.sum()))
    return found


def ridge_risks(train: Array, test: Array, outcome: Array, alphas: Sequence[float]) -> list[Array]:
    """Log hazards of the test patients under each penalty, features scaled by the training patients."""
    mean, scale = train.mean(0), train.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    centred, held_out = (train - mean) / scale, (test - mean) / scale
    if train.shape[1] > train.shape[0]:
        centred, rows = rotate(centred)
        held_out = held_out @ rows.T
    return [held_out @ model.coefficients for model in ridge_path(centred, outcome, alphas)]


def prognostic_genes(values: Array, outcome: Array, candidates: Indices, n_genes: int) -> Indices:
    """Candidates (positions) most related to survival, strongest first, by the score test of each alone."""
    times, events = outcome.T
    at_risk = (times[:, None] <= times[None, :]).astype(np.float64)  # row: an event; column: who is at risk
    hazard = (events / at_risk.sum(1)) @ at_risk  # cumulative, of each patient
    genes = values[:, candidates]
    scatter = genes.std(0)
    scores = np.abs((genes - genes.mean(0)).T @ (events - hazard)) / np.where(scatter > 0, scatter, np.inf)
    return candidates[np.argsort(-scores, kind="stable")[:n_genes]]


def compare_arms(
    cohorts: Mapping[str, Cohort],
    *,
    settings: SurvivalSettings | None = None,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """C-index of every arm, size, penalty and split, and restored_correlation, of the restored with the true
    anchors in the test patients. Finished cohorts are kept in `folder`.
    """
    chosen = settings or SurvivalSettings()
    tables = []
    for name, cohort in cohorts.items():
        record = (
            None if folder is None else Path(folder) / f"{name}-{crc32(repr(chosen).encode()):08x}.csv.gz"
        )
        if record is None or not record.is_file():
            others = pd.concat([other.values for key, other in cohorts.items() if key != name])
            table = _cohort_scores(cohort, others.to_numpy(), chosen).assign(cohort=name)
            if record is not None:
                with replacing(record) as path:
                    table.to_csv(path, index=False)
        else:
            table = pd.read_csv(record, dtype={"split": str})
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _cohort_scores(cohort: Cohort, others: Array, settings: SurvivalSettings) -> pd.DataFrame:
    values = cohort.values.to_numpy()
    n_genes = values.shape[1]
    splits = list(
        survival_splits(
            cohort.outcome[:, 1],
            n_splits=settings.n_splits,
            n_repeats=settings.n_repeats,
            random_state=settings.seed,
        )
    )
    restorer = LocalRidgeImputer().fit(others)
    records: list[dict[str, object]] = []
    for size, observed in gene_subsets(n_genes, settings.sizes, random_state=settings.seed).items():
        hidden = np.setdiff1d(np.arange(n_genes), observed)
        panel = np.full_like(values, np.nan)
        panel[:, observed] = values[:, observed]
        restored = restorer.impute(panel)
        for number, (split, train, test) in enumerate(splits):
            y = cohort.outcome[train]
            anchors = prognostic_genes(values[train], y, hidden, settings.n_anchors)
            chance = np.random.default_rng([settings.seed, number]).permutation(hidden)[: settings.n_anchors]
            arms = dict(
                zip(
                    ARMS,
                    (
                        values[:, observed],
                        restored[:, anchors],
                        np.c_[values[:, observed], restored[:, anchors]],
                        np.c_[values[:, observed], restored[:, chance]],
                        values[:, anchors],
                        np.c_[values[:, observed], values[:, anchors]],
                    ),
                    strict=True,
                )
            )
            quality = _mean_correlation(restored[np.ix_(test, anchors)], values[np.ix_(test, anchors)])
            for arm, features in arms.items():
                risks = ridge_risks(features[train], features[test], y, settings.alphas)
                for alpha, risk in zip(settings.alphas, risks, strict=True):
                    score = concordance_index(risk, *cohort.outcome[test].T)
                    about = {"split": split, "size": size, "arm": arm, "alpha": alpha}
                    records.append({**about, "score": score, "restored_correlation": quality})
    return pd.DataFrame.from_records(records)


def _mean_correlation(restored: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    a, b = restored - restored.mean(0), truth - truth.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(np.divide((a * b).sum(0), norm, out=np.zeros(len(norm)), where=norm > 0).mean())


def choose_penalties(scores: pd.DataFrame, by: Sequence[str] = ("size", "arm")) -> pd.DataFrame:
    """Mean score of each cohort under the penalty, one for each of `by`, that was best in the others."""
    keys = list(by)
    means = scores.groupby([*keys, "cohort", "alpha"], sort=False)["score"].mean().reset_index()
    if means["cohort"].nunique() < 2:
        raise ValueError("A penalty is chosen in the other cohorts, but there is only one. Add a cohort.")
    rows = []
    for group, table in means.groupby(keys, sort=False):
        wide = table.pivot(index="cohort", columns="alpha", values="score")
        names = dict(zip(keys, group if isinstance(group, tuple) else (group,), strict=True))
        for cohort in wide.index:
            alpha = wide.drop(index=cohort).mean().idxmax()
            rows.append({**names, "cohort": cohort, "alpha": alpha, "score": wide.loc[cohort, alpha]})
    return pd.DataFrame(rows)


def compare_over_cohorts(chosen: pd.DataFrame) -> pd.DataFrame:
    """Paired differences of the arms to the observed genes, over cohorts, for each number of genes."""
    named = chosen.rename(columns={"cohort": "split", "arm": "method"})
    return paired_by("size", named.sort_values("size", kind="stable"), "observed")


HEADS = ("all genes", "30 PCs")
ALPHAS = (30.0, 10.0, 3.0, 1.0, 0.3)
_N_COMPONENTS = 30
_GRID = np.linspace(0.1, 0.9, 9)  # quantiles of the training event times
#: Days at which predicted and observed survival are compared.
CALIBRATION_TIME = 2 * 365.25


def compare_heads(
    cohorts: Mapping[str, Cohort],
    *,
    n_splits: int = 5,
    n_repeats: int = 10,
    alphas: Sequence[float] = ALPHAS,
    seed: int = 0,
    folder: str | Path | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score both models under every penalty, decreasing, on every split of every cohort. The predictions hold
    for each patient survival, the probability of no event for two years, by the model of the first repeat
    that did not see the patient. Finished cohorts are kept in `folder`.
    """
    settings = (n_splits, n_repeats, tuple(alphas), seed)
    tables = []
    for name, cohort in cohorts.items():
        stem = f"heads-{name}-{crc32(repr(settings).encode()):08x}"
        records = [None if folder is None else Path(folder) / f"{stem}-{part}.csv.gz" for part in "sp"]
        if all(record is not None and record.is_file() for record in records):
            tables.append([pd.read_csv(record, dtype={"split": str}) for record in records if record])
            continue
        splits = survival_splits(
            cohort.outcome[:, 1], n_splits=n_splits, n_repeats=n_repeats, random_state=seed
        )
        found = [_split_scores(cohort, *split, alphas) for split in splits]
        pair = [pd.concat(part, ignore_index=True).assign(cohort=name) for part in zip(*found, strict=True)]
        pair[1] = pair[1][pair[1]["split"].str.startswith("0.")].drop(columns="split")
        for record, table in zip(records, pair, strict=True):
            if record is not None:
                with replacing(record) as path:
                    table.to_csv(path, index=False)
        tables.append(pair)
    scores, predictions = (pd.concat(part, ignore_index=True) for part in zip(*tables, strict=True))
    return scores, predictions


def _split_scores(
    cohort: Cohort, split: str, train: Indices, test: Indices, alphas: Sequence[float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    values, outcome = cohort.values.to_numpy(), cohort.outcome
    mean, scale = values[train].mean(0), values[train].std(0)
    scale = np.where(scale > 0, scale, 1.0)
    scores, rows = rotate((values[train] - mean) / scale)  # columns by falling variance
    held_out = (values[test] - mean) / scale @ rows.T
    records, predictions = [], []
    for arm, width in zip(HEADS, (None, _N_COMPONENTS), strict=True):
        models = ridge_path(scores[:, :width], outcome[train], alphas)
        for alpha, model in zip(alphas, models, strict=True):
            risks = held_out[:, :width] @ model.coefficients
            about: dict[str, Any] = {"split": split, "arm": arm, "alpha": alpha}
            records.append({**about, **_measures(risks, model, outcome[train], outcome[test])})
            survival = model.survival(risks, [CALIBRATION_TIME])[:, 0]
            known: dict[str, Any] = {"patient": cohort.values.index[test], "survival": survival}
            ends = {"time": outcome[test, 0], "event": outcome[test, 1]}
            predictions.append(pd.DataFrame({**known, **ends}).assign(**about))
    return pd.DataFrame(records), pd.concat(predictions)


def _measures(risks: Array, model: RidgeModel, train: Array, test: Array) -> dict[str, float]:
    training = (train[:, 0], train[:, 1])
    grid = np.unique(np.quantile(train[train[:, 1] == 1, 0], _GRID))
    table = brier_scores(model.survival(risks, grid), grid, *test.T, training=training)
    null = table.drop(columns="brier").rename(columns={"reference": "brier"})
    return {
        "score": concordance_index(risks, *test.T),
        "ipcw": ipcw_concordance_index(risks, *test.T, training=training, limit=grid[-1]),
        "brier": integrated_brier_score(table),
        "brier_null": integrated_brier_score(null),
    }


def calibration_table(predictions: pd.DataFrame, alphas: Mapping[str, float]) -> pd.DataFrame:
    """`calibration` at two years of the patients of all cohorts, under one penalty for each arm."""
    tables = []
    for arm, alpha in alphas.items():
        part = predictions[(predictions["arm"] == arm) & (predictions["alpha"] == alpha)]
        columns = (part[name].to_numpy() for name in ("time", "event"))
        table = calibration(part["survival"].to_numpy(), CALIBRATION_TIME, *columns)
        tables.append(table.assign(arm=arm, alpha=alpha))
    return pd.concat(tables, ignore_index=True)
