"""Reading a parameter cell, and checking the values a reader gives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentgenomes.core.parameters import ParameterError, read_parameters, resolve

CELL = """
n_signatures: int = 8  # number of signatures; 2 to 40
method: str = "vaems"  # which system; one of: vaems, klnmf
beta: float = 0.01  # weight of the KL; 0 to 10
shift: float = -1.0  # any shift; -1e1 to 1e-1
consensus: bool = True  # cluster the restarts; slower
limit: int | None = None  # stop early; 1 to 100
label: str = "a # b"  # a text with the comment sign
catalog: str = ""  # file: counts of the reader
"""


@pytest.fixture
def declared():
    return read_parameters(CELL)


def test_a_cell_is_read_as_it_is_written(declared):
    assert list(declared) == [
        "n_signatures",
        "method",
        "beta",
        "shift",
        "consensus",
        "limit",
        "label",
        "catalog",
    ]
    size = declared["n_signatures"]
    assert (size.type, size.default, size.help, size.low, size.high) == (
        "int",
        8,
        "number of signatures",
        2.0,
        40.0,
    )
    assert declared["method"].choices == ("vaems", "klnmf")
    assert (declared["shift"].default, declared["shift"].low, declared["shift"].high) == (-1.0, -10.0, 0.1)
    assert declared["consensus"].help == "cluster the restarts; slower"
    assert declared["limit"].optional
    assert declared["limit"].default is None
    assert declared["label"].default == "a # b"
    assert declared["label"].help == "a text with the comment sign"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("k = 3", r"every line reads 'name: type = value  # meaning', but one is 'k = 3'"),
        ("import os", "every line reads .* but one is 'import os'"),
        ("k: list = []", r"a type is int, float, str, bool .* has list"),
        ("k: int = len('abc')", "a default is a plain value"),
        ("k: int = 50  # size; 2 to 40", "k must be 2 to 40, but is 50"),
        ("k: int = 2.5", "k must be int, but is 2.5"),
        ("m: str = 'c'  # which; one of: a, b", "m must be one of: a, b, but is 'c'"),
    ],
)
def test_a_cell_that_breaks_the_rules_is_refused(line, message):
    with pytest.raises(ParameterError, match=message):
        read_parameters(line)


@given(size=st.integers(2, 40), beta=st.floats(0, 10), consensus=st.booleans())
def test_text_and_value_give_the_same(size, beta, consensus):
    declared = read_parameters(CELL)
    typed = {"n_signatures": size, "beta": beta, "consensus": consensus}
    values = resolve(declared, {name: str(value) for name, value in typed.items()})
    assert values == resolve(declared, typed)
    assert {name: values[name] for name in typed} == typed
    assert [type(values[name]) for name in typed] == [int, float, bool]


@given(st.integers().filter(lambda size: not 2 <= size <= 40))
def test_every_integer_out_of_range_is_refused(size):
    with pytest.raises(ParameterError, match="n_signatures must be 2 to 40"):
        resolve(read_parameters(CELL), {"n_signatures": size})


def test_values_that_papermill_gets_wrong(declared):
    assert resolve(declared, {"beta": "1e-3"})["beta"] == 1e-3
    assert resolve(declared, {"label": "007"})["label"] == "007"
    assert resolve(declared, {"consensus": "false"})["consensus"] is False
    assert resolve(declared, {"beta": 1})["beta"] == 1.0
    assert resolve(declared, {"limit": "None"})["limit"] is None
    assert resolve(declared, {"limit": "7"})["limit"] == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_signatures": "8.0"}, "n_signatures must be int, but is '8.0'"),
        ({"n_signatures": 8.0}, r"n_signatures must be int, but is 8.0 \(float\)"),
        ({"n_signatures": True}, r"n_signatures must be int, but is True \(bool\)"),
        ({"n_signatures": None}, "n_signatures must be int, but is None"),
        ({"n_signatures": ""}, "n_signatures must be int, but is ''"),
        ({"beta": "nan"}, "beta must be float, but is 'nan'"),
        ({"beta": "inf"}, "beta must be float, but is 'inf'"),
        ({"beta": [1]}, r"beta must be float, but is \[1\] \(list\)"),
        ({"consensus": "maybe"}, "consensus must be bool, but is 'maybe'"),
        ({"consensus": 1}, r"consensus must be bool, but is 1 \(int\)"),
        ({"label": 5}, r"label must be str, but is 5 \(int\)"),
        ({"method": "klnfm"}, "method must be one of: vaems, klnmf, but is 'klnfm'; did you mean 'klnmf'"),
        ({"catalog": "absent.csv"}, "catalog must be an existing file, but 'absent.csv' is not there"),
        ({"n_signature": 8}, "unknown parameter 'n_signature'; did you mean 'n_signatures'"),
        ({"zzz": 8}, "unknown parameter 'zzz'\n"),
    ],
)
def test_values_that_are_refused(declared, given, message):
    with pytest.raises(ParameterError, match=message):
        resolve(declared, given)


def test_every_problem_is_listed_at_once_with_the_valid_parameters(declared):
    with pytest.raises(ParameterError) as caught:
        resolve(declared, {"n_signatures": 1, "betta": 1, "method": "pca", "label": "fine"})
    text = str(caught.value)
    assert len(text.split("Valid parameters:")[0].strip().splitlines()) == 3
    assert "  n_signatures: int = 8, 2 to 40" in text
    assert "  limit: int | None = None, 1 to 100" in text
    assert re.search("unknown parameter 'betta'; did you mean 'beta'", text)


def test_a_relative_file_becomes_absolute(declared, tmp_path, monkeypatch):
    (tmp_path / "my.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert resolve(declared, {"catalog": "my.csv"})["catalog"] == str((tmp_path / "my.csv").resolve())
    assert resolve(declared, {"catalog": ""})["catalog"] == ""


def test_the_declared_parameters_stay_as_they_are(declared):
    before = dict(declared)
    resolve(declared, {"n_signatures": "12"})
    assert declared == before
    assert resolve(declared, {}) == {name: parameter.default for name, parameter in declared.items()}
