import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from latentgenomes.multimodal.data.profiles import PAPER_ORGANS
from latentgenomes.multimodal.evaluate.typing import MACRO, classification_trials, three_way_splits
from latentgenomes.multimodal.experiments import (
    comparison as multimodal,
)
from latentgenomes.multimodal.experiments import (
    tables as typing_tables,
)
from latentgenomes.multimodal.experiments import (
    typing as typing_systems,
)
from latentgenomes.multimodal.experiments.comparison import (
    compare_typing,
    differences,
    finished_splits,
    hide_profiles,
    hold_out_projects,
    restore_profiles,
    separations,
    training_costs,
)
from latentgenomes.multimodal.experiments.typing import SYSTEMS, Tumours, training_code
from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier
from latentgenomes.multimodal.simulate import DEFAULT_TUMOUR_TYPES as TYPES
from latentgenomes.multimodal.simulate import TumourSettings, dirichlet_signatures, simulate_tumours

REAL = [*typing_tables.DATA, *typing_tables.MUAT_FILES.values()]


def simulated(folder=None, seed=0):
    """240 tumours of six types with the names of organs, in two projects each; one donor in ten has two."""
    own = {}
    for number, profile in enumerate(("SBS96", "ID83", "CN48", "SV32")):
        names = sorted({n for kind in TYPES.values() for n in kind.weights[profile]})
        own[profile] = dirichlet_signatures(profile, names, random_state=number)
    made = simulate_tumours(240, signatures=own, settings=TumourSettings(project_sd=0.0), random_state=seed)
    kinds = sorted(made.samples["cancer_type"].unique())
    samples = pd.DataFrame(index=made.samples.index)
    samples["organ"] = made.samples["cancer_type"].map(dict(zip(kinds, PAPER_ORGANS, strict=False)))
    samples["subtype"] = "AdenoCA"
    samples["donor"] = [f"D{i - (i % 10 == 1)}" for i in range(240)]
    samples["project"] = samples["organ"] + np.where(np.arange(240) % 2, "-A", "-B")
    samples["aliquot"] = samples.index
    return Tumours(made.wide(), samples, folder, 5)


@pytest.fixture(scope="module")
def tumours(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("cells"))


def test_a_trial_is_the_plain_evaluation_of_that_system(tumours):
    found = compare_typing(tumours, ["concat"], n_splits=2)
    splits = three_way_splits(240, groups=tumours.samples["donor"], n_trials=2)
    features = tumours.features(("log", "frequency"))
    given = {"concat": (features, MLPEnsembleClassifier())}
    expected = classification_trials(given, tumours.samples["organ"], splits)
    pd.testing.assert_frame_equal(found[expected.columns.tolist()], expected)
    assert set(found["protocol"]) == {"donor"}
    assert found["seconds"].gt(0).all()


def test_a_finished_cell_is_read_and_another_codes_or_datas_is_not(tumours, monkeypatch):
    first = compare_typing(tumours, ["svm"], n_splits=2)
    assert finished_splits(tumours, "svm", "organ", "donor", 9) == 2

    def refuse(*args, **kwargs):
        raise AssertionError("it was computed again")

    with monkeypatch.context() as patch:
        patch.setattr(multimodal, "classification_trials", refuse)
        pd.testing.assert_frame_equal(compare_typing(tumours, ["svm"], n_splits=2), first)
        other = simulated(tumours.folder, seed=1)
        with pytest.raises(AssertionError, match="computed again"):
            compare_typing(other, ["svm"], n_splits=1)
        patch.setattr(typing_systems, "fingerprint", lambda *entries: "another code")
        with pytest.raises(AssertionError, match="computed again"):
            compare_typing(tumours, ["svm"], n_splits=1)
        assert finished_splits(tumours, "svm", "organ", "donor", 9) == 0


def test_code_of_a_kept_result_is_that_of_its_estimator():
    codes = {
        name: training_code(SYSTEMS[name].classifier)
        for name in ("concat", "late_fusion", "svm", "dae_tuned")
    }
    assert len(set(codes.values())) == 4
    assert training_code(SYSTEMS["pca_plain"].classifier) == codes["concat"]


def test_embeddings_are_kept_with_their_cost_and_read_again(tumours):
    one = tumours.embedded("dae")
    again = simulated(tumours.folder)
    np.testing.assert_allclose(again.embedded("dae"), one, rtol=1e-9)
    record = json.loads((tumours.folder / "dae.json").read_text())
    assert 0 < record["cpu_seconds"] < 600
    costs = training_costs(tumours).set_index("embedding")
    assert costs.loc["dae", "n_samples"] == 240
    assert costs.loc["dae", "peak_megabytes"] > 50
    part = tumours.embedder("dae", np.arange(100))
    assert not np.allclose(part.mean_, tumours.embedder("dae").mean_)
    assert training_costs(simulated()).empty


def test_embeddings_of_training_donors_never_see_the_others(tumours, monkeypatch):
    seen = []
    original = Tumours.embedder

    def watch(self, name, rows=None):
        seen.append(rows)
        return original(self, name, rows)

    monkeypatch.setattr(Tumours, "embedder", watch)
    compare_typing(tumours, ["dae_training", "dae"], n_splits=1)
    training, _, test = three_way_splits(240, groups=tumours.samples["donor"], n_trials=1)[0]
    assert seen[1] is None
    np.testing.assert_array_equal(seen[0], training)
    assert not set(tumours.samples["donor"].iloc[seen[0]]) & set(tumours.samples["donor"].iloc[test])


