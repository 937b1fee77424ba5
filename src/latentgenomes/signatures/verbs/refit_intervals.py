"""Intervals for the exposures of a refit: known signatures, all that may be there at once, scattered counts.

The exposures of a sample are estimated together, and those of signatures that look alike trade with one
another. So the variance of each is taken from all at once, those that the sample holds and those that it may
hold. The estimate takes counts for Poisson; where they scatter, with variance r + phi r^2 at a rate r, its
variance is the sandwich

    J^-1 M J^-1,   J = sum over channels of s s^T / r,   M = sum over channels of s s^T (r + phi r^2) / r^2.

phi is that of the whole catalogue. A signature that is not called has an estimate of 0; its interval says how
much could be there unseen.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from latentgenomes.signatures.models.negative_binomial import _scatters, fit_dispersion
from latentgenomes.signatures.models.refitting import SparseExposures

Array = npt.NDArray[np.float64]

_MAY_BE = 0.02  # probability from which a signature that is not called takes part in the others' variance
_TINY = 1e-6


def refit_intervals(
    counts: pd.DataFrame, signatures: pd.DataFrame, found: SparseExposures, *, level: float = 0.9
) -> pd.DataFrame:
    """Intervals of all exposures of a refit, in mutations.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Mutations, as they were refitted.
    signatures : DataFrame of shape (n_signatures, n_channels)
        The known signatures on offer; rows sum to 1.
    found : SparseExposures
        What `latentgenomes.signatures.refit` gave.
    level : float in (0, 1)
        Nominal coverage, where the signatures on offer are right.

    Returns
    -------
    DataFrame
        One row per sample and signature: sample, signature, exposure, lower, upper.

    Raises
    ------
    ValueError
        If `level` is outside (0, 1).

    References
    ----------
    White 1982, Econometrica 50:1 (the sandwich).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie in (0, 1), but {level!r} came. Use 0.9 for 90% intervals.")
    x = counts.to_numpy(dtype=np.float64)
    s = signatures[counts.columns].loc[found.exposures.columns].to_numpy(dtype=np.float64)
    exposures = found.exposures.loc[counts.index].to_numpy()
    in_play = (exposures > 0) | (found.probabilities.loc[counts.index].to_numpy() > _MAY_BE)
    filled = x.sum(axis=1) > 0
    rates = np.maximum(exposures @ s, _TINY)
    scatters = _scatters(x[filled], rates[filled])
    phi = fit_dispersion(x[filled], rates[filled]) if scatters else 0.0
    lower, upper = np.zeros_like(exposures), np.zeros_like(exposures)
    for n in np.flatnonzero(filled):
        centre, error = _one(x[n], s, exposures[n], in_play[n], phi)
        half = stats.norm.ppf((1.0 + level) / 2.0) * error
        lower[n] = np.where(exposures[n] > 0, np.maximum(exposures[n] - half, 0.0), 0.0)
        upper[n] = centre + half
    tidy = found.exposures.loc[counts.index].rename_axis("sample").reset_index()
    tidy = tidy.melt("sample", var_name="signature", value_name="exposure")
    return tidy.assign(lower=lower.T.ravel(), upper=upper.T.ravel())


def _one(
    counts: Array, s: Array, exposures: Array, in_play: npt.NDArray[np.bool_], phi: float
) -> tuple[Array, Array]:
    """Where the interval of each exposure of one sample is centred, and its standard error, both (k,)."""
    rates = np.maximum(exposures @ s, _TINY)
    information = (s / rates) @ s.T  # J, (k, k)
    spread = information + phi * s @ s.T  # M
    members = np.flatnonzero(in_play)
    own = information[np.ix_(members, members)]
    inverse = np.linalg.inv(own + np.diag(1e-9 * np.diag(own) + 1e-12))
    variance = np.zeros(len(s))
    variance[members] = np.diag(inverse @ spread[np.ix_(members, members)] @ inverse)
    # Another signature, if it joins: what it has apart from the members, s_k less its share of theirs.
    shares = information[:, members] @ inverse  # (k, members)
    left = np.maximum(
        np.diag(information) - (shares * information[:, members]).sum(1), 1e-3 * np.diag(information)
    )
    rest = s - shares @ s[members]
    alone = (rest**2 * (1.0 / rates + phi)).sum(1) / left**2
    variance = np.where(in_play, variance, alone)
    score = (s / rates) @ (counts - rates)
    step = score / left  # of one that is absent, from 0
    step[members] = inverse @ score[members]
    return np.where(exposures > 0, exposures, np.maximum(step, 0.0)), np.sqrt(variance)
