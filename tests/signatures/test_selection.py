"""Rules for the number of signatures, on tables small enough to judge by eye."""

import numpy as np
import pandas as pd
import pytest

from latentgenomes.signatures.figures.extraction import plot_selection
from latentgenomes.signatures.verbs.methods import choose_highest, choose_least_error, choose_stable


def table(**columns):
    return pd.DataFrame(columns, index=pd.Index([2, 3, 4, 5], name="n_signatures"))


def test_highest_takes_the_top_and_says_what_the_neighbours_lose():
    choice = choose_highest(table(evidence=[-50.0, -10.0, -12.5, -30.0]), "evidence")
    assert choice.n_signatures == 3
    assert "2 would lose 40.0" in choice.reason
    assert "4 would lose 2.5" in choice.reason


def test_highest_warns_at_the_edge_and_ignores_what_was_not_reached():
    assert "more may be better" in choose_highest(table(bic=[1.0, 2.0, 3.0, 4.0]), "bic").reason
    assert choose_highest(table(bic=[1.0, 2.0, 1.5, np.nan]), "bic").n_signatures == 3


def test_least_error_looks_only_at_stable_numbers():
    frame = table(
        stability_mean=[0.9, 0.8, 0.75, 0.4], stability_min=[0.8, 0.5, 0.1, 0.3], error=[4, 3, 2, 1]
    )
    choice = choose_least_error(frame)
    assert choice.n_signatures == 3
    assert "Of 2 numbers" in choice.reason


@pytest.fixture
def good():
    return np.random.default_rng(0).gamma(5, 1, size=500)


@pytest.mark.parametrize(
    ("mean", "worse", "expected", "why"),
    [
        ([0.95, 0.9, 0.9, 0.85, 0.3], {}, 3, "3 fits no worse"),
        ([0.95, 0.9, 0.9, 0.85, 0.3], {3}, 4, "3 would fit significantly worse"),
        ([0.95, 0.9, 0.9, 0.85, 0.3], {4}, 5, "4 would fit significantly worse"),
        ([0.95, 0.8, 0.8, 0.85, 0.3], {}, 5, "5 is the most"),  # those below are less stable than the top
        ([0.95, 0.2, 0.2, 0.2, 0.2], {}, 2, "2 is the most"),  # the smallest, when it is itself the top
    ],
)
def test_stable_steps_down_while_the_fit_holds(good, mean, worse, expected, why):
    numbers = [2, 3, 4, 5, 6]
    frame = pd.DataFrame({"stability_mean": mean, "stability_min": 0.5}, index=numbers)
    errors = {n: good + 3 * (n in worse) for n in numbers}
    choice = choose_stable(frame, errors)
    assert choice.n_signatures == expected
    assert why in choice.reason


def test_mean_and_minimum_stability_are_rounded_and_must_sum_to_one(good):
    frame = pd.DataFrame(
        {"stability_mean": [0.9, 0.796, 0.79], "stability_min": [0.5, 0.2, 0.3]}, index=[2, 3, 4]
    )
    assert choose_stable(frame, dict.fromkeys([2, 3, 4], good)).n_signatures == 3
    frame.loc[3, "stability_min"] = 0.194
    assert choose_stable(frame, dict.fromkeys([2, 3, 4], good)).n_signatures == 2


@pytest.mark.parametrize("rule", [choose_least_error, lambda frame: choose_stable(frame, {})])
def test_without_a_stable_number_the_most_stable_is_taken_with_a_warning(rule):
    frame = table(stability_mean=[0.1, 0.5, 0.4, 0.2], stability_min=[0.0] * 4, error=[4, 3, 2, 1])
    choice = rule(frame)
    assert choice.n_signatures == 3
    assert "Use with care" in choice.reason


def test_a_missing_criterion_is_named():
    with pytest.raises(ValueError, match="must have a column 'bic'"):
        choose_highest(table(evidence=[1.0, 2.0, 3.0, 4.0]), "bic")


def test_the_figure_marks_the_choice_and_shows_stability():
    frame = table(
        divergence=[4.0, 3, 2, 1], stability_mean=[0.9, 0.8, 0.7, 0.2], stability_min=[0.5, 0.4, 0.1, -0.2]
    )
    ax = plot_selection(frame, chosen=3)
    right = ax.figure.axes[1]
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), frame["divergence"])
    np.testing.assert_array_equal(ax.get_lines()[1].get_xdata(), [3, 3])
    np.testing.assert_array_equal(right.get_lines()[1].get_ydata(), frame["stability_min"])
    assert ax.texts[0].get_text() == "3"
    assert (
        plot_selection(table(evidence=[1.0, 2, 3, 2]), chosen=4).get_ylabel() == "penalised evidence (nats)"
    )


def test_the_figure_refuses_a_number_that_was_not_tried():
    with pytest.raises(ValueError, match="the chosen number 7"):
        plot_selection(table(evidence=[1.0, 2, 3, 2]), chosen=7)
