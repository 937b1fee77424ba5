"""What it is worth to know signatures beforehand, where the truth is known: all, all but some, or changed."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.data.published import SimulatedCatalogs
from latentgenomes.signatures.evaluate import match_signatures, recovery
from latentgenomes.signatures.simulate import DEFAULT_SIGNATURES, simulate_signature_catalogs
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.informed import DEFAULT, extract

PLAIN = "negative_binomial"  # the method that knows nothing
CASES = ("all known", "two changed", "three unknown")
_CHANGED = {"SBS3": 0.25, "SBS17b": 0.2}  # share of the mutations that stand elsewhere
_UNKNOWN = ("SBS4", "SBS10a", "SBS12")


def draw_case(
    case: str, seed: int, *, n_samples: int = 150, median_mutations: float = 4000.0
) -> tuple[SimulatedCatalogs, pd.DataFrame]:
    """A catalogue of 16 signatures in nine cancer types, whose counts scatter, and the known signatures."""
    if case not in CASES:
        raise ValueError(f"case must be one of {', '.join(CASES)}, but {case!r} came. Name one.")
    known = cosmic_signatures()
    profiles = known.loc[list(DEFAULT_SIGNATURES)].copy()
    if case == "two changed":
        rng = np.random.default_rng([seed, 1])
        for name, share in _CHANGED.items():
            spiky = rng.dirichlet(np.full(profiles.shape[1], 0.3))
            profiles.loc[name] = (1 - share) * profiles.loc[name] + share * spiky
    truth = simulate_signature_catalogs(
        n_samples,
        signatures=profiles,
        median_mutations=median_mutations,
        noise="negative_binomial",
        random_state=seed,
    )
    return truth, known.drop(index=list(_UNKNOWN)) if case == "three unknown" else known


def compare_knowledge(
    cases: Sequence[str] = CASES, *, seeds: Sequence[int] = (0, 1, 2, 3, 4), n_samples: int = 150
) -> pd.DataFrame:
    """Extract with and without known signatures: F1 at cosines of 0.9 and 0.95, error of the exposures,
    coverage of 90% intervals where they know the signatures, verdicts, seconds of the CPU.
    """
    rows = []
    plain: dict[tuple[int, bool], dict[str, object]] = {}  # what is known does not change what is plain
    for seed in seeds:
        for case in cases:
            truth, known = draw_case(case, seed, n_samples=n_samples)
            if (seed, case == "two changed") not in plain:
                plain[seed, case == "two changed"] = _run(truth, None, seed)[1]
            rows.append({"case": case, "seed": seed, "method": "plain"} | plain[seed, case == "two changed"])
            found, row = _run(truth, known, seed)
            row |= _verdicts(found, case) | {"covered": _coverage(found, truth)}
            rows.append({"case": case, "seed": seed, "method": "known"} | row)
    return pd.DataFrame(rows)


def _run(
    truth: SimulatedCatalogs, known: pd.DataFrame | None, seed: int
) -> tuple[Extraction, dict[str, object]]:
    """One extraction with its scores and seconds."""
    begun = time.process_time()
    method = PLAIN if known is None else DEFAULT
    found = extract(truth.counts, known=known, method=method, random_state=seed)
    seconds = time.process_time() - begun
    return found, {"n_found": found.n_signatures, **_scores(found, truth), "cpu_seconds": seconds}


def _scores(found: Extraction, truth: SimulatedCatalogs) -> dict[str, float]:
    scores = recovery(found.signatures, truth.signatures, (0.9, 0.95))
    pairs = match_signatures(found.signatures, truth.signatures)
    ours = found.exposures[pairs["signature"]].set_axis(list(pairs["reference"]), axis=1)
    ours = ours.reindex(columns=truth.exposures.columns, fill_value=0.0)
    errors = (ours - truth.exposures).abs().to_numpy().sum() / truth.exposures.to_numpy().sum()
    return {
        "f1_0.9": float(scores["f1"][0]),
        "f1_0.95": float(scores["f1"][1]),
        "mean_cosine": float(pairs["cosine"].mean()),
        "relative_error": float(errors),
    }


def _verdicts(found: Extraction, case: str) -> dict[str, int]:
    """How many verdicts are right, and how many signatures got another."""
    table = found.verdicts
    changed = set(_CHANGED) if case == "two changed" else set()
    unknown = set(_UNKNOWN) if case == "three unknown" else set()
    right = 0
    for _, row in table.iterrows():
        name = row["reference"]
        right += row["verdict"] == "known" and name in set(DEFAULT_SIGNATURES) - changed - unknown
        right += row["verdict"] == "changed" and name in changed
    right += min(len(unknown), int((table["verdict"] == "new").sum()))
    return {"right": int(right), "wrong": len(table) - int(right)}


def _coverage(found: Extraction, truth: SimulatedCatalogs) -> float:
    """Share of the true exposures above 5% of a sample within their 90% intervals."""
    pairs = match_signatures(found.signatures, truth.signatures)
    ends = found.intervals(0.9).pivot(index="sample", columns="signature", values=["lower", "upper"])
    true = truth.exposures[pairs["reference"]].to_numpy()
    lower, upper = (
        ends[end].loc[truth.exposures.index, pairs["signature"]].to_numpy() for end in ("lower", "upper")
    )
    large = true > 0.05 * truth.exposures.to_numpy().sum(axis=1, keepdims=True)
    return float(((lower <= true) & (true <= upper))[large].mean())
