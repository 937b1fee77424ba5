r"""Consensus over restarts: which signatures come back, and how alike they are each time.

Every restart finds its own k signatures in its own order. Balanced clustering gives each cluster
exactly one signature of each restart: a restart is matched to the centroids :math:`c` by the
permutation with the largest sum of cosines, a centroid is the mean of its cluster, and so on until
nothing moves. The silhouette of a signature with mean cosine distance :math:`a` to its own cluster
and :math:`b` to the nearest other one is

.. math:: h = \frac{b - a}{\max(a, b)}.

It is 1 where a cluster is one point, and falls below 0 where a signature lies nearer to another cluster.

| symbol | name in code | shape |
|---|---|---|
| $s$ | `restarts` | (r, k, m) |
| $c$ | `signatures` | (k, m), rows sum to 1 |
| $h$ | `silhouettes` | (r, k) |

References
----------
Islam et al. 2022, Cell Genomics 2:100179 (clustering by assignment and stability in SigProfilerExtractor).
Rousseeuw 1987, J. Comput. Appl. Math. 20:53 (the silhouette).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

_MAX_ROUNDS = 100


@dataclass(frozen=True)
class Consensus:
    """Clusters of the signatures of many restarts."""

    signatures: np.ndarray  # (k, m), centroids; rows sum to 1
    members: np.ndarray  # (r, k), which signature of restart r belongs to cluster c
    silhouettes: np.ndarray  # (r, k), of that signature, in [-1, 1]; 1 where there is one cluster
    medoid: int  # restart whose signatures are nearest to the centroids, by the sum of cosines

    @property
    def stability(self) -> np.ndarray:
        """Mean silhouette of every cluster, (n_signatures,)."""
        return self.silhouettes.mean(0)


def cluster_signatures(restarts: np.ndarray) -> Consensus:
    """Cluster signatures (r, k, m) of restarts, one of each to a cluster; rows are >= 0, not all 0. It starts
    from the restart that agrees best with the others: their order only breaks ties.
    """
    signatures = np.asarray(restarts, dtype=np.float64)
    if signatures.ndim != 3 or 0 in signatures.shape:
        raise ValueError(
            "restarts must have the shape (n_restarts, n_signatures, n_channels), "
            f"but it is {signatures.shape}."
        )
    norms = np.linalg.norm(signatures, axis=-1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("Signatures to cluster must be finite and not all zero, but some are not.")
    unit = signatures / norms
    members = _assign(unit, unit[_most_central(unit)])
    for _ in range(_MAX_ROUNDS):
        moved = _assign(unit, _mean(unit, members))
        if np.array_equal(moved, members):
            break
        members = moved
    shares = signatures / signatures.sum(-1, keepdims=True)
    centroids = np.take_along_axis(shares, members[:, :, None], axis=1).mean(0)
    ordered = np.take_along_axis(unit, members[:, :, None], axis=1)  # (r, k, m)
    target = centroids / np.linalg.norm(centroids, axis=-1, keepdims=True)
    medoid = int(np.einsum("rkm,km->r", ordered, target).argmax())
    return Consensus(centroids, members, _silhouettes(ordered), medoid)


def _assign(unit: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Match each restart to the centroids: (r, k, m), (k, m) -> (r, k), the member of every centroid."""
    cosines = np.einsum("cm,rkm->rck", centroids, unit, optimize=True)
    return np.stack([linear_sum_assignment(-restart)[1] for restart in cosines])


def _mean(unit: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean direction of every cluster: (k, m), of length 1."""
    mean = np.take_along_axis(unit, members[:, :, None], axis=1).mean(0)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def _most_central(unit: np.ndarray) -> int:
    """Position of the restart with the largest sum of best cosines to the signatures of all others."""
    sums = [np.einsum("cm,rkm->rck", own, unit, optimize=True).max(-1).sum() for own in unit]
    return int(np.argmax(sums))


def _silhouettes(ordered: np.ndarray) -> np.ndarray:
    """Cosine silhouette of every signature; (r, k, m) with clusters along k -> (r, k)."""
    r, k, _ = ordered.shape
    if k == 1:
        return np.ones((r, 1))
    # The mean cosine with a cluster is the cosine with its mean, so no pair needs to be visited.
    sums = ordered.sum(0)  # (k, m)
    cosines = np.einsum("rkm,cm->rkc", ordered, sums, optimize=True)  # summed over the members of c
    own = np.einsum("rkk->rk", cosines)
    inner = 1.0 - (own - 1.0) / (r - 1) if r > 1 else np.zeros((r, k))  # without the signature itself
    others = 1.0 - cosines / r
    others[:, np.arange(k), np.arange(k)] = np.inf
    outer = others.min(-1)
    return (outer - inner) / np.maximum(np.maximum(outer, inner), np.finfo(float).tiny)
