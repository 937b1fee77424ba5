r"""A weighted sum of several imputers, with weights for each missing rate.

No single way to restore genes is best at every missing rate. The stack adds their answers :math:`\hat x_j`,

.. math::
    \hat x = \sum_j w_j(r)\, \hat x_j, \qquad w_j(r) \ge 0,

with weights found by least squares on held-out samples at a few missing rates r, and interpolated between
them.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `values` | (n, p), NaN where missing |
| $r$ | `rates` | (n_rates,) |
| $w$ | `weights_` | (n_rates, n_imputers) |
| $\hat x_j$ | `answers` | (n_imputers, n, p) |

References
----------
Breiman 1996, Machine Learning 24:49 (stacking with non-negative weights).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.utils import check_random_state

from latentgenomes.expression.models.imputers import (
    Array,
    ExpressionImputer,
    LocalRidgeImputer,
    Mask,
    RandomState,
    RidgeImputer,
)


class StackedImputer(ExpressionImputer):
    """Weighted sum of several imputers, with weights >= 0 learnt at each missing rate on held-out samples.

    Parameters
    ----------
    imputers : sequence of estimators or None
        None takes a `RidgeImputer` and a `LocalRidgeImputer`. Each with `fit` and `transform` that fills NaN.
        They are cloned and fitted on the samples that are not held out; a fitted one wrapped in
        `sklearn.frozen.FrozenEstimator` is used as it is.
    rates : sequence of float
        Missing rates at which weights are learnt, increasing, in (0, 1). Between them weights are
        interpolated, beyond them those of the nearest rate hold.
    validation_fraction : float
        Share of the samples held out for the weights, in (0, 1]. 1 needs imputers that are all frozen, and
        samples that none of them has seen.
    random_state : int, RandomState or None; seed of the held-out samples and of their masks

    Attributes
    ----------
    imputers_ : fitted
    weights_ : ndarray of shape (n_rates, n_imputers)
    """

    def __init__(
        self,
        imputers: Sequence[Any] | None = None,
        *,
        rates: Sequence[float] = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95),
        validation_fraction: float = 0.1,
        random_state: RandomState = None,
    ) -> None:
        self.imputers = imputers
        self.rates = rates
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _learn(self, values: Array) -> None:
        rates = np.asarray(self.rates, dtype=np.float64)
        if (
            rates.ndim != 1
            or len(rates) == 0
            or (np.diff(rates) <= 0).any()
            or rates[0] <= 0
            or rates[-1] >= 1
        ):
            raise ValueError(f"rates must increase and lie between 0 and 1, but they are {list(self.rates)}.")
        if not 0 < self.validation_fraction <= 1:
            raise ValueError(f"validation_fraction must be in (0, 1], but {self.validation_fraction} came.")
        rng = check_random_state(self.random_state)
        n_held_out = max(round(self.validation_fraction * len(values)), 1)
        held_out, rest = np.split(rng.permutation(len(values)), [n_held_out])
        self.imputers_ = [
            clone(imputer) for imputer in self.imputers or (RidgeImputer(), LocalRidgeImputer())
        ]
        if len(rest) > 1:
            raw = values[np.sort(rest)] * self.scale_ + self.mean_  # each imputer scales genes as it likes
            self.imputers_ = [imputer.fit(raw) for imputer in self.imputers_]
        truth = values[np.sort(held_out)]
        self.weights_ = np.array([self._weigh(truth, rate, rng) for rate in rates])

    def _weigh(self, truth: Array, rate: float, rng: np.random.RandomState) -> Array:
        hidden = np.isfinite(truth) & (rng.uniform(size=truth.shape) < rate)
        if not hidden.any():
            return np.full(len(self.imputers_), 1 / len(self.imputers_))
        answers = self._answers(np.where(hidden, np.nan, truth))
        return np.asarray(nnls(np.stack([answer[hidden] for answer in answers], axis=1), truth[hidden])[0])

    def _answers(self, values: Array) -> list[Array]:
        """Standardised answers of the imputers, which see and give values in the units of X."""
        raw = values * self.scale_ + self.mean_
        return [(np.asarray(imputer.transform(raw)) - self.mean_) / self.scale_ for imputer in self.imputers_]

    def _fill(self, values: Array, observed: Mask) -> Array:
        missing = 1 - observed.mean(1)
        weights = np.stack(
            [np.interp(missing, self.rates, column) for column in self.weights_.T], axis=1
        )  # (n, n_imputers)
        answers = np.stack(self._answers(np.where(observed, values, np.nan)))  # (n_imputers, n, p)
        return np.einsum("nj,jnp->np", weights, answers)
