import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.evaluate.survival import concordance_index
from latentgenomes.expression.experiments.imputation import (
    METHOD_NAMES,
    METHODS,
    compare_imputers,
    load_dataset,
    make_task,
    paired_over_patients,
)
from latentgenomes.expression.experiments.platforms import both_platforms, matched_sets, structured_masks
from latentgenomes.expression.experiments.survival import (
    ARMS,
    Cohort,
    SurvivalSettings,
    calibration_table,
    choose_penalties,
    compare_arms,
    compare_heads,
    compare_over_cohorts,
    load_cohorts,
    prognostic_genes,
    ridge_risks,
)
from latentgenomes.expression.models.survival import CoxRegression
from latentgenomes.expression.simulate import simulate_expression
from latentgenomes.expression.verbs.methods import ImputationSettings

SMALL = ImputationSettings(
    n_genes=40, n_test=40, n_validation=40, max_epochs=2, batch_size=64, n_components=4, rates=(0.5, 0.9)
)


def paired_patients(n_patients=60, n_genes=50):
    """Two samples of every patient."""
    data = simulate_expression(2 * n_patients, n_genes, random_state=0).data
    samples = data.samples.assign(patient=np.repeat([f"D{i}" for i in range(n_patients)], 2))
    return ExpressionData(data.values, samples, data.unit)


def cohorts(n_cohorts=3, n=120, n_genes=60):
    """Cohorts whose first module acts on survival, with z-scores."""
    found = {}
    for number in range(n_cohorts):
        simulated = simulate_expression(n, n_genes, n_types=1, n_modules=6, random_state=number)
        values = simulated.data.values.astype(np.float64)
        outcome = simulated.data.samples[["time", "event"]].to_numpy(dtype=np.float64)
        found[f"C{number}"] = Cohort((values - values.mean()) / values.std(ddof=0), outcome, 0)
    return found


def test_a_task_keeps_patients_apart_and_repeats_with_its_seed():
    data = paired_patients()
    settings = ImputationSettings(n_genes=20, n_test=20, n_validation=20, rates=(0.5, 0.9))
    task, again, other = (make_task(data, by="chance", seed=seed, settings=settings) for seed in (3, 3, 4))
    people = [
        set(data.samples.loc[part.index, "patient"]) for part in (task.train, task.validation, task.test)
    ]
    assert sum(map(len, people)) == len(set.union(*people))
    pd.testing.assert_frame_equal(task.test, again.test)
    assert all((task.masks[rate] == again.masks[rate]).all() for rate in ("0.5", "0.9"))
    assert not task.test.index.equals(other.test.index)
    assert abs(task.masks["0.9"].mean() - 0.9) < 4 * np.sqrt(0.09 / 400) + 1 / 20  # one gene is always kept


def test_genes_are_chosen_by_the_training_part():
    data = paired_patients()
    settings = ImputationSettings(n_genes=20, n_test=20, n_validation=20)
    task = make_task(data, by="detected", seed=0, settings=settings)
    others = data.values.index.difference(task.train.index)
    changed = data.values.copy()
    changed.loc[others, changed.columns[0]] += 100
    again = make_task(ExpressionData(changed, data.samples, ""), by="detected", seed=0, settings=settings)
    assert list(again.train.columns) == list(task.train.columns)


def test_all_methods_fill_the_same_holes_and_a_second_run_reads_the_networks(tmp_path):
    first = compare_imputers("simulated", METHOD_NAMES, seeds=(0,), settings=SMALL, folder=tmp_path)
    assert first.scores.groupby("mask")["n"].nunique().eq(1).all()
    assert set(first.scores["method"]) == set(METHOD_NAMES)
    for scores in (tmp_path / "simulated-0").glob("*.csv.gz"):
        scores.unlink()  # as if the run had been killed before the last method
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "simulated-0").iterdir()}
    assert sorted(path.name.partition("-")[0] for path in kept) == ["mlp"] * 2 + ["restorer"] * 2
    second = compare_imputers("simulated", METHOD_NAMES, seeds=(0,), settings=SMALL, folder=tmp_path)
    pd.testing.assert_frame_equal(
        second.scores.drop(columns="fit_seconds"), first.scores.drop(columns="fit_seconds"), rtol=1e-6
    )
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    third = compare_imputers("simulated", METHOD_NAMES, seeds=(0,), settings=SMALL, folder=tmp_path)
    pd.testing.assert_frame_equal(third.samples, second.samples, check_like=True)
    paired = paired_over_patients(third.samples, baseline="ridge")
    expected = third.samples.groupby(["mask", "method"])["rmse"].mean()
    for row in paired.itertuples():
        assert row.difference == pytest.approx(expected[row.mask, row.method] - expected[row.mask, "ridge"])


