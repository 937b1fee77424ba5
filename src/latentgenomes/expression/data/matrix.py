"""Read a reader's own expression matrix: find its orientation, names of genes and scale, and say so.

Orientation comes from the names (`gene_names`), scale from the values (`scales`). What is left out (genes
that are empty, constant or come again, empty samples) is named; written back, it stays as it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.data.files import MANY, Form, read_anndata, read_text
from latentgenomes.expression.data.gene_names import (
    ENSEMBL,
    PAIR,
    gene_name_kind,
    genes_in_rows,
    naming_notes,
    present_symbols,
    read_gene_names,
)
from latentgenomes.expression.data.scales import Measure, Scale, measure

Orientation = Literal["auto", "genes_in_rows", "genes_in_columns"]
Positions = npt.NDArray[np.int64]
_ORIENTATIONS = ("auto", "genes_in_rows", "genes_in_columns")


@dataclass(frozen=True)
class OwnMatrix:
    """A matrix as it came, and what the models see of it. `table` has samples in rows, and the names, order
    and values of the file. `data` has those genes and samples that can be used, in positions `genes` and
    `samples` of the table, on the scale that `measure` leads to. `reasons`, (n_genes,), say why a gene was
    left out.
    """

    data: ExpressionData
    table: pd.DataFrame
    genes: Positions
    samples: Positions
    reasons: tuple[str, ...]
    measure: Measure
    form: Form


def check_expression(values: pd.DataFrame, *, scale: Scale = "auto") -> ExpressionData:
    """Bring a matrix of samples in rows to log2 or z-scores, and leave out, named, what cannot be used.
    Left out: genes and samples that are missing everywhere, and, where there is more than one sample,
    constant genes. Of a gene that comes again, also under another name of it, the copy with the highest mean
    is kept. ValueError if nothing is left, a sample comes twice, a value is infinite or an amount negative.
    """
    return own_matrix(values, Form("matrix.csv", in_rows=False), scale=scale).data


def own_matrix(values: pd.DataFrame, form: Form, *, scale: Scale = "auto") -> OwnMatrix:
    """What `check_expression` finds, with the way back."""
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
    array = values.to_numpy(dtype=np.float64 if values.size < MANY else np.float32)
    if np.isinf(array).any():
        row, column = np.argwhere(np.isinf(array))[0]
        raise ValueError(
            f"Expression must be finite, but {np.isinf(array).sum()} values are not; the first is of sample "
            f"{values.index[row]!r}, gene {values.columns[column]!r}. Write NA where a value is missing, "
            "and take logarithms of x + 1."
        )
    names = plain_names([str(name) for name in values.columns])
    reasons, samples, notes = _usable(array, names, values)
    genes = np.array([position for position, why in enumerate(reasons) if not why], dtype=np.int64)
    whole = len(genes) == array.shape[1] and len(samples) == len(array)
    kept = array if whole else array[np.ix_(samples, genes)]
    table = pd.DataFrame(kept, index=values.index[samples], columns=[names[g] for g in genes], copy=False)
    found = measure(table, scale)
    notes.append(f"scale {'found' if scale == 'auto' else 'given'}: {found.name}; {found.done}")
    if found.name == "counts" and not np.isfinite(kept).all():
        notes.append("counts have gaps: sizes of samples estimated from the genes that each measures")
    brought = pd.DataFrame(
        found.inward(kept).astype(np.float32), index=table.index, columns=table.columns, copy=False
    )
    about = pd.DataFrame({"patient": brought.index}, index=brought.index)
    unit = "z-score" if found.name == "z-score" else "log2"
    data = ExpressionData(brought, about, unit, tuple(notes))
    return OwnMatrix(data, values, genes, samples, tuple(reasons), found, form)


def plain_names(names: Sequence[str]) -> list[str]:
    """Names without versions of Ensembl ids, and of pairs the symbol."""
    pairs = [match["symbol"] if (match := PAIR.fullmatch(name)) else name for name in names]
    return [match[1] if (match := ENSEMBL.fullmatch(name)) else name for name in pairs]


def _usable(
    array: npt.NDArray[np.floating], names: list[str], values: pd.DataFrame
) -> tuple[list[str], Positions, list[str]]:
    """Why each gene is left out ("" if it is not), positions of the samples kept, and notes."""
    measured = np.isfinite(array)
    n_samples, n_genes = array.shape
    counts = measured.sum(axis=0)
    sums = np.where(measured, array, 0.0).sum(axis=0)
    means = np.divide(sums, counts, out=np.full(n_genes, -np.inf), where=counts > 0)
    genes = [symbol or name for symbol, name in zip(present_symbols(names), names, strict=True)]
    reasons = [""] * n_genes
    copies: dict[str, list[int]] = {}
    for position, gene in enumerate(genes):
        copies.setdefault(gene, []).append(position)
    for gene, places in copies.items():
        best = max(places, key=lambda place: (means[place], -place))
        for place in places:
            if place != best:
                reasons[place] = f"copy of {gene} with a lower mean"
    constant = (counts > 0) & (
        np.nanmax(np.where(measured, array, -np.inf), axis=0)
        == np.nanmin(np.where(measured, array, np.inf), axis=0)
    )
    for position in range(n_genes):
        if not reasons[position] and counts[position] == 0:
            reasons[position] = "missing in every sample"
        elif not reasons[position] and n_samples > 1 and constant[position]:
            reasons[position] = "constant"
    notes = []
    for word, start in (
        ("copies with a lower mean", "copy"),
        ("missing in every sample", "missing"),
        ("constant", "constant"),
    ):
        gone = [str(values.columns[i]) for i, why in enumerate(reasons) if why.startswith(start)]
        if gone:
            notes.append(f"{len(gone)} of {n_genes} genes left out: {word} ({list_names(gone)})")
    empty = ~measured.any(axis=1)
    if empty.any():
        who = list_names(values.index[empty].astype(str).tolist())
        notes.append(f"{empty.sum()} of {n_samples} samples left out: every gene missing ({who})")
    if all(reasons) or empty.all():
        raise ValueError(
            f"Some genes must vary between samples, but of {n_samples} samples and {n_genes} genes nothing "
            f"is left: {'; '.join(notes)}. Check how the matrix was written."
        )
    return reasons, np.flatnonzero(~empty), notes


def name_genes(
    names: Sequence[str], *, id_table: pd.DataFrame | str | Path | None = None
) -> tuple[list[str | None], list[str]]:
    """HGNC symbols of names of any kind, and notes of what was done. Version suffixes of Ensembl ids go,
    ``TP53|7157`` becomes ``TP53``. With an `id_table` (HGNC's complete set: symbol, ensembl_gene_id,
    entrez_id, prev_symbol and alias_symbol, values separated by ``|``) names are replaced by its symbols, and
    those that it does not know become None. Without it names stay.
    """
    kind = gene_name_kind(names)
    notes = [f"gene names found: {kind}"]
    if id_table is None or kind == "miRNA":
        return list(plain_names(names)), notes
    known = read_gene_names(id_table, kind)
    plain = plain_names(names)
    symbols = present_symbols(plain, known)
    if kind == "Ensembl":
        symbols = [symbol if symbol in known.symbols else None for symbol in symbols]
    n_unknown = sum(symbol is None for symbol in symbols)
    n_changed = sum(symbol not in (None, name) for symbol, name in zip(symbols, plain, strict=True))
    notes.append(
        f"{n_changed} of {len(names)} gene names replaced by HGNC symbols, {n_unknown} unknown and left out"
    )
    return symbols, notes


def read_expression(
    path: str | Path,
    *,
    orientation: Orientation = "auto",
    scale: Scale = "auto",
    genes: Sequence[str] | None = None,
    id_table: pd.DataFrame | str | Path | None = None,
    layer: str = "",
) -> ExpressionData:
    """Read an expression matrix of one's own: CSV, TSV (also ``.gz``) or ``.h5ad``.

    Parameters
    ----------
    path : a table with names in the first row and column, or an AnnData file
    orientation : {"auto", "genes_in_rows", "genes_in_columns"}
        ``"auto"`` looks where names are `genes`, then where they are human genes or have the form of Ensembl,
        Entrez or miRNA names, or where they are patients.
    scale : {"auto", "z-score", "log2", "counts", "linear"}; see `latentgenomes.expression.data.scales`
    genes : genes that the model knows; the table is brought to them by `align_genes`
    id_table : DataFrame or path; see `name_genes`
    layer : of an AnnData file, read instead of X

    Returns
    -------
    ExpressionData
        log2 or z-scores; what was found, changed and left out stands in its notes.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no table of numbers, the names do not tell where the genes are, or
        `check_expression` or `align_genes` refuse.
    """
    own = read_own(path, orientation=orientation, scale=scale, genes=genes, layer=layer)
    data = own.data
    if id_table is not None:
        symbols, notes = name_genes(list(data.values.columns), id_table=id_table)
        known = np.array([symbol is not None for symbol in symbols], dtype=bool)
        values = data.values.loc[:, known].set_axis([name for name in symbols if name is not None], axis=1)
        data = replace(data, values=values.loc[:, ~values.columns.duplicated()], notes=(*data.notes, *notes))
    return data if genes is None else align_genes(data, genes)


def read_own(
    path: str | Path,
    *,
    orientation: Orientation = "auto",
    scale: Scale = "auto",
    genes: Sequence[str] | None = None,
    layer: str = "",
    axis: str = "orientation",
    dtype: npt.DTypeLike = np.float64,
) -> OwnMatrix:
    """Read a matrix with the way back to its form; see `read_expression`. A text table is held as `dtype`;
    `axis` is what the command line calls the orientation.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, but there is none at {path}. Check the spelling.")
    if orientation not in _ORIENTATIONS:
        raise ValueError(
            f"orientation must be 'auto', 'genes_in_rows' or 'genes_in_columns', but it is {orientation!r}."
        )
    if path.suffix == ".h5ad":
        table, form, notes = read_anndata(path, layer)
        wanted = orientation == "genes_in_rows"
        if orientation != "auto" and wanted != form.in_rows:
            table, form = table.T, replace(form, in_rows=wanted)
            notes[-1] = f"genes in {'rows' if wanted else 'columns'}: as given"
    else:
        if layer:
            raise ValueError(
                f"Only an AnnData file has layers, but {path.name} is a text table. Leave it out."
            )
        table, mark, corner = read_text(path, dtype)
        in_rows, why = orientation == "genes_in_rows", "as given"
        if orientation == "auto" and table.size:
            in_rows, why = _found(table, genes, axis)
        notes = [f"genes in {'rows' if in_rows else 'columns'}: {why}"]
        table = table.T if in_rows else table
        form = Form(path.name, in_rows, mark, corner)
    named = naming_notes([str(name) for name in table.columns])
    own = own_matrix(table, form, scale=scale)
    return replace(own, data=replace(own.data, notes=(*notes, *named, *own.data.notes)))


