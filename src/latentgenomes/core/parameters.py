"""Typed parameters: read them from source, and check the values that a reader gives.

A parameter is one typed, commented line::

    n_signatures: int = 8  # number of signatures; 2 to 40
    method: str = "vaems"  # which system; one of: vaems, klnmf
    catalog: str = ""  # file: the reader's own catalog; empty for the simulated one

After a semicolon the comment may give a range, both ends included, or the allowed words. A meaning that
starts with `file:` makes the value the path of an existing file.
"""

import ast
import difflib
import io
import math
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

#: Types that a parameter may declare.
TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}

_WORDS = {"true": True, "false": False}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}) to ({_NUMBER})")


class ParameterError(ValueError):
    """Values given to a notebook that it does not take; the message lists every problem."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameter cell: name, type, default, meaning and allowed values."""

    name: str
    type: str
    default: object
    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values in words; empty when every value of the type is allowed."""
        if self.choices:
            return "one of: " + ", ".join(self.choices)
        return "" if self.low is None else f"{self.low:g} to {self.high:g}"

    def holds(self, number: float) -> bool:
        """Whether a number lies in the range, both ends included."""
        return self.low is None or self.high is None or self.low <= number <= self.high

    @property
    def is_file(self) -> bool:
        """Whether the value is the path of an existing file."""
        return self.help.startswith("file:")

    def __str__(self) -> str:
        """One line for a list of valid parameters."""
        kind = f"{self.type} | None" if self.optional else self.type
        allowed = f", {self.allowed}" if self.allowed else ""
        return f"{self.name}: {kind} = {self.default!r}{allowed}"


def read_parameters(source: str) -> dict[str, Parameter]:
    """Parameters that the source of a parameter cell declares, in its order.

    A ParameterError when a statement is no typed assignment of a plain value, its type is not allowed, or a
    default lies outside the range of its own comment.
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for node in ast.parse(source).body:
        parameter = _declared(node, comments.get(node.end_lineno or 0, ""))
        found[parameter.name] = parameter
    resolve(
        {name: replace(parameter, help="") for name, parameter in found.items()},
        {name: parameter.default for name, parameter in found.items()},
    )
    return found


def assignments(texts: Sequence[str], what: str) -> dict[str, str]:
    """Values by name from texts such as `beta=0.1`; `what` names the option in the error."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise ParameterError(f"{what} takes NAME=VALUE, but got {', '.join(map(repr, wrong))}.")
    pairs = [text.partition("=") for text in texts]
    return {name.strip(): value for name, _, value in pairs}


def resolve(parameters: Mapping[str, Parameter], given: Mapping[str, object]) -> dict[str, object]:
    """Value of every parameter: what was given, converted to the declared type, else the default.

    `given` holds text of the command line or typed values of a file. Paths of existing files become absolute.
    All unknown names, wrong types and values out of range are told at once in one ParameterError.
    """
    values = {name: parameter.default for name, parameter in parameters.items()}
    problems = []
    for name, value in given.items():
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, n=1, cutoff=0.6)
            problems.append(f"unknown parameter {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
            continue
        try:
            values[name] = _converted(parameters[name], value)
        except ParameterError as problem:
            problems.append(str(problem))
    if problems:
        valid = [f"  {parameter}" for parameter in parameters.values()]
        raise ParameterError("\n".join([*problems, "Valid parameters:", *valid]))
    return values


def _declared(node: ast.stmt, comment: str) -> Parameter:
    """Parameter declared by one statement and the comment on its line."""
    text = ast.unparse(node)
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        raise ParameterError(f"every line reads 'name: type = value  # meaning', but one is {text!r}.")
    kind = ast.unparse(node.annotation)
    base, _, rest = kind.partition(" | ")
    if base not in TYPES or rest not in ("", "None"):
        raise ParameterError(
            f"a type is {', '.join(TYPES)} or one of them '| None', but {text!r} has {kind}."
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise ParameterError(f"a default is a plain value, but one line is {text!r}.") from error
    first, *later = [part.strip() for part in comment.lstrip("# ").split(";")]
    words, low, high = [first], None, None
    choices: tuple[str, ...] = ()
    for part in later:
        if limits := _RANGE.fullmatch(part):
            low, high = float(limits[1]), float(limits[2])
        elif part.startswith("one of:"):
            choices = tuple(word.strip() for word in part.removeprefix("one of:").split(","))
        else:
            words.append(part)
    return Parameter(node.target.id, base, default, "; ".join(words), low, high, choices, bool(rest))


def _converted(parameter: Parameter, value: object) -> object:
    """Value in the declared type, inside the allowed range."""
    if parameter.optional and (value is None or (isinstance(value, str) and value.lower() in ("", "none"))):
        return None
    result = _typed(parameter.type, value)
    if result is None:
        raise ParameterError(
            f"{parameter.name} must be {parameter.type}, but is {value!r} ({type(value).__name__})"
        )
    if isinstance(result, int | float) and not parameter.holds(result):
        raise ParameterError(f"{parameter.name} must be {parameter.allowed}, but is {value!r}")
    if parameter.choices and str(result) not in parameter.choices:
        near = difflib.get_close_matches(str(result), parameter.choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"{parameter.name} must be {parameter.allowed}, but is {value!r}{hint}")
    if parameter.is_file and result:
        path = Path(str(result)).expanduser().resolve()
        if not path.is_file():
            raise ParameterError(f"{parameter.name} must be an existing file, but {value!r} is not there")
        return str(path)
    return result


def _typed(kind: str, value: object) -> object:
    """Value as the named type, or None when it is no such value; text is read, numbers are not cut."""
    if kind == "str":
        return value if isinstance(value, str) else None
    if kind == "bool":
        return _WORDS.get(value.strip().lower()) if isinstance(value, str) else _exactly(value, bool)
    if isinstance(value, str):
        try:
            value = TYPES[kind](value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "int":
        return _exactly(value, int)
    return float(value) if math.isfinite(value) else None


def _exactly(value: object, kind: type) -> object:
    """The value when it has this very type, else None."""
    return value if type(value) is kind else None
