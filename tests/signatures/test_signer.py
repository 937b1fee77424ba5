import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import gammaln
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.signatures.data.published import load_islam
from latentgenomes.signatures.evaluate import recovery
from latentgenomes.signatures.models.gamma_factor import GammaFactor, Prior
from latentgenomes.signatures.models.gibbs import Allocation, GibbsChain, split_r_hat
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.simulate import simulate_signature_catalogs

ISLAM_PARTS = ("catalog", "truth.sigs", "truth.exposures")
SMALL = {"n_restarts": 2, "n_burn_in": 100, "n_samples": 80, "n_starts": 3, "keep": 50, "random_state": 0}


def problem(seed, n=7, m=6, k=4):
    rng = np.random.default_rng(seed)
    exposures, signatures = rng.gamma(0.7, 8.0, (n, k)), rng.gamma(0.5, 1.0, (k, m)) + 1e-3
    return rng.poisson(exposures @ signatures).astype(float), exposures, signatures


def within(draws, expected, errors=4.0):
    """Whether the mean over draws lies within so many standard errors of what is expected."""
    draws = np.asarray(draws)
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return bool((np.abs(draws.mean(0) - expected) <= errors * error + 1e-9).all())


@pytest.fixture(scope="module")
def catalogs():
    """150 samples, 4 signatures, median 5,000 mutations, Poisson noise."""
    return simulate_signature_catalogs(150, signatures=4, random_state=1)


@pytest.fixture(scope="module")
def fitted(catalogs):
    return SignerNMF(4, **SMALL).fit(catalogs.counts)


# ---- allocation of mutations --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_every_mutation_is_placed_once(seed):
    counts, exposures, signatures = problem(seed)
    counts[0], counts[:, 2] = 0.0, 0.0
    counts += seed % 2 * 0.3  # fractions are shared out too
    by_sample, by_channel = Allocation(counts).draw(exposures, signatures, np.random.default_rng(seed))
    np.testing.assert_allclose(by_sample.sum(1), counts.sum(1))
    np.testing.assert_allclose(by_channel.sum(0), counts.sum(0))
    assert by_sample.min() >= 0
    assert by_channel.min() >= 0


def test_allocation_has_the_moments_of_a_multinomial():
    counts, exposures, signatures = problem(1)
    shares = exposures[:, :, None] * signatures  # (n, k, m)
    shares /= shares.sum(1, keepdims=True)
    mean, variance = counts[:, None] * shares, counts[:, None] * shares * (1 - shares)
    rng, allocation = np.random.default_rng(0), Allocation(counts)
    draws = [allocation.draw(exposures, signatures, rng) for _ in range(4000)]
    by_sample, by_channel = (np.stack(one) for one in zip(*draws, strict=True))
    assert within(by_sample, mean.sum(2))
    assert within(by_channel, mean.sum(0))
    assert within((by_sample - mean.sum(2)) ** 2, variance.sum(2))
    assert within((by_channel - mean.sum(0)) ** 2, variance.sum(0))
    covariance = -(counts * shares[:, 0] * shares[:, 1]).sum(1)
    products = (by_sample[:, :, 0] - mean[:, 0].sum(1)) * (by_sample[:, :, 1] - mean[:, 1].sum(1))
    assert within(products, covariance)


def test_allocation_agrees_with_a_multinomial_entry_by_entry():
    counts, exposures, signatures = problem(2, n=2, m=3, k=3)
    rng, allocation = np.random.default_rng(0), Allocation(counts)
    fast = np.array([allocation.draw(exposures, signatures, rng)[0][0] for _ in range(3000)])
    slow = np.zeros((3000, 3))
    for draw in range(3000):
        for m in range(3):
            share = exposures[0] * signatures[:, m]
            slow[draw] += rng.multinomial(int(counts[0, m]), share / share.sum())
    for k in range(3):
        values = np.unique(np.r_[fast[:, k], slow[:, k]])
        table = [[(one[:, k] == v).sum() for v in values] for one in (fast, slow)]
        assert stats.chi2_contingency(np.array(table) + 1).pvalue > 1e-4


