"""Where a results table came from, and whether the code that made it still stands.

A table of a full run is stored with the parameters, the data, the seed and a fingerprint of every function
and class that its numbers reached; see `definitions`. A better sentence, another file or a new
name of a file costs no rerun, and a changed equation does.
"""

import json
import os
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd

from latentgenomes.core.definitions import PACKAGE, Source, entry_name, source

#: Rooms that shape a page or a command, never a number.
PRESENTATION = frozenset(
    {
        "book",
        "cli",
        "definitions",
        "doors",
        "extras",
        "figures",
        "layouts",
        "parameters",
        "provenance",
        "resources",
        "spectra",
        "style",
    }
)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block succeeds.

    The folder is created. When the block fails, an older file stays untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{secrets.token_hex(8)}{path.suffix}"
    temporary.touch(exist_ok=False)  # with the mode that the umask of the user leaves
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)  # some writers put a private file in its place
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_results(
    frame: pd.DataFrame,
    path: str | Path,
    *,
    parameters: Mapping[str, object],
    data: Mapping[str, str],
    seed: int | None,
    seconds: float,
    code: Sequence[Callable[..., object]],
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
    code : sequence of callables
        The functions and classes that were called for the table. Whatever they reach is recorded.

    Returns
    -------
    Path
        The record.
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
    record = {
        "code": reached_code(map(entry_name, code)),
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


def reached_code(entries: Iterable[str], *, within: Source | None = None) -> dict[str, str]:
    """Fingerprints of all that dotted names reach, by name of the definition, without what only presents.

    Where several files define the same private name, their fingerprints stand side by side.
    """
    found: dict[str, set[str]] = {}
    for definition in (within or source()).reached(entries):
        if not PRESENTATION & set(definition.module.split(".")):
            found.setdefault(definition.name, set()).add(definition.fingerprint)
    return {name: " ".join(sorted(known)) for name, known in sorted(found.items())}


def provenance_path(path: str | Path) -> Path:
    """Path of the record that belongs to a results table."""
    return Path(path).with_suffix(".provenance.json")


def stale(path: str | Path, *, package: Path = PACKAGE) -> list[str]:
    """Definitions that no longer are what produced a results table of `write_results`; empty for one that
    stands.

    Named are those that were edited or are gone, and methods that now stand before a recorded one. A table
    without a record is a FileNotFoundError.
    """
    record = provenance_path(path)
    if not record.is_file():
        raise FileNotFoundError(
            f"Every results table needs a record of its run, but {record.name} does not exist. "
            "Write the table with `write_results`."
        )
    code: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))["code"]
    return _changed(code, source() if package == PACKAGE else Source(package))


def renew(path: str | Path, names: Sequence[str], reason: str, *, package: Path = PACKAGE) -> None:
    """State that a change of code left a results table as it is, where a rerun would take hours.

    The record keeps what is trusted instead of a run: the definitions in `names`, the reason and the date.
    Use it for changes that cannot reach the numbers, and run a part of the table again to see that it comes
    out the same. A ValueError without a reason, or when a definition changed that is not named.
    """
    if not reason.strip():
        raise ValueError("reason must say why the table cannot change, but it is empty. Or run it again.")
    changed = stale(path, package=package)
    if others := sorted(set(changed) - set(names)):
        raise ValueError(
            f"names must hold every definition that changed, but {', '.join(others)} changed too. "
            f"Run {Path(path).name} again."
        )
    if not changed:
        return
    record = json.loads(provenance_path(path).read_text(encoding="utf-8"))
    now = source() if package == PACKAGE else Source(package)
    for name in changed:
        known = now.fingerprints(name)
        record["code"].pop(name, None)
        record["code"] |= {name: " ".join(sorted(known))} if known else {}
    entry = {"code": sorted(changed), "reason": reason, "date": datetime.now(UTC).date().isoformat()}
    record["renewed"] = [*record.get("renewed", []), entry]
    with replacing(provenance_path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _changed(code: Mapping[str, str], now: Source) -> list[str]:
    """Names of a record that the code no longer holds, and new methods in place of recorded ones."""
    gone = [name for name, known in code.items() if not set(known.split()) <= now.fingerprints(name)]
    inherited = {name.rpartition(".")[2] for name in code if "." in name}
    classes = {name for name in code if "." not in name}
    newer = [
        f"{name}.{method}"
        for name in classes
        for method in now.methods(name)
        if method in inherited and f"{name}.{method}" not in code
    ]
    return sorted({*gone, *newer})
