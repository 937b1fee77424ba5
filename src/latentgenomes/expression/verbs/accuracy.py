"""How well each gene is restored, with intervals, from measured entries that were hidden.

Where a matrix is its own reference, entries are hidden, the model is fitted without them, and they are
restored; several rounds hide other entries. Where there is a reference, hidden entries of the matrix judge
the genes that it measures, and samples of the reference, shown as the matrix would show them, the others.

==========================  ==================================================================================
column                      meaning
==========================  ==================================================================================
``n_missing``               entries of the gene to restore
``n_checked``               entries that were hidden, restored and compared
``checked_on``              ``"own entries"``, ``"samples of the reference"`` or nothing
``rmse``                    root mean squared error, in standard deviations of the gene
``rmse_lower, _upper``      95% interval: the mean of squared errors, plus and minus 1.96 standard errors
``correlation``             Pearson correlation of restored and true values
``correlation_lower, ...``  95% interval, by Fisher's transformation
``status``                  measured, restored, or why it is not restored
==========================  ==================================================================================
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[Any]
FEWEST_CHECKED = 10
MEASURED, RESTORED = "measured", "restored"
NO_BETTER = "not restored: no better than its mean"
TOO_FEW = "not restored: too few measured entries to judge"
OWN, REFERENCE = "own entries", "samples of the reference"
_NORMAL = 1.959964


class HeldOut:
    """Entries that were hidden and restored, gathered over rounds: sums for each gene, and all values of the
    first `n_kept` genes, for figures.
    """

    def __init__(self, n_genes: int, scale: Matrix) -> None:
        self.scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0).astype(np.float64)
        self.sums = np.zeros((7, n_genes))
        self.parts: list[tuple[Matrix, Matrix, Matrix, Matrix]] = []

    def add(self, restored: Matrix, truth: Matrix, hidden: Mask) -> None:
        """Add a round: restored and true values, (n, p), and which entries were hidden."""
        for start in range(0, len(truth), 1024):
            rows = slice(start, start + 1024)
            seen = hidden[rows]
            a = np.where(seen, restored[rows] / self.scale, 0.0)
            b = np.where(seen, truth[rows] / self.scale, 0.0)
            squares = (a - b) ** 2
            products = (seen, a, b, a * a, b * b, a * b, squares**2)
            self.sums += np.stack([part.sum(axis=0, dtype=np.float64) for part in products])

    def table(self) -> pd.DataFrame:
        """n_checked, rmse and correlation with intervals; NaN where nothing was hidden."""
        n, a, b, aa, bb, ab, fourth = self.sums
        some = np.maximum(n, 1)
        mean_square = np.maximum(aa - 2 * ab + bb, 0.0) / some
        error = np.sqrt(np.maximum(fourth / some - mean_square**2, 0.0) / some)
        spread = np.sqrt(np.maximum(aa - a * a / some, 0) * np.maximum(bb - b * b / some, 0))
        r = np.divide(ab - a * b / some, spread, out=np.zeros(len(n)), where=spread > 1e-9 * some)
        r = np.clip(r, -1, 1)
        width = _NORMAL / np.sqrt(np.maximum(n - 3, 1e-9))
        fisher = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
        columns = {
            "n_checked": n.astype(np.int64),
            "rmse": np.sqrt(mean_square),
            "rmse_lower": np.sqrt(np.maximum(mean_square - _NORMAL * error, 0)),
            "rmse_upper": np.sqrt(mean_square + _NORMAL * error),
            "correlation": r,
            "correlation_lower": np.tanh(fisher - width),
            "correlation_upper": np.tanh(fisher + width),
        }
        table = pd.DataFrame(columns)
        measures = table.columns[1:]
        few = n < 4
        table.loc[few, ["correlation_lower", "correlation_upper"]] = [-1.0, 1.0]
        table.loc[n < 1, measures] = np.nan
        return table

    @property
    def rmse(self) -> float:
        """Over all hidden entries, in standard deviations."""
        n, _, _, aa, bb, ab, _ = self.sums
        return float(np.sqrt(max((aa - 2 * ab + bb).sum(), 0.0) / max(n.sum(), 1)))