def test_the_scores_are_those_of_the_samples_and_the_stack_is_near_the_best():
    found = compare_imputers("simulated", ["ridge", "knn", "mixture", "stack"], seeds=(0, 1), settings=SMALL)
    table = found.scores.pivot_table(index="mask", columns="method", values="rmse")
    assert (table["stack"] < table[["ridge", "knn"]].min(axis=1) + 0.01).all()
    samples = found.samples[(found.samples["mask"] == "0.5") & (found.samples["method"] == "ridge")]
    assert len(samples) == 2 * SMALL.n_test
    # Nearly: samples do not hide equally many genes.
    assert np.sqrt((samples["rmse"] ** 2).mean()) == pytest.approx(table.loc["0.5", "ridge"], rel=0.03)


def test_chained_equations_end_where_one_gaussian_is():
    data = load_dataset("simulated")
    task = make_task(data, by="chance", seed=0, settings=SMALL)
    given = np.where(task.masks["0.5"], np.nan, task.test.to_numpy())
    chained, ridge = (METHODS[name](0, SMALL).fit(task.train.to_numpy()) for name in ("iterative", "ridge"))
    difference = chained.set_params(n_rounds=20).fit(task.train.to_numpy()).transform(given) - ridge.impute(
        given
    )
    assert np.sqrt((difference**2).mean()) < 0.15 * np.sqrt(
        ((given - task.centre) ** 2)[~task.masks["0.5"]].mean()
    )


def test_structured_masks_hide_nearly_the_same_share_and_whole_modules():
    simulated = simulate_expression(400, 240, n_modules=12, random_state=0)
    masks = structured_masks(simulated.data.values.to_numpy(dtype=np.float64), 300, seed=0)
    assert {name: mask.shape for name, mask in masks.items()} == dict.fromkeys(masks, (300, 240))
    for mask in masks.values():
        assert 0.75 <= mask.mean() <= 0.92
    assert len(np.unique(masks["panel"], axis=0)) == 3
    assert len(np.unique(masks["modules"], axis=0)) == 1
    assert len(np.unique(masks["random"], axis=0)) == 300


def test_matched_sets_hold_as_many_samples_of_each_cohort():
    samples = pd.DataFrame(
        {"cohort": ["A"] * 30 + ["B"] * 20, "platform": ["GA"] * 10 + ["HiSeq"] * 20 + ["GA", "HiSeq"] * 10}
    )
    sets = matched_sets(samples, np.arange(50), np.random.default_rng(0))
    for name, rows in sets.items():
        assert samples["cohort"].iloc[rows].value_counts().to_dict() == {"A": 10, "B": 10}
        assert len(set(rows)) == len(rows)
        share = {"GA": 1.0, "HiSeq": 0.0, "both": 0.5}[name]
        assert (samples["platform"].iloc[rows] == "GA").mean() == share


def test_ridge_risks_are_those_of_the_estimator_scaled_by_the_training_part():
    cohort = cohorts(1)["C0"]
    train, test = cohort.values.to_numpy()[:90], cohort.values.to_numpy()[90:]
    for width in (10, 60):
        risks = ridge_risks(train[:, :width], test[:, :width], cohort.outcome[:90], (1.0, 0.1))
        mean, scale = train[:, :width].mean(0), train[:, :width].std(0)
        for alpha, risk in zip((1.0, 0.1), risks, strict=True):
            model = CoxRegression(alpha).fit((train[:, :width] - mean) / scale, cohort.outcome[:90])
            np.testing.assert_allclose(risk, model.predict((test[:, :width] - mean) / scale), atol=1e-4)


def test_prognostic_genes_are_those_of_lifelines_one_at_a_time():
    cohort = cohorts(1, n=200)["C0"]
    values = cohort.values.to_numpy()
    found = prognostic_genes(values, cohort.outcome, np.arange(5, 60), 10)
    assert found.min() >= 5
    table = pd.DataFrame(cohort.outcome, columns=["time", "event"])
    strength = {
        gene: abs(CoxPHFitter().fit(table.assign(x=values[:, gene]), "time", "event").summary.loc["x", "z"])
        for gene in range(5, 60)
    }
    strongest = sorted(strength, key=lambda gene: -strength[gene])[:10]
    assert len(set(strongest) & set(found)) >= 8  # score and Wald tests rank nearly alike


