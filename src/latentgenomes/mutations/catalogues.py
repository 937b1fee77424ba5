"""Read a reader's own table of mutation counts, whatever the orientation and the spelling of its channels."""

import csv
import gzip
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import OnEmpty, check_counts, list_names
from latentgenomes.mutations.callfiles import call_format
from latentgenomes.mutations.channels import channels_of, nearest_label, normalize_label, other_strand

Orientation = Literal["auto", "channels_in_rows", "channels_in_columns"]

# How many leading columns may spell one channel: ("Mutation type", "Trinucleotide"), (Ref, Var), (Type, ...
# 4).
_LABEL_COLUMNS = {"SBS96": (1, 2), "DBS78": (1, 2), "ID83": (1, 4)}
# Finer tables of substitutions: with the strand (T:A[C>A]A), two bases on each side (AA[C>A]AA), or both.
_FINER = re.compile(
    r"(?P<strand>[TUBN]:)(?P<three>\w\[\w>\w\]\w)"
    r"|(?P<before>([TUBN]:)?[ACGT])(?P<five>\w\[\w>\w\]\w)(?P<after>[ACGT])"
)
_SUM = re.compile(r"(grand |row |column )?(total|sum|all|count)s?", re.IGNORECASE)


@dataclass(frozen=True)
class _RawTable:
    """Names as they stand in the file, and the cells between them, samples in rows."""

    samples: list[str]
    channels: list[str]
    cells: npt.NDArray[np.str_]  # (n_samples, n_channels)


def _read_text(path: Path, context: str) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, but there is none at {path}. Check the spelling.")
    kind = call_format(path)
    if kind is not None:
        raise ValueError(
            f"{path.name} must hold a table of counts, but it holds calls ({kind}). Count them first: "
            f"latentgenomes count {path} --genome FASTA -o DIR, then use DIR/{context}.csv."
        )
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path.name} must be a readable text table (CSV or TSV, UTF-8), but it is not: {error}. "
            "Export it as CSV or TSV."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"{path.name} must be a readable text table (CSV or TSV, UTF-8), but it holds zero bytes. "
            "Export it as CSV or TSV."
        )
    if not text.strip("\t,; \r\n"):
        raise ValueError(f"{path.name} must hold a table, but it is empty. Write the file again.")
    return text


def _separator(lines: list[str]) -> str:
    """The mark that cuts the first two lines into equally many cells; a channel name may hold another one."""

    def fit(mark: str) -> tuple[bool, bool, int]:
        widths = [len(row) for row in csv.reader(lines[:2], delimiter=mark)]
        several = widths[-1] > 1
        return several and widths[0] == widths[-1], several and widths[0] + 1 == widths[-1], widths[-1]

    return max("\t,;", key=fit)


def _split_rows(path: Path, context: str) -> list[list[str]]:
    """Rows of equal length: the header, then the body."""
    text = _read_text(path, context)
    lines = [line for line in text.splitlines() if line.strip("\t,; ")]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=_separator(lines))]
    if len(rows) < 2:
        raise ValueError(
            f"{path.name} must hold a header and at least one row, but it has {len(rows)} row(s). "
            "Write the file again."
        )
    if len(rows[1]) == len(rows[0]) + 1:  # R's write.table leaves the corner out
        rows[0] = ["", *rows[0]]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path.name} must have {len(rows[0])} cells in every row, but row {number} has "
                f"{len(row)}. The file may be cut off; write it again."
            )
    return rows


def _n_known(labels: list[str], context: str) -> int:
    return sum(_channel(label, context)[0] is not None for label in labels)


def _channel(label: str, context: str) -> tuple[str | None, str]:
    """Channel of a label, or None, and the form of a finer table in which it stands, such as ``T:{}``."""
    known = normalize_label(label, context) or other_strand(label, context)
    finer = _FINER.fullmatch(label.strip()) if known is None and context == "SBS96" else None
    if finer is None:
        return known, "{}"
    form = f"{finer['strand'] or finer['before']}{{}}{finer['after'] or ''}"
    return normalize_label(finer["three"] or finer["five"], context), form


