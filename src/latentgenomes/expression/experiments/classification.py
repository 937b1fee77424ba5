"""Cancer types from few genes and labels: measured genes, restored genes and embeddings on the same splits.

The test patients are those that the pretraining did not see. A cell is a draw of labelled training samples
and of genes; every method of a cell gets the same samples and genes. Finished cells are kept as files.
"""

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
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
    classification_scores,
    gene_subsets,
    labels_per_class,
)
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.imputers import ExpressionImputer, RidgeImputer
from latentgenomes.expression.models.mixture import MixtureImputer

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]
ALL = 0  # labels a class: all of them


@dataclass(frozen=True)
class ClassificationTask:
    """Samples with types, and which of them may be trained on.

    Attributes
    ----------
    train, test : pandas.DataFrame of shape (n_samples, n_genes)
        Expression, without NaN.
    train_labels, test_labels : ndarray of str
        Types.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    train_labels: Labels
    test_labels: Labels


@dataclass(frozen=True)
class Cell:
    """One draw of labels and genes.

    Attributes
    ----------
    n_labels : int
        Labelled training samples a type; 0 takes all.
    n_genes : int
    draw : int
        Seed of both draws. Fewer genes of a draw are among its more genes.
    """

    n_labels: int
    n_genes: int
    draw: int


def make_classification_task(
    data: ExpressionData, train: pd.Index, genes: pd.Index, *, label: str = "cohort"
) -> ClassificationTask:
    """Take the samples named in `train` for training, and those of all other patients for the test.

    Parameters
    ----------
    data : ExpressionData
    train : pandas.Index
        Names of the samples that a pretraining has seen.
    genes : pandas.Index
        Names of its genes.
    label : str
        Column of `data.samples` that holds the type.

    Raises
    ------
    ValueError
        If a patient is on both sides, or a type of the test samples is not among the training ones.
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
    """What a method sees of a cell: full-width training and test samples, labels, positions of genes.

    `imputer` gives an imputer by name, fitted to all training samples without their labels, as the pretrained
    network was.
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
    """Score methods on cells.

    Parameters
    ----------
    task : ClassificationTask
    backbone : GexBERT
        Pretrained on no test sample, with the genes of the task.
    cells : sequence of Cell
    methods : sequence of str
        Of `METHODS`.
    folder : str or Path, optional
        Where finished scores are kept.

    Returns
    -------
    DataFrame
        n_labels, n_genes, draw, method, accuracy, macro_f1, seconds (CPU).

    Raises
    ------
    ValueError
        If a method is unknown.
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
    """Paired comparison of every method with a baseline, for each number of labels and genes.

    Parameters
    ----------
    scores : DataFrame
        From `classify`.
    baseline : str
        A method.
    score : {"accuracy", "macro_f1"}

    Returns
    -------
    DataFrame
        n_labels, n_genes, then the columns of `latentgenomes.core.compare.paired_differences`. Each
        method is compared over the draws that it shares with the baseline; draws share the test patients, so
        that the test speaks of draws of genes and labels, not of other patients.
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
