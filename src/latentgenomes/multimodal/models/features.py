r"""Features of mutation profiles, each computed from one sample's counts alone.

For a profile with counts x over d channels, of total N:

.. math::
    \text{log}_c = \log(1 + x_c), \qquad
    \text{clr}_c = \log(x_c + \tfrac12) - \frac{1}{d} \sum_j \log(x_j + \tfrac12), \qquad
    \text{root}_c = \sqrt{f_c}, \quad f_c = x_c / N, \qquad
    \text{total} = \log(1 + N).

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, d), NaN where the profile is absent |
| $N$ | `total` | (n, 1) |
| $f$ | `frequency` | (n, d), rows sum to 1, or to 0 where N is 0 |

Several profiles stand side by side in one table. Where each begins is told by `profiles`, the lengths, or by
the column names, such as ``SBS96|A[C>A]A``. A profile that a sample does not have is NaN in all its channels.

References
----------
Aitchison 1982, J R Stat Soc B 44:139-177 (centred log-ratio).
"""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

SEPARATOR = "|"  # between the profile and the channel in a column name
#: [log, clr, root, total] of every profile: the "LCS" features of the typing experiments.
LCS = ("log", "clr", "root", "total")
CLR = ("clr", "total")

Array = npt.NDArray[np.float64]


def _clr(counts: Array, total: Array) -> Array:
    logarithm = np.log(counts + 0.5)
    return np.asarray(logarithm - logarithm.mean(axis=1, keepdims=True))


def _frequency(counts: Array, total: Array) -> Array:
    frequency: Array = counts / np.maximum(total, np.finfo(np.float64).tiny)
    return frequency


_PARTS: dict[str, Callable[[Array, Array], Array]] = {
    "log": lambda counts, total: np.log1p(counts),
    "clr": _clr,
    "root": lambda counts, total: np.sqrt(_frequency(counts, total)),
    "frequency": _frequency,
    "total": lambda counts, total: np.log1p(total),
}


def profile_lengths(
    n_channels: int, profiles: Sequence[int] | None, names: Sequence[str] | None = None
) -> dict[str, int]:
    """Name and number of channels of every profile, in column order, from the channels of each or the
    `names`.

    Where `profiles` is None, a name's part before ``|`` names the profile; without such names it is one
    profile.
    """
    prefixes = [str(name).partition(SEPARATOR)[0] for name in names or ()]
    named = bool(prefixes) and all(SEPARATOR in str(name) for name in names or ())
    runs = [(prefix, len(list(run))) for prefix, run in groupby(prefixes)] if named else []
    if len({prefix for prefix, _ in runs}) < len(runs):
        raise ValueError(
            "The columns of a profile must stand together, but the profiles come as "
            f"{[prefix for prefix, _ in runs][:12]}. Put the columns of every profile side by side."
        )
    if profiles is None:
        return dict(runs) if named else {"P1": n_channels}
    lengths = [int(length) for length in profiles]
    if min(lengths, default=0) < 1 or sum(lengths) != n_channels or list(profiles) != lengths:
        raise ValueError(
            f"profiles must be whole numbers >= 1 whose sum is the number of columns, {n_channels}, but they "
            f"are {list(profiles)} with sum {sum(profiles)}. Give the channels of every profile in order."
        )
    if [length for _, length in runs] == lengths:
        return dict(runs)
    return {f"P{number}": length for number, length in enumerate(lengths, start=1)}


def column_slices(lengths: Sequence[int]) -> list[slice]:
    """Columns of every block when blocks of these lengths stand side by side."""
    ends = np.cumsum([0, *lengths]).tolist()
    return [slice(begin, end) for begin, end in pairwise(ends)]


