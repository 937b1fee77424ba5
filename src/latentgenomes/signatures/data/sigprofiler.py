"""Tables in the shape of SigProfilerExtractor's and SigProfilerAssignment's output, for tools that read it.

Folders, file names, orientation, headings and separators are those of SigProfilerExtractor 1.1 and later: a
reader that joins the output folder with ``SBS96/Suggested_Solution/...`` finds what it looks for.
"""

from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pandas as pd

from latentgenomes.core.provenance import replacing

_NAMES = {"CN48": "CNV48"}  # where theirs differs from ours
_MAP_HEADER = (
    "De novo extracted, Global NMF Signatures, L1 Error %, L2 Error %, KL Divergence, Cosine Similarity, "
    "Correlation"
)


def sigprofiler_names(context: str, n_signatures: int) -> list[str]:
    """Names of signatures found de novo: SBS96A, SBS96B, ..., SBS96Z, SBS96AA, ..."""
    letters = list(ascii_uppercase) + [one + two for one in ascii_uppercase for two in ascii_uppercase]
    return [f"{_NAMES.get(context, context)}{letter}" for letter in letters[:n_signatures]]


def write_signatures(path: Path, signatures: pd.DataFrame) -> None:
    """Write signatures (k, m) as channels in rows under ``MutationType``."""
    with replacing(path) as part:
        signatures.T.rename_axis("MutationType").to_csv(part, sep="\t", float_format="%.8f")


def write_activities(path: Path, exposures: pd.DataFrame) -> None:
    """Write exposures (n, k) as whole mutations, samples in rows under ``Samples``."""
    with replacing(path) as part:
        exposures.round().astype(np.int64).rename_axis("Samples").to_csv(part, sep="\t")


def write_samples(path: Path, counts: pd.DataFrame) -> None:
    """Write the catalogue (n, m) as channels in rows under ``MutationType``."""
    with replacing(path) as part:
        counts.T.rename_axis("MutationType").to_csv(part, sep="\t")


def write_map(path: Path, signatures: pd.DataFrame, known: pd.DataFrame, parts: pd.DataFrame) -> None:
    """Write which known signatures make up each signature found.

    `parts` has one row for each known signature in a mixture: signature, reference, share. A signature that
    `parts` does not name is new, and stands for itself.
    """
    lines = [_MAP_HEADER]
    for name, signature in signatures.iterrows():
        own = parts[parts["signature"] == name]
        called = f"Signature {len(signature)}-{name}"
        if not len(own):
            lines.append(f"{called}, {called}, 0, 0, 0, 1, 1")
            continue
        words = " & ".join(
            f"Signature {reference} ({100 * share:.2f}%)"
            for reference, share in zip(own["reference"], own["share"], strict=True)
        )
        mixture = own["share"].to_numpy() @ known.loc[own["reference"], signatures.columns].to_numpy()
        numbers = ", ".join(f"{number:.3f}" for number in _errors(signature.to_numpy(), mixture))
        lines.append(f"{called}, {words}, {numbers}")
    with replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _errors(signature: np.ndarray, mixture: np.ndarray) -> tuple[float, ...]:
    """L1 and L2 error in percent, KL divergence in nats, cosine and correlation."""
    gap, positive = signature - mixture, signature > 0
    ratio = signature[positive] / np.maximum(mixture[positive], 1e-12)
    return (
        100 * float(np.abs(gap).sum() / signature.sum()),
        100 * float(np.linalg.norm(gap) / np.linalg.norm(signature)),
        float((signature[positive] * np.log(ratio)).sum()),
        float(signature @ mixture / (np.linalg.norm(signature) * np.linalg.norm(mixture))),
        float(np.corrcoef(signature, mixture)[0, 1]),
    )


def context_folder(context: str) -> str:
    """Name of a classification in paths and files."""
    return _NAMES.get(context, context)
