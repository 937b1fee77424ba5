import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index as lifelines_concordance

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

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchsurv.metrics.brier_score import BrierScore
    from torchsurv.metrics.cindex import ConcordanceIndex
    from torchsurv.stats.ipcw import get_ipcw


def cohort(seed, n=120, ties=True, effect=1.0):
    generator = np.random.default_rng(seed)
    risks = generator.normal(size=n)
    latent = generator.exponential(20 * np.exp(-effect * risks))
    censoring = generator.exponential(30, n)
    times = np.minimum(latent, censoring)
    return risks, np.ceil(times) if ties else times, (latent <= censoring).astype(float)


# ---- C-index ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_concordance_is_lifelines_and_turns_around_with_the_sign(seed):
    risks, times, events = cohort(seed)
    risks = np.round(risks, 1)  # ties in risk too
    ours = concordance_index(risks, times, events)
    assert ours == pytest.approx(lifelines_concordance(times, -risks, events), abs=1e-12)
    assert concordance_index(-risks, times, events) == pytest.approx(1 - ours, abs=1e-12)
    assert concordance_index(np.exp(risks), times, events) == pytest.approx(ours, abs=1e-12)
    assert concordance_index(np.zeros(len(times)), times, events) == 0.5


def uno_by_hand(risks, times, events, training, limit):
    def not_censored_before(time):
        chance = 1.0
        for at in sorted(set(training[0])):
            if at < time:
                censored = ((training[0] == at) & (training[1] == 0)).sum()
                chance *= 1 - censored / (training[0] >= at).sum()
        return chance

    up = down = 0.0
    for i in range(len(times)):
        if events[i] == 0 or times[i] >= limit:
            continue
        weight = not_censored_before(times[i]) ** -2
        for j in range(len(times)):
            if times[j] > times[i] or (times[j] == times[i] and events[j] == 0):
                down += weight
                up += weight * (1.0 if risks[j] < risks[i] else 0.5 if risks[j] == risks[i] else 0.0)
    return up / down


@pytest.mark.parametrize("limit", [8.0, 15.0])
def test_ipcw_concordance_is_unos_sum_written_out(limit):
    risks, times, events = cohort(0, n=60)
    training = cohort(1, n=80)[1:]
    ours = ipcw_concordance_index(risks, times, events, training=training, limit=limit)
    assert ours == pytest.approx(uno_by_hand(risks, times, events, training, limit), abs=1e-12)


def test_ipcw_concordance_is_torchsurvs():
    risks, times, events = cohort(2, ties=False)
    limit = float(np.quantile(times, 0.8))
    ours = ipcw_concordance_index(risks, times, events, training=(times, events), limit=limit)
    event, time = torch.tensor(events).bool(), torch.tensor(times).float()
    theirs = ConcordanceIndex()(
        torch.tensor(risks).float(), event, time, weight=get_ipcw(event, time), tmax=torch.tensor(limit)
    )
    assert ours == pytest.approx(float(theirs), abs=1e-5)  # torchsurv counts in single precision


def test_ipcw_concordance_does_not_depend_on_the_censoring():
    # The same 4,000 patients with light and with heavy censoring: Uno's stays, Harrell's moves with it.
    generator = np.random.default_rng(5)
    n = 4000
    risks = generator.normal(size=n)
    latent = 10 * generator.weibull(3, n) * np.exp(-np.where(risks > 0, 0.1, 1.2) * risks)
    found = {}
    for scale in (60.0, 9.0):
        censoring = generator.exponential(scale, n)
        times, events = np.minimum(latent, censoring), (latent <= censoring).astype(float)
        found[scale] = (
            concordance_index(risks, times, events),
            ipcw_concordance_index(risks, times, events, training=(times, events), limit=14.0),
        )
    harrell, uno = (abs(found[60.0][i] - found[9.0][i]) for i in (0, 1))
    assert uno < 4 * 0.009  # standard error of the heavily censored one, from 200 bootstraps
    assert uno < harrell


