"""How well hidden genes are restored, and how well types are told from expression.

Errors are in standard deviations of each gene in the training samples, so that genes count alike:

======================  ======================================================================================
name in code            meaning
======================  ======================================================================================
``rmse``                root mean squared error over all hidden entries
``correlation``         Pearson correlation of restored and true values over all hidden entries, standardised
``gene_correlation``    mean over genes of the correlation within a gene, over the samples that hide it
======================  ======================================================================================
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def random_masks(shape: tuple[int, int], rate: float, *, random_state: int | np.random.Generator) -> Mask:
    """Hide genes at random: every entry with the same chance, and each sample keeps one gene at least.

    Parameters
    ----------
    shape : (n_samples, n_genes)
    rate : float
        Chance of an entry to be hidden, in (0, 1).
    random_state : int or numpy.random.Generator
        Seed.

    Returns
    -------
    ndarray of bool
        True where hidden.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate must be between 0 and 1, but it is {rate}. 0.5 hides half of the genes.")
    draws = np.random.default_rng(random_state).uniform(size=shape)
    hidden = draws < rate
    hidden[np.arange(shape[0]), draws.argmax(axis=1)] = False
    return hidden


def panel_masks(
    n_samples: int, panels: Mapping[str, npt.ArrayLike], *, random_state: int | np.random.Generator
) -> tuple[Mask, npt.NDArray[np.str_]]:
    """Hide genes by platform: each sample is as if measured with one panel, and lacks all other genes.

    Parameters
    ----------
    n_samples : int
    panels : mapping of str to array of bool of shape (n_genes,)
        Genes that each panel measures.
    random_state : int or numpy.random.Generator
        Seed of the panel that each sample gets, all with the same chance.

    Returns
    -------
    hidden : ndarray of bool of shape (n_samples, n_genes)
    panel : ndarray of str of shape (n_samples,)
    """
    genes = np.stack([np.asarray(panel, dtype=bool) for panel in panels.values()])
    if genes.all(axis=1).any() or not genes.any(axis=1).all():
        raise ValueError("Every panel must measure some genes and lack some, but one measures all or none.")
    drawn = np.random.default_rng(random_state).integers(len(genes), size=n_samples)
    return ~genes[drawn], np.array(list(panels))[drawn]


def impute(imputer: Any, values: npt.ArrayLike) -> Array:
    """Fill NaN by `impute`, or by `transform` where an imputer has only that, as scikit-learn's have."""
    verb = getattr(imputer, "impute", None) or imputer.transform
    return np.asarray(verb(values), dtype=np.float64)


def _errors(restored: Array, truth: Array, hidden: Mask, scale: Array) -> tuple[Array, Array]:
    if not np.isfinite(restored[hidden]).all():
        n_bad = int((~np.isfinite(restored[hidden])).sum())
        raise ValueError(
            f"Restored values must be finite, but {n_bad} of {hidden.sum()} are not. Check the imputer."
        )
    return (restored / scale)[hidden], (truth / scale)[hidden]


def imputation_scores(
    restored: npt.ArrayLike,
    truth: npt.ArrayLike,
    hidden: Mask,
    *,
    centre: npt.ArrayLike,
    scale: npt.ArrayLike,
) -> dict[str, float]:
    """RMSE and correlations over the hidden entries.

    Parameters
    ----------
    restored, truth : array of shape (n_samples, n_genes)
    hidden : ndarray of bool of the same shape
        Entries to judge; those that are NaN in `truth` are left out.
    centre, scale : array of shape (n_genes,)
        Mean and standard deviation of the genes in the training samples.

    Returns
    -------
    dict
        ``rmse``, ``correlation``, ``gene_correlation`` and ``n``, the number of entries judged.

    Raises
    ------
    ValueError
        If nothing is hidden, or a restored value is not finite.
    """
    true, guess = np.asarray(truth, dtype=np.float64), np.asarray(restored, dtype=np.float64)
    spread, middle = np.asarray(scale, dtype=np.float64), np.asarray(centre, dtype=np.float64)
    judged = hidden & np.isfinite(true)
    if not judged.any():
        raise ValueError("At least one entry must be hidden to be judged, but none is. Raise the rate.")
    a, b = _errors(guess - middle, true - middle, judged, spread)
    genes = gene_errors(guess, true, judged, scale=spread)
    return {
        "rmse": float(np.sqrt(np.mean((a - b) ** 2))),
        "correlation": float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0,
        "gene_correlation": float(genes["correlation"].mean()),
        "n": float(judged.sum()),
    }


