import importlib.util

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import NMF

from latentgenomes.mutations.channels import SBS96
from latentgenomes.signatures.simulate import (
    DEFAULT_CANCER_TYPES,
    DEFAULT_SIGNATURES,
    CancerType,
    CatalogSettings,
    simulate_signature_catalogs,
)

needs_cosmic = pytest.mark.skipif(
    importlib.util.find_spec("SigProfilerAssignment") is None, reason="SigProfilerAssignment is not installed"
)


def some_profiles(k=3, c=6, seed=0):
    values = np.random.default_rng(seed).dirichlet(np.ones(c), size=k)
    return pd.DataFrame(values, index=[f"G{i}" for i in range(k)], columns=[f"c{i}" for i in range(c)])


ONE_TYPE = {"T": CancerType({"G0": (0.7, 1.0), "G1": (0.4, 3.0), "G2": (1.0, 1.0)})}
TWO_TYPES = {
    "low": CancerType({"G0": (1, 1), "G1": (0.3, 2)}, burden=1, frequency=3),
    "high": CancerType({"G1": (1, 1), "G2": (0.5, 2)}, burden=8, frequency=1),
}


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 30),
    st.sampled_from(["poisson", "negative_binomial", "none"]),
    st.floats(0, 0.9),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_labels_agree_and_the_truth_adds_up(n, noise, contamination, hypermutated, seed):
    fine = CatalogSettings(contamination=contamination, fraction_hypermutated=hypermutated)
    data = simulate_signature_catalogs(
        n, signatures=some_profiles(), cancer_types=TWO_TYPES, noise=noise, settings=fine, random_state=seed
    )
    assert data.counts.shape == (n, 6)
    assert (data.counts >= 0).all(axis=None)
    assert (data.counts.dtypes == np.int64).all()
    assert data.counts.index.equals(data.exposures.index)
    assert data.counts.index.equals(data.metadata.index)
    assert list(data.exposures.columns) == list(data.signatures.index)
    assert (data.exposures.sum(axis=1) > 0).all()
    whole = data.exposures.sum(axis=1) + data.metadata["contaminating"]
    np.testing.assert_allclose(whole, data.metadata["burden"])
    assert data.metadata["hypermutated"].sum() == round(hypermutated * n)
    for label, kind in TWO_TYPES.items():
        strangers = [name for name in data.exposures if name not in kind.activities]
        assert (data.exposures.loc[data.metadata["cancer_type"] == label, strangers] == 0).all(axis=None)


def test_seed_repeats_and_the_global_state_is_untouched():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    arguments = {"signatures": some_profiles(), "cancer_types": TWO_TYPES}
    first = simulate_signature_catalogs(20, random_state=5, **arguments)
    again = simulate_signature_catalogs(20, random_state=np.random.default_rng(5), **arguments)
    other = simulate_signature_catalogs(20, random_state=6, **arguments)
    for part in ("counts", "signatures", "exposures", "metadata"):
        pd.testing.assert_frame_equal(getattr(first, part), getattr(again, part))
    assert not first.counts.equals(other.counts)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_burden_is_log_normal_with_the_asked_median_and_ratios():
    n, sd = 20_000, 0.7
    data = simulate_signature_catalogs(
        n, signatures=some_profiles(), cancer_types=TWO_TYPES, median_mutations=1234, noise="none"
    )
    log_burden = np.log(data.metadata["burden"])
    below = (log_burden < np.log(1234)).mean()
    assert abs(below - 0.5) < 4 * np.sqrt(0.25 / n)
    groups = log_burden.groupby(data.metadata["cancer_type"])
    mean, spread, size = groups.mean(), groups.std(), groups.size()
    assert abs(mean["high"] - mean["low"] - np.log(8)) < 4 * sd * np.sqrt((1 / size).sum())
    assert (abs(spread - sd) < 4 * sd / np.sqrt(2 * size)).all()
    assert abs(size["low"] / n - 0.75) < 4 * np.sqrt(0.75 * 0.25 / n)


