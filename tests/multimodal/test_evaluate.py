from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latentgenomes.core.compare import paired_differences
from latentgenomes.multimodal.evaluate.typing import (
    MACRO,
    classification_trials,
    cosine_separation,
    f1_table,
    leave_project_out,
    macro_scores,
    paper_trials,
    project_recall,
    three_way_splits,
)

PUBLISHED = Path(__file__).parents[2] / "data" / "published"


def clouds(n=120, seed=0, spread=1.0):
    """Three types in four dimensions, in unequal numbers."""
    rng = np.random.default_rng(seed)
    labels = np.array(["a"] * (n // 2) + ["b"] * (n // 3) + ["c"] * (n - n // 2 - n // 3))
    centres = {"a": [3, 0, 0, 1], "b": [0, 3, 0, 1], "c": [0, 0, 3, 1]}
    return np.array([centres[k] for k in labels]) + spread * rng.normal(size=(n, 4)), labels


# ---- similarity ---------------------------------------------------------------------------------


def test_cohens_d_and_t_are_scipys_over_all_pairs():
    x, labels = clouds(40)
    table = cosine_separation(x, labels).set_index("label")
    similar = cosine_similarity(x)
    for kind in "abc":
        own = np.flatnonzero(labels == kind)
        within = [similar[i, j] for i in own for j in own if i < j]
        between = [similar[i, j] for i in own for j in range(40) if labels[j] != kind]
        t, p = stats.ttest_ind(within, between)
        n, m = len(within), len(between)
        pooled = np.sqrt(((n - 1) * np.var(within, ddof=1) + (m - 1) * np.var(between, ddof=1)) / (n + m - 2))
        row = table.loc[kind]
        assert row["cohens_d"] == pytest.approx((np.mean(within) - np.mean(between)) / pooled)
        assert row["t"] == pytest.approx(t)
        assert row["p_value"] == pytest.approx(p)
        assert row["p_adjusted"] == pytest.approx(min(3 * p, 1))
        gaps = [
            np.mean([similar[i, j] for j in own if j != i]) - np.mean(similar[i, labels != kind]) for i in own
        ]
        assert row["p_samples"] == pytest.approx(min(3 * stats.ttest_1samp(gaps, 0).pvalue, 1))
        assert row["d_samples"] == pytest.approx(np.mean(gaps) / np.std(gaps, ddof=1))


def test_similarity_does_not_change_with_the_length_of_vectors():
    x, labels = clouds(60)
    scale = np.random.default_rng(1).uniform(0.1, 9, size=(60, 1))
    pd.testing.assert_frame_equal(cosine_separation(x * scale, labels), cosine_separation(x, labels))


def test_pairs_are_too_sure_where_samples_are_not():
    # No type differs: over 200 random labellings (n = 60) the test over pairs must reject far too often,
    # which is why the column over samples is there.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) + 1
    wrong = [
        cosine_separation(x, rng.permutation(["a"] * 30 + ["b"] * 30))["p_value"].iloc[0] < 0.05
        for _ in range(200)
    ]
    assert np.mean(wrong) > 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_stars_and_small_types():
    x, labels = clouds(90, spread=0.3)
    labels = labels.astype(object)
    labels[:2] = "tiny"
    table = cosine_separation(x, labels)
    assert table["label"].tolist() == ["a", "b", "c"]
    assert table["stars"].tolist() == ["***"] * 3
    assert (cosine_separation(np.vstack([x[2:], np.zeros((1, 4))]), [*labels[2:], "c"])["between"] < 1).all()


def test_bad_input_is_named():
    x, labels = clouds(30)
    with pytest.raises(ValueError, match=r"embedding must be a finite table .* and 1 entries are not finite"):
        cosine_separation(np.where(np.arange(120).reshape(30, 4) == 7, np.nan, x), labels)
    with pytest.raises(ValueError, match="labels must name a type for each of the 30 samples, but 29 came"):
        cosine_separation(x, labels[1:])
    with pytest.raises(
        ValueError, match=r"labels must hold at least 2 types of 3 samples or more, .* hold 1"
    ):
        cosine_separation(x, ["a"] * 29 + ["b"])
    with pytest.raises(ValueError, match="groups must name a group for each of 30 samples, but 3 came"):
        three_way_splits(30, groups=[1, 2, 3])


# ---- splits and trials --------------------------------------------------------------------------


def test_parts_are_disjoint_whole_and_keep_donors_together():
    donors = np.random.default_rng(0).integers(0, 70, size=100)
    for groups in (None, donors):
        splits = three_way_splits(100, groups=groups, n_trials=5, random_state=3)
        for parts in splits:
            assert sorted(np.concatenate(parts).tolist()) == list(range(100))
            if groups is not None:
                found = [set(donors[part]) for part in parts]
                assert sum(map(len, found)) == len(set.union(*found))
        sizes = np.mean([[len(part) for part in parts] for parts in splits], axis=0)
        np.testing.assert_allclose(sizes, [60, 20, 20], atol=0 if groups is None else 6)
        again = three_way_splits(100, groups=groups, n_trials=2, random_state=3)
        for one, two in zip(splits, again, strict=False):
            np.testing.assert_array_equal(np.concatenate(one), np.concatenate(two))
        tests = {tuple(parts[2]) for parts in splits}
        assert len(tests) == 5


class Recorder(DummyClassifier):
    """Remembers what it was given."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y, *, X_val=None, y_val=None):
        self.seen.append((len(X), None if X_val is None else len(X_val), self.random_state))
        return super().fit(X, y)


def test_trials_are_sklearns_scores_on_the_same_splits():
    x, labels = clouds(120, spread=2.0)
    splits = three_way_splits(120, n_trials=3)
    Recorder.seen.clear()
    systems = {
        "neighbours": (pd.DataFrame(x), make_pipeline(StandardScaler(), KNeighborsClassifier(5))),
        "stub": (x, Recorder(strategy="stratified")),
    }
    trials = classification_trials(systems, labels, splits)
    assert Recorder.seen == [(72, 24, number) for number in range(3)]
    for number, (training, _, test) in enumerate(splits):
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(5)).fit(x[training], labels[training])
        rows = trials[(trials["split"] == number) & (trials["method"] == "neighbours")].set_index("label")
        predicted = model.predict(x[test])
        assert rows.loc[MACRO, "score"] == pytest.approx(f1_score(labels[test], predicted, average="macro"))
        for kind in "abc":
            truth = f1_score(labels[test] == kind, predicted == kind)
            assert rows.loc[kind, "score"] == pytest.approx(truth)
            assert rows.loc[kind, "n_test"] == (labels[test] == kind).sum()
    table = f1_table(trials)
    assert list(table.index) == ["a", "b", "c", MACRO]
    assert list(table.columns) == ["neighbours", "stub"]
    compared = paired_differences(macro_scores(trials), baseline="stub", test_fraction=0.2)
    assert compared.set_index("method").loc["neighbours", "difference"] > 0.1


def test_paper_protocol_separates_what_can_be_separated():
    x, labels = clouds(240, spread=0.5)
    noise = np.random.default_rng(0).normal(size=(240, 4))
    trials = paper_trials({"clouds": x, "noise": noise}, labels, groups=np.arange(240) // 2, n_trials=2)
    table = f1_table(trials).loc[MACRO]
    assert table["clouds"] > 0.95
    assert table["noise"] < 0.5


def test_a_project_is_never_trained_on_when_it_is_scored():
    x, labels = clouds(120, spread=0.3)
    projects = np.array([f"{kind}-{i % 2}" for i, kind in enumerate(labels)])
    projects[labels == "c"] = "c-0"
    donors = np.arange(120)
    held_out = leave_project_out(
        {"knn": (x, KNeighborsClassifier(3))}, labels, projects, donors, min_train=10
    )
    assert set(held_out["project"]) == {"a-0", "a-1", "b-0", "b-1"}  # c is in one project only
    recall = project_recall(held_out).set_index("label")
    assert recall.loc["a", "n_test"] == 60
    assert recall.loc["a", "recall"] > 0.95
    assert recall.loc[MACRO, "recall"] == pytest.approx(recall.loc[["a", "b"], "recall"].mean())
    # Move one project far away: only a model that saw it could type it.
    moved = x + 50 * (projects == "a-0")[:, None] * np.array([-1, 0, 1, 0])
    held_out = leave_project_out(
        {"knn": (moved, KNeighborsClassifier(3))}, labels, projects, donors, min_train=10
    )
    row = held_out[held_out["project"] == "a-0"].iloc[0]
    assert row["n_correct"] == 0
    with pytest.raises(ValueError, match="At least one type must have 100 samples outside"):
        leave_project_out({"knn": (x, KNeighborsClassifier(3))}, labels, projects, donors, min_train=100)


def test_a_donor_of_the_held_out_project_is_left_out_of_training():
    x, labels = clouds(60, spread=0.3)
    projects = np.array([f"p{i % 2}" for i in range(60)])
    donors = np.arange(60)
    donors[1] = donors[0]  # one donor in both projects
    Recorder.seen.clear()
    leave_project_out({"stub": (x, Recorder())}, labels, projects, donors, min_train=3)
    assert [train + validation for train, validation, _ in Recorder.seen] == [29, 29]


# ---- published numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "means"),
    [
        (1, {"MutEmbed": (0.725, 0.789), "SBS96": (0.579, 0.634), "CN48": (0.281, 0.377)}),
        (2, {"MutEmbed": (0.740, 0.816), "SBS96": (0.541, 0.500), "CN48": (0.259, 0.268)}),
    ],
)
def test_published_tables_hold_the_papers_numbers(number, means):
    table = pd.read_csv(PUBLISHED / f"mutembed_table{number}.csv")
    assert len(table) == 5 * (15 + 11)
    assert table["f1"].between(0, 1).all()
    assert table["source"].str.contains(f"Table {number}").all()
    averages = table.groupby(["method", "task"])["f1"].mean()
    for method, (organ, subtype) in means.items():
        assert averages[method, "organ"] == pytest.approx(organ, abs=5e-4)
        assert averages[method, "subtype"] == pytest.approx(subtype, abs=5e-4)
    cells = table.set_index(["method", "label"])["f1"]
    assert cells["MutEmbed", "Skin"] == {1: 0.97, 2: 0.96}[number]
    assert cells["SV32", "PiloAstro"] == {1: 0.59, 2: 0.19}[number]
