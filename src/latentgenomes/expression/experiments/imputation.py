"""All imputers on the same splits and the same masks, resumable.

A task is a data set and a seed: the seed draws the patients of the training, validation and test part, the
genes, and the masks. Every method sees the same training samples and fills the same holes. The validation
samples serve only for the weights of the stack. A finished method is kept as a file, so that a killed run
goes on.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator

from latentgenomes.core.checks import list_names
from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import replacing
from latentgenomes.core.splits import check_disjoint, grouped_split
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    load_paired_mrna,
    one_tumour_each,
)
from latentgenomes.expression.evaluate.restoration import (
    Mask,
    gene_errors,
    imputation_scores,
    impute,
    random_masks,
)
from latentgenomes.expression.models.restorer import MaskedRestorer
from latentgenomes.expression.models.stack import StackedImputer
from latentgenomes.expression.simulate import simulate_expression
from latentgenomes.expression.verbs.methods import METHODS, ImputationSettings

Array = npt.NDArray[np.float64]
DATASETS = ("mirna", "mrna", "simulated")


@dataclass(frozen=True)
class ImputationTask:
    """One split of one data set, without NaN, and its hidden entries by missing rate, such as ``"0.5"``."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    centre: Array
    scale: Array
    patients: npt.NDArray[np.str_]
    masks: dict[str, Mask]


def load_dataset(dataset: str) -> ExpressionData:
    """Tumours of a comparison: "mirna", "mrna" or "simulated"; ValueError for another name."""
    if dataset == "mirna":
        return detected_everywhere(one_tumour_each(load_mirna()))
    if dataset == "mrna":
        data = load_paired_mrna()
        return data.select(data.samples["is_tumour"].astype(bool), "normal tissue")
    if dataset == "simulated":
        return simulate_expression(random_state=0).data
    raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, but it is {dataset!r}. Name one.")


def make_task(
    data: ExpressionData, *, by: str, seed: int, settings: ImputationSettings | None = None
) -> ImputationTask:
    """Split by patient, choose genes by the training part, and draw the masks. ``by="detected"`` keeps the
    genes above their lowest value in most training samples, otherwise they are random. ValueError if there
    are too few samples for the three parts.
    """
    chosen = settings or ImputationSettings()
    patients = data.samples["patient"].to_numpy().astype(str)
    n_held = chosen.n_test + chosen.n_validation
    if n_held * 2 > len(patients):
        raise ValueError(
            f"n_test + n_validation must be at most half of the samples, but they are {n_held} of "
            f"{len(patients)}. Lower them."
        )
    train, held = grouped_split(patients, test_fraction=1.1 * n_held / len(patients), random_state=seed)
    share = chosen.n_test / n_held
    later, test = grouped_split(patients[held], test_fraction=share, random_state=seed)
    rng = np.random.default_rng([seed, 1])
    parts = [rng.permutation(train), rng.permutation(held[later]), rng.permutation(held[test])]
    sizes = (chosen.max_training or len(train), chosen.n_validation, chosen.n_test)
    train, later, test = (np.sort(part[:size]) for part, size in zip(parts, sizes, strict=True))
    check_disjoint(train, np.r_[later, test], patients)
    check_disjoint(later, test, patients)
    values = data.values.astype(np.float64)
    seen = values.iloc[train]
    drawn = pd.Series(np.random.default_rng([seed, 3]).uniform(size=values.shape[1]), values.columns)
    rank = (seen > seen.min()).mean() if by == "detected" else drawn
    genes = rank.sort_values(ascending=False, kind="stable").index[: chosen.n_genes]
    kept = values.loc[:, values.columns.isin(genes)]
    masks = {
        f"{rate:g}": random_masks(
            (len(test), kept.shape[1]), rate, random_state=np.random.default_rng([seed, 2, i])
        )
        for i, rate in enumerate(chosen.rates)
    }
    fitted = kept.iloc[train]
    return ImputationTask(
        fitted,
        kept.iloc[later],
        kept.iloc[test],
        fitted.mean().to_numpy(),
        fitted.std(ddof=0).to_numpy(),
        patients[test],
        masks,
    )


STACKED = ("knn", "ridge", "local_ridge", "mixture", "restorer")
_PARTS = ("scores", "samples", "genes")
_STACK_RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Comparison:
    """Scores of all methods, with fit_seconds (CPU), and errors of each test sample and of each gene."""

    scores: pd.DataFrame
    samples: pd.DataFrame
    genes: pd.DataFrame


METHOD_NAMES = (*METHODS, "stack")


class Remembered(TransformerMixin, BaseEstimator):
    """A fitted imputer that keeps its answers, for the stack asks its members again for what they filled.
    Within one task a pattern of holes, drawn at random, belongs to one set of samples.
    """

    def __init__(self, imputer: Any) -> None:
        self.imputer = imputer
        self._answers: dict[bytes, Array] = {}

    def fit(self, X: Any, y: None = None) -> "Remembered":
        """Keep the fitted imputer."""
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """Fill NaN."""
        values = np.asarray(X, dtype=np.float64)
        key = np.packbits(np.isnan(values)).tobytes()
        if key not in self._answers:
            self._answers[key] = impute(self.imputer, values)
        return self._answers[key]


