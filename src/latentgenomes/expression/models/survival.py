r"""Cox regression with a ridge or elastic-net penalty.

The hazard of a patient is a common baseline times a factor, :math:`h(t \mid x) = h_0(t)\, e^{\eta}` with
:math:`\eta = (x - \bar x)^\top \beta`. The coefficients minimise

.. math::
    -\frac{1}{n} \ell(\eta) + \alpha \left( \rho \lVert \beta \rVert_1 + \tfrac{1 - \rho}{2} \lVert \beta
    \rVert_2^2 \right),

with Efron's log partial likelihood :math:`\ell` of `cox`. The survival function is
:math:`S(t \mid x) = \exp(-H_0(t) e^{\eta})` with Breslow's :math:`H_0`.

| symbol | name in code | shape |
|---|---|---|
| $\beta$ | `coef_` | (p,) |
| $\bar x$ | `mean_` | (p,) |
| $\eta$ | `log_hazards` | (n,) |
| $\alpha$ | `alpha` | scalar |
| $\rho$ | `l1_ratio` | scalar |
| $t$ | `event_times_` | (n_event_times,) |
| $H_0$ | `baseline_cumulative_hazard_` | (n_event_times,) |

References
----------
Cox 1972, J R Stat Soc B 34:187; Simon et al. 2011, J Stat Softw 39(5):1 (elastic net; there the likelihood is
scaled by 2/n). The penalty is that of lifelines, with exact zeros.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import minimize
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.expression.models.cox import RiskSets, breslow, log_partial_likelihood, risk_sets
from latentgenomes.expression.models.newton import newton_ridge, rotate
from latentgenomes.nn.estimator import TorchEstimator

Array = npt.NDArray[np.float64]


def check_survival(y: Any, *, n_samples: int | None = None) -> tuple[Array, Array]:
    """Times and events of an outcome, float64, (n,), checked. `y` is a DataFrame or structured array with
    ``time`` and ``event``, or an array of shape (n, 2) or (n,): times alone mean that every event was seen.
    ValueError unless times are finite and >= 0, events 1 (seen) or 0 (censored), one event at least is seen,
    and there are `n_samples`.
    """
    if isinstance(y, pd.DataFrame) or getattr(getattr(y, "dtype", None), "names", None):
        names = list(y.columns) if isinstance(y, pd.DataFrame) else list(y.dtype.names)
        missing = [name for name in ("time", "event") if name not in names]
        if missing:
            raise ValueError(
                f"y must name time and event, but {missing[0]!r} is not among {names}. Rename it."
            )
        times, events = (np.asarray(y[name], dtype=np.float64) for name in ("time", "event"))
    else:
        values = np.asarray(y, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] not in (1, 2):
            raise ValueError(
                f"y must hold times, or times and events, but its shape is {np.shape(y)}. Pass (n, 2)."
            )
        times, events = values[:, 0], values[:, 1] if values.shape[1] == 2 else np.ones(len(values))
    if n_samples is not None and len(times) != n_samples:
        raise ValueError(f"y must have one outcome a sample, but {len(times)} came for {n_samples} samples.")
    _refuse(~np.isfinite(times), times, "times in y", "finite; NaN and infinity are not", "Leave them out.")
    _refuse(times < 0, times, "times in y", ">= 0", "Check the date of entry.")
    _refuse(
        ~np.isin(events, [0, 1]), events, "events in y", "1 (seen) or 0 (censored)", "Recode or leave out."
    )
    if not events.any():
        raise ValueError(f"y must hold at least one event, but all {len(times)} outcomes are censored.")
    return times, events


def _refuse(bad: npt.NDArray[np.bool_], values: Array, name: str, rule: str, advice: str) -> None:
    if bad.any():
        raise ValueError(
            f"{name} must be {rule}, but {bad.sum()} of {len(bad)} are not; the first is "
            f"{values[bad.argmax()]:g} at position {bad.argmax()}. {advice}"
        )


class ProportionalHazards:
    """Abstract: what follows from log hazard ratios, of `predict`, and Breslow's baseline hazard."""

    event_times_: Array
    baseline_cumulative_hazard_: Array
    predict: Callable[[Any], npt.NDArray[Any]]

    def predict_survival_function(self, X: Any, times: npt.ArrayLike) -> Array:
        """Probability of no event by each time, (n_samples, n_times); constant after the last event time."""
        log_hazards = self.predict(X)
        position = np.searchsorted(self.event_times_, np.asarray(times, dtype=np.float64), side="right")
        cumulative = np.r_[0.0, self.baseline_cumulative_hazard_][position]
        survival: Array = np.exp(-np.exp(log_hazards)[:, None] * cumulative)
        return survival

    def score(self, X: Any, y: Any) -> float:
        """Log partial likelihood per event over that of a model without features, in nats; higher is better.
        0 means that the features tell nothing. Unlike the C-index it is a proper score, and it varies less
        between small folds; `latentgenomes.expression.evaluate.survival` has the C-index.
        """
        log_hazards = torch.from_numpy(self.predict(X))
        times, events = check_survival(y, n_samples=len(log_hazards))
        sets = risk_sets(torch.from_numpy(times), torch.from_numpy(events))
        nothing = log_partial_likelihood(torch.zeros_like(log_hazards), sets)
        return float(log_partial_likelihood(log_hazards, sets) - nothing) / len(sets.members)

    def __sklearn_tags__(self) -> Tags:
        """State that outcomes are needed, and that times must be positive."""
        tags: Tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        return tags


