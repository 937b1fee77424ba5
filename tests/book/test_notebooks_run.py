"""Running a notebook: what lands in the folder, and what a failure says."""

import os
import sys

import matplotlib.figure
import nbformat
import pandas as pd
import pytest

from latentgenomes.book import notebooks
from latentgenomes.book.notebooks import NotebookError, Outputs, parameters, run_notebook
from latentgenomes.book.page import PageError
from latentgenomes.core.parameters import ParameterError

PARAMETERS = """n: int = 3  # how many rows; 1 to 9
catalog: str = ""  # file: a file of the reader
fail: bool = False  # raise an error
output_dir: str = ""  # folder for tables and figures"""
BODY = """import os, sys
from pathlib import Path
import pandas as pd
from latentgenomes.book.notebooks import Outputs
rows = pd.DataFrame({"row": range(n)})
Outputs(output_dir).table(rows, "rows")
print(sys.executable, os.getcwd(), os.environ["LATENTGENOMES_PROGRESS"], sep="\\n")
print(Path(catalog).read_text() if catalog else "no catalog")"""
FAILING = """# the cell that fails
if fail:
    raise RuntimeError("told to fail")"""


def write_notebook(path, *cells):
    """Write a notebook whose first cell holds the parameters."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of notebooks that stands for the project's own."""
    place = tmp_path / "notebooks"
    place.mkdir()
    write_notebook(place / "toy_tutorial.ipynb", PARAMETERS, BODY, FAILING)
    monkeypatch.setattr(notebooks, "locate", lambda relative: tmp_path / relative)
    monkeypatch.chdir(tmp_path)
    return place


def printed(path):
    """What a notebook printed, line by line."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stdout").splitlines()


def test_page_notebook_and_tables_land_in_the_folder(folder, tmp_path, monkeypatch):
    # A kernel of the same name that cannot start must not be taken.
    other = tmp_path / "share" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(
        '{"argv": ["absent-python"], "display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.delenv("LATENTGENOMES_PROGRESS", raising=False)
    (tmp_path / "my.txt").write_text("my own")
    (tmp_path / "p.yaml").write_text("n: 2\nfail: false\n")
    finished = run_notebook(
        "toy_tutorial",
        given={"n": "5", "catalog": "my.txt"},
        params_file="p.yaml",
        out="made/here",
        progress=False,
    )
    out = (tmp_path / "made" / "here").resolve()
    assert finished == out / "toy_tutorial.ipynb"
    assert sorted(path.name for path in out.iterdir()) == [
        "rows.csv",
        "toy_tutorial.html",
        "toy_tutorial.ipynb",
    ]
    assert len(pd.read_csv(out / "rows.csv")) == 5  # the command line wins over the file
    assert printed(finished) == [sys.executable, str(out), "0", "my own"]
    assert "my own" in (out / "toy_tutorial.html").read_text()
    assert "LATENTGENOMES_PROGRESS" not in os.environ


def test_a_failure_names_the_cell_and_keeps_the_notebook(folder, tmp_path, capfd):
    kept = tmp_path / "out" / "toy_tutorial.failed.ipynb"
    with pytest.raises(
        NotebookError, match=r"failed in cell 3 \(# the cell that fails\): RuntimeError: told to fail"
    ) as caught:
        run_notebook("toy_tutorial", given={"fail": "true"}, params_file=None, out="out")
    assert str(kept) in str(caught.value)
    assert "no catalog" in printed(kept)
    assert not (tmp_path / "out" / "toy_tutorial.ipynb").exists()
    shown = capfd.readouterr().err
    assert "Executing:" in shown  # the bar
    assert "WARNING" not in shown


def test_a_page_that_fails_leaves_the_executed_notebook(folder, tmp_path, monkeypatch):
    def fail(notebook, target, *, report):
        raise PageError("The page cannot be made.")

    monkeypatch.setattr(notebooks, "write_page", fail)
    with pytest.raises(NotebookError, match=r"^The page cannot be made\.$"):
        run_notebook("toy_tutorial", given={}, params_file=None, out="out", progress=False)
    assert "no catalog" in printed(tmp_path / "out" / "toy_tutorial.ipynb")
    assert not (tmp_path / "out" / "toy_tutorial.html").exists()


def test_nothing_runs_when_a_value_is_refused(folder, tmp_path):
    with pytest.raises(ParameterError, match="n must be 1 to 9, but is '10'"):
        run_notebook("toy_tutorial", given={"n": "10"}, params_file=None, out="out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the file with parameters must exist, but 'p.yaml' is not there"),
        ("- n\n", "'p.yaml' must hold lines 'name: value', but holds a list"),
        ("n: [1\n", "'p.yaml' must be YAML, but cannot be read"),
        ("n: many\n", "n must be int, but is 'many'"),
    ],
)
def test_a_wrong_file_of_parameters_is_refused(folder, tmp_path, text, message):
    if text is not None:
        (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ParameterError, match=message):
        run_notebook("toy_tutorial", given={}, params_file="p.yaml", out="out")


def test_an_unknown_notebook_gets_a_hint(folder):
    with pytest.raises(NotebookError, match=r"no notebook 'toy_tutorail'. Did you mean 'toy_tutorial'"):
        parameters("toy_tutorail")
    with pytest.raises(NotebookError, match=r"no notebook '../secret'. Available: toy_tutorial"):
        parameters("../secret")


def test_a_parameter_cell_that_breaks_the_rules_is_named(folder):
    write_notebook(folder / "bad.ipynb", "n = 3")
    with pytest.raises(NotebookError, match=r"The parameter cell of bad: every line reads"):
        parameters("bad")
    nbformat.write(nbformat.v4.new_notebook(), folder / "none.ipynb")
    with pytest.raises(NotebookError, match=r"one cell tagged 'parameters', but none has 0"):
        parameters("none")


def test_outputs_write_only_where_there_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"a": [1.5, 2.0]}, index=pd.Index(["x", "y"], name="sample"))
    figure = matplotlib.figure.Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2])
    for nowhere in ("", None):
        assert Outputs(nowhere).table(frame, "t") is frame
        Outputs(nowhere).figure(figure, "f")
    assert list(tmp_path.iterdir()) == []
    outputs = Outputs(tmp_path / "out")
    outputs.table(frame, "t")
    outputs.figure(figure, "f")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "t.csv", index_col="sample"), frame)
    assert (tmp_path / "out" / "f.pdf").read_bytes().startswith(b"%PDF")
    png = (tmp_path / "out" / "f.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    # pHYs: pixels per metre; 200 dots per inch are 7874 per metre
    assert int.from_bytes(png[png.index(b"pHYs") + 4 :][:4], "big") == 7874


@pytest.mark.parametrize("name", ["", "a/b", "../up", "t.csv"])
def test_a_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="A name is letters, digits, '-' and '_', but"):
        Outputs(tmp_path).table(pd.DataFrame(), name)
    with pytest.raises(ValueError, match="A name is letters, digits, '-' and '_', but"):
        Outputs(None).figure(None, name)


def test_the_projects_notebooks_declare_their_parameters():
    for name in notebooks.available_notebooks():
        assert "output_dir" in parameters(name)
