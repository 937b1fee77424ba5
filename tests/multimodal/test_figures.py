"""Figures of profiles hold the values they were given; the map holds its samples and keeps to itself."""

import json
import re

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import same_color, to_hex

from latentgenomes.core.style import colours
from latentgenomes.multimodal.data.profiles import PROFILES
from latentgenomes.multimodal.evaluate.typing import mean_attention
from latentgenomes.multimodal.figures.map import embedding_map
from latentgenomes.multimodal.figures.tumours import (
    plot_attention,
    plot_embedding,
    plot_f1,
    plot_profiles,
    plot_separation,
    type_colours,
)

NASTY = ["</script><b>", "\"&'", "<!--", "EMBEDDING", "{0}", "ü"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def cloud(n=40, n_types=4, seed=0):
    generator = np.random.default_rng(seed)
    names = [f"T{i}" for i in range(n)]
    xy = pd.DataFrame(generator.normal(size=(n, 2)), index=names, columns=["x", "y"])
    about = pd.DataFrame(
        {
            "type": [f"type {i % n_types:02d}" for i in range(n)],
            "project": [f"P{i % 3}" for i in range(n)],
            "burden": generator.integers(0, 10**6, size=n),
        },
        index=names,
    )
    return xy, about


# ---- attention averaged over types ---------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 100))
def test_mean_attention_is_the_mean_of_each_type_over_the_samples_that_have_the_profile(n, k, seed):
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.ones(k), size=(n, 2, k))
    weights[generator.random(n) < 0.3, :, 0] = np.nan
    labels = generator.choice(["A", "B"], size=n)
    profiles = [f"P{i}" for i in range(k)]
    table = mean_attention(weights, labels, profiles, layer=1).set_index(["label", "profile", "attends_to"])
    assert len(table) == len(set(labels)) * k * k
    for (label, profile, other), row in table.iterrows():
        own = [
            w[1, profiles.index(profile), profiles.index(other)]
            for w, name in zip(weights, labels, strict=True)
            if name == label and not np.isnan(w[1, profiles.index(profile), 0])
        ]
        assert row["n_samples"] == len(own)
        if own:
            assert row["weight"] == pytest.approx(sum(own) / len(own))
        else:
            assert np.isnan(row["weight"])
        if len(own) > 1:
            assert row["sd"] == pytest.approx(np.std(own, ddof=1))


def test_mean_attention_refuses_what_does_not_fit():
    weights = np.full((3, 1, 2, 2), 0.5)
    with pytest.raises(ValueError, match=r"= \(2, \.\.\., 2, 2\), but it is \(3, 1, 2, 2\)"):
        mean_attention(weights, ["A", "B"], ["SBS96", "ID83"])
    with pytest.raises(ValueError, match=r"attention must have the shape .* Pass what MutEmbed.attention"):
        mean_attention(weights[:, 0], ["A", "B", "A"], ["SBS96", "ID83"])
    with pytest.raises(ValueError, match=r"layer must lie in 0\.\.0, but it is 1"):
        mean_attention(weights, ["A", "B", "A"], ["SBS96", "ID83"], layer=1)


def test_plot_attention_draws_every_matrix_on_one_scale_and_prints_it():
    generator = np.random.default_rng(1)
    weights = generator.dirichlet(np.ones(3), size=(9, 1, 3))
    weights[:3, 0, 2] = np.nan  # type A has no third profile
    table = mean_attention(weights, list("AAABBBCCC"), ["SBS96", "ID83", "SV32"])
    before = table.copy()
    figure = plot_attention(table)
    pd.testing.assert_frame_equal(table, before)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels] == ["A (3)", "B (3)", "C (3)"]
    for number, ax in enumerate(panels):
        drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
        np.testing.assert_allclose(drawn, weights[3 * number : 3 * number + 3, 0].mean(axis=0))
        assert ax.images[0].get_clim() == (0, 1)
        texts = [text.get_text() for text in ax.texts]
        assert texts == ["" if np.isnan(w) else f"{w:.2f}" for w in drawn.ravel()]
    with pytest.raises(ValueError, match=r"every pair of profiles once for a type, but some come twice"):
        plot_attention(pd.concat([table, table]))
    with pytest.raises(ValueError, match=r"attention must have rows and the columns .* lacks 'weight'"):
        plot_attention(table.drop(columns="weight"))


