"""What `impute` costs and gains on whole transcriptomes: beside k nearest neighbours, at full size, and from
a panel in a cancer that the reference lacks.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.impute import KNNImputer

from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    load_paired_mrna,
    load_zscores,
    one_tumour_each,
)
from latentgenomes.expression.data.gene_names import gene_list
from latentgenomes.expression.evaluate.restoration import gene_errors, impute
from latentgenomes.expression.models.factors import FactorImputer
from latentgenomes.expression.models.imputers import NeighbourImputer, RidgeImputer
from latentgenomes.expression.models.panels import PanelImputer
from latentgenomes.expression.verbs.impute import restore_matrix

Array = npt.NDArray[np.float32]
SIZE = (360, 1577)


def beside_knn(
    datasets: Sequence[str] = ("mRNA", "miRNA", "BLCA", "BRCA"),
    *,
    seeds: Sequence[int] = (0, 1, 2),
    rate: float = 0.3,
) -> pd.DataFrame:
    """RMSE on hidden entries (SD of the gene over all samples) and seconds, of `impute` with its defaults,
    its check included, of factors alone, and of scikit-learn's KNNImputer: 360 samples, up to 1,577 genes.
    ``mRNA`` is log2 of 11 cancers, ``miRNA`` log2 of breast cancer, the others are z-scores of one cancer.
    """
    records = []
    for dataset in datasets:
        whole = _dataset(dataset)
        for seed in seeds:
            generator = np.random.default_rng(seed)
            rows = generator.permutation(len(whole.values))[: SIZE[0]]
            genes = generator.permutation(whole.values.shape[1])[: SIZE[1]]
            truth = whole.values.iloc[rows, genes].astype(np.float64)
            hidden = generator.uniform(size=truth.shape) < rate
            given = truth.mask(hidden)
            scale = truth.std(ddof=0).to_numpy()
            for method, restored, seconds in _three(given, whole.unit, seed):
                error = ((restored - truth.to_numpy()) / np.where(scale > 0, scale, 1))[hidden]
                score = float(np.sqrt(np.mean(error**2)))
                records.append(
                    {"dataset": dataset, "seed": seed, "method": method, "rmse": score, "seconds": seconds}
                )
    return pd.DataFrame.from_records(records)


def _dataset(name: str) -> ExpressionData:
    if name == "mRNA":
        return load_paired_mrna()
    if name == "miRNA":
        return detected_everywhere(one_tumour_each(load_mirna(["BRCA"])))
    return load_zscores(name)


def _three(given: pd.DataFrame, unit: str, seed: int) -> Iterator[tuple[str, Any, float]]:
    """Name, restored values and seconds of the three ways."""
    samples = pd.DataFrame({"patient": given.index}, index=given.index)
    data = ExpressionData(given.astype(np.float32), samples, unit)
    start = time.perf_counter()
    found = restore_matrix(data, fill_all=True, random_state=seed).values.to_numpy()
    yield "impute", found, time.perf_counter() - start
    start = time.perf_counter()
    alone = FactorImputer(random_state=seed).fit(given.to_numpy()).impute(given.to_numpy())
    yield "factors, unchecked", alone, time.perf_counter() - start
    start = time.perf_counter()
    yield "KNNImputer", KNNImputer().fit_transform(given.to_numpy()), time.perf_counter() - start


def panel_transfer(sizes: Sequence[int] = (64, 200), *, seeds: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """All other genes from a random panel, in a cancer that the reference lacks: tumours and normals of 10
    cancers are the reference, the 11th is restored. ``size``, ``seed``, ``cancer``, ``method``, ``rmse`` and
    ``correlation`` (median over genes of that within the gene, over the samples of the cancer).
    """
    data = load_paired_mrna()
    cohorts = data.samples["cohort"].to_numpy()
    records = []
    for size in sizes:
        for seed in seeds:
            order = np.random.default_rng(seed).permutation(data.values.shape[1])
            panel = np.sort(order[:size])
            for cancer in np.unique(cohorts):
                train = data.values.to_numpy()[cohorts != cancer]
                test = data.values.to_numpy()[cohorts == cancer]
                for method, restored in panel_answers(train, test, panel, seed=seed):
                    errors = _panel_errors(restored, test, train, panel)
                    records.append({"size": size, "seed": seed, "cancer": cancer, "method": method, **errors})
    return pd.DataFrame.from_records(records)


def panel_answers(
    train: Array, test: Array, panel: npt.NDArray[np.int64], *, seed: int = 0
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """The test samples restored from the panel alone, by weighed regressions, ridge and neighbours. The last
    two are fitted in the genes at hand a block at a time: neither reads more than the panel.
    """
    shown = np.full_like(test, np.nan)
    shown[:, panel] = test[:, panel]
    yield "panel", PanelImputer(panel.tolist(), random_state=seed).fit(train).impute(shown)
    rest = np.setdiff1d(np.arange(train.shape[1]), panel)
    for name, model in (("ridge", RidgeImputer()), ("knn", NeighbourImputer())):
        restored = shown.astype(np.float64)
        for genes in np.array_split(rest, max(1, len(rest) // 400)):
            columns = np.r_[panel, genes]
            restored[:, genes] = impute(model.fit(train[:, columns]), shown[:, columns])[:, len(panel) :]
        yield name, restored


def _panel_errors(
    restored: npt.NDArray[Any], test: Array, train: Array, panel: npt.NDArray[np.int64]
) -> dict[str, float]:
    hidden = np.ones(test.shape, dtype=bool)
    hidden[:, panel] = False
    scale = train.std(axis=0)
    errors = gene_errors(restored, test, hidden, scale=np.where(scale > 0, scale, 1.0))
    judged = errors[errors["n"] > 0]
    return {
        "rmse": float(np.sqrt((judged["rmse"] ** 2).mean())),
        "correlation": float(judged["correlation"].median()),
    }


def large_matrix(n_samples: int, n_genes: int, *, n_types: int = 12, seed: int = 0) -> pd.DataFrame:
    """A drawn matrix of the size of a transcriptome, log2: types of samples, 30 factors of falling size,
    blocks of five genes that share a factor of their own, noise, and a floor at 0. Genes are named as human
    genes are.
    """
    generator = np.random.default_rng(seed)
    loadings = generator.normal(size=(30, n_genes)) * np.exp(-np.arange(30) / 10)[:, None]
    centres = 1.5 * generator.normal(size=(n_types, 30))
    factors = centres[generator.integers(n_types, size=n_samples)] + generator.normal(size=(n_samples, 30))
    levels = generator.uniform(2, 10, size=n_genes).astype(np.float32)
    values = np.empty((n_samples, n_genes), np.float32)
    for start in range(0, n_samples, 500):
        rows = slice(start, min(start + 500, n_samples))
        own = generator.standard_normal((len(factors[rows]), -(-n_genes // 5)), dtype=np.float32)
        values[rows] = 0.35 * factors[rows] @ loadings + 0.35 * np.repeat(own, 5, axis=1)[:, :n_genes]
        values[rows] += 0.6 * generator.standard_normal(values[rows].shape, dtype=np.float32) + levels
    names = sorted(gene_list().symbols)[:n_genes]
    samples = [f"TCGA-ZZ-{number:05d}" for number in range(n_samples)]
    return pd.DataFrame(np.maximum(values, 0), index=samples, columns=names)
