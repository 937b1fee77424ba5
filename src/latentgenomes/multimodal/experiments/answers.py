"""What the tumour classifier answers where it was not trained: other donors, other projects, other types.

Every round fits on its training part alone, landmarks, calibration and threshold included.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.core.splits import grouped_split
from latentgenomes.multimodal.data.profiles import PAPER_ORGANS, PAPER_SUBTYPES, SEPARATOR, SV_FILE
from latentgenomes.multimodal.data.reduction import TYPING_PROFILES, load_typing_tumours
from latentgenomes.multimodal.evaluate.calibration import unknown_auroc
from latentgenomes.multimodal.evaluate.typing import three_way_splits
from latentgenomes.multimodal.models.typer import TumourClassifier
from latentgenomes.mutations.copynumber import SEGMENTS_FILE
from latentgenomes.mutations.pcawg import PCAWG_FILES, SAMPLE_SHEET

Rows = npt.NDArray[np.int64]

ALL = tuple(TYPING_PROFILES)
SHOWN: tuple[tuple[str, ...], ...] = (ALL, ("SBS96",))
N_SPLITS = 10
N_SMALL = 3  # splits of burden, curves and noise
MIN_TRAIN = 20  # tumours of a type in other projects, for it to be scored in a project
BURDENS = (10_000, 1_000, 200, 50)
PARTS = ("answers", "unknown", "burden", "curves")


class TypingCohort:
    """Tumours of one task: wide table of counts, types, subtypes, projects and donors, row by row."""

    def __init__(self, counts: pd.DataFrame, samples: pd.DataFrame, task: str = "organ") -> None:
        kinds = PAPER_ORGANS if task == "organ" else PAPER_SUBTYPES
        rows = np.flatnonzero(samples[task].isin(kinds))
        self.counts, own = counts.iloc[rows], samples.iloc[rows]
        self.types = own[task].astype(str).to_numpy()
        finer = own["histology"].astype(str).to_numpy()
        self.finer = (
            finer if task == "organ" else self.types + SEPARATOR + own["organ"].astype(str).to_numpy()
        )
        self.projects = own["project"].astype(str).to_numpy()
        self.donors = own["donor"].astype(str).to_numpy()

    def fit(
        self, rows: Rows, *, types: Any = None, shown: Sequence[Sequence[str]] = SHOWN
    ) -> TumourClassifier:
        """Train on some rows; `types` replaces those of the rows, and then there are no subtypes."""
        model = TumourClassifier(subsets=shown, n_components=16, random_state=0)
        return model.fit(
            self.counts.iloc[rows],
            self.types[rows] if types is None else types,
            subtypes=self.finer[rows] if types is None else None,
            projects=self.projects[rows],
            donors=self.donors[rows],
        )

    def answers(self, model: TumourClassifier, counts: pd.DataFrame, truth: Any) -> pd.DataFrame:
        """One row a tumour: type, predicted, probability, right, p_value, needed."""
        said = model.answer(counts)
        best = said.log_probability.argmax(axis=1)
        return pd.DataFrame(
            {
                "type": truth,
                "predicted": model.classes_[best],
                "probability": np.exp(said.log_probability.max(axis=1)),
                "right": model.classes_[best] == truth,
                "p_value": said.p_value,
                "needed": said.threshold,
            }
        )


def show_only(counts: pd.DataFrame, profiles: Sequence[str]) -> pd.DataFrame:
    """The table with all other profiles absent; tumours that lack all of these are left out."""
    hidden = ~counts.columns.str.partition(SEPARATOR).get_level_values(0).isin(profiles)
    return counts.mask(np.broadcast_to(hidden, counts.shape))


def project_rounds(cohort: TypingCohort) -> Iterator[tuple[str, Rows, Rows]]:
    """Name, training and test rows of every project that can be left out, as in `leave_project_out`."""
    for place in np.unique(cohort.projects):
        inside = cohort.projects == place
        outside = np.flatnonzero(~inside & ~np.isin(cohort.donors, cohort.donors[inside]))
        kinds, counts = np.unique(cohort.types[outside], return_counts=True)
        test = np.flatnonzero(inside & np.isin(cohort.types, kinds[counts >= MIN_TRAIN]))
        if len(test):
            yield str(place), outside, test


def all_answers(counts: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Answers on other donors (organs and subtypes) and other projects, from all profiles and from SBS96."""
    frames = []
    for task in ("organ", "subtype"):
        cohort = TypingCohort(counts, samples, task)
        splits = three_way_splits(len(cohort.types), groups=cohort.donors, n_trials=N_SPLITS)
        rounds = [("donor", str(number), split[0], split[2]) for number, split in enumerate(splits)]
        if task == "organ":
            rounds += [("project", *found) for found in project_rounds(cohort)]
        for protocol, name, train, test in rounds:
            model = cohort.fit(train)
            for shown in SHOWN:
                table = show_only(cohort.counts.iloc[test], shown)
                found = cohort.answers(model, table, cohort.types[test])
                frames.append(found.assign(task=task, protocol=protocol, round=name, shown="+".join(shown)))
    return pd.concat(frames, ignore_index=True)


