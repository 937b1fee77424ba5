r"""The search for signatures with known ones at hand: drop, admit, pin, release, each where evidence rises.

A list starts with the known signatures that a sparse refit finds. Then, in turn, signatures that the data
do not ask for are dropped, proposals from an extraction without knowledge are admitted as free signatures,
free ones that may as well be a known one are pinned to it, and pinned ones that the data contradict are
released to a Dirichlet prior around them. Its strength is the best of a few. The most promising move is tried
first: of an admission, what the likelihood gains at once; of a release, the score statistic

.. math:: \max_\tau \sum_m \Big( \frac{g_m^2}{2 (I_m + \tau / c_m)}
    - \tfrac{1}{2} \log(1 + c_m I_m / \tau) \Big), \qquad
    g_m = \sum_n e_n \frac{x_{nm} - r_{nm}}{r_{nm} + \varphi r_{nm}^2}.

| symbol | name in code | shape |
|---|---|---|
| $g$ | `slope` | (m,) |
| $I$ | `information` | (m,) |
| $c$ | `centre` | (m,) |
| $\tau$ | `strength` | scalar, mutations |
| $s_j$ | `proposals` | (j, m), rows sum to 1 |

References
----------
Rao 1948, Proc. Camb. Philos. Soc. 44:50 (the score statistic).
"""

from dataclasses import replace

import numpy as np

from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.dictionary import Array, Dictionary, Judge
from latentgenomes.signatures.models.negative_binomial import log_likelihood

KIN = 0.8  # cosine from which a signature may be a changed form of a known one
_STRENGTHS = (1e2, 1e3, 1e4, 1e5)  # mutations
_START_SHARE = 0.05  # of a sample, of a signature on trial
_LEAST = 1e-3  # mutations
_NEEDED = 100.0  # nats; a signature whose loss costs more is not tried again soon
_GAVE = 0.9
_QUICK, _FIT = 30, 60  # updates
_MAX_ROUNDS = 4
_TOGETHER = 0.7  # share of its mutations in the samples of another
_PAIRS = 12  # to merge, most alike first


def start(judge: Judge) -> Dictionary:
    """The known signatures that a sparse refit finds, all of them pinned."""
    n = len(judge.known)
    nothing = np.zeros((len(judge.counts), n))
    whole = Dictionary(judge.known, np.arange(n), np.full(n, np.inf), nothing, 0.0)
    return _in_use(judge.refitted(whole))


def search(judge: Judge, found: Dictionary, proposals: Array, most_free: int) -> Dictionary:
    """Improve a list until no move raises its evidence."""
    found = dropped(judge, found)
    for _ in progress(range(_MAX_ROUNDS), "with known signatures", unit="round"):
        best = judge.evidence(found)
        found = grown(judge, found, proposals, most_free)
        found = dropped(judge, merged(judge, pinned(judge, found)))
        if judge.evidence(found) < best + 1.0:
            break
    return strengthened(judge, found)


def grown(judge: Judge, found: Dictionary, proposals: Array, most_free: int) -> Dictionary:
    """Release known signatures and admit proposals (j, m), the most promising move of all first."""
    refused: set[tuple[str, int]] = set()
    best = judge.evidence(found)
    while True:
        moves = [move for move in _moves(judge, found, proposals, most_free) if move[1:] not in refused]
        for _, kind, which in moves:
            if kind == "admit":
                trial = _admitted(judge, found, proposals[which])
            else:
                trial = _released(judge, found, int(np.flatnonzero(found.origins == which)[0]))
            value = judge.evidence(trial)
            refused.add((kind, which))
            if value > best:
                found = dropped(judge, trial, found)
                best = judge.evidence(found)
                break
        else:
            return found


def _moves(judge: Judge, found: Dictionary, proposals: Array, most_free: int) -> list[tuple[float, str, int]]:
    """Moves that may raise the evidence, the best first: nats, kind, proposal or known signature."""
    cost = 0.5 * np.log(judge.counts.size)  # of one more number, the strength
    moves = []
    for k in np.flatnonzero(np.isinf(found.strengths)):
        moves.append((_promise(judge, found, int(k)) - cost, "release", int(found.origins[k])))
    if len(proposals) and (found.strengths == 0).sum() < most_free:
        price = judge.counts.shape[1] - 1.0  # nats, the least that a free signature costs
        gains = _quick_gains(judge, found, proposals)
        moves += [(float(gain) - price, "admit", j) for j, gain in enumerate(gains)]
    return sorted((move for move in moves if move[0] > 0), reverse=True)


