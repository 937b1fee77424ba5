import numpy as np
import pytest
from scipy import optimize, stats

from latentgenomes.signatures.models.gamma_factor import GammaFactor, Prior
from latentgenomes.signatures.models.gibbs import GibbsChain, split_r_hat
from latentgenomes.signatures.models.hamiltonian import Metric, Trajectories

PRIOR = Prior(5.0, 3.0, 1.0)


def drawn(rng, n=3, m=4, k=2):
    """Everything from the model: opportunities, counts, exposures and signatures."""
    factors = []
    for shape in ((n, k), (k, m)):
        shapes, rates = rng.exponential(1 / PRIOR.decay, shape), rng.gamma(PRIOR.a, 1 / PRIOR.b, shape)
        factors.append(GammaFactor(rng.gamma(shapes + 1) / rates, shapes, rates, PRIOR))
    opportunities = rng.gamma(4.0, 0.25, (n, m))
    counts = rng.poisson((factors[0].values @ factors[1].values) * opportunities).astype(float)
    return counts, opportunities, *factors


def tuned(rng, counts, opportunities):
    """Trajectories whose metric comes from another draw than the state that they will move."""
    _, _, e, p = drawn(rng, *counts.shape)
    trajectories = Trajectories(counts, opportunities)
    trajectories.tune(e, p)
    trajectories.step = 0.5
    return trajectories


def within(draws, expected, errors=4.0):
    """Whether the mean over draws lies within so many standard errors of what is expected."""
    draws = np.asarray(draws)
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return bool((np.abs(draws.mean(0) - expected) <= errors * error + 1e-9).all())


def test_the_potential_is_the_negative_log_posterior():
    rng = np.random.default_rng(0)
    counts, w, e, p = drawn(rng)
    values = []
    for _ in range(2):
        logs = np.log(rng.gamma(1.0, size=e.values.shape)), np.log(rng.gamma(1.0, size=p.values.shape))
        posterior = stats.poisson.logpmf(counts, np.exp(logs[0]) @ np.exp(logs[1]) * w).sum()
        for factor, log in ((e, logs[0]), (p, logs[1])):  # the density of a logarithm has v as its Jacobian
            posterior += stats.gamma.logpdf(np.exp(log), factor.shapes + 1, scale=1 / factor.rates).sum()
            posterior += log.sum()
        values.append((Trajectories(counts, w).potential(logs, e, p)[0], posterior))
    (u, one), (v, two) = values
    assert u - v == pytest.approx(two - one)


def test_slopes_are_the_derivatives_of_the_potential():
    rng = np.random.default_rng(1)
    counts, w, e, p = drawn(rng)
    trajectories, n = Trajectories(counts, w), e.values.size

    def value(flat):
        logs = flat[:n].reshape(e.values.shape), flat[n:].reshape(p.values.shape)
        return trajectories.potential(logs, e, p)

    flat = rng.normal(size=n + p.values.size)
    slopes = np.concatenate([part.ravel() for part in value(flat)[1]])
    numeric = optimize.approx_fprime(flat, lambda one: value(one)[0], 1e-7)
    np.testing.assert_allclose(slopes, numeric, rtol=1e-4, atol=1e-4)


def test_the_metric_is_the_information_about_logarithms():
    # The variance of the slopes of the log-likelihood over catalogues drawn at this state, plus alpha + 1.
    rng = np.random.default_rng(2)
    _, w, e, p = drawn(rng, n=1, m=5, k=3)
    rates = e.values @ p.values * w
    counts = rng.poisson(rates, (200_000, 5))
    slopes = e.values * ((counts / rates - 1) * w @ p.values.T)
    metric = Metric.of(e.values, p.values.T, w / (e.values @ p.values), e.shapes)
    block = np.linalg.inv(metric.inverse[0])
    np.testing.assert_allclose(metric.root[0] @ metric.root[0].T, block)
    np.testing.assert_allclose(block, np.cov(slopes.T) + np.diag(e.shapes[0] + 1), rtol=0.02)
    momenta = np.array([metric.draw(rng)[0] for _ in range(20_000)])
    np.testing.assert_allclose(np.cov(momenta.T), block, rtol=0.05, atol=0.05)


