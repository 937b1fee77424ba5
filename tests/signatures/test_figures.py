"""Figures hold the values they were given, in the right order, colour and unit."""

import warnings

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import same_color, to_hex
from matplotlib.patches import StepPatch

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.figures import plot_history, plot_paired
from latentgenomes.core.style import PALETTE, SUBSTITUTION_COLOURS, colours, style
from latentgenomes.mutations.channels import CHANNELS, SBS96
from latentgenomes.mutations.layouts import LAYOUTS
from latentgenomes.mutations.spectra import plot_residuals, plot_signatures, plot_spectrum
from latentgenomes.signatures.evaluate import cosine_similarity, match_signatures, recovery
from latentgenomes.signatures.figures.extraction import plot_exposures, plot_matches, plot_recovery
from latentgenomes.signatures.figures.halves import plot_halves

RNG = np.random.default_rng(0)
CLASSES = ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")


@pytest.fixture(autouse=True)
def _leave_no_trace():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


def signatures(n: int) -> pd.DataFrame:
    values = np.random.default_rng(n).dirichlet(np.full(96, 0.3), size=n)
    return pd.DataFrame(values, index=[f"S{i + 1}" for i in range(n)], columns=list(SBS96))


def exposures(n_samples: int, n_signatures: int) -> pd.DataFrame:
    values = np.random.default_rng(1).gamma(0.5, 1000, size=(n_samples, n_signatures))
    return pd.DataFrame(
        values,
        index=[f"sample {i}" for i in range(n_samples)],
        columns=[f"S{i + 1}" for i in range(n_signatures)],
    )


def history() -> pd.DataFrame:
    rows = [
        (epoch, member, term, start / (1 + epoch) + member + offset, part)
        for epoch in range(5)
        for member in range(3)
        for term, start in (("nll", 900.0), ("kl", 4.0))
        for part, offset in (("training", 0.0), ("validation", 2.0))
    ]
    return pd.DataFrame(rows, columns=["epoch", "member", "term", "value", "set"])


def scores() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "MLP": [0.80, 0.82, 0.78, 0.81, 0.79],
            "PCA": [0.70, 0.73, 0.69, 0.70, 0.70],
            "ensemble": [0.81, 0.80, 0.80, 0.81, 0.78],  # +.01 -.02 +.02 0 -.01
        }
    )
    return table.rename_axis("split").reset_index().melt("split", var_name="method", value_name="score")


def hand_sorted_labels() -> list[str]:
    return [f"{five}[{change}]{three}" for change in CLASSES for five in "ACGT" for three in "ACGT"]


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(list(SBS96)))
def test_spectrum_bars_are_the_values_in_plotting_order_and_class_colour(order):
    spectrum = pd.Series(RNG.integers(0, 500, 96), index=list(SBS96)).loc[order]
    ax = plot_spectrum(spectrum)
    bars = ax.containers[0]
    expected = hand_sorted_labels()
    assert [bar.get_height() for bar in bars] == spectrum[expected].tolist()
    for bar, label in zip(bars, expected, strict=True):
        assert same_color(bar.get_facecolor(), SUBSTITUTION_COLOURS[label[2:5]])
    assert [text.get_text() for text in ax.texts] == list(CLASSES)
    assert ax.get_ylim()[1] > spectrum.max()
    plt.close("all")


# Counted on COSMIC's own plots: number of bars under every strip, from left to right.
STRIPS = {
    "ID83": [6] * 12 + [1, 2, 3, 5],
    "DBS78": [9, 6, 9, 6, 9, 6, 6, 9, 9, 9],
    "CN48": [3] + [5] * 9,
    "SV32": [5, 5, 5, 1, 5, 5, 5, 1],
}


