"""Restore the missing genes of a reader's own matrix, and say how far to trust each.

The imputer learns from a reference: another matrix, TCGA's miRNAs, or, without one, the matrix itself. Before
the answer is given, a tenth of the measured entries is hidden, restored, and compared: the error of each gene
stands beside its restored values.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  scikit-learn asks for it
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import Ridge

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    one_tumour_each,
)
from latentgenomes.expression.data.matrix import align_genes
from latentgenomes.expression.evaluate.restoration import RATES, gene_errors, impute
from latentgenomes.expression.models.imputers import (
    ExpressionImputer,
    LocalRidgeImputer,
    NeighbourImputer,
    RidgeImputer,
)
from latentgenomes.expression.models.mixture import MixtureImputer
from latentgenomes.expression.models.restorer import MaskedRestorer

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImputationSettings:
    """Sizes of a comparison. `n_genes` are the miRNAs seen in most training samples, or a random choice of
    other genes. `n_test` and `n_validation` samples are of other patients than the training part, which
    `max_training` bounds (0 takes all). `max_epochs` and `batch_size` are of the networks, `n_components` and
    `mixture_ridge` of the mixture.
    """

    n_genes: int = 384
    n_test: int = 400
    n_validation: int = 100
    max_training: int = 0
    max_epochs: int = 50
    batch_size: int = 256
    n_components: int = 60
    mixture_ridge: float = 0.05
    rates: tuple[float, ...] = RATES


class SubsampledIterative(TransformerMixin, BaseEstimator):
    """scikit-learn's chained equations, one ridge regression a gene and round, on some of the samples: with
    384 genes and 1,500 samples five rounds took 30 CPU seconds. All 9,000 would give what one Gaussian does.
    """

    def __init__(self, n_samples: int = 1000, *, n_rounds: int = 3, random_state: int = 0) -> None:
        self.n_samples = n_samples
        self.n_rounds = n_rounds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: None = None) -> "SubsampledIterative":
        """Fit on a random part of X."""
        rows = np.random.default_rng(self.random_state).permutation(len(X))[: self.n_samples]
        part = np.asarray(X)[np.sort(rows)]
        imputer = IterativeImputer(Ridge(0.1 * len(part)), max_iter=self.n_rounds, tol=0.0, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # tol = 0 asks for every round
            self.imputer_ = imputer.fit(part)
        return self

    def transform(self, X: npt.ArrayLike) -> Array:
        """Fill NaN by the chained regressions."""
        filled: Array = self.imputer_.transform(np.asarray(X))
        return filled


def _network(seed: int, settings: ImputationSettings, *, residual: bool) -> MaskedRestorer:
    return MaskedRestorer(
        residual=residual,
        max_epochs=settings.max_epochs,
        patience=settings.max_epochs,
        batch_size=settings.batch_size,
        device="cpu",
        random_state=seed,
    )


Factory = Callable[[int, ImputationSettings], Any]


METHODS: dict[str, Factory] = {
    "mean": lambda seed, settings: SimpleImputer(),
    "knn": lambda seed, settings: NeighbourImputer(10),
    "pca30": lambda seed, settings: RidgeImputer(1e-6, n_components=30),
    "ridge": lambda seed, settings: RidgeImputer(),
    "local_ridge": lambda seed, settings: LocalRidgeImputer(500),
    "mixture": lambda seed, settings: MixtureImputer(
        settings.n_components, ridge=settings.mixture_ridge, random_state=seed
    ),
    "mlp": partial(_network, residual=False),
    "restorer": partial(_network, residual=True),
    "iterative": lambda seed, settings: SubsampledIterative(random_state=seed),
}


RESTORERS = ("knn", "ridge", "local_ridge", "mixture", "restorer")
_HIDDEN = 0.1
_FEWEST_SAMPLES = 20
_LARGEST_BATCH = 256


@dataclass(frozen=True)
class Restored:
    """A restored matrix: measured values as they came, the others restored, and notes of what was done.
    `genes` has, for each gene, n_missing, and rmse (standard deviations of the gene in the reference) and
    correlation of measured entries that were hidden and restored; NaN where none was hidden. `model` is
    fitted on the whole reference.
    """

    values: pd.DataFrame
    measured: pd.DataFrame
    genes: pd.DataFrame
    model: ExpressionImputer
    notes: tuple[str, ...]

    def save(self, folder: str | Path) -> None:
        """Write restored.csv, measured.csv (1 or 0), genes.csv, notes.txt and model.safetensors."""
        tables = {"restored": self.values, "measured": self.measured.astype(int), "genes": self.genes}
        for name, table in tables.items():
            with replacing(Path(folder) / f"{name}.csv") as path:
                table.to_csv(path, float_format="%.6g")
        with replacing(Path(folder) / "notes.txt") as path:
            path.write_text("\n".join(self.notes) + "\n", encoding="utf-8")
        self.model.save(Path(folder) / "model.safetensors")


def mirna_reference() -> ExpressionData:
    """TCGA's miRNAs, one tumour of each of 10,133 patients."""
    return detected_everywhere(one_tumour_each(load_mirna()))


