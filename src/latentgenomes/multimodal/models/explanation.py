r"""What spoke for a type: shares of its score by profile, and by channel.

The score of a type is a sum over profiles, so a profile's share is exact: what it adds, minus what it adds
for the average known tumour. A channel's share is what the score loses when the channel's features are set to
those of the average tumour, everything else as it is.

| symbol | name in code | shape |
|---|---|---|
| $\beta$ | `direction` | (m,), of one type and its best subtype |
| $\Delta s$ | `lost` | (channels,) |
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from latentgenomes.multimodal.models.features import column_slices
from latentgenomes.multimodal.models.landmarks import ProfileKernel, designs

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def _direction(model: Any, beta: Array, design: Array, code: int) -> Array:
    """Coefficients of a type's score for one tumour: its own and those of its best subtype, (m,)."""
    subtypes = np.flatnonzero(model.owner_ == code) + len(model.classes_)
    best = subtypes[(design @ beta[:, subtypes]).argmax()]
    return np.asarray((beta[:, code] + beta[:, best]) / 2)


def profile_shares(model: Any, counts: Array, codes: Ints) -> Array:
    """What each profile adds to the score of a type, beyond the average known tumour: (n, n_profiles).

    `model` is a fitted `TumourClassifier`, `codes` the positions of the types in its ``classes_``. NaN for a
    profile that a tumour lacks.
    """
    parts = designs(model._kernels(), counts, model.profile_lengths_)
    present = np.stack(
        [~np.isnan(counts[:, c]).any(axis=1) for c in column_slices(model.profile_lengths_)], 1
    )
    blocks = column_slices([part.shape[1] for part in parts])
    whole = np.hstack(parts)
    found = np.full(present.shape, np.nan)
    for pattern in np.unique(present, axis=0):
        beta, columns = model.beta(pattern)
        wide = np.zeros((whole.shape[1] + 1, beta.shape[1]))
        wide[columns] = beta
        for row in np.flatnonzero((present == pattern).all(axis=1)):
            direction = _direction(model, wide[:-1], whole[row], int(codes[row]))
            for number in np.flatnonzero(pattern):
                own = blocks[number]
                found[row, number] = (parts[number][row] - model.embedding_mean_[own]) @ direction[own]
    return found


def channel_shares(model: Any, counts: Array, code: int) -> list[Array]:
    """What a tumour's score of a type loses without each channel, for every profile: (n_channels,) each.

    `counts` (n_channels,) of one tumour; an empty array for a profile that it lacks.
    """
    slices = column_slices(model.profile_lengths_)
    present = np.array([not np.isnan(counts[columns]).any() for columns in slices])
    kernels = model._kernels()
    parts = designs(kernels, counts[None], model.profile_lengths_)
    blocks = column_slices([part.shape[1] for part in parts])
    beta, columns = model.beta(present)
    wide = np.zeros((sum(part.shape[1] for part in parts) + 1, beta.shape[1]))
    wide[columns] = beta
    direction = _direction(model, wide[:-1], np.hstack(parts)[0], code)
    return [
        _lost(kernel, counts[columns], direction[block]) if there else np.empty(0)
        for kernel, columns, block, there in zip(kernels, slices, blocks, present, strict=True)
    ]


def _lost(kernel: ProfileKernel, counts: Array, direction: Array) -> Array:
    """Score with the profile as it is, minus the score with each channel at the average: (d,)."""
    standardized = kernel.standardized(counts[None])[0]
    landmarks = kernel.landmarks.astype(np.float64)
    d = len(counts)
    # Each part but a total gives one feature a channel; a channel is blotted out in all of them.
    owner = np.concatenate([np.full(1, -1) if p == "total" else np.arange(d) for p in kernel.parts])
    distance = np.square(standardized - landmarks).sum(axis=1)
    drop = (
        standardized**2 - 2 * standardized * landmarks
    )  # (m, features): what a feature adds to the distance
    less = np.zeros((d, len(landmarks)))
    for channel in range(d):
        less[channel] = drop[:, owner == channel].sum(axis=1)
    scale = 2.0 * kernel.bandwidth / kernel.spread
    change = 1.0 / (1.0 + scale * distance) - 1.0 / (1.0 + scale * np.maximum(distance - less, 0.0))
    weights = solve_triangular(kernel._factor.T, direction, lower=False)
    lost = np.sqrt(kernel.weight) * change @ weights
    return np.asarray(lost)
