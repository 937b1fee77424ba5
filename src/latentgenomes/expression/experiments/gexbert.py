"""GexBERT pretrained in portions and judged after each, and cancer types told from few genes and labels.

The pretraining has the task of `imputation` with seed 0: the same patients, genes and masks. A digest of its
genes and training samples goes into the record of the weights. Types are told from measured genes, restored
genes and embeddings; the test patients are those that the pretraining did not see. A cell is a draw of
labelled training samples and of genes; every method of a cell gets the same. Finished cells are kept as
files.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from latentgenomes.core.checks import list_names
from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import replacing
from latentgenomes.core.splits import check_disjoint
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.evaluate.restoration import (
    Mask,
    classification_scores,
    gene_subsets,
    imputation_scores,
    impute,
    labels_per_class,
    random_masks,
)
from latentgenomes.expression.experiments.imputation import ImputationTask, load_dataset, make_task
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.imputers import ExpressionImputer, RidgeImputer
from latentgenomes.expression.models.mixture import MixtureImputer

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
    """Train to each of `stops`, which increase, and judge there on one set of masks. Before the last step the
    learning rate is still high, so a run that was planned to be that short would be better.
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


Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]
ALL = 0  # labels a class: all of them


@dataclass(frozen=True)
class ClassificationTask:
    """Expression without NaN, (n_samples, n_genes), and types of the samples to train on and to test on."""

    train: pd.DataFrame
    test: pd.DataFrame
    train_labels: Labels
    test_labels: Labels


@dataclass(frozen=True)
class Cell:
    """One draw, of seed `draw`, of `n_labels` samples a type (0 takes all) and `n_genes` genes, nested."""

    n_labels: int
    n_genes: int
    draw: int


def make_classification_task(
    data: ExpressionData, train: pd.Index, genes: pd.Index, *, label: str = "cohort"
) -> ClassificationTask:
    """Train on the samples named in `train`, which a pretraining saw, and test on all others, with types from
    the column `label`. ValueError if a patient is on both sides, or a type only in the test.
    """
    rows = data.values.index.isin(train)
    patients = data.samples["patient"].to_numpy().astype(str)
    check_disjoint(np.flatnonzero(rows), np.flatnonzero(~rows), patients)
    values = data.values.loc[:, genes].astype(np.float64)
    types = data.samples[label].to_numpy().astype(str)
    unknown = sorted(set(types[~rows].tolist()) - set(types[rows].tolist()))
    if unknown:
        raise ValueError(
            f"Types of the test samples must be among the training ones, but {list_names(unknown)} are not."
        )
    return ClassificationTask(values[rows], values[~rows], types[rows], types[~rows])


