r"""The search for signatures: components are eliminated, born and tightened as the evidence asks.

A set of K signatures is judged by its penalised evidence

.. math:: \mathcal{E} = \mathcal{B} - (m - 1) \sum_k \max\big(\tfrac{1}{2} \log n_k, 1\big),

with :math:`\mathcal{B}` the bound of `latentgenomes.signatures.models.spike_slab` and the second term the
price of the m - 1 free numbers of each signature, which only its :math:`n_k` carriers inform. Moves:

- *elimination*: the component whose loss costs least leaves;
- *birth*: what the worst explained samples have beyond their expectation becomes a component;
- *ruin and recreate*: some components, drawn at random, leave, and births replace them;
- *tightening*: where nearly all samples that carry j also carry k, in the ratio d or more,
  :math:`s_j \leftarrow (s_j + d\, s_k) / (1 + d)` explains the same samples with fewer exposures.

| symbol | name in code | shape |
|---|---|---|
| $\mathcal{E}$ | `evidence` | scalar, nats |
| $n_k$ | `n_carriers` | (k,), samples |
| $s$ | `signatures` | (b, k, m), rows sum to 1 |
| $d$ | `ratio` | scalar |

References
----------
Corduneanu & Bishop 2001, AISTATS (components eliminated by a variational bound). Hayashi & Fujimaki 2013,
NIPS 26 (the penalty by carriers). Akaike 1974, IEEE TAC 19:716 (no less than 1
nat a number). Schrimpf et al. 2000, J. Comput. Phys. 159:139 (ruin and recreate).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from latentgenomes.nn.train import make_generators, progress
from latentgenomes.signatures.models.spike_slab import (
    Catalogue,
    Factors,
    bound,
    climb,
    close_exposures,
    divergence_terms,
    explained,
    fit_total,
    infer,
    open_exposures,
    open_factors,
    opening_gains,
    stack,
)

_START_MARGIN = 200.0  # nats; with all exposures present the bound is only a rough guide
_N_EXAMINED = 60  # samples whose excess may become a signature
_N_BIRTHS = 6
_BIRTH_PRICE = 6.0  # nats that a new exposure must explain
_N_TIGHTENINGS = 4  # tried side by side
_PRESENT_PRICE = 3.0  # nats that an exposure costs, for ranking only
_QUANTILES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
_MAX_RANKED = 2000  # samples that rank tightenings
_MAX_TIGHTENINGS = 40
_RUINED_SHARE = 8  # one signature in eight, and two at least
_MAX_FAILURES = 4


@dataclass(frozen=True)
class Solution:
    """A set of signatures with its penalised evidence in nats."""

    factors: Factors
    evidence: float


@dataclass
class Search:
    """One search over sets of signatures, of which `fewest` to `most` may be returned."""

    catalogue: Catalogue
    fewest: int
    most: int
    best_by_number: dict[int, Solution] = field(default_factory=dict)
    n_cycles: int = 0

    def judge(self, factors: Factors) -> Solution:
        """Penalised evidence of one candidate; remembered where its number of signatures may be returned."""
        k = factors.n_signatures
        evidence = float((bound(self.catalogue, factors) - self.catalogue.penalty(factors.active.sum(1)))[0])
        solution = Solution(factors, evidence)
        known = self.best_by_number.get(k)
        if self.fewest <= k <= self.most and (known is None or evidence > known.evidence):
            self.best_by_number[k] = solution
        return solution

    def path(self) -> pd.DataFrame:
        """Best penalised evidence by number of signatures, in nats."""
        records = []
        for k, solution in sorted(self.best_by_number.items()):
            penalty = float(self.catalogue.penalty(solution.factors.active.sum(1))[0])
            whole = solution.evidence
            records.append((k, whole + penalty, penalty, whole))
        columns = ["n_signatures", "evidence", "penalty", "penalised_evidence"]
        return pd.DataFrame.from_records(records, columns=columns)

    # ---- local improvement ----------------------------------------------------------------------

    def settle(self, factors: Factors, *, n_updates: int, rounds: int) -> Factors:
        """Alternate between closing exposures and updates until hardly any closes."""
        n = len(self.catalogue.counts)
        for turn in range(rounds):
            factors = open_exposures(self.catalogue, factors) if turn == 1 else factors
            factors, n_closed = close_exposures(self.catalogue, factors, most=2)
            share = float(n_closed.max()) / n
            factors = climb(self.catalogue, factors, n_updates if share < 0.02 else n_updates // 3 + 5)
            if share < 0.005:
                break
        return self._without_unused(factors)

    def _without_unused(self, factors: Factors) -> Factors:
        """Drop signatures that fewer than two samples carry, but keep `fewest`."""
        n_carriers = factors.active.sum((0, 1))
        order = n_carriers.argsort(descending=True, stable=True)
        n_kept = max(int((n_carriers >= 2).sum()), min(self.fewest, factors.n_signatures), 1)
        keep = order[:n_kept].sort().values.tolist()
        return factors if n_kept == factors.n_signatures else self._only(factors, keep)

    def refine(self, factors: Factors, *, rounds: int, tol: float) -> Solution:
        """Infer all exposures afresh and settle, as long as the evidence rises."""
        best = self.judge(factors)
        for _ in range(rounds):
            afresh = infer(self.catalogue, best.factors.signatures)
            found = self.judge(self.settle(afresh, n_updates=60, rounds=6))
            gain = found.evidence - best.evidence
            best = found if gain > 0 else best
            if gain < tol:
                break
        return best

    # ---- elimination ----------------------------------------------------------------------------

    def without_least(self, factors: Factors, *, n_candidates: int) -> Factors:
        """Take out the signature whose absence costs least after a few updates of the exposures."""
        geometric, expected, _, kl = divergence_terms(self.catalogue, factors)
        worth = (explained(self.catalogue, factors, geometric, expected) - kl) * factors.active
        everyone = range(factors.n_signatures)
        candidates = worth.sum((0, 1)).argsort(stable=True)[:n_candidates].tolist()
        trials = climb(
            self.catalogue,
            stack([self._only(factors, [j for j in everyone if j != k]) for k in candidates]),
            5,
            learn_signatures=False,
            learn_shape=False,
        )
        return trials.member(int(bound(self.catalogue, trials).argmax()))

    def _only(self, factors: Factors, keep: Sequence[int]) -> Factors:
        """Keep some signatures; samples that carried another one open all of these a little."""
        rest = factors.signature_subset(keep)
        carried = (factors.active.sum(-1) > rest.active.sum(-1)).to(rest.active).unsqueeze(-1)  # (b, n, 1)
        active = torch.maximum(rest.active, carried)
        allotted = torch.maximum(rest.allotted, 0.01 * self.catalogue.totals) * active
        return Factors(rest.signatures, fit_total(self.catalogue, allotted), active, rest.shape, rest.rate)

    def start(self, n_signatures: int, seed: int) -> Factors:
        """From random signatures, all exposures present, until one fewer would cost much."""
        x = self.catalogue.counts
        drawn = torch.rand(
            1, n_signatures, x.shape[1], generator=make_generators([seed])[0], dtype=torch.float64
        ).to(x)
        factors = open_factors(self.catalogue, drawn / drawn.sum(-1, keepdim=True))
        factors = climb(self.catalogue, factors, 100, learn_shape=False)
        price = float(self.catalogue.penalty(factors.active[:, :, :1].sum(1))[0])
        while factors.n_signatures > self.fewest:
            fewer = self.without_least(factors, n_candidates=4)
            fewer = climb(self.catalogue, fewer, 25, learn_shape=False)
            loss = float(bound(self.catalogue, factors)[0] - bound(self.catalogue, fewer)[0])
            if loss > price + _START_MARGIN and factors.n_signatures <= self.most:
                break
            factors = fewer
        return factors

    def shrink(self, factors: Factors, *, patience: int) -> Solution:
        """Eliminate one signature after the other until the evidence fell `patience` times more."""
        best = self.judge(factors)
        waited = 0
        while factors.n_signatures > self.fewest and waited <= patience:
            fewer = self.without_least(factors, n_candidates=5)
            factors = self.settle(fewer, n_updates=40, rounds=4)
            found = self.judge(factors)
            allowed = best.factors.n_signatures <= self.most
            if found.evidence > best.evidence or not allowed:
                best, waited = found, 0
            else:
                waited += 1
        return best

    # ---- births ---------------------------------------------------------------------------------

    def with_births(self, factors: Factors) -> Factors:
        """Add what badly explained samples have in excess, where several samples agree, as signatures."""
        x = self.catalogue.counts
        expected = fit_total(self.catalogue, divergence_terms(self.catalogue, factors)[1])  # (1, n, m)
        misfit = torch.xlogy(x, x / expected[0]).sum(1)
        worst = misfit.argsort(descending=True, stable=True)[:_N_EXAMINED]
        spectra = _shares((x - expected[0])[worst])  # (c, m)
        for _ in range(2):  # the excess of all samples that carry it is less noisy than that of one
            gains = opening_gains(self.catalogue, expected, spectra.unsqueeze(0))[0][0].T  # (c, n)
            spectra = _shares((gains > _BIRTH_PRICE).to(x) @ (x - expected[0]))
        gains, amounts = (t[0].T for t in opening_gains(self.catalogue, expected, spectra.unsqueeze(0)))
        carried = gains > _BIRTH_PRICE
        worth = ((gains - _BIRTH_PRICE) * carried).sum(1).masked_fill(carried.sum(1) < 2, 0.0)
        unit = spectra / spectra.norm(dim=1, keepdim=True)
        chosen: list[int] = []
        for c in worth.argsort(descending=True, stable=True)[: int((worth > 0).sum())].tolist():
            alone = not chosen or float((unit[chosen] @ unit[c]).max()) < 0.8
            if alone and len(chosen) < _N_BIRTHS:
                chosen.append(c)
        if not chosen:
            return factors
        return self._with(factors, spectra[chosen], (amounts * carried)[chosen])

    def _with(self, factors: Factors, signatures: Tensor, amounts: Tensor) -> Factors:
        """Add signatures (j, m) that give `amounts` (j, n) mutations to the samples."""
        born = open_factors(self.catalogue, signatures.unsqueeze(0))
        allotted = torch.minimum(amounts.T.unsqueeze(0), 0.9 * self.catalogue.totals)
        active = (allotted > 0).to(allotted)
        mean = (allotted / self.catalogue.totals).sum(1) / active.sum(1)
        return Factors(
            torch.cat([factors.signatures, born.signatures], 1),
            fit_total(self.catalogue, torch.cat([factors.allotted, allotted], -1)),
            torch.cat([factors.active, active], -1),
            torch.cat([factors.shape, born.shape], 1),
            torch.cat([factors.rate, born.shape / mean], 1),
        )

    # ---- tightening -----------------------------------------------------------------------------

    def ranked_tightenings(self, factors: Factors) -> list[tuple[float, int, int, float]]:
        """Pairs (nats expected to be gained, j, k, ratio d), best first; d from quantiles of e_k / e_j. An
        exposure e_k - d e_j within its error of 0 need not be present; one far below 0 costs likelihood.
        Errors are from the Fisher information of each sample.
        """
        stride = -(-len(self.catalogue.counts) // _MAX_RANKED)
        totals = self.catalogue.totals[::stride]
        expected = divergence_terms(self.catalogue, factors)[1][0, ::stride]
        expected = (expected * (totals / expected.sum(1, keepdim=True))).double()
        e, s = factors.allotted[0, ::stride].double(), factors.signatures[0].double()
        k = len(s)
        products = (s[:, None] * s[None]).reshape(k * k, -1)
        fisher = (expected.clamp_min(1e-6).reciprocal() @ products.T).view(-1, k, k)  # (n, k, k)
        ridge = 1e-9 + 1e-3 / totals.double().unsqueeze(-1)
        covariance = torch.linalg.inv(fisher + ridge * torch.eye(k, device=e.device, dtype=e.dtype))
        quantiles = torch.tensor(_QUANTILES, device=e.device, dtype=e.dtype)
        ranked = []
        for j in range(k):
            on = e[:, j] > 0.05 * totals[:, 0]
            if int(on.sum()) < 3:
                continue
            gains, ratios = _tightening_gains(e[on], covariance[on], j, quantiles)
            for other in range(k):
                best = int(gains[:, other].argmax())
                if other != j and float(gains[best, other]) > 0:
                    ranked.append((float(gains[best, other]), j, other, float(ratios[best, other])))
        return sorted(ranked, reverse=True)

    def tighten(self, solution: Solution, *, rounds: int, tol: float) -> Solution:
        """Apply tightenings as long as one raises the evidence."""
        best = solution
        for _ in range(rounds):
            moves = self.ranked_tightenings(best.factors)[:_N_TIGHTENINGS]
            if not moves:
                break
            trials = self._relax(stack([self._tightened(best.factors, [move]) for move in moves]))
            gains = (
                bound(self.catalogue, trials) - self.catalogue.penalty(trials.active.sum(1)) - best.evidence
            )
            found = self.judge(trials.member(int(gains.argmax())))
            good = _compatible([moves[int(i)] for i in gains.argsort(descending=True) if gains[i] > tol])
            if len(good) > 1:
                joint = self.judge(self._relax(self._tightened(best.factors, good)))
                found = max(found, joint, key=lambda one: one.evidence)
            gain = found.evidence - best.evidence
            best = found if gain > 0 else best
            if gain < tol:
                break
        return best

    def _tightened(self, factors: Factors, moves: Sequence[tuple[float, int, int, float]]) -> Factors:
        signatures, allotted = factors.signatures.clone(), factors.allotted.clone()
        for _, j, k, ratio in moves:
            signatures[0, j] = (signatures[0, j] + ratio * signatures[0, k]) / (1.0 + ratio)
            rest = (allotted[..., k] - ratio * allotted[..., j]).clamp_min(1e-3 * self.catalogue.totals[:, 0])
            allotted[..., k] = rest * factors.active[..., k]
            allotted[..., j] *= 1.0 + ratio
        return Factors(
            signatures, fit_total(self.catalogue, allotted), factors.active, factors.shape, factors.rate
        )

    def _relax(self, factors: Factors) -> Factors:
        """Let the exposures, then the signatures of several candidates follow a move."""
        factors = climb(self.catalogue, factors, 10, learn_signatures=False, learn_shape=False)
        for n_updates in (5, 5, 5, 15):
            factors, _ = close_exposures(self.catalogue, factors, most=2)
            factors = climb(self.catalogue, factors, n_updates)
        factors, _ = close_exposures(self.catalogue, factors, most=2)
        return climb(self.catalogue, factors, 10)

    # ---- the whole ------------------------------------------------------------------------------

    def run(self, n_start: int, seed: int, *, max_cycles: int, tol: float) -> Solution:
        """One restart: eliminate from `n_start` random signatures, then go on in cycles."""
        first = self.settle(self.start(n_start, seed), n_updates=60, rounds=6)
        best = self.refine(first, rounds=2, tol=tol)
        best = self.tighten(best, rounds=_MAX_TIGHTENINGS, tol=tol)
        for cycle in progress(range(1, max_cycles + 1), "search", unit="cycle"):
            self.n_cycles = max(self.n_cycles, cycle)
            found = self.cycle(best.factors, tol=tol)
            gain = found.evidence - best.evidence
            best = found if gain > 0 else best
            if gain < tol:
                break
        return best

    def cycle(self, factors: Factors, *, tol: float) -> Solution:
        """Births, elimination, fresh exposures, tightening."""
        grown = self.with_births(factors)
        if grown.n_signatures < self.fewest:
            return Solution(factors, -float("inf"))
        grown = self.settle(climb(self.catalogue, grown, 30), n_updates=30, rounds=4)
        found = self.shrink(grown, patience=2)
        found = self.refine(found.factors, rounds=1, tol=tol)
        return self.tighten(found, rounds=_MAX_TIGHTENINGS, tol=tol)

    def ruin_and_recreate(self, best: Solution, seed: int, *, max_tries: int, tol: float) -> Solution:
        """Take out signatures at random and let the cycle replace them, until that fails several times."""
        generator, failures = make_generators([seed])[0], 0
        for _ in progress(range(max_tries), "ruin and recreate", unit="try"):
            k = best.factors.n_signatures
            n_ruined = max(2, round(k / _RUINED_SHARE))
            if failures == _MAX_FAILURES or k <= n_ruined:
                break
            keep = torch.randperm(k, generator=generator)[n_ruined:].sort().values
            ruined = self.settle(self._only(best.factors, keep.tolist()), n_updates=30, rounds=4)
            found = self.cycle(ruined, tol=tol)
            failures = 0 if found.evidence > best.evidence + tol else failures + 1
            best = max(best, found, key=lambda one: one.evidence)
        return best


def _shares(excess: Tensor) -> Tensor:
    """Positive parts as distributions over the channels."""
    positive = excess.clamp_min(1e-6)
    return positive / positive.sum(1, keepdim=True)


def _tightening_gains(e: Tensor, covariance: Tensor, j: int, quantiles: Tensor) -> tuple[Tensor, Tensor]:
    """Expected gain of every ratio d and every k, both (q, k); e (n, k), covariance (n, k, k)."""
    ratios = torch.quantile(e / e[:, j : j + 1], quantiles, dim=0)  # (q, k)
    ratios = torch.cat([torch.zeros_like(ratios[:1]), torch.where(ratios > 0.01, ratios, 0.0)]).clamp_max(20)
    left = e - ratios.unsqueeze(1) * e[:, j : j + 1]  # (q, n, k)
    d = ratios.unsqueeze(1)
    own = torch.diagonal(covariance, dim1=-2, dim2=-1)  # (n, k)
    variance = own - 2.0 * d * covariance[:, :, j] + d.square() * own[:, j : j + 1]
    score = left / variance.clamp_min(1e-3).sqrt()
    nats = _PRESENT_PRICE * (score < 1.5) - 0.5 * score.clamp_max(0.0).square().clamp_max(60.0)
    gains = nats.sum(1)
    return gains - gains[:1], ratios


def _compatible(moves: Sequence[tuple[float, int, int, float]]) -> list[tuple[float, int, int, float]]:
    """Moves, in order, that touch no signature twice."""
    chosen: list[tuple[float, int, int, float]] = []
    touched: set[int] = set()
    for move in moves:
        if not touched & {move[1], move[2]}:
            chosen.append(move)
            touched |= {move[1], move[2]}
    return chosen
