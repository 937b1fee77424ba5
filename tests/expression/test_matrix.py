"""A reader's own matrix: which way round, which genes, which scale, and the way back."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from latentgenomes.expression.data.files import read_text, write_like
from latentgenomes.expression.data.gene_names import dates, gene_list, genes_in_rows, kinds, present_symbols
from latentgenomes.expression.data.matrix import align_genes, match_genes, read_expression, read_own
from latentgenomes.expression.data.scales import Measure, detect_scale, sample_sizes

GENES = [
    "TP53", "BRCA1", "BRCA2", "EGFR", "MYC", "KRAS", "PTEN", "RB1", "CDKN2A", "ATM",
    "VHL", "PBRM1", "ERBB2", "ESR1", "GATA3", "AR", "KLK3", "CD8A", "CD4", "FOXP3",
]  # fmt: skip
PATIENTS = [f"TCGA-ZZ-{number:04d}" for number in range(1, 61)]


def table(seed=0, genes=GENES, patients=PATIENTS, gaps=0.1):
    generator = np.random.default_rng(seed)
    factor = generator.normal(size=(len(patients), 2)) @ generator.normal(size=(2, len(genes)))
    values = 6 + factor + 0.4 * generator.normal(size=factor.shape)
    hidden = generator.uniform(size=values.shape) < gaps
    return pd.DataFrame(np.where(hidden, np.nan, values.round(4)), index=patients, columns=genes)


def written(tmp_path, frame, name="m.csv", **options):
    frame.to_csv(tmp_path / name, **options)
    return tmp_path / name


# ---- which way round ----------------------------------------------------------------------------


@pytest.mark.parametrize("in_rows", [True, False])
@pytest.mark.parametrize(
    "names",
    [
        GENES,
        [name.lower() for name in GENES],
        [f"hsa-miR-{number}-5p" for number in range(20)],
        [f"ENSG{141510 + number:011d}.{number}" for number in range(20)],
        ["7157", "672", "675", "1956", "4609", "3845", "5728", "5925", "1029", "472"],
        ["1-Mar", "2-Sep", "3-Mar", *GENES[:7]],
    ],
)
def test_genes_are_found_by_name_also_among_more_patients(tmp_path, names, in_rows):
    frame = table(genes=names)
    path = written(tmp_path, frame.T if in_rows else frame)
    data = read_expression(path, scale="log2")
    assert data.values.shape == (60, len(names))
    assert data.values.index[0] == "TCGA-ZZ-0001"
    assert data.notes[0].startswith(f"genes in {'rows' if in_rows else 'columns'}: 100% of the")


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (["a", "b", "c"], ["d", "e"]),
        (GENES, GENES),
        ([str(number) for number in range(1, 40)], [str(number) for number in range(1, 9)]),
        (PATIENTS, [f"patient {number}" for number in range(5)]),
    ],
)
def test_names_that_do_not_tell_are_refused_with_the_option(rows, columns):
    with pytest.raises(
        ValueError, match=r"names do not tell.* --orientation genes_in_rows or genes_in_columns"
    ):
        genes_in_rows(rows, columns)


def test_unknown_names_beside_patients_are_genes_and_numbers_in_a_row_are_none():
    unknown = [f"probe{number}x" for number in range(5)]
    assert genes_in_rows(unknown, PATIENTS) == (
        True,
        "the columns are patients ('TCGA-ZZ-0001', 'TCGA-ZZ-0002')",
    )
    assert genes_in_rows(PATIENTS, unknown)[0] is False
    assert set(kinds([str(number) for number in range(1, 30)])) == {"unknown"}
    assert kinds(["GSM1234567", "P1", "S12", "MB-0001"]) == ["patient"] * 4
    assert kinds(["TP53|7157", "SEPT2", "HER2", "nonsense"]) == ["pair", "old symbol", "alias", "unknown"]


def test_the_orientation_that_is_given_wins(tmp_path):
    path = written(tmp_path, table())
    data = read_expression(path, orientation="genes_in_rows")
    assert data.values.shape == (20, 60)
    assert data.notes[0] == "genes in rows: as given"


# ---- names --------------------------------------------------------------------------------------


def test_every_name_of_a_gene_leads_to_its_present_symbol():
    names = ["TP53", "ENSG00000141510.18", "7157", "TP53|7157", "tp53", "SEPT2", "2-Sep", "HER2", "nonsense"]
    expected = ["TP53"] * 5 + ["SEPTIN2", "SEPTIN2", "ERBB2", None]
    assert present_symbols(names) == expected
    known = gene_list()
    assert len(known.symbols) > 40_000
    assert known.previous["MARCH1"] == "MARCHF1"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("1-Mar", ["MARCHF1", "MTARC1"]),
        ("Sep-02", ["SEPTIN2"]),
        ("02-Sep", ["SEPTIN2"]),
        ("2023-09-02", ["SEPTIN2"]),
        ("2023-09-02 00:00:00", ["SEPTIN2"]),
        ("1-Dec", ["DELEC1"]),
        ("15-Sep", ["SELENOF"]),
        ("30-Feb", []),
        ("HLA-A", []),
        ("SEPT2", []),
    ],
)
def test_dates_are_told_with_the_genes_that_they_were(name, meant):
    assert dates(name) == meant


def test_dates_copies_and_unknown_names_are_said_by_name(tmp_path):
    frame = table(
        genes=["1-Mar", "2-Sep", "TP53", "ENSG00000141510.18", "BRCA1", "BRCA1", "myprobe", *GENES[4:]]
    )
    notes = " ".join(read_expression(written(tmp_path, frame)).notes)
    assert (
        "2 names are dates that a spreadsheet made of genes: 1-Mar (MARCHF1 or MTARC1), 2-Sep (SEPTIN2)"
        in notes
    )
    assert "1 of 23 names are no known human gene: myprobe" in notes
    assert "2 of 23 genes left out: copies with a lower mean" in notes


def test_genes_match_under_any_of_their_names_and_only_once():
    ours = ["SEPT2", "ENSG00000141510.18", "675", "BRCA1", "HER2", "mine"]
    theirs = ["ERBB2", "BRCA2", "SEPTIN2", "TP53", "BRCA1", "TP53|7157", "VHL", "mine"]
    assert match_genes(ours, theirs).tolist() == [4, 2, 0, 1, 3, -1, -1, 5]


def test_a_model_with_present_symbols_takes_ensembl_ids_with_versions(tmp_path):
    frame = table(genes=["ENSG00000141510.18", "ENSG00000012048.23", *GENES[2:]])
    data = read_expression(written(tmp_path, frame))
    aligned = align_genes(data, GENES)
    np.testing.assert_array_equal(aligned.values, data.values)
    assert any(
        "2 genes matched under another name: 'ENSG00000141510 = TP53'" in note for note in aligned.notes
    )


# ---- scales -------------------------------------------------------------------------------------


def test_log2_tpm_plus_a_little_is_brought_to_log2_of_plus_one_and_back():
    tpm = np.where(np.random.default_rng(0).uniform(size=(60, 20)) < 0.4, 0, 2 ** table(gaps=0).to_numpy())
    frame = pd.DataFrame(np.log2(tpm + 0.001))
    assert detect_scale(frame) == "log2 + c"
    found = Measure("log2 + c", pseudocount=0.001)
    np.testing.assert_allclose(found.inward(frame.to_numpy()), np.log2(tpm + 1), atol=1e-9)
    np.testing.assert_allclose(found.outward(found.inward(frame.to_numpy())), frame, atol=1e-6)


def test_clipped_scores_and_a_floor_of_another_kind_stay_as_they_are():
    scores = np.clip(np.random.default_rng(0).normal(size=(60, 20)) * 3, -5, 5)
    assert detect_scale(pd.DataFrame(scores)) == "z-score"
    assert detect_scale(pd.DataFrame(np.maximum(table(gaps=0).to_numpy() - 4, -2))) in ("log2", "z-score")


def test_sizes_of_samples_do_not_see_which_genes_have_gaps():
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(200))
    sizes = generator.uniform(1e5, 1e6, size=80)
    counts = generator.poisson(sizes[:, None] * shares).astype(float)
    np.testing.assert_allclose(sample_sizes(counts), counts.sum(axis=1))
    gaps = np.where(generator.uniform(size=counts.shape) < 0.3, np.nan, counts)
    error = sample_sizes(gaps) / counts.sum(axis=1) - 1
    naive = np.nansum(gaps, axis=1) / counts.sum(axis=1) - 1
    assert np.abs(error).mean() < 0.01  # 200 genes, a standard error of .2% a sample
    assert np.abs(naive).mean() > 0.2


def test_whole_small_numbers_are_counts():
    assert (
        detect_scale(pd.DataFrame(np.random.default_rng(0).poisson(2, size=(60, 20)).astype(float)))
        == "counts"
    )


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.csv.gz", "m.txt"])
@pytest.mark.parametrize("in_rows", [True, False])
def test_a_table_is_written_back_as_it_was(tmp_path, name, in_rows):
    frame = table(gaps=0.2)
    mark = "," if "csv" in name else "\t"
    path = written(tmp_path, frame.T if in_rows else frame, name, sep=mark, index_label="gene")
    own = read_own(path)
    target = write_like(own.table, own.form, tmp_path, "again", pd.DataFrame(index=own.table.columns))
    assert target.name == f"again{name[1:]}"
    pd.testing.assert_frame_equal(read_text(path)[0], read_text(target)[0], check_exact=True)


@pytest.mark.parametrize("in_rows", [True, False])
def test_a_large_table_is_read_in_parts_alike(tmp_path, monkeypatch, in_rows):
    frame = table(genes=[*GENES[:-1], "TP53"])
    path = written(tmp_path, frame.T if in_rows else frame, index_label="gene")
    whole = read_text(path)
    monkeypatch.setattr("latentgenomes.expression.data.files._LARGE", 1)
    monkeypatch.setattr("latentgenomes.expression.data.files._CELLS", 100)
    parts = read_text(path, np.float32)
    assert parts[1:] == whole[1:] == (",", "gene")
    pd.testing.assert_frame_equal(parts[0], whole[0].astype(np.float32))
    path.write_text(
        path.read_text().replace("TCGA-ZZ-0050,", "TCGA-ZZ-0050,x") if not in_rows else "g,a\nTP53,x\n"
    )
    with pytest.raises(ValueError, match="must hold numbers beside the names, but column"):
        read_text(path)


def test_an_anndata_file_with_layers_says_which_it_reads(tmp_path):
    frame = table(gaps=0).abs()
    counts = np.floor(2**frame)
    whole = anndata.AnnData(
        frame.to_numpy(dtype=np.float32),
        obs=pd.DataFrame(index=frame.index),
        var=pd.DataFrame(index=frame.columns),
    )
    whole.layers["counts"] = csr_matrix(counts.to_numpy())
    whole.write_h5ad(tmp_path / "m.h5ad")
    assert read_expression(tmp_path / "m.h5ad").notes[0] == "values of X; other layers, not read: counts"
    data = read_expression(tmp_path / "m.h5ad", layer="counts")
    assert any(note.startswith("scale found: counts") for note in data.notes)
    assert any("measured zeros, not gaps" in note for note in data.notes)
    with pytest.raises(ValueError, match="must have the layer 'raw', but it has 'counts'"):
        read_expression(tmp_path / "m.h5ad", layer="raw")
    with pytest.raises(ValueError, match="Only an AnnData file has layers"):
        read_expression(written(tmp_path, frame), layer="counts")


def test_an_anndata_file_with_ids_in_a_column_or_lying_on_its_side(tmp_path):
    frame = table(gaps=0)
    var = pd.DataFrame({"symbol": GENES}, index=[f"feature {letter}" for letter in "abcdefghijklmnopqrst"])
    anndata.AnnData(frame.to_numpy(), obs=pd.DataFrame(index=PATIENTS), var=var).write_h5ad(
        tmp_path / "m.h5ad"
    )
    data = read_expression(tmp_path / "m.h5ad")
    assert list(data.values.columns) == GENES
    assert "names of the genes from the column 'symbol' of var" in data.notes
    turned = anndata.AnnData(
        frame.T.to_numpy(), obs=pd.DataFrame(index=GENES), var=pd.DataFrame(index=PATIENTS)
    )
    turned.write_h5ad(tmp_path / "t.h5ad")
    assert list(read_expression(tmp_path / "t.h5ad").values.columns) == GENES


def test_a_file_without_x_names_its_layers(tmp_path):
    whole = anndata.AnnData(obs=pd.DataFrame(index=PATIENTS), var=pd.DataFrame(index=GENES))
    whole.layers["tpm"] = table(gaps=0).to_numpy()
    whole.write_h5ad(tmp_path / "m.h5ad")
    with pytest.raises(ValueError, match=r"has no X; its layers are 'tpm'. Pass one"):
        read_expression(tmp_path / "m.h5ad")
