r"""The Poisson distribution as a likelihood and as a latent variable.

A count is the number of arrivals before time 1. With the arrivals :math:`s_1 < s_2 < \dots` of the unit-rate
process, those at rate :math:`\lambda` are :math:`t_i = s_i / \lambda`, so :math:`z = \sum_i 1[t_i < 1]`. The
step is relaxed to a sigmoid of width `temperature`, which lets a gradient reach :math:`\lambda`:

.. math:: z = \sum_i \sigma\left(\frac{1 - s_i / \lambda}{T}\right).

By Campbell's theorem (Kingman 1993, Poisson Processes, section 3.2) the relaxed count has mean
:math:`\lambda\, T \log(1 + e^{1/T})` and variance :math:`\lambda\, T (\log(1 + e^{1/T}) - \sigma(1/T))`: the
mean is right to :math:`T e^{-1/T}` and the variance is short by the factor :math:`1 - T`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: Rates from here on are sampled by the square-root form instead of arrival times.
ARRIVAL_LIMIT = 2.0
#: Arrivals drawn per latent entry. At the limit 2 are expected before t = 1; more than 10 come
#: with probability 1e-5.
N_ARRIVALS = 10
#: Smallest rate inside a logarithm.
TINY = 1e-10

Noise = Mapping[str, Tensor]


def draw_noise(shape: tuple[int, ...], generator: torch.Generator) -> dict[str, Tensor]:
    """Draw what `sample` needs for rates of this shape: uniforms with an axis more, and normals."""
    device = generator.device
    return {
        "uniform": torch.empty(*shape, N_ARRIVALS, device=device).uniform_(generator=generator),
        "normal": torch.empty(*shape, device=device).normal_(generator=generator),
    }


def unit_arrivals(uniform: Tensor) -> Tensor:
    """Arrival times of a unit-rate process, (..., N_ARRIVALS), from uniforms drawn per restart."""
    return uniform.neg().log1p_().neg_().cumsum(-1)


class _Sample(torch.autograd.Function):
    """Sample and its derivative by the rate, both on the way forward: the inner loop of every training step.
    The derivative is elementwise, so keeping it saves the arrivals from the graph: half the memory.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(rate: Tensor, uniform: Tensor, normal: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        arrivals = unit_arrivals(uniform.to(rate.dtype))
        few = rate < ARRIVAL_LIMIT
        low = rate.clamp(TINY, ARRIVAL_LIMIT)
        if temperature > 0:
            scale = (-1.0 / temperature) / low.unsqueeze(-1)
            steps = (arrivals * scale).add_(1.0 / temperature).sigmoid_()  # (..., N_ARRIVALS)
            count = steps.sum(-1)
            bump = torch.addcmul(steps, steps, steps, value=-1.0).mul_(arrivals)
            count_slope = bump.sum(-1) / (temperature * low.square())
        else:
            count = (arrivals < low.unsqueeze(-1)).sum(-1).to(rate.dtype)
            count_slope = torch.zeros_like(rate)
        root = (rate.clamp_min(ARRIVAL_LIMIT) - 0.125).sqrt_()
        shifted = root + 0.5 * normal
        smooth = shifted.square() - 0.125
        smooth_slope = torch.where(smooth > 0, shifted / root, 0.0)
        return torch.where(few, count, smooth.clamp_min_(0.0)), torch.where(few, count_slope, smooth_slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        return grad_outputs[0] * ctx.saved_tensors[0], None, None, None


def sample(rate: Tensor, noise: Noise, temperature: float) -> Tensor:
    """Poisson counts with the shape of `rate`, whose gradient reaches the rate. Below `ARRIVAL_LIMIT` they
    are relaxed numbers of arrivals, exact and without gradient at temperature 0. From there on, ``(sqrt(rate
    - 1/8) + normal / 2)**2 - 1/8``, clamped at 0 (Anscombe 1948, Biometrika 35:246): mean and variance are
    the rate, and one draw is enough.
    """
    return _Sample.apply(rate, noise["uniform"], noise["normal"], temperature)[0]


def sum_log_factorial(counts: Tensor) -> Tensor:
    """Sum of log x! over the last axis, by the gamma function, once for a whole training loop. Stirling's
    formula, as in ``torch.nn.functional.poisson_nll_loss``, is off by a nat on sparse counts.
    """
    return torch.lgamma(counts + 1.0).sum(-1)


class _LogKernel(torch.autograd.Function):
    """Sum over the last axis of x log r - r, with one array allocated each way. Its slope by r is ``x / r -
    1``, and -1 where r is below `TINY`: there the logarithm is constant.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(counts: Tensor, rate: Tensor) -> Tensor:
        return rate.clamp_min(TINY).log_().mul_(counts).sub_(rate).sum(-1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        counts, rate = ctx.saved_tensors
        slope = torch.where(rate > TINY, rate, torch.inf).reciprocal_().mul_(counts).sub_(1.0)
        return None, slope.mul_(grad_outputs[0].unsqueeze(-1))


def log_prob(counts: Tensor, rate: Tensor, *, log_factorial: Tensor | None = None) -> Tensor:
    """Log-probability of counts (..., m) given rates, in nats, (...); `log_factorial` is that sum if known. A
    positive count at rate 0 is scored at rate `TINY`, which keeps the gradient finite.
    """
    if log_factorial is None:
        log_factorial = sum_log_factorial(counts)
    return _LogKernel.apply(counts, rate) - log_factorial


def kl(rate: Tensor, prior_rate: Tensor) -> Tensor:
    """KL(Poisson(rate) || Poisson(prior_rate > 0)), nats an entry (Egendal et al. 2026, arXiv 2602.22239)."""
    return rate * (rate.clamp_min(TINY) / prior_rate).log() - rate + prior_rate