def _raw(classifier: Callable[[int, int], Any]) -> Callable[..., Labels]:
    """A classifier over the measured genes alone."""

    def predict(task: "_Drawn", backbone: GexBERT, seed: int) -> Labels:
        model = make_pipeline(StandardScaler(), classifier(len(task.labels), seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is chosen
            model.fit(task.train[:, task.genes], task.labels)
        predicted: Labels = model.predict(task.test[:, task.genes])
        return predicted

    return predict


@dataclass(frozen=True)
class _Drawn:
    """What a method sees of a cell: full-width samples, labels, positions of genes, and imputers by name,
    fitted to all training samples without their labels, as the pretrained network was.
    """

    train: Array
    test: Array
    labels: Labels
    genes: npt.NDArray[np.int64]
    imputer: Callable[[str], ExpressionImputer]

    def masked(self, values: Array) -> Array:
        """Samples with NaN in place of the genes that were not measured."""
        measured = np.isin(np.arange(values.shape[1]), self.genes)
        return np.where(measured, values, np.nan)


def _logistic(n_samples: int, seed: int) -> LogisticRegression:
    return LogisticRegression(C=0.3, max_iter=300, tol=1e-3)


def _mlp(n_samples: int, seed: int) -> MLPClassifier:
    epochs = 25 if n_samples > 3000 else 100
    return MLPClassifier(
        (256,), alpha=1e-3, batch_size=min(128, n_samples), max_iter=epochs, tol=0.0, random_state=seed
    )


def _head(*, fine_tune: bool) -> Callable[..., Labels]:
    def predict(task: _Drawn, backbone: GexBERT, seed: int) -> Labels:
        model = GexBERTClassifier(
            FrozenEstimator(backbone), fine_tune=fine_tune, validation_fraction=0.0, random_state=seed
        )
        predicted: Labels = model.fit(task.masked(task.train), task.labels).predict(task.masked(task.test))
        return predicted

    return predict


def _restored(by: str | None = None) -> Callable[..., Labels]:
    """Restore all genes, by the network or by an imputer of `IMPUTERS`, then logistic regression on them."""

    def predict(task: _Drawn, backbone: GexBERT, seed: int) -> Labels:
        restorer = backbone if by is None else task.imputer(by)
        model = make_pipeline(StandardScaler(), _logistic(len(task.labels), seed))
        model.fit(restorer.impute(task.masked(task.train)), task.labels)
        predicted: Labels = model.predict(restorer.impute(task.masked(task.test)))
        return predicted

    return predict


#: Imputers that restore genes without a network; each sees the training samples without labels.
IMPUTERS: dict[str, Callable[[], ExpressionImputer]] = {
    "ridge": RidgeImputer,
    "mixture": lambda: MixtureImputer(random_state=0),
}
METHODS: dict[str, Callable[..., Labels]] = {
    "logistic": _raw(_logistic),
    "svm": _raw(lambda n_samples, seed: SVC(C=10.0)),
    "mlp": _raw(_mlp),
    "gexbert_frozen": _head(fine_tune=False),
    "gexbert_fine_tuned": _head(fine_tune=True),
    "gexbert_restored": _restored(),
    "ridge_restored": _restored("ridge"),
    "mixture_restored": _restored("mixture"),
}


def classify(
    task: ClassificationTask,
    backbone: GexBERT,
    cells: Sequence[Cell],
    *,
    methods: Sequence[str] = tuple(METHODS),
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Score `METHODS` on cells: n_labels, n_genes, draw, method, accuracy, macro_f1, seconds (CPU). The
    backbone has the genes of the task and has seen no test sample. Finished scores are kept in `folder`.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ValueError(
            f"methods must be of {', '.join(METHODS)}, but {list_names(unknown)} came. Name one of these."
        )
    fitted: dict[str, ExpressionImputer] = {}

    def imputer(name: str) -> ExpressionImputer:
        if name not in fitted:
            fitted[name] = IMPUTERS[name]().fit(task.train.to_numpy())
        return fitted[name]

    records = []
    for cell in cells:
        for method in methods:
            name = "-".join(str(part) for part in (method, *asdict(cell).values()))
            path = None if folder is None else Path(folder) / f"{name}.json"
            if path is not None and path.is_file():
                records.append(json.loads(path.read_text(encoding="utf-8")))
                continue
            record = _score(task, backbone, cell, method, imputer)
            if path is not None:
                with replacing(path) as part:
                    part.write_text(json.dumps(record), encoding="utf-8")
            records.append(record)
    return pd.DataFrame.from_records(records)


def _score(
    task: ClassificationTask,
    backbone: GexBERT,
    cell: Cell,
    method: str,
    imputer: Callable[[str], ExpressionImputer],
) -> dict[str, Any]:
    """Scores of one method on one cell."""
    start = time.process_time()
    p = task.train.shape[1]
    genes = gene_subsets(p, [cell.n_genes], random_state=cell.draw)[cell.n_genes]
    rows = (
        np.arange(len(task.train))
        if cell.n_labels == ALL
        else labels_per_class(task.train_labels, cell.n_labels, random_state=cell.draw)
    )
    drawn = _Drawn(task.train.to_numpy()[rows], task.test.to_numpy(), task.train_labels[rows], genes, imputer)
    predicted = METHODS[method](drawn, backbone, cell.draw)
    found = classification_scores(predicted, task.test_labels)
    return {**asdict(cell), "method": method, **found, "seconds": time.process_time() - start}


def compare_with(scores: pd.DataFrame, baseline: str, *, score: str = "accuracy") -> pd.DataFrame:
    """Paired differences of every method to a baseline, over the draws that they share, for each number of
    labels and genes. Draws share the test patients: the test speaks of draws, not of other patients.
    """
    parts = []
    settings = scores[["n_labels", "n_genes"]].drop_duplicates().sort_values(["n_labels", "n_genes"])
    for n_labels, n_genes in settings.to_numpy().tolist():
        group = scores[(scores["n_labels"] == n_labels) & (scores["n_genes"] == n_genes)]
        table = group.pivot(index="draw", columns="method", values=score)
        for method in [name for name in table if name != baseline]:
            pair = table[[method, baseline]].dropna()
            if len(pair) < 2:
                continue
            tidy = pair.rename_axis(index="split").reset_index().melt("split", value_name="score")
            found = paired_differences(tidy, baseline=baseline)
            parts.append(found[found["method"] == method].assign(n_labels=n_labels, n_genes=n_genes))
    joined = pd.concat(parts, ignore_index=True).assign(baseline=baseline)
    first = ["n_labels", "n_genes", "method", "baseline"]
    return joined[[*first, *[name for name in joined if name not in first]]]


def mean_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy and macro-F1 over draws, with their number."""
    return scores.groupby(["n_labels", "n_genes", "method"], sort=False, as_index=False).agg(
        accuracy=("accuracy", "mean"), macro_f1=("macro_f1", "mean"), n_draws=("draw", "size")
    )
