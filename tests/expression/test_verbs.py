"""A reader's matrix in, the restored matrix out, from Python and from the command line."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
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


@pytest.mark.parametrize("method", ["auto", "factors", "knn", "ridge", "local_ridge", "mixture"])
def test_measured_values_stay_and_the_check_tells_the_error(method):
    values, _ = simulated()
    panel = holes(values.iloc[:40])
    found = restore_matrix(expression(panel), expression(values.iloc[40:]), method=method, fill_all=True)
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
    assert (found.genes["checked_on"].iloc[:15] == "own entries").all()
    assert (found.genes["checked_on"].iloc[15:] == "samples of the reference").all()
    assert any("1 of 16 genes left out: unknown to the model" in note for note in found.notes)
    error = (found.values - values.iloc[:30]).iloc[:, 15:] / values.std(ddof=0).iloc[15:]
    assert np.sqrt(np.nanmean(error.to_numpy() ** 2)) < 0.9


def test_without_a_reference_the_matrix_is_its_own():
    values, _ = simulated()
    panel = holes(values, 0.2)
    found = restore_matrix(expression(panel))
    error = ((found.values - values).where(panel.isna()) / values.std(ddof=0)).to_numpy()
    assert np.sqrt(np.nanmean(error**2)) < 0.8
    assert "reference: the matrix itself" in found.notes


def test_the_command_writes_tables_and_a_model_that_gives_the_same(tmp_path):
    values, _ = simulated()
    holes(values.iloc[:30]).to_csv(tmp_path / "mine.csv")
    values.iloc[30:].to_csv(tmp_path / "reference.csv")
    out = tmp_path / "out"
    command = ["impute", str(tmp_path / "mine.csv"), "-o", str(out), "-r", str(tmp_path / "reference.csv")]
    ran = CliRunner().invoke(app, [*command, "--scale", "log2", "--method", "mixture", "--no-report"])
    assert ran.exit_code == 0, ran.output
    restored = read(out / "restored.csv")
    measured = pd.read_csv(out / "measured.csv", index_col=0)
    genes = pd.read_csv(out / "genes.csv", index_col=0)
    marked = genes["status"].str.startswith("not restored")
    assert 0 < marked.sum() < 10
    assert restored.loc[:, ~marked].notna().all().all()
    assert restored.loc[:, marked].isna().any().all()
    assert set(np.unique(measured)) == {0, 1}
    given = pd.read_csv(tmp_path / "mine.csv", index_col=0)[restored.columns]
    again = MixtureImputer.load(out / "model.safetensors").impute(given.to_numpy())
    np.testing.assert_allclose(again[:, ~marked], restored.loc[:, ~marked], rtol=1e-4)
    assert "scale given: log2" in (out / "notes.txt").read_text()


GENES = [
    "TP53", "BRCA1", "BRCA2", "EGFR", "MYC", "KRAS", "PTEN", "RB1", "CDKN2A", "ATM",
    "VHL", "PBRM1", "ERBB2", "ESR1", "GATA3", "AR", "KLK3", "CD8A", "CD4", "FOXP3",
]  # fmt: skip


def own_file(tmp_path, name="mine.csv", *, change=lambda frame: frame, in_rows=True, n_patients=60, seed=0):
    """A matrix as a reader keeps it: 20 genes that follow two factors, one value in five missing."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(n_patients, 2)) @ generator.normal(size=(2, 20))
    truth = pd.DataFrame(
        6 + factors + 0.4 * generator.normal(size=factors.shape),
        index=[f"TCGA-ZZ-{number:04d}" for number in range(1, n_patients + 1)],
        columns=GENES,
    ).round(4)
    whole = change(truth)
    gaps = pd.DataFrame(generator.uniform(size=whole.shape) < 0.2, index=whole.index, columns=whole.columns)
    given = whole.mask(gaps.to_numpy())
    (given.T if in_rows else given).to_csv(tmp_path / name, sep="\t" if "tsv" in name else ",")
    return whole, given


def read(path):
    """A table with its numbers exactly as they are written."""
    return pd.read_csv(path, sep=None, engine="python", index_col=0)


def run_impute(tmp_path, name="mine.csv", *options):
    out = tmp_path / "out"
    ran = CliRunner().invoke(app, ["impute", str(tmp_path / name), "-o", str(out), "--no-report", *options])
    assert ran.exit_code == 0, ran.output
    return out, ran.output


def in_counts(frame):
    return np.floor(2**frame)


def in_tpm(frame):
    return np.log2(2**frame + 0.001)


def with_dates(frame):
    return frame.rename(columns={"TP53": "1-Mar", "BRCA1": "2-Sep"})


def with_versions(frame):
    return frame.rename(columns={"TP53": "ENSG00000141510.18", "BRCA1": "ENSG00000012048.23"})


@pytest.mark.parametrize("change", [lambda frame: frame, in_counts, in_tpm, with_dates, with_versions])
@pytest.mark.parametrize(("name", "in_rows"), [("mine.csv", True), ("mine.tsv", False)])
def test_the_matrix_comes_back_as_it_was_with_its_gaps_filled(tmp_path, change, name, in_rows):
    whole, given = own_file(tmp_path, name, change=change, in_rows=in_rows)
    out, said = run_impute(tmp_path, name)
    restored = read(out / f"restored{name[4:]}")
    restored = restored.T if in_rows else restored
    pd.testing.assert_index_equal(restored.index, given.index)
    pd.testing.assert_index_equal(restored.columns, given.columns)
    measured = given.notna().to_numpy()
    np.testing.assert_allclose(restored.to_numpy()[measured], given.to_numpy()[measured], rtol=1e-13)
    filled = ~measured & restored.notna().to_numpy()
    assert filled.sum() > 0.9 * (~measured).sum()
    logs = [
        np.log2(np.maximum(frame.to_numpy(), 0) + 1) if change is in_counts else frame.to_numpy()
        for frame in (restored, whole)
    ]
    error = (logs[0] - logs[1])[filled] / logs[1].std(axis=0)[np.nonzero(filled)[1]]
    assert np.sqrt((error**2).mean()) < (0.75 if change is in_counts else 0.6)
    assert f"genes in {'rows' if in_rows else 'columns'}" in said


