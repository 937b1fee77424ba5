r"""Imputation by a mixture of Gaussians: conditional means of each component, weighed by what is observed.

Tumours fall into types, and one covariance does not hold for all of them. With K components of weight
:math:`\pi_k`, mean :math:`\mu_k` and covariance :math:`\Sigma_k`, the observed genes O of a sample say which
components it may belong to, and each component says what the missing genes M are:

.. math::
    \rho_k \propto \pi_k\, \mathrm{Normal}(x_O; \mu_{k,O}, \Sigma_{k,OO})^{1/T}, \qquad
    \hat x_M = \sum_k \rho_k \left[ \mu_{k,M} + \Sigma_{k,MO} \Sigma_{k,OO}^{-1} (x_O - \mu_{k,O}) \right].

The covariances are shrunk to the pooled one within components, :math:`\Sigma_k = (n_k S_k + \nu W) / (n_k +
\nu) + \lambda I`. The temperature T > 1 tames weights that are too sure of themselves, because genes are not
as Gaussian as the model says. Components start as k-means clusters of the leading principal components and
are refined by a few rounds of expectation-maximisation.

| symbol | name in code | shape |
|---|---|---|
| $K$ | `n_components` | scalar |
| $\pi$ | `weights_` | (K,) |
| $\mu$ | `means_` | (K, p), of standardised genes |
| $\Sigma$ | `covariances_` | (K, p, p), of standardised genes |
| $\nu$ | `shrinkage` | scalar, in samples |
| $\lambda$ | `ridge` | scalar, in variances of a gene |
| $T$ | `temperature` | scalar |
| $\rho$ | `responsibilities` | (K,) for a sample |

References
----------
Ghahramani & Jordan 1994, NIPS 6:120 (mixtures with missing entries). Dempster, Laird & Rubin 1977, J R Stat
Soc B 39:1 (expectation-maximisation).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from latentgenomes.expression.models.imputers import Array, ExpressionImputer, Mask, RandomState, RidgeImputer

Indices = npt.NDArray[np.signedinteger[Any]]
_MOST_SCORES = 30  # principal components in which clusters start
_FEWEST = 10  # samples for each component, on average


class Conditional(NamedTuple):
    """What one Gaussian says of a sample: log density of the observed genes, and the missing ones' mean."""

    log_density: float
    mean: Array


class MixtureImputer(ExpressionImputer):
    """Mixture of Gaussians with full covariances, shrunk to the pooled one.

    Training samples with missing genes are filled by the conditional mean of one Gaussian first.

    Parameters
    ----------
    n_components : K, at least 1; fewer where there are not 10 samples for each
    shrinkage : float > 0; how many samples the pooled covariance counts for in each component
    ridge : float > 0, added to every gene's variance
    temperature : float > 0; 1 takes the model at its word, more spreads the weights
    n_rounds : rounds of expectation-maximisation after k-means
    random_state : int, RandomState or None; seed of k-means

    Attributes
    ----------
    weights_, means_, covariances_ : (K,), (K, n_genes) and (K, n_genes, n_genes)
    """

    def __init__(
        self,
        n_components: int = 60,
        *,
        shrinkage: float = 100.0,
        ridge: float = 0.05,
        temperature: float = 1.5,
        n_rounds: int = 1,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.ridge = ridge
        self.temperature = temperature
        self.n_rounds = n_rounds
        self.random_state = random_state

    def _learn(self, values: Array) -> None:
        for name in ("n_components", "shrinkage", "ridge", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, but {getattr(self, name)} came.")
        if self.n_rounds < 0:
            raise ValueError(f"n_rounds must be >= 0, but {self.n_rounds} came.")
        if not np.isfinite(values).all():
            values = RidgeImputer(self.ridge).fit(values).impute(values)
        rng = check_random_state(self.random_state)
        n_components = max(min(self.n_components, len(values) // _FEWEST), 1)
        n_scores = min(_MOST_SCORES, *values.shape)
        scores = PCA(n_scores, svd_solver="covariance_eigh").fit_transform(values)
        labels = KMeans(n_components, n_init=1, random_state=rng).fit_predict(scores)
        shares = np.eye(n_components)[labels]
        self._maximise(values, shares)
        for _ in range(self.n_rounds):
            self._maximise(values, self._expect(values))
        self.precisions_ = np.linalg.inv(self.covariances_)
        self.log_determinants_ = np.linalg.slogdet(self.covariances_)[1]

    def _maximise(self, values: Array, shares: Array) -> None:
        """Weights, means and shrunk covariances under shares (n, K)."""
        sizes = shares.sum(0)
        self.weights_ = sizes / len(values)
        self.means_ = (shares.T @ values) / sizes[:, None]
        scatters = np.empty((len(sizes), values.shape[1], values.shape[1]))
        for k, (share, mean) in enumerate(zip(shares.T, self.means_, strict=True)):
            rows = np.flatnonzero(share > 1e-4)
            spread = (values[rows] - mean) * np.sqrt(share[rows])[:, None]
            scatters[k] = spread.T @ spread
        pooled = scatters.sum(0) / len(values)
        total = (sizes + self.shrinkage)[:, None, None]
        self.covariances_ = (scatters + self.shrinkage * pooled) / total
        self.covariances_ += self.ridge * np.eye(values.shape[1])

    def _expect(self, values: Array) -> Array:
        """Share of every component in every complete sample, (n, K)."""
        logits = np.empty((len(values), len(self.weights_)))
        for k, (mean, covariance) in enumerate(zip(self.means_, self.covariances_, strict=True)):
            root = np.linalg.cholesky(covariance)
            white = solve_triangular(root, (values - mean).T, lower=True)
            logits[:, k] = -0.5 * (white**2).sum(0) - np.log(np.diag(root)).sum()
        shares: Array = softmax(logits + np.log(self.weights_), axis=1)
        return shares

    def _fill(self, values: Array, observed: Mask) -> Array:
        filled = values.copy()
        for row, seen in enumerate(observed):
            o, m = np.flatnonzero(seen), np.flatnonzero(~seen)
            answers = [self._condition(k, values[row, o], o, m) for k in range(len(self.weights_))]
            logits = np.array([answer.log_density for answer in answers]) / self.temperature
            responsibilities = softmax(logits + np.log(self.weights_))
            filled[row, m] = responsibilities @ np.stack([answer.mean for answer in answers])
        return filled

    def _condition(self, k: int, known: Array, o: Indices, m: Indices) -> Conditional:
        """One component's answer; of two equal forms the one with the smaller system is solved."""
        mean, centred = self.means_[k, m], known - self.means_[k, o]
        if len(o) <= len(m):
            covariance = self.covariances_[k]
            factor = cho_factor(covariance[np.ix_(o, o)], lower=True, check_finite=False)
            solved = cho_solve(factor, centred, check_finite=False)
            log_determinant = 2 * np.log(np.diag(factor[0])).sum()
            mean = mean + covariance[np.ix_(m, o)] @ solved
            return Conditional(-0.5 * float(centred @ solved + log_determinant), mean)
        precision = self.precisions_[k]
        across = precision[np.ix_(m, o)] @ centred
        factor = cho_factor(precision[np.ix_(m, m)], lower=True, check_finite=False)
        solved = cho_solve(factor, across, check_finite=False)
        log_determinant = self.log_determinants_[k] + 2 * np.log(np.diag(factor[0])).sum()
        square = centred @ (precision[np.ix_(o, o)] @ centred) - across @ solved
        return Conditional(-0.5 * float(square + log_determinant), mean - solved)
