"""Records of results tables: what counts as the same code."""

import json
import shutil
import socket
from pathlib import Path

import pandas as pd
import pytest

from latentgenomes import provenance
from latentgenomes.provenance import fingerprint, replacing, stale, write_results

CODE = '''"""What it computes."""
def loss(x, y):
    """Squared error."""
    return (x - y) ** 2  # in nats
'''
TABLE = pd.DataFrame({"method": ["a", "b"], "cosine": [0.5, 0.25]})


def of(text, tmp_path):
    path = tmp_path / "code.py"
    path.write_text(text)
    return fingerprint(path)


@pytest.mark.parametrize(
    "edit",
    [
        ("Squared error.", "Square of the difference."),
        ("  # in nats", ""),
        ('    """Squared error."""\n', ""),
        ('"""What it computes."""\n', "# A comment.\n\n\n"),
        ("(x - y) ** 2", "(x  -  y)**2"),
    ],
)
def test_words_and_spacing_do_not_count(edit, tmp_path):
    assert CODE.replace(*edit) != CODE
    assert of(CODE.replace(*edit), tmp_path) == of(CODE, tmp_path)


@pytest.mark.parametrize(
    "edit",
    [
        ("x - y", "x + y"),
        ("** 2", "** 3"),
        ("** 2", "** 2.0"),
        ("x, y", "x, y=None"),
        ("loss", "error"),
        ("return ", ""),
    ],
)
def test_code_counts(edit, tmp_path):
    assert CODE.replace(*edit) != CODE
    assert of(CODE.replace(*edit), tmp_path) != of(CODE, tmp_path)


def test_a_text_that_is_no_docstring_counts(tmp_path):
    assert of("def f():\n    return 'a'\n", tmp_path) != of("def f():\n    return 'b'\n", tmp_path)
    assert of("x = None\n", tmp_path) != of("x = 0\n", tmp_path)


def test_the_fingerprint_is_the_same_on_every_python(tmp_path):
    # Written down once: a reader with another Python version must get the same value.
    assert of(CODE, tmp_path) == "a36f95d78e4e3e36b21b974fd9569cdffaab086a14a47fa1b3ae090ff7234efc"


def test_a_table_comes_with_its_record(tmp_path):
    path = tmp_path / "signatures" / "table.csv"
    parameters = {"n_signatures": 8, "beta": 0.01}
    record = write_results(
        TABLE,
        path,
        parameters=parameters,
        data={"x.csv": "0" * 64},
        seed=3,
        seconds=12.34,
        code=["checks.py"],
    )
    pd.testing.assert_frame_equal(pd.read_csv(path), TABLE)
    assert record == path.parent / "table.provenance.json"
    written = json.loads(record.read_text())
    assert written["parameters"] == parameters
    assert written["data"] == {"x.csv": "0" * 64}
    assert (written["seed"], written["seconds"]) == (3, 12.3)
    assert written["code"] == {"checks.py": fingerprint(provenance.PACKAGE / "checks.py")}
    assert {"latentgenomes", "python", "torch", "numpy"} == set(written["versions"])
    assert sorted(child.name for child in path.parent.iterdir()) == ["table.csv", "table.provenance.json"]
    assert stale(path) == []


def test_the_record_names_no_machine(tmp_path):
    record = write_results(TABLE, tmp_path / "t.csv", parameters={}, data={}, seed=None, seconds=1)
    text = record.read_text()
    assert str(Path.home()) not in text
    assert str(provenance.PACKAGE.parent) not in text
    assert f'"{socket.gethostname()}"' not in text
    assert not any(name.startswith("/") for name in json.loads(text)["code"])


