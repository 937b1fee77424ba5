"""Diversity of populations and what it says of migrations; the same questions asked of dogs and wolves."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from latentgenomes.genotypes.data.calls import Calls, GenotypeData, HaplotypeData
from latentgenomes.genotypes.evaluate.compression import diversity_by_population
from latentgenomes.genotypes.evaluate.geography import place_scores

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


def diversity_table(
    calls: Calls,
    metadata: pd.DataFrame,
    *,
    name: str,
    ploidy: int = 1,
    n_drawn: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Diversity of every population, with its region and the steps of that from Africa.

    Parameters
    ----------
    calls : ndarray of int8, shape (n_samples, n_snps)
        0 ... `ploidy` copies, -1 for missing.
    metadata : DataFrame
        Columns ``population``, and ``region`` where known.
    name : str
        Written into the column ``data``.
    ploidy, n_drawn, random_state : int
        As `latentgenomes.genotypes.evaluate.compression.diversity_by_population` takes them.

    Returns
    -------
    DataFrame
        data, region, steps (NaN where not listed), and the columns of `diversity_by_population`.
    """
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

    Parameters
    ----------
    table : DataFrame
        Rows of `diversity_table`.

    Returns
    -------
    DataFrame
        data, measure, n_populations, spearman, p_value. Populations of a region share history and are no
        independent trials: the p-value is a floor.
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
    """Populations told from codes of the haplotypes, people kept together.

    Parameters
    ----------
    data : HaplotypeData
        `metadata` has ``person`` and ``population``.
    encoders : mapping of str to callable
        Each makes an estimator with `fit` and `transform`; it is fitted on the training part of each fold.
    n_splits : int
        Folds.
    random_state : int
        Seed of the folds.

    Returns
    -------
    DataFrame
        method, fold, balanced_accuracy of logistic regression on the codes.
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
    """Longitude and latitude told from principal components; samples of one place are held out together.

    Parameters
    ----------
    data : GenotypeData
        `metadata` has ``longitude`` and ``latitude``. A missing call takes the mean of the training samples.
    n_components : tuple of int
        Numbers of components to try; 0, the mean of the training samples, is always there.
    block_degrees : float
        Samples of one block of this many degrees are held out together; 0 takes each place for itself. Wide
        blocks ask for places far from all that were seen.
    n_splits, n_repeats : int
        Folds, and how often to draw them.
    random_state : int
        Seed of the folds.

    Returns
    -------
    DataFrame
        block_degrees, method, n_components, repeat, r2_longitude, r2_latitude, median_km; all of held-out
        samples.
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