# ---- embedding ----------------------------------------------------------------------------------


def test_every_sample_is_drawn_once_in_the_colour_of_its_type():
    xy, about = cloud(53, 11)
    labels = about["type"].sample(frac=1, random_state=0)  # aligned by name
    ax = plot_embedding(xy, labels, name="UMAP")
    looks = type_colours(labels)
    drawn = {}
    for collection in ax.collections:
        for point in collection.get_offsets():
            drawn[tuple(np.round(point, 12))] = to_hex(collection.get_facecolor()[0])
    assert len(drawn) == 53
    for sample, place in xy.iterrows():
        assert same_color(drawn[tuple(np.round(place, 12))], looks[labels[sample]][0])
    assert ax.get_xlabel() == "UMAP 1"
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    counts = labels.value_counts()
    assert entries == [f"{kind} ({counts[kind]})" for kind in sorted(counts.index)]


def test_types_differ_in_colour_or_marker():
    looks = type_colours(pd.Series([f"t{i:02d}" for i in range(24)]))
    assert len(set(looks.values())) == 24
    assert {shape for _, shape in looks.values()} == {"o", "s", "^"}
    with pytest.raises(ValueError, match="n_colours must lie in 0"):
        type_colours(pd.Series([f"t{i}" for i in range(25)]))


@pytest.mark.parametrize("draw", [plot_embedding, lambda xy, t: embedding_map(xy, t.to_frame("type").assign(
    project="P", burden=1))])  # fmt: skip
def test_refused_embeddings(draw):
    xy, about = cloud(6)
    with pytest.raises(ValueError, match=r"two finite columns, but the shape is \(6, 1\)"):
        draw(xy[["x"]], about["type"])
    with pytest.raises(ValueError, match=r"shape is \(6, 2\) and 1 entries are not finite"):
        draw(xy.mask(xy == xy.iloc[2, 1]), about["type"])
    with pytest.raises(ValueError, match=r"but 1 of 6 are not among the labels \('T0'\)"):
        draw(xy, about["type"].drop(index="T0"))
    with pytest.raises(ValueError, match=r"come once and have a type.*come twice or have none"):
        draw(xy.set_axis(["T0", "T0", *xy.index[2:]]), about["type"])
    with pytest.raises(ValueError, match="come twice or have none"):
        draw(xy, about["type"].replace("type 01", None))


# ---- profiles of one tumour ---------------------------------------------------------------------


def test_profiles_are_drawn_one_below_the_other_and_an_absent_one_is_said():
    generator = np.random.default_rng(3)
    blocks = {name: generator.integers(1, 50, len(PROFILES[name])) for name in ("SBS96", "CN28", "SV32")}
    row = pd.concat(
        [
            pd.Series(v, index=[f"{name}|{c}" for c in PROFILES[name]], dtype=float)
            for name, v in blocks.items()
        ]
    )
    row[row.index.str.startswith("SV32")] = np.nan
    figure = plot_profiles(row, "a tumour")
    first, second, third = figure.axes
    for ax, name in ((first, "SBS96"), (second, "CN28")):
        heights = [bar.get_height() for bar in ax.patches if bar.get_height() > 0]
        assert sorted(heights)[-len(blocks[name]) :] == sorted(blocks[name])
        assert ax.get_ylabel() == name
    assert third.texts[0].get_text() == "SV32: never called"
    assert figure._suptitle.get_text() == "a tumour"
    with pytest.raises(ValueError, match=r"named such as SBS96\|A\[C>A\]A, but 1 of 153 names have no"):
        plot_profiles(pd.concat([row.iloc[:152], pd.Series({"A[C>A]A": 1.0})]))


