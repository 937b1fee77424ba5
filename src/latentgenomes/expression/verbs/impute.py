"""Restore the missing genes of a reader's own matrix, and say how far to trust each.

The imputer learns from a reference: another matrix, TCGA's miRNAs, or, without one, the matrix itself. Genes
that the check of `accuracy` finds no better than their mean are marked and stay missing.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    one_tumour_each,
)
from latentgenomes.expression.data.files import write_like
from latentgenomes.expression.data.matrix import OwnMatrix, align_genes, match_genes
from latentgenomes.expression.evaluate.restoration import impute
from latentgenomes.expression.verbs.accuracy import FEWEST_CHECKED, MEASURED, NO_BETTER, RESTORED, TOO_FEW
from latentgenomes.expression.verbs.checking import RESTORERS, judge

Matrix = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
_FEWEST_SAMPLES = 20
_LARGEST_MODEL = 200_000_000  # bytes


@dataclass(frozen=True)
class Restored:
    """A restored matrix: measured values as they came, the others restored, and notes of what was done.

    `values` has samples in rows and the genes of the model, in log2 or z-scores; NaN where a gene is marked.
    `genes` has, for each gene, the columns of `latentgenomes.expression.verbs.accuracy`. `points` are hidden
    entries of three genes, restored and true. `model` is fitted on the whole reference. `own` is the matrix
    as it came, where it was read from a file.
    """

    values: pd.DataFrame
    measured: pd.DataFrame
    genes: pd.DataFrame
    model: Any
    notes: tuple[str, ...]
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    own: OwnMatrix | None = None

    def as_given(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The matrix as it came, with its names, order and scale and what was restored filled in, followed by
        genes that only the reference has; and the rows of `genes` for it, left-out genes with the reason.
        Samples in rows. Without a file, `values` and `genes`.
        """
        if self.own is None:
            return self.values, self.genes
        own, table = self.own, self.own.table
        ours = [str(name) for name in own.data.values.columns]
        found = match_genes(ours, [str(name) for name in self.values.columns])
        places = np.full(len(ours), -1, dtype=np.int64)  # of ours among the genes of the model
        places[found[found >= 0]] = np.flatnonzero(found >= 0)
        outward = _six_digits(own.measure.outward(self.values.to_numpy(dtype=np.float64)))
        whole = table.to_numpy(dtype=np.float64, copy=True)
        shared = np.flatnonzero(places >= 0)
        cells = np.ix_(own.samples, own.genes[shared])
        whole[cells] = np.where(np.isfinite(whole[cells]), whole[cells], outward[:, places[shared]])
        added = np.setdiff1d(np.arange(self.values.shape[1]), places)
        more = np.full((len(table), len(added)), np.nan)
        more[own.samples] = outward[:, added]
        names = [str(name) for name in table.columns] + [str(self.values.columns[i]) for i in added]
        filled = pd.DataFrame(np.hstack([whole, more]), index=table.index, columns=names)
        return filled, self._rows(places, added, names)

    def _rows(self, places: Matrix, added: Matrix, names: list[str]) -> pd.DataFrame:
        """Rows of `genes` in the order of the file."""
        own = self.own
        if own is None:
            return self.genes
        n_genes = own.table.shape[1]
        origin = np.full(n_genes, -1, dtype=np.int64)
        origin[own.genes] = places
        rows = self.genes.take(np.r_[origin, added]).reset_index(drop=True)
        lost = np.flatnonzero(origin < 0)
        gaps = own.table.isna().sum().to_numpy()
        rows.loc[lost, rows.columns[2:-2]] = np.nan  # errors
        rows.loc[lost, "n_missing"] = gaps[lost]
        rows.loc[lost, "n_checked"] = 0
        rows.loc[lost, "checked_on"] = ""
        rows.loc[lost, "status"] = [
            f"as it came: {own.reasons[i] or 'unknown to the reference'}" for i in lost
        ]
        return rows.set_axis(pd.Index(names, name="gene"), axis=0)

    def save(self, folder: str | Path) -> None:
        """Write restored.csv in the form of the input (.tsv, .h5ad, ... where that was one), measured.csv
        (1 or 0), genes.csv, points.csv, notes.txt and model.safetensors, which very large models leave out.
        """
        folder = Path(folder)
        filled, genes = self.as_given()
        if self.own is None:
            with replacing(folder / "restored.csv") as path:
                filled.to_csv(path, float_format="%.6g")
        else:
            write_like(filled, self.own.form, folder, "restored", genes)
        tables = {"measured": self.measured.astype(np.int8), "genes": genes, "points": self.points}
        for name, table in tables.items():
            with replacing(folder / f"{name}.csv") as path:
                table.to_csv(path, float_format="%.6g", index=name != "points")
        notes = list(self.notes)
        if self.model_bytes <= _LARGEST_MODEL:
            self.model.save(folder / "model.safetensors")
        else:
            notes.append(f"the model holds its reference ({self.model_bytes / 1e9:.1f} GB) and is not saved")
        with replacing(folder / "notes.txt") as path:
            path.write_text("\n".join(notes) + "\n", encoding="utf-8")

    @property
    def model_bytes(self) -> int:
        """Size of the arrays of the model."""
        return sum(value.nbytes for value in vars(self.model).values() if isinstance(value, np.ndarray))


