"""Tumours of PCAWG: counts, donor, project, histology, outcome, and scores of DNA repair.

Five sources name a tumour by three kinds of id. They are joined through PCAWG's sample sheet, by label.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from latentgenomes.core.registry import fetch
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.copynumber import read_frame

PCAWG_FILES = {
    "SBS96": "signatures/real_pcawg7/WGS_PCAWG.96.csv",
    "ID83": "signatures/real_pcawg7/WGS_PCAWG.indels.csv",
    "DBS78": "signatures/real_pcawg7/WGS_PCAWG.dinucs.csv",
}
SAMPLE_SHEET = "multimodal/pcawg_sample_sheet.v1.4.2016-09-14.tsv"
HRDETECT_FILE = "multimodal/Degasperi2020_HRDetect_PCAWG.txt"
CHORD_FILE = "multimodal/pcawg_CHORD.rds"
CLINICAL_FILE = "multimodal/pcawg_sample_tidy_info.rds"
SUMMARY_FILE = "multimodal/PCAWG_summary_table_combined_annotations_v4.txt"
REPAIR_FILE = "multimodal/Knijnenburg2018_HRD_Scores_TCGA_GerkeLabGithub.txt"
_ORGANS = {
    "Panc": "Pancreas", "Prost": "Prostate", "ColoRect": "Colorectal", "Eso": "Esophagus", "Thy": "Thyroid",
}  # fmt: skip
#: Repair scores of the TCGA subset: name here -> column of Knijnenburg et al.
REPAIR_SCORES = {
    "parpi7": "PARPi7",
    "rps": "RPS",
    "ecard": "eCARD",
    "rppa_ddr": "rppa_ddr_score",
    "tp53_score": "tp53_score",
    "hrd_scars": "HRD_Score",
}


@dataclass(frozen=True)
class SignatureData:
    """Mutation counts of real samples, int64 (n_samples, n_channels), and what is known of every sample."""

    counts: pd.DataFrame
    metadata: pd.DataFrame


def _sample_sheet() -> pd.DataFrame:
    """One row per tumour specimen: its donor and PCAWG's verdict on the donor's data."""
    sheet = pd.read_csv(fetch(SAMPLE_SHEET), sep="\t", dtype=str)
    normal = sheet["dcc_specimen_type"].str.startswith("Normal")
    sheet = sheet[(sheet["library_strategy"] == "WGS") & ~normal].set_index("icgc_specimen_id")
    return sheet[["icgc_donor_id", "donor_wgs_exclusion_white_gray"]]


def _refuse_unknown(context: str, files: Mapping[str, str]) -> None:
    if context not in files:
        raise ValueError(
            f"context must be one of {', '.join(files)}, but it is {context!r}. Name one of these."
        )


def _pcawg_metadata(samples: pd.Index) -> pd.DataFrame:
    """What is known of samples named ``histology::specimen``."""
    histology, specimen = zip(*(name.split("::") for name in samples), strict=True)
    metadata = pd.DataFrame({"histology": histology, "specimen": specimen}, index=samples)
    metadata.insert(1, "organ", metadata["histology"].str.split("-").str[0])
    known = _sample_sheet().reindex(metadata["specimen"]).set_axis(metadata.index)
    metadata["donor"] = known["icgc_donor_id"].fillna("unknown:" + metadata["specimen"])
    metadata["quality"] = known["donor_wgs_exclusion_white_gray"].fillna("unknown")
    return metadata


def load_pcawg(context: str = "SBS96") -> SignatureData:
    """Mutation counts of the 2780 tumour genomes of PCAWG.

    Parameters
    ----------
    context : str
        SBS96, ID83 or DBS78. Of these, 0, 1 and 110 samples hold no mutation; they are kept.

    Returns
    -------
    SignatureData
        Samples are named as published, such as ``"Biliary-AdenoCA::SP117655"``. The metadata columns are
        ``histology`` (such as ``"Biliary-AdenoCA"``), ``organ`` (its part before the first hyphen),
        ``specimen`` (SP number), ``donor`` (DO number, joined by specimen) and ``quality`` (Whitelist,
        Graylist or Excluded). SP116883 is not in the sample sheet: its donor is ``"unknown:SP116883"``, a
        group of its own when data are split by donor, and its quality is ``"unknown"``.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101.
    """
    _refuse_unknown(context, PCAWG_FILES)
    counts = read_catalog(fetch(PCAWG_FILES[context]), context=context, on_empty="keep")
    return SignatureData(counts, _pcawg_metadata(counts.index))


def load_samples() -> pd.DataFrame:
    """What is known of the 2780 tumours, under their published names."""
    about = load_pcawg("SBS96").metadata
    about["organ"] = about["organ"].replace(_ORGANS)
    about["subtype"] = about["histology"].str.partition("-")[2]
    sheet = pd.read_csv(fetch(SAMPLE_SHEET), sep="\t", dtype=str)
    tumour = (sheet["library_strategy"] == "WGS") & ~sheet["dcc_specimen_type"].str.startswith("Normal")
    sheet = sheet[tumour].set_index("icgc_specimen_id")
    clinical = read_frame(fetch(CLINICAL_FILE)).set_index("sample")
    about["aliquot"] = about["specimen"].map(sheet["aliquot_id"]).fillna("unknown")
    about["project"] = about["specimen"].map(sheet["dcc_project_code"]).fillna("unknown")
    rows = clinical.reindex(about["specimen"]).set_axis(about.index)
    about["sex"] = rows["donor_sex"].astype(object).fillna("unknown")
    for name, column in (
        ("age", "donor_age_at_diagnosis"),
        ("survival_days", "donor_survival_time"),
        ("purity", "purity"),
        ("ploidy", "ploidy"),
        ("n_loh", "n_LOH"),
    ):
        about[name] = rows[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    about["died"] = rows["donor_vital_status"].astype(object).map({"deceased": 1.0, "alive": 0.0})
    about["genome_doubled"] = rows["wgd_status"].astype(object).map({"wgd": 1.0, "no_wgd": 0.0})
    return _add_repair(about)


def _add_repair(about: pd.DataFrame) -> pd.DataFrame:
    chord = read_frame(fetch(CHORD_FILE)).set_index("icgc_specimen_id")["is_hrd"].astype("Float64")
    about["hrd_chord"] = chord.reindex(about["specimen"]).to_numpy(dtype=np.float64, na_value=np.nan)
    hrdetect = pd.read_csv(fetch(HRDETECT_FILE), sep="\t", index_col=0)["HRDetect single score"]
    about["hrdetect"] = hrdetect.reindex(about["aliquot"]).to_numpy()
    summary = pd.read_csv(
        fetch(SUMMARY_FILE), sep="\t", index_col="samplename", usecols=["samplename", "tcga_donor_barcode"]
    )
    about["tcga"] = about["aliquot"].map(summary["tcga_donor_barcode"])
    scores = pd.read_csv(fetch(REPAIR_FILE), sep="\t")
    # The scores are of one sample per patient; its code stands behind the 12 characters of the patient.
    scores = scores.set_axis(scores["patient_id"].str[:12])
    for name, column in REPAIR_SCORES.items():
        about[name] = scores[column].reindex(about["tcga"]).to_numpy(dtype=np.float64)
    about["tcga"] = about["tcga"].fillna("")
    return about
