"""Read a reader's own expression matrix: find its orientation, kind of gene names and scale, and say so.

Scales, decided in this order over all measured values:

==============  ==========================================================================================
found           rule, and what is done
==============  ==========================================================================================
``"z-score"``   some value is negative and the median lies within 1 of 0: kept
``"log2"``      no value is above 30: kept; 2 to the power of 30 reads are more than any gene has
``"counts"``    every value is a whole number: log2(1e6 x / total of the sample + 1)
``"linear"``    the rest (TPM, FPKM, RPM, intensities): log2(x + 1)
==============  ==========================================================================================
"""

import csv
import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.extras import require
from latentgenomes.expression.data.cohorts import ExpressionData

Scale = Literal["auto", "z-score", "log2", "counts", "linear"]
Orientation = Literal["auto", "genes_in_rows", "genes_in_columns"]

LARGEST_LOG2 = 30.0
_SCALES = ("auto", "z-score", "log2", "counts", "linear")
_KINDS = {
    "Ensembl": re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?"),
    "Entrez": re.compile(r"\d+"),
    "miRNA": re.compile(r"[a-z]{3}-(mir|miR|let)-.+"),
}
_PAIR = re.compile(r"(?P<symbol>[^|]+)\|\d+")  # TCGA's SYMBOL|ENTREZ
_ID_COLUMNS = {"Ensembl": "ensembl_gene_id", "Entrez": "entrez_id"}
_HGNC = "https://www.genenames.org/download/archive (hgnc_complete_set.txt)"


def gene_name_kind(names: Sequence[str]) -> str:
    """Kind of most of the names: ``"Ensembl"``, ``"Entrez"``, ``"miRNA"`` or else ``"HGNC"``."""
    counts = {kind: sum(form.fullmatch(name) is not None for name in names) for kind, form in _KINDS.items()}
    kind = max(counts, key=lambda k: counts[k])
    return kind if 2 * counts[kind] > len(names) else "HGNC"


def detect_scale(values: pd.DataFrame) -> str:
    """Scale by the rules at the head of this module; ValueError for negative values of no such scale."""
    measured = values.to_numpy(dtype=np.float64)
    measured = measured[np.isfinite(measured)]
    if measured.min() < 0 and abs(float(np.median(measured))) <= 1:
        return "z-score"
    if measured.max() <= LARGEST_LOG2:
        return "log2"
    if measured.min() < 0:
        raise ValueError(
            f"Expression must be logarithms, z-scores or amounts >= 0, but the values reach from "
            f"{measured.min():g} to {measured.max():g}. Pass the matrix before it was centred."
        )
    return "counts" if (measured == np.floor(measured)).all() else "linear"


def check_expression(values: pd.DataFrame, *, scale: Scale = "auto") -> ExpressionData:
    """Bring a matrix of samples in rows to log2 or z-scores, and leave out, counted, what cannot be used.
    Left out: genes and samples that are missing everywhere, and, where there is more than one sample,
    constant genes. Of a gene that comes again the copy with the highest mean is kept. ValueError if nothing
    is left, a sample comes twice, a value is infinite or an amount negative.
    """
    if scale not in _SCALES:
        raise ValueError(
            f"scale must be one of {', '.join(_SCALES)}, but it is {scale!r}. Name one of these."
        )
    if 0 in values.shape:
        raise ValueError(
            f"The matrix must hold at least one sample and one gene, but its shape is {values.shape}. "
            "Check how it was written."
        )
    twice = values.index[values.index.duplicated()].unique().tolist()
    if twice:
        raise ValueError(
            f"Every sample must come once, but {len(twice)} come again: {list_names(twice)}. "
            "Rename or merge them."
        )
    infinite = np.isinf(values.to_numpy(dtype=np.float64))
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise ValueError(
            f"Expression must be finite, but {infinite.sum()} values are not; the first is of sample "
            f"{values.index[row]!r}, gene {values.columns[column]!r}. Write NA where a value is missing, "
            "and take logarithms of x + 1."
        )
    table, notes = _usable(values.astype(np.float64))
    found = detect_scale(table) if scale == "auto" else scale
    how = "found" if scale == "auto" else "given"
    if found in ("counts", "linear") and (table < 0).to_numpy().any():
        raise ValueError(
            f"Values on the {found} scale must be >= 0, but the smallest is {table.min().min():g}."
        )
    if found == "counts":
        table = table.div(table.sum(axis=1).replace(0, 1), axis=0) * 1e6
    if found in ("counts", "linear"):
        table = pd.DataFrame(np.log2(table.to_numpy() + 1), index=table.index, columns=table.columns)
    done = {"counts": "log2(counts per million + 1) taken", "linear": "log2(x + 1) taken"}.get(found, "kept")
    samples = pd.DataFrame({"patient": table.index}, index=table.index)
    unit = "z-score" if found == "z-score" else "log2"
    notes.append(f"scale {how}: {found}; {done}")
    return ExpressionData(table.astype(np.float32), samples, unit, tuple(notes))


