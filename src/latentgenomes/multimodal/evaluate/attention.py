"""What a model of several profiles attends to, averaged over the samples of a type.

Attention says how much of one profile's value enters another's new row. It is not an importance: a row that
is attended to may carry little, and a decoder may ignore it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def mean_attention(
    attention: npt.ArrayLike, labels: Any, profiles: Sequence[str], *, layer: int = 0
) -> pd.DataFrame:
    """Average attention matrices over the samples of each type.

    Parameters
    ----------
    attention : array of shape (n_samples, n_layers, n_profiles, n_profiles)
        Weight of profile j in the new row of profile i, as from ``MutEmbed.attention``: NaN in the rows of a
        profile that a sample does not have.
    labels : sequence of length n_samples
        Type of every sample.
    profiles : sequence of str
        Names of the profiles, in order.
    layer : int
        Which layer, from 0.

    Returns
    -------
    pandas.DataFrame
        One row per type, profile i and profile j: label, n_samples (that have profile i), profile,
        attends_to, weight (mean), sd (over samples). Types in alphabetical order. Weight is NaN where no
        sample of the type has the profile.

    Raises
    ------
    ValueError
        If the shape does not fit labels or profiles, or there is no such layer.
    """
    weights = np.asarray(attention, dtype=np.float64)
    names = pd.Series(np.asarray(labels).ravel()).astype(str).to_numpy()
    k = len(profiles)
    if weights.ndim != 4 or weights.shape[0] != len(names) or weights.shape[2:] != (k, k):
        raise ValueError(
            f"attention must have the shape (samples, layers, profiles, profiles) = ({len(names)}, ..., {k}, "
            f"{k}), but it is {weights.shape}. Pass what MutEmbed.attention returns, and one label a sample."
        )
    if not 0 <= layer < weights.shape[1]:
        raise ValueError(f"layer must lie in 0..{weights.shape[1] - 1}, but it is {layer}. Count from 0.")
    records = []
    for kind in np.unique(names):
        own = weights[names == kind, layer]
        for i, profile in enumerate(profiles):
            rows = own[~np.isnan(own[:, i]).any(axis=1), i]  # (samples that have profile i, profiles)
            means = rows.mean(axis=0) if len(rows) else np.full(k, np.nan)
            spread = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.full(k, np.nan)
            records += [
                {"label": str(kind), "n_samples": len(rows), "profile": profile, "attends_to": other}
                | {"weight": float(means[j]), "sd": float(spread[j])}
                for j, other in enumerate(profiles)
            ]
    return pd.DataFrame.from_records(records)