@pytest.mark.parametrize("context", STRIPS)
def test_other_classifications_keep_values_colours_and_strips_together(context):
    layout = LAYOUTS[context]
    assert sorted(layout.channels) == sorted(CHANNELS[context])
    order = np.random.default_rng(1).permutation(CHANNELS[context])
    spectrum = pd.Series(RNG.integers(1, 500, len(order)), index=order)
    ax = plot_spectrum(spectrum, title="x")
    bars = ax.containers[0]
    assert [bar.get_height() for bar in bars] == spectrum[list(layout.channels)].tolist()
    assert [span.n_bars for span in layout.strips] == STRIPS[context]
    for spans in (layout.strips, layout.heads, layout.feet):
        assert not spans or sum(span.n_bars for span in spans) == len(bars)
    for strip in layout.strips:  # the last bar of a strip has its full colour
        assert same_color(bars[strip.first + strip.n_bars - 1].get_facecolor(), strip.colour)
    texts = [text.get_text() for text in ax.texts]
    assert texts[: len(layout.strips)] == [strip.name for strip in layout.strips]
    assert {head.name for head in layout.heads} <= set(texts)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(layout.names)


def test_names_below_bars_say_what_the_channel_is():
    names = {context: dict(zip(lay.channels, lay.names, strict=True)) for context, lay in LAYOUTS.items()}
    # A deleted unit is counted, so a deletion without further repeats has length 1; an insertion has 0.
    assert names["ID83"]["1:Del:C:0"] == "1"
    assert names["ID83"]["1:Ins:T:0"] == "0"
    assert (names["ID83"]["1:Del:T:5"], names["ID83"]["5:Ins:R:5"]) == ("6+", "5+")
    assert (names["ID83"]["2:Del:M:1"], names["ID83"]["5:Del:M:5"]) == ("1", "5+")
    assert names["DBS78"]["CC>TT"] == "TT"
    assert names["CN48"]["3-4:het:>40Mb"] == ">40Mb"
    assert (names["SV32"]["clustered_del_1-10Kb"], names["SV32"]["non-clustered_trans"]) == ("1-10Kb", "")
    strip = {
        name: span.name
        for span in LAYOUTS["ID83"].strips
        for name in LAYOUTS["ID83"].channels[span.first : span.first + span.n_bars]
    }
    assert (strip["1:Ins:T:3"], strip["5:Del:R:0"], strip["4:Del:M:2"]) == ("T", "5+", "4")


def test_units_heads_and_errors_follow_the_classification():
    one = {context: pd.Series(1 / len(labels), index=list(labels)) for context, labels in CHANNELS.items()}
    assert plot_spectrum(one["CN48"]).get_ylabel() == "Fraction of segments"
    assert plot_spectrum(one["SV32"] * 100).get_ylabel() == "Rearrangements"
    assert plot_spectrum(one["ID83"]).get_ylabel() == "Fraction of mutations"
    narrow = plot_spectrum(one["ID83"], plt.subplots(figsize=(3, 2))[1])
    assert [text.get_text() for text in narrow.texts] == ["-1", "+1", "-2 or more", "+2 or more", "MH"]
    assert len(narrow.get_xticks()) == 0
    grid = plot_signatures(one["ID83"].to_frame("a").T.loc[["a", "a"]].set_axis(["a", "b"]), columns=1)
    feet = [{text.get_text() for text in ax.texts} >= {"Homopolymer length"} for ax in grid.axes]
    assert feet == [False, True]  # names below the lowest panel only
    with pytest.raises(ValueError, match=r"must hold the 83 ID83 channels once each, but it has 82 labels"):
        plot_spectrum(one["ID83"].iloc[:-1])
    with pytest.raises(ValueError, match=r"reference 'R' must hold the 83 ID83 channels"):
        plot_signatures(
            one["ID83"].to_frame("a").T,
            reference=one["SV32"].to_frame("R").T,
            matches=pd.DataFrame({"signature": ["a"], "reference": ["R"], "cosine": [1.0]}),
        )


def test_six_colours_are_those_of_the_field():
    families = {"C>A": "#03bcee", "C>G": "#010101", "C>T": "#e32926", "T>A": "#cac9c9"}
    families |= {"T>C": "#a1ce63", "T>G": "#ebc6c4"}
    assert families == SUBSTITUTION_COLOURS
    assert tuple(SUBSTITUTION_COLOURS) == CLASSES


