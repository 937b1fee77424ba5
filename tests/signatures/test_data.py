import gzip
import importlib.util
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import CHANNELS, DBS78, ID83, SBS96, SBS96_BY_SUBSTITUTION
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.pcawg import PCAWG_FILES, SAMPLE_SHEET, load_pcawg
from latentgenomes.signatures.data.published import (
    BREAST192_FILES,
    load_breast192,
    load_islam,
    load_synsig,
)

needs_cosmic = pytest.mark.skipif(
    importlib.util.find_spec("SigProfilerAssignment") is None, reason="SigProfilerAssignment is not installed"
)


def counts_frame(context="SBS96", n_samples=4, seed=0):
    counts = np.random.default_rng(seed).poisson(3, size=(n_samples, len(CHANNELS[context]))) + 1
    return pd.DataFrame(counts, index=[f"P{i}" for i in range(n_samples)], columns=list(CHANNELS[context]))


def columns_of(label, context):
    """How the tables of PCAWG spread a name over columns."""
    if context == "SBS96":
        return label[2:5], label[0] + label[2] + label[6]
    if context == "DBS78":
        return tuple(label.split(">"))
    size, kind, motif, number = label.split(":")
    more = {"5": "5+"}
    return (
        kind.upper(),
        {"R": "repeats", "M": "MH"}.get(motif, motif),
        more.get(size, size),
        more.get(number, number),
    )


COLUMN_NAMES = {
    "SBS96": ["Mutation type", "Trinucleotide"],
    "DBS78": ["Ref", "Var"],
    "ID83": ["Type", "Subtype", "Indel_size", "Repeat_MH_size"],
}
SPELLINGS = {
    "bracket": lambda c: c,
    "comma": lambda c: f"{c[2:5]},{c[0]}{c[2]}{c[6]}",
    "colon": lambda c: f"{c[2:5]}:{c[0]}{c[2]}{c[6]}",
    "space": lambda c: f"{c[2:5]} {c[0]}{c[2]}{c[6]}",
    "short": lambda c: f"{c[0]}{c[2]}{c[6]}>{c[4]}",
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.data())
def test_round_trip_in_any_orientation_order_separator_and_spelling(tmp_path, data):
    frame = counts_frame(n_samples=data.draw(st.integers(1, 4)))
    spelling = SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))]
    table = frame.sample(frac=1, axis=1, random_state=data.draw(st.integers(0, 9))).rename(columns=spelling)
    in_rows = data.draw(st.booleans())
    path = tmp_path / "table.txt"
    (table.T if in_rows else table).to_csv(path, sep=data.draw(st.sampled_from(",\t;")))
    pd.testing.assert_frame_equal(read_catalog(path), frame)
    stated = "channels_in_rows" if in_rows else "channels_in_columns"
    pd.testing.assert_frame_equal(read_catalog(str(path), orientation=stated), frame)


@pytest.mark.parametrize("context", ["SBS96", "DBS78", "ID83"])
def test_names_spread_over_columns(tmp_path, context):
    frame = counts_frame(context)
    table = frame.T.reset_index(drop=True)
    parts = pd.DataFrame([columns_of(c, context) for c in frame.columns], columns=COLUMN_NAMES[context])
    pd.concat([parts, table], axis=1).to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", context=context), frame)


@pytest.mark.parametrize("context", CHANNELS)
def test_sigprofiler_all_file(tmp_path, context):
    frame = counts_frame(context)
    frame.T.to_csv(tmp_path / "x.all", sep="\t", index_label="MutationType")
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "x.all", context=context), frame)


def test_forms_that_programs_write(tmp_path):
    frame = counts_frame()
    path = tmp_path / "t.csv"
    table = frame.T.set_axis([f"{c[2:5]},{c[0]}{c[2]}{c[6]}" for c in frame.columns])
    path.write_text(table.to_csv(index_label="Type").replace('"', ""))  # a comma that nobody quoted
    pd.testing.assert_frame_equal(read_catalog(path), frame)
    frame.to_csv(path, index=False)  # no sample names
    pd.testing.assert_frame_equal(read_catalog(path), frame.set_axis([f"sample_{i}" for i in range(1, 5)]))
    lines = frame.T.to_csv(sep="\t").splitlines()
    path.write_text("\n".join([lines[0].lstrip("\t"), *lines[1:]]))  # R's write.table: no corner
    pd.testing.assert_frame_equal(read_catalog(path), frame)
    path.write_bytes(b"\xef\xbb\xbf" + frame.T.to_csv(lineterminator="\r\n").encode() + b"\r\n\r\n")  # Excel
    pd.testing.assert_frame_equal(read_catalog(path), frame)
    frame.astype(float).to_csv(path)
    assert (read_catalog(path).dtypes == np.int64).all()
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(frame.to_csv().encode()))
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv.gz"), frame)


