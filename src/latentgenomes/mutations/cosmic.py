"""COSMIC's tables of signatures, of every version and genome that SigProfilerAssignment carries."""

import re

import pandas as pd

from latentgenomes.core.extras import package_folder
from latentgenomes.mutations.channels import channels_of, normalize_label

_COSMIC_FILE = re.compile(
    r"COSMIC_v(?P<version>[\d.]+)_(?P<kind>[^_]+)_(?P<genome>[^_]+?)(?P<exome>_exome)?\.txt"
)


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
