"""Paired comparison of methods."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from latentgenomes.core.compare import paired_differences

seeds = st.integers(0, 2**32 - 1)


def tidy(**methods: list[float]) -> pd.DataFrame:
    table = pd.DataFrame(methods).rename_axis("split").reset_index()
    return table.melt("split", var_name="method", value_name="score")


@settings(max_examples=50, deadline=None)
@given(seed=seeds, n_splits=st.integers(2, 12))
def test_agrees_with_scipy(seed, n_splits):
    rng = np.random.default_rng(seed)
    ours, base = rng.normal(0.8, 0.1, n_splits), rng.normal(0.7, 0.1, n_splits)
    shuffled = tidy(base=base, ours=ours).sample(frac=1, random_state=seed)
    table = paired_differences(shuffled, baseline="base").set_index("method")
    oracle = stats.ttest_rel(ours, base)
    interval = oracle.confidence_interval(0.95)
    row = table.loc["ours"]
    assert row["p_value"] == pytest.approx(oracle.pvalue)
    assert row["lower"] == pytest.approx(interval.low)
    assert row["upper"] == pytest.approx(interval.high)
    assert row["difference"] == pytest.approx(ours.mean() - base.mean())
    assert row["mean"] == pytest.approx(ours.mean())
    assert row["standard_error"] == pytest.approx(stats.sem(ours))
    assert row["difference_standard_error"] == pytest.approx(stats.sem(ours - base))
    assert row["n_splits"] == n_splits
    assert row["test"] == "paired t-test"
    expected = ("higher" if oracle.statistic > 0 else "lower") if oracle.pvalue < 0.05 else "within noise"
    assert row["verdict"] == expected


def test_corrected_test_by_hand():
    ours, base = [0.82, 0.79, 0.85, 0.80, 0.84], [0.80, 0.80, 0.81, 0.77, 0.82]
    table = paired_differences(tidy(base=base, ours=ours), baseline="base", test_fraction=0.2)
    row = table.set_index("method").loc["ours"]
    # Differences .02 -.01 .04 .03 .02: mean .02, variance .0014 / 4; factor 1/5 + .2/.8 = .45.
    error = math.sqrt(0.45 * 0.0014 / 4)
    assert row["difference"] == pytest.approx(0.02)
    assert row["difference_standard_error"] == pytest.approx(error)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(0.02 / error, 4))
    assert row["test"] == "corrected resampled t-test"
    assert row["verdict"] == "within noise"
    assert row["lower"] < 0 < row["upper"]


@settings(max_examples=50, deadline=None)
@given(seed=seeds, fraction=st.floats(0.01, 0.9))
def test_correction_only_ever_widens(seed, fraction):
    rng = np.random.default_rng(seed)
    scores = tidy(base=rng.normal(size=6), ours=rng.normal(1, 1, size=6))
    plain = paired_differences(scores, baseline="base").set_index("method").loc["ours"]
    corrected = (
        paired_differences(scores, baseline="base", test_fraction=fraction).set_index("method").loc["ours"]
    )
    assert corrected["p_value"] >= plain["p_value"]
    assert corrected["lower"] < plain["lower"]
    assert corrected["difference"] == plain["difference"]


def test_swapping_roles_flips_the_sign_and_keeps_the_p_value():
    scores = tidy(a=[1.0, 2.0, 4.0], b=[1.5, 2.2, 4.9])
    forth = paired_differences(scores, baseline="a").set_index("method").loc["b"]
    back = paired_differences(scores, baseline="b").set_index("method").loc["a"]
    assert back["difference"] == pytest.approx(-forth["difference"])
    assert back["p_value"] == pytest.approx(forth["p_value"])


def test_five_per_cent_of_null_comparisons_are_called_different():
    rng = np.random.default_rng(7)
    n = 800
    shared = rng.normal(size=(n, 5))  # a difficulty that both methods meet on the same split
    calls = 0
    for difficulty in shared:
        scores = tidy(a=difficulty + rng.normal(size=5), b=difficulty + rng.normal(size=5))
        verdicts = paired_differences(scores, baseline="a")["verdict"]
        calls += verdicts.iloc[1] != "within noise"
    assert abs(calls / n - 0.05) < 4 * math.sqrt(0.05 * 0.95 / n)


def test_verdicts_and_order():
    scores = tidy(base=[1.0, 2.0, 3.0], up=[2.0, 3.1, 4.0], down=[0.1, 1.0, 2.0], same=[1.0, 2.0, 3.0])
    before = scores.copy()
    table = paired_differences(scores, baseline="base")
    assert table["method"].tolist() == ["base", "up", "down", "same"]
    assert table["verdict"].tolist() == ["baseline", "higher", "lower", "within noise"]
    assert np.isnan(table["p_value"][0])
    assert table["difference"][0] == 0
    assert table["p_value"][3] == 1
    pd.testing.assert_frame_equal(scores, before)


def test_a_constant_difference_is_certain():
    row = paired_differences(tidy(base=[1.0, 2.0], up=[2.0, 3.0]), baseline="base").iloc[1]
    assert row["p_value"] == 0
    assert row["verdict"] == "higher"


def test_errors_say_what_came_and_where():
    scores = tidy(base=[1.0, 2.0], ours=[2.0, 4.0])
    with pytest.raises(ValueError, match=r"1 pairs are missing; the first is method 'ours' on split 1"):
        paired_differences(scores.iloc[:-1], baseline="base")
    with pytest.raises(ValueError, match=r"at least 2 splits, but scores hold 1"):
        paired_differences(scores[scores["split"] == 0], baseline="base")
    with pytest.raises(ValueError, match=r"one of the methods \['base', 'ours'\], but is 'nmf'"):
        paired_differences(scores, baseline="nmf")
    with pytest.raises(ValueError, match=r"'ours' has several on split 1"):
        paired_differences(pd.concat([scores, scores.tail(1)]), baseline="base")
    with pytest.raises(ValueError, match=r"method 'ours' scores nan on split 1"):
        paired_differences(scores.assign(score=[1, 2, 3, np.nan]), baseline="base")
    with pytest.raises(ValueError, match=r"\['score'\] are not among"):
        paired_differences(scores.rename(columns={"score": "f1"}), baseline="base")
    with pytest.raises(ValueError, match=r"test_fraction must lie in \(0, 1\), but is 20"):
        paired_differences(scores, baseline="base", test_fraction=20)