def _usable(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without what is missing, constant or repeated, and the counts of it."""
    notes = []
    n_genes, n_samples = table.shape[1], len(table)
    if table.columns.has_duplicates:
        # Stable, so that of equally high copies the first stays.
        order = np.argsort(-table.mean().fillna(-np.inf).to_numpy(), kind="stable")
        kept = np.sort(order[~table.columns[order].duplicated()])
        notes.append(f"{n_genes - len(kept)} of {n_genes} genes left out: copies with a lower mean")
        table = table.iloc[:, kept]
    empty_genes, empty_samples = table.isna().all(), table.isna().all(axis=1)
    if empty_genes.any():
        notes.append(f"{empty_genes.sum()} of {n_genes} genes left out: missing in every sample")
    if empty_samples.any():
        notes.append(f"{empty_samples.sum()} of {n_samples} samples left out: every gene missing")
    table = table.loc[~empty_samples, ~empty_genes]
    constant = table.nunique() == 1
    if len(table) > 1 and constant.any():
        notes.append(f"{constant.sum()} of {n_genes} genes left out: constant")
        table = table.loc[:, ~constant]
    if 0 in table.shape:
        raise ValueError(
            f"Some genes must vary between samples, but of {n_samples} samples and {n_genes} genes nothing "
            f"is left: {'; '.join(notes)}. Check how the matrix was written."
        )
    return table, notes


def name_genes(
    names: Sequence[str], *, id_table: pd.DataFrame | str | Path | None = None
) -> tuple[list[str | None], list[str]]:
    """HGNC symbols of Ensembl, Entrez or TCGA's paired names, and of old symbols, and notes of what was done.
    Version suffixes of Ensembl ids go, ``TP53|7157`` becomes ``TP53``. `id_table` is HGNC's complete set:
    symbol, ensembl_gene_id, entrez_id, prev_symbol and alias_symbol (the last two separated by ``|``); names
    that it does not know become None. Without it ids and old symbols stay.
    """
    kind = gene_name_kind(names)
    plain = [match["symbol"] if (match := _PAIR.fullmatch(name)) else name for name in names]
    if kind == "Ensembl":
        plain = [name.partition(".")[0] for name in plain]
    notes = [f"gene names found: {kind}"]
    if id_table is None or kind == "miRNA":
        return list(plain), notes
    known = _symbols(id_table, kind)
    symbols = [known.get(name) for name in plain]
    n_unknown = sum(symbol is None for symbol in symbols)
    n_changed = sum(symbol not in (None, name) for symbol, name in zip(symbols, plain, strict=True))
    notes.append(
        f"{n_changed} of {len(names)} gene names replaced by HGNC symbols, {n_unknown} unknown and left out"
    )
    return symbols, notes


def _symbols(id_table: pd.DataFrame | str | Path, kind: str) -> dict[str, str]:
    """Symbol of every name of the kind."""
    table = id_table if isinstance(id_table, pd.DataFrame) else pd.read_csv(id_table, sep="\t", dtype=str)
    needed = ["symbol", _ID_COLUMNS.get(kind, "prev_symbol")]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"id_table must have the columns of HGNC's complete set, but {missing[0]!r} is not among "
            f"{list_names(table.columns.tolist())}. Download it from {_HGNC}."
        )
    if kind in _ID_COLUMNS:
        rows = table[["symbol", _ID_COLUMNS[kind]]].dropna().astype(str)
        ids = rows[_ID_COLUMNS[kind]].str.removesuffix(".0")  # Entrez ids read as floats
        return dict(zip(ids, rows["symbol"], strict=True))
    known: dict[str, str] = {}
    for column in ("alias_symbol", "prev_symbol"):  # a previous name beats an alias, a present name both
        rows = table[["symbol", column]].dropna() if column in table else table.iloc[:0]
        for symbol, old in zip(rows["symbol"], rows.get(column, []), strict=True):
            known |= dict.fromkeys(str(old).split("|"), str(symbol))
    return known | {symbol: symbol for symbol in table["symbol"].astype(str)}


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


def _genes_in_rows(table: pd.DataFrame, genes: Sequence[str] | None) -> tuple[bool, str]:
    """Whether rows are genes, and why."""
    rows, columns = [str(name) for name in table.index], [str(name) for name in table.columns]
    if genes is not None:
        known = set(genes)
        n_rows, n_columns = (sum(name in known for name in axis) for axis in (rows, columns))
        if n_rows != n_columns:
            return n_rows > n_columns, "their names are genes of the model"
    kinds = [gene_name_kind(axis) != "HGNC" for axis in (rows, columns)]
    if kinds[0] != kinds[1]:
        return kinds[0], "their names have the form of gene names"
    return len(rows) >= len(columns), "there are more of them"


def read_expression(
    path: str | Path,
    *,
    orientation: Orientation = "auto",
    scale: Scale = "auto",
    genes: Sequence[str] | None = None,
    id_table: pd.DataFrame | str | Path | None = None,
) -> ExpressionData:
    """Read an expression matrix of one's own: CSV, TSV (also ``.gz``) or ``.h5ad``.

    Parameters
    ----------
    path : a table with names in the first row and column, or an AnnData file, whose X is read
    orientation : {"auto", "genes_in_rows", "genes_in_columns"}
        ``"auto"`` looks where names are genes, then where they have the form of Ensembl, Entrez or miRNA
        names, then takes the longer side for the genes. An AnnData file has genes in columns.
    scale : {"auto", "z-score", "log2", "counts", "linear"}; see the head of this module
    genes : genes that the model knows; the table is brought to them by `align_genes`
    id_table : DataFrame or path; see `name_genes`

    Returns
    -------
    ExpressionData
        log2 or z-scores; what was found, changed and left out stands in its notes.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no table of numbers, or `check_expression` or `align_genes` refuse.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, but there is none at {path}. Check the spelling.")
    if orientation not in ("auto", "genes_in_rows", "genes_in_columns"):
        raise ValueError(
            f"orientation must be 'auto', 'genes_in_rows' or 'genes_in_columns', but it is {orientation!r}."
        )
    if path.suffix == ".h5ad":
        table = require("anndata", "expression").read_h5ad(path).to_df().astype(np.float32)
        notes = ["genes in columns: an AnnData file has them there"]
    else:
        table = _read_text(path)
        in_rows, why = _genes_in_rows(table, genes)
        if orientation != "auto":
            in_rows, why = orientation == "genes_in_rows", "as given"
        notes = [f"genes in {'rows' if in_rows else 'columns'}: {why}"]
        table = table.T if in_rows else table
    symbols, named = name_genes([str(name) for name in table.columns], id_table=id_table)
    known = np.array([symbol is not None for symbol in symbols], dtype=bool)
    table = table.loc[:, known].set_axis([symbol for symbol in symbols if symbol is not None], axis=1)
    data = check_expression(table, scale=scale)
    whole = ExpressionData(data.values, data.samples, data.unit, (*notes, *named, *data.notes))
    return whole if genes is None else align_genes(whole, genes)


def align_genes(data: ExpressionData, genes: Sequence[str]) -> ExpressionData:
    """The same samples over the genes of a model, in its order, NaN where the data lack one."""
    wanted = pd.Index(genes)
    if wanted.has_duplicates:
        again = wanted[wanted.duplicated()].unique().tolist()
        raise ValueError(
            f"genes must name every gene once, but {len(again)} come again: {list_names(again)}."
        )
    shared = wanted.intersection(data.values.columns)
    if not len(shared):
        here, there = (gene_name_kind([str(name) for name in axis]) for axis in (data.values.columns, wanted))
        raise ValueError(
            f"The data must share genes with the model, but none of its {data.values.shape[1]} is among the "
            f"{len(wanted)}; the data has {here} names, the model {there} names. Translate the names with "
            f"id_table, from {_HGNC}."
        )
    notes = (
        f"{data.values.shape[1] - len(shared)} of {data.values.shape[1]} genes left out: unknown to the "
        "model",
        f"{len(wanted) - len(shared)} of the model's {len(wanted)} genes are not in the data and are NaN",
    )
    return ExpressionData(data.values.reindex(columns=wanted), data.samples, data.unit, (*data.notes, *notes))
