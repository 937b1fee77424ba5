"""A reader's matrix in, the restored matrix out, from Python and from the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latentgenomes.cli import app
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.models.mixture import MixtureImputer
from latentgenomes.expression.simulate import simulate_expression
from latentgenomes.expression.verbs.impute import restore_matrix


def simulated(seed=0):
    data = simulate_expression(160, 40, n_types=2, n_modules=4, random_state=seed).data
    return data.values.astype(float), data


def holes(values, rate=0.3, seed=1):
    return values.mask(np.random.default_rng(seed).uniform(size=values.shape) < rate)


def expression(values, unit="log2"):
    return ExpressionData(values, pd.DataFrame({"patient": values.index}, index=values.index), unit)


@pytest.mark.parametrize("method", ["knn", "ridge", "local_ridge", "mixture"])
def test_measured_values_stay_and_the_check_tells_the_error(method):
    values, _ = simulated()
    panel = holes(values.iloc[:40])
    found = restore_matrix(expression(panel), expression(values.iloc[40:]), method=method)
    pd.testing.assert_frame_equal(found.values.where(panel.notna()), panel, check_dtype=False)
    assert found.measured.equals(panel.notna())
    error = (found.values - values.iloc[:40]).where(panel.isna()) / values.iloc[40:].std(ddof=0)
    actual = np.sqrt(np.nanmean(error.to_numpy() ** 2))
    promised = np.sqrt((found.genes["rmse"] ** 2).mean())
    assert promised == pytest.approx(actual, rel=0.25)
    assert (found.genes["n_missing"] == panel.isna().sum()).all()


def test_a_panel_gets_the_genes_of_the_reference():
    values, _ = simulated()
    panel = values.iloc[:30, :15].assign(UNKNOWN=1.0)
    found = restore_matrix(expression(panel), expression(values.iloc[30:]), method="ridge")
    assert list(found.values.columns) == list(values.columns)
    assert found.genes["rmse"].notna().sum() <= 15
    assert any("1 of 16 genes left out: unknown to the model" in note for note in found.notes)
    error = (found.values - values.iloc[:30]).iloc[:, 15:] / values.std(ddof=0).iloc[15:]
    assert np.sqrt((error.to_numpy() ** 2).mean()) < 0.9


def test_without_a_reference_the_matrix_is_its_own():
    values, _ = simulated()
    panel = holes(values, 0.2)
    found = restore_matrix(expression(panel), method="mixture")
    error = ((found.values - values).where(panel.isna()) / values.std(ddof=0)).to_numpy()
    assert np.sqrt(np.nanmean(error**2)) < 0.8
    assert "reference: the matrix itself" in found.notes


def test_the_command_writes_tables_and_a_model_that_gives_the_same(tmp_path):
    values, _ = simulated()
    holes(values.iloc[:30]).to_csv(tmp_path / "mine.csv")
    values.iloc[30:].to_csv(tmp_path / "reference.csv")
    out = tmp_path / "out"
    command = ["impute", str(tmp_path / "mine.csv"), "-o", str(out), "-r", str(tmp_path / "reference.csv")]
    ran = CliRunner().invoke(app, [*command, "--scale", "log2", "--orientation", "genes_in_columns"])
    assert ran.exit_code == 0, ran.output
    restored = pd.read_csv(out / "restored.csv", index_col=0)
    measured = pd.read_csv(out / "measured.csv", index_col=0)
    assert restored.notna().all().all()
    assert set(np.unique(measured)) == {0, 1}
    given = pd.read_csv(tmp_path / "mine.csv", index_col=0)[restored.columns]
    again = MixtureImputer.load(out / "model.safetensors").impute(given.to_numpy())
    np.testing.assert_allclose(again, restored, rtol=1e-4)
    assert "scale given: log2" in (out / "notes.txt").read_text()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    values, _ = simulated()
    values.to_csv(tmp_path / "mine.csv")
    ran = CliRunner().invoke(app, ["impute", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out")])
    assert ran.exit_code == 2
    assert "Some gene must be missing" in ran.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda v: restore_matrix(expression(holes(v)), method="magic"),
            "method must be one of knn.*'magic'",
        ),
        (
            lambda v: restore_matrix(expression(v)),
            "Some gene must be missing, but all 6400 values are measured",
        ),
        (lambda v: restore_matrix(expression(holes(v.iloc[:10]))), "at least 20 samples, but it has 10"),
        (
            lambda v: restore_matrix(expression(holes(v)), expression(v, "z-score")),
            "on one scale, but the matrix is log2 and the reference z-score",
        ),
        (
            lambda v: restore_matrix(expression(holes(v)), expression(v.add_prefix("X"))),
            "must share genes with the model",
        ),
    ],
)
def test_what_cannot_be_restored_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(simulated()[0])