def gene_errors(
    restored: npt.ArrayLike, truth: npt.ArrayLike, hidden: Mask, *, scale: npt.ArrayLike
) -> pd.DataFrame:
    """RMSE and correlation of each gene over the samples that hide it.

    Returns
    -------
    DataFrame
        One row a gene: ``n``, ``rmse`` (standard deviations; NaN where never hidden) and ``correlation`` (0
        where the restored or the true values do not vary).
    """
    a = np.where(hidden, np.asarray(restored, dtype=np.float64), 0.0) / np.asarray(scale)
    b = np.where(hidden, np.asarray(truth, dtype=np.float64), 0.0) / np.asarray(scale)
    n = hidden.sum(axis=0)
    some = np.maximum(n, 1)
    centred_a, centred_b = (np.where(hidden, x - x.sum(axis=0) / some, 0.0) for x in (a, b))
    squares_a, squares_b = (centred_a**2).sum(axis=0), (centred_b**2).sum(axis=0)
    norm = np.sqrt(squares_a * squares_b)
    # Rounding leaves a tiny spread in a constant.
    varies = (squares_a > 1e-18 * some) & (squares_b > 1e-18 * some)
    correlation = np.divide((centred_a * centred_b).sum(axis=0), norm, out=np.zeros(len(n)), where=varies)
    rmse = np.sqrt(np.divide(((a - b) ** 2).sum(axis=0), n, out=np.full(len(n), np.nan), where=n > 0))
    return pd.DataFrame({"n": n, "rmse": rmse, "correlation": correlation})


def imputation_benchmark(
    imputers: Mapping[str, Any],
    test: npt.ArrayLike,
    masks: Mapping[Any, Mask],
    *,
    centre: npt.ArrayLike,
    scale: npt.ArrayLike,
) -> pd.DataFrame:
    """Scores of fitted imputers on the same hidden entries.

    Parameters
    ----------
    imputers : mapping of str to fitted estimator
    test : array of shape (n_samples, n_genes)
        Samples that no imputer has seen, of other patients than the training samples. Not changed.
    masks : mapping to ndarray of bool
        Hidden entries by name, such as the missing rate or the platform; see `random_masks`.
    centre, scale : array of shape (n_genes,)
        Of the training samples.

    Returns
    -------
    DataFrame
        ``mask``, ``method``, then the columns of `imputation_scores`.
    """
    truth = np.asarray(test, dtype=np.float64)
    records = []
    for name, hidden in masks.items():
        given = np.where(hidden, np.nan, truth)
        for method, imputer in imputers.items():
            scores = imputation_scores(impute(imputer, given), truth, hidden, centre=centre, scale=scale)
            records.append({"mask": name, "method": method, **scores})
    return pd.DataFrame.from_records(records)


def gene_subsets(
    n_genes: int, sizes: Sequence[int], *, random_state: int
) -> dict[int, npt.NDArray[np.int64]]:
    """Random subsets of genes, each holding the smaller ones.

    Parameters
    ----------
    n_genes : int
    sizes : sequence of int
        How many genes; at most all.
    random_state : int
        Seed.

    Returns
    -------
    dict of int to ndarray of int
        Increasing positions.
    """
    too_large = [size for size in sizes if not 1 <= size <= n_genes]
    if too_large:
        raise ValueError(f"sizes must be between 1 and {n_genes} genes, but {too_large[0]} came.")
    order = np.random.default_rng(random_state).permutation(n_genes)
    return {size: np.sort(order[:size]) for size in sizes}


def classification_scores(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> dict[str, float]:
    """Accuracy, and F1 averaged over the types of `truth`, each counting alike."""
    a, b = np.asarray(predicted), np.asarray(truth)
    return {
        "accuracy": float(accuracy_score(b, a)),
        "macro_f1": float(f1_score(b, a, labels=np.unique(b), average="macro", zero_division=0.0)),
    }


def labels_per_class(
    labels: npt.ArrayLike, n_labels: int, *, random_state: int | np.random.Generator
) -> npt.NDArray[np.int64]:
    """Positions of `n_labels` random samples of every class, or of all where a class has fewer.

    Parameters
    ----------
    labels : array of shape (n,)
    n_labels : int
    random_state : int or numpy.random.Generator

    Returns
    -------
    ndarray of int
        Increasing.
    """
    if n_labels < 1:
        raise ValueError(f"n_labels must be at least 1, but it is {n_labels}.")
    generator, classes = np.random.default_rng(random_state), np.asarray(labels)
    order = generator.permutation(len(classes))
    rank = pd.Series(classes[order]).groupby(classes[order]).cumcount().to_numpy()
    return np.sort(order[rank < n_labels])
