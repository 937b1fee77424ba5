"""The imputers that a comparison or a reader names, with their sizes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  scikit-learn asks for it
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import Ridge

from latentgenomes.expression.evaluate.restoration import RATES
from latentgenomes.expression.models.imputers import (
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
