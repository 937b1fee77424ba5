"""Outcomes of patients: TCGA-CDR, METABRIC, and the exclusions that an outcome needs.

An outcome is a ``time`` in days, >= 0, and an ``event``: 1 where the event was seen at that time, 0 where the
patient was last seen without it. Every exclusion is counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.core.provenance import replacing
from latentgenomes.core.registry import available, data_folder, fetch

PREPARED_OUTCOMES = "prepared/tcga_cdr_survival.tsv.gz"
CLINICAL_FILE = "expression/clinical_survival_pancancer_atlas.RData"
METABRIC_FILE = "expression/metabric_IHC4_clinical_train_test.h5"
#: Overall survival, disease-specific survival, disease-free and progression-free interval.
ENDPOINTS = ("OS", "DSS", "DFI", "PFI")
METABRIC_COLUMNS = (
    "MKI67", "EGFR", "PGR", "ERBB2", "hormone_treatment", "radiotherapy", "chemotherapy", "er_positive",
    "age",
)  # fmt: skip
_DAYS_PER_MONTH = 30.4375
_RENAMED = {
    "bcr_patient_barcode": "patient",
    "acronym": "cancer",
    "age_at_initial_pathologic_diagnosis": "age",
}


@dataclass(frozen=True)
class Outcomes:
    """Patients with ``time`` (days, float64) and ``event`` (int64), and the number left out by reason."""

    table: pd.DataFrame
    excluded: pd.Series


def clean_outcomes(table: pd.DataFrame, *, min_patients: int = 20, min_events: int = 5) -> Outcomes:
    """Leave out patients without a usable outcome, one row each, and count them by reason: no time, then no
    event; a time of 0 stays. ValueError for a wrong value, or for fewer patients and events than splitting
    needs: five folds need 5 events at least.
    """
    missing = [name for name in ("time", "event") if name not in table]
    if missing:
        raise ValueError(
            f"outcomes must have the columns 'time' and 'event', but {missing[0]!r} is not among "
            f"{list_names(table.columns.tolist())}. Rename the column."
        )
    twice = table.index[table.index.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"outcomes must have one row a patient, but {len(twice)} come again: "
            f"{list_names(twice.tolist())}. Keep one row of each."
        )
    time, event = (pd.to_numeric(table[name]).astype(np.float64) for name in ("time", "event"))
    _refuse_values(time, (time < 0) | np.isinf(time), "times", "finite days >= 0", "Check the date of entry.")
    _refuse_values(
        event, event.notna() & ~event.isin([0, 1]), "events", "1 (seen) or 0 (censored)", "Recode them."
    )
    excluded = pd.Series(
        {"no time": time.isna().sum(), "no event status": (time.notna() & event.isna()).sum()}
    )
    kept = time.notna() & event.notna()
    n_events = int(event[kept].sum())
    if n_events == 0:
        raise ValueError(
            f"outcomes must hold at least one event, but none of the {kept.sum()} usable patients has one. "
            "Choose another endpoint, or check that 1 means that the event was seen."
        )
    if kept.sum() < min_patients or n_events < min_events:
        raise ValueError(
            f"A cohort must have {min_patients} patients and {min_events} events to be split, but it has "
            f"{kept.sum()} patients and {n_events} events. Join it with another one, or leave it out."
        )
    cleaned = table[kept].assign(time=time[kept], event=event[kept].astype(np.int64))
    return Outcomes(cleaned, excluded.astype(np.int64))


def _refuse_values(values: pd.Series, bad: pd.Series, name: str, rule: str, advice: str) -> None:
    if bad.any():
        raise ValueError(
            f"{name} must be {rule}, but {bad.sum()} of {len(bad)} are not; the first is "
            f"{values[bad].iloc[0]:g} of patient {bad.index[bad][0]!r}. {advice}"
        )


def r_attributes(value: Any) -> Iterator[tuple[bytes, Any]]:
    """Name and value of every attribute of an object of `rdata.parser`."""
    node = value.attributes
    while node is not None and node.tag is not None:
        symbol = node.tag.referenced_object or node.tag
        yield symbol.value.value, node.value[0]
        node = node.value[1]


def read_clinical(path: Path) -> pd.DataFrame:
    """Patient, cancer, age, gender and the four endpoints of TCGA-CDR's R file: only these of 748 columns."""
    frame: Any = require("rdata", "expression").parser.parse_file(path).object.value[0]
    names = [item.value.decode("latin-1") for item in dict(r_attributes(frame))[b"names"].value]
    wanted = [*_RENAMED, "gender", *ENDPOINTS, *(f"{endpoint}.time" for endpoint in ENDPOINTS)]
    return pd.DataFrame(
        {_RENAMED.get(name, name): _r_vector(frame.value[names.index(name)]) for name in wanted}
    )


def _r_vector(vector: Any) -> list[Any]:
    """Python values of an R vector of numbers or texts; None where NA."""
    if isinstance(vector.value, np.ma.MaskedArray):
        return [None if value is np.ma.masked else value.item() for value in vector.value]
    values = [getattr(item, "value", item) for item in vector.value]
    return [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]


def _converted() -> pd.DataFrame:
    """The table from the R file, or from an earlier conversion, which takes minutes."""
    path = data_folder() / "converted" / "tcga-cdr-1.tsv"
    if not path.is_file():
        table = read_clinical(fetch(CLINICAL_FILE))
        with replacing(path) as part:
            table.to_csv(part, sep="\t", index=False)
    return pd.read_csv(path, sep="\t")


def load_tcga_outcomes(endpoint: str = "OS") -> pd.DataFrame:
    """Outcomes of 11,165 TCGA patients of 32 cancers, as curated in TCGA-CDR; 209 patients name no cancer.

    Columns: ``cancer``, ``age`` (years), ``gender``, ``time`` (days) and ``event``; NaN where there is none.
    Pass them to `clean_outcomes`. Without the prepared table the R file is read, the first time in a minute
    or more.

    References
    ----------
    Liu et al. 2018, Cell 173:400-416.
    """
    if endpoint not in ENDPOINTS:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}, but it is {endpoint!r}. Name one.")
    known = available(PREPARED_OUTCOMES)
    table = pd.read_csv(fetch(PREPARED_OUTCOMES), sep="\t") if known else _converted()
    table = table.rename(columns={endpoint: "event", f"{endpoint}.time": "time"}).set_index("patient")
    columns = table[["cancer", "age", "gender", "time", "event"]]
    return columns.astype({"age": "float64", "time": "float64", "event": "float64"})


def load_metabric() -> pd.DataFrame:
    """METABRIC: 1,904 breast cancers, four genes and five clinical variables, 1,103 deaths.

    `METABRIC_COLUMNS`, then ``time`` (days), ``event`` and ``part`` ("train" or "test", the published split).

    References
    ----------
    Curtis et al. 2012, Nature 486:346-352; split and variables of Katzman et al. 2018, BMC Med Res Methodol
    18:24.
    """
    parts = []
    with require("h5py", "expression").File(fetch(METABRIC_FILE)) as file:
        for part in ("train", "test"):
            table = pd.DataFrame(file[part]["x"][:].astype(np.float64), columns=list(METABRIC_COLUMNS))
            times = file[part]["t"][:].astype(np.float64) * _DAYS_PER_MONTH
            parts.append(table.assign(time=times, event=file[part]["e"][:].astype(np.int64), part=part))
    whole = pd.concat(parts, ignore_index=True)
    return whole.set_axis([f"MB{number:04d}" for number in range(1, len(whole) + 1)], axis=0)
