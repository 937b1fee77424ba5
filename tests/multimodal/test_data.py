import mudata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentgenomes.multimodal.data.profiles import (
    MUAT_FILES,
    PAPER_ORGANS,
    PAPER_SUBTYPES,
    PROFILES,
    SEPARATOR,
    SV_FILE,
    join_profiles,
    load_muat_split,
    load_pcawg_profiles,
    read_profiles,
    to_wide,
)
from latentgenomes.multimodal.models import features
from latentgenomes.mutations import copynumber
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import CN48
from latentgenomes.mutations.copynumber import (
    CN28,
    SEGMENTS_FILE,
    count_segments,
    load_cn28,
    read_frame,
    read_segments,
)
from latentgenomes.mutations.pcawg import (
    CHORD_FILE,
    CLINICAL_FILE,
    HRDETECT_FILE,
    PCAWG_FILES,
    REPAIR_FILE,
    SAMPLE_SHEET,
    SUMMARY_FILE,
)


def profile(name, samples="abcd", seed=0):
    counts = np.random.default_rng(seed).poisson(2, size=(len(samples), len(PROFILES[name])))
    return pd.DataFrame(counts, index=list(samples), columns=list(PROFILES[name]))


# ---- copy number --------------------------------------------------------------------------------


def channel_by_hand(total, size):
    """The rules of CN28, written out one by one."""
    if size <= 100_000:
        name = "0-100kb"
    elif size <= 1_000_000:
        name = "100kb-1Mb"
    elif total == 0:
        name = ">1Mb"
    elif size <= 10_000_000:
        name = "1Mb-10Mb"
    elif size <= 40_000_000:
        name = "10Mb-40Mb"
    else:
        name = ">40Mb"
    if total == 0:
        return f"0:homdel:{name}"
    kind = str(total) if total < 3 else "3-4" if total < 5 else "5-8" if total < 9 else "9+"
    return f"{kind}:{name}"


SIZES = st.sampled_from(
    [1, 99_999, 100_000, 100_001, 1_000_000, 1_000_001, 10**7, 10**7 + 1, 4 * 10**7, 10**8]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 30), SIZES), min_size=1, max_size=30))
def test_segments_are_counted_by_the_rules(rows):
    segments = pd.DataFrame(rows, columns=["sample", "total", "size"])
    counts = count_segments(segments)
    expected = pd.DataFrame(0, index=sorted(set(segments["sample"])), columns=list(CN28))
    for sample, total, size in rows:
        expected.loc[sample, channel_by_hand(total, size)] += 1
    pd.testing.assert_frame_equal(counts, expected)


def test_cn28_is_cn48_without_heterozygosity():
    merged = {c.replace(":LOH", "").replace(":het", "") for c in CN48}
    assert set(CN28) == merged
    assert len(CN28) == 28


@pytest.mark.parametrize(("total", "size"), [(-1, 5), (1.5, 5), (2, 0), (2, np.inf)])
def test_segments_that_cannot_be_are_refused(total, size):
    bad = pd.DataFrame({"sample": ["a", "b"], "total": [2, total], "size": [10, size]})
    with pytest.raises(ValueError, match=r"but 1 of 2 do not; the first is total .* of sample 'b'\. Leave"):
        count_segments(bad)


def test_counts_are_converted_once_and_kept_whole(tmp_path, monkeypatch):
    calls = []

    def segments(path):
        calls.append(path)
        return pd.DataFrame({"sample": ["SP2", "SP1"], "total": [2, 0], "size": [5e7, 10.0]})

    monkeypatch.setenv("LATENTGENOMES_DATA", str(tmp_path))
    monkeypatch.setattr(copynumber, "fetch", lambda name: tmp_path / name)
    monkeypatch.setattr(copynumber, "read_segments", segments)
    first, second = load_cn28(), load_cn28()
    assert len(calls) == 1
    pd.testing.assert_frame_equal(first, second)
    assert first.loc["SP2", "2:>40Mb"] == first.loc["SP1", "0:homdel:0-100kb"] == 1
    assert [p.name for p in (tmp_path / "converted").iterdir()] == ["pcawg-cn28-1.npz"]


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def broken(path, **arrays):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setenv("LATENTGENOMES_DATA", str(tmp_path))
    monkeypatch.setattr(copynumber, "fetch", lambda name: tmp_path / name)
    monkeypatch.setattr(
        copynumber, "read_segments", lambda path: pd.DataFrame({"sample": ["a"], "total": [2], "size": [5.0]})
    )
    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        load_cn28()
    assert list((tmp_path / "converted").iterdir()) == []