def unknown_types(counts: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Each organ once unknown: how well low p-values tell its tumours from those of known organs.

    One row an organ: type, n_unknown, n_known, auroc, flagged (share of the unknown with p < .05) and
    flagged_known. The known ones are of other donors.
    """
    cohort, records = TypingCohort(counts, samples), []
    _, test = grouped_split(cohort.donors, test_fraction=0.2, random_state=0)
    for kind in np.unique(cohort.types):
        held = np.isin(np.arange(len(cohort.types)), test)
        known, unknown = np.flatnonzero(held & (cohort.types != kind)), np.flatnonzero(cohort.types == kind)
        model = cohort.fit(np.flatnonzero(~held & (cohort.types != kind)), shown=[ALL])
        value = model.answer(cohort.counts.iloc[np.r_[unknown, known]]).p_value
        is_new = np.arange(len(value)) < len(unknown)
        records.append(
            {
                "type": kind,
                "n_unknown": len(unknown),
                "n_known": len(known),
                "auroc": unknown_auroc(value, is_new),
                "flagged": float((value[is_new] < 0.05).mean()),
                "flagged_known": float((value[~is_new] < 0.05).mean()),
            }
        )
    return pd.DataFrame.from_records(records)


def thin(counts: pd.DataFrame, burden: int, seed: int) -> pd.DataFrame:
    """Keep small mutations at random until about `burden` substitutions are left; other profiles stay."""
    rng, found = np.random.default_rng([seed, burden]), counts.copy()
    share = np.minimum(burden / np.maximum(counts.filter(like="SBS96|").sum(axis=1).to_numpy(), 1), 1.0)
    for name in ("SBS96", "ID83", "DBS78"):
        own = counts.columns.str.startswith(f"{name}{SEPARATOR}")
        found.loc[:, own] = rng.binomial(counts.loc[:, own].to_numpy().astype(np.int64), share[:, None])
    return found


def burdens(counts: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Answers on test tumours thinned to few mutations, from all profiles and from SBS96."""
    cohort, frames = TypingCohort(counts, samples), []
    splits = three_way_splits(len(cohort.types), groups=cohort.donors, n_trials=N_SMALL)
    for number, (train, _, test) in enumerate(splits):
        model = cohort.fit(train)
        for burden in BURDENS:
            thinned = thin(cohort.counts.iloc[test], burden, number)
            for shown in SHOWN:
                found = cohort.answers(model, show_only(thinned, shown), cohort.types[test])
                frames.append(found.assign(burden=burden, round=number, shown="+".join(shown)))
    return pd.concat(frames, ignore_index=True)


def curves(counts: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Answers after training on fewer tumours, or with some labels wrong: kind (tumours, noise), amount."""
    cohort, frames = TypingCohort(counts, samples), []
    splits = three_way_splits(len(cohort.types), groups=cohort.donors, n_trials=N_SMALL)
    for number, (train, _, test) in enumerate(splits):
        rng = np.random.default_rng(number)
        shuffled, swapped = rng.permutation(train), rng.permutation(len(train))
        runs: list[tuple[str, float, Rows, Any]] = [
            ("tumours", share, np.sort(shuffled[: round(share * len(train))]), None)
            for share in (0.125, 0.25, 0.5, 1.0)
        ]
        for share in (0.0, 0.05, 0.1, 0.2):
            types = cohort.types[train].copy()
            wrong = swapped[: round(share * len(train))]
            types[wrong] = rng.choice(np.unique(types), size=len(wrong))
            runs.append(("noise", share, train, types))
        for kind, amount, rows, types in runs:
            model = cohort.fit(rows, types=types, shown=[ALL])
            found = cohort.answers(model, cohort.counts.iloc[test], cohort.types[test])
            frames.append(found.assign(kind=kind, amount=amount, round=number))
    return pd.concat(frames, ignore_index=True)


def against(scores: pd.DataFrame, baseline: pd.DataFrame, test_fraction: float = 0.2) -> pd.DataFrame:
    """Paired differences of two tables of split, method and score on the splits that both have."""
    shared = set(scores["split"]) & set(baseline["split"])
    both = pd.concat([baseline, scores], ignore_index=True)
    both = both[both["split"].isin(shared)]
    return paired_differences(both, baseline=str(baseline["method"].iloc[0]), test_fraction=test_fraction)


def write_answers(folder: str | Path, parts: Sequence[str] = PARTS) -> None:
    """Run parts of the evaluation and write their tables, ``typer_answers.csv`` and so on."""
    makers: dict[str, Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]] = {
        "answers": all_answers,
        "unknown": unknown_types,
        "burden": burdens,
        "curves": curves,
    }
    wrong = [part for part in parts if part not in makers]
    if wrong:
        raise ValueError(f"parts must be of {', '.join(PARTS)}, but {wrong[0]!r} came. Name some of these.")
    checksums = load_registry().set_index("name")["sha256"]
    files = [*PCAWG_FILES.values(), SAMPLE_SHEET, SEGMENTS_FILE, SV_FILE]
    counts, samples = load_typing_tumours()
    for part in parts:
        start = time.perf_counter()
        table = makers[part](counts, samples)
        write_results(
            table.round(4),
            Path(folder) / f"typer_{part}.csv",
            parameters={"splits": N_SPLITS, "few splits": N_SMALL, "least elsewhere": MIN_TRAIN},
            data={file: checksums[file] for file in files},
            seed=0,
            seconds=time.perf_counter() - start,
            code=[load_typing_tumours, makers[part]],
        )
