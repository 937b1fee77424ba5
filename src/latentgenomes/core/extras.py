"""Optional packages: import them, or say in one line how to install them."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType


def install_message(module: str, extra: str) -> str:
    """One line that names the missing package and the command that installs the extra which holds it."""
    return f"{module} is not installed; install it with: pip install 'latentgenomes[{extra}]'"


def require(module: str, extra: str) -> ModuleType:
    """Import a module of an optional package, or name the command that installs its extra, as an ImportError.

    An error inside an installed package is passed on as it is.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == package:
            raise ImportError(install_message(package, extra)) from None
        raise


def package_folder(package: str, extra: str) -> Path:
    """Folder of an installed package, found without importing it; an ImportError as by `require`."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(install_message(package, extra))
    return Path(spec.submodule_search_locations[0])
