"""Scores of tumour embeddings and tumour typing: similarity within types, F1 over splits, new projects.

For types with samples in set T, embeddings e and similarities s_ij = cos(e_i, e_j):

======  =================  ========================================================================
symbol  name in code       meaning
======  =================  ========================================================================
s_w     ``within``         similarities of pairs in T, each pair once
s_b     ``between``        similarities of a sample in T and one outside T
d       ``cohens_d``       (mean s_w - mean s_b) / s_p, s_p^2 the variances pooled by n - 1
t       ``t``              d / sqrt(1 / n_w + 1 / n_b), judged with n_w + n_b - 2 degrees of freedom
======  =================  ========================================================================
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import f1_score

from latentgenomes.core.splits import check_disjoint, grouped_split
from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier

Array = npt.NDArray[np.float64]
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]

MACRO = "macro"  # the label of the mean over types
_LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def _labels(labels: Any, n_samples: int) -> npt.NDArray[np.str_]:
    values = pd.Series(np.asarray(labels).ravel())
    if len(values) != n_samples or values.isna().any():
        raise ValueError(
            f"labels must name a type for each of the {n_samples} samples, but {len(values)} came, of which "
            f"{int(values.isna().sum())} are missing. Leave out samples without a label, in both."
        )
    return values.astype(str).to_numpy(dtype=np.str_)


def cosine_separation(embedding: npt.ArrayLike, labels: Any) -> pd.DataFrame:
    """Compare cosine similarities within and between types: Cohen's d and Bonferroni-adjusted t-tests.

    Pairs share samples, so they are not independent, and the test over pairs is far too sure of itself: with
    hundreds of samples every difference is significant. It is given because it is published. The columns that
    end in ``_samples`` count each sample once: its mean similarity to its own type minus that to others.

    The embedding is not centred; a row of zeros has similarity 0 to all. One row per type of at least 3
    samples: label, n_samples, within and between (mean similarities), cohens_d, t, p_value (two-sided,
    unpaired, equal variances), p_adjusted, stars (for p_adjusted below .001, .01, .05), d_samples and
    p_samples (adjusted; one-sample t-test over samples).

    References
    ----------
    Cohen 1988, Statistical Power Analysis, 2nd edition, eq. 2.5.1; Narain et al. 2025, MutEmbed, figure 1C.
    """
    vectors = np.asarray(embedding, dtype=np.float64)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(
            f"embedding must be a finite table (n_samples, n_features), but its shape is {vectors.shape} and "
            f"{int((~np.isfinite(vectors)).sum())} entries are not finite. Fill or leave out what is missing."
        )
    names = _labels(labels, len(vectors))
    kinds, counts = np.unique(names, return_counts=True)
    kinds = kinds[counts >= 3]
    if len(kinds) < 2:
        raise ValueError(
            f"labels must hold at least 2 types of 3 samples or more, but they hold {len(kinds)}. Pass more "
            "samples."
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1.0)
    records = [_separation(unit, names == kind) | {"label": str(kind)} for kind in kinds]
    frame = pd.DataFrame.from_records(records)
    for column, source in (("p_adjusted", "p_value"), ("p_samples", "p_samples")):
        frame[column] = np.minimum(frame[source] * len(kinds), 1.0)
    frame["stars"] = [next((s for level, s in _LEVELS if p < level), "") for p in frame["p_adjusted"]]
    columns = ["label", "n_samples", "within", "between", "cohens_d", "t", "p_value", "p_adjusted", "stars"]
    return frame[[*columns, "d_samples", "p_samples"]]


def _separation(unit: Array, inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    own, others = unit[inside], unit[~inside]
    n = len(own)
    similar = own @ own.T
    within = similar[np.triu_indices(n, k=1)]
    across = own @ others.T
    between = across.ravel()
    freedom = len(within) + len(between) - 2
    pooled = np.sqrt(
        ((len(within) - 1) * within.var(ddof=1) + (len(between) - 1) * between.var(ddof=1)) / freedom
    )
    d = (within.mean() - between.mean()) / max(pooled, np.finfo(np.float64).tiny)
    t = d / np.sqrt(1 / len(within) + 1 / len(between))
    # Each sample once: similarity to the rest of its type minus similarity to all others.
    gaps = (similar.sum(axis=1) - similar.diagonal()) / (n - 1) - across.mean(axis=1)
    d_samples = gaps.mean() / max(gaps.std(ddof=1), np.finfo(np.float64).tiny)
    return {
        "n_samples": n,
        "within": float(within.mean()),
        "between": float(between.mean()),
        "cohens_d": float(d),
        "t": float(t),
        "p_value": float(2 * stats.t.sf(abs(t), freedom)),
        "d_samples": float(d_samples),
        "p_samples": float(2 * stats.t.sf(abs(d_samples) * np.sqrt(n), n - 1)),
    }


def three_way_splits(
    n_samples: int, *, groups: Any = None, n_trials: int = 10, random_state: int = 0
) -> list[Split]:
    """Draw 60/20/20 splits: positions of training, validation and test samples, with no group in two parts.

    Without `groups` every sample is on its own, as in the paper, and two samples of one donor may stand on
    both sides. The first k splits do not depend on `n_trials`.
    """
    names = np.arange(n_samples) if groups is None else np.asarray(groups).ravel()
    if len(names) != n_samples:
        raise ValueError(f"groups must name a group for each of {n_samples} samples, but {len(names)} came.")
    splits = []
    for trial in range(n_trials):
        seed = [random_state, trial]
        rest, test = grouped_split(names, test_fraction=0.2, random_state=np.random.default_rng(seed))
        inner, held = grouped_split(
            names[rest], test_fraction=0.25, random_state=np.random.default_rng([*seed, 1])
        )
        training, validation = rest[inner], rest[held]
        check_disjoint(rest, test, names)
        check_disjoint(training, validation, names)
        splits.append((training, validation, test))
    return splits


def fit_classifier(classifier: Any, X: Any, labels: npt.NDArray[np.str_], split: Split, seed: int) -> Any:
    """Fit a clone on the training part; it sees the validation part only if its `fit` asks for one."""
    training, validation, _ = split
    model = clone(classifier)
    seeds = {name: seed for name in model.get_params() if name.split("__")[-1] == "random_state"}
    model.set_params(**seeds)
    if "X_val" in inspect.signature(model.fit).parameters:
        return model.fit(
            _take(X, training), labels[training], X_val=_take(X, validation), y_val=labels[validation]
        )
    return model.fit(_take(X, training), labels[training])


def _take(X: Any, rows: npt.NDArray[np.int64]) -> Any:
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else np.asarray(X)[rows]


def classification_trials(
    systems: Mapping[str, tuple[Any, Any]], labels: Any, splits: Sequence[Split], *, first_split: int = 0
) -> pd.DataFrame:
    """Score systems, (X, unfitted classifier) by name, on the same splits: F1 of every type, and their mean.

    A clone is fitted on the training part. The validation part goes to classifiers whose `fit` takes `X_val`
    and `y_val`, and to no other. Every ``random_state`` is set to the number of the split. One row per split,
    method and label: split, method, label, score (F1), n_test. The label ``"macro"`` is the mean over the
    types of the test part.
    """
    records = []
    for name, (X, classifier) in systems.items():
        types = _labels(labels, len(X))
        for number, split in enumerate(splits, start=first_split):
            model = fit_classifier(classifier, X, types, split, number)
            truth, predicted = types[split[2]], model.predict(_take(X, split[2]))
            kinds, counts = np.unique(truth, return_counts=True)
            scores = f1_score(truth, predicted, labels=kinds, average=None, zero_division=0.0)
            rows = [*zip(kinds.tolist(), scores, counts, strict=True), (MACRO, scores.mean(), len(truth))]
            records += [
                {"split": number, "method": name, "label": label, "score": float(score), "n_test": int(n)}
                for label, score, n in rows
            ]
    return pd.DataFrame.from_records(records)


def macro_scores(trials: pd.DataFrame) -> pd.DataFrame:
    """Macro-F1 by split and method: what `latentgenomes.core.compare.paired_differences` takes."""
    rows = trials[trials["label"] == MACRO]
    return rows[["split", "method", "score"]].reset_index(drop=True)


def f1_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean F1 over the splits: one row per label, macro last, and one column per method."""
    table = trials.pivot_table(index="label", columns="method", values="score", aggfunc="mean", observed=True)
    labels = [label for label in table.index if label != MACRO]
    return table.loc[[*labels, MACRO], list(dict.fromkeys(trials["method"]))].rename_axis(columns=None)


