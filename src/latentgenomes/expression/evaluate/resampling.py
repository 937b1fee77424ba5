"""Repeated cross-validation of survival models on the same splits, ready for paired comparison."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from latentgenomes.expression.evaluate.survival import Array, concordance_index
from latentgenomes.expression.models.survival import check_survival


def survival_splits(
    events: npt.ArrayLike, *, n_splits: int = 5, n_repeats: int = 10, random_state: int = 0
) -> Iterator[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Repeated cross-validation with the share of events kept in every fold.

    Parameters
    ----------
    events : array of shape (n,)
        One row a patient: with several rows of a patient, split by patient instead.
    n_splits : int
        Folds.
    n_repeats : int
        How often to shuffle and split again.
    random_state : int
        Seed of the first repeat; the others follow.

    Yields
    ------
    name : str
        ``"repeat.fold"``.
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If there are fewer events, or fewer censored patients, than folds.
    """
    d = np.asarray(events, dtype=np.float64)
    n_events = int((d == 1).sum())
    if n_events < n_splits:
        raise ValueError(
            f"A cohort must have an event for every fold, but it has {n_events} events for {n_splits} folds. "
            "Use fewer folds, or leave the cohort out."
        )
    strata = d if n_splits <= len(d) - n_events else np.zeros(len(d))
    for repeat in range(n_repeats):
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=random_state + repeat)
        for fold, (train, test) in enumerate(folds.split(strata[:, None], strata)):
            yield f"{repeat}.{fold}", train, test


def cross_validate_survival(
    models: Mapping[str, Any],
    features: Mapping[str, npt.ArrayLike],
    outcome: npt.ArrayLike,
    splits: Sequence[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    *,
    scorer: Callable[[Any, Array, Array], float] | None = None,
) -> pd.DataFrame:
    """Score models on the same splits, in the shape that `paired_differences` takes.

    Parameters
    ----------
    models : mapping of str to estimator
        Cloned and fitted anew on every split; each has `predict`, higher for a higher risk.
    features : mapping of str to array of shape (n, p)
        The features of each model, by the same names; they may differ between models.
    outcome : array of shape (n, 2)
        Time and event.
    splits : sequence of (name, train, test)
        See `survival_splits`.
    scorer : callable, optional
        ``scorer(model, X, y)``; by default the C-index of `predict`.

    Returns
    -------
    DataFrame
        ``split``, ``method``, ``score``.
    """
    y = np.column_stack(check_survival(outcome))
    score = scorer or (lambda model, x, o: concordance_index(model.predict(x), o[:, 0], o[:, 1]))
    records = []
    for name, train, test in splits:
        for method, model in models.items():
            x = np.asarray(features[method])
            fitted = clone(model).fit(x[train], y[train])
            records.append({"split": name, "method": method, "score": score(fitted, x[test], y[test])})
    return pd.DataFrame.from_records(records)


def mean_over_repeats(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean score of each method over folds and repeats, with a standard error between repeats.

    Parameters
    ----------
    scores : DataFrame
        From `cross_validate_survival`, with splits named ``"repeat.fold"``.

    Returns
    -------
    DataFrame
        ``method``, ``mean``, ``standard_error``, ``n_repeats``. The standard error is between repeats: it
        holds the noise of the splitting, not that of the patients.
    """
    repeats = scores["split"].astype(str).str.partition(".")[0].rename("repeat")
    means = scores.groupby(["method", repeats], sort=False)["score"].mean()
    grouped = means.groupby(level="method", sort=False)
    table = pd.DataFrame(
        {"mean": grouped.mean(), "standard_error": grouped.sem(), "n_repeats": grouped.size()}
    )
    return table.reset_index()
