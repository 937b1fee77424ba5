"""Several mutation profiles of the same tumours, joined by sample name: PCAWG, or a reader's own matrices.

A profile is a matrix of counts: SBS96, ID83 or DBS78 of small mutations, CN48 or CN28 of copy number
segments, SV32 or SV26 of structural variants. In the MuData that the functions return, a sample whose profile
was never called is absent from that modality; a sample in which nothing was found is a row of zeros. In the
wide table of `to_wide` the first is NaN and the second is 0.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latentgenomes.core.checks import check_counts, list_names
from latentgenomes.core.extras import require
from latentgenomes.core.registry import fetch
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import CHANNELS, nearest_label
from latentgenomes.mutations.copynumber import CN28, load_cn28
from latentgenomes.mutations.pcawg import PCAWG_FILES, load_pcawg, load_samples

_SV_KINDS = ("DEL", "DUP")
_SV_BINS = ("<50 kb", "<500 kb", "<5 Mb")
#: Classes of Viola-SV: type, size, replication timing, fragile sites. Not SV32: clusters are not told apart.
SV26: tuple[str, ...] = tuple(
    [f"At fragile site {kind}" for kind in _SV_KINDS]
    + [
        name
        for kind in _SV_KINDS
        for name in (
            *(f"{size} {timing} {kind}" for size in _SV_BINS for timing in ("early", "mid", "late")),
            f">5 Mb {kind}",
        )
    ]
    + ["translocation", "<100 kb INV", ">100 kb INV", "others"]
)
#: Channels of every profile, in the order in which they are joined by default.
PROFILES: dict[str, tuple[str, ...]] = {**CHANNELS, "CN28": CN28, "SV26": SV26}
PCAWG_PROFILES = ("SBS96", "ID83", "CN28", "SV26")
SEPARATOR = "|"  # in a wide table, between the profile and the channel

SV_FILE = "multimodal/viola_feature_matrix.csv"
MUAT_FILES = {
    "training": "multimodal/muat_pcawg_orig_train.tsv",
    "validation": "multimodal/muat_pcawg_orig_val.tsv",
}

#: Primary sites of the paper. Its rule, more than 50 samples, would add Head (57) and Uterus (51).
PAPER_ORGANS = (
    "Bone", "Breast", "CNS", "Colorectal", "Esophagus", "Kidney", "Liver", "Lung", "Lymph", "Myeloid",
    "Ovary", "Pancreas", "Prostate", "Skin", "Stomach",
)  # fmt: skip
#: Subtypes of the paper, in its order: histologies of more than 50 samples, whatever the organ.
PAPER_SUBTYPES = (
    "AdenoCA", "BNHL", "CLL", "Endocrine", "HCC", "MPN", "Medullo", "Melanoma", "PiloAstro", "RCC", "SCC",
)  # fmt: skip


def _check_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Counts with the profile's channels in catalogue order."""
    if name not in PROFILES:
        raise ValueError(
            f"A profile must be one of {', '.join(PROFILES)}, but it is {name!r}. Name one of these."
        )
    channels = list(PROFILES[name])
    unknown = [str(label) for label in table.columns if label not in channels]
    if unknown:
        near = nearest_label(unknown[0], name) if name in CHANNELS else None
        hint = f"Did you mean {near!r} for {unknown[0]!r}?" if near else "Remove what is not a channel."
        raise ValueError(
            f"{name} must hold only {name} channels, but {len(unknown)} of {table.shape[1]} names are "
            f"unknown: {list_names(unknown)}. {hint}"
        )
    missing = [channel for channel in channels if channel not in table.columns]
    if missing:
        raise ValueError(
            f"{name} must hold all {len(channels)} {name} channels, but {len(missing)} are missing: "
            f"{list_names(missing)}. Add them, with 0 where nothing was seen."
        )
    return check_counts(table, name=name, on_empty="keep")[channels]


def _check_samples(tables: Mapping[str, pd.DataFrame], samples: pd.Index) -> None:
    """Refuse tables that do not list `samples`, one after the other."""
    for name, table in tables.items():
        if table.index.equals(samples):
            continue
        different = table.index.symmetric_difference(samples, sort=False)
        if len(different):
            what = f"{len(different)} samples are in only one of the two: {list_names(different.tolist())}"
        else:
            row = int((table.index != samples).argmax())
            what = f"row {row + 1} is {table.index[row]!r} in place of {samples[row]!r}"
        raise ValueError(
            f"{name} must list the same samples in the same order as the first and the sample table, "
            f"but {what}. Check that the names mean the same; align=True then joins by name, and marks "
            "absent profiles."
        )


