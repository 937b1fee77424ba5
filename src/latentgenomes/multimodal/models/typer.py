r"""Tumour type from any profiles that a tumour has: one model, calibrated for new tumours and new projects.

The features of `latentgenomes.multimodal.models.landmarks`, all profiles side by side, go into two ridge
regressions, `latentgenomes.multimodal.models.ridge`: one on organs, one on subtypes of organs where these are
known. An organ's score is the mean of its own and its best subtype's,

.. math:: s_c = \frac12 \phi \beta_c + \frac12 \max_{u \in c} \phi \beta_u ,

and `latentgenomes.multimodal.models.calibration` makes probabilities of it. For tumours that lack a profile,
the regressions are solved again without its columns, exactly, from sums that the fit kept.

| symbol | name in code | shape |
|---|---|---|
| $\phi$ | `design` | (n, m), all profiles side by side |
| $\beta$ | `beta` | (m, organs + subtypes) |
| $s$ | `scores` | (n, organs) |
| $e$ | `embedding` | (n, sum of components), principal components of each profile's features |

References
----------
Saunders et al. 1998, ICML 15:515-521 (kernel ridge regression).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from latentgenomes.multimodal.models.calibration import Calibration, LeftOut, calibrate
from latentgenomes.multimodal.models.features import check_wide, column_slices
from latentgenomes.multimodal.models.landmarks import (
    SMALL,
    WEIGHTS,
    ProfileKernel,
    designs,
    fit_kernels,
    thin,
)
from latentgenomes.multimodal.models.ridge import (
    balanced_weights,
    coefficients,
    left_out,
    pack,
    targets,
    unpack,
)
from latentgenomes.nn.estimator import TorchEstimator

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CONSTANT = 0.3  # the last column of the design
N_NEIGHBOURS = 10
MIN_ELSEWHERE = 20  # tumours of a type outside a project, for the project to be left out of it


@dataclass(frozen=True)
class TypedTumours:
    """What the classifier says of n tumours: all arrays have n rows, in the order of the tumours.

    `log_probability` of the types, `p_value` of being like a known tumour, `threshold` of a confident answer,
    `neighbours` (n, 10), positions of the nearest known tumours, nearest first, and their `distances`.
    """

    log_probability: Array
    p_value: Array
    threshold: Array
    neighbours: Ints
    distances: Array


class TumourClassifier(TransformerMixin, ClassifierMixin, TorchEstimator):
    """Types of tumours from any of the profiles of the fit, with probabilities that hold on new projects.

    Parameters
    ----------
    profiles : sequence of int or None
        Channels of every profile, in column order; see `MutEmbed`.
    n_landmarks : int
        Landmarks of a profile at most; no more than three for each of its channels.
    bandwidth, ridge : float
        Width of the kernel, larger is narrower, and strength of the penalty.
    weights : mapping of str to float, optional
        Weights of the profiles by name; those of `latentgenomes.multimodal.models.landmarks` by default.
    thinning : float
        Weight of a copy of each tumour with 50 to 3,000 of its small mutations; 0 for none.
    n_components : int
        Principal components of each profile in the embedding, at most.
    precision : float
        Share of right answers, in projects left out, that makes an answer confident.
    subsets : sequence of sequences of str, optional
        Sets of profiles to calibrate for; all by default. Others use the most similar of these.
    random_state : int, RandomState or None
        Where the search for landmarks starts.

    Attributes
    ----------
    classes_, subtypes_ : ndarray
        Organs and subtypes, sorted; ``owner_`` says the organ of each subtype.
    embedding_ : ndarray of shape (n_known, sum of components), float16
        The tumours of the fit.
    """

    def __init__(
        self,
        profiles: Sequence[int] | None = None,
        *,
        n_landmarks: int = 300,
        bandwidth: float = 0.5,
        ridge: float = 0.1,
        weights: Mapping[str, float] | None = None,
        thinning: float = 0.1,
        n_components: int = 24,
        precision: float = 0.94,
        subsets: Sequence[Sequence[str]] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.profiles = profiles
        self.n_landmarks = n_landmarks
        self.bandwidth = bandwidth
        self.ridge = ridge
        self.weights = weights
        self.thinning = thinning
        self.n_components = n_components
        self.precision = precision
        self.subsets = subsets
        self.random_state = random_state

    def _build_module(self) -> None:
        return None

    def fit(self, X: Any, y: Any, *, subtypes: Any = None, projects: Any = None, donors: Any = None) -> Self:
        """Learn types from counts (n_samples, n_channels), NaN in all channels of an absent profile.

        `subtypes` refine the types. `projects` say which tumours share a batch: each project then weighs the
        same within a type, and probabilities are judged where it was left out. Tumours of one of `donors` are
        left out together.
        """
        counts, present = check_wide(self, X, reset=True)
        n = len(counts)
        codes = self._codes(y, n)
        finer = _labelled(y if subtypes is None else subtypes, n, "subtypes")
        self.subtypes_, kinds = np.unique(finer, return_inverse=True)
        self.owner_ = np.array([codes[kinds == kind][0] for kind in range(len(self.subtypes_))])
        if (self.owner_[kinds] != codes).any():
            raise ValueError("A subtype must belong to one type, but some come with several. Rename them.")
        places = np.unique(_labelled(projects, n, "projects"), return_inverse=True)[1]
        people = np.unique(_labelled(donors, n, "donors", own=True), return_inverse=True)[1]
        (seed,) = self._seeds(1)
        lengths = dict(zip(self.profile_names_, self.profile_lengths_, strict=True))
        kernels = fit_kernels(
            counts,
            lengths,
            n_landmarks=self.n_landmarks,
            bandwidth=self.bandwidth,
            weights=WEIGHTS if self.weights is None else self.weights,
            seed=seed,
        )
        self.known_codes_ = codes
        self._keep(kernels)
        parts = designs(kernels, counts, self.profile_lengths_)
        design = np.hstack([*parts, np.full((n, 1), _CONSTANT)])
        weight = balanced_weights(codes, places)
        aims = np.hstack([targets(codes, len(self.classes_)), targets(kinds, len(self.subtypes_))])
        if self.thinning > 0 and set(SMALL) & set(self.profile_names_):
            # Each tumour stands a second time, with fewer of its mutations.
            fewer = designs(kernels, thin(counts, lengths, seed), self.profile_lengths_)
            design = np.vstack([design, np.hstack([*fewer, np.full((n, 1), _CONSTANT)])])
            weight, aims = np.append(weight, self.thinning * weight), np.vstack([aims, aims])
        self.gram_ = pack((design * weight[:, None]).T @ design)
        self.moment_ = (design.T @ (aims * weight[:, None])).astype(np.float32)
        self._fit_embedding(parts, present)
        self.calibrations_ = self._calibrate(design, weight, aims, codes, (people, places))
        return self

    def predict_log_proba(self, X: Any, log_prior: Array | None = None) -> Array:
        """Log-probability of every type in nats: (n_samples, n_classes), in order of `classes_`.

        `log_prior` (n_classes,) is added before they are normalised; without one all types are equally likely
        beforehand.
        """
        return self.answer(X, log_prior).log_probability

    def predict_proba(self, X: Any) -> Array:
        """Probability of every type: (n_samples, n_classes), in order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable type of every sample: (n_samples,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def transform(self, X: Any) -> Array:
        """Embedding of counts: (n_samples, sum of components); an absent profile is 0 throughout."""
        check_is_fitted(self)
        counts, present = check_wide(self, X, reset=False)
        return self._embed(designs(self._kernels(), counts, self.profile_lengths_), present)

    def answer(self, X: Any, log_prior: Array | None = None) -> TypedTumours:
        """Probabilities, likeness to known tumours and nearest neighbours of counts as in `fit`."""
        check_is_fitted(self)
        counts, present = check_wide(self, X, reset=False)
        parts = designs(self._kernels(), counts, self.profile_lengths_)
        design = np.hstack([*parts, np.full((len(counts), 1), _CONSTANT)])
        embedding = self._embed(parts, present)
        n, k = len(counts), min(N_NEIGHBOURS, len(self.embedding_))
        log_p, value, least = np.empty((n, len(self.classes_))), np.empty(n), np.empty(n)
        near, far = np.empty((n, k), dtype=np.int64), np.empty((n, k))
        for pattern in np.unique(present, axis=0):
            rows = np.flatnonzero((present == pattern).all(axis=1))
            known = self.calibration(pattern)
            scores = self._scores(design[rows], pattern)
            near[rows], far[rows] = self._nearest(embedding[rows], pattern, k)
            agreement = (self.known_codes_[near[rows]][..., None] == np.arange(len(self.classes_))).mean(
                axis=1
            )
            log_p[rows] = known.log_probability(scores, agreement, log_prior)
            value[rows] = known.p_value(scores, far[rows].mean(axis=1))
            least[rows] = known.threshold
        return TypedTumours(log_p, value, least, near, far)

    def calibration(self, present: npt.NDArray[np.bool_]) -> Calibration:
        """Calibration for tumours with these profiles, (n_profiles,), or with the most similar set."""
        own = {name for name, there in zip(self.profile_names_, present, strict=True) if there}
        best = min(self.calibrations_, key=lambda name: (len(own ^ set(name.split("+"))), name))
        return Calibration.from_json(self.calibrations_[best])

    def beta(self, present: npt.NDArray[np.bool_]) -> tuple[Array, Ints]:
        """Coefficients (columns used, organs + subtypes) for a set of profiles, and these columns."""
        columns = self._columns(present)
        gram = unpack(self.gram_, len(self.moment_))[np.ix_(columns, columns)]
        return coefficients(gram, self.moment_[columns].astype(np.float64), self.ridge), columns

    def _codes(self, y: Any, n_samples: int) -> Ints:
        assert_all_finite(np.asarray(y), input_name="y")
        check_classification_targets(y)
        labels = _labelled(column_or_1d(y, warn=True), n_samples, "y")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, but it holds 1 class: {self.classes_[0]!r}.")
        return codes.astype(np.int64)

    def _keep(self, kernels: Sequence[ProfileKernel]) -> None:
        """Store kernels as arrays side by side, so that they can be saved."""
        self.kernel_mean_ = np.concatenate([kernel.mean for kernel in kernels])
        self.kernel_scale_ = np.concatenate([kernel.scale for kernel in kernels])
        self.landmarks_ = np.concatenate([kernel.landmarks.ravel() for kernel in kernels])
        self.kernels_: list[dict[str, Any]] = [
            {"parts": list(k.parts), "shape": list(k.landmarks.shape), "spread": k.spread, "weight": k.weight}
            for k in kernels
        ]
        self._cache = list(kernels)

    def _kernels(self) -> list[ProfileKernel]:
        cache: list[ProfileKernel] | None = getattr(self, "_cache", None)
        if cache is None:
            features = column_slices([kernel["shape"][1] for kernel in self.kernels_])
            flat = column_slices([int(np.prod(kernel["shape"])) for kernel in self.kernels_])
            cache = [
                ProfileKernel(
                    tuple(kernel["parts"]),
                    self.kernel_mean_[own],
                    self.kernel_scale_[own],
                    self.landmarks_[part].reshape(kernel["shape"]),
                    kernel["spread"],
                    self.bandwidth,
                    kernel["weight"],
                )
                for kernel, own, part in zip(self.kernels_, features, flat, strict=True)
            ]
            self._cache = cache
        return cache

    def _columns(self, present: npt.NDArray[np.bool_]) -> Ints:
        sizes = [kernel["shape"][0] for kernel in self.kernels_]
        used = np.repeat(present, sizes)
        return np.flatnonzero(np.append(used, True))

    def _scores(self, design: Array, present: npt.NDArray[np.bool_]) -> Array:
        beta, columns = self.beta(present)
        return self._organ_scores(design[:, columns] @ beta)

    def _organ_scores(self, predicted: Array) -> Array:
        """Predictions for organs and subtypes -> scores of organs."""
        k = len(self.classes_)
        best = np.stack([predicted[:, k:][:, self.owner_ == c].max(axis=1) for c in range(k)], axis=1)
        return np.asarray((predicted[:, :k] + best) / 2)

    def _fit_embedding(self, parts: Sequence[Array], present: npt.NDArray[np.bool_]) -> None:
        """Principal components of every profile's features, over the tumours that have it."""
        means, axes = [], []
        for number, part in enumerate(parts):
            own = part[present[:, number]]
            means.append(own.mean(axis=0))
            _, _, directions = np.linalg.svd(own - means[-1], full_matrices=False)
            axes.append(directions[: self.n_components])
        self.embedding_mean_ = np.concatenate(means).astype(np.float32)
        self.embedding_axes_ = np.concatenate([axis.ravel() for axis in axes]).astype(np.float32)
        self.components_ = [len(axis) for axis in axes]
        self.embedding_ = self._embed(parts, present).astype(np.float16)

    def _embed(self, parts: Sequence[Array], present: npt.NDArray[np.bool_]) -> Array:
        sizes = [kernel["shape"][0] for kernel in self.kernels_]
        flat = column_slices([c * m for c, m in zip(self.components_, sizes, strict=True)])
        found = []
        for number, (part, columns) in enumerate(zip(parts, column_slices(sizes), strict=True)):
            axes = self.embedding_axes_[flat[number]].reshape(self.components_[number], -1).astype(np.float64)
            found.append((part - self.embedding_mean_[columns]) @ axes.T * present[:, [number]])
        return np.hstack(found)

    def _embedding_columns(self, present: npt.NDArray[np.bool_]) -> Ints:
        return np.flatnonzero(np.repeat(present, self.components_))

    def _nearest(self, embedding: Array, present: npt.NDArray[np.bool_], k: int) -> tuple[Ints, Array]:
        """Positions of the k nearest known tumours by the profiles in hand, and how far they are."""
        columns = self._embedding_columns(present)
        distance = cdist(embedding[:, columns], self.embedding_[:, columns].astype(np.float64))
        near = np.argsort(distance, axis=1, kind="stable")[:, :k]
        return near, np.take_along_axis(distance, near, axis=1)

    def _calibrate(
        self, design: Array, weight: Array, aims: Array, codes: Ints, groups: tuple[Ints, Ints]
    ) -> dict[str, dict[str, Any]]:
        """Calibrations by set of profiles, such as ``ID83+SBS96``, as JSON."""
        names = self.profile_names_
        wanted = self.subsets
        if wanted is None:
            wanted = list(chain.from_iterable(combinations(names, k) for k in range(1, len(names) + 1)))
        found = {}
        for subset in wanted:
            present = np.isin(names, list(subset))
            columns = self._columns(present)
            sets = []
            for number, own in enumerate(groups):
                rows = np.arange(len(codes)) if number == 0 else _elsewhere(codes, own)
                if len(rows):
                    twice = np.tile(own, len(design) // len(codes))
                    predicted = left_out(design[:, columns], weight, aims, self.ridge, twice)[: len(codes)]
                    far, agreement = self._known_neighbours(present, own)
                    sets.append(
                        LeftOut(self._organ_scores(predicted)[rows], codes[rows], far[rows], agreement[rows])
                    )
            found["+".join(subset)] = calibrate(sets, self.precision).to_json()
        return found

    def _known_neighbours(
        self, present: npt.NDArray[np.bool_], groups: Ints, k: int = N_NEIGHBOURS
    ) -> tuple[Array, Array]:
        """Mean distance from known tumours to the nearest of other groups, and their share of each type."""
        own = self.embedding_[:, self._embedding_columns(present)].astype(np.float64)
        far, agreement = np.empty(len(own)), np.empty((len(own), len(self.classes_)))
        for rows in np.array_split(np.arange(len(own)), 1 + len(own) // 500):
            distance = cdist(own[rows], own)
            distance[groups[rows][:, None] == groups] = np.inf
            least = max(min(k, int(np.isfinite(distance).sum(axis=1).min())), 1)
            near = np.argpartition(distance, least - 1, axis=1)[:, :least]
            far[rows] = np.take_along_axis(distance, near, axis=1).mean(axis=1)
            agreement[rows] = (self.known_codes_[near][..., None] == np.arange(len(self.classes_))).mean(
                axis=1
            )
        return far, agreement

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative; NaN may stand for whole profiles only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def _elsewhere(codes: Ints, groups: Ints) -> Ints:
    """Rows whose type has enough tumours outside their group."""
    pair = np.unique(np.stack([codes, groups]), axis=1, return_inverse=True)[1].ravel()
    return np.flatnonzero(np.bincount(codes)[codes] - np.bincount(pair)[pair] >= MIN_ELSEWHERE)


def _labelled(labels: Any, n_samples: int, name: str, *, own: bool = False) -> npt.NDArray[Any]:
    """Labels of the samples; without any, one for all, or each its own."""
    if labels is None:
        return np.arange(n_samples) if own else np.zeros(n_samples, dtype=np.int64)
    found = np.asarray(labels).ravel()
    if len(found) != n_samples:
        raise ValueError(
            f"{name} must have one label per sample, but {len(found)} came for {n_samples} samples."
        )
    return found
