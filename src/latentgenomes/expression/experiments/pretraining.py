"""GexBERT pretrained in portions, judged after each, and set beside imputers that train nothing.

The task is that of `masking` with seed 0: the same patients, genes and masks. A
digest of its genes and training samples goes into the record of the weights.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.evaluate.restoration import Mask, imputation_scores, impute, random_masks
from latentgenomes.expression.experiments.masking import ImputationTask, load_dataset, make_task
from latentgenomes.expression.models.gexbert import GexBERT

JUDGED_RATES = (0.5, 0.7, 0.8, 0.9, 0.95)


def pretraining_task(dataset: str = "mirna", *, seed: int = 0) -> ImputationTask:
    """Patients, genes and masks of a pretraining; see `make_task`."""
    by = "detected" if dataset == "mirna" else "variance"
    return make_task(load_dataset(dataset), by=by, seed=seed)


def task_digest(task: ImputationTask) -> str:
    """SHA-256 of the names of genes and training samples."""
    names = "\n".join([*map(str, task.train.columns), "", *map(str, task.train.index)])
    return hashlib.sha256(names.encode()).hexdigest()


def fresh_masks(
    task: ImputationTask, rates: Sequence[float] = JUDGED_RATES, *, seeds: Sequence[int] = (0, 1, 2)
) -> dict[tuple[float, int], Mask]:
    """Masks of the test samples that no training has seen, by missing rate and seed."""
    return {
        (rate, seed): random_masks(
            task.test.shape, rate, random_state=np.random.default_rng([seed, 7, round(100 * rate)])
        )
        for rate in rates
        for seed in seeds
    }


def judge_imputers(
    imputers: Mapping[str, Any], task: ImputationTask, masks: Mapping[tuple[float, int], Mask]
) -> pd.DataFrame:
    """Scores on the test samples of imputers fitted on frames: rate, seed, method, rmse, correlation."""
    truth, records = task.test.to_numpy(), []
    for (rate, seed), hidden in masks.items():
        given = task.test.mask(hidden)
        for name, imputer in imputers.items():
            restored = impute(imputer, given)
            found = imputation_scores(restored, truth, hidden, centre=task.centre, scale=task.scale)
            records.append({"rate": rate, "seed": seed, "method": name, **found})
    return pd.DataFrame.from_records(records)


def pretrain_in_portions(
    model: GexBERT, task: ImputationTask, *, stops: Sequence[int]
) -> tuple[GexBERT, pd.DataFrame]:
    """Train to each of `stops`, and judge there on one set of masks.

    Parameters
    ----------
    model : GexBERT
        With a `checkpoint`; not changed.
    task : ImputationTask
    stops : sequence of int
        Steps, increasing; the last one is usually all of `n_steps`.

    Returns
    -------
    model : GexBERT
        Fitted, after the last of `stops`.
    curve : DataFrame
        ``step``, ``seconds`` of processor time, ``rate``, ``rmse``, ``correlation``. Before the last step the
        learning rate is still high, so a run that was planned to be that short would be better.

    Raises
    ------
    ValueError
        If the model has no checkpoint.
    """
    if model.checkpoint is None:
        raise ValueError(
            "A model that trains in portions must have a checkpoint, but it is None. Name a file."
        )
    kept = Path(model.checkpoint).with_suffix(".curve.csv")
    curve = pd.read_csv(kept) if kept.is_file() and Path(model.checkpoint).is_file() else pd.DataFrame()
    masks = fresh_masks(task, seeds=(0,))
    for stop in stops:
        if len(curve) and stop in set(curve["step"]) and stop != stops[-1]:
            continue
        fitted = clone(model).set_params(stop_at=stop).fit(task.train)
        if not len(curve) or stop not in set(curve["step"]):
            found = judge_imputers({"gexbert": fitted}, task, masks)[["rate", "rmse", "correlation"]]
            seconds = fitted.history_["seconds"].iloc[-1]
            curve = pd.concat([curve, found.assign(step=stop, seconds=seconds)], ignore_index=True)
            with replacing(kept) as path:
                curve.to_csv(path, index=False)
    return fitted, curve[["step", "seconds", "rate", "rmse", "correlation"]]
