r"""What many fits agree on: signatures that come back from the other half of the donors, and how often.

An anchor, the signatures of all donors, is compared with fits to halves of them. Each fit is matched one
to one with the anchor by the largest sum of cosines. Where pairs are alike (:math:`\cos \ge 0.8`), the mean
of all partners takes the anchor's place,

.. math::
    s_k \leftarrow \frac{1}{|B_k|} \sum_{b \in B_k} s_{b\,\pi_b(k)}, \qquad
    B_k = \{b : \cos(s_k, s_{b\,\pi_b(k)}) \ge 0.8\},

and what at least half of the fits share without a partner in the anchor joins it. A few rounds settle.
Fits come in pairs: the two halves of one division of the donors, who are strangers to one another. The
support of a signature is the share of the pairs whose two partners are alike, at a cosine of 0.8,

.. math::
    \text{support}_k = \frac{1}{P} \sum_p 1\big[\cos(s_{2p,k},\, s_{2p+1,k}) \ge 0.8\big].

Why 0.8, where 0.9 is asked of two cohorts of full size: with twice the donors the squared error of a
signature, and with it 1 minus the cosine, is half as large.

| symbol | name in code | shape |
|---|---|---|
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $s_b$ | `fits` | one (k_b, m) a half |
| $\pi_b$ | `partners` | (k,), -1 without one |
| $\cos$ | `cosines` | (b, k) |
| $\text{support}$ | `support` | (k,), in 0..1 |

References
----------
Breiman 1996, Machine Learning 24:123 (the mean over resampled fits). Meinshausen & Buehlmann 2010, J. R.
Stat. Soc. B 72:417; Shah & Samworth 2013, J. R. Stat. Soc. B 75:55 (complementary pairs of halves).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Array = npt.NDArray[np.float64]

ALIKE = 0.8  # cosine at which signatures of halves count as one and the same
_KIN = 0.85  # cosine within a group that joins the anchor
_JOINING = 0.5  # share of the fits that must hold such a group
_N_ROUNDS = 4


class Agreement(NamedTuple):
    """Signatures on which fits agree, their support, and every fit's own version of them."""

    signatures: Array  # (k, m), rows sum to 1
    cosines: Array  # (b, k), of every fit's partner; 0 without one
    partners: Array  # (b, k, m), the partner, or the signature itself where the fit holds none alike

    @property
    def support(self) -> Array:
        """Share of the pairs of fits, each one after the other, whose versions of a signature agree, (k,)."""
        unit = self.partners / np.linalg.norm(self.partners, axis=-1, keepdims=True)
        alike = (unit[0::2] * unit[1::2]).sum(-1) >= ALIKE
        held = (self.cosines >= ALIKE).reshape(-1, 2, self.cosines.shape[1]).all(1)
        return np.asarray((alike & held).mean(0))


def agree(anchor: Array, fits: Sequence[Array], *, most: int) -> Agreement:
    """Average the partners of every signature of the anchor, and take in what many fits share without it.

    Anchor and fits are (k, m) with rows that sum to 1; no more than `most` signatures are returned.
    """
    signatures = anchor
    for _ in range(_N_ROUNDS):
        kept, spare = [[one] for one in signatures], []
        for number, fit in enumerate(fits):
            cosines, partners = _match(signatures, fit)
            alike = cosines >= ALIKE
            for k in np.flatnonzero(alike):
                kept[k].append(fit[partners[k]])
            alone = np.setdiff1d(np.arange(len(fit)), partners[alike])
            spare += [(number, fit[j]) for j in alone]
        means = [np.mean(group[1:] or group, axis=0) for group in kept]
        joining = _shared(spare, len(fits))[: max(most - len(means), 0)]
        signatures = np.stack([*means, *joining])
        signatures = signatures / signatures.sum(1, keepdims=True)
    cosines, versions = np.zeros((len(fits), len(signatures))), np.tile(signatures, (len(fits), 1, 1))
    for number, fit in enumerate(fits):
        cosines[number], partners = _match(signatures, fit)
        alike = cosines[number] >= ALIKE
        versions[number, alike] = fit[partners[alike]]
    return Agreement(signatures, cosines, versions)


def _shared(spare: Sequence[tuple[int, Array]], n_fits: int) -> list[Array]:
    """Means of groups of like signatures without a partner that enough fits hold, the largest group first."""
    found: list[Array] = []
    if not spare:
        return found
    owners, rows = np.array([number for number, _ in spare]), np.stack([row for _, row in spare])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kin = unit @ unit.T >= _KIN
    left = np.ones(len(rows), dtype=bool)
    while left.any():
        sizes = np.array([len(set(owners[kin[i] & left])) if left[i] else 0 for i in range(len(rows))])
        first = int(sizes.argmax())
        if sizes[first] < _JOINING * n_fits:
            break
        group = kin[first] & left
        found.append(rows[group].mean(0))
        left &= ~group
    return found


def _match(signatures: Array, fit: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """Cosine and position of the partner of every signature, (k,); 0 and -1 where the fit is the smaller."""
    unit = signatures / np.linalg.norm(signatures, axis=1, keepdims=True)
    table = unit @ (fit / np.linalg.norm(fit, axis=1, keepdims=True)).T
    rows, columns = linear_sum_assignment(-table)
    cosines, partners = np.zeros(len(signatures)), np.full(len(signatures), -1)
    cosines[rows], partners[rows] = table[rows, columns], columns
    return cosines, partners
