"""Finer classifications of substitutions, SBS288 and SBS1536: their channels, catalogues, and SBS96 in them.

SBS288 adds the strand of transcription to SBS96 (T: transcribed, U: untranscribed, N: neither or both), as in
``T:A[C>A]A``; SBS1536 adds one more base on each side, as in ``AA[C>A]AA``. COSMIC has no signatures for
either, so they are summed to SBS96 before they are compared with COSMIC's.
"""

from pathlib import Path

import pandas as pd

from latentgenomes.core.checks import OnEmpty, check_counts
from latentgenomes.mutations.catalogues import (
    _channel,
    _name_channels,
    _numbers,
    _orient,
    _refuse_sums,
    _split_rows,
    read_catalog,
)
from latentgenomes.mutations.channels import BASES, CHANNELS, SBS96

_STRANDS = "TUN"

#: Channels of the finer classifications, in the order of SBS96 within each strand or pair of bases.
FINER: dict[str, tuple[str, ...]] = {
    "SBS288": tuple(f"{strand}:{channel}" for strand in _STRANDS for channel in SBS96),
    "SBS1536": tuple(f"{one}{channel}{two}" for one in BASES for channel in SBS96 for two in BASES),
}
_COARSE: dict[str, str] = {channel: channel[2:] for channel in FINER["SBS288"]} | {
    channel: channel[1:-1] for channel in FINER["SBS1536"]
}


def collapse_channels(table: pd.DataFrame) -> pd.DataFrame:
    """Sum the channels of SBS288 or SBS1536, in the columns, to SBS96; other tables come back as they are."""
    for channels in FINER.values():
        if set(table.columns) == set(channels):
            coarse = table.rename(columns=_COARSE).T.groupby(level=0, sort=False).sum().T
            return coarse[list(SBS96)]
    return table


def context_of(table: pd.DataFrame) -> str:
    """Classification whose channels stand in the columns, such as "SBS288"; "" for none that has a name."""
    labels = set(table.columns)
    return next((name for name, known in {**CHANNELS, **FINER}.items() if set(known) == labels), "")


def read_any_catalog(
    path: str | Path, *, context: str = "SBS96", on_empty: OnEmpty = "raise"
) -> pd.DataFrame:
    """Read a table of counts as `read_catalog` does, and SBS288 or SBS1536 without summing their channels.

    Parameters
    ----------
    path : str or pathlib.Path
        See `latentgenomes.mutations.catalogues.read_catalog`.
    context : str
        SBS96, SBS288, SBS1536, ID83, DBS78, CN48 or SV32.
    on_empty : {"raise", "drop", "keep"}
        What to do with a sample that has no mutation at all.

    Returns
    -------
    pandas.DataFrame of shape (n_samples, n_channels)
        Mutations, int64 >= 0.

    Raises
    ------
    ValueError
        As `read_catalog`; or if the file holds other channels than those of the context.
    """
    if context not in FINER:
        if context not in CHANNELS:
            raise ValueError(
                f"context must be one of {', '.join([*CHANNELS, *FINER])}, but it is {context!r}. Name one."
            )
        return read_catalog(path, context=context, on_empty=on_empty)
    path = Path(path)
    table = _orient(_split_rows(path, "SBS96"), "SBS96", "auto", path.name)
    _refuse_sums(table, "SBS96", path.name)
    found = [_channel(label, "SBS96") for label in table.channels]
    whole = [form.format(channel) for channel, form in found]
    if set(whole) != set(FINER[context]):
        known = {**CHANNELS, **FINER}
        other = next((name for name, channels in known.items() if set(channels) == set(whole)), "")
        if other:
            raise ValueError(
                f"{path.name} must hold the channels of {context}, but it holds those of {other}. "
                f"Name that context."
            )
        _name_channels(table.channels, "SBS96", path.name)  # says which are unknown, missing or come twice
        raise ValueError(
            f"{path.name} must hold the {len(FINER[context])} channels of {context}, such as "
            f"{FINER[context][0]!r}, but it holds {len(whole)}, such as {table.channels[0]!r}. "
            "Check the context."
        )
    frame = pd.DataFrame(_numbers(table, path.name), index=pd.Index(table.samples), columns=whole)
    return check_counts(frame, name=path.name, on_empty=on_empty)[list(FINER[context])]
