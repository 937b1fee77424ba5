import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from latentgenomes.core.provenance import provenance_path
from latentgenomes.core.resources import locate
from latentgenomes.expression.data.cohorts import PREPARED_MATRIX, PREPARED_SAMPLES, ExpressionData
from latentgenomes.expression.experiments.gexbert import (
    ALL,
    IMPUTERS,
    METHODS,
    Cell,
    _Drawn,
    classify,
    compare_with,
    fresh_masks,
    judge_imputers,
    make_classification_task,
    mean_scores,
    pretrain_in_portions,
    pretraining_task,
    task_digest,
)
from latentgenomes.expression.experiments.imputation import make_task
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.imputers import RidgeImputer
from latentgenomes.expression.simulate import simulate_expression
from latentgenomes.expression.verbs.methods import ImputationSettings

SMALL = GexBERT(width=8, n_embedding=8, n_summary=2, n_layers=1, most_shown=20, n_steps=60, random_state=0)


@pytest.fixture(scope="module")
def data():
    return simulate_expression(400, 30, random_state=0).data


@pytest.fixture(scope="module")
def task(data):
    settings = ImputationSettings(n_genes=24, n_test=60, n_validation=30)
    return make_task(data, by="variance", seed=0, settings=settings)


def test_portions_end_where_one_run_does_and_a_killed_curve_goes_on(task, tmp_path):
    path = tmp_path / "run.safetensors"
    model = clone(SMALL).set_params(checkpoint=str(path))
    first, _ = pretrain_in_portions(model, task, stops=[10, 30])
    assert first.history_["step"].max() == 30
    fitted, curve = pretrain_in_portions(model, task, stops=[10, 30, 60])
    whole = clone(SMALL).fit(task.train)
    np.testing.assert_array_equal(fitted.transform(task.test), whole.transform(task.test))
    assert curve["step"].unique().tolist() == [10, 30, 60]
    assert curve["seconds"].is_monotonic_increasing
    last = judge_imputers({"m": whole}, task, fresh_masks(task, seeds=(0,)))
    np.testing.assert_allclose(curve[curve["step"] == 60]["rmse"], last["rmse"])
    again = pretrain_in_portions(model, task, stops=[10, 30, 60])[1]
    pd.testing.assert_frame_equal(again, curve)
    with pytest.raises(ValueError, match="must have a checkpoint, but it is None"):
        pretrain_in_portions(SMALL, task, stops=[10])


def test_every_imputer_fills_the_same_holes(task):
    masks = fresh_masks(task, (0.5,), seeds=(0, 1))
    ridge = RidgeImputer().fit(task.train)
    scores = judge_imputers({"a": ridge, "b": ridge}, task, masks)
    assert scores.groupby("seed")["rmse"].nunique().tolist() == [1, 1]
    assert not np.array_equal(masks[0.5, 0], masks[0.5, 1])
    hidden, truth = masks[0.5, 1], task.test.to_numpy()
    filled = ridge.impute(task.test.mask(hidden))
    expected = np.sqrt((((filled - truth) / task.scale)[hidden] ** 2).mean())
    assert scores[scores["seed"] == 1]["rmse"].iloc[0] == pytest.approx(expected)
    assert task_digest(task) != task_digest(make_task_of_other_seed(task))


def make_task_of_other_seed(task):
    return type(task)(**{**vars(task), "train": task.train.iloc[1:]})


