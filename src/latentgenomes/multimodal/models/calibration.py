r"""From scores to probabilities, and when not to trust them.

Scores s of the types, taken where the tumour itself, or its whole project, was left out, are turned into
probabilities in two steps. First by one number, the sharpness tau,

.. math:: q_c \propto \pi_c \exp(\tau s_c),

with a prior pi, equal for all by default. Then the odds of the most probable type, h, are set by how many of
the nearest known tumours, a share u, are of that type, and the others keep their proportions:

.. math:: \text{logit}\, p_h = a\, \text{logit}\, q_h + b + c\, u .

All four numbers are where left-out tumours are most likely. Two more things come from the same scores.
*Confident* answers are those with p at or above the least probability at which the answers of left-out
projects were right often enough. And a tumour is *unlike anything known* where few known tumours, seen as if
new, were as far from their types as it is: its conformal p-value.

| symbol | name in code | shape |
|---|---|---|
| $s$ | `scores` | (n, types) |
| $\tau$ | `sharpness` | scalar |
| $\log \pi$ | `log_prior` | (types,) |
| $u$ | `agreement` | (n, types), share of the nearest known tumours of each type |
| $a, b, c$ | `odds` | (3,) |
| $p$ | `log_probability` | (n, types), in nats |

References
----------
Guo et al. 2017, ICML 34:1321-1330 (temperature); Platt 1999, Advances in Large Margin Classifiers, 61-74
(odds); Vovk et al. 2005, Algorithmic Learning in a Random World (conformal p-values); Geifman & El-Yaniv
2017, NIPS 30 (selective answers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_expit, log_softmax

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Weight, in calibration, of tumours that were left out without their project.
SHARE_ALONE = 0.9
N_QUANTILES = 100
LEAST_ANSWERS = 20  # fewer left-out answers say nothing about a threshold
NEVER = 2.0  # no probability is this large
_SURE = 1e-9  # probabilities stay this far below 1


class LeftOut(NamedTuple):
    """Known tumours seen as if new: scores, codes of types, distances, agreement of their neighbours."""

    scores: Array
    codes: Ints
    far: Array
    agreement: Array


@dataclass(frozen=True)
class Calibration:
    """Sharpness, odds, least probability of a confident answer, quantiles of what is far among known tumours.

    `tops` are quantiles of minus the best score, `distances` of the distance to the nearest known tumours,
    `novelties` of their sum as ranks; each increases.
    """

    sharpness: float
    odds: Array
    threshold: float
    tops: Array
    distances: Array
    novelties: Array

    def log_probability(self, scores: Array, agreement: Array, log_prior: Array | None = None) -> Array:
        """Log-probabilities of the types, (n, types)."""
        log_q = log_softmax(self.sharpness * scores + (0.0 if log_prior is None else log_prior), axis=1)
        rows, best = np.arange(len(log_q)), log_q.argmax(axis=1)
        features = odds_features(log_q[rows, best], agreement[rows, best])
        left = np.log(-np.expm1(np.minimum(log_q[rows, best], -_SURE)))
        second = np.partition(log_q, -2, axis=1)[:, -2]
        logit = np.maximum(features @ self.odds, second - left + 1e-6)  # the best stays the best
        # The others keep their proportions in what is left.
        found = log_q - left[:, None] + log_expit(-logit)[:, None]
        found[rows, best] = log_expit(logit)
        return np.asarray(log_softmax(found, axis=1))

    def p_value(self, scores: Array, distances: Array) -> Array:
        """Share of known tumours that were at least as far from all types, (n,)."""
        novelty = combined(scores, distances, self.tops, self.distances)
        below = np.searchsorted(self.novelties, novelty, side="left")
        return np.asarray((1 + len(self.novelties) - below) / (1 + len(self.novelties)))

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {key: np.round(value, 5).tolist() for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Calibration":
        """Undo `to_json`."""
        curves = {key: np.array(record[key]) for key in ("odds", "tops", "distances", "novelties")}
        return cls(sharpness=float(record["sharpness"]), threshold=float(record["threshold"]), **curves)


def combined(scores: Array, distances: Array, tops: Array, far: Array) -> Array:
    """How far a tumour is from all that is known: rank of its best score, and a little of its distance."""
    first = np.searchsorted(tops, -scores.max(axis=1)) / len(tops)
    second = np.searchsorted(far, distances) / len(far)
    return np.asarray(first + 0.3 * second)


def quantiles(values: Array) -> Array:
    """Evenly spaced quantiles, increasing."""
    return np.asarray(np.quantile(values, (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES))


def fit_sharpness(scores: Array, codes: Ints, weight: Array) -> float:
    """The sharpness at which left-out tumours are most likely."""

    def loss(log_sharpness: float) -> float:
        log_p = log_softmax(np.exp(log_sharpness) * scores, axis=1)
        return -float(np.average(log_p[np.arange(len(codes)), codes], weights=weight))

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 5.0), method="bounded").x))


def odds_features(log_top: Array, agreement: Array) -> Array:
    """What sets the odds of the most probable type: its odds by the scores, 1, and the agreement; (n, 3)."""
    log_top = np.minimum(log_top, -_SURE)
    return np.stack([log_top - np.log(-np.expm1(log_top)), np.ones(len(log_top)), agreement], axis=1)


def fit_odds(features: Array, right: npt.NDArray[np.bool_], weight: Array) -> Array:
    """The odds at which right and wrong answers are most likely, (3,); a little pull towards no change."""
    start = np.array([1.0, 0.0, 0.0])

    def loss(odds: Array) -> float:
        logit = features @ odds
        likely = np.where(right, log_expit(logit), log_expit(-logit))
        return float(-np.average(likely, weights=weight) + 1e-3 * np.square(odds - start).sum())

    bounds = [(0.1, 5.0), (-10.0, 10.0), (-10.0, 10.0)]  # odds never fall where the scores rise
    return np.asarray(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)


def least_probability(top: Array, right: npt.NDArray[np.bool_], precision: float) -> float:
    """The least probability from which on answers are right at least so often; `NEVER` where none is."""
    order = np.argsort(-top, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((share >= precision) & (np.arange(1, len(order) + 1) >= LEAST_ANSWERS))
    return float(top[order][good[-1]]) if len(good) else NEVER


def calibrate(sets: Sequence[LeftOut], precision: float) -> Calibration:
    """Calibration from left-out tumours: first those left out alone, then those with their project."""
    scores, codes, far, agreement = (np.concatenate(part) for part in zip(*sets, strict=True))
    shares = (1.0,) if len(sets) == 1 else (SHARE_ALONE, 1.0 - SHARE_ALONE)
    weight = np.concatenate(
        [np.full(len(own.codes), share / len(own.codes)) for own, share in zip(sets, shares, strict=True)]
    )
    sharpness = fit_sharpness(scores, codes, weight)
    log_q = log_softmax(sharpness * scores, axis=1)
    rows, best = np.arange(len(codes)), log_q.argmax(axis=1)
    odds = fit_odds(odds_features(log_q[rows, best], agreement[rows, best]), best == codes, weight)
    tops, distances = quantiles(-scores.max(axis=1)), quantiles(far)
    novelty = quantiles(combined(scores, far, tops, distances))
    known = Calibration(sharpness, odds, NEVER, tops, distances, novelty)
    hardest = sets[-1]
    probability = np.exp(known.log_probability(hardest.scores, hardest.agreement))
    right = probability.argmax(axis=1) == hardest.codes
    return replace(known, threshold=least_probability(probability.max(axis=1), right, precision))