def test_what_cannot_be_used_stays_as_it_came_and_is_named(tmp_path):
    _, given = own_file(tmp_path)
    copy = given[["TP53"]] - 1
    odd = pd.concat([given, copy], axis=1).assign(VHL=7.0, ATM=np.nan)
    odd.T.to_csv(tmp_path / "mine.csv")
    out, said = run_impute(tmp_path)
    genes = pd.read_csv(out / "genes.csv")
    status = genes.groupby("gene", sort=False)["status"].agg(list)
    assert status["VHL"] == ["as it came: constant"]
    assert status["ATM"] == ["as it came: missing in every sample"]
    assert status["TP53"] == ["restored", "as it came: copy of TP53 with a lower mean"]
    assert genes["gene"].tolist() == odd.columns.tolist()
    restored = read(out / "restored.csv").T
    assert restored["ATM"].isna().all()
    assert (restored["VHL"] == 7).all()
    np.testing.assert_allclose(restored.iloc[:, 20], odd.iloc[:, 20], rtol=1e-13)
    assert "constant ('VHL')" in said
    assert "missing in every sample ('ATM')" in said


def test_a_gene_that_follows_nothing_is_marked_and_not_guessed(tmp_path):
    _, given = own_file(tmp_path, n_patients=200)
    noise = np.random.default_rng(5).normal(6, 1, size=200)
    given = given.assign(AR=np.where(given["AR"].isna(), np.nan, noise))
    given.T.to_csv(tmp_path / "mine.csv")
    out, said = run_impute(tmp_path)
    genes = pd.read_csv(out / "genes.csv", index_col=0)
    assert genes.loc["AR", "status"] == "not restored: no better than its mean"
    assert genes.loc["AR", "correlation_lower"] < 0
    assert (genes.drop(index="AR")["status"] == "restored").all()
    restored = read(out / "restored.csv").T
    assert restored["AR"].isna().equals(given["AR"].isna())
    assert "1 genes left missing; no better than its mean" in said
    filled, _ = run_impute(tmp_path, "mine.csv", "--fill-all")
    assert read(filled / "restored.csv").notna().all().all()


def test_a_panel_with_other_names_gets_the_other_genes_of_the_reference(tmp_path):
    whole, _ = own_file(tmp_path, n_patients=400)
    whole.iloc[60:].to_csv(tmp_path / "reference.csv")
    panel = with_versions(whole.iloc[:60, :8]).assign(OWNGENE=np.linspace(1, 9, 60).round(3))
    panel.T.to_csv(tmp_path / "mine.csv")
    out, said = run_impute(tmp_path, "mine.csv", "-r", str(tmp_path / "reference.csv"))
    restored = read(out / "restored.csv").T
    assert restored.columns.tolist() == [*panel.columns, *GENES[8:]]
    np.testing.assert_array_equal(restored[panel.columns], panel)
    genes = pd.read_csv(out / "genes.csv", index_col=0)
    assert genes.loc["OWNGENE", "status"] == "as it came: unknown to the reference"
    assert (genes.loc[list(panel.columns[:8]), "status"] == "measured").all()
    assert (genes.loc[GENES[8:], "checked_on"] == "samples of the reference").all()
    assert "2 genes matched under another name" in said
    assert "method: panel" in said
    error = (restored[GENES[8:]] - whole.iloc[:60, 8:]) / whole.iloc[:, 8:].std()
    promised = genes.loc[GENES[8:], "rmse"]
    assert np.sqrt((error**2).mean().mean()) == pytest.approx(np.sqrt((promised**2).mean()), rel=0.15)


def test_an_anndata_file_comes_back_as_one_with_the_errors_in_var(tmp_path):
    _, given = own_file(tmp_path)
    obs = pd.DataFrame({"site": ["a", "b"] * 30}, index=given.index)
    AnnData(given.to_numpy(), obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "mine.h5ad")
    out, _ = run_impute(tmp_path, "mine.h5ad")
    again = read_h5ad(out / "restored.h5ad")
    assert again.obs["site"].tolist() == obs["site"].tolist()
    assert again.var_names.tolist() == GENES
    assert (again.var["status"] == "restored").mean() > 0.8
    measured = given.notna().to_numpy()
    np.testing.assert_allclose(again.X[measured], given.to_numpy()[measured], rtol=1e-6)
    assert np.isfinite(again.X[:, again.var["status"] == "restored"]).all()


def test_the_check_covers_the_error_it_promises():
    """Of 95% intervals of the correlation, over 150 genes and entries that were never seen, most hold."""
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(600, 4)) @ generator.normal(size=(4, 150))
    truth = pd.DataFrame(factors + 2 * generator.normal(size=factors.shape)).add_prefix("G")
    given = holes(truth, 0.3)
    found = restore_matrix(expression(given), method="factors", fill_all=True)
    gaps = given.isna()
    actual = pd.Series({g: np.corrcoef(found.values[g][gaps[g]], truth[g][gaps[g]])[0, 1] for g in truth})
    inside = (actual > found.genes["correlation_lower"]) & (actual < found.genes["correlation_upper"])
    assert inside.mean() > 0.85  # both sides have noise; nominal .95 for the truth


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
            "method must be one of auto, factors.*'magic'",
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
