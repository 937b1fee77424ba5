"""Expression of genes: TCGA miRNA, 11 cancers with paired normals, 13 cohorts of z-scores.

Tables have samples in rows and genes in columns, and are aligned by label. What a loader left out or changed
is counted in `ExpressionData.notes`.

The miRNAs of TCGA are 34 R files, made into one table once. They hold three rows a sample (read count, reads
per million, cross-mapped), every column a factor whose levels are texts. Only the rows of reads per million
are read, as log2(RPM + 1). A cohort lacks the columns of miRNAs that its annotation did not name: they are
NaN there, not 0.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.core.registry import available, data_folder, fetch
from latentgenomes.expression.data.outcomes import load_tcga_outcomes, r_attributes

MIRNA_COHORTS = (
    "ACC", "BLCA", "BRCA", "CESC", "CHOL", "COAD", "DLBC", "ESCA", "FPPP", "GBM", "HNSC", "KICH", "KIRC",
    "KIRP", "LAML", "LGG", "LIHC", "LUAD", "LUSC", "MESO", "OV", "PAAD", "PCPG", "PRAD", "READ", "SARC",
    "SKCM", "STAD", "TGCT", "THCA", "THYM", "UCEC", "UCS", "UVM",
)  # fmt: skip
PREPARED_MATRIX = "prepared/tcga_mirna_log2rpm.npz"
PREPARED_SAMPLES = "prepared/tcga_mirna_meta.tsv.gz"
_UNIT_ROW = "reads_per_million_miRNA_mapped"


def mirna_file(cohort: str) -> str:
    """Name in the registry of a cohort's file."""
    return f"expression/rtcga_mirna/{cohort}.miRNASeq.rda"


def _texts(vector: Any) -> list[str]:
    return [item.value.decode("ascii") for item in vector.value]


