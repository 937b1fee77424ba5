"""Signatures of a catalogue in one call, with the number of signatures found and explained."""

import hashlib
import json
import time
import warnings
from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import check_counts, list_names
from latentgenomes.core.provenance import replacing
from latentgenomes.signatures.models.consensus_nmf import FOUND
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.gamma_poisson import evidence
from latentgenomes.signatures.models.klnmf import refit
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.methods import SYSTEMS, System

_MOST = 25  # the largest number of signatures that "auto" tries
_RULED = 0.5  # share of all mutations in one sample that is worth a warning


def extract_signatures(
    counts: pd.DataFrame,
    *,
    method: str = "consensus",
    n_signatures: str | int | Iterable[int] = "auto",
    n_restarts: int | None = None,
    random_state: int = 0,
    folder: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
) -> Extraction:
    """Extract signatures from a catalogue and say why this many.

    Parameters
    ----------
    counts : DataFrame of shape (n_samples, n_channels)
        Whole mutation counts, one row a sample, with labelled rows and columns.
    method : str
        "consensus", "negative_binomial", "gamma_poisson", "klnmf", "vaems", "muse_xae" or "signer".
    n_signatures : "auto", int or iterable of int
        "auto" tries 2 to 25, an iterable its own numbers; a single number is taken as it is.
    n_restarts : int, optional
        Restarts for every number of signatures; the system's own default where None.
    random_state : int
        Seed.
    folder : str or Path, optional
        Where finished fits are kept: called again with the same catalogue and settings, a killed run goes on.
    settings : mapping, optional
        Further parameters of the system's estimator, by name.

    Returns
    -------
    Extraction

    Raises
    ------
    ValueError
        If the method, a setting or a number of signatures is unknown or impossible, the catalogue cannot be
        used, or the folder holds another extraction.

    Warns
    -----
    UserWarning
        If one sample holds most mutations, a channel is empty, samples are copies of one another, or there
        are fewer mutations than free numbers in the signatures.
    """
    system = _system(method)
    checked = check_counts(counts, name="counts")
    candidates = _candidates(n_signatures, checked)
    _warn_of(checked, max(candidates))
    options = dict(settings or {}) | ({} if n_restarts is None else {"n_restarts": n_restarts})
    _check_settings(system, method, options)
    options |= {"random_state": random_state}
    store = Store(folder, _job(checked, method, options)) if folder is not None else None
    if system.eliminates:
        return _by_elimination(system, checked, candidates, options, store)
    return _by_trial(system, checked, candidates, options, store)


class Store:
    """Finished fits in a folder that belongs to one catalogue and one set of settings; another is refused."""

    def __init__(self, folder: str | Path, job: Mapping[str, object]) -> None:
        self.folder = Path(folder)
        record, text = self.folder / "job.json", json.dumps(job, indent=1, sort_keys=True)
        if record.is_file() and record.read_text(encoding="utf-8") != text:
            raise ValueError(
                f"folder must hold fits of this catalogue and these settings, but {self.folder} holds "
                "others. Choose another folder, or delete that one."
            )
        with replacing(record) as path:
            path.write_text(text, encoding="utf-8")

    def load(self, kind: type[SignatureExtractor], name: str) -> tuple[SignatureExtractor, float] | None:
        """Return a finished fit and its seconds, or None where there is none."""
        record = self.folder / f"{name}.json"
        if not record.is_file():
            return None
        model = kind.load(self.folder / f"{name}.safetensors")
        return model, float(json.loads(record.read_text(encoding="utf-8"))["seconds"])

    def save(self, model: SignatureExtractor, name: str, seconds: float) -> None:
        """Keep a finished fit; the record is written last and so marks it as whole."""
        model.save(self.folder / f"{name}.safetensors")
        with replacing(self.folder / f"{name}.json") as path:
            path.write_text(json.dumps({"seconds": seconds}), encoding="utf-8")


