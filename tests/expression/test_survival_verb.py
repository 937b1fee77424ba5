"""A reader's matrix and outcomes in, judged risks out, from Python and from the command line."""

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from latentgenomes.cli import app
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.data.own_outcomes import follow, read_outcomes
from latentgenomes.expression.figures.curves import plot_coefficients
from latentgenomes.expression.models.cox import log_partial_likelihood, risk_sets
from latentgenomes.expression.verbs.survival import (
    _best_alpha,
    _log_likelihood,
    judge_survival,
    predict_survival,
)


def cohort(n_patients=120, n_genes=15, *, effect=1.0, seed=0):
    """Genes, the first of which raises the hazard, and outcomes with a third censored."""
    generator = np.random.default_rng(seed)
    patients = [f"TCGA-ZZ-{number:04d}" for number in range(n_patients)]
    genes = pd.DataFrame(generator.normal(size=(n_patients, n_genes)), index=patients).add_prefix("GENE")
    times = generator.exponential(1000 * np.exp(-effect * genes["GENE0"]))
    censored = generator.exponential(2500, size=n_patients)
    outcome = pd.DataFrame({"time": np.minimum(times, censored), "event": (times <= censored).astype(int)})
    about = pd.DataFrame({"patient": patients}, index=patients)
    return ExpressionData(genes, about, "z-score"), outcome.set_axis(patients, axis=0)


def test_risks_of_patients_not_seen_order_them_where_a_gene_matters_and_do_not_where_none_does():
    found = predict_survival(*cohort(), n_repeats=2)
    assert found.scores.loc["c_index", "lower"] > 0.56
    assert found.scores.loc["calibration_slope", "lower"] < 1 < found.scores.loc["calibration_slope", "upper"]
    assert found.scores.loc["brier", "value"] < found.scores.loc["brier_null", "value"]
    assert found.coefficients.index[0] == "GENE0"
    assert found.coefficients.loc["GENE0", "fold_lower"] > 0
    nothing = predict_survival(*cohort(effect=0.0), n_repeats=2)
    assert nothing.scores.loc["c_index", "lower"] < 0.5
    assert nothing.scores.loc["c_index", "value"] < 0.6


def test_the_groups_are_thirds_by_risk_and_their_curves_count_everybody():
    found = predict_survival(*cohort(), n_repeats=1)
    means = found.patients.groupby("group")["risk"].agg(["size", "min", "max"])
    assert means["size"].tolist() == [40, 40, 40]
    assert means.loc["low risk", "max"] <= means.loc["middle", "min"]
    assert means.loc["middle", "max"] <= means.loc["high risk", "min"]
    start = found.curves[found.curves["time"] == 0]
    assert start["group"].tolist() == ["low risk", "middle", "high risk"]
    assert start["at_risk"].tolist() == [40, 40, 40]
    assert found.calibration["n"].sum() == 120
    assert ((found.patients["survival"] > 0) & (found.patients["survival"] < 1)).all()


def test_the_likelihood_that_chooses_is_coxs():
    data, outcome = cohort(50)
    eta = data.values["GENE0"].to_numpy()
    sets = risk_sets(*(torch.tensor(outcome[name].to_numpy(dtype=np.float64)) for name in ("time", "event")))
    ours = _log_likelihood(eta, outcome.to_numpy(dtype=np.float64))
    assert ours == pytest.approx(float(log_partial_likelihood(torch.tensor(eta), sets)), rel=1e-10)
    tied = np.array([[5.0, 1], [5, 1], [5, 0], [7, 1], [2, 1]])
    log_hazards = np.array([0.3, -0.2, 0.5, 1.0, 0.1])
    sums = [np.exp(log_hazards[tied[:, 0] >= t]).sum() for t in tied[:, 0]]
    expected = (tied[:, 1] * (log_hazards - np.log(sums))).sum()
    assert _log_likelihood(log_hazards, tied) == pytest.approx(expected, rel=1e-12)


def test_the_penalty_is_high_where_genes_say_nothing_and_lower_where_one_does():
    chosen = []
    for effect in (0.0, 2.0):
        data, outcome = cohort(150, effect=effect)
        chosen.append(_best_alpha(data.values.to_numpy(), outcome.to_numpy(dtype=np.float64), 0))
    assert chosen[0] >= 10
    assert chosen[1] <= 0.3


def test_a_patient_never_helps_to_predict_itself():
    data, outcome = cohort(60, seed=3)
    found = judge_survival(follow(data, outcome), n_repeats=1, n_bootstraps=2)
    changed = outcome.copy()
    changed.iloc[0, 0] *= 0.2  # the same events, hence the same folds
    again = judge_survival(follow(data, changed), n_repeats=1, n_bootstraps=2)
    assert again.patients["risk"].iloc[0] == pytest.approx(found.patients["risk"].iloc[0], rel=1e-9)
    assert not np.allclose(again.patients["risk"].iloc[1:], found.patients["risk"].iloc[1:], rtol=1e-9)


# ---- outcomes -----------------------------------------------------------------------------------


def written(tmp_path, text):
    path = tmp_path / "outcome.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "options", "times", "events"),
    [
        ("p,time,event\nA,10,1\nB,20,0\n", {}, [10, 20], [1, 0]),
        ("p\tOS.time\tOS\nA\t10\t1\nB\t20\t0\n", {}, [10, 20], [1, 0]),
        (
            "p,OS_MONTHS,OS_STATUS\nA,2,1:DECEASED\nB,3,0:LIVING\n",
            {"unit": "months"},
            [60.875, 91.3125],
            [1, 0],
        ),
        (
            "p,fu,died\nA,1,Dead\nB,2,alive\n",
            {"time": "fu", "event": "died", "unit": "years"},
            [365.25, 730.5],
            [1, 0],
        ),
    ],
)
def test_outcomes_are_read_by_their_usual_names_and_words(tmp_path, text, options, times, events):
    table, _ = read_outcomes(written(tmp_path, text), **options)
    assert table["time"].tolist() == times
    assert table["event"].tolist() == events