def _found(table: pd.DataFrame, genes: Sequence[str] | None, option: str) -> tuple[bool, str]:
    """Whether rows are genes, and why: by the genes of a model, then by the names."""
    rows, columns = [str(name) for name in table.index], [str(name) for name in table.columns]
    if genes is not None:
        known = set(genes)
        n_rows, n_columns = (sum(name in known for name in axis) for axis in (rows, columns))
        if n_rows != n_columns:
            return n_rows > n_columns, "their names are genes of the model or reference"
    return genes_in_rows(rows, columns, option=option)


def match_genes(ours: Sequence[str], theirs: Sequence[str]) -> Positions:
    """Position in `ours` of each of `theirs`, -1 where there is none: the same name, else another name of the
    same gene (Ensembl id, Entrez id, previous symbol, alias, date). Each of ours is used once.
    """
    places = {name: position for position, name in enumerate(ours)}
    found = np.array([places.get(name, -1) for name in theirs], dtype=np.int64)
    left = set(range(len(ours))) - set(found.tolist())
    rest = np.flatnonzero(found < 0)
    if not len(left) or not len(rest):
        return found
    free = sorted(left)
    by_symbol: dict[str, int] = {}
    for position, symbol in zip(free, present_symbols([ours[i] for i in free]), strict=True):
        if symbol is not None:
            by_symbol.setdefault(symbol, position)
    for place, symbol in zip(rest, present_symbols([theirs[i] for i in rest.tolist()]), strict=True):
        if symbol is not None:
            found[place] = by_symbol.pop(symbol, -1)
    return found