def join_profiles(
    tables: Mapping[str, pd.DataFrame], *, samples: pd.DataFrame | None = None, align: bool = False
) -> Any:
    """Join counts by profile, keys of `PROFILES`, into a MuData with one modality per table, by sample name.

    `samples` becomes ``obs``: it says which samples there are and their order; without it the tables do. All
    tables must list the same samples in the same order; with `align`, a sample that a table lacks has no such
    profile and is not in that modality. Channels may come in any order.
    """
    if not tables:
        raise ValueError(
            "tables must hold at least one profile, but it is empty. Pass one table per profile."
        )
    checked = {name: _check_table(table, name) for name, table in tables.items()}
    if samples is None:
        names = pd.Index(list(dict.fromkeys(n for table in checked.values() for n in table.index)))
        samples = pd.DataFrame(index=names)
    if not samples.index.is_unique:
        twice = samples.index[samples.index.duplicated()].unique().tolist()
        raise ValueError(
            f"samples must name every sample once, but these come again: {list_names(twice)}. Merge them."
        )
    if not align:
        _check_samples(checked, next(iter(checked.values())).index)
        _check_samples(checked, samples.index)
    for name, table in checked.items():
        stray = table.index.difference(samples.index, sort=False).tolist()
        if stray:
            raise ValueError(
                f"{name} must hold samples of the sample table, but {len(stray)} of {len(table)} are not in "
                f"it: {list_names(stray)}. Leave them out, or add them to the sample table."
            )
    bare = samples.index.difference(
        pd.Index([n for table in checked.values() for n in table.index]), sort=False
    )
    if len(bare):
        raise ValueError(
            f"Every sample must have at least one profile, but {len(bare)} of {len(samples)} have none: "
            f"{list_names(bare.tolist())}. Leave them out of samples."
        )
    return _build(checked, samples)


def _build(tables: Mapping[str, pd.DataFrame], samples: pd.DataFrame) -> Any:
    mudata, anndata = require("mudata", "multimodal"), require("anndata", "multimodal")
    modalities: dict[str, Any] = {}
    for name, table in tables.items():
        present = samples.index[samples.index.isin(table.index)]
        modalities[name] = anndata.AnnData(
            X=table.loc[present].to_numpy(dtype=np.float32),
            obs=pd.DataFrame(index=present.astype(str)),
            # MuData wants names that differ between modalities.
            var=pd.DataFrame(
                {"channel": list(table.columns)}, index=[f"{name}{SEPARATOR}{c}" for c in table.columns]
            ),
        )
    with mudata.set_options(pull_on_update=False):
        joined = mudata.MuData(modalities)
        joined = joined[samples.index.astype(str)].copy()
        joined.obs = samples.set_axis(samples.index.astype(str)).copy()
        joined.update()
    return joined


def read_profiles(paths: Mapping[str, str | Path], *, align: bool = False) -> Any:
    """Join a reader's own matrices, such as those of SigProfilerMatrixGenerator, into a MuData.

    Parameters
    ----------
    paths : mapping of str to path
        A file for each profile, SBS96, ID83, DBS78, CN48 or SV32, in a form that
        `latentgenomes.mutations.catalogues.read_catalog` reads.
    align : bool
        Join files that list other samples or another order, by name; a sample may then lack a profile.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is not there or holds something else, or the samples differ without `align`.
    """
    tables = {name: read_catalog(path, context=name, on_empty="keep") for name, path in paths.items()}
    return join_profiles(tables, align=align)


def wide_table(tables: Mapping[str, pd.DataFrame], samples: pd.Index) -> pd.DataFrame:
    """Put tables of profiles side by side, joined by sample name: see `to_wide`."""
    blocks = [
        table.reindex(samples).set_axis([f"{name}{SEPARATOR}{channel}" for channel in table.columns], axis=1)
        for name, table in tables.items()
    ]
    return pd.concat(blocks, axis=1).astype(np.float64).rename_axis(index=None, columns=None)


def to_wide(profiles: Any, names: Sequence[str] | None = None) -> pd.DataFrame:
    """One table of several profiles side by side, float64: (n_samples, sum of channels).

    Columns are named ``SBS96|A[C>A]A``, and NaN where a sample does not have the profile. `names` are the
    profiles wanted, in the order wanted; all by default.
    """
    names = list(profiles.mod) if names is None else list(names)
    unknown = [name for name in names if name not in profiles.mod]
    if unknown or not names:
        raise ValueError(
            f"names must be profiles of {', '.join(profiles.mod)}, but {list_names(unknown) or 'none'} came. "
            "Name some of these."
        )
    tables = {
        name: pd.DataFrame(
            profiles.mod[name].X,
            index=profiles.mod[name].obs_names,
            columns=profiles.mod[name].var["channel"],
        )
        for name in names
    }
    return wide_table(tables, profiles.obs_names)


