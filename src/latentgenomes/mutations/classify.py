"""Channels of calls by the sequence around them: SBS96 and DBS78 in bulk, ID83 one by one.

SBS96 and DBS78 are named on the strand on which the reference is a pyrimidine, or has its name in the
catalogue. An insertion or deletion is first moved as far to the left as the sequence allows, so that its
channel does not depend on where in a repeat a caller put it. Then the bases behind it are read: the number of
whole copies of what was inserted or deleted, and where there is none behind a deletion of two or more bases,
the number of its first bases that are repeated there (microhomology).

References
----------
Alexandrov et al. 2020, Nature 578:94-101; Bergstrom et al. 2019, BMC Genomics 20:685
(SigProfilerMatrixGenerator).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from latentgenomes.mutations.channels import BASES, DBS78, ID83, SBS96, reverse_complement

Ints = npt.NDArray[np.int64]

_MOST = 5  # the last class of sizes, repeats and microhomologies is open
_CLUSTER = 5  # bases; three substitutions this close are no doublet
_ID_NUMBER = {channel: number for number, channel in enumerate(ID83)}


@lru_cache
def sbs_table() -> Ints:
    """Number of the SBS96 channel by 5' base, reference, alternative and 3' base; -1 where there is none."""
    table = np.full((4, 4, 4, 4), -1, dtype=np.int64)
    numbers = {channel: number for number, channel in enumerate(SBS96)}
    for five, ref, alt, three in product(range(4), repeat=4):
        triplet = BASES[five] + BASES[ref] + BASES[three]
        change = BASES[alt]
        if BASES[ref] not in "CT":
            triplet, change = reverse_complement(triplet), reverse_complement(change)
        label = f"{triplet[0]}[{triplet[1]}>{change}]{triplet[2]}"
        table[five, ref, alt, three] = numbers.get(label, -1)
    return table


@lru_cache
def dbs_table() -> Ints:
    """Number of the DBS78 channel by both reference and both alternative bases; -1 where there is none."""
    table = np.full((4, 4, 4, 4), -1, dtype=np.int64)
    numbers = {channel: number for number, channel in enumerate(DBS78)}
    for codes in product(range(4), repeat=4):
        first, second, *alts = (BASES[code] for code in codes)
        ref, alt = first + second, "".join(alts)
        label, other = f"{ref}>{alt}", f"{reverse_complement(ref)}>{reverse_complement(alt)}"
        table[codes] = numbers.get(label, numbers.get(other, -1))
    return table


def doublets(sample: Ints, position: Ints) -> tuple[npt.NDArray[np.bool_], int]:
    """Which substitutions form a doublet with the next one.

    Two adjacent substitutions of a sample are a doublet unless a third one stands at most five bases from one
    of them, which is how SigProfilerMatrixGenerator reads them.

    Parameters
    ----------
    sample, position : arrays of shape (n_calls,)
        Sorted by sample, then by position.

    Returns
    -------
    array of bool of shape (n_calls,)
        True at the first substitution of a doublet.
    int
        Number of adjacent pairs that are none.
    """
    gap = np.diff(position)
    near = (np.diff(sample) == 0) & (gap >= 1) & (gap <= _CLUSTER)
    padded = np.concatenate([[False], near, [False]])
    alone = ~padded[:-2] & ~padded[2:]
    adjacent = near & (gap == 1)
    first = np.concatenate([adjacent & alone, np.zeros(min(1, len(position)), dtype=bool)])
    return first, int((adjacent & ~alone).sum())


@dataclass(frozen=True)
class Indel:
    """An insertion or deletion, as far to the left as it goes: where (0-based), what, and its channel."""

    start: int
    bases: bytes
    channel: int


def place_indel(sequence: bytes, start: int, bases: bytes, *, inserted: bool) -> Indel:
    """Move an insertion or deletion to the left and name its channel.

    Parameters
    ----------
    sequence : bytes
        The chromosome, in upper case.
    start : int
        0-based position of the first deleted base, or of the base behind the insertion.
    bases : bytes
        What was deleted or inserted, one base or more.
    inserted : bool
        Whether it was inserted.

    Returns
    -------
    Indel
        With the number of its channel in ID83.
    """
    size, shift = len(bases), 0
    # One step to the left turns the bases round by one; step s compares with the one that is then the last.
    while shift < start and sequence[start - shift - 1] == bases[(size - 1 - shift) % size]:
        shift += 1
    start, turn = start - shift, -shift % size
    bases = bases[turn:] + bases[:turn]
    behind = start if inserted else start + size
    copies = 0
    while copies < _MOST and sequence[behind : behind + size] == bases:
        copies, behind = copies + 1, behind + size
    kind = "Ins" if inserted else "Del"
    if size == 1:
        motif, number = ("C" if bases in (b"C", b"G") else "T"), copies
    else:
        homology = _shared(bases, sequence[behind : behind + size]) if not inserted and not copies else 0
        motif, number = ("M", min(homology, _MOST)) if homology else ("R", copies)
    return Indel(start, bases, _ID_NUMBER[f"{min(size, _MOST)}:{kind}:{motif}:{number}"])


def _shared(one: bytes, other: bytes) -> int:
    """Number of bases that two sequences share at their start."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
