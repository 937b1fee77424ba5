"""Do signatures come back? Two halves of the donors of a cohort, each system with its own number."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from latentgenomes.core.splits import grouped_split
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.evaluate import log_likelihood_per_mutation, match_signatures
from latentgenomes.signatures.models.klnmf import refit
from latentgenomes.signatures.verbs.extract import extract_signatures
from latentgenomes.signatures.verbs.extraction import Extraction

_ALIKE = 0.9
_LEAST_RATE = 1e-6  # mutations; nothing is impossible


def compare_halves(
    counts: pd.DataFrame,
    donors: pd.Series,
    methods: Mapping[str, Sequence[int] | str],
    *,
    n_splits: int = 3,
    random_state: int = 0,
) -> pd.DataFrame:
    """Extract from both halves of the donors, and count what is reported in one and comes back in the other.

    `methods` gives the numbers of signatures that each may choose from, or "auto". Reported is what a system
    calls found; all signatures where it makes no difference. One row per split and method: split, method,
    reported (both halves), back (pairs of reported ones at a cosine of 0.9), among (their share), anywhere
    (share of the reported ones with a partner anywhere in the other result), whole and whole_back (of all
    signatures), cosmic (signatures of both results with a partner in COSMIC 3.4), and unseen (nats per
    mutation of the other donors: exposures by a common refit to half of their mutations, scored on the other
    half).
    """
    cosmic, rows = cosmic_signatures(), []
    for split in range(n_splits):
        parts = grouped_split(donors.loc[counts.index], test_fraction=0.5, random_state=random_state + split)
        halves = [counts.iloc[part] for part in parts]
        for method, numbers in methods.items():
            first, second = (
                extract_signatures(half[half.any(axis=1)], method=method, n_signatures=numbers)
                for half in halves
            )
            row = {"split": split, "method": method} | _agreement(first, second, cosmic)
            row["unseen"] = (_unseen(first, halves[1], split) + _unseen(second, halves[0], split)) / 2
            rows.append(row)
    return pd.DataFrame(rows)


def _unseen(extraction: Extraction, counts: pd.DataFrame, seed: int) -> float:
    """Log-likelihood per mutation of one half of every sample's mutations, with exposures from the other."""
    filled = counts[counts.any(axis=1)]
    given = np.random.default_rng(seed).binomial(filled.to_numpy().astype(int), 0.5)
    part = pd.DataFrame(given, index=filled.index, columns=filled.columns)
    rates = refit(part, extraction.signatures) @ extraction.signatures
    return log_likelihood_per_mutation(filled - part, rates.clip(lower=_LEAST_RATE))


def _agreement(first: Extraction, second: Extraction, cosmic: pd.DataFrame) -> dict[str, float]:
    told = [_reported(one) for one in (first, second)]
    every = [first.signatures, second.signatures]
    n_told, back = sum(map(len, told)), _alike(*told)
    return {
        "reported": n_told,
        "back": back,
        "among": 2 * back / n_told if n_told else float("nan"),
        "anywhere": (_alike(told[0], every[1]) + _alike(told[1], every[0])) / n_told
        if n_told
        else float("nan"),
        "whole": sum(map(len, every)),
        "whole_back": _alike(*every),
        "cosmic": sum(_alike(one, cosmic) for one in every),
    }


def _reported(extraction: Extraction) -> pd.DataFrame:
    """Signatures that are called found; all where the system makes no such difference."""
    verdict = extraction.support["verdict"]
    return extraction.signatures[verdict != "possible"]


def _alike(first: pd.DataFrame, second: pd.DataFrame) -> int:
    """Pairs, one to one, at a cosine of 0.9 or more."""
    if first.empty or second.empty:
        return 0
    return int((match_signatures(first, second)["cosine"] >= _ALIKE).sum())
