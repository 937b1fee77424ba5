"""Files that belong to the project but are not Python: the registry, the notebooks, the presets."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_files"
_CHECKOUT = _PACKAGE.parents[1]


def locate(relative: str) -> Path:
    """Path of a project file, in an installed package or in a source checkout.

    `relative` is its path below the repository root, such as ``data/registry.csv``; a FileNotFoundError
    without it.
    """
    for root in (_INSTALLED, _CHECKOUT):
        path = root / relative
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{relative!r} must be in the installed package or in the repository, but it is in neither "
        f"{_INSTALLED} nor {_CHECKOUT}. Reinstall latentgenomes, or work in a full checkout."
    )
