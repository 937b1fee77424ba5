"""Published catalogues of signature extraction: breast cancer, and synthetic ones with their truth.

Tables have samples (or signatures) in rows and channels in columns, in catalogue order, and are aligned by
label.
"""

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
BREAST21_FILE = "signatures/real_small/SPE_Samples_SBS.txt"
SIGPROFILER_SIGNATURES = "signatures/real_pcawg7/sigProfiler_SBS_signatures_2019_05_22.csv"
SIGPROFILER_EXPOSURES = "signatures/real_pcawg7/PCAWG_sigProfiler_SBS_signatures_in_samples.csv"
ISLAM_SCENARIOS = (1, 2, 3, 4, 5)
SYNSIG_NAMES = ("syn.30.random.sigs", "syn.2.7a.7b.abst")


@dataclass(frozen=True)
class SimulatedCatalogs:
    """Mutation counts with the truth that made them.

    Attributes
    ----------
    counts : pandas.DataFrame of shape (n_samples, n_channels)
        Mutations, int64, channels in catalogue order.
    signatures : pandas.DataFrame of shape (n_signatures, n_channels)
        True signatures, rows sum to 1.
    exposures : pandas.DataFrame of shape (n_samples, n_signatures)
        True expected mutations of every signature, float64 >= 0.
    metadata : pandas.DataFrame of shape (n_samples, n_columns)
        What is known of every sample, indexed like `counts`; at least ``cancer_type``.
    """

    counts: pd.DataFrame
    signatures: pd.DataFrame
    exposures: pd.DataFrame
    metadata: pd.DataFrame


@dataclass(frozen=True)
class PublishedFit:
    """Signatures and exposures as somebody else published them.

    Attributes
    ----------
    signatures : pandas.DataFrame of shape (n_signatures, n_channels)
        Rows sum to 1, channels in catalogue order.
    exposures : pandas.DataFrame of shape (n_samples, n_signatures)
        Mutations of every signature, int64.
    metadata : pandas.DataFrame of shape (n_samples, n_columns)
        What is known of every sample, indexed like `exposures`.
    """

    signatures: pd.DataFrame
    exposures: pd.DataFrame
    metadata: pd.DataFrame


def load_breast192(context: str = "SBS96") -> SignatureData:
    """Mutation counts of 192 breast cancer genomes of PCAWG, the only ones here with SV32.

    Parameters
    ----------
    context : str
        SBS96, ID83 or SV32. The samples are the same for all three, in the same order.

    Returns
    -------
    SignatureData
        Samples and metadata are named as in `load_pcawg`, so that they can be joined. The counts of SBS96
        and ID83 are the same there. Two samples have no structural variant; they are kept.

    Raises
    ------
    ValueError
        If the context is none of the three.
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.

    References
    ----------
    ICGC/TCGA Pan-Cancer Analysis of Whole Genomes Consortium 2020, Nature 578:82-93.
    """
    _refuse_unknown(context, BREAST192_FILES)
    counts = read_catalog(fetch(BREAST192_FILES[context]), context=context, on_empty="keep")
    names = pd.read_csv(fetch(PCAWG_FILES["SBS96"]), nrows=0).columns[2:]
    full = dict(zip(names.str.split("::").str[1], names, strict=True))
    counts.index = pd.Index([full[specimen] for specimen in counts.index])
    return SignatureData(counts, _pcawg_metadata(counts.index))


def load_breast21() -> SignatureData:
    """SBS96 counts of 21 breast cancer genomes, the first on which signatures were extracted.

    Returns
    -------
    SignatureData
        Samples are named PD..., as published; the metadata have one column, ``donor``, a sample each.

    Raises
    ------
    DataError
        If the file cannot be had; see `latentgenomes.core.registry.fetch`.

    References
    ----------
    Nik-Zainal et al. 2012, Cell 149:979-993.
    """
    counts = read_catalog(fetch(BREAST21_FILE))
    return SignatureData(counts, pd.DataFrame({"donor": counts.index}, index=counts.index))


def load_pcawg_sigprofiler() -> PublishedFit:
    """SigProfiler's published SBS signatures, and their exposures in the samples of `load_pcawg`.

    Returns
    -------
    PublishedFit
        The 65 signatures that have exposures; SBS84 and SBS85 were not assigned. Exposures are named and
        ordered as in `load_pcawg`. The metadata are its columns and ``accuracy``, the cosine of the sample
        and its reconstruction.

    Raises
    ------
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101.
    """
    profiles = _read_profiles(fetch(SIGPROFILER_SIGNATURES))
    table = pd.read_csv(fetch(SIGPROFILER_EXPOSURES))
    table.index = pd.Index(table["Cancer Types"] + "::" + table["Sample Names"])
    exposures = table.drop(columns=["Cancer Types", "Sample Names", "Accuracy"])
    metadata = _pcawg_metadata(table.index).assign(accuracy=table["Accuracy"])
    profiles = profiles.loc[list(exposures.columns)]
    return PublishedFit(profiles.div(profiles.sum(axis=1), axis=0), exposures.astype("int64"), metadata)


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
    """One of the five synthetic scenarios of Islam et al., with its truth.

    Parameters
    ----------
    scenario : int
        1 to 4 (1000 samples; 11, 11, 11 and 3 signatures) or 5 (2700 samples, 21 signatures).

    Returns
    -------
    SimulatedCatalogs
        The counts are the truth without noise: the product of exposures and signatures, rounded. Draw Poisson
        noise over that product for an honest test. The signatures stand as published, to three digits, so
        their rows sum to 1 within 0.001.

    Raises
    ------
    ValueError
        If the scenario is not 1 to 5.
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.

    References
    ----------
    Islam et al. 2022, Cell Genomics 2:100179.
    """
    if scenario not in ISLAM_SCENARIOS:
        raise ValueError(f"scenario must be 1, 2, 3, 4 or 5, but it is {scenario!r}. Name one of these.")
    stem = f"signatures/synthetic_islam2022/Scenario_{scenario}"
    return _load_truth(
        fetch(f"{stem}.catalog.csv"), fetch(f"{stem}.truth.sigs.csv"), fetch(f"{stem}.truth.exposures.csv")
    )


def load_synsig(name: str = "syn.30.random.sigs") -> SimulatedCatalogs:
    """One of two further synthetic sets of 1000 samples, with its truth.

    Parameters
    ----------
    name : str
        ``"syn.30.random.sigs"`` (30 random signatures) or ``"syn.2.7a.7b.abst"`` (SBS2, SBS7a and SBS7b).

    Returns
    -------
    SimulatedCatalogs
        As in `load_islam`.

    Raises
    ------
    ValueError
        If there is no such set.
    DataError
        If a file cannot be had; see `latentgenomes.core.registry.fetch`.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101.
    """
    if name not in SYNSIG_NAMES:
        raise ValueError(
            f"name must be one of {', '.join(SYNSIG_NAMES)}, but it is {name!r}. Name one of these."
        )
    stem = f"signatures/synthetic_synsig_extra/{name}"
    return _load_truth(
        fetch(f"{stem}.catalog.csv"), fetch(f"{stem}.sigs.csv"), fetch(f"{stem}.exposures.csv")
    )
