"""How many mutations a signature must leave to be found at all, and so what a catalogue allows.

A signature that nobody knows has m - 1 free numbers, and each costs half the logarithm of the samples that
carry it, at least 1 nat. Where it makes up the share h of a sample, beside the mean spectrum q of the
catalogue, its mutations tell at most KL((1 - h) q + h c || q) / h nats each, and say so in every sample anew.
So it must leave

    (m - 1) max(log(n) / 2, 1) h / KL((1 - h) q + h c || q)

mutations at least. Known signatures stand in for those that may be there, with h a quarter. A known signature
has no number to learn: a refit needs far fewer mutations.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import rel_entr

_TOO_MUCH = 0.1  # share of all mutations: if the middle signature needs more, the reason says so
_SHARE = 0.25  # of a sample, of a signature that is to be found
_LEAST = 1e-6


@dataclass(frozen=True)
class Reach:
    """What a catalogue allows; see the module."""

    n_samples: int
    n_mutations: int
    median: float  # mutations of the middle sample
    needed: pd.Series  # mutations that each known signature would have to leave

    @property
    def narrow(self) -> bool:
        """Whether a signature with a tenth of all mutations would be missed, as signatures go."""
        return bool(self.needed.median() > _TOO_MUCH * self.n_mutations)

    def __str__(self) -> str:
        low, middle, high = (float(self.needed.quantile(q)) for q in (0.25, 0.5, 0.75))
        text = (
            f"{self.n_mutations:,} mutations in {self.n_samples:,} samples, {self.median:,.0f} in the middle "
            f"one. A signature that nobody knows must leave at least {_rounded(low)} to {_rounded(high)} "
            "mutations to be found (the middle half of COSMIC's)."
        )
        if not self.narrow:
            return text
        share = min(middle / self.n_mutations, 1.0)
        return (
            f"{text} These are few: one with less than {share:.0%} of all mutations is likely missed. "
            "Known signatures need far fewer."
        )


def reach(counts: pd.DataFrame, known: pd.DataFrame) -> Reach:
    """Say what a catalogue (n, m) allows, with known signatures (l, m) for those that may be there."""
    x = counts[known.columns].to_numpy(dtype=np.float64)
    totals = x.sum(axis=1)
    mean = np.maximum(x.sum(axis=0) / totals.sum(), _LEAST)
    mean = mean / mean.sum()
    mixed = (1.0 - _SHARE) * mean + _SHARE * known.to_numpy(dtype=np.float64)
    told = rel_entr(mixed, mean).sum(axis=1) / _SHARE  # nats a mutation
    n = int((totals > 0).sum())
    price = (x.shape[1] - 1) * max(np.log(max(n, 1)) / 2.0, 1.0)
    needed = pd.Series(price / np.maximum(told, 1e-3), index=known.index)
    return Reach(n, int(totals.sum()), float(np.median(totals[totals > 0])), needed)


def _rounded(number: float) -> str:
    """Two digits are enough."""
    digits = max(int(np.floor(np.log10(max(number, 1.0)))) - 1, 0)
    return f"{round(number, -digits):,.0f}"
