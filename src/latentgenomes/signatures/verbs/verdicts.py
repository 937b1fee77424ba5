"""What became of known signatures: there as they are, there but changed, or joined by new ones."""

import numpy as np
import pandas as pd

from latentgenomes.signatures.evaluate import cosine_similarity
from latentgenomes.signatures.models.informed_nmf import InformedNMF
from latentgenomes.signatures.models.refitting import decompose

_N_MOVED = 4  # channels that are named
_COLUMNS = (
    "signature", "verdict", "reference", "cosine", "moved", "best_sum", "cosine_of_sum", "missed",
    "samples", "margin",
)  # fmt: skip


def known_verdicts(model: InformedNMF) -> pd.DataFrame:
    """Say of every signature whether it is known, known but changed, or new.

    Parameters
    ----------
    model : InformedNMF
        Fitted, with known signatures.

    Returns
    -------
    DataFrame
        One row a signature: signature (its name); verdict: "known", "changed" or "new"; reference: the known
        one it is, is a form of, or is most alike; cosine: of that with the data's own version; moved: of a
        changed one, the channels that moved most, with what they gained or lost; best_sum, cosine_of_sum: of
        a new one, the best sum of few known ones; missed: the share of its mutations that this sum, or the
        reference of another one, puts elsewhere; samples that hold it; margin: evidence in nats, see
        `InformedNMF`.
    """
    signatures = model.signatures_.set_axis(model.labels_)
    known = pd.DataFrame(np.asarray(model.known, dtype=np.float64), columns=signatures.columns)
    known.index = pd.Index([f"K{k + 1}" for k in known.index] if model.names is None else list(model.names))
    known = known.div(known.sum(axis=1), axis=0)
    own = pd.DataFrame(model.versions_, index=signatures.index, columns=signatures.columns)
    cosines = cosine_similarity(own, known)
    new = signatures[model.origins_ < 0]
    parts = decompose(new, known) if len(new) else pd.DataFrame(columns=["signature", "reference", "share"])
    held = (model.training_exposures_ > 0).sum(0)
    rows = []
    for k, (name, origin) in enumerate(zip(signatures.index, model.origins_, strict=True)):
        stands = bool(np.isinf(model.strengths_[k]))
        reference = known.index[origin] if origin >= 0 else cosines.loc[name].idxmax()
        row = {
            "signature": name,
            "verdict": "new" if origin < 0 else "known" if stands else "changed",
            "reference": reference,
            "cosine": cosines.loc[name, reference],
            "samples": int(held[k]),
            "margin": float(model.margins_[k]),
        }
        if origin < 0:
            rows.append(row | _sum_of_known(signatures.loc[name], parts, known))
        else:
            row |= {"missed": _elsewhere(own.loc[name], known.loc[reference])}
            rows.append(
                row if stands else row | {"moved": _moved(signatures.loc[name], known.loc[reference])}
            )
    return pd.DataFrame(rows, columns=list(_COLUMNS)).fillna({"moved": "", "best_sum": ""})


def _elsewhere(one: pd.Series, other: pd.Series) -> float:
    """Share of the mutations of one that stand in another channel in the other."""
    return float((one - other).abs().sum() / 2)


def _moved(signature: pd.Series, reference: pd.Series) -> str:
    """The channels that differ most, and by how much."""
    change = signature - reference
    most = change.abs().sort_values(ascending=False, kind="stable").index[:_N_MOVED]
    return ", ".join(f"{channel} {change[channel]:+.3f}" for channel in most)


def _sum_of_known(signature: pd.Series, parts: pd.DataFrame, known: pd.DataFrame) -> dict[str, object]:
    """The best sum of known signatures in words, its cosine, and what it misses."""
    own = parts[parts["signature"] == signature.name]
    total = pd.Series(own["share"].to_numpy() @ known.loc[own["reference"]].to_numpy(), known.columns)
    words = [f"{share:.0%} {name}" for share, name in zip(own["share"], own["reference"], strict=True)]
    return {
        "best_sum": " + ".join(words),
        "cosine_of_sum": float(own["cosine"].iloc[0]),
        "missed": _elsewhere(signature, total),
    }
