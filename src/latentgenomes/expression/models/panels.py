r"""Imputation of a transcriptome from a panel of genes: three regressions on the panel, weighed.

Where all samples lack the same genes, the missing ones U follow from the measured ones, the panel O, by
regressions that are fitted once on a reference of complete samples. With standardised genes,

.. math::
    \hat x_U = \sum_j w_j \hat x_U^{(j)}, \qquad
    \hat x_U^{(1)} = x_O B, \quad
    \hat x_U^{(2)} = \mu_N + (x_O - \mu_{N,O}) B_N, \quad
    \hat x_U^{(3)} = \tfrac{1}{k} \sum_{t \in N_k} t_U .

The first is ridge regression on all reference samples, with a penalty for each gene chosen by generalised
cross-validation. The second is ridge regression on the n nearest ones, in panel genes, of the sample at hand.
The third is the mean of the k nearest. The weights are non-negative least squares on reference samples that
were held out.

| symbol | name in code | shape |
|---|---|---|
| $O$ | `panel` | (m,) |
| $U$ | `rest_` | (p - m,) |
| $B$ | `coef_` | (m, p - m) |
| $n$ | `n_neighbors` | scalar |
| $k$ | `n_nearest` | scalar |
| $w$ | `weights_` | (3,) |

References
----------
Golub, Heath & Wahba 1979, Technometrics 21:215 (generalised cross-validation). Cleveland 1979, J Am Stat
Assoc 74:829 (local regression). Wolpert 1992, Neural Networks 5:241 (weights from held-out predictions).
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.expression.models.factors import FactorImputer, moments, standardised
from latentgenomes.expression.models.imputers import GapFiller, conditional_means
from latentgenomes.nn.train import progress

Array = npt.NDArray[np.float32]
_RIDGES = np.geomspace(1e-3, 3, 12)
_GAPS_RIDGE = 0.1
_MOST_HELD_OUT = 300
_GENES_FOR_WEIGHTS = 2000


class PanelImputer(GapFiller):
    """The genes outside a panel, from those in it, by global and local ridge regression.

    Parameters
    ----------
    panel : columns of the measured genes, at least one and not all; gaps in them are filled first
    n_neighbors, ridge : samples of the local regression, and its penalty in variances of a gene
    n_nearest : samples of the mean
    random_state : seed of the samples held out for the weights

    Attributes
    ----------
    mean_, scale_ : of the training values, (n_genes,)
    rest_ : columns of the other genes, (p - m,)
    coef_ : of the global regression, standardised, (m, p - m)
    weights_ : of the three regressions, (3,)
    covariance_ : of the panel, by which gaps in it are filled, (m, m)
    training_ : standardised training samples, (n_training, n_genes)
    """

    def __init__(
        self,
        panel: Sequence[int] = (0,),
        *,
        n_neighbors: int = 300,
        ridge: float = 0.3,
        n_nearest: int = 10,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.panel = panel
        self.n_neighbors = n_neighbors
        self.ridge = ridge
        self.n_nearest = n_nearest
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X, (n_samples, n_genes). Gaps are filled by `FactorImputer`. ValueError for a panel of
        no genes, of all, or of genes that are not there.
        """
        given = validate_data(
            self, X, dtype=[np.float32, np.float64], ensure_all_finite="allow-nan", ensure_min_samples=5
        )
        panel = np.asarray(self.panel, dtype=np.int64)
        rest = np.setdiff1d(np.arange(given.shape[1]), panel)
        if not len(panel) or not len(rest) or panel.min() < 0 or panel.max() >= given.shape[1]:
            raise ValueError(
                f"panel must name some columns of X and not all, but it has {len(panel)} for X of "
                f"n_features = {given.shape[1]} genes. Pass the columns of the measured genes."
            )
        observed = np.isfinite(given)
        if not observed.all():
            given = FactorImputer(n_partners=0, random_state=self._seeds(1)[0]).fit(given).impute(given)
            observed = np.isfinite(given)
        self.rest_ = rest
        self.mean_, self.scale_ = moments(given)
        self.training_ = standardised(given, observed, self.mean_, self.scale_)
        shown = self.training_[:, panel].astype(np.float64)
        self.covariance_ = shown.T @ shown / len(shown) + _GAPS_RIDGE * np.eye(len(panel))
        self._weigh(panel)
        self.coef_ = _ridge(self.training_[:, panel], self.training_[:, rest])
        return self

    def _weigh(self, panel: npt.NDArray[np.int64]) -> None:
        """Weights of the three regressions from samples held out."""
        n_samples = len(self.training_)
        generator = np.random.default_rng(self._seeds(2)[1])
        order = generator.permutation(n_samples)
        n_held_out = min(max(n_samples // 5, 1), _MOST_HELD_OUT)
        held_out, others = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
        genes = np.sort(generator.permutation(self.rest_)[:_GENES_FOR_WEIGHTS])
        known, target = self.training_[np.ix_(others, panel)], self.training_[np.ix_(others, genes)]
        shown = self.training_[np.ix_(held_out, panel)]
        guesses = [shown @ _ridge(known, target), *self._near(shown, known, target)]
        design = np.stack([guess.ravel() for guess in guesses], axis=1).astype(np.float64)
        truth = self.training_[np.ix_(held_out, genes)].ravel().astype(np.float64)
        self.weights_ = nnls(design.T @ design + 1e-6 * np.eye(3), design.T @ truth)[0]

    def _near(self, shown: Array, known: Array, target: Array) -> tuple[Array, Array]:
        """Local regression, and mean of the nearest: targets of the samples shown, each (n, n_targets)."""
        local, mean = (np.empty((len(shown), target.shape[1]), np.float32) for _ in range(2))
        k = min(self.n_neighbors, len(known))
        squares = (known**2).sum(axis=1)
        for row in progress(range(len(shown)), "patients"):
            distance = squares - 2 * known @ shown[row]
            near = np.argpartition(distance, k - 1)[:k]
            near = near[np.argsort(distance[near], kind="stable")]
            mean[row] = target[near[: self.n_nearest]].mean(axis=0)
            local[row] = self._local(shown[row], known[near], target[near])
        return local, mean

    def _local(self, shown: Array, known: Array, target: Array) -> Array:
        """Ridge regression of the targets of the neighbours on their panel, at one sample; as weights of the
        neighbours, so that targets are read once.
        """
        middle = known.mean(axis=0)
        centred = known - middle
        k, m = centred.shape
        if m <= k:
            system = centred.T @ centred + self.ridge * k * np.eye(m, dtype=np.float32)
            weights = centred @ cho_solve(cho_factor(system), shown - middle)
        else:
            system = centred @ centred.T + self.ridge * k * np.eye(k, dtype=np.float32)
            weights = cho_solve(cho_factor(system), centred @ (shown - middle))
        # Weights of centred targets: subtracting their mean makes them sum to 0, then the mean is added.
        predicted: Array = (weights - weights.mean() + 1 / k).astype(np.float32) @ target
        return predicted

    def impute(self, X: Any) -> npt.NDArray[Any]:
        """X with numbers in place of NaN; what was measured outside the panel stays, and tells nothing."""
        check_is_fitted(self)
        given = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False
        )
        observed = np.isfinite(given)
        filled = given.copy()
        rows = np.flatnonzero(~observed.all(axis=1))
        if not len(rows):
            return filled
        panel = np.asarray(self.panel, dtype=np.int64)
        values = standardised(given[rows], observed[rows], self.mean_, self.scale_)
        precision = np.linalg.inv(self.covariance_)
        measured = observed[np.ix_(rows, panel)]
        shown = conditional_means(values[:, panel], measured, self.covariance_, precision).astype(np.float32)
        local, mean = self._near(shown, self.training_[:, panel], self.training_[:, self.rest_])
        weights = self.weights_.astype(np.float32)
        predicted = values
        predicted[:, panel] = shown
        predicted[:, self.rest_] = weights[0] * (shown @ self.coef_) + weights[1] * local + weights[2] * mean
        back = predicted * self.scale_ + self.mean_
        filled[rows] = np.where(observed[rows], given[rows], back)
        return filled

    def __sklearn_tags__(self) -> Tags:
        """State that numbers keep their precision."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _ridge(known: Array, target: Array) -> Array:
    """Coefficients, (m, n_targets), of ridge regression, with the penalty of each target that has the lowest
    generalised cross-validation error. One eigendecomposition of the panel serves all penalties and targets.
    """
    n_samples = len(known)
    sizes, vectors = np.linalg.eigh((known.T @ known).astype(np.float64) / n_samples)
    sizes = np.maximum(sizes, 0.0)
    products = vectors.T @ ((known.T @ target) / n_samples)  # (m, n_targets)
    total = (target**2).mean(axis=0, dtype=np.float64)
    squares = products**2
    scores = []
    for ridge in _RIDGES:
        shrunk = 1 / (sizes + ridge)
        left = total - (2 * shrunk - shrunk**2 * sizes) @ squares
        scores.append(left / (1 - (sizes * shrunk).sum() / n_samples) ** 2)
    best = _RIDGES[np.argmin(scores, axis=0)]
    coefficients: Array = (vectors @ (products / (sizes[:, None] + best))).astype(np.float32)
    return coefficients
