"""Commands of the study: impute, panel and survival. Everything slow is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

Orientation = Annotated[str, typer.Option(help="auto, genes_in_rows or genes_in_columns.")]
Scale = Annotated[str, typer.Option(help="auto, z-score, log2, counts or linear.")]


def impute(
    matrix: Annotated[Path, typer.Argument(help="Your expression matrix: CSV, TSV or h5ad.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and the model.")],
    reference: Annotated[
        str, typer.Option("-r", "--reference", help="Matrix to learn from, or mirna; else the matrix itself.")
    ] = "",
    method: Annotated[
        str, typer.Option(help="auto, factors, panel, knn, ridge, local_ridge, mixture or restorer.")
    ] = "auto",
    scale: Scale = "auto",
    orientation: Orientation = "auto",
    layer: Annotated[str, typer.Option(help="Layer of an h5ad file, instead of X.")] = "",
    reference_scale: Scale = "auto",
    reference_orientation: Orientation = "auto",
    fill_all: Annotated[
        bool, typer.Option("--fill-all", help="Also fill genes restored no better than by their mean.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Restore the missing genes of your matrix, with the error of each gene."""
    import numpy as np

    from latentgenomes.expression.data.matrix import read_own
    from latentgenomes.expression.verbs.impute import mirna_reference, restore_matrix

    known = None
    if reference == "mirna":
        known = mirna_reference()
    elif reference:
        known = read_own(
            reference,
            scale=reference_scale,  # type: ignore[arg-type]
            orientation=reference_orientation,  # type: ignore[arg-type]
            axis="reference-orientation",
            dtype=np.float32,
        ).data
    genes = None if known is None else [str(name) for name in known.values.columns]
    data = read_own(matrix, scale=scale, orientation=orientation, genes=genes, layer=layer)  # type: ignore[arg-type]
    found = restore_matrix(data, known, method=method, fill_all=fill_all, random_state=seed)
    found.save(out)
    typer.echo("\n".join(found.notes))


def survival(
    matrix: Annotated[Path, typer.Argument(help="Your expression matrix: CSV, TSV or h5ad.")],
    outcome: Annotated[Path, typer.Option("--outcome", help="CSV or TSV: patient, time, event (1 or 0).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and the model.")],
    time: Annotated[str, typer.Option(help="Column of the times; else found by its name.")] = "",
    event: Annotated[str, typer.Option(help="Column of the events; else found by its name.")] = "",
    unit: Annotated[str, typer.Option(help="Unit of the times: days, months or years.")] = "days",
    years: Annotated[float, typer.Option(help="Compare survival at this time; 0: median event time.")] = 0.0,
    repeats: Annotated[int, typer.Option(min=1, help="Times that the patients are split into folds.")] = 3,
    scale: Scale = "auto",
    orientation: Orientation = "auto",
    layer: Annotated[str, typer.Option(help="Layer of an h5ad file, instead of X.")] = "",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Say what your genes tell of survival: cross-validated risks, curves, calibration, coefficients."""
    from latentgenomes.expression.data.matrix import read_own
    from latentgenomes.expression.data.own_outcomes import follow, read_outcomes
    from latentgenomes.expression.verbs.survival import judge_survival

    outcomes, notes = read_outcomes(outcome, time=time, event=event, unit=unit)
    data = read_own(matrix, scale=scale, orientation=orientation, layer=layer).data  # type: ignore[arg-type]
    followed = follow(data, outcomes, (*data.notes, *notes))
    found = judge_survival(followed, n_repeats=repeats, years=years, random_state=seed)
    found.save(out)
    typer.echo("\n".join(found.notes))
    typer.echo(found.scores.round(3).to_string())


def panel(
    matrix: Annotated[Path, typer.Argument(help="Your expression matrix: CSV, TSV or h5ad.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tables.")],
    genes: Annotated[int, typer.Option(help="Size of the panel.")] = 64,
    candidates: Annotated[
        str, typer.Option(help="Names of the genes that may be taken, with commas between; empty for all.")
    ] = "",
    scale: Scale = "auto",
    orientation: Orientation = "auto",
    layer: Annotated[str, typer.Option(help="Layer of an h5ad file, instead of X.")] = "",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Choose the genes to measure so that the others are restored best, beside random panels."""
    from latentgenomes.expression.data.matrix import read_own
    from latentgenomes.expression.verbs.panel import choose_panel

    data = read_own(matrix, scale=scale, orientation=orientation, layer=layer).data  # type: ignore[arg-type]
    names = [name.strip() for name in candidates.split(",") if name.strip()]
    found = choose_panel(data, genes, candidates=names, random_state=seed)
    found.save(out)
    typer.echo("\n".join(found.notes))
    typer.echo(found.summary().round(3).to_string())


COMMANDS = (impute, panel, survival)
