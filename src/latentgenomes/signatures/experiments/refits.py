"""Sparse refitting beside SigProfilerAssignment, on simulated catalogues whose exposures are known."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.data.assignment import assign_with_sigprofiler
from latentgenomes.signatures.data.published import SimulatedCatalogs
from latentgenomes.signatures.models.refitting import refit_sparse
from latentgenomes.signatures.simulate import DEFAULT_SIGNATURES, CatalogSettings, simulate_signature_catalogs

# Name of a case: median mutations, law of the counts, and what spoils them.
CASES: Mapping[str, tuple[float, str, CatalogSettings]] = {
    "genomes": (5000.0, "poisson", CatalogSettings()),
    "exomes": (150.0, "poisson", CatalogSettings()),
    "overdispersed": (5000.0, "negative_binomial", CatalogSettings()),
    "hypermutated, flat background": (
        5000.0,
        "poisson",
        CatalogSettings(fraction_hypermutated=0.02, contamination=0.05),
    ),
}


def compare_refits(
    cases: Sequence[str] = tuple(CASES),
    *,
    n_samples: int = 100,
    seeds: Sequence[int] = (0,),
    peer: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame] = assign_with_sigprofiler,
) -> pd.DataFrame:
    """Refit simulated catalogues to the whole of COSMIC with `refit_sparse` and its peer; seconds of the
    wall.
    """
    unknown = sorted(set(cases) - set(CASES))
    if unknown:
        raise ValueError(
            f"cases must be among {', '.join(CASES)}, but {unknown[0]!r} came. Name one of these."
        )
    known = cosmic_signatures()
    tools = {"refit_sparse": lambda c, s: refit_sparse(c, s).exposures, "SigProfilerAssignment": peer}
    rows = []
    for case in cases:
        burden, noise, settings = CASES[case]
        for seed in seeds:
            truth = simulate_signature_catalogs(
                n_samples,
                signatures=len(DEFAULT_SIGNATURES),
                median_mutations=burden,
                noise=noise,  # type: ignore[arg-type]
                settings=settings,
                random_state=seed,
            )
            for tool, refit in tools.items():
                start = time.perf_counter()
                exposures = refit(truth.counts, known)
                seconds = time.perf_counter() - start
                row = {"case": case, "seed": seed, "tool": tool} | presence_scores(exposures, truth)
                rows.append(row | {"seconds": seconds})
    return pd.DataFrame(rows)


def presence_scores(exposures: pd.DataFrame, truth: SimulatedCatalogs) -> dict[str, float]:
    """Score presence (0 says absent; half a mutation is truly present) and exposures over all signatures."""
    columns = exposures.columns.union(truth.exposures.columns)
    true = truth.exposures.reindex(index=truth.counts.index, columns=columns, fill_value=0.0).to_numpy()
    guess = exposures.reindex(index=truth.counts.index, columns=columns, fill_value=0.0).to_numpy()
    present, called = true >= 0.5, guess > 0
    hits = float((present & called).sum())
    precision, recall = hits / max(called.sum(), 1), hits / max(present.sum(), 1)
    return {
        "precision": float(precision),
        "recall": float(recall),
        "presence_f1": float(2 * hits / max(called.sum() + present.sum(), 1)),
        "relative_error": float(np.abs(guess - true).sum() / true.sum()),
    }
