r"""Which of many known signatures a sample holds: search for the subset of highest penalised likelihood.

For a sample with counts x and signatures S, exposures are zero outside a subset A, and every member costs:

.. math::
    \max_{A,\; e \ge 0,\; e_k = 0 \text{ outside } A} \;
    \frac{1}{\varphi} \sum_m \big(x_m \log r_m - r_m\big) - \sum_{k \in A} c_k, \qquad r = e S.

For a fixed subset the likelihood is concave and solved by Newton steps. The subset grows from the best
single signature, then signatures enter, leave or change places, the best move of all at a time, until no
move gains. Candidates are ranked by two estimates, and the best of them are solved: half the score statistic
:math:`g_k^2 / 2 h_k`, with :math:`g_k = \sum_m s_{km} (x_m / r_m - 1)` and :math:`h_k` the information on
:math:`e_k` that the members leave over, and the gain of mixing in a tenth of the signature, which is a lower
bound.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $S$ | `signatures` | (k, m), rows sum to 1 |
| $e$ | `exposures` | (n, k) |
| $A$ | `members` | (n, size of the largest subset) |
| $c$ | `penalties` | (n, k), nats |
| $\varphi$ | `dispersion` | (n,) |
| $g$ | `score` | (n, k) |
| $h$ | `information` | (n, k) |

References
----------
Nocedal & Wright 2006, Numerical Optimization, section 16.7 (Newton steps under bounds). Rao 1948, Proc. Camb.
Philos. Soc. 44:50 (the score statistic).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from latentgenomes.signatures.models import poisson

_MAX_NEWTON = 40
_MAX_MOVES = 100
_ENOUGH = 1e-4  # nats; a solved subset is that near to its optimum
_LEAST = 1e-3  # nats that a move must gain
_ADDED = 2  # candidates to enter that are solved, per sample and round
_EXCHANGED = (2, 6)  # candidates per member, and per sample and round
_SOLVED = 0.1  # nats; a likelihood ratio below is estimated
_MIXED = 0.1  # share of a candidate in the lower bound of its gain
_CHUNK = 256  # rows at a time: (rows, k, m) numbers are held


class Fits(NamedTuple):
    """Fitted subsets, one a row; a sample may have several."""

    samples: Tensor  # (p,) row of the counts
    members: Tensor  # (p, c) numbers of signatures
    allowed: Tensor  # (p, c) False where a slot is empty
    exposures: Tensor  # (p, c), 0 where a slot is empty
    log_likelihood: Tensor  # (p,) sum of x log r - r, in nats

    def rows(self, index: Tensor) -> "Fits":
        """Some of the rows."""
        return Fits(*(part[index] for part in self))


def log_likelihood(counts: Tensor, exposures: Tensor, profiles: Tensor) -> Tensor:
    """Poisson log-likelihood without log x!, (p,), of exposures (p, c) and their own profiles (p, c, m)."""
    rates = (exposures.unsqueeze(1) @ profiles).squeeze(1)  # (p, m); the rates sum to the exposures
    return torch.xlogy(counts, rates.clamp_min(poisson.TINY)).sum(-1) - exposures.sum(-1)


def _inverse_information(information: Tensor, free: Tensor) -> Tensor:
    """Cholesky factor of the information (p, c, c) of the free exposures; the others get the identity."""
    mask = free.to(information.dtype)
    kept = information * mask.unsqueeze(1) * mask.unsqueeze(2)
    largest = kept.diagonal(dim1=1, dim2=2).amax(1, keepdim=True)
    ridge = torch.where(free, 1e-8 * largest + 1e-12, 1.0)  # equal signatures leave it singular
    return torch.linalg.cholesky_ex(kept + torch.diag_embed(ridge))[0]


def _step(counts: Tensor, profiles: Tensor, allowed: Tensor, exposures: Tensor) -> tuple[Tensor, ...]:
    """Best of Newton steps and a multiplicative update, its value, and twice the gain Newton promises."""
    rates = (exposures.unsqueeze(1) @ profiles).squeeze(1).clamp_min(poisson.TINY)
    ratio = counts / rates
    score = (profiles @ ratio.unsqueeze(-1)).squeeze(-1) - 1.0  # (p, c)
    free = allowed & ((exposures > 0) | (score > 0))
    information = (profiles * (ratio / rates).unsqueeze(1)) @ profiles.transpose(1, 2)
    score = torch.where(free, score, 0.0)
    factor = _inverse_information(information, free)
    direction = torch.cholesky_solve(score.unsqueeze(-1), factor).squeeze(-1)
    # Where the step crosses 0, the entry goes to 0 and the others answer to that.
    crossing = free & (exposures + direction < 0)
    to_zero = torch.where(crossing, -exposures, 0.0)
    answer = score - (information @ to_zero.unsqueeze(-1)).squeeze(-1)
    stay = free & ~crossing
    pivoted = torch.cholesky_solve(
        torch.where(stay, answer, 0.0).unsqueeze(-1), _inverse_information(information, stay)
    ).squeeze(-1)
    # Projected on e >= 0, a Newton step may lose. This mean of points never does: the multiplicative update,
    # which cannot leave 0, and for each entry near 0 its own Newton step, which stops short of the best value
    # because the score is convex in it.
    small = free & (score > 0) & (exposures <= 1e-6 * exposures.sum(1, keepdim=True))
    alone = torch.where(small, score / information.diagonal(dim1=1, dim2=2).clamp_min(poisson.TINY), 0.0)
    n_small = small.sum(1, keepdim=True)
    sure = (exposures * (score + 1.0 + n_small) + alone) / (1 + n_small)
    newton = exposures + direction, exposures + 0.3 * direction, exposures + to_zero + pivoted
    steps = torch.stack([*newton, sure])
    steps = steps.clamp_min(0.0)
    values = torch.stack([log_likelihood(counts, step, profiles) for step in steps]).nan_to_num(-torch.inf)
    best, which = values.max(0)
    chosen = steps.gather(0, which.view(1, -1, 1).expand(1, *exposures.shape)).squeeze(0)
    return chosen, best, (score * direction).sum(-1)


def maximize(counts: Tensor, profiles: Tensor, allowed: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Exposures (p, c) of greatest Poisson likelihood, and their sum of x log r - r in nats, (p,). Each
    sample has profiles (p, c, m) of its own; where `allowed` is not, a slot is empty.
    """
    exposures = torch.where(allowed, start, 0.0)
    value = log_likelihood(counts, exposures, profiles)
    final, best = exposures.clone(), value.clone()
    open_rows = torch.arange(len(counts))
    for _ in range(_MAX_NEWTON):
        moved, now, promised = _step(counts, profiles, allowed, exposures)
        gain = (now - value).clamp_min(0.0)
        exposures = torch.where((gain > 0).unsqueeze(-1), moved, exposures)
        value = value + gain
        final[open_rows], best[open_rows] = exposures, value
        left = (gain > 0) & ((promised > _ENOUGH) | (gain > _ENOUGH))
        if not bool(left.any()):
            break
        open_rows, counts, profiles = open_rows[left], counts[left], profiles[left]
        allowed, exposures, value = allowed[left], exposures[left], value[left]
    return final, best


