r"""Ridge regression on several targets, with the predictions for a group that was left out in closed form.

With rows phi of a design, weights w and targets Y,

.. math::
    \beta = (A + \lambda I)^{-1} B, \qquad A = \Phi^\top W \Phi, \quad B = \Phi^\top W Y .

A and B are sums over the rows, so a fit on some columns needs only the part of A and B that belongs to them:
one pair serves every subset of profiles. Had a group G been left out, its residuals would have been

.. math:: R_{-G} = (I - H_G W_G)^{-1} R_G, \qquad H_G = \Phi_G (A + \lambda I)^{-1} \Phi_G^\top,

without another fit.

| symbol | name in code | shape |
|---|---|---|
| $\Phi$ | `design` | (n, m) |
| $W$ | `weight` | (n,) |
| $Y$ | `targets` | (n, t) |
| $A$ | `gram` | (m, m) |
| $B$ | `moment` | (m, t) |
| $\lambda$ | `ridge` | scalar |

References
----------
Cook & Weisberg 1982, Residuals and Influence in Regression, section 3.6 (leaving out groups).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def pack(gram: Array) -> npt.NDArray[np.float32]:
    """Upper half of a symmetric matrix, in single precision."""
    return np.asarray(gram[np.triu_indices(len(gram))], dtype=np.float32)


def unpack(packed: npt.NDArray[np.float32], size: int) -> Array:
    """Undo `pack`."""
    gram = np.zeros((size, size))
    gram[np.triu_indices(size)] = packed
    return np.asarray(gram + np.triu(gram, 1).T)


def factorize(gram: Array, ridge: float) -> Any:
    """Factor of A + lambda I for `cho_solve`."""
    return cho_factor(gram + ridge * np.eye(len(gram)))


def coefficients(gram: Array, moment: Array, ridge: float) -> Array:
    """beta, (m, t)."""
    return np.asarray(cho_solve(factorize(gram, ridge), moment))


def targets(codes: Ints, n_types: int) -> Array:
    """1 for the type of each row, -1 / (n_types - 1) for the others: (n,) -> (n, n_types)."""
    hit = codes[:, None] == np.arange(n_types)
    return np.where(hit, 1.0, -1.0 / max(n_types - 1, 1))


def balanced_weights(codes: Ints, groups: Ints) -> Array:
    """Weights of rows, mean 1: every type weighs the same, and within it every group."""
    pairs = np.unique(np.stack([codes, groups]), axis=1, return_inverse=True)[1].ravel()
    n_pair = np.bincount(pairs)[pairs]
    first = np.unique(pairs, return_index=True)[1]
    n_groups = np.bincount(codes[first], minlength=codes.max() + 1)[codes]
    weight = 1.0 / (n_pair * n_groups)
    return np.asarray(weight / weight.mean())


def left_out(design: Array, weight: Array, aims: Array, ridge: float, groups: Ints) -> Array:
    """Predictions for every row, (n, t), by the fit that had not seen the row's group."""
    gram = (design * weight[:, None]).T @ design
    factor = factorize(gram, ridge)
    reached = cho_solve(factor, design.T)  # (m, n)
    residual = aims - design @ cho_solve(factor, design.T @ (aims * weight[:, None]))
    found = np.empty_like(aims)
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        leverage = design[rows] @ reached[:, rows]
        found[rows] = aims[rows] - np.linalg.solve(
            np.eye(len(rows)) - leverage * weight[rows], residual[rows]
        )
    return found
