r"""How well a risk orders patients, and how well predicted probabilities of survival hold.

======  =====================  ===============================================================================
symbol  name in code           meaning
======  =====================  ===============================================================================
t, d    ``times, events``      outcome: time, and 1 where the event was seen, 0 where the patient was censored
r       ``risks``              any number that is higher where the event is expected earlier
S(t|x)  ``survival``           predicted probability of no event up to t, (n_samples, n_times)
G(t)    ``censoring``          Kaplan-Meier probability of not being censored up to t
======  =====================  ===============================================================================

Pairs (i, j) count in the C-index when t_i < t_j and d_i = 1, or when t_i = t_j, d_i = 1 and d_j = 0. Uno's
form weighs each by 1 / G(t_i-)^2, with G from the training patients, so that the answer does not depend on
how many were censored. The Brier score at t is the mean of

    S(t|x)^2 1[t_i <= t, d_i = 1] / G(t_i-)  +  (1 - S(t|x))^2 1[t_i > t] / G(t).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from latentgenomes.expression.models.survival import check_survival

Array = npt.NDArray[np.float64]


class StepFunction(NamedTuple):
    """A function that is 1 before the first time and `values[i]` from `times[i]` on."""

    times: Array
    values: Array

    def at(self, times: npt.ArrayLike, *, before: bool = False) -> Array:
        """Values at the times, or just before them."""
        position = np.searchsorted(
            self.times, np.asarray(times, dtype=np.float64), side="left" if before else "right"
        )
        steps: Array = np.r_[1.0, self.values][position]
        return steps


def kaplan_meier(times: npt.ArrayLike, events: npt.ArrayLike) -> StepFunction:
    """Kaplan-Meier probability of no event by each event time; with ``1 - events``, of not being censored."""
    t, d = np.asarray(times, dtype=np.float64), np.asarray(events, dtype=np.float64)
    distinct, group = np.unique(t, return_inverse=True)
    n_events = np.bincount(group, weights=d)
    n_at_risk = len(t) - np.r_[0, np.cumsum(np.bincount(group))[:-1]]
    seen = n_events > 0
    return StepFunction(distinct[seen], np.cumprod(1 - n_events / n_at_risk)[seen])


def _check_risks(
    risks: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike
) -> tuple[Array, Array, Array]:
    r = np.asarray(risks, dtype=np.float64)
    if r.ndim != 1 or not np.isfinite(r).all():
        raise ValueError(
            f"risks must be one finite number a sample, but their shape is {r.shape} and "
            f"{(~np.isfinite(r)).sum()} are not finite. Pass what predict gave."
        )
    t, d = check_survival(
        np.column_stack([np.asarray(times, float), np.asarray(events, float)]), n_samples=len(r)
    )
    return r, t, d


def _concordance(r: Array, t: Array, d: Array, weights: Array, limit: float) -> float:
    """Share of the weighted pairs in order; ties in risk count one half."""
    concordant = total = 0.0
    for i in np.flatnonzero((d == 1) & (t < limit)):
        later = (t > t[i]) | ((t == t[i]) & (d == 0))
        total += weights[i] * later.sum()
        concordant += weights[i] * ((r[later] < r[i]).sum() + 0.5 * (r[later] == r[i]).sum())
    if total == 0:
        raise ValueError(
            "A C-index needs at least one patient with an event who has another one after it, but there is "
            "no such pair. Use more patients, or a later limit."
        )
    return float(concordant / total)


def concordance_index(risks: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> float:
    """Harrell's C-index: how often, of two comparable patients, the one of higher risk has the event first;
    equal risks count one half. Harrell et al. 1982, JAMA 247:2543.
    """
    r, t, d = _check_risks(risks, times, events)
    return _concordance(r, t, d, np.ones(len(t)), np.inf)


def ipcw_concordance_index(
    risks: npt.ArrayLike,
    times: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    training: tuple[npt.ArrayLike, npt.ArrayLike],
    limit: float | None = None,
) -> float:
    """Uno's C-index, with pairs weighted by the inverse probability of censoring (Uno et al. 2011, Stat Med
    30:1105). `training`, (times, events), gives the censoring distribution. Only events before `limit` count;
    by default the last time at which a training patient was still not censored with positive probability.
    """
    r, t, d = _check_risks(risks, times, events)
    censoring = _censoring(training)
    end = _end_of_follow_up(censoring) if limit is None else limit
    counted = (d == 1) & (t < end)
    weights = np.zeros(len(t))
    weights[counted] = censoring.at(t[counted], before=True) ** -2 if counted.any() else 0
    return _concordance(r, t, d, weights, end)


def _censoring(training: tuple[npt.ArrayLike, npt.ArrayLike]) -> StepFunction:
    times, events = check_survival(np.column_stack([np.asarray(part, float) for part in training]))
    return kaplan_meier(times, 1 - events)


def _end_of_follow_up(censoring: StepFunction) -> float:
    gone = censoring.times[censoring.values <= 0]
    return float(gone[0]) if len(gone) else np.inf


def brier_scores(
    survival: npt.ArrayLike,
    grid: npt.ArrayLike,
    times: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    training: tuple[npt.ArrayLike, npt.ArrayLike],
) -> pd.DataFrame:
    """Brier score at each time, weighted by the inverse probability of censoring (Graf et al. 1999, Stat Med
    18:2529). `survival` holds probabilities of no event, (n, n_times); `grid` times that increase and end
    before the follow-up of the `training` patients. Columns: ``time``, ``brier`` and ``reference``, the score
    of the training patients' Kaplan-Meier curve for everybody.
    """
    predicted, points = np.asarray(survival, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    t, d = check_survival(np.column_stack([np.asarray(times, float), np.asarray(events, float)]))
    if predicted.shape != (len(t), len(points)):
        raise ValueError(
            f"survival must have one row a patient and one column a time, ({len(t)}, {len(points)}), but "
            f"its shape is {predicted.shape}. Pass what predict_survival_function gave at these times."
        )
    bad = ~((predicted >= 0) & (predicted <= 1))
    if bad.any():
        raise ValueError(
            f"survival must hold probabilities in [0, 1], but {bad.sum()} of {bad.size} entries are not; "
            f"the first is {predicted[tuple(np.argwhere(bad)[0])]:g}. Pass probabilities of no event, not "
            "hazards."
        )
    if len(points) == 0 or (np.diff(points) <= 0).any():
        raise ValueError(f"grid must hold increasing times, but it is {points.tolist()[:5]}.")
    censoring = _censoring(training)
    if points[-1] >= _end_of_follow_up(censoring):
        raise ValueError(
            f"grid must end before {_end_of_follow_up(censoring):g}, when every training patient was "
            f"censored, but it ends at {points[-1]:g}. Choose an earlier last time."
        )
    had = (t[:, None] <= points) & (d[:, None] == 1)
    chance = censoring.at(t, before=True)[:, None]
    before = np.divide(1.0, chance, out=np.zeros(had.shape), where=had)
    after = (t[:, None] > points) / censoring.at(points)
    reference = kaplan_meier(*training).at(points)
    return pd.DataFrame(
        {
            "time": points,
            "brier": (before * predicted**2 + after * (1 - predicted) ** 2).mean(0),
            "reference": (before * reference**2 + after * (1 - reference) ** 2).mean(0),
        }
    )


def integrated_brier_score(scores: pd.DataFrame) -> float:
    """Mean of `brier_scores` over its range of times, two or more, by the trapezoid rule; lower is better."""
    if len(scores) < 2:
        raise ValueError(
            f"An integral needs at least 2 times, but scores hold {len(scores)}. Use a finer grid."
        )
    times = scores["time"].to_numpy()
    return float(np.trapezoid(scores["brier"], times) / (times[-1] - times[0]))


def calibration(
    survival: npt.ArrayLike, time: float, times: npt.ArrayLike, events: npt.ArrayLike, *, n_groups: int = 5
) -> pd.DataFrame:
    """Predicted against observed survival at one time, in groups of increasing predicted `survival`, (n,):
    ``group``, ``n``, ``predicted`` (mean), ``observed`` (Kaplan-Meier), ``standard_error`` after Greenwood.
    """
    predicted = np.asarray(survival, dtype=np.float64)
    _, t, d = _check_risks(predicted, times, events)
    if not 1 <= n_groups <= len(t):
        raise ValueError(
            f"n_groups must be between 1 and the number of patients ({len(t)}), but it is {n_groups}."
        )
    records = []
    for number, rows in enumerate(np.array_split(np.argsort(predicted, kind="stable"), n_groups), start=1):
        observed, error = _kaplan_meier_with_error(t[rows], d[rows], time)
        records.append(
            {
                "group": number,
                "n": len(rows),
                "predicted": float(predicted[rows].mean()),
                "observed": observed,
                "standard_error": error,
            }
        )
    return pd.DataFrame.from_records(records)


def _kaplan_meier_with_error(times: Array, events: Array, time: float) -> tuple[float, float]:
    """Kaplan-Meier estimate at a time, and its standard error after Greenwood."""
    estimate = float(kaplan_meier(times, events).at(time))
    seen = np.unique(times[(events == 1) & (times <= time)])
    n_events = np.array([((times == t) & (events == 1)).sum() for t in seen])
    n_at_risk = np.array([(times >= t).sum() for t in seen])
    alive = n_at_risk > n_events
    variance = (n_events[alive] / (n_at_risk[alive] * (n_at_risk[alive] - n_events[alive]))).sum()
    return estimate, estimate * float(np.sqrt(variance))


def survival_curves(times: npt.ArrayLike, events: npt.ArrayLike, groups: npt.ArrayLike) -> pd.DataFrame:
    """Kaplan-Meier curve of each group, with 95% intervals and numbers at risk. One row for time 0 and for
    every time at which someone had the event or was censored: ``group``, ``time``, ``survival``, ``lower``
    and ``upper`` (Greenwood, on the scale of log(-log S)), ``at_risk`` (just before that time).
    """
    names = np.asarray(groups).astype(str)
    outcome = np.column_stack([np.asarray(times, float), np.asarray(events, float)])
    t, d = check_survival(outcome, n_samples=len(names))
    tables = []
    for name in dict.fromkeys(names):
        inside = names == name
        distinct, place = np.unique(t[inside], return_inverse=True)
        deaths = np.bincount(place, weights=d[inside])
        at_risk = inside.sum() - np.r_[0, np.cumsum(np.bincount(place))[:-1]]
        survival = np.cumprod(1 - deaths / at_risk)
        left = np.maximum(at_risk - deaths, 1e-12)
        spread = np.sqrt(np.cumsum(deaths / (at_risk * left)))
        inner = (survival > 0) & (survival < 1)
        log_survival = np.log(np.where(inner, survival, 0.5))
        width = np.where(inner, 1.959964 * spread / -log_survival, 0.0)
        bounds = [np.where(inner, survival ** np.exp(sign * width), survival) for sign in (1, -1)]
        columns = {"time": distinct, "survival": survival, "lower": bounds[0], "upper": bounds[1]}
        start = {"time": [0.0], "survival": [1.0], "lower": [1.0], "upper": [1.0], "at_risk": [inside.sum()]}
        table = pd.concat([pd.DataFrame(start), pd.DataFrame({**columns, "at_risk": at_risk})])
        tables.append(table.assign(group=name))
    return pd.concat(tables, ignore_index=True)


def survival_splits(
    events: npt.ArrayLike, *, n_splits: int = 5, n_repeats: int = 10, random_state: int = 0
) -> Iterator[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Repeated cross-validation with the share of events kept in every fold: name "repeat.fold", train, test.
    With several rows of a patient, split by patient instead. Each repeat has its own seed.
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
