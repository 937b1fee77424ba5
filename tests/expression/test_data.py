import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
import rdata
from scipy.sparse import csr_matrix

from latentgenomes.expression.data.cohorts import (
    PAIRED_CANCERS,
    PREPARED_MATRIX,
    PREPARED_SAMPLES,
    SURVIVAL_COHORTS,
    ExpressionData,
    detected_everywhere,
    load_mirna,
    load_paired_mrna,
    load_zscores,
    mirna_file,
    one_tumour_each,
    read_mirna_cohort,
)
from latentgenomes.expression.data.gene_names import gene_name_kind
from latentgenomes.expression.data.matrix import (
    align_genes,
    check_expression,
    name_genes,
    read_expression,
)
from latentgenomes.expression.data.outcomes import (
    ENDPOINTS,
    METABRIC_FILE,
    PREPARED_OUTCOMES,
    clean_outcomes,
    load_metabric,
    load_tcga_outcomes,
    read_clinical,
)
from latentgenomes.expression.data.scales import detect_scale

PAIRED_FILES = [f"expression/metagsca/{cancer}.RData" for cancer in PAIRED_CANCERS]
ZSCORE_FILES = [f"expression/porpoise/tcga_{cohort.lower()}_all_clean.csv.zip" for cohort in SURVIVAL_COHORTS]
SYMBOLS = ["TP53", "EGFR", "KRAS", "MYC", "PTEN"]
ENSEMBL = ["ENSG00000141510", "ENSG00000146648", "ENSG00000133703", "ENSG00000136997", "ENSG00000171862"]
ENTREZ = ["7157", "1956", "3845", "4609", "5728"]
ID_TABLE = pd.DataFrame(
    {
        "symbol": SYMBOLS,
        "ensembl_gene_id": ENSEMBL,
        "entrez_id": ENTREZ,
        "prev_symbol": ["P53OLD", None, "KRAS2", None, "BZS|MHAM"],
        "alias_symbol": ["LFS1", "ERBB1|HER1", None, "bHLHe39", "KRAS2"],
    }
)


def matrix(seed=0, n_samples=3, genes=SYMBOLS):
    values = np.random.default_rng(seed).uniform(0.5, 12, size=(n_samples, len(genes)))
    return pd.DataFrame(values, index=[f"P{i}" for i in range(n_samples)], columns=list(genes))


# ---- a reader's own matrix ----------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("in_rows", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_table_is_read_in_either_orientation_with_any_separator(tmp_path, mark, in_rows, zipped):
    table = matrix()
    text = (table.T if in_rows else table).to_csv(sep=mark)
    path = tmp_path / ("m.csv.gz" if zipped else "m.csv")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    data = read_expression(path, genes=SYMBOLS)
    pd.testing.assert_frame_equal(data.values, table.astype(np.float32), check_names=False)
    assert (
        data.notes[0]
        == f"genes in {'rows' if in_rows else 'columns'}: their names are genes of the model or reference"
    )
    assert data.unit == "log2"
    assert "scale found: log2; kept" in data.notes
    assert data.samples["patient"].tolist() == ["P0", "P1", "P2"]


@pytest.mark.parametrize(
    "names",
    [
        ENSEMBL,
        [f"{e}.12" for e in ENSEMBL],
        ENTREZ,
        [f"{s}|{e}" for s, e in zip(SYMBOLS, ENTREZ, strict=True)],
    ],
)
def test_ids_of_any_kind_become_symbols(tmp_path, names):
    table = matrix(n_samples=7).set_axis(
        names, axis=1
    )  # more samples than genes: only the form of the names tells
    table.T.to_csv(tmp_path / "m.tsv", sep="\t")
    orientation = "genes_in_rows" if "|" in names[0] else "auto"
    data = read_expression(tmp_path / "m.tsv", id_table=ID_TABLE, orientation=orientation)
    pd.testing.assert_frame_equal(data.values, matrix(n_samples=7).astype(np.float32), check_names=False)
    kind = gene_name_kind(names)
    assert kind == ("Ensembl" if "ENSG" in names[0] else "Entrez" if names is ENTREZ else "HGNC")
    assert f"gene names found: {kind}" in data.notes


