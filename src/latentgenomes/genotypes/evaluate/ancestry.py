"""How well ancestry, and the place of a sample, can be read from a representation of genotypes.

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

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
# Inverse strength of the penalty: a few coordinates bear more than thousands of calls.
_STRENGTH, _RAW_STRENGTH = 100.0, 0.01
_EARTH_KM = 6371.0088  # mean radius


def ancestry_folds(
    populations: npt.ArrayLike, people: npt.ArrayLike, *, n_folds: int = 5, random_state: int = 0
) -> Iterator[tuple[Indices, Indices]]:
    """Folds (train, test) with both haplotypes of a person together and every population in all parts."""
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
    """Balanced accuracy of a logistic regression on one fold, for every kind of label (n_samples,).

    The representation is cloned and fitted to the training part without labels; None takes the calls
    themselves, which have no gaps. In [0, 1]; 1 / (number of names) is chance.
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


def great_circle_km(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Kilometres between places (n, 2), longitude and latitude in degrees (Sinnott 1984, haversine)."""
    start, end = (np.radians(np.asarray(places, dtype=np.float64)) for places in (first, second))
    half = np.sin((end - start) / 2) ** 2
    share = half[:, 1] + np.cos(start[:, 1]) * np.cos(end[:, 1]) * half[:, 0]
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(share, 0, 1))), dtype=np.float64)


def place_scores(true: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """r2_longitude, r2_latitude and median_km of predicted places, both tables (n, 2) in degrees.

    r2 is 1 minus squared error over variance: below 0 when worse than the mean of the true places.
    """
    places, guesses = (np.asarray(table, dtype=np.float64) for table in (true, predicted))
    if places.shape != guesses.shape or places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(
            f"Places must be two tables (n, 2) of one shape, but they are {places.shape} and "
            f"{guesses.shape}. Pass longitude and latitude of each sample."
        )
    variance = places.var(axis=0)
    if (variance == 0).any():
        raise ValueError(
            "Places must differ in longitude and latitude, but one is the same for all. Add samples."
        )
    r2 = 1 - ((places - guesses) ** 2).mean(axis=0) / variance
    distance = float(np.median(great_circle_km(places, guesses)))
    return {"r2_longitude": float(r2[0]), "r2_latitude": float(r2[1]), "median_km": distance}
