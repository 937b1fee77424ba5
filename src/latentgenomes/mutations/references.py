"""COSMIC's signatures for what a user has: a classification, a build of a genome, whole genomes or exomes."""

from dataclasses import dataclass

import pandas as pd

from latentgenomes.mutations.channels import CHANNELS
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.finer import FINER

_ALIASES = {
    "hg19": "GRCh37", "hg38": "GRCh38", "grcm37": "mm9", "grcm38": "mm10", "grcm39": "mm39",
    "rnor_6.0": "rn6", "mratbn7.2": "rn7",
}  # fmt: skip
_HUMAN = ("GRCh37", "GRCh38")


@dataclass(frozen=True)
class Reference:
    """Which of COSMIC's tables to compare with."""

    version: str = "3.4"
    build: str = "GRCh37"  # or GRCh38, mm9, mm10, mm39, rn6, rn7, or another name of one of them
    exome: bool = False  # signatures as they show in an exome

    @property
    def genome(self) -> str:
        """The build as COSMIC calls it."""
        spelled = {name.casefold(): name for name in (*_HUMAN, "mm9", "mm10", "mm39", "rn6", "rn7")}
        name = self.build.casefold()
        return _ALIASES.get(name, spelled.get(name, self.build))

    def signatures(self, context: str) -> pd.DataFrame:
        """COSMIC's signatures of a classification, (n_signatures, n_channels); of SBS96 for finer ones.

        Raises
        ------
        ValueError
            If COSMIC has none: for that classification, version or build; the message names what there is.
        """
        coarse = "SBS96" if context in FINER else context
        if coarse not in CHANNELS:
            raise ValueError(
                f"COSMIC has signatures for {', '.join(CHANNELS)}, but not for the channels of this one. "
                "Pass signatures of your own."
            )
        builds = [self.genome]
        if self.genome in _HUMAN:  # copy number and rearrangements are given for one human build only
            builds += [other for other in _HUMAN if other != self.genome]
        errors = []
        for build in builds:
            try:
                return cosmic_signatures(self.version, coarse, genome=build, exome=self.exome)
            except ValueError as error:
                errors.append(error)
        raise errors[0]
