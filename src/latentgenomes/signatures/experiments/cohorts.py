"""All systems on one real cohort: held-out donors, and agreement of fits that should agree.

Without a truth two questions can still be answered. Does a model explain donors that it has not seen? And
does it find the same signatures from another seed, or from the other half of the donors?
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from latentgenomes.core.splits import grouped_split, repeated_grouped_splits
from latentgenomes.signatures.evaluate import log_likelihood_per_mutation, match_signatures
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.klnmf import refit
from latentgenomes.signatures.verbs.methods import SYSTEMS

Settings = Mapping[str, Mapping[str, object]]


def fit_system(
    counts: pd.DataFrame,
    method: str,
    n_signatures: int,
    *,
    settings: Mapping[str, object] | None = None,
    random_state: int = 0,
) -> SignatureExtractor:
    """Fit one system for one number of signatures, with its settings in `SYSTEMS` and yours on top."""
    if method not in SYSTEMS:
        raise ValueError(f"method must be one of {', '.join(SYSTEMS)}, but {method!r} came. Name one.")
    system = SYSTEMS[method]
    options = {**system.settings, **system.prepare(counts), **(settings or {}), "random_state": random_state}
    if system.eliminates:
        options["eliminate"] = False  # the number is given
    return system.estimator(n_signatures, **options).fit(counts)


def compare_generalisation(
    counts: pd.DataFrame,
    donors: pd.Series,
    n_signatures: Mapping[str, int] | int,
    *,
    n_splits: int = 3,
    test_fraction: float = 0.25,
    settings: Settings | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score systems on the donors that they were fitted to and on held-out ones, in nats per mutation. A
    donor's samples stay together; `n_signatures` is one number for all systems, or those of the systems to
    run. Inference is "own", by the model itself (an encoder where it has one), or "refit", the best exposures
    for its signatures, found alike for all.
    """
    numbers = _per_system(n_signatures)
    rows = []
    splits = repeated_grouped_splits(
        donors.loc[counts.index], n_splits, test_fraction=test_fraction, random_state=random_state
    )
    for split, (train, test) in enumerate(splits):
        parts = {"seen": counts.iloc[train], "unseen": counts.iloc[test]}
        for method, k in numbers.items():
            own = (settings or {}).get(method)
            model = fit_system(parts["seen"], method, k, settings=own, random_state=random_state + split)
            row = {"split": split, "method": method, "n_signatures": len(model.components_)}
            scores = {name: dict(_scores(model, part)) for name, part in parts.items()}
            for inference in ("own", "refit"):
                values = {name: score[inference] for name, score in scores.items()}
                rows.append(row | {"inference": inference} | values)
    return pd.DataFrame(rows)


def _scores(model: SignatureExtractor, counts: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Log-likelihood per mutation, by the model's own exposures and by a common refit."""
    yield "own", model.score(counts)
    signatures = model.signatures_
    yield "refit", log_likelihood_per_mutation(counts, refit(counts, signatures) @ signatures)


def compare_consistency(
    counts: pd.DataFrame,
    donors: pd.Series,
    n_signatures: Mapping[str, int] | int,
    *,
    n_seeds: int = 3,
    settings: Settings | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Measure how alike signatures of fits are that should be alike; see `compare_generalisation`. There are
    `n_seeds` fits of all samples and as many pairs of disjoint halves of the donors. A row per pair of fits
    has the mean cosine of the signatures matched one to one, and the share with .9 or more.
    """
    if n_seeds < 2:
        raise ValueError(f"n_seeds must be at least 2, but {n_seeds} came: one fit agrees with nothing.")
    rows = []
    for method, k in _per_system(n_signatures).items():
        own = (settings or {}).get(method)
        seeds = range(random_state, random_state + n_seeds)
        fits = [fit_system(counts, method, k, settings=own, random_state=s).signatures_ for s in seeds]
        for pair, (first, second) in enumerate(combinations(fits, 2)):
            rows.append({"method": method, "between": "seeds", "pair": pair} | _agreement(first, second))
        for pair, seed in enumerate(seeds):
            train, test = grouped_split(donors.loc[counts.index], test_fraction=0.5, random_state=seed)
            halves = [
                fit_system(counts.iloc[rows_], method, k, settings=own, random_state=seed).signatures_
                for rows_ in (train, test)
            ]
            rows.append({"method": method, "between": "halves", "pair": pair} | _agreement(*halves))
    return pd.DataFrame(rows)


def _agreement(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float]:
    """Cosines of signatures matched one to one."""
    cosines = match_signatures(first, second)["cosine"].to_numpy()
    return {"mean_cosine": float(np.mean(cosines)), "share_0.9": float(np.mean(cosines >= 0.9))}


def _per_system(n_signatures: Mapping[str, int] | int) -> dict[str, int]:
    """Number of signatures by system."""
    if isinstance(n_signatures, Mapping):
        return dict(n_signatures)
    return dict.fromkeys(SYSTEMS, n_signatures)
