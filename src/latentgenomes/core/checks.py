"""Checks of what a user hands in: each error says the rule, what came, where, and what to do."""

from collections.abc import Sequence
from typing import Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

Table = TypeVar("Table", pd.DataFrame, npt.NDArray[np.float64])
OnEmpty = Literal["raise", "drop", "keep"]

_N_NAMED = 10  # at most this many names in one message
_LARGEST = 2.0**53  # whole numbers above this are not exact in float64


def list_names(names: Sequence[object]) -> str:
    """Names for an error message, at most ten of them, such as ``'a', 'b' and 3 more``."""
    text = ", ".join(repr(name) for name in names[:_N_NAMED])
    rest = len(names) - _N_NAMED
    return f"{text} and {rest} more" if rest > 0 else text


def _values(table: pd.DataFrame | npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = table.to_numpy() if isinstance(table, pd.DataFrame) else np.asarray(table)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be a table of shape (n_samples, n_channels), but it has {array.ndim} dimension(s). "
            "Reshape it to one row per sample."
        )
    if 0 in array.shape:
        raise ValueError(
            f"{name} must hold at least one sample and one channel, but its shape is {array.shape}. "
            "Check how it was selected."
        )
    if array.dtype.kind not in "biuf":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} must hold numbers, but its type is {array.dtype}. "
                "Move text to the row and column names."
            ) from None
    return array.astype(np.float64)


def _refuse(bad: npt.NDArray[np.bool_], table: object, name: str, rule: str, advice: str) -> None:
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    value, where = np.asarray(table)[row, column], f"row {row}, column {column}"
    if isinstance(table, pd.DataFrame):
        where = f"row {table.index[row]!r}, column {table.columns[column]!r}"
    verb = "does" if bad.sum() == 1 else "do"
    raise ValueError(
        f"{name} must hold {rule}, but {bad.sum()} of {bad.size} entries {verb} not; "
        f"the first is {float(value):g} at {where}. {advice}"
    )


def _refuse_duplicates(names: pd.Index, name: str, what: str) -> None:
    twice = list(names[names.duplicated()].unique())
    if twice:
        raise ValueError(
            f"{name} must name every {what} once, but {len(twice)} of {names.nunique()} names come again: "
            f"{list_names(twice)}. Rename or merge them."
        )


def _rebuild(table: object, values: npt.NDArray[np.generic], kept: npt.NDArray[np.bool_]) -> object:
    if isinstance(table, pd.DataFrame):
        return pd.DataFrame(values[kept], index=table.index[kept], columns=table.columns)
    return values[kept]


def check_counts(
    counts: Table, *, name: str = "X", allow_fractional: bool = False, on_empty: OnEmpty = "raise"
) -> Table:
    """Return a checked copy of a table of mutation counts, (n_samples, n_channels), of the same kind.

    int64, or float64 where `allow_fractional`. `name` is what an error calls the table; `on_empty` says what
    becomes of samples without a mutation. Anything else that is no count is a ValueError: text, NaN,
    infinity, negative or fractional numbers, names that come twice.
    """
    if on_empty not in ("raise", "drop", "keep"):
        raise ValueError(
            f"on_empty must be 'raise', 'drop' or 'keep', but it is {on_empty!r}. Name one of these."
        )
    values = _values(counts, name)
    _refuse(~np.isfinite(values), counts, name, "finite counts", "Write 0 where no mutation was seen.")
    _refuse(values < 0, counts, name, "counts >= 0", "Pass raw counts, not log-ratios or z-scores.")
    if not allow_fractional:
        advice = "Pass raw counts, not proportions or rates."
        _refuse(values != np.floor(values), counts, name, "whole counts", advice)
        _refuse(values > _LARGEST, counts, name, "counts <= 2**53", advice)
        values = values.astype(np.int64)
    if isinstance(counts, pd.DataFrame):
        _refuse_duplicates(counts.index, name, "sample")
        _refuse_duplicates(counts.columns, name, "channel")
    filled: npt.NDArray[np.bool_] = np.asarray(values.any(axis=1))
    if not filled.all() and (on_empty == "raise" or (on_empty == "drop" and not filled.any())):
        empty = counts.index[~filled] if isinstance(counts, pd.DataFrame) else np.flatnonzero(~filled)
        raise ValueError(
            f"{name} must hold at least one mutation in every sample, but {len(empty)} of {len(filled)} "
            f"samples are empty: {list_names(empty.tolist())}. "
            "Leave them out (on_empty='drop') or keep them (on_empty='keep')."
        )
    kept = filled if on_empty == "drop" else np.full(len(filled), True)
    return cast(Table, _rebuild(counts, values, kept))


def check_profiles(profiles: Table, *, name: str = "profiles", tolerance: float = 1e-6) -> Table:
    """Return a checked copy of a table of profiles, (n_profiles, n_channels), float64: rows sum to 1.

    A ValueError where a number is none or negative, a row sum is further than `tolerance` from 1, or a name
    comes twice; `name` is what it calls the table.
    """
    values = _values(profiles, name)
    _refuse(~np.isfinite(values), profiles, name, "finite proportions", "Fill or leave out what is missing.")
    _refuse(
        values < 0, profiles, name, "proportions >= 0", "Pass proportions, not differences or logarithms."
    )
    sums = values.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > tolerance)
    if len(off):
        first = profiles.index[off[0]] if isinstance(profiles, pd.DataFrame) else int(off[0])
        raise ValueError(
            f"{name} must hold rows that sum to 1, but {len(off)} of {len(sums)} do not; the first sums to "
            f"{sums[off[0]]:.6g} at row {first!r}. Divide every row by its sum."
        )
    if isinstance(profiles, pd.DataFrame):
        _refuse_duplicates(profiles.index, name, "profile")
        _refuse_duplicates(profiles.columns, name, "channel")
    return cast(Table, _rebuild(profiles, values, np.full(len(values), True)))