def edited(**cells):
    frame = counts_frame().astype(object)
    for place, value in cells.items():
        frame.loc[place, "A[C>A]C"] = value
    return frame


BAD_TABLES = {
    "missing": (
        lambda f: f.drop(columns=["A[C>A]A", "T[T>G]T"]),
        r"all 96 SBS96 channels, but 2 are missing: 'A\[C>A\]A', 'T\[T>G\]T'\. Add them",
    ),
    "unknown": (
        lambda f: f.rename(columns={"A[C>A]A": "A[C>A]AA"}),
        r"1 of 96 names are unknown: 'A\[C>A\]AA'\. Did you mean 'A\[C>A\]A'",
    ),
    "both strands": (
        lambda f: f.assign(**{"A[G>T]T": 1}),
        r"channel once, but 1 come again: .* \('A\[C>A\]T' and 'A\[G>T\]T' are one channel\)",
    ),
    "extra": (
        lambda f: f.assign(xxxxxxxxx=1),
        r"1 of 97 names are unknown: 'xxxxxxxxx'\. Remove what is not",
    ),
    "twice": (
        lambda f: f.assign(**{"ACA>A": 1}),
        r"channel once, but 1 come again: 'A\[C>A\]A'\. Add their counts",
    ),
    "samples": (
        lambda f: f.set_axis(["a", "b", "a", "c"]),
        r"every sample once, but 1 of 3 names come again: 'a'",
    ),
    "nameless": (
        lambda f: f.set_axis(["a", "", "c", "d"]),
        r"name every sample, but 1 of 4 have no name; the first is sample 2",
    ),
    "empty": (
        lambda f: f * np.array([[1], [0], [1], [0]]),
        r"but 2 of 4 samples are empty: 'P1', 'P3'",
    ),
    "negative": (
        lambda f: edited(P2=-3),
        r"counts >= 0, but 1 of 384 .* first is -3 at row 'P2', column 'A\[C>A\]C'",
    ),
    "fraction": (lambda f: edited(P2=0.5), r"whole counts, but 1 of 384 .* first is 0\.5 at row 'P2'"),
    "nan": (lambda f: edited(P2="NA", P3=""), r"finite counts, but 2 of 384 .* Write 0 where no mutation"),
    "text": (
        lambda f: edited(P2="1'000", P1="NA"),
        r"none is \"1'000\" for sample 'P2', channel 'A\[C>A\]C'",
    ),
    "elsewhere": (
        lambda f: f.set_axis(range(96), axis=1),
        r"channels such as 'A\[C>A\]A', but none stands in its first row or first column",
    ),
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("case", BAD_TABLES)
def test_refused_tables(tmp_path, case, transposed):
    change, message = BAD_TABLES[case]
    frame = pd.DataFrame(change(counts_frame()))
    (frame.T if transposed else frame).to_csv(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match=r"^mine\.csv must .*" + message):
        read_catalog(tmp_path / "mine.csv")


def test_refused_files(tmp_path):
    path = tmp_path / "t.csv"
    counts_frame().iloc[:0].to_csv(path)
    with pytest.raises(ValueError, match="must hold a header and at least one row, but it has 1 row"):
        read_catalog(path)
    counts_frame().iloc[:0].T.to_csv(path)
    with pytest.raises(ValueError, match=r"t\.csv must hold at least one sample, but it holds none"):
        read_catalog(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"path must be a file, but there is none at .*t\.csv"):
        read_catalog(path)
    path.write_text(" \n")
    with pytest.raises(ValueError, match=r"t\.csv must hold a table, but it is empty"):
        read_catalog(path)
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(ValueError, match=r"must be a readable text table .* Export it as CSV or TSV"):
        read_catalog(path)
    path.write_bytes(b"a,b\0\n")
    with pytest.raises(ValueError, match="but it holds zero bytes"):
        read_catalog(path)
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"a" * 1000)[:-12])
    with pytest.raises(ValueError, match="must be a readable text table"):
        read_catalog(tmp_path / "t.gz")
    text = counts_frame().T.to_csv()
    path.write_text(text[: len(text) // 2].rstrip("0123456789\n") + "\n")
    with pytest.raises(
        ValueError, match=r"5 cells in every row, but row \d+ has \d\. The file may be cut off"
    ):
        read_catalog(path)


def test_refused_arguments(tmp_path):
    path = tmp_path / "t.csv"
    counts_frame().to_csv(path)
    with pytest.raises(ValueError, match="context must be one of SBS96"):
        read_catalog(path, context="SBS")
    with pytest.raises(ValueError, match=r"orientation must be 'auto', .* but it is 'rows'"):
        read_catalog(path, orientation="rows")
    with pytest.raises(ValueError, match="none stands in its first column"):
        read_catalog(path, orientation="channels_in_rows")
    with pytest.raises(ValueError, match="none stands in its first row; the first"):
        read_catalog(path, context="ID83", orientation="channels_in_columns")


def test_empty_samples_can_be_kept_or_dropped(tmp_path):
    frame = counts_frame() * np.array([[1], [0], [1], [1]])
    frame.to_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", on_empty="keep"), frame)
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", on_empty="drop"), frame.drop("P1"))


@needs_cosmic
@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (86, 96)),
        ({"version": "3", "genome": "GRCh38", "exome": True}, (67, 96)),
        ({"context": "ID83"}, (23, 83)),
        ({"context": "DBS78"}, (20, 78)),
        ({"context": "CN48"}, (25, 48)),
        ({"context": "SV32", "genome": "GRCh38"}, (10, 32)),
    ],
)
def test_cosmic_tables_are_distributions_in_catalogue_order(arguments, shape):
    table = cosmic_signatures(**arguments)
    assert table.shape == shape
    assert tuple(table.columns) == CHANNELS[arguments.get("context", "SBS96")]
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-12)
    assert (table >= 0).all(axis=None)
    assert table.index.is_unique