def test_differences_are_paired_over_the_splits_that_both_have(tumours):
    rows = [
        {"split": i, "method": method, "score": i / 10 + gain * (1 + i / 10)}
        for method, n_splits, gain in (
            ("concat", 4, 0.0),
            ("svm", 6, 0.1),
            ("dae", 2, 0.2),
            ("pca_plain", 1, 0),
        )
        for i in range(n_splits)
    ]
    trials = pd.DataFrame(rows).assign(task="organ", protocol="donor", label=MACRO)
    found = differences(trials).set_index("method")
    assert found["n_splits"].to_dict() == {"concat": 4, "svm": 4, "dae": 2}
    assert found.loc["svm", "difference"] == pytest.approx(0.1 + 0.015)
    assert found.loc["dae", "difference"] == pytest.approx(0.2 + 0.01)
    assert (found.loc[["svm", "dae"], "test"] == "corrected resampled t-test").all()


def test_hidden_profiles_are_hidden_and_all_shown_is_the_plain_score(tumours):
    table = hide_profiles(tumours, ["svm", "dae"], n_splits=1)
    assert len(table) == 2 * 15
    plain = compare_typing(tumours, ["svm", "dae"], n_splits=1)
    whole = table[table["n_shown"] == 4].set_index("method")
    assert (whole["n_test"] <= 48).all()
    for method in ("svm", "dae"):
        macro = plain[(plain["method"] == method) & (plain["label"] == MACRO)]["score"].iloc[0]
        assert whole.loc[method, "score"] == pytest.approx(macro, abs=0.15)  # only whole tumours are tested
        least = table[(table["method"] == method) & (table["n_shown"] == 1)]["score"].min()
        assert least < whole.loc[method, "score"]


def test_what_restores_itself_is_restored_best(tumours):
    table = restore_profiles(tumours)
    assert len(table) == 16
    own = table[table["given"] == table["restored"]]["explained"].mean()
    assert own > table[table["given"] != table["restored"]]["explained"].mean()
    assert (table["explained"] < 1).all()


def test_projects_and_separation_name_every_organ(tumours):
    held_out = hold_out_projects(tumours, ["svm"])
    assert held_out["project"].str.endswith(("-A", "-B")).all()
    assert held_out["n_correct"].sum() > 0.7 * held_out["n_test"].sum()
    found = separations(tumours, ["dae"])
    assert set(found["embedding"]) == {"dae", "frequency"}
    assert found["cohens_d"].notna().all()


def test_bad_names_are_refused(tumours):
    with pytest.raises(ValueError, match=r"methods must be of mutembed, .* but 'mutembd' came"):
        compare_typing(tumours, ["mutembd"])
    with pytest.raises(ValueError, match="task must be of organ, subtype, but 'cell' came"):
        compare_typing(tumours, ["svm"], task="cell")
    with pytest.raises(ValueError, match="protocol must be of donor, random, but 'patient' came"):
        compare_typing(tumours, ["svm"], protocol="patient")
    with pytest.raises(ValueError, match=r"methods must be of .* but none came"):
        hold_out_projects(tumours, [])


def test_the_plan_names_systems_and_has_its_baseline():
    for methods in typing_tables.PLAN.values():
        assert set(methods) <= set(SYSTEMS)
        assert methods["concat"] == 10


def test_finished_tables_compute_nothing_and_are_written_with_their_origin(tumours, tmp_path, monkeypatch):
    tumours = replace(tumours, folder=tmp_path / "cells")  # other tests leave cells of other methods
    compare_typing(tumours, ["concat", "svm"], n_splits=2)
    hide_profiles(tumours, ["svm"], n_splits=3)

    def refuse(*args, **kwargs):
        raise AssertionError("it was computed again")

    monkeypatch.setattr(multimodal, "classification_trials", refuse)
    monkeypatch.setattr(multimodal, "fit_classifier", refuse)
    names = ["scores", "differences", "hidden", "muat"]
    typing_tables.write_tables(tumours, tmp_path, names, finished=True)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == [
        "differences.csv",
        "hidden.csv",
        "scores.csv",
    ]
    record = json.loads((tmp_path / "scores.provenance.json").read_text())
    assert record["parameters"]["splits"]["organ donor svm"] == 2
    assert "MutEmbedNet" in record["code"]
    assert set(record["data"]) == set(typing_tables.DATA)
    table = pd.read_csv(tmp_path / "differences.csv").set_index("method")
    assert table.loc["svm", "n_splits"] == 2
    with pytest.raises(ValueError, match=r"names must be of scores, .* but 'score' came"):
        typing_tables.write_tables(tumours, tmp_path, ["score"])


@pytest.mark.real_data(*REAL)
def test_real_tumours_and_muats_split():
    tumours = typing_systems.load_tumours()
    assert len(tumours.rows("organ")) == 2512
    assert len(tumours.rows("subtype")) == 2523
    assert list(tumours.profiles) == ["SBS96", "ID83", "CN28", "SV26"]
    found = multimodal.score_muat(tumours, ["svm"])
    assert (found["n_train"] == 1449).all()
    assert (found["n_test"] == 363).all()
    assert found["accuracy"].between(0.85, 1).all()