def test_tables_of_a_tally_must_agree(tmp_path):
    import rdata

    path = tmp_path / "tally.rds"
    table = pd.DataFrame({"ID": ["a", "b"], "value": [2.0, 3.0]})
    rdata.write_rds(path, {"features": {"CN": table, "SS": table.assign(value=[1.0, 7.0])}})
    segments = read_segments(path)
    assert segments["sample"].tolist() == ["a", "b"]
    assert segments["total"].tolist() == [2, 3]
    assert segments["size"].tolist() == [10.0, 1e7]
    rdata.write_rds(path, {"features": {"CN": table, "SS": table.iloc[::-1].reset_index(drop=True)}})
    with pytest.raises(ValueError, match=r"CN and SS of tally\.rds must name the same samples row by row"):
        read_segments(path)


# ---- joining ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_join_and_wide_keep_every_count_under_its_name(data):
    tables = {}
    for name in ("SBS96", "ID83", "CN48", "SV32"):
        samples = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True))
        tables[name] = profile(name, samples, data.draw(st.integers(0, 9))).sample(
            frac=1, axis=1, random_state=1
        )
    names = list(dict.fromkeys(n for t in tables.values() for n in t.index))
    about = pd.DataFrame({"donor": [f"D{n}" for n in names]}, index=names)
    before = {name: table.copy() for name, table in tables.items()}
    joined = join_profiles(tables, samples=about, align=True)
    wide = to_wide(joined)
    assert list(wide.index) == names
    assert joined.obs["donor"].tolist() == about["donor"].tolist()
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, before[name])
        for sample in names:
            row = wide.loc[sample, [f"{name}{SEPARATOR}{c}" for c in PROFILES[name]]].to_numpy()
            if sample in table.index:
                np.testing.assert_array_equal(row, table.loc[sample, list(PROFILES[name])].to_numpy())
            else:
                assert np.isnan(row).all()
                assert sample not in joined.mod[name].obs_names


def test_a_true_zero_is_not_an_absent_profile(tmp_path):
    tables = {"SBS96": profile("SBS96"), "SV32": profile("SV32").iloc[:3]}
    tables["SV32"].loc["b"] = 0
    joined = join_profiles(tables, samples=pd.DataFrame(index=list("abcd")), align=True)
    wide = to_wide(joined, ["SV32"])
    assert (wide.loc["b"] == 0).all()
    assert wide.loc["d"].isna().all()
    assert joined.obsm["SV32"].ravel().tolist() == [True, True, True, False]
    with mudata.set_options(pull_on_update=False):
        joined.write(tmp_path / "x.h5mu")
        again = mudata.read_h5mu(tmp_path / "x.h5mu")
    pd.testing.assert_frame_equal(to_wide(again, ["SV32"]), wide)


def test_the_separator_is_what_the_models_read():
    assert features.SEPARATOR == SEPARATOR
    wide = to_wide(join_profiles({"ID83": profile("ID83"), "CN48": profile("CN48")}))
    assert features.profile_lengths(131, None, list(wide.columns)) == {"ID83": 83, "CN48": 48}