def test_old_symbols_are_replaced_and_a_present_one_is_kept():
    symbols, notes = name_genes(["P53OLD", "HER1", "KRAS2", "MYC", "MHAM", "NOGENE"], id_table=ID_TABLE)
    # KRAS2 is a previous name of KRAS and an alias of PTEN: the previous name wins.
    assert symbols == ["TP53", "EGFR", "KRAS", "MYC", "PTEN", None]
    assert notes[1] == "4 of 6 gene names replaced by HGNC symbols, 1 unknown and left out"
    assert name_genes(["ENSG00000141510.3"])[0] == ["ENSG00000141510"]
    assert name_genes(["hsa-mir-21", "hsa-let-7a-1"], id_table=ID_TABLE)[0] == ["hsa-mir-21", "hsa-let-7a-1"]


def test_the_id_table_may_be_a_file(tmp_path):
    ID_TABLE.to_csv(tmp_path / "hgnc.txt", sep="\t", index=False)
    assert name_genes(ENTREZ, id_table=tmp_path / "hgnc.txt")[0] == SYMBOLS


def test_an_anndata_file_is_read(tmp_path):
    table = matrix().astype(np.float32)
    for stored in (table.to_numpy(), csr_matrix(table.to_numpy())):
        obs, var = pd.DataFrame(index=table.index), pd.DataFrame(index=table.columns)
        anndata.AnnData(stored, obs=obs, var=var).write_h5ad(tmp_path / "m.h5ad")
        again = read_expression(tmp_path / "m.h5ad")
        pd.testing.assert_frame_equal(again.values, table, check_names=False)
        assert again.notes[0] == "values of X"
        assert any(note.startswith("genes in columns: 100% of the columns are") for note in again.notes)
        assert again.samples["patient"].tolist() == list(table.index)


def test_each_scale_is_found_stated_and_brought_to_log2():
    logs = matrix(1, 20)
    linear = 2**logs * 3 - 1
    counts = np.floor(linear * 7)
    scores = (logs - logs.mean()) / logs.std()
    for table, scale in ((logs, "log2"), (linear, "linear"), (counts, "counts"), (scores, "z-score")):
        assert detect_scale(table) == scale
        data = check_expression(table)
        assert any(note.startswith(f"scale found: {scale};") for note in data.notes)
        assert data.unit == ("z-score" if scale == "z-score" else "log2")
    np.testing.assert_allclose(check_expression(linear).values, np.log2(linear + 1), rtol=1e-6)
    per_million = counts.div(counts.sum(axis=1), axis=0) * 1e6
    np.testing.assert_allclose(check_expression(counts).values, np.log2(per_million + 1), rtol=1e-6)
    given = check_expression(counts, scale="linear")
    np.testing.assert_allclose(given.values, np.log2(counts + 1), rtol=1e-6)
    assert "scale given: linear; log2(x + 1) taken" in given.notes


def test_what_cannot_be_used_is_left_out_and_counted():
    table = matrix(2, 6)
    table["EMPTY"] = np.nan
    table["CONSTANT"] = 4.0
    table.loc["P3"] = np.nan
    table.insert(0, "twice", table["TP53"] - 0.1)
    table = table.rename(columns={"twice": "TP53"})
    before = table.copy()
    data = check_expression(table)
    pd.testing.assert_frame_equal(table, before)
    assert sorted(data.values.columns) == sorted(SYMBOLS)
    assert "P3" not in data.values.index
    np.testing.assert_allclose(data.values["TP53"], before.iloc[:, 1].drop("P3"), rtol=1e-6)
    assert data.notes[:4] == (
        "1 of 8 genes left out: copies with a lower mean ('TP53')",
        "1 of 8 genes left out: missing in every sample ('EMPTY')",
        "1 of 8 genes left out: constant ('CONSTANT')",
        "1 of 6 samples left out: every gene missing ('P3')",
    )
    # Of a single sample every gene is constant, and kept.
    assert check_expression(matrix(0, 1)).values.shape == (1, 5)


def test_genes_of_the_model_that_are_absent_become_nan_and_others_go():
    data = check_expression(matrix(3))
    aligned = align_genes(data, ["PTEN", "NEW", "TP53"])
    assert list(aligned.values.columns) == ["PTEN", "NEW", "TP53"]
    assert aligned.values["NEW"].isna().all()
    np.testing.assert_array_equal(aligned.values["TP53"], data.values["TP53"])
    assert aligned.notes[-2:] == (
        "3 of 5 genes left out: unknown to the model",
        "1 of the model's 3 genes are not in the data and are NaN",
    )


