"""Scores of signatures, exposures and rates."""

import itertools
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from latentgenomes.signatures.evaluate import (
    cosine_similarity,
    exposure_errors,
    log_likelihood_per_mutation,
    match_signatures,
    poisson_log_likelihood,
    recovery,
)

CHANNELS = [f"channel {i}" for i in range(7)]
MIRROR = os.environ.get("LATENTGENOMES_MIRROR", "")
seeds = st.integers(0, 2**32 - 1)


def random_signatures(seed: int, n_rows: int, prefix: str) -> pd.DataFrame:
    values = np.random.default_rng(seed).dirichlet(np.full(len(CHANNELS), 0.5), size=n_rows)
    return pd.DataFrame(values, index=[f"{prefix}{i}" for i in range(n_rows)], columns=CHANNELS)


@settings(deadline=None)
@given(seed=seeds, scale=st.floats(1e-200, 1e200))
def test_cosine_ignores_scale_and_column_order_and_is_one_with_itself(seed, scale):
    a, b = random_signatures(seed, 3, "a"), random_signatures(seed + 1, 4, "b")
    expected = cosine_similarity(a, b)
    shuffled = b[CHANNELS[::-1]] * scale
    pd.testing.assert_frame_equal(cosine_similarity(a, shuffled), expected)
    pd.testing.assert_frame_equal(cosine_similarity(b, a), expected.T)
    np.testing.assert_allclose(np.diag(cosine_similarity(a, a)), 1)
    assert expected.to_numpy().max() <= 1


def test_cosine_by_hand():
    a = pd.DataFrame([[3.0, 4.0, 0.0]], index=["a"], columns=list("xyz"))
    b = pd.DataFrame([[0.0, 0.0, 2.0], [0.0, 5.0, 0.0]], index=["b", "c"], columns=list("zyx"))
    # b = (x 2, y 0, z 0): 3/5; c = (y 5): 4/5
    assert cosine_similarity(a, b).loc["a"].to_dict() == pytest.approx({"b": 0.6, "c": 0.8})


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n_estimated=st.integers(1, 5), n_reference=st.integers(1, 5))
def test_assignment_is_the_best_of_all_pairings(seed, n_estimated, n_reference):
    estimated = random_signatures(seed, n_estimated, "e")
    reference = random_signatures(seed + 1, n_reference, "r")
    matches = match_signatures(estimated, reference)
    cosines = cosine_similarity(estimated, reference).to_numpy()
    if n_estimated > n_reference:
        cosines = cosines.T
    best = max(
        sum(cosines[i, j] for i, j in enumerate(columns))
        for columns in itertools.permutations(range(cosines.shape[1]), cosines.shape[0])
    )
    assert matches["cosine"].sum() == pytest.approx(best)
    assert len(matches) == min(n_estimated, n_reference)
    assert matches["signature"].is_unique
    assert matches["reference"].is_unique


@settings(deadline=None)
@given(seed=seeds, order=st.permutations(range(5)))
def test_a_permutation_is_undone_by_label(seed, order):
    reference = random_signatures(seed, 5, "r")
    estimated = reference.iloc[list(order)].set_axis([f"e{i}" for i in order])
    for how in ("assignment", "nearest"):
        matches = match_signatures(estimated, reference, how=how)
        assert matches["reference"].tolist() == [f"r{i}" for i in order]
        np.testing.assert_allclose(matches["cosine"], 1)


def test_nearest_may_repeat_a_reference_and_assignment_may_not():
    reference = pd.DataFrame(np.eye(3), index=list("ABC"), columns=list("xyz"))
    estimated = pd.DataFrame([[1.0, 0.1, 0.0], [1.0, 0.2, 0.0]], index=["s1", "s2"], columns=list("xyz"))
    assert match_signatures(estimated, reference, how="nearest")["reference"].tolist() == ["A", "A"]
    assert match_signatures(estimated, reference)["reference"].tolist() == ["A", "B"]


