"""Expression of genes: TCGA miRNA, 11 cancers with paired normals, 13 cohorts of z-scores, and AnnData.

Tables have samples in rows and genes in columns, and are aligned by label. What a loader left out or changed
is counted in `ExpressionData.notes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.core.registry import fetch
from latentgenomes.expression.data.mirna import MIRNA_COHORTS, read_mirna
from latentgenomes.expression.data.outcomes import load_tcga_outcomes

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
    """Expression of genes in samples.

    Attributes
    ----------
    values : pandas.DataFrame of shape (n_samples, n_genes)
        Expression, float32, NaN where it was not measured.
    samples : pandas.DataFrame of shape (n_samples, n_columns)
        What is known of every sample, indexed like `values`; at least ``patient``, and ``time`` (days) and
        ``event`` (1 or 0) where there is an outcome.
    unit : str
        Scale of the values.
    notes : tuple of str
        What was left out or changed, with counts.
    """

    values: pd.DataFrame
    samples: pd.DataFrame
    unit: str
    notes: tuple[str, ...] = ()

    def select(self, rows: pd.Series, note: str) -> "ExpressionData":
        """The samples marked True, with a note of how many were left out.

        Parameters
        ----------
        rows : pandas.Series of bool
            Indexed like `values`.
        note : str
            Why the others go, such as ``"no outcome"``.

        Raises
        ------
        ValueError
            If no sample is left.
        """
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
            f"{what} must be of {', '.join(known)}, but {list_names(unknown) or 'none'} came. Name one of "
            f"these."
        )


def load_mirna(cohorts: Sequence[str] = MIRNA_COHORTS, *, convert: bool = False) -> ExpressionData:
    """TCGA miRNA expression on one scale: with all cohorts 10,916 samples, 1,071 miRNAs.

    Parameters
    ----------
    cohorts : sequence of str
        TCGA's abbreviations, of `latentgenomes.expression.data.mirna.MIRNA_COHORTS`.
    convert : bool
        Convert the R files even where the prepared matrix is at hand; the first time this takes minutes.

    Returns
    -------
    ExpressionData
        log2(reads per million + 1). Samples are named by barcode; one that is in two cohorts or on two
        platforms has ``#2`` behind its second appearance. Columns of `samples`: barcode, platform, cohort,
        sample_type (TCGA's code: 1 primary tumour, 3 blood, 6 metastasis, 11 normal), patient, and time and
        event of overall survival. The sequencing platform (GA or HiSeq) is confounded with the type in
        several cohorts.

    Raises
    ------
    ValueError
        If a cohort is unknown.
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.

    See Also
    --------
    one_tumour_each : 10,133 patients of 32 types.
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
    """One tumour of every patient, the primary one where there is one.

    Cohort FPPP, which repeats samples of other cohorts, and normal tissue are left out; so is GBM, of which
    there are only normals. Of several samples of one kind the one on the newer platform is kept, then the
    first by name.

    Parameters
    ----------
    data : ExpressionData
        From `load_mirna`.

    Returns
    -------
    ExpressionData
        With all cohorts 10,133 samples of 32 types.
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
    """Keep the genes that are measured in every sample and seen (> 0) in enough of them.

    Parameters
    ----------
    data : ExpressionData
        On a scale where 0 means not seen.
    min_detected : float
        Smallest share of the samples with a value > 0.

    Returns
    -------
    ExpressionData

    Raises
    ------
    ValueError
        If no gene is left.
    """
    complete = data.values.notna().all()
    seen = (data.values > 0).mean() >= min_detected
    if not (complete & seen).any():
        raise ValueError(
            f"At least one gene must be measured in all samples and seen in {min_detected:.0%} of them, but "
            f"of "
            f"{len(seen)} genes none is. Lower min_detected, or choose cohorts of one platform."
        )
    notes = (
        f"{(~complete).sum()} of {len(complete)} genes left out: not measured in every sample",
        f"{(complete & ~seen).sum()} of {len(complete)} genes left out: seen in less than "
        f"{min_detected:.0%} of samples",
    )
    return ExpressionData(data.values.loc[:, complete & seen], data.samples, data.unit, (*data.notes, *notes))


def load_paired_mrna(cancers: Sequence[str] = PAIRED_CANCERS) -> ExpressionData:
    """Messenger RNA of tumours and their paired normal tissue, on one scale: 1,204 samples of 11 cancers.

    Parameters
    ----------
    cancers : sequence of str
        Of `PAIRED_CANCERS`.

    Returns
    -------
    ExpressionData
        log2 scale; genes (HGNC symbols) that all `cancers` have (3,556 with all of them). COAD and STAD were
        written with another floor: values below -2, and their NaN, are set to -2, the floor of the other
        nine. Columns of `samples`: barcode, cohort, patient, is_tumour.

    Raises
    ------
    ValueError
        If a cancer is unknown.
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.
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
    """Messenger RNA z-scores of one cohort with overall survival: 13 cohorts, 5,240 patients in all.

    Parameters
    ----------
    cohort : str
        Of `SURVIVAL_COHORTS`.

    Returns
    -------
    ExpressionData
        z-scores within the cohort, cut at 5 standard deviations: never compare them across cohorts, and never
        classify types by them. One row a patient. Columns of `samples`: patient, cohort, oncotree, age
        (years), is_female, time (days), event.

    Raises
    ------
    ValueError
        If the cohort is unknown.
    DataError
        If the file cannot be had; see `latentgenomes.core.registry.fetch`.
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


def to_anndata(data: ExpressionData) -> Any:
    """AnnData with the values as X, the samples as obs, and unit and notes in uns.

    Raises
    ------
    ImportError
        If anndata is not installed.
    """
    anndata = require("anndata", "expression")
    return anndata.AnnData(
        X=data.values.to_numpy(copy=True),
        obs=data.samples.copy(),
        var=pd.DataFrame(index=data.values.columns.astype(str)),
        uns={"unit": data.unit, "notes": list(data.notes)},
    )


def from_anndata(adata: Any) -> ExpressionData:
    """Expression, samples, unit and notes of an AnnData; it is not changed.

    Its ``uns["unit"]`` is taken where there is one; otherwise the unit is empty, and
    `latentgenomes.expression.data.matrix.check_expression` finds the scale. Where obs has no column
    ``patient``, every sample counts as a patient of its own.
    """
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    values = pd.DataFrame(x.astype(np.float32), index=adata.obs_names.copy(), columns=adata.var_names.copy())
    samples = adata.obs.copy()
    if "patient" not in samples:
        samples["patient"] = samples.index
    return ExpressionData(
        values, samples, str(adata.uns.get("unit", "")), tuple(map(str, adata.uns.get("notes", ())))
    )
