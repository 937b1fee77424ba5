"""Rules of every notebook, and the symbol tables that book and code share."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(
    path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
# Arithmetic, orders of rows and file formats that several models share; a file with abstract methods holds no
# model either.
SHARED = {
    "arithmetic.py",
    "blocks.py",
    "call_streams.py",
    "call_text.py",
    "compiled.py",
    "container.py",
    "cox.py",
    "neighbours.py",
    "poisson.py",
}
MODELS = sorted(
    path
    for path in (ROOT / "src/latentgenomes").glob("*/models/*.py")
    if path.name not in {"__init__.py", *SHARED} and "@abstractmethod" not in path.read_text(encoding="utf-8")
)
PAGES = sorted((ROOT / "book").glob("*.md"))

MACHINE_PATH = re.compile(r"(?<![\w.:/])/(home|root|Users|work|tmp|mnt|private)/\w|\b[A-Z]:\\Users")
HEADER = ["symbol", "name in code", "shape"]
MARKER = re.compile(r"<!-- symbols: ([\w.]+) -->\n")
MAX_DEF = 10


def long_functions(source):
    """Names of the functions of a cell that are longer than ten lines."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    functions = [node for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.end_lineno - node.lineno + 1 > MAX_DEF]


def shows_picture(cell):
    """Whether a cell holds a picture among its outputs."""
    return any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {}))


def cell_problems(number, cell):
    """Breaches of the rules by one code cell."""
    found = []
    if cell.source.strip() and cell.execution_count is None:
        found.append(f"cell {number} was never run")
    found += [f"cell {number}: {name} is longer than {MAX_DEF} lines" for name in long_functions(cell.source)]
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if shows_picture(cell) and len(alt.strip()) < 10:
        found.append(f"cell {number}: the picture has no alt text in metadata mystnb.image.alt")
    if any(output.output_type == "error" for output in cell.outputs):
        found.append(f"cell {number} stores an error")
    return found


