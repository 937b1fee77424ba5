"""A reader's own file: a text table or an AnnData file, read as it is, and written back in its form."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.gene_names import KINDS_OF_GENES, genes_in_rows, kinds

_CELLS = 4_000_000  # read at a time
MANY = 50_000_000  # values, which are held in single precision
_LARGE, _LARGE_ZIPPED = 200_000_000, 60_000_000  # bytes
_TEXTS = (".csv", ".tsv", ".txt", ".tab")


@dataclass(frozen=True)
class Form:
    """How a file was laid out: its name, `in_rows` (genes), separator and corner of a text table, and the
    layer and annotations of an AnnData file.
    """

    name: str
    in_rows: bool
    mark: str = ","
    corner: str = ""
    layer: str = ""
    obs: pd.DataFrame | None = None
    var: pd.DataFrame | None = None

    @property
    def is_anndata(self) -> bool:
        """Whether it is an AnnData file."""
        return self.name.endswith(".h5ad")

    @property
    def suffix(self) -> str:
        """Ending of a file of this form, such as ``.tsv.gz``."""
        parts = Path(self.name).suffixes[-2:]
        zipped = parts[-1:] == [".gz"]
        kind = (parts[:-1] if zipped else parts)[-1:]
        text = kind[0] if kind and kind[0] in (*_TEXTS, ".h5ad") else ".csv"
        return text + (".gz" if zipped and text != ".h5ad" else "")


def read_text(path: Path, dtype: npt.DTypeLike = np.float64) -> tuple[pd.DataFrame, str, str]:
    """A table of numbers with names in the first row and column, its separator and corner. Repeated names
    stay as they are written. A large file is read in parts, so that memory holds little beside the values.
    """
    large = path.stat().st_size > (_LARGE_ZIPPED if path.suffix == ".gz" else _LARGE)
    if not large:
        table = _read_text(path)
        values = table.to_numpy(dtype=dtype) if table.size else np.empty(table.shape, dtype)
        columns = [str(name) for name in table.columns]
    mark, header = _head(path)
    if large:
        values, names, columns = _read_parts(path, mark, header, dtype)
    else:
        names = table.index.tolist()
    corner = header[0] if len(header) == len(columns) + 1 else ""
    return pd.DataFrame(values, index=[str(name).strip() for name in names], columns=columns), mark, corner


def _head(path: Path) -> tuple[str, list[str]]:
    """Separator and first line of a text table."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        lines = [file.readline(), file.readline()]
    marks = {mark: len(next(csv.reader([lines[1]], delimiter=mark), [])) for mark in "\t,;"}
    mark = max(marks, key=lambda m: marks[m])
    return mark, [cell.strip() for cell in next(csv.reader([lines[0].rstrip("\r\n")], delimiter=mark), [])]