def present_profiles(counts: Array, lengths: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which samples have which profile, (n_samples, n_profiles); refuses one that is NaN in part only."""
    missing = np.isnan(counts)
    blocks = [missing[:, columns] for columns in column_slices(lengths)]
    partly = np.stack([block.any(axis=1) & ~block.all(axis=1) for block in blocks], axis=1)
    if partly.any():
        row, profile = (int(i) for i in np.argwhere(partly)[0])
        raise ValueError(
            "A profile must be present or NaN in all its channels, but of "
            f"{int(partly.any(axis=1).sum())} samples some channels are NaN; the first is row {row}, profile "
            f"{profile + 1}. Write 0 where nothing was seen, and check the lengths of the profiles."
        )
    present = ~np.stack([block.all(axis=1) for block in blocks], axis=1)
    bare = np.flatnonzero(~present.any(axis=1))
    if len(bare):
        raise ValueError(
            f"Every sample must have at least one profile, but {len(bare)} of {len(present)} have none; the "
            f"first is row {bare[0]}. Leave them out."
        )
    return present


def check_wide(estimator: Any, X: Any, *, reset: bool) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Counts (n_samples, n_channels) and which profiles are present (n_samples, n_profiles), for an
    estimator.

    On `reset`, in fit, sets its ``profile_names_`` and ``profile_lengths_`` from its parameter ``profiles``,
    and refuses a profile that all samples lack.
    """
    counts: Array = validate_data(
        estimator,
        X,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        reset=reset,
        ensure_min_samples=1 + reset,
    )
    if (counts < 0).any():
        row, column = (int(i) for i in np.argwhere(counts < 0)[0])
        raise ValueError(
            f"Negative values in data passed to X: it must hold counts >= 0, but the first that is not is "
            f"{counts[row, column]:g} at row {row}, column {column}. Pass raw counts."
        )
    if reset:
        names = getattr(estimator, "feature_names_in_", None)
        found = profile_lengths(counts.shape[1], estimator.profiles, None if names is None else list(names))
        estimator.profile_names_ = list(found)
        estimator.profile_lengths_ = list(found.values())
    present = present_profiles(counts, estimator.profile_lengths_)
    if reset and not present.any(axis=0).all():
        name = estimator.profile_names_[int(present.any(axis=0).argmin())]
        raise ValueError(
            f"Every profile must be present in some sample of the fit, but {name} is NaN in all "
            f"{len(counts)}. Leave its columns out."
        )
    return counts, present


def encode(counts: Array, lengths: Sequence[int], parts: Sequence[str]) -> tuple[Array, list[int]]:
    """Features (n_samples, n_features) of profiles of these lengths, side by side, and how many each has.

    `parts` are of log, clr, root, frequency (one value a channel) and total (one value); they follow one
    another within a profile. Counts >= 0, NaN where a profile is absent; its features are NaN too.
    """
    unknown = [part for part in parts if part not in _PARTS]
    if unknown or not parts:
        raise ValueError(
            f"parts must be of {', '.join(_PARTS)}, but {unknown or 'none'} came. Name some of these."
        )
    blocks = []
    for columns in column_slices(lengths):
        block = counts[:, columns]
        total = block.sum(axis=1, keepdims=True)
        blocks.append(np.hstack([_PARTS[part](block, total) for part in parts]))
    return np.hstack(blocks), [block.shape[1] for block in blocks]


class ProfileFeatures(TransformerMixin, BaseEstimator):
    """Features of mutation profiles; a sample's depend on that sample alone.

    Parameters
    ----------
    parts : sequence of str
        Of log, clr, root, frequency (one value a channel) and total (one value). The default is LCS;
        (clr, total) and (frequency,) are the other two in use.
    profiles : sequence of int or None
        Channels of every profile, in column order. None reads them from column names such as
        ``SBS96|A[C>A]A``, and takes a table without such names as one profile.

    Attributes
    ----------
    profile_names_, profile_lengths_ : list
        Profiles in column order, and their channels.
    """

    def __init__(self, parts: Sequence[str] = LCS, *, profiles: Sequence[int] | None = None) -> None:
        self.parts = parts
        self.profiles = profiles

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn where each profile stands in counts, NaN where one is absent; nothing else is learned."""
        counts, _ = check_wide(self, X, reset=True)
        encode(counts[:1], self.profile_lengths_, self.parts)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the features of counts as in `fit`: (n_samples, n_features), NaN for an absent profile."""
        check_is_fitted(self)
        counts, _ = check_wide(self, X, reset=False)
        return encode(counts, self.profile_lengths_, self.parts)[0]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names such as ``clr SBS96|A[C>A]A`` and ``total SBS96``."""
        check_is_fitted(self)
        default = [f"x{i}" for i in range(self.n_features_in_)]
        channels = list(getattr(self, "feature_names_in_", default))
        names = []
        for profile, columns in zip(self.profile_names_, column_slices(self.profile_lengths_), strict=True):
            for part in self.parts:
                own = [profile] if part == "total" else channels[columns]
                names += [f"{part} {name}" for name in own]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative; NaN may stand for whole profiles only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