def test_arms_are_scored_on_the_same_splits_and_resume(tmp_path):
    settings = SurvivalSettings(sizes=(4, 12), n_anchors=5, n_repeats=1, alphas=(1.0, 0.1))
    scores = compare_arms(cohorts(), settings=settings, folder=tmp_path)
    assert set(scores["arm"]) == set(ARMS)
    assert scores.groupby(["cohort", "size", "arm", "alpha"])["split"].nunique().eq(5).all()
    again = compare_arms(cohorts(), settings=settings, folder=tmp_path)
    pd.testing.assert_frame_equal(again, scores)
    means = scores[scores["alpha"] == 0.1].groupby("arm")["score"].mean()
    assert means["observed + true"] > means["observed"] + 0.01  # the simulated effect is there to be found
    chosen = choose_penalties(scores)
    compared = compare_over_cohorts(chosen)
    assert compared.groupby("size")["n_splits"].first().eq(3).all()


def test_the_penalty_of_a_cohort_is_chosen_without_it():
    generator = np.random.default_rng(0)
    scores = pd.DataFrame(
        [
            {"size": 4, "arm": "a", "cohort": cohort, "alpha": alpha, "score": generator.uniform()}
            for cohort in "XYZ"
            for alpha in (0.1, 1.0)
        ]
    )
    before = choose_penalties(scores).set_index("cohort")["alpha"]
    scores.loc[(scores["cohort"] == "X") & (scores["alpha"] != before["X"]), "score"] = 1e6
    assert choose_penalties(scores).set_index("cohort")["alpha"]["X"] == before["X"]


def test_heads_are_the_estimator_on_scaled_genes(tmp_path):
    data = cohorts(2)
    scores, predictions = compare_heads(data, n_repeats=1, alphas=(1.0,), folder=tmp_path)
    assert scores[["score", "ipcw", "brier", "brier_null"]].notna().all().all()
    assert predictions.groupby(["cohort", "arm"])["patient"].nunique().eq(120).all()
    again, _ = compare_heads(data, n_repeats=1, alphas=(1.0,), folder=tmp_path)
    pd.testing.assert_frame_equal(again, scores)
    assert len(calibration_table(predictions, {"all genes": 1.0, "30 PCs": 1.0})) == 10
    from latentgenomes.expression.evaluate.survival import survival_splits

    _, train, test = next(iter(survival_splits(data["C0"].outcome[:, 1], n_repeats=1)))
    values, outcome = data["C0"].values.to_numpy(), data["C0"].outcome
    scaled = (values - values[train].mean(0)) / values[train].std(0)
    risks = CoxRegression(1.0).fit(scaled[train], outcome[train]).predict(scaled[test])
    mine = scores[(scores["arm"] == "all genes") & (scores["cohort"] == "C0") & (scores["split"] == "0.0")]
    assert mine["score"].item() == pytest.approx(concordance_index(risks, *outcome[test].T), abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_imputers("simulated", ["magic"]), "methods must be of mean, knn.*'magic' came"),
        (
            lambda: load_dataset("proteins"),
            "dataset must be one of mirna, mrna, simulated, but it is 'proteins'",
        ),
        (
            lambda: make_task(paired_patients(10), by="chance", seed=0),
            "n_test \\+ n_validation must be at most half of the samples, but they are 500 of 20",
        ),
        (lambda: load_cohorts(["BLCA"]), "cohorts must name two at least, but 1 came"),
        (
            lambda: choose_penalties(
                pd.DataFrame({"size": [1], "arm": ["a"], "cohort": ["X"], "alpha": [1.0], "score": [0.5]})
            ),
            "chosen in the other cohorts, but there is only one",
        ),
        (
            lambda: both_platforms(
                ExpressionData(
                    pd.DataFrame({"g": [1.0, 2.0]}),
                    pd.DataFrame({"cohort": ["A", "A"], "platform": ["GA", "GA"]}),
                    "log2",
                )
            ),
            "must have 60 samples of each platform, but none of 1 has",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