# ---- F1 and separation --------------------------------------------------------------------------


def trials(seed=0):
    generator = np.random.default_rng(seed)
    rows = [
        {"split": s, "method": m, "label": label, "score": generator.random()}
        for s in range(4)
        for m in ("MutEmbed", "PCA")
        for label in ("Bone", "Skin", "macro")
    ]
    return pd.DataFrame(rows)


def test_plot_f1_draws_means_standard_errors_and_published_values():
    table = trials()
    published = pd.DataFrame(
        {
            "method": ["MutEmbed", "MutEmbed", "SBS96"],
            "label": ["Bone", "Skin", "Skin"],
            "f1": [0.4, 0.9, 0.7],
        }
    )
    ax = plot_f1(table, published)
    names = [text.get_text() for text in ax.get_yticklabels()]
    means = table.groupby(["method", "label"])["score"].mean()
    best_first = sorted(("Bone", "Skin"), key=lambda label: -means["MutEmbed", label])
    assert names == [*best_first, "mean"]
    rows = {label: place for place, label in enumerate([*best_first, "macro"])}
    palette = dict(zip(("MutEmbed", "PCA", "SBS96"), colours(3), strict=True))
    found = {"o": {}, "D": {}, "bar": {}}
    for line in ax.lines:
        method = next((m for m, c in palette.items() if same_color(line.get_color(), c)), None)
        if method is None:
            continue
        key = (method, round(float(line.get_ydata()[0])))
        kind = line.get_marker() if line.get_marker() in ("o", "D") else "bar"
        found[kind][key] = np.asarray(line.get_xdata(), dtype=float)
    assert len(found["o"]) == 6
    for (method, label), mean in means.items():
        own = table.query("method == @method and label == @label")["score"]
        key = (method, rows[label])
        assert found["o"][key][0] == pytest.approx(mean)
        error = own.std(ddof=1) / 2  # four splits
        np.testing.assert_allclose(found["bar"][key], [mean - error, mean + error])
    wanted = {
        ("MutEmbed", rows["Bone"]): 0.4, ("MutEmbed", rows["Skin"]): 0.9, ("MutEmbed", 2): 0.65,
        ("SBS96", rows["Skin"]): 0.7, ("SBS96", 2): 0.7,
    }  # fmt: skip
    assert {key: value[0] for key, value in found["D"].items()} == pytest.approx(wanted)
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["MutEmbed", "PCA", "SBS96", "published"]
    with pytest.raises(ValueError, match=r"trials must have rows and the columns .* lacks 'score'"):
        plot_f1(table.drop(columns="score"))
    with pytest.raises(ValueError, match=r"published must have rows .* it has 0 rows and lacks none"):
        plot_f1(table, published.iloc[:0])


def test_plot_separation_sorts_by_the_first_method_and_marks_a_large_effect():
    frame = pd.DataFrame(
        {
            "method": ["MutEmbed"] * 3 + ["raw"] * 3,
            "label": ["Bone", "Skin", "CNS"] * 2,
            "cohens_d": [0.2, 3.0, -0.1, 0.5, 1.0, 0.3],
            "stars": ["*", "***", "", "", "**", "*"],
            "n_samples": [65, 107, 294] * 2,
        }
    )
    ax = plot_separation(frame)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Skin (107)", "Bone (65)", "CNS (294)"]
    bars = {
        (container.get_label(), round(bar.get_y() + bar.get_height() / 2)): bar.get_width()
        for container in ax.containers
        for bar in container
    }
    assert bars == pytest.approx(
        {
            ("MutEmbed", 0): 3.0, ("MutEmbed", 1): 0.2, ("MutEmbed", 2): -0.1,
            ("raw", 0): 1.0, ("raw", 1): 0.5, ("raw", 2): 0.3,
        }
    )  # fmt: skip
    assert [text.get_text() for text in ax.texts] == ["*", "***", "", "", "**", "*"]
    assert 0.8 in [float(line.get_xdata()[0]) for line in ax.lines]
    one = plot_separation(frame[frame["method"] == "raw"].drop(columns="method"))
    assert one.get_legend() is None
    with pytest.raises(ValueError, match=r"separation must have rows and the columns .* lacks 'stars'"):
        plot_separation(frame.drop(columns="stars"))


