r"""Gamma-Poisson factorisation whose exposures may be absent: equations and mean-field inference.

Each sample carries only some of the signatures. With :math:`t_n` the total of sample n,

.. math::
    x_{nm} \sim \text{Poisson}\Big(\sum_k z_{nk} e_{nk} s_{km}\Big), \qquad
    z_{nk} \sim \text{Bernoulli}(\pi_k), \qquad e_{nk} \sim \text{Gamma}(a_k, b_k / t_n).

With :math:`q(e_{nk}) = \text{Gamma}(\alpha_{nk}, \beta_{nk})`, one pattern z per sample and
:math:`g_{nk} = z_{nk} \exp(\mathrm{E}_q \log e_{nk})`, the bound on :math:`\log p(x)` is

.. math::
    \sum_{nm} x_{nm} \log \sum_k g_{nk} s_{km} - \log x_{nm}!
    - \sum_{nk} z_{nk} \big( \alpha_{nk} / \beta_{nk} + \text{KL}(q \| p) - \log \pi_k \big)
    + \sum_{nk} (1 - z_{nk}) \log(1 - \pi_k).

It rises under :math:`\alpha_{nk} = a_k + g_{nk} \sum_m s_{km} x_{nm} / r_{nm}`,
:math:`\beta_{nk} = 1 + b_k / t_n` and :math:`s_{km} \propto s_{km} \sum_n g_{nk} x_{nm} / r_{nm}`, where
:math:`r = g\,s`.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $t$ | `totals` | (n, 1) |
| $s$ | `signatures` | (b, k, m), rows sum to 1 |
| $\alpha - a$ | `allotted` | (b, n, k), mutations |
| $z$ | `active` | (b, n, k), 0 or 1 |
| $a$ | `shape` | (b, k) |
| $b$ | `rate` | (b, k) |
| $\pi$ | `prevalence` | (b, k) |
| $g$ | `geometric` | (b, n, k), mutations |

b counts the candidates that are improved side by side.

References
----------
Cemgil 2009, Comput. Intell. Neurosci. 2009:785152 (the variational updates without z). Nesterov 1983,
Soviet Math. Dokl. 27:372 (the momentum). O'Donoghue & Candes 2015, Found. Comput. Math. 15:715 (its restart).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from latentgenomes.signatures.models import poisson

SHAPE_RANGE = (0.3, 20.0)
START_SHAPE = 0.5
_FLOOR = 1e-6  # smallest share of a signature in a channel
_LEAST = 1e-6  # mutations; below this an allotment is as good as none
_MOMENTUM = 0.95
_CHECK_EVERY = 10
# Least log-odds against presence when an exposure is judged. At prevalence 1 the odds would hold every
# exposure open for ever, because all others are.
_LEAST_ODDS = 0.5
PRESENCE_PRICE = 5.0  # nats, about the KL term of an exposure that has just been opened


@dataclass(frozen=True)
class Catalogue:
    """Counts as the objective sees them: samples with many mutations are scaled down, none is empty."""

    counts: Tensor  # (n, m)
    totals: Tensor  # (n, 1)
    log_factorial: float  # sum of log x! over all entries, nats

    @classmethod
    def of(cls, counts: np.ndarray, device: torch.device, dtype: torch.dtype) -> "Catalogue":
        """Wrap counts, (n_samples, n_channels) >= 0; empty samples are left out."""
        x = torch.from_numpy(counts[counts.sum(1) > 0])
        constant = float(poisson.sum_log_factorial(x).sum())
        x = x.to(device=device, dtype=dtype)
        return cls(x, x.sum(1, keepdim=True), constant)

    def penalty(self, n_carriers: Tensor) -> Tensor:
        """Half of log n_k, at least 1, for each of the m - 1 free numbers of signature k, in nats."""
        price = (0.5 * n_carriers.double().clamp_min(1.0).log()).clamp_min(1.0)
        return (self.counts.shape[1] - 1) * price.sum(-1)


@dataclass(frozen=True)
class Factors:
    """Signatures and posterior of one or several candidates; see the table of the module."""

    signatures: Tensor
    allotted: Tensor
    active: Tensor
    shape: Tensor
    rate: Tensor

    @property
    def n_signatures(self) -> int:
        """Number of signatures k."""
        return self.signatures.shape[1]

    @property
    def prevalence(self) -> Tensor:
        """Share of the samples that carry each signature, (b, k), kept off 0 and 1."""
        return (self.active.sum(1) + 0.5) / (self.active.shape[1] + 1.0)

    def member(self, position: int) -> "Factors":
        """One candidate, still with a leading axis."""
        return Factors(*(tensor[position : position + 1] for tensor in self._tensors()))

    def signature_subset(self, keep: Sequence[int] | Tensor) -> "Factors":
        """Keep the signatures at the positions `keep`."""
        index = torch.as_tensor(keep, device=self.shape.device)
        return Factors(
            self.signatures[:, index],
            self.allotted[:, :, index],
            self.active[:, :, index],
            self.shape[:, index],
            self.rate[:, index],
        )

    def to(self, dtype: torch.dtype) -> "Factors":
        """Change the precision."""
        return Factors(*(tensor.to(dtype) for tensor in self._tensors()))

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def stack(candidates: Sequence[Factors]) -> Factors:
    """Put candidates with equally many signatures into one batch."""
    return Factors(*(torch.cat(parts) for parts in zip(*(c._tensors() for c in candidates), strict=True)))


def choose(better: Tensor, first: Factors, second: Factors) -> Factors:
    """Take each candidate from `first` where `better` (b,), else from `second`."""
    pairs = zip(first._tensors(), second._tensors(), strict=True)
    return Factors(*(torch.where(better.view(-1, *[1] * (x.dim() - 1)), x, y) for x, y in pairs))


def open_factors(catalogue: Catalogue, signatures: Tensor) -> Factors:
    """Start with every exposure present and equal; signatures (b, k, m)."""
    b, k, _ = signatures.shape
    floored = signatures.clamp_min(_FLOOR)
    allotted = (catalogue.totals / k).expand(b, -1, k).clone()
    shape = torch.full((b, k), START_SHAPE).to(allotted)
    return Factors(
        floored / floored.sum(-1, keepdim=True), allotted, torch.ones_like(allotted), shape, shape * k
    )


def fit_total(catalogue: Catalogue, allotted: Tensor) -> Tensor:
    """Scale each sample's allotment to its total."""
    return allotted * (catalogue.totals / allotted.sum(-1, keepdim=True).clamp_min(poisson.TINY))


