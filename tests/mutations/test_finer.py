"""Finer classifications, COSMIC's tables for a build, and which names are doubtful where."""

import numpy as np
import pandas as pd
import pytest

from latentgenomes.mutations.aetiologies import AETIOLOGIES, TISSUES, doubts, tissue_of
from latentgenomes.mutations.channels import SBS96
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.finer import FINER, collapse_channels, context_of, read_any_catalog
from latentgenomes.mutations.references import Reference


@pytest.fixture(params=["SBS288", "SBS1536"])
def finer(request):
    rng = np.random.default_rng(0)
    channels = rng.permutation(FINER[request.param])
    return request.param, pd.DataFrame(rng.poisson(3.0, (4, len(channels))), list("abcd"), channels)


def test_a_finer_catalogue_is_read_as_it_is_and_summed_by_label(finer, tmp_path):
    context, counts = finer
    counts.T.to_csv(tmp_path / "mine.csv", index_label="MutationType")
    read = read_any_catalog(tmp_path / "mine.csv", context=context)
    pd.testing.assert_frame_equal(read, counts[list(FINER[context])], check_dtype=False)
    assert context_of(read) == context
    coarse = collapse_channels(read)
    assert list(coarse.columns) == list(SBS96)
    inside = [channel for channel in counts.columns if "T[C>A]G" in channel]
    assert coarse["T[C>A]G"].tolist() == counts[inside].sum(axis=1).tolist()
    with pytest.warns(UserWarning, match="they are summed to SBS96"):
        plain = read_any_catalog(tmp_path / "mine.csv")
    pd.testing.assert_frame_equal(plain, coarse, check_dtype=False)


def test_the_sizes_are_those_of_the_names():
    assert [len(set(FINER[name])) for name in ("SBS288", "SBS1536")] == [288, 1536]


def test_the_wrong_classification_is_named(finer, tmp_path):
    context, counts = finer
    counts.to_csv(tmp_path / "mine.csv")
    other = ({"SBS288", "SBS1536"} - {context}).pop()
    with pytest.raises(ValueError, match=f"channels of {other}, but it holds those of {context}"):
        read_any_catalog(tmp_path / "mine.csv", context=other)
    counts.iloc[:, :-1].to_csv(tmp_path / "cut.csv")
    with pytest.raises(ValueError, match="1 are missing"):
        read_any_catalog(tmp_path / "cut.csv", context=context)
    with pytest.raises(ValueError, match="SBS1536, but it is 'SBS6'"):
        read_any_catalog(tmp_path / "mine.csv", context="SBS6")


def test_cosmic_is_that_of_the_build_whatever_its_name():
    mouse = Reference(build="GRCm38").signatures("SBS96")
    pd.testing.assert_frame_equal(mouse, cosmic_signatures(genome="mm10"))
    pd.testing.assert_frame_equal(
        Reference(build="hg38").signatures("SBS288"), cosmic_signatures(genome="GRCh38")
    )
    assert len(Reference(build="GRCh38").signatures("ID83")) == 23  # given for the other human build only
    assert len(Reference().signatures("SV32")) == len(Reference(build="hg38").signatures("SV32"))
    exome = Reference(exome=True).signatures("SBS96")
    pd.testing.assert_frame_equal(exome, cosmic_signatures(exome=True))
    with pytest.raises(ValueError, match=r"no ID83 genome signatures of version '3\.4' for 'mm10'"):
        Reference(build="mm10").signatures("ID83")
    with pytest.raises(ValueError, match="not for the channels of this one"):
        Reference().signatures("")


@pytest.mark.parametrize(
    ("word", "tissue"),
    [
        ("breast", "breast"),
        ("Breast-AdenoCA", "breast"),
        ("cutaneous melanoma", "skin"),
        ("Esophageal SCC", "oesophagus"),
        ("CNS-GBM", "brain"),
        ("Kidney-RCC", "kidney"),
        ("", ""),
    ],
)
def test_words_for_tumours_are_understood(word, tissue):
    assert tissue_of(word) == tissue


def test_an_unknown_word_is_refused():
    with pytest.raises(ValueError, match=r"but it is 'brest'\. Leave it out"):
        tissue_of("brest")


def test_names_are_doubted_where_they_are_not_expected():
    names = pd.Series(["SBS1", "SBS7a", "SBS4", "SBS60"])
    assert doubts(names, "breast").tolist() == [
        "",
        "ultraviolet light is not expected in breast",
        "tobacco smoke is not expected in breast",
        "possible artefact of sequencing",
    ]
    assert doubts(names, "melanoma").tolist()[1] == ""
    assert doubts(names, "").tolist() == ["", "", "", "possible artefact of sequencing"]


def test_every_tissue_of_a_cause_is_a_tissue():
    assert {tissue for known in AETIOLOGIES.values() for tissue in known.tissues} <= set(TISSUES)
    known = set(cosmic_signatures().index) | {"SBS22", "DBS1", "DBS2", "ID3", "ID13", "ID18"}
    assert set(AETIOLOGIES) <= known
