"""The order of the package, read from its imports, and the other rules of its layout."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "latentgenomes"

# Lower floors first. A module imports only from lower floors, or from its own room.
FLOORS = (
    ("labels", "checks", "extras", "resources", "definitions", "provenance", "parameters"),
    ("data", "nn", "codec"),
    ("train", "ensemble"),
    ("estimator",),
    ("models",),
    ("evaluate", "figures"),
    ("workflows",),
    ("notebooks",),
    ("cli",),
)
NEIGHBOURS = FLOORS[0], FLOORS[2], ("nn", "codec")  # rooms of one floor that may import each other
STRANGERS = {("models", "data"), ("models", "evaluate"), ("models", "figures")}
HOMES = {
    "torch": {"nn", "train", "ensemble", "estimator", "models"},
    "matplotlib": {"figures"},
    "seaborn": {"figures"},
    "plotly": {"figures"},
    "anndata": {"data"},
    "mudata": {"data"},
    "rdata": {"data"},
    "constriction": {"codec"},
    "cyvcf2": {"data"},
    "bed_reader": {"data"},
    "msprime": {"data"},
    "stdpopsim": {"data"},
    "numba": {"models"},
}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
MAX_LINES = 400
MAX_PARAMETERS = 7


def imports(tree):
    """Dotted names that a syntax tree imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "require",
            "import_module",
        ):
            yield from (word.value for word in node.args[:1] if isinstance(word, ast.Constant))


def floor(room):
    """Number of the floor of a room."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def wrong_import(room, name):
    """Why a room may not import a name, or None when it may."""
    if name.startswith("."):
        return f"relative import {name}"
    package, *rest = name.split(".")
    if package in HOMES and room not in HOMES[package]:
        return f"{package} has its home in {', '.join(sorted(HOMES[package]))}"
    if package != "latentgenomes" or not rest or not any(rest[0] in rooms for rooms in FLOORS):
        return None
    other = rest[0]
    if other == room:
        return None
    beside = any(room in rooms and other in rooms for rooms in NEIGHBOURS)
    if (
        (room, other) in STRANGERS
        or floor(other) > floor(room)
        or (floor(other) == floor(room) and not beside)
    ):
        return f"{room} imports {other}, which does not stand below it"
    return None


def n_parameters(function):
    """Number of parameters of a function, without self and cls."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    return len([argument for argument in named if argument.arg not in ("self", "cls")]) + len(stars)


def problems(name, text):
    """Breaches of the layout by one file, in words; empty when there are none."""
    path = Path(name)
    room = path.parts[0].removesuffix(".py")
    tree = ast.parse(text)
    found = [f"the name {part} says nothing" for part in NAMELESS & {Path(part).stem for part in path.parts}]
    if name != "__init__.py" and not any(room in rooms for rooms in FLOORS):
        return [*found, f"{room} has no place in the order of imports"]
    if len(text.splitlines()) > MAX_LINES:
        found.append(f"{len(text.splitlines())} lines are more than {MAX_LINES}")
    if name != "__init__.py":
        found += [why for imported in imports(tree) if (why := wrong_import(room, imported))]
    for node in ast.walk(tree):
        # An estimator's constructor holds its settings, one argument each; scikit-learn asks for that.
        settings = room in ("models", "estimator") and getattr(node, "name", "") == "__init__"
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not settings
        if function and n_parameters(node) > MAX_PARAMETERS:
            found.append(f"{node.name} has {n_parameters(node)} parameters, more than {MAX_PARAMETERS}")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" and room != "cli":
            found.append(f"line {node.lineno} prints")
    return found


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_the_file_keeps_the_layout(name):
    assert problems(name, (PACKAGE / name).read_text(encoding="utf-8")) == []


def test_the_rules_see_the_package():
    assert {"labels.py", "provenance.py", "notebooks.py", "cli.py"} <= set(FILES)


MANY = ", ".join(f"a{number}=0" for number in range(8))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "labels.py",
            "from latentgenomes.checks import x\nfrom latentgenomes.nn import y",
            "labels imports nn",
        ),
        ("data/signatures.py", "from latentgenomes.nn import simplex", "data imports nn"),
        ("nn/simplex.py", "import latentgenomes.data.registry", "nn imports data"),
        ("nn/simplex.py", "from latentgenomes import train", "nn imports train"),
        ("train.py", "def f():\n    from latentgenomes.models import vaems", "train imports models"),
        ("models/vaems.py", "from latentgenomes.data import registry", "models imports data"),
        ("models/vaems.py", "from latentgenomes.evaluate import compare", "models imports evaluate"),
        (
            "evaluate/signatures.py",
            "from latentgenomes.figures import signatures",
            "evaluate imports figures",
        ),
        (
            "figures/signatures.py",
            "from latentgenomes.evaluate import signatures",
            "figures imports evaluate",
        ),
        ("notebooks.py", "from latentgenomes.cli import main", "notebooks imports cli"),
        ("models/vaems.py", "from . import klnmf", "relative import"),
        ("evaluate/signatures.py", "import torch", "torch has its home in"),
        ("data/splits.py", "from torch.utils import data", "torch has its home in"),
        ("evaluate/signatures.py", "import matplotlib.pyplot as plt", "matplotlib has its home in figures"),
        ("notebooks.py", "from seaborn import barplot", "seaborn has its home in figures"),
        (
            "evaluate/x.py",
            "plotly = require('plotly.express', extra='book')",
            "plotly has its home in figures",
        ),
        ("models/x.py", "import anndata as ad", "anndata has its home in data"),
        ("evaluate/x.py", "import mudata", "mudata has its home in data"),
        ("figures/x.py", "import rdata", "rdata has its home in data"),
        ("nn/x.py", "x = 1\n" * 401, "401 lines are more than 400"),
        ("nn/utils.py", "", "the name utils says nothing"),
        ("helpers/x.py", "", "the name helpers says nothing"),
        ("figures/common.py", "", "the name common says nothing"),
        ("data/misc.py", "", "the name misc says nothing"),
        ("tools.py", "", "the name tools says nothing"),
        ("extra_room.py", "", "extra_room has no place in the order"),
        ("evaluate/x.py", f"def f({MANY}): pass", "f has 8 parameters"),
        ("evaluate/x.py", f"class A:\n    def __init__(self, {MANY}): pass", "__init__ has 8 parameters"),
        ("nn/x.py", "def f():\n    print(1)", "line 2 prints"),
    ],
)
def test_each_rule_catches_an_offender(name, text, message):
    assert any(message in problem for problem in problems(name, text)), problems(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ensemble.py", "from latentgenomes.train import fit\nimport torch"),
        (
            "evaluate/x.py",
            "from latentgenomes.models.vaems import VAEMS\nfrom latentgenomes.data import splits",
        ),
        ("models/x.py", f"class A:\n    def __init__(self, {MANY}): pass"),
        ("cli.py", "print(1)\nfrom latentgenomes import notebooks"),
        ("nn/x.py", "from latentgenomes.labels import SBS96\n" + "x = 1\n" * 399),
    ],
)
def test_what_the_layout_allows_passes(name, text):
    assert problems(name, text) == []