# ---- Kaplan-Meier, Brier score, calibration -----------------------------------------------------


def test_kaplan_meier_is_lifelines():
    _, times, events = cohort(3)
    ours = kaplan_meier(times, events)
    grid = np.linspace(0, times.max() + 1, 37)
    theirs = KaplanMeierFitter().fit(times, events).predict(grid)
    np.testing.assert_allclose(ours.at(grid), theirs, rtol=1e-12)
    np.testing.assert_allclose(ours.at(ours.times, before=True), np.r_[1.0, ours.values[:-1]])


def brier_by_hand(survival, at, times, events, training):
    chance = kaplan_meier(training[0], 1 - training[1])
    total = 0.0
    for s, t, d in zip(survival, times, events, strict=True):
        if t <= at and d == 1:
            total += s**2 / float(chance.at(t, before=True))
        elif t > at:
            total += (1 - s) ** 2 / float(chance.at(at))
    return total / len(times)


def test_survival_curves_are_lifelines_with_its_intervals():
    times, events = np.round(np.random.default_rng(4).exponential(50, 90)), np.arange(90) % 3 > 0
    groups = np.where(np.arange(90) % 2, "a", "b")
    curves = survival_curves(times, events, groups)
    for group in "ab":
        inside = groups == group
        fitted = KaplanMeierFitter().fit(times[inside], events[inside])
        table = curves[curves["group"] == group].drop_duplicates("time", keep="last").set_index("time")
        at = fitted.survival_function_.index.intersection(table.index)[1:]
        np.testing.assert_allclose(table.loc[at, "survival"], fitted.survival_function_.loc[at].squeeze())
        bounds = fitted.confidence_interval_.loc[at].to_numpy()
        inner = (table.loc[at, "survival"] > 0).to_numpy()
        np.testing.assert_allclose(table.loc[at, ["lower", "upper"]][inner], bounds[inner], atol=1e-8)
        np.testing.assert_array_equal(table.loc[at, "at_risk"], fitted.event_table.loc[at, "at_risk"])


def test_brier_score_is_grafs_sum_written_out():
    risks, times, events = cohort(4)
    training = cohort(5, n=150)[1:]
    grid = np.array([3.0, 8.0, 15.0])
    survival = np.exp(-np.exp(risks)[:, None] * grid / 20)
    scores = brier_scores(survival, grid, times, events, training=training)
    for column, (at, found) in enumerate(zip(scores["time"], scores["brier"], strict=True)):
        assert found == pytest.approx(
            brier_by_hand(survival[:, column], at, times, events, training), rel=1e-12
        )
    flat = np.broadcast_to(kaplan_meier(*training).at(grid), survival.shape)
    same = brier_scores(flat, grid, times, events, training=training)
    np.testing.assert_allclose(same["brier"], same["reference"])


def test_brier_score_is_torchsurvs():
    risks, times, events = cohort(6, ties=False)
    grid = np.quantile(times, [0.2, 0.5, 0.7])
    survival = np.exp(-np.exp(risks)[:, None] * grid / 20)
    ours = brier_scores(survival, grid, times, events, training=(times, events))
    event, time, at = torch.tensor(events).bool(), torch.tensor(times), torch.tensor(grid)
    theirs = BrierScore()(
        torch.tensor(survival),
        event,
        time,
        new_time=at,
        weight=get_ipcw(event, time),
        weight_new_time=get_ipcw(event, time, at),
    )
    np.testing.assert_allclose(ours["brier"], theirs.numpy(), rtol=1e-4)


def test_the_brier_score_without_censoring_is_the_mean_squared_error_and_the_truth_wins():
    generator = np.random.default_rng(7)
    risks = generator.normal(size=2000)
    times = generator.exponential(20 * np.exp(-risks))
    events, grid = np.ones(len(times)), np.array([5.0, 10.0, 20.0])
    truth = np.exp(-np.exp(risks)[:, None] * grid / 20)
    scores = brier_scores(truth, grid, times, events, training=(times, events))
    np.testing.assert_allclose(scores["brier"], ((truth - (times[:, None] > grid)) ** 2).mean(0))
    wrong = brier_scores(truth**2, grid, times, events, training=(times, events))
    assert integrated_brier_score(scores) < integrated_brier_score(wrong)
    assert (scores["brier"] < scores["reference"]).all()
    constant = pd.DataFrame({"time": [1.0, 2.0, 5.0], "brier": 0.25})
    assert integrated_brier_score(constant) == pytest.approx(0.25)


