"""All systems on the same catalogues with known truth, one row per extraction, resumable.

Every extraction is a cell. A finished cell is kept as a file, so that a killed run goes on.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from latentgenomes.core.provenance import replacing
from latentgenomes.signatures.data.published import SimulatedCatalogs, load_islam, load_synsig
from latentgenomes.signatures.evaluate import exposure_errors, match_signatures, recovery
from latentgenomes.signatures.models.refitting import refit_sparse
from latentgenomes.signatures.simulate import simulate_signature_catalogs
from latentgenomes.signatures.verbs.extract import extract_signatures
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.intervals import exposure_intervals

NOISES = ("none", "poisson")
_THRESHOLDS = (0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Cell:
    """One extraction of a comparison."""

    dataset: str  # islam_1 to islam_5, synsig_30, or simulated, as in simulated:200:2000 (samples, median)
    noise: str  # the published catalogues carry "none"; "poisson" draws counts around them
    seed: int  # of the noise and of the system
    method: str  # see `extract_signatures`

    @property
    def name(self) -> str:
        """File name of the cell."""
        return "-".join(map(str, asdict(self).values())).replace(":", "_")


def compare_systems(
    datasets: Sequence[str],
    methods: Sequence[str],
    *,
    noises: Sequence[str] = NOISES,
    seeds: Sequence[int] = (0,),
    settings: Mapping[str, Mapping[str, object]] | None = None,
    folder: str | Path | None = None,
    n_processes: int = 1,
) -> pd.DataFrame:
    """Extract with every system from every catalogue (see `Cell`), and score against the truth, a row each.
    Without noise a catalogue is the same for every seed, so only the first is run. `settings` are by method,
    for `extract_signatures`. Seconds are of the CPU, with one thread; presence_f1 is that of a sparse refit.
    """
    unknown = sorted(set(noises) - set(NOISES))
    if unknown:
        raise ValueError(f"noises must be among {NOISES}, but {unknown[0]!r} came.")
    cells = [
        Cell(*combination)
        for combination in product(datasets, noises, seeds, methods)
        if combination[1] != "none" or combination[2] == seeds[0]
    ]
    jobs = [(cell, dict((settings or {}).get(cell.method, {})), folder) for cell in cells]
    if n_processes == 1:
        return pd.DataFrame([_cell(job) for job in jobs])
    with ProcessPoolExecutor(
        n_processes, get_context("spawn"), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        return pd.DataFrame(pool.map(_cell, jobs))


def load_truth(dataset: str, noise: str, seed: int) -> SimulatedCatalogs:
    """Load a data set with known truth and draw its noise; see `Cell`."""
    name, *numbers = dataset.split(":")
    if name == "simulated" and noise == "poisson":
        n_samples, burden = (list(map(float, numbers)) + [500, 5000][len(numbers) :])[:2]
        return simulate_signature_catalogs(int(n_samples), median_mutations=burden, random_state=seed)
    kinds: dict[str, Callable[[], SimulatedCatalogs]]
    kinds = {f"islam_{scenario}": partial(load_islam, scenario) for scenario in range(1, 6)}
    kinds["synsig_30"] = partial(load_synsig, "syn.30.random.sigs")
    if dataset not in kinds:
        raise ValueError(
            f"dataset must be one of {', '.join(kinds)}, or 'simulated' with Poisson noise, but {dataset!r} "
            f"with noise {noise!r} came."
        )
    truth = kinds[dataset]()
    if noise == "none":
        return truth
    drawn = np.random.default_rng(seed).poisson(truth.counts)
    counts = pd.DataFrame(drawn, index=truth.counts.index, columns=truth.counts.columns)
    return SimulatedCatalogs(counts, truth.signatures, truth.exposures, truth.metadata)


def _cell(job: tuple[Cell, Mapping[str, object], str | Path | None]) -> dict[str, object]:
    """Run one cell, or read it where it is finished."""
    cell, settings, folder = job
    given = {name: str(value) for name, value in settings.items()}
    record = None if folder is None else Path(folder) / f"{cell.name}.json"
    if record is not None and record.is_file():
        kept = json.loads(record.read_text(encoding="utf-8"))
        if kept["settings"] == given:
            return dict(kept["row"])
    truth = load_truth(cell.dataset, cell.noise, cell.seed)
    own = {name: value for name, value in settings.items() if name not in ("n_signatures", "n_restarts")}
    start = time.process_time()
    found = extract_signatures(
        truth.counts,
        method=cell.method,
        n_signatures=settings.get("n_signatures", "auto"),  # type: ignore[arg-type]
        n_restarts=settings.get("n_restarts"),  # type: ignore[arg-type]
        random_state=cell.seed,
        settings=own,
    )
    seconds = time.process_time() - start
    row = asdict(cell) | dict(_scores(found, truth)) | {"seconds": seconds, "reason": found.reason}
    if record is not None:
        with replacing(record) as path:
            path.write_text(json.dumps({"settings": given, "row": row}), encoding="utf-8")
    return row


def _scores(found: Extraction, truth: SimulatedCatalogs) -> Iterator[tuple[str, float]]:
    """Everything that a truth can tell of an extraction."""
    n_true = len(truth.signatures)
    yield "n_true", n_true
    yield "n_found", found.n_signatures
    yield "error", found.n_signatures - n_true
    scores = recovery(found.signatures, truth.signatures, _THRESHOLDS)
    for score in scores.itertuples():
        for name in ("precision", "recall", "f1"):
            yield f"{name}_{score.threshold:g}", float(getattr(score, name))
    yield "mean_cosine", float(scores["mean_cosine"].iloc[0])
    matches = match_signatures(found.signatures, truth.signatures)
    errors = exposure_errors(found.exposures, truth.exposures, matches)
    totals = truth.exposures[errors["reference"]].sum()
    yield (
        "relative_exposure_error",
        float((errors["relative_error"].to_numpy() * totals.to_numpy()).sum() / totals.sum()),
    )
    sparse = refit_sparse(truth.counts, found.signatures).exposures
    yield "presence_f1", float(exposure_errors(sparse, truth.exposures, matches)["presence_f1"].mean())


def compare_intervals(datasets: Sequence[str], *, level: float = 0.9, seed: int = 0) -> pd.DataFrame:
    """Measure what intervals of exposures cover on Poisson counts, by the Gamma-Poisson NMF: with "signatures
    held" (its posterior) and "repeated" (`exposure_intervals`). The share inside is of present exposures,
    above 5% of the sample's mutations, and of absent ones, at most half a mutation; relative_width is the
    median over the truth.
    """
    rows = []
    for dataset in datasets:
        truth = load_truth(dataset, "poisson", seed)
        found = extract_signatures(truth.counts, method="gamma_poisson", random_state=seed)
        pairs = match_signatures(found.signatures, truth.signatures)
        true = truth.exposures.loc[truth.counts.index, pairs["reference"]].to_numpy()
        held = found.model.exposure_intervals(truth.counts, level)
        repeated = exposure_intervals(found.model, found.exposures, level=level, random_state=seed)
        columns = found.signatures.index.get_indexer(pd.Index(pairs["signature"]))
        for name, bounds in (("signatures held", held), ("repeated", repeated)):
            lower, upper = (np.asarray(bound)[:, columns] for bound in bounds)
            rows.append({"dataset": dataset, "interval": name} | _covered(lower, upper, true))
    return pd.DataFrame(rows)


def _covered(lower: np.ndarray, upper: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Shares of the true exposures inside their intervals, to half a mutation; all (n, k)."""
    inside = (lower <= true + 0.5) & (true <= upper + 0.5)
    present = true > 0.05 * true.sum(axis=1, keepdims=True)
    return {
        "present": float(inside[present].mean()),
        "absent": float(inside[true <= 0.5].mean()),
        "relative_width": float(np.median((upper - lower)[present] / true[present])),
    }
