"""Known signatures from a file or from COSMIC, all or some, refitted to a catalogue."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.profiles import read_signatures
from latentgenomes.signatures.models.refitting import SparseExposures, refit_sparse


def refit_known(
    counts: pd.DataFrame,
    context: str,
    *,
    signatures: str | Path | None = None,
    only: Sequence[str] = (),
    version: str = "3.4",
) -> SparseExposures:
    """Refit known signatures, sparsely, with presence calls.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Mutations.
    context : str
        Classification of the channels, such as ``"SBS96"``.
    signatures : str or Path, optional
        Table of one's own signatures; COSMIC's, of that `version`, without.
    only : sequence of str
        Names of the signatures on offer; all by default.

    Returns
    -------
    SparseExposures

    Raises
    ------
    ValueError
        If a name is none of the signatures, or counts or signatures cannot be used.
    """
    if signatures is None:
        known = cosmic_signatures(version, context, genome="GRCh38" if context == "SV32" else "GRCh37")
    else:
        known = read_signatures(signatures, context=context)
    absent = [name for name in only if name not in known.index]
    if absent:
        raise ValueError(
            f"only must name signatures that are there, but {absent[0]!r} is none of {len(known)}: "
            f"{', '.join(map(str, known.index[:5]))}, ... Correct the name."
        )
    return refit_sparse(counts, known.loc[list(only)] if only else known)
