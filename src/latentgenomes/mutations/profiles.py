"""Read signatures of one's own from a table."""

from pathlib import Path

import pandas as pd

from latentgenomes.core.checks import check_profiles
from latentgenomes.mutations.channels import CHANNELS, normalize_label


def read_signatures(path: str | Path, *, context: str = "SBS96") -> pd.DataFrame:
    """Read a table of signatures, (n_signatures, n_channels), in catalogue order; rows scaled to sum to 1.

    Separated by comma, tab or semicolon, with channel names in any spelling of `normalize_label` in the first
    column or the header, as COSMIC and `Extraction.save` write it. A ValueError for a channel that is
    missing, unknown or comes twice, and a row that does not sum to 1.
    """
    path = Path(path)
    if context not in CHANNELS:
        raise ValueError(f"context must be one of {', '.join(CHANNELS)}, but it is {context!r}. Name one.")
    try:
        table = pd.read_csv(path, sep=None, engine="python", index_col=0)
    except (pd.errors.ParserError, UnicodeDecodeError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path.name} must be a text table, but cannot be read ({error}).") from error
    if _known(table.index, context) > _known(table.columns, context):
        table = table.T
    names = [normalize_label(str(label), context) for label in table.columns]
    absent = [channel for channel in CHANNELS[context] if channel not in names]
    unknown = [str(label) for label, name in zip(table.columns, names, strict=True) if name is None]
    if absent or unknown or len(names) != len(CHANNELS[context]):
        raise ValueError(
            f"{path.name} must have each of the {len(CHANNELS[context])} channels of {context} once, but has "
            f"{len(names)} columns; missing: {', '.join(absent[:3]) or 'none'}; unknown: "
            f"{', '.join(unknown[:3]) or 'none'}. Correct the names, or name another context."
        )
    table.columns = pd.Index(names)
    table.index = table.index.astype(str)
    return check_profiles(table[list(CHANNELS[context])], name=path.name, tolerance=0.01)


def _known(labels: pd.Index, context: str) -> int:
    """How many of the labels are channels."""
    return sum(normalize_label(str(label), context) is not None for label in labels)
