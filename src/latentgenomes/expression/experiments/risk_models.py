"""Ridge Cox models on all genes and on principal components, judged in four ways on the same splits.

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
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.evaluate.resampling import survival_splits
from latentgenomes.expression.evaluate.survival import (
    brier_scores,
    calibration,
    concordance_index,
    integrated_brier_score,
    ipcw_concordance_index,
)
from latentgenomes.expression.experiments.survival import Array, Cohort, Indices
from latentgenomes.expression.models.newton import RidgeModel, ridge_path, rotate

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
    """Score both models under every penalty on every split of every cohort.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        See `latentgenomes.expression.experiments.survival.load_cohorts`.
    n_splits, n_repeats, seed
        See `latentgenomes.expression.evaluate.resampling.survival_splits`.
    alphas : sequence of float
        Penalties, decreasing.
    folder : str or Path, optional
        Where finished cohorts are kept.

    Returns
    -------
    scores : DataFrame
        cohort, split, arm, alpha and the columns at the head of this module.
    predictions : DataFrame
        cohort, arm, alpha, patient, survival (predicted probability of no event for two years, by the
        model of the first repeat that did not see the patient), time, event.
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
    """Predicted against observed survival at two years, in five groups of the patients of all cohorts.

    Parameters
    ----------
    predictions : DataFrame
        From `compare_heads`.
    alphas : mapping of str to float
        Penalty of each arm.

    Returns
    -------
    DataFrame
        arm, then the columns of `latentgenomes.expression.evaluate.survival.calibration`.
    """
    tables = []
    for arm, alpha in alphas.items():
        part = predictions[(predictions["arm"] == arm) & (predictions["alpha"] == alpha)]
        columns = (part[name].to_numpy() for name in ("time", "event"))
        table = calibration(part["survival"].to_numpy(), CALIBRATION_TIME, *columns)
        tables.append(table.assign(arm=arm, alpha=alpha))
    return pd.concat(tables, ignore_index=True)
