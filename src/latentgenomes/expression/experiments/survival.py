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
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import SURVIVAL_COHORTS, load_zscores
from latentgenomes.expression.data.outcomes import clean_outcomes
from latentgenomes.expression.evaluate.resampling import survival_splits
from latentgenomes.expression.evaluate.restoration import gene_subsets
from latentgenomes.expression.evaluate.survival import concordance_index
from latentgenomes.expression.models.imputers import LocalRidgeImputer
from latentgenomes.expression.models.newton import ridge_path, rotate

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
    """Sizes of the comparison.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of observed genes; a larger set holds the smaller ones.
    n_anchors : int
        Genes that are restored.
    n_splits, n_repeats : int
        Folds, and how often they are drawn.
    alphas : tuple of float
        Penalties of the arms, decreasing.
    seed : int
        Of the observed genes and of the splits.
    """

    sizes: tuple[int, ...] = (16, 64, 256)
    n_anchors: int = 50
    n_splits: int = 5
    n_repeats: int = 10
    alphas: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1)
    seed: int = 0


@dataclass(frozen=True)
class Cohort:
    """Patients of one cohort with a usable outcome.

    Attributes
    ----------
    values : pandas.DataFrame of shape (n_patients, n_genes)
        z-scores of genes that all cohorts have.
    outcome : ndarray of shape (n_patients, 2)
        Time in days, event.
    n_excluded : int
        Patients left out.
    """

    values: pd.DataFrame
    outcome: Array
    n_excluded: int


def load_cohorts(cohorts: Sequence[str] = SURVIVAL_COHORTS) -> dict[str, Cohort]:
    """Cohorts of z-scores over the genes that all of them have.

    Parameters
    ----------
    cohorts : sequence of str
        At least two: the restoration is trained on the others.

    Returns
    -------
    dict of str to Cohort

    Raises
    ------
    ValueError
        If fewer than two cohorts are named, one is unknown, or one is too small to be split.
    """
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
    """Log hazards of the test patients under each penalty, features scaled by the training patients.

    Parameters
    ----------
    train, test : ndarray of shape (n, p)
    outcome : ndarray of shape (n_train, 2)
        Time, event.
    alphas : sequence of float
        Penalties; decreasing is fastest.

    Returns
    -------
    list of ndarray of shape (n_test,)
    """
    mean, scale = train.mean(0), train.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    centred, held_out = (train - mean) / scale, (test - mean) / scale
    if train.shape[1] > train.shape[0]:
        centred, rows = rotate(centred)
        held_out = held_out @ rows.T
    return [held_out @ model.coefficients for model in ridge_path(centred, outcome, alphas)]


def prognostic_genes(values: Array, outcome: Array, candidates: Indices, n_genes: int) -> Indices:
    """Candidates most related to survival: score test of each gene in a Cox model without others.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Of the training patients.
    outcome : ndarray of shape (n, 2)
    candidates : ndarray of int
        Positions of genes to choose from.
    n_genes : int

    Returns
    -------
    ndarray of int
        Positions, the strongest first.
    """
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
    """C-index of every arm, size, penalty and split.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        From `load_cohorts`.
    settings : SurvivalSettings, optional
    folder : str or Path, optional
        Where finished cohorts are kept.

    Returns
    -------
    DataFrame
        cohort, split, size, arm, alpha, score, and restored_correlation, of the restored with the true
        values of the anchors in the test patients.
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
    """Mean score of each cohort under the penalty that was best in the other cohorts.

    Parameters
    ----------
    scores : DataFrame
        cohort, alpha, score, and the columns of `by`.
    by : sequence of str
        A penalty is chosen for each combination of these.

    Returns
    -------
    DataFrame
        The columns of `by`, cohort, alpha (the chosen one) and score (mean over splits).

    Raises
    ------
    ValueError
        If there are fewer than two cohorts.
    """
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


def compare_over_cohorts(chosen: pd.DataFrame, *, baseline: str = "observed") -> pd.DataFrame:
    """Paired differences of the arms to a baseline, over cohorts, for each number of observed genes.

    Parameters
    ----------
    chosen : DataFrame
        From `choose_penalties`.
    baseline : str
        An arm.

    Returns
    -------
    DataFrame
        size, then the columns of `latentgenomes.core.compare.paired_differences`, one split a cohort.
    """
    tables = []
    for size, table in chosen.groupby("size", sort=True):
        wide = table.rename(columns={"cohort": "split", "arm": "method"})
        tables.append(paired_differences(wide, baseline=baseline).assign(size=size))
    joined = pd.concat(tables, ignore_index=True)
    return joined[["size", *(column for column in joined.columns if column != "size")]]
