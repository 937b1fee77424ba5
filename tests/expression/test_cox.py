import numpy as np
import pandas as pd
import pytest
import torch
from lifelines import CoxPHFitter

from latentgenomes.expression.models.cox import breslow, cox_loss, log_partial_likelihood, risk_sets
from latentgenomes.expression.models.survival import CoxRegression, check_survival


def outcomes(seed, n=60, n_times=12, censored=0.4):
    """Times with many ties, also between events and censorings."""
    generator = np.random.default_rng(seed)
    times = generator.integers(0, n_times, n).astype(float)
    events = (generator.random(n) > censored).astype(float)
    events[0] = 1
    return times, events, generator.normal(size=n)


def efron_by_hand(eta, times, events):
    total = 0.0
    for time in sorted(set(times)):
        tied = [i for i in range(len(times)) if times[i] == time and events[i] == 1]
        at_risk = sum(np.exp(eta[i]) for i in range(len(times)) if times[i] >= time)
        of_tied = sum(np.exp(eta[i]) for i in tied)
        for number, i in enumerate(tied):
            total += eta[i] - np.log(at_risk - number / len(tied) * of_tied)
    return total


def likelihood(eta, times, events):
    sets = risk_sets(torch.as_tensor(times), torch.as_tensor(events))
    return log_partial_likelihood(torch.as_tensor(eta), sets)


# ---- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_constant_and_the_order_of_the_patients_change_nothing(seed):
    times, events, eta = outcomes(seed)
    value = float(likelihood(eta, times, events))
    assert float(likelihood(eta + 7.5, times, events)) == pytest.approx(value, rel=1e-12)
    shuffled = np.random.default_rng(seed).permutation(len(times))
    assert float(likelihood(eta[shuffled], times[shuffled], events[shuffled])) == pytest.approx(
        value, rel=1e-12
    )
    # Only the order of the times matters, not their unit.
    assert float(likelihood(eta, np.exp(times), events)) == pytest.approx(value, rel=1e-12)


def test_huge_log_hazards_stay_finite_with_finite_gradients():
    times, events, eta = outcomes(0)
    for dtype in (torch.float32, torch.float64):
        huge = torch.tensor(eta * 1e4, dtype=dtype, requires_grad=True)
        loss = cox_loss(huge, torch.tensor(times), torch.tensor(events))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert bool(torch.isfinite(huge.grad).all())


def test_the_gradient_is_that_of_finite_differences():
    times, events, eta = outcomes(1, n=20)
    value = torch.tensor(eta, requires_grad=True)
    sets = risk_sets(torch.tensor(times), torch.tensor(events))
    assert torch.autograd.gradcheck(lambda x: log_partial_likelihood(x, sets), value)


def test_without_events_there_is_nothing_to_learn():
    eta = torch.zeros(5, requires_grad=True)
    loss = cox_loss(eta, torch.arange(5.0), torch.zeros(5))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(eta.grad.abs().sum()) == 0.0


# ---- oracles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_likelihood_is_efrons_sum_written_out(seed):
    times, events, eta = outcomes(seed, n_times=[3, 12, 1000][seed % 3])
    assert float(likelihood(eta, times, events)) == pytest.approx(
        efron_by_hand(eta, times, events), rel=1e-10
    )
    expected = -efron_by_hand(eta, times, events) / events.sum()
    assert float(cox_loss(*map(torch.tensor, (eta, times, events)))) == pytest.approx(expected, rel=1e-10)


def cohort(seed, n=150, p=4, n_times=15):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, p))
    X = (X - X.mean(0)) / X.std(0, ddof=1)
    times = np.ceil(generator.exponential(n_times / 2 * np.exp(-X @ np.linspace(0.6, -0.4, p))))
    return X, times + 0.0, (generator.random(n) < 0.7).astype(float)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("n_times", [15, 10_000])
def test_coefficients_baseline_and_curves_are_lifelines(alpha, n_times):
    X, times, events = cohort(0, n_times=n_times)
    assert (len(np.unique(times)) < 100) is (n_times == 15), "one of the two cases must have ties"
    frame = pd.DataFrame(X, columns=list("abcd")).assign(time=times, event=events)
    theirs = CoxPHFitter(penalizer=alpha).fit(frame, "time", "event", fit_options={"precision": 1e-11})
    ours = CoxRegression(alpha).fit(X, np.column_stack([times, events]))
    np.testing.assert_allclose(ours.coef_, theirs.params_, rtol=0, atol=1e-6)
    # lifelines adds the penalty to the likelihood that it reports.
    penalty = alpha / 2 * (theirs.params_**2).sum() * len(X)
    value = float(likelihood(X @ theirs.params_.to_numpy(), times, events))
    assert value == pytest.approx(theirs.log_likelihood_ + penalty, rel=1e-6)
    baseline = theirs.baseline_cumulative_hazard_.iloc[:, 0].loc[ours.event_times_]
    np.testing.assert_allclose(ours.baseline_cumulative_hazard_, baseline, rtol=1e-6)
    grid = ours.event_times_[[1, 5, 9]]  # lifelines interpolates between event times, we step
    expected = theirs.predict_survival_function(frame.iloc[:7], times=grid).T
    np.testing.assert_allclose(ours.predict_survival_function(X[:7], grid), expected, rtol=1e-5)
    between = ours.predict_survival_function(X[:7], np.nextafter(ours.event_times_[[2, 6, 10]], 0))
    np.testing.assert_array_equal(between, ours.predict_survival_function(X[:7], grid))
    assert (ours.predict_survival_function(X[:7], [0.0]) == 1).all()


