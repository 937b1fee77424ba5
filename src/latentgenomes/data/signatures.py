"""Mutational signatures: COSMIC's tables, PCAWG counts, synthetic catalogs with truth, a reader's own counts.

Tables have samples (or signatures) in rows and channels in columns, in catalogue order, and are aligned by
label.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from latentgenomes.checks import check_counts
from latentgenomes.data.catalogs import read_catalog
from latentgenomes.data.registry import fetch
from latentgenomes.extras import package_folder
from latentgenomes.labels import channels_of, normalize_label

__all__ = [
    "PublishedFit",
    "SignatureData",
    "SimulatedCatalogs",
    "cosmic_signatures",
    "load_breast21",
    "load_breast192",
    "load_islam",
    "load_pcawg",
    "load_pcawg_sigprofiler",
    "load_synsig",
    "read_catalog",
]

PCAWG_FILES = {
    "SBS96": "signatures/real_pcawg7/WGS_PCAWG.96.csv",
    "ID83": "signatures/real_pcawg7/WGS_PCAWG.indels.csv",
    "DBS78": "signatures/real_pcawg7/WGS_PCAWG.dinucs.csv",
}
BREAST192_FILES = {
    "SBS96": "signatures/real_small/salamander_pcawg_breast_sbs.csv",
    "ID83": "signatures/real_small/salamander_pcawg_breast_indel.csv",
    "SV32": "signatures/real_small/salamander_pcawg_breast_sv.csv",
}
BREAST21_FILE = "signatures/real_small/SPE_Samples_SBS.txt"
SIGPROFILER_SIGNATURES = "signatures/real_pcawg7/sigProfiler_SBS_signatures_2019_05_22.csv"
SIGPROFILER_EXPOSURES = "signatures/real_pcawg7/PCAWG_sigProfiler_SBS_signatures_in_samples.csv"
SAMPLE_SHEET = "multimodal/pcawg_sample_sheet.v1.4.2016-09-14.tsv"
ISLAM_SCENARIOS = (1, 2, 3, 4, 5)
SYNSIG_NAMES = ("syn.30.random.sigs", "syn.2.7a.7b.abst")

_COSMIC_FILE = re.compile(
    r"COSMIC_v(?P<version>[\d.]+)_(?P<kind>[^_]+)_(?P<genome>[^_]+?)(?P<exome>_exome)?\.txt"
)


@dataclass(frozen=True)
class SignatureData:
    """Mutation counts of real samples.

    Attributes
    ----------
    counts : pandas.DataFrame of shape (n_samples, n_channels)
        Mutations, int64, channels in catalogue order.
    metadata : pandas.DataFrame of shape (n_samples, n_columns)
        What is known of every sample, indexed like `counts`.
    """

    counts: pd.DataFrame
    metadata: pd.DataFrame


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


def _choices(tables: pd.DataFrame) -> str:
    """Versions that there are, by genome."""
    rows = tables.groupby("genome")["version"]
    return "; ".join(f"{genome}: {', '.join(sorted(versions))}" for genome, versions in rows)


def cosmic_signatures(
    version: str = "3.4", context: str = "SBS96", *, genome: str = "GRCh37", exome: bool = False
) -> pd.DataFrame:
    """COSMIC's reference signatures, as the package SigProfilerAssignment ships them.

    Parameters
    ----------
    version : str
        Version of COSMIC's signatures, such as ``"3.4"``.
    context : str
        SBS96, ID83, DBS78, CN48 or SV32. CN48 and ID83 are given for GRCh37 only, SV32 for GRCh38 only.
    genome : str
        Reference genome: GRCh37, GRCh38, mm9, mm10, mm39, rn6 or rn7.
    exome : bool
        Signatures adjusted to the exome's trinucleotides (SBS96) or dinucleotides (DBS78).

    Returns
    -------
    pandas.DataFrame of shape (n_signatures, n_channels)
        Proportions of mutations; rows sum to 1, columns in catalogue order.

    Raises
    ------
    ImportError
        If SigProfilerAssignment is not installed.
    ValueError
        If there is no such table; the message names those that are there.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101; https://cancer.sanger.ac.uk/signatures.
    """
    channels = list(channels_of(context))
    root = package_folder("SigProfilerAssignment", "signatures") / "data" / "Reference_Signatures"
    found = {path: match for path in root.glob("*/*.txt") if (match := _COSMIC_FILE.fullmatch(path.name))}
    tables = pd.DataFrame([match.groupdict() for match in found.values()], index=pd.Index(list(found)))
    kind = context.rstrip("0123456789")
    wanted = (tables["kind"] == kind) & (tables["version"] == version) & (tables["genome"] == genome)
    chosen = tables.index[wanted & (tables["exome"].notna() == exome)]
    if len(chosen) != 1:
        near = tables[(tables["kind"] == kind) & (tables["exome"].notna() == exome)]
        where = "exome" if exome else "genome"
        raise ValueError(
            f"COSMIC has no {context} {where} signatures of version {version!r} for {genome!r}. "
            f"Choose from: {_choices(near) or 'none'}."
        )
    table = pd.read_csv(chosen[0], sep="\t", index_col=0)
    table.index = table.index.map(lambda label: normalize_label(str(label), context))
    signatures = table.loc[channels].T.astype("float64")
    signatures.columns = pd.Index(channels)
    return signatures.div(signatures.sum(axis=1), axis=0)  # published to a few digits only


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

    Raises
    ------
    ValueError
        If the context is none of the three.
    DataError
        If a file cannot be had; see `latentgenomes.data.registry.fetch`.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101.
    """
    _refuse_unknown(context, PCAWG_FILES)
    counts = read_catalog(fetch(PCAWG_FILES[context]), context=context, on_empty="keep")
    return SignatureData(counts, _pcawg_metadata(counts.index))


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
        If a file cannot be had; see `latentgenomes.data.registry.fetch`.

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
        If the file cannot be had; see `latentgenomes.data.registry.fetch`.

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
        If a file cannot be had; see `latentgenomes.data.registry.fetch`.

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
        If a file cannot be had; see `latentgenomes.data.registry.fetch`.

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
        If a file cannot be had; see `latentgenomes.data.registry.fetch`.

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
