"""Definitions of the package and what each of them reaches, read from the source without running it.

A definition is a function, a method, the head of a class, or a name bound at the top of a module. Its text
is its syntax tree without docstrings, comments, annotations, imports and the words of its errors, and with
every imported name in full: so a definition keeps its fingerprint when its file is moved, split or renamed,
and loses it when an equation is edited.

What a definition reaches follows from the names in it. A method is reached when its class is and its name
stands, as an attribute or as a text, in anything that is reached: rather too much than too little.
"""

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

#: The package folder.
PACKAGE = Path(__file__).resolve().parents[1]

#: Called by other packages under these names, whether or not a text of ours names them.
CALLED_BY_OTHERS = frozenset({"forward", "fit", "transform", "predict", "fit_transform", "score"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """One definition: where it stands, its fingerprint, and the names in it.

    `attributes` are names after a dot and texts, by which a method may be meant. `methods` belong to the head
    of a class.
    """

    module: str
    name: str
    fingerprint: str
    names: frozenset[tuple[str, str]]
    attributes: frozenset[str]
    methods: tuple[str, ...] = ()


@dataclass
class _Module:
    """A parsed module: its imports by local name, and its top-level definitions by name."""

    name: str
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    bodies: dict[str, list[ast.stmt]] = field(default_factory=dict)


class Source:
    """All definitions of a package folder, and what they reach; a file that is no valid Python is a
    SyntaxError.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self._modules = {name: _parse(path, name) for name, path in _files(package)}
        self._definitions: dict[tuple[str, str], Definition] = {}
        for module in self._modules.values():
            for name, body in module.bodies.items():
                self._define(module, name, body)
        self._by_name: dict[str, set[str]] = {}
        for (_, name), definition in self._definitions.items():
            self._by_name.setdefault(name, set()).add(definition.fingerprint)

    def fingerprints(self, name: str) -> set[str]:
        """Fingerprints of the definitions of this name, in whatever files they stand; empty for none."""
        return self._by_name.get(name, set())

    def methods(self, name: str) -> set[str]:
        """Names of the methods of the classes of this name."""
        return {
            method
            for (_, known), definition in self._definitions.items()
            if known == name
            for method in definition.methods
        }

    def digest(self) -> str:
        """SHA-256 of all definitions but those of the command line; 64 hexadecimal digits."""
        return _digest(self._definitions[key] for key in self._definitions if not key[0].endswith(".cli"))

    def find(self, entry: str) -> Definition:
        """The definition of a dotted name such as ``latentgenomes.nn.blocks.DenseStack``, through re-exports.

        A ValueError when there is none.
        """
        module, _, name = entry.rpartition(".")
        found = self._resolve(module, name)
        if found is None or found not in self._definitions:
            raise ValueError(
                f"An entry must name a function or class of the package, but {entry!r} does not. "
                "Pass the function itself."
            )
        return self._definitions[found]

    def reached(self, entries: Iterable[str]) -> list[Definition]:
        """Every definition that dotted names of functions and classes reach, themselves included, sorted."""
        found: dict[tuple[str, str], Definition] = {}
        attributes = set(CALLED_BY_OTHERS)
        waiting = [self.find(entry) for entry in entries]
        while waiting:
            while waiting:
                definition = waiting.pop()
                if (key := (definition.module, definition.name)) in found:
                    continue
                found[key] = definition
                attributes |= definition.attributes
                waiting += [self._definitions[name] for name in self._targets(definition)]
            waiting = [
                self._definitions[module, f"{name}.{method}"]
                for (module, name), definition in found.items()
                for method in definition.methods
                if (method in attributes or method.startswith("__"))
                and (module, f"{name}.{method}") not in found
            ]
        return [found[key] for key in sorted(found)]

    def _targets(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """Keys of the definitions that one names."""
        for module, name in definition.names:
            target = self._resolve(module, name)
            if target is not None and target in self._definitions:
                yield target

    def _resolve(self, module: str, name: str, depth: int = 9) -> tuple[str, str] | None:
        """Where a name of a module is defined, through imports and re-exports; None outside the package."""
        if depth == 0 or module not in self._modules:
            return None
        if name in self._modules[module].bodies:
            return module, name
        if name in self._modules[module].imports:
            source, original = self._modules[module].imports[name]
            return None if original is None else self._resolve(source, original, depth - 1)
        return None

    def _define(self, module: _Module, name: str, body: list[ast.stmt]) -> None:
        """Store a top-level definition; a class becomes a head and its methods."""
        node = body[0]
        if len(body) > 1 or not isinstance(node, ast.ClassDef):
            self._definitions[module.name, name] = self._definition(module, name, body)
            return
        methods = [part for part in node.body if isinstance(part, _Function)]
        head = ast.ClassDef(**{key: value for key, value in ast.iter_fields(node)})
        head.body = [part for part in node.body if part not in methods]
        self._definitions[module.name, name] = self._definition(
            module, name, [head], tuple(dict.fromkeys(method.name for method in methods))
        )
        for method in dict.fromkeys(part.name for part in methods):
            parts: list[ast.stmt] = [part for part in methods if part.name == method]
            self._definitions[module.name, f"{name}.{method}"] = self._definition(
                module, f"{name}.{method}", parts
            )

    def _definition(
        self, module: _Module, name: str, body: list[ast.stmt], methods: tuple[str, ...] = ()
    ) -> Definition:
        """Describe one definition."""
        text = _Text(module, self._modules.keys())
        digest = hashlib.sha256(text.of(body).encode()).hexdigest()[:16]
        return Definition(
            module.name, name, digest, frozenset(text.names), frozenset(text.attributes), methods
        )


class _Text:
    """Text of syntax trees in one module, with the names that stand in them."""

    def __init__(self, module: _Module, modules: Iterable[str]) -> None:
        self.module = module
        self.modules = set(modules)
        self.names: set[tuple[str, str]] = set()
        self.attributes: set[str] = set()

    def of(self, node: object) -> str:
        """Type and filled fields of each node; what cannot change a number is left out."""
        if isinstance(node, list):
            shown = [part for part in node if not isinstance(part, ast.Import | ast.ImportFrom)]
            return "[" + ",".join(self.of(part) for part in shown) + "]"
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self.attributes.add(node.value)
            return f"{type(node.value).__name__}:{node.value!r}"
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Raise):  # which error, but not its words
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            return f"Raise({self.of(error) if error else ''})"
        if not isinstance(node, ast.AST):
            return repr(node)
        return f"{type(node).__name__}({','.join(self._fields(node))})"

    def _fields(self, node: ast.AST) -> Iterator[str]:
        """Filled fields of a node, without docstrings and annotations."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_comment", "ctx", "kind", "type_params"):
                continue
            if name == "body" and isinstance(value, list) and _documents(node):
                value = value[1:]
            if name == "values" and isinstance(node, ast.JoinedStr):  # Python 3.12 keeps empty pieces
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            if value is not None and value != []:
                yield f"{name}={self.of(value)}"

    def _name(self, name: str) -> str:
        """A name; an imported one under the name that it has where it is defined."""
        self.names.add((self.module.name, name))
        _, original = self.module.imports.get(name, ("", None))
        return original or name

    def _attribute(self, node: ast.Attribute) -> str:
        """An attribute; one of a module of the package is the name that it has there."""
        module = self._package_module(node.value)
        if module is not None:
            self.names.add((module, node.attr))
            return node.attr
        self.attributes.add(node.attr)
        return f"{self.of(node.value)}.{node.attr}"

    def _package_module(self, node: ast.expr) -> str | None:
        """The module of the package that an expression names, or None."""
        if isinstance(node, ast.Name):
            source, original = self.module.imports.get(node.id, ("", None))
            name = source if original is None else f"{source}.{original}"
            return name if name in self.modules else None
        if isinstance(node, ast.Attribute) and (parent := self._package_module(node.value)):
            return f"{parent}.{node.attr}" if f"{parent}.{node.attr}" in self.modules else None
        return None


@cache
def source() -> Source:
    """The definitions of this package, read once."""
    return Source()


def entry_name(entry: Callable[..., object]) -> str:
    """Dotted name of a function or class, as `Source.reached` takes it."""
    return f"{entry.__module__}.{entry.__qualname__}"


def fingerprint(*entries: Callable[..., object]) -> str:
    """SHA-256 of all that some functions and classes of the package reach; 64 hexadecimal digits."""
    return _digest(source().reached(map(entry_name, entries)))


def _digest(definitions: Iterable[Definition]) -> str:
    """SHA-256 of the names and fingerprints of definitions, in whatever order and files they stand."""
    lines = sorted(f"{definition.name} {definition.fingerprint}\n" for definition in definitions)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(package: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module below a package folder."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(("latentgenomes", *(part for part in parts if part != "__init__")))
        yield name, path


def _parse(path: Path, name: str) -> _Module:
    """Read one module: imports wherever they stand, and statements by the name that they bind."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=path.name)
    module = _Module(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            module.imports |= {
                alias.asname or alias.name.partition(".")[0]: (
                    alias.name if alias.asname else alias.name.partition(".")[0],
                    None,
                )
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            module.imports |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    for statement in _statements(tree.body):
        for bound in _bound(statement):
            module.bodies.setdefault(bound, []).append(statement)
    return module


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements at the top of a module, those inside `if` and `try` too."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, part, []))
        else:
            yield statement


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement defines or changes."""
    if isinstance(statement, _Function | ast.ClassDef):
        yield statement.name
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    for target in targets:
        for node in ast.walk(target) if isinstance(target, ast.AST) else ():
            if isinstance(node, ast.Name):
                yield node.id
                break


def _documents(node: ast.AST) -> bool:
    """Whether the first statement of a node is a docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
