import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latentgenomes.genotypes.data.calls import GenotypeData, HaplotypeData, allele_frequencies, check_calls
from latentgenomes.genotypes.data.public import (
    FILES_805,
    LCT_FILE,
    PANEL_FILE,
    SNPS_805_FILE,
    WOLF_FILES,
    load_805,
    load_hgdp,
    load_lct,
    load_tgp,
    load_wolves,
)


def haplotype_data(calls):
    calls = np.asarray(calls, dtype=np.int8)
    names = [f"h{i}" for i in range(calls.shape[0])]
    return HaplotypeData(
        calls,
        pd.DataFrame({"person": names}, index=names),
        pd.DataFrame(index=[f"rs{i}" for i in range(calls.shape[1])]),
    )


def test_allele_frequencies_leave_missing_calls_out():
    calls = np.array([[0, 1, -1], [1, -1, -1], [1, 1, -1]], dtype=np.int8)
    np.testing.assert_allclose(allele_frequencies(calls), [2 / 3, 1, np.nan])
    np.testing.assert_allclose(allele_frequencies(2 * np.maximum(calls, 0), ploidy=2), [2 / 3, 2 / 3, 0])


def test_the_frequency_filter_keeps_names_and_calls_together():
    data = haplotype_data([[0, 1, 1, -1], [0, 1, 0, -1], [1, 1, 1, -1], [0, 1, 0, -1]])
    assert list(data.filter_maf(0).snps.index) == ["rs0", "rs1", "rs2"]  # nothing is known of rs3
    kept = data.filter_maf(0.25)
    assert list(kept.snps.index) == ["rs0", "rs2"]
    np.testing.assert_array_equal(kept.calls, data.calls[:, [0, 2]])
    for wrong in (-0.1, 0.6, np.nan):
        with pytest.raises(ValueError, match=r"min_maf must be in \[0, 0.5\]"):
            data.filter_maf(wrong)
    with pytest.raises(ValueError, match=r"its shape is \(4, 0\)"):
        haplotype_data(np.zeros((4, 2))).filter_maf(0.1)


def test_genotypes_are_filtered_by_copies():
    calls = np.array([[0, 2, 1], [0, 2, 0], [1, 2, -1]], dtype=np.int8)
    people = pd.DataFrame(index=list("abc"))
    data = GenotypeData(calls, people, pd.DataFrame(index=["x", "y", "z"]))
    assert list(data.filter_maf(0.15).snps.index) == ["x", "z"]


@pytest.mark.parametrize(
    ("calls", "ploidy", "message"),
    [
        ([0, 1], 1, r"its shape is \(2,\)"),
        (np.zeros((0, 3)), 1, r"its shape is \(0, 3\)"),
        ([["0", "1"]], 1, "must hold numbers, but its type is <U1. Code missing calls as -1"),
        (
            [[0, 2]],
            1,
            "0 to 1 copies, or -1 for missing, but 1 of 2 entries are not; the first is 2 at row 0, column 1",
        ),
        ([[0, 3], [-2, 1]], 2, "0 to 2 copies, or -1 for missing, but 2 of 4"),
        ([[0.5]], 1, "the first is 0.5"),
        ([[np.nan]], 1, "the first is nan"),
    ],
)
def test_check_calls_refuses(calls, ploidy, message):
    with pytest.raises(ValueError, match=message):
        check_calls(calls, ploidy=ploidy)


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, float])
def test_check_calls_copies(kind):
    calls = np.array([[0, 1], [1, 1]], dtype=kind)
    checked = check_calls(calls)
    assert checked.dtype == np.int8
    checked[:] = 0
    assert calls.sum() == 3


