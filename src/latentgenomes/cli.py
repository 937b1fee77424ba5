"""The command `latentgenomes`: data files, and notebooks with checked parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from latentgenomes.book import notebooks
from latentgenomes.core import registry
from latentgenomes.core.parameters import Parameter, ParameterError
from latentgenomes.mutations.catalogues import read_catalog

app = typer.Typer(
    help="Autoencoders for cancer and population genomics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List, fetch and verify the data files.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Names = Annotated[list[str] | None, typer.Argument(help="Names as in `data list`; none: all.")]


def main() -> None:
    """Run the command line; the entry point of the package."""
    app()


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Autoencoders for cancer and population genomics."""
    if version:
        typer.echo(f"latentgenomes {metadata.version('latentgenomes')}")
        raise typer.Exit


@data_app.command("list")
def list_data() -> None:
    """Show every file: size, licence, and whether it is at hand."""
    with _one_line_errors():
        table = registry.load_registry()
        shown = pd.DataFrame(
            {
                "name": table["name"],
                "MB": (table["bytes"] / 1e6).round(2),
                "at hand": ["yes" if registry.available(name) else "no" for name in table["name"]],
                "licence": table["licence"],
            }
        )
        typer.echo(shown.to_string(index=False))


@data_app.command("fetch")
def fetch_data(names: Names = None) -> None:
    """Download files, or find them in the mirror, and check each against its sha256."""
    with _one_line_errors():
        for name, path in registry.fetch_all(names or None).items():
            typer.echo(f"{name}: {path}")


@data_app.command("verify")
def verify_data(names: Names = None) -> None:
    """Check files that are at hand, byte for byte; nothing is downloaded."""
    with _one_line_errors():
        wanted = names or [name for name in registry.load_registry()["name"] if registry.available(name)]
        wrong = 0
        for name in wanted:
            try:
                registry.verify(name)
                typer.echo(f"{name}: as registered")
            except registry.DataError as error:
                wrong += 1
                typer.echo(f"Error: {error}", err=True)
        if not wanted:
            typer.echo("No file is at hand. Fetch some with: latentgenomes data fetch")
    if wrong:
        raise typer.Exit(1)


@app.command("run")
def run(
    name: Annotated[str | None, typer.Argument(help="Name of the notebook.", show_default=False)] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    params_file: Annotated[Path | None, typer.Option("-f", "--file", help="YAML file of parameters.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for everything it makes.")] = None,
    list_notebooks: Annotated[bool, typer.Option("--list", help="Show the notebooks and stop.")] = False,
    help_parameters: Annotated[
        bool, typer.Option("--help-parameters", help="Show the notebook's parameters and stop.")
    ] = False,
) -> None:
    """Run a notebook with your values: page, tables and figures land in one folder."""
    with _one_line_errors():
        if list_notebooks:
            typer.echo("\n".join(notebooks.available_notebooks()))
            return
        if name is None:
            raise ParameterError("Name a notebook; `latentgenomes run --list` shows them.")
        if help_parameters:
            typer.echo(_table(notebooks.parameters(name)))
            return
        if out is None:
            raise ParameterError("Name the folder for the results with -o OUT.")
        given = _assignments(parameter or [])
        finished = notebooks.run_notebook(name, given=given, params_file=params_file, out=out)
        typer.echo(f"{finished}\n{finished.with_suffix('.html')}")


