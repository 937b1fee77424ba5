"""Results of `extract` and `refit` as the tables that downstream tools expect from SigProfiler."""

from pathlib import Path

import pandas as pd

from latentgenomes.mutations.finer import collapse_channels, context_of
from latentgenomes.mutations.references import Reference
from latentgenomes.signatures.data.sigprofiler import (
    context_folder,
    sigprofiler_names,
    write_activities,
    write_map,
    write_samples,
    write_signatures,
)
from latentgenomes.signatures.models.refitting import decompose, refit_sparse
from latentgenomes.signatures.verbs.extraction import Extraction

_NEW = 0.8  # cosine of the best mixture, up to which SigProfiler takes a signature for new


def save_extraction_tables(found: Extraction, folder: str | Path, reference: Reference) -> Path | None:
    """Write ``SBS96/Suggested_Solution`` into a folder, as SigProfilerExtractor leaves it.

    Signatures are renamed SBS96A, SBS96B, ... in their order, unless they have names of known ones. The part
    with COSMIC's signatures is left out where COSMIC has none for these channels. Returns the folder of the
    solution, or None where the channels have no name.
    """
    context = context_of(found.counts)
    if not context:
        return None
    word = context_folder(context)
    top = Path(folder) / word
    names = sigprofiler_names(context, found.n_signatures)
    named = hasattr(found.model, "labels_")
    signatures = found.signatures if named else found.signatures.set_axis(names)
    exposures = found.exposures if named else found.exposures.set_axis(names, axis=1)
    write_samples(top / "Samples.txt", found.counts)
    solution = top / "Suggested_Solution"
    own = solution / f"{word}_De-Novo_Solution"
    write_signatures(own / "Signatures" / f"{word}_De-Novo_Signatures.txt", signatures)
    write_activities(own / "Activities" / f"{word}_De-Novo_Activities_refit.txt", exposures)
    try:
        known = reference.signatures(context)
    except ValueError:
        return solution
    coarse, counts = collapse_channels(signatures), collapse_channels(found.counts)
    word = context_folder(context_of(counts))
    parts = decompose(coarse, known)
    parts = parts[parts["cosine"] > _NEW]
    new = [name for name in coarse.index if name not in set(parts["signature"])]
    used = known.loc[[name for name in known.index if name in set(parts["reference"])]]
    offered = pd.concat([used, coarse.loc[new]])
    refitted = refit_sparse(counts, offered).exposures
    theirs = solution / f"COSMIC_{word}_Decomposed_Solution"
    write_map(theirs / f"De_Novo_map_to_COSMIC_{word}.csv", coarse, known, parts)
    write_signatures(theirs / "Signatures" / f"COSMIC_{word}_Signatures.txt", offered)
    write_activities(theirs / "Activities" / f"COSMIC_{word}_Activities.txt", refitted)
    return solution


def save_refit_tables(exposures: pd.DataFrame, signatures: pd.DataFrame, folder: str | Path) -> Path:
    """Write ``Assignment_Solution`` into a folder, as SigProfilerAssignment leaves it; return its path."""
    solution = Path(folder) / "Assignment_Solution"
    held = [name for name in signatures.index if (exposures[name] > 0).any()]
    write_signatures(solution / "Signatures" / "Assignment_Solution_Signatures.txt", signatures.loc[held])
    write_activities(solution / "Activities" / "Assignment_Solution_Activities.txt", exposures)
    return solution
