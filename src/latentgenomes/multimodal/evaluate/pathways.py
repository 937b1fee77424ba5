r"""Activity of pathways from expression, and its prediction from mutations.

With the expression x of gene g in sample i, and s_g its standard deviation over the n samples, gene set
variation analysis (GSVA) compares a sample with the others gene by gene, then a set with all other genes:

=================  ================================================================================
kernel             F_gi = 1/n sum_k Phi(4 (x_gi - x_gk) / s_g)
rank               genes of a sample sorted by F, largest first; r_gi = distance from the middle rank
walk               v_i(l) = sum of r over the first l genes that are in the set, divided by its sum over the
                   set, minus the share of the other genes among the first l
score              max(v, 0) + min(v, 0), the largest deviation upwards plus that downwards
=================  ================================================================================

A small set makes a wide walk: with few genes each step is long. So the set with the largest absolute score
tends to be a small one, whatever it does. `chance_dominance` measures this.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require

Array = npt.NDArray[np.float64]
GeneSets = Mapping[str, Sequence[str]]

_FEWEST = 5  # samples of a type in a fold that a rank correlation needs


def genes_found(expression: pd.DataFrame, gene_sets: GeneSets) -> dict[str, list[str]]:
    """Genes of every set that the expression matrix has, in the order of the set."""
    return {name: [gene for gene in genes if gene in expression.columns] for name, genes in gene_sets.items()}


def pathway_scores(expression: pd.DataFrame, gene_sets: GeneSets, *, min_genes: int = 10) -> pd.DataFrame:
    """Score gene sets in every sample by GSVA with a Gaussian kernel, through gseapy: (n_samples, n_sets).

    Expression (n_samples, n_genes) is on a logarithmic scale, its columns are gene symbols; scores lie in
    [-1, 1]. A score depends on which samples and which other genes are in the matrix. Scores of two matrices
    cannot be compared. References: Hänzelmann et al. 2013, BMC Bioinformatics 14:7; Fang et al. 2023,
    Bioinformatics 39:btac757 (gseapy).
    """
    gseapy = require("gseapy", "multimodal")
    _check_expression(expression)
    found = genes_found(expression, gene_sets)
    n_genes = expression.shape[1]
    wrong = [name for name, genes in found.items() if not max(min_genes, 2) <= len(genes) < n_genes]
    if wrong or not found:
        raise ValueError(
            f"Every set must have {max(min_genes, 2)} genes or more in the matrix, and not all {n_genes}, "
            f"but {len(wrong)} of {len(found)} have not: {list_names(wrong) or 'none came'}. Lower "
            "min_genes, leave sets out, or check that genes are symbols."
        )
    values = expression.T.astype(np.float64)
    made = gseapy.gsva(
        values, found, outdir=None, kcdf="Gaussian", min_size=2, max_size=n_genes, threads=1, seed=0
    ).res2d
    table = made.assign(ES=made["ES"].astype(np.float64)).pivot(index="Name", columns="Term", values="ES")
    scores: pd.DataFrame = table.loc[expression.index, list(found)].rename_axis(index=None, columns=None)
    return scores


def _check_expression(expression: pd.DataFrame) -> None:
    values = expression.to_numpy(dtype=np.float64)
    bad = int((~np.isfinite(values)).sum())
    if len(values) < 10 or bad or not (expression.index.is_unique and expression.columns.is_unique):
        raise ValueError(
            "expression must hold finite values of at least 10 samples, each sample and gene once, but its "
            f"shape is {values.shape}, {bad} entries are not finite, and "
            f"{int(expression.index.duplicated().sum())} samples and "
            f"{int(expression.columns.duplicated().sum())} genes come again. Impute, merge or leave out."
        )


def dominant_pathway(scores: pd.DataFrame) -> pd.Series:
    """The set with the largest absolute score of every sample, the first of equals (Narain et al. 2025)."""
    if scores.isna().to_numpy().any() or scores.empty:
        raise ValueError(
            f"scores must hold a number for every sample and set, but the shape is {scores.shape} and "
            f"{int(scores.isna().to_numpy().sum())} are NaN. Score the sets again."
        )
    return scores.abs().idxmax(axis=1).rename("dominant")


def random_gene_sets(
    genes: Sequence[str], sizes: Mapping[str, int], *, n_draws: int = 20, random_state: int = 0
) -> dict[str, list[str]]:
    """Draw sets of random genes as large as given ones, called ``"name #k"`` for draw k from 0."""
    generator = np.random.default_rng(random_state)
    pool = np.asarray(list(genes))
    return {
        f"{name} #{draw}": generator.choice(pool, size=size, replace=False).tolist()
        for draw in range(n_draws)
        for name, size in sizes.items()
    }


def chance_dominance(scores: pd.DataFrame, random_scores: pd.DataFrame) -> pd.DataFrame:
    """How often each set is dominant, beside the sets of `random_gene_sets`: one row per set.

    ``dominant`` (share of the samples), ``by_chance`` (mean share over the draws), ``sd`` (over draws),
    ``mean_size`` and ``random_size`` (mean absolute score, real and random).
    """
    draws = pd.Series(random_scores.columns.str.rpartition(" #").get_level_values(2), random_scores.columns)
    shares = []
    for draw in draws.unique():
        own = random_scores.loc[:, (draws == draw).to_numpy()]
        own = own.set_axis(own.columns.str.rpartition(" #").get_level_values(0), axis=1)[list(scores.columns)]
        shares.append(dominant_pathway(own).value_counts(normalize=True).reindex(scores.columns).fillna(0.0))
    chance = pd.DataFrame(shares)
    names = random_scores.columns.str.rpartition(" #").get_level_values(0)
    return pd.DataFrame(
        {
            "dominant": dominant_pathway(scores)
            .value_counts(normalize=True)
            .reindex(scores.columns)
            .fillna(0.0),
            "by_chance": chance.mean(),
            "sd": chance.std(ddof=1),
            "mean_size": scores.abs().mean(),
            "random_size": random_scores.abs().mean().groupby(names).mean(),
        }
    ).loc[list(scores.columns)]


def group_folds(groups: Any, *, n_folds: int = 5, random_state: int = 0) -> npt.NDArray[np.int64]:
    """Fold of every sample, from 0, where whole groups, such as donors, are dealt out to folds."""
    names = np.asarray(groups).astype(str)
    folds = np.zeros(len(names), dtype=np.int64)
    dealer = GroupKFold(n_folds, shuffle=True, random_state=random_state)
    for number, (_, test) in enumerate(dealer.split(names[:, None], groups=names)):
        folds[test] = number
    return folds


def fold_predictions(estimator: Any, X: npt.ArrayLike, y: npt.ArrayLike, folds: npt.ArrayLike) -> Array:
    """Predict every sample by a clone fitted on the other folds; a classifier's probability of class 2."""
    features, target, fold = np.asarray(X, dtype=np.float64), np.asarray(y), np.asarray(folds)
    predicted = np.full(len(target), np.nan)
    for number in np.unique(fold):
        test = fold == number
        model = clone(estimator).fit(features[~test], target[~test])
        if hasattr(model, "predict_proba"):
            predicted[test] = model.predict_proba(features[test])[:, 1]
        else:
            predicted[test] = model.predict(features[test])
    return predicted


