"""The consensus of searches on halves of the donors: what agrees, how often, and how sure exposures are."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentgenomes as lg
from latentgenomes.signatures.evaluate import recovery
from latentgenomes.signatures.models.agreement import agree
from latentgenomes.signatures.models.consensus_nmf import ConsensusNMF
from latentgenomes.signatures.models.exposure_errors import inverse_information, quiet_totals
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF

FAST = {"n_pairs": 2, "max_iter": 2, "random_state": 0}


@pytest.fixture(scope="module")
def truth():
    return lg.signatures.simulate(60, signatures=["SBS1", "SBS2", "SBS5", "SBS13"], random_state=0)


@pytest.fixture(scope="module")
def fitted(truth):
    return ConsensusNMF(**FAST).fit(truth.counts)


def profiles(n, rng, m=20):
    return rng.dirichlet(np.full(m, 0.2), size=n)


def test_the_agreement_is_the_mean_of_the_partners_whatever_their_order():
    rng = np.random.default_rng(0)
    true = profiles(4, rng)
    fits = [0.97 * true + 0.03 * profiles(4, rng) for _ in range(30)]
    fits = [fit[rng.permutation(4)] for fit in fits]
    anchor = 0.95 * true + 0.05 * profiles(4, rng)
    found = agree(anchor, fits, most=9)
    assert found.support.tolist() == [1.0] * 4
    np.testing.assert_allclose(found.signatures, found.partners.mean(0), atol=1e-12)
    assert np.abs(found.signatures - true).sum() < 0.5 * np.abs(anchor - true).sum()
    np.testing.assert_allclose(found.signatures.sum(1), 1.0)


def test_support_counts_the_fits_and_absent_ones_stand_in_for_themselves():
    true = np.eye(5)[:3] * 0.9 + 0.02
    fits = [true, true[:2], true[[0, 2]], true[:1]]
    found = agree(true, fits, most=9)
    assert found.support.tolist() == [1.0, 0.5, 0.0]
    np.testing.assert_allclose(found.partners[3, 1], found.signatures[1])


def test_support_asks_whether_the_two_of_a_pair_agree_with_each_other():
    first, second = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    apart = [0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second]
    found = agree(0.5 * (first + second), apart * 5, most=9)
    assert (found.cosines >= 0.8).all()  # each is near the mean
    assert found.support.tolist() == [0.0]  # and far from the other
    near = [0.6 * first + 0.4 * second, 0.4 * first + 0.6 * second]
    assert agree(0.5 * (first + second), apart + near, most=9).support.tolist() == [0.5]


def test_what_half_of_the_fits_share_without_the_anchor_joins_it():
    true = np.eye(6)[:3] * 0.9 + 0.1 / 6
    found = agree(true[:2], [true, true, true[:2], true[:2]], most=9)
    assert len(found.signatures) == 3
    assert found.support.tolist() == [1.0, 1.0, 0.5]
    assert len(agree(true[:2], [true, true[:2], true[:2], true[:2]], most=9).signatures) == 2
    assert len(agree(true[:2], [true, true], most=2).signatures) == 2


def test_signatures_of_a_clear_set_are_all_found(fitted, truth):
    assert recovery(fitted.signatures_, truth.signatures, (0.9,))["f1"].tolist() == [1.0]
    assert fitted.found_.all()
    assert fitted.n_searched_ == 4
    assert fitted.half_signatures_.shape == (8, 4, 96)  # of both searches
    assert fitted.dispersion_ == 0.0
    totals = truth.counts.sum(axis=1)
    assert fitted.cap_ == pytest.approx(np.minimum(totals, totals.median()).median())


def test_scatter_lowers_the_cap_and_is_not_taken_for_signatures():
    truth = lg.signatures.simulate(
        80, signatures=["SBS1", "SBS2", "SBS5", "SBS13"], noise="negative_binomial", random_state=0
    )
    model = ConsensusNMF(**FAST).fit(truth.counts)
    assert model.cap_ < 0.5 * truth.counts.sum(axis=1).median()
    assert 0.02 < model.dispersion_ < 0.15
    assert model.found_.sum() == 4
    assert recovery(model.signatures_[model.found_], truth.signatures, (0.9,))["f1"].tolist() == [1.0]


def test_the_quiet_totals_are_where_scatter_equals_noise():
    rng = np.random.default_rng(0)
    rates = np.full((200, 50), 40.0)
    assert np.isinf(quiet_totals(rng.poisson(rates).astype(float), rates)).all()
    scattered = rng.poisson(rates * rng.gamma(10.0, 0.1, rates.shape)).astype(float)
    assert quiet_totals(scattered, rates) == pytest.approx(50 / 0.1, rel=0.1)


def test_the_range_grows_only_where_nobody_asked_for_one(truth):
    settings = FAST | {"n_pairs": 1}
    assert len(ConsensusNMF(2, **settings).fit(truth.counts).components_) == 4
    assert len(ConsensusNMF(2, extend=False, **settings).fit(truth.counts).components_) == 2
    found = lg.signatures.extract(
        truth.counts, method="consensus", n_signatures=[1, 2], settings={"n_pairs": 1, "max_iter": 2}
    )
    assert found.n_signatures == 2


def test_intervals_widen_with_the_level_and_hold_the_exposures(fitted, truth):
    narrow, wide = (fitted.exposure_intervals(truth.counts, level) for level in (0.5, 0.9))
    exposures = fitted.training_exposures_
    assert (wide[0] <= narrow[0]).all()
    assert (narrow[1] < wide[1]).all()
    assert (wide[0] <= exposures).all()
    assert (exposures < wide[1]).all()
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), but 1 came"):
        fitted.exposure_intervals(truth.counts, 1)


def test_the_information_is_the_inverse_variance_of_a_lone_signature():
    signatures = np.full((1, 10), 0.1)
    exposures = np.array([[500.0]])
    variance = inverse_information(np.full((1, 10), 50.0), exposures, signatures, 0.0)
    assert variance.item() == pytest.approx(500.0)  # of a Poisson count
    scattered = inverse_information(np.full((1, 10), 50.0), exposures, signatures, 0.1)
    assert scattered.item() == pytest.approx(500.0 * (1 + 0.1 * 50.0))


def coverage(ends, truth, exposures):
    """Share of the exposures above 5% of a tumour that lie between the ends."""
    large = exposures > 0.05 * truth.counts.sum(axis=1).to_numpy()[:, None]
    return ((ends[0] <= exposures) & (exposures <= ends[1]))[large].mean()


def test_intervals_cover_more_than_those_that_take_exposures_for_independent():
    names = ["SBS1", "SBS2", "SBS3", "SBS5", "SBS40a"]
    truth = lg.signatures.simulate(100, signatures=names, median_mutations=4000, random_state=0)
    model = ConsensusNMF(**FAST | {"n_pairs": 4}).fit(truth.counts)
    model.components_ = truth.signatures[truth.counts.columns].to_numpy()  # no error of the signatures
    for name in ("prior_shape_", "prior_rate_", "prevalence_"):
        setattr(model, name, np.full(5, {"prior_shape_": 1.0, "prior_rate_": 2.0, "prevalence_": 0.6}[name]))
    model.half_signatures_ = np.tile(model.components_, (8, 1, 1))
    exposures = truth.exposures.to_numpy()
    ours = coverage(model.exposure_intervals(truth.counts), truth, exposures)
    theirs = coverage(GammaPoissonNMF.exposure_intervals(model, truth.counts), truth, exposures)
    n = (exposures > 0.05 * truth.counts.sum(axis=1).to_numpy()[:, None]).sum()
    assert abs(ours - 0.9) < 0.03 + 4 * np.sqrt(0.9 * 0.1 / n)
    assert theirs < ours - 0.1


def test_an_extraction_says_what_was_found_and_survives_its_folder(truth, tmp_path):
    found = lg.signatures.extract(truth.counts, settings={"n_pairs": 2, "max_iter": 2})  # the default
    assert isinstance(found.model, ConsensusNMF)
    words = "All 4 signatures came back in 40% or more of 2 pairs of halves of the donors: all are found."
    assert words in found.reason
    assert found.support["verdict"].tolist() == ["found"] * 4
    again = lg.signatures.Extraction.load(found.save(tmp_path))
    pd.testing.assert_frame_equal(again.support, found.support)
    pd.testing.assert_frame_equal(again.intervals(), found.intervals())
    other = lg.signatures.extract(truth.counts, method="klnmf", n_signatures=2, settings={"n_restarts": 2})
    assert other.support["verdict"].tolist() == ["", ""]


def test_a_saved_model_gives_the_same(fitted, truth, tmp_path):
    loaded = ConsensusNMF.load(fitted.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(loaded.transform(truth.counts), fitted.transform(truth.counts))
    np.testing.assert_array_equal(loaded.half_signatures_, fitted.half_signatures_)
    assert loaded.sample(3, random_state=0).shape == (3, 96)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_pairs": 0}, "n_pairs must be a whole number >= 1, but 0 came"),
        ({"n_pairs": 1.5}, "n_pairs must be a whole number >= 1, but 1.5 came"),
    ],
)
def test_bad_settings_are_refused(truth, settings, message):
    with pytest.raises(ValueError, match=message):
        ConsensusNMF(**settings).fit(truth.counts)


@parametrize_with_checks([ConsensusNMF(3, n_pairs=1, max_iter=1, extend=False, random_state=0)])
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)
