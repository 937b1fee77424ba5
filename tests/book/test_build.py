"""The staged copy of the book: what is copied, what is cleaned, what the run-times page says."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def executed(tmp_path):
    """A notebook as papermill leaves it."""
    cells = [nbformat.v4.new_code_cell(text) for text in ("n: int = 3", "# Parameters\nn = 5", "print(n)")]
    cells[0].metadata["tags"] = ["parameters"]
    cells[1].metadata["tags"] = ["injected-parameters"]
    cells[2].outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="50%"),
        nbformat.v4.new_output("stream", name="stdout", text="5"),
    ]
    for cell in cells:
        cell.metadata["papermill"] = {"duration": 0.5}
        cell.metadata["execution"] = {"iopub.status.busy": "now"}
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["papermill"] = {"duration": 12.4, "input_path": "somewhere"}
    path = tmp_path / "toy_tutorial.ipynb"
    nbformat.write(notebook, path)
    return path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_staged_notebook_shows_no_trace_of_the_run(build, executed, tmp_path):
    build.stage(executed, tmp_path / "copy" / "toy.ipynb")
    text = (tmp_path / "copy" / "toy.ipynb").read_text()
    assert "papermill" not in text
    assert "iopub" not in text
    first, injected, last = nbformat.reads(text, as_version=4).cells
    assert first.metadata["tags"] == ["parameters"]
    assert injected.metadata["tags"] == ["injected-parameters", "remove-cell"]
    assert [output.text for output in last.outputs] == ["5"]


def test_staging_twice_changes_nothing(build, executed, tmp_path):
    build.stage(executed, tmp_path / "a.ipynb")
    build.stage(tmp_path / "a.ipynb", tmp_path / "b.ipynb")
    assert (tmp_path / "a.ipynb").read_text() == (tmp_path / "b.ipynb").read_text()


def test_the_run_times_page_tells_executed_from_stored(build, executed, tmp_path):
    build.stage(executed, tmp_path / "toy_analysis.ipynb")
    build.write_runtimes(tmp_path / "book" / "runtimes.md", [executed, tmp_path / "toy_analysis.ipynb"])
    lines = (tmp_path / "book" / "runtimes.md").read_text().splitlines()
    assert lines[0] == "# Run times"
    assert lines[-2:] == [
        "| [toy_tutorial](../notebooks/toy_tutorial.ipynb) | 2 | 12 | executed for this site |",
        "| [toy_analysis](../notebooks/toy_analysis.ipynb) | 2 | - "
        "| stored outputs; its real data were not at hand |",
    ]


def test_a_mirror_follows_the_repository(build, tmp_path):
    root, copy = tmp_path / "root", tmp_path / "copy"
    for name in (
        "book/a.md",
        "book/b.md",
        "src/x.py",
        "src/__pycache__/x.pyc",
        "secret.txt",
        "notebooks/n.ipynb",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    build.mirror(root, copy)
    assert files(copy) == ["book/a.md", "book/b.md", "src/x.py"]
    for name in ("book/runtimes.md", "notebooks/n.ipynb", "notebooks/gone.ipynb"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("made by another step")
    before = (copy / "book/a.md").stat().st_mtime_ns
    (root / "book/b.md").unlink()
    (root / "src/x.py").write_text("changed")
    build.mirror(root, copy)
    assert files(copy) == ["book/a.md", "book/runtimes.md", "notebooks/n.ipynb", "src/x.py"]
    assert (copy / "src/x.py").read_text() == "changed"
    assert (copy / "book/a.md").stat().st_mtime_ns == before
