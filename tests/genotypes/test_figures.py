import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from latentgenomes.genotypes.figures import (
    latent_map,
    plot_frequencies,
    plot_haplotypes,
    plot_latent_map,
    plot_linkage_decay,
)

LATENT = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
LABELS = pd.DataFrame({"population": ["b", "a", "b"]}, index=["x.1", "x.2", "y.1"])


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
