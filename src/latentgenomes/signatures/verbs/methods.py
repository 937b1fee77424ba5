"""The systems that `extract_signatures` can run: estimator, settings, rule for the number of signatures.

Every rule gives its reason in words. Those of the published systems are theirs; VAE-MS, which has none, takes
that of the Gamma-Poisson NMF.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from latentgenomes.signatures.models.consensus_nmf import ConsensusNMF
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.models.muse_xae import MuseXAE
from latentgenomes.signatures.models.negative_binomial import NegativeBinomialNMF
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.models.sigprofiler import hypermutator_limit
from latentgenomes.signatures.models.vaems import VAEMS

_WORDS = {"evidence": "penalised evidence", "bic": "BIC"}


@dataclass(frozen=True)
class Choice:
    """A number of signatures and why."""

    n_signatures: int
    reason: str


Prepare = Callable[[pd.DataFrame], Mapping[str, object]]
Rule = Callable[[pd.DataFrame, Mapping[int, np.ndarray]], Choice]


@dataclass(frozen=True)
class System:
    """One way to extract signatures."""

    estimator: type[SignatureExtractor]
    rule: Rule  # of the table of criteria and the errors of the samples, by number of signatures
    eliminates: bool = False  # whether one fit goes through all numbers of signatures by itself
    settings: Mapping[str, object] = field(default_factory=dict)  # departures from the class's defaults
    prepare: Prepare = lambda counts: {}  # settings that follow from the catalogue


def choose_highest(table: pd.DataFrame, column: str) -> Choice:
    """Take the number where a criterion is highest: "bic" in signeR, "evidence" in ours, both in nats."""
    values = _column(table, column).dropna()
    best = int(values.idxmax())
    word = _WORDS.get(column, column)
    if len(values) == 1:
        return Choice(best, f"{best} was the only number of signatures tried.")
    beside = [
        f"{n} would lose {values[best] - values[n]:,.1f}"
        for n in values.index.sort_values()
        if n != best and abs(n - best) <= 2
    ]
    runner_up = int(values.drop(best).idxmax())
    tail = (
        "; ".join(beside) or f"the next best, {runner_up}, would lose {values[best] - values[runner_up]:,.1f}"
    )
    edge = "" if best < values.index.max() else " It is the largest number tried: more may be better."
    return Choice(best, f"The {word} is highest at {best} signatures ({tail}, in nats).{edge}")


def choose_least_error(table: pd.DataFrame, *, least_mean: float = 0.7, least_minimum: float = 0.2) -> Choice:
    """MUSE-XAE (Pancotti et al. 2024, Bioinformatics 40:btae320): the least error among the stable ones."""
    stable = _stable(table, least_mean, least_minimum)
    if not len(stable):
        return _most_stable(table, least_mean, least_minimum)
    best = int(stable["error"].idxmin())
    return Choice(
        best,
        f"Of {_count(stable)} with mean stability >= {least_mean:g} and minimum >= {least_minimum:g}, "
        f"{best} has the least error ({stable.loc[best, 'error']:.6g}).",
    )


def choose_stable(
    table: pd.DataFrame,
    sample_errors: Mapping[int, np.ndarray],
    *,
    least_mean: float = 0.8,
    least_minimum: float = 0.2,
    level: float = 0.05,
) -> Choice:
    """SigProfilerExtractor's number: from the most stable signatures down while the fit holds. Stabilities,
    rounded to two digits, must sum to at least 1. The largest stable number is the top. Smaller ones that are
    as stable on average are taken until one has significantly larger errors than the top (rank sum test); the
    smallest tried never is. Islam et al. 2022, Cell Genomics 2:100179; version 1.4.1, ``stabVsRError``.
    """
    rounded = table.round({"stability_mean": 2, "stability_min": 2})
    stable = _stable(rounded, least_mean, least_minimum)
    stable = stable[stable["stability_mean"] + stable["stability_min"] >= 1.0]
    if not len(stable):
        return _most_stable(table, least_mean, least_minimum)
    top = int(stable.index.max())
    as_stable = stable[stable["stability_mean"] >= stable.loc[top, "stability_mean"]]
    chosen, stopped = top, ""
    for fewer in sorted((int(n) for n in as_stable.index if top > n > table.index.min()), reverse=True):
        p = float(stats.ranksums(sample_errors[fewer], sample_errors[top]).pvalue)
        if p < level and np.median(sample_errors[fewer]) > np.median(sample_errors[top]):
            stopped = f" {fewer} would fit significantly worse (p = {p:.2g})."
            break
        chosen = fewer
    return Choice(
        chosen,
        f"{top} is the most with mean stability >= {least_mean:g} and minimum >= {least_minimum:g}"
        + (f"; {chosen} fits no worse and is as stable." if chosen != top else ".")
        + stopped,
    )


def _stable(table: pd.DataFrame, least_mean: float, least_minimum: float) -> pd.DataFrame:
    """Rows that meet both demands."""
    mean, minimum = _column(table, "stability_mean"), _column(table, "stability_min")
    return table[(mean >= least_mean) & (minimum >= least_minimum)]


def _most_stable(table: pd.DataFrame, least_mean: float, least_minimum: float) -> Choice:
    """Fall back on the highest mean stability where nothing meets the demands."""
    best = int(table["stability_mean"].idxmax())
    return Choice(
        best,
        f"No number reached mean stability {least_mean:g} with minimum {least_minimum:g}; "
        f"{best} is the most stable (mean {table.loc[best, 'stability_mean']:.2f}). Use with care.",
    )


def _count(rows: pd.DataFrame) -> str:
    return "one number" if len(rows) == 1 else f"{len(rows)} numbers"


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        raise ValueError(
            f"The table of a choice must have a column {name!r}, but it has {list(table.columns)}. "
            "Fit with the method that this rule belongs to."
        )
    return table[name]


SYSTEMS: dict[str, System] = {
    "negative_binomial": System(
        NegativeBinomialNMF, lambda table, _: choose_highest(table, "evidence"), True
    ),
    "consensus": System(ConsensusNMF, lambda table, _: choose_highest(table, "evidence"), True),
    "gamma_poisson": System(GammaPoissonNMF, lambda table, _: choose_highest(table, "evidence"), True),
    "klnmf": System(
        KLNMF,
        choose_stable,
        settings={"consensus": True, "resample": "bootstrap", "accelerated": True, "n_restarts": 20},
        prepare=lambda counts: {"max_mutations": hypermutator_limit(counts)},
    ),
    "vaems": System(
        VAEMS,
        lambda table, _: choose_highest(table, "evidence"),
        settings={"consensus": True, "n_restarts": 20, "max_epochs": 200},
    ),
    "muse_xae": System(MuseXAE, lambda table, _: choose_least_error(table)),
    "signer": System(SignerNMF, lambda table, _: choose_highest(table, "bic")),
}