def test_a_fraction_of_a_mutation_is_split_in_proportion():
    _, exposures, signatures = problem(3)
    fractions = np.full((7, 6), 0.25)
    by_sample, by_channel = Allocation(fractions).draw(exposures, signatures, np.random.default_rng(0))
    shares = exposures[:, :, None] * signatures
    shares *= 0.25 / shares.sum(1, keepdims=True)
    np.testing.assert_allclose(by_sample, shares.sum(2))
    np.testing.assert_allclose(by_channel, shares.sum(0))


# ---- the other conditionals ---------------------------------------------------------------------

PRIOR = Prior(2.0, 0.7, 1.3)


def test_values_and_rates_have_the_moments_of_their_gammas():
    rng = np.random.default_rng(0)
    shapes, rates, allocated = (rng.gamma(2.0, size=(3, 4)) for _ in range(3))
    pull = rng.gamma(2.0, size=(3, 1))
    factor = GammaFactor(np.ones((3, 4)), shapes, rates, PRIOR)
    values, drawn_rates = [], []
    for _ in range(6000):
        factor.draw_values(allocated, pull, rng)
        values.append(factor.values)
        factor.values = np.full((3, 4), 0.4)
        factor.draw_rates(rng)
        drawn_rates.append(factor.rates)
        factor.rates = rates
    law = stats.gamma(shapes + 1 + allocated, scale=1 / (rates + pull))
    assert within(values, law.mean())
    assert within((np.array(values) - law.mean()) ** 2, law.var())
    law = stats.gamma(2.0 + shapes + 1, scale=1 / (0.7 + 0.4))
    assert within(drawn_rates, law.mean())
    assert within((np.array(drawn_rates) - law.mean()) ** 2, law.var())


@pytest.mark.parametrize("value", [0.01, 0.8, 30.0])
def test_shapes_follow_their_density(value):
    # 400 independent chains; the density of alpha with beta integrated out numerically
    grid = np.linspace(1e-4, 25, 1500)
    rates = np.geomspace(1e-4, 1e3, 600)
    log_joint = stats.gamma.logpdf(value, grid[:, None] + 1, scale=1 / rates)
    log_joint = log_joint + stats.gamma.logpdf(rates, 2.0, scale=1 / 0.7) - 1.3 * grid[:, None]
    density = integrate.trapezoid(np.exp(log_joint), rates, axis=1)
    density /= integrate.trapezoid(density, grid)
    rng = np.random.default_rng(0)
    factor = GammaFactor(np.full(400, value), np.full(400, 0.5), np.ones(400), PRIOR)
    draws = []
    for sweep in range(400):
        factor.draw_shapes(rng)
        if sweep >= 50:
            draws.append(factor.shapes)
    chains = np.array(draws)  # (350, 400)
    for power in (1, 2):
        expected = integrate.trapezoid(grid**power * density, grid)
        assert within((chains**power).mean(0), expected)


def test_the_prior_of_values_is_the_one_with_the_rate_integrated_out():
    shapes, rng = np.array([0.2, 1.5]), np.random.default_rng(0)
    factor = GammaFactor(np.ones(2), shapes, np.ones(2), PRIOR)

    def slow(values):
        def joint(beta, value, shape):
            return stats.gamma.pdf(value, shape + 1, scale=1 / beta) * stats.gamma.pdf(beta, 2, scale=1 / 0.7)

        pairs = zip(values, shapes, strict=True)
        return sum(np.log(integrate.quad(joint, 0, np.inf, args=pair)[0]) for pair in pairs)

    one, two = rng.gamma(1.0, size=(2, 2))
    difference = factor.log_prior(one, shapes) - factor.log_prior(two, shapes)
    assert difference == pytest.approx(slow(one) - slow(two), rel=1e-6)