def _read_parts(
    path: Path, mark: str, header: list[str], dtype: npt.DTypeLike
) -> tuple[npt.NDArray[Any], list[str], list[str]]:
    """Values, names of the rows and names of the columns of a large table."""
    names: list[str] = []
    blocks = []
    rows = max(1, _CELLS // max(len(header), 1))
    reader = pd.read_csv(
        path, sep=mark, index_col=0, low_memory=False, dtype={0: str}, chunksize=rows, encoding="utf-8-sig"
    )
    with reader as parts:
        for part in parts:
            words = [name for name, kind in part.dtypes.items() if pd.api.types.is_object_dtype(kind)]
            if words:
                raise ValueError(
                    f"{path.name} must hold numbers beside the names, but column {words[0]!r} has text below "
                    f"row {part.index[0]!r}. Remove columns of text and thousands separators."
                )
            names += part.index.astype(str).tolist()
            blocks.append(part.to_numpy(dtype=dtype))
    return np.concatenate(blocks), names, header[-blocks[0].shape[1] :]


def _read_text(path: Path) -> pd.DataFrame:
    """A table of numbers with names in the first row and column."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig") as file:
            lines = [file.readline(), file.readline()]
        marks = {mark: len(next(csv.reader([lines[1]], delimiter=mark), [])) for mark in "\t,;"}
        mark = max(marks, key=lambda m: marks[m])
        table = pd.read_csv(path, sep=mark, index_col=0, low_memory=False, dtype={0: str})
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, EOFError) as error:
        raise ValueError(
            f"{path.name} must be a readable text table (CSV or TSV, UTF-8) or .h5ad, but it is not: "
            f"{error}. Export it as CSV or TSV."
        ) from error
    # pandas makes repeated column names unique; the header as written is needed to see repetitions.
    header = [cell.strip() for cell in next(csv.reader([lines[0].rstrip("\r\n")], delimiter=mark))]
    if len(header) in (table.shape[1], table.shape[1] + 1):
        table.columns = pd.Index(header[-table.shape[1] :] if table.shape[1] else [])
    table.index = table.index.astype(str)
    for position, (name, kind) in enumerate(zip(table.columns, table.dtypes, strict=True)):
        if pd.api.types.is_object_dtype(kind):
            column = table.iloc[:, position]
            text = pd.to_numeric(column, errors="coerce").isna() & column.notna()
            raise ValueError(
                f"{path.name} must hold numbers beside the names, but {column[text].iloc[0]!r} stands in row "
                f"{text.index[text][0]!r}, column {name!r}. Remove columns of text and thousands separators."
            )
    return table


def read_anndata(path: Path, layer: str = "") -> tuple[pd.DataFrame, Form, list[str]]:
    """Cells or samples by genes of an AnnData file, its form, and notes. `layer` is read instead of X.
    ValueError where there is no such layer, or no X.
    """
    whole = require("anndata", "expression").read_h5ad(path)
    layers = [str(name) for name in whole.layers]
    if layer and layer not in layers:
        raise ValueError(
            f"{path.name} must have the layer {layer!r}, but it has {list_names(layers) or 'none'}. Pass one "
            "of these with --layer (layer=... in Python), or none for X."
        )
    stored = whole.layers[layer] if layer else whole.X
    if stored is None:
        raise ValueError(
            f"{path.name} has no X; its layers are {list_names(layers) or 'none'}. Pass one of these with "
            "--layer (layer=... in Python)."
        )
    sparse = hasattr(stored, "toarray")
    size = stored.shape[0] * stored.shape[1]
    values = np.asarray(
        stored.toarray() if sparse else stored, dtype=np.float64 if size < MANY else np.float32
    )
    genes, notes = _gene_labels(whole.var, [str(name) for name in whole.var_names])
    table = pd.DataFrame(values, index=whole.obs_names.astype(str), columns=genes)
    notes.insert(0, f"values of {f'layer {layer}' if layer else 'X'}" + _others(layers, layer))
    if sparse:
        notes.append(f"stored sparse: the {(values == 0).mean():.0%} of zeros are measured zeros, not gaps")
    in_rows = False
    try:
        in_rows, why = genes_in_rows(table.index.tolist(), genes)
    except ValueError:
        why = "an AnnData file has them there"
    notes.append(f"genes in {'rows' if in_rows else 'columns'}: {why}")
    form = Form(path.name, in_rows, layer=layer, obs=whole.obs.copy(), var=whole.var.copy())
    return (table.T if in_rows else table), form, notes


def _others(layers: list[str], layer: str) -> str:
    rest = [name for name in layers if name != layer]
    return f"; other layers, not read: {', '.join(rest)}" if rest else ""


def _gene_labels(var: pd.DataFrame, names: list[str]) -> tuple[list[str], list[str]]:
    """Names of the genes: the index of var, or a column of it where only that holds names of genes."""

    def share(labels: list[str]) -> float:
        return float(pd.Series(kinds(labels)).isin(KINDS_OF_GENES).mean()) if labels else 0.0

    if share(names) >= 0.5:
        return names, []
    for column in var.columns:
        labels = var[column].astype(str).tolist()
        if share(labels) >= 0.5:
            return labels, [f"names of the genes from the column {column!r} of var"]
    return names, []


def write_like(table: pd.DataFrame, form: Form, folder: Path, stem: str, var: pd.DataFrame) -> Path:
    """Write samples by genes in the form of the file that was read, atomically; its path. `var` describes
    the genes, in their order, and goes into an AnnData file.
    """
    target = folder / f"{stem}{form.suffix}"
    with replacing(target) as path:
        if form.is_anndata:
            _write_anndata(table, form, path, var)
        else:
            shown = table.T if form.in_rows else table
            shown.rename_axis(form.corner or None, axis=0).to_csv(path, sep=form.mark, float_format="%.15g")
    return target


def _write_anndata(table: pd.DataFrame, form: Form, path: Path, var: pd.DataFrame) -> None:
    anndata: Any = require("anndata", "expression")
    genes = var.set_axis(pd.Index(table.columns, name=None))
    samples = pd.DataFrame(index=table.index)
    sides = (form.obs, form.var) if not form.in_rows else (form.var, form.obs)
    if sides[0] is not None:
        samples = sides[0].reindex(table.index)
    if sides[1] is not None:
        own = sides[1].reset_index(drop=True).reindex(range(len(genes)))
        own.index = genes.index
        genes = (
            own.join(genes.drop(columns=[name for name in genes if name in own]))
            if len(own.columns)
            else genes
        )
    kinds_of_text = genes.select_dtypes("object").columns
    genes = genes.astype(dict.fromkeys(kinds_of_text, str))
    values = table.to_numpy(dtype=np.float32)
    whole = anndata.AnnData(values, obs=samples, var=genes)
    whole.var_names_make_unique()
    (whole.T if form.in_rows else whole).write_h5ad(path)