def test_each_method_learns_types_from_a_cell_and_finished_cells_are_kept(data, task, tmp_path):
    chosen = make_classification_task(data, task.train.index, task.train.columns, label="cancer_type")
    assert not set(chosen.train.index) & set(chosen.test.index)
    backbone = clone(SMALL).set_params(n_steps=200).fit(chosen.train.to_numpy())
    cells = [Cell(10, 12, 0), Cell(10, 12, 1), Cell(ALL, 24, 0)]
    scores = classify(chosen, backbone, cells, folder=tmp_path)
    assert len(scores) == len(cells) * len(METHODS)
    n_types = len(np.unique(chosen.test_labels))
    assert (scores["accuracy"] > 1.2 / n_types).all()
    (tmp_path / "logistic-10-12-0.json").write_text(
        json.dumps({"n_labels": 10, "n_genes": 12, "draw": 0, "method": "logistic", "accuracy": 7.0})
    )
    again = classify(chosen, backbone, cells[:1], methods=["logistic"], folder=tmp_path)
    assert again["accuracy"].tolist() == [7.0]
    tests = compare_with(scores, "logistic")
    assert set(tests["method"]) == set(METHODS) - {"logistic"}
    assert (tests["n_splits"] == 2).all()  # the third setting has one draw, which no test can use
    means = mean_scores(scores).set_index(["n_labels", "method"])
    mlp = scores[(scores["method"] == "mlp") & (scores["n_labels"] == 10)]["accuracy"]
    assert means.loc[(10, "mlp"), "accuracy"] == pytest.approx(mlp.mean())
    with pytest.raises(ValueError, match=r"methods must be of logistic, .*, but 'forest' came"):
        classify(chosen, backbone, cells, methods=["forest"])


def test_no_method_sees_a_gene_that_was_not_measured(data, task):
    chosen = make_classification_task(data, task.train.index, task.train.columns, label="cancer_type")
    train, genes = chosen.train.to_numpy(), np.arange(12)
    fitted = {name: make().fit(train) for name, make in IMPUTERS.items()}
    changed = chosen.test.to_numpy().copy()
    changed[:, 12:] += 5.0
    answers = {
        name: [
            METHODS[name](_Drawn(train, test, chosen.train_labels, genes, fitted.__getitem__), None, 0)
            for test in (chosen.test.to_numpy(), changed)
        ]
        for name in ("logistic", "svm", "ridge_restored", "mixture_restored")
    }
    for usual, other in answers.values():
        np.testing.assert_array_equal(usual, other)
    assert (answers["mixture_restored"][0] != answers["logistic"][0]).any()


def test_a_patient_on_both_sides_and_an_unknown_type_are_refused(data, task):
    samples = data.samples.copy()
    samples["patient"] = "one"
    twin = ExpressionData(data.values, samples, data.unit)
    with pytest.raises(ValueError, match="train and test must share no group"):
        make_classification_task(twin, task.train.index, task.train.columns, label="cancer_type")
    samples = data.samples.copy()
    samples.loc[task.test.index[0], "cancer_type"] = "new"
    odd = ExpressionData(data.values, samples, data.unit)
    with pytest.raises(ValueError, match=r"Types of the test samples .* but 'new' are not"):
        make_classification_task(odd, task.train.index, task.train.columns, label="cancer_type")


@pytest.mark.real_data(PREPARED_MATRIX, PREPARED_SAMPLES)
def test_the_stored_weights_restore_mirnas_of_patients_they_have_not_seen():
    folder = locate("data/results/expression")
    record = json.loads(provenance_path(folder / "gexbert_training.csv").read_text(encoding="utf-8"))
    task = pretraining_task()
    assert record["parameters"]["task_digest"] == task_digest(task)
    path = folder / "gexbert_mirna.safetensors"
    assert path.stat().st_size < 3e6
    model = GexBERT.load(path)
    assert model.feature_names_in_.tolist() == task.train.columns.tolist()
    curve = pd.read_csv(folder / "gexbert_training.csv")
    stored = curve[(curve["step"] == curve["step"].max()) & (curve["rate"] == 0.9)]["rmse"].iloc[0]
    masks = {key: mask for key, mask in fresh_masks(task, (0.9,), seeds=(0,)).items()}
    found = judge_imputers({"gexbert": model}, task, masks)["rmse"].iloc[0]
    assert found == pytest.approx(stored, rel=1e-3)
