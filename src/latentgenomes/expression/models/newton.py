r"""Newton's method for ridge Cox regression, and a whole path of penalties at once.

One step from the coefficients :math:`\beta` solves :math:`H \delta = g` with the gradient g and the Hessian H
of the penalised partial likelihood. With the weighted mean :math:`a_j` of the features of those at risk at
event j,

.. math::
    n g = \sum_j (a_j - x_j) + n \alpha \beta, \qquad
    n H = X^\top \mathrm{diag}(w\, c)\, X - \sum_j a_j a_j^\top + n \alpha I,

where :math:`w = e^{\eta}` and c is each patient's share of all the sums at risk that it is in. Ties follow
Efron. A step that does not lower the objective is halved.

| symbol | name in code | shape |
|---|---|---|
| $\beta$ | `beta` | (p,) |
| $g$ | `gradient` | (p,) |
| $H$ | `hessian` | (p, p) |
| $a$ | `means` | (n_events, p) |
| $w$ | `w` | (n,) |
| $c$ | `shares` | (n,) |
| $\alpha$ | `alpha` | scalar |

References
----------
Cox 1972, J R Stat Soc B 34:187. Efron 1977, J Am Stat Assoc 72:557, eq. 3.5.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from latentgenomes.expression.models.cox import RiskSets, breslow, risk_sets

Array = npt.NDArray[np.float64]
_LARGEST_RANGE = 300.0  # of log hazards: beyond, sums of hazards lose the small ones


class RidgeModel(NamedTuple):
    """Coefficients (p,) under one penalty, and Breslow's baseline, just after each event time."""

    coefficients: Array
    times: Array
    cumulative: Array

    def survival(self, log_hazards: Array, times: npt.ArrayLike) -> Array:
        """Probability of no event up to each time, (n, n_times)."""
        place = np.searchsorted(self.times, np.asarray(times, dtype=np.float64), side="right")
        curves: Array = np.exp(-np.exp(log_hazards)[:, None] * np.r_[0.0, self.cumulative][place])
        return curves


def ridge_path(features: Array, outcome: Array, alphas: Sequence[float]) -> list[RidgeModel]:
    """Ridge Cox models under several penalties, decreasing, each begun at the answer of the one before;
    `features`, (n, p), are centred and scaled alike. ValueError if no minimum is found under a penalty.
    """
    sets = risk_sets(torch.from_numpy(outcome[:, 0].copy()), torch.from_numpy(outcome[:, 1].copy()))
    found: list[RidgeModel] = []
    beta = None
    for alpha in alphas:
        beta, n_iter = newton_ridge(features, sets, alpha, start=beta, tol=1e-6)
        if n_iter == 0:
            raise ValueError(f"Newton's method found no minimum at alpha = {alpha}. Take a larger alpha.")
        times, cumulative = breslow(torch.from_numpy(features @ beta), sets)
        found.append(RidgeModel(beta, times.numpy(), cumulative.numpy()))
    return found


def rotate(centred: Array) -> tuple[Array, Array]:
    """Scores (n, rank) and orthonormal rows (rank, p) with centred = scores @ rows."""
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    kept = sizes > sizes.max(initial=0.0) * 1e-12
    return left[:, kept] * sizes[kept], right[kept]


def newton_ridge(
    features: Array,
    sets: RiskSets,
    alpha: float,
    *,
    start: Array | None = None,
    tol: float = 1e-9,
    max_iter: int = 50,
) -> tuple[Array, int]:
    """Coefficients (p,) of the ridge objective by Newton's method, with steps halved while they do not help,
    until the gradient, per patient, is below `tol`. The second answer is the steps made; 0 where no minimum
    was reached, and the coefficients are not to be used.
    """
    beta = np.zeros(features.shape[1]) if start is None else start
    value, gradient, hessian = _newton_terms(features, sets, alpha, beta)
    for step in range(1, max_iter + 1):
        if np.abs(gradient).max(initial=0.0) <= tol:
            return beta, step
        try:
            move = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return beta, 0
        size = 1.0
        while size > 1e-8:
            found = _newton_terms(features, sets, alpha, beta - size * move)
            if found[0] <= value + 1e-12 * abs(value):
                break
            size /= 2
        else:
            return beta, 0
        beta = beta - size * move
        value, gradient, hessian = found
    return beta, 0


def _newton_terms(features: Array, sets: RiskSets, alpha: float, beta: Array) -> tuple[float, Array, Array]:
    """Ridge objective, its gradient (p,) and Hessian (p, p), with Efron's ties."""
    order, members, last, tie, fraction = (part.numpy() for part in sets[:5])
    x = features[order]
    eta = x @ beta
    if len(eta) and np.ptp(eta) > _LARGEST_RANGE:
        return np.inf, np.zeros_like(beta), np.eye(len(beta))
    w = np.exp(eta - eta.max())
    tied_w = np.bincount(tie, w[members], len(sets.times))
    at_risk = np.cumsum(w)[last] - fraction * tied_w[tie]  # (n_events,)
    weighted = w[:, None] * x
    tied_x = np.zeros((len(sets.times), x.shape[1]))
    np.add.at(tied_x, tie, weighted[members])
    means = (np.cumsum(weighted, axis=0)[last] - fraction[:, None] * tied_x[tie]) / at_risk[:, None]
    # Each patient's share of all the sums at risk that it is in, less what Efron takes from the tied.
    ends = np.bincount(last, 1 / at_risk, len(x))
    shares = np.cumsum(ends[::-1])[::-1].copy()
    shares[members] -= np.bincount(tie, fraction / at_risk, len(sets.times))[tie]
    n = len(x)
    value = (np.log(at_risk) + eta.max() - eta[members]).sum() / n + alpha / 2 * beta @ beta
    gradient = (means - x[members]).sum(0) / n + alpha * beta
    hessian = ((w * shares)[:, None] * x).T @ x - means.T @ means
    return float(value), gradient, hessian / n + alpha * np.eye(len(beta))
