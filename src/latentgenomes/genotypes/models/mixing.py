"""Logistic mixing of evidence in whole numbers, compiled.

Every input x_i is evidence for allele 1 in bits: the logarithm of the odds that one predictor gives. Their
weighted sum is the evidence of the mixture,

    P(1) = 1 / (1 + 2^-z),                      z = sum_i a_ti x_i

with one row of weights a_t for each place t in a block. Training walks down the gradient of the code length,
haplotype by haplotype. Logarithms, probabilities and weights are whole numbers, and every operation on them
is exact, so that two machines cannot differ.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `inputs` | (n_haplotypes, n_inputs) |
| $a$ | `mixing` | (n_places, n_inputs) |
| $P(1)$ | `ones` | (n_haplotypes,) |

References
----------
Mahoney 2005, Adaptive weighing of context models for lossless data compression, Florida Tech CS-2005-16.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

N_PLACES = 16  # places in a block with weights of their own; later ones share the last
_TABLE_BITS = 12


@lru_cache(maxsize=1)
def tables() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Tables (4096,) of log2(1 + i / 4096) in units of 2**-16, and of 2**(-i / 4096) in units of 2**-32.

    Computed with whole numbers only: the mathematics library of a machine takes no part.
    """
    size, fraction = 1 << _TABLE_BITS, 96
    logarithms = np.zeros(size, dtype=np.int64)
    for i in range(size):
        mantissa, bits = (size + i) << (fraction - _TABLE_BITS), 0
        for _ in range(16):  # squaring doubles the logarithm; its next bit is whether 2 was passed
            mantissa = (mantissa * mantissa) >> fraction
            bits *= 2
            if mantissa >> (fraction + 1):
                mantissa >>= 1
                bits += 1
        logarithms[i] = bits
    root, roots = 1 << (fraction - 1), []
    for _ in range(_TABLE_BITS):  # 2**(-1/2), 2**(-1/4), ...
        root = _square_root(root << fraction)
        roots.append(root)
    powers = np.zeros(size, dtype=np.uint64)
    for i in range(size):
        value = 1 << fraction
        for place, root in enumerate(roots):
            if i >> (_TABLE_BITS - 1 - place) & 1:
                value = (value * root) >> fraction
        powers[i] = min(value >> (fraction - 32), (1 << 32) - 1)
    return logarithms, powers


def _square_root(number: int) -> int:
    """Largest whole number whose square is not above a number (Newton)."""
    guess = 1 << ((number.bit_length() + 1) // 2)
    while True:
        better = (guess + number // guess) // 2
        if better >= guess:
            return guess
        guess = better


@njit(cache=True)
def log2(value, logarithms):  # type: ignore[no-untyped-def]
    """log2 of a whole number in 1 ... 2**62, in units of 2**-16."""
    top = 0
    rest = value
    for step in (32, 16, 8, 4, 2, 1):
        if rest >> step:
            rest >>= step
            top += step
    shifted = value >> (top - 12) if top >= 12 else value << (12 - top)
    return (np.int64(top) << 16) + logarithms[shifted & 4095]


@njit(cache=True)
def squash(z, powers):  # type: ignore[no-untyped-def]
    """1 / (1 + 2^-z) in shares of 2**24, for z in units of 2**-16; between 2**8 and 2**24 - 2**8."""
    size = min(abs(z), np.int64(20) << 16)
    power = np.int64(powers[(size & 65535) >> 4]) >> (size >> 16)
    small = max((power << 24) // ((np.int64(1) << 32) + power), 256)
    return (np.int64(1) << 24) - small if z > 0 else small


@njit(cache=True)
def mix(inputs, mixing, powers, ones):  # type: ignore[no-untyped-def]
    """Fill in the probability of allele 1 (n,), in shares of 2**24; inputs in units of 2**-16 bits, mixing of
    2**-32.
    """
    for i in range(len(inputs)):
        z = np.int64(0)
        for k in range(len(mixing)):
            z += (mixing[k] >> 16) * inputs[i, k]
        ones[i] = squash(z >> 16, powers)


@njit(cache=True)
def train_mixing(inputs, calls, places, powers, rates):  # type: ignore[no-untyped-def]
    """Weights (N_PLACES, n_inputs), units of 2**-32, by stochastic gradient descent on the code length.

    Inputs have units of 2**-16 bits; places (n_snps,) name the row of weights of every SNP; each pass over
    the haplotypes has a rate, in units of 2**-16.
    """
    n, n_snps, n_inputs = inputs.shape
    mixing = np.full((N_PLACES, n_inputs), (np.int64(1) << 32) // n_inputs)
    for rate in rates:
        for i in range(n):
            for snp in range(n_snps):
                row = mixing[places[snp]]
                z = np.int64(0)
                for k in range(n_inputs):
                    z += (row[k] >> 16) * np.int64(inputs[i, snp, k])
                error = (np.int64(calls[i, snp]) << 24) - squash(z >> 16, powers)
                for k in range(n_inputs):
                    row[k] += (error * np.int64(inputs[i, snp, k]) * rate) >> 24
    return mixing
