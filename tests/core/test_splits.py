import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentgenomes.core.splits import check_disjoint, grouped_split, repeated_grouped_splits


@given(
    st.lists(st.integers(0, 30), min_size=4, max_size=80).filter(lambda groups: len(set(groups)) > 1),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32),
)
def test_parts_cover_all_samples_and_share_no_group(groups, fraction, seed):
    train, test = grouped_split(groups, test_fraction=fraction, random_state=seed)
    assert sorted([*train, *test]) == list(range(len(groups)))
    names = np.array(groups)
    assert not set(names[train]) & set(names[test])
    n_groups = len(set(groups))
    assert len(set(names[test])) == min(max(round(fraction * n_groups), 1), n_groups - 1)
    check_disjoint(train, test, groups)


def test_seed_repeats_and_the_global_state_is_untouched():
    groups = [f"donor{i // 2}" for i in range(40)]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = list(repeated_grouped_splits(groups, 5, random_state=3))
    second = list(repeated_grouped_splits(groups, 5, random_state=np.random.default_rng(3)))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[1], two[1])
    assert len({tuple(test) for _, test in first}) == 5
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_every_group_is_tested_equally_often():
    n_splits, n_groups = 2000, 10
    hits = np.zeros(n_groups)
    for _, test in repeated_grouped_splits(range(n_groups), n_splits, test_fraction=0.3, random_state=0):
        hits[test] += 1
    se = np.sqrt(n_splits * 0.3 * 0.7)
    assert np.abs(hits - 0.3 * n_splits).max() < 4 * se


@pytest.mark.parametrize(
    ("groups", "arguments", "message"),
    [
        (["a", "a"], {}, r"at least 2 groups, but 2 samples are of 1"),
        (["a", None, "b"], {}, r"a group for every sample, but 1 of 3 do not; the first is at position 1"),
        (["a", "b"], {"test_fraction": 1.0}, r"test_fraction must be between 0 and 1, but it is 1.0"),
    ],
)
def test_refused(groups, arguments, message):
    with pytest.raises(ValueError, match=message):
        grouped_split(groups, **arguments)


def test_refused_repeats_and_overlap():
    with pytest.raises(ValueError, match="n_splits must be at least 1, but it is 0"):
        repeated_grouped_splits(["a", "b"], 0)
    with pytest.raises(ValueError, match=r"share no group, but 1 of 2 groups are in both: 'a'"):
        check_disjoint([0, 1], [2], ["a", "b", "a"])