@needs_cosmic
def test_cosmic_golden_values():
    # COSMIC v3.4, GRCh37: SBS1 is C>T at CpG, SBS2 is C>T and SBS13 C>G after T.
    table = cosmic_signatures()
    assert table.loc["SBS1"].nlargest(4).index.tolist() == ["A[C>T]G", "G[C>T]G", "C[C>T]G", "T[C>T]G"]
    assert table.loc["SBS1", "A[C>T]G"] == pytest.approx(0.36506483, rel=1e-6)
    assert table.loc["SBS2"].idxmax() == "T[C>T]A"
    assert table.loc["SBS13"].idxmax() == "T[C>G]T"


@needs_cosmic
def test_cosmic_errors_name_what_there_is():
    with pytest.raises(
        ValueError, match=r"no SBS96 genome signatures of version '9' for 'GRCh37'\. .*GRCh38: 1, 2, 3, 3.1"
    ):
        cosmic_signatures("9")
    with pytest.raises(ValueError, match=r"no SV32 genome .* for 'GRCh37'\. Choose from: GRCh38: 3.4"):
        cosmic_signatures(context="SV32")
    with pytest.raises(ValueError, match=r"no ID83 exome .* Choose from: none"):
        cosmic_signatures("3.4", "ID83", exome=True)
    with pytest.raises(ValueError, match="context must be one of SBS96"):
        cosmic_signatures(context="SBS288")


