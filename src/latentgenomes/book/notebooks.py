"""Run a notebook with checked parameters, and keep what it makes.

The parameters are the typed lines of the cell tagged `parameters`; see `latentgenomes.core.parameters`.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from latentgenomes.book.page import PageError, write_page
from latentgenomes.core.extras import require
from latentgenomes.core.parameters import Parameter, ParameterError, read_parameters, resolve
from latentgenomes.core.provenance import replacing, write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.core.resources import locate

_RECORD = "application/papermill.record/text/plain"  # a number with a name, for the book's prose


class NotebookError(RuntimeError):
    """A notebook that does not exist, breaks the rules of its parameter cell, or fails when it runs."""


class Outputs:
    """Where a notebook leaves its tables and figures; with no folder, as in the book and the tests, it leaves
    none.
    """

    def __init__(self, output_dir: str | Path | None) -> None:
        self.folder = Path(output_dir) if output_dir else None

    def table(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a table as `<name>.csv` and give it back, so that the cell shows it.

        Its index is written when it is no plain range; `name` is letters, digits, `-` and `_`.
        """
        _check_file_name(name)
        if self.folder is not None:
            with replacing(self.folder / f"{name}.csv") as path:
                frame.to_csv(path, index=not isinstance(frame.index, pd.RangeIndex))
        return frame

    def figure(self, figure: Any, name: str) -> None:
        """Write a matplotlib figure as `<name>.png` at 200 dots per inch and as `<name>.pdf`."""
        _check_file_name(name)
        if self.folder is not None:
            for suffix in (".png", ".pdf"):
                with replacing(self.folder / f"{name}{suffix}") as path:
                    figure.savefig(path, dpi=200, bbox_inches="tight")

    def results(
        self,
        frame: pd.DataFrame,
        name: str,
        *,
        parameters: Mapping[str, object],
        data: Sequence[str],
        seed: int,
        seconds: float,
        code: Sequence[Callable[..., object]],
    ) -> None:
        """Write a table of a run with the record of how it was made, into the folder ``results``.

        `data` are registry names of the files that were read; the rest is as for
        `latentgenomes.core.provenance.write_results`.
        """
        _check_file_name(name)
        if self.folder is not None:
            checksums = load_registry().set_index("name")["sha256"]
            write_results(
                frame,
                self.folder / "results" / f"{name}.csv",
                parameters=parameters,
                data={file: checksums[file] for file in data},
                seed=seed,
                seconds=seconds,
                code=code,
            )

    def number(self, name: str, value: float, layout: str) -> None:
        """Give a number a name, so that the book's prose can quote it from this run: ``{glue:text}`name```.

        The record is what `myst_nb.glue` writes; it is written here so that a run needs no Sphinx.
        """
        require("IPython.display", extra="book").display(
            {_RECORD: format(value, layout)},
            raw=True,
            metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
        )


def full_results(name: str) -> pd.DataFrame:
    """Read a table of a full run, such as ``signatures/held_out``; empty where none has been stored yet."""
    try:
        return pd.read_csv(locate(f"data/results/{name}.csv"))
    except FileNotFoundError:
        return pd.DataFrame()


def available_notebooks() -> list[str]:
    """Names of the notebooks that can be run, in alphabetical order."""
    return sorted(path.stem for path in locate("notebooks").glob("*.ipynb"))


def parameters(name: str) -> dict[str, Parameter]:
    """Parameters of a notebook, in the order of its parameter cell.

    A NotebookError when there is no such notebook, or its parameter cell breaks the rules.
    """
    nbformat = require("nbformat", extra="book")
    notebook = nbformat.read(_path(name), as_version=4)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(
            f"A notebook has one cell tagged 'parameters', but {name} has {len(cells)}. Tag one code cell."
        )
    try:
        return read_parameters(cells[0].source)
    except (SyntaxError, ParameterError) as error:
        raise NotebookError(f"The parameter cell of {name}: {error}") from error


