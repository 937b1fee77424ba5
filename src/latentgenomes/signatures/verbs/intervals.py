"""Intervals for exposures that carry the error of the whole extraction.

Most of the error of an exposure comes from the signatures, which were estimated too: an interval that holds
them fixed is far too narrow. Here the extraction is repeated on catalogues whose truth is known because we
draw them, around the fitted ``e S`` with the model's scatter. The distance of the second estimate from the
first, in units of the noise of a sum of counts as large as the exposure, is what the method gets wrong; its
quantiles, signature by signature and apart for exposures called absent, are laid around the first estimate.
"""

import numpy as np
import pandas as pd
from sklearn.base import clone

from latentgenomes.signatures.evaluate import match_signatures
from latentgenomes.signatures.models.extractor import SignatureExtractor

_FEWEST = 20  # errors that a quantile is taken from; with fewer, present and absent are pooled


def exposure_intervals(
    model: SignatureExtractor,
    exposures: pd.DataFrame,
    *,
    level: float = 0.9,
    n_repeats: int = 2,
    random_state: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lower and upper ends, (n, k) mutations, by repeating the extraction on catalogues drawn from its
    result. The repeats start from the estimate, not from the truth: where the extraction missed a signature,
    no repeat can know. Where signatures are hard, coverage is better than with fixed ones, and still below
    `level`. Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, but {level} came. Give one such as 0.9.")
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1, but {n_repeats} came.")
    signatures = model.signatures_
    again = [_repeat(model, exposures, signatures, [random_state, r]) for r in range(n_repeats)]
    estimates = np.concatenate([frame.to_numpy() for frame in again])  # (repeats * n, k)
    drawn = np.tile(exposures.to_numpy(), (n_repeats, 1))
    given = exposures.to_numpy()
    scatter = getattr(model, "dispersion_", 0.0) * (signatures.to_numpy() ** 2).sum(1)  # per squared exposure
    errors = (drawn - estimates) / np.sqrt(estimates + 1.0 + scatter * estimates**2)
    scale = np.sqrt(given + 1.0 + scatter * given**2)
    lower, upper = given.copy(), given.copy()
    tails = [(1 - level) / 2, (1 + level) / 2]
    for k in range(given.shape[1]):
        for present in (False, True):
            rows, alike = (given[:, k] > 0) == present, (estimates[:, k] > 0) == present
            pool = errors[alike, k] if alike.sum() >= _FEWEST else errors[:, k]
            below, above = np.quantile(pool, tails)
            lower[rows, k] += min(below, 0.0) * scale[rows, k]
            upper[rows, k] += max(above, 0.0) * scale[rows, k]
    labels = exposures.index, exposures.columns
    return pd.DataFrame(np.maximum(lower, 0.0), *labels), pd.DataFrame(upper, *labels)


def _repeat(
    model: SignatureExtractor, exposures: pd.DataFrame, signatures: pd.DataFrame, seed: list[int]
) -> pd.DataFrame:
    """Draw a catalogue around the estimate, extract again, and line the signatures up, (n, k)."""
    rng = np.random.default_rng(seed)
    rates, dispersion = exposures.to_numpy() @ signatures.to_numpy(), getattr(model, "dispersion_", 0.0)
    if dispersion > 0:
        rates = rates * rng.gamma(1.0 / dispersion, dispersion, rates.shape)
    counts = pd.DataFrame(
        rng.poisson(rates).astype(np.float64),
        index=exposures.index,
        columns=signatures.columns,
    )
    known = model.get_params()
    settings = {"n_signatures": len(signatures), "random_state": int(rng.integers(2**31))}
    settings |= {"eliminate": False} if "eliminate" in known else {}
    fitted = clone(model).set_params(**settings).fit(counts)
    found = pd.DataFrame(fitted.training_exposures_, index=counts.index, columns=fitted.signatures_.index)
    pairs = match_signatures(fitted.signatures_, signatures)
    return found[pairs["signature"]].set_axis(list(pairs["reference"]), axis=1)[list(exposures.columns)]