def chain_of(rng, prior, n=3, m=4, k=2, opportunities=None):
    """A chain at a draw from the prior, with counts drawn from it."""
    factors = []
    for shape in ((n, k), (k, m)):
        shapes, rates = rng.exponential(1 / prior.decay, shape), rng.gamma(prior.a, 1 / prior.b, shape)
        factors.append(GammaFactor(rng.gamma(shapes + 1) / rates, shapes, rates, prior))
    opportunities = rng.gamma(4.0, 0.25, (n, m))
    counts = rng.poisson((factors[0].values @ factors[1].values) * opportunities).astype(float)
    return GibbsChain(counts, opportunities, exposures=factors[0], signatures=factors[1], rng=rng)


def state(chain):
    parts = [f for factor in (chain.exposures, chain.signatures) for f in vars(factor).values()]
    e, _, _, _, p, _, _, _ = parts
    logs = [np.log(x).ravel() for x in parts if isinstance(x, np.ndarray)]
    products = np.log(e @ p).ravel()
    return np.concatenate([*logs, products])


def test_sweeps_leave_the_joint_distribution_as_it_is():
    # Start at a draw of everything from the model. After any number of correct sweeps the state, averaged
    # over such starts, is still a draw from the prior. n = 400 independent starts, 8 sweeps each.
    rng = np.random.default_rng(0)
    first, last = [], []
    for _ in range(400):
        chain = chain_of(rng, Prior(5.0, 3.0, 1.0))
        first.append(state(chain))
        for _ in range(8):
            chain.sweep()
        last.append(state(chain))
    first, last = np.array(first), np.array(last)
    assert within(last - first, 0.0)
    assert within(last**2 - first**2, 0.0)
    assert (np.abs(last - first).std(0) > 0.1).all(), (
        "every part of the state must move for this test to bite"
    )


@pytest.mark.parametrize("step", ["rescale", "shear"])
def test_moves_between_the_factors_change_no_expected_count(step):
    chain = chain_of(np.random.default_rng(3), PRIOR)
    before, values = chain.exposures.values @ chain.signatures.values, chain.exposures.values.copy()
    likelihood = chain.log_likelihood()
    for _ in range(20):
        getattr(chain, step)()
    np.testing.assert_allclose(chain.exposures.values @ chain.signatures.values, before)
    assert not np.allclose(chain.exposures.values, values)
    assert chain.exposures.values.min() > 0
    assert chain.signatures.values.min() > 0
    rates = before * chain.opportunities
    assert chain.log_likelihood() == pytest.approx(likelihood)
    assert likelihood == pytest.approx(stats.poisson.logpmf(chain.counts, rates).sum())


@pytest.mark.parametrize("step", ["rescale", "shear"])
def test_moves_between_the_factors_leave_the_prior_as_it_is(step):
    # As below, with this step alone and the rate drawn anew after it; n = 1000 starts.
    rng = np.random.default_rng(1)
    first, last = [], []
    for _ in range(1000):
        chain = chain_of(rng, Prior(5.0, 3.0, 1.0))
        first.append(state(chain))
        for _ in range(5):
            getattr(chain, step)()
        chain.exposures.draw_rates(rng)
        chain.signatures.draw_rates(rng)
        last.append(state(chain))
    first, last = np.array(first), np.array(last)
    assert within(last - first, 0.0)
    assert within(last**2 - first**2, 0.0)


def test_sweeping_exposures_leaves_signatures_alone():
    chain = chain_of(np.random.default_rng(4), PRIOR)
    signatures, exposures = chain.signatures.values.copy(), chain.exposures.values.copy()
    chain.sweep_exposures()
    np.testing.assert_array_equal(chain.signatures.values, signatures)
    assert not np.isclose(chain.exposures.values, exposures).any()