def test_spectrum_names_its_unit_title_and_as_many_contexts_as_fit():
    fractions = signatures(1).loc["S1"]
    assert plot_spectrum(fractions).get_ylabel() == "Fraction of mutations"
    assert plot_spectrum(fractions * 500).get_ylabel() == "Mutations"
    page = plot_spectrum(fractions, title="SBS1", ylabel="Mutations per megabase")
    assert page.get_ylabel() == "Mutations per megabase"
    assert page.get_title(loc="left") == "SBS1"
    assert [tick.get_text() for tick in page.get_xticklabels()] == list("ACGT" * 6)
    # Every label stands in the middle of its four bars.
    assert page.get_xticks()[1] == np.mean([4, 5, 6, 7])
    wide = plot_spectrum(fractions, plt.subplots(figsize=(14, 3))[1])
    names = [tick.get_text() for tick in wide.get_xticklabels()]
    assert names == [f"{label[0]}{label[2]}{label[-1]}" for label in hand_sorted_labels()]
    narrow = plot_spectrum(fractions, plt.subplots(figsize=(3, 2))[1])
    assert narrow.get_xticklabels() == []


def test_signatures_are_mirrored_by_their_own_reference():
    truth = signatures(3)
    estimated = truth.iloc[::-1].set_axis(["A", "B", "C"])[list(SBS96[::-1])]
    matches = match_signatures(estimated, truth)
    figure = plot_signatures(estimated, reference=truth, matches=matches.iloc[:2], columns=2)
    first, _, third = figure.axes[:3]
    up, down = ([bar.get_height() for bar in bars] for bars in first.containers)
    np.testing.assert_allclose(up, truth.loc["S3", hand_sorted_labels()])
    np.testing.assert_allclose(down, -truth.loc["S3", hand_sorted_labels()])
    assert first.get_title(loc="left") == "A, S3 cosine 1.00"
    assert third.get_title(loc="left") == "C, no match"
    assert len(third.containers) == 1
    assert figure.get_supylabel() == "Fraction of mutations (up: estimated, down: reference)"
    assert len(plot_signatures(estimated, columns=1).axes) == 3


def test_exposures_stack_every_sample_sorted_by_total_within_its_group():
    table = exposures(12, 4)
    groups = pd.Series(["B", "A", "A"] * 4, index=table.index)[::-1]
    ax = plot_exposures(table, groups=groups)
    totals = table.sum(axis=1)
    by_group = [totals[groups[table.index] == name].sort_values(ascending=False) for name in ("B", "A")]
    order = [sample for part in by_group for sample in part.index]
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    base = np.zeros(12)
    for name, patch, colour in zip(table.columns, steps, PALETTE, strict=False):
        values, _, baseline = patch.get_data()
        np.testing.assert_allclose(np.asarray(values) - baseline, table.loc[order, name])
        np.testing.assert_allclose(baseline, base)
        assert to_hex(patch.get_facecolor()) == colour
        base = np.asarray(values)
    np.testing.assert_allclose(base, totals[order])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["B (4)", "A (8)"]
    assert ax.get_ylabel() == "Mutations per sample"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["S4", "S3", "S2", "S1"]


def test_exposures_without_groups_and_as_fractions():
    table = exposures(9, 3)
    shares = table.div(table.sum(axis=1), axis=0)
    ax = plot_exposures(shares)
    largest = table.columns[shares.sum().to_numpy().argmax()]
    patch = next(p for p in ax.patches if isinstance(p, StepPatch) and p.get_label() == largest)
    heights = np.asarray(patch.get_data().values) - patch.get_data().baseline
    np.testing.assert_allclose(heights, shares[largest].sort_values(ascending=False))
    assert ax.get_ylabel() == "Fraction of the sample's mutations"
    assert ax.get_xlabel() == "9 samples, by total"