def _orient(rows: list[list[str]], context: str, orientation: Orientation, name: str) -> _RawTable:
    header, body = rows[0], rows[1:]
    # Channels in rows: the leading columns that, joined, spell the most channels.
    down = {n: [",".join(row[:n]) for row in body] for n in _LABEL_COLUMNS.get(context, (1,))}
    width = max(down, key=lambda n: _n_known(down[n], context))
    n_down, n_across = _n_known(down[width], context), _n_known(header, context)
    in_rows = n_down >= n_across if orientation == "auto" else orientation == "channels_in_rows"
    if (n_down if in_rows else n_across) == 0:
        place = {"auto": "first row or first column", "channels_in_rows": "first column"}
        raise ValueError(
            f"{name} must name {context} channels such as {channels_of(context)[0]!r}, but none stands "
            f"in its {place.get(orientation, 'first row')}; the first names are {list_names(header[:3])} and "
            f"{list_names(down[1][:3])}. Check context and orientation."
        )
    if in_rows:
        cells = np.array([row[width:] for row in body], dtype=np.str_).T
        return _RawTable(header[width:], down[width], cells)
    n_names = 0 if _channel(header[0], context)[0] else 1
    samples = [row[0] for row in body] if n_names else [f"sample_{i}" for i in range(1, len(body) + 1)]
    return _RawTable(samples, header[n_names:], np.array([row[n_names:] for row in body], dtype=np.str_))


def _refuse_sums(table: _RawTable, context: str, name: str) -> None:
    """Refuse a row or column that is the sum of the others."""
    try:
        cells = table.cells.astype(np.float64)
    except ValueError:
        return  # `_numbers` says where
    known = np.array([_channel(label, context)[0] is not None for label in table.channels], dtype=bool)
    sums = [
        label
        for label, column, ours in zip(table.channels, cells.T, known, strict=True)
        if not ours and column.any() and (column == cells[:, known].sum(axis=1)).all()
    ]
    counts = cells[:, known]
    for sample, row in zip(table.samples, counts, strict=True):
        others = counts.sum(axis=0) - row
        # A few mutations may be the sum of the others by chance, and two samples may be copies.
        sure = row.sum() >= len(row) and counts.any(axis=1).sum() > 2
        if row.any() and (row == others).all() and (sure or _SUM.fullmatch(sample)):
            sums.append(sample)
    if sums:
        raise ValueError(
            f"{name} must hold samples and channels only, but {list_names(sums)} is the sum of the others. "
            "Remove it."
        )


def _name_channels(labels: list[str], context: str, name: str) -> list[str]:
    """Catalogue names of the labels: each channel once in each form of a finer table, and none missing."""
    found = {label: _channel(label, context) for label in labels}
    unknown = [label for label, (channel, _) in found.items() if channel is None]
    if unknown:
        near = nearest_label(unknown[0], context)
        hint = f"Did you mean {near!r} for {unknown[0]!r}?" if near else "Remove what is not a channel."
        raise ValueError(
            f"{name} must hold only {context} channels, but {len(unknown)} of {len(labels)} names are "
            f"unknown: {list_names(unknown)}. {hint}"
        )
    whole = [form.format(channel) for channel, form in (found[label] for label in labels)]
    twice = [channel for channel, times in Counter(whole).items() if times > 1]
    if twice:
        names = list(
            dict.fromkeys(x for x, channel in zip(labels, whole, strict=True) if channel == twice[0])
        )
        also = f" ({' and '.join(map(repr, names))} are one channel)" if len(names) > 1 else ""
        raise ValueError(
            f"{name} must hold every {context} channel once, but {len(twice)} come again: "
            f"{list_names(twice)}. Add their counts or remove one{also}."
        )
    forms = list(dict.fromkeys(form for _, form in found.values()))
    all_of_them = [form.format(channel) for form in forms for channel in channels_of(context)]
    missing = [channel for channel in all_of_them if channel not in set(whole)]
    if missing:
        raise ValueError(
            f"{name} must hold all {len(all_of_them)} {context} channels, but {len(missing)} are "
            f"missing: {list_names(missing)}. Add them, with 0 where no mutation was seen."
        )
    _say_how_read(labels, forms, context, name)
    return [str(found[label][0]) for label in labels]


