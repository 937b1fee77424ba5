r"""A list of signatures of which some are known: its evidence, and the moves that raise it.

Every signature has one of three priors. A *pinned* one is its entry c in the table of known signatures. A
*drawn* one may differ from it,

.. math:: s_k \sim \text{Dirichlet}(\tau_k c_k),

with a strength :math:`\tau_k`, in mutations, that is learnt. A *free* one has the flat prior. Counts scatter
as in `latentgenomes.signatures.models.negative_binomial`, and a list is judged by

.. math::
    \mathcal{E} = \log p(x \mid e, s, \varphi) - \text{presence and exposures} - \log \binom{L}{K}
    - \sum_{k\ \text{free}} (m - 1)\, p_k
    - \sum_{k\ \text{drawn}} \Big( \tau_k \text{KL}(c_k \| s_k)
    + \sum_m \min\big(\tfrac{1}{2} \log(1 + c_{km} I_{km} / \tau_k),\, p_k\big) \Big).

Here :math:`p_k = \max(\tfrac{1}{2} \log n_k, 1)` is what a number of a free signature costs there, and
:math:`I_{km} = \sum_n e_{nk}^2 / (r_{nm} + \varphi r_{nm}^2)` what the counts know of it. K of the L known
signatures are in use: which ones costs the logarithm of the choice, and that is all a pinned one costs.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $c$ | `centres` | (k, m), rows sum to 1 |
| $\tau$ | `strengths` | (k,), mutations; infinite if pinned, 0 if free |
| $e$ | `exposures` | (n, k), mutations, 0 where absent |
| $\varphi$ | `dispersion` | scalar |
| $n_k$ | `n_carriers` | (k,), samples |
| $L$ | `n_known` | scalar |
| $\mathcal{E}$ | `evidence` | scalar, nats |

References
----------
MacKay 1992, Neural Comput. 4:415 (a prior's strength learnt from the evidence). Tierney & Kadane 1986, JASA
81:82 (Laplace's approximation). Scott & Berger 2010, Ann. Stat. 38:2587 (the price of a choice among many).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaln, rel_entr

from latentgenomes.signatures.models.negative_binomial import (
    _scatters,
    _updated,
    fit_dispersion,
    penalised_likelihood,
)
from latentgenomes.signatures.models.refitting import refit_sparse

Array = npt.NDArray[np.float64]

_TINY = 1e-12
_LEAST_SHARE = 1e-5  # of a known signature in a channel: nothing is impossible
_POLISH = 60  # updates of exposures after a sparse refit


@dataclass(frozen=True)
class Dictionary:
    """Signatures with their priors, and the exposures that go with them; see the table of the module."""

    signatures: Array
    origins: npt.NDArray[np.int64]  # (k,) row of the table of known signatures; -1 for a free one
    strengths: Array
    exposures: Array
    dispersion: float

    @property
    def size(self) -> int:
        """Number of signatures k."""
        return len(self.signatures)

    def rates(self) -> Array:
        """Expected counts, (n, m)."""
        return np.asarray(np.maximum(self.exposures @ self.signatures, _TINY))

    def only(self, keep: npt.ArrayLike) -> "Dictionary":
        """Keep the signatures at these positions."""
        index = np.asarray(keep, dtype=np.int64)
        return Dictionary(
            self.signatures[index],
            self.origins[index],
            self.strengths[index],
            self.exposures[:, index],
            self.dispersion,
        )

    def of_samples(self, rows: npt.ArrayLike) -> "Dictionary":
        """Keep the exposures of these samples."""
        return replace(self, exposures=self.exposures[np.asarray(rows)])

    def with_one(self, signature: Array, exposures: Array, *, origin: int = -1) -> "Dictionary":
        """Add one signature: free, or pinned to a row of the table."""
        strength = 0.0 if origin < 0 else np.inf
        return Dictionary(
            np.vstack([self.signatures, signature]),
            np.append(self.origins, origin),
            np.append(self.strengths, strength),
            np.column_stack([self.exposures, exposures]),
            self.dispersion,
        )


def floored(known: Array) -> Array:
    """Known signatures with a least share in every channel, rows that sum to 1."""
    rows = np.maximum(known, _LEAST_SHARE)
    return np.asarray(rows / rows.sum(1, keepdims=True))


class Judge:
    """Counts and known signatures against which dictionaries are judged and improved."""

    def __init__(self, counts: Array, known: Array) -> None:
        self.counts = counts
        self.known = floored(known) if len(known) else known
        self.frame = pd.DataFrame(counts)
        self.best: dict[int, float] = {}  # evidence by number of signatures, nats

    def evidence(self, found: Dictionary) -> float:
        """Evidence of a dictionary, in nats: the equation of the module."""
        n_carriers = np.maximum((found.exposures > 0).sum(0), 1)
        flat = np.maximum(np.log(n_carriers) / 2.0, 1.0)  # (k,), one number
        m = self.counts.shape[1]
        whole = penalised_likelihood(self.counts, found.exposures, found.signatures, found.dispersion)
        price = self._choice(int((found.origins >= 0).sum())) + (m - 1) * flat[found.strengths == 0].sum()
        drawn = np.flatnonzero((found.strengths > 0) & np.isfinite(found.strengths))
        for k in drawn:
            price += self._price_drawn(found, int(k), float(flat[k]))
        value = float(whole + (m - 1) * flat.sum() - price)
        self.best[found.size] = max(self.best.get(found.size, -np.inf), value)
        return value

    def _price_drawn(self, found: Dictionary, k: int, flat: float) -> float:
        rates, centre, strength = found.rates(), self.known[found.origins[k]], found.strengths[k]
        weight = 1.0 / (rates + found.dispersion * rates**2)
        information = (found.exposures[:, k] ** 2) @ weight  # (m,)
        numbers = np.minimum(0.5 * np.log1p(centre * information / strength), flat)
        return float(numbers.sum() + strength * rel_entr(centre, found.signatures[k]).sum())

    def _choice(self, n_used: int) -> float:
        """Nats that tell which of the known signatures are in use, their number being open."""
        n_known = len(self.known)
        choice = gammaln(n_known + 1) - gammaln(n_used + 1) - gammaln(n_known - n_used + 1)
        return float(choice + np.log(n_known + 1))

    # ---- exposures ----------------------------------------------------------------------------------

    def refitted(self, found: Dictionary, rows: npt.NDArray[np.intp] | None = None) -> Dictionary:
        """Infer afresh which signatures every sample holds, or some samples, and how much of each."""
        names = [f"s{k}" for k in range(found.size)]
        signatures = pd.DataFrame(found.signatures, index=names, columns=self.frame.columns)
        exposures = found.exposures.copy()
        if rows is None:
            exposures = refit_sparse(self.frame, signatures).exposures.to_numpy()
        elif len(rows):
            share = ((exposures > 0).sum(0) + 1.0) / (len(exposures) + 2.0)
            prior = pd.Series(share.clip(1e-4, 1 - 1e-4), index=names)
            part = refit_sparse(self.frame.iloc[rows], signatures, prior=prior, learn_prevalence=False)
            exposures[rows] = part.exposures.to_numpy()
        return self.scattered(self.polished(self.scattered(replace(found, exposures=exposures))))

    def polished(self, found: Dictionary, n_updates: int = _POLISH) -> Dictionary:
        """Exposures of greater likelihood; absent ones stay absent."""
        exposures = found.exposures
        for _ in range(n_updates):
            exposures = _updated(self.counts, exposures, found.signatures, found.dispersion)
        return replace(found, exposures=exposures)

    def scattered(self, found: Dictionary) -> Dictionary:
        """Learn the dispersion: 0 where the counts are no more than Poisson."""
        rates = found.rates()
        dispersion = fit_dispersion(self.counts, rates) if _scatters(self.counts, rates) else 0.0
        return replace(found, dispersion=dispersion)

    # ---- signatures ---------------------------------------------------------------------------------

    def learnt(self, found: Dictionary, n_updates: int) -> Dictionary:
        """Improve drawn and free signatures and all exposures together; pinned signatures stay."""
        centres = (
            np.where(found.origins[:, None] >= 0, self.known[found.origins], 0.0) if len(self.known) else 0.0
        )
        pinned = np.isinf(found.strengths)
        strengths = np.where(pinned, 0.0, found.strengths)[:, None]
        exposures, signatures, phi = found.exposures, found.signatures, found.dispersion
        for _ in range(n_updates):
            exposures = _updated(self.counts, exposures, signatures, phi)
            rates = np.maximum(exposures @ signatures, _TINY)
            wanted = signatures * (exposures.T @ (self.counts / rates))
            held = exposures.T @ ((1.0 + phi * self.counts) / (1.0 + phi * rates))
            moved = (wanted + strengths * centres) / np.maximum(held + strengths, _TINY)
            sums = np.maximum(moved.sum(1), _TINY)
            signatures = np.where(pinned[:, None], signatures, moved / sums[:, None])
            exposures = np.where(pinned, exposures, exposures * sums)
        return replace(found, exposures=exposures, signatures=signatures)
