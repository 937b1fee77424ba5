"""Known signatures from a file or from COSMIC, all or some, refitted to a catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from latentgenomes.mutations.finer import collapse_channels
from latentgenomes.mutations.profiles import read_signatures
from latentgenomes.mutations.references import Reference
from latentgenomes.signatures.models.refitting import SparseExposures, refit_sparse
from latentgenomes.signatures.verbs.refit_intervals import refit_intervals


@dataclass(frozen=True)
class Refit:
    """The result of `refit_known`: what was refitted to what, and what was found."""

    counts: pd.DataFrame  # (n, m)
    signatures: pd.DataFrame  # (k, m), on offer
    found: SparseExposures

    @property
    def exposures(self) -> pd.DataFrame:
        """Mutations, (n, k); exactly 0 where a signature is not called."""
        return self.found.exposures

    @property
    def p_values(self) -> pd.DataFrame:
        """Of the fit with and without each signature, (n, k)."""
        return self.found.p_values

    @property
    def probabilities(self) -> pd.DataFrame:
        """That the sample holds the signature, (n, k)."""
        return self.found.probabilities

    @property
    def prevalence(self) -> pd.DataFrame:
        """Share of the samples that hold each signature, (groups, k)."""
        return self.found.prevalence

    @property
    def samples(self) -> pd.DataFrame:
        """Of each sample: mutations, n_signatures, dispersion, cosine of counts and fit."""
        return self.found.samples

    @property
    def presence(self) -> pd.DataFrame:
        """Whether a sample holds a signature, (n, k)."""
        return self.found.presence

    def intervals(self, level: float = 0.9) -> pd.DataFrame:
        """Intervals of all exposures: sample, signature, exposure, lower, upper, in mutations. They cover at
        `level` where the signatures on offer are right; see
        `latentgenomes.signatures.verbs.refit_intervals.refit_intervals`.
        """
        return refit_intervals(self.counts, self.signatures, self.found, level=level)


def refit_known(
    counts: pd.DataFrame,
    context: str,
    *,
    signatures: str | Path | None = None,
    only: Sequence[str] = (),
    version: str = "3.4",
    build: str = "GRCh37",
    exome: bool = False,
) -> Refit:
    """Refit known signatures, sparsely, with presence calls.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Mutations. SBS288 and SBS1536, for which COSMIC has no signatures, are summed to SBS96.
    context : str
        Classification of the channels, such as ``"SBS96"``.
    signatures : str or Path, optional
        Table of one's own signatures; COSMIC's, of that `version`, without.
    only : sequence of str
        Names of the signatures on offer; all by default.
    version, build, exome : str, str, bool
        Of COSMIC's signatures: version, build of the genome such as "GRCh38" or "mm10", and whether as they
        show in an exome.

    Returns
    -------
    Refit
        exposures, p_values, probabilities, prevalence, samples, presence, and intervals().

    Raises
    ------
    ValueError
        If a name is none of the signatures, COSMIC has no such table, or counts or signatures cannot be used.
    """
    counts = collapse_channels(counts)
    if signatures is None:
        known = Reference(version, build, exome).signatures(context)
    else:
        known = read_signatures(signatures, context="SBS96" if context.startswith("SBS") else context)
    absent = [name for name in only if name not in known.index]
    if absent:
        raise ValueError(
            f"only must name signatures that are there, but {absent[0]!r} is none of {len(known)}: "
            f"{', '.join(map(str, known.index[:5]))}, ... Correct the name."
        )
    offered = known.loc[list(only)] if only else known
    return Refit(counts, offered, refit_sparse(counts, offered))
