"""Hide, restore, compare: which method a matrix gets, its fitted model, and the errors of each gene."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.expression.evaluate.restoration import impute
from latentgenomes.expression.models.factors import FactorImputer
from latentgenomes.expression.models.panels import PanelImputer
from latentgenomes.expression.verbs.accuracy import FEWEST_CHECKED, OWN, REFERENCE, HeldOut
from latentgenomes.expression.verbs.methods import METHODS, ImputationSettings

Matrix = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Answer = tuple[Matrix, Matrix, Mask]  # restored values, true ones, and which were hidden

RESTORERS = ("auto", "factors", "panel", "knn", "ridge", "local_ridge", "mixture", "restorer")
_HIDDEN = 0.1
_LARGEST_BATCH = 256
_PANEL_SHARE = 0.2  # a gene measured in fewer of the samples is outside the panel
_WORK = 2e10  # multiplications that a model cubic in genes may cost
_ENOUGH = 100  # hidden entries of a gene
_CELLS = 600_000  # a larger matrix is checked in two rounds, or one
_HELD_OUT = 300  # samples of a reference
_POINTS = 2000
_DIFFERS = 0.15


@dataclass(frozen=True)
class Judged:
    """A fitted model, the table of errors of `accuracy`, hidden entries of three genes, and notes."""

    model: Any
    table: pd.DataFrame
    points: pd.DataFrame
    notes: tuple[str, ...]


def judge(values: Matrix, reference: Matrix | None, method: str, seed: int) -> Judged:
    """Choose a method for values, (n, p), NaN where missing, judge it, and fit it on the reference, (m, p),
    or on the values where there is none.
    """
    measured = np.isfinite(values)
    panel = np.flatnonzero(measured.mean(axis=0) >= _PANEL_SHARE)
    if reference is None:
        return _on_itself(values, panel, method, seed)
    return _on_reference(values, reference, panel, method, seed)


def make_model(method: str, values: Matrix, panel: Matrix, seed: int) -> Any:
    """A model of the name fitted on values, NaN where missing; `panel` are the columns that the panel
    regression sees.
    """
    if method == "factors":
        return FactorImputer(random_state=seed).fit(values)
    if method == "panel":
        return PanelImputer(panel.tolist(), random_state=seed).fit(values)
    settings = ImputationSettings(batch_size=min(_LARGEST_BATCH, max(len(values) // 4, 1)))
    return METHODS[method](seed, settings).fit(values.astype(np.float64))


def _candidates(n_rows: int, n_genes: int) -> list[str]:
    """Factors, and for few genes models that are cubic in genes for every pattern of gaps."""
    few = n_rows * n_genes**3 * 20 <= _WORK
    return ["factors", *(["local_ridge", "mixture"] if few else [])]


def _rounds(n_rows: int, size: int) -> int:
    """Rounds that hide a tenth each: until a gene has enough hidden entries, fewer for a large matrix."""
    asked = -(-_ENOUGH // max(int(_HIDDEN * n_rows), 1))
    return max(1, min(asked, 10 if size <= _CELLS // 8 else 2 if size <= 5 * _CELLS else 1))


def _tenths(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.int8]:
    """The round that hides each entry: none is hidden twice."""
    return np.random.default_rng(seed).integers(10, size=shape).astype(np.int8)


def _gather(answers: list[Answer], scale: Matrix) -> HeldOut:
    found = HeldOut(len(scale), scale)
    for answer in answers:
        found.add(*answer)
    return found


def _best(errors: dict[str, float]) -> tuple[str, str]:
    """Method of the smallest error, and a note."""
    best = min(errors, key=lambda name: errors[name])
    words = ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
    return best, f"method: {best}" + (f"; error on hidden entries in SD: {words}" if len(errors) > 1 else "")


def _on_itself(values: Matrix, panel: Matrix, method: str, seed: int) -> Judged:
    """Rounds that each hide other entries and fit without them; then the model of all entries."""
    measured, tenth = np.isfinite(values), _tenths(values.shape, seed)
    scale = np.nanstd(values, axis=0)

    fitted: dict[str, Any] = {}

    def hide(name: str, number: int) -> Answer:
        hidden = measured & (tenth == number)
        hidden[:, (measured & ~hidden).sum(axis=0) < 2] = False  # or the gene cannot be learnt
        holes = np.where(hidden, np.nan, values)
        model = make_model(name, holes, panel, seed)
        fitted.setdefault(name, model)
        return impute(model, holes).astype(np.float32), values, hidden

    n_incomplete = int((~measured.all(axis=1)).sum())
    names = _candidates(n_incomplete, values.shape[1]) if method == "auto" else [method]
    first = {name: hide(name, 0) for name in names}
    best, note = _best({name: _gather([answer], scale).rmse for name, answer in first.items()})
    more = [hide(best, number) for number in range(1, _rounds(len(values), values.size))]
    answers = [first[best], *more]
    table = _gather(answers, scale).table()
    table["checked_on"] = np.where(table["n_checked"] > 0, OWN, "")
    points = _points(answers, table, np.asarray(~measured.all(axis=0)))
    return Judged(_on_everything(best, fitted[best], values, panel, seed), table, points, (note,))


def _on_everything(method: str, checked: Any, values: Matrix, panel: Matrix, seed: int) -> Any:
    """The model of all entries; factors go on from the model of a round, which has seen most of them."""
    if not isinstance(checked, FactorImputer):
        return make_model(method, values, panel, seed)
    return checked.set_params(warm_start=True).fit(values).set_params(warm_start=False)


def _on_reference(values: Matrix, reference: Matrix, panel: Matrix, method: str, seed: int) -> Judged:
    """Samples of the reference shown as the matrix shows its own, and hidden entries of the matrix."""
    measured = np.isfinite(values)
    generator = np.random.default_rng(seed)
    n_held_out = min(max(len(reference) // 5, 1), _HELD_OUT)
    order = generator.permutation(len(reference))
    held_out, others = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    truth = reference[held_out]
    shown = measured[generator.integers(len(values), size=n_held_out)]
    shown = shown & (generator.uniform(size=shown.shape) >= _HIDDEN)
    holes = np.where(shown, truth, np.nan)
    hidden = ~shown & np.isfinite(truth)
    scale = np.nanstd(reference, axis=0)
    names = [method]
    if method == "auto" and len(panel) < values.shape[1]:
        names = ["panel"]
    elif method == "auto":
        names = _candidates(n_held_out + len(values), values.shape[1])
    training = reference[others]
    answers = {
        name: (impute(make_model(name, training, panel, seed), holes).astype(np.float32), truth, hidden)
        for name in names
    }
    del training
    best, note = _best({name: _gather([answer], scale).rmse for name, answer in answers.items()})
    model = make_model(best, reference, panel, seed)
    own = _own_entries(model, values, panel, seed)
    tables = [_gather(part, scale).table() for part in ([answers[best]], own)]
    by_own = (tables[1]["n_checked"] >= FEWEST_CHECKED).to_numpy()
    table = tables[0].where(np.tile(~by_own[:, None], tables[0].shape[1]), tables[1])
    table["n_checked"] = table["n_checked"].astype(np.int64)
    table["checked_on"] = np.where(by_own, OWN, np.where(table["n_checked"] > 0, REFERENCE, ""))
    incomplete = np.asarray(~measured.all(axis=0))
    points = _points([answers[best]], table, incomplete & ~by_own)
    if points.empty:
        points = _points(own, table, incomplete)
    return Judged(model, table, points, (note, *_how_alike(tables, by_own, values, reference)))


def _own_entries(model: Any, values: Matrix, panel: Matrix, seed: int) -> list[Answer]:
    """Hidden entries of the genes that the matrix measures, restored by a model that never saw it."""
    measured, tenth = np.isfinite(values), _tenths(values.shape, seed + 1)
    answers = []
    for number in range(_rounds(len(values), values.size)):
        hidden = np.zeros_like(measured)
        hidden[:, panel] = measured[:, panel] & (tenth[:, panel] == number)
        restored = impute(model, np.where(hidden, np.nan, values)).astype(np.float32)
        answers.append((restored, values, hidden))
    return answers


def _how_alike(
    tables: list[pd.DataFrame], by_own: Mask, values: Matrix, reference: Matrix
) -> tuple[str, ...]:
    """Notes on how the matrix stands to its reference: levels and errors of the genes that both measure."""
    if not by_own.any():
        return ()
    scale = np.nanstd(reference[:, by_own], axis=0)
    shift = np.nanmean(values[:, by_own], axis=0) - np.nanmean(reference[:, by_own], axis=0)
    away = float(np.median(np.abs(shift) / np.where(scale > 0, scale, 1.0)))
    there, here = (float(table.loc[by_own, "correlation"].median()) for table in tables)
    note = (
        f"shared genes lie {away:.2f} SD (median) from their mean in the reference; hidden entries of them "
        f"are restored with correlation {here:.2f} in the matrix, {there:.2f} in the reference"
    )
    if here < there - _DIFFERS:
        note += ": the samples differ from the reference, so trust genes checked on the reference less"
    return (note,)


def _points(answers: list[Answer], table: pd.DataFrame, asked: Mask) -> pd.DataFrame:
    """Hidden entries of three genes with gaps: the best restored, a middle one, and the worst."""
    judged = table[(table["n_checked"] >= FEWEST_CHECKED) & asked]
    order = judged.sort_values("correlation", kind="stable").index
    rows = [pd.DataFrame({"gene": [], "true": [], "restored": []}).astype({"gene": np.int64})]
    for gene in dict.fromkeys(order[[-1, len(order) // 2, 0]]) if len(order) else ():
        for restored, truth, hidden in answers:
            seen = hidden[:, gene]
            values = {"true": truth[seen, gene], "restored": restored[seen, gene]}
            rows.append(pd.DataFrame({"gene": gene, **values}))
    whole = pd.concat(rows[1:] or rows, ignore_index=True)
    return whole.groupby("gene", sort=False).head(_POINTS).reset_index(drop=True)
