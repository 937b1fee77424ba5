r"""Coding with latent variables that cost only what they tell: bits back.

A latent variable must be sent before the calls, but any z near the posterior would do, and the choice among
them is free. It can carry bits that were written before:

.. math::
    \text{take } z \sim q(z \mid x) \text{ off the stack}; \quad \text{put } x \text{ on with } p(x \mid z);
    \quad \text{put } z \text{ on with } p(z).

What was taken comes back when the reader, who then knows x, puts z on its own stack with q. On average a
haplotype costs :math:`-\log_2 p(x \mid z) - \log_2 p(z) + \log_2 q(z \mid x)`: the negative ELBO.

The stack is an asymmetric numeral system: one number s, and words of 32 bits below it. A symbol that has
F of 2^24 shares, with B shares before it, is put on and taken off by

.. math::
    s' = 2^{24} \lfloor s / F \rfloor + B + (s \bmod F), \qquad
    s = F \lfloor s' / 2^{24} \rfloor + (s' \bmod 2^{24}) - B .

The latent axis is cut into 192 cells of width 1/16 between -6 and 6. The share of a cell under q is a
difference of two entries of a table of the normal distribution function, so all of it is whole numbers.

| symbol | name in code | shape |
|---|---|---|
| $z$ | `cells` | (k,), numbers of cells |
| $q$ | `cell_shares` | (k, 193), cumulative |
| $p(z)$ | `prior_shares` | (k, 193), cumulative |
| $s$ | `state` | scalar |
| $B$ | `before` | scalar |
| $F$ | `share` | scalar |

References
----------
Townsend et al. 2019, Practical lossless compression with latent variables using bits back coding, ICLR; Duda
2013, arXiv 1311.2540 (asymmetric numeral systems).
"""

from decimal import Decimal, localcontext
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from latentgenomes.genotypes.models.container import TOTAL, CodecError
from latentgenomes.genotypes.models.integer_network import NATS_TO_BITS, IntegerNet
from latentgenomes.genotypes.models.mixing import squash, tables

Integers = npt.NDArray[np.int64]

N_CELLS = 192
_PER_UNIT = 16  # cells of one unit of z
_ROOM = TOTAL - N_CELLS  # every cell has one share besides
_STEPS = 64  # entries of the normal table for one standard deviation
_REACH = 8  # standard deviations
_SIGMA_BITS = 12  # of 1 / sigma
_LOW = np.uint64(1 << 32)
_FIRST_STATE = 0x9E3779B97F4A  # any number above 2**32
# What lies on top is the latent variable that was put on last, not chance. Its place among the shares is
# multiplied by an odd number, modulo 2**24, before another is taken there: every place still has its own.
_STIR, _UNSTIR = 0x9E3779, 0xB382C9
_PI = Decimal("3.14159265358979323846264338327950288419716939937510")


@lru_cache(maxsize=1)
def normal_table() -> Integers:
    """Normal distribution function at -8, -8 + 1/64, ... 8 in shares, 0 to 2**24 - 192: (1025,).

    By decimal arithmetic with 50 digits, which is the same everywhere.
    """
    with localcontext() as context:
        context.prec = 50
        upper = []
        for step in range(_REACH * _STEPS + 1):
            t = Decimal(step) / _STEPS
            term, total, k = t, Decimal(0), 1
            while term > Decimal("1e-30"):
                total += term
                k += 2
                term *= t * t / k
            share = Decimal("0.5") + (-t * t / 2).exp() / (2 * _PI).sqrt() * total
            upper.append(int(share * _ROOM))
    upper[-1] = _ROOM
    lower = [_ROOM - share for share in upper[:0:-1]]
    return np.array([*lower, *upper], dtype=np.int64)


@lru_cache(maxsize=1)
def inverse_sigmas() -> Integers:
    """1 / sigma at its levels 2**(j / 4), j = -4 ... 24, in units of 2**-12."""
    return np.array([isqrt(isqrt(1 << (j + 4 * _SIGMA_BITS))) for j in range(-4, 25)], dtype=np.int64)


