"""Systems that tell tumour types, side by side on the same splits; every finished cell is kept.

A cell is one system on one split. With a folder it is written there, with the checksum of the data and of the
code that trains, so that a run that was stopped goes on and no other code's result is taken.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import replacing
from latentgenomes.core.splits import grouped_split
from latentgenomes.multimodal.data.profiles import load_muat_split
from latentgenomes.multimodal.evaluate.typing import (
    Split,
    classification_trials,
    cosine_separation,
    fit_classifier,
    leave_project_out,
    macro_scores,
    three_way_splits,
)
from latentgenomes.multimodal.experiments.typing import EMBEDDERS, SYSTEMS, Rows, Tumours, kept_by

PROTOCOLS = ("donor", "random")
TEST_FRACTION = 0.2
BASELINE = "concat"
MUAT_ROUNDS = 3  # seeds of the classifier on MuAt's one split


def compare_typing(
    tumours: Tumours,
    methods: Sequence[str],
    *,
    task: str = "organ",
    protocol: str = "donor",
    n_splits: int = 10,
) -> pd.DataFrame:
    """Score systems on the same 60/20/20 splits, for the paper's 15 organs or 11 subtypes.

    By protocol, the tumours of a donor stay together, or stand anywhere ("random"), as in the paper. The
    first k splits do not depend on `n_splits`. One row per split, method and label: task, protocol, split,
    method, label, score (F1), n_test, seconds (CPU, of training and scoring the classifier; embeddings that
    are learned once are not in it).
    """
    _refuse_unknown("methods", methods, SYSTEMS)
    _refuse_unknown("task", [task], ("organ", "subtype"))
    _refuse_unknown("protocol", [protocol], PROTOCOLS)
    rows = tumours.rows(task)
    samples = tumours.samples.iloc[rows]
    groups = samples["donor"].to_numpy() if protocol == "donor" else None
    splits = three_way_splits(len(rows), groups=groups, n_trials=n_splits)
    frames = []
    for method in methods:
        for number, split in enumerate(splits):
            cell = f"{task}-{protocol}-{method}-{number}"
            frame = _kept(tumours, cell, method, lambda m=method, s=split, n=number: _trial(  # type: ignore[misc]
                tumours, m, rows, samples[task].to_numpy(), s, n
            ))  # fmt: skip
            frames.append(frame.assign(task=task, protocol=protocol))
    table = pd.concat(frames, ignore_index=True)
    return table[["task", "protocol", "split", "method", "label", "score", "n_test", "seconds"]]


def _trial(
    tumours: Tumours, method: str, rows: Rows, labels: np.ndarray, split: Split, number: int
) -> pd.DataFrame:
    system = SYSTEMS[method]
    features = system.features(tumours, rows[split[0]] if system.own_rows else None)
    given = {method: (_take(features, rows), system.classifier)}
    start = time.process_time()
    frame = classification_trials(given, labels, [split], first_split=number)
    return frame.assign(seconds=time.process_time() - start)


def differences(trials: pd.DataFrame, *, baseline: str = BASELINE) -> pd.DataFrame:
    """Paired differences of macro-F1 to a baseline (corrected resampled t-test), by task and protocol.

    Where a method and the baseline were not run on the same splits, those that both have are taken; a method
    with fewer than two of them is left out.
    """
    frames = []
    for (task, protocol), part in trials.groupby(["task", "protocol"], sort=False):
        scores = macro_scores(part)
        reference = scores[scores["method"] == baseline]
        first = True
        for method, own in scores.groupby("method", sort=False):
            if method == baseline:
                continue
            shared = set(reference["split"]) & set(own["split"])
            if len(shared) < 2:
                continue
            both = pd.concat([reference, own], ignore_index=True)
            both = both[both["split"].isin(shared)]
            found = paired_differences(both, baseline=baseline, test_fraction=TEST_FRACTION)
            found = found if first else found[found["method"] != baseline]
            frames.append(found.assign(task=str(task), protocol=str(protocol)))
            first = False
    return pd.concat(frames, ignore_index=True)


def hold_out_projects(tumours: Tumours, methods: Sequence[str]) -> pd.DataFrame:
    """Recall of organs in projects that a system never saw: see `leave_project_out`."""
    _refuse_unknown("methods", methods, SYSTEMS)
    rows = tumours.rows("organ")
    samples = tumours.samples.iloc[rows]
    frames = []
    for method in methods:

        def compute(name: str = method) -> pd.DataFrame:
            given = {name: (_take(SYSTEMS[name].features(tumours, None), rows), SYSTEMS[name].classifier)}
            return leave_project_out(given, samples["organ"], samples["project"], samples["donor"])

        frames.append(_kept(tumours, f"projects-{method}", method, compute))
    return pd.concat(frames, ignore_index=True)


def score_muat(tumours: Tumours, methods: Sequence[str]) -> pd.DataFrame:
    """Scores on MuAt's published split: 1449 open samples to train on, 363 to test, 17 types.

    A quarter of the training donors stop the training of networks. Donors are not all on one side of the
    published split: ``n_shared`` counts the test samples whose donor is also among the training samples. One
    row per method and round (seed). Sanjaya et al. 2023, Genome Med 15:47.
    """
    _refuse_unknown("methods", methods, SYSTEMS)
    published = load_muat_split().reindex(tumours.samples["aliquot"])
    rows = np.flatnonzero(published["part"].notna())
    types = published["cancer_type"].to_numpy()[rows].astype(str)
    donors = tumours.samples["donor"].to_numpy()[rows]
    known = published["part"].to_numpy()[rows] == "training"
    train, test = np.flatnonzero(known), np.flatnonzero(~known)
    shared = int(np.isin(donors[test], donors[train]).sum())
    frames = []
    for method in methods:

        def compute(name: str = method) -> pd.DataFrame:
            system, records = SYSTEMS[name], []
            features = _take(system.features(tumours, None), rows)
            for seed in range(MUAT_ROUNDS):
                inner, held = grouped_split(donors[train], test_fraction=0.25, random_state=seed)
                split = (train[inner], train[held], test)
                model = fit_classifier(system.classifier, features, types, split, seed)
                predicted = model.predict(_take(features, test))
                records.append(
                    {
                        "method": name,
                        "round": seed,
                        "accuracy": accuracy_score(types[test], predicted),
                        "macro_f1": f1_score(types[test], predicted, average="macro"),
                        "n_train": len(train),
                        "n_test": len(test),
                        "n_shared": shared,
                    }
                )
            return pd.DataFrame(records)

        frames.append(_kept(tumours, f"muat-{method}", method, compute))
    return pd.concat(frames, ignore_index=True)


def hide_profiles(tumours: Tumours, methods: Sequence[str], *, n_splits: int = 3) -> pd.DataFrame:
    """Macro-F1 over organs when test tumours show only some of their profiles.

    Systems are trained on tumours as they are. Then every set of one to all profiles is shown in turn, to the
    test tumours that have all of them; the others are made absent.
    """
    _refuse_unknown("methods", methods, SYSTEMS)
    rows = tumours.rows("organ")
    samples = tumours.samples.iloc[rows]
    splits = three_way_splits(len(rows), groups=samples["donor"].to_numpy(), n_trials=n_splits)
    frames = []
    for method in methods:
        for number, split in enumerate(splits):

            def compute(name: str = method, n: int = number, s: Split = split) -> pd.DataFrame:
                return _hidden(tumours, name, rows, s, n)

            frames.append(_kept(tumours, f"hidden-{method}-{number}", method, compute))
    return pd.concat(frames, ignore_index=True)


def _hidden(tumours: Tumours, method: str, rows: Rows, split: Split, number: int) -> pd.DataFrame:
    system, labels = SYSTEMS[method], tumours.samples["organ"].to_numpy()[rows].astype(str)
    features = _take(system.features(tumours, None), rows)
    model = fit_classifier(system.classifier, features, labels, split, number)
    whole = ~tumours.counts.iloc[rows[split[2]]].isna().any(axis=1).to_numpy()
    test = split[2][whole]
    records: list[dict[str, object]] = []
    names = list(tumours.profiles)
    for size in range(1, len(names) + 1):
        for shown in combinations(names, size):
            counts = tumours.counts.copy()
            for name in set(names) - set(shown):
                counts.iloc[rows[test], tumours.profiles[name]] = np.nan
            masked = Tumours(counts, tumours.samples, _fitted=_embedders(tumours, method))
            predicted = model.predict(_take(_take(system.features(masked, None), rows), test))
            score = f1_score(labels[test], predicted, average="macro", zero_division=0.0)
            records.append(
                {
                    "method": method,
                    "split": number,
                    "shown": "+".join(shown),
                    "n_shown": size,
                    "score": float(score),
                    "n_test": len(test),
                }
            )
    return pd.DataFrame(records)


def _embedders(tumours: Tumours, method: str) -> dict[str, Any]:
    """The embedding behind a system, as it was fitted on whole tumours."""
    return {name: tumours.embedder(name) for name in EMBEDDERS if method.startswith(name)}


def restore_profiles(tumours: Tumours, name: str = "dae") -> pd.DataFrame:
    """Share of a profile's variance that an embedding of another restores, over tumours that have both.

    The embedding was fitted on the same tumours.
    """
    _refuse_unknown("name", [name], EMBEDDERS)
    model, columns = tumours.embedder(name), tumours.profiles
    parts = model._feature_parts()
    widths = np.cumsum([0, *model.feature_lengths_])
    blocks = {p: slice(int(widths[i]), int(widths[i + 1])) for i, p in enumerate(columns)}
    truth = (tumours.features(parts) - model.mean_) / model.scale_
    records = []
    for given in columns:
        counts = tumours.counts.copy()
        for other in set(columns) - {given}:
            counts.iloc[:, columns[other]] = np.nan
        seen = ~counts.isna().all(axis=1).to_numpy()
        restored = np.full_like(truth, np.nan)
        again = model.inverse_transform(model.transform(counts[seen]))
        restored[seen] = (again - model.mean_) / model.scale_
        for other, block in blocks.items():
            both = seen & ~np.isnan(truth[:, block]).any(axis=1)
            error = np.square(truth[both, block] - restored[both, block]).sum()
            total = np.square(truth[both, block] - truth[both, block].mean(axis=0)).sum()
            records.append(
                {
                    "given": given,
                    "restored": other,
                    "explained": float(1 - error / total),
                    "n_samples": int(both.sum()),
                }
            )
    return pd.DataFrame(records)


def separations(
    tumours: Tumours, names: Sequence[str] = ("mutembed", "pca_frequency", "dae")
) -> pd.DataFrame:
    """Cohen's d of cosine similarity within and between organs; ``frequency`` is no embedding."""
    frames = []
    for name in (*names, "frequency"):
        table = (
            tumours.features(("frequency",)) if name == "frequency" else SYSTEMS[name].features(tumours, None)
        )
        found = cosine_separation(np.nan_to_num(table), tumours.samples["organ"])
        frames.append(found.assign(embedding=name))
    return pd.concat(frames, ignore_index=True)


