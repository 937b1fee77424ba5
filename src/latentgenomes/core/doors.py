"""Doors: a package shows the names of its stub, and loads a file only when one of its names is used.

The stub `__init__.pyi` beside a package's `__init__.py` lists what a user imports, one import a line. The
same file serves editors and type checkers, so the two cannot disagree. A name of a door wins over a file of
the same name: `lg.signatures.simulate` is the function, whoever loaded the file before.
"""

import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


class Door(ModuleType):
    """A package whose public names are loaded on first use."""

    def names(self) -> dict[str, tuple[str, str]]:
        """Module and name behind each public name, in the order of the stub; read once."""
        found: dict[str, tuple[str, str]] | None = self.__dict__.get("_names")
        if found is None:
            stub = Path(str(self.__file__)).with_suffix(".pyi")
            found = {
                alias.asname or alias.name: (str(node.module), alias.name)
                for node in ast.parse(stub.read_text(encoding="utf-8")).body
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            self.__dict__["_names"] = found
        return found

    def __getattr__(self, name: str) -> object:
        """Load a public name."""
        if name.startswith("__") or name not in self.names():
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, original = self.names()[name]
        if module == self.__name__:
            value: object = import_module(f"{module}.{original}")
        else:
            value = getattr(import_module(module), original)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless the import system would put a file in place of a public name."""
        shown = isinstance(value, ModuleType) and self.names().get(name)
        if not shown or shown[0] == self.__name__:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """Public names only."""
        return sorted(self.names())


def open_door(package: str) -> None:
    """Make a package show the names of its stub; called with ``__name__`` in its `__init__.py`."""
    sys.modules[package].__class__ = Door
