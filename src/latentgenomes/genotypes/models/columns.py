r"""Chances of the values 0 and 1 of a column, row after row, from the rows and columns before; compiled.

Evidence for a 1 comes, in bits, from

- ten adaptive chances, each with a context of its own: the values of the nearest earlier rows, how far back
  they agree, how common the rarer value is, how often the row surprised lately;
- two Li-Stephens models, each over the dozen earlier rows that a row has copied best (`votes`): with a mass w
  each, mismatch rates eps of .003 and .05, and a switch rate of 1/1024;
- how many of the rows around it in the sorted order carry a 1, in two widths;
- how many 1 are still to come in the column.

Four mixers, whose weights are chosen by four contexts, weigh the evidence x; a fifth weighs the four; and an
adaptive map corrects the result by what it was worth before:

    z_m = sum_k a_mck x_k,     z = sum_m b_m z_m,     P(1) = (1 / (1 + 2^-z) + map(z)) / 2

Everything learns from every decision. Numbers are whole, and every operation is exact.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `evidence` | (N_EVIDENCE,) |
| $a$ | `weights` | (4, 1024, N_EVIDENCE) |
| $b$ | `last_weights` | (48, 4) |
| $w$ | `masses` | (n_rows, N_COPIED, 2) |

References
----------
Li & Stephens 2003, Genetics 165:2213-2233; Mahoney 2005, Florida Tech CS-2005-16.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from latentgenomes.genotypes.models.arithmetic import (
    code_bit,
    learn,
    new_chances,
    pace_table,
    stretch_table,
)
from latentgenomes.genotypes.models.copied_rows import ERRORS, N_COPIED, follow, odds, votes
from latentgenomes.genotypes.models.mixing import log2, squash, tables
from latentgenomes.genotypes.models.neighbours import N_NEAR, find_neighbours, new_order, sort_on

N_CONTEXTS, N_EVIDENCE = 10, 16
_SIZE = 1 << 14  # contexts of a kind
_MIXERS = (144, 260, 480, 1024)
_LIMIT = 19 << 12  # bits of evidence, in units of 2**-12
_LEARNING, _LAST_LEARNING = 80, 20
_STEPS = 24  # of the map
_NARROW, _WIDE = 3, 6  # rows of a place of the windows, as powers of 2


class Model(NamedTuple):
    """State of the predictor: what it learnt, the rows, and room to work."""

    chances: npt.NDArray[Any]
    weights: npt.NDArray[Any]
    last_weights: npt.NDArray[Any]
    corrections: npt.NDArray[Any]
    copied: npt.NDArray[Any]
    masses: npt.NDArray[Any]
    surprise: npt.NDArray[Any]
    order: npt.NDArray[Any]
    starts: npt.NDArray[Any]
    near: npt.NDArray[Any]
    since: npt.NDArray[Any]
    links: npt.NDArray[Any]
    room: npt.NDArray[Any]
    place: npt.NDArray[Any]
    windows: npt.NDArray[Any]
    evidence: npt.NDArray[Any]
    contexts: npt.NDArray[Any]
    logarithms: npt.NDArray[Any]
    powers: npt.NDArray[Any]
    stretch: npt.NDArray[Any]
    paces: npt.NDArray[Any]
    clock: npt.NDArray[Any]


def new_model(n_rows: int) -> Model:
    """State before the first column of `n_rows` rows."""
    logarithms, powers = tables()
    order, starts = new_order(n_rows)
    steps = [squash((step - _STEPS // 2) << 17, powers) >> 2 for step in range(_STEPS)]
    return Model(
        chances=new_chances(N_CONTEXTS, _SIZE),
        weights=np.full((len(_MIXERS), max(_MIXERS), N_EVIDENCE), 12_000, dtype=np.int64),
        last_weights=np.full((48, len(_MIXERS)), (1 << 16) // len(_MIXERS), dtype=np.int64),
        corrections=np.tile(np.array(steps, dtype=np.int64), (432, 1)),
        copied=np.full((n_rows, N_COPIED), -1, dtype=np.int64),
        masses=np.zeros((n_rows, N_COPIED, len(ERRORS)), dtype=np.int64),
        surprise=np.zeros(n_rows, dtype=np.int64),
        order=order,
        starts=starts,
        near=np.zeros((n_rows, 2 * N_NEAR), dtype=np.int64),
        since=np.zeros((n_rows, 2 * N_NEAR), dtype=np.int64),
        links=np.zeros((3, n_rows + 2), dtype=np.int64),
        room=np.zeros((2, n_rows), dtype=np.int64),
        place=np.zeros(n_rows, dtype=np.int64),
        windows=np.zeros((2, 2, (n_rows >> _NARROW) + 3), dtype=np.int64),
        evidence=np.zeros(N_EVIDENCE, dtype=np.int64),
        contexts=np.zeros(N_CONTEXTS, dtype=np.int64),
        logarithms=logarithms,
        powers=powers,
        stretch=stretch_table(),
        paces=pace_table(),
        clock=np.zeros(1, dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def _length(number):  # type: ignore[no-untyped-def]
    """Binary digits of a number."""
    n = 0
    while number >> n:
        n += 1
    return n


@njit(cache=True, nogil=True)
def _level(length):  # type: ignore[no-untyped-def]
    """Length of a match as one of 20 levels, two to a doubling."""
    if length < 4:
        return max(length, 0)
    n = _length(length)
    return min(2 * n - 2 + ((length >> (n - 2)) & 1), 19)


@njit(cache=True, nogil=True)
def _few(count):  # type: ignore[no-untyped-def]
    """Count as one of ten levels."""
    return count if count < 4 else min(_length(count) + 1, 9)


@njit(cache=True, nogil=True, inline="always")
def _look(row, values, flip, levels, state, scratch, fixed):  # type: ignore[no-untyped-def]
    """Fill in evidence and contexts of a row; returns the choice of weights of each mixer, and of the map.

    levels: the partner's value, how common the rarer value is, how many are still to come, and the column.
    """
    _, _, surprise, near, since, place, windows = state
    evidence, contexts, _ = scratch
    logarithms = fixed[0]
    partner, common, left, clock = levels
    size = np.int64(N_NEAR)
    six = n_ones = np.int64(0)
    one_length = zero_length = np.int64(-1)
    for k in range(N_NEAR):
        for side in range(2):
            other = near[row, side * size + k]
            value = np.int64(2)
            if other >= 0:
                value = values[other] ^ flip
                length = clock - since[row, side * size + k]
                if value:
                    one_length = max(one_length, length)
                    n_ones += 1
                else:
                    zero_length = max(zero_length, length)
            if k < 3:
                six = six * 3 + value
    first, second = six // 243, (six // 81) % 3
    length_1, length_2 = clock - since[row, 0], clock - since[row, size]
    if length_2 > length_1:
        first, second, length_1, length_2 = second, first, length_2, length_1
    level_1, level_2 = _level(length_1), _level(length_2)
    pair = first * 3 + second
    surprised = min(surprise[row] >> 10, 7)
    voted = votes(row, values, flip, state, evidence[N_CONTEXTS + 2 : N_CONTEXTS + 4], logarithms)
    c = contexts
    c[0] = (pair * 20 + level_1) * 20 + level_2
    c[1] = six * 16 + common
    c[2] = (_level(one_length + 1) * 20 + _level(zero_length + 1)) * 16 + common
    c[3] = ((first * 20 + level_1) * 3 + partner) * 16 + common
    c[4] = (n_ones * 16 + common) * 8 + left
    c[5] = (pair * 20 + level_1) * 8 + surprised
    c[6] = (pair * 13 + n_ones) * 16 + common
    c[7] = voted * 16 + common
    c[8] = pair * 20 + level_1
    c[9] = 0
    for width in range(2):
        at = place[row] >> (_WIDE if width else _NARROW)
        seen = windows[width, 0, at] + windows[width, 0, at + 1] + windows[width, 0, at + 2]
        ones = windows[width, 1, at] + windows[width, 1, at + 1] + windows[width, 1, at + 2]
        ones = seen - ones if flip else ones
        c[9] = (c[9] * 10 + _few(ones)) * 10 + _few(seen - ones)
        evidence[N_CONTEXTS + 4 + width] = odds(50 * ones + 1, 50 * (seen - ones) + 1, logarithms)
    sets = (pair * 16 + common, n_ones * 20 + level_1, (surprised * 20 + level_2) * 3 + partner, voted)
    return sets, (partner * 9 + second * 3 + first) * 16 + common, common * 3 + first


@njit(cache=True, nogil=True, inline="always")
def _weigh(weights, x):  # type: ignore[no-untyped-def]
    z = np.int64(0)
    for k in range(len(x)):
        z += weights[k] * x[k]
    return min(max(z >> 16, -_LIMIT), _LIMIT)


@njit(cache=True, nogil=True, inline="always")
def _adjust(weights, x, error, rate):  # type: ignore[no-untyped-def]
    for k in range(len(x)):
        weights[k] += (((x[k] * error) >> 14) * rate) >> 20


@njit(cache=True, nogil=True, inline="always")
def _code_row(bit, seen, train, learnt, scratch, fixed, stream):  # type: ignore[no-untyped-def]
    """Write or read the value of a row that was looked at, or (train) only learn it."""
    chances, weights, last_weights, corrections = learnt
    evidence, contexts, mixed = scratch
    logarithms, powers, stretch, paces = fixed
    coder, data = stream
    sets, correction, last = seen
    for k in range(N_CONTEXTS):
        evidence[k] = stretch[chances[k, contexts[k], 0] >> 6]
    for s in range(4):
        mixed[s] = _weigh(weights[s, sets[s]], evidence)
    z = _weigh(last_weights[last], mixed)
    share = squash(z << 4, powers)
    at = min(max(z, -(11 << 13)), 11 << 13) + ((_STEPS // 2) << 13)
    low, part = at >> 13, at & 8191
    row = corrections[correction]
    corrected = (row[low] * (8192 - part) + row[low + 1] * part) >> 13
    final = min(max((share + (corrected << 2)) >> 1, 256), (1 << 24) - 256)
    if not train:
        bit = code_bit(bit, final, coder, data)
    _adjust(last_weights[last], mixed, (bit << 24) - share, _LAST_LEARNING)
    nearest = low if part < 4096 else low + 1
    row[nearest] += ((bit << 22) - row[nearest]) >> 6
    for s in range(4):
        error = (bit << 24) - squash(mixed[s] << 4, powers)
        _adjust(weights[s, sets[s]], evidence, error, _LEARNING)
    for k in range(N_CONTEXTS):
        learn(chances[k, contexts[k]], bit, paces)
    paid = (np.int64(24) << 16) - log2(final if bit else (np.int64(1) << 24) - final, logarithms)
    return bit, min(paid >> 6, 8191)


@njit(cache=True, nogil=True, inline="always")
def _count_in(row, value, place, windows):  # type: ignore[no-untyped-def]
    for width in range(2):
        at = (place[row] >> (_WIDE if width else _NARROW)) + 1
        windows[width, 0, at] += 1
        windows[width, 1, at] += value


@njit(cache=True, nogil=True)
def _code_rows(values, rows, n_ones, modes, m, stream):  # type: ignore[no-untyped-def]
    """Code or learn the values of rows (first, last), of which n_ones are 1 where that is counted.

    modes: whether it is counted, and whether the values are known and only learnt.
    """
    learnt = (m.chances, m.weights, m.last_weights, m.corrections)
    state = (m.copied, m.masses, m.surprise, m.near, m.since, m.place, m.windows)
    surprise, evidence = m.surprise, m.evidence
    scratch = (evidence, m.contexts, np.zeros(4, np.int64))
    fixed = (m.logarithms, m.powers, m.stretch, m.paces)
    first, last = rows
    counted, train = modes
    seen = ones = np.int64(0)  # among the rows before, where nothing is counted
    total = np.int64(0)
    for row in range(last):
        if values[row] == 2:
            continue
        if row >= first:
            total += 1
        elif not counted:
            seen += 1
            ones += values[row]
    flip = np.int8(2 * n_ones > total) if counted else np.int8(2 * ones > seen)
    left = total - n_ones if flip else n_ones
    rarer = (left << 14) // max(total, 1)
    if not counted:
        rarer = (((seen - ones) if flip else ones) << 14) // max(seen, 1)
    common = min(_length(rarer), 15)
    for row in range(first, last):
        if values[row] == 2:
            continue
        if counted and (left == 0 or left == total):
            values[row] = np.int8(left > 0) ^ flip
            _count_in(row, values[row], m.place, m.windows)
            continue
        partner = np.int64(2)
        if row & 1 and values[row - 1] < 2:
            partner = np.int64(values[row - 1] ^ flip)
        if counted:
            evidence[N_CONTEXTS] = odds(left, total - left, m.logarithms)
        else:
            rare = seen - ones if flip else ones
            evidence[N_CONTEXTS] = odds(2 * rare + 1, 2 * (seen - rare) + 1, m.logarithms)
        evidence[N_CONTEXTS + 1] = 1 << 12
        levels = (partner, common, min(_length(left), 7) if counted else 7, m.clock[0])
        looked = _look(row, values, flip, levels, state, scratch, fixed)
        bit, paid = _code_row(np.int64(values[row] ^ flip), looked, train, learnt, scratch, fixed, stream)
        values[row] = np.int8(bit) ^ flip
        surprise[row] += (paid - surprise[row]) >> 4
        _count_in(row, values[row], m.place, m.windows)
        total -= 1
        left -= bit
        seen += 1
        ones += values[row]


@njit(cache=True, nogil=True)
def code_column(values, known, n_ones, counted, sort, m, stream):  # type: ignore[no-untyped-def]
    """Write a column, or read it in place.

    values (n_rows,) are 0, 1, or 2 for a row without a value. known: how many rows at the front a reader
    knows too, and how many of these, the last, are learnt from; a reader also knows which others are 2.
    n_ones is the number of ones among the rows to be coded, where it is counted. Rows are sorted on by a
    column where (sort) that is wanted. m is the model, stream the coder and its bytes.
    """
    n = len(values)
    n_known, n_trained = known
    active = values < 2
    find_neighbours(m.order, m.starts, active, m.clock[0], m.links, m.near, m.since)
    m.windows[:] = 0
    for k in range(n):
        m.place[m.order[k]] = k
    known_ones = np.int64(0)
    for row in range(n_known):
        if active[row]:
            if row < n_known - n_trained:
                _count_in(row, values[row], m.place, m.windows)
            else:
                known_ones += values[row]
    if n_trained:
        _code_rows(values, (n_known - n_trained, n_known), known_ones, (True, True), m, stream)
    _code_rows(values, (n_known, n), n_ones, (counted, False), m, stream)
    n_one = n_zero = np.int64(0)
    for row in range(n):
        n_one += values[row] == 1
        n_zero += values[row] == 0
    informative = sort and min(n_one, n_zero) * 2000 > n
    state = (m.copied, m.masses, m.surprise, m.near, m.since, m.place, m.windows)
    for row in range(n_known - n_trained, n):
        if active[row]:
            follow(row, values, informative, m.clock[0], state)
    if informative:
        for k in range(n):  # a row without a value goes with the one above it
            row = m.order[k]
            if not active[row]:
                values[row] = values[m.order[k - 1]] if k else 0
        sort_on(m.order, m.starts, values, m.clock[0], m.room)
        m.clock[0] += 1
        for row in range(n):
            if not active[row]:
                values[row] = 2