def test_tables_of_other_lengths_are_refused():
    good = haplotype_data([[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="there are 2 for 1 names of samples"):
        HaplotypeData(good.calls, good.metadata[:1], good.snps)
    with pytest.raises(ValueError, match="there are 2 for 1 names of SNPs"):
        GenotypeData(good.calls, good.metadata, good.snps[:1])


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="source must be one of real, gan, rbm, but it is 'vae'"):
        load_805("vae")


def test_reading_needs_no_optional_package_until_it_is_used():
    code = """
        import sys
        for name in ("cyvcf2", "bed_reader", "rdata", "msprime", "stdpopsim"):
            sys.modules[name] = None
        import latentgenomes.genotypes.data.public, latentgenomes.genotypes.simulate
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=os.environ)


AWESOME = [f"genotypes/Awesome_{kind}_{name}.rda" for kind in ("data", "map") for name in ("TGP", "HGDP")]


@pytest.mark.real_data(LCT_FILE, PANEL_FILE)
def test_the_lactase_window():
    pytest.importorskip("rdata")
    data = load_lct()
    assert data.calls.shape == (5008, 8076)
    assert data.metadata["population"].nunique() == 26
    assert data.metadata["region"].value_counts().to_dict() == {
        "AFR": 1322, "EAS": 1008, "EUR": 1006, "SAS": 978, "AMR": 694,
    }  # fmt: skip
    assert data.metadata["person"].value_counts().eq(2).all()
    assert (data.metadata["person"][::2].to_numpy() == data.metadata["person"][1::2].to_numpy()).all()
    assert data.filter_maf(0.01).calls.shape == (5008, 1261)
    # Golden: rs4988235, the European allele of lactase persistence: .51 in Europe, rare in East Asia.
    persistence = data.calls[:, list(data.snps.index).index("rs4988235")]
    derived = persistence if data.snps.loc["rs4988235", "allele_1"] == "A" else 1 - persistence
    frequency = pd.Series(derived).groupby(data.metadata["region"].to_numpy()).mean()
    assert frequency["EUR"] == pytest.approx(0.51, abs=0.01)
    assert frequency["EAS"] < 0.005


@pytest.mark.real_data(PANEL_FILE, SNPS_805_FILE, *FILES_805.values())
def test_the_805_snps_and_the_artificial_genomes():
    real, gan, rbm = (load_805(source) for source in ("real", "gan", "rbm"))
    assert real.calls.shape == (5008, 805)
    assert gan.calls.shape == rbm.calls.shape == (5000, 805)
    assert real.snps.equals(gan.snps)
    assert real.metadata["region"].nunique() == 5
    assert real.metadata["population"].nunique() == 26
    # Golden (recipes of the exploration, measured on the same files): .982 and .994.
    truth = allele_frequencies(real.calls)
    assert np.corrcoef(truth, allele_frequencies(gan.calls))[0, 1] == pytest.approx(0.982, abs=5e-4)
    assert np.corrcoef(truth, allele_frequencies(rbm.calls))[0, 1] == pytest.approx(0.994, abs=5e-4)


@pytest.mark.real_data(*AWESOME)
def test_tgp_and_hgdp_are_joined_by_name():
    pytest.importorskip("rdata")
    tgp, hgdp = load_tgp(), load_hgdp()
    assert tgp.calls.shape == (1092, 5000)
    assert tgp.metadata["population"].nunique() == 14
    assert sorted(tgp.metadata["region"].unique()) == ["Africa", "America", "E.Asia", "Europe"]
    assert hgdp.calls.shape == (934, 5000)
    assert hgdp.metadata["region"].nunique() == 7
    assert "Africa" in set(hgdp.metadata["region"])
    for data in (tgp, hgdp):
        # The regions differ most along the first axis; labels in another order would not follow it at all.
        centred = data.calls - data.calls.mean(axis=0)
        axis = np.linalg.eigh(centred @ centred.T)[1][:, -1]
        between = pd.Series(axis).groupby(data.metadata["region"].to_numpy()).transform("mean").var()
        assert between / axis.var() > 0.8


@pytest.mark.real_data(LCT_FILE, PANEL_FILE, *AWESOME[:1], AWESOME[2])
def test_people_of_both_phases_have_populations_that_agree():
    tgp, panel = load_tgp().metadata, load_lct(0.3).metadata.drop_duplicates("person").set_index("person")
    both = tgp.join(panel, how="inner", rsuffix="_3")
    assert len(both) > 1000
    pairs = both.groupby("population")["population_3"].nunique()
    assert (pairs == 1).all()


@pytest.mark.real_data(*WOLF_FILES)
def test_the_wolves():
    pytest.importorskip("bed_reader")
    data = load_wolves()
    assert data.calls.shape == (111, 17729)
    assert (data.calls < 0).mean() == pytest.approx(0.021, abs=5e-4)
    assert data.metadata["longitude"].between(-175, -50).all()
    assert data.metadata["latitude"].between(40, 85).all()
    # Golden: wolves that live near each other are alike (isolation by distance; Schweizer et al. 2016).
    place = data.metadata[["longitude", "latitude"]].to_numpy()
    calls = np.where(data.calls < 0, np.nan, data.calls)
    centred = np.nan_to_num(calls - np.nanmean(calls, axis=0))
    likeness = np.corrcoef(centred)
    pairs = np.triu_indices(111, 1)
    distance = np.linalg.norm(place[pairs[0]] - place[pairs[1]], axis=1)
    assert np.corrcoef(likeness[pairs], distance)[0, 1] < -0.3


def test_the_loaders_are_reached_without_a_machine_path():
    assert all(not Path(name).is_absolute() for name in (LCT_FILE, *WOLF_FILES))