def _load_sv26() -> pd.DataFrame:
    """Structural variants by aliquot: 2605 tumours with at least one."""
    table = pd.read_csv(fetch(SV_FILE), index_col=0)
    # The second "At fragile site" column is that of duplications; the file's header names deletions twice.
    table = table.set_axis(table.index.str.partition(".").get_level_values(0)).rename_axis(None)
    return table.rename(columns={"At fragile site DEL.1": "At fragile site DUP"})[list(SV26)]


def load_pcawg_profiles(profiles: Sequence[str] = PCAWG_PROFILES) -> Any:
    """Mutation profiles of the 2780 tumour genomes of PCAWG, with what is known of them.

    `profiles` are of SBS96, ID83, DBS78, CN28 and SV26. Samples of the MuData are named as published, such as
    ``"Biliary-AdenoCA::SP117655"``. Copy number is absent for 2 samples. Structural variants: 2605 samples
    have some. Of the other 175, the 122 that CHORD or HRDetect scored, which need such calls, are rows of
    zeros; for 53 nothing shows that they were called, and the profile is absent. ``obs`` holds

    - ``histology, organ, subtype``: published histology; its organ, as the paper writes it; what follows
      the organ;
    - ``specimen, aliquot, donor, project, quality``: see `latentgenomes.mutations.pcawg.load_pcawg`;
    - ``sv_calls``: ``"found"``, ``"none"`` or ``"unknown"``;
    - ``sex, age`` (years), ``survival_days``, ``died`` (1, 0 or NaN), ``purity, ploidy, n_loh``,
      ``genome_doubled`` (1, 0 or NaN);
    - ``hrd_chord`` (1, 0 or NaN), ``hrdetect`` (probability): predicted from mutations themselves;
    - ``tcga`` (patient barcode or "") and the scores of `REPAIR_SCORES`, from the patient's expression,
      protein or copy number, for the TCGA subset.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101; Sugita et al. 2022, Bioinformatics 38:540 (Viola-SV); Nguyen et
    al. 2020, Nat Commun 11:5584 (CHORD); Degasperi et al. 2020, Nat Cancer 1:249 (HRDetect); Knijnenburg et
    al. 2018, Cell Rep 23:239 (repair scores).
    """
    known = (*PCAWG_FILES, "CN28", "SV26")
    unknown = [name for name in profiles if name not in known]
    if unknown or not profiles:
        raise ValueError(
            f"profiles must be of {', '.join(known)}, but {list_names(unknown) or 'none'} came. CN48 and "
            "SV32 cannot be counted from PCAWG's public files."
        )
    samples = load_samples()
    found = _load_sv26()
    # HRDetect and CHORD need calls of structural variants: a tumour that they scored was called.
    called = samples["hrdetect"].notna() | samples["hrd_chord"].notna()
    samples["sv_calls"] = np.select(
        [samples["aliquot"].isin(found.index), called], ["found", "none"], "unknown"
    )
    tables = {}
    for name in profiles:
        if name in PCAWG_FILES:
            tables[name] = load_pcawg(name).counts
        elif name == "CN28":
            table = load_cn28()
            rows = samples.index[samples["specimen"].isin(table.index)]
            tables[name] = table.loc[samples.loc[rows, "specimen"]].set_axis(rows)
        else:
            rows = samples.index[samples["sv_calls"] != "unknown"]
            tables[name] = found.reindex(samples.loc[rows, "aliquot"], fill_value=0).set_axis(rows)
    return join_profiles(tables, samples=samples, align=True)


def load_muat_split() -> pd.DataFrame:
    """``cancer_type`` and ``part``, training (1449) or validation (363), of MuAt's published split, by
    aliquot.

    Open PCAWG samples of 17 types; Sanjaya et al. 2023, Genome Med 15:47.
    """
    parts = []
    for part, name in MUAT_FILES.items():
        table = pd.read_csv(fetch(name), sep="\t")
        aliquots = pd.Index(table["prep_path"].str.removesuffix(".muat.tsv"), name=None)
        parts.append(
            pd.DataFrame({"cancer_type": table["class_name"].to_numpy(), "part": part}, index=aliquots)
        )
    return pd.concat(parts)
