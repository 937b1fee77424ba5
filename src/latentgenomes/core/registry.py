"""Public data files: named in a registry, fetched once by URL and sha256, or read from a mirror.

Two environment variables are read at every call. ``LATENTGENOMES_DATA`` is the folder into which files are
downloaded (default: the user's cache folder). ``LATENTGENOMES_MIRROR`` is a read-only folder that already
holds them; where it is set, nothing is downloaded, and a missing file is an error. In both, a file whose
sha256 differs from the registry's is refused. A file or folder appears under its name only when it is
complete.
"""

import contextlib
import difflib
import errno
import os
import shutil
import stat
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pandas as pd
import requests
from tqdm import tqdm

with warnings.catch_warnings():
    # Its progress bar asks for notebook widgets and warns where there are none; they are optional.
    warnings.simplefilter("ignore")
    import pooch

from latentgenomes.core.resources import locate

_NOTICES = ".notices"  # in the data folder: the notices already shown, one per line
_TIMEOUT = 60.0  # seconds without an answer
_shown: set[str] = set()


class DataError(RuntimeError):
    """A data file is unknown, missing, damaged or cannot be fetched."""


@dataclass(frozen=True)
class _Entry:
    name: str
    url: str
    sha256: str
    n_bytes: int
    licence: str
    citation: str


def load_registry() -> pd.DataFrame:
    """Table of every data file that the project knows, one row a file.

    Columns: ``name`` (path below the mirror), ``url`` (empty for a file that only a mirror holds),
    ``sha256``, ``bytes`` (int), ``licence`` and ``citation``.
    """
    try:
        table = pd.read_csv(locate("data/registry.csv"), dtype=str, keep_default_na=False)
    except OSError as error:
        raise DataError(f"The data registry must be readable, but it is not: {error}") from error
    return table.astype({"bytes": "int64"})


def _entry(name: str) -> _Entry:
    table = load_registry()
    rows = table[table["name"] == name]
    if rows.empty:
        near = difflib.get_close_matches(name, table["name"], n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"name must be a file of the data registry, but {name!r} is not one of {len(table)}.{hint}"
        )
    row = rows.iloc[0]
    return _Entry(name, row["url"], row["sha256"], int(row["bytes"]), row["licence"], row["citation"])


# What is started from here, kernels among it, may stand in another folder.
for _name in ("LATENTGENOMES_MIRROR", "LATENTGENOMES_DATA"):
    if os.environ.get(_name):
        os.environ[_name] = str(Path(os.environ[_name]).expanduser().resolve())


def _mirror() -> Path | None:
    value = os.environ.get("LATENTGENOMES_MIRROR", "")
    return Path(value).expanduser() if value else None


def data_folder() -> Path:
    """Folder for downloads and unpacked archives: ``$LATENTGENOMES_DATA``, or the system's cache folder."""
    value = os.environ.get("LATENTGENOMES_DATA", "")
    return Path(value).expanduser() if value else Path(pooch.os_cache("latentgenomes"))


def _path(entry: _Entry) -> Path:
    return (_mirror() or data_folder()) / entry.name


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, modified_ns: int) -> str:
    # Size and time are in the key, so that a file is hashed again when it has changed.
    return str(pooch.file_hash(str(path), alg="sha256"))


def _problem(path: Path, entry: _Entry) -> str | None:
    """Say what is wrong with a present file; None when it is the registered one."""
    status = path.stat()
    if status.st_size < entry.n_bytes:
        return f"it is cut off: {status.st_size} of {entry.n_bytes} bytes"
    digest = _digest(path, status.st_size, status.st_mtime_ns)
    if digest != entry.sha256:
        return f"its sha256 is {digest} in place of {entry.sha256}"
    return None


def available(name: str) -> bool:
    """Whether the mirror or, without one, the data folder holds a file; its content is not checked."""
    return _path(_entry(name)).is_file()


def verify(name: str) -> None:
    """Check a file at hand against its sha256; a DataError where it is unknown, missing or another."""
    entry = _entry(name)
    path = _path(entry)
    if not path.is_file():
        place = "the mirror" if _mirror() else "the data folder"
        advice = "Complete the mirror." if _mirror() else "Fetch it first: latentgenomes data fetch."
        raise DataError(f"{name} must be in {place}, but {path} does not exist. {advice}")
    problem = _problem(path, entry)
    if problem is not None:
        advice = "Copy it again from its source." if _mirror() else "Delete it and fetch it again."
        raise DataError(f"{name} must be the registered file, but {problem}, at {path}. {advice}")


