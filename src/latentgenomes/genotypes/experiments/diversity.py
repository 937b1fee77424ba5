"""Diversity of populations and what it says of migrations; the same questions asked of dogs and wolves.

Dogs and wolves are told apart and placed on the map by principal components, and by an autoencoder's latent
variables of the same width. The autoencoder reads calls of 0 and 1: genotypes without phase are given as two
calls for each SNP, "at least one copy" and "two copies", to both.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from latentgenomes.genotypes.data.calls import Calls, GenotypeData, HaplotypeData
from latentgenomes.genotypes.evaluate.ancestry import place_scores
from latentgenomes.genotypes.evaluate.compression import diversity_by_population
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE

#: How far the ancestors of a region went from Africa, in steps of the routes on land; 0 is home.
STEPS_FROM_AFRICA: Mapping[str, int] = {
    "AFR": 0,
    "Africa": 0,
    "Mid.East": 1,
    "EUR": 2,
    "Europe": 2,
    "SAS": 2,
    "C.S.Asia": 2,
    "EAS": 3,
    "E.Asia": 3,
    "Oceania": 4,
    "AMR": 5,
    "America": 5,
}
#: Settings of the network for a hundred animals: one hidden layer, a light prior, no dropout.
FEW_ANIMALS: Mapping[str, Any] = {"hidden": (128,), "beta": 0.2, "input_dropout": 0.0, "n_components": 1}


def diversity_table(
    calls: Calls,
    metadata: pd.DataFrame,
    *,
    name: str,
    ploidy: int = 1,
    n_drawn: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """`diversity_by_population` with the region, and its steps from Africa (NaN where not listed)."""
    table = diversity_by_population(
        calls, metadata["population"], ploidy=ploidy, n_drawn=n_drawn, random_state=random_state
    )
    region = pd.Series("", index=table.index)
    if "region" in metadata:
        regions = metadata.drop_duplicates("population").set_index("population")["region"]
        region = table["population"].map(regions)
    table.insert(0, "data", name)
    table.insert(1, "region", region)
    table.insert(2, "steps", region.map(STEPS_FROM_AFRICA))
    return table


def migration_trends(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of diversity with steps from Africa, over populations, for each data set.

    Populations of a region share history and are no independent trials: the p-value is a floor.
    """
    rows = []
    for name, part in table.dropna(subset="steps").groupby("data", sort=False):
        for measure in ("heterozygosity", "entropy_bits", "polymorphic", "distinct"):
            if part[measure].nunique() > 1:
                found = stats.spearmanr(part["steps"], part[measure])
                row = {"data": name, "measure": measure, "n_populations": len(part)}
                rows.append(row | {"spearman": float(found[0]), "p_value": float(found[1])})
    return pd.DataFrame(rows)


def _folds(groups: npt.ArrayLike, n_splits: int, seed: int) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))[codes]
    yield from GroupKFold(n_splits).split(shuffled, groups=shuffled)


def classify_populations(
    data: HaplotypeData,
    encoders: Mapping[str, Callable[[], object]],
    *,
    n_splits: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Balanced accuracy of logistic regression on codes of the haplotypes, people kept together.

    Each of encoders makes an estimator, which is fitted on the training part of each fold.
    """
    calls, labels = data.calls.astype(np.float32), data.metadata["population"].to_numpy()
    rows = []
    for fold, (train, test) in enumerate(_folds(data.metadata["person"], n_splits, random_state)):
        for method, make in encoders.items():
            model = Pipeline(
                [
                    ("encoder", make()),
                    ("scale", StandardScaler()),
                    ("classifier", LogisticRegression(max_iter=2000)),
                ]
            ).fit(calls[train], labels[train])
            score = balanced_accuracy_score(labels[test], model.predict(calls[test]))
            rows.append({"method": method, "fold": fold, "balanced_accuracy": float(score)})
    return pd.DataFrame(rows)


def locate_samples(
    data: GenotypeData,
    *,
    n_components: tuple[int, ...] = (2, 5, 10, 20),
    block_degrees: float = 0.0,
    n_splits: int = 5,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Longitude and latitude told from principal components, or by the mean place; scores of held-out
    samples.

    Samples of one place, or one block of so many degrees, are held out together: wide blocks ask for places
    far from all that were seen. A missing call takes the mean of the training samples.
    """
    places = data.metadata[["longitude", "latitude"]].to_numpy(dtype=np.float64)
    blocks = np.floor(places / block_degrees) if block_degrees else places
    groups = [f"{longitude},{latitude}" for longitude, latitude in blocks]
    calls = np.where(data.calls < 0, np.nan, data.calls).astype(np.float32)
    rows = []
    for repeat in range(n_repeats):
        predicted = {n: np.empty_like(places) for n in (0, *n_components)}
        for train, test in _folds(groups, n_splits, random_state + repeat):
            filled = SimpleImputer().fit(calls[train])
            pca = PCA(max(n_components), random_state=0).fit(filled.transform(calls[train]))
            known, new = (pca.transform(filled.transform(calls[rows_])) for rows_ in (train, test))
            predicted[0][test] = places[train].mean(axis=0)
            for n in n_components:
                model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
                predicted[n][test] = model.fit(known[:, :n], places[train]).predict(new[:, :n])
        for n, guesses in predicted.items():
            method = "mean place" if n == 0 else "principal components"
            row = {"block_degrees": block_degrees, "method": method, "n_components": n, "repeat": repeat}
            rows.append(row | place_scores(places, guesses))
    return pd.DataFrame(rows)


def thinned(n_snps: int, n_kept: int) -> npt.NDArray[np.int64]:
    """Positions of at most n_kept SNPs spread evenly over a table."""
    return np.unique(np.linspace(0, n_snps - 1, min(n_kept, n_snps)).round().astype(np.int64))


def two_calls(calls: Calls) -> Calls:
    """Genotypes without phase (n, l) as calls (n, 2 l): at least one copy, then two copies, of every SNP."""
    missing = calls < 0
    one, two = (np.where(missing, -1, calls >= least) for least in (1, 2))
    return np.hstack([one, two]).astype(np.int8)


def encoders(n_latent: int, *, max_epochs: int, random_state: int = 0) -> dict[str, Any]:
    """Makers of principal components and of an autoencoder of one width."""
    settings = {**FEW_ANIMALS, "n_latent": n_latent, "max_epochs": max_epochs}
    return {
        "principal components": lambda: PCA(n_latent, random_state=random_state),
        "HaplotypeVAE": lambda: HaplotypeVAE(**settings, random_state=random_state),
    }


def classify_canids(
    data: HaplotypeData, *, n_latent: int = 8, n_snps: int = 1500, max_epochs: int = 50, random_state: int = 0
) -> pd.DataFrame:
    """Populations told from codes of the haplotypes; see `classify_populations`."""
    kept = thinned(data.calls.shape[1], n_snps)
    few = replace(data, calls=data.calls[:, kept], snps=data.snps.iloc[kept])
    made = encoders(n_latent, max_epochs=max_epochs, random_state=random_state)
    return classify_populations(few, made, random_state=random_state)


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
    """As `locate_samples`, from an encoder's codes of the animals by ridge regression, over 5 folds."""
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