def test_exposures_under_a_known_signature_have_their_posterior():
    # One signature: x is Poisson(e p w), so the posterior of e on a grid is the oracle.
    rng = np.random.default_rng(5)
    chain = chain_of(rng, PRIOR, n=1, m=3, k=1)
    chain = GibbsChain(
        np.array([[2.0, 0.0, 5.0]]),
        np.ones((1, 3)),
        exposures=chain.exposures,
        signatures=GammaFactor(np.array([[0.2, 0.5, 0.8]]), np.ones((1, 3)), np.ones((1, 3)), PRIOR),
        rng=rng,
    )
    draws = []
    for _ in range(6000):
        chain.sweep_exposures()
        draws.append(chain.exposures.values[0, 0])
    grid, shapes = np.linspace(1e-3, 40, 800), np.linspace(1e-3, 15, 400)[:, None]
    log_prior = shapes * np.log(grid) + gammaln(shapes + 3.0) - gammaln(shapes + 1.0)
    log_prior = log_prior - (shapes + 3.0) * np.log(grid + 0.7) - 1.3 * shapes
    density = np.exp(log_prior).sum(0) * stats.poisson.pmf(7, 1.5 * grid)
    density /= density.sum()
    batches = np.array(draws).reshape(60, 100)  # batch means: draws of one chain are not independent
    assert within(batches.mean(1), (grid * density).sum())
    assert within((batches**2).mean(1), (grid**2 * density).sum())


# ---- diagnostics --------------------------------------------------------------------------------


def test_split_r_hat_written_out():
    draws = np.random.default_rng(0).normal(size=(3, 10, 2)) + np.arange(3)[:, None, None]
    halves = [chain[part] for chain in draws for part in (slice(0, 5), slice(5, 10))]
    for column in range(2):
        within_ = np.mean([np.var(h[:, column], ddof=1) for h in halves])
        between = 5 * np.var([h[:, column].mean() for h in halves], ddof=1)
        expected = np.sqrt((4 / 5 * within_ + between / 5) / within_)
        assert split_r_hat(draws)[column] == pytest.approx(expected)
    assert split_r_hat(draws).min() > 1.2
    assert split_r_hat(np.random.default_rng(1).normal(size=(4, 4000))) == pytest.approx(1.0, abs=0.005)
    np.testing.assert_array_equal(split_r_hat(np.ones((2, 8, 3))), np.ones(3))
    apart = np.repeat([[0.0], [1.0]], 8, axis=1)
    assert split_r_hat(apart) == np.inf


# ---- the estimator ------------------------------------------------------------------------------


def test_known_signatures_are_recovered(fitted, catalogs):
    found = recovery(fitted.signatures_, catalogs.signatures, (0.95,)).iloc[0]
    assert found.f1 == 1.0
    totals = fitted.training_exposures_.sum(1)
    np.testing.assert_allclose(totals, catalogs.counts.sum(axis=1), rtol=0.1)
    assert (fitted.restarts_["least_cosine"] > 0.98).all()
    assert fitted.r_hat_["median_entry"].max() < 1.1
    assert (fitted.r_hat_["largest_entry"] >= fitted.r_hat_["median_entry"]).all()


def test_the_true_rank_has_the_highest_bic(catalogs):
    short = SMALL | {"n_restarts": 1, "n_burn_in": 50, "n_samples": 20}
    bics = {k: SignerNMF(k, **short).fit(catalogs.counts).bic_ for k in (3, 4, 5)}
    assert max(bics, key=bics.get) == 4


def test_bic_is_signers(fitted, catalogs):
    n, m = catalogs.counts.shape
    penalty = 4 * (n + m) * np.log(n)
    assert fitted.bic_ == pytest.approx(2 * fitted.restarts_["log_likelihood"].max() - penalty)
    assert fitted.bic_ == pytest.approx(np.median(fitted.bic_draws_))
    refit = fitted.score(catalogs.counts) * catalogs.counts.to_numpy().sum()
    assert (fitted.bic_ + penalty) / 2 < refit  # the maximum over exposures is above a typical draw
    assert (fitted.bic_ + penalty) / 2 == pytest.approx(refit, rel=0.02)


def test_draws_belong_to_the_reported_signatures(fitted):
    assert fitted.signature_draws_.shape == (40, 4, 96)  # every 2nd of 80
    np.testing.assert_allclose(fitted.signature_draws_.sum(-1), 1.0)
    np.testing.assert_allclose(fitted.signature_draws_.mean(0), fitted.components_, atol=0.01)


