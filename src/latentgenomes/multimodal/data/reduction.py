"""Profiles in the classes that PCAWG's public tables and a reader's own matrices share.

Copy number is public for PCAWG without the two parents' shares, so CN48 loses its question for loss of
heterozygosity and becomes CN28. Rearrangements are public in classes whose sizes and places SV32 does not
have; what both can say is SV5: deletions, duplications, short and long inversions, translocations.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.multimodal.data.profiles import PROFILES, SEPARATOR, load_pcawg_profiles, to_wide
from latentgenomes.mutations.channels import CN48, SV32
from latentgenomes.mutations.copynumber import CN28

SV5: tuple[str, ...] = (
    "deletion", "duplication", "inversion <100 kb", "inversion >100 kb", "translocation",
)  # fmt: skip
#: Channels of the profiles that the tumour classifier knows, in its order.
TYPING_PROFILES: dict[str, tuple[str, ...]] = {
    "SBS96": PROFILES["SBS96"],
    "ID83": PROFILES["ID83"],
    "DBS78": PROFILES["DBS78"],
    "CN28": CN28,
    "SV5": SV5,
}
#: Profiles that can be given, and what they become.
REDUCED = {
    "SBS96": "SBS96",
    "ID83": "ID83",
    "DBS78": "DBS78",
    "CN48": "CN28",
    "CN28": "CN28",
    "SV32": "SV5",
    "SV26": "SV5",
}
_SHORT = ("1-10Kb", "10-100Kb")


def _cn28_of_cn48(channel: str) -> str:
    total, kind, size = channel.split(":")
    return channel if kind == "homdel" else f"{total}:{size}"


def _sv5_of_sv32(channel: str) -> str:
    _, kind, *size = channel.split("_")
    if kind == "inv":
        return "inversion <100 kb" if size[0] in _SHORT else "inversion >100 kb"
    return {"del": "deletion", "tds": "duplication", "trans": "translocation"}[kind]


def _sv5_of_sv26(channel: str) -> str | None:
    named = {"<100 kb INV": "inversion <100 kb", ">100 kb INV": "inversion >100 kb"}
    kinds = {"DEL": "deletion", "DUP": "duplication"}
    if channel == "translocation":
        return channel
    return named.get(channel, kinds.get(channel[-3:]))


_CLASSES: dict[str, dict[str, str | None]] = {
    "CN48": {channel: _cn28_of_cn48(channel) for channel in CN48},
    "SV32": {channel: _sv5_of_sv32(channel) for channel in SV32},
    "SV26": {channel: _sv5_of_sv26(channel) for channel in PROFILES["SV26"]},
}


def reduce_profile(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Counts (n, d) of CN48, SV32 or SV26, NaN where absent -> counts of CN28 or SV5; others as they are."""
    if name not in _CLASSES:
        return table
    classes = [_CLASSES[name][str(channel)] for channel in table.columns]
    summed = {
        channel: table.loc[:, [found == channel for found in classes]].sum(axis=1, min_count=1)
        for channel in TYPING_PROFILES[REDUCED[name]]
    }
    return pd.DataFrame(summed, index=table.index)


def typing_table(profiles: pd.DataFrame) -> pd.DataFrame:
    """A wide table of any of `REDUCED` -> a wide table of all `TYPING_PROFILES`, NaN where one did not come.

    A ValueError for a profile that cannot be reduced, or two that become the same.
    """
    columns = profiles.columns.astype(str)
    names = list(dict.fromkeys(column.partition(SEPARATOR)[0] for column in columns))
    unknown = [name for name in names if name not in REDUCED]
    if unknown:
        raise ValueError(
            f"profiles must be of {', '.join(REDUCED)}, but {list_names(unknown)} came. Another "
            "classification of copy number or rearrangements cannot be used; leave it out."
        )
    twice = [name for name in names if [REDUCED[other] for other in names].count(REDUCED[name]) > 1]
    if twice:
        raise ValueError(
            f"profiles must hold each kind of mutation once, but {' and '.join(twice)} are two tables of "
            "one kind. Leave one out."
        )
    found = pd.DataFrame(np.nan, index=profiles.index, columns=_names(TYPING_PROFILES))
    for name in names:
        own = profiles.loc[:, columns.str.startswith(f"{name}{SEPARATOR}")]
        bare = own.set_axis([column.partition(SEPARATOR)[2] for column in own.columns.astype(str)], axis=1)
        reduced = reduce_profile(_complete(bare, name), name)
        found[[f"{REDUCED[name]}{SEPARATOR}{channel}" for channel in reduced.columns]] = reduced.to_numpy()
    return found


def _complete(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The profile's channels in catalogue order; refuses a table that lacks one or has others."""
    channels = list(PROFILES[name])
    if sorted(table.columns) != sorted(channels):
        missing = [channel for channel in channels if channel not in table.columns]
        unknown = [channel for channel in table.columns if channel not in channels]
        raise ValueError(
            f"{name} must hold each of its {len(channels)} channels once, but {len(missing)} are missing "
            f"({list_names(missing) or 'none'}) and {len(unknown)} unknown "
            f"({list_names(unknown) or 'none'}). Correct the names."
        )
    return table[channels]


def _names(profiles: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [f"{name}{SEPARATOR}{channel}" for name, channels in profiles.items() for channel in channels]


def load_typing_tumours() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The 2780 tumours of PCAWG for the classifier: a wide table of `TYPING_PROFILES`, and their samples.

    Samples as in `load_pcawg_profiles`.
    """
    genomes = load_pcawg_profiles(("SBS96", "ID83", "DBS78", "CN28", "SV26"))
    return typing_table(to_wide(genomes)), pd.DataFrame(genomes.obs)