def training_costs(tumours: Tumours) -> pd.DataFrame:
    """CPU seconds, and peak memory of the whole process, of every kept embedding of all tumours."""
    records: list[dict[str, object]] = []
    for name in EMBEDDERS:
        path = None if tumours.folder is None else tumours.folder / f"{name}.json"
        if path is not None and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            cost = {key: kept[key] for key in ("cpu_seconds", "peak_megabytes")}
            records.append({"embedding": name, "n_samples": len(tumours.counts)} | cost)
    return pd.DataFrame(records)


def _take(features: Any, rows: Rows) -> Any:
    return features.iloc[rows] if isinstance(features, pd.DataFrame) else features[rows]


def finished_splits(tumours: Tumours, method: str, task: str, protocol: str, n_splits: int) -> int:
    """Number of splits, from the first on without a gap, whose cells of a comparison are kept."""
    numbers = range(n_splits)
    names = [f"{task}-{protocol}-{method}-{number}" for number in numbers]
    return next((n for n in numbers if _read(tumours, names[n], method) is None), n_splits)


def finished_methods(tumours: Tumours, kind: str, methods: Sequence[str]) -> list[str]:
    """Methods whose cell of a kind, "projects" or "muat", or first cell of "hidden", is kept."""
    ending = "-0" if kind == "hidden" else ""
    return [m for m in methods if _read(tumours, f"{kind}-{m}{ending}", m) is not None]


def _read(tumours: Tumours, cell: str, method: str) -> pd.DataFrame | None:
    """A kept cell; None where there is none of this data, code and settings."""
    path = None if tumours.folder is None else Path(tumours.folder) / f"{cell}.json"
    if path is None or not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(kept["rows"]) if kept["key"] == kept_by(method, tumours) else None


def _kept(tumours: Tumours, cell: str, method: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Read a finished cell, or compute and write it."""
    found = _read(tumours, cell, method)
    if found is not None:
        return found
    frame = compute()
    if tumours.folder is not None:
        with replacing(Path(tumours.folder) / f"{cell}.json") as temporary:
            rows = json.loads(frame.to_json(orient="records", double_precision=15))
            text = json.dumps({"key": kept_by(method, tumours), "rows": rows})
            temporary.write_text(text, encoding="utf-8")
    return frame


def _refuse_unknown(name: str, given: Sequence[str], known: Any) -> None:
    unknown = [value for value in given if value not in known]
    if unknown or not given:
        raise ValueError(
            f"{name} must be of {', '.join(known)}, but {', '.join(map(repr, unknown)) or 'none'} came. "
            "Name some of these."
        )
