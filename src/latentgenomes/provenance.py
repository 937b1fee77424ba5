"""Where a results table came from, and whether the code that made it still stands.

A table of a full run is stored with the parameters, the data, the seed and a fingerprint of every source
file that took part. The fingerprint is taken from the syntax tree without comments and docstrings, so a
better sentence costs no rerun and a changed equation does.
"""

import ast
import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd

#: The package folder; the names of code files are relative to it.
PACKAGE = Path(__file__).resolve().parent

#: Files that shape a page or a command, never a number.
PRESENTATION = (
    "figures",
    "notebooks.py",
    "cli.py",
    "provenance.py",
    "parameters.py",
    "extras.py",
    "resources.py",
)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block succeeds.

    Parameters
    ----------
    path : str or Path
        The file to write. Its folder is created. When the block fails, an older file stays untouched.

    Yields
    ------
    Path
        A path with the same suffix, to be written inside the block.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes a private file; a table is for everyone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def fingerprint(path: str | Path) -> str:
    """SHA-256 of the syntax tree of a Python file, without docstrings and comments.

    Empty fields of the tree are left out, so that the value does not depend on the Python version that
    reads the file.

    Parameters
    ----------
    path : str or Path
        A Python source file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SyntaxError
        When the file is no valid Python.
    """
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), filename=Path(path).name)
    return hashlib.sha256(_describe(tree).encode()).hexdigest()


def write_results(
    frame: pd.DataFrame,
    path: str | Path,
    *,
    parameters: Mapping[str, object],
    data: Mapping[str, str],
    seed: int | None,
    seconds: float,
    code: Sequence[str] | None = None,
) -> Path:
    """Write a results table and, next to it, the record of how it was made.

    Parameters
    ----------
    frame : DataFrame
        The table. Its index is written when it carries names, that is, when it is no plain range.
    path : str or Path
        The CSV file. The record is `<stem>.provenance.json` in the same folder.
    parameters : mapping of str to object
        Every parameter of the run, JSON types only.
    data : mapping of str to str
        SHA-256 of each data file, by its name in the registry. Empty for simulated data.
    seed : int or None
        The seed of the run.
    seconds : float
        Wall time of the run, seconds.
    code : sequence of str, optional
        Source files relative to the package folder. By default every module of the package that is
        loaded now, apart from figures, notebooks, command line and this file.

    Returns
    -------
    Path
        The record.

    Raises
    ------
    ValueError
        When `path` is no CSV file, a hash is no SHA-256, or a code file does not exist.
    """
    path = Path(path)
    if path.suffix != ".csv":
        raise ValueError(f"A results table is a .csv file, but the path is {path.name!r}. Rename it.")
    for name, digest in data.items():
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError(
                f"data must give a SHA-256 (64 hexadecimal digits) per file, but {name!r} has {digest!r}. "
                "Take it from data/registry.csv."
            )
    used = _loaded_code() if code is None else sorted(code)
    missing = [name for name in used if not (PACKAGE / name).is_file()]
    if missing:
        raise ValueError(
            f"code must name files of the package, but these do not exist: {', '.join(missing)}. "
            "Give paths relative to the package folder, such as 'nn/simplex.py'."
        )
    record = {
        "code": {name: fingerprint(PACKAGE / name) for name in used},
        "data": dict(sorted(data.items())),
        "parameters": dict(parameters),
        "seed": seed,
        "seconds": round(float(seconds), 1),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {
            "latentgenomes": metadata.version("latentgenomes"),
            "python": platform.python_version(),
            "torch": metadata.version("torch"),
            "numpy": metadata.version("numpy"),
        },
        "machine": {"architecture": platform.machine(), "processors": os.cpu_count()},
    }
    text = json.dumps(record, indent=1) + "\n"  # before the table: a bad parameter leaves no file
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=not isinstance(frame.index, pd.RangeIndex))
    with replacing(provenance_path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return provenance_path(path)


def provenance_path(path: str | Path) -> Path:
    """Path of the record that belongs to a results table."""
    return Path(path).with_suffix(".provenance.json")


def stale(path: str | Path, *, package: Path = PACKAGE) -> list[str]:
    """Code files that no longer are what produced a results table.

    Parameters
    ----------
    path : str or Path
        A results table written by `write_results`.
    package : Path, optional
        The package folder to compare with.

    Returns
    -------
    list of str
        Names relative to `package` of the files that changed or are gone; empty for a table that stands.

    Raises
    ------
    FileNotFoundError
        When the table has no record.
    """
    record = provenance_path(path)
    if not record.is_file():
        raise FileNotFoundError(
            f"Every results table needs a record of its run, but {record.name} does not exist. "
            "Write the table with latentgenomes.provenance.write_results."
        )
    code: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))["code"]
    return [
        name
        for name, expected in code.items()
        if not (package / name).is_file() or fingerprint(package / name) != expected
    ]


def renew(path: str | Path, code: Sequence[str], reason: str, *, package: Path = PACKAGE) -> None:
    """State that a change of code left a results table as it is, where a rerun would take hours.

    The record keeps what is trusted instead of a run: the files, the reason and the date. Use it for changes
    that cannot reach the numbers, such as a new entry in a list of systems, or code that the run never
    called, and run a part of the table again to see that it comes out the same.

    Parameters
    ----------
    path : str or Path
        A results table written by `write_results`.
    code : sequence of str
        Files of its record that changed, relative to `package`. Those that stand are left alone.
    reason : str
        Why the table cannot change, and what was run again to see it.
    package : Path, optional
        The package folder.

    Raises
    ------
    ValueError
        When there is no reason, or another file of the record changed too.
    """
    if not reason.strip():
        raise ValueError("reason must say why the table cannot change, but it is empty. Or run it again.")
    changed = stale(path, package=package)
    others = sorted(set(changed) - set(code))
    gone = [name for name in changed if not (package / name).is_file()]
    if others or gone:
        raise ValueError(
            f"code must name every file that changed and none that is gone, but {', '.join(others or gone)} "
            f"changed too. Run {Path(path).name} again."
        )
    if not changed:
        return
    record = json.loads(provenance_path(path).read_text(encoding="utf-8"))
    record["code"] |= {name: fingerprint(package / name) for name in changed}
    entry = {"code": sorted(changed), "reason": reason, "date": datetime.now(UTC).date().isoformat()}
    record["renewed"] = [*record.get("renewed", []), entry]
    with replacing(provenance_path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _loaded_code() -> list[str]:
    """Files of the loaded modules of the package, without those that only present results."""
    files = set()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "latentgenomes" and getattr(module, "__file__", None):
            file = Path(str(module.__file__)).resolve()
            if file.suffix == ".py" and file.is_relative_to(PACKAGE):
                files.add(file.relative_to(PACKAGE).as_posix())
    return sorted(name for name in files if name.partition("/")[0] not in PRESENTATION)


def _describe(node: object) -> str:
    """Text of a syntax tree: type and filled fields of each node, docstrings skipped."""
    if isinstance(node, list):
        return "[" + ",".join(_describe(item) for item in node) + "]"
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!r}"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list) and _documents(node):
            value = value[1:]
        if name == "values" and isinstance(node, ast.JoinedStr):  # Python 3.12 keeps empty pieces
            value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
        if value is not None and value != []:
            parts.append(f"{name}={_describe(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _documents(node: ast.AST) -> bool:
    """Whether the first statement of a node is a docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
