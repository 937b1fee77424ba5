import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentgenomes.core.extras import package_folder, require
from latentgenomes.core.resources import locate
from latentgenomes.mutations.channels import (
    CHANNELS,
    DBS78,
    ID83,
    SBS96,
    SBS96_BY_SUBSTITUTION,
    SBS_SUBSTITUTIONS,
    channels_of,
    nearest_label,
    normalize_label,
    reverse_complement,
    substitution,
)
from latentgenomes.mutations.cosmic import cosmic_signatures

COSMIC_TABLES = {
    "SBS96": "GRCh37/COSMIC_v3.4_SBS_GRCh37.txt",
    "ID83": "GRCh37/COSMIC_v3.4_ID_GRCh37.txt",
    "DBS78": "GRCh37/COSMIC_v3.4_DBS_GRCh37.txt",
    "CN48": "GRCh37/COSMIC_v3.4_CN_GRCh37.txt",
    "SV32": "GRCh38/COSMIC_v3.4_SV_GRCh38.txt",
}


@pytest.mark.parametrize("context", CHANNELS)
def test_count_and_uniqueness(context):
    assert len(CHANNELS[context]) == len(set(CHANNELS[context])) == int(context.lstrip("SBDICNV"))


@pytest.mark.parametrize("context", CHANNELS)
def test_equal_to_the_index_of_cosmics_own_table(context):
    if importlib.util.find_spec("SigProfilerAssignment") is None:
        pytest.skip("SigProfilerAssignment, which ships COSMIC's tables, is not installed")
    folder = package_folder("SigProfilerAssignment", "signatures") / "data" / "Reference_Signatures"
    lines = (folder / COSMIC_TABLES[context]).read_text().splitlines()
    assert tuple(line.split("\t")[0] for line in lines[1:]) == CHANNELS[context]


def test_sbs_oracle_every_change_of_a_pyrimidine_in_every_context():
    seen = set()
    for five in "ACGT":
        for three in "ACGT":
            for ref in "ACGT":
                for alt in set("ACGT") - {ref}:
                    if ref in "CT":
                        seen.add(f"{five}[{ref}>{alt}]{three}")
    assert seen == set(SBS96)


def test_dbs_oracle_each_double_change_stands_for_itself_or_its_other_strand():
    bases = "ACGT"
    pairs = [a + b for a in bases for b in bases]
    for ref in pairs:
        for alt in pairs:
            if ref[0] == alt[0] or ref[1] == alt[1]:
                continue
            both = {f"{ref}>{alt}", f"{reverse_complement(ref)}>{reverse_complement(alt)}"}
            assert len(both & set(DBS78)) == 1


def test_plotting_order_is_the_same_channels_by_class_then_context():
    assert set(SBS96_BY_SUBSTITUTION) == set(SBS96)
    assert [substitution(label) for label in SBS96_BY_SUBSTITUTION[::16]] == list(SBS_SUBSTITUTIONS)
    assert list(SBS96_BY_SUBSTITUTION) == sorted(SBS96, key=lambda c: (substitution(c), c[0], c[-1]))
    assert SBS_SUBSTITUTIONS == ("C>A", "C>G", "C>T", "T>A", "T>C", "T>G")


@given(st.sampled_from(SBS96), st.integers(0, 8))
def test_sbs_spellings(label, which):
    five, change, three = label[0], label[2:5], label[6]
    triplet = f"{five}{change[0]}{three}"
    spelling = [
        label,
        f"{change},{triplet}",
        f"{change}:{triplet}",
        f"{change} {triplet}",
        f"{change}_{triplet}",
        f"{triplet}>{change[2]}",
        f"{triplet}>{five}{change[2]}{three}",
        f' "{label}" ',
        label.lower(),
    ][which]
    assert normalize_label(spelling, "SBS96") == label


@given(st.sampled_from(SBS96))
def test_purine_strand_is_unknown_but_the_pyrimidine_partner_is_named(label):
    five, ref, alt, three = (reverse_complement(label[i]) for i in (0, 2, 4, 6))
    purine = f"{three}[{ref}>{alt}]{five}"
    assert normalize_label(purine, "SBS96") is None
    assert nearest_label(purine, "SBS96") == label


def test_id_spellings():
    assert normalize_label("DEL_C_1_0", "ID83") == "1:Del:C:0"
    assert normalize_label("DEL,repeats,5+,5+", "ID83") == "5:Del:R:5"
    assert normalize_label("INS_repeats_3_5+", "ID83") == "3:Ins:R:5"
    assert normalize_label("DEL_MH_5+_4", "ID83") == "5:Del:M:4"
    assert normalize_label("DEL_MH_2_2", "ID83") is None
    spelled = [
        "_".join((kind.upper(), {"R": "repeats", "M": "MH"}.get(motif, motif), size, number))
        for size, kind, motif, number in (label.split(":") for label in ID83)
    ]
    assert [normalize_label(label, "ID83") for label in spelled] == list(ID83)


def test_dbs_spellings():
    assert all(
        normalize_label(label.replace(">", mark), "DBS78") == label for label in DBS78 for mark in (",", "")
    )
    assert normalize_label("GT>TG", "DBS78") is None
    assert nearest_label("GT>TG", "DBS78") == "AC>CA"


@pytest.mark.parametrize("context", CHANNELS)
def test_every_channel_is_its_own_spelling(context):
    assert [normalize_label(label, context) for label in CHANNELS[context]] == list(CHANNELS[context])


def test_nearest_label_of_a_slip_and_of_nonsense():
    assert nearest_label("clustered_dell_1-10Kb", "SV32") == "clustered_del_1-10Kb"
    assert nearest_label("qqqqqqqqqqq", "CN48") is None


def test_errors():
    with pytest.raises(ValueError, match=r"context must be one of SBS96, .* but it is 'SBS1536'"):
        channels_of("SBS1536")
    with pytest.raises(ValueError, match=r"must be an SBS96 channel such as 'A\[C>A\]A', but it is 'ACA>A'"):
        substitution("ACA>A")


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch):
    with pytest.raises(
        ImportError, match=r"^no_such_package is not .*pip install 'latentgenomes\[signatures\]'$"
    ):
        require("no_such_package.part", "signatures")
    with pytest.raises(ImportError, match=r"pip install 'latentgenomes\[expression\]'"):
        package_folder("no_such_package", "expression")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^SigProfilerAssignment is not .*'latentgenomes\[signatures\]'$"):
        cosmic_signatures()


def test_require_gives_the_module_and_passes_on_errors_inside_it(tmp_path, monkeypatch):
    import json

    assert require("json", "dev") is json
    (tmp_path / "broken_inside.py").write_text("import a_module_that_is_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_absent"):
        require("broken_inside", "dev")


def test_locate():
    assert locate("data/registry.csv").is_file()
    with pytest.raises(
        FileNotFoundError, match=r"'data/none.csv' must be in the installed package or in the repos"
    ):
        locate("data/none.csv")


def test_locate_prefers_the_installed_copy(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "registry.csv").write_text("x")
    monkeypatch.setattr("latentgenomes.core.resources._INSTALLED", tmp_path)
    assert locate("data/registry.csv").parent.parent == tmp_path
