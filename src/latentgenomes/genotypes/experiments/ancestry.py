"""Ancestry from latent variables, principal components, raw calls, and models of single populations.

One cell is a data set, a method and a fold. A finished cell is kept as a file, so a killed run goes on.

Genotypes without phase have 0, 1 or 2 copies. The autoencoder reads two calls for each SNP, "at least one
copy" and "two copies"; principal components and the regression on raw calls see the copies.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import replacing
from latentgenomes.genotypes.data.calls import Calls
from latentgenomes.genotypes.data.public import load_805, load_hgdp, load_lct, load_tgp
from latentgenomes.genotypes.evaluate.ancestry import ancestry_folds, score_representation
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.population_vaes import PopulationVAEs

DATASETS = ("805", "lct", "tgp", "hgdp")
METHODS = ("pca10", "pca16", "pca30", "raw", "vae16", "models_bound", "models_error")
LEVELS = ("region", "population")
_N_FOLDS = 5
#: A weight of the KL term below 1 keeps more latent variables in use.
VAE: dict[str, Any] = {"n_latent": 16, "hidden": (128,), "beta": 0.3, "max_epochs": 25, "n_components": 1}
#: Few people and many SNPs: more calls are hidden, smaller batches. Chosen on the first fold of TGP.
UNPHASED_VAE = VAE | {"beta": 0.2, "input_dropout": 0.6, "batch_size": 32, "max_epochs": 40}
POPULATION_VAE: dict[str, Any] = {
    "n_latent": 4,
    "hidden": (64,),
    "max_epochs": 15,
    "batch_size": 32,
    "n_components": 1,
}


@dataclass(frozen=True)
class Ancestry:
    """One data set: calls of 0 and 1, or 0, 1 and 2 without phase; labels have person, population, region."""

    calls: Calls
    labels: pd.DataFrame
    phased: bool

    def binary(self) -> Calls:
        """Calls of 0 and 1 only: see the text of this file."""
        return self.calls if self.phased else np.hstack([self.calls >= 1, self.calls == 2]).astype(np.int8)


def load_ancestry(dataset: str) -> Ancestry:
    """Load 805, lct, tgp or hgdp; populations of fewer than 10 people are left out."""
    loaders: dict[str, Callable[[], Any]]
    loaders = {"805": load_805, "lct": lambda: load_lct(0.01), "tgp": load_tgp, "hgdp": load_hgdp}
    if dataset not in loaders:
        raise ValueError(
            f"dataset must be one of {', '.join(loaders)}, but {dataset!r} came. Name one of these."
        )
    data = loaders[dataset]()
    labels = data.metadata
    phased = "person" in labels
    labels = labels if phased else labels.assign(person=labels.index)
    people = labels.groupby("population")["person"].transform("nunique")
    kept = (people >= 2 * _N_FOLDS).to_numpy()
    return Ancestry(data.calls[kept], labels.loc[kept, ["person", "population", "region"]], phased)


def _representation(method: str, phased: bool) -> BaseEstimator | None:
    if method.startswith("pca"):
        return PCA(int(method.removeprefix("pca")), svd_solver="randomized", random_state=0)
    settings = VAE if phased else UNPHASED_VAE
    return None if method == "raw" else HaplotypeVAE(**settings, random_state=0)


def _fold_scores(data: Ancestry, method: str, fold: int) -> dict[str, float]:
    """Balanced accuracy of both levels on one fold."""
    folds = ancestry_folds(data.labels["population"], data.labels["person"], n_folds=_N_FOLDS)
    train, test = next(split for number, split in enumerate(folds) if number == fold)
    names = [data.labels[level].to_numpy().astype(str) for level in LEVELS]
    if method.startswith("models"):
        calls = data.binary()
        scores = []
        for own in names:
            vae = HaplotypeVAE(**POPULATION_VAE, random_state=0)
            models = PopulationVAEs(vae, by_bound=method == "models_bound").fit(calls[train], own[train])
            scores.append(float(balanced_accuracy_score(own[test], models.predict(calls[test]))))
    else:
        table = data.binary() if method.startswith("vae") else data.calls
        scores = score_representation(_representation(method, data.phased), table, names, train, test)
    return dict(zip(LEVELS, scores, strict=True))


def classify_ancestry(
    datasets: Sequence[str] = DATASETS,
    methods: Sequence[str] = METHODS,
    *,
    folds: Iterable[int] = range(_N_FOLDS),
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Balanced accuracy of every method on every fold, by region and by population; folder keeps finished
    cells.

    Models of single populations are fitted to phased data only.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise ValueError(f"methods must be among {', '.join(METHODS)}, but {unknown[0]!r} came. Name these.")
    rows = []
    for dataset in datasets:
        data = load_ancestry(dataset)
        chosen = [name for name in methods if data.phased or not name.startswith("models")]
        sizes = {level: data.labels[level].nunique() for level in LEVELS}
        for fold in folds:
            for method in chosen:
                kept = None if folder is None else Path(folder) / f"ancestry-{dataset}-{method}-{fold}.json"
                if kept is not None and kept.is_file():
                    scores = json.loads(kept.read_text(encoding="utf-8"))
                else:
                    scores = _fold_scores(data, method, fold)
                    if kept is not None:
                        with replacing(kept) as path:
                            path.write_text(json.dumps(scores), encoding="utf-8")
                rows += [
                    {
                        "dataset": dataset,
                        "level": level,
                        "n_classes": sizes[level],
                        "method": method,
                        "fold": fold,
                        "balanced_accuracy": scores[level],
                    }
                    for level in LEVELS
                ]
    return pd.DataFrame(rows)


def ancestry_summary(scores: pd.DataFrame, *, baseline: str = "pca16") -> pd.DataFrame:
    """Mean accuracy of every method, and its difference to a baseline, by the corrected resampled t-test.

    The baseline has as many principal components as there are latent variables.
    """
    parts = []
    columns = ["dataset", "level", "n_classes"]
    for _, part in scores.groupby(columns, sort=False):
        tidy = part.rename(columns={"fold": "split", "balanced_accuracy": "score"})
        table = paired_differences(
            tidy[["split", "method", "score"]], baseline=baseline, test_fraction=1 / _N_FOLDS
        )
        parts.append(part[columns].iloc[[0] * len(table)].reset_index(drop=True).join(table))
    return pd.concat(parts, ignore_index=True)
