"""Classifying a reader's own tumours: what comes out, what is joined, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import latentgenomes as lg
from latentgenomes.cli import app
from latentgenomes.multimodal.data.profiles import PROFILES, load_pcawg_profiles, to_wide
from latentgenomes.multimodal.data.reduction import SV5, TYPING_PROFILES, reduce_profile, typing_table
from latentgenomes.multimodal.experiments.pretraining import MOST_BYTES, training_fingerprint
from latentgenomes.multimodal.simulate import TumourSettings, simulate_tumours
from latentgenomes.multimodal.verbs.classify import WEIGHTS, classify_files, classify_tumours, known_tumours
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.pcawg import PCAWG_FILES

FIRST = ["organ", "probability", "second", "probability_second", "verdict"]
VERDICTS = {"confident", "uncertain", "unlike anything known"}


@pytest.fixture(scope="module")
def tumours():
    settings = TumourSettings(fraction_absent=0.0)
    return simulate_tumours(24, profiles=("SBS96", "ID83", "CN48", "SV32"), settings=settings, random_state=3)


@pytest.fixture
def files(tumours, tmp_path):
    """Matrices as SigProfilerMatrixGenerator writes them, and how to write one again."""

    def write(name, table):
        paths[name] = tmp_path / f"{name}.all"
        table.T.to_csv(paths[name], sep="\t", index_label="MutationType")

    paths = {}
    for name, table in tumours.tables.items():
        write(name, table)
    return paths, write


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def given(paths):
    return [f"{name}={path}" for name, path in paths.items()]


def read(folder):
    return pd.read_csv(folder / "predictions.csv", index_col="sample")


def test_one_row_a_tumour_with_a_verdict_and_a_probability_for_every_organ(files, tumours, tmp_path):
    paths, _ = files
    done = call("classify", *given(paths), "-o", tmp_path / "out", "--no-report")
    assert done.exit_code == 0, done.output
    table = read(tmp_path / "out")
    assert list(table.index) == list(tumours.samples.index)
    assert list(table.columns[:5]) == FIRST
    organs = table.columns[5:]
    assert len(organs) == 22
    np.testing.assert_allclose(table[organs].sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(table["probability"], table[organs].max(axis=1))
    assert (table["organ"] == table[organs].idxmax(axis=1)).all()
    assert (table["probability_second"] <= table["probability"]).all()
    assert set(table["verdict"]) <= VERDICTS
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["model"] == "TumourClassifier PCAWG-1"
    assert {"trained on", "licence of the training data", "made by"} <= set(about)
    assert "TumourClassifier PCAWG-1 (PCAWG, 2780 tumours, 22 organs)" in done.stdout


def test_files_are_joined_by_name_and_a_profile_that_did_not_come_is_absent(files, tumours, tmp_path):
    paths, write = files
    straight = classify_files(paths)
    write("ID83", tumours.tables["ID83"].iloc[::-1])
    turned = classify_files(paths)
    pd.testing.assert_frame_equal(turned.predictions, straight.predictions)
    write("CN48", tumours.tables["CN48"].iloc[5:])
    with pytest.warns(
        UserWarning, match="Of 24 tumours, joined by name, some lack a profile: 5 without CN48"
    ):
        part = classify_files(paths)
    pd.testing.assert_frame_equal(part.predictions.iloc[5:], straight.predictions.iloc[5:])
    few = classify_files({name: paths[name] for name in ("SBS96", "ID83", "SV32")})
    pd.testing.assert_frame_equal(part.predictions.iloc[:5], few.predictions.iloc[:5])
    assert part.evidence["profiles"].iloc[0] == "SBS96+ID83+SV5"
    assert np.isnan(part.evidence["CN28"].iloc[0])


def test_every_subset_of_profiles_is_answered_and_tumours_do_not_depend_on_each_other(tumours):
    wide = tumours.wide()
    for names in (["SV32"], ["ID83"], ["CN48", "SV32"], ["SBS96", "CN48"]):
        found = classify_tumours(tumours.wide(names))
        assert len(found.predictions) == 24
        assert found.predictions.iloc[:, 5:].notna().all(axis=None)
    together, alone = classify_tumours(wide), classify_tumours(wide.iloc[[7]])
    pd.testing.assert_frame_equal(alone.predictions, together.predictions.iloc[[7]])


def test_few_mutations_are_answered_uncertain_and_why(tumours, tmp_path, capsys):
    counts = tumours.tables["SBS96"].iloc[:4].copy()
    counts.iloc[0] = 0
    counts.iloc[1] = 0
    counts.iloc[1, 3] = 19
    counts.iloc[2] = 0
    counts.iloc[2, :20] = 1
    counts.T.to_csv(tmp_path / "sbs.csv")
    done = call("classify", f"SBS96={tmp_path / 'sbs.csv'}", "-o", tmp_path / "out", "--no-report")
    assert done.exit_code == 0, done.output
    table, evidence = (
        read(tmp_path / "out"),
        pd.read_csv(tmp_path / "out" / "evidence.csv", index_col="sample"),
    )
    assert (table["verdict"].iloc[:2] == "uncertain").all()
    np.testing.assert_allclose(table.iloc[0, 5:].astype(float), 1 / 22, atol=1e-5)
    assert evidence["note"].iloc[0] == "no mutation: the probabilities are the prior"
    assert evidence["note"].iloc[1] == "fewer than 20 mutations"
    assert evidence["note"].iloc[2:].isna().all()
    assert evidence["mutations"].tolist()[:3] == [0, 19, 20]
    assert f"{counts.index[1]}: uncertain, fewer than 20 mutations" in done.stderr


def test_a_prior_rules_organs_out_and_in(tumours, tmp_path):
    wide = tumours.wide(["SBS96"])
    free = classify_tumours(wide)
    even = classify_tumours(wide, prior=dict.fromkeys(free.predictions.columns[5:], 3.0))
    pd.testing.assert_frame_equal(even.predictions, free.predictions)
    two = classify_tumours(wide, prior={"Breast": 1, "Ovary": 2})
    assert set(two.predictions["organ"]) <= {"Breast", "Ovary"}
    np.testing.assert_allclose(two.predictions[["Breast", "Ovary"]].sum(axis=1), 1)
    more = classify_tumours(wide, prior={"Breast": 1, "Ovary": 200})
    assert (more.predictions["Ovary"] >= two.predictions["Ovary"]).all()
    (tmp_path / "prior.csv").write_text("organ,weight\nBreast,1\nOvary,2\n")
    wide.set_axis(wide.columns.str.removeprefix("SBS96|"), axis=1).T.to_csv(tmp_path / "sbs.csv")
    done = call(
        "classify", f"SBS96={tmp_path / 'sbs.csv'}", "--prior", tmp_path / "prior.csv", "-o", tmp_path / "o",
        "--no-report",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(read(tmp_path / "o")["Ovary"], two.predictions["Ovary"], atol=1e-5)


def test_what_was_saved_comes_back(tumours, tmp_path):
    found = classify_tumours(tumours.wide())
    again = lg.multimodal.ClassifiedTumours.load(found.save(tmp_path / "out"))
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_dtype=False, rtol=1e-4, atol=1e-5)
    assert again.about == found.about
    with pytest.raises(FileNotFoundError, match=r"there is no about\.json in"):
        lg.multimodal.ClassifiedTumours.load(tmp_path)


def text(path, words):
    path.write_text(f"{words}\n")
    return path


def unmix(table):
    return table.div(table.sum(axis=1), axis=0)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda p, w, t, d: ["sbs.all"], 2, "classify takes NAME=VALUE, but got 'sbs.all'"),
        (lambda p, w, t, d: [f"CN28={p['CN48']}"], 2, "'CN28' came. A profile that was built differently"),
        (lambda p, w, t, d: [f"SV26={p['SV32']}", f"SBS96={p['SBS96']}"], 2, "but 'SV26' came"),
        (lambda p, w, t, d: [f"ID83={p['SBS96']}"], 2, "must name ID83 channels"),
        (lambda p, w, t, d: [f"SBS96={d / 'none.all'}"], 1, "there is none at"),
        (
            lambda p, w, t, d: (w("ID83", t["ID83"].set_axis([f"x{i}" for i in range(24)])), given(p))[1],
            2,
            "The files must name the same samples, but no sample of ID83 is in another file",
        ),
        (lambda p, w, t, d: (w("SBS96", unmix(t["SBS96"])), given(p))[1], 2, "whole"),
        (
            lambda p, w, t, d: (w("SBS96", t["SBS96"].set_axis([*"aabcdefghijklmnopqrstuvw"])), given(p))[1],
            2,
            "'a'",
        ),
        (
            lambda p, w, t, d: (w("SBS96", t["SBS96"].rename(columns={"A[C>A]A": "A[C>Q]A"})), given(p))[1],
            2,
            "A[C>Q]A",
        ),
        (
            lambda p, w, t, d: [f"SBS96={text(d / 'x.vcf', '##fileformat=VCFv4.2')}"],
            2,
            "Count them first: latentgenomes count",
        ),
        (
            lambda p, w, t, d: [*given(p), "--prior", text(d / "p.csv", "organ,weight\nLiber,1")],
            2,
            "The prior must give organs of the model a weight >= 0, and one of them more, but 'Liber'",
        ),
        (
            lambda p, w, t, d: [*given(p), "--prior", text(d / "p.csv", "Liver\n1")],
            2,
            "p.csv must have the columns organ and weight",
        ),
        (lambda p, w, t, d: [*given(p), "--prior", d / "q.csv"], 1, "The prior must be a file"),
    ],
)  # fmt: skip
def test_classify_refuses_in_one_line(files, tumours, tmp_path, change, code, message):
    paths, write = files
    words = change(paths, write, tumours.tables, tmp_path)
    done = call("classify", *words, "-o", tmp_path / "out", "--no-report")
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_python_users_get_errors_about_their_table(tumours):
    wide = tumours.wide()
    with pytest.raises(ValueError, match="profiles must share a profile with the model"):
        classify_tumours(wide.set_axis([f"x{i}" for i in range(wide.shape[1])], axis=1))
    with pytest.raises(ValueError, match=r"CN48 must hold each of its 48 channels once, but 1 are missing"):
        classify_tumours(wide.drop(columns="CN48|0:homdel:0-100kb"))
    both = pd.concat([wide, wide.filter(like="CN48|").iloc[:, :28].set_axis(
        [f"CN28|{c}" for c in PROFILES["CN28"]], axis=1)], axis=1)  # fmt: skip
    with pytest.raises(ValueError, match="CN48 and CN28 are two tables of one kind"):
        classify_tumours(both)
    with pytest.raises(ValueError, match="Every tumour must have a profile, but 1 have none"):
        classify_tumours(wide.assign(**dict.fromkeys(wide.columns, np.nan)).iloc[:1])


def test_classify_leaves_its_report(files, tmp_path):
    paths, _ = files
    done = call("classify", *given(paths), "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "TumourClassifier PCAWG-1" in page
    assert page.count("<article>") == 24
    assert "Nearest known tumours" in page
    assert (tmp_path / "out" / "report.ipynb").is_file()


# ---- profiles that are reduced -----------------------------------------------------------------------


def test_cn48_sv32_and_sv26_are_summed_class_by_class():
    cn48 = pd.DataFrame([np.arange(48)], columns=list(PROFILES["CN48"]))
    cn28 = reduce_profile(cn48, "CN48").iloc[0]
    assert list(cn28.index) == list(TYPING_PROFILES["CN28"])
    assert cn28["2:1Mb-10Mb"] == cn48.at[0, "2:LOH:1Mb-10Mb"] + cn48.at[0, "2:het:1Mb-10Mb"]
    assert cn28["1:>40Mb"] == cn48.at[0, "1:LOH:>40Mb"]
    assert cn28.sum() == cn48.to_numpy().sum()
    sv32 = pd.DataFrame([np.arange(32)], columns=list(PROFILES["SV32"]))
    sv5 = reduce_profile(sv32, "SV32").iloc[0]
    assert list(sv5.index) == list(SV5)
    short = [
        f"{place}_inv_{size}" for place in ("clustered", "non-clustered") for size in ("1-10Kb", "10-100Kb")
    ]
    assert sv5["inversion <100 kb"] == sv32.iloc[0][short].sum()
    assert sv5["deletion"] == sv32.filter(like="_del_").to_numpy().sum()
    assert sv5.sum() == sv32.to_numpy().sum()
    sv26 = pd.DataFrame([np.ones(26)], columns=list(PROFILES["SV26"]))
    assert reduce_profile(sv26, "SV26").iloc[0].tolist() == [11, 11, 1, 1, 1]  # "others" are left out


@pytest.mark.real_data(
    "multimodal/viola_feature_matrix.csv", "signatures/real_small/salamander_pcawg_breast_sv.csv"
)
def test_two_classifications_of_the_same_rearrangements_agree_once_reduced():
    from latentgenomes.core.registry import fetch

    sv32 = read_catalog(
        fetch("signatures/real_small/salamander_pcawg_breast_sv.csv"), context="SV32", on_empty="keep"
    )
    genomes = load_pcawg_profiles(("SBS96", "SV26"))
    sv26 = typing_table(to_wide(genomes, ["SV26"])).filter(like="SV5|").set_axis(list(SV5), axis=1)
    sv26 = sv26.set_axis(genomes.obs.loc[sv26.index, "specimen"]).dropna()
    shared = sv32.index.intersection(sv26.index)
    assert len(shared) > 150
    ours, theirs = reduce_profile(sv32.loc[shared], "SV32"), sv26.loc[shared]
    for name in SV5:
        assert np.corrcoef(np.log1p(ours[name]), np.log1p(theirs[name]))[0, 1] > 0.9, name


# ---- the weights ---------------------------------------------------------------------------------------


def test_the_weights_are_small_and_were_made_by_the_code_that_stands():
    assert WEIGHTS.stat().st_size < MOST_BYTES
    record = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert record["code"] == training_fingerprint(), "Run: python benchmarks/multimodal.py train"
    assert record["made by"] == "python benchmarks/multimodal.py train"
    assert record["licence of the training data"]
    assert all(len(digest) == 64 for digest in record["data"].values())


def test_the_known_tumours_have_names_types_and_places():
    known = known_tumours()
    assert known.shape == (2780, 7)
    assert known.notna().all(axis=None)
    assert known["organ"].nunique() == 22
    assert (known["histology"].str.split("-").str[0].str[:3] == known["organ"].str[:3]).mean() > 0.9


@pytest.mark.real_data(*PCAWG_FILES.values())
def test_the_tumours_of_the_training_are_recognised_by_their_own_profiles():
    genomes = load_pcawg_profiles(("SBS96", "ID83", "DBS78"))
    found = classify_tumours(to_wide(genomes).iloc[::20])
    truth = genomes.obs["organ"].astype(str)[found.predictions.index]
    assert (found.predictions["organ"] == truth).mean() > 0.85
    nearest = found.neighbours[found.neighbours["rank"] == 1].set_index("sample")["neighbour"]
    assert (nearest == genomes.obs["specimen"][nearest.index]).mean() > 0.9
