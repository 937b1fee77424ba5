import errno
import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pooch
import pytest
import requests

from latentgenomes.core import registry
from latentgenomes.core.registry import (
    DataError,
    available,
    data_folder,
    fetch,
    fetch_all,
    load_registry,
    unpack,
    verify,
)
from latentgenomes.core.resources import locate

CONTENT = b"a,b\n1,2\n" * 5000
HEADER = "name,url,sha256,bytes,licence,citation\n"


def zip_bytes(*members):
    """A zip archive; a member is (name, content) or (name, content, unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, *mode in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would tidy it up
            info.external_attr = (mode[0] if mode else 0o100644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    served: dict[str, bytes] = {}  # noqa: RUF012
    requested: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.requested.append(self.path)
        if self.path == "/gone":
            self.send_error(404)
            return
        body = self.served[self.path.removeprefix("/cut")]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path.startswith("/cut") else body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch, address):
    """An empty data folder that does not exist yet, a registry without files, and no mirror."""
    monkeypatch.setenv("LATENTGENOMES_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("LATENTGENOMES_MIRROR", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "registry.csv").write_text(HEADER)
    monkeypatch.setattr(registry, "locate", lambda relative: tmp_path / "registry.csv")
    monkeypatch.setattr(registry, "_shown", set())
    Handler.served, Handler.requested = {}, []
    return tmp_path / "data"


@pytest.fixture
def register(folder, address, tmp_path):
    def add(name, content=CONTENT, *, sha256=None, path=None, url=None, served=None):
        path = path or f"/{len(Handler.served)}"
        Handler.served[path.removeprefix("/cut")] = content if served is None else served
        digest = sha256 or hashlib.sha256(content).hexdigest()
        with (tmp_path / "registry.csv").open("a") as file:
            url = address + path if url is None else url
            file.write(f"{name},{url},{digest},{len(content)},free,Author 2020\n")
        return name

    return add


def left_over(folder):
    return (
        sorted(str(path.relative_to(folder.parent)) for path in folder.rglob("*")) if folder.exists() else []
    )


def test_the_projects_registry_is_whole():
    table = load_registry()
    assert list(table.columns) == ["name", "url", "sha256", "bytes", "licence", "citation"]
    assert len(table) == 128
    assert table["name"].is_unique
    assert table["sha256"].str.fullmatch(r"[0-9a-f]{64}").all()
    assert (table["bytes"] > 0).all()
    assert (table["licence"] != "").all()
    assert table["citation"].str.len().gt(10).all()
    pinned = table["url"].str.fullmatch(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/\S+")
    assert list(table["name"][~pinned]) == [
        "signatures/published_results/published_results_musexae_recomputed.csv",
        "prepared/tcga_mirna_log2rpm.npz",
        "prepared/tcga_mirna_meta.tsv.gz",
        "prepared/tcga_cdr_survival.tsv.gz",
    ]
    assert (table["url"][~pinned] == "").all()
    safe = [not Path(name).is_absolute() and ".." not in Path(name).parts for name in table["name"]]
    assert all(safe)


@pytest.mark.real_data
def test_the_mirror_is_listed_row_by_row():
    lines = (Path(os.environ["LATENTGENOMES_MIRROR"]) / "MANIFEST.tsv").read_text().splitlines()
    listed = [tuple(line.split("\t")[i] for i in (0, 3, 2, 1)) for line in lines[1:]]
    table = load_registry()
    assert (
        list(zip(table["name"], table["url"], table["sha256"], table["bytes"].astype(str), strict=True))
        == listed
    )


@pytest.mark.real_data("signatures/real_small/SPE_Samples_SBS.txt")
def test_a_real_file_verifies():
    verify("signatures/real_small/SPE_Samples_SBS.txt")
    assert fetch("signatures/real_small/SPE_Samples_SBS.txt").stat().st_size == 7124


def test_fetch_downloads_once(folder, register):
    name = register("deep/er/file.csv")
    assert not available(name)
    path = fetch(name)
    assert path == folder / "deep/er/file.csv"
    assert path.read_bytes() == CONTENT
    assert available(name)
    verify(name)
    assert fetch(name) == path
    assert Handler.requested == ["/0"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_damaged_file_is_fetched_again_and_verify_refuses_it(folder, register):
    name = register("file.csv")
    path = fetch(name)
    path.write_bytes(CONTENT.replace(b"1", b"9"))
    with pytest.raises(
        DataError, match=r"file.csv must be the registered file, but its sha256 is .* Delete it and"
    ):
        verify(name)
    assert fetch(name).read_bytes() == CONTENT
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"it is cut off: 39999 of 40000 bytes"):
        verify(name)


def test_wrong_hash_leaves_nothing(folder, register):
    name = register("deep/file.csv", sha256="0" * 64)
    with pytest.raises(
        DataError, match=r"but its sha256 is [0-9a-f]{64} in place of 0{64}\. Nothing was kept"
    ):
        fetch(name)
    assert not folder.exists()


def test_wrong_hash_keeps_what_was_there(folder, register):
    name = register("file.csv")
    fetch(name)
    register("other.csv", sha256="1" * 64)
    with pytest.raises(DataError, match="Nothing was kept"):
        fetch("other.csv")
    assert left_over(folder) == ["data/.notices", "data/file.csv"]


def test_cut_off_download_leaves_nothing(folder, register):
    with pytest.raises(DataError, match=r"file.csv (must come from|from) http.* but .*cut off"):
        fetch(register("file.csv", path="/cut/1"))
    assert not folder.exists()


def test_short_file_from_the_source_leaves_nothing(folder, register):
    with pytest.raises(DataError, match="it is cut off: 100 of 40000 bytes"):
        fetch(register("file.csv", served=CONTENT[:100]))
    assert not folder.exists()


def test_no_network(folder, register):
    with pytest.raises(
        DataError, match=r"could not be reached \(ConnectionError\)\. Check the network, or set LATENT"
    ):
        fetch(register("file.csv", url="http://127.0.0.1:1/file"))
    assert not folder.exists()


def test_time_out(folder, register, monkeypatch):
    def slow(self, url, output_file, pooch):
        raise requests.exceptions.ReadTimeout("slow")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", slow)
    with pytest.raises(DataError, match=r"could not be reached \(ReadTimeout\)"):
        fetch(register("file.csv"))
    assert not folder.exists()


def test_server_error(folder, register):
    with pytest.raises(DataError, match="the server answered with status 404"):
        fetch(register("file.csv", path="/gone"))
    assert not folder.exists()


def test_full_disk_leaves_nothing(folder, register, monkeypatch):
    def fill(self, url, output_file, pooch):
        Path(output_file).write_bytes(CONTENT[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fill)
    with pytest.raises(
        DataError, match=r"needs more room, but the disk of .* is full\. Free some space, or set LATENT"
    ):
        fetch(register("deep/file.csv"))
    assert not folder.exists()


def test_an_interrupt_leaves_nothing(folder, register, monkeypatch):
    def interrupt(self, url, output_file, pooch):
        Path(output_file).write_bytes(CONTENT[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(register("deep/file.csv"))
    assert not folder.exists()


def test_a_file_in_place_of_the_folder(folder, register):
    folder.write_text("")
    with pytest.raises(
        DataError, match=r"must be writable, but writing it failed: .* Set LATENTGENOMES_DATA"
    ):
        fetch(register("file.csv"))
    assert folder.read_text() == ""


def test_unknown_name(folder, register):
    register("signatures/counts.csv")
    with pytest.raises(
        DataError, match=r"'signatures/count.csv' is not one of 1\. Did you mean 'signatures/counts.csv'"
    ):
        fetch("signatures/count.csv")
    with pytest.raises(DataError, match=r"must be a file of the data registry, but '../registry.csv' is not"):
        fetch("../registry.csv")


def test_a_file_without_an_address(folder, register):
    with pytest.raises(DataError, match=r"has no public address, .* Set LATENTGENOMES_MIRROR"):
        fetch(register("derived.csv", url=""))


def test_verify_names_a_missing_file(folder, register):
    with pytest.raises(DataError, match=r"must be in the data folder, but .* does not exist. Fetch it first"):
        verify(register("file.csv"))


def test_unreadable_registry(monkeypatch):
    def missing(relative):
        raise FileNotFoundError("gone")

    monkeypatch.setattr(registry, "locate", missing)
    with pytest.raises(DataError, match="The data registry must be readable, but it is not: gone"):
        load_registry()


def test_the_mirror_is_read_at_call_time_and_nothing_is_downloaded(folder, register, tmp_path, monkeypatch):
    name = register("deep/file.csv")
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(tmp_path / "mirror"))
    assert not available(name)
    with pytest.raises(
        DataError, match=r"must be in the mirror, but .* does not exist\. Complete the mirror"
    ):
        fetch(name)
    target = tmp_path / "mirror" / "deep" / "file.csv"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert fetch(name) == target
    target.write_bytes(CONTENT.replace(b"1", b"9"))
    with pytest.raises(DataError, match=r"but its sha256 is .* Copy it again from its source"):
        fetch(name)
    assert Handler.requested == []
    assert not folder.exists()


def test_fetch_all(folder, register, capsys):
    first, second = register("one.csv"), register("two.csv", CONTENT + b"3")
    register("derived.csv", url="")
    assert fetch_all(progress=False) == {first: folder / "one.csv", second: folder / "two.csv"}
    assert "data files" not in capsys.readouterr().err
    assert list(fetch_all([second])) == [second]
    assert "data files" in capsys.readouterr().err
    with pytest.raises(DataError, match="'none' is not one of 3"):
        fetch_all([first, "none"])


def test_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("LATENTGENOMES_DATA", raising=False)
    assert data_folder() == Path(pooch.os_cache("latentgenomes"))


def test_licence_and_citation_are_shown_once_and_remembered(folder, register, capsys, monkeypatch):
    name = register("file.csv")
    fetch(name)
    assert capsys.readouterr().err == "file.csv: licence: free; cite: Author 2020\n"
    fetch(name)
    monkeypatch.setattr(registry, "_shown", set())  # as a new process
    fetch(name)
    assert capsys.readouterr().err == ""


def test_with_a_mirror_the_notice_is_shown_once_a_process(folder, register, tmp_path, capsys, monkeypatch):
    name = register("file.csv")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "file.csv").write_bytes(CONTENT)
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(tmp_path / "mirror"))
    fetch(name)
    fetch(name)
    assert capsys.readouterr().err.count("Author 2020") == 1
    monkeypatch.setattr(registry, "_shown", set())
    fetch(name)
    assert capsys.readouterr().err.count("Author 2020") == 1


def test_unpack(folder, register):
    archive = zip_bytes(("./one.csv", b"1"), ("deep/two.csv", b"2"), ("empty/", b""))
    target = unpack(register("sets/files.zip", archive))
    assert target.parent == folder / "unpacked" / "sets"
    assert (target / "one.csv").read_bytes() == b"1"
    assert (target / "deep" / "two.csv").read_bytes() == b"2"
    (target / "one.csv").write_bytes(b"kept")
    assert (unpack("sets/files.zip") / "one.csv").read_bytes() == b"kept"
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("../evil.csv", b"x"), "a path with '..'"),
        (("deep/../../evil.csv", b"x"), "a path with '..'"),
        (("/evil.csv", b"x"), "an absolute path"),
        (("C:/evil.csv", b"x"), "an absolute path"),
        (("..\\evil.csv", b"x"), "a path with a backslash"),
        (("link", b"/etc", 0o120777), "a symbolic link"),
    ],
)
def test_a_member_that_escapes_its_folder(folder, register, tmp_path, member, reason):
    name = register("files.zip", zip_bytes(("good.csv", b"1"), member))
    message = f"must stay in its folder, but {member[0]!r} of files.zip is {reason}"
    with pytest.raises(DataError, match=re.escape(message)):
        unpack(name)
    assert left_over(folder) == ["data/.notices", "data/files.zip"]
    assert not list(tmp_path.rglob("*evil*"))


def test_broken_archives_leave_no_folder(folder, register):
    with pytest.raises(
        DataError, match="must be a readable zip archive, but it is not: File is not a zip file"
    ):
        unpack(register("text.zip"))
    whole = zip_bytes(("good.csv", b"1" * 100), ("bad.csv", b"2" * 100))
    with pytest.raises(DataError, match="must be a readable zip archive, but it is not: Bad CRC"):
        unpack(register("crc.zip", whole.replace(b"2" * 100, b"3" * 100)))
    assert left_over(folder) == ["data/.notices", "data/crc.zip", "data/text.zip"]


def test_full_disk_while_unpacking_leaves_no_folder(folder, register, monkeypatch):
    def fill(self, path):
        (Path(path) / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zipfile.ZipFile, "extractall", fill)
    with pytest.raises(DataError, match=r"the disk of .* is full"):
        unpack(register("files.zip", zip_bytes(("good.csv", b"1"))))
    assert left_over(folder) == ["data/.notices", "data/files.zip"]


@pytest.mark.real_data("expression/porpoise/tcga_paad_all_clean.csv.zip")
def test_unpack_a_real_archive(tmp_path, monkeypatch):
    name = "expression/porpoise/tcga_paad_all_clean.csv.zip"
    fetch(name)
    source = fetch(name)
    monkeypatch.setenv("LATENTGENOMES_DATA", str(tmp_path))
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(source).removesuffix(name))
    members = list(unpack(name).iterdir())
    assert [member.stat().st_size for member in members] == [2188107]


def test_locate_finds_the_registry_that_is_read():
    assert len(locate("data/registry.csv").read_text().splitlines()) == len(load_registry()) + 1


def test_a_relative_mirror_holds_in_what_is_started_from_another_folder(tmp_path):
    code = (
        "import os, subprocess, sys; import latentgenomes.core.registry; os.chdir('/');"
        "print(subprocess.check_output([sys.executable, '-c', "
        "'import os; print(os.environ[\"LATENTGENOMES_MIRROR\"])'], text=True))"
    )
    environment = os.environ | {"LATENTGENOMES_MIRROR": "../files"}
    (tmp_path / "here").mkdir()
    told = subprocess.check_output(
        [sys.executable, "-c", code], cwd=tmp_path / "here", env=environment, text=True
    )
    assert told.strip() == str(tmp_path.resolve() / "files")
