"""Restore the missing genes of a reader's own matrix, and say how far to trust each.

The imputer learns from a reference: another matrix, TCGA's miRNAs, or, without one, the matrix itself. Before
the answer is given, a tenth of the measured entries is hidden, restored, and compared: the error of each gene
stands beside its restored values.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import (
    ExpressionData,
    detected_everywhere,
    load_mirna,
    one_tumour_each,
)
from latentgenomes.expression.data.matrix import align_genes
from latentgenomes.expression.evaluate.restoration import gene_errors, impute
from latentgenomes.expression.models.imputers import ExpressionImputer
from latentgenomes.expression.verbs.methods import METHODS, ImputationSettings

RESTORERS = ("knn", "ridge", "local_ridge", "mixture", "restorer")
_HIDDEN = 0.1
_FEWEST_SAMPLES = 20
_LARGEST_BATCH = 256


@dataclass(frozen=True)
class Restored:
    """A restored matrix.

    Attributes
    ----------
    values : pandas.DataFrame of shape (n_samples, n_genes)
        Measured values as they came, the others restored.
    measured : pandas.DataFrame of bool of the same shape
    genes : pandas.DataFrame
        For each gene: n_missing, and rmse (standard deviations of the gene in the reference) and correlation
        of measured entries that were hidden and restored; NaN where none was hidden.
    model : ExpressionImputer
        Fitted on the whole reference.
    notes : tuple of str
        What was found, changed and left out.
    """

    values: pd.DataFrame
    measured: pd.DataFrame
    genes: pd.DataFrame
    model: ExpressionImputer
    notes: tuple[str, ...]

    def save(self, folder: str | Path) -> None:
        """Write restored.csv, measured.csv (1 or 0), genes.csv, notes.txt and model.safetensors."""
        tables = {"restored": self.values, "measured": self.measured.astype(int), "genes": self.genes}
        for name, table in tables.items():
            with replacing(Path(folder) / f"{name}.csv") as path:
                table.to_csv(path, float_format="%.6g")
        with replacing(Path(folder) / "notes.txt") as path:
            path.write_text("\n".join(self.notes) + "\n", encoding="utf-8")
        self.model.save(Path(folder) / "model.safetensors")


def mirna_reference() -> ExpressionData:
    """TCGA's miRNAs, one tumour of each of 10,133 patients."""
    return detected_everywhere(one_tumour_each(load_mirna()))


def restore_matrix(
    data: ExpressionData,
    reference: ExpressionData | None = None,
    *,
    method: str = "mixture",
    random_state: int = 0,
) -> Restored:
    """Fill the missing genes of a matrix.

    Parameters
    ----------
    data : ExpressionData
        From `latentgenomes.expression.data.matrix.read_expression`.
    reference : ExpressionData, optional
        Samples to learn from, on the same scale; the matrix itself where there is none. The answer has the
        genes of the reference.
    method : str
        Of `RESTORERS`.
    random_state : int
        Seed of the model and of the entries hidden for the check.

    Raises
    ------
    ValueError
        If the method is unknown, the scales differ, no gene is shared, the reference has too few samples, or
        nothing is missing.
    """
    if method not in RESTORERS:
        raise ValueError(f"method must be one of {', '.join(RESTORERS)}, but it is {method!r}. Name one.")
    notes = list(data.notes)
    if reference is None:
        known, own = data.values, True
        notes.append("reference: the matrix itself")
    else:
        _check_scales(data.unit, reference.unit)
        data = align_genes(data, list(reference.values.columns))
        notes = [*data.notes, f"reference: {len(reference.values)} samples"]
        known, own = reference.values, False
    if len(known) < _FEWEST_SAMPLES:
        raise ValueError(
            f"The reference must have at least {_FEWEST_SAMPLES} samples, but it has {len(known)}. Pass a "
            "larger one with --reference."
        )
    given = data.values.to_numpy(dtype=np.float64)
    measured = np.isfinite(given)
    if measured.all():
        raise ValueError(
            f"Some gene must be missing, but all {given.size} values are measured. Pass a reference with "
            "more genes, or write NA where a value is missing."
        )
    training = known.to_numpy(dtype=np.float64)
    hidden = measured & (np.random.default_rng(random_state).uniform(size=given.shape) < _HIDDEN)
    holes = np.where(hidden, np.nan, given)
    checked = _fit(method, holes if own else training, random_state)
    scale = np.nanstd(training, axis=0)
    errors = gene_errors(
        impute(checked, holes),
        np.where(measured, given, 0.0),
        hidden,
        scale=np.where(scale > 0, scale, 1.0),
    )
    model = _fit(method, training, random_state) if own else checked
    table = errors[["rmse", "correlation"]].where(errors["n"] > 0)
    table = table.assign(n_missing=(~measured).sum(axis=0)).set_index(data.values.columns)
    return Restored(
        pd.DataFrame(impute(model, given), index=data.values.index, columns=data.values.columns),
        pd.DataFrame(measured, index=data.values.index, columns=data.values.columns),
        table,
        model,
        tuple(notes),
    )


def _check_scales(ours: str, theirs: str) -> None:
    kinds = ["z-score" if unit.startswith("z-score") else "log2" for unit in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"Matrix and reference must be on one scale, but the matrix is {kinds[0]} and the reference "
            f"{kinds[1]}. Pass the matrix as it was before it was centred, or another reference."
        )


def _fit(method: str, values: np.ndarray, seed: int) -> ExpressionImputer:
    settings = ImputationSettings(batch_size=min(_LARGEST_BATCH, max(len(values) // 4, 1)))
    model: ExpressionImputer = METHODS[method](seed, settings).fit(values)
    return model
