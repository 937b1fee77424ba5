"""Extraction as a user asks for it: without knowledge, or starting from known signatures."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import check_counts, list_names
from latentgenomes.mutations.channels import CHANNELS
from latentgenomes.mutations.finer import context_of
from latentgenomes.mutations.profiles import read_signatures
from latentgenomes.mutations.references import Reference
from latentgenomes.signatures.models.informed_nmf import InformedNMF
from latentgenomes.signatures.verbs import extract as plain
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.verdicts import known_verdicts

DEFAULT = "consensus"
_FIXED = {"known", "names", "random_state"}


def extract(
    counts: pd.DataFrame,
    *,
    known: pd.DataFrame | str | Path | None = None,
    method: str = DEFAULT,
    n_signatures: str | int | Iterable[int] = "auto",
    random_state: int = 0,
    folder: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
) -> Extraction:
    """Extract signatures from a catalogue and say why this many, if wished with known ones as a start.

    With `known`, a known signature that the data hold stands as it is, or moves where the data say so, and
    new ones join them; `Extraction.verdicts` says which is which.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Whole mutation counts, one row a sample, with labelled rows and columns.
    known : DataFrame, str or Path, optional
        Known signatures, (n_known, n_channels) with rows that sum to 1; the file of such a table; or
        "COSMIC", for COSMIC's of version 3.4 and the channels of the catalogue.
    method : str
        "consensus", "negative_binomial", "gamma_poisson", "klnmf", "vaems", "muse_xae" or "signer"; with
        `known` it has its own.
    n_signatures : "auto", int or iterable of int
        "auto" tries 2 to 25, an iterable its own numbers; a single number is taken as it is. With
        `known`, the number follows from the data.
    random_state : int
        Seed.
    folder : str or Path, optional
        Where finished fits are kept: called again with the same catalogue and settings, a killed run goes on.
    settings : mapping, optional
        Further parameters of the system's estimator, by name; with `known` those of `InformedNMF`.

    Returns
    -------
    Extraction

    Raises
    ------
    ValueError
        If the method, a setting or a number of signatures is unknown or impossible, the catalogue or the
        known signatures cannot be used, or the folder holds another extraction.

    Warns
    -----
    UserWarning
        If one sample holds most mutations, a channel is empty, samples are copies of one another, or there
        are fewer mutations than free numbers in the signatures.
    """
    if int(counts.any(axis=1).sum()) == 1:
        raise ValueError(
            "counts must hold two samples with mutations or more, because an extraction compares them, but "
            "there is 1. Refit known signatures to it: latentgenomes.signatures.refit(counts, 'SBS96')."
        )
    if known is None:
        return plain.extract_signatures(
            counts,
            method=method,
            n_signatures=n_signatures,
            random_state=random_state,
            folder=folder,
            settings=settings,
        )
    if method != DEFAULT or not (isinstance(n_signatures, str) and n_signatures == "auto"):
        raise ValueError(
            "known goes with a method of its own that finds the number of signatures, but method is "
            f"{method!r} and n_signatures {n_signatures!r}. Leave both out, or leave out known."
        )
    checked = check_counts(counts, name="counts")
    table = _known_table(known, checked)
    options = dict(settings or {})
    odd = sorted(set(options) - (set(InformedNMF().get_params()) - _FIXED))
    if odd:
        raise ValueError(f"settings must be parameters of InformedNMF, but {list_names(odd)} are not.")
    model = InformedNMF(table.to_numpy().tolist(), names=list(table.index), random_state=random_state)
    model.set_params(**options)
    job = {"known_sha256": hashlib.sha256(table.to_csv().encode()).hexdigest(), "random_state": random_state}
    store = None if folder is None else plain.Store(folder, plain._job(checked, "known", {**options, **job}))
    model, seconds = _fitted(model, checked, store)
    selection = model.path_.set_index("n_signatures").sort_index().assign(seconds=seconds)
    return Extraction(model, checked, selection, _reason(model))


def _known_table(known: pd.DataFrame | str | Path, counts: pd.DataFrame) -> pd.DataFrame:
    """Known signatures with the channels of the counts, in their order."""
    if not isinstance(known, pd.DataFrame):
        context = context_of(counts)
        if context not in CHANNELS:
            raise ValueError(
                f"known must be a DataFrame, as {context or 'these channels'} cannot be read from a file or "
                f"taken from COSMIC, but {str(known)!r} came. Pass one with the channels of counts."
            )
        if str(known).upper() == "COSMIC":
            known = Reference().signatures(context)
        else:
            known = read_signatures(known, context=context)
    absent = [str(channel) for channel in counts.columns if channel not in known.columns]
    if absent or known.shape[1] != counts.shape[1] or known.index.has_duplicates or not len(known):
        raise ValueError(
            "known must hold signatures with names of their own and the channels of the counts, but it has "
            f"{len(known)} rows, {known.index.nunique()} of them different, and {len(absent)} of "
            f"{counts.shape[1]} channels are missing: {list_names(absent) or 'none'}."
        )
    return check_counts(known[list(counts.columns)], name="known", allow_fractional=True).rename(str)


def _fitted(
    model: InformedNMF, counts: pd.DataFrame, store: "plain.Store | None"
) -> tuple[InformedNMF, float]:
    """Fit, or take the fit from the store; with its seconds."""
    done = None if store is None else store.load(InformedNMF, "known")
    if done is not None and isinstance(done[0], InformedNMF):
        return done[0], done[1]
    begun = time.perf_counter()
    model.fit(counts)
    seconds = time.perf_counter() - begun
    if store is not None:
        store.save(model, "known", seconds)
    return model, seconds


def _reason(model: InformedNMF) -> str:
    """Which signatures, in words."""
    table = known_verdicts(model)
    verdicts = table["verdict"].value_counts()
    n_known = len(np.asarray(model.known))
    used = int(verdicts.get("known", 0) + verdicts.get("changed", 0))
    parts = [f"{used} of {n_known} known signatures are in use"]
    if n_changed := int(verdicts.get("changed", 0)):
        names = list_names(list(table.loc[table["verdict"] == "changed", "reference"]))
        parts.append(f"{n_changed} of them changed ({names})")
    n_new = int(verdicts.get("new", 0))
    parts.append(f"{n_new or 'none'} {'is' if n_new < 2 else 'are'} new")
    scatter = f" Counts scatter more than Poisson counts do (dispersion {model.dispersion_:.3g})."
    return ", ".join(parts) + "." + (scatter if model.dispersion_ > 0 else "")
