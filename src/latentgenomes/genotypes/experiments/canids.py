"""Dogs and wolves by an autoencoder's latent variables, beside principal components of the same width.

The autoencoder reads calls of 0 and 1. Genotypes without phase are given as two calls for each SNP, "at
least one copy" and "two copies"; principal components get the same table. SNPs are thinned evenly along the
genome.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latentgenomes.genotypes.data.calls import Calls, GenotypeData, HaplotypeData
from latentgenomes.genotypes.evaluate.geography import place_scores
from latentgenomes.genotypes.experiments import diversity
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE

#: Settings of the network for a hundred animals: one hidden layer, a light prior, no dropout.
FEW_ANIMALS: Mapping[str, Any] = {"hidden": (128,), "beta": 0.2, "input_dropout": 0.0, "n_components": 1}


def thinned(n_snps: int, n_kept: int) -> npt.NDArray[np.int64]:
    """Positions of SNPs spread evenly over a table.

    Parameters
    ----------
    n_snps, n_kept : int
        SNPs of the table, and those to keep; all where there are fewer.

    Returns
    -------
    ndarray of int64
        Increasing.
    """
    return np.unique(np.linspace(0, n_snps - 1, min(n_kept, n_snps)).round().astype(np.int64))


def two_calls(calls: Calls) -> Calls:
    """Genotypes without phase as calls of 0 and 1: at least one copy, then two copies, of every SNP.

    Parameters
    ----------
    calls : ndarray of int8, shape (n_samples, n_snps)
        0, 1, 2, and -1 for missing.

    Returns
    -------
    ndarray of int8, shape (n_samples, 2 n_snps)
        0, 1, and -1 where a call is missing.
    """
    missing = calls < 0
    one, two = (np.where(missing, -1, calls >= least) for least in (1, 2))
    return np.hstack([one, two]).astype(np.int8)


def encoders(n_latent: int, *, max_epochs: int, random_state: int = 0) -> dict[str, Any]:
    """Makers of principal components and of an autoencoder of one width.

    Parameters
    ----------
    n_latent, max_epochs, random_state : int
        Width of both, and length and seed of the training.

    Returns
    -------
    dict of str to callable
    """
    settings = {**FEW_ANIMALS, "n_latent": n_latent, "max_epochs": max_epochs}
    return {
        "principal components": lambda: PCA(n_latent, random_state=random_state),
        "HaplotypeVAE": lambda: HaplotypeVAE(**settings, random_state=random_state),
    }


def classify_canids(
    data: HaplotypeData, *, n_latent: int = 8, n_snps: int = 1500, max_epochs: int = 50, random_state: int = 0
) -> pd.DataFrame:
    """Populations told from codes of the haplotypes; see `diversity.classify_populations`.

    Parameters
    ----------
    data : HaplotypeData
        `metadata` has ``person`` and ``population``.
    n_latent, n_snps, max_epochs, random_state : int
        Width of the codes, SNPs kept, length and seed of the training.

    Returns
    -------
    DataFrame
        method, fold, balanced_accuracy.
    """
    kept = thinned(data.calls.shape[1], n_snps)
    few = replace(data, calls=data.calls[:, kept], snps=data.snps.iloc[kept])
    made = encoders(n_latent, max_epochs=max_epochs, random_state=random_state)
    return diversity.classify_populations(few, made, random_state=random_state)


def _codes(encoder: BaseEstimator, known: Calls, new: Calls) -> tuple[npt.NDArray[np.float64], ...]:
    """Codes of both tables by an encoder that saw the first; PCA gets means in place of missing calls."""
    if isinstance(encoder, PCA):
        seen = np.where(known < 0, np.nan, known)
        means = np.nan_to_num(np.nanmean(seen, axis=0))
        known, new = (np.where(calls < 0, means, calls) for calls in (known, new))
    encoder.fit(known)
    return encoder.transform(known), encoder.transform(new)


def locate_by_codes(
    data: GenotypeData,
    *,
    block_degrees: float = 0.0,
    n_latent: int = 10,
    n_snps: int = 1500,
    max_epochs: int = 200,
    random_state: int = 0,
) -> pd.DataFrame:
    """Longitude and latitude told from codes of the animals, by ridge regression.

    Parameters
    ----------
    data : GenotypeData
        `metadata` has ``longitude`` and ``latitude``.
    block_degrees : float
        As in `latentgenomes.genotypes.experiments.diversity.locate_samples`.
    n_latent, n_snps, max_epochs, random_state : int
        Width of the codes, SNPs kept, length of the training, seed of folds and training.

    Returns
    -------
    DataFrame
        block_degrees, method, n_latent, r2_longitude, r2_latitude, median_km; all of held-out animals, 5
        folds.
    """
    places = data.metadata[["longitude", "latitude"]].to_numpy(dtype=np.float64)
    blocks = np.floor(places / block_degrees) if block_degrees else places
    _, groups = np.unique(blocks, axis=0, return_inverse=True)
    groups = np.random.default_rng(random_state).permutation(groups.max() + 1)[groups.ravel()]
    calls = two_calls(data.calls[:, thinned(data.calls.shape[1], n_snps)])
    rows = []
    for method, make in encoders(n_latent, max_epochs=max_epochs, random_state=random_state).items():
        guesses = np.empty_like(places)
        for train, test in GroupKFold(5).split(calls, groups=groups):
            known, new = _codes(make(), calls[train], calls[test])
            model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
            guesses[test] = model.fit(known, places[train]).predict(new)
        row = {"block_degrees": block_degrees, "method": method, "n_latent": n_latent}
        rows.append(row | place_scores(places, guesses))
    return pd.DataFrame(rows)
