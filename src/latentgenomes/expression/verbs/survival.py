"""What a reader's genes say about survival: risks of patients that the model did not see, with intervals.

Ridge Cox regression on standardised genes. Patients are split into five folds, several times; the risk of a
patient comes from models that were fitted without them, and the penalty is chosen inside each training part
by the partial likelihood of inner folds. What is reported is of these risks alone:

=====================  =======================================================================================
name                   meaning
=====================  =======================================================================================
``c_index``            Harrell's; .5 is a coin
``uno_c_index``        with pairs weighed by the probability of censoring
``calibration_slope``  coefficient of the log hazard in a Cox regression on it: 1 when it is neither too bold
                       nor too shy
``brier``              integrated Brier score up to the 90th percentile of event times
``brier_null``         that of the Kaplan-Meier curve for everybody
=====================  =======================================================================================

Intervals are 95%, from bootstraps of the patients with their risks. They do not carry that another cohort may
be of another kind.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.data.own_outcomes import Followed, follow
from latentgenomes.expression.evaluate.survival import (
    brier_scores,
    calibration,
    concordance_index,
    integrated_brier_score,
    ipcw_concordance_index,
    kaplan_meier,
    survival_curves,
    survival_splits,
)
from latentgenomes.expression.models.newton import RidgeModel, ridge_path, rotate
from latentgenomes.expression.models.survival import CoxRegression
from latentgenomes.nn.train import progress

Array = npt.NDArray[np.float64]
ALPHAS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
GROUPS = ("low risk", "middle", "high risk")
_QUANTILES = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class SurvivalFound:
    """Risks and how well they hold.

    `patients`: time, event, risk (log hazard ratio to an average patient, mean over repeats), risk_lower and
    risk_upper (1.96 standard deviations over repeats), group, and survival up to the time of calibration.
    `scores`: value, lower, upper of the measures. `curves`: Kaplan-Meier by group. `calibration`: predicted
    and observed. `coefficients`: log hazard ratio of a standard deviation of each gene in the model of all
    patients, and its range over the models of the folds. `model` takes standardised genes.
    """

    patients: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    calibration: pd.DataFrame
    coefficients: pd.DataFrame
    model: CoxRegression
    notes: tuple[str, ...]

    def save(self, folder: str | Path) -> None:
        """Write a table each, notes.txt and model.safetensors."""
        for name in ("patients", "scores", "curves", "calibration", "coefficients"):
            with replacing(Path(folder) / f"{name}.csv") as path:
                getattr(self, name).to_csv(
                    path, float_format="%.6g", index=name not in ("curves", "calibration")
                )
        with replacing(Path(folder) / "notes.txt") as path:
            path.write_text("\n".join(self.notes) + "\n", encoding="utf-8")
        self.model.save(Path(folder) / "model.safetensors")


def predict_survival(
    data: ExpressionData,
    outcomes: pd.DataFrame,
    *,
    n_repeats: int = 3,
    years: float = 0.0,
    random_state: int = 0,
) -> SurvivalFound:
    """Fit, cross-validate and judge a ridge Cox regression on all genes.

    Parameters
    ----------
    data : from `latentgenomes.expression.read_expression`
    outcomes : indexed by patient, with ``time`` (days, > 0) and ``event`` (1 seen, 0 censored), joined
        by name
    n_repeats : times that the patients are split into five folds
    years : time at which predicted and observed survival are compared; 0 takes the median of the event times
    random_state : seed of folds and bootstraps

    Raises
    ------
    ValueError
        If no patient is shared, all are censored, there are too few patients or events, or times or events
        are refused by `CoxRegression`.
    """
    return judge_survival(follow(data, outcomes), n_repeats=n_repeats, years=years, random_state=random_state)


def judge_survival(
    followed: Followed,
    *,
    n_repeats: int = 3,
    years: float = 0.0,
    n_bootstraps: int = 200,
    random_state: int = 0,
) -> SurvivalFound:
    """The same for patients that `follow` has joined, with `n_bootstraps` for the intervals."""
    values, notes = _filled(followed)
    outcome = followed.outcomes[["time", "event"]].to_numpy(dtype=np.float64)
    times, events = outcome.T
    horizon = years * 365.25 if years else float(np.median(times[events == 1]))
    grid = np.unique(np.r_[np.quantile(times[events == 1], _QUANTILES), horizon])
    risks, survival, slopes, chosen = _cross_validated(values, outcome, grid, n_repeats, random_state)
    risk, spread = risks.mean(axis=0), risks.std(axis=0, ddof=1 if n_repeats > 1 else 0)
    order = np.argsort(np.argsort(risk, kind="stable"), kind="stable")
    groups = np.array(GROUPS)[np.minimum(3 * order // len(risk), 2)]
    middle = survival[:, int(np.searchsorted(grid, horizon))]
    patients = followed.outcomes.assign(
        risk=risk,
        risk_lower=risk - 1.96 * spread,
        risk_upper=risk + 1.96 * spread,
        group=groups,
        survival=middle,
    )
    scores = _scores(risk, survival, grid, outcome, n_bootstraps, random_state)
    by_group = np.argsort([GROUPS.index(name) for name in groups], kind="stable")
    curves = survival_curves(times[by_group], events[by_group], groups[by_group])
    held = calibration(middle, horizon, times, events, n_groups=min(5, int(events.sum()) // 4))
    mean, scale = values.mean(axis=0), _scale(values)
    alpha = _best_alpha((values - mean) / scale, outcome, random_state)
    model = CoxRegression(alpha).fit((values - mean) / scale, outcome)
    columns = {"coefficient": model.coef_, "fold_lower": slopes.min(axis=0), "fold_upper": slopes.max(axis=0)}
    coefficients = pd.DataFrame(
        {**columns, "mean": mean, "scale": scale}, index=pd.Index(followed.values.columns, name="gene")
    )
    coefficients = coefficients.reindex(coefficients["coefficient"].abs().sort_values(ascending=False).index)
    notes += [
        f"{len(times)} patients, {int(events.sum())} events, {values.shape[1]:,} genes",
        f"penalty of the model of all patients {alpha:g}; in the folds {_listed(chosen)}",
        f"survival compared at {horizon / 365.25:.1f} years",
    ]
    return SurvivalFound(
        patients.rename_axis("patient"),
        scores,
        curves,
        held.assign(arm="cross-validated"),
        coefficients,
        model,
        tuple(notes),
    )


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{number:g}" for number in sorted(set(numbers)))


def _filled(followed: Followed) -> tuple[Array, list[str]]:
    """Genes with gaps filled by their mean, and notes."""
    values = followed.values.to_numpy(dtype=np.float64)
    gaps = np.isnan(values)
    notes = list(followed.notes)
    if gaps.any():
        notes.append(
            f"{gaps.mean():.1%} of the values are missing and count as the gene's mean; impute restores them"
        )
        values = np.where(gaps, np.nanmean(values, axis=0), values)
    return values, notes


def _scale(values: Array) -> Array:
    scale = values.std(axis=0)
    return np.where(scale > 1e-12, scale, 1.0)


def _path(train: Array, outcome: Array, alphas: tuple[float, ...]) -> tuple[list[RidgeModel], Array]:
    """Models of all penalties on rotated samples, and the rotation, (k, p)."""
    scores, right = rotate(train)
    return ridge_path(scores, outcome, alphas), right


def _best_alpha(values: Array, outcome: Array, seed: int) -> float:
    """Penalty of the highest partial likelihood in five inner folds, by the difference of Verweij and van
    Houwelingen (1993, Stat Med 12:2305): likelihood of all patients less that of those trained on.
    """
    total = np.zeros(len(ALPHAS))
    for _, train, _ in survival_splits(outcome[:, 1], n_splits=5, n_repeats=1, random_state=seed):
        mean, scale = values[train].mean(axis=0), _scale(values[train])
        models, right = _path((values[train] - mean) / scale, outcome[train], ALPHAS)
        held_out = (values - mean) / scale @ right.T
        for place, model in enumerate(models):
            eta = held_out @ model.coefficients
            total[place] += _log_likelihood(eta, outcome) - _log_likelihood(eta[train], outcome[train])
    return ALPHAS[int(total.argmax())]


def _log_likelihood(log_hazards: Array, outcome: Array) -> float:
    """Breslow's log partial likelihood."""
    order = np.argsort(-outcome[:, 0], kind="stable")
    eta, times, events = log_hazards[order], outcome[order, 0], outcome[order, 1]
    sums = np.logaddexp.accumulate(eta)
    last = np.searchsorted(-times, -times, side="right") - 1
    return float((events * (eta - sums[last])).sum())