def rank_agreement(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, types: Any, folds: npt.ArrayLike, *, min_samples: int = 20
) -> dict[str, float]:
    """Spearman correlation of truth and prediction, over all samples and within types.

    Over all samples, a model that only knows the type scores high where types differ. Within types it scores
    nothing, if only samples of one fold are compared. Across folds it would seem to be *worse* than nothing:
    the mean of the other folds is low where a fold is high.

    ``overall`` has its p_value; ``within`` is the mean, in Fisher's z, of the correlations of the samples of
    one type in one fold, each weighted by n - 3, and ``within_se`` its standard error (of z). Types of fewer
    than `min_samples`, and folds with fewer than 5 of a type, are left out; NaN where nothing is left. A
    constant prediction has correlation 0. Fieller et al. 1957, Biometrika 44:470 (variance 1.06 / (n - 3) of
    z).
    """
    y, p = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    names, fold = np.asarray(types).astype(str), np.asarray(folds)
    kinds, counts = np.unique(names, return_counts=True)
    z, weights, used = [], [], set()
    for kind in kinds[counts >= min_samples]:
        for number in np.unique(fold):
            own = (names == kind) & (fold == number)
            if own.sum() >= _FEWEST:
                z.append(np.arctanh(np.clip(_spearman(y[own], p[own])[0], -0.99, 0.99)))
                weights.append(own.sum() - 3.0)
                used.add(kind)
    overall, p_value = _spearman(y, p)
    return {
        "n": len(y),
        "overall": overall,
        "p_value": p_value,
        "within": float(np.tanh(np.average(z, weights=weights))) if z else np.nan,
        "within_se": float(np.sqrt(1.06 / sum(weights))) if z else np.nan,
        "n_types": len(used),
    }


def _spearman(truth: Array, predicted: Array) -> tuple[float, float]:
    if np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return 0.0, 1.0
    found = stats.spearmanr(truth, predicted)
    return float(found.statistic), float(found.pvalue)


def predict_targets(
    inputs: Mapping[str, npt.ArrayLike],
    targets: pd.DataFrame,
    types: Any,
    groups: Any,
    *,
    regressor: Any,
    classifier: Any,
    random_state: int = 0,
) -> pd.DataFrame:
    """Predict targets from several inputs, in folds of whole groups, and judge the ranks.

    `inputs` holds features (n_samples, n_features) by name. A sample whose target is NaN takes no part; a
    target of 0 and 1 alone is classified. Folds are the same for all inputs. One row per target and input:
    target, input, auroc (classified targets, else NaN), and what `rank_agreement` gives.
    """
    records = []
    names, donors = np.asarray(types).astype(str), np.asarray(groups).astype(str)
    for target in targets.columns:
        values = targets[target].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        binary = bool(np.isin(values[known], (0.0, 1.0)).all())
        folds = group_folds(donors[known], random_state=random_state)
        for name, X in inputs.items():
            predicted = fold_predictions(
                classifier if binary else regressor,
                np.asarray(X)[known],
                values[known].astype(int) if binary else values[known],
                folds,
            )
            auroc = float(roc_auc_score(values[known], predicted)) if binary else np.nan
            records.append(
                {"target": target, "input": name, "auroc": auroc}
                | rank_agreement(values[known], predicted, names[known], folds)
            )
    return pd.DataFrame.from_records(records)
