"""Records of results tables: what they hold, and when a table still stands."""

import json
import os
import shutil
import socket
from pathlib import Path

import pandas as pd
import pytest

from latentgenomes import cli
from latentgenomes.core import checks, provenance
from latentgenomes.core.definitions import PACKAGE, Source
from latentgenomes.core.provenance import reached_code, replacing, stale, write_results

TABLE = pd.DataFrame({"method": ["a", "b"], "cosine": [0.5, 0.25]})
RUN = {"parameters": {}, "data": {}, "seed": 0, "seconds": 1}
ENTRY = checks.check_counts
LOSS = '''"""What it computes."""

SCALE = 2


class Model:
    def fit(self, x):
        return loss(x, 1)


class Child(Model):
    pass


def loss(x, y):
    return SCALE * (x - y) ** 2
'''


def test_a_table_comes_with_its_record(tmp_path):
    path = tmp_path / "signatures" / "table.csv"
    parameters = {"n_signatures": 8, "beta": 0.01}
    record = write_results(
        TABLE, path, parameters=parameters, data={"x.csv": "0" * 64}, seed=3, seconds=12.34, code=[ENTRY]
    )
    pd.testing.assert_frame_equal(pd.read_csv(path), TABLE)
    assert record == path.parent / "table.provenance.json"
    written = json.loads(record.read_text())
    assert written["parameters"] == parameters
    assert written["data"] == {"x.csv": "0" * 64}
    assert (written["seed"], written["seconds"]) == (3, 12.3)
    assert written["code"] == reached_code([f"{ENTRY.__module__}.{ENTRY.__name__}"])
    assert ENTRY.__name__ in written["code"]
    assert {"latentgenomes", "python", "torch", "numpy"} == set(written["versions"])
    assert sorted(child.name for child in path.parent.iterdir()) == ["table.csv", "table.provenance.json"]
    assert stale(path) == []


def test_the_record_names_no_machine(tmp_path):
    text = write_results(TABLE, tmp_path / "t.csv", **RUN, code=[ENTRY]).read_text()
    assert str(Path.home()) not in text
    assert str(PACKAGE.parent) not in text
    assert f'"{socket.gethostname()}"' not in text


def test_what_only_presents_is_not_recorded():
    assert reached_code(["latentgenomes.core.provenance.write_results"]) == {}
    assert reached_code([f"{cli.__name__}.main"], within=Source()).keys() & {"main", "resolve"} == set()


def test_moved_code_leaves_a_table_fresh_and_an_edited_equation_does_not(tmp_path):
    package = tmp_path / "latentgenomes"
    shutil.copytree(PACKAGE, package)
    table = tmp_path / "t.csv"
    write_results(TABLE, table, **RUN, code=[ENTRY])
    old = package / Path(checks.__file__).relative_to(PACKAGE)
    new = package / "elsewhere" / "rules.py"
    new.parent.mkdir()
    old.rename(new)
    assert stale(table, package=package) == []
    text = new.read_text()
    new.write_text(text.replace('"""', '"""Edited: ', 1) + "# a comment\nONE_MORE = 1\n")
    assert stale(table, package=package) == []
    new.write_text(text.replace(f"def {ENTRY.__name__}(", f"def {ENTRY.__name__}(wanted, "))
    assert stale(table, package=package) == [ENTRY.__name__]
    new.unlink()
    assert ENTRY.__name__ in stale(table, package=package)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "t.txt"}, "A results table is a .csv file, but the path is 't.txt'"),
        ({"data": {"x.csv": "abc"}}, r"SHA-256 .* per file, but 'x.csv' has 'abc'"),
        ({"code": [json.loads]}, r"must name a function or class of the package, but 'json\.loads' does not"),
    ],
)
def test_a_record_that_would_be_wrong_is_refused(change, message, tmp_path):
    given = {"path": "t.csv", **RUN, "code": [ENTRY], **change}
    path = tmp_path / given.pop("path")
    with pytest.raises(ValueError, match=message):
        write_results(TABLE, path, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_results(TABLE, tmp_path / "t.csv", **RUN | {"parameters": {"x": TABLE}}, code=[])
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_record_is_named(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match=r"t.provenance.json does not exist. Write the table with"):
        stale(tmp_path / "t.csv")


def test_a_failed_write_keeps_the_older_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(AttributeError, match="no attribute"), replacing(path) as temporary:
        (temporary.write_text("new") and temporary).no_such_name  # noqa: B018
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["t.csv"]


@pytest.fixture
def stored(tmp_path):
    """A table made by `Child` in a small package, and the package."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text(LOSS)
    code = reached_code(["latentgenomes.a.Child"], within=Source(package))
    assert set(code) == {"Child", "Model", "Model.fit", "loss", "SCALE"}
    (tmp_path / "t.provenance.json").write_text(json.dumps({"code": code}))
    return tmp_path / "t.csv", package


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (("** 2", "** 3"), ["loss"]),
        (("SCALE = 2", "SCALE = 3"), ["SCALE"]),
        (("(x, 1)", "(x, 2)"), ["Model.fit"]),
        (("(Model):", "(Model, metaclass=abc):"), ["Child"]),
        (("    pass", "    def fit(self, x):\n        return x"), ["Child", "Child.fit"]),
        (("    pass", "    more = 1"), ["Child"]),
        (("    pass", "    def predict(self, x):\n        return x"), ["Child"]),
    ],
)
def test_only_what_changed_is_named(edit, changed, stored):
    table, package = stored
    (package / "a.py").write_text(LOSS.replace(*edit))
    assert stale(table, package=package) == changed


def test_a_renewed_table_stands_and_says_why(stored):
    table, package = stored
    (package / "a.py").write_text(LOSS.replace("** 2", "** 3"))
    assert stale(table, package=package) == ["loss"]
    provenance.renew(table, ["loss", "SCALE"], "The run never called loss.", package=package)
    assert stale(table, package=package) == []
    (entry,) = json.loads(provenance.provenance_path(table).read_text())["renewed"]
    assert entry["code"] == ["loss"]
    assert entry["reason"] == "The run never called loss."
    provenance.renew(table, ["loss"], "Nothing changed since.", package=package)
    assert len(json.loads(provenance.provenance_path(table).read_text())["renewed"]) == 1


def test_what_is_gone_leaves_the_record(stored):
    table, package = stored
    (package / "a.py").write_text(LOSS.replace("SCALE * ", "2 * ").replace("SCALE = 2\n", ""))
    provenance.renew(table, ["loss", "SCALE"], "The constant is written out.", package=package)
    assert stale(table, package=package) == []
    assert set(json.loads(provenance.provenance_path(table).read_text())["code"]) == {
        "Child", "Model", "Model.fit", "loss"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "reason", "message"),
    [
        (["loss", "SCALE"], " ", "reason must say why the table cannot change"),
        (["loss"], "Never called.", r"but SCALE changed too\. Run t\.csv again"),
    ],
)
def test_a_table_is_not_renewed_without_a_reason_or_for_other_changes(names, reason, message, stored):
    table, package = stored
    (package / "a.py").write_text(LOSS.replace("** 2", "** 3").replace("SCALE = 2", "SCALE = 3"))
    with pytest.raises(ValueError, match=message):
        provenance.renew(table, names, reason, package=package)
    assert "renewed" not in json.loads(provenance.provenance_path(table).read_text())


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_file_gets_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "table.csv") as temporary:
            temporary.unlink()
            temporary.touch(mode=0o600)  # as a library that replaces the file may do
    finally:
        os.umask(before)
    assert (tmp_path / "table.csv").stat().st_mode & 0o777 == 0o640
