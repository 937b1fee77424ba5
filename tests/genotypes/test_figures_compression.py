"""Figures of the haplotype codec show the numbers of their tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from latentgenomes.genotypes.figures import KINDS, plot_diversity, plot_ratios, plot_scaling

RATIOS = pd.DataFrame(
    {
        "split": [0, 1, 0, 1, 0, 1],
        "method": ["codec", "codec", "pca", "pca", "paper", "paper"],
        "kind": ["bytes", "bytes", "ideal", "ideal", "estimate", "estimate"],
        "ratio": [40.0, 44.0, 8.0, 9.0, 0.5, 0.7],
    }
)
POPULATIONS = pd.DataFrame(
    {
        "region": ["Africa", "Africa", "Europe", "nowhere"],
        "steps": [0, 0, 2, np.nan],
        "heterozygosity": [0.3, 0.2, 0.1, 0.9],
    }
)
SIZES = pd.DataFrame(
    {"n_snps": [100, 1000], "encode_per_second": [200.0, 20.0], "decode_per_second": [100.0, 10.0]}
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_bars_are_the_means_over_splits_shortest_below():
    ax = plot_ratios(RATIOS, target=40)
    bars = [bar.get_width() for bar in ax.patches if bar.get_y() > -1]
    np.testing.assert_allclose(bars, [0.6, 8.5, 42])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["paper", "pca", "codec"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(KINDS.values())
    assert ax.get_xscale() == "log"


def test_every_population_with_steps_is_one_point():
    ax = plot_diversity(POPULATIONS)
    points = np.concatenate([line.get_xydata() for line in ax.lines])
    assert sorted(points[:, 1]) == [0.1, 0.2, 0.3]
    assert np.abs(points[:, 0] - np.round(points[:, 0])).max() < 0.2


def test_seconds_of_a_haplotype_grow_with_its_length():
    ax = plot_scaling(SIZES)
    encode, decode, line = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(encode, [0.005, 0.05])
    np.testing.assert_allclose(decode, [0.01, 0.1])
    np.testing.assert_allclose(line, encode)


@pytest.mark.parametrize("draw", [plot_ratios, plot_diversity, plot_scaling])
def test_a_table_without_its_columns_is_refused(draw):
    with pytest.raises(ValueError, match="must have rows and the columns"):
        draw(pd.DataFrame({"split": [1]}))


def test_figures_draw_into_given_axes_and_change_no_table():
    _, ax = plt.subplots()
    before = RATIOS.copy()
    assert plot_ratios(RATIOS, ax) is ax
    pd.testing.assert_frame_equal(RATIOS, before)
