r"""Li-Stephens forward recursion in whole numbers, compiled.

A haplotype is a mosaic of the panel's. In setting s it switches to a panel haplotype drawn at random with
probability rho before each SNP, and differs from the one it copies with probability epsilon:

    v_j = (1 - rho) w_j + rho T / N,            T = sum_j w_j
    A_1 = sum of v_j where h_j = 1,             A_0 likewise
    x_s = log2[(1 - eps) A_1 + eps A_0] - log2[(1 - eps) A_0 + eps A_1]
    w_j = v_j if h_j is the call, v_j eps / (1 - eps) if not, v_j if the call is missing

Within a block of SNPs, panel haplotypes that are equal there share one pair of numbers (R, F): the mass that
has stayed since the block began, and the mass that switched in. This is exact, and costs the number of
distinct patterns, not of haplotypes. Beside the settings stand counts: how many panel haplotypes agree with
all calls of this block and of the last b blocks, by their next allele, and how many carry it at all:

    x_b = log2(50 n_1 + 1) - log2(50 n_0 + 1)

All masses and logarithms are whole numbers, and every operation on them is exact, so that two machines cannot
differ.

| symbol | name in code | shape |
|---|---|---|
| $w$ | `weights` | (n_haplotypes, n_panel, n_settings) |
| $R$ | `resident` | (n_haplotypes, n_patterns, n_settings) |
| $F$ | `fresh` | (n_haplotypes, n_patterns, n_settings) |
| $\rho$ | `switch` | (n_settings,) |
| $\epsilon$ | `mismatch` | (n_settings,) |
| $x$ | `inputs` | (n_haplotypes, n_inputs) |

References
----------
Li & Stephens 2003, Genetics 165:2213-2233, appendix A; Howie et al. 2012, Nature Genetics 44:955-959 (equal
haplotypes of a block share their state).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from latentgenomes.genotypes.models.mixing import log2

State = tuple[npt.NDArray[Any], ...]

#: How many whole blocks back a panel haplotype must agree to be counted; 0 is since the block began.
BACK = np.array([0, 1, 2, 4, 8], dtype=np.int64)
EXCLUDED = 255  # streak of a panel haplotype that must not be copied
_MASS = np.uint64(31)  # masses sum to 2**30 ... 2**31


@njit(cache=True)
def group_patterns(panel, max_length):  # type: ignore[no-untyped-def]
    """Cut a panel (n_snps, n_panel) into blocks of at most max_length SNPs, and name the patterns in each.

    A block also ends where a pass over its patterns would cost more than one over the panel. Returns the
    first SNP of each block and n_snps (n_blocks + 1,), the haplotypes' patterns (n_blocks, n_panel), how many
    a block has (n_blocks,), and a haplotype of each (n_blocks, n_most).
    """
    n_snps, n_panel = panel.shape
    starts = [0]
    names = [np.zeros(n_panel, np.uint16)]
    sizes = [1]
    label = np.zeros(2 * min(n_panel, 65535) + 2, np.int64)
    candidate = np.zeros(n_panel, np.uint16)
    for snp in range(n_snps):
        for attempt in range(2):
            size = sizes[-1]
            label[: 2 * size] = -1
            new = 0
            for j in range(n_panel):
                key = 2 * np.int64(names[-1][j]) + panel[snp, j]
                if label[key] < 0:
                    label[key] = new
                    new += 1
                if new > 65535:
                    break
                candidate[j] = label[key]
            length = snp + 1 - starts[-1]
            costly = new * length > max(n_panel, 64) or new > 65535
            if attempt == 0 and length > 1 and (costly or length > max_length):
                starts.append(snp)
                names.append(np.zeros(n_panel, np.uint16))
                sizes.append(1)
                continue
            names[-1][:] = candidate
            sizes[-1] = new
            break
    starts.append(n_snps)
    n_blocks = len(names)
    pattern_of = np.zeros((n_blocks, n_panel), np.uint16)
    n_patterns = np.zeros(n_blocks, np.int64)
    for b in range(n_blocks):
        pattern_of[b] = names[b]
        n_patterns[b] = sizes[b]
    first = np.zeros((n_blocks, n_patterns.max()), np.int64)
    for b in range(n_blocks):
        for j in range(n_panel - 1, -1, -1):
            first[b, pattern_of[b, j]] = j
    return np.array(starts), pattern_of, n_patterns, first


@njit(cache=True)
def begin_block(block, previous, state, pattern_of, n_patterns):  # type: ignore[no-untyped-def]
    """Pass the masses of every panel haplotype on to the patterns of a block, in place; previous is -1 at
    first.
    """
    weights, streak, resident, fresh, start, members, agreeing, alive, portion = state
    n, n_panel, n_settings = weights.shape
    new_size = n_patterns[block]
    old_size = n_patterns[previous]
    ratio = np.zeros((old_size, n_settings), np.uint64)
    share = np.zeros((old_size, n_settings), np.uint64)
    counts = np.zeros((new_size, BACK[-1] + 1), np.int64)
    bits = np.uint64(32)
    for i in range(n):
        if previous >= 0:
            for u in range(old_size):
                for s in range(n_settings):
                    total = start[i, u, s]
                    ratio[u, s] = (resident[i, u, s] << bits) // total if total > 0 else np.uint64(0)
                    n_u = np.uint64(members[i, u])
                    share[u, s] = fresh[i, u, s] // n_u if n_u > 0 else np.uint64(0)
        start[i, :new_size] = 0
        members[i, :new_size] = 0
        counts[:] = 0
        for j in range(n_panel):
            if streak[i, j] == EXCLUDED:
                continue
            new = pattern_of[block, j]
            if previous >= 0:
                old = pattern_of[previous, j]
                streak[i, j] = min(streak[i, j] + 1, BACK[-1]) if alive[i, old] else 0
                for s in range(n_settings):
                    mass = ((np.uint64(weights[i, j, s]) * ratio[old, s]) >> bits) + share[old, s]
                    weights[i, j, s] = mass
            members[i, new] += 1
            counts[new, streak[i, j]] += 1
            for s in range(n_settings):
                start[i, new, s] += np.uint64(weights[i, j, s])
        n_copied = np.uint64(members[i, :new_size].sum())
        for u in range(new_size):
            alive[i, u] = 1
            portion[i, u] = (np.uint64(members[i, u]) << bits) // n_copied
            for s in range(n_settings):
                resident[i, u, s] = start[i, u, s]
                fresh[i, u, s] = 0
            for k in range(len(BACK)):
                agreeing[i, u, k] = counts[u, BACK[k] :].sum()


@njit(cache=True)
def predict(alleles, state, switch, mismatch, logarithms, inputs):  # type: ignore[no-untyped-def]
    """Switch (in place), then write the evidence for allele 1 at the next SNP, in units of 2**-16 bits.

    alleles are those of the patterns (n_patterns,); rho and epsilon (n_settings,) have units of 2**-32.
    """
    resident, fresh, members = state[2], state[3], state[5]
    agreeing, alive, portion = state[6], state[7], state[8]
    n, n_settings, size = len(inputs), len(switch), len(alleles)
    n_back = len(BACK)
    bits = np.uint64(32)
    mass = np.zeros((2, n_settings), np.uint64)
    count = np.zeros((2, n_back + 1), np.int64)
    inflow = np.zeros(n_settings, np.uint64)
    for i in range(n):
        mass[:] = 0
        count[:] = 0
        for u in range(size):
            for s in range(n_settings):
                mass[0, s] += resident[i, u, s] + fresh[i, u, s]
        for s in range(n_settings):
            inflow[s] = (mass[0, s] * switch[s]) >> bits
            mass[0, s] = 0
        for u in range(size):
            a = alleles[u]
            for s in range(n_settings):
                kept, new = resident[i, u, s], fresh[i, u, s]
                kept -= (kept * switch[s]) >> bits
                new = new - ((new * switch[s]) >> bits) + ((inflow[s] * portion[i, u]) >> bits)
                resident[i, u, s] = kept
                fresh[i, u, s] = new
                mass[a, s] += kept + new
            count[a, n_back] += members[i, u]
            if alive[i, u]:
                for k in range(n_back):
                    count[a, k] += agreeing[i, u, k]
        for s in range(n_settings):
            err = mismatch[s] >> np.uint64(4)  # to units of 2**-28: a mass times it stays below 2**62
            right = (np.uint64(1) << np.uint64(28)) - err
            one = np.int64(mass[1, s] * right + mass[0, s] * err)
            zero = np.int64(mass[0, s] * right + mass[1, s] * err)
            inputs[i, s] = log2(one, logarithms) - log2(zero, logarithms)
        for k in range(n_back + 1):
            one_seen, zero_seen = 50 * count[1, k] + 1, 50 * count[0, k] + 1
            inputs[i, n_settings + k] = log2(one_seen, logarithms) - log2(zero_seen, logarithms)


@njit(cache=True)
def observe(calls, alleles, state, odds):  # type: ignore[no-untyped-def]
    """Weigh the patterns by the calls that were made (n_haplotypes,), in place; odds in units of 2**-32."""
    resident, fresh, alive = state[2], state[3], state[7]
    size, n_settings = len(alleles), len(odds)
    bits = np.uint64(32)
    total = np.zeros(n_settings, np.uint64)
    for i in range(len(calls)):
        total[:] = 0
        for u in range(size):
            if calls[i] >= 0 and alleles[u] != calls[i]:
                alive[i, u] = 0
                for s in range(n_settings):
                    resident[i, u, s] = (resident[i, u, s] * odds[s]) >> bits
                    fresh[i, u, s] = (fresh[i, u, s] * odds[s]) >> bits
            for s in range(n_settings):
                total[s] += resident[i, u, s] + fresh[i, u, s]
        for s in range(n_settings):
            up = np.uint64(0)
            while (total[s] << up) >> (_MASS - np.uint64(1)) == 0:
                up += np.uint64(1)
            down = np.uint64(1) if total[s] >> _MASS else np.uint64(0)
            if up == down:  # both 0
                continue
            for u in range(size):
                resident[i, u, s] = (resident[i, u, s] << up) >> down
                fresh[i, u, s] = (fresh[i, u, s] << up) >> down


def new_state(n_haplotypes: int, n_settings: int, n_most: int, excluded: npt.NDArray[np.bool_]) -> State:
    """State of haplotypes of which nothing is known yet, for blocks of at most n_most patterns.

    excluded (n_haplotypes, n_panel) are panel haplotypes that each must not copy, such as itself.
    """
    n, size = n_haplotypes, n_most
    n_copied = (~excluded).sum(axis=1)[:, None]
    weights = np.where(excluded, 0, (1 << 30) // n_copied)
    return (
        np.repeat(weights[:, :, None], n_settings, axis=2).astype(np.uint32),
        np.where(excluded, EXCLUDED, 0).astype(np.uint8),
        np.zeros((n, size, n_settings), np.uint64),
        np.zeros((n, size, n_settings), np.uint64),
        np.zeros((n, size, n_settings), np.uint64),
        np.zeros((n, size), np.int64),
        np.zeros((n, size, len(BACK)), np.int64),
        np.zeros((n, size), np.uint8),
        np.zeros((n, size), np.uint64),
    )