def write(tmp_path, text, name="m.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "g,P0,P1\nTP53,1,high\nMYC,2,3\n",
            "numbers beside the names, but 'high' stands in row 'TP53', column 'P1'",
        ),
        ("g,P0,P0\nTP53,1,2\nMYC,2,3\n", "Every sample must come once, but 1 come again: 'P0'"),
        (
            "g,P0,P1\nTP53,1,inf\nMYC,2,3\n",
            "finite, but 1 values are not; the first is of sample 'P1', gene 'TP53'",
        ),
        ("g,P0,P1\nTP53,1,1\nMYC,2,2\n", "nothing is left: 2 of 2 genes left out: constant"),
        (
            "g,P0,P1\nTP53,-90,1\nMYC,2,95\n",
            "logarithms, z-scores or amounts >= 0, but the values reach from -90 to 95",
        ),
        ("", "must be a readable text table"),
        ("g\nTP53\n", r"at least one sample and one gene, but its shape is \(0, 1\)"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_expression(write(tmp_path, text), orientation="genes_in_rows")


def test_other_bad_calls_are_refused(tmp_path):
    path = write(tmp_path, matrix().to_csv())
    with pytest.raises(FileNotFoundError, match="path must be a file, but there is none at"):
        read_expression(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match=r"orientation must be 'auto', .* but it is 'rows'"):
        read_expression(path, orientation="rows")
    with pytest.raises(ValueError, match=r"scale must be one of auto, z-score, .* but it is 'raw'"):
        read_expression(path, scale="raw")
    with pytest.raises(
        ValueError, match="none of its 5 is among the 1; the data has HGNC names, the model Ensembl names"
    ):
        read_expression(path, genes=["ENSG00000139618"], orientation="genes_in_columns")
    with pytest.raises(ValueError, match="genes must name every gene once, but 1 come again: 'TP53'"):
        align_genes(check_expression(matrix()), ["TP53", "TP53"])
    with pytest.raises(
        ValueError, match="id_table must have the columns of HGNC's complete set, but 'entrez_id'"
    ):
        name_genes(ENTREZ, id_table=ID_TABLE.drop(columns="entrez_id"))
    with pytest.raises(ValueError, match="Values on the linear scale must be >= 0, but the smallest is -1"):
        check_expression(pd.DataFrame([[-1.0, 90.0], [2.0, 3.0]]), scale="linear")


# ---- selecting ----------------------------------------------------------------------------------


def tumours():
    barcodes = [
        "TCGA-AA-0001-01A-11R-A000-13", "TCGA-AA-0001-06A-11R-A000-13", "TCGA-AA-0001-11A-11R-A000-13",
        "TCGA-AA-0002-06A-11R-A000-13", "TCGA-AA-0003-01A-11R-A000-13", "TCGA-AA-0003-01A-11R-B000-13",
    ]  # fmt: skip
    samples = pd.DataFrame({"barcode": barcodes}, index=barcodes)
    samples["patient"] = samples["barcode"].str[:12]
    samples["sample_type"] = samples["barcode"].str[13:15].astype(int)
    samples["platform"] = ["HiSeq", "HiSeq", "HiSeq", "GA", "GA", "HiSeq"]
    samples["cohort"] = "SKCM"
    values = pd.DataFrame(np.arange(18.0).reshape(6, 3), index=barcodes, columns=list("abc"))
    return ExpressionData(values, samples, "log2")


def test_one_tumour_each_takes_primary_first_and_the_newer_platform():
    chosen = one_tumour_each(tumours())
    assert list(chosen.values.index.str[8:21]) == ["0001-01A-11R-", "0002-06A-11R-", "0003-01A-11R-"]
    assert chosen.values.index[2].endswith("B000-13")
    assert chosen.notes == (
        "1 of 6 samples left out: normal tissue, or cohort FPPP",
        "2 of 5 samples left out: not a patient's first tumour",
    )
    with pytest.raises(ValueError, match="At least one sample must be left, but all 6 go: test"):
        tumours().select(pd.Series(False, index=tumours().values.index), "test")


def test_detected_everywhere_counts_what_goes():
    data = tumours()
    values = data.values.copy()
    values["b"], values.loc[values.index[0], "c"] = 0.0, np.nan
    kept = detected_everywhere(ExpressionData(values, data.samples, "log2"), min_detected=0.5)
    assert list(kept.values.columns) == ["a"]
    assert kept.notes == (
        "1 of 3 genes left out: not measured in every sample",
        "1 of 3 genes left out: seen in less than 50% of samples",
    )
    with pytest.raises(ValueError, match="of 2 genes none is"):
        detected_everywhere(ExpressionData(values[["b", "c"]], data.samples, "log2"))


# ---- outcomes -----------------------------------------------------------------------------------


def outcomes(n=30):
    return pd.DataFrame(
        {"time": np.arange(n) + 0.0, "event": np.arange(n) % 2 + 0.0}, index=[f"P{i}" for i in range(n)]
    )


def test_patients_without_outcome_are_left_out_and_counted_once():
    table = outcomes()
    table.loc["P1", "time"] = np.nan
    table.loc["P2", ["time", "event"]] = np.nan
    table.loc["P3", "event"] = np.nan
    cleaned = clean_outcomes(table)
    assert cleaned.excluded.to_dict() == {"no time": 2, "no event status": 1}
    assert len(cleaned.table) == 27
    assert "P0" in cleaned.table.index  # a time of 0 stays
    assert cleaned.table["event"].dtype == np.int64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="event"), "columns 'time' and 'event', but 'event' is not among 'time'"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "one row a patient, but 1 come again: 'P0'"),
        (
            lambda t: t.assign(time=t["time"].mask(t.index == "P4", -3)),
            "times must be finite days >= 0, but 1 of 30 are not; the first is -3 of patient 'P4'",
        ),
        (lambda t: t.assign(time=np.inf), "times must be finite days >= 0, but 30 of 30"),
        (
            lambda t: t.assign(event=2),
            r"events must be 1 \(seen\) or 0 \(censored\), but 30 of 30 are not; the first is 2",
        ),
        (lambda t: t.assign(event=0), "at least one event, but none of the 30 usable patients has one"),
        (lambda t: t.iloc[:10], "20 patients and 5 events to be split, but it has 10 patients and 5 events"),
        (lambda t: t.assign(event=(t.index == "P1") * 1), "but it has 30 patients and 1 events"),
    ],
)
def test_outcomes_that_cannot_be_analysed_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        clean_outcomes(change(outcomes()))


