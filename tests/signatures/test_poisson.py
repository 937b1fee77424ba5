import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from latentgenomes.signatures.models import poisson

N = 40_000


def draws(rate: float, temperature: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = poisson.draw_noise((N,), generator)
    return poisson.sample(torch.full((N,), rate), noise, temperature)


def within_four_standard_errors(values: torch.Tensor, mean: float, variance: float) -> None:
    x = values.double()
    assert abs(float(x.mean()) - mean) < 4 * math.sqrt(variance / N)
    fourth = float(((x - x.mean()) ** 4).mean())
    assert abs(float(x.var()) - variance) < 4 * math.sqrt((fourth - variance**2) / N)


@pytest.mark.parametrize("rate", [0.05, 0.7, 1.9])
@pytest.mark.parametrize("temperature", [0.05, 0.1])
def test_relaxed_sample_has_campbells_mean_and_variance(rate, temperature):
    log_term = math.log1p(math.exp(1 / temperature))
    sigmoid = 1 / (1 + math.exp(-1 / temperature))
    mean = rate * temperature * log_term
    variance = rate * temperature * (log_term - sigmoid)
    within_four_standard_errors(draws(rate, temperature), mean, variance)
    # Against the Poisson density itself: the mean to 1e-4, the variance short by the factor 1 - T.
    assert mean == pytest.approx(rate, rel=1e-4)
    assert variance == pytest.approx(rate * (1 - temperature), rel=1e-3)


@pytest.mark.parametrize("rate", [0.3, 1.2, 1.99])
def test_hard_sample_follows_the_poisson_density(rate):
    values = draws(rate, temperature=0.0).numpy()
    top = int(values.max())
    observed = np.bincount(values.astype(int), minlength=top + 1)
    expected = stats.poisson.pmf(np.arange(top + 1), rate) * N
    keep = expected > 5
    assert (
        stats.chisquare(
            np.append(observed[keep], observed[~keep].sum() + 1e-9),
            np.append(expected[keep], N - expected[keep].sum() + 1e-9),
            sum_check=False,
        ).pvalue
        > 1e-4
    )


@pytest.mark.parametrize("rate", [2.0, 7.5, 60.0, 5000.0])
def test_square_root_form_has_the_poisson_mean_and_variance(rate):
    values = draws(rate, temperature=0.1).double()
    clamp = 0.005 if rate < 5 else 0.0
    assert abs(float(values.mean()) - rate) < 4 * math.sqrt(rate / N) + clamp
    fourth = float(((values - values.mean()) ** 4).mean())
    assert abs(float(values.var()) - rate) < 4 * math.sqrt((fourth - rate**2) / N) + 4 * clamp
    assert float(values.min()) >= 0


def test_gradient_of_the_mean_sample_is_one_on_both_sides_of_the_limit():
    # E[z] = rate, so the mean derivative of z is 1 whatever the form of the sampler.
    for rate in (0.5, 1.8, 2.5, 40.0):
        leaf = torch.full((N,), rate, requires_grad=True)
        noise = poisson.draw_noise((N,), torch.Generator().manual_seed(1))
        poisson.sample(leaf, noise, 0.1).sum().backward()
        spread = float(leaf.grad.double().std()) / math.sqrt(N)
        assert abs(float(leaf.grad.double().mean()) - 1.0) < 4 * spread


def test_sample_derivative_agrees_with_finite_differences():
    noise = poisson.draw_noise((6,), torch.Generator().manual_seed(2))
    noise = {name: value.double() for name, value in noise.items()}
    rate = torch.tensor([0.05, 0.8, 1.9, 2.3, 9.0, 300.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: poisson.sample(r, noise, 0.1), (rate,))
    stacked = torch.func.vmap(lambda r, s, e: poisson.sample(r, {"uniform": s, "normal": e}, 0.1))
    assert torch.autograd.gradcheck(lambda r: stacked(r, noise["uniform"], noise["normal"]), (rate,))


def test_zero_temperature_passes_no_gradient_below_the_limit():
    leaf = torch.full((100,), 1.5, requires_grad=True)
    noise = poisson.draw_noise((100,), torch.Generator().manual_seed(3))
    values = poisson.sample(leaf, noise, 0.0)
    assert not values.requires_grad or torch.autograd.grad(values.sum(), leaf)[0].abs().max() == 0


@given(
    rate=st.floats(0.01, 500.0),
    prior=st.floats(0.01, 500.0),
)
@settings(max_examples=30, deadline=None)
def test_kl_agrees_with_the_sum_over_the_support(rate, prior):
    support = np.arange(0, 2000)
    log_q, log_p = stats.poisson.logpmf(support, rate), stats.poisson.logpmf(support, prior)
    exact = float(np.sum(np.exp(log_q) * (log_q - log_p)))
    ours = poisson.kl(torch.tensor(rate, dtype=torch.float64), torch.tensor(prior, dtype=torch.float64))
    assert float(ours) == pytest.approx(exact, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("rate", "prior"), [(0.4, 2.5), (12.0, 7.0), (300.0, 240.0)])
def test_kl_agrees_with_monte_carlo_away_from_fixed_points(rate, prior):
    z = np.random.default_rng(4).poisson(rate, N)
    ratios = stats.poisson.logpmf(z, rate) - stats.poisson.logpmf(z, prior)
    ours = float(poisson.kl(torch.tensor(rate), torch.tensor(prior)))
    assert abs(ours - ratios.mean()) < 4 * ratios.std() / math.sqrt(N)


def test_log_prob_is_scipys_with_the_exact_factorial():
    counts = np.array([[0, 1, 2, 7, 150], [3, 0, 0, 1, 99]])
    rates = np.array([[0.0, 0.2, 2.0, 30.0, 140.0], [1.0, 0.5, 0.0, 4.0, 101.0]])
    x, r = torch.tensor(counts, dtype=torch.float64), torch.tensor(rates)
    ours = poisson.log_prob(x, r)
    np.testing.assert_allclose(ours.numpy(), stats.poisson.logpmf(counts, rates).sum(1), rtol=1e-9, atol=1e-9)
    given = poisson.log_prob(x, r, log_factorial=poisson.sum_log_factorial(x))
    assert torch.equal(given, ours)
    stirling = torch.nn.functional.poisson_nll_loss(r, x, log_input=False, full=True, reduction="none")
    assert abs(float((-stirling.sum(-1) - ours)[0])) > 0.01  # the trap that this function avoids


def test_log_prob_derivative_agrees_with_finite_differences_and_is_finite_at_zero():
    generator = torch.Generator().manual_seed(5)
    counts = torch.poisson(torch.full((3, 6), 4.0, dtype=torch.float64), generator=generator)
    rate = torch.rand(3, 6, generator=generator, dtype=torch.float64).add(0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: poisson.log_prob(counts, r), (rate,))
    assert torch.autograd.gradcheck(lambda r: torch.func.vmap(poisson.log_prob)(counts, r), (rate,))
    zero = torch.zeros(1, 2, requires_grad=True)
    poisson.log_prob(torch.tensor([[3.0, 0.0]]), zero).sum().backward()
    assert torch.equal(zero.grad, torch.tensor([[-1.0, -1.0]]))
