r"""The earlier rows that a row has copied best, by two Li-Stephens models over a dozen of them; compiled.

Each row keeps N_COPIED earlier rows with a mass w in each model s. A value that a copied row does not share
costs it; the nearest rows of the sorted order, which share the last values of the row, come in with
what would have switched to them since they agree, at a rate of 1/1024:

    w_j = w_j if h_j is the value, w_j eps / (1 - eps) if not
    x_s = log2[(1 - eps) A_1 + eps A_0] - log2[(1 - eps) A_0 + eps A_1],     A_v = sum of w_j where h_j = v

| symbol | name in code | shape |
|---|---|---|
| $h$ | `copied` | (n_rows, N_COPIED) numbers of rows |
| $w$ | `masses` | (n_rows, N_COPIED, 2) |
| $\epsilon$ | `ERRORS` | (2,) |

References
----------
Li & Stephens 2003, Genetics 165:2213-2233.
"""

import numpy as np
from numba import njit

from latentgenomes.genotypes.models.mixing import log2
from latentgenomes.genotypes.models.neighbours import N_NEAR

N_COPIED = 12
ERRORS = np.array([12, 205], dtype=np.int64)  # eps, in units of 2**-12
_RATES = np.array([197, 3449], dtype=np.int64)  # eps / (1 - eps), in units of 2**-16
_MASS = 1 << 29


@njit(cache=True, nogil=True)
def odds(ones, zeros, logarithms):  # type: ignore[no-untyped-def]
    """Evidence of two masses, in units of 2**-12 bits."""
    return (log2(np.int64(ones), logarithms) - log2(np.int64(zeros), logarithms)) >> 4


@njit(cache=True, nogil=True, inline="always")
def votes(row, values, flip, state, evidence, logarithms):  # type: ignore[no-untyped-def]
    """Evidence of the two Li-Stephens models, and both as one context of 1024."""
    copied, masses = state[0], state[1]
    context = np.int64(0)
    for s in range(len(_RATES)):
        one = zero = np.int64(1)
        for t in range(N_COPIED):
            other = copied[row, t]
            if other >= 0 and values[other] < 2:
                if values[other] ^ flip:
                    one += masses[row, t, s]
                else:
                    zero += masses[row, t, s]
        error = ERRORS[s]
        x = odds(one * (4096 - error) + zero * error, zero * (4096 - error) + one * error, logarithms)
        evidence[s] = x
        context = context * 32 + min(max((x >> 12) + 16, 0), 31)
    return context


@njit(cache=True, nogil=True, inline="always")
def follow(row, values, adopt, clock, state):  # type: ignore[no-untyped-def]
    """Weigh what a row copies by its value, and (adopt) take up the nearest rows that share it."""
    copied, masses, _, near, since, _, _ = state
    value = values[row]
    for s in range(len(_RATES)):
        total = np.int64(0)
        for t in range(N_COPIED):
            other = copied[row, t]
            if other >= 0:
                if values[other] != value and values[other] < 2:
                    masses[row, t, s] = (masses[row, t, s] * _RATES[s]) >> 16
                total += masses[row, t, s]
        if total == 0:
            continue
        shift = 0
        while total << shift < _MASS:
            shift += 1
        down = 1 if total >= 2 * _MASS else 0
        for t in range(N_COPIED):
            masses[row, t, s] = (masses[row, t, s] << shift) >> down
    if not adopt:
        return
    for k in range(4):  # two on either side
        at = (k & 1) * N_NEAR + (k >> 1)
        other = near[row, at]
        if other < 0 or values[other] != value:
            continue
        least, here = 0, False
        for t in range(N_COPIED):
            here |= copied[row, t] == other
            if masses[row, t, 0] < masses[row, least, 0]:
                least = t
        length = clock - since[row, at] + 1
        mass = ((_MASS * length) >> 10) // min(row, 50)  # other < row, so that row >= 1
        if not here and masses[row, least, 0] < mass:
            copied[row, least] = other
            for s in range(len(_RATES)):
                masses[row, least, s] = mass
