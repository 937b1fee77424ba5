"""Binary arithmetic coder and adaptive chances in whole numbers, compiled.

One decision is coded with the chance that it is 1, in shares of 2**24. The coder keeps an interval of whole
numbers below 2**56; a decision takes its share of it, and bytes leave as soon as both ends agree on them:

    split = low + (high - low) // 2**24 * p,        1: high = split,        0: low = split + 1

A reader takes bytes behind the end for zeros. Adaptive chances have units of 2**-22 and move by the error
over the number of decisions seen. Every operation is exact, so that two machines cannot differ.

| name in code | what |
|---|---|
| `coder[0], coder[1]` | low and high end of the interval |
| `coder[2]` | the number that a reader looks for |
| `coder[3]` | place of the next byte |
| `coder[4]` | 1 in a reader |
| `coder[5]` | 1 once a writer ran out of room |

References
----------
Witten, Neal & Cleary 1987, Communications of the ACM 30:520-540.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from latentgenomes.genotypes.models.mixing import log2, tables

WHOLE = 1 << 24  # a share of this many is certain
_MASK = (1 << 56) - 1
_LEAST = 1 << 8  # the least share of a decision
_HALF = 1 << 21  # of a chance in units of 2**-22
_MOST_SEEN = 1000
N_NUMBER = 164  # chances of a number

Bytes = npt.NDArray[np.uint8]


@lru_cache(maxsize=1)
def stretch_table() -> npt.NDArray[np.int64]:
    """log2 of the odds (65536,) of chances in units of 2**-16, itself in units of 2**-12 bits."""
    logarithms = tables()[0]
    ones = 2 * np.arange(1 << 16) + 1
    return np.array([(log2(one, logarithms) - log2((1 << 17) - one, logarithms)) >> 4 for one in ones])


@lru_cache(maxsize=1)
def pace_table() -> npt.NDArray[np.int64]:
    """Share of the error that a chance moves by after 0, 1, ... decisions, in units of 2**-16."""
    return np.array([(2 << 16) // (2 * seen + 3) for seen in range(_MOST_SEEN + 1)])


def new_coder(*, reading: bool) -> npt.NDArray[np.int64]:
    """State of a coder at the first decision."""
    return np.array([0, _MASK, 0, 0, int(reading), 0], dtype=np.int64)


def new_chances(*shape: int) -> npt.NDArray[np.int32]:
    """Adaptive chances (..., 2) of contexts: the chance, and how many decisions it has seen."""
    chances = np.zeros((*shape, 2), dtype=np.int32)
    chances[..., 0] = _HALF
    return chances


@njit(cache=True, nogil=True)
def start_reading(coder, data):  # type: ignore[no-untyped-def]
    """Take the first seven bytes."""
    for _ in range(7):
        byte = np.int64(data[coder[3]]) if coder[3] < len(data) else np.int64(0)
        coder[2] = (coder[2] << 8) | byte
        coder[3] += 1


@njit(cache=True, nogil=True)
def code_bit(bit, share, coder, data):  # type: ignore[no-untyped-def]
    """Write a decision with its share of 2**24 for 1, or read and return it."""
    share = min(max(share, _LEAST), WHOLE - _LEAST)
    split = coder[0] + ((coder[1] - coder[0]) >> 24) * share
    if coder[4]:
        bit = np.int64(coder[2] <= split)
    if bit:
        coder[1] = split
    else:
        coder[0] = split + 1
    while (coder[0] ^ coder[1]) >> 48 == 0:
        if coder[4]:
            byte = np.int64(data[coder[3]]) if coder[3] < len(data) else np.int64(0)
            coder[2] = ((coder[2] << 8) & _MASK) | byte
        elif coder[3] < len(data):
            data[coder[3]] = coder[1] >> 48
        else:
            coder[5] = 1
        coder[3] += 1
        coder[0] = (coder[0] << 8) & _MASK
        coder[1] = ((coder[1] << 8) & _MASK) | 255
    return bit


@njit(cache=True, nogil=True)
def finish_writing(coder, data):  # type: ignore[no-untyped-def]
    """Write the byte that ends the stream."""
    if coder[3] < len(data):
        data[coder[3]] = (coder[0] >> 48) + 1
    else:
        coder[5] = 1
    coder[3] += 1


@njit(cache=True, nogil=True)
def learn(chance, bit, paces):  # type: ignore[no-untyped-def]
    """Move a chance (2,) towards a decision."""
    chance[0] += (((bit << 22) - chance[0]) * paces[chance[1]]) >> 16
    if chance[1] < len(paces) - 1:
        chance[1] += 1


@njit(cache=True, nogil=True)
def code_adaptive(bit, chance, paces, coder, data):  # type: ignore[no-untyped-def]
    """Write or read a decision with an adaptive chance (2,), which learns it."""
    bit = code_bit(bit, chance[0] << 2, coder, data)
    learn(chance, bit, paces)
    return bit


@njit(cache=True, nogil=True)
def code_number(number, chances, paces, coder, data):  # type: ignore[no-untyped-def]
    """Write or read a whole number in 0 ... 2**40 - 2: its length in unary, then its digits.

    The chances (N_NUMBER, 2) are those of the length, and of the first two digits by length.
    """
    value = number + 1
    length = 0
    while value >> (length + 1):
        length += 1
    n = 0
    while n < 40 and code_adaptive(np.int64(n < length), chances[n], paces, coder, data):
        n += 1
    found = np.int64(1)
    for depth in range(n):
        bit = (value >> (n - 1 - depth)) & 1
        if depth == 0:
            bit = code_adaptive(bit, chances[40 + n], paces, coder, data)
        elif depth == 1:
            bit = code_adaptive(bit, chances[81 + 2 * n + (found & 1)], paces, coder, data)
        else:
            bit = code_bit(bit, np.int64(WHOLE // 2), coder, data)
        found = (found << 1) | bit
    return found - 1


def written(data: Bytes, coder: npt.NDArray[Any]) -> bytes:
    """The bytes that a writer wrote."""
    return bytes(data[: coder[3]])
