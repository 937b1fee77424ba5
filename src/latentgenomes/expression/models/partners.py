r"""Partners of a gene: the few others whose residuals go with its own, chosen and judged on other samples.

With :math:`P_g` the m genes whose residuals are most correlated with those of gene g, the prediction is
:math:`\hat r_{ig} = \sum_{h \in P_g} v_{gh}\, r_{ih}`, by ridge regression. In each half of the samples
partners are chosen and weights estimated, and the other half judges them: where the error does not fall, all
weights of the gene are 0.

| symbol | name in code | shape |
|---|---|---|
| $r$ | `residuals` | (n, p), 0 where missing |
| $P_g$ | `chosen` | (p, m) |
| $v$ | `weights` | (p, m) |
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

Array = npt.NDArray[np.float32]
_GENES = 512  # a block of correlations is (512, n_genes)
_SKETCH = 256
_RIDGES = (0.3, 1.0, 3.0)
_LEAST_GAIN = 0.005


def find_partners(
    residuals: Array, mask: Array | None, n_partners: int, *, random_state: int
) -> tuple[npt.NDArray[np.int32], Array]:
    """Partners of each gene and their weights, (n_genes, n_partners); weights are 0 for a gene whose residual
    they do not predict in the other half of the samples. `residuals` are 0 where missing.
    """
    n_samples, n_genes = residuals.shape
    none = (
        np.zeros((n_genes, max(n_partners, 0)), np.int32),
        np.zeros((n_genes, max(n_partners, 0)), np.float32),
    )
    if n_partners < 1 or n_samples < 8:
        return none
    generator = np.random.default_rng(random_state)
    half = generator.permutation(n_samples) % 2 == 0
    errors = np.zeros((len(_RIDGES), n_genes))
    for rows in (half, ~half):
        chosen = _most_correlated(residuals[rows], n_partners, generator)
        weights = _regress(residuals[rows], None if mask is None else mask[rows], chosen)
        other = residuals[~rows]
        for position, weight in enumerate(weights):
            predicted = predict_residuals(other, chosen, weight)
            if mask is not None:
                predicted *= mask[~rows]
            errors[position] += ((other - predicted) ** 2).sum(axis=0)
    total = (residuals.astype(np.float64) ** 2).sum(axis=0)
    best = errors.argmin(axis=0)
    pays = errors.min(axis=0) < (1 - _LEAST_GAIN) * total
    if not pays.any():
        return none
    chosen = _most_correlated(residuals, n_partners, generator)
    weights = _regress(residuals, mask, chosen)
    kept = np.where(pays[:, None], np.take_along_axis(np.stack(weights), best[None, :, None], 0)[0], 0.0)
    return chosen.astype(np.int32), kept.astype(np.float32)


def predict_residuals(residuals: Array, partners: npt.NDArray[np.integer], weights: Array) -> Array:
    """Residual of every gene from those of its partners, (n, p); what is missing counts as 0."""
    n_genes, n_partners = weights.shape
    if not weights.any():
        return np.zeros_like(residuals)
    rows = np.arange(0, n_genes * n_partners + 1, n_partners)
    links = csr_matrix((weights.ravel(), partners.ravel(), rows), shape=(n_genes, n_genes))
    predicted: Array = np.ascontiguousarray((links @ residuals.T).T)
    return predicted


def _most_correlated(
    residuals: Array, n_partners: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The genes of highest absolute correlation with each, (n_genes, n_partners). Many samples are first
    projected on random directions, and correlations are exact among the candidates found there.
    """
    n_samples, n_genes = residuals.shape
    size = np.sqrt((residuals.astype(np.float64) ** 2).sum(axis=0)).astype(np.float32)
    unit = residuals / np.maximum(size, 1e-12)
    lying = np.ascontiguousarray(unit.T)  # a gene's samples lie side by side
    sketch, n_candidates = unit, n_partners
    if n_samples > _SKETCH:
        signs = generator.choice(np.array([-1.0, 1.0], np.float32), size=(_SKETCH, n_samples))
        sketch = signs @ unit / np.float32(np.sqrt(_SKETCH))
        n_candidates = min(3 * n_partners, n_genes - 1)
    found = np.empty((n_genes, n_partners), np.int64)
    for start in range(0, n_genes, _GENES):
        block = np.arange(start, min(start + _GENES, n_genes))
        strength = np.abs(sketch[:, block].T @ sketch)
        strength[np.arange(len(block)), block] = -1
        near = np.argpartition(-strength, n_candidates - 1, axis=1)[:, :n_candidates]
        if n_candidates > n_partners:
            exact = np.stack(
                [np.abs(lying[others] @ lying[gene]) for gene, others in zip(block, near, strict=True)]
            )
            order = np.argpartition(-exact, n_partners - 1, axis=1)[:, :n_partners]
            near = np.take_along_axis(near, order, axis=1)
        found[block] = near
    return found


def _regress(residuals: Array, mask: Array | None, chosen: npt.NDArray[np.int64]) -> list[Array]:
    """Weights of the partners for every ridge, each (n_genes, n_partners)."""
    n_genes = residuals.shape[1]
    m = chosen.shape[1]
    weights = [np.zeros((n_genes, m), np.float32) for _ in _RIDGES]
    lying = np.ascontiguousarray(residuals.T)
    seen = None if mask is None else np.ascontiguousarray(mask.T)
    for start in range(0, n_genes, _GENES):
        block = range(start, min(start + _GENES, n_genes))
        gram = np.empty((len(block), m, m), np.float32)
        right = np.empty((len(block), m), np.float32)
        for place, gene in enumerate(block):
            partners = lying[chosen[gene]]  # (m, n_samples)
            right[place] = partners @ lying[gene]  # residuals are 0 where the gene is missing
            if seen is not None:
                partners = partners * seen[gene]
            gram[place] = partners @ partners.T
        level = np.einsum("gii->g", gram) / m
        for position, ridge in enumerate(_RIDGES):
            system = gram + (ridge * np.maximum(level, 1e-9))[:, None, None] * np.eye(m, dtype=np.float32)
            weights[position][block.start : block.stop] = np.linalg.solve(system, right[..., None])[..., 0]
    return weights