def test_same_seed_same_draws_and_the_first_chain_is_the_same(catalogs):
    x = catalogs.counts.iloc[:60]
    settings = SMALL | {"n_burn_in": 10, "n_samples": 8, "keep": 4, "random_state": 3}
    one = SignerNMF(3, **settings | {"n_restarts": 1}).fit(x)
    many, again = (SignerNMF(3, **settings | {"n_restarts": 4}).fit(x) for _ in range(2))
    np.testing.assert_array_equal(many.signature_draws_, again.signature_draws_)
    np.testing.assert_array_equal(many.training_exposures_, again.training_exposures_)
    first = one.restarts_[["seed", "log_likelihood", "bic"]].iloc[0]
    pd.testing.assert_series_equal(first, many.restarts_[["seed", "log_likelihood", "bic"]].iloc[0])
    best = many.restarts_["log_likelihood"].idxmax()
    assert best > 0, "another chain than the first must be reported for this test to bite"
    assert many.bic_ == many.restarts_["bic"].max()
    assert many.restarts_["least_cosine"][best] == pytest.approx(1.0)


def test_thinning_records_every_so_many_sweeps(catalogs):
    x = catalogs.counts.iloc[:40]
    settings = SMALL | {"n_restarts": 1, "n_burn_in": 5}
    full = SignerNMF(3, **settings | {"n_samples": 12, "thinning": 1}).fit(x)
    thin = SignerNMF(3, **settings | {"n_samples": 12, "thinning": 3, "keep": 2}).fit(x)
    np.testing.assert_allclose(thin.bic_draws_, full.bic_draws_[2::3])
    np.testing.assert_allclose(
        np.sort(thin.signature_draws_, axis=1), np.sort(full.signature_draws_[[2, 8]], axis=1)
    )


def test_opportunities_count_by_their_ratios(catalogs):
    rng = np.random.default_rng(0)
    w = rng.gamma(5.0, size=96)
    x = catalogs.counts.iloc[:50]
    settings = SMALL | {"n_restarts": 1, "n_burn_in": 40, "n_samples": 8}
    one = SignerNMF(3, opportunities=w.tolist(), **settings).fit(x)
    ten = SignerNMF(3, opportunities=np.tile(10 * w, (50, 1)).tolist(), **settings).fit(x)
    np.testing.assert_allclose(one.components_, ten.components_, rtol=1e-6)
    np.testing.assert_allclose(one.training_exposures_.sum(1), x.sum(axis=1), rtol=0.15)


def test_signatures_are_told_apart_from_opportunities():
    # Two groups of samples differ in opportunities alone: with them one signature explains all.
    rng = np.random.default_rng(0)
    signature = rng.dirichlet(np.ones(20))
    w = np.where(np.arange(60)[:, None] < 30, 1.0, np.linspace(0.2, 3.0, 20))
    counts = rng.poisson(2000 * signature * w)
    model = SignerNMF(1, opportunities=w.tolist(), **SMALL).fit(counts)
    expected = signature * w.mean(0)
    np.testing.assert_allclose(model.components_[0], expected / expected.sum(), rtol=0.05, atol=1e-3)
    np.testing.assert_allclose(model.training_exposures_[:, 0], counts.sum(1), rtol=0.1)
    blind = SignerNMF(1, **SMALL).fit(counts)
    assert model.bic_ > blind.bic_ + 1000


def test_a_capped_hypermutator_keeps_its_exposures_in_mutations(catalogs):
    x = catalogs.counts.to_numpy(dtype=float)[:50].copy()
    x[0] *= 300
    settings = SMALL | {"n_restarts": 1, "n_burn_in": 60, "n_samples": 20}
    model = SignerNMF(3, max_mutations=5000.0, **settings).fit(x)
    np.testing.assert_allclose(model.training_exposures_[0].sum(), x[0].sum(), rtol=0.1)