def test_calibration_compares_with_lifelines_kaplan_meier_in_each_group():
    risks, times, events = cohort(8, n=203)
    survival = np.exp(-np.exp(risks) * 10 / 20)
    table = calibration(survival, 10.0, times, events, n_groups=4)
    assert table["n"].tolist() == [51, 51, 51, 50]
    order = np.argsort(survival, kind="stable")
    for (_, row), rows in zip(table.iterrows(), np.array_split(order, 4), strict=True):
        fitter = KaplanMeierFitter().fit(times[rows], events[rows])
        assert row["predicted"] == pytest.approx(survival[rows].mean())
        assert row["observed"] == pytest.approx(fitter.predict(10.0))
        variance = fitter._cumulative_sq_.loc[:10.0].iloc[-1]  # Greenwood's sum
        assert row["standard_error"] == pytest.approx(row["observed"] * np.sqrt(variance), rel=1e-9)


def test_true_probabilities_are_calibrated():
    risks, times, events = cohort(9, n=4000, ties=False)
    table = calibration(np.exp(-np.exp(risks) * 10 / 20), 10.0, times, events, n_groups=5)
    assert ((table["predicted"] - table["observed"]).abs() < 4 * table["standard_error"]).all()


# ---- cross-validation ---------------------------------------------------------------------------


def test_splits_cover_every_patient_once_a_repeat_and_keep_the_events():
    _, _, events = cohort(10, n=103)
    splits = list(survival_splits(events, n_splits=5, n_repeats=3))
    assert [name for name, _, _ in splits] == [f"{repeat}.{fold}" for repeat in range(3) for fold in range(5)]
    for repeat in range(3):
        tests = [test for name, _, test in splits if name.startswith(f"{repeat}.")]
        np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(103))
        assert np.ptp([events[test].sum() for test in tests]) <= 1
    assert all(not set(train) & set(test) for _, train, test in splits)
    assert not np.array_equal(splits[0][2], splits[5][2])
    few_censored = np.r_[np.ones(20), 0, 0]
    assert len(list(survival_splits(few_censored, n_splits=5, n_repeats=1))) == 5


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: concordance_index([1.0, np.nan], [1, 2], [1, 1]),
            "risks must be one finite number a sample",
        ),
        (
            lambda: concordance_index([1.0, 2.0], [2, 1], [1, 0]),
            "at least one patient with an event who has another",
        ),
        (lambda: list(survival_splits([1, 0, 0, 1], n_splits=3)), "2 events for 3 folds"),
        (
            lambda: brier_scores([[1.5]], [1.0], [2.0], [1], training=([2.0], [1])),
            r"probabilities in \[0, 1\], but 1 of 1 entries are not; the first is 1.5",
        ),
        (
            lambda: brier_scores([[0.5]], [1.0, 2.0], [2.0], [1], training=([2.0], [1])),
            r"\(1, 2\), but its shape",
        ),
        (
            lambda: brier_scores([[0.5, 0.5]], [2.0, 1.0], [2.0], [1], training=([2.0], [1])),
            "grid must hold increasing times",
        ),
        (
            lambda: brier_scores([[0.5]], [3.0], [2.0], [1], training=([1.0, 2.0], [1, 0])),
            "grid must end before 2, when every training patient was censored, but it ends at 3",
        ),
        (lambda: integrated_brier_score(pd.DataFrame({"time": [1.0], "brier": [0.1]})), "at least 2 times"),
        (lambda: calibration([0.5], 1.0, [2.0], [1], n_groups=2), r"number of patients \(1\), but it is 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