def _by_trial(
    system: System,
    counts: pd.DataFrame,
    candidates: list[int],
    options: Mapping[str, object],
    store: Store | None,
) -> Extraction:
    """Fit every number of signatures, then let the system's rule choose."""
    models, rows, errors = {}, [], {}
    for k in candidates:
        models[k], seconds = _fit(system, counts, {**options, "n_signatures": k}, store, f"k{k:02d}")
        rows.append({"n_signatures": k} | _criteria(models[k], counts) | {"seconds": seconds})
        errors[k] = np.asarray(getattr(models[k], "sample_errors_", np.zeros(0)))
    table = pd.DataFrame(rows).set_index("n_signatures")
    choice = system.rule(table, errors)
    reason = choice.reason if len(candidates) > 1 else f"{candidates[0]} was asked for."
    return Extraction(models[choice.n_signatures], counts, table, reason)


def _by_elimination(
    system: System,
    counts: pd.DataFrame,
    candidates: list[int],
    options: Mapping[str, object],
    store: Store | None,
) -> Extraction:
    """Fit once: the system starts with too many signatures and removes them by its own bound."""
    fixed = len(candidates) == 1
    bounds = {"n_signatures": max(candidates), "eliminate": not fixed}
    bounds |= {} if fixed else {"min_signatures": min(candidates)}
    if "extend" in system.estimator().get_params():  # only a range that nobody asked for may grow
        bounds |= {"extend": max(candidates) == min(_MOST, *counts.shape)}
    model, seconds = _fit(system, counts, {**options, **bounds}, store, "elimination")
    path = pd.DataFrame(vars(model)["path_"]).set_index("n_signatures").sort_index()
    table = path.drop(columns="evidence").rename(columns={"penalised_evidence": "evidence"})
    table = table[(table.index >= min(candidates)) & (table.index <= max(candidates))].assign(seconds=seconds)
    reason = f"{candidates[0]} was asked for." if fixed else system.rule(table, {}).reason
    if hasattr(model, "support_"):
        reason = f"{reason} {_reason_of_consensus(model)}"
    elif getattr(model, "dispersion_", 0.0) > 0:
        reason = _reason_under_scatter(model, fixed)
    return Extraction(model, counts, table, reason)


def _reason_of_consensus(model: SignatureExtractor) -> str:
    """How many of the signatures came back from the other half of the donors."""
    found, pairs = vars(model)["found_"], vars(model)["n_pairs"]
    support = f"came back in {FOUND:.0%} or more of {pairs} pairs of halves of the donors"
    joined = len(found) - vars(model)["n_searched_"]
    also = f"{joined} more of what half of the searches share joined them. " if joined > 0 else ""
    if found.all():
        return f"{also}All {len(found)} signatures {support}: all are found."
    return f"{also}{found.sum()} of {len(found)} signatures {support}: these are found, the others possible."


def _reason_under_scatter(model: SignatureExtractor, fixed: bool) -> str:
    """Why this number, where the counts scatter more than Poisson counts do."""
    dispersion = f"(dispersion {vars(model)['dispersion_']:.3g})"
    scatter = f"Counts scatter more than Poisson counts do {dispersion}."
    chosen, table = len(model.components_), vars(model)["candidates_"]
    if fixed:
        asked = f"{chosen} was asked for."
        return f"{asked} Around them, counts scatter more than Poisson counts do {dispersion}."
    best = table.groupby("n_signatures")["evidence"].max()
    others = best.drop(chosen)
    if not len(others):
        return f"{scatter} At every cap on the mutations of a sample, {chosen} signatures are found."
    losses = "; ".join(f"{n} would lose {best[chosen] - loss:,.1f}" for n, loss in others.items())
    return (
        f"{scatter} Of what was found at {len(table)} caps on the mutations of a sample, the negative "
        f"binomial evidence is highest at {chosen} signatures ({losses}, in nats)."
    )


def _fit(
    system: System,
    counts: pd.DataFrame,
    options: Mapping[str, object],
    store: Store | None,
    name: str,
) -> tuple[SignatureExtractor, float]:
    """Fit one estimator, or take it from the store; return it with its seconds."""
    found = None if store is None else store.load(system.estimator, name)
    if found is not None:
        return found
    start = time.perf_counter()
    settings = {**system.settings, **system.prepare(counts), **options}
    model = system.estimator(**settings).fit(counts)
    seconds = time.perf_counter() - start
    if store is not None:
        store.save(model, name, seconds)
    return model, seconds


