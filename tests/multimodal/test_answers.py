"""Scores and figures of a classifier's answers, and the thinning and hiding that the evaluation does."""

import numpy as np
import pandas as pd
import pytest

from latentgenomes.multimodal.evaluate import calibration_error, reliability, selective, unknown_auroc
from latentgenomes.multimodal.experiments.answers import show_only, thin
from latentgenomes.multimodal.figures import (
    plot_burden,
    plot_coverage,
    plot_on_map,
    plot_reliability,
    plot_verdicts,
    tumour_cards,
)
from latentgenomes.multimodal.simulate import TumourSettings, simulate_tumours
from latentgenomes.multimodal.verbs.classify import classify_tumours


@pytest.fixture(scope="module")
def found():
    wide = simulate_tumours(12, random_state=0).wide(["SBS96", "ID83"])
    return classify_tumours(wide.set_axis(["<b>", *wide.index[1:]]))


def answers(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.uniform(size=n)
    return pd.DataFrame({"probability": probability, "right": rng.uniform(size=n) < probability})


def test_calibration_error_is_small_for_what_is_calibrated_and_the_gap_for_what_is_not():
    table = answers()
    assert calibration_error(table) < 0.04
    sure = pd.DataFrame({"probability": [0.9] * 10, "right": [True] * 6 + [False] * 4})
    assert calibration_error(sure) == pytest.approx(0.3)
    bins = reliability(table, 10)
    assert bins["n"].sum() == len(table)
    own = table[(table["probability"] >= 0.3) & (table["probability"] < 0.4)]
    assert bins.at[3, "right"] == pytest.approx(own["right"].mean())


def test_coverage_and_precision_are_counted_at_each_threshold():
    table = pd.DataFrame({"probability": [0.9, 0.8, 0.6, 0.4], "right": [True, False, True, True]})
    got = selective(table, [0.5, 0.85, 0.95])
    assert got["coverage"].tolist() == [0.75, 0.25, 0.0]
    assert got["precision"].tolist()[:2] == [pytest.approx(2 / 3), 1.0]
    assert np.isnan(got["precision"].iloc[2])


def test_strangers_have_low_p_values():
    assert unknown_auroc([0.01, 0.02, 0.5, 0.9], [True, True, False, False]) == 1.0
    with pytest.raises(ValueError, match="unknown must hold known and unknown tumours"):
        unknown_auroc([0.1, 0.2], [True, True])
    with pytest.raises(ValueError, match="answers must have rows and the columns probability and right"):
        calibration_error(pd.DataFrame({"probability": [0.5]}))
    with pytest.raises(ValueError, match=r"probability must lie in 0\.\.1"):
        calibration_error(pd.DataFrame({"probability": [1.5], "right": [True]}))


def test_thinned_tumours_keep_about_the_burden_and_hidden_profiles_are_absent():
    wide = simulate_tumours(40, settings=TumourSettings(fraction_absent=0.0), random_state=1).wide()
    got = thin(wide, 200, 0)
    left, before = got.filter(like="SBS96|").sum(axis=1), wide.filter(like="SBS96|").sum(axis=1)
    assert (left <= before).all()
    np.testing.assert_allclose(left[before > 400], 200, atol=4 * np.sqrt(200))
    pd.testing.assert_frame_equal(got.filter(like="CN48|"), wide.filter(like="CN48|"))
    only = show_only(wide, ["ID83"])
    assert only.filter(like="SBS96|").isna().all(axis=None)
    pd.testing.assert_frame_equal(only.filter(like="ID83|"), wide.filter(like="ID83|"))


def test_cards_put_the_least_sure_first_and_names_cannot_break_the_page(found):
    page = tumour_cards(found.tables, found.known, most=5)
    assert page.count("<article>") == 5
    assert "7 surer tumours have no card" in page
    assert "<h3><b></h3>" not in page
    everyone = tumour_cards(found.tables, found.known)
    assert "<h3>&lt;b&gt;</h3>" in everyone
    assert everyone.count('role="img"') == 12
    order = {"unlike anything known": 0, "uncertain": 1, "confident": 2}
    first = found.predictions["verdict"].map(order).min()
    verdict = next(name for name, stage in order.items() if stage == first)
    assert f">{verdict}<" in page[: page.index("</header>")]


def test_figures_show_every_tumour_and_line(found):
    ax = plot_verdicts(found.predictions)
    assert sum(bar.get_width() for bar in ax.patches) == 12
    ax = plot_on_map(found.known, found.places, found.predictions["verdict"])
    assert sum(len(part.get_offsets()) for part in ax.collections) == 2780 + 12
    tables = {"a": reliability(answers()), "b": reliability(answers(seed=1))}
    assert len(plot_reliability(tables).lines) == 3
    curves = {"a": selective(answers(), [0.2, 0.5, 0.8])}
    assert len(plot_coverage(curves, {"a": (0.5, 0.8)}).lines) == 3


def test_shares_by_burden_are_those_of_the_answers():
    table = pd.DataFrame(
        {
            "shown": ["all"] * 4 + ["one"] * 2,
            "burden": [50, 50, 200, 200, 50, 200],
            "right": [True, False, True, True, False, True],
            "confident": [False, False, True, False, False, False],
        }
    )
    ax = plot_burden(table)
    assert [line.get_ydata().tolist() for line in ax.lines] == [
        [0.5, 1.0],
        [0.0, 0.5],
        [0.0, 1.0],
        [0.0, 0.0],
    ]
