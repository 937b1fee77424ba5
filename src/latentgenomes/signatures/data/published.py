"""Published catalogues: breast cancer, and synthetic ones with their truth. Channels in catalogue order."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from latentgenomes.core.checks import check_counts
from latentgenomes.core.registry import fetch
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import channels_of, normalize_label
from latentgenomes.mutations.pcawg import PCAWG_FILES, SignatureData, _pcawg_metadata, _refuse_unknown

BREAST192_FILES = {
    "SBS96": "signatures/real_small/salamander_pcawg_breast_sbs.csv",
    "ID83": "signatures/real_small/salamander_pcawg_breast_indel.csv",
    "SV32": "signatures/real_small/salamander_pcawg_breast_sv.csv",
}
ISLAM_SCENARIOS = (1, 2, 3, 4, 5)
SYNSIG_NAMES = ("syn.30.random.sigs", "syn.2.7a.7b.abst")


@dataclass(frozen=True)
class SimulatedCatalogs:
    """Mutation counts with the truth that made them."""

    counts: pd.DataFrame  # (n, m), int64
    signatures: pd.DataFrame  # (k, m), rows sum to 1
    exposures: pd.DataFrame  # (n, k), expected mutations, float64
    metadata: pd.DataFrame  # indexed like `counts`, with at least cancer_type


def load_breast192(context: str = "SBS96") -> SignatureData:
    """192 breast cancer genomes of PCAWG (2020, Nature 578:82) in SBS96, ID83 or SV32, named as in
    `load_pcawg`. The counts of SBS96 and ID83 are the same there. Two samples have no structural variant;
    they are kept.
    """
    _refuse_unknown(context, BREAST192_FILES)
    counts = read_catalog(fetch(BREAST192_FILES[context]), context=context, on_empty="keep")
    names = pd.read_csv(fetch(PCAWG_FILES["SBS96"]), nrows=0).columns[2:]
    full = dict(zip(names.str.split("::").str[1], names, strict=True))
    counts.index = pd.Index([full[specimen] for specimen in counts.index])
    return SignatureData(counts, _pcawg_metadata(counts.index))


def _read_profiles(path: Path) -> pd.DataFrame:
    """SBS96 signatures whose channels are spread over two columns, as rows in catalogue order."""
    table = pd.read_csv(path)
    labels = (table.iloc[:, 0] + "," + table.iloc[:, 1]).map(lambda label: normalize_label(label, "SBS96"))
    return table.iloc[:, 2:].set_axis(labels).T[list(channels_of("SBS96"))].astype("float64")


def _load_truth(catalog: Path, signatures: Path, exposures: Path) -> SimulatedCatalogs:
    counts = read_catalog(catalog, on_empty="keep")
    profiles = _read_profiles(signatures)
    activities = pd.read_csv(exposures, index_col=0).T
    # By label: each file has its own order of samples, signatures and channels.
    profiles = profiles.loc[list(activities.columns)]
    activities = check_counts(activities.loc[counts.index], name=exposures.name, allow_fractional=True)
    metadata = pd.DataFrame(index=counts.index)
    simulated = counts.index.str.extract(r"^SP\.Syn\.(.+?)(?:::|\.\d)", expand=False)
    metadata["cancer_type"] = pd.Series(simulated, index=counts.index).fillna("synthetic")
    return SimulatedCatalogs(counts, profiles, activities, metadata)


def load_islam(scenario: int) -> SimulatedCatalogs:
    """Scenario of Islam et al. 2022: 1 to 4 (1000 samples; 11, 11, 11, 3 signatures) or 5 (2700 samples, 21).
    The counts have no noise, but are rounded: draw Poisson noise over exposures times signatures for an
    honest test. Signatures stand as published, to three digits, so their rows sum to 1 within 0.001.
    """
    if scenario not in ISLAM_SCENARIOS:
        raise ValueError(f"scenario must be 1, 2, 3, 4 or 5, but it is {scenario!r}. Name one of these.")
    stem = f"signatures/synthetic_islam2022/Scenario_{scenario}"
    return _load_truth(
        fetch(f"{stem}.catalog.csv"), fetch(f"{stem}.truth.sigs.csv"), fetch(f"{stem}.truth.exposures.csv")
    )


def load_synsig(name: str = "syn.30.random.sigs") -> SimulatedCatalogs:
    """One of two synthetic sets of 1000 samples: SBS2, SBS7a and SBS7b, or 30 random signatures."""
    if name not in SYNSIG_NAMES:
        raise ValueError(
            f"name must be one of {', '.join(SYNSIG_NAMES)}, but it is {name!r}. Name one of these."
        )
    stem = f"signatures/synthetic_synsig_extra/{name}"
    return _load_truth(
        fetch(f"{stem}.catalog.csv"), fetch(f"{stem}.sigs.csv"), fetch(f"{stem}.exposures.csv")
    )