def test_the_score_of_the_null_model_is_zero_and_lifelines_gain_is_ours():
    X, times, events = cohort(1)
    y = np.column_stack([times, events])
    model = CoxRegression(0.0).fit(X, y)
    frame = pd.DataFrame(X).assign(time=times, event=events)
    theirs = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-11})
    gain = theirs.log_likelihood_ratio_test().test_statistic / 2 / events.sum()
    assert model.score(X, y) == pytest.approx(gain, rel=1e-6)
    assert CoxRegression(1e6).fit(X, y).score(X, y) == pytest.approx(0, abs=1e-5)


def test_breslow_is_deaths_over_the_sum_at_risk():
    times, events, eta = outcomes(3)
    at, cumulative = breslow(torch.tensor(eta), risk_sets(torch.tensor(times), torch.tensor(events)))
    expected, total = [], 0.0
    for time in sorted({t for t, e in zip(times, events, strict=True) if e}):
        total += ((times == time) & (events == 1)).sum() / np.exp(eta[times >= time]).sum()
        expected.append((time, total))
    np.testing.assert_allclose(np.column_stack([at, cumulative]), expected, rtol=1e-12)


def test_elastic_net_meets_its_optimality_conditions_with_exact_zeros():
    X, times, events = cohort(2, p=30, n=100)
    y = np.column_stack([times, events])
    alpha, ratio = 0.08, 0.7
    model = CoxRegression(alpha, l1_ratio=ratio).fit(X, y)
    beta = torch.tensor(model.coef_, requires_grad=True)
    (likelihood(torch.tensor(X - X.mean(0)) @ beta, times, events) / len(X)).backward()
    slope = beta.grad.numpy() - alpha * (1 - ratio) * model.coef_  # must lie in alpha * ratio * sign
    used = model.coef_ != 0
    assert 0 < used.sum() < 30
    np.testing.assert_allclose(slope[used], alpha * ratio * np.sign(model.coef_[used]), atol=1e-6)
    assert np.abs(slope[~used]).max() <= alpha * ratio + 1e-6
    lasso = CoxRegression(10.0, l1_ratio=1.0).fit(X, y)
    assert not lasso.coef_.any()


def test_more_features_than_patients_is_the_same_problem_in_their_span():
    X, times, events = cohort(3, n=60, p=200)
    y = np.column_stack([times, events])
    wide = CoxRegression(0.5).fit(X, y)
    left, sizes, right = np.linalg.svd(X - X.mean(0), full_matrices=False)
    thin = CoxRegression(0.5).fit(left * sizes, y)
    np.testing.assert_allclose(wide.coef_, thin.coef_ @ right, atol=1e-6)


# ---- what comes in ------------------------------------------------------------------------------


def test_outcomes_may_be_frame_structured_array_or_columns():
    times, events, _ = outcomes(0)
    frame = pd.DataFrame({"event": events, "time": times})
    for y in (frame, frame.to_records(index=False), np.column_stack([times, events])):
        found = check_survival(y)
        np.testing.assert_array_equal(found[0], times)
        np.testing.assert_array_equal(found[1], events)
    np.testing.assert_array_equal(check_survival(times)[1], 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            [[1.0, 1], [np.nan, 0]],
            r"times in y must be finite; .* 1 of 2 are not; the first is nan at position 1",
        ),
        (
            [[1.0, 1], [-2.0, 0]],
            r"times in y must be >= 0, but 1 of 2 are not; the first is -2 at position 1",
        ),
        ([[1.0, 1], [2.0, np.nan]], r"events in y must be 1 \(seen\) or 0 \(censored\)"),
        (
            [[1.0, 2], [2.0, 1]],
            r"events in y must be 1 \(seen\) or 0 \(censored\), but 1 of 2 are not; the first is 2",
        ),
        ([[1.0, 0], [2.0, 0]], r"at least one event, but all 2 outcomes are censored"),
        (np.ones((2, 3)), r"y must hold times, or times and events, but its shape is \(2, 3\)"),
        (pd.DataFrame({"time": [1, 2], "dead": [1, 0]}), r"'event' is not among \['time', 'dead'\]"),
        ([[1.0, 1]], r"one outcome a sample, but 1 came for 2 samples"),
    ],
)
def test_bad_outcomes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        CoxRegression().fit(np.arange(4.0).reshape(2, 2), y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"alpha": -1.0}, "alpha must be >= 0, but -1.0"), ({"l1_ratio": 2.0}, r"l1_ratio must be in \[0, 1\]")],
)
def test_bad_settings_are_refused(settings, message):
    X, times, events = cohort(0)
    with pytest.raises(ValueError, match=message):
        CoxRegression(**settings).fit(X, np.column_stack([times, events]))


def test_saving_and_loading_keeps_the_model(tmp_path):
    X, times, events = cohort(0)
    model = CoxRegression(0.1).fit(X, np.column_stack([times, events]))
    again = CoxRegression.load(model.save(tmp_path / "cox.safetensors"))
    np.testing.assert_array_equal(
        again.predict_survival_function(X, [3, 5]), model.predict_survival_function(X, [3, 5])
    )