class CoxRegression(ProportionalHazards, TorchEstimator):
    """Proportional hazards with a ridge or elastic-net penalty; ties after Efron, baseline after Breslow.

    Parameters
    ----------
    alpha : strength of the penalty, >= 0; scale the features first, for it treats all alike
    l1_ratio : 0 is ridge, 1 the lasso
    max_iter, tol : most steps of the optimiser, and the gradient, per patient, at which it stops

    Attributes
    ----------
    coef_ : log hazard ratio for one unit of each feature, (n_features,)
    mean_ : of the training features, (n_features,)
    event_times_, baseline_cumulative_hazard_ : of a patient with average features, in the unit of the times
    n_iter_ : steps made
    """

    def __init__(
        self, alpha: float = 0.1, *, l1_ratio: float = 0.0, max_iter: int = 2000, tol: float = 1e-9
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any) -> Self:
        """Estimate coefficients and baseline from features X, (n_samples, n_features), and outcomes y.
        ValueError if a setting is out of range, or the outcomes are refused by `check_survival`.
        """
        if not self.alpha >= 0:
            raise ValueError(f"alpha must be >= 0, but {self.alpha} came.")
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio must be in [0, 1], but {self.l1_ratio} came.")
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None.")
        features = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        times, events = check_survival(y, n_samples=len(features))
        sets = risk_sets(torch.from_numpy(times), torch.from_numpy(events))
        self.mean_ = features.mean(0)
        centred = features - self.mean_
        solve = self._elastic_net if self.alpha * self.l1_ratio > 0 else self._ridge
        self.coef_, self.n_iter_ = solve(centred, sets)
        log_hazards = torch.from_numpy(centred @ self.coef_)
        event_times, hazard = breslow(log_hazards, sets)
        self.event_times_, self.baseline_cumulative_hazard_ = event_times.numpy(), hazard.numpy()
        return self

    def _ridge(self, centred: Array, sets: RiskSets) -> tuple[Array, int]:
        """Minimise over the span of the samples: the best coefficients have no part outside it."""
        scores, right = rotate(centred)
        rotated, n_iter = newton_ridge(scores, sets, self.alpha, tol=self.tol)
        if n_iter == 0:  # log hazards too far apart for Newton's steps
            objective = _penalised(scores, sets, self.alpha)
            rotated, n_iter = self._minimise(objective, scores.shape[1], signed=True)
        return rotated @ right, n_iter

    def _elastic_net(self, centred: Array, sets: RiskSets) -> tuple[Array, int]:
        """Split every coefficient into two parts >= 0: then the penalty is smooth and zeros are exact."""
        smooth = _penalised(centred, sets, self.alpha * (1 - self.l1_ratio))
        n_features = centred.shape[1]
        slope = self.alpha * self.l1_ratio

        def objective(parts: Array) -> tuple[float, Array]:
            value, gradient = smooth(parts[:n_features] - parts[n_features:])
            return value + slope * parts.sum(), np.r_[gradient, -gradient] + slope

        parts, n_iter = self._minimise(objective, 2 * n_features, signed=False)
        return parts[:n_features] - parts[n_features:], n_iter

    def _minimise(
        self, objective: Callable[[Array], tuple[float, Array]], size: int, *, signed: bool
    ) -> tuple[Array, int]:
        found = minimize(
            objective,
            np.zeros(size),
            jac=True,
            method="L-BFGS-B",
            bounds=None if signed else [(0, None)] * size,
            options={
                "maxiter": self.max_iter,
                "maxfun": 4 * self.max_iter,
                "gtol": self.tol,
                "ftol": 0,
                "maxcor": 30,
            },
        )
        return found.x, int(found.nit)

    def predict(self, X: Any) -> Array:
        """Log hazard ratio of each sample to a patient with average features; higher is a higher risk."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        return (features - self.mean_) @ self.coef_

    def _build_module(self) -> None:
        return None


def _penalised(features: Array, sets: RiskSets, ridge: float) -> Callable[[Array], tuple[float, Array]]:
    """Function that gives the objective without its l1 part, and its gradient."""
    matrix = torch.from_numpy(np.ascontiguousarray(features))

    def objective(coefficients: Array) -> tuple[float, Array]:
        beta = torch.tensor(coefficients, requires_grad=True)
        loss = -log_partial_likelihood(matrix @ beta, sets) / len(matrix) + ridge / 2 * beta.square().sum()
        loss.backward()
        return float(loss.detach()), beta.grad.numpy()  # type: ignore[union-attr]

    return objective