@pytest.mark.parametrize(("noise", "dispersion"), [("poisson", 0.0), ("negative_binomial", 0.3)])
def test_counts_have_the_mean_and_variance_of_their_law(noise, dispersion):
    # Standardised residuals z = (x - r) / sqrt(r + d r^2) have mean 0 and variance 1 whatever r is.
    data = simulate_signature_catalogs(
        4000,
        signatures=some_profiles(),
        cancer_types=ONE_TYPE,
        median_mutations=300,
        noise=noise,
        settings=CatalogSettings(dispersion=dispersion or 1.0),
    )
    rate = (data.exposures @ data.signatures).to_numpy()
    z = (data.counts.to_numpy() - rate) / np.sqrt(rate + dispersion * rate**2)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 4 * (z**2).std() / np.sqrt(z.size)
    assert abs(np.corrcoef(z[:, 0], z[:, 1])[0, 1]) < 4 / np.sqrt(len(z))


def test_without_noise_the_counts_are_the_rounded_expectation():
    data = simulate_signature_catalogs(50, signatures=some_profiles(), cancer_types=ONE_TYPE, noise="none")
    np.testing.assert_array_equal(data.counts, np.rint((data.exposures @ data.signatures).to_numpy()))


def test_signatures_are_active_as_often_as_asked():
    n = 5000
    data = simulate_signature_catalogs(n, signatures=some_profiles(), cancer_types=ONE_TYPE)
    active = (data.exposures > 0).mean()
    for name, (p, _) in ONE_TYPE["T"].activities.items():
        assert abs(active[name] - p) <= 4 * np.sqrt(p * (1 - p) / n)


def test_a_sample_without_any_signature_gets_the_most_probable_one():
    rare = {"T": CancerType({"G0": (0.001, 1), "G1": (0.002, 1)})}
    data = simulate_signature_catalogs(300, signatures=some_profiles(), cancer_types=rare)
    assert ((data.exposures > 0).sum(axis=1) >= 1).all()
    assert (data.exposures["G1"] > 0).mean() > 0.95


def test_hypermutation_multiplies_the_burden_through_the_largest_exposure():
    arguments = {"signatures": some_profiles(), "cancer_types": ONE_TYPE, "random_state": 1}
    plain = simulate_signature_catalogs(200, settings=CatalogSettings(), **arguments)
    fine = CatalogSettings(fraction_hypermutated=0.1, hypermutation_factor=15)
    grown = simulate_signature_catalogs(200, settings=fine, **arguments)
    chosen = grown.metadata["hypermutated"]
    assert chosen.sum() == 20
    ratio = grown.metadata["burden"] / plain.metadata["burden"]
    np.testing.assert_allclose(ratio[chosen], 15)
    np.testing.assert_allclose(ratio[~chosen], 1)
    changed = (grown.exposures != plain.exposures)[chosen]
    assert (changed.sum(axis=1) == 1).all()
    assert (changed.idxmax(axis=1) == plain.exposures[chosen].idxmax(axis=1)).all()


def test_flat_contamination_adds_equal_parts():
    fine = CatalogSettings(contamination=0.3)
    data = simulate_signature_catalogs(
        100, signatures=some_profiles(), cancer_types=ONE_TYPE, noise="none", settings=fine
    )
    own = (data.exposures @ data.signatures).to_numpy()
    foreign = data.metadata["contaminating"].to_numpy()
    np.testing.assert_allclose(foreign, 0.3 * data.metadata["burden"])
    np.testing.assert_allclose(data.counts, own + foreign[:, None] / 6, atol=0.5)


def test_contamination_by_another_type_brings_its_signatures():
    apart = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], index=["G0", "G1"], columns=["x", "y"])
    types = {"A": CancerType({"G0": (1, 1)}), "B": CancerType({"G1": (1, 1)})}
    fine = CatalogSettings(contamination=0.25, contaminant="other_type")
    data = simulate_signature_catalogs(100, signatures=apart, cancer_types=types, noise="none", settings=fine)
    other = data.counts["y"].where(data.metadata["cancer_type"] == "A", data.counts["x"])
    np.testing.assert_allclose(other, 0.25 * data.metadata["burden"], atol=0.5)
    with pytest.raises(ValueError, match="must find samples of 2 cancer types or more, but all are of one"):
        simulate_signature_catalogs(5, signatures=apart, cancer_types={"A": types["A"]}, settings=fine)


