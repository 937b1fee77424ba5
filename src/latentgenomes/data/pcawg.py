"""What is known of the tumours of PCAWG: donor, project, histology, outcome, and scores of DNA repair.

Five sources name a tumour by three kinds of id. They are joined through PCAWG's sample sheet, by label.
"""

import numpy as np
import pandas as pd

from latentgenomes.data.copynumber import read_frame
from latentgenomes.data.registry import fetch
from latentgenomes.data.signatures import SAMPLE_SHEET, load_pcawg

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
