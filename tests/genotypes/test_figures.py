"""Figures show the numbers of their tables."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from latentgenomes.genotypes.figures import (
    KINDS,
    latent_map,
    plot_diversity,
    plot_frequencies,
    plot_haplotypes,
    plot_latent_map,
    plot_linkage_decay,
    plot_ratios,
    plot_scaling,
)

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
LATENT = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
LABELS = pd.DataFrame({"population": ["b", "a", "b"]}, index=["x.1", "x.2", "y.1"])


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_the_map_shows_every_haplotype_in_the_colour_of_its_group():
    ax = plot_latent_map(LATENT, LABELS["population"], title="map")
    shown = {part.get_label(): part.get_offsets().data.tolist() for part in ax.collections}
    assert shown == {"a": [[2.0, 3.0]], "b": [[0.0, 1.0], [4.0, 5.0]]}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_the_interactive_map_names_each_haplotype():
    pytest.importorskip("plotly")
    figure = latent_map(LATENT, LABELS)
    points = {trace.name: (trace.x, trace.y, trace.text) for trace in figure.data}
    assert points["a"] == ((2.0,), (3.0,), ("x.2<br>population: a",))
    assert points["b"][0] == (0.0, 4.0)
    with pytest.raises(ValueError, match="labels must have the column 'region' and one row"):
        latent_map(LATENT, LABELS, colour="region")


def test_the_decay_draws_one_line_a_source():
    table = pd.DataFrame(
        {"source": ["real", "real", "x", "x"], "upper": [1, 2, 1, 2], "mean_r2": [0.4, 0.2, 0.3, 0.1]}
    )
    ax = plot_linkage_decay(table)
    assert {line.get_label(): line.get_ydata().tolist() for line in ax.lines} == {
        "real": [0.4, 0.2],
        "x": [0.3, 0.1],
    }


def test_frequencies_lie_where_they_belong():
    ax = plot_frequencies(np.array([0.1, 0.9]), np.array([0.2, 0.8]))
    assert ax.collections[0].get_offsets().data.tolist() == [[0.1, 0.2], [0.9, 0.8]]


def test_calls_are_shown_as_they_are():
    calls = np.array([[0, 1, -1], [1, 1, 0]], dtype=np.int8)
    figure = plot_haplotypes({"one": calls, "two": 1 - calls.clip(0)}, n_rows=1)
    pictures = [ax.images[0].get_array().tolist() for ax in figure.axes]
    assert pictures == [[[0, 1, -1]], [[1, 0, 1]]]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["one", "two"]


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