@needs_cosmic
def test_default_is_sparse_realistic_and_holds_every_signature_often():
    data = simulate_signature_catalogs()
    assert data.counts.shape == (500, 96)
    assert tuple(data.counts.columns) == SBS96
    assert tuple(data.signatures.index) == DEFAULT_SIGNATURES[:8]
    present = (data.exposures > 0).mean()
    assert (present > 0.04).all()
    assert (present < 0.3).sum() >= 6
    assert abs((data.metadata["burden"] < 5000).mean() - 0.5) < 4 * np.sqrt(0.25 / 500)


@needs_cosmic
@pytest.mark.parametrize("seed", [0, 1])
def test_default_can_be_identified_by_plain_nmf(seed):
    data = simulate_signature_catalogs(random_state=seed)
    model = NMF(
        8, beta_loss="kullback-leibler", solver="mu", init="random", max_iter=3000, tol=1e-6, random_state=0
    )
    found = model.fit(data.counts.to_numpy(dtype=float)).components_
    truth = data.signatures.to_numpy()
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosine = found @ (truth / np.linalg.norm(truth, axis=1, keepdims=True)).T
    rows, columns = linear_sum_assignment(-cosine)
    assert cosine[rows, columns].min() > 0.9


@needs_cosmic
def test_other_choices_of_signatures():
    every = simulate_signature_catalogs(300, signatures=len(DEFAULT_SIGNATURES))
    assert set(every.metadata["cancer_type"]) == set(DEFAULT_CANCER_TYPES)
    assert (every.exposures > 0).any().all()
    named = simulate_signature_catalogs(
        200, signatures=["SBS84", "SBS40", "SBS22"], settings=CatalogSettings(version="3.3")
    )
    assert (named.exposures > 0).any().all()
    assert set(named.metadata["cancer_type"]) <= {f"Type{i}" for i in range(1, 7)}
    lone = simulate_signature_catalogs(50, signatures=1)
    assert lone.exposures.shape == (50, 1)


@needs_cosmic
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"signatures": 17}, "signatures must be between 1 and 16 when it is a number, but it is 17"),
        (
            {"signatures": ["SBS1", "SBSX"]},
            r"names of COSMIC v3.4, but they are 'SBS1', 'SBSX'; unknown: 'SBSX'",
        ),
        ({"signatures": ["SBS1", "SBS1"]}, "must be different names of COSMIC"),
        ({"noise": "gauss"}, "noise must be 'poisson', 'negative_binomial' or 'none', but it is 'gauss'"),
    ],
)
def test_refused_choices(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_signature_catalogs(10, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples must be >= 1 and median_mutations > 0, but they are 0 and 5000"),
        ({"median_mutations": 0}, "but they are 500 and 0"),
        ({"cancer_types": {}}, "cancer_types must hold at least one type, but it is empty"),
        ({"cancer_types": {"T": CancerType({"Z": (1, 1)})}}, "signatures of the simulation, but 'T' has 'Z'"),
        ({"cancer_types": {"T": CancerType({})}}, "but 'T' has none at all"),
        (
            {"cancer_types": {"T": CancerType({"G0": (1.2, 1)})}},
            r"probabilities in \(0, 1\], .* but 'T' does not",
        ),
        ({"signatures": some_profiles() * 2}, "signatures must hold rows that sum to 1"),
    ],
)
def test_refused_numbers(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_signature_catalogs(**{"signatures": some_profiles(), **arguments})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("burden_sd", 0, "> 0"),
        ("share_sd", -1, ">= 0"),
        ("dispersion", 0, "> 0"),
        ("fraction_hypermutated", 1.5, r"in \[0, 1\]"),
        ("hypermutation_factor", 0.5, ">= 1"),
        ("contamination", 1, r"in \[0, 1\)"),
        ("contaminant", "rain", "'flat' or 'other_type'"),
    ],
)
def test_refused_settings(name, value, rule):
    with pytest.raises(ValueError, match=f"{name} must be {rule}, but it is {value!r}"):
        CatalogSettings(**{name: value})
