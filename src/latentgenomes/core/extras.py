"""Optional packages: import them, or say in one line how to install them."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType


def install_message(module: str, extra: str) -> str:
    """One line that names the missing package and the command that installs it.

    Parameters
    ----------
    module : str
        Name of the package that is missing.
    extra : str
        Name of the extra of this package that holds it.

    Returns
    -------
    str
    """
    return f"{module} is not installed; install it with: pip install 'latentgenomes[{extra}]'"


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or name the command that installs it.

    Parameters
    ----------
    module : str
        Dotted name of the module, such as ``"SigProfilerAssignment"``.
    extra : str
        Extra that holds it: signatures, multimodal, genotypes, expression, book or dev.

    Returns
    -------
    types.ModuleType

    Raises
    ------
    ImportError
        If the package is not installed. An error inside an installed package is passed on as it is.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == package:
            raise ImportError(install_message(package, extra)) from None
        raise


def package_folder(package: str, extra: str) -> Path:
    """Folder of an installed package, found without importing it.

    Parameters
    ----------
    package : str
        Name of the package, without dots.
    extra : str
        Extra that holds it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ImportError
        If the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(install_message(package, extra))
    return Path(spec.submodule_search_locations[0])
