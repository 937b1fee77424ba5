import importlib.util

import numpy as np
import pandas as pd
import pytest

from latentgenomes.multimodal.data.profiles import join_profiles, to_wide
from latentgenomes.multimodal.simulate import (
    DEFAULT_TUMOUR_TYPES,
    TumourSettings,
    TumourType,
    dirichlet_signatures,
    simulate_tumours,
)
from latentgenomes.mutations.channels import channels_of

needs_cosmic = pytest.mark.skipif(
    importlib.util.find_spec("SigProfilerAssignment") is None, reason="SigProfilerAssignment is not installed"
)
PROFILES = ("SBS96", "ID83", "CN48", "SV32")
OWN = {
    profile: dirichlet_signatures(
        profile,
        sorted({n for t in DEFAULT_TUMOUR_TYPES.values() for n in t.weights[profile]}),
        random_state=i,
    )
    for i, profile in enumerate(PROFILES)
}


def draw(n=300, seed=0, **options):
    return simulate_tumours(n, signatures=OWN, random_state=seed, **options)


def test_same_seed_same_tumours_and_the_global_state_is_left_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = draw(50), draw(50), draw(50, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for profile in PROFILES:
        pd.testing.assert_frame_equal(one.tables[profile], two.tables[profile])
        assert not one.tables[profile].equals(other.tables[profile])
    pd.testing.assert_frame_equal(one.samples, two.samples)


def test_counts_follow_their_expectation():
    data = draw(800, settings=TumourSettings(project_sd=0.0, fraction_absent=0.0))
    for profile in PROFILES:
        expected = data.exposures[profile].to_numpy() @ data.signatures[profile].to_numpy()
        counts = data.tables[profile].to_numpy()
        # A Poisson count has variance = mean: the sum of (x - r)^2 - x has expectation 0.
        likely = expected > 0.05
        z = (counts - expected)[likely] / np.sqrt(expected[likely])
        n = likely.sum()
        assert abs(z.mean()) < 4 / np.sqrt(n)
        # Var of z^2 is 2 + 1 / r.
        assert abs((z**2).mean() - 1) < 4 * np.sqrt((2 + 1 / expected[likely]).mean() / n)


def test_projects_tilt_channels_and_keep_burdens():
    data = draw(400, settings=TumourSettings(project_sd=0.5, fraction_absent=0.0))
    for profile in PROFILES:
        burden = data.exposures[profile].sum(axis=1)
        counts = data.tables[profile].sum(axis=1)
        z = (counts - burden) / np.sqrt(burden)
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * len(z)))
    skin = data.samples["cancer_type"] == "Skin"
    shares = data.tables["SBS96"][skin].div(data.tables["SBS96"][skin].sum(axis=1), axis=0)
    means = shares.groupby(data.samples.loc[skin, "project"]).mean()
    assert len(means) == 2
    usual = means.columns[means.min() > 1e-3]
    assert np.log(means.iloc[0][usual] / means.iloc[1][usual]).std() > 0.3  # sd .5 twice is .7


def test_donors_types_projects_and_absence():
    settings = TumourSettings(fraction_repeated=0.2, fraction_absent=0.1, n_projects=3)
    data = draw(500, settings=settings)
    assert data.samples["donor"].nunique() == 400
    for profile in PROFILES:
        per_donor = data.exposures[profile].groupby(data.samples["donor"])
        assert per_donor.nunique().to_numpy().max() == 1
        assert len(data.tables[profile]) == (500 if profile == "SBS96" else 450)
    assert (data.samples.groupby("donor")["project"].nunique() == 1).all()
    assert (data.samples.groupby("project")["cancer_type"].nunique() == 1).all()
    assert data.samples.groupby("cancer_type")["project"].nunique().tolist() == [3] * 6
    for label, kind in DEFAULT_TUMOUR_TYPES.items():
        rows = data.exposures["CN48"][data.samples["cancer_type"] == label]
        assert set(rows.columns[(rows > 0).any()]) == set(kind.weights["CN48"])


def test_wide_is_the_joined_table():
    data = draw(60, settings=TumourSettings(fraction_absent=0.2))
    joined = join_profiles(data.tables, samples=data.samples, align=True)
    pd.testing.assert_frame_equal(data.wide(), to_wide(joined))
    assert data.wide(["SV32"]).isna().all(axis=1).sum() == 12


def test_pairs_of_types_share_what_the_documentation_says():
    kinds = DEFAULT_TUMOUR_TYPES
    assert kinds["Breast"].weights["SBS96"] == kinds["Ovary"].weights["SBS96"]
    assert kinds["Skin"].weights["CN48"] == kinds["Lung"].weights["CN48"]
    assert kinds["Prostate"].weights["ID83"] == kinds["CNS"].weights["ID83"]


@needs_cosmic
def test_default_signatures_are_cosmics():
    data = simulate_tumours(20)
    assert {name: table.shape[1] for name, table in data.signatures.items()} == {
        "SBS96": 96, "ID83": 83, "CN48": 48, "SV32": 32,
    }  # fmt: skip
    assert data.signatures["SBS96"].loc["SBS1"].idxmax() == "A[C>T]G"
    odd = dict(DEFAULT_TUMOUR_TYPES)
    odd["CNS"] = TumourType({**odd["CNS"].weights, "SV32": {"SV99": 1.0}}, odd["CNS"].burden)
    with pytest.raises(ValueError, match=r"must use signatures of COSMIC, but SV32 has no 'SV99'"):
        simulate_tumours(20, tumour_types=odd)


def test_dirichlet_signatures_are_distributions_over_the_channels():
    table = dirichlet_signatures("DBS78", ["A", "B", "C"], random_state=3)
    assert tuple(table.columns) == channels_of("DBS78")
    np.testing.assert_allclose(table.sum(axis=1), 1)
    assert table.max(axis=1).min() > 0.1  # peaked: a flat one has 1/78 everywhere


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1}, r"n_samples must be >= 2 and profiles different names, but they are 1"),
        ({"profiles": ("SBS96", "SBS96")}, r"but they are 300 and \['SBS96', 'SBS96'\]"),
        ({"profiles": ("SBS96", "DBS78")}, "but 'Breast' does not in DBS78"),
        (
            {"tumour_types": {"Skin": DEFAULT_TUMOUR_TYPES["Skin"]}},
            "tumour_types must hold at least 2 types, but it holds 1",
        ),
    ],
)
def test_refused_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**options)


def test_refused_signatures():
    few = {"SBS96": OWN["SBS96"].drop(index="SBS4")}
    with pytest.raises(ValueError, match=r"signatures of SBS96 must have .* missing: 'SBS4'"):
        simulate_tumours(20, profiles=["SBS96"], signatures=few)
    with pytest.raises(ValueError, match="signatures of SBS96 must hold rows that sum to 1"):
        simulate_tumours(20, profiles=["SBS96"], signatures={"SBS96": OWN["SBS96"] * 2})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("burden_sd", -1, ">= 0"),
        ("genome_sd", -1, ">= 0"),
        ("concentration", 0, "> 0"),
        ("project_sd", -0.1, ">= 0"),
        ("n_projects", 0, ">= 1"),
        ("fraction_repeated", 0.6, r"in \[0, 0\.5\]"),
        ("fraction_absent", 1.0, r"in \[0, 1\)"),
    ],
)
def test_refused_settings(name, value, rule):
    with pytest.raises(ValueError, match=rf"{name} must be {rule}, but it is {value}"):
        TumourSettings(**{name: value})
