"""The house: which room may import which, read from the imports, and the other rules of its layout."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "latentgenomes"

STUDIES = ("signatures", "multimodal", "genotypes", "expression")
# Packages from the bottom up. One imports only those below it; the studies are strangers to one another.
STOREYS = (("core",), ("nn",), ("mutations",), STUDIES, ("book",), ("cli",))
# Rooms of a study from the bottom up. `models` stands on no other room.
ROOMS = (
    ("data",),
    ("simulate",),
    ("models",),
    ("evaluate", "figures"),
    ("verbs",),
    ("experiments",),
    ("cli",),
)
HOMES = {
    "torch": {"nn", "models"},
    "matplotlib": {"figures", "core/style", "mutations/layouts", "mutations/spectra"},
    "seaborn": {"figures", "core/style", "mutations/spectra"},
    "plotly": {"figures", "book"},
    "anndata": {"data"},
    "mudata": {"data"},
    "rdata": {"data", "mutations"},
    "cyvcf2": {"data", "mutations"},
    "pyfaidx": {"mutations"},
    "bed_reader": {"data"},
    "msprime": {"simulate"},
    "stdpopsim": {"simulate"},
    "constriction": {"models"},
    "numba": {"models"},
}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "known", "systems"}
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


def level(name, storeys):
    """Number of the storey on which a package or room stands; None for neither."""
    return next((number for number, names in enumerate(storeys) if name in names), None)


def wrong_import(place, name):
    """Why a file at `place`, its path in parts, may not import a name; None when it may."""
    if name.startswith("."):
        return f"relative import {name}"
    package, *there = name.split(".")
    homes = HOMES.get(package)
    if homes is not None and not homes & {*place, "/".join(place[:2])}:
        return f"{package} has its home in {', '.join(sorted(homes))}"
    if package != "latentgenomes" or not there or level(there[0], STOREYS) is None:
        return None
    own, other = place[0], there[0]
    if own != other:
        if level(own, STOREYS) <= level(other, STOREYS):
            return f"{own} imports {other}, which does not stand below it"
        return None
    rooms = [where[1] if len(where) > 1 else None for where in (place, there)]
    here, below = (level(room, ROOMS) for room in rooms)
    if own not in STUDIES or here is None or below is None or rooms[0] == rooms[1]:
        return None
    if below >= here or rooms[0] == "models":
        return f"{own}: {rooms[0]} imports {rooms[1]}, which does not stand below it"
    return None


def n_parameters(function):
    """Number of parameters of a function, without self and cls."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    return len([argument for argument in named if argument.arg not in ("self", "cls")]) + len(stars)


def misplaced(place):
    """What is wrong with where a file stands, in words."""
    yield from (f"the name {part} says nothing" for part in sorted(NAMELESS & set(place)))
    if level(place[0], STOREYS) is None:
        yield f"{place[0]} has no place in the order of imports"
    elif place[0] in STUDIES and level(place[1], ROOMS) is None:
        yield f"{place[0]} has no room {place[1]}"


def problems(name, text):
    """Breaches of the layout by one file, in words; empty when there are none."""
    place = tuple(part for part in Path(name).with_suffix("").parts if part != "__init__")
    tree = ast.parse(text)
    door = place == () or (len(place) == 1 and place[0] in STUDIES)  # opens rooms only when asked
    found = [] if door else list(misplaced(place))
    if len(text.splitlines()) > MAX_LINES:
        found.append(f"{len(text.splitlines())} lines are more than {MAX_LINES}")
    if not found and not door:
        found += [why for imported in imports(tree) if (why := wrong_import(place, imported))]
    for node in ast.walk(tree):
        # An estimator's constructor holds its settings, one argument each; scikit-learn asks for that.
        settings = {"models", "estimator"} & set(place) and getattr(node, "name", "") == "__init__"
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not settings
        # The parameters of a command are its options.
        if function and "cli" not in place and n_parameters(node) > MAX_PARAMETERS:
            found.append(f"{node.name} has {n_parameters(node)} parameters, more than {MAX_PARAMETERS}")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            found.append(f"line {node.lineno} prints")
    return found


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_the_file_keeps_the_layout(name):
    assert problems(name, (PACKAGE / name).read_text(encoding="utf-8")) == []


def test_every_study_has_its_rooms():
    for study in STUDIES:
        rooms = {path.stem for path in (PACKAGE / study).iterdir() if path.stem != "__pycache__"}
        assert {"__init__", "data", "simulate", "models", "evaluate", "figures", "experiments"} <= rooms