def test_exposures_sum_what_has_no_colour_and_lose_nothing():
    table = exposures(5, 30)
    ax = plot_exposures(table)
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert len(steps) == 24
    assert steps[-1].get_label() == "7 others"
    smallest = table.sum().nsmallest(7).index
    values, _, baseline = steps[-1].get_data()
    order = table.sum(axis=1).sort_values(ascending=False).index
    np.testing.assert_allclose(np.asarray(values) - baseline, table.loc[order, smallest].sum(axis=1))
    np.testing.assert_allclose(values, table.sum(axis=1)[order])


def test_small_groups_stay_readable():
    table = exposures(300, 2)
    groups = pd.Series(["large"] * 297 + ["a small one"] * 2 + ["single"], index=table.index)
    ax = plot_exposures(table, groups=groups)
    ax.figure.draw_without_rendering()
    boxes = [tick.get_window_extent() for tick in ax.get_xticklabels()]
    assert not boxes[1].overlaps(boxes[2])


def inside(ax) -> bool:
    """Everything that is drawn lies inside the figure."""
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02


def test_nothing_is_clipped_even_in_the_caller_s_own_figure():
    table, found = exposures(40, 14), recovery(signatures(3), signatures(4))
    comparison = paired_differences(scores(), baseline="MLP")
    for draw in (
        lambda ax: plot_exposures(table, ax),
        lambda ax: plot_history(history(), ax),
        lambda ax: plot_recovery(found, ax),
        lambda ax: plot_paired(comparison, ax),
        lambda ax: plot_matches(cosine_similarity(signatures(3), signatures(4)), ax),
        lambda ax: plot_spectrum(signatures(1).loc["S1"], ax, title="SBS1"),
    ):
        assert inside(draw(None))
        assert inside(draw(plt.subplots(figsize=(7, 3))[1]))


def test_matches_show_every_cosine_and_frame_the_best():
    cosines = cosine_similarity(signatures(3), signatures(4))
    ax = plot_matches(cosines)
    np.testing.assert_array_equal(ax.images[0].get_array(), cosines)
    shown = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in ax.texts}
    assert shown == {place: f"{value:.2f}" for place, value in np.ndenumerate(cosines.to_numpy())}
    framed = [round(patch.get_x() + 0.5) for patch in ax.patches]
    assert framed == cosines.to_numpy().argmax(axis=1).tolist()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == cosines.columns.tolist()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == cosines.index.tolist()
    assert ax.figure.axes[1].get_ylabel() == "Cosine similarity"


def test_matches_with_too_many_references_keep_the_best_of_every_row():
    many = signatures(80)
    estimated = many.iloc[[70, 3]].set_axis(["A", "B"])
    ax = plot_matches(cosine_similarity(estimated, many))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["S4", "S71"]
    assert ax.get_xlabel() == "Reference signature (best of a row: 2 of 80)"


def test_history_draws_the_median_over_every_member():
    frame = history()
    ax = plot_history(frame.sample(frac=1, random_state=0))
    named = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert set(named) == {f"{t}, {s}" for t in ("nll", "kl") for s in ("training", "validation")}
    # Members are start / (1 + epoch) + 0, 1, 2: the median is the one with 1.
    np.testing.assert_allclose(named["nll, training"].get_ydata(), 900 / (1 + np.arange(5)) + 1)
    np.testing.assert_allclose(named["kl, validation"].get_ydata(), 4 / (1 + np.arange(5)) + 3)
    assert named["kl, validation"].get_linestyle() == "--"
    assert len(ax.lines) == 4 * (3 + 1)
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "Nats per sample"
    negative = plot_history(frame[frame["member"] == 0].assign(value=lambda f: f["value"] - 500))
    assert negative.get_yscale() == "linear"
    assert len(negative.lines) == 4


