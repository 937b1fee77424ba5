"""Split samples so that no group (a donor, a person, a project) stands on both sides."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names

Indices = npt.NDArray[np.int64]
RandomState = int | np.random.Generator | None


def _codes(groups: Sequence[object] | pd.Series | npt.ArrayLike) -> Indices:
    """Whole numbers 0, 1, ... in place of the group names, in order of first appearance."""
    values = pd.Series(np.asarray(groups).ravel())
    missing = values.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"groups must name a group for every sample, but {missing.sum()} of {len(values)} do not; the "
            f"first is at position {missing.argmax()}. Give each sample without a group a name of its own."
        )
    codes, names = pd.factorize(values)
    if len(names) < 2:
        raise ValueError(
            f"groups must hold at least 2 groups, but {len(values)} samples are of {len(names)}. "
            "Pass the group of every sample, such as its donor."
        )
    return codes.astype(np.int64)


def check_disjoint(
    train: npt.ArrayLike, test: npt.ArrayLike, groups: Sequence[object] | npt.ArrayLike
) -> None:
    """Refuse a split, positions of the samples of each side, in which a group stands on both sides."""
    names = pd.Index(np.asarray(groups).ravel())
    both = names[np.asarray(train)].unique().intersection(names[np.asarray(test)].unique())
    if len(both):
        raise ValueError(
            f"train and test must share no group, but {len(both)} of {names.nunique()} groups are in both: "
            f"{list_names(both.tolist())}. Split by group, for example with grouped_split."
        )


def _split(codes: Indices, test_fraction: float, generator: np.random.Generator) -> tuple[Indices, Indices]:
    n_groups = int(codes.max()) + 1
    n_test = min(max(round(test_fraction * n_groups), 1), n_groups - 1)
    in_test = np.isin(codes, generator.permutation(n_groups)[:n_test])
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def repeated_grouped_splits(
    groups: Sequence[object] | pd.Series | npt.ArrayLike,
    n_splits: int,
    *,
    test_fraction: float = 0.2,
    random_state: RandomState = None,
) -> Iterator[tuple[Indices, Indices]]:
    """Draw several splits by group, each on its own.

    Parameters
    ----------
    groups : sequence of length n_samples
        Group of every sample.
    n_splits : int
        Number of splits, at least 1.
    test_fraction : float in (0, 1)
        Share of the groups (not of the samples) in the test part. Each side has a group at least.
    random_state : int, numpy.random.Generator or None
        Seed of the draws.

    Returns
    -------
    iterator of (train, test)
        Increasing positions of the samples of each side.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, but it is {test_fraction}. Try 0.2.")
    if n_splits < 1:
        raise ValueError(f"n_splits must be at least 1, but it is {n_splits}. Ask for one or more.")
    codes = _codes(groups)
    generator = np.random.default_rng(random_state)
    return (_split(codes, test_fraction, generator) for _ in range(n_splits))


def grouped_split(
    groups: Sequence[object] | pd.Series | npt.ArrayLike,
    *,
    test_fraction: float = 0.2,
    random_state: RandomState = None,
) -> tuple[Indices, Indices]:
    """Split samples once, with no group on both sides; see `repeated_grouped_splits`."""
    return next(repeated_grouped_splits(groups, 1, test_fraction=test_fraction, random_state=random_state))