def test_tests_stand_where_their_code_stands():
    tests = {path.name for path in (PACKAGE.parents[1] / "tests").iterdir() if path.is_dir()}
    assert {"core", "nn", "mutations", "book", *STUDIES} <= tests


MANY = ", ".join(f"a{number}=0" for number in range(8))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("core/x.py", "from latentgenomes.nn import train", "core imports nn"),
        ("nn/x.py", "import latentgenomes.mutations.channels", "nn imports mutations"),
        ("mutations/x.py", "from latentgenomes import signatures", "mutations imports signatures"),
        ("mutations/x.py", "from latentgenomes.signatures.data import x", "mutations imports signatures"),
        ("signatures/figures/x.py", "from latentgenomes.multimodal import embed", "signatures imports multi"),
        (
            "expression/verbs.py",
            "import latentgenomes.genotypes.models.copying",
            "expression imports genotypes",
        ),
        ("genotypes/cli.py", "from latentgenomes.book.notebooks import x", "genotypes imports book"),
        ("book/x.py", "from latentgenomes.cli import main", "book imports cli"),
        ("signatures/models/x.py", "from latentgenomes.signatures.data import x", "models imports data"),
        (
            "signatures/models/x.py",
            "from latentgenomes.signatures import evaluate",
            "models imports evaluate",
        ),
        ("signatures/data/x.py", "from latentgenomes.signatures import simulate", "data imports simulate"),
        ("signatures/evaluate.py", "import latentgenomes.signatures.figures.x", "evaluate imports figures"),
        ("signatures/figures/x.py", "import latentgenomes.signatures.evaluate", "figures imports evaluate"),
        (
            "signatures/verbs/x.py",
            "def f():\n    import latentgenomes.signatures.experiments.x",
            "verbs imports",
        ),
        ("signatures/models/x.py", "from . import klnmf", "relative import"),
        ("signatures/evaluate.py", "import torch", "torch has its home in"),
        ("core/splits.py", "from torch.utils import data", "torch has its home in"),
        ("signatures/evaluate.py", "import matplotlib.pyplot as plt", "matplotlib has its home in"),
        ("core/x.py", "from seaborn import barplot", "seaborn has its home in"),
        (
            "core/x.py",
            "plotly = require('plotly.express', extra='book')",
            "plotly has its home in book, figures",
        ),
        ("expression/models/x.py", "import anndata as ad", "anndata has its home in data"),
        ("genotypes/figures/x.py", "import rdata", "rdata has its home in data"),
        ("nn/x.py", "x = 1\n" * 401, "401 lines are more than 400"),
        ("nn/utils.py", "", "the name utils says nothing"),
        ("signatures/helpers/x.py", "", "the name helpers says nothing"),
        ("signatures/verbs/known.py", "", "the name known says nothing"),
        ("multimodal/experiments/systems.py", "", "the name systems says nothing"),
        ("workflows/x.py", "", "workflows has no place in the order"),
        ("signatures/archive.py", "", "signatures has no room archive"),
        ("signatures/evaluate.py", f"def f({MANY}): pass", "f has 8 parameters"),
        ("signatures/evaluate.py", f"class A:\n    def __init__(self, {MANY}): pass", "__init__ has 8 param"),
        ("nn/x.py", "def f():\n    print(1)", "line 2 prints"),
    ],
)
def test_each_rule_catches_an_offender(name, text, message):
    assert any(message in problem for problem in problems(name, text)), problems(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nn/ensemble.py", "from latentgenomes.nn.train import fit\nimport torch"),
        ("signatures/evaluate.py", "from latentgenomes.signatures.models.vaems import VAEMS"),
        ("signatures/simulate.py", "from latentgenomes.signatures.data.published import load_islam"),
        ("signatures/models/x.py", f"class A:\n    def __init__(self, {MANY}): pass"),
        ("mutations/spectra.py", "import matplotlib\nfrom latentgenomes.core import style"),
        ("signatures/cli.py", f"from latentgenomes.signatures.verbs import extract\ndef f({MANY}): pass"),
        ("multimodal/figures/x.py", "from latentgenomes.mutations.spectra import plot_spectrum"),
        ("nn/x.py", "from latentgenomes.core.checks import x\n" + "x = 1\n" * 399),
    ],
)
def test_what_the_layout_allows_passes(name, text):
    assert problems(name, text) == []
