"""Data, splits and masks of the comparison of imputers: what every method sees, and what it has to fill.

A task is a data set and a seed: the seed draws the patients of the training, validation and test part, the
genes, and the masks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.splits import check_disjoint, grouped_split
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    load_paired_mrna,
    one_tumour_each,
)
from latentgenomes.expression.evaluate.restoration import Mask, random_masks
from latentgenomes.expression.simulate import simulate_expression
from latentgenomes.expression.verbs.methods import ImputationSettings

Array = npt.NDArray[np.float64]
DATASETS = ("mirna", "mrna", "simulated")


@dataclass(frozen=True)
class ImputationTask:
    """One split of one data set, with its masks.

    Attributes
    ----------
    train, validation, test : pandas.DataFrame of shape (n_samples, n_genes)
        float64, without NaN.
    centre, scale : ndarray of shape (n_genes,)
        Of the training samples.
    patients : ndarray of str of shape (n_test,)
    masks : dict of str to ndarray of bool of shape (n_test, n_genes)
        Hidden entries by missing rate, such as ``"0.5"``.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    centre: Array
    scale: Array
    patients: npt.NDArray[np.str_]
    masks: dict[str, Mask]


def load_dataset(dataset: str) -> ExpressionData:
    """Data of a comparison.

    Parameters
    ----------
    dataset : {"mirna", "mrna", "simulated"}

    Raises
    ------
    ValueError
        If there is no such data set.
    """
    if dataset == "mirna":
        return detected_everywhere(one_tumour_each(load_mirna()))
    if dataset == "mrna":
        data = load_paired_mrna()
        return data.select(data.samples["is_tumour"].astype(bool), "normal tissue")
    if dataset == "simulated":
        return simulate_expression(random_state=0).data
    raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, but it is {dataset!r}. Name one.")


def make_task(
    data: ExpressionData, *, by: str, seed: int, settings: ImputationSettings | None = None
) -> ImputationTask:
    """Split by patient, choose genes by the training part, and draw the masks.

    Parameters
    ----------
    data : ExpressionData
        Without missing values.
    by : {"detected", "chance"}
        Which genes are kept: those above their lowest value in most training samples, or random ones.
    seed : int
        Of the split and of the masks.
    settings : ImputationSettings, optional

    Raises
    ------
    ValueError
        If there are too few samples for the three parts.
    """
    chosen = settings or ImputationSettings()
    patients = data.samples["patient"].to_numpy().astype(str)
    n_held = chosen.n_test + chosen.n_validation
    if n_held * 2 > len(patients):
        raise ValueError(
            f"n_test + n_validation must be at most half of the samples, but they are {n_held} of "
            f"{len(patients)}. Lower them."
        )
    train, held = grouped_split(patients, test_fraction=1.1 * n_held / len(patients), random_state=seed)
    share = chosen.n_test / n_held
    later, test = grouped_split(patients[held], test_fraction=share, random_state=seed)
    rng = np.random.default_rng([seed, 1])
    parts = [rng.permutation(train), rng.permutation(held[later]), rng.permutation(held[test])]
    sizes = (chosen.max_training or len(train), chosen.n_validation, chosen.n_test)
    train, later, test = (np.sort(part[:size]) for part, size in zip(parts, sizes, strict=True))
    check_disjoint(train, np.r_[later, test], patients)
    check_disjoint(later, test, patients)
    values = data.values.astype(np.float64)
    seen = values.iloc[train]
    drawn = pd.Series(np.random.default_rng([seed, 3]).uniform(size=values.shape[1]), values.columns)
    rank = (seen > seen.min()).mean() if by == "detected" else drawn
    genes = rank.sort_values(ascending=False, kind="stable").index[: chosen.n_genes]
    kept = values.loc[:, values.columns.isin(genes)]
    masks = {
        f"{rate:g}": random_masks(
            (len(test), kept.shape[1]), rate, random_state=np.random.default_rng([seed, 2, i])
        )
        for i, rate in enumerate(chosen.rates)
    }
    fitted = kept.iloc[train]
    return ImputationTask(
        fitted,
        kept.iloc[later],
        kept.iloc[test],
        fitted.mean().to_numpy(),
        fitted.std(ddof=0).to_numpy(),
        patients[test],
        masks,
    )