def _cross_validated(
    values: Array, outcome: Array, grid: Array, n_repeats: int, seed: int
) -> tuple[Array, Array, Array, list[float]]:
    """Risks, (n_repeats, n); survival at the grid, mean over repeats, (n, n_times); coefficients and penalty
    of every fold.
    """
    risks = np.empty((n_repeats, len(values)))
    survival = np.zeros((len(values), len(grid)))
    slopes, chosen = [], []
    splits = list(survival_splits(outcome[:, 1], n_splits=5, n_repeats=n_repeats, random_state=seed))
    for name, train, test in progress(splits, "folds"):
        mean, scale = values[train].mean(axis=0), _scale(values[train])
        standard = (values[train] - mean) / scale
        alpha = _best_alpha(standard, outcome[train], seed)
        (model,), right = _path(standard, outcome[train], (alpha,))
        eta = (values[test] - mean) / scale @ (model.coefficients @ right)
        risks[int(name.split(".")[0]), test] = eta
        survival[test] += model.survival(eta, grid) / n_repeats
        slopes.append(model.coefficients @ right)
        chosen.append(alpha)
    return risks, survival, np.stack(slopes), chosen


def _scores(
    risk: Array, survival: Array, grid: Array, outcome: Array, n_bootstraps: int, seed: int
) -> pd.DataFrame:
    """Measures of the risks with bootstrap intervals."""
    end = float(np.quantile(outcome[outcome[:, 1] == 1, 0], 0.9))
    inside = grid[grid <= end]

    def measures(rows: npt.NDArray[np.int64]) -> dict[str, float]:
        r, y = risk[rows], outcome[rows]
        times, events = y.T
        slope = CoxRegression(0.0).fit(r[:, None], y).coef_[0]
        last = float(kaplan_meier(times, 1 - events).times.max(initial=np.inf)) if events.all() else np.inf
        points = inside[(inside < times.max()) & (inside < last)]
        table = brier_scores(
            survival[rows][:, : len(points)], points, times, events, training=(times, events)
        )
        null = table.drop(columns="brier").rename(columns={"reference": "brier"})
        return {
            "c_index": concordance_index(r, times, events),
            "uno_c_index": ipcw_concordance_index(r, times, events, training=(times, events), limit=end),
            "calibration_slope": float(slope),
            "brier": integrated_brier_score(table),
            "brier_null": integrated_brier_score(null),
        }

    whole = measures(np.arange(len(risk)))
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(n_bootstraps):
        rows = np.sort(generator.integers(len(risk), size=len(risk)))
        if outcome[rows, 1].sum() >= 5:
            draws.append(measures(rows))
    spread = pd.DataFrame(draws).quantile([0.025, 0.975])
    table = pd.DataFrame({"value": whole, "lower": spread.iloc[0], "upper": spread.iloc[1]})
    return table.rename_axis("measure")