@needs_cosmic
def test_cosmic_is_read_without_importing_the_package():
    import subprocess
    import sys

    code = (
        "import sys; from latentgenomes.mutations.cosmic import cosmic_signatures; cosmic_signatures(); "
        "sys.exit('SigProfilerAssignment' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_refused_data_sets():
    with pytest.raises(ValueError, match="context must be one of SBS96, ID83, DBS78, but it is 'CN48'"):
        load_pcawg("CN48")
    with pytest.raises(ValueError, match="context must be one of SBS96, ID83, SV32, but it is 'DBS78'"):
        load_breast192("DBS78")
    with pytest.raises(ValueError, match="scenario must be 1, 2, 3, 4 or 5, but it is 6"):
        load_islam(6)
    with pytest.raises(ValueError, match=r"name must be one of syn\.30"):
        load_synsig("syn")


@pytest.mark.real_data(SAMPLE_SHEET, *PCAWG_FILES.values())
@pytest.mark.parametrize(("context", "n_empty"), [("SBS96", 0), ("ID83", 1), ("DBS78", 110)])
def test_pcawg(context, n_empty):
    data = load_pcawg(context)
    assert data.counts.shape == (2780, len(CHANNELS[context]))
    assert tuple(data.counts.columns) == CHANNELS[context]
    assert data.counts.index.equals(data.metadata.index)
    assert (data.counts.sum(axis=1) == 0).sum() == n_empty
    assert data.metadata["histology"].nunique() == 37
    assert data.metadata["specimen"].is_unique
    assert not data.metadata.isna().any(axis=None)
    unknown = data.metadata[data.metadata["donor"].str.startswith("unknown")]
    assert unknown["donor"].tolist() == ["unknown:SP116883"]
    donors = data.metadata["donor"].drop(unknown.index)
    assert (donors.nunique(), int((donors.value_counts() > 1).sum())) == (2659, 62)
    assert data.metadata["quality"].value_counts().to_dict() == {
        "Whitelist": 2703,
        "Graylist": 75,
        "Excluded": 1,
        "unknown": 1,
    }


@pytest.mark.real_data(SAMPLE_SHEET, PCAWG_FILES["SBS96"])
def test_pcawg_golden_burden_and_organs():
    data = load_pcawg()
    burden = data.counts.sum(axis=1)
    assert (burden.min(), burden.median()) == (21, 5259.5)  # summed from the file by hand
    organs = data.metadata["organ"].value_counts()
    assert organs[["Panc", "Liver", "CNS", "Prost", "Breast"]].tolist() == [326, 326, 294, 286, 214]
    first = data.counts.loc["Biliary-AdenoCA::SP117655"]  # read off the file: its first three rows
    assert first[["A[C>A]A", "A[C>A]C"]].tolist() == [269, 148]


@pytest.mark.real_data(SAMPLE_SHEET, *PCAWG_FILES.values(), *BREAST192_FILES.values())
def test_192_breast_genomes_are_those_of_pcawg():
    loaded = {context: load_breast192(context) for context in BREAST192_FILES}
    whole = load_pcawg()
    for context, data in loaded.items():
        assert data.counts.shape == (192, len(CHANNELS[context]))
        assert tuple(data.counts.columns) == CHANNELS[context]
        assert data.counts.index.equals(loaded["SBS96"].counts.index)
        pd.testing.assert_frame_equal(data.metadata, whole.metadata.loc[data.counts.index])
    same = whole.counts.loc[loaded["SBS96"].counts.index]
    pd.testing.assert_frame_equal(loaded["SBS96"].counts, same)
    assert set(loaded["SV32"].metadata["organ"]) == {"Breast"}
    first = loaded["SV32"].counts.iloc[0]  # read off the file: its first two rows, sample SP10084
    assert (first.name.split("::")[1], first["clustered_del_1-10Kb"]) == ("SP10084", 2)
    indels = load_pcawg("ID83").counts.loc[loaded["ID83"].counts.index]
    pd.testing.assert_frame_equal(loaded["ID83"].counts, indels)
    assert (loaded["SV32"].counts.sum(axis=1) == 0).sum() == 2


ISLAM_FILES = [
    f"signatures/synthetic_islam2022/Scenario_{i}.{part}.csv"
    for i in (1, 2, 3, 4, 5)
    for part in ("catalog", "truth.sigs", "truth.exposures")
]


@pytest.mark.real_data(*ISLAM_FILES)
@pytest.mark.parametrize(
    ("scenario", "n", "k", "n_types"),
    [(1, 1000, 11, 1), (2, 1000, 11, 2), (3, 1000, 11, 2), (4, 1000, 3, 1), (5, 2700, 21, 9)],
)
def test_islam_catalogs_are_the_rounded_product_of_their_truth(scenario, n, k, n_types):
    data = load_islam(scenario)
    assert data.exposures.shape == (n, k)
    assert data.counts.index.equals(data.exposures.index)
    assert data.counts.index.equals(data.metadata.index)
    product = data.exposures @ data.signatures  # refuses unequal labels
    np.testing.assert_array_equal(np.rint(product.to_numpy()), data.counts.to_numpy())
    np.testing.assert_allclose(data.signatures.sum(axis=1), 1, atol=1e-3)
    assert data.metadata["cancer_type"].nunique() == n_types


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "k"), [("syn.30.random.sigs", 30), ("syn.2.7a.7b.abst", 3)])
def test_synsig_catalogs_are_the_rounded_product_of_their_truth(name, k):
    data = load_synsig(name)
    assert data.signatures.shape == (k, 96)
    np.testing.assert_array_equal(
        np.rint((data.exposures @ data.signatures).to_numpy()), data.counts.to_numpy()
    )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "context", "shape"),
    [
        ("SPE_Samples_SBS.txt", "SBS96", (21, 96)),
        ("salamander_pcawg_breast_indel.csv", "ID83", (192, 83)),
        ("salamander_pcawg_breast_sv.csv", "SV32", (192, 32)),
    ],
)
def test_tables_of_other_programs(name, context, shape):
    path = Path(os.environ["LATENTGENOMES_MIRROR"]) / "signatures" / "real_small" / name
    counts = read_catalog(path, context=context, on_empty="keep")
    assert counts.shape == shape
    separator = "\t" if name.endswith("txt") else ","
    plain = pd.read_csv(path, sep=separator, index_col=0)
    assert counts.to_numpy().sum() == plain.to_numpy().sum()


def test_channel_lists_used_here_are_the_catalogues():
    assert (len(SBS96), len(DBS78), len(ID83), len(SBS96_BY_SUBSTITUTION)) == (96, 78, 83, 96)
