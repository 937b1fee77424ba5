"""How well ancestry can be read from a representation of haplotypes or genotypes.

A representation is fitted to the training part of each fold without populations, then a logistic regression
to its coordinates. People are never on both sides of a split.

======  =====================  ============================================================
symbol  name in code           meaning
======  =====================  ============================================================
k       ``n_folds``            folds, stratified by population, grouped by person
a       ``balanced_accuracy``  mean over the populations of the share that is recognised
======  =====================  ============================================================
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold

Indices = npt.NDArray[np.int64]
# Inverse strength of the penalty: a few coordinates bear more than thousands of calls.
_STRENGTH, _RAW_STRENGTH = 100.0, 0.01


def ancestry_folds(
    populations: npt.ArrayLike, people: npt.ArrayLike, *, n_folds: int = 5, random_state: int = 0
) -> Iterator[tuple[Indices, Indices]]:
    """Folds that keep both haplotypes of a person together and every population in all parts.

    Parameters
    ----------
    populations, people : array of shape (n_samples,)
        Names.
    n_folds : int
        How many; a population must have as many people.
    random_state : int
        Of the shuffling.

    Yields
    ------
    train, test : ndarray of int
        Positions.

    Raises
    ------
    ValueError
        If a population has fewer people than there are folds.
    """
    table = pd.DataFrame({"population": np.asarray(populations), "person": np.asarray(people)})
    sizes = table.groupby("population")["person"].nunique()
    if sizes.min() < n_folds:
        raise ValueError(
            f"Every population must have {n_folds} people or more for {n_folds} folds, but "
            f"{sizes.idxmin()!r} has {sizes.min()}. Leave it out, or take fewer folds."
        )
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    yield from splitter.split(table, table["population"], table["person"])


def score_representation(
    representation: BaseEstimator | None,
    calls: npt.NDArray[np.int8],
    labels: Sequence[npt.NDArray[np.str_]],
    train: Indices,
    test: Indices,
) -> list[float]:
    """Balanced accuracy of a logistic regression on one fold, for every kind of label.

    Parameters
    ----------
    representation : transformer or None
        Cloned and fitted to the training part, without labels. None takes the calls themselves.
    calls : ndarray of shape (n_samples, n_snps)
        Without missing calls.
    labels : sequence of ndarray of shape (n_samples,)
        Names, such as regions and populations.
    train, test : ndarray of int
        From `ancestry_folds`.

    Returns
    -------
    list of float
        In [0, 1]; 1 / (number of names) is chance.
    """
    parts = [calls[rows] for rows in (train, test)]
    strength = _RAW_STRENGTH
    if representation is not None:
        fitted = clone(representation).fit(parts[0])
        parts = [fitted.transform(part) for part in parts]
        # One scale for all: a coordinate that says nothing has a tiny spread and must keep it.
        scale = max(float(parts[0].std(axis=0).max()), 1e-12)
        parts, strength = [part / scale for part in parts], _STRENGTH  # type: ignore[misc]
    scores = []
    for names in labels:
        regression = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        regression.fit(parts[0].astype(np.float64), names[train])
        found = regression.predict(parts[1].astype(np.float64))
        scores.append(float(balanced_accuracy_score(names[test], found)))
    return scores