def test_a_short_step_loses_little_energy():
    # The error of leapfrog falls with the square of the step; a wrong sign anywhere would not let it.
    losses = []
    for step in (0.4, 0.2):
        accepted = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            counts, w, e, p = drawn(rng)
            trajectories = Trajectories(counts, w)
            trajectories.tune(e, p)
            trajectories.step = step
            accepted.append(trajectories.move(e, p, np.random.default_rng(seed)))
        losses.append(-np.log(np.maximum(accepted, 1e-9)).mean())
    assert losses[1] < 0.02
    assert losses[1] < losses[0] / 2


def test_trajectories_leave_the_joint_distribution_as_it_is():
    # As for the sweeps of the sampler: 1500 draws of everything from the model, 3 trajectories each.
    rng = np.random.default_rng(3)
    first, last = [], []
    for _ in range(1500):
        counts, w, e, p = drawn(rng)
        trajectories = tuned(rng, counts, w)
        first.append(
            np.log(np.concatenate([e.values.ravel(), p.values.ravel(), (e.values @ p.values).ravel()]))
        )
        for _ in range(3):
            trajectories.move(e, p, rng)
        last.append(
            np.log(np.concatenate([e.values.ravel(), p.values.ravel(), (e.values @ p.values).ravel()]))
        )
    first, last = np.array(first), np.array(last)
    assert within(last - first, 0.0)
    assert within(last**2 - first**2, 0.0)
    assert (np.abs(last - first).std(0) > 0.3).all(), "everything must move for this test to bite"


def test_sweeps_with_trajectories_leave_the_joint_distribution_as_it_is():
    rng = np.random.default_rng(4)
    first, last = [], []
    for _ in range(400):
        counts, w, e, p = drawn(rng)
        chain = GibbsChain(counts, w, exposures=e, signatures=p, rng=rng)
        chain.trajectories = tuned(rng, counts, w)
        first.append(np.log(np.concatenate([e.values.ravel(), p.values.ravel(), e.rates.ravel()])))
        for _ in range(4):
            chain.sweep()
        last.append(np.log(np.concatenate([e.values.ravel(), p.values.ravel(), e.rates.ravel()])))
    assert within(np.array(last) - first, 0.0)


def test_a_lost_trajectory_is_rejected_and_shortens_the_step():
    counts, w, e, p = drawn(np.random.default_rng(5))
    trajectories = tuned(np.random.default_rng(6), counts, w)
    trajectories.step = 1e4
    before = e.values.copy()
    assert trajectories.move(e, p, np.random.default_rng(0), learn=True) == 0.0
    np.testing.assert_array_equal(e.values, before)
    assert trajectories.step < 1e4


def test_trajectories_wait_for_a_metric():
    counts, w, e, p = drawn(np.random.default_rng(7))
    trajectories = Trajectories(counts, w)
    assert not trajectories.tuned
    with pytest.raises(RuntimeError, match="Call tune first"):
        trajectories.move(e, p, np.random.default_rng(0))


def test_overlapping_signatures_mix_faster_with_trajectories():
    # Two flat signatures that share most of their mutations, 20,000 mutations a sample.
    rng = np.random.default_rng(8)
    base = rng.dirichlet(np.full(30, 5.0))
    truth = 0.8 * base + 0.2 * rng.dirichlet(np.ones(30), 2)
    counts = rng.poisson(rng.gamma(1.0, 1e4, (60, 2)) @ truth).astype(float)
    worst = {}
    for name in ("trajectories", "Gibbs alone"):
        draws = []
        for seed in range(2):
            rng = np.random.default_rng(seed)
            e = np.maximum(counts @ np.linalg.pinv(truth), 50.0)
            scales = e.mean(0)
            e = GammaFactor.start(e / scales, PRIOR, rng)
            p = GammaFactor.start(truth * scales[:, None], PRIOR, rng)
            chain = GibbsChain(counts, np.ones_like(counts), exposures=e, signatures=p, rng=rng)
            for sweep in range(450):
                if name == "trajectories" and sweep < 150 and sweep % 10 == 0:
                    chain.trajectories.tune(e, p)
                chain.sweep(learn=sweep < 150)
                if sweep >= 150:
                    draws.append(p.values / p.values.sum(1, keepdims=True))
        worst[name] = float(split_r_hat(np.array(draws).reshape(2, 300, 2, 30)).max())
    assert worst["trajectories"] < 1.15
    assert worst["Gibbs alone"] > 1.5
