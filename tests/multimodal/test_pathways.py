"""Pathway scores agree with GSVA written out, labels follow the largest, predictions keep donors apart."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr
from sklearn.linear_model import LogisticRegression, Ridge

from latentgenomes.multimodal.data.pathways import (
    KEGG_FILE,
    REPAIR_PATHWAYS,
    load_repair_pathways,
    read_gene_sets,
)
from latentgenomes.multimodal.evaluate.pathways import (
    chance_dominance,
    dominant_pathway,
    fold_predictions,
    genes_found,
    group_folds,
    pathway_scores,
    predict_targets,
    random_gene_sets,
    rank_agreement,
)
from latentgenomes.multimodal.figures.tumours import plot_agreement, plot_dominance


def expression(n=14, n_genes=30, seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        generator.normal(size=(n, n_genes)),
        index=[f"S{i}" for i in range(n)],
        columns=[f"G{i}" for i in range(n_genes)],
    )


def gsva_by_hand(table, genes):
    """GSVA of one set, gene by gene and step by step."""
    n, p = table.shape
    kernel = np.zeros((n, p))
    for g in range(p):
        x = table.iloc[:, g].to_numpy()
        for i in range(n):
            kernel[i, g] = np.mean([norm.cdf((x[i] - x[k]) / (x.std(ddof=1) / 4)) for k in range(n)])
    found = []
    for i in range(n):
        order = np.argsort(-kernel[i], kind="stable")  # largest first
        weight = np.abs(np.arange(p, 0, -1) - p / 2)  # distance of the rank from the middle
        inside = np.isin(np.array(table.columns)[order], genes)
        walk, highest, lowest = 0.0, 0.0, 0.0
        for step in range(p):
            if inside[step]:
                walk += weight[step] / weight[inside].sum()
            else:
                walk -= 1 / (p - inside.sum())
            highest, lowest = max(highest, walk), min(lowest, walk)
        found.append(highest + lowest)
    return np.array(found)


# ---- scores -------------------------------------------------------------------------------------


def test_scores_are_those_of_gsva_written_out():
    table = expression()
    sets = {"first": ["G1", "G4", "G7", "absent"], "second": [f"G{i}" for i in range(10, 22)]}
    scores = pathway_scores(table, sets, min_genes=3)
    assert list(scores.columns) == ["first", "second"]
    assert scores.index.equals(table.index)
    for name, genes in sets.items():
        np.testing.assert_allclose(scores[name], gsva_by_hand(table, genes), atol=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-5, 5))
def test_scores_ignore_the_scale_of_a_gene_and_the_order_of_samples(seed, factor, shift):
    table = expression(seed=seed)
    sets = {"A": ["G0", "G1", "G2", "G3"], "B": ["G8", "G9", "G11"]}
    scores = pathway_scores(table, sets, min_genes=3)
    assert scores.abs().to_numpy().max() <= 1
    moved = table.copy()
    moved["G1"] = factor * moved["G1"] + shift
    shuffled = moved.sample(frac=1, random_state=seed)
    again = pathway_scores(shuffled, sets, min_genes=3)
    pd.testing.assert_frame_equal(again.loc[scores.index], scores, atol=1e-6)


def test_a_set_that_is_raised_in_a_sample_scores_high_there():
    table = expression(20, 60)
    genes = [f"G{i}" for i in range(12)]
    table.loc["S3", genes] += 6
    table.loc["S8", genes] -= 6
    scores = pathway_scores(table, {"moved": genes, "rest": [f"G{i}" for i in range(20, 40)]})
    assert scores["moved"].idxmax() == "S3"
    assert scores["moved"].idxmin() == "S8"
    labels = dominant_pathway(scores)
    assert labels[["S3", "S8"]].tolist() == ["moved", "moved"]  # direction does not count


@pytest.mark.parametrize(
    ("change", "sets", "message"),
    [
        (lambda t: t.iloc[:9], {"A": ["G1", "G2"]}, r"at least 10 samples, .* its shape is \(9, 30\)"),
        (lambda t: t.mask(t == t.iloc[2, 2]), {"A": ["G1", "G2"]}, "1 entries are not finite"),
        (
            lambda t: t.set_axis(["S0", *t.index[:-1]]),
            {"A": ["G1", "G2"]},
            "1 samples and 0 genes come again",
        ),
        (
            lambda t: t.set_axis(["G1", *t.columns[1:]], axis=1),
            {"A": ["G1", "G2"]},
            "0 samples and 1 genes come again",
        ),
        (lambda t: t, {"A": ["G1", "X"]}, r"Every set must have 2 genes .* but 1 of 1 have not: 'A'"),
        (lambda t: t, {"A": list(expression().columns)}, "and not all 30, but 1 of 1 have not: 'A'"),
        (lambda t: t, {}, "0 of 0 have not: none came"),
    ],
)
def test_refused_expression(change, sets, message):
    with pytest.raises(ValueError, match=message):
        pathway_scores(change(expression()), sets, min_genes=2)


# ---- labels and what chance makes of them -------------------------------------------------------


def test_the_dominant_set_has_the_largest_absolute_score():
    scores = pd.DataFrame({"A": [0.1, -0.5, 0.2], "B": [-0.3, 0.4, -0.2]}, index=list("xyz"))
    assert dominant_pathway(scores).to_dict() == {"x": "B", "y": "A", "z": "A"}
    with pytest.raises(ValueError, match=r"a number for every sample and set, .* 1 are NaN"):
        dominant_pathway(scores.mask(scores == 0.4))


def test_random_sets_have_the_sizes_asked_for_and_follow_the_seed():
    genes = [f"G{i}" for i in range(50)]
    sets = random_gene_sets(genes, {"A": 5, "B": 9}, n_draws=3, random_state=1)
    assert list(sets) == [f"{name} #{draw}" for draw in range(3) for name in "AB"]
    assert [len(set(own)) for own in sets.values()] == [5, 9] * 3
    assert {gene for own in sets.values() for gene in own} <= set(genes)
    assert sets == random_gene_sets(genes, {"A": 5, "B": 9}, n_draws=3, random_state=1)
    assert sets != random_gene_sets(genes, {"A": 5, "B": 9}, n_draws=3, random_state=2)


def test_chance_dominance_counts_draw_by_draw():
    scores = pd.DataFrame({"A": [0.9, -0.9, 0.1, 0.2], "B": [0.1, 0.1, 0.5, -0.6]})
    drawn = pd.DataFrame(
        {"A #0": [0.3, 0.3, 0.3, 0.3], "B #0": [0.1] * 4, "A #1": [0.1] * 4, "B #1": [0.2, 0.2, 0.2, -0.0]}
    )
    table = chance_dominance(scores, drawn)
    assert table["dominant"].to_dict() == {"A": 0.5, "B": 0.5}
    # Draw 0: A in all four; draw 1: A in the last only.
    assert table["by_chance"].to_dict() == {"A": 0.625, "B": 0.375}
    assert table.loc["A", "sd"] == pytest.approx(np.std([1.0, 0.25], ddof=1))
    assert table.loc["B", "random_size"] == pytest.approx((0.1 * 4 + 0.2 * 3) / 8)
    assert table.loc["A", "mean_size"] == pytest.approx(2.1 / 4)


def test_small_sets_of_noise_are_dominant_most_often():
    table = expression(120, 200, seed=5)
    sets = random_gene_sets(table.columns, {"small": 5, "large": 60}, n_draws=4)
    scores = pathway_scores(table, sets, min_genes=5)
    found = chance_dominance(scores[["small #0", "large #0"]].set_axis(["small", "large"], axis=1), scores)
    # Were size of no matter, the share would be .5 with a standard error of .5 / sqrt(480).
    assert found.loc["small", "by_chance"] > 0.5 + 4 * 0.5 / np.sqrt(480)


# ---- prediction ---------------------------------------------------------------------------------


class Remember(Ridge):
    """A ridge regression that keeps what it was fitted on."""

    seen = []  # noqa: RUF012

    def fit(self, X, y):
        Remember.seen.append(X[:, 0].copy())
        return super().fit(X, y)


def test_no_group_is_on_both_sides_and_every_sample_is_predicted_once():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 3)
    X = np.column_stack([groups, generator.normal(size=60)]).astype(float)
    Remember.seen = []
    folds = group_folds(groups, random_state=3)
    predicted = fold_predictions(Remember(), X, X[:, 1], folds)
    assert np.isfinite(predicted).all()
    assert len(Remember.seen) == 5
    left_out = [set(groups) - set(seen) for seen in Remember.seen]
    assert sorted(int(g) for out in left_out for g in out) == list(range(20))  # each group once
    assert all(len(seen) == 3 * len(set(seen)) for seen in Remember.seen)  # and whole
    labels = (X[:, 1] > 0).astype(int)
    chances = fold_predictions(LogisticRegression(), X, labels, folds)
    assert chances[labels == 1].mean() > chances[labels == 0].mean()
    assert chances.min() >= 0
    assert chances.max() <= 1


def test_rank_agreement_within_types_is_blind_to_the_type():
    generator = np.random.default_rng(1)
    types = np.repeat(["A", "B", "C", "few"], [200, 300, 100, 6])
    folds = generator.integers(5, size=606)
    level = pd.Series(types).map({"A": 0.0, "B": 5.0, "C": 10.0, "few": 0.0}).to_numpy()
    truth = level + generator.normal(size=606)
    only_type = rank_agreement(truth, level + 1e-3 * generator.normal(size=606), types, folds)
    assert only_type["overall"] > 0.8
    assert abs(only_type["within"]) < 4 * only_type["within_se"]
    assert (only_type["n"], only_type["n_types"]) == (606, 3)
    # By hand: the correlations of a type in a fold, weighted in Fisher's z.
    noisy = truth + generator.normal(size=606)
    found = rank_agreement(truth, noisy, types, folds)
    z, weights = [], []
    for kind in "ABC":
        for fold in range(5):
            own = (types == kind) & (folds == fold)
            z.append(np.arctanh(spearmanr(truth[own], noisy[own]).statistic))
            weights.append(own.sum() - 3)
    assert found["within"] == pytest.approx(np.tanh(np.dot(z, weights) / sum(weights)))
    assert found["within_se"] == pytest.approx(np.sqrt(1.06 / sum(weights)))
    assert found["overall"] == pytest.approx(spearmanr(truth, noisy).statistic)
    flat = rank_agreement(truth, np.ones(606), types, folds)
    assert (flat["overall"], flat["within"]) == (0.0, 0.0)
    assert np.isnan(rank_agreement(truth[:4], noisy[:4], types[:4], folds[:4])["within"])


def test_the_mean_of_the_other_folds_is_no_knowledge():
    generator = np.random.default_rng(4)
    types = np.repeat(["A", "B", "C"], 60)
    truth = generator.normal(size=180)
    folds = group_folds(np.arange(180), random_state=0)
    known = np.column_stack([types == kind for kind in "ABC"]).astype(float)
    predicted = fold_predictions(Ridge(1e-6), known, truth, folds)
    assert rank_agreement(truth, predicted, types, folds)["within"] == pytest.approx(0, abs=1e-12)
    # Across folds the same predictions seem to rank the wrong way round.
    assert rank_agreement(truth, predicted, types, np.zeros(180))["within"] < -0.15


def test_targets_are_predicted_from_each_input_where_they_are_known():
    generator = np.random.default_rng(2)
    n = 200
    X = generator.normal(size=(n, 3))
    targets = pd.DataFrame({"score": X[:, 0] + 0.1 * generator.normal(size=n), "is_hrd": (X[:, 1] > 1) * 1.0})
    targets.loc[:49, "score"] = np.nan
    table = predict_targets(
        {"good": X, "noise": generator.normal(size=(n, 3))},
        targets,
        ["A"] * 100 + ["B"] * 100,
        np.arange(n) // 2,
        regressor=Ridge(),
        classifier=LogisticRegression(),
    ).set_index(["target", "input"])
    assert table["n"].to_dict() == {
        ("score", "good"): 150, ("score", "noise"): 150, ("is_hrd", "good"): 200, ("is_hrd", "noise"): 200,
    }  # fmt: skip
    assert table.loc[("score", "good"), "within"] > 0.9
    assert abs(table.loc[("score", "noise"), "within"]) < 4 / np.sqrt(150)
    assert table.loc[("is_hrd", "good"), "auroc"] > 0.95
    assert table["auroc"].isna().to_dict()[("score", "good")]


# ---- gene sets ----------------------------------------------------------------------------------


def test_gene_sets_are_read_as_written(tmp_path):
    path = tmp_path / "my.gmt"
    path.write_text("A\thttp\tG1\tG2\tG1\t\n\nB\t\tG3\n")
    sets = read_gene_sets(path)
    assert sets == {"A": ("G1", "G2"), "B": ("G3",)}
    assert genes_found(expression(), {"A": ["G2", "X", "G1"]}) == {"A": ["G2", "G1"]}
    for text, message in (
        ("A\thttp\n", r"my\.gmt must hold one set a line, .* line 1 \('A'\) has 0 genes or comes again"),
        ("A\t\tG1\nA\t\tG2\n", r"line 2 \('A'\) has 1 genes or comes again"),
        ("\n", r"my\.gmt must hold at least one gene set"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_gene_sets(path)


@pytest.mark.real_data(KEGG_FILE)
def test_the_five_pathways_of_the_paper():
    sets = load_repair_pathways()
    assert list(sets) == list(REPAIR_PATHWAYS)
    # MSigDB 7.5.1 gives these sizes on the pages of the sets.
    assert [len(genes) for genes in sets.values()] == [125, 28, 23, 35, 44]
    assert "BRCA2" in sets["homologous recombination"]
    assert {"MLH1", "MSH2", "MSH6", "PMS2"} <= set(sets["mismatch repair"])


# ---- figures ------------------------------------------------------------------------------------


def test_dominance_is_drawn_beside_chance():
    table = pd.DataFrame(
        {"dominant": [0.5, 0.3], "by_chance": [0.4, 0.2], "sd": [0.05, 0.02]}, index=["repair", "cycle"]
    )
    ax = plot_dominance(table)
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.3]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["repair", "cycle"]
    (container,) = [c for c in ax.containers if c.get_label().startswith("random")]
    points, _, (bars,) = container.lines
    np.testing.assert_allclose(points.get_xdata(), [0.4, 0.2])
    np.testing.assert_allclose(
        [np.asarray(s, dtype=float)[:, 0] for s in bars.get_segments()], [[0.3, 0.5], [0.16, 0.24]]
    )
    plt.close(ax.figure)
    with pytest.raises(ValueError, match=r"dominance must have rows and the columns .* lacks 'sd'"):
        plot_dominance(table.drop(columns="sd"))


def test_agreement_is_drawn_over_all_and_within_types():
    table = pd.DataFrame(
        {
            "target": ["RPS", "RPS", "HRD", "HRD"],
            "input": ["type", "SBS96", "type", "SBS96"],
            "overall": [0.5, 0.6, 0.7, 0.8],
            "within": [0.0, 0.1, 0.0, 0.3],
            "within_se": [0.05, 0.05, 0.1, 0.1],
        }
    )
    ax = plot_agreement(table)
    drawn = {
        (line.get_label(), line.get_markerfacecolor() == "white"): (line.get_xdata(), line.get_ydata())
        for line in ax.lines
    }
    np.testing.assert_allclose(drawn["SBS96", False][0], [0.1, 0.3])
    np.testing.assert_array_equal(np.round(drawn["SBS96", False][1]), [0, 1])
    ends = np.array([segment[:, 0] for segment in ax.collections[1].get_segments()])
    wanted = np.tanh(np.arctanh([[0.1], [0.3]]) + np.array([[-0.1, 0.1], [-0.2, 0.2]]))
    np.testing.assert_allclose(ends, wanted)
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    np.testing.assert_allclose(hollow[0].get_xdata(), [0.5, 0.7])
    plt.close(ax.figure)
    with pytest.raises(ValueError, match=r"predictions must have rows .* it has 0 rows"):
        plot_agreement(table.iloc[:0])