def test_recovery_draws_scores_and_means_over_repeats():
    truth = signatures(4)
    found = recovery(truth.iloc[:3], truth)
    ax = plot_recovery(found)
    assert [line.get_label() for line in ax.lines] == ["Precision", "Recall", "F1"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), found["recall"])
    two = pd.concat([found.assign(method="NMF"), recovery(truth.iloc[:1], truth).assign(method="NMF")])
    several = plot_recovery(pd.concat([two, found.assign(method="VAE-MS")]))
    assert [line.get_label() for line in several.lines] == ["NMF", "VAE-MS"]
    np.testing.assert_allclose(several.lines[0].get_ydata(), np.full(3, (6 / 7 + 2 / 5) / 2))
    assert len(several.collections[0].get_offsets()) == 6


def test_paired_draws_intervals_around_zero_and_hollow_points_within_noise():
    comparison = paired_differences(scores(), baseline="MLP")
    ax = plot_paired(comparison, score="macro-F1")
    rows = comparison[comparison["method"] != "MLP"].set_index("method")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == rows.index.tolist()
    assert ax.lines[0].get_xdata() == [0, 0]
    for i, (_, row) in enumerate(rows.iterrows()):
        interval, point = ax.lines[1 + 2 * i], ax.lines[2 + 2 * i]
        np.testing.assert_allclose(interval.get_xdata(), [row["lower"], row["upper"]])
        np.testing.assert_allclose(point.get_xdata(), [row["difference"]])
        hollow = same_color(point.get_markerfacecolor(), "white")
        assert hollow == (row["verdict"] == "within noise")
    assert sorted(rows["verdict"]) == ["lower", "within noise"]
    assert ax.get_xlabel() == "Difference in macro-F1 to MLP (mean and 95% interval, 5 splits)"


def test_residuals_are_one_under_poisson_noise_and_show_a_missed_channel():
    rng = np.random.default_rng(3)
    n = 400
    rates = pd.DataFrame(rng.gamma(2, 10, size=(n, 96)), columns=list(SBS96))
    counts = pd.DataFrame(rng.poisson(rates), columns=list(SBS96))
    missed = rates.copy()
    missed["A[C>T]G"] /= 2
    ax = plot_residuals(counts, missed.iloc[::-1, ::-1])
    heights = pd.Series([bar.get_height() for bar in ax.containers[0]], index=hand_sorted_labels())
    assert heights["A[C>T]G"] > 2
    # Each bar is a weighted mean of n squared residuals with variance near 2: allow 4.5 standard errors
    # for the largest of 95 bars, and twice the variance for unequal rates.
    assert (heights.drop("A[C>T]G") - 1).abs().max() < 4.5 * np.sqrt(4 / n)
    silent = plot_residuals(counts.assign(**{"A[C>A]A": 0}), rates.assign(**{"A[C>A]A": 0.0}))
    assert silent.containers[0][0].get_height() == 0


def test_style_is_undone_even_after_an_error():
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["legend.frameon"] is False
    with pytest.raises(KeyError), style():
        SUBSTITUTION_COLOURS["A>C"]
    assert dict(mpl.rcParams) == before


def test_colours_are_distinct_and_start_with_the_palette():
    assert len(set(colours(24))) == 24
    assert tuple(to_hex(colour) for colour in colours(8)) == PALETTE
    assert colours(5) == colours(24)[:5]


