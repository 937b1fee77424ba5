"""GT as text, and as numbers: read and written in compiled code.

A call is one or more alleles, numbers or dots, with a slash or a bar between them, and perhaps one before the
first (VCF 4.4). `cells` and separators are those of `latentgenomes.genotypes.models.blocks.CallBlock`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

MOST_PLACES = 16
TOO_MANY_PLACES, NO_ALLELE, TOO_LARGE, TOO_FEW, TOO_MANY, NO_SEPARATOR = 1, 2, 3, 4, 5, 6
_TAB, _LINE, _COLON, _SLASH, _BAR, _DOT, _ZERO = (np.uint8(ord(c)) for c in "\t\n:/|.0")


@njit(cache=True, nogil=True)
def read_calls(text, cells, separators):  # type: ignore[no-untyped-def]
    """Fill in cells (n_sites, n_samples, n_places) and separators from lines of calls, a line a site.

    Of each sample the text up to a colon is read. Returns 0 or what is wrong, the site and the sample.
    """
    n_sites, n_samples, n_places = cells.shape
    at = 0
    for site in range(n_sites):
        for sample in range(n_samples):
            place, word, number, digits = 0, np.int64(0), np.int64(0), 0
            if text[at] == _SLASH or text[at] == _BAR:
                word |= np.int64(1 if text[at] == _SLASH else 2) << 16
                at += 1
            missing = False
            while True:
                c = text[at]
                if _ZERO <= c <= _ZERO + 9:
                    if missing:
                        return NO_SEPARATOR, site, sample
                    number = number * 10 + (c - _ZERO)
                    digits += 1
                    if number > 32767:
                        return TOO_LARGE, site, sample
                elif c == _DOT and digits == 0 and not missing:
                    missing = True
                else:
                    if digits == 0 and not missing:
                        return NO_ALLELE, site, sample
                    if place >= n_places:
                        return TOO_MANY_PLACES, site, sample
                    cells[site, sample, place] = -1 if missing else number
                    missing, number, digits = False, np.int64(0), 0
                    if c == _BAR:
                        word |= np.int64(1) << place
                    elif c != _SLASH:
                        break
                    place += 1
                at += 1
            cells[site, sample, place + 1 :] = -2
            separators[site, sample] = word
            if c != _TAB and c != _LINE and c != _COLON:
                return NO_SEPARATOR, site, sample
            while text[at] != _TAB and text[at] != _LINE:
                at += 1
            if (text[at] == _LINE) != (sample == n_samples - 1):
                return (TOO_FEW if text[at] == _LINE else TOO_MANY), site, sample
            at += 1
    return 0, 0, 0


@njit(cache=True, nogil=True)
def _write_calls(cells, separators, text):  # type: ignore[no-untyped-def]
    n_sites, n_samples, n_places = cells.shape
    digits = np.zeros(8, np.uint8)
    at = 0
    for site in range(n_sites):
        for sample in range(n_samples):
            word = np.int64(separators[site, sample])
            if word >> 16:
                text[at] = _SLASH if word >> 16 == 1 else _BAR
                at += 1
            for place in range(n_places):
                cell = np.int64(cells[site, sample, place])
                if cell == -2 and place:
                    break
                if place:
                    text[at] = _BAR if (word >> (place - 1)) & 1 else _SLASH
                    at += 1
                if cell < 0:
                    text[at] = _DOT
                    at += 1
                    continue
                n = 0
                while True:
                    digits[n] = _ZERO + cell % 10
                    n += 1
                    cell //= 10
                    if cell == 0:
                        break
                for k in range(n):
                    text[at] = digits[n - 1 - k]
                    at += 1
            text[at] = _TAB
            at += 1
        text[at - 1 if n_samples else at] = _LINE
        if n_samples == 0:
            at += 1
    return at


def call_lines(cells: npt.NDArray[Any], separators: npt.NDArray[Any]) -> list[bytes]:
    """Calls of each site as text, samples apart by tabs; a call without a place is a dot."""
    n_sites, n_samples, n_places = cells.shape
    widest = len(str(max(int(cells.max(initial=0)), 0)))
    text = np.empty(n_sites * (n_samples * (n_places * (widest + 1) + 2) + 1), dtype=np.uint8)
    size = _write_calls(cells, separators, text)
    return text[:size].tobytes().split(b"\n")[:-1]