@app.command("extract")
def extract(
    catalog: Annotated[Path, typer.Argument(help="Your matrix of mutation counts.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and the model; resumes there.")],
    method: Annotated[
        str, typer.Option(help="negative_binomial, gamma_poisson, klnmf, vaems, muse_xae or signer.")
    ] = "negative_binomial",
    n_signatures: Annotated[str, typer.Option(help="auto, a number, or a range such as 2-12.")] = "auto",
    context: Annotated[str, typer.Option(help="SBS96, ID83, DBS78, CN48 or SV32.")] = "SBS96",
    cosmic: Annotated[str, typer.Option(help="Version of COSMIC to name signatures by.")] = "3.4",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Extract signatures from your matrix: signatures, exposures, why this many, matches to COSMIC."""
    from latentgenomes.signatures.verbs.extract import extract_signatures  # slow: brings torch

    with _one_line_errors():
        try:
            counts = read_catalog(catalog, context=context)
            found = extract_signatures(
                counts,
                method=method,
                n_signatures=_numbers(n_signatures),
                random_state=seed,
                folder=out / "fits",
            )
            matches = found.matches(version=cosmic)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        found.save(out)
        notebooks.Outputs(out).table(matches, "matches")
        typer.echo(found.reason)
        typer.echo(matches.round(3).to_string(index=False))
        typer.echo(str(out))


@app.command("refit")
def refit(
    catalog: Annotated[Path, typer.Argument(help="Your matrix of mutation counts.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tables.")],
    signatures: Annotated[
        Path | None,
        typer.Option("-s", "--signatures", help="Your signatures: one row each, channels in columns."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Names of the signatures to use, with commas between; empty for all.")
    ] = "",
    context: Annotated[str, typer.Option(help="SBS96, ID83, DBS78, CN48 or SV32.")] = "SBS96",
    cosmic: Annotated[str, typer.Option(help="Version of COSMIC, without your own signatures.")] = "3.4",
) -> None:
    """Say which known signatures each of your samples holds: COSMIC's, your own, or some of them."""
    from latentgenomes.signatures.verbs.refit import refit_known  # slow: brings torch

    with _one_line_errors():
        try:
            counts = read_catalog(catalog, context=context, on_empty="keep")
            names = [name.strip() for name in only.split(",") if name.strip()]
            found = refit_known(counts, context, signatures=signatures, only=names, version=cosmic)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        tables = notebooks.Outputs(out)
        tables.table(found.exposures.rename_axis("sample"), "exposures")
        tables.table(found.p_values.rename_axis("sample"), "p_values")
        tables.table(found.samples.rename_axis("sample"), "samples")
        held = found.presence.sum().loc[lambda number: number > 0].sort_values(ascending=False)
        typer.echo(held.rename("samples").rename_axis("signature").to_string())
        typer.echo(str(out))


Panel = Annotated[
    Path, typer.Option("-p", "--panel", help="Panel that both sides hold: .vcf, .vcf.gz, .bcf or .bed.")
]


@app.command("compress")
def compress(
    file: Annotated[Path, typer.Argument(help="Phased .vcf, .vcf.gz or .bcf, or the .bed of a PLINK 1 set.")],
    panel: Panel,
    out: Annotated[Path, typer.Option("-o", "--out", help="The archive, a new file.")],
) -> None:
    """Write a genotype file as a small archive that decodes to the same genotypes."""
    from latentgenomes.genotypes.verbs import compress_file  # slow: brings torch

    with _one_line_errors():
        try:
            done = compress_file(file, panel, out)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        raw = done["haplotypes"] * done["snps"] / 8
        typer.echo(
            f"{out}: {done['haplotypes']} haplotypes of {done['snps']} SNPs in {done['bytes']} bytes, "
            f"{done['call_bytes']} of them for calls: {raw / done['call_bytes']:.1f} times less than one "
            "bit each"
        )


@app.command("decompress")
def decompress(
    file: Annotated[Path, typer.Argument(help="Archive that `compress` wrote.")],
    panel: Panel,
    out: Annotated[Path, typer.Option("-o", "--out", help="A new .vcf, or the .bed of a new PLINK 1 set.")],
) -> None:
    """Write the genotype file that an archive holds; the panel must be the one that compressed it."""
    from latentgenomes.genotypes.verbs import decompress_file  # slow: brings torch

    with _one_line_errors():
        try:
            done = decompress_file(file, panel, out)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        typer.echo(f"{out}: {done['haplotypes']} haplotypes of {done['snps']} SNPs")


@app.command("embed")
def embed(
    profiles: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Such as SBS96=sbs.all ID83=id.all.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for embedding, attention and the model.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="mutembed.safetensors of an earlier call.")
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Join files of other samples or another order, by name.")
    ] = False,
    max_epochs: Annotated[int, typer.Option(help="Passes over the data; without --model.")] = 500,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
) -> None:
    """Embed tumours from your matrices (SBS96, ID83, DBS78, CN48, SV32) with MutEmbed."""
    from latentgenomes.multimodal.verbs import embed_files  # slow: brings torch

    with _one_line_errors():
        paths = _assignments(profiles, "embed")
        try:
            found = embed_files(paths, model=model, align=align, max_epochs=max_epochs, random_state=seed)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        found.save(out)
        known = f"{len(found.embedding)} tumours, profiles {', '.join(found.model.profile_names_)}"
        typer.echo(f"{known}; share of the variance restored: {found.restored:.3f}")
        typer.echo(str(out))


@app.command("impute")
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
    from latentgenomes.expression.verbs.impute import mirna_reference, restore_matrix  # slow: brings torch

    with _one_line_errors():
        try:
            read = partial(read_expression, scale=scale, orientation=orientation)  # type: ignore[arg-type]
            data = read(matrix)
            known = None if not reference else mirna_reference() if reference == "mirna" else read(reference)
            found = restore_matrix(data, known, method=method, random_state=seed)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        found.save(out)
        typer.echo("\n".join(found.notes))
        typer.echo(found.genes.describe().loc[["min", "50%", "max"]].round(3).to_string())
        typer.echo(str(out))


def _numbers(text: str) -> str | list[int]:
    """Numbers of signatures from "auto", "7" or "2-12"."""
    if text == "auto":
        return text
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise ParameterError(
            f"--n-signatures takes auto, a number, or a range such as 2-12, but got {text!r}."
        )
    return list(range(int(first), int(last or first) + 1))


def _assignments(texts: list[str], what: str = "-p") -> dict[str, str]:
    """Values by name from texts such as `beta=0.1`."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise ParameterError(f"{what} takes NAME=VALUE, but got {', '.join(map(repr, wrong))}.")
    pairs = [text.partition("=") for text in texts]
    return {name.strip(): value for name, _, value in pairs}


def _table(parameters: dict[str, Parameter]) -> str:
    """Table of parameters: name, type, default, allowed values, meaning."""
    rows = [
        {
            "name": parameter.name,
            "type": f"{parameter.type} | None" if parameter.optional else parameter.type,
            "default": repr(parameter.default),
            "allowed": parameter.allowed or "any",
            "meaning": parameter.help,
        }
        for parameter in parameters.values()
    ]
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]} if rows else {}
    lines = [{key: key for key in widths}, *rows]
    return "\n".join("  ".join(f"{row[key]:<{widths[key]}}" for key in widths).rstrip() for row in lines)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn errors of known kinds into their message on stderr and an exit code, without a traceback."""
    try:
        yield
    except ParameterError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
    except (registry.DataError, notebooks.NotebookError, ImportError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
