"""The command `latentgenomes`: the commands of the studies, data files, and notebooks with parameters.

A study lists its commands in `<study>/cli.py`. A command saves a file or folder `out`. Where a notebook of
its name is in `notebooks/reports`, the command returns values for the parameters of that notebook; executed,
it is the report.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from latentgenomes.core.parameters import Parameter, ParameterError, assignments
from latentgenomes.core.resources import locate
from latentgenomes.expression import cli as expression
from latentgenomes.genotypes import cli as genotypes
from latentgenomes.multimodal import cli as multimodal
from latentgenomes.signatures import cli as signatures

STUDIES = {
    "Signatures": signatures,
    "Tumours": multimodal,
    "Genotypes": genotypes,
    "Expression": expression,
}

app = typer.Typer(
    help="Autoencoders for cancer and population genomics.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List, fetch and verify the data files.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Names as in `data list`; none: all.")]
WithReport = Annotated[bool, typer.Option("--report/--no-report", help="Leave report.html and report.ipynb.")]


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


def _command(function: Callable[..., dict[str, object] | None]) -> Callable[..., None]:
    """A study's command with errors of one line, the place of its output, and its report where it has one."""
    name = function.__name__

    @functools.wraps(function)
    def command(*, report: bool = False, **options: Any) -> None:
        with _one_line_errors():
            values = function(**options)
            if report:
                from latentgenomes.book.notebooks import run_report

                typer.echo(str(run_report(name, options["out"], values or {})))
            typer.echo(str(options["out"]))

    if (locate("notebooks") / "reports" / f"{name}.ipynb").is_file():
        signature = inspect.signature(function)
        option = inspect.Parameter(
            "report", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=WithReport
        )
        vars(command)["__signature__"] = signature.replace(
            parameters=[*signature.parameters.values(), option]
        )
    return command


for _study, _commands in STUDIES.items():
    for _function in _commands.COMMANDS:
        app.command(_function.__name__, rich_help_panel=_study)(_command(_function))


@app.command("run", rich_help_panel="Notebooks and data")
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
    from latentgenomes.book import notebooks

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
        given = assignments(parameter or [], "-p")
        finished = notebooks.run_notebook(name, given=given, params_file=params_file, out=out)
        typer.echo(f"{finished}\n{finished.with_suffix('.html')}")


app.add_typer(data_app, name="data", rich_help_panel="Notebooks and data")


@data_app.command("list")
def list_data() -> None:
    """Show every file: size, licence, and whether it is at hand."""
    from latentgenomes.core import registry

    with _one_line_errors():
        table = registry.load_registry()
        shown = table.assign(
            MB=(table["bytes"] / 1e6).round(2),
            at_hand=["yes" if registry.available(name) else "no" for name in table["name"]],
        )
        shown = shown[["name", "MB", "at_hand", "licence"]].rename(columns={"at_hand": "at hand"})
        typer.echo(shown.to_string(index=False))


@data_app.command("fetch")
def fetch_data(names: Names = None) -> None:
    """Download files, or find them in the mirror, and check each against its sha256."""
    from latentgenomes.core import registry

    with _one_line_errors():
        for name, path in registry.fetch_all(names or None).items():
            typer.echo(f"{name}: {path}")


@data_app.command("verify")
def verify_data(names: Names = None) -> None:
    """Check files that are at hand, byte for byte; nothing is downloaded."""
    from latentgenomes.core import registry

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
    """Turn warnings and errors of known kinds into one line on stderr, without a traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = _one_line_warning  # type: ignore[assignment]
        try:
            yield
        except ValueError as error:  # what the user gave
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stop:
            typer.echo("Stopped. The same command goes on from what is finished in its folder.", err=True)
            raise typer.Exit(130) from stop
        except _failures() as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(1) from error


def _one_line_warning(message: Warning | str, *_: object) -> None:
    typer.echo(f"Warning: {message}", err=True)


def _failures() -> tuple[type[Exception], ...]:
    """Errors of the surroundings; their modules are slow, and only a failure needs them."""
    from safetensors import SafetensorError  # a full disk, too

    from latentgenomes.book.notebooks import NotebookError
    from latentgenomes.core.registry import DataError

    return (DataError, NotebookError, ImportError, OSError, SafetensorError)
