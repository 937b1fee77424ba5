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

    Parameters
    ----------
    embedding : array of shape (n_samples, n_features)
        Finite; not centred. A row of zeros has similarity 0 to all.
    labels : sequence of length n_samples
        Type of every sample.

    Returns
    -------
    pandas.DataFrame
        One row per type of at least 3 samples, sorted by name: label, n_samples, within and between (mean
        similarities), cohens_d, t, p_value (two-sided, unpaired, equal variances), p_adjusted (times the
        number of types, at most 1), stars (``***``, ``**``, ``*`` or "" for p_adjusted below .001, .01, .05),
        d_samples and p_samples (adjusted; one-sample t-test over samples).

    Raises
    ------
    ValueError
        If a value is not finite, labels are missing, or no type or only one has 3 samples.

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
    """Draw 60/20/20 splits into training, validation and test samples.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    groups : sequence of length n_samples, optional
        Group of every sample, such as its donor; no group is then in two parts. Without it every sample is on
        its own, as in the paper, and two samples of one donor may stand on both sides.
    n_trials : int
        Number of splits.
    random_state : int
        Seed of the first split; the others follow.

    Returns
    -------
    list of (training, validation, test)
        Positions of the samples of each part. The first k splits do not depend on `n_trials`.

    Raises
    ------
    ValueError
        If `groups` has another length, or see `latentgenomes.core.splits.grouped_split`.
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
    """Score systems on the same splits: F1 of every type, and their mean.

    Parameters
    ----------
    systems : mapping of str to (X, classifier)
        For every method its features, a table of one row per sample, and an unfitted classifier. A clone of
        it is fitted on the training part. The validation part goes to classifiers whose `fit` takes `X_val`
        and `y_val`, and to no other. Every ``random_state`` is set to the number of the split.
    labels : sequence of length n_samples
        Type of every sample.
    splits : sequence of (training, validation, test)
        Such as from `three_way_splits`.
    first_split : int
        Number of the first split; the others follow.

    Returns
    -------
    pandas.DataFrame
        One row per split, method and label: split, method, label, score (F1), n_test. The label ``"macro"``
        is the mean over the types of the test part.

    Raises
    ------
    ValueError
        If a table has another number of rows, or labels are missing.
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

    The classifier is `MLPEnsembleClassifier` with its defaults: one hidden
    layer of 128, Adam at 1e-3, batches of 32, at most 50 epochs, early stopping on the validation part.

    Parameters
    ----------
    inputs : mapping of str to table of shape (n_samples, n_features)
        Embeddings or features by name.
    labels : sequence of length n_samples
        Type of every sample.
    groups : sequence of length n_samples, optional
        Donor of every sample, to keep donors together. The paper does not say that it did.
    class_weighted : bool
        Let every type weigh the same in the loss (Table 1), or every sample (Table 2).
    n_trials, random_state : int
        See `three_way_splits`.

    Returns
    -------
    pandas.DataFrame
        See `classification_trials`.

    References
    ----------
    Narain et al. 2025, MutEmbed, ICLR 2025 Tiny Papers, appendix A.1.3.
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
    validation part.

    Parameters
    ----------
    systems : mapping of str to (X, classifier)
        See `classification_trials`.
    labels, projects, groups : sequence of length n_samples
        Type, project and donor of every sample.
    min_train : int
        Fewest samples of a type outside the project.

    Returns
    -------
    pandas.DataFrame
        One row per project, method and label: project, method, label, n_test, n_correct. See
        `project_recall`.

    Raises
    ------
    ValueError
        If no type is in two projects with enough samples.
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
    """Recall of every type over its held-out projects, and the mean over types.

    Parameters
    ----------
    held_out : pandas.DataFrame
        From `leave_project_out`.

    Returns
    -------
    pandas.DataFrame
        One row per method and label, ``"macro"`` last: method, label, n_projects, n_test, recall.
    """
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