def paper_trials(
    inputs: Mapping[str, Any],
    labels: Any,
    *,
    groups: Any = None,
    class_weighted: bool = True,
    n_trials: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    """Run the published protocol: an MLP on each input, 60/20/20, ten trials on the same splits.

    The classifier is `MLPEnsembleClassifier` with its defaults: one hidden layer of 128, Adam at 1e-3,
    batches of 32, at most 50 epochs, early stopping on the validation part. `groups` keeps donors together;
    the paper does not say that it did. With `class_weighted` every type weighs the same in the loss (Table
    1), else every sample (Table 2). Narain et al. 2025, MutEmbed, ICLR 2025 Tiny Papers, appendix A.1.3.
    """
    n_samples = len(np.asarray(labels).ravel())
    splits = three_way_splits(n_samples, groups=groups, n_trials=n_trials, random_state=random_state)
    classifier = MLPEnsembleClassifier(class_weighted=class_weighted)
    return classification_trials({name: (X, classifier) for name, X in inputs.items()}, labels, splits)


def leave_project_out(
    systems: Mapping[str, tuple[Any, Any]], labels: Any, projects: Any, groups: Any, *, min_train: int = 20
) -> pd.DataFrame:
    """Score systems on samples of a project that they never saw: typing without the help of batch.

    Each project is held out once. A type is scored there if at least `min_train` of its samples are in other
    projects; the others of that project are not used in that round. A fifth of the remaining groups is the
    validation part. One row per project, method and label, with n_test and n_correct.
    """
    places, donors = np.asarray(projects).astype(str), np.asarray(groups).ravel()
    types = _labels(labels, len(places))
    rounds: list[tuple[str, Split]] = []
    for number, place in enumerate(np.unique(places)):
        outside = np.flatnonzero((places != place) & ~np.isin(donors, donors[places == place]))
        kinds, counts = np.unique(types[outside], return_counts=True)
        test = np.flatnonzero((places == place) & np.isin(types, kinds[counts >= min_train]))
        if len(test):
            inner, held = grouped_split(donors[outside], test_fraction=0.2, random_state=number)
            rounds.append((str(place), (outside[inner], outside[held], test)))
    if not rounds:
        raise ValueError(
            f"At least one type must have {min_train} samples outside one of its projects, but none has. "
            "Lower min_train."
        )
    records = []
    for name, (X, classifier) in systems.items():
        for number, (place, split) in enumerate(rounds):
            training, validation, test = split
            known = np.isin(types[validation], types[training])
            model = fit_classifier(classifier, X, types, (training, validation[known], test), number)
            right = model.predict(_take(X, test)) == types[test]
            for kind in np.unique(types[test]):
                own = types[test] == kind
                records.append(
                    {
                        "project": place,
                        "method": name,
                        "label": str(kind),
                        "n_test": int(own.sum()),
                        "n_correct": int(right[own].sum()),
                    }
                )
    return pd.DataFrame.from_records(records)


def project_recall(held_out: pd.DataFrame) -> pd.DataFrame:
    """Recall of every type over the projects of `leave_project_out`, and the mean, ``"macro"``, last."""
    sums = held_out.groupby(["method", "label"], sort=False).agg(
        n_projects=("project", "nunique"), n_test=("n_test", "sum"), n_correct=("n_correct", "sum")
    )
    table = sums.assign(recall=sums["n_correct"] / sums["n_test"]).drop(columns="n_correct").reset_index()
    means = table.groupby("method", sort=False).agg(
        n_projects=("n_projects", "max"), n_test=("n_test", "sum"), recall=("recall", "mean")
    )
    macro = means.assign(label=MACRO).reset_index()[table.columns]
    return pd.concat([table, macro], ignore_index=True).sort_values(
        "method", kind="stable", ignore_index=True
    )


def mean_attention(
    attention: npt.ArrayLike, labels: Any, profiles: Sequence[str], *, layer: int = 0
) -> pd.DataFrame:
    """Average attention (n_samples, n_layers, n_profiles, n_profiles) over the samples of each type.

    Attention says how much of one profile's value enters another's new row. It is not an importance: a row
    that is attended to may carry little, and a decoder may ignore it. Rows of a profile that a sample does
    not have are NaN. One row per type and pair of profiles: label, n_samples (that have the profile),
    profile, attends_to, weight (mean, NaN where n_samples is 0), sd (over samples).
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