def test_by_default_the_loaded_code_is_recorded(tmp_path):
    from latentgenomes import checks, cli

    record = write_results(TABLE, tmp_path / "t.csv", parameters={}, data={}, seed=0, seconds=1)
    code = json.loads(record.read_text())["code"]
    assert Path(checks.__file__).name in code
    assert "data/registry.py" in code
    assert not {"cli.py", "notebooks.py", "provenance.py"} & set(code)
    assert not any(name.startswith("figures") for name in code)
    assert cli.__name__ == "latentgenomes.cli"


def test_an_edited_equation_makes_a_table_stale_and_an_edited_word_does_not(tmp_path):
    package = tmp_path / "latentgenomes"
    shutil.copytree(provenance.PACKAGE, package)
    table = tmp_path / "t.csv"
    write_results(
        TABLE,
        table,
        parameters={},
        data={},
        seed=0,
        seconds=1,
        code=["nn/simplex.py", "checks.py", "labels.py"],
    )
    simplex = package / "nn" / "simplex.py"
    text = simplex.read_text()
    assert stale(table, package=package) == []
    simplex.write_text(text.replace('"""', '"""Edited: ', 1) + "# a comment\n")
    assert stale(table, package=package) == []
    simplex.write_text(text + "ONE_MORE = 1\n")
    assert stale(table, package=package) == ["nn/simplex.py"]
    (package / "labels.py").unlink()
    assert stale(table, package=package) == ["labels.py", "nn/simplex.py"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "t.txt"}, "A results table is a .csv file, but the path is 't.txt'"),
        ({"data": {"x.csv": "abc"}}, r"SHA-256 .* per file, but 'x.csv' has 'abc'"),
        ({"code": ["gone.py"]}, "code must name files of the package, but these do not exist: gone.py"),
    ],
)
def test_a_record_that_would_be_wrong_is_refused(change, message, tmp_path):
    given = {"path": "t.csv", "data": {}, "code": ["checks.py"], **change}
    path = tmp_path / given.pop("path")
    with pytest.raises(ValueError, match=message):
        write_results(TABLE, path, parameters={}, seed=0, seconds=1, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_results(TABLE, tmp_path / "t.csv", parameters={"x": TABLE}, data={}, seed=0, seconds=1)
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


def stored(tmp_path):
    """A table in a package of two files, and the package."""
    package = tmp_path / "package"
    package.mkdir()
    for name in ("a.py", "b.py"):
        (package / name).write_text(CODE)
    record = {"code": {name: fingerprint(package / name) for name in ("a.py", "b.py")}}
    (tmp_path / "t.provenance.json").write_text(json.dumps(record))
    return tmp_path / "t.csv", package


def test_a_renewed_table_stands_and_says_why(tmp_path):
    table, package = stored(tmp_path)
    (package / "a.py").write_text(CODE.replace("** 2", "** 3"))
    assert stale(table, package=package) == ["a.py"]
    provenance.renew(table, ["a.py", "b.py"], "The run never called loss.", package=package)
    assert stale(table, package=package) == []
    (entry,) = json.loads((tmp_path / "t.provenance.json").read_text())["renewed"]
    assert entry["code"] == ["a.py"]
    assert entry["reason"] == "The run never called loss."
    provenance.renew(table, ["a.py"], "Nothing changed since.", package=package)
    assert len(json.loads((tmp_path / "t.provenance.json").read_text())["renewed"]) == 1


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (["a.py"], " ", "reason must say why the table cannot change"),
        (["a.py"], "Never called.", r"but b\.py changed too\. Run t\.csv again"),
        (["a.py", "b.py", "c.py"], "Never called.", r"none that is gone, but b\.py"),
    ],
)
def test_a_table_is_not_renewed_without_a_reason_or_for_other_changes(code, reason, message, tmp_path):
    table, package = stored(tmp_path)
    (package / "a.py").write_text(CODE.replace("** 2", "** 3"))
    if "c.py" in code:
        (package / "b.py").unlink()
    else:
        (package / "b.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=message):
        provenance.renew(table, code, reason, package=package)
    assert "renewed" not in json.loads((tmp_path / "t.provenance.json").read_text())
