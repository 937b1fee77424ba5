r"""Cox partial likelihood with Efron's treatment of ties, and Breslow's baseline hazard.

With log hazard ratios :math:`\eta`, distinct event times :math:`t`, the risk set :math:`R_t` of those with a
time :math:`\ge t`, and the :math:`d_t` patients :math:`D_t` with an event at t,

.. math::
    \ell(\eta) = \sum_t \Bigl[ \sum_{i \in D_t} \eta_i - \sum_{l=0}^{d_t - 1}
    \log\Bigl( \sum_{i \in R_t} e^{\eta_i} - \frac{l}{d_t} \sum_{i \in D_t} e^{\eta_i} \Bigr) \Bigr].

All sums of exponentials stay logarithms, so log hazards of any size are safe.

References
----------
Cox 1972, J R Stat Soc B 34:187. Efron 1977, J Am Stat Assoc 72:557, eq. 3.5. Breslow 1974, Biometrics 30:89.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class RiskSets(NamedTuple):
    """Who is at risk when; computed once for data whose outcomes do not change. `order` sorts patients from
    the latest time to the earliest. For every event: its position in `order` (`members`), that of the last
    one at risk (`last`), the number of its tie, 0, 1, ... (`tie`), and l / d of Efron's sum (`fraction`).
    `times`, (n_ties,), are the distinct event times, from late to early.
    """

    order: Tensor
    members: Tensor
    last: Tensor
    tie: Tensor
    fraction: Tensor
    times: Tensor


def risk_sets(times: Tensor, events: Tensor) -> RiskSets:
    """Sort finite times and events (1 where seen), (n,), into risk sets and ties."""
    order = torch.argsort(times, descending=True, stable=True)
    _, group, sizes = torch.unique_consecutive(times[order], return_inverse=True, return_counts=True)
    members = torch.nonzero(events[order] > 0).squeeze(-1)
    last = (sizes.cumsum(0) - 1)[group[members]]
    _, tie, n_tied = torch.unique_consecutive(group[members], return_inverse=True, return_counts=True)
    first = n_tied.cumsum(0) - n_tied
    rank = torch.arange(len(members), device=times.device) - first[tie]
    # In double precision: in single, l / d would be off in the eighth digit.
    fraction = rank.double() / n_tied[tie]
    return RiskSets(order, members, last, tie, fraction, times[order][members][first])


def log_partial_likelihood(log_hazards: Tensor, sets: RiskSets) -> Tensor:
    """Log partial likelihood after Efron, summed over events, in nats; 0 where there is no event."""
    eta = log_hazards[sets.order]
    log_risk = torch.logcumsumexp(eta, 0)[sets.last]  # (n_events,)
    tied = eta[sets.members]
    if bool((sets.fraction > 0).any()):
        log_tied = _log_sum_exp_by(tied, sets.tie, len(sets.times))[sets.tie]
        share = torch.exp(log_tied - log_risk).clamp_max(1.0)  # rounding may lift it above 1
        log_risk = log_risk + torch.log1p(-sets.fraction.to(eta.dtype) * share)
    return (tied - log_risk).sum()


def cox_loss(log_hazards: Tensor, times: Tensor, events: Tensor) -> Tensor:
    """Negative log partial likelihood per event, in nats; 0 where there is no event."""
    sets = risk_sets(times, events)
    return -log_partial_likelihood(log_hazards, sets) / max(len(sets.members), 1)


def breslow(log_hazards: Tensor, sets: RiskSets) -> tuple[Tensor, Tensor]:
    """Breslow's cumulative hazard of a patient with log hazard 0: event times, increasing, and values."""
    log_risk = torch.logcumsumexp(log_hazards[sets.order], 0)[sets.last]
    steps = torch.zeros(len(sets.times), dtype=log_hazards.dtype, device=log_hazards.device)
    steps = steps.index_add(0, sets.tie, torch.exp(-log_risk))  # d over the sum at risk
    return sets.times.flip(0), steps.flip(0).cumsum(0)


def _log_sum_exp_by(values: Tensor, group: Tensor, n_groups: int) -> Tensor:
    """Logarithm of the sum of exponentials in every group, (n_groups,)."""
    floor = torch.full((n_groups,), -torch.inf, dtype=values.dtype, device=values.device)
    largest = floor.scatter_reduce(0, group, values.detach(), "amax")
    sums = torch.zeros_like(largest).index_add(0, group, torch.exp(values - largest[group]))
    return torch.log(sums) + largest
