import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.signatures.evaluate import recovery
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import update_exposures
from latentgenomes.signatures.models.negative_binomial import (
    NegativeBinomialNMF,
    _updated,
    fit_dispersion,
    improve,
    log_likelihood,
    penalised_likelihood,
)
from latentgenomes.signatures.simulate import CatalogSettings, simulate_signature_catalogs

FAST = {"n_signatures": 10, "n_restarts": 1, "max_iter": 2, "random_state": 0}


def catalogue(dispersion, n=60, median=20_000.0, seed=0):
    noise = "negative_binomial" if dispersion else "poisson"
    settings = CatalogSettings(dispersion=dispersion or 0.05)
    return simulate_signature_catalogs(
        n, signatures=4, median_mutations=median, noise=noise, settings=settings, random_state=seed
    )


@pytest.fixture(scope="module")
def scattered():
    return catalogue(0.03)


@pytest.fixture(scope="module")
def fitted(scattered):
    return NegativeBinomialNMF(**FAST).fit(scattered.counts)


# ---- the likelihood -----------------------------------------------------------------------------


@pytest.mark.parametrize("dispersion", [1e-6, 0.01, 0.5, 8.0])
def test_the_likelihood_is_the_negative_binomial(dispersion):
    rng = np.random.default_rng(0)
    rates, counts = rng.gamma(2.0, 30.0, (5, 7)), rng.poisson(60.0, (5, 7)).astype(float)
    r = 1 / dispersion
    expected = stats.nbinom.logpmf(counts, r, r / (r + rates)).sum()
    assert log_likelihood(counts, rates, dispersion) == pytest.approx(expected, rel=1e-6)


def test_without_dispersion_it_is_poisson():
    rng = np.random.default_rng(1)
    rates, counts = rng.gamma(2.0, 30.0, (5, 7)), rng.poisson(60.0, (5, 7)).astype(float)
    expected = stats.poisson.logpmf(counts, rates).sum()
    assert log_likelihood(counts, rates, 0.0) == pytest.approx(expected)
    assert log_likelihood(counts, rates, 1e-9) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dispersion", [0.01, 0.2])
def test_the_dispersion_is_found(dispersion):
    rng = np.random.default_rng(2)
    rates = rng.gamma(2.0, 100.0, (200, 40))
    counts = rng.poisson(rates * rng.gamma(1 / dispersion, dispersion, rates.shape)).astype(float)
    assert fit_dispersion(counts, rates) == pytest.approx(dispersion, rel=0.05)
    assert fit_dispersion(rng.poisson(rates).astype(float), rates) < 1e-4


# ---- updates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dispersion", [0.001, 0.1, 3.0])
def test_updates_never_lower_the_likelihood(dispersion):
    rng = np.random.default_rng(3)
    counts = rng.poisson(rng.gamma(1.0, 50.0, (20, 15))).astype(float)
    exposures, signatures = rng.gamma(1.0, 100.0, (20, 3)), rng.dirichlet(np.ones(15), 3)
    last = log_likelihood(counts, exposures @ signatures, dispersion)
    for _ in range(40):
        exposures = _updated(counts, exposures, signatures, dispersion)
        signatures = _updated(counts.T, signatures.T, exposures.T, dispersion).T
        now = log_likelihood(counts, exposures @ signatures, dispersion)
        assert now >= last - 1e-8 * abs(last)
        last = now


def test_without_dispersion_the_update_is_that_of_poisson_counts():
    rng = np.random.default_rng(4)
    counts = rng.poisson(20.0, (6, 9)).astype(float)
    exposures, signatures = rng.gamma(1.0, 50.0, (6, 3)), rng.dirichlet(np.ones(9), 3)
    expected = update_exposures(*map(torch.from_numpy, (counts, exposures, signatures))).numpy()
    np.testing.assert_allclose(_updated(counts, exposures, signatures, 0.0), expected)


def test_improving_keeps_zeros_and_scale():
    rng = np.random.default_rng(5)
    counts = rng.poisson(rng.gamma(1.0, 50.0, (20, 15))).astype(float)
    exposures, signatures = rng.gamma(1.0, 100.0, (20, 3)), rng.dirichlet(np.ones(15), 3)
    exposures[:7, 1] = 0.0
    better, profiles, dispersion = improve(counts, exposures, signatures)
    assert (better[:7, 1] == 0).all()
    np.testing.assert_allclose(profiles.sum(1), 1.0)
    before = log_likelihood(counts, exposures @ signatures, dispersion)
    assert log_likelihood(counts, better @ profiles, dispersion) > before


