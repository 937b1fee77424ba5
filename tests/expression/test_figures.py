"""Figures of the expression study show the numbers that they were given."""

import json
import re
import shutil
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from latentgenomes.expression.evaluate.survival import survival_curves
from latentgenomes.expression.figures import restoration as module
from latentgenomes.expression.figures.accuracy import plot_gene_accuracy, plot_restored_genes
from latentgenomes.expression.figures.curves import plot_calibration, plot_kaplan_meier, plot_restoration
from latentgenomes.expression.figures.restoration import conditional, restoration_figure


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def scores():
    rows = [
        {"mask": str(rate), "method": method, "seed": seed, "rmse": rate + shift + 0.01 * seed}
        for rate in (0.1, 0.5, 0.9)
        for method, shift in (("mean", 0.5), ("ridge", 0.2), ("stack", 0.195))
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


def genes(n_samples=3, n_genes=6, seed=0, names=None):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(60, 2)) @ generator.normal(size=(2, n_genes))
    table = pd.DataFrame(values + 0.5 * generator.normal(size=values.shape), columns=names or list("ABCDEF"))
    return table.iloc[:n_samples], table.cov() + 0.1 * np.eye(n_genes)


def test_lines_are_means_over_seeds_and_labels_do_not_touch():
    table = scores()
    before = table.copy()
    ax = plot_restoration(table, bold=["stack"])
    pd.testing.assert_frame_equal(table, before)
    drawn = {tuple(np.round(line.get_ydata(), 6)) for line in ax.lines}
    assert (0.305, 0.705, 1.105) in drawn
    places = sorted(text.xy[1] for text in ax.texts)
    assert {text.get_text() for text in ax.texts} == {"mean", "ridge", "stack"}
    assert np.diff(places).min() > 0.04 * (places[-1] - places[0])


def test_kaplan_meier_shows_the_curve_and_who_is_at_risk():
    generator = np.random.default_rng(0)
    times, events = generator.exponential(1000, 80), generator.integers(0, 2, 80)
    groups = np.repeat(["high", "low"], 40)
    curves = survival_curves(times, events, groups)
    ax = plot_kaplan_meier(curves)
    line = next(line for line in ax.lines if line.get_label() == "low")
    np.testing.assert_allclose(line.get_ydata(), curves.loc[curves["group"] == "low", "survival"])
    ticks = ax.get_xticks()
    written = [text for text in ax.texts if text.get_text().isdigit()]
    for row, group in enumerate(("high", "low")):
        numbers = [int(text.get_text()) for text in written[row * len(ticks) : (row + 1) * len(ticks)]]
        expected = [int((times[groups == group] >= 365.25 * tick).sum()) for tick in ticks]
        assert numbers == expected


def test_calibration_draws_each_arm_around_the_diagonal():
    table = pd.DataFrame(
        {
            "arm": ["a", "a", "b"],
            "predicted": [0.4, 0.8, 0.5],
            "observed": [0.5, 0.8, 0.6],
            "standard_error": 0.05,
        }
    )
    ax = plot_calibration(table)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0.4, 0.5], [0.8, 0.8]])


def test_the_conditional_is_the_regression_on_the_others():
    samples, covariance = genes()
    value, hidden = samples.iloc[0].to_numpy(), np.array([0, 1, 0, 1, 1, 0], dtype=bool)
    mean, spread = conditional(value, hidden, covariance.to_numpy())
    matrix = np.linalg.inv(covariance.to_numpy())[np.ix_(hidden, hidden)]
    across = np.linalg.inv(covariance.to_numpy())[np.ix_(hidden, ~hidden)]
    np.testing.assert_allclose(mean[hidden], -np.linalg.solve(matrix, across @ value[~hidden]), rtol=1e-9)
    np.testing.assert_allclose(spread[hidden], np.sqrt(np.diag(np.linalg.inv(matrix))), rtol=1e-9)
    np.testing.assert_array_equal(mean[~hidden], value[~hidden])


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_computes_what_python_does():
    samples, covariance = genes()
    hidden = np.array([1, 0, 1, 0, 1, 1], dtype=bool)
    code = (
        f"{module._ARITHMETIC}; console.log(JSON.stringify(conditional({samples.iloc[1].tolist()}, "
        f"{json.dumps(hidden.tolist())}, {covariance.to_numpy().tolist()})));"
    )
    answer = json.loads(
        subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True).stdout
    )
    mean, spread = conditional(samples.iloc[1].to_numpy(), hidden, covariance.to_numpy())
    np.testing.assert_allclose(answer["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(answer["spread"], spread, rtol=1e-9)


def test_the_page_holds_its_numbers_and_no_name_breaks_out():
    names = ["</script><b>", "\"&'", "A", "B", "<!--", "RESTORING"]
    samples, covariance = genes(names=names)
    page = restoration_figure(samples, covariance)
    assert page == restoration_figure(samples, covariance)
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    assert data["genes"] == names
    np.testing.assert_allclose(data["values"], samples.to_numpy(), rtol=1e-4)
    assert "<b>" not in page
    assert page.count("</script>") == 2
    assert page.count('class="name" aria-pressed="true"') == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plot_restoration(scores().drop(columns="mask")),
            "scores must have rows.*lacks \\['mask'\\]",
        ),
        (lambda: plot_restoration(scores(), bold=["magic"]), "bold must name methods of .* but 'magic' came"),
        (lambda: plot_kaplan_meier(pd.DataFrame()), "curves must have rows and the columns"),
        (lambda: plot_calibration(pd.DataFrame()), "table must have rows and the columns"),
        (lambda: restoration_figure(*genes(n_samples=13)), "1 to 12 rows and 4 to 32 columns.*\\(13, 6\\)"),
        (lambda: restoration_figure(genes()[0], genes()[1].iloc[:3, :3]), "must come once and be rows and"),
        (lambda: restoration_figure(genes()[0] * np.nan, genes()[1]), "must be finite"),
        (lambda: restoration_figure(genes()[0], genes()[1] * 0), "must be positive definite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_restored_genes_have_a_panel_each_with_their_correlation():
    points = pd.DataFrame(
        {"gene": ["A"] * 4 + ["B"] * 3, "true": [1, 2, 3, 4, 1, 2, 3], "restored": [1, 2, 3, 4, 3, 2, 1]}
    )
    axes = plot_restored_genes(points)
    assert [ax.get_title() for ax in axes] == ["A\nr = 1.00, n = 4", "B\nr = -1.00, n = 3"]
    assert axes[0].get_xlim() == axes[0].get_ylim()
    with pytest.raises(ValueError, match="hidden entries of a gene at least"):
        plot_restored_genes(points.iloc[:0])


def test_the_accuracy_of_genes_runs_from_the_worst_to_the_best_and_tells_the_marked():
    genes = pd.DataFrame(
        {
            "n_checked": [50, 50, 50, 0],
            "correlation": [0.9, 0.1, 0.5, np.nan],
            "correlation_lower": [0.8, -0.2, 0.3, np.nan],
            "correlation_upper": [0.95, 0.4, 0.7, np.nan],
            "status": [
                "restored",
                "not restored: no better than its mean",
                "restored",
                "as it came: constant",
            ],
        }
    )
    ax = plot_gene_accuracy(genes)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["restored (2)", "not restored (1)"]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[2, 0.5], [3, 0.9]])
    with pytest.raises(ValueError, match="a checked gene at least"):
        plot_gene_accuracy(genes.iloc[3:])