def _say_how_read(labels: list[str], forms: list[str], context: str, name: str) -> None:
    """Warn of channels that are read from the other strand or summed over the forms of a finer table."""
    turned = [label for label in labels if other_strand(label, context)]
    if turned:
        warnings.warn(
            f"{name} names {len(turned)} of {len(labels)} channels on the other strand, such as "
            f"{turned[0]!r}, which is read as {other_strand(turned[0], context)!r}.",
            UserWarning,
            stacklevel=4,
        )
    if len(forms) > 1:
        warnings.warn(
            f"{name} holds {len(labels)} channels, {len(forms)} for each of {context}, such as "
            f"{labels[0]!r}; they are summed to {context}.",
            UserWarning,
            stacklevel=4,
        )


def _numbers(table: _RawTable, name: str) -> npt.NDArray[np.float64]:
    empty = np.isin(np.char.lower(table.cells), ["", "na", "nan", "n/a", "null", "none"])
    try:
        return np.where(empty, "nan", table.cells).astype(np.float64)
    except ValueError:
        pass
    for row, sample in enumerate(table.samples):
        for column, channel in enumerate(table.channels):
            try:
                float(table.cells[row, column])
            except ValueError:
                if empty[row, column]:
                    continue
                raise ValueError(
                    f"{name} must hold numbers, but the first that is none is "
                    f"{str(table.cells[row, column])!r} for sample {sample!r}, channel {channel!r}. "
                    "Remove text columns and thousands separators."
                ) from None
    raise ValueError(f"{name} must hold numbers, but some cells are none. Write plain decimal numbers.")


def read_catalog(
    path: str | Path,
    *,
    context: str = "SBS96",
    orientation: Orientation = "auto",
    on_empty: OnEmpty = "raise",
) -> pd.DataFrame:
    """Read a table of mutation counts of one's own: samples by channels, in catalogue order.

    Parameters
    ----------
    path : str or pathlib.Path
        SigProfilerMatrixGenerator's ``.all`` file, or a table separated by comma, tab or semicolon (also
        ``.gz``). The channel names may be in any spelling that `normalize_label` knows,
        in one column, in the usual several columns (``Mutation type, Trinucleotide``; ``Ref, Var``; ``Type,
        Subtype, Indel_size, Repeat_MH_size``), or in the header. Names on the other strand are understood
        (``T[G>T]T``), and finer tables of substitutions (``T:A[C>A]A``, ``AA[C>A]AA``) are summed.
    context : str
        SBS96, ID83, DBS78, CN48 or SV32.
    orientation : {"auto", "channels_in_rows", "channels_in_columns"}
        Where the channel names stand; ``"auto"`` looks where more of them are known.
    on_empty : {"raise", "drop", "keep"}
        What to do with a sample that has no mutation at all.

    Returns
    -------
    pandas.DataFrame of shape (n_samples, n_channels)
        Mutations, int64 >= 0. Rows in the order of the file, columns in catalogue order.

    Raises
    ------
    ValueError
        If the file is no text table, is empty or cut off, or holds calls; if a channel is missing, unknown or
        comes twice; if a row or column is the sum of the others; if a count is no number, NaN, negative or
        fractional; if a sample name is missing or comes twice, or a sample is empty.

    Warns
    -----
    UserWarning
        If channels are named on the other strand, or a finer table is summed.
    """
    path = Path(path)
    channels_of(context)
    if orientation not in ("auto", "channels_in_rows", "channels_in_columns"):
        raise ValueError(
            "orientation must be 'auto', 'channels_in_rows' or 'channels_in_columns', "
            f"but it is {orientation!r}. Name one of these."
        )
    table = _orient(_split_rows(path, context), context, orientation, path.name)
    if not table.samples:
        raise ValueError(
            f"{path.name} must hold at least one sample, but it holds none. Write the file again."
        )
    nameless = [i for i, sample in enumerate(table.samples, start=1) if not sample]
    if nameless:
        raise ValueError(
            f"{path.name} must name every sample, but {len(nameless)} of {len(table.samples)} have no name; "
            f"the first is sample {nameless[0]}. Name them, or remove a separator at the end of the lines."
        )
    _refuse_sums(table, context, path.name)
    channels = _name_channels(table.channels, context, path.name)
    summed = len(channels) > len(channels_of(context))
    columns = table.channels if summed else channels
    frame = pd.DataFrame(_numbers(table, path.name), index=pd.Index(table.samples), columns=columns)
    counts = check_counts(frame, name=path.name, on_empty=on_empty)
    if summed:
        counts = counts.T.groupby(channels).sum().T
    return counts[list(channels_of(context))]