def test_no_figure_changes_its_input_or_warns():
    frames = {
        "signatures": signatures(3),
        "exposures": exposures(6, 3),
        "groups": pd.Series(list("aabbab"), index=exposures(6, 3).index),
        "history": history(),
        "comparison": paired_differences(scores(), baseline="MLP"),
    }
    before = {name: frame.copy() for name, frame in frames.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matches = match_signatures(frames["signatures"], frames["signatures"])
        plot_signatures(frames["signatures"], reference=frames["signatures"], matches=matches)
        plot_exposures(frames["exposures"], groups=frames["groups"])
        plot_history(frames["history"])
        plot_paired(frames["comparison"])
    for name, frame in frames.items():
        (pd.testing.assert_series_equal if name == "groups" else pd.testing.assert_frame_equal)(
            frame, before[name]
        )


def test_errors_of_spectra_say_what_came_and_where():
    good = signatures(2)
    with pytest.raises(ValueError, match=r"it has 95 labels, and 1 channels are missing; .*'T\[T>G\]T'"):
        plot_spectrum(good.iloc[0, :-1])
    with pytest.raises(ValueError, match=r"it has 97 labels, and 0 channels are missing"):
        plot_spectrum(pd.concat([good.iloc[0], good.iloc[0, :1]]))
    with pytest.raises(
        ValueError, match=r"finite values >= 0, but 1 of 96 do not; the first is -1 at 'A\[C>A\]A'"
    ):
        plot_spectrum(good.iloc[0].where(good.columns != "A[C>A]A", -1.0))
    with pytest.raises(ValueError, match="given together, but matches is missing"):
        plot_signatures(good, reference=good)
    with pytest.raises(ValueError, match="2 rows and columns is 0"):
        plot_signatures(good, columns=0)
    pairs = pd.DataFrame({"signature": ["S1"], "reference": ["SBS99"], "cosine": [0.9]})
    with pytest.raises(ValueError, match="'SBS99' is not among its 2 rows"):
        plot_signatures(good, reference=good, matches=pairs)
    with pytest.raises(ValueError, match="hold 2 and 1 rows of which 1 are shared"):
        plot_residuals(good, good.iloc[:1])


def test_errors_of_the_other_figures_say_what_came_and_where():
    table = exposures(3, 2)
    with pytest.raises(ValueError, match="exposures must have at least one row and one column"):
        plot_exposures(table.iloc[:0])
    with pytest.raises(ValueError, match=r"but 2 of 6 do not; the first is nan at row 1, column 0"):
        plot_exposures(table.mul([1, np.nan, 1], axis=0))
    with pytest.raises(ValueError, match=r"1 of 3 samples have none; the first without is 'sample 2'"):
        plot_exposures(table, groups=pd.Series(["a", "b"], index=table.index[:2]))
    with pytest.raises(ValueError, match="cosines must hold finite values >= 0"):
        plot_matches(-table)
    with pytest.raises(ValueError, match=r"\['f1'\] are not among"):
        plot_recovery(recovery(signatures(2), signatures(2)).drop(columns="f1"))
    with pytest.raises(ValueError, match=r"has 60 rows and lacks \['value'\]"):
        plot_history(history().drop(columns="value"))
    with pytest.raises(ValueError, match="has 0 rows and lacks"):
        plot_history(history().iloc[:0])
    with pytest.raises(ValueError, match="but holds 'test'"):
        plot_history(history().replace({"set": {"validation": "test"}}))
    comparison = paired_differences(scores(), baseline="MLP")
    with pytest.raises(ValueError, match='one row with verdict "baseline", but has 0'):
        plot_paired(comparison[comparison["verdict"] != "baseline"])
    with pytest.raises(ValueError, match=r"n_colours must lie in 0\.\.24, but is 25"):
        colours(25)


def test_halves_are_drawn_by_cohort_with_means_and_single_splits():
    table = pd.DataFrame(
        {
            "cohort": ["A", "A", "B", "B"] * 2,
            "method": ["ours", "theirs"] * 4,
            "split": [0] * 4 + [1] * 4,
            "among": [0.8, 0.4, 0.6, 0.7, 1.0, 0.6, 0.4, 0.9],
        }
    )
    ax = plot_halves(table, value="among", label="share")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["A", "B"]  # by the last method
    large = {
        one.get_label(): one.get_offsets() for one in ax.collections if not one.get_label().startswith("_")
    }
    np.testing.assert_allclose(large["ours"], [[0.9, 0], [0.5, 1]])
    np.testing.assert_allclose(large["theirs"], [[0.5, 0], [0.8, 1]])
    with pytest.raises(ValueError, match=r"lacks \['cohort'\]"):
        plot_halves(table.drop(columns="cohort"), value="among", label="share")
