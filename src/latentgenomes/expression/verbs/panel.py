r"""Which genes to measure, so that all others are restored best.

Factor analysis gives each gene loadings w and noise psi. With the covariance S of what is not yet known of
the factors, at first the identity, measuring gene g lowers the unknown variance of all genes by

.. math::
    \frac{\sum_h (w_h^\top S w_g)^2}{w_g^\top S w_g + \psi_g}, \qquad
    S \leftarrow S - \frac{S w_g w_g^\top S}{w_g^\top S w_g + \psi_g} .

Genes are taken one by one, each the best given those before it; the cost is linear in genes. The panel is
judged on patients that took no part in choosing it, beside random panels and the genes of highest variance.

References
----------
Krause, Singh & Guestrin 2008, J Mach Learn Res 9:235 (choosing sensors one by one).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.provenance import replacing
from latentgenomes.expression.data.cohorts import ExpressionData
from latentgenomes.expression.evaluate.restoration import gene_errors
from latentgenomes.expression.models.factors import FactorImputer
from latentgenomes.expression.models.panels import PanelImputer

Matrix = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
_FEWEST_SAMPLES = 30
_BARCODE = r"TCGA-\w\w-\w{4}"


@dataclass(frozen=True)
class ChosenPanel:
    """Genes in the order in which they were taken. `genes`: gene and explained, the share of the variance of
    all genes that is known once the gene and those before it are measured, as the model has it. `comparison`:
    for each split and kind of panel, rmse (SD of a gene) and median correlation of the genes outside it.
    """

    genes: pd.DataFrame
    comparison: pd.DataFrame
    notes: tuple[str, ...]

    def save(self, folder: str | Path) -> None:
        """Write panel.csv, comparison.csv and notes.txt."""
        for name, table in (("panel", self.genes), ("comparison", self.comparison)):
            with replacing(Path(folder) / f"{name}.csv") as path:
                table.to_csv(path, index=False, float_format="%.6g")
        with replacing(Path(folder) / "notes.txt") as path:
            path.write_text("\n".join(self.notes) + "\n", encoding="utf-8")

    def summary(self) -> pd.DataFrame:
        """Mean and standard error over splits of rmse and correlation, for each kind of panel."""
        by_split = self.comparison.groupby(["panel", "split"])[["rmse", "correlation"]].mean()
        return by_split.groupby("panel").agg(["mean", "sem"])


def take_genes(loadings: Matrix, noise: Matrix, n_genes: int, allowed: Positions) -> tuple[Positions, Matrix]:
    """Positions of the genes taken one by one among those allowed, and the variance known after each, summed
    over all genes.
    """
    w, psi = loadings.astype(np.float64), noise.astype(np.float64)
    unknown, products = np.eye(w.shape[1]), w.T @ w
    free = np.zeros(len(w), dtype=bool)
    free[allowed] = True
    taken, known = np.empty(n_genes, np.int64), np.empty(n_genes)
    for step in range(n_genes):
        turned = w @ unknown  # (p, k), rows S w_g
        spread = np.einsum("gk,gk->g", turned, w) + psi
        gain = np.einsum("gk,kl,gl->g", turned, products, turned) / spread
        best = int(np.where(free, gain, -np.inf).argmax())
        unknown = unknown - np.outer(turned[best], turned[best]) / spread[best]
        free[best] = False
        taken[step] = best
        known[step] = gain[best] + (known[step - 1] if step else 0.0)
    return taken, known


def choose_panel(
    data: ExpressionData,
    n_genes: int = 64,
    *,
    candidates: Sequence[str] = (),
    n_splits: int = 3,
    n_random: int = 3,
    random_state: int = 0,
) -> ChosenPanel:
    """Choose the genes to measure, and judge the choice on patients that took no part in it.

    Parameters
    ----------
    data : from `latentgenomes.expression.read_expression`
    n_genes : size of the panel
    candidates : names of the genes that may be taken; none: all
    n_splits : times that a third of the patients is held out; TCGA samples of one patient go together
    n_random : random panels beside it, in each split
    random_state : seed of splits and random panels

    Raises
    ------
    ValueError
        If there are too few samples, a candidate is no gene of the data, or the panel would hold all genes.
    """
    names = [str(name) for name in data.values.columns]
    values = data.values.to_numpy(dtype=np.float32)
    if len(values) < _FEWEST_SAMPLES:
        raise ValueError(
            f"A panel is chosen and judged on {_FEWEST_SAMPLES} samples at least, but there are "
            f"{len(values)}. Pass a larger matrix."
        )
    strange = [name for name in candidates if name not in set(names)]
    if strange:
        raise ValueError(
            f"candidates must be genes of the matrix, but {len(strange)} are not: {list_names(strange)}. "
            "Name them as the matrix does."
        )
    allowed = np.flatnonzero(pd.Index(names).isin(list(candidates))) if candidates else np.arange(len(names))
    most = min(len(allowed), len(names) - 1)
    if not 1 <= n_genes <= most:
        raise ValueError(
            f"The panel must have 1 to {most} genes, but {n_genes} were asked for "
            f"of {len(allowed)} candidates and {len(names)} genes. Ask for fewer."
        )
    records = []
    patients = _patients(data)
    for split in range(n_splits):
        generator = np.random.default_rng([random_state, split])
        who = generator.permutation(np.unique(patients))
        test = np.isin(patients, who[: len(who) // 3])
        train = _filled(values[~test])
        model = FactorImputer(n_partners=0, random_state=random_state).fit(train)
        panels = [("chosen", take_genes(model.loadings_, model.noise_, n_genes, allowed)[0])]
        spread = np.nanstd(values[~test], axis=0)
        panels.append(("highest variance", allowed[np.argsort(-spread[allowed], kind="stable")[:n_genes]]))
        panels += [("random", generator.permutation(allowed)[:n_genes]) for _ in range(n_random)]
        for kind, panel in panels:
            scores = _judge(train, values[test], np.sort(panel), random_state)
            records.append({"panel": kind, "split": split, **scores})
    model = FactorImputer(n_partners=0, random_state=random_state).fit(_filled(values))
    taken, known = take_genes(model.loadings_, model.noise_, n_genes, allowed)
    genes = pd.DataFrame({"gene": [names[i] for i in taken], "explained": known / len(names)})
    notes = (*data.notes, f"{n_genes} of {len(allowed)} genes chosen on {len(values)} samples")
    return ChosenPanel(genes, pd.DataFrame.from_records(records), notes)


def _patients(data: ExpressionData) -> Matrix:
    """Patient of every sample; TCGA barcodes name the patient first."""
    names = data.samples["patient"].astype(str)
    barcode = names.str.extract(f"^({_BARCODE})", expand=False)
    found: Matrix = barcode.fillna(names).to_numpy(dtype=str)
    return found


def _filled(values: Matrix) -> Matrix:
    """Values with a gene that nobody has at 0, so that it can be learnt; other gaps stay."""
    nobody = np.isnan(values).all(axis=0)
    return np.where(nobody, np.float32(0), values)


def _judge(train: Matrix, test: Matrix, panel: Positions, seed: int) -> dict[str, float]:
    """RMSE over genes outside the panel, and the median of their correlations, in patients not seen."""
    shown = np.full_like(test, np.nan)
    shown[:, panel] = test[:, panel]
    restored = PanelImputer(panel.tolist(), random_state=seed).fit(train).impute(shown)
    hidden = np.isfinite(test) & np.isnan(shown)
    scale = np.nanstd(train, axis=0)
    errors = gene_errors(restored, np.nan_to_num(test), hidden, scale=np.where(scale > 0, scale, 1.0))
    judged = errors[errors["n"] > 2]
    return {
        "rmse": float(np.sqrt((judged["rmse"] ** 2).mean())),
        "correlation": float(judged["correlation"].median()),
    }
