"""The doors: what a user imports, what it costs, and that every page keeps to it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import latentgenomes as lg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "latentgenomes"
STUDIES = ("signatures", "multimodal", "genotypes", "expression")
ROOMS = {"data", "models", "evaluate", "figures", "experiments"}

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = {study: set(dir(getattr(lg, study))) - ROOMS for study in STUDIES}


def test_the_first_import_loads_nothing_slow():
    script = """import sys
import latentgenomes as lg
doors = [lg.signatures, lg.multimodal, lg.genotypes, lg.expression]
assert len(doors) == 4
print(sorted({"numpy", "pandas", "torch", "matplotlib", "sklearn", "scipy"} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("study", STUDIES)
def test_the_door_says_what_each_name_is(study):
    text = ast.get_docstring(ast.parse((PACKAGE / study / "__init__.py").read_text(encoding="utf-8")))
    assert set(re.findall(r"^`(\w+)`  +\S", text, re.MULTILINE)) == NAMES[study]
    assert 5 <= len(NAMES[study]) <= 15
    assert all(getattr(lg, study).__getattr__(name).__doc__ for name in NAMES[study])


def test_the_readme_fits_with_one_import_and_four_lines(capsys):
    (first, *_) = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    lines = [line for line in first.splitlines() if line.strip()]
    assert sum("import " in line for line in lines) == 1
    assert len(lines) <= 4
    space = {}
    exec(first, space)
    assert len(space["found"].signatures) == 8
    assert capsys.readouterr().out


def examples(page):
    """Code of the API page by study and name, in order."""
    found = {study: {} for study in STUDIES}
    for study, part in re.findall(
        r"^## [^\n]*\(`lg\.(\w+)`\)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    ):
        for name, text in re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", part, re.MULTILINE | re.DOTALL):
            found[study][name] = "\n".join(BLOCK.findall(text))
    return found


EXAMPLES = examples((ROOT / "book" / "api.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", STUDIES)
def test_the_api_page_shows_every_name_of_the_door_with_an_example(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(EXAMPLES[study]) == NAMES[study]
    space = {}
    exec("import dataclasses\nimport numpy as np\nimport latentgenomes as lg", space)
    for name, example in EXAMPLES[study].items():
        assert re.search(rf"\blg\.{study}\.{name}\b", example), name
        exec(compile(example, f"api.md, {study}, {name}", "exec"), space)


def deep_imports(source):
    """Modules of the package that a piece of code imports from and that are neither door nor room."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latentgenomes"):
            rest = node.module.split(".")[1:] or [""]
            if len(rest) > (2 if rest[0] in STUDIES else 1):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.count(".") and "latentgen" in name.name)


def pieces(path):
    """Code of a page: cells of a notebook, python blocks of Markdown, examples of docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return ["".join(cell["source"]) for cell in cells]
    if path.suffix == ".md":
        return BLOCK.findall(text)
    return ["\n".join(re.findall(r"^ *>>> (from latentgenomes.*|import latent.*)$", text, re.MULTILINE))]


PAGES = sorted(
    path
    for pattern in ("README.md", "CONTRIBUTING.md", "book/*.md", "notebooks/**/*.ipynb", "src/**/*.py")
    for path in ROOT.glob(pattern)
    if ".ipynb_checkpoints" not in path.parts
)


def test_pages_import_through_doors_and_rooms_only():
    assert len(PAGES) > 150
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in PAGES
        for code in pieces(path)
        for module in deep_imports(code)
    ]
    assert found == []


def test_a_deep_import_is_seen():
    assert list(deep_imports("from latentgenomes.signatures.models.klnmf import KLNMF")) == [
        "latentgenomes.signatures.models.klnmf"
    ]
    assert list(deep_imports("import latentgenomes.core.splits")) == ["latentgenomes.core.splits"]
    assert list(deep_imports("from latentgenomes.signatures.models import refit")) == []
    assert list(deep_imports("from latentgenomes.mutations import read_catalog")) == []