def restore_matrix(
    data: ExpressionData,
    reference: ExpressionData | None = None,
    *,
    method: str = "mixture",
    random_state: int = 0,
) -> Restored:
    """Fill the missing genes of a matrix.

    Parameters
    ----------
    data : from `latentgenomes.expression.data.matrix.read_expression`
    reference : samples to learn from, on the same scale, whose genes the answer has; else the matrix itself
    method : of `RESTORERS`
    random_state : seed of the model and of the entries hidden for the check

    Raises
    ------
    ValueError
        If the method is unknown, the scales differ, no gene is shared, the reference has too few samples, or
        nothing is missing.
    """
    if method not in RESTORERS:
        raise ValueError(f"method must be one of {', '.join(RESTORERS)}, but it is {method!r}. Name one.")
    notes = list(data.notes)
    if reference is None:
        known, own = data.values, True
        notes.append("reference: the matrix itself")
    else:
        _check_scales(data.unit, reference.unit)
        data = align_genes(data, list(reference.values.columns))
        notes = [*data.notes, f"reference: {len(reference.values)} samples"]
        known, own = reference.values, False
    if len(known) < _FEWEST_SAMPLES:
        raise ValueError(
            f"The reference must have at least {_FEWEST_SAMPLES} samples, but it has {len(known)}. Pass a "
            "larger one with --reference."
        )
    given = data.values.to_numpy(dtype=np.float64)
    measured = np.isfinite(given)
    if measured.all():
        raise ValueError(
            f"Some gene must be missing, but all {given.size} values are measured. Pass a reference with "
            "more genes, or write NA where a value is missing."
        )
    training = known.to_numpy(dtype=np.float64)
    hidden = measured & (np.random.default_rng(random_state).uniform(size=given.shape) < _HIDDEN)
    holes = np.where(hidden, np.nan, given)
    checked = _fit(method, holes if own else training, random_state)
    scale = np.nanstd(training, axis=0)
    errors = gene_errors(
        impute(checked, holes), np.where(measured, given, 0.0), hidden, scale=np.where(scale > 0, scale, 1.0)
    )
    model = _fit(method, training, random_state) if own else checked
    table = errors[["rmse", "correlation"]].where(errors["n"] > 0)
    table = table.assign(n_missing=(~measured).sum(axis=0)).set_index(data.values.columns)
    return Restored(
        pd.DataFrame(impute(model, given), index=data.values.index, columns=data.values.columns),
        pd.DataFrame(measured, index=data.values.index, columns=data.values.columns),
        table,
        model,
        tuple(notes),
    )


def _check_scales(ours: str, theirs: str) -> None:
    kinds = ["z-score" if unit.startswith("z-score") else "log2" for unit in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"Matrix and reference must be on one scale, but the matrix is {kinds[0]} and the reference "
            f"{kinds[1]}. Pass the matrix as it was before it was centred, or another reference."
        )


def _fit(method: str, values: np.ndarray, seed: int) -> ExpressionImputer:
    settings = ImputationSettings(batch_size=min(_LARGEST_BATCH, max(len(values) // 4, 1)))
    model: ExpressionImputer = METHODS[method](seed, settings).fit(values)
    return model
