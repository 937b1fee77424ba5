"""Fingerprints of definitions: what counts as the same code, and what a definition reaches."""

import json

import pytest

from latentgenomes.core import definitions
from latentgenomes.core.definitions import Source, fingerprint

CODE = '''"""What it computes."""
from math import log

def loss(x, y):
    """Squared error."""
    if x is None:
        raise ValueError("x must be a number")
    return (x - y) ** 2  # in nats
'''


def package(tmp_path, **files):
    """A package of small files; `a__b` is the file b in the folder a."""
    for name, text in files.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Source(tmp_path)


def of(text, tmp_path, name="loss"):
    (known,) = package(tmp_path, code=text).fingerprints(name)
    return known


@pytest.mark.parametrize(
    "edit",
    [
        ("Squared error.", "Square of the difference."),
        ("  # in nats", ""),
        ('    """Squared error."""\n', ""),
        ('"""What it computes."""\n', "# A comment.\n\n\n"),
        ("(x - y) ** 2", "(x  -  y)**2"),
        ("x, y", "x: float, y: float"),
        ("x must be a number", "x must be a finite number"),
        ("from math import log\n", "import math\n"),
    ],
)
def test_words_spacing_annotations_and_imports_do_not_count(edit, tmp_path):
    assert CODE.replace(*edit) != CODE
    assert of(CODE.replace(*edit), tmp_path) == of(CODE, tmp_path)


@pytest.mark.parametrize(
    "edit",
    [
        ("x - y", "x + y"),
        ("** 2", "** 3"),
        ("** 2", "** 2.0"),
        ("x, y", "x, y=None"),
        ("return ", ""),
        ("ValueError", "TypeError"),
        ("x is None", "x is not None"),
    ],
)
def test_code_counts(edit, tmp_path):
    assert CODE.replace(*edit) != CODE
    assert of(CODE.replace(*edit), tmp_path) != of(CODE, tmp_path)


def test_a_text_that_is_no_docstring_counts(tmp_path):
    text = "def loss():\n    return {}\n"
    assert of(text.format("'a'"), tmp_path) != of(text.format("'b'"), tmp_path)
    assert of("loss = None\n", tmp_path) != of("loss = 0\n", tmp_path)


def test_the_fingerprint_is_the_same_on_every_python(tmp_path):
    # Written down once: a reader with another Python version must get the same value.
    assert of(CODE, tmp_path) == "bd48412d4c74757a"


CALLER = "from latentgenomes.{module} import loss{alias}\n\ndef total(x):\n    return {name}(x, 0)\n"
ENTRY = "latentgenomes.b.total"


def code(tmp_path, entry=ENTRY, **files):
    return {known.name: known.fingerprint for known in package(tmp_path, **files).reached([entry])}


def test_moving_splitting_and_renaming_a_file_changes_nothing(tmp_path):
    before = code(
        tmp_path / "1",
        a=CODE + "\ndef unused():\n    return loss(1, 1)\n",
        b=CALLER.format(module="a", alias="", name="loss"),
    )
    assert set(before) == {"loss", "total"}
    moved = code(tmp_path / "2", c__d=CODE, b=CALLER.format(module="c.d", alias="", name="loss"))
    alias = code(tmp_path / "3", c=CODE, b=CALLER.format(module="c", alias=" as f", name="f"))
    exported = code(
        tmp_path / "4",
        c__d=CODE,
        c__init="",
        door="from latentgenomes.c.d import loss\n",
        b=CALLER.format(module="door", alias="", name="loss"),
    )
    through = code(
        tmp_path / "5",
        c__d=CODE,
        b="from latentgenomes.c import d\n\ndef total(x):\n    return d.loss(x, 0)\n",
    )
    assert before == moved == alias == exported == through


def test_a_constant_and_what_changes_it_are_reached(tmp_path):
    text = "RATES = [1]\nRATES[0] = {}\n\ndef total(x):\n    return x * RATES[0]\n"
    one, two = (code(tmp_path / str(n), b=text.format(n)) for n in (2, 3))
    assert one["total"] == two["total"]
    assert one["RATES"] != two["RATES"]


MODEL = """
class Base:
    def fit(self, X):
        return self._steps(X)

    def _steps(self, X):
        return X

    def plot(self):
        return 1


class Model(Base):
    rate = 0.5

    def __init__(self, n):
        self.n = n


def total(x):
    return Model(x).fit(x)
"""


def test_methods_are_reached_by_their_names_and_through_the_base(tmp_path):
    reached = set(code(tmp_path, b=MODEL))
    assert reached == {"Base", "Base.fit", "Base._steps", "Model", "Model.__init__", "total"}


def test_a_method_named_by_a_text_is_reached(tmp_path):
    text = MODEL.replace("Model(x).fit(x)", "getattr(Model(x), 'plot')")
    assert "Base.plot" in code(tmp_path, b=text)


def test_code_of_other_packages_is_no_definition(tmp_path):
    assert "log" not in code(tmp_path, b="from math import log\n\ndef total(x):\n    return log(x)\n")


@pytest.mark.parametrize("entry", ["latentgenomes.b.gone", "latentgenomes.gone.total", "math.log"])
def test_an_entry_that_is_no_definition_is_refused(entry, tmp_path):
    with pytest.raises(ValueError, match=f"must name a function or class of the package, but '{entry}'"):
        code(tmp_path, entry=entry, b=MODEL)


def test_the_digest_of_a_package_follows_its_definitions_and_not_the_commands(tmp_path):
    first = package(tmp_path / "1", a=CODE, cli="def f():\n    return 1\n").digest()
    assert first == package(tmp_path / "2", c__d=CODE, cli="def f():\n    return 2\n").digest()
    assert first != package(tmp_path / "3", a=CODE.replace("** 2", "** 3")).digest()


def test_the_fingerprint_of_a_function_of_this_package():
    assert len(fingerprint(Source)) == 64
    assert fingerprint(Source) == fingerprint(definitions.Source)
    assert fingerprint(Source) != fingerprint(definitions.entry_name)
    with pytest.raises(ValueError, match=r"'json\.loads' does not"):
        fingerprint(json.loads)
