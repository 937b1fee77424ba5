r"""Imputation of a whole transcriptome: factor analysis with gaps, then partners of each gene.

Expression of gene g in sample i follows from a few factors of the sample, and every gene has its own noise,

.. math::
    x_{ig} = \mu_g + w_g^\top z_i + \varepsilon_{ig}, \qquad
    z_i \sim \mathrm{Normal}(0, I), \quad \varepsilon_{ig} \sim \mathrm{Normal}(0, \psi_g), \quad
    w_{gk} \sim \mathrm{Normal}(0, 1 / \alpha_k).

The prior on the loadings shrinks factors that the data do not need, so that their number only has to be large
enough. All is estimated by variational expectation-maximisation over the measured entries alone: with
:math:`O_i` the genes measured in sample i,

.. math::
    \Lambda_i = I + \sum_{g \in O_i} \frac{w_g w_g^\top + S_g}{\psi_g}, \qquad
    \bar z_i = \Lambda_i^{-1} \sum_{g \in O_i} \frac{w_g (x_{ig} - \mu_g)}{\psi_g},

where :math:`S_g` is the posterior covariance of the loadings. Sums over the genes of products
:math:`w_g w_g^\top` are one matrix product for all samples, so that a round costs
:math:`O(n\,p\,k^2)`: linear in samples and in genes.

What the factors leave, :math:`r_{ig} = x_{ig} - \mu_g - w_g^\top \bar z_i`, some genes share with a few
others: their neighbours on a chromosome, copies of them, members of one complex. A ridge regression on the
residuals of the m genes that go with it most predicts it, for those genes where this pays in samples that
neither chose these genes nor fitted the regression.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `values` | (n, p), NaN where missing |
| $k$ | `n_factors` | scalar |
| $w$ | `loadings_` | (p, k) |
| $\mu$ | `mean_` | (p,) |
| $\psi$ | `noise_` | (p,), in variances of a gene |
| $\alpha$ | `precision_` | (k,) |
| $\bar z$ | `factors` | (n, k) |
| $m$ | `n_partners` | scalar |
| $r$ | `residuals` | (n, p), 0 where missing |

References
----------
Bishop 1999, NIPS 11:382 (shrinking principal components). Ilin & Raiko 2010, J Mach Learn Res 11:1957
(variational inference with missing values). Kim et al. 2005, Bioinformatics 21:187 (regression on the most
similar genes).
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.expression.models.imputers import GapFiller
from latentgenomes.expression.models.partners import find_partners, predict_residuals
from latentgenomes.nn.train import progress

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_ROWS = 1024
_LEAST_NOISE = 1e-3


class FactorImputer(GapFiller):
    """Factor analysis with gaps, refined by partners of each gene; in seconds for thousands of genes.

    Parameters
    ----------
    n_factors : most factors; those that the data do not need are shrunk away
    n_partners : genes that a gene's residual is regressed on; 0 for factors alone
    max_iter, tol : most rounds, and the relative change of the noise at which they stop
    warm_start : go on from the last fit, where that had as many genes
    random_state : seed of the start

    Attributes
    ----------
    mean_, scale_ : of the measured training values, (n_genes,)
    loadings_, noise_, offset_ : w, psi, and mu less the mean, of standardised genes
    precision_ : alpha, (n_factors,)
    partners_, weights_ : the partners of each gene and their weights, (n_genes, n_partners); 0 where none pay
    n_iter_ : rounds made
    """

    def __init__(
        self,
        n_factors: int = 40,
        *,
        n_partners: int = 50,
        max_iter: int = 50,
        tol: float = 1e-3,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.n_factors = n_factors
        self.n_partners = n_partners
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X, (n_samples, n_genes), NaN where missing; no gene may be missing everywhere.
        ValueError for such a gene, or for a setting out of range.
        """
        if self.n_factors < 1 or self.n_partners < 0 or self.max_iter < 1:
            raise ValueError(
                "n_factors and max_iter must be at least 1 and n_partners at least 0, but "
                f"n_factors = {self.n_factors}, max_iter = {self.max_iter}, n_partners = {self.n_partners}."
            )
        given = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,
        )
        observed = np.isfinite(given)
        empty = np.flatnonzero(~observed.any(axis=0))
        if len(empty):
            raise ValueError(
                f"X must observe every gene in at least one sample, but {len(empty)} of {given.shape[1]} "
                f"genes are missing everywhere; the first is column {empty[0]}. Leave them out."
            )
        self.mean_, self.scale_ = moments(given)
        values = standardised(given, observed, self.mean_, self.scale_)
        mask = None if observed.all() else observed.astype(np.float32)
        self._estimate(values, mask)
        residuals = self._residuals(values, mask)
        self.partners_, self.weights_ = find_partners(
            residuals, mask, min(self.n_partners, values.shape[1] - 1), random_state=self._seeds(2)[1]
        )
        return self

    def _estimate(self, values: Array, mask: Array | None) -> None:
        """Rounds of expectation-maximisation until the noise no longer changes."""
        n_samples, n_genes = values.shape
        k = min(self.n_factors, n_samples - 1, n_genes)
        before = getattr(self, "loadings_", None)
        fitted = self.warm_start and before is not None and before.shape == (n_genes, k)
        state = self._state() if fitted else _start(values, k, self._seeds(1)[0])
        counts = np.full(n_genes, n_samples, np.float32) if mask is None else mask.sum(axis=0)
        for n_iter in progress(range(1, self.max_iter + 1), "factors"):
            noise = state.noise
            state = _round(values, mask, counts, state)
            self.n_iter_ = n_iter
            if np.abs(state.noise - noise).mean() < self.tol * noise.mean():
                break
        self.loadings_, self.noise_, self.offset_ = state.loadings, state.noise, state.offset
        self.spread_, self.precision_ = state.spread, state.precision

    def _residuals(self, values: Array, mask: Array | None) -> Array:
        """Standardised values less their prediction, 0 where missing, (n, p)."""
        factors = self._factors(values, mask)
        residuals = values - (factors @ self.loadings_.T + self.offset_)
        if mask is not None:
            residuals *= mask
        return residuals

    def _state(self) -> "_State":
        return _State(self.loadings_, self.noise_, self.offset_, self.spread_, self.precision_)

    def _factors(self, values: Array, mask: Array | None) -> Array:
        state = self._state()
        blocks = [
            _posterior(values[rows], None if mask is None else mask[rows], state)[0]
            for rows in _blocks(len(values))
        ]
        return np.concatenate(blocks)

    def impute(self, X: Any) -> npt.NDArray[Any]:
        """X with numbers in place of NaN; an empty sample gets what is expected of an unknown one."""
        check_is_fitted(self)
        given = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False
        )
        observed = np.isfinite(given)
        filled = given.copy()
        for rows in _blocks(len(given)):
            if observed[rows].all():
                continue
            values = standardised(given[rows], observed[rows], self.mean_, self.scale_)
            mask = observed[rows].astype(np.float32)
            predicted = self._factors(values, mask) @ self.loadings_.T + self.offset_
            residuals = (values - predicted) * mask
            predicted += predict_residuals(residuals, self.partners_, self.weights_)
            predicted = predicted * self.scale_ + self.mean_
            filled[rows] = np.where(observed[rows], given[rows], predicted)
        return filled

    def __sklearn_tags__(self) -> Tags:
        """State that numbers keep their precision."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def moments(values: npt.NDArray[Any]) -> tuple[Array, Array]:
    """Mean and standard deviation of the measured values of each gene, 1 where it is constant, (p,)."""
    count = np.zeros(values.shape[1])
    total, squares = count.copy(), count.copy()
    for rows in _blocks(len(values)):
        part = values[rows].astype(np.float64)
        seen = np.isfinite(part)
        count += seen.sum(axis=0)
        total += np.where(seen, part, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    for rows in _blocks(len(values)):
        part = values[rows].astype(np.float64) - mean
        squares += (np.where(np.isfinite(part), part, 0.0) ** 2).sum(axis=0)
    scale = np.sqrt(squares / np.maximum(count, 1))
    constant = scale <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    return mean.astype(np.float32), np.where(constant, 1.0, scale).astype(np.float32)


def standardised(values: npt.NDArray[Any], observed: Mask, mean: Array, scale: Array) -> Array:
    """Values in standard deviations of each gene from its mean, 0 where missing, (n, p)."""
    made = np.empty(values.shape, dtype=np.float32)
    for rows in _blocks(len(values)):
        made[rows] = np.where(observed[rows], (values[rows] - mean) / scale, 0.0)
    return made


class _State:
    """What a round of expectation-maximisation changes; `spread`, (p, k (k + 1) / 2), is S_g."""

    def __init__(self, loadings: Array, noise: Array, offset: Array, spread: Array, precision: Array) -> None:
        self.loadings, self.noise, self.offset = loadings, noise, offset
        self.spread, self.precision = spread, precision


def _blocks(n_rows: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, n_rows, _ROWS)]


def _start(values: Array, k: int, seed: int) -> _State:
    """Principal components of the values with 0 where missing, by random projections."""
    n_samples, n_genes = values.shape
    generator = np.random.default_rng(seed)
    basis = values @ generator.standard_normal((n_genes, min(k + 10, n_genes)), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(basis)[0]
        basis = values @ (values.T @ basis)
    basis = np.linalg.qr(basis)[0]
    _, sizes, right = np.linalg.svd(basis.T @ values, full_matrices=False)
    loadings = np.zeros((n_genes, k), np.float32)
    n_found = min(k, len(sizes))
    loadings[:, :n_found] = right[:n_found].T * (sizes[:n_found] / np.sqrt(n_samples))
    noise = np.full(n_genes, 0.5, np.float32)
    spread = np.zeros((n_genes, k * (k + 1) // 2), np.float32)
    return _State(loadings, noise, np.zeros(n_genes, np.float32), spread, np.ones(k, np.float32))


def _full(packed: Array, k: int) -> Array:
    """Symmetric matrices, (n, k, k), from their upper triangles, (n, k (k + 1) / 2)."""
    upper = np.triu_indices(k)
    whole = np.empty((len(packed), k, k), packed.dtype)
    whole[:, upper[0], upper[1]] = packed
    whole[:, upper[1], upper[0]] = packed
    return whole


def _inverse(matrices: Array) -> Array:
    """Inverses of symmetric positive definite matrices, (n, k, k)."""
    factors, failed = torch.linalg.cholesky_ex(torch.from_numpy(matrices))
    if bool(failed.any()):  # single precision was not enough
        return np.linalg.inv(matrices.astype(np.float64)).astype(np.float32)
    inverse: Array = torch.cholesky_inverse(factors).numpy()
    return inverse


def _posterior(values: Array, mask: Array | None, state: _State) -> tuple[Array, Array]:
    """Means of the factors, (n, k), and their covariances, (n, k, k); (1, k, k) where nothing is missing."""
    k = state.loadings.shape[1]
    upper = np.triu_indices(k)
    weighted = state.loadings / state.noise[:, None]
    products = weighted[:, upper[0]] * state.loadings[:, upper[1]] + state.spread / state.noise[:, None]
    packed = products.sum(axis=0, keepdims=True) if mask is None else mask @ products
    precision = _full(packed, k)
    precision[:, np.arange(k), np.arange(k)] += 1
    covariance = _inverse(precision)
    centred = values - state.offset if mask is None else values - state.offset * mask
    means = np.einsum("nij,nj->ni", np.broadcast_to(covariance, (len(values), k, k)), centred @ weighted)
    return means, covariance


def _round(values: Array, mask: Array | None, counts: Array, state: _State) -> _State:
    """One round: factors given loadings, loadings given factors, then offset, noise and precision."""
    n_samples, n_genes = values.shape
    k = state.loadings.shape[1]
    upper = np.triu_indices(k)
    moments_of = np.zeros((1 if mask is None else n_genes, k * (k + 1) // 2), np.float32)
    factors = np.empty((n_samples, k), np.float32)
    for rows in _blocks(n_samples):
        part = None if mask is None else mask[rows]
        factors[rows], covariance = _posterior(values[rows], part, state)
        second = covariance[:, upper[0], upper[1]] + factors[rows][:, upper[0]] * factors[rows][:, upper[1]]
        moments_of += second.sum(axis=0, keepdims=True) if part is None else part.T @ second
    return _maximise(values, mask, counts, state, factors, moments_of)


def _maximise(
    values: Array, mask: Array | None, counts: Array, state: _State, factors: Array, moments_of: Array
) -> _State:
    """Loadings, noise, offset and precision from the factors and their second moments, a block of genes at
    a time.
    """
    n_genes, k = values.shape[1], factors.shape[1]
    upper = np.triu_indices(k)
    loadings, noise, offset = np.empty((n_genes, k), np.float32), state.noise.copy(), state.offset.copy()
    spread = np.empty((n_genes, k * (k + 1) // 2), np.float32)
    traces = np.zeros(k)
    for genes in _blocks(n_genes):
        part = values[:, genes] if mask is None else values[:, genes] - state.offset[genes] * mask[:, genes]
        if mask is None:
            part = part - state.offset[genes]
        second = np.broadcast_to(
            _full(moments_of if mask is None else moments_of[genes], k), (part.shape[1], k, k)
        )
        shrinking = noise[genes, None] * state.precision
        inverse = _inverse(second + shrinking[:, :, None] * np.eye(k, dtype=np.float32))
        cross = part.T @ factors
        found = np.einsum("gij,gj->gi", inverse, cross)
        covariance = inverse * noise[genes, None, None]
        loadings[genes], spread[genes] = found, covariance[:, upper[0], upper[1]]
        traces += np.einsum("gii->i", covariance)
        square = np.einsum("gi,gij,gj->g", found, second, found) + np.einsum("gij,gij->g", covariance, second)
        left = (part**2).sum(axis=0) - 2 * (found * cross).sum(axis=1) + square
        noise[genes] = np.maximum((left + 0.02) / (counts[genes] + 0.02), _LEAST_NOISE)
        fitted = factors @ found.T
        whole = values[:, genes] - (fitted if mask is None else fitted * mask[:, genes])
        offset[genes] = whole.sum(axis=0) / counts[genes]
    precision = n_genes / ((loadings.astype(np.float64) ** 2).sum(axis=0) + traces)
    return _State(loadings, noise, offset, spread, precision.astype(np.float32))
