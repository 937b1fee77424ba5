r"""Features of a kernel that compares tumours profile by profile: a few hundred numbers for each profile.

Two tumours with features v and v' of one profile, standardised and clipped, are alike as far as

.. math:: k(v, v') = \frac{1}{1 + 2 g \lVert v - v' \rVert^2 / s},

a heavy-tailed kernel: a tumour far from all known ones is still a little like the nearest, where a Gaussian
would say nothing. With landmarks L, centres of the known tumours and no tumours themselves, and the Cholesky
factor C of their kernel, the features of a tumour are

.. math:: \phi(v) = \sqrt{w} \; C^{-1} k(L, v), \qquad C C^\top = k(L, L) + \epsilon I,

so that products of features are the kernel as the landmarks see it. Profiles stand side by side: their
kernels are added, with weights w, and an absent profile is 0 throughout.

| symbol | name in code | shape |
|---|---|---|
| $v$ | `standardized` | (n, features of the profile) |
| $L$ | `landmarks` | (m, features of the profile) |
| $s$ | `spread` | scalar, mean squared distance from tumours to landmarks |
| $g$ | `bandwidth` | scalar |
| $w$ | `weight` | scalar |
| $\phi$ | `design` | (n, m) |

References
----------
Williams & Seeger 2001, NIPS 13:682-688 (features from landmarks); Zhang et al. 2008, ICML 25:1232-1239
(cluster centres as landmarks).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from latentgenomes.multimodal.models.features import LCS, column_slices, encode

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: What a profile is turned into where proportions are what travels; all others become LCS features.
PARTS: dict[str, tuple[str, ...]] = dict.fromkeys(("ID83", "DBS78", "CN28", "SV5"), ("clr",))
#: Weights of the kernels. Substitutions tell most; the copy number and rearrangements of a project least.
WEIGHTS: dict[str, float] = {"SBS96": 3.0, "ID83": 1.0, "CN28": 0.5, "SV5": 0.5, "DBS78": 0.4}
#: Profiles of small mutations, which a panel or an exome shows in part, and how many are left when thinned.
SMALL = ("SBS96", "ID83", "DBS78")
BURDENS = (50.0, 3000.0)
_CLIP = 6.0  # standard deviations
_PER_CHANNEL = 3  # landmarks at most
_JITTER = 1e-4


@dataclass(frozen=True)
class ProfileKernel:
    """Landmarks of one profile, what standardises its features, and how wide its kernel is."""

    parts: tuple[str, ...]
    mean: Array
    scale: Array
    landmarks: npt.NDArray[np.float16]
    spread: float
    bandwidth: float
    weight: float

    @cached_property
    def _factor(self) -> Array:
        own = self._kernel(self.landmarks.astype(np.float64))
        return np.asarray(cholesky(own + _JITTER * np.eye(len(own)), lower=True))

    def _kernel(self, standardized: Array) -> Array:
        distance = cdist(standardized, self.landmarks.astype(np.float64), "sqeuclidean")
        return np.asarray(1.0 / (1.0 + 2.0 * self.bandwidth * distance / self.spread))

    def standardized(self, counts: Array) -> Array:
        """Features of counts (n, d) of the profile, standardised and clipped; NaN where it is absent."""
        features, _ = encode(counts, [counts.shape[1]], self.parts)
        return np.asarray(np.clip((features - self.mean) / self.scale, -_CLIP, _CLIP))

    def design(self, counts: Array) -> Array:
        """Features of the kernel: (n, d) -> (n, m), 0 where the profile is absent."""
        standardized = self.standardized(counts)
        absent = np.isnan(standardized).any(axis=1)
        found = np.zeros((len(counts), len(self.landmarks)))
        if not absent.all():
            kernel = self._kernel(standardized[~absent])
            found[~absent] = solve_triangular(self._factor, kernel.T, lower=True).T
        return np.asarray(np.sqrt(self.weight) * found)


def fit_kernel(
    counts: Array, name: str, *, n_landmarks: int, bandwidth: float, weight: float, seed: int
) -> ProfileKernel:
    """Kernel of a profile from the tumours that have it; (n, d), NaN where it is absent."""
    parts = PARTS.get(name, LCS)
    own = counts[~np.isnan(counts).any(axis=1)]
    features, _ = encode(own, [counts.shape[1]], parts)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    standardized = np.clip((features - mean) / scale, -_CLIP, _CLIP)
    distinct = len(np.unique(standardized, axis=0))
    number = min(n_landmarks, _PER_CHANNEL * counts.shape[1], distinct)
    model = KMeans(number, n_init=1, max_iter=8, init="random", random_state=seed).fit(standardized)
    landmarks = model.cluster_centers_.astype(np.float16)
    distance = cdist(standardized, landmarks.astype(np.float64), "sqeuclidean")
    return ProfileKernel(
        parts, mean, scale, landmarks, float(distance.mean()) or 1.0, float(bandwidth), float(weight)
    )


def fit_kernels(
    counts: Array,
    lengths: Mapping[str, int],
    *,
    n_landmarks: int,
    bandwidth: float,
    weights: Mapping[str, float],
    seed: int,
) -> list[ProfileKernel]:
    """A kernel for each profile of a wide table; weights are scaled to sum 1, and 1 where none is given."""
    given = {name: float(weights.get(name, 1.0)) for name in lengths}
    total = sum(given.values())
    return [
        fit_kernel(
            counts[:, columns],
            name,
            n_landmarks=n_landmarks,
            bandwidth=bandwidth,
            weight=given[name] / total,
            seed=seed,
        )
        for name, columns in zip(lengths, column_slices(list(lengths.values())), strict=True)
    ]


def thin(counts: Array, lengths: Mapping[str, int], seed: int) -> Array:
    """Tumours as if fewer of their small mutations had been seen: (n, d), other profiles as they are.

    Of the first small profile, 50 to 3,000 mutations are left, evenly on a logarithmic scale, or all where
    there are fewer; the same share of the others.
    """
    rng, found = np.random.default_rng(seed), counts.copy()
    slices = dict(zip(lengths, column_slices(list(lengths.values())), strict=True))
    small = [slices[name] for name in SMALL if name in slices]
    least, most = np.log(BURDENS).tolist()
    burden = np.exp(rng.uniform(least, most, size=len(counts)))
    total = np.nan_to_num(counts[:, small[0]].sum(axis=1)) if small else np.ones(len(counts))
    share = np.minimum(burden / np.maximum(total, 1.0), 1.0)
    for columns in small:
        own = counts[:, columns]
        kept = rng.binomial(np.nan_to_num(own).astype(np.int64), share[:, None]).astype(np.float64)
        found[:, columns] = np.where(np.isnan(own), np.nan, kept)
    return found


def designs(kernels: Sequence[ProfileKernel], counts: Array, lengths: Sequence[int]) -> list[Array]:
    """Features of every profile of a wide table, (n, m) each."""
    return [
        kernel.design(counts[:, columns])
        for kernel, columns in zip(kernels, column_slices(lengths), strict=True)
    ]