@contextlib.contextmanager
def _complete_or_absent(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a temporary neighbour that takes the target's name only if the body succeeds.

    Whatever happens in the body, no half file, half folder or new empty parent stays behind.
    """
    parents = [parent for parent in target.parents if not parent.exists()]
    neighbour: Path | None = None
    done = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            neighbour = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
        else:
            handle, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
            os.close(handle)
            neighbour = Path(name)
        yield neighbour
        neighbour.chmod(0o755 if folder else 0o644)
        os.replace(neighbour, target)
        done = True
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise DataError(_disk_message(target, error)) from error
    finally:
        if not done:
            if neighbour is not None and folder:
                shutil.rmtree(neighbour, ignore_errors=True)
            elif neighbour is not None:
                neighbour.unlink(missing_ok=True)
            for (
                parent
            ) in parents:  # innermost first; one that another process now uses is not empty and stays
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _disk_message(target: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"Writing {target.name} needs more room, but the disk of {target.parent} is full. "
            "Free some space, or set LATENTGENOMES_DATA to a folder on another disk."
        )
    return (
        f"{target} must be writable, but writing it failed: {error}. "
        "Set LATENTGENOMES_DATA to a folder that you can write to."
    )


def _network_message(entry: _Entry, error: requests.RequestException) -> str:
    start = f"{entry.name} must come from {entry.url}, but"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{start} the server answered with status {error.response.status_code}. Try again later."
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{start} the download was cut off. Fetch it again."
    return (
        f"{start} it could not be reached ({type(error).__name__}). Check the network, or set "
        "LATENTGENOMES_MIRROR to a folder that holds the files."
    )


def _download(entry: _Entry, path: Path, *, progress: bool) -> None:
    if not entry.url:
        raise DataError(
            f"{entry.name} has no public address, so it cannot be downloaded. "
            "Set LATENTGENOMES_MIRROR to a folder that holds it."
        )
    try:
        with _complete_or_absent(path) as part:
            pooch.HTTPDownloader(progressbar=progress, timeout=_TIMEOUT)(entry.url, str(part), None)
            problem = _problem(part, entry)
            if problem is not None:
                raise DataError(
                    f"{entry.name} from {entry.url} must be the registered file, but {problem}. "
                    "Nothing was kept. Fetch it again; if it fails again, the source has changed."
                )
    except requests.RequestException as error:
        raise DataError(_network_message(entry, error)) from error


def _notify(entry: _Entry) -> None:
    """Show licence and citation of a source the first time one of its files is used."""
    notice = f"licence: {entry.licence}; cite: {entry.citation}"
    if notice in _shown:
        return
    _shown.add(notice)
    memory = data_folder() / _NOTICES
    if _mirror() is None:
        with contextlib.suppress(OSError):
            if memory.is_file() and notice in memory.read_text(encoding="utf-8").splitlines():
                return
            with memory.open("a", encoding="utf-8") as file:
                file.write(notice + "\n")
    sys.stderr.write(f"{entry.name}: {notice}\n")


def _fetch(entry: _Entry, *, progress: bool) -> Path:
    path = _path(entry)
    stale = path.is_file() and _mirror() is None and _problem(path, entry) is not None
    if _mirror() is None and (stale or not path.is_file()):
        _download(entry, path, progress=progress)
    else:
        verify(entry.name)
    _notify(entry)
    return path


def fetch(name: str) -> Path:
    """Path of a data file, downloaded on first use and checked against its sha256.

    A damaged file in the data folder is fetched again; one in the mirror is refused. Whatever keeps the file
    from being had is a DataError, and no half file is left.
    """
    return _fetch(_entry(name), progress=False)


def fetch_all(names: Iterable[str] | None = None, progress: bool = True) -> dict[str, Path]:
    """Paths of several data files, each as by `fetch`; by default all that can be had."""
    if names is None:
        table = load_registry()
        names = table["name"] if _mirror() else table.loc[table["url"] != "", "name"]
    entries = [_entry(name) for name in names]  # an unknown name fails before anything is downloaded
    with tqdm(entries, desc="data files", unit="file", disable=not progress) as bar:
        return {entry.name: _fetch(entry, progress=False) for entry in bar}


def _refuse_escaping(archive: zipfile.ZipFile, name: str) -> None:
    for info in archive.infolist():
        member = info.orig_filename
        parts = PurePosixPath(member).parts
        reason = None
        if member.startswith("/") or (len(member) > 1 and member[1] == ":"):
            reason = "an absolute path"
        elif ".." in parts:
            reason = "a path with '..'"
        elif "\\" in member or "\0" in member:
            reason = "a path with a backslash or a zero byte"
        elif stat.S_ISLNK(info.external_attr >> 16):
            reason = "a symbolic link"
        if reason is not None:
            raise DataError(
                f"Members of an archive must stay in its folder, but {member!r} of {name} is {reason}. "
                "Nothing was unpacked. Do not use this archive."
            )


def unpack(name: str) -> Path:
    """Folder with the members of a zip archive of the registry, unpacked on first use.

    ``<data folder>/unpacked/<name without .zip>-<first 12 digits of the sha256>``, with a mirror too. An
    archive with a member that would leave the folder is a DataError; no half folder is left.
    """
    archive_path = fetch(name)
    target = data_folder() / "unpacked" / f"{name.removesuffix('.zip')}-{_entry(name).sha256[:12]}"
    if target.is_dir():
        return target
    try:
        with zipfile.ZipFile(archive_path) as archive:
            _refuse_escaping(archive, name)
            with _complete_or_absent(target, folder=True) as part:
                archive.extractall(part)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        if isinstance(error, DataError):
            if target.is_dir():  # another process unpacked the same archive meanwhile
                return target
            raise
        raise DataError(
            f"{name} must be a readable zip archive, but it is not: {error}. Fetch it again."
        ) from error
    return target