def _criteria(model: SignatureExtractor, counts: pd.DataFrame) -> dict[str, float]:
    """Everything a rule may ask of one fit; evidence and error of the best refit are there for all."""
    signatures = model.signatures_
    rates = refit(counts, signatures).to_numpy() @ signatures.to_numpy()
    x = counts.to_numpy(dtype=np.float64)
    divergence = np.where(x > 0, x * np.log(np.maximum(x, 1.0) / np.maximum(rates, 1e-300)), 0.0) - x + rates
    row = {
        "evidence": evidence(x, model.components_),
        "divergence": float(divergence.sum() / x.sum()),
    }
    if hasattr(model, "stability_"):
        row |= {
            "stability_mean": float(model.stability_.mean()),
            "stability_min": float(model.stability_.min()),
        }
    for name, attribute in (("error", "reconstruction_error_"), ("bic", "bic_")):
        if hasattr(model, attribute):
            row[name] = float(getattr(model, attribute))
    return row


def _system(method: str) -> System:
    if method not in SYSTEMS:
        raise ValueError(f"method must be one of {', '.join(SYSTEMS)}, but {method!r} came.")
    return SYSTEMS[method]


def _check_settings(system: System, method: str, options: Mapping[str, object]) -> None:
    """Refuse names that the estimator does not have."""
    known = set(system.estimator().get_params()) - {"n_signatures", "random_state"}
    odd = sorted(set(options) - known)
    if odd:
        raise ValueError(
            f"settings must be parameters of method {method!r}, but {list_names(odd)} are not. "
            f"It takes {', '.join(sorted(known))}."
        )


def _candidates(n_signatures: str | int | Iterable[int], counts: pd.DataFrame) -> list[int]:
    """Numbers of signatures to try, ascending."""
    most = min(counts.shape)
    if isinstance(n_signatures, str):
        if n_signatures != "auto":
            raise ValueError(f"n_signatures must be 'auto' or numbers, but {n_signatures!r} came.")
        return list(range(min(2, most), min(_MOST, most) + 1))
    given = [n_signatures] if isinstance(n_signatures, Integral) else sorted(set(n_signatures))  # type: ignore[arg-type]
    wrong = [n for n in given if not isinstance(n, Integral) or n < 1]
    if wrong or not given:
        raise ValueError(f"n_signatures must be whole numbers >= 1, but {n_signatures!r} came.")
    candidates = [int(n) for n in given]
    if max(candidates) > most:
        raise ValueError(
            f"n_signatures must be at most the number of samples and of channels ({most}), but "
            f"{max(candidates)} came. Ask for fewer signatures, or add samples."
        )
    return candidates


def _warn_of(counts: pd.DataFrame, n_signatures: int) -> None:
    """Tell of catalogues that can be used but make extractions worse."""
    totals, n_mutations = counts.sum(axis=1), int(counts.to_numpy().sum())
    messages = []
    if totals.max() > _RULED * n_mutations and len(counts) > 2:
        messages.append(
            f"sample {totals.idxmax()!r} holds {totals.max() / n_mutations:.0%} of all mutations; it "
            "stays in, and all systems but signer scale it down while they look for signatures"
        )
    empty = counts.columns[~counts.any(axis=0)]
    if len(empty):
        messages.append(
            f"{len(empty)} of {counts.shape[1]} channels hold no mutation ({list_names(list(empty[:3]))}); "
            "signatures will be 0 there"
        )
    copies = counts.index[counts.duplicated(keep="first") & (totals >= counts.shape[1])]
    if len(copies):
        messages.append(
            f"{len(copies)} samples are copies of others ({list_names(list(copies[:3]))}); they stay in and "
            "count twice. Drop them with counts.drop_duplicates()"
        )
    free = n_signatures * (counts.shape[1] - 1)
    if n_mutations < free:
        messages.append(
            f"{n_mutations} mutations are fewer than the {free} free numbers of {n_signatures} signatures; "
            "ask for fewer signatures"
        )
    for message in messages:
        warnings.warn(f"In this catalogue, {message}.", UserWarning, stacklevel=3)


def _job(counts: pd.DataFrame, method: str, options: Mapping[str, object]) -> dict[str, object]:
    """What the fits of a folder depend on."""
    content = hashlib.sha256(counts.to_csv().encode()).hexdigest()
    return {
        "catalogue_sha256": content,
        "method": method,
        "settings": {k: str(v) for k, v in options.items()},
    }
