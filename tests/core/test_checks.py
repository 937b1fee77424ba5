import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentgenomes.core.checks import check_counts, check_profiles, list_names


@given(arrays(np.int64, (4, 3), elements=st.integers(1, 2**40)))
def test_good_counts_come_back_equal_and_as_a_copy(counts):
    before = counts.copy()
    for table in (counts, counts.astype(float)):
        checked = check_counts(table)
        assert checked.dtype == np.int64
        np.testing.assert_array_equal(checked, before)
        checked[:] = -1
    np.testing.assert_array_equal(counts, before)


@given(arrays(np.float64, (5, 4), elements=st.floats(0.01, 10)))
def test_profiles_are_accepted_once_divided_by_their_sum(values):
    profiles = values / values.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(check_profiles(profiles), profiles)


def test_frame_keeps_names_and_is_not_changed():
    frame = pd.DataFrame([[1.0, 2.0], [0.0, 0.0]], index=["a", "b"], columns=["x", "y"])
    before = frame.copy()
    checked = check_counts(frame, on_empty="keep")
    pd.testing.assert_frame_equal(checked, before.astype("int64"))
    pd.testing.assert_frame_equal(check_counts(frame, on_empty="drop"), before.astype("int64").loc[["a"]])
    checked.loc["a", "x"] = 99
    pd.testing.assert_frame_equal(frame, before)


def test_fractions_are_accepted_when_asked_for():
    counts = np.array([[0.5, 1.0]])
    assert check_counts(counts, allow_fractional=True).dtype == np.float64


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            [[1, 2], [-3, 4]],
            r"^X must hold counts >= 0, but 1 of 4 entries does not; the first is -3 at row 1, column 0\. "
            r"Pass raw counts, not log-ratios or z-scores\.$",
        ),
        (
            [[1, np.nan], [np.inf, 4]],
            r"finite counts, but 2 of 4 entries do not; the first is nan at row 0, column 1",
        ),
        (
            [[1, 2], [3, 0.25]],
            r"whole counts, but 1 of 4 .* the first is 0.25 at row 1, column 1.*not proportions",
        ),
        ([[1, 1e300]], r"counts <= 2\*\*53"),
        (
            [[0, 0], [1, 0], [0, 0]],
            r"at least one mutation in every sample, but 2 of 3 samples are empty: 0, 2\.",
        ),
        ([1, 2], r"shape \(n_samples, n_channels\), but it has 1 dimension"),
        (np.zeros((0, 3)), r"at least one sample and one channel, but its shape is \(0, 3\)"),
        ([["a", "b"]], r"must hold numbers, but its type is <U1"),
    ],
)
def test_refused_arrays(counts, message):
    with pytest.raises(ValueError, match=message):
        check_counts(np.asarray(counts))


def test_refused_frames_name_row_and_column():
    frame = pd.DataFrame([[1, 2], [3, -4]], index=["p1", "p2"], columns=["A", "B"])
    with pytest.raises(ValueError, match=r"^catalog must hold .* the first is -4 at row 'p2', column 'B'"):
        check_counts(frame, name="catalog")
    with pytest.raises(ValueError, match=r"every sample once, but 1 of 1 names come again: 's'"):
        check_counts(frame.abs().set_axis(["s", "s"]))
    with pytest.raises(ValueError, match=r"every channel once, but 1 of 1 names come again: 'c'"):
        check_counts(frame.abs().set_axis(["c", "c"], axis=1))
    with pytest.raises(ValueError, match=r"samples are empty: 'p1', 'p2'"):
        check_counts(frame * 0, on_empty="drop")
    with pytest.raises(ValueError, match="on_empty must be 'raise', 'drop' or 'keep', but it is 'ignore'"):
        check_counts(frame, on_empty="ignore")


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        (
            [[0.5, 0.5], [0.5, 0.6]],
            r"rows that sum to 1, but 1 of 2 do not; the first sums to 1.1 at row 1.*Divide",
        ),
        ([[1.5, -0.5]], r"proportions >= 0, but 1 of 2"),
        ([[np.nan, 1]], r"finite proportions, but 1 of 2"),
    ],
)
def test_refused_profiles(profiles, message):
    with pytest.raises(ValueError, match=message):
        check_profiles(np.asarray(profiles))


def test_refused_profile_frames():
    frame = pd.DataFrame([[0.5, 0.5], [0.5, 0.5]], index=["a", "a"], columns=["x", "y"])
    with pytest.raises(ValueError, match="every profile once"):
        check_profiles(frame)
    with pytest.raises(ValueError, match=r"the first sums to 2 at row 'b'"):
        check_profiles(frame.set_axis(["a", "b"]) * np.array([[1], [2]]))


def test_long_lists_of_names_are_cut():
    assert list_names(list(range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