REFUSED = {
    "nothing": (dict, {}, "tables must hold at least one profile, but it is empty"),
    "profile": (
        lambda: {"SBS6": profile("SBS96")},
        {},
        r"A profile must be one of SBS96, .*SV26, but it is 'SBS6'\. Name",
    ),
    "channel": (
        lambda: {"SBS96": profile("SBS96").rename(columns={"A[C>A]T": "A[G>T]T"})},
        {},
        r"SBS96 must hold only SBS96 channels, but 1 of 96 .* Did you mean 'A\[C>A\]T' for 'A\[G>T\]T'\?",
    ),
    "own channel": (
        lambda: {"SV26": profile("SV26").rename(columns={"others": "other"})},
        {},
        r"SV26 must hold only SV26 channels, but 1 of 26 .*'other'\. Remove what is not a channel",
    ),
    "missing": (
        lambda: {"SV32": profile("SV32").iloc[:, 2:]},
        {},
        "SV32 must hold all 32 SV32 channels, but 2 are missing: 'clustered_del_1-10Kb'",
    ),
    "nan": (
        lambda: {"CN28": profile("CN28").drop(index="b").reindex(list("abcd"))},
        {},
        r"CN28 must hold finite counts, but 28 of 112 entries do not; the first is nan at row 'b'",
    ),
    "twice": (
        lambda: {"ID83": profile("ID83", "abca")},
        {},
        "ID83 must name every sample once, but 1 of 3 names come again: 'a'",
    ),
    "order": (
        lambda: {"SBS96": profile("SBS96"), "ID83": profile("ID83", "abdc")},
        {},
        r"ID83 must list the same samples in the same order as the first and the sample table, but "
        r"row 3 is 'd' in place of 'c'\. .*align=True then joins by name",
    ),
    "others": (
        lambda: {"SBS96": profile("SBS96"), "ID83": profile("ID83", "abcx")},
        {},
        "but 2 samples are in only one of the two: 'x', 'd'",
    ),
    "table order": (
        lambda: {"SBS96": profile("SBS96")},
        {"samples": pd.DataFrame(index=list("bacd"))},
        "SBS96 must list the same samples in the same order",
    ),
    "absent for all": (
        lambda: {"SBS96": profile("SBS96"), "ID83": profile("ID83").iloc[:0]},
        {"align": True},
        "ID83 must hold at least one sample and one channel, but its shape is",
    ),
    "stray": (
        lambda: {"SBS96": profile("SBS96", "abcdx")},
        {"samples": pd.DataFrame(index=list("abcd")), "align": True},
        r"SBS96 must hold samples of the sample table, but 1 of 5 are not in it: 'x'",
    ),
    "bare": (
        lambda: {"SBS96": profile("SBS96")},
        {"samples": pd.DataFrame(index=list("abcde")), "align": True},
        "Every sample must have at least one profile, but 1 of 5 have none: 'e'",
    ),
    "samples twice": (
        lambda: {"SBS96": profile("SBS96")},
        {"samples": pd.DataFrame(index=list("abcda")), "align": True},
        "samples must name every sample once, but these come again: 'a'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_joins(case):
    make, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        join_profiles(make(), **options)


def test_refused_selection():
    joined = join_profiles({"SBS96": profile("SBS96")})
    with pytest.raises(ValueError, match=r"names must be profiles of SBS96, but 'ID83' came"):
        to_wide(joined, ["ID83"])
    with pytest.raises(ValueError, match="but none came"):
        to_wide(joined, [])
    with pytest.raises(
        ValueError, match=r"profiles must be of SBS96, .* but 'CN48' came\. CN48 and SV32 cannot"
    ):
        load_pcawg_profiles(["CN48"])


def test_matrices_of_sigprofiler_are_read_as_they_are(tmp_path):
    tables = {name: profile(name) for name in ("SBS96", "ID83", "DBS78", "CN48", "SV32")}
    paths = {}
    for name, table in tables.items():
        paths[name] = tmp_path / f"{name}.all"
        table.T.to_csv(paths[name], sep="\t", index_label="MutationType")
    joined = read_profiles(paths)
    for name, table in tables.items():
        assert joined.mod[name].var["channel"].tolist() == list(PROFILES[name])
        np.testing.assert_array_equal(joined.mod[name].X, table.to_numpy())
    tables["SV32"].iloc[[1, 0, 2]].T.to_csv(paths["SV32"], sep="\t", index_label="MutationType")
    with pytest.raises(ValueError, match="SV32 must list the same samples"):
        read_profiles(paths)
    again = read_profiles(paths, align=True)
    np.testing.assert_array_equal(again.mod["SV32"].X, tables["SV32"].iloc[:3].to_numpy())
    assert again.n_obs == 4


# ---- real data ----------------------------------------------------------------------------------

ALL_FILES = [
    *PCAWG_FILES.values(), SAMPLE_SHEET, SEGMENTS_FILE, SV_FILE, CHORD_FILE, CLINICAL_FILE, HRDETECT_FILE,
    REPAIR_FILE, SUMMARY_FILE,
]  # fmt: skip


@pytest.fixture(scope="module")
def pcawg():
    return load_pcawg_profiles(("SBS96", "ID83", "DBS78", "SV26"))


@pytest.mark.real_data(*ALL_FILES)
def test_pcawg_has_the_published_samples_and_labels(pcawg):
    assert {name: part.shape for name, part in pcawg.mod.items()} == {
        "SBS96": (2780, 96), "ID83": (2780, 83), "DBS78": (2780, 78), "SV26": (2727, 26),
    }  # fmt: skip
    about = pcawg.obs
    assert about["sv_calls"].value_counts().to_dict() == {"found": 2605, "none": 122, "unknown": 53}
    assert about.loc[about["organ"].isin(PAPER_ORGANS), "organ"].nunique() == 15
    assert about["organ"].value_counts()[["Pancreas", "Esophagus", "Colorectal"]].tolist() == [326, 98, 60]
    # The paper's eleven subtypes are those of more than 50 samples.
    frequent = about["subtype"].value_counts()
    assert set(frequent.index[frequent > 50]) == set(PAPER_SUBTYPES)
    assert about["hrd_chord"].value_counts().to_dict() == {0.0: 1514, 1.0: 104}
    assert int((about["tcga"] != "").sum()) == 828
    assert int(about["parpi7"].notna().sum()) == 712
    assert int(about["died"].sum()) == 804
    assert about["donor"].nunique() == 2660


@pytest.mark.real_data(*ALL_FILES)
def test_pcawg_rows_stand_under_the_right_name(pcawg):
    sv = pcawg.mod["SV26"]
    none = pcawg.obs.index[pcawg.obs["sv_calls"] == "none"]
    assert sv[none].X.sum() == 0
    # Read off the source by hand: aliquot 0009b464-... is an ovarian tumour, 4 deletions at fragile sites.
    row = pcawg.obs.index[pcawg.obs["aliquot"] == "0009b464-b376-4fbc-8a56-da538269a02f"]
    assert pcawg.obs.loc[row, "organ"].tolist() == ["Ovary"]
    values = sv[row].X[0]
    assert values[:4].tolist() == [4, 4, 6, 14]
    assert values[-4:].tolist() == [39, 28, 27, 0]
    spectrum = pcawg.mod["SBS96"]["Biliary-AdenoCA::SP117655"].X[0]
    assert spectrum[:2].tolist() == [269, 148]


@pytest.mark.real_data(SEGMENTS_FILE, "multimodal/pcawg_cn_tally_X_noLOH.rds")
def test_copy_number_agrees_with_another_tally_of_the_same_segments():
    # sigminer's classes also hold neighbours and sizes; summed over these, they count total copy numbers.
    import rdata

    from latentgenomes.core.registry import fetch

    counts = load_cn28()
    assert counts.shape == (2778, 28)
    assert int(counts.to_numpy().sum()) == 396026
    path = fetch("multimodal/pcawg_cn_tally_X_noLOH.rds")
    other = rdata.read_rds(path)["standard_matrix"].to_pandas()
    totals = other.T.groupby(other.columns.str.split(":").str[2]).sum().T.loc[counts.index]
    ours = counts.T.groupby(counts.columns.str.split(":").str[0]).sum().T
    assert set(ours.columns) == {"0", "1", "2", "3-4", "5-8", "9+"}
    for name, theirs in (("0", ["0"]), ("3-4", ["3", "4"]), ("5-8", ["5-8"]), ("9+", ["9+"])):
        np.testing.assert_array_equal(ours[name], totals[theirs].sum(axis=1))
    # It leaves out 1162 segments, all of total 1 or 2.
    for name, n_less in (("1", 126), ("2", 1036)):
        assert (ours[name] >= totals[name]).all()
        assert int((ours[name] - totals[name]).sum()) == n_less
    assert len(read_frame(fetch(CLINICAL_FILE))) == 2778


@pytest.mark.real_data(*MUAT_FILES.values(), *ALL_FILES)
def test_muat_split_joins_by_aliquot(pcawg):
    split = load_muat_split()
    assert split["part"].value_counts().to_dict() == {"training": 1449, "validation": 363}
    assert split["cancer_type"].nunique() == 17
    assert split.index.is_unique
    assert split.index.isin(pcawg.obs["aliquot"]).all()


@pytest.mark.real_data("signatures/real_small/salamander_pcawg_breast_sv.csv")
def test_real_sv32_is_accepted():
    from latentgenomes.core.registry import fetch

    path = fetch("signatures/real_small/salamander_pcawg_breast_sv.csv")
    joined = read_profiles({"SV32": path})
    table = read_catalog(path, context="SV32", on_empty="keep")
    np.testing.assert_array_equal(joined.mod["SV32"].X, table.to_numpy())