def _factor(column: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes from 0 and the texts that they stand for."""
    return np.asarray(column.value, dtype=np.int64) - 1, _texts(dict(r_attributes(column))[b"levels"])


def read_mirna_cohort(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values, log2(RPM + 1) rounded to half precision, and ``barcode`` and ``platform`` of one cohort's R
    file. rdata's own conversion builds a pandas categorical for each of about 1,000 columns, which takes
    minutes; here its parser alone is used, and of every factor only the texts that are needed are read as
    numbers.
    """
    frame = require("rdata", "expression").parser.parse_file(path).object.value[0]
    attributes = dict(r_attributes(frame))
    columns = dict(zip(_texts(attributes[b"names"]), frame.value, strict=True))
    codes, kinds = _factor(columns.pop("miRNA_ID"))
    rows = np.flatnonzero(codes == kinds.index(_UNIT_ROW))
    codes, machines = _factor(columns.pop("machine"))
    platforms = ["GA" if "Genome Analyzer" in machines[codes[row]] else "HiSeq" for row in rows]
    # R makes repeated row names unique with .1, .2; a barcode has 28 characters.
    barcodes = [name[:28] for name in _texts(attributes[b"row.names"])]
    rpm = np.empty((len(rows), len(columns)), dtype=np.float64)
    for position, column in enumerate(columns.values()):
        codes, levels = _factor(column)
        rpm[:, position] = [float(levels[code]) for code in codes[rows]]
    values = np.log2(rpm + 1).astype(np.float16).astype(np.float32)
    samples = pd.DataFrame({"barcode": [barcodes[row] for row in rows], "platform": platforms})
    return pd.DataFrame(values, columns=list(columns)), samples


def _convert(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    values, samples = [], []
    for cohort in cohorts:
        frame, about = read_mirna_cohort(fetch(mirna_file(cohort)))
        values.append(frame)
        samples.append(about.assign(cohort=cohort))
    table = pd.concat(values, ignore_index=True)  # a miRNA that a cohort lacks becomes NaN
    return table[sorted(table.columns)], pd.concat(samples, ignore_index=True)


def _write(path: Path, values: pd.DataFrame, samples: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {str(name): samples[name].to_numpy(dtype=np.str_) for name in samples}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        part = Path(folder) / path.name
        np.savez_compressed(
            part, X=values.to_numpy(dtype=np.float16), genes=values.columns.to_numpy(dtype=np.str_), **arrays
        )
        os.replace(part, path)


def _converted(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of the cohorts from the R files, or from the cache of an earlier conversion."""
    name = "all" if tuple(cohorts) == MIRNA_COHORTS else "-".join(cohorts)
    path = data_folder() / "converted" / f"mirna-1-{name}.npz"
    if not path.is_file():
        _write(path, *_convert(cohorts))
    with np.load(path, allow_pickle=False) as file:
        values = pd.DataFrame(file["X"].astype(np.float32), columns=file["genes"].tolist())
        samples = pd.DataFrame({key: file[key] for key in ("barcode", "platform", "cohort")})
    return values, samples


def _prepared(cohorts: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples = pd.read_csv(fetch(PREPARED_SAMPLES), sep="\t", usecols=["barcode", "platform", "cohort"])
    wanted = samples["cohort"].isin(cohorts).to_numpy()
    with np.load(fetch(PREPARED_MATRIX), allow_pickle=False) as file:
        table = pd.DataFrame(file["X"][wanted].astype(np.float32), columns=file["genes"].tolist())
    return table, samples[wanted].reset_index(drop=True)


def read_mirna(cohorts: Sequence[str], *, convert: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """log2(RPM + 1) of every sample of the cohorts, NaN where a cohort does not name the miRNA, and its
    ``barcode``, ``platform`` and ``cohort``. `convert` reads the R files even where the prepared matrix is at
    hand.
    """
    prepared = available(PREPARED_MATRIX) and available(PREPARED_SAMPLES) and not convert
    values, samples = (_prepared if prepared else _converted)(cohorts)
    return values.loc[:, values.notna().any()], samples


PAIRED_CANCERS = ("BRCA", "COAD", "HNSC", "KIRC", "KIRP", "LIHC", "LUAD", "LUSC", "PRAD", "STAD", "THCA")
SURVIVAL_COHORTS = (
    "BLCA", "BRCA", "COADREAD", "GBMLGG", "HNSC", "KIRC", "KIRP", "LIHC", "LUAD", "LUSC",
    "PAAD", "SKCM", "STAD",
)  # fmt: skip
FLOOR = -2.0  # log2 scale: what nine of the eleven paired sets write where nothing was seen
LARGEST_Z = 5.0
_DAYS_PER_MONTH = 30.4375
_TUMOUR_ORDER = (1, 3, 6, 5, 2, 7)  # primary, blood, metastasis, additional primary, recurrence, ...


@dataclass(frozen=True)
class ExpressionData:
    """Expression of genes in samples; `notes` count what was left out or changed. `values` are float32,
    (n_samples, n_genes), NaN where not measured. `samples`, indexed like them, has at least ``patient``, and
    ``time`` (days) and ``event`` (1 or 0) where there is an outcome.
    """

    values: pd.DataFrame
    samples: pd.DataFrame
    unit: str
    notes: tuple[str, ...] = ()

    def select(self, rows: pd.Series, note: str) -> "ExpressionData":
        """The samples marked True; a note counts the others and says why they go. ValueError if all go."""
        kept = rows.reindex(self.values.index).to_numpy(dtype=bool)
        if not kept.any():
            raise ValueError(f"At least one sample must be left, but all {len(kept)} go: {note}.")
        notes = (
            (*self.notes, f"{(~kept).sum()} of {len(kept)} samples left out: {note}")
            if not kept.all()
            else self.notes
        )
        return ExpressionData(self.values[kept], self.samples[kept], self.unit, notes)


def _refuse_unknown(names: Sequence[str], known: Sequence[str], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"{what} must be of {', '.join(known)}, but {list_names(unknown) or 'none'} came. "
            "Name one of these."
        )


def load_mirna(cohorts: Sequence[str] = MIRNA_COHORTS, *, convert: bool = False) -> ExpressionData:
    """TCGA miRNA expression as log2(reads per million + 1): with all cohorts 10,916 samples, 1,071 miRNAs.
    Samples are named by barcode, with ``#2`` behind its second appearance (two cohorts, or two platforms).
    Columns of `samples`: barcode, platform, cohort, sample_type (TCGA's code: 1 primary tumour, 3 blood, 6
    metastasis, 11 normal), patient, time and event of overall survival. In several cohorts platform (GA or
    HiSeq) and type are confounded. `convert` reads the R files even where the prepared matrix is at hand:
    minutes, the first time.
    """
    _refuse_unknown(cohorts, MIRNA_COHORTS, "cohorts")
    values, samples = read_mirna(cohorts, convert=convert)
    again = samples.groupby("barcode").cumcount()
    names = samples["barcode"].where(again == 0, samples["barcode"] + "#" + (again + 1).astype(str))
    samples["sample_type"] = samples["barcode"].str[13:15].astype(int)
    samples["patient"] = samples["barcode"].str[:12]
    outcomes = load_tcga_outcomes("OS")[["time", "event"]]
    samples = samples.join(outcomes, on="patient").set_axis(pd.Index(names, name="sample"), axis=0)
    values.index = samples.index
    n_absent = int(values.isna().any().sum())
    note = f"{n_absent} of {values.shape[1]} miRNAs are not named in every cohort and are NaN there"
    return ExpressionData(values, samples, "log2(reads per million + 1)", (note,) if n_absent else ())


def one_tumour_each(data: ExpressionData) -> ExpressionData:
    """One tumour of every patient, the primary one where there is one: 10,133 samples of 32 types in all.
    Cohort FPPP, which repeats samples of other cohorts, and normal tissue are left out; so is GBM, of which
    there are only normals. Of several samples of one kind the newer platform counts, then the first name.
    """
    samples = data.samples
    tumour = data.select(
        samples["sample_type"].isin(_TUMOUR_ORDER) & (samples["cohort"] != "FPPP"),
        "normal tissue, or cohort FPPP",
    )
    rank = tumour.samples["sample_type"].map({kind: i for i, kind in enumerate(_TUMOUR_ORDER)})
    order = tumour.samples.assign(rank=rank, name=tumour.samples.index).sort_values(
        ["patient", "rank", "platform", "name"], ascending=[True, True, False, True]
    )
    first = order.index[~order.duplicated("patient")]
    return tumour.select(
        pd.Series(tumour.values.index.isin(first), tumour.values.index), "not a patient's first tumour"
    )


def detected_everywhere(data: ExpressionData, *, min_detected: float = 0.1) -> ExpressionData:
    """Keep genes measured in every sample and seen (> 0) in a share `min_detected` of them."""
    complete = data.values.notna().all()
    seen = (data.values > 0).mean() >= min_detected
    if not (complete & seen).any():
        raise ValueError(
            f"At least one gene must be measured in all samples and seen in {min_detected:.0%} of them, but "
            f"of {len(seen)} genes none is. Lower min_detected, or choose cohorts of one platform."
        )
    notes = (
        f"{(~complete).sum()} of {len(complete)} genes left out: not measured in every sample",
        f"{(complete & ~seen).sum()} of {len(complete)} genes left out: seen in less than "
        f"{min_detected:.0%} of samples",
    )
    return ExpressionData(data.values.loc[:, complete & seen], data.samples, data.unit, (*data.notes, *notes))


def load_paired_mrna(cancers: Sequence[str] = PAIRED_CANCERS) -> ExpressionData:
    """Messenger RNA (log2) of tumours and their paired normal tissue: 1,204 samples of 11 cancers. Genes are
    the HGNC symbols that all `cancers` have, 3,556 with all of them. COAD and STAD were written with another
    floor: their values below -2, and NaN, are set to -2, the floor of the other nine. Columns of `samples`:
    barcode, cohort, patient, is_tumour.
    """
    _refuse_unknown(cancers, PAIRED_CANCERS, "cancers")
    rdata = require("rdata", "expression")
    frames, cohorts = [], []
    for cancer in cancers:
        array = rdata.read_rda(fetch(f"expression/metagsca/{cancer}.RData"))[cancer]  # (n_genes, n_samples)
        genes, barcodes = (array.coords[name].to_numpy().astype(str) for name in array.dims)
        frames.append(
            pd.DataFrame(array.to_numpy().T, index=np.char.replace(barcodes, ".", "-"), columns=genes)
        )
        cohorts += [cancer] * len(barcodes)
    table = pd.concat(frames, join="inner")
    n_missing, n_low = int(table.isna().sum().sum()), int((table < FLOOR).sum().sum())
    barcodes = table.index.to_series()
    samples = pd.DataFrame(
        {
            "barcode": barcodes,
            "cohort": cohorts,
            "patient": barcodes.str[:12],
            "is_tumour": barcodes.str[13:15] == "01",
        }
    )
    values = table.clip(lower=FLOOR).fillna(FLOOR).astype(np.float32).sort_index(axis=1)
    n_genes = pd.Index(np.concatenate([frame.columns for frame in frames])).nunique()
    notes = (
        f"{n_genes - values.shape[1]} of {n_genes} genes left out: not in every cancer's table",
        f"{n_missing} values that are NaN and {n_low} below {FLOOR:g} set to {FLOOR:g}",
    )
    return ExpressionData(values, samples, "log2", notes)


def load_zscores(cohort: str) -> ExpressionData:
    """Messenger RNA z-scores of one cohort with overall survival: 13 cohorts, 5,240 patients in all. z-scores
    within the cohort, cut at 5 standard deviations: never compare them across cohorts, and never classify
    types by them. One row a patient. Columns of `samples`: patient, cohort, oncotree, age (years), is_female,
    time (days), event.
    """
    _refuse_unknown([cohort], SURVIVAL_COHORTS, "cohort")
    path = fetch(f"expression/porpoise/tcga_{cohort.lower()}_all_clean.csv.zip")
    table = pd.read_csv(path, low_memory=False)
    # A patient has one row for each slide; expression and outcome are the same in all of them.
    rows = table.drop_duplicates("case_id").set_index("case_id").rename_axis("sample")
    genes = [name for name in rows.columns if name.endswith("_rnaseq")]
    scores = rows[genes].rename(columns=lambda name: name.removesuffix("_rnaseq"))
    samples = pd.DataFrame(
        {
            "patient": rows.index,
            "cohort": cohort,
            "oncotree": rows["oncotree_code"],
            "age": rows["age"],
            "is_female": rows["is_female"],
            "time": rows["survival_months"] * _DAYS_PER_MONTH,
            "event": 1 - rows["censorship"],
        },
        index=rows.index,
    )
    n_cut = int((scores.abs() > LARGEST_Z).sum().sum())
    notes = (
        f"{len(table) - len(rows)} of {len(table)} rows left out: further slides of a patient",
        f"{n_cut} of {scores.size} z-scores cut at {LARGEST_Z:g} standard deviations",
    )
    values = scores.clip(-LARGEST_Z, LARGEST_Z).astype(np.float32)
    return ExpressionData(values, samples, "z-score within the cohort", notes)