def test_patients_without_an_outcome_are_left_out_by_name(tmp_path):
    table, notes = read_outcomes(written(tmp_path, "p,time,event\nA,10,1\nB,,0\nC,5,\nD,7,0\n"))
    assert table.index.tolist() == ["A", "D"]
    assert notes[1] == "2 patients left out: no time or no event ('B', 'C')"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "p,time,event\nA,0,1\nB,-3,0\n",
            "Times must be above 0, but 2 of 2 are not; the first is 0 of patient 'A'",
        ),
        ("p,time,event\nA,5,2\nB,3,0\n", "has 1 other values; the first is '2' of patient 'A'"),
        ("p,time,event\nA,five,1\n", "must hold numbers, but 'five' stands at patient 'A'"),
        ("p,time,event\nA,5,1\nA,6,1\n", "one row a patient, but 1 come again: 'A'"),
        ("p,when,event\nA,5,1\n", "must have a column such as 'time'.* Name it with --time"),
        ("p,time,what\nA,5,1\n", "must have a column such as 'event'.* Name it with --event"),
    ],
)
def test_wrong_outcomes_are_refused_in_words(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_outcomes(written(tmp_path, text))


def test_outcomes_of_no_file_or_unit_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="--outcome must be a file"):
        read_outcomes(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="--unit must be one of days, months, years, but it is 'weeks'"):
        read_outcomes(written(tmp_path, "p,time,event\n"), unit="weeks")


def test_patients_are_joined_by_name_and_those_in_one_file_only_are_named():
    data, outcome = cohort()
    mixed = outcome.sample(frac=1, random_state=0).drop(index=["TCGA-ZZ-0003"]).rename({"TCGA-ZZ-0007": "X"})
    followed = follow(data, mixed)
    assert len(followed.values) == 118
    pd.testing.assert_frame_equal(followed.outcomes, outcome.loc[followed.values.index])
    assert followed.notes == (
        "2 patients left out: in the matrix alone ('TCGA-ZZ-0003', 'TCGA-ZZ-0007')",
        "1 patients left out: in the outcomes alone ('X')",
    )


def test_sample_barcodes_find_their_patients():
    data, outcome = cohort()
    samples = data.values.set_axis([f"{name}-01A-11R" for name in data.values.index], axis=0)
    followed = follow(ExpressionData(samples, data.samples, "log2"), outcome)
    assert followed.values.index.tolist() == outcome.index.tolist()
    assert followed.notes[0] == "patients matched by the first 12 characters of their barcodes"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda outcome: outcome.add_prefix("").rename(lambda name: f"Q{name}"),
            "must share patients, but none of 120",
        ),
        (lambda outcome: outcome.assign(event=0), "all 120 patients are censored"),
        (
            lambda outcome: outcome.assign(event=np.arange(120) < 7),
            "but there are 120 patients with 7 events",
        ),
        (lambda outcome: outcome.iloc[:30], "needs 40 patients and 20 events, but there are 30 patients"),
    ],
)
def test_too_little_is_refused_in_words(change, message):
    data, outcome = cohort()
    with pytest.raises(ValueError, match=message):
        predict_survival(data, change(outcome))


def test_the_command_writes_its_tables_and_says_what_it_found(tmp_path):
    data, outcome = cohort(80)
    genes = [
        "TP53",
        "EGFR",
        "KRAS",
        "MYC",
        "PTEN",
        "RB1",
        "ATM",
        "VHL",
        "AR",
        "CD4",
        "CD8A",
        "KLK3",
        "ESR1",
        "GATA3",
        "BRCA1",
    ]
    data.values.set_axis(genes, axis=1).T.to_csv(tmp_path / "mine.csv")
    outcome.iloc[5:].rename(columns={"time": "OS.time", "event": "OS"}).to_csv(tmp_path / "os.tsv", sep="\t")
    words = [
        "survival",
        str(tmp_path / "mine.csv"),
        "--outcome",
        str(tmp_path / "os.tsv"),
        "-o",
        str(tmp_path / "out"),
    ]
    ran = CliRunner().invoke(app, [*words, "--repeats", "1", "--no-report"])
    assert ran.exit_code == 0, ran.output
    assert "5 patients left out: in the matrix alone ('TCGA-ZZ-0000'" in ran.output
    patients = pd.read_csv(tmp_path / "out" / "patients.csv", index_col="patient")
    assert patients.index.tolist() == outcome.index[5:].tolist()
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", index_col="measure")
    assert (scores["lower"] <= scores["value"]).all()
    assert (scores["value"] <= scores["upper"]).all()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"coefficients.csv", "curves.csv", "calibration.csv", "notes.txt", "model.safetensors"}
    (tmp_path / "os.tsv").write_text("patient\tOS.time\tOS\nTCGA-ZZ-0000\t-4\t1\n")
    ran = CliRunner().invoke(app, [*words, "--no-report"])
    assert ran.exit_code == 2
    assert (
        "Times must be above 0, but 1 of 1 are not; the first is -4 of patient 'TCGA-ZZ-0000'" in ran.output
    )


def test_the_figure_of_coefficients_shows_the_largest():
    table = pd.DataFrame({"gene": list("ABC"), "coefficient": [0.1, -0.5, 0.3]})
    table = table.assign(fold_lower=table["coefficient"] - 0.1, fold_upper=table["coefficient"] + 0.1)
    ax = plot_coefficients(table, n_genes=2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "C"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [-0.5, 0.3])