def notebook_problems(notebook):
    """Breaches of the rules by one notebook, in words; empty when there are none."""
    found = []
    code = [(number, cell) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    tagged = [number for number, cell in code if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        found.append(f"{len(tagged)} cells are tagged 'parameters', not one")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernelspec is not python3")
    if not any(cell.outputs for _, cell in code):
        found.append("no outputs are stored")
    if {"papermill", "widgets"} & set(notebook.metadata):
        found.append("the metadata hold leftovers of a run")
    for number, cell in code:
        found += cell_problems(number, cell)
    if match := MACHINE_PATH.search(nbformat.writes(notebook).replace("\\n", "\n").replace('\\"', '"')):
        found.append(f"an absolute path of one machine: {match[0]}")
    return found


def symbol_table(text):
    """Rows (symbol, name in code, shape) of the first Markdown table with that header; empty without one."""
    rows = []
    for line in text.splitlines():
        inside = line.strip().startswith("|")
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if rows and not inside:
            break
        if rows or cells == HEADER:
            rows.append(tuple(cell.strip("`") for cell in cells))
    return [row for row in rows[1:] if not set("".join(row)) <= set("-: ")]


def model_symbol_table(docstring):
    """Rows of the symbol table in a module docstring."""
    return symbol_table(docstring)


def book_symbol_tables(page):
    """Rows of each marked symbol table of a page, by the dotted name of the module."""
    pieces = MARKER.split(page)
    return {name: symbol_table(text) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


def names_in(source):
    """Names of the classes, functions, parameters, attributes, variables and batch keys of a source file."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.add(str(node.slice.value))
    return found


def model_problems(source):
    """What is wrong with the symbol table of a model file."""
    rows = model_symbol_table(ast.get_docstring(ast.parse(source)) or "")
    if not rows:
        return ["the module docstring has no table | symbol | name in code | shape |"]
    known = names_in(source)
    return [
        f"{name} is no name of this file"
        for _, name, _ in rows
        if not set(re.sub(r"\(.*\)$", "", name).split(".")) - {"self"} <= known
    ]


def page_problems(page):
    """Symbol tables of a page that differ from those of the code."""
    found = []
    for name, rows in book_symbol_tables(page).items():
        path = ROOT / "src" / (name.replace(".", "/") + ".py")
        if not path.is_file():
            found.append(f"{name} is no module")
            continue
        theirs = model_symbol_table(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        found += [f"{name}: only in the book: {row}" for row in rows if row not in theirs]
        found += [f"{name}: only in the code: {row}" for row in theirs if row not in rows]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_keeps_the_rules(path):
    assert notebook_problems(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_every_symbol_of_a_model_has_its_name_in_the_code(path):
    assert model_problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_book_prints_the_tables_of_the_code(path):
    assert page_problems(path.read_text(encoding="utf-8")) == []


def test_every_model_has_its_table_in_the_book():
    assert len(MODELS) > 30
    shown = {name for path in PAGES for name in book_symbol_tables(path.read_text(encoding="utf-8"))}
    modules = {path.relative_to(ROOT / "src").with_suffix("").as_posix().replace("/", ".") for path in MODELS}
    assert modules <= shown, "set the marker <!-- symbols: MODULE --> above the table of the chapter"


@pytest.fixture
def good():
    first = nbformat.v4.new_code_cell("k: int = 3  # a size", execution_count=1)
    first.metadata["tags"] = ["parameters"]
    picture = nbformat.v4.new_output("display_data", data={"image/png": "aGVsbG8=", "text/plain": "<Figure>"})
    second = nbformat.v4.new_code_cell("draw(k);", execution_count=2, outputs=[picture])
    second.metadata["mystnb"] = {"image": {"alt": "Bars of three signatures"}}
    notebook = nbformat.v4.new_notebook(cells=[first, second])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return notebook


LONG = "def f(x):\n" + "    x += 1\n" * 10


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda n: n.cells[0].metadata.pop("tags"), "0 cells are tagged"),
        (lambda n: n.metadata.pop("kernelspec"), "kernelspec is not python3"),
        (lambda n: n.metadata["kernelspec"].update(name="conda-env"), "kernelspec is not python3"),
        (lambda n: n.cells[1].update(outputs=[]), "no outputs are stored"),
        (lambda n: n.cells[1].update(execution_count=None), "cell 1 was never run"),
        (lambda n: n.cells[1].update(source=LONG), "cell 1: f is longer than 10 lines"),
        (lambda n: n.cells[1].metadata.pop("mystnb"), "cell 1: the picture has no alt text"),
        (
            lambda n: n.cells[1].update(source="open('" + "/home" + "/me/x')"),
            "an absolute path of one machine",
        ),
        (lambda n: n.metadata.update(papermill={}), "leftovers of a run"),
        (
            lambda n: n.cells[1].outputs.append(nbformat.v4.new_output("error", ename="E", evalue="e")),
            "cell 1 stores an error",
        ),
    ],
)
def test_each_rule_catches_an_offender(good, break_it, message):
    assert notebook_problems(good) == []
    break_it(good)
    assert any(message in problem for problem in notebook_problems(good)), notebook_problems(good)


MODULE = '''r"""A toy model.

| symbol | name in code | shape |
|--------|:-------------|-------|
| $x$ | counts | (n, 96) |
| $p(x \\| z)$ | `Net.rate` | (n, 96) |

More words.
"""
class Net:
    def rate(self, counts):
        return counts
'''


def test_a_symbol_table_is_read_row_by_row():
    rows = [("$x$", "counts", "(n, 96)"), (r"$p(x \| z)$", "Net.rate", "(n, 96)")]
    assert model_symbol_table(ast.get_docstring(ast.parse(MODULE))) == rows
    page = (
        f"# A\n<!-- symbols: a.b -->\n{ast.get_docstring(ast.parse(MODULE))}\n<!-- symbols: a.c -->\n\nnone"
    )
    assert book_symbol_tables(page) == {"a.b": rows, "a.c": []}


def test_a_name_that_the_code_lacks_is_caught():
    assert model_problems(MODULE) == []
    assert model_problems(MODULE.replace("| counts |", "| calls |")) == ["calls is no name of this file"]
    assert model_problems(MODULE.replace("Net.rate", "Net.rates")) == ["Net.rates is no name of this file"]
    assert "no table" in model_problems("x = 1")[0]


def test_a_table_of_the_book_that_differs_is_caught(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "toy.py").write_text(MODULE)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = "<!-- symbols: toy -->\n" + ast.get_docstring(ast.parse(MODULE))
    assert page_problems(page) == []
    changed = page_problems(page.replace("(n, 96)", "(96, n)", 1))
    assert [problem.partition(": (")[0] for problem in changed] == [
        "toy: only in the book",
        "toy: only in the code",
    ]
    assert page_problems(page.replace("symbols: toy", "symbols: gone")) == ["gone is no module"]