def test_intervals_cover_exposures_drawn_from_the_prior():
    # 95% intervals of 100 x 2 exposures, signatures learned, everything drawn from the model itself
    rng = np.random.default_rng(2)
    priors = {"signature_prior": (3.0, 0.06, 5.0), "exposure_prior": (2.0506, 1.325, 1.436)}
    drawn = []
    for shape, values in (((2, 20), priors["signature_prior"]), ((100, 2), priors["exposure_prior"])):
        shapes = rng.exponential(1 / values[2], shape)
        drawn.append(rng.gamma(shapes + 1) / rng.gamma(values[0], 1 / values[1], shape))
    signatures, exposures = drawn
    counts = rng.poisson(exposures @ signatures)
    model = SignerNMF(2, **SMALL | {"n_burn_in": 300, "n_samples": 300} | priors).fit(counts)
    truth = exposures * signatures.sum(1)
    truth = truth[:, (model.components_ @ signatures.T / signatures.sum(1)).argmax(1)]
    lower, upper = model.exposure_intervals(counts, 0.95)
    assert (lower <= upper).all()
    assert 0.88 < ((truth >= lower) & (truth <= upper)).mean() <= 1.0
    narrow, wide = model.exposure_intervals(counts[:50], 0.5)
    assert 0.35 < ((truth[:50] >= narrow) & (truth[:50] <= wide)).mean() < 0.65
    np.testing.assert_array_equal(lower, model.exposure_intervals(counts, 0.95)[0])


def test_save_and_load_give_the_same_model(fitted, catalogs, tmp_path):
    loaded = SignerNMF.load(fitted.save(tmp_path / "m.safetensors"))
    x = catalogs.counts.iloc[:10]
    np.testing.assert_array_equal(loaded.transform(x), fitted.transform(x))
    np.testing.assert_array_equal(loaded.exposure_intervals(x)[1], fitted.exposure_intervals(x)[1])
    pd.testing.assert_frame_equal(loaded.r_hat_, fitted.r_hat_)
    assert loaded.bic_ == fitted.bic_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_burn_in": -1}, "n_burn_in must be a whole number >= 0, but -1 came"),
        ({"n_samples": 3}, "n_samples must be a whole number >= 4, but 3 came"),
        ({"thinning": 0.5}, r"thinning must be a whole number >= 1, but 0\.5 came"),
        ({"keep": 0}, "keep must be a whole number >= 1, but 0 came"),
        ({"n_starts": 0}, "n_starts must be a whole number >= 1, but 0 came"),
        ({"n_samples": 10, "thinning": 4}, "must leave at least 4 draws, but 10 / 4 came. Raise n_samples"),
        ({"signature_prior": (1.0, 2.0)}, r"signature_prior must be 3 numbers > 0 .*but \(1\.0, 2\.0\) came"),
        ({"exposure_prior": (1.0, 0.0, 1.0)}, "exposure_prior must be 3 numbers > 0"),
        ({"opportunities": [1.0, 2.0]}, r"opportunities must have one number a channel, \(5,\).*is \(2,\)"),
        (
            {"opportunities": [1.0, 2.0, 0.0, 1.0, 1.0]},
            "opportunities must be finite and > 0, but some are not",
        ),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SignerNMF(2, **settings).fit(np.ones((10, 5)))


def test_bad_levels_are_named(fitted, catalogs):
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1, but 95 came.*such as 0\.95"):
        fitted.exposure_intervals(catalogs.counts, 95)


@parametrize_with_checks(
    [SignerNMF(n_signatures=2, n_restarts=1, n_burn_in=4, n_samples=4, n_starts=1, keep=4, random_state=0)]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)


@pytest.mark.real_data(*[f"signatures/synthetic_islam2022/Scenario_4.{part}.csv" for part in ISLAM_PARTS])
def test_three_signatures_of_islam_scenario_4():
    data = load_islam(4)
    truth = data.signatures.div(data.signatures.sum(axis=1), axis=0)
    rates = data.exposures.to_numpy() @ truth.to_numpy()
    counts = pd.DataFrame(np.random.default_rng(0).poisson(rates), columns=truth.columns)
    model = SignerNMF(3, **SMALL | {"n_restarts": 1, "n_burn_in": 60, "n_samples": 30}).fit(counts.iloc[:200])
    assert recovery(model.signatures_, truth, (0.9,))["f1"].item() == 1.0