def test_the_clinical_r_file_is_read_by_column_name(tmp_path):
    n = 4
    columns = {
        "acronym": ["ACC"] * n,
        "bcr_patient_barcode": [f"TCGA-AA-000{i}" for i in range(n)],
        "gender": ["FEMALE", "MALE", "FEMALE", "MALE"],
        "other": np.arange(n),
        "age_at_initial_pathologic_diagnosis": np.array([50.0, np.nan, 60.0, 70.0]),
    }
    for endpoint in ENDPOINTS:
        columns[endpoint] = np.array([1.0, 0.0, np.nan, 1.0])
        columns[f"{endpoint}.time"] = np.array([10.0, 20.0, np.nan, 0.0])
    rdata.write_rda(tmp_path / "dat.RData", {"dat": pd.DataFrame(columns)})
    table = read_clinical(tmp_path / "dat.RData")
    assert table["patient"].tolist() == columns["bcr_patient_barcode"]
    assert table["gender"].tolist() == columns["gender"]
    np.testing.assert_array_equal(table["age"].astype(float), columns["age_at_initial_pathologic_diagnosis"])
    np.testing.assert_array_equal(table["PFI.time"].astype(float), [10, 20, np.nan, 0])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"cohorts must be of ACC, .*, but 'XYZ' came"):
        load_mirna(["ACC", "XYZ"])
    with pytest.raises(ValueError, match=r"cancers must be of BRCA, .*, but none came"):
        load_paired_mrna([])
    with pytest.raises(ValueError, match=r"cohort must be of BLCA, .*, but 'brca' came"):
        load_zscores("brca")
    with pytest.raises(ValueError, match="endpoint must be one of OS, DSS, DFI, PFI, but it is 'DFS'"):
        load_tcga_outcomes("DFS")


# ---- real data ----------------------------------------------------------------------------------