def run_notebook(
    name: str,
    *,
    given: Mapping[str, object],
    params_file: str | Path | None,
    out: str | Path,
    progress: bool = True,
) -> Path:
    """Run a notebook with the reader's values and keep its page, tables and figures.

    Parameters
    ----------
    name : str
        Name of the notebook, without `.ipynb`.
    given : mapping of str to object
        Values by parameter; they win over those of `params_file`.
    params_file : str, Path or None
        YAML file with values by parameter.
    out : str or Path
        Folder for `<name>.ipynb`, `<name>.html` and what the notebook writes; it is created.
    progress : bool
        Show a bar with the cells done.

    Returns
    -------
    Path
        The executed notebook.

    Raises
    ------
    ParameterError
        When a value is refused; nothing has been run then.
    NotebookError
        When a cell fails; the notebook up to there is kept as `<name>.failed.ipynb`. Or when its page cannot
        be made; the executed notebook is kept.
    """
    require("papermill", extra="book")
    declared = parameters(name)
    values = resolve(declared, {**_read_yaml(params_file), **given})
    folder = Path(out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if "output_dir" in declared:
        values["output_dir"] = str(folder)
    finished = folder / f"{name}.ipynb"
    _execute(_path(name), finished, values, progress=progress)
    _page(finished, report=False)
    return finished


def run_report(command: str, folder: str | Path, values: Mapping[str, object]) -> Path:
    """Run the report of a command in the folder that the command wrote; return its page.

    The notebook `notebooks/reports/<command>.ipynb` gets `values` and the folder as its parameter `results`:
    "." there, so that the folder can be moved with its report, `report.ipynb` and `report.html`. When it
    fails, with a NotebookError, the tables of the command are untouched.
    """
    finished = Path(folder).resolve() / "report.ipynb"
    source = locate("notebooks") / "reports" / f"{command}.ipynb"
    _execute(source, finished, {"results": ".", **values}, progress=False)
    return _page(finished, report=True)


def _execute(source: Path, finished: Path, values: Mapping[str, object], *, progress: bool) -> None:
    """Run a notebook in the folder of its result, which appears under its name when every cell has run."""
    papermill = require("papermill", extra="book")
    died = require("nbclient.exceptions", extra="book").DeadKernelError
    failed = finished.with_suffix(".failed.ipynb")
    kept = f"The notebook up to there is {failed}."
    try:
        with _quiet_kernel():
            papermill.execute_notebook(
                str(source),
                str(failed),
                parameters=values,
                kernel_name="python3",
                language="python",
                kernel_manager_class=_this_environment(),
                cwd=str(finished.parent),
                progress_bar=progress,
            )
    except papermill.PapermillExecutionError as error:
        line = next(iter(error.source.strip().splitlines()), "")
        raise NotebookError(
            f"{source.stem} failed in cell {error.cell_index} ({line}): {error.ename}: {error.evalue}. {kept}"
        ) from error
    except died as error:
        raise NotebookError(
            f"{source.stem} lost its kernel, most often because memory ran out. {kept}"
        ) from error
    failed.replace(finished)


def _page(finished: Path, *, report: bool) -> Path:
    """Page of an executed notebook, beside it."""
    page = finished.with_suffix(".html")
    try:
        write_page(finished, page, report=report)
    except PageError as error:
        raise NotebookError(str(error)) from error
    return page


def _path(name: str) -> Path:
    """Path of a notebook by its name."""
    names = available_notebooks()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NotebookError(f"There is no notebook {name!r}.{hint} Available: {', '.join(names) or 'none'}.")
    return locate("notebooks") / f"{name}.ipynb"


def _read_yaml(path: str | Path | None) -> dict[str, object]:
    """Values of a YAML file; empty without a file."""
    if path is None:
        return {}
    yaml = require("yaml", extra="book")
    if not Path(path).is_file():
        raise ParameterError(f"the file with parameters must exist, but {str(path)!r} is not there")
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ParameterError(f"{str(path)!r} must be YAML, but cannot be read: {error}") from error
    if not isinstance(values, dict | None):
        raise ParameterError(
            f"{str(path)!r} must hold lines 'name: value', but holds a {type(values).__name__}"
        )
    return {str(name): value for name, value in (values or {}).items()}


def _this_environment() -> type:
    """Kernel manager that starts the running interpreter, whatever kernels are registered."""
    manager = require("jupyter_client.manager", extra="book")
    kernelspec = require("jupyter_client.kernelspec", extra="book")
    traitlets = require("traitlets", extra="book")

    class ThisEnvironment(manager.AsyncKernelManager):  # type: ignore[name-defined]
        """Starts kernels without a look at the registered ones."""

        @traitlets.default("kernel_spec_manager")
        def _no_registered_kernels(self) -> Any:
            return kernelspec.KernelSpecManager(kernel_dirs=[])

        @traitlets.default("transport_encryption")
        def _encrypted_where_possible(self) -> str:
            return "auto"  # without it, every kernel warns that it is not

    return ThisEnvironment


@contextmanager
def _quiet_kernel() -> Iterator[None]:
    """Inside the block a kernel starts without training bars: the bar of the cells is shown instead."""
    before = os.environ.get("LATENTGENOMES_PROGRESS")
    os.environ["LATENTGENOMES_PROGRESS"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LATENTGENOMES_PROGRESS"]
        else:
            os.environ["LATENTGENOMES_PROGRESS"] = before


def _check_file_name(name: str) -> None:
    """Refuse a name that could leave the folder."""
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(
            f"A name is letters, digits, '-' and '_', but {name!r} is not. "
            "Leave out folder and suffix: both are added."
        )
