"""Calls of a block of sites, and the sites themselves, as streams of decisions; compiled.

A call is a row of places: allele numbers, -1 for a missing one, -2 where the call has fewer. The streams hold

1. for every site, whether all places are of the kind expected: as the last call of their sample there was,
   called or without a place; if not, which are of another kind, with adaptive chances;
2. for every allele number v = 1, 2, ... the column of "v or more" among the places with v - 1 or more, by
   `columns`: first how many there are (or, beside a panel, whether there are any), then which;
3. for every site, whether all samples have the separators expected (the last ones of the sample in such a
   call: haploid, of equal alleles, of several, or with a missing one); if not, which have which.

Positions are coded as steps; a REF and an ALT of one base each by the chance of the pair.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from latentgenomes.genotypes.models.arithmetic import (
    N_NUMBER,
    code_adaptive,
    code_number,
    finish_writing,
    new_chances,
    pace_table,
    start_reading,
)
from latentgenomes.genotypes.models.columns import code_column

MISSING, ABSENT = -1, -2
_MOST_COLUMNS = 8  # allele numbers above are coded one by one


class Sides(NamedTuple):
    """Adaptive chances of everything but the columns, and what is expected of samples."""

    numbers: npt.NDArray[Any]
    some: npt.NDArray[Any]
    regular: npt.NDArray[Any]
    kinds: npt.NDArray[Any]
    others: npt.NDArray[Any]
    separators: npt.NDArray[Any]
    classes: npt.NDArray[Any]
    expected: npt.NDArray[Any]
    deviated: npt.NDArray[Any]
    separator_of: npt.NDArray[Any]
    last_of: npt.NDArray[Any]
    paces: npt.NDArray[Any]


def new_sides(n_samples: int, n_places: int) -> Sides:
    """Adaptive chances of everything but the columns, and what is expected of samples."""
    return Sides(
        numbers=new_chances(3, N_NUMBER),
        some=new_chances(4),
        regular=new_chances(2, 2),
        kinds=new_chances(3, 2, 4, 3, 4),
        others=new_chances(3, 2, 4),
        separators=new_chances(4, 2, 4),
        classes=new_chances(4, 256),
        expected=np.zeros((n_samples, n_places), dtype=np.int64),
        deviated=np.zeros((n_samples, n_places + 1, 2), dtype=np.int64),
        separator_of=np.full((n_samples, 4), -1, dtype=np.int64),
        last_of=np.full(6, -1, dtype=np.int64),  # of the four kinds of call, of any, and whether regular
        paces=pace_table(),
    )


@njit(cache=True, nogil=True)
def _kind(cell):  # type: ignore[no-untyped-def]
    return np.int64(0) if cell >= 0 else np.int64(-cell)


@njit(cache=True, nogil=True)
def _share(count, seen):  # type: ignore[no-untyped-def]
    """How many of those seen, as one of four levels."""
    if count == 0:
        return 0
    return 1 if count * 16 < seen else 2 if count * 4 < seen else 3


@njit(cache=True, nogil=True)
def _code_kinds(cells, sides, coder, data):  # type: ignore[no-untyped-def]
    """Write the kind of each place of a site (n_samples, n_places), or read them as 0, -1 or -2."""
    n_samples, n_places = cells.shape
    same = np.int64(1)
    for i in range(n_samples):
        for j in range(n_places):
            same &= _kind(cells[i, j]) == sides.expected[i, j]
    last = sides.last_of[5] & 1
    same = code_adaptive(same, sides.regular[0, last], sides.paces, coder, data)
    sides.last_of[5] = same
    count = seen = np.int64(0)
    for i in range(n_samples):
        before, kind_before = np.int64(2), np.int64(3)
        for j in range(n_places):
            expected, kind = sides.expected[i, j], _kind(cells[i, j])
            if same:
                kind = expected
            else:
                history = sides.deviated[i, j]
                often = min(history[1], 3)
                chance = sides.kinds[expected, history[0], often, before, _share(count, seen)]
                before = code_adaptive(np.int64(kind != expected), chance, sides.paces, coder, data)
                low, high = (0 if expected else 1), (1 if expected == 2 else 2)
                found = expected
                if before:
                    other = sides.others[expected, min(j, 1), kind_before]
                    is_high = code_adaptive(np.int64(kind == high), other, sides.paces, coder, data)
                    found = high if is_high else low
                kind = np.int64(found)
                history[0] = before
                history[1] += before
                count += before
                seen += 1
            kind_before = kind
            if kind != 1:
                sides.expected[i, j] = kind
            if coder[4]:
                cells[i, j] = -kind


@njit(cache=True, nogil=True)
def _code_alleles(cells, known, n_trained, sides, m, stream):  # type: ignore[no-untyped-def]
    """Write the alleles of the called places of a site, or read them in place of zeros.

    known (n_known,) are the alleles of the panel's rows, or all -1 where it lacks the site.
    """
    coder, data = stream
    n_samples, n_places = cells.shape
    n_known = len(known)
    values = np.empty(n_known + n_samples * n_places, np.int8)
    counted = n_known < n_samples * n_places
    for v in range(1, _MOST_COLUMNS + 1):
        known_ones = n_ones = n_active = np.int64(0)
        for k in range(n_known):
            values[k] = known[k] >= v if known[k] >= v - 1 else 2
            known_ones += values[k] == 1
        for i in range(n_samples):
            for j in range(n_places):
                cell = cells[i, j]
                value = np.int8(cell >= v) if cell >= v - 1 else np.int8(2)
                values[n_known + i * n_places + j] = value
                n_active += value < 2
                n_ones += value == 1
        if n_active == 0:
            return
        if counted:
            n_ones = code_number(n_ones, sides.numbers[min(v, 2) - 1], sides.paces, coder, data)
            n_ones = min(n_ones, n_active)
        else:
            context = min(v, 2) - 1 + (2 if known_ones else 0)
            n_ones = code_adaptive(np.int64(n_ones > 0), sides.some[context], sides.paces, coder, data)
        if n_ones or (known_ones and v == 1):
            exact = counted or n_ones == 0
            sort = v == 1 and (n_known == 0 or known.max() >= 0)
            code_column(values, (n_known, n_trained), n_ones, exact, sort, m, stream)
        if coder[4]:
            for i in range(n_samples):
                for j in range(n_places):
                    if n_ones and values[n_known + i * n_places + j] == 1:
                        cells[i, j] = v
        if n_ones == 0:
            return
    for i in range(n_samples):
        for j in range(n_places):
            if cells[i, j] >= _MOST_COLUMNS:
                rest = np.int64(cells[i, j]) - _MOST_COLUMNS
                rest = code_number(rest, sides.numbers[2], sides.paces, coder, data)
                cells[i, j] = min(_MOST_COLUMNS + rest, 32767)


@njit(cache=True, nogil=True)
def _call_kind(call):  # type: ignore[no-untyped-def]
    """0 haploid, 1 equal alleles, 2 several alleles, 3 with a missing one."""
    if len(call) == 1 or call[1] == ABSENT:
        return 0
    kind = 1
    for cell in call:
        if cell == MISSING:
            return 3
        if cell >= 0 and cell != call[0]:
            kind = 2
    return kind


@njit(cache=True, nogil=True)
def _expected_separator(i, kind, sides):  # type: ignore[no-untyped-def]
    if sides.separator_of[i, kind] >= 0:
        return sides.separator_of[i, kind]
    return sides.last_of[kind] if sides.last_of[kind] >= 0 else max(sides.last_of[4], 0)


@njit(cache=True, nogil=True)
def _code_separators(cells, separators, sides, last, coder, data):  # type: ignore[no-untyped-def]
    """Write the class of separators of each sample (n_samples,), or read them; returns if as expected."""
    n_samples = len(cells)
    same = np.int64(1)
    for i in range(n_samples):
        same &= separators[i] == _expected_separator(i, _call_kind(cells[i]), sides)
    same = code_adaptive(same, sides.regular[1, last], sides.paces, coder, data)
    count = np.int64(0)
    for i in range(n_samples):
        kind, history = _call_kind(cells[i]), sides.deviated[i, -1]
        expected = _expected_separator(i, kind, sides)
        found = expected
        if not same:
            chance = sides.separators[kind, history[0], _share(count, i)]
            other = code_adaptive(np.int64(separators[i] != expected), chance, sides.paces, coder, data)
            history[0] = other
            count += other
            if other:
                found = np.int64(1)
                for digit in range(7, -1, -1):
                    bit = (np.int64(separators[i]) >> digit) & 1
                    bit = code_adaptive(bit, sides.classes[kind, found], sides.paces, coder, data)
                    found = (found << 1) | bit
                found -= 256
            sides.last_of[kind] = found
            sides.last_of[4] = found
        sides.separator_of[i, kind] = found
        if coder[4]:
            separators[i] = found
    return same


@njit(cache=True, nogil=True)
def code_calls(cells, separators, panel, sides, m, stream):  # type: ignore[no-untyped-def]
    """Write the calls of a block, or read them in place.

    cells (n_sites, n_samples, n_places) int16; separators (n_sites, n_samples) uint8 classes; panel:
    its alleles (n_panel_sites, n_known) int16, its site of each (n_sites,) or -1, and how many rows of it are
    learnt from.
    """
    coder, data = stream
    alleles, panel_site, n_trained = panel
    if coder[4]:
        start_reading(coder, data)
    absent = np.full(alleles.shape[1], -1, np.int16)
    last = np.int64(1)
    for site in range(len(cells)):
        _code_kinds(cells[site], sides, coder, data)
        known = alleles[panel_site[site]] if panel_site[site] >= 0 else absent
        _code_alleles(cells[site], known, n_trained, sides, m, stream)
        last = _code_separators(cells[site], separators[site], sides, last, coder, data)
        if coder[5] or (coder[4] and coder[3] > len(data) + 64):
            return
    if not coder[4]:
        finish_writing(coder, data)


@njit(cache=True, nogil=True)
def code_sites(positions, bases, chances, paces, stream):  # type: ignore[no-untyped-def]
    """Write positions (n,) and pairs of bases (n,), 0 ... 15, or 16 for other alleles; or read them in place.

    chances: (2, N_NUMBER, 2) of steps forward and back, then those of the pairs, (64, 2).
    """
    coder, data = stream
    steps, pairs = chances
    if coder[4]:
        start_reading(coder, data)
    position = np.int64(0)
    for site in range(len(positions)):
        step = positions[site] - position
        back = code_adaptive(np.int64(step < 0), pairs[0], paces, coder, data)
        size = code_number(abs(step), steps[back], paces, coder, data)
        position += -size if back else size
        other = code_adaptive(np.int64(bases[site] == 16), pairs[1], paces, coder, data)
        found = np.int64(1)
        if not other:
            for digit in range(3, -1, -1):
                bit = (np.int64(bases[site]) >> digit) & 1
                found = (found << 1) | code_adaptive(bit, pairs[2 + found], paces, coder, data)
        if coder[4]:
            positions[site] = position
            bases[site] = 16 if other else found - 16
    if not coder[4]:
        finish_writing(coder, data)