def _six_digits(values: Matrix) -> Matrix:
    """Values rounded to six significant digits."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    digits = np.power(10.0, 5 - np.floor(np.log10(size)))
    rounded: Matrix = np.round(values * digits) / digits
    return rounded


def mirna_reference() -> ExpressionData:
    """TCGA's miRNAs, one tumour of each of 10,133 patients."""
    return detected_everywhere(one_tumour_each(load_mirna()))


def restore_matrix(
    data: ExpressionData | OwnMatrix,
    reference: ExpressionData | None = None,
    *,
    method: str = "auto",
    fill_all: bool = False,
    random_state: int = 0,
) -> Restored:
    """Fill the missing genes of a matrix, and mark those that cannot be restored.

    Parameters
    ----------
    data : from `latentgenomes.expression.read_expression`
    reference : samples to learn from, on the same scale, whose genes the answer has; else the matrix itself
    method : of `RESTORERS`; "auto" takes factors, the panel regression where a reference has genes that the
        matrix lacks, or, of few genes, the model with the smallest error on hidden entries
    fill_all : fill genes that are no better restored than by their mean, too
    random_state : seed of the model and of the entries hidden for the check

    Raises
    ------
    ValueError
        If the method is unknown, the scales differ, no gene is shared, the reference has too few samples, or
        nothing is missing.
    """
    if method not in RESTORERS:
        raise ValueError(f"method must be one of {', '.join(RESTORERS)}, but it is {method!r}. Name one.")
    own = data if isinstance(data, OwnMatrix) else None
    given = data.data if isinstance(data, OwnMatrix) else data
    notes = list(given.notes)
    if reference is None:
        notes.append("reference: the matrix itself")
    else:
        _check_scales(given.unit, reference.unit)
        given = align_genes(given, list(reference.values.columns))
        size = "{:,} samples, {:,} genes".format(*reference.values.shape)
        notes = [*given.notes, f"reference: {size}", *(f"reference: {note}" for note in reference.notes)]
    known = given.values if reference is None else reference.values
    if len(known) < _FEWEST_SAMPLES:
        raise ValueError(
            f"The reference must have at least {_FEWEST_SAMPLES} samples, but it has {len(known)}. Pass a "
            "larger one with --reference."
        )
    values = given.values.to_numpy(dtype=np.float32)
    measured = np.isfinite(values)
    if measured.all():
        raise ValueError(
            f"Some gene must be missing, but all {values.size} values are measured. Pass a reference with "
            "more genes, or write NA where a value is missing."
        )
    training = None if reference is None else reference.values.to_numpy(dtype=np.float32)
    judged = judge(values, training, method, random_state)
    restored = impute(judged.model, values).astype(np.float32)
    table = _with_status(judged.table, measured)
    marked = table["status"].str.startswith("not restored").to_numpy()
    if marked.any() and not fill_all:
        restored[:, marked] = np.where(measured[:, marked], values[:, marked], np.nan)
    notes += [*judged.notes, *_summary(table, fill_all=fill_all)]
    index, columns = given.values.index, given.values.columns
    return Restored(
        pd.DataFrame(restored, index=index, columns=columns, copy=False),
        pd.DataFrame(measured, index=index, columns=columns, copy=False),
        table.set_index(pd.Index(columns, name="gene")),
        judged.model,
        tuple(notes),
        judged.points.assign(gene=[str(columns[i]) for i in judged.points["gene"]]),
        own,
    )


def _check_scales(ours: str, theirs: str) -> None:
    kinds = ["z-score" if unit.startswith("z-score") else "log2" for unit in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"Matrix and reference must be on one scale, but the matrix is {kinds[0]} and the reference "
            f"{kinds[1]}. Pass the matrix as it was before it was centred, or another reference."
        )


def _with_status(table: pd.DataFrame, measured: Mask) -> pd.DataFrame:
    """The table with n_missing first and status last."""
    missing = (~measured).sum(axis=0)
    status = np.where(table["correlation_lower"] > 0, RESTORED, NO_BETTER).astype(object)
    status[table["n_checked"].to_numpy() < FEWEST_CHECKED] = TOO_FEW
    status[missing == 0] = MEASURED
    whole = table.assign(status=status)
    whole.insert(0, "n_missing", missing)
    return whole


def _summary(table: pd.DataFrame, *, fill_all: bool) -> list[str]:
    """What was restored and what was marked, in words."""
    asked = table[table["n_missing"] > 0]
    good = asked[asked["status"] == RESTORED]
    notes = [f"{len(good):,} of {len(asked):,} genes with gaps restored"]
    if len(good):
        middle = good[["rmse", "correlation"]].median()
        notes[0] += f"; median error {middle['rmse']:.2f} SD, median correlation {middle['correlation']:.2f}"
    for status in (NO_BETTER, TOO_FEW):
        n_marked = int((asked["status"] == status).sum())
        if n_marked:
            kept = "filled all the same" if fill_all else "left missing"
            notes.append(f"{n_marked:,} genes {kept}; {status.removeprefix('not restored: ')}")
    return notes
