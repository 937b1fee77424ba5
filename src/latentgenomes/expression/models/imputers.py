r"""Imputation by Gaussian conditional means, global and local.

A sample's observed genes O tell about its missing genes M. For genes that are jointly Gaussian,

.. math::
    \hat x_M = \mu_M + \Sigma_{MO} \left(\Sigma_{OO} + \lambda I\right)^{-1} (x_O - \mu_O),

which is the ridge regression of M on O. `RidgeImputer` takes :math:`\mu, \Sigma` from all training samples.
`LocalRidgeImputer` takes them, for every sample anew, from its k nearest training samples, where near means

.. math::
    d^2 = \frac{1}{|O|} \sum_{g \in O} (x_g - t_g)^2 .

| symbol | name in code | shape |
|---|---|---|
| $x$ | `values` | (n, p), NaN where missing |
| $O$ | `observed` | (n, p), True where observed |
| $\mu$ | `mean_` | (p,) |
| $\Sigma$ | `covariance_` | (p, p), of standardised genes |
| $\lambda$ | `ridge` | scalar, in variances of a gene |
| $t$ | `training_` | (n_training, p) |
| $k$ | `n_neighbors` | scalar |
| $d^2$ | `squared_distances` | (n, n_training) |

References
----------
Little & Rubin 2019, Statistical Analysis with Missing Data, section 11.2 (conditional means). Tipping &
Bishop 1999, J R Stat Soc B 61:611 (the covariance of a few principal components).
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from latentgenomes.nn.estimator import TorchEstimator

Array = npt.NDArray[np.floating[Any]]  # float64, or float32 inside a network
Mask = npt.NDArray[np.bool_]
RandomState = int | np.random.RandomState | None


class GapFiller(OneToOneFeatureMixin, TransformerMixin, TorchEstimator):
    """Abstract: NaN in, numbers out, under scikit-learn's names; a subclass has `fit` and `impute`."""

    @abstractmethod
    def impute(self, X: Any) -> npt.NDArray[Any]:
        """X with numbers in place of NaN."""

    def transform(self, X: Any) -> npt.NDArray[Any]:
        """Fill what is missing; the same as `impute`, under scikit-learn's name."""
        return self.impute(X)

    def _build_module(self) -> nn.Module | None:
        return None

    def __sklearn_tags__(self) -> Tags:
        """State that NaN is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class ExpressionImputer(GapFiller):
    """Abstract imputer: NaN in, numbers out; what was observed comes back unchanged. A subclass learns from
    standardised genes, constant ones in their own scale, in `_learn` and fills them in `_fill`.
    """

    mean_: Array
    scale_: Array

    @abstractmethod
    def _learn(self, values: Array) -> None:
        """Learn from standardised training values, NaN where missing."""

    @abstractmethod
    def _fill(self, values: Array, observed: Mask) -> Array:
        """Standardised predictions of all genes; `values` are 0 where not observed."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X, (n_samples, n_genes), NaN where missing; no gene may be missing everywhere."""
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        observed = np.isfinite(values)
        empty = np.flatnonzero(~observed.any(0))
        if len(empty):
            raise ValueError(
                f"X must observe every gene in at least one sample, but {len(empty)} of {values.shape[1]} "
                f"genes are missing everywhere; the first is column {empty[0]}. Leave them out."
            )
        self.mean_ = np.nanmean(values, axis=0)
        scale = np.nanstd(values, axis=0)
        self.scale_ = np.where(scale > 1e-10 * np.maximum(np.abs(self.mean_), 1e-300), scale, 1.0)
        self._learn((values - self.mean_) / self.scale_)
        return self

    def impute(self, X: Any) -> Array:
        """X with numbers in place of NaN; an empty sample gets what is expected of an unknown one."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        observed = np.isfinite(X)
        if observed.all():
            return X.copy()
        rows = np.flatnonzero(~observed.all(1))
        standardised = np.where(observed[rows], (X[rows] - self.mean_) / self.scale_, 0.0)
        filled = X.copy()
        predicted = self._fill(standardised, observed[rows]) * self.scale_ + self.mean_
        filled[rows] = np.where(observed[rows], X[rows], predicted)
        return filled


def patterns(observed: Mask) -> Iterator[tuple[npt.NDArray[np.int64], Mask]]:
    """Rows that share a pattern of observed genes, and that pattern, (p,)."""
    packed = np.packbits(observed, axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(inverse.ravel()))
    for start, end, row in zip(np.r_[0, ends[:-1]], ends, first, strict=True):
        yield order[start:end], observed[row]


def conditional_means(values: Array, observed: Mask, covariance: Array, precision: Array) -> Array:
    """Conditional mean of every gene given the observed ones, of centred Gaussians, (n, p). Of two equal
    forms the one with the smaller system is solved, with the covariance or its inverse, the precision.
    """
    means = np.where(observed, values, 0.0)
    for rows, seen in patterns(observed):
        o, m = np.flatnonzero(seen), np.flatnonzero(~seen)
        if len(o) == 0 or len(m) == 0:
            continue
        known = means[np.ix_(rows, o)].T  # (n_observed, n_rows)
        if len(o) <= len(m):
            solved = cho_solve(cho_factor(covariance[np.ix_(o, o)]), known)
            means[np.ix_(rows, m)] = (covariance[np.ix_(m, o)] @ solved).T
        else:
            right = precision[np.ix_(m, o)] @ known
            means[np.ix_(rows, m)] = -cho_solve(cho_factor(precision[np.ix_(m, m)]), right).T
    return means


class RidgeImputer(ExpressionImputer):
    """Gaussian conditional mean: ridge regression of the missing genes on the observed ones.

    Parameters
    ----------
    ridge : float > 0, added to every gene's variance of 1
    n_components : int or None; use the covariance of so many principal components and equal noise in the
        rest (probabilistic PCA) instead of the sample covariance
    n_rounds : where training values are missing, rounds of filling them by conditional means and estimating

    Attributes
    ----------
    mean_, scale_ : of the observed training values, (n_genes,)
    covariance_, precision_ : of standardised genes, `ridge` included, and its inverse, (n_genes, n_genes)
    """

    def __init__(self, ridge: float = 0.1, *, n_components: int | None = None, n_rounds: int = 5) -> None:
        self.ridge = ridge
        self.n_components = n_components
        self.n_rounds = n_rounds

    def _learn(self, values: Array) -> None:
        if not self.ridge > 0:
            raise ValueError(f"ridge must be > 0, but {self.ridge} came: it keeps the covariance invertible.")
        if self.n_components is not None and not 0 < self.n_components < values.shape[1]:
            raise ValueError(
                "n_components must be at least 1 and below the number of genes, but n_components = "
                f"{self.n_components} came for n_features = {values.shape[1]}."
            )
        observed = np.isfinite(values)
        filled = np.where(observed, values, 0.0)
        # What filling by the mean leaves out of the variance: expected squares of the missing entries.
        rounds = 1 if observed.all() else 1 + self.n_rounds
        for _ in range(rounds):
            self.covariance_ = self._estimate(filled)
            self.precision_ = np.linalg.inv(self.covariance_)
            filled = (
                filled
                if observed.all()
                else conditional_means(filled, observed, self.covariance_, self.precision_)
            )

    def _estimate(self, values: Array) -> Array:
        n_genes = values.shape[1]
        covariance = values.T @ values / len(values)
        if self.n_components is not None:
            sizes, vectors = np.linalg.eigh(covariance)
            noise = sizes[: n_genes - self.n_components].mean()
            top = vectors[:, n_genes - self.n_components :]
            covariance = (top * (sizes[n_genes - self.n_components :] - noise)) @ top.T + noise * np.eye(
                n_genes
            )
        return covariance + self.ridge * np.eye(n_genes)

    def _fill(self, values: Array, observed: Mask) -> Array:
        return conditional_means(values, observed, self.covariance_, self.precision_)


class LocalRidgeImputer(ExpressionImputer):
    """Gaussian conditional mean with mean and covariance of each sample's nearest training samples.

    Parameters
    ----------
    n_neighbors : k, the nearest training samples over the observed genes; all where there are fewer
    ridge : float > 0, added to every gene's variance, in overall variances of the gene
    prior : share, in [0, 1), of the overall covariance in the local one; 0 takes the neighbours alone

    Attributes
    ----------
    training_ : standardised training samples, (n_training, n_genes), filled by the conditional mean
    covariance_ : of all training samples, standardised, (n_genes, n_genes)
    """

    def __init__(self, n_neighbors: int = 500, *, ridge: float = 0.1, prior: float = 0.0) -> None:
        self.n_neighbors = n_neighbors
        self.ridge = ridge
        self.prior = prior

    def _learn(self, values: Array) -> None:
        if self.n_neighbors < 2:
            raise ValueError(f"n_neighbors must be at least 2, but {self.n_neighbors} came.")
        if not self.ridge > 0:
            raise ValueError(f"ridge must be > 0, but {self.ridge} came: it keeps the covariance invertible.")
        if not 0 <= self.prior < 1:
            raise ValueError(f"prior must be in [0, 1), but {self.prior} came.")
        if not np.isfinite(values).all():
            values = RidgeImputer(self.ridge).fit(values).impute(values)
        self.training_ = values
        self.covariance_ = values.T @ values / len(values)

    def _fill(self, values: Array, observed: Mask) -> Array:
        filled = np.empty_like(values)
        k = min(self.n_neighbors, len(self.training_))
        for start in range(0, len(values), 256):  # a block of distances is (256, n_training)
            block = slice(start, start + 256)
            distances = squared_distances(values[block], observed[block], self.training_)
            near = np.argpartition(distances, k - 1, axis=1)[:, :k]
            for row, (value, seen, rows) in enumerate(
                zip(values[block], observed[block], near, strict=True), start
            ):
                filled[row] = self._local(value, seen, self.training_[np.sort(rows)])
        return filled

    def _local(self, value: Array, seen: Mask, neighbours: Array) -> Array:
        """Conditional mean of one sample, (p,), from its neighbours, (k, p)."""
        mean = neighbours.mean(0)
        o = np.flatnonzero(seen)
        if len(o) == 0:
            return mean
        # Weighted so that the products below are covariances.
        spread = (neighbours - mean) * np.sqrt((1 - self.prior) / len(neighbours))  # (k, p)
        system = spread[:, o].T @ spread[:, o]
        if self.prior:
            system += self.prior * self.covariance_[np.ix_(o, o)]
        system[np.diag_indices(len(o))] += self.ridge
        solved = cho_solve(cho_factor(system, overwrite_a=True), value[o] - mean[o])
        predicted = mean + (spread[:, o] @ solved) @ spread
        if self.prior:
            predicted += self.prior * (solved @ self.covariance_[o])
        return predicted


class NeighbourImputer(ExpressionImputer):
    """Mean of each sample's nearest training samples over its observed genes.

    Parameters
    ----------
    n_neighbors : k; all of them where there are fewer
    ridge : float > 0, of the conditional mean that fills missing training values

    Attributes
    ----------
    training_ : standardised training samples, (n_training, n_genes)
    """

    def __init__(self, n_neighbors: int = 10, *, ridge: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.ridge = ridge

    def _learn(self, values: Array) -> None:
        if self.n_neighbors < 1:
            raise ValueError(f"n_neighbors must be at least 1, but {self.n_neighbors} came.")
        if not np.isfinite(values).all():
            values = RidgeImputer(self.ridge).fit(values).impute(values)
        self.training_ = values

    def _fill(self, values: Array, observed: Mask) -> Array:
        k = min(self.n_neighbors, len(self.training_))
        filled = np.empty_like(values)
        for start in range(0, len(values), 256):
            block = slice(start, start + 256)
            distances = squared_distances(values[block], observed[block], self.training_)
            near = np.argpartition(distances, k - 1, axis=1)[:, :k]
            filled[block] = self.training_[near].mean(1)
        return filled


def squared_distances(values: Array, observed: Mask, training: Array) -> Array:
    """Mean squared difference over each sample's observed genes, (n, n_training); 0 where it has none."""
    seen = observed.astype(values.dtype)
    known = values * seen
    total = (known**2).sum(1, keepdims=True) - 2 * known @ training.T + seen @ (training**2).T
    return np.maximum(total, 0.0) / np.maximum(seen.sum(1, keepdims=True), 1.0)