@pytest.mark.real_data(
    PREPARED_MATRIX, PREPARED_SAMPLES, mirna_file("GBM"), mirna_file("CHOL"), PREPARED_OUTCOMES
)
def test_converting_two_small_cohorts_gives_the_prepared_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTGENOMES_DATA", str(tmp_path))
    converted = load_mirna(["CHOL", "GBM"], convert=True)
    prepared = load_mirna(["CHOL", "GBM"])
    assert converted.values.shape == (50, 1046)
    order = prepared.values.index
    pd.testing.assert_frame_equal(converted.values.loc[order, prepared.values.columns], prepared.values)
    columns = ["platform", "cohort", "patient", "sample_type"]
    pd.testing.assert_frame_equal(converted.samples.loc[order, columns], prepared.samples[columns])
    # The second time it comes from the cache, without reading R files.
    monkeypatch.setattr("latentgenomes.expression.data.cohorts.read_mirna_cohort", None)
    pd.testing.assert_frame_equal(load_mirna(["CHOL", "GBM"], convert=True).values, converted.values)
    assert [path.name for path in (tmp_path / "converted").iterdir()] == ["mirna-1-CHOL-GBM.npz"]


@pytest.mark.real_data(mirna_file("GBM"))
def test_our_reading_of_an_r_factor_is_rdatas(tmp_path):
    from latentgenomes.core.registry import fetch

    path = fetch(mirna_file("GBM"))
    values, samples = read_mirna_cohort(path)
    theirs = rdata.read_rda(path)["GBM.miRNASeq"]
    rows = theirs[theirs["miRNA_ID"] == "reads_per_million_miRNA_mapped"]
    assert samples["barcode"].tolist() == [name[:28] for name in rows.index]
    for gene in ("hsa-let-7a-1", "hsa-mir-21", "hsa-mir-99b"):
        expected = np.log2(rows[gene].astype(str).astype(float) + 1)
        np.testing.assert_allclose(values[gene], expected, atol=1 / 128)


@pytest.mark.real_data(PREPARED_MATRIX, PREPARED_SAMPLES, PREPARED_OUTCOMES)
def test_mirna_has_the_published_size():
    data = load_mirna()
    assert data.values.shape == (10_916, 1_071)
    assert data.values.index.is_unique
    assert data.values.notna().all().sum() == 680
    tumour = one_tumour_each(data)
    assert len(tumour.values) == 10_133
    assert tumour.samples["patient"].is_unique
    assert tumour.samples["cohort"].nunique() == 32
    assert detected_everywhere(tumour).values.shape == (10_133, 514)
    assert set(data.samples["platform"]) == {"GA", "HiSeq"}
    twins = data.samples[data.samples["cohort"] == "KIRP"].groupby("barcode")["platform"].nunique()
    assert (twins == 2).sum() == 16  # the same RNA on both platforms


@pytest.mark.real_data(*PAIRED_FILES)
def test_paired_mrna_has_the_published_size_and_one_floor():
    data = load_paired_mrna()
    assert data.values.shape == (1_204, 3_556)
    assert data.values.notna().all(axis=None)
    assert data.values.min().min() == -2
    assert "944 values that are NaN and 1564 below -2 set to -2" in data.notes
    pairs = data.samples.groupby("patient")["is_tumour"].agg(["sum", "size"])
    assert len(pairs) == 602
    assert (pairs["sum"] == 1).all()
    assert (pairs["size"] == 2).all()


@pytest.mark.real_data(*ZSCORE_FILES)
def test_zscores_have_the_published_patients_and_deaths():
    found = {cohort: load_zscores(cohort) for cohort in SURVIVAL_COHORTS}
    assert sum(len(data.values) for data in found.values()) == 5_240
    assert sum(data.samples["event"].sum() for data in found.values()) == 1_680
    genes = [set(data.values.columns) for data in found.values()]
    assert (len(set.intersection(*genes)), len(set.union(*genes))) == (1_526, 1_608)
    for data in found.values():
        assert data.values.abs().max().max() <= 5
        assert data.samples["patient"].is_unique
        clean_outcomes(data.samples)


@pytest.mark.real_data(PREPARED_OUTCOMES, METABRIC_FILE)
def test_outcome_tables_have_the_published_size():
    table = load_tcga_outcomes("PFI")
    assert len(table) == 11_165
    assert table["cancer"].nunique() == 32
    assert table["cancer"].isna().sum() == 209
    assert clean_outcomes(table).excluded["no time"] > 0
    metabric = load_metabric()
    assert len(metabric) == 1_904
    assert metabric["event"].sum() == 1_103
    assert (metabric["part"] == "train").sum() == 1_523
    clean_outcomes(metabric)