def compare_imputers(
    dataset: str,
    methods: Sequence[str],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    settings: ImputationSettings | None = None,
    folder: str | Path | None = None,
) -> Comparison:
    """Fit and judge `METHOD_NAMES` on the same splits and masks of a data set. Each seed is a split, a set of
    masks, and a start of the networks. ``"stack"`` adds those of `STACKED` that are among the methods.
    """
    unknown = [name for name in methods if name not in METHOD_NAMES]
    if unknown:
        raise ValueError(
            f"methods must be of {', '.join(METHOD_NAMES)}, but {list_names(unknown)} came. Name one of "
            "these."
        )
    chosen = settings or ImputationSettings()
    data, by = load_dataset(dataset), "detected" if dataset == "mirna" else "chance"
    tables: list[Comparison] = []
    for seed in seeds:
        task = make_task(data, by=by, seed=seed, settings=chosen)
        place = None if folder is None else Path(folder) / f"{dataset}-{seed}"
        tables += _kept(task, methods, seed=seed, settings=chosen, folder=place)
    return Comparison(
        *(
            pd.concat([getattr(table, part) for table in tables], ignore_index=True).assign(dataset=dataset)
            for part in _PARTS
        )
    )


def _kept(
    task: ImputationTask,
    methods: Sequence[str],
    *,
    seed: int,
    settings: ImputationSettings,
    folder: Path | None,
) -> list[Comparison]:
    """Scores of one task, from the folder where they are finished."""
    name = f"{crc32(repr((sorted(methods), settings)).encode()):08x}"
    records = [folder / f"{name}-{part}.csv.gz" for part in _PARTS] if folder else []
    if records and all(record.is_file() for record in records):
        return [Comparison(*(pd.read_csv(record, dtype={"mask": str}) for record in records))]
    tables = run_task(task, methods, seed=seed, settings=settings, folder=folder)
    for part, record in zip(_PARTS, records, strict=False):
        with replacing(record) as path:
            pd.concat([getattr(table, part) for table in tables]).to_csv(path, index=False)
    return tables


def run_task(
    task: ImputationTask,
    methods: Sequence[str],
    *,
    seed: int,
    settings: ImputationSettings,
    folder: Path | None = None,
) -> list[Comparison]:
    """Scores of each method on one task; see `compare_imputers`."""
    fitted: dict[str, Remembered] = {}
    tables = []
    for method in sorted(methods, key=METHOD_NAMES.index):
        imputer, seconds = (
            _stack(task, fitted, seed)
            if method == "stack"
            else _fitted(method, task, seed=seed, settings=settings, folder=folder)
        )
        fitted[method] = Remembered(imputer)
        tables.append(_judge(task, fitted[method], {"seed": seed, "method": method}, seconds))
    return tables


def _fitted(
    method: str, task: ImputationTask, *, seed: int, settings: ImputationSettings, folder: Path | None
) -> tuple[Any, float]:
    """A fitted imputer and its CPU seconds; a network is kept in the folder, and read from there later."""
    imputer = METHODS[method](seed, settings)
    record = None if folder is None else folder / f"{method}-{_short(settings)}.safetensors"
    if record is not None and record.is_file():
        kept = json.loads(record.with_suffix(".json").read_text(encoding="utf-8"))
        return MaskedRestorer.load(record), float(kept["seconds"])
    start = time.process_time()
    fitted = imputer.fit(task.train.to_numpy())
    seconds = time.process_time() - start
    if record is not None and isinstance(fitted, MaskedRestorer):
        with replacing(record.with_suffix(".json")) as path:
            path.write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
        fitted.save(record)
    return fitted, seconds


def _short(settings: ImputationSettings) -> str:
    return "-".join(str(value) for name, value in asdict(settings).items() if name != "rates")


def _stack(task: ImputationTask, fitted: Mapping[str, Remembered], seed: int) -> tuple[StackedImputer, float]:
    start = time.process_time()
    members = [FrozenEstimator(fitted[name]) for name in STACKED if name in fitted]
    stack = StackedImputer(members, rates=_STACK_RATES, validation_fraction=1.0, random_state=seed)
    return stack.fit(task.validation.to_numpy()), time.process_time() - start


def _judge(task: ImputationTask, imputer: Remembered, names: dict[str, Any], seconds: float) -> Comparison:
    truth, scale = task.test.to_numpy(), task.scale
    scores, samples, genes = [], [], []
    for mask, hidden in task.masks.items():
        restored = imputer.transform(np.where(hidden, np.nan, truth))
        about = {**names, "mask": mask}
        found = imputation_scores(restored, truth, hidden, centre=task.centre, scale=scale)
        scores.append({**about, **found, "fit_seconds": seconds})
        squares = np.where(hidden, ((restored - truth) / scale) ** 2, 0.0).sum(1)
        rmse = np.sqrt(squares / hidden.sum(1).clip(1))
        samples.append(pd.DataFrame({"patient": task.patients, "rmse": rmse}).assign(**about))
        errors = gene_errors(restored, truth, hidden, scale=scale)[["rmse", "correlation"]]
        genes.append(errors.assign(gene=task.test.columns, **about))
    return Comparison(pd.DataFrame(scores), pd.concat(samples), pd.concat(genes))


def paired_over_patients(samples: pd.DataFrame, *, baseline: str) -> pd.DataFrame:
    """Differences to a baseline in the RMSE of a sample (its mean over seeds), over patients, by mask."""
    means = samples.groupby(["mask", "method", "patient"], sort=False)["rmse"].mean().reset_index()
    return paired_by("mask", means.rename(columns={"patient": "split", "rmse": "score"}), baseline)


def paired_by(key: str, scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """`paired_differences` of split, method and score for each value of a column, which comes first."""
    tables = {
        value: paired_differences(table, baseline=baseline)
        for value, table in scores.groupby(key, sort=False)
    }
    return pd.concat(tables, names=[key]).reset_index(level=0).reset_index(drop=True)
