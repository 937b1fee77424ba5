"""What an extraction gives: signatures, exposures, the choice explained, intervals, matches, files."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from latentgenomes.core.provenance import replacing
from latentgenomes.mutations.finer import collapse_channels, context_of
from latentgenomes.mutations.references import Reference
from latentgenomes.signatures.evaluate import match_signatures
from latentgenomes.signatures.figures.extraction import plot_selection
from latentgenomes.signatures.models.consensus_nmf import FOUND, ConsensusNMF
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.informed_nmf import InformedNMF
from latentgenomes.signatures.models.refitting import decompose
from latentgenomes.signatures.verbs.intervals import exposure_intervals
from latentgenomes.signatures.verbs.methods import SYSTEMS
from latentgenomes.signatures.verbs.reach import Reach, reach
from latentgenomes.signatures.verbs.verdicts import known_verdicts

_FORMAT = "latentgenomes-extraction-1"


class Extraction:
    """The result of `latentgenomes.signatures.verbs.extract.extract_signatures`.

    Parameters
    ----------
    model : SignatureExtractor
        The fitted estimator of the chosen number of signatures.
    counts : DataFrame of shape (n_samples, n_channels)
        The catalogue it was fitted to.
    selection : DataFrame
        One row per number of signatures tried, with what the rule judged.
    reason : str
        Why this number, in words.
    """

    def __init__(
        self, model: SignatureExtractor, counts: pd.DataFrame, selection: pd.DataFrame, reason: str
    ) -> None:
        self.model = model
        self.counts = counts
        self.selection = selection
        self.reason = reason

    def __repr__(self) -> str:
        n, k = self.exposures.shape
        return f"<{k} signatures of {n} samples by {type(self.model).__name__}. {self.reason}>"

    @property
    def n_signatures(self) -> int:
        """Number of signatures."""
        return len(self.model.components_)

    @property
    def signatures(self) -> pd.DataFrame:
        """Signatures, (n_signatures, n_channels); rows sum to 1. Named S1, S2, ..., or as known ones are."""
        return self.model.signatures_.set_axis(self._names())

    @property
    def exposures(self) -> pd.DataFrame:
        """Exposures of the catalogue's samples in mutations, (n_samples, n_signatures)."""
        return pd.DataFrame(
            self.model.training_exposures_,
            index=self.counts.index,
            columns=self._names(),
        )

    def _names(self) -> pd.Index:
        """Names of the signatures: those of known ones where the model has them."""
        return pd.Index(getattr(self.model, "labels_", self.model.get_feature_names_out()))

    @property
    def verdicts(self) -> pd.DataFrame:
        """What every signature is: known, known but changed (how), or new; see
        `latentgenomes.signatures.verbs.verdicts.known_verdicts`.

        Raises
        ------
        ValueError
            If the extraction did not start from known signatures.
        """
        if not isinstance(self.model, InformedNMF):
            raise ValueError(
                "Verdicts need known signatures to start from, but this extraction had none. "
                "Extract with known='COSMIC' or a table of your own."
            )
        return known_verdicts(self.model)

    @property
    def stability(self) -> pd.Series:
        """Mean silhouette of every signature over restarts; NaN for a system that clusters none."""
        values = getattr(self.model, "stability_", np.full(self.n_signatures, np.nan))
        return pd.Series(values, index=self.signatures.index, name="stability")

    @property
    def support(self) -> pd.DataFrame:
        """Share of the pairs of halves of the donors that agree on a signature; verdict found or possible.

        NaN and "" for a system that searches no halves.
        """
        support = np.asarray(getattr(self.model, "support_", np.full(self.n_signatures, np.nan)))
        words = np.where(support >= FOUND, "found", np.where(np.isnan(support), "", "possible"))
        return pd.DataFrame({"support": support, "verdict": words}, index=self.signatures.index)

    @property
    def intervals_at_hand(self) -> bool:
        """Whether intervals follow from the fit, without repeating it."""
        return isinstance(self.model, ConsensusNMF | InformedNMF)

    def intervals(self, level: float = 0.9, *, n_repeats: int = 2, random_state: int = 0) -> pd.DataFrame:
        """Intervals for all exposures that carry the error of the signatures too.

        Parameters
        ----------
        level : float in (0, 1)
            Nominal coverage; `latentgenomes.signatures.verbs.intervals.exposure_intervals` says what it
            misses.
        n_repeats : int
            How often the extraction is repeated; each takes as long as one fit.
        random_state : int
            Seed.

        Returns
        -------
        DataFrame
            One row per sample and signature: sample, signature, exposure, lower, upper, in mutations.
        """
        if isinstance(self.model, ConsensusNMF | InformedNMF):
            ends = self.model.exposure_intervals(self.counts, level)
            lower, upper = (pd.DataFrame(end, self.exposures.index, self.exposures.columns) for end in ends)
        else:
            lower, upper = exposure_intervals(
                self.model, self.exposures, level=level, n_repeats=n_repeats, random_state=random_state
            )
        tidy = self.exposures.rename_axis("sample").reset_index()
        tidy = tidy.melt("sample", var_name="signature", value_name="exposure")
        return tidy.assign(lower=lower.to_numpy().T.ravel(), upper=upper.to_numpy().T.ravel())

    def matches(
        self, reference: pd.DataFrame | None = None, *, version: str = "3.4", build: str = "GRCh37"
    ) -> pd.DataFrame:
        """Pair the signatures one to one with known ones, by the largest sum of cosines.

        Parameters
        ----------
        reference : DataFrame of shape (n_reference, n_channels), optional
            Known signatures; COSMIC's by default, with SBS288 and SBS1536 summed to SBS96.
        version, build : str
            Of COSMIC's signatures, see `latentgenomes.mutations.references.Reference`.

        Returns
        -------
        DataFrame
            signature, reference, cosine.
        """
        known = self.reference(version, build) if reference is None else reference
        return match_signatures(self._beside(known), known)

    def decomposition(
        self, reference: pd.DataFrame | None = None, *, version: str = "3.4", build: str = "GRCh37"
    ) -> pd.DataFrame:
        """Mixtures of few known signatures, by default COSMIC's; see
        `latentgenomes.signatures.models.refitting.decompose`.
        """
        known = self.reference(version, build) if reference is None else reference
        return decompose(self._beside(known), known)

    def _beside(self, known: pd.DataFrame) -> pd.DataFrame:
        """Signatures in the channels of known ones: finer ones are summed where those are coarse."""
        same = set(known.columns) == set(self.signatures.columns)
        return self.signatures if same else collapse_channels(self.signatures)

    def reach(self, known: pd.DataFrame) -> Reach:
        """How many mutations a signature must leave to be found here, by known ones; `str` says it in words.
        See `latentgenomes.signatures.verbs.reach`.
        """
        return reach(collapse_channels(self.counts), known)

    def plot_selection(self, ax: Any = None) -> Any:
        """Draw what the rule judged against the number of signatures, into `ax` or new axes."""
        return plot_selection(self.selection, ax, chosen=self.n_signatures)

    def save(self, folder: str | Path) -> Path:
        """Write tables and the model to a folder; ``extraction.json`` comes last and marks it as whole."""
        folder = Path(folder)
        tables = {
            "signatures": self.signatures,
            "exposures": self.exposures,
            "catalogue": self.counts,
            "selection": self.selection,
            "stability": self.stability.to_frame(),
            "support": self.support,
        }
        if isinstance(self.model, InformedNMF):
            tables["verdicts"] = self.verdicts.set_index("signature")
        for name, table in tables.items():
            with replacing(folder / f"{name}.csv") as path:
                table.to_csv(path)
        self.model.save(folder / "model.safetensors")
        record = {"format": _FORMAT, "estimator": type(self.model).__name__, "reason": self.reason}
        with replacing(folder / "extraction.json") as path:
            path.write_text(json.dumps(record, indent=1), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an extraction that `save` wrote; ValueError if the folder holds none, or one of another
        format.
        """
        folder = Path(folder)
        try:
            record = json.loads((folder / "extraction.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{folder} must hold a whole extraction, but its extraction.json cannot be read ({error}). "
                "Save the extraction again."
            ) from error
        kinds: dict[str, type[SignatureExtractor]] = {"InformedNMF": InformedNMF}
        kinds |= {system.estimator.__name__: system.estimator for system in SYSTEMS.values()}
        if record.get("format") != _FORMAT or record.get("estimator") not in kinds:
            raise ValueError(
                f"{folder} must hold an extraction in format {_FORMAT}, but its format is "
                f"{record.get('format')!r}. Save it again with this version."
            )
        model = kinds[record["estimator"]].load(folder / "model.safetensors")
        counts = pd.read_csv(folder / "catalogue.csv", index_col=0, dtype={0: str})
        selection = pd.read_csv(folder / "selection.csv", index_col=0)
        return cls(model, counts, selection, record["reason"])

    def reference(self, version: str = "3.4", build: str = "GRCh37", *, exome: bool = False) -> pd.DataFrame:
        """COSMIC's signatures for the channels of this catalogue, (n_reference, n_channels).

        SBS288 and SBS1536, which COSMIC does not have, are compared as SBS96. A ValueError where COSMIC has
        none.
        """
        return Reference(version, build, exome).signatures(context_of(self.counts))