def test_the_score_written_out():
    rng = np.random.default_rng(6)
    counts = rng.poisson(40.0, (6, 5)).astype(float)
    exposures, signatures = rng.gamma(1.0, 50.0, (6, 2)), rng.dirichlet(np.ones(5), 2)
    exposures[:4, 1] = 0.0
    rates, phi = exposures @ signatures, 0.1
    price = 4 * max(np.log(6) / 2, 1) + 4 * max(np.log(2) / 2, 1)
    for n in range(6):
        for k in range(2):
            information = sum(
                signatures[k, m] ** 2 / (rates[n, m] + phi * rates[n, m] ** 2) for m in range(5)
            )
            price += np.log(1 + exposures[n, k] ** 2 * information) / 2
    price -= 6 * (np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    expected = log_likelihood(counts, rates, phi) - price
    assert penalised_likelihood(counts, exposures, signatures, phi) == pytest.approx(expected)


# ---- the estimator ------------------------------------------------------------------------------


def test_on_poisson_counts_it_is_the_gamma_poisson_nmf():
    counts = catalogue(0.0).counts
    plain, model = (kind(**FAST).fit(counts) for kind in (GammaPoissonNMF, NegativeBinomialNMF))
    assert model.dispersion_ == 0
    assert len(model.candidates_) == 1
    np.testing.assert_array_equal(model.components_, plain.components_)
    np.testing.assert_array_equal(model.training_exposures_, plain.training_exposures_)
    np.testing.assert_array_equal(model.transform(counts), plain.transform(counts))
    pd.testing.assert_frame_equal(model.path_, plain.path_)
    assert model.evidence_ == plain.evidence_
    for one, other in zip(model.exposure_intervals(counts), plain.exposure_intervals(counts), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.sample(5, random_state=0), plain.sample(5, random_state=0))


def test_scatter_is_not_taken_for_signatures(fitted, scattered):
    plain = GammaPoissonNMF(**FAST).fit(scattered.counts)
    assert plain.n_signatures_ > 6, "the Poisson model must fail for this test to bite"
    assert len(fitted.components_) == 4
    assert recovery(fitted.signatures_, scattered.signatures, [0.95])["f1"].item() == 1.0
    assert fitted.dispersion_ == pytest.approx(0.03, rel=0.2)


def test_the_best_proposal_is_kept(fitted):
    table = fitted.candidates_
    best = table.loc[table["evidence"].idxmax()]
    assert fitted.evidence_ == best["evidence"]
    assert len(fitted.components_) == fitted.n_signatures_ == best["n_signatures"]
    assert fitted.dispersion_ == best["dispersion"]
    np.testing.assert_allclose(table["max_mutations"].iloc[1:], table["max_mutations"].iloc[:-1] / 2)
    path = fitted.path_.set_index("n_signatures")
    assert path.index.is_monotonic_increasing
    assert path.index.is_unique
    assert path["penalised_evidence"].idxmax() == len(fitted.components_)
    np.testing.assert_allclose(path["evidence"] - path["penalty"], path["penalised_evidence"])


def test_exposures_are_those_of_the_training_and_best_for_them(fitted, scattered):
    counts = scattered.counts.to_numpy(dtype=float)
    exposures = fitted.transform(scattered.counts)
    np.testing.assert_allclose(exposures, fitted.training_exposures_, rtol=1e-6, atol=1e-3)
    again = _updated(counts, exposures, fitted.components_, fitted.dispersion_)
    np.testing.assert_allclose(again, exposures, rtol=0.02, atol=1.0)
    np.testing.assert_allclose(
        fitted.transform(scattered.counts.iloc[:3]), exposures[:3], rtol=1e-6, atol=1e-3
    )
    truth = scattered.exposures.to_numpy()
    assert np.abs(exposures.sum(1) / truth.sum(1) - 1).mean() < 0.1


def test_intervals_are_wider_and_hold_more_than_those_of_the_poisson_model(fitted, scattered):
    truth = scattered.exposures.to_numpy()
    pairs = (fitted.components_ @ scattered.signatures.to_numpy().T).argmax(1)
    truth = truth[:, pairs]
    present = truth > 0.05 * truth.sum(1, keepdims=True)
    held = []
    for kind in (NegativeBinomialNMF, GammaPoissonNMF):
        lower, upper = kind.exposure_intervals(fitted, scattered.counts)
        assert (lower <= upper).all()
        held.append(((lower <= truth) & (truth <= upper))[present].mean())
    assert held[0] > 0.65
    assert held[1] < held[0] - 0.2
    lower, upper = fitted.exposure_intervals(scattered.counts)
    np.testing.assert_array_equal(upper[fitted.training_exposures_ == 0], 0.0)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
        fitted.exposure_intervals(scattered.counts, 90)


def test_samples_scatter_as_the_counts_do(fitted):
    drawn = fitted.sample(4000, random_state=0)
    rates = np.random.RandomState(0)
    rows = rates.randint(len(fitted.training_exposures_), size=4000)
    expected = fitted.training_exposures_[rows] @ fitted.components_
    large = expected > 50
    excess, expected = (drawn - expected)[large], expected[large]
    relative = excess**2 / (expected + fitted.dispersion_ * expected**2)
    assert relative.mean() == pytest.approx(1.0, rel=0.05)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        fitted.sample(0)


def test_a_given_number_is_found(scattered):
    model = NegativeBinomialNMF(5, eliminate=False, n_restarts=1, max_iter=2, n_caps=2, random_state=0).fit(
        scattered.counts
    )
    assert len(model.components_) == 5
    assert len(model.candidates_) == 2


def test_seeds_may_be_generators(scattered):
    settings = FAST | {"n_caps": 1, "random_state": np.random.RandomState(3)}
    one = NegativeBinomialNMF(**settings).fit(scattered.counts)
    two = NegativeBinomialNMF(**settings | {"random_state": np.random.RandomState(3)}).fit(scattered.counts)
    np.testing.assert_array_equal(one.components_, two.components_)


def test_saved_and_loaded_it_is_the_same(fitted, scattered, tmp_path):
    loaded = NegativeBinomialNMF.load(fitted.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(loaded.transform(scattered.counts), fitted.transform(scattered.counts))
    pd.testing.assert_frame_equal(loaded.candidates_, fitted.candidates_)
    np.testing.assert_array_equal(loaded.sample(3, random_state=1), fitted.sample(3, random_state=1))


@pytest.mark.parametrize("n_caps", [0, 2.5])
def test_bad_settings_are_named(n_caps):
    with pytest.raises(ValueError, match=f"n_caps must be a whole number >= 1, but {n_caps} came"):
        NegativeBinomialNMF(2, n_caps=n_caps).fit(np.ones((10, 5)))


@parametrize_with_checks(
    [NegativeBinomialNMF(n_signatures=3, n_restarts=1, max_iter=2, n_caps=2, random_state=0)]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