def test_recovery_by_hand():
    truth = pd.DataFrame(np.eye(4), index=list("ABCD"), columns=list("wxyz"))
    # Cosines with A, B, C: 1, 4/5, 5/13; D has no estimate.
    rows = [[1.0, 0, 0, 0], [0, 4, 3, 0], [12, 0, 5, 0]]
    estimated = pd.DataFrame(rows, index=["s1", "s2", "s3"], columns=list("wxyz"))
    table = recovery(estimated, truth, thresholds=(0.3, 0.8, 0.9)).set_index("threshold")
    assert table["n_estimated"].tolist() == [3, 3, 3]
    assert table["n_true"].tolist() == [4, 4, 4]
    assert table["n_matched"].tolist() == [3, 2, 1]
    np.testing.assert_allclose(table["precision"], [1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(table["recall"], [3 / 4, 2 / 4, 1 / 4])
    np.testing.assert_allclose(table["f1"], [6 / 7, 4 / 7, 2 / 7])
    np.testing.assert_allclose(table["mean_cosine"], (1 + 0.8 + 5 / 13) / 3)


@settings(deadline=None)
@given(seed=seeds, n_estimated=st.integers(1, 6), n_true=st.integers(1, 6))
def test_f1_is_the_harmonic_mean_and_falls_with_the_threshold(seed, n_estimated, n_true):
    table = recovery(
        random_signatures(seed, n_estimated, "e"),
        random_signatures(seed + 1, n_true, "t"),
        thresholds=(0.0, 0.5, 0.8, 0.99),
    )
    some = table[table["n_matched"] > 0]
    np.testing.assert_allclose(some["f1"], stats.hmean(some[["precision", "recall"]], axis=1))
    assert table["n_matched"].is_monotonic_decreasing
    assert table["mean_cosine"].nunique() == 1


def test_exposure_errors_by_hand():
    samples = ["p", "q", "r"]
    truth = pd.DataFrame({"A": [10.0, 0.0, 50.0], "B": [90.0, 100.0, 50.0]}, index=samples)
    estimated = pd.DataFrame({"s2": [50.0, 98.0, 92.0], "s1": [50.0, 2.0, 4.0]}, index=["r", "q", "p"])
    matches = pd.DataFrame({"signature": ["s1", "s2"], "reference": ["A", "B"], "cosine": [1.0, 1.0]})
    errors = exposure_errors(estimated, truth, matches).set_index("signature")
    # s1 against A over p, q, r: 4, 2, 50 against 10, 0, 50; present above 5: r against p and r.
    assert errors.loc["s1", "rmse"] == pytest.approx(math.sqrt((36 + 4 + 0) / 3))
    assert errors.loc["s1", "relative_error"] == pytest.approx(8 / 60)
    assert errors.loc["s1", "correlation"] == pytest.approx(stats.pearsonr([4, 2, 50], [10, 0, 50])[0])
    assert errors.loc["s1", "n_present"] == 2
    assert errors.loc["s1", "presence_precision"] == 1
    assert errors.loc["s1", "presence_recall"] == 0.5
    assert errors.loc["s1", "presence_f1"] == pytest.approx(2 / 3)
    assert errors.loc["s2", "reference"] == "B"
    lenient = exposure_errors(estimated, truth, matches, presence_fraction=0.01).set_index("signature")
    assert lenient.loc["s1", "presence_precision"] == pytest.approx(2 / 3)
    assert lenient.loc["s1", "presence_recall"] == 1


@settings(deadline=None)
@given(seed=seeds, factor=st.floats(0.01, 100))
def test_exposure_errors_scale_with_mutations_and_vanish_at_the_truth(seed, factor):
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(rng.gamma(0.5, 1000, size=(8, 3)), columns=list("ABC"))
    guess = pd.DataFrame(rng.gamma(0.5, 1000, size=(8, 3)), columns=list("ABC"))
    matches = pd.DataFrame({"signature": list("ABC"), "reference": list("ABC")})
    exact = exposure_errors(truth, truth, matches)
    assert (exact[["rmse", "relative_error"]] == 0).all(axis=None)
    np.testing.assert_allclose(exact["correlation"], 1)
    before = exposure_errors(guess, truth, matches)
    after = exposure_errors(guess * factor, truth * factor, matches)
    np.testing.assert_allclose(after["rmse"], before["rmse"] * factor)
    for column in ("relative_error", "correlation", "presence_f1"):
        np.testing.assert_allclose(after[column], before[column])


def test_exposure_errors_leave_the_undefined_undefined():
    truth = pd.DataFrame({"A": [0.0, 0.0], "B": [5.0, 7.0]})
    matches = pd.DataFrame({"signature": ["A"], "reference": ["A"]})
    row = exposure_errors(truth, truth, matches).loc[0]
    assert row[["relative_error", "correlation", "presence_precision", "presence_f1"]].isna().all()
    assert row["rmse"] == 0


@settings(deadline=None)
@given(seed=seeds)
def test_poisson_agrees_with_scipy_on_whole_counts(seed):
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.5, 20, size=(5, 6))
    counts = rng.poisson(rates)
    expected = stats.poisson.logpmf(counts, rates).sum(axis=1)
    np.testing.assert_allclose(poisson_log_likelihood(counts, rates), expected, rtol=1e-9, atol=1e-9)


def test_poisson_is_exact_where_stirling_is_not():
    # Stirling's log 1! is -0.08, log 2! is 0.65.
    counts, rates = np.array([[1.0, 2.0, 0.0]]), np.array([[3.0, 0.5, 2.0]])
    by_hand = (math.log(3) - 3) + (2 * math.log(0.5) - 0.5 - math.log(2)) + (-2)
    assert poisson_log_likelihood(counts, rates) == pytest.approx([by_hand])


def test_poisson_sums_to_one_over_counts():
    counts = np.arange(200.0)[:, None]
    assert np.exp(poisson_log_likelihood(counts, np.full_like(counts, 37.5))).sum() == pytest.approx(1)


def test_poisson_at_zero_rates_and_fractional_counts():
    counts = np.array([[0.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    rates = np.array([[0.0, 1.5], [0.0, 1.5], [0.0, 0.0]])
    values = poisson_log_likelihood(counts, rates)
    assert values[0] == pytest.approx(stats.poisson.logpmf(2, 1.5))
    assert values[1] == -np.inf
    assert values[2] == 0
    halves = poisson_log_likelihood([[0.5]], [[2.0]])
    assert halves == pytest.approx([0.5 * math.log(2) - 2 - math.lgamma(1.5)])


def test_poisson_aligns_frames_by_label():
    counts = pd.DataFrame([[1, 2], [3, 4]], index=["p", "q"], columns=["x", "y"])
    rates = counts + 0.5
    expected = poisson_log_likelihood(counts.to_numpy(), rates.to_numpy())
    np.testing.assert_array_equal(poisson_log_likelihood(counts, rates.iloc[::-1, ::-1]), expected)


@settings(deadline=None)
@given(seed=seeds)
def test_per_mutation_is_total_over_total_and_best_at_the_counts(seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(30, size=(4, 6))
    rates = rng.gamma(3, 10, size=(4, 6))
    value = log_likelihood_per_mutation(counts, rates)
    assert value == pytest.approx(stats.poisson.logpmf(counts, rates).sum() / counts.sum())
    assert value <= log_likelihood_per_mutation(counts, counts)


@pytest.mark.skipif(not MIRROR, reason="LATENTGENOMES_MIRROR is not set")
def test_scores_of_published_signatures_agree_with_the_reference_table():
    """Golden: MUSE-XAE's published signatures against the exact truth of the Islam scenarios."""
    folder = Path(MIRROR) / "signatures"
    published = pd.read_csv(folder / "published_results" / "published_results_musexae_recomputed.csv")
    truths = {
        scenario: pd.read_csv(
            folder / "synthetic_islam2022" / f"Scenario_{scenario}.truth.sigs.csv", index_col=[0, 1]
        )
        for scenario in range(1, 6)
    }
    with zipfile.ZipFile(folder / "published_results" / "Experiments.zip") as archive:
        for (scenario, augmentation, run), expected in published.groupby(["scen", "aug", "run"]):
            run_folder = f"augmentation_{augmentation}/Scenario_{scenario}/Run_{run}"
            member = f"{run_folder}/Suggested_SBS_De_Novo/MUSE_SBS.csv"
            with archive.open(member) as file:
                found = pd.read_csv(file, index_col=0)
            truth = truths[scenario].T
            truth.columns = [f"{context[0]}[{change}]{context[2]}" for change, context in truth.columns]
            table = recovery(found.T, truth, thresholds=expected["cut"].tolist())
            for ours, theirs in {
                "n_estimated": "K",
                "n_true": "Ktrue",
                "n_matched": "tp",
                "precision": "prec",
                "recall": "rec",
                "f1": "f1",
                "mean_cosine": "meancos",
            }.items():
                np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-9, err_msg=member)


def test_inputs_stay_as_they_were():
    a, b = random_signatures(1, 3, "a"), random_signatures(2, 3, "b")[CHANNELS[::-1]]
    copies = a.copy(), b.copy()
    recovery(a, b)
    poisson_log_likelihood(a, a)
    exposure_errors(a, a, pd.DataFrame({"signature": CHANNELS[:1], "reference": CHANNELS[:1]}))
    pd.testing.assert_frame_equal(a, copies[0])
    pd.testing.assert_frame_equal(b, copies[1])


def test_errors_of_signatures_say_what_came_and_where():
    good = random_signatures(0, 2, "s")
    with pytest.raises(
        ValueError, match=r"must be the same, but 1 of a are not in b; the first is 'channel 6'"
    ):
        cosine_similarity(good, good[CHANNELS[:-1]])
    with pytest.raises(ValueError, match=r"1 of b are not in a; the first is 'extra'"):
        cosine_similarity(good, good.assign(extra=0.1))
    with pytest.raises(ValueError, match=r"of a must be unique, but 'channel 0' repeats"):
        cosine_similarity(good[[*CHANNELS, "channel 0"]], good)
    with pytest.raises(ValueError, match=r"b must have unique row labels, but 's1' repeats"):
        cosine_similarity(good, good.set_axis(["s1", "s1"]))
    with pytest.raises(ValueError, match=r"no row of zeros.*row 's1' is one"):
        cosine_similarity(good.mul([1, 0], axis=0), good)
    with pytest.raises(
        ValueError, match=r"a must hold finite numbers, but 7 of 14.*the first is nan at position \(1, 0\)"
    ):
        cosine_similarity(good.mul([1, np.nan], axis=0), good)
    with pytest.raises(ValueError, match=r"at least one row and one channel, but has shape \(0, 7\)"):
        cosine_similarity(good.iloc[:0], good)
    with pytest.raises(ValueError, match=r'how must be "assignment" or "nearest", but is \'greedy\''):
        match_signatures(good, good, how="greedy")
    with pytest.raises(ValueError, match=r"thresholds must lie in 0\.\.1, but 90 does not"):
        recovery(good, good, thresholds=(0.9, 90))


def test_errors_of_exposures_and_counts_say_what_came_and_where():
    good = pd.DataFrame({"A": [1.0, 2.0], "B": [3.0, 4.0]}, index=["p", "q"])
    matches = pd.DataFrame({"signature": ["A"], "reference": ["A"]})
    with pytest.raises(ValueError, match=r"presence_fraction must lie in \[0, 1\), but is 5"):
        exposure_errors(good, good, matches, presence_fraction=5)
    with pytest.raises(ValueError, match=r"the samples \(rows\) of estimated and truth.*the first is 'q'"):
        exposure_errors(good, good.rename({"q": "z"}), matches)
    with pytest.raises(
        ValueError, match=r"truth must have a column for every label.*'A' is not among \['B'\]"
    ):
        exposure_errors(good, good[["B"]], matches)
    with pytest.raises(ValueError, match=r"columns of estimated must be unique, but 'A' repeats"):
        exposure_errors(good[["A", "A"]], good, matches)
    with pytest.raises(ValueError, match=r"matches must have a column.*'reference' is not among"):
        exposure_errors(good, good, matches[["signature"]])
    with pytest.raises(
        ValueError, match=r"counts must hold numbers >= 0, but 1 of 2.*-3 at position \(0, 1\)"
    ):
        poisson_log_likelihood([[1, -3]], [[1, 1]])
    with pytest.raises(ValueError, match=r"rates must hold numbers >= 0"):
        poisson_log_likelihood([[1, 3]], [[1, -1]])
    with pytest.raises(ValueError, match=r"counts has \(1, 2\) and rates has \(1, 1\)"):
        poisson_log_likelihood([[1, 3]], [[1]])
    with pytest.raises(ValueError, match=r"channels \(columns\) of counts and rates must be the same"):
        poisson_log_likelihood(good, good[["A"]])
    with pytest.raises(ValueError, match=r"at least one mutation, but sum to 0"):
        log_likelihood_per_mutation([[0, 0]], [[1, 1]])