class SubsetSearch:
    """Search for the best subset of signatures in every sample; none is without mutations."""

    def __init__(self, counts: Tensor, signatures: Tensor, penalties: Tensor, dispersion: Tensor) -> None:
        self.counts = counts
        self.signatures = signatures
        self.penalties = penalties
        self.dispersion = dispersion

    def run(self, exposures: Tensor | None = None) -> Tensor:
        """Exposures of the best subset found, (n, k), from given ones or from the best single signature."""
        if exposures is None:
            exposures = self._climb(self._singles(), grow=True)
        return self._climb(exposures, grow=False)

    def likelihood_ratios(self, exposures: Tensor) -> Tensor:
        """Nats that every signature adds to the fit of the others, over the dispersion: (n, k). For a member,
        what leaving it out loses; for another, what letting it in gains: estimated if that is little.
        """
        current = self._fit(exposures)
        gains = self._gains(current)
        rows, columns = (gains > _SOLVED).nonzero(as_tuple=True)
        entered = self._enter(current, rows, columns)
        gains[rows, columns] = entered.log_likelihood - current.log_likelihood[rows]
        left, slots = self._removals(current)
        signature = current.members[left.samples, slots]
        gains[left.samples, signature] = current.log_likelihood[left.samples] - left.log_likelihood
        return (gains / self.dispersion.unsqueeze(1)).clamp_min(0.0)

    def _singles(self) -> Tensor:
        totals = self.counts.sum(1, keepdim=True)
        best = (self.counts @ self.signatures.clamp_min(poisson.TINY).log().T).argmax(1, keepdim=True)
        return torch.zeros_like(self.penalties).scatter_(1, best, totals)

    def _climb(self, exposures: Tensor, *, grow: bool) -> Tensor:
        """Make the best move in every sample until none gains; with `grow`, only let signatures in."""
        exposures = exposures.clone()
        rows = torch.arange(len(exposures))
        for _ in range(_MAX_MOVES):
            part = SubsetSearch(
                self.counts[rows], self.signatures, self.penalties[rows], self.dispersion[rows]
            )
            current = part._fit(exposures[rows])
            moves = [current, part._additions(current)]
            if not grow:
                removals, slots = part._removals(current)
                moves += [removals, part._exchanges(current, removals, slots)]
            best = part._best([Fits(*parts) for parts in moves])
            exposures[rows] = part._spread(best)
            rows = rows[part._objective(best) > part._objective(current) + _LEAST]
            if len(rows) == 0:
                break
        return exposures

    def _fit(self, exposures: Tensor) -> Fits:
        """Solve the subsets of positive exposures; every row keeps an empty slot where there is one."""
        n_samples, n_signatures = exposures.shape
        active = exposures > 0
        width = min(int(active.sum(1).max()) + 1, n_signatures)
        members = active.to(torch.int8).sort(dim=1, descending=True, stable=True)[1][:, :width]
        return self._solve(
            torch.arange(n_samples), members, active.gather(1, members), exposures.gather(1, members)
        )

    def _solve(self, samples: Tensor, members: Tensor, allowed: Tensor, start: Tensor) -> Fits:
        counts = self.counts[samples]
        start = start.clamp_min(1e-3 * counts.sum(1, keepdim=True))  # from 0, no update leads away
        return Fits(samples, members, allowed, *maximize(counts, self.signatures[members], allowed, start))

    def _spread(self, fits: Fits) -> Tensor:
        """Exposures of one fit per sample, as (n, k)."""
        full = torch.zeros_like(self.penalties)
        return full.index_put((fits.samples.unsqueeze(1), fits.members), fits.exposures, accumulate=True)

    def _objective(self, fits: Fits) -> Tensor:
        cost = self.penalties[fits.samples.unsqueeze(1), fits.members] * fits.allowed
        return fits.log_likelihood / self.dispersion[fits.samples] - cost.sum(1)

    def _best(self, moves: list[Fits]) -> Fits:
        """Of all fits, the best of every sample, in the order of the samples."""
        fits = Fits(*(torch.cat(parts) for parts in zip(*moves, strict=True)))
        objective = self._objective(fits)
        top = torch.full_like(self.dispersion, -torch.inf)
        top = top.scatter_reduce(0, fits.samples, objective, "amax")
        number = torch.where(objective == top[fits.samples], torch.arange(len(objective)), -1)
        first = torch.full((len(top),), -1, dtype=torch.long)
        return fits.rows(first.scatter_reduce(0, fits.samples, number, "amax"))

    def _enter(self, fits: Fits, rows: Tensor, signatures: Tensor) -> Fits:
        """Let a signature into the first empty slot of a row."""
        slot = fits.allowed.sum(1)[rows].unsqueeze(1)
        return self._solve(
            fits.samples[rows],
            fits.members[rows].scatter(1, slot, signatures.unsqueeze(1)),
            fits.allowed[rows].scatter(1, slot, True),
            fits.exposures[rows],
        )

    def _additions(self, current: Fits) -> Fits:
        worth = self._worth(current)
        value, signatures = worth.topk(min(_ADDED, worth.shape[1]), dim=1)
        rows, columns = (value > -torch.inf).nonzero(as_tuple=True)
        return self._enter(current, rows, signatures[rows, columns])

    def _removals(self, current: Fits) -> tuple[Fits, Tensor]:
        """Every subset with one member less, and the slot that it lost."""
        rows, slots = current.allowed.nonzero(as_tuple=True)
        allowed = current.allowed[rows].scatter(1, slots.unsqueeze(1), False)
        return self._solve(rows, current.members[rows], allowed, current.exposures[rows]), slots

    def _exchanges(self, current: Fits, removals: Fits, slots: Tensor) -> Fits:
        """Another signature in place of a member: the most promising of all such changes."""
        worth = self._worth(removals)
        worth[torch.arange(len(slots)), current.members[removals.samples, slots]] = -torch.inf
        value, signatures = worth.topk(min(_EXCHANGED[0], worth.shape[1]), dim=1)
        estimate = self._objective(removals).unsqueeze(1) + value
        # The best few of each sample: sort by estimate, then rank within the sample.
        flat = estimate.flatten().argsort(descending=True, stable=True)
        sample = removals.samples.repeat_interleave(value.shape[1])[flat]
        flat = flat[sample.argsort(stable=True)]
        sample = sample.sort(stable=True)[0]
        rank = torch.arange(len(sample)) - torch.searchsorted(sample, sample)
        flat = flat[(rank < _EXCHANGED[1]) & (estimate.flatten()[flat] > -torch.inf)]
        rows = flat // value.shape[1]
        slot = slots[rows].unsqueeze(1)
        return self._solve(
            removals.samples[rows],
            removals.members[rows].scatter(1, slot, signatures.flatten()[flat].unsqueeze(1)),
            current.allowed[removals.samples[rows]],
            removals.exposures[rows],
        )

    def _worth(self, fits: Fits) -> Tensor:
        """Estimated change of the objective by letting a signature in, (p, k); -inf for members."""
        worth = self._gains(fits) / self.dispersion[fits.samples].unsqueeze(1) - self.penalties[fits.samples]
        rows, slots = fits.allowed.nonzero(as_tuple=True)
        return worth.index_put((rows, fits.members[rows, slots]), worth.new_tensor(-torch.inf))

    def _gains(self, fits: Fits) -> Tensor:
        """Estimated gain in nats of letting every signature in, (p, k)."""
        chunks = torch.arange(len(fits.samples)).split(_CHUNK)
        return torch.cat([self._gains_of(fits.rows(chunk)) for chunk in chunks])

    def _gains_of(self, fits: Fits) -> Tensor:
        counts, profiles = self.counts[fits.samples], self.signatures[fits.members]
        rates = (fits.exposures.unsqueeze(1) @ profiles).squeeze(1).clamp_min(poisson.TINY)
        ratio = counts / rates
        score = ratio @ self.signatures.T - 1.0  # (p, k)
        weighted = profiles * (ratio / rates).unsqueeze(1)  # (p, c, m)
        free = fits.exposures > 0
        factor = _inverse_information(weighted @ profiles.transpose(1, 2), free)
        shared = (weighted @ self.signatures.T) * free.unsqueeze(2)  # (p, c, k)
        own = (ratio / rates) @ (self.signatures**2).T
        left = own - (shared * torch.cholesky_solve(shared, factor)).sum(1)
        information = torch.maximum(left, 1e-3 * own).clamp_min(poisson.TINY)
        quadratic = score.clamp_min(0.0) ** 2 / (2.0 * information)
        mixed = (1.0 - _MIXED) * rates.unsqueeze(1) + _MIXED * rates.sum(1).view(-1, 1, 1) * self.signatures
        before = torch.xlogy(counts, rates).sum(1, keepdim=True)
        return torch.maximum(quadratic, (mixed.log_() @ counts.unsqueeze(-1)).squeeze(-1) - before)