def posterior(catalogue: Catalogue, factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    """Shape alpha (b, n, k), rate beta (b, n, k) and E log e (b, n, k) of q(e)."""
    alpha = factors.allotted + factors.shape.unsqueeze(1)
    beta = 1.0 + factors.rate.unsqueeze(1) / catalogue.totals
    return alpha, beta, torch.digamma(alpha) - beta.log()


def update(
    catalogue: Catalogue,
    factors: Factors,
    *,
    learn_signatures: bool = True,
    learn_shape: bool = True,
    learn_prior: bool = True,
) -> Factors:
    """One round of the updates: posterior, signatures, and the prior of the exposures. Without `learn_prior`
    neither shape nor rate of the prior changes; without `learn_shape` the rate does.
    """
    alpha, beta, log_mean = posterior(catalogue, factors)
    geometric = log_mean.exp() * factors.active
    expected = (geometric @ factors.signatures).clamp_min_(poisson.TINY)  # r, (b, n, m)
    ratio = torch.div(catalogue.counts, expected, out=expected)
    allotted = geometric * (ratio @ factors.signatures.transpose(-1, -2))
    signatures = factors.signatures
    if learn_signatures:
        signatures = signatures * (geometric.transpose(-1, -2) @ ratio)
        signatures = _rows_to_one(signatures)
    if not learn_prior:
        return Factors(signatures, allotted, factors.active, factors.shape, factors.rate)
    n_active = factors.active.sum(1).clamp_min(1.0)  # (b, k)
    share = alpha / beta / catalogue.totals * factors.active  # E e / t
    mean = (share.sum(1) / n_active).clamp_min(1e-6)
    shape = factors.shape
    if learn_shape:
        logs = ((log_mean - catalogue.totals.log()) * factors.active).sum(1) / n_active
        gap = (mean.log() - logs).clamp_min(1e-3)
        # Closed form within 1.5% of the maximum of the gamma likelihood (Minka 2002).
        shape = (3.0 - gap + ((gap - 3.0).square() + 24.0 * gap).sqrt()) / (12.0 * gap)
        shape = shape.clamp(*SHAPE_RANGE)
    return Factors(signatures, allotted, factors.active, shape, shape / mean)


def _rows_to_one(signatures: Tensor) -> Tensor:
    """Normalise rows; one without any weight becomes flat."""
    total = signatures.sum(-1, keepdim=True)
    rows = torch.where(total > poisson.TINY, signatures / total.clamp_min(poisson.TINY), 1.0)
    rows = rows.clamp_min(_FLOOR)
    return rows / rows.sum(-1, keepdim=True)


def divergence_terms(catalogue: Catalogue, factors: Factors) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return g (b, n, k), r (b, n, m), E e (b, n, k) and KL(q || p) (b, n, k); absent exposures give 0."""
    alpha, beta, log_mean = posterior(catalogue, factors)
    shape, prior = factors.shape.unsqueeze(1), beta - 1.0
    geometric = log_mean.exp() * factors.active
    expected = (geometric @ factors.signatures).clamp_min_(poisson.TINY)
    kl = (alpha - shape) * torch.digamma(alpha) - torch.lgamma(alpha) + torch.lgamma(shape)
    kl = kl + shape * (beta / prior).log() + alpha * (prior - beta) / beta
    return geometric, expected, alpha / beta * factors.active, kl * factors.active


def bound(catalogue: Catalogue, factors: Factors) -> Tensor:
    """Lower bound on log p(x), (b,) float64, nats: the equation of the module."""
    _, expected, mean, kl = divergence_terms(catalogue, factors)
    present = factors.prevalence.unsqueeze(1)
    pattern = torch.where(factors.active > 0, present.log(), torch.log1p(-present))
    samples = torch.xlogy(catalogue.counts, expected).sum(-1) + (pattern - mean - kl).sum(-1)
    return samples.sum(-1, dtype=torch.float64) - catalogue.log_factorial


def climb(
    catalogue: Catalogue,
    factors: Factors,
    n_updates: int,
    *,
    learn_signatures: bool = True,
    learn_shape: bool = True,
) -> Factors:
    """Updates with momentum on the logarithms; a candidate whose bound fell goes back and starts afresh. With
    momentum the slow directions, mixtures of alike signatures, take several times fewer updates.
    """
    best, kept = bound(catalogue, factors), factors
    before = now = factors
    age = torch.zeros(len(best), device=factors.shape.device, dtype=factors.shape.dtype)
    for step in range(1, n_updates + 1):
        push = (age / (age + 3.0)).clamp_max(_MOMENTUM).view(-1, 1, 1)
        here, there = now.allotted.clamp_min(_LEAST), before.allotted.clamp_min(_LEAST)
        allotted = here * (here / there).clamp(0.1, 10.0) ** push * now.active
        signatures = now.signatures
        if learn_signatures:
            signatures = _rows_to_one(signatures * (signatures / before.signatures) ** push)
        ahead = Factors(signatures, fit_total(catalogue, allotted), now.active, now.shape, now.rate)
        before, now = (
            now,
            update(catalogue, ahead, learn_signatures=learn_signatures, learn_shape=learn_shape),
        )
        age = age + 1.0
        if step % _CHECK_EVERY and step < n_updates:
            continue
        reached = bound(catalogue, now)
        better = reached >= best
        best, kept = torch.where(better, reached, best), choose(better, now, kept)
        now, before = kept, choose(better, before, kept)
        age = torch.where(better, age, 0.0)
    return kept


def close_exposures(
    catalogue: Catalogue, factors: Factors, *, most: int = 1, odds: Tensor | None = None
) -> tuple[Factors, Tensor]:
    """Close, in each sample, at most so many exposures that cost more than they explain; also how many, (b,).
    An exposure costs its KL term and the log-odds against its presence, (b, k). What it explains is bounded
    by the likelihood that is lost when the other signatures take over in proportion. One always stays.
    """
    _, expected, _, kl = divergence_terms(catalogue, factors)
    geometric = posterior(catalogue, factors)[2].exp() * factors.active
    if odds is None:
        present = factors.prevalence
        odds = ((1.0 - present) / present).log().clamp_min(_LEAST_ODDS)
    net = kl + odds.unsqueeze(1) - explained(catalogue, factors, geometric, expected)
    n_open = factors.active.sum(-1, keepdim=True)
    net = net.masked_fill((factors.active == 0) | (n_open <= 1), -torch.inf)
    value, position = net.topk(min(most, factors.n_signatures), dim=-1)
    allowed = (value > 0) & (torch.arange(value.shape[-1], device=net.device) < n_open - 1)
    active = factors.active.scatter(
        -1, position, torch.where(allowed, 0.0, factors.active.gather(-1, position))
    )
    closed = Factors(
        factors.signatures,
        fit_total(catalogue, factors.allotted.clamp_min(_LEAST) * active),
        active,
        factors.shape,
        factors.rate,
    )
    return closed, (factors.active - active).sum((-2, -1))


def opening_gains(catalogue: Catalogue, expected: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Nats that spectra (b, j, m) would add to a sample's log-likelihood, and at which rate; both (b, n, j).
    By the score test: v at rate e adds about slope^2 / (2 information), with slope = sum v (x / r - 1) and
    information = sum v^2 / r, at e = slope / information.
    """
    slope = (catalogue.counts / expected - 1.0) @ spectra.transpose(-1, -2)
    information = expected.reciprocal() @ spectra.square().transpose(-1, -2)
    amounts = (slope / information).clamp_min(0.0)
    return 0.5 * amounts * slope, amounts


def open_exposures(catalogue: Catalogue, factors: Factors) -> Factors:
    """Open, in each sample, the absent exposure that would explain most, if that is worth its price."""
    expected = fit_total(catalogue, divergence_terms(catalogue, factors)[1])
    gains, amounts = opening_gains(catalogue, expected, factors.signatures)
    present = factors.prevalence
    odds = ((1.0 - present) / present).log().clamp_min(_LEAST_ODDS)
    gains = (gains - PRESENCE_PRICE - odds.unsqueeze(1)).masked_fill(factors.active > 0, -torch.inf)
    value, position = gains.max(-1, keepdim=True)
    opened = torch.zeros_like(factors.active).scatter(-1, position, (value > 0).to(factors.active))
    allotted = factors.allotted + opened * torch.minimum(amounts, 0.5 * catalogue.totals)
    return Factors(
        factors.signatures,
        fit_total(catalogue, allotted),
        factors.active + opened,
        factors.shape,
        factors.rate,
    )


def explained(catalogue: Catalogue, factors: Factors, geometric: Tensor, expected: Tensor) -> Tensor:
    """Nats that a sample loses without an exposure while the others keep their proportions, (b, n, k)."""
    lost = torch.empty_like(factors.allotted)
    for k in range(factors.n_signatures):  # one at a time: (b, n, m, k) would not fit into memory
        part = geometric[..., k : k + 1] * factors.signatures[:, k : k + 1] / expected
        lost[..., k] = -(catalogue.counts * torch.log1p(-part.clamp_max_(1.0 - 1e-6))).sum(-1)
    rest = (catalogue.totals - factors.allotted).clamp_min(_LEAST)
    return (lost - catalogue.totals * (catalogue.totals / rest).log()).clamp_min_(0.0)


def infer(catalogue: Catalogue, signatures: Tensor) -> Factors:
    """Posterior of the exposures for given signatures (b, k, m), from all present to few, and some again."""
    factors = climb(
        catalogue, open_factors(catalogue, signatures), 40, learn_signatures=False, learn_shape=False
    )
    for again in (False, True, True):
        factors = open_exposures(catalogue, factors) if again else factors
        for _ in range(30):
            factors, n_closed = close_exposures(catalogue, factors, most=2)
            factors = climb(catalogue, factors, 4, learn_signatures=False)
            if float(n_closed.max()) < 0.005 * len(catalogue.counts):
                break
    return climb(catalogue, factors, 20, learn_signatures=False)
