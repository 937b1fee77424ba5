"""Whether compiled models can run here."""

from latentgenomes.core.extras import require


def require_compiler() -> None:
    """Refuse (ImportError), in one line that names the extra to install, where numba is missing."""
    require("numba", extra="genotypes")
