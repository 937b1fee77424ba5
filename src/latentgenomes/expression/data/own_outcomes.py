"""A reader's own outcomes: time and event of each patient, beside a matrix of expression."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.expression.data.cohorts import ExpressionData

DAYS = {"days": 1.0, "months": 30.4375, "years": 365.25}
FEWEST_EVENTS, FEWEST_PATIENTS = 20, 40
_TIMES = (
    "time",
    "os.time",
    "os_time",
    "os_months",
    "os_days",
    "survival_time",
    "survival_days",
    "survival_months",
)
_EVENTS = ("event", "os", "os.event", "os_event", "os_status", "status", "vital_status", "dead", "death")
_SEEN = {"1", "1.0", "true", "yes", "dead", "deceased", "1:deceased", "event"}
_CENSORED = {"0", "0.0", "false", "no", "alive", "living", "0:living", "censored"}


@dataclass(frozen=True)
class Followed:
    """Patients that have both expression and an outcome, in one order: `values`, (n, p), ``time`` (days) and
    ``event`` in `outcomes`, and notes of who was left out.
    """

    values: pd.DataFrame
    outcomes: pd.DataFrame
    notes: tuple[str, ...]


def read_outcomes(
    path: str | Path, *, time: str = "", event: str = "", unit: str = "days"
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Outcomes of a table with one row a patient, named in the first column: ``time`` in days and ``event``,
    1 where it was seen and 0 where the patient was last seen without it; and notes. `time` and `event` name
    the columns, which are else found by their usual names; `unit` is that of the times. Patients
    with no time or event are left out and named.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no file or no such column, a patient comes twice, a time is not above 0, or an event is
        neither seen nor censored.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"--outcome must be a file, but there is none at {path}. Check the spelling.")
    if unit not in DAYS:
        raise ValueError(f"--unit must be one of {', '.join(DAYS)}, but it is {unit!r}. Name one.")
    try:
        table = pd.read_csv(path, sep=None, engine="python", index_col=0, dtype=str, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f"{path.name} must be a CSV or TSV table, but it is not: {error}. Export it so."
        ) from error
    names = [
        _column(table, path, given, usual, f"--{word}")
        for given, usual, word in ((time, _TIMES, "time"), (event, _EVENTS, "event"))
    ]
    patients = table.index.astype(str).str.strip()
    twice = patients[patients.duplicated()].unique().tolist()
    if twice:
        raise ValueError(
            f"{path.name} must have one row a patient, but {len(twice)} come again: {list_names(twice)}. "
            "Keep one row of each."
        )
    times = pd.Series(_numbers(table[names[0]], path, names[0]), index=patients) * DAYS[unit]
    events = pd.Series(_events(table[names[1]], path, names[1]), index=patients)
    notes = [f"outcome: time {names[0]} ({unit}), event {names[1]}"]
    lost = times.isna() | events.isna()
    if lost.any():
        who = list_names(patients[lost.to_numpy()].tolist())
        notes.append(f"{lost.sum()} patients left out: no time or no event ({who})")
    bad = times[~lost & ~(times > 0)]
    if len(bad):
        raise ValueError(
            f"Times must be above 0, but {len(bad)} of {len(times)} are not; the first is {bad.iloc[0]:g} of "
            f"patient {bad.index[0]!r}. Check the date of entry, or leave these patients out: "
            f"{list_names(bad.index.tolist())}."
        )
    outcomes = pd.DataFrame({"time": times, "event": events})[~lost]
    return outcomes.astype({"event": np.int64}), tuple(notes)


def _column(table: pd.DataFrame, path: Path, given: str, usual: tuple[str, ...], option: str) -> str:
    """Name of a column as given, or by a usual name."""
    known = {str(name).strip().lower(): str(name) for name in table.columns}
    for name in [given.lower()] if given else usual:
        if name in known:
            return known[name]
    wanted = repr(given) if given else f"a column such as {usual[0]!r}"
    raise ValueError(
        f"{path.name} must have {wanted}, but its columns are {list_names(list(table.columns))}. Name it "
        f"with {option}."
    )


def _numbers(column: pd.Series, path: Path, name: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    text = values.isna() & column.notna()
    if text.any():
        raise ValueError(
            f"Column {name!r} of {path.name} must hold numbers, but {column[text].iloc[0]!r} stands at "
            f"patient {column.index[text][0]!r}. Correct it, or leave it empty."
        )
    return np.where(np.isfinite(values), values, np.nan)


def _events(column: pd.Series, path: Path, name: str) -> np.ndarray:
    words = column.str.strip().str.lower()
    found = np.where(words.isin(_SEEN), 1.0, np.where(words.isin(_CENSORED), 0.0, np.nan))
    strange = np.isnan(found) & column.notna().to_numpy()
    if strange.any():
        raise ValueError(
            f"Events must be 1 (seen) or 0 (censored), but column {name!r} of {path.name} has "
            f"{strange.sum()} other values; the first is {column[strange].iloc[0]!r} of patient "
            f"{column.index[strange][0]!r}. Recode them."
        )
    return found


def follow(data: ExpressionData, outcomes: pd.DataFrame, notes: tuple[str, ...] = ()) -> Followed:
    """Join expression and outcomes by the name of the patient, never by position; where no name is shared, by
    the patient in TCGA barcodes. Who stands in one of the two alone is counted and named. ValueError if
    nobody is shared, all are censored, or there are too few patients or events to judge a model.
    """
    said = [*notes]
    values = data.values.set_axis(data.values.index.astype(str), axis=0)
    if not values.index.isin(outcomes.index).any():
        short = values.index.str.replace(".", "-").str[:12]
        if short.is_unique and short.isin(outcomes.index).any():
            values = values.set_axis(short, axis=0)
            said.append("patients matched by the first 12 characters of their barcodes")
    shared = values.index[values.index.isin(outcomes.index)]
    for word, own, other in (
        ("the matrix", values.index, outcomes.index),
        ("the outcomes", outcomes.index, values.index),
    ):
        alone = own[~own.isin(other)].tolist()
        if alone:
            said.append(f"{len(alone)} patients left out: in {word} alone ({list_names(alone)})")
    if not len(shared):
        here, there = (list_names(own[:2].tolist()) for own in (values.index, outcomes.index))
        raise ValueError(
            f"Matrix and outcomes must share patients, but none of {len(values)} ({here}, ...) is among "
            f"{len(outcomes)} ({there}, ...). Give both the same names."
        )
    kept = outcomes.loc[shared]
    n_events = int(kept["event"].sum())
    if not n_events:
        raise ValueError(
            f"Some events must be seen, but all {len(kept)} patients are censored. Check that 1 means that "
            "the event was seen."
        )
    if n_events < FEWEST_EVENTS or len(kept) < FEWEST_PATIENTS:
        raise ValueError(
            f"A judged model of survival needs {FEWEST_PATIENTS} patients and {FEWEST_EVENTS} events, "
            f"but there are {len(kept)} patients with {n_events} events. Add patients, or choose an endpoint "
            "with more events."
        )
    return Followed(values.loc[shared], kept, tuple(said))