# ---- the map ------------------------------------------------------------------------------------


def held(text):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 50))
def test_the_map_holds_every_sample_at_its_place_with_its_type_project_and_burden(n, n_types, seed):
    xy, about = cloud(n, n_types, seed)
    before = xy.copy()
    text = embedding_map(xy, about.iloc[::-1])
    pd.testing.assert_frame_equal(xy, before)
    data = held(text)
    assert data["names"] == xy.index.tolist()
    assert [data["types"][i] for i in data["type"]] == about["type"].tolist()
    assert [data["projects"][i] for i in data["project"]] == about["project"].tolist()
    assert data["burden"] == about["burden"].tolist()
    points = re.findall(r'<circle cx="(\d+)" cy="(\d+)" fill="(#\w+)"/>', text)
    assert [(int(x), int(y)) for x, y, _ in points] == list(zip(data["x"], data["y"], strict=True))
    looks = type_colours(about["type"])
    assert [fill for _, _, fill in points] == [looks[kind][0] for kind in about["type"]]
    assert min(data["x"] + data["y"]) >= 0
    assert max(data["x"] + data["y"]) <= 1000
    if n > 2:
        # One scale for both axes, and y points up.
        reach = (xy.max() - xy.min()).max()
        for axis, sign in (("x", 1), ("y", -1)):
            steps = np.diff(data[axis]) * sign
            np.testing.assert_allclose(steps / 950, np.diff(xy[axis]) / reach, atol=1.1e-3)


def test_the_map_has_a_button_for_every_type_with_its_count():
    xy, about = cloud(10, 3)
    buttons = re.findall(r"<i></i>([^<]+) <small>(\d+)</small>", embedding_map(xy, about))
    assert buttons == [("type 00", "4"), ("type 01", "3"), ("type 02", "3")]


def test_names_cannot_break_out_of_the_map():
    xy, about = cloud(6, 6)
    about["type"], about["project"] = NASTY, NASTY
    about.index = xy.index = pd.Index(NASTY)
    text = embedding_map(xy, about)
    data = held(text)
    assert data["names"] == NASTY
    assert [data["types"][i] for i in data["type"]] == NASTY
    assert text.count("</script>") == 2
    assert "<b>" not in text
    assert "<!--" not in text


def test_the_map_is_small_keeps_to_itself_and_needs_no_network():
    xy, about = cloud(2800, 15)
    text = embedding_map(xy, about)
    assert text == embedding_map(xy, about)
    assert len(text) < 90 * 2800
    for word in ("http", "src=", "@import", "url(", "onload", "eval(", "innerHTML"):
        assert word not in text
    identity = re.search(r'<div id="(map-\w+)"', text)[1]
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    selectors = [rule.split("{")[-1].split("}")[-1] for rule in re.findall(r"[^{}]+(?=\{)", style)]
    assert all(f"#{identity}" in rule for rule in selectors if not rule.strip().startswith("@"))
    assert "EMBEDDING" not in text
    moved = embedding_map(xy.iloc[::-1], about)
    assert re.search(r'<div id="(map-\w+)"', moved)[1] != identity


def test_refused_maps():
    xy, about = cloud(5)
    with pytest.raises(ValueError, match=r"columns type, project, burden .* but project is missing"):
        embedding_map(xy, about.drop(columns="project"))
    with pytest.raises(ValueError, match=r"burden must be mutations >= 0, but 2 of 5 are not"):
        embedding_map(xy, about.assign(burden=[1, -1, 2, np.nan, 0]))
    many, about = cloud(20_001)
    with pytest.raises(ValueError, match=r"at most 20000 rows, but no column is missing and there are 20001"):
        embedding_map(many, about)
