"""The command of the study: impute. Everything slow is imported when it runs."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def impute(
    matrix: Annotated[Path, typer.Argument(help="Your expression matrix: CSV, TSV or h5ad.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and the model.")],
    reference: Annotated[
        str, typer.Option("-r", "--reference", help="Matrix to learn from, or mirna; else the matrix itself.")
    ] = "",
    method: Annotated[str, typer.Option(help="knn, ridge, local_ridge, mixture or restorer.")] = "mixture",
    scale: Annotated[str, typer.Option(help="auto, z-score, log2, counts or linear.")] = "auto",
    orientation: Annotated[str, typer.Option(help="auto, genes_in_rows or genes_in_columns.")] = "auto",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Restore the missing genes of your matrix, with the error of each gene."""
    from latentgenomes.expression.data.matrix import read_expression
    from latentgenomes.expression.verbs.impute import mirna_reference, restore_matrix

    read = partial(read_expression, scale=scale, orientation=orientation)  # type: ignore[arg-type]
    data = read(matrix)
    known = None if not reference else mirna_reference() if reference == "mirna" else read(reference)
    found = restore_matrix(data, known, method=method, random_state=seed)
    found.save(out)
    typer.echo("\n".join(found.notes))
    typer.echo(found.genes.describe().loc[["min", "50%", "max"]].round(3).to_string())


COMMANDS = (impute,)