def align_genes(data: ExpressionData, genes: Sequence[str]) -> ExpressionData:
    """The same samples over the genes of a model, in its order, NaN where the data lack one. Genes match
    by name, and where that fails by other names of the same gene.
    """
    wanted = pd.Index(genes)
    if wanted.has_duplicates:
        again = wanted[wanted.duplicated()].unique().tolist()
        raise ValueError(
            f"genes must name every gene once, but {len(again)} come again: {list_names(again)}."
        )
    ours = [str(name) for name in data.values.columns]
    places = match_genes(ours, [str(name) for name in wanted])
    shared = places >= 0
    if not shared.any():
        here, there = (gene_name_kind([str(name) for name in axis]) for axis in (data.values.columns, wanted))
        raise ValueError(
            f"The data must share genes with the model, but none of its {len(ours)} is among the "
            f"{len(wanted)}; the data has {here} names, the model {there} names. Check that both are human "
            "genes, or translate the names with id_table."
        )
    values = np.full((len(data.values), len(wanted)), np.nan, dtype=np.float32)
    values[:, shared] = data.values.to_numpy()[:, places[shared]]
    pairs = [(ours[p], str(name)) for p, name in zip(places.tolist(), wanted, strict=True) if p >= 0]
    renamed = [f"{own} = {name}" for own, name in pairs if own != name]
    notes = [
        f"{len(ours) - shared.sum()} of {len(ours)} genes left out: unknown to the model",
        f"{(~shared).sum()} of the model's {len(wanted)} genes are not in the data and are NaN",
    ]
    if renamed:
        notes.insert(0, f"{len(renamed)} genes matched under another name: {list_names(renamed)}")
    aligned = pd.DataFrame(values, index=data.values.index, columns=wanted)
    return ExpressionData(aligned, data.samples, data.unit, (*data.notes, *notes))