def dropped(judge: Judge, found: Dictionary, before: Dictionary | None = None) -> Dictionary:
    """Leave out, one at a time, the signatures without which the evidence rises.

    Given the list `before` a move, only those are tried that gave up mutations to the new one.
    """
    best, tried = judge.evidence(found), set[bytes]()
    while found.size > 1:
        for k in reversed(np.argsort(-found.exposures.sum(0), kind="stable")):
            key = found.signatures[k].tobytes()
            if key in tried or (before is not None and not _gave(found, before, int(k))):
                continue
            rows = np.flatnonzero(found.exposures[:, k] > 0)
            trial = judge.refitted(found.only(np.delete(np.arange(found.size), k)), rows)
            value = judge.evidence(trial)
            if value > best:
                found, best = trial, value
                break
            if value < best - _NEEDED:
                tried.add(key)
        else:
            break
    return found


def _gave(found: Dictionary, before: Dictionary, k: int) -> bool:
    """Whether signature k has clearly fewer mutations than before a move."""
    same = np.flatnonzero((before.origins == found.origins[k]) & (found.origins[k] >= 0))
    return not len(same) or bool(found.exposures[:, k].sum() < _GAVE * before.exposures[:, same[0]].sum())


def _on_trial(judge: Judge, found: Dictionary, proposal: Array) -> Dictionary:
    """The list with one free signature more, of which every sample may hold some."""
    return judge.polished(found.with_one(proposal, _START_SHARE * judge.counts.sum(1)), _QUICK)


def _quick_gains(judge: Judge, found: Dictionary, proposals: Array) -> Array:
    """Nats that each proposal would add to the likelihood, (j,), all else as it is."""

    def value(one: Dictionary) -> float:
        return log_likelihood(judge.counts, one.rates(), one.dispersion)

    before = value(judge.polished(found, _QUICK))
    return np.array([value(_on_trial(judge, found, one)) for one in proposals]) - before


def _admitted(judge: Judge, found: Dictionary, proposal: Array) -> Dictionary:
    """The list with a proposal as a free signature."""
    return _settled(judge, _on_trial(judge, found, proposal))


def _settled(judge: Judge, found: Dictionary) -> Dictionary:
    """Learn signatures and infer exposures in turn."""
    for _ in range(2):
        found = _in_use(judge.refitted(_in_use(judge.learnt(found, _FIT))))
    return found


def pinned(judge: Judge, found: Dictionary) -> Dictionary:
    """Pin free and drawn signatures to the known one nearest to them, where that raises the evidence."""
    best = judge.evidence(found)
    for k in range(found.size):
        origin = nearest(judge, found, k)
        if origin < 0 or np.isinf(found.strengths[k]):
            continue
        trial = judge.refitted(_changed(found, k, judge.known[origin], origin, np.inf))
        value = judge.evidence(trial)
        if value > best:
            found, best = trial, value
    return found


def merged(judge: Judge, found: Dictionary) -> Dictionary:
    """Add one signature to another that its samples hold too, where that raises the evidence."""
    best = judge.evidence(found)
    for k, other in _pairs(found):
        weights = found.exposures[:, [k, other]].sum(0)
        signature = weights @ found.signatures[[k, other]] / weights.sum()
        exposures = found.exposures.copy()
        exposures[:, other] += exposures[:, k]
        origin = int(found.origins[other])
        strength = _STRENGTHS[0] if origin >= 0 else 0.0
        both = _changed(replace(found, exposures=exposures), other, signature, origin, strength)
        trial = _settled(judge, both.only(np.delete(np.arange(both.size), k)))
        value = judge.evidence(trial)
        if value > best:
            return merged(judge, trial)
    return found