def cell_shares(mean: npt.NDArray[np.float64], log_var: npt.NDArray[np.float64]) -> Integers:
    """Cumulative shares of the cells under q, (..., k) -> (..., k, 193): from 0 to 2**24, growing by one at
    least.

    Mean and log_var of q in units of 2**-12.
    """
    # log2(1 / sigma) in quarters, to the nearest: -log_var / 2 * log2(e) * 4
    scaled = -log_var.astype(np.int64) * NATS_TO_BITS
    level = np.clip((scaled + (1 << 26)) >> 27, -4, 24) + 4
    edges = (np.arange(N_CELLS + 1) - N_CELLS // 2) * (4096 // _PER_UNIT)  # units of 2**-12
    distance = edges - np.clip(mean.astype(np.int64), -(6 << 12), 6 << 12)[..., None]
    inverse = inverse_sigmas()[level][..., None]
    place = (distance * inverse * _STEPS + (1 << 23)) >> (12 + _SIGMA_BITS)
    shares = normal_table()[np.clip(place + _REACH * _STEPS, 0, 2 * _REACH * _STEPS)]
    shares[..., 0], shares[..., -1] = 0, _ROOM  # the outer cells reach to infinity
    return np.asarray(shares + np.arange(N_CELLS + 1))


def prior_shares(sums: Integers) -> Integers:
    """The same for each latent variable, (k, 193), from the shares under q (k, 192) summed over a panel."""
    total = sums.sum(axis=1)
    scaled = [[int(n) * _ROOM // int(t) for n in row] for row, t in zip(sums, total, strict=True)]
    shares = np.array(scaled, dtype=np.int64) + 1
    rows = np.arange(len(shares))
    shares[rows, shares.argmax(axis=1)] += TOTAL - shares.sum(axis=1)
    return np.concatenate([np.zeros((len(shares), 1), dtype=np.int64), shares.cumsum(axis=1)], axis=1)


def centres(cells: Integers) -> npt.NDArray[np.float64]:
    """Values of z at the centres of cells, in units of 2**-12."""
    return np.asarray((2.0 * cells - (N_CELLS - 1)) * (4096 // _PER_UNIT // 2), dtype=np.float64)


@njit(cache=True)
def _seed_word(place):  # type: ignore[no-untyped-def]
    """Words that lie below the bottom of every stack, known to all: a multiplicative generator."""
    x = np.uint64(place + 1) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return (x ^ (x >> np.uint64(29))) & np.uint64(0xFFFFFFFF)


@njit(cache=True)
def _put(stack, words, before, share, factor):  # type: ignore[no-untyped-def]
    """Put a symbol on, its place times a factor. stack is (state, number of words, words borrowed)."""
    state, share = stack[0], np.uint64(share)
    if state >= share << np.uint64(40):
        words[np.int64(stack[1])] = state & np.uint64(0xFFFFFFFF)
        stack[1] += np.uint64(1)
        state >>= np.uint64(32)
    place = ((state % share + np.uint64(before)) * np.uint64(factor)) & np.uint64((1 << 24) - 1)
    stack[0] = ((state // share) << np.uint64(24)) + place


@njit(cache=True)
def _top(stack, factor):  # type: ignore[no-untyped-def]
    """Place among the shares of what lies on top, times a factor."""
    return np.int64((stack[0] * np.uint64(factor)) & np.uint64((1 << 24) - 1))


@njit(cache=True)
def _take(stack, words, before, share, place):  # type: ignore[no-untyped-def]
    """Take a symbol off, whose shares and place among them are known."""
    state = np.uint64(share) * (stack[0] >> np.uint64(24)) + np.uint64(place) - np.uint64(before)
    if state < _LOW:
        if stack[1] > 0:
            stack[1] -= np.uint64(1)
            word = words[np.int64(stack[1])]
        else:
            word = _seed_word(stack[2])
            stack[2] += np.uint64(1)
        state = (state << np.uint64(32)) | word
    stack[0] = state


@njit(cache=True)
def _take_cells(stack, words, shares, cells, factor):  # type: ignore[no-untyped-def]
    for k in range(len(shares)):
        place = _top(stack, factor)
        cell = np.searchsorted(shares[k], place, side="right") - 1
        _take(stack, words, shares[k, cell], shares[k, cell + 1] - shares[k, cell], place)
        cells[k] = cell


@njit(cache=True)
def _put_cells(stack, words, shares, cells, factor):  # type: ignore[no-untyped-def]
    for k in range(len(shares) - 1, -1, -1):
        cell = cells[k]
        _put(stack, words, shares[k, cell], shares[k, cell + 1] - shares[k, cell], factor)


@njit(cache=True)
def _put_calls(stack, words, calls, ones):  # type: ignore[no-untyped-def]
    for snp in range(len(calls) - 1, -1, -1):
        if calls[snp] == 1:
            _put(stack, words, 0, ones[snp], 1)
        elif calls[snp] == 0:
            _put(stack, words, ones[snp], (1 << 24) - ones[snp], 1)


@njit(cache=True)
def _take_call(stack, words, one):  # type: ignore[no-untyped-def]
    place = _top(stack, 1)
    if place < one:
        _take(stack, words, 0, one, place)
        return 1
    _take(stack, words, one, (1 << 24) - one, place)
    return 0


@njit(cache=True)
def _take_calls(stack, words, sums, causal, frequencies, powers, calls):  # type: ignore[no-untyped-def]
    w = causal.shape[1]
    centred = np.zeros(w + len(calls), dtype=np.int64)
    for snp in range(len(calls)):
        if calls[snp] < 0:
            continue
        total = sums[snp]
        for back in range(w):
            total += causal[snp, back] * centred[snp + back]
        nats = min(max(total >> 14, -(1 << 24)), 1 << 24)
        calls[snp] = _take_call(stack, words, squash((nats * NATS_TO_BITS) >> 12, powers))
        centred[w + snp] = (np.int64(calls[snp]) << 12) - frequencies[snp]


class BitStack:
    """A stack of bits: what was put on last is taken off first. It starts empty, or from `words`."""

    def __init__(self, words: npt.NDArray[np.uint32] | None = None) -> None:
        given = np.zeros(0, dtype=np.uint64) if words is None else words[2:].astype(np.uint64)
        state = _FIRST_STATE if words is None else int(words[0]) << 32 | int(words[1])
        self.words_below = given
        self.state = np.array([state, len(given), 0], dtype=np.uint64)

    @property
    def borrowed(self) -> int:
        """How many of the words that all know were taken from below the bottom."""
        return int(self.state[2])

    def _make_room(self, n_symbols: int) -> None:
        """Grow for symbols of at most 24 bits each."""
        needed = int(self.state[1]) + n_symbols + 2
        if needed > len(self.words_below):
            more = np.zeros(needed + needed // 2 - len(self.words_below), dtype=np.uint64)
            self.words_below = np.concatenate([self.words_below, more])

    def words(self) -> npt.NDArray[np.uint32]:
        """Everything on the stack, the state first."""
        state, size = int(self.state[0]), int(self.state[1])
        head = np.array([state >> 32, state & 0xFFFFFFFF], dtype=np.uint32)
        return np.concatenate([head, self.words_below[:size].astype(np.uint32)])

    def put_cells(self, shares: Integers, cells: Integers, *, stirred: bool = False) -> None:
        """Put cells on, (k, 193) and (k,); `stirred` undoes a stirred taking."""
        self._make_room(len(cells))
        _put_cells(self.state, self.words_below, shares, cells, _UNSTIR if stirred else 1)

    def take_cells(self, shares: Integers, *, stirred: bool = False) -> Integers:
        """Take cells off, (k, 193) -> (k,); `stirred` where they are chosen by what came before."""
        cells = np.zeros(len(shares), dtype=np.int64)
        _take_cells(self.state, self.words_below, shares, cells, _STIR if stirred else 1)
        return cells

    def put_calls(self, calls: npt.NDArray[np.int8], ones: Integers) -> None:
        """Put the calls on that are not missing; `ones` are the shares of a 1, both (l,)."""
        self._make_room(len(calls))
        _put_calls(self.state, self.words_below, calls, ones)

    def take_calls(
        self, sums: npt.NDArray[np.float64], net: IntegerNet, missing: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int8]:
        """Take the calls of a haplotype off: log odds (l,) from `net.decode`, missing (l,) -> calls (l,)."""
        calls = np.where(missing, -1, 0).astype(np.int8)
        whole, causal, frequencies = (a.astype(np.int64) for a in (sums, net.causal, net.frequencies))
        _take_calls(self.state, self.words_below, whole, causal, frequencies, tables()[1], calls)
        return calls

    def check_empty(self, borrowed: int) -> None:
        """Refuse (CodecError) a stack with other words left than those that the writer borrowed."""
        size = int(self.state[1])
        below = [int(_seed_word(place)) for place in range(borrowed)][::-1]
        left = self.words_below[:size].tolist()
        if int(self.state[0]) != _FIRST_STATE or size != borrowed or left != below or self.borrowed:
            raise CodecError(
                "A stack must end as it was begun, but it does not. Decode it with the model that wrote it."
            )
