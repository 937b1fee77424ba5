import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.impute import SimpleImputer
from sklearn.metrics import f1_score

from latentgenomes.expression.evaluate.restoration import (
    classification_scores,
    gene_errors,
    gene_subsets,
    imputation_benchmark,
    imputation_scores,
    impute,
    labels_per_class,
    panel_masks,
    random_masks,
)
from latentgenomes.expression.models.imputers import RidgeImputer


def problem(seed=0, n=60, p=8):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(n, p)) * np.geomspace(0.1, 10, p) + 5
    hidden = generator.random((n, p)) < 0.6
    restored = truth + np.geomspace(0.1, 10, p) * 0.5 * generator.normal(size=(n, p))
    return restored, truth, hidden, truth.mean(0), truth.std(0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
def test_random_masks_hide_the_share_and_leave_each_sample_a_gene(rate):
    hidden = random_masks((500, 200), rate, random_state=0)
    assert hidden.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / hidden.size))
    assert not random_masks((500, 2), 0.99, random_state=0).all(axis=1).any()
    np.testing.assert_array_equal(hidden, random_masks((500, 200), rate, random_state=0))


def test_panel_masks_hide_what_the_panel_lacks():
    panels = {"a": np.array([True, True, False]), "b": np.array([False, True, False])}
    hidden, panel = panel_masks(200, panels, random_state=0)
    for name in panels:
        assert (hidden[panel == name] == ~panels[name]).all()
    assert 60 < (panel == "a").sum() < 140


def test_scores_are_the_slow_ones_and_do_not_see_what_was_observed():
    restored, truth, hidden, centre, scale = problem()
    scores = imputation_scores(restored, truth, hidden, centre=centre, scale=scale)
    pairs = [
        ((restored[i, j] - centre[j]) / scale[j], (truth[i, j] - centre[j]) / scale[j])
        for i, j in zip(*np.nonzero(hidden), strict=True)
    ]
    a, b = np.array(pairs).T
    assert scores["rmse"] == pytest.approx(np.sqrt(((a - b) ** 2).mean()))
    assert scores["correlation"] == pytest.approx(pearsonr(a, b)[0])
    within = [pearsonr(restored[hidden[:, j], j], truth[hidden[:, j], j])[0] for j in range(8)]
    assert scores["gene_correlation"] == pytest.approx(np.mean(within))
    assert scores["n"] == hidden.sum()
    other = np.where(hidden, restored, 1e6)
    assert imputation_scores(other, truth, hidden, centre=centre, scale=scale) == pytest.approx(scores)


def test_the_mean_has_an_error_of_one_standard_deviation_and_no_correlation():
    generator = np.random.default_rng(1)
    train, test = generator.normal(size=(4000, 5)), generator.normal(size=(4000, 5))
    hidden = random_masks(test.shape, 0.5, random_state=0)
    table = imputation_benchmark(
        {"mean": SimpleImputer().fit(train)}, test, {0.5: hidden}, centre=train.mean(0), scale=train.std(0)
    )
    assert table["rmse"].iloc[0] == pytest.approx(1, abs=4 / np.sqrt(2 * hidden.sum()) + 0.02)
    assert table["gene_correlation"].iloc[0] == 0
    exact = imputation_scores(test, test, hidden, centre=train.mean(0), scale=train.std(0))
    assert exact["rmse"] == 0
    assert exact["correlation"] == pytest.approx(1)


def test_gene_errors_are_those_of_each_gene_alone():
    restored, truth, hidden, _, scale = problem(2)
    hidden[:, 3] = False
    restored[:, 5] = 7.0
    table = gene_errors(restored, truth, hidden, scale=scale)
    assert table["n"].tolist() == hidden.sum(0).tolist()
    assert np.isnan(table["rmse"][3])
    assert table["correlation"][5] == 0
    for j in (0, 1, 7):
        seen = hidden[:, j]
        error = np.sqrt((((restored - truth)[seen, j] / scale[j]) ** 2).mean())
        assert table["rmse"][j] == pytest.approx(error)
        assert table["correlation"][j] == pytest.approx(pearsonr(restored[seen, j], truth[seen, j])[0])


def test_the_benchmark_gives_every_imputer_the_same_entries_and_leaves_the_truth():
    _, truth, hidden, centre, scale = problem(3)
    before = truth.copy()
    seen = []

    class Spy:
        def transform(self, values):
            seen.append(np.isnan(values))
            return np.where(np.isnan(values), centre, values)

    imputers = {"spy": Spy(), "ridge": RidgeImputer().fit(truth)}
    masks = {"mine": hidden, "others": ~hidden}
    table = imputation_benchmark(imputers, truth, masks, centre=centre, scale=scale)
    np.testing.assert_array_equal(truth, before)
    np.testing.assert_array_equal(seen[0], hidden)
    assert table["mask"].tolist() == ["mine", "mine", "others", "others"]
    assert table["method"].tolist() == ["spy", "ridge"] * 2
    given = np.where(hidden, np.nan, truth)
    expected = imputation_scores(impute(imputers["ridge"], given), truth, hidden, centre=centre, scale=scale)
    assert table.iloc[1][["rmse", "n"]].to_dict() == pytest.approx({k: expected[k] for k in ("rmse", "n")})


def test_gene_subsets_are_nested():
    subsets = gene_subsets(100, [16, 64, 100], random_state=0)
    assert [len(subset) for subset in subsets.values()] == [16, 64, 100]
    assert set(subsets[16]) < set(subsets[64]) < set(subsets[100])


def test_classification_scores_are_sklearns_over_the_true_types():
    generator = np.random.default_rng(0)
    truth = np.array(list("abcd"))[generator.integers(4, size=200)]
    predicted = np.where(generator.random(200) < 0.7, truth, "a")
    scores = classification_scores(predicted, truth)
    assert scores["accuracy"] == pytest.approx((predicted == truth).mean())
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert classification_scores(["a", "z"], ["a", "a"])["macro_f1"] == pytest.approx(2 / 3)


def test_labels_per_class_takes_as_many_of_each():
    labels = np.repeat(list("abc"), [50, 30, 4])
    for seed in range(3):
        rows = labels_per_class(labels, 10, random_state=seed)
        assert pd.Series(labels[rows]).value_counts().to_dict() == {"a": 10, "b": 10, "c": 4}
        assert (np.diff(rows) > 0).all()
    assert not np.array_equal(
        labels_per_class(labels, 10, random_state=0), labels_per_class(labels, 10, random_state=1)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_masks((2, 2), 1.0, random_state=0), "rate must be between 0 and 1, but it is 1.0"),
        (lambda: panel_masks(3, {"a": [True, True]}, random_state=0), "measure some genes and lack some"),
        (lambda: gene_subsets(5, [6], random_state=0), "sizes must be between 1 and 5 genes, but 6 came"),
        (lambda: labels_per_class(["a"], 0, random_state=0), "n_labels must be at least 1, but it is 0"),
        (
            lambda: imputation_scores([[1.0]], [[1.0]], np.array([[False]]), centre=[0.0], scale=[1.0]),
            "At least one entry must be hidden",
        ),
        (
            lambda: imputation_scores([[np.nan]], [[1.0]], np.array([[True]]), centre=[0.0], scale=[1.0]),
            "Restored values must be finite, but 1 of 1 are not",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