def _pairs(found: Dictionary) -> list[tuple[int, int]]:
    """Pairs k, other to merge: one of them not pinned, and nearly all of k in samples that hold the other."""
    held = found.exposures.T @ (found.exposures > 0)  # mutations of k in the samples of other, (k, k)
    shares = held / np.maximum(found.exposures.sum(0), _LEAST)[:, None]
    size = found.exposures.sum(0)
    loose = np.isfinite(found.strengths)
    pairs = [
        (k, other)
        for k in range(found.size)
        for other in range(found.size)
        if k != other
        and (loose[k] or loose[other])
        and shares[k, other] > _TOGETHER
        and size[k] < size[other]
    ]
    alike = found.signatures @ found.signatures.T
    lengths = np.sqrt(np.diag(alike))
    return sorted(pairs, key=lambda pair: -alike[pair] / (lengths[pair[0]] * lengths[pair[1]]))[:_PAIRS]


def strengthened(judge: Judge, found: Dictionary) -> Dictionary:
    """Settle which known signature every released or free one is a form of, and how strongly."""
    for k in np.flatnonzero(np.isfinite(found.strengths)):
        origin = nearest(judge, found, int(k))
        trials = [_changed(found, int(k), found.signatures[k], -1, 0.0)]
        if origin >= 0:
            trials += [_changed(found, int(k), found.signatures[k], origin, tau) for tau in _STRENGTHS]
        trials = [judge.learnt(trial, _QUICK) for trial in trials]
        found = max(trials, key=judge.evidence)
    return judge.scattered(found)


def margins(judge: Judge, found: Dictionary) -> Array:
    """Nats that evidence for every signature amounts to, (k,): what is lost where a known or new one is left
    out, and where a changed one is set back to its known form.
    """
    whole, values = judge.evidence(found), []
    for k in range(found.size):
        origin = nearest(judge, found, k)
        if np.isfinite(found.strengths[k]) and origin >= 0:
            trial = _changed(found, k, judge.known[origin], origin, np.inf)
        elif found.size > 1:
            trial = found.only(np.delete(np.arange(found.size), k))
        else:
            return np.array([np.inf])
        values.append(whole - judge.evidence(judge.refitted(trial)))
    return np.array(values)


def own_versions(judge: Judge, found: Dictionary) -> Array:
    """Every signature as the data have it, (k, m): one at a time is let go from its known form."""
    versions = []
    for k in range(found.size):
        trial = _changed(found, k, found.signatures[k], -1, 0.0)
        versions.append(judge.learnt(trial, _FIT).signatures[k])
    return np.stack(versions)


def _released(judge: Judge, found: Dictionary, k: int) -> Dictionary:
    """The list with a pinned signature that may move, under the strength that is best."""
    origin = int(found.origins[k])
    trials = [
        judge.learnt(_changed(found, k, found.signatures[k], origin, tau), _QUICK) for tau in _STRENGTHS
    ]
    return _settled(judge, max(trials, key=judge.evidence))


def _promise(judge: Judge, found: Dictionary, k: int) -> float:
    """Nats that releasing a pinned signature may gain: its score statistic under the best strength."""
    rates, own = found.rates(), found.exposures[:, k]
    weight = 1.0 / (rates + found.dispersion * rates**2)
    slope = own @ ((judge.counts - rates) * weight)  # (m,)
    information = own**2 @ weight
    centre = judge.known[found.origins[k]]
    slope = slope - slope @ centre
    values = [
        0.5 * (slope**2 / (information + tau / centre)).sum()
        - 0.5 * np.log1p(information * centre / tau).sum()
        for tau in _STRENGTHS
    ]
    return float(max(values))


def nearest(judge: Judge, found: Dictionary, k: int) -> int:
    """Row of the known signature most alike that no other signature stands for; -1 if none is alike."""
    if not len(judge.known):
        return -1
    own = found.signatures[k]
    cosines = judge.known @ own / (np.linalg.norm(judge.known, axis=1) * np.linalg.norm(own))
    others = np.delete(found.origins, k)
    cosines[others[others >= 0]] = -1.0
    best = int(cosines.argmax())
    return best if cosines[best] >= KIN else -1


def _changed(found: Dictionary, k: int, signature: Array, origin: int, strength: float) -> Dictionary:
    """The list with another signature and prior in place k."""
    signatures, origins, strengths = found.signatures.copy(), found.origins.copy(), found.strengths.copy()
    signatures[k], origins[k], strengths[k] = signature, origin, strength
    return replace(found, signatures=signatures, origins=origins, strengths=strengths)


def _in_use(found: Dictionary) -> Dictionary:
    """Signatures that some sample holds."""
    return found.only(np.flatnonzero((found.exposures > _LEAST).any(0) & (found.signatures.sum(1) > 0.5)))
