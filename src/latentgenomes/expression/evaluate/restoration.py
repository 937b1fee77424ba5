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
    """Hide genes with chance `rate` in (0, 1), True where hidden; each sample keeps one gene at least."""
    if not 0 < rate < 1:
        raise ValueError(f"rate must be between 0 and 1, but it is {rate}. 0.5 hides half of the genes.")
    draws = np.random.default_rng(random_state).uniform(size=shape)
    hidden = draws < rate
    hidden[np.arange(shape[0]), draws.argmax(axis=1)] = False
    return hidden


def panel_masks(
    n_samples: int, panels: Mapping[str, npt.ArrayLike], *, random_state: int | np.random.Generator
) -> tuple[Mask, npt.NDArray[np.str_]]:
    """Hide, in each sample, what the one panel that it drew does not measure; and that panel's name."""
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
    """``rmse``, ``correlation`` and ``gene_correlation`` over the hidden entries that are not NaN in `truth`,
    and ``n``, their number. `centre` and `scale`, (n_genes,), are of the training samples.
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
    """``n``, ``rmse`` (NaN where the gene is never hidden) and ``correlation`` (0 where values do not vary)
    of each gene over the samples that hide it.
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
    """``mask``, ``method`` and `imputation_scores` of fitted imputers on the same named masks of test
    samples, of patients that no imputer has seen. `centre` and `scale` are of the training samples.
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
    """Random subsets of genes by size, as increasing positions; each holds the smaller ones."""
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
    """Increasing positions of `n_labels` random samples of every class, or of all where a class has fewer."""
    if n_labels < 1:
        raise ValueError(f"n_labels must be at least 1, but it is {n_labels}.")
    generator, classes = np.random.default_rng(random_state), np.asarray(labels)
    order = generator.permutation(len(classes))
    rank = pd.Series(classes[order]).groupby(classes[order]).cumcount().to_numpy()
    return np.sort(order[rank < n_labels])
