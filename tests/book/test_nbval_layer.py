"""The layer over nbval: what it lets pass and what it catches."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SOURCE = """import sys
loss = 3.14159
print("loss", loss, "sum", 0.1 + 0.2, "count", 12)
print("note", file=sys.stderr)"""


@pytest.fixture(scope="module")
def layer():
    spec = importlib.util.spec_from_file_location("notebook_conftest", ROOT / "notebooks" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(value=st.floats(1e-3, 1e6), relative=st.floats(-5e-4, 5e-4))
def test_a_small_change_of_a_float_passes(layer, value, relative):
    assert layer.numbers_agree(f"{value:.8f}", f"{value * (1 + relative):.8f}")


@given(value=st.floats(1e-3, 1e6), relative=st.floats(0.05, 1.0))
def test_a_change_of_five_percent_fails_at_any_precision(layer, value, relative):
    for digits in (2, 3, 5):
        old, new = f"{value:#.{digits}g}", f"{value * (1 + relative):#.{digits}g}"
        changed = abs(float(new) - float(old)) > 0.03 * abs(float(old))  # rounding may hide part of it
        assert not changed or not layer.numbers_agree(old, new)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_integers_agree_only_when_equal(layer, left, right):
    assert layer.numbers_agree(str(left), str(right)) == (left == right)
    assert layer.numbers_agree(f"{left:,}", f"{right:,}") == (left == right)


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)), max_size=8))
def test_every_printed_number_is_read(layer, numbers):
    words, found = layer.split_numbers(" ; ".join(map(repr, numbers)))
    assert [float(number) for number in found] == [float(number) for number in numbers]
    assert set(words) <= {"", ";"}


@pytest.mark.parametrize(
    ("stored", "fresh", "agree"),
    [
        ("0.998", "0.999", True),  # one unit in the third printed digit: a rounding boundary
        ("0.05", "0.06", False),  # with fewer digits that is a real change
        ("0.0", "-0.0", True),
        ("1e-17", "-4e-16", True),
        ("0.000", "0.001", False),
        ("   9.9999  a", " 10.0001  a", True),
        ("[-0.1234]", "[ 0.1234]", False),
        ("SBS5 0.5000", "SBS6 0.5000", False),
        ("<A at 0x7f31aa20>", "<A at 0x7f99bb10>", True),
        ("nan", "0.5000", False),
        ("True 1.000", "False 1.000", False),
        ("[1.0000, 2.0000]", "[1.0000]", False),
        ("1.5e-05", "1.5004e-05", True),
        ("1,234.50", "1,934.50", False),
    ],
)
def test_texts(layer, stored, fresh, agree):
    assert (layer.differences(stored, fresh) == []) == agree


def test_the_cell_may_set_its_own_tolerance(layer):
    assert layer.differences("2.0000", "2.1000") != []
    assert layer.differences("2.0000", "2.1000", rtol=0.1) == []


@pytest.mark.parametrize(
    ("fresh", "agree"),
    [("S1 SBS13? 0.9 7 of 12", True), ("S1 SBS2 0.4 9 of 12", False), ("S1 SBS2 0.9 13 of 12", False)],
)
def test_behind_a_trained_network_names_and_small_counts_may_change(layer, fresh, agree):
    stored = "S1 SBS2 0.95 9 of 12"
    assert (layer.differences(stored, fresh, rtol=0.3, trained=True) == []) == agree
    assert layer.differences(stored, fresh, rtol=0.3) != [] or fresh == stored


def test_pictures_and_stderr_are_left_out_and_html_only_beside_text(layer):
    shown = {"text/plain": "1.0", "text/html": "<b>1.0</b>", "image/png": "abc"}
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "50%"},
        {"output_type": "display_data", "data": shown},
        {"output_type": "display_data", "data": {"text/html": "<i>x</i>"}},
    ]
    assert layer.comparable(outputs) == {"text/plain": ["1.0"], "text/html": ["<i>x</i>"]}


def stored(path, stdout, *, stderr="note\n", count=1, data=None):
    """Write a notebook of two cells, the second with these stored outputs."""
    cell = nbformat.v4.new_code_cell(SOURCE, execution_count=count)
    if count:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stdout)]
        cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=stderr))
    first = nbformat.v4.new_code_cell("k: int = 3  # a size", execution_count=count)
    first.metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[first, cell])
    if data is not None:
        notebook.metadata["latentgenomes"] = {"data": data}
    nbformat.write(notebook, path)


def test_runs_of_whole_notebooks(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    right = "loss 3.14159 sum 0.30000000000000004 count 12\n"
    stored(folder / "same.ipynb", right)
    stored(folder / "near.ipynb", right.replace("3.14159", str(3.14159 * (1 + 1e-4))))
    stored(folder / "far.ipynb", right.replace("3.14159", str(3.14159 * (1 + 5e-2))))
    stored(folder / "integer.ipynb", right.replace("12", "13"))
    stored(folder / "stderr.ipynb", right, stderr="another note\n")
    stored(folder / "stripped.ipynb", "", count=None)
    stored(folder / "toy_analysis.ipynb", right, data=["signatures/real_pcawg7/WGS_PCAWG.96.csv"])
    command = [sys.executable, "-m", "pytest", str(folder), "--nbval", "--nbval-current-env", "-v", "-rs"]
    command += [
        "--rootdir",
        str(tmp_path),
        "-p",
        "no:cacheprovider",
        "--color=no",
        "--continue-on-collection-errors",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "LATENTGENOMES_MIRROR"}
    environment["LATENTGENOMES_DATA"] = str(tmp_path / "empty")
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    outcome = dict(re.findall(r"notebooks/(\w+)(?:\.|::)ipynb::Cell 1 (PASSED|FAILED)", result.stdout))
    assert outcome == {
        "same": "PASSED",
        "near": "PASSED",
        "far": "FAILED",
        "integer": "FAILED",
        "stderr": "PASSED",
    }, result.stdout
    assert "stored 13, now 12" in result.stdout
    assert re.search(r"ERROR collecting notebooks/stripped\.ipynb", result.stdout)
    assert re.search(r"stripped.ipynb must hold the outputs of a full run", result.stdout)
    assert re.search(r"SKIPPED.*toy_analysis.ipynb needs real data that are not at hand", result.stdout)
