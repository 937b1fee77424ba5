r"""Expression of co-expressed genes in several cancer types, with survival of known effect.

For a sample of type t, in this order:

====================  ======================================================================================
type                  t ~ Categorical, all types with the same chance
module activities     a_k ~ Normal(m_tk, 1), with m_tk ~ Normal(0, type_sd^2)
expression            x_g = b_g + sum_k a_k w_tkg + e_g, with e_g ~ Normal(0, noise_sd^2), then at least 0
survival              T ~ Exponential(h), h = h_0 exp(eta), eta = sum_k effect_k (a_k - mean a_k)
censoring             C ~ Exponential(c), with c such that the asked share of the patients is censored
====================  ======================================================================================

A gene belongs to one module, with a weight of size 0.5 to 1.5 and random sign, or to none. Most modules are
wired alike in all types, w_tkg = w_kg; the genes of a rewired module take their weights in another order in
every type, so that no single Gaussian holds for all types.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq

from latentgenomes.core.checks import list_names
from latentgenomes.expression.data.cohorts import ExpressionData

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpressionSettings:
    """The finer settings of `simulate_expression`.

    Attributes
    ----------
    type_sd : spread of the module activities between types, in spreads within a type, >= 0
    noise_sd : spread of a gene that no module explains, log2, >= 0
    fraction_in_modules : share of the genes that belong to a module, in (0, 1]
    fraction_rewired : share of the modules, rounded, that are wired anew in every type, in [0, 1]
    median_time : median time to the event of a patient with log hazard 0, in days, > 0
    fraction_censored : expected share of censored patients, in [0, 1)
    """

    type_sd: float = 1.5
    noise_sd: float = 0.5
    fraction_in_modules: float = 0.8
    fraction_rewired: float = 0.25
    median_time: float = 900.0
    fraction_censored: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        rules = {
            "type_sd": (self.type_sd >= 0, ">= 0"),
            "noise_sd": (self.noise_sd >= 0, ">= 0"),
            "fraction_in_modules": (0 < self.fraction_in_modules <= 1, "in (0, 1]"),
            "fraction_rewired": (0 <= self.fraction_rewired <= 1, "in [0, 1]"),
            "median_time": (self.median_time > 0, "> 0"),
            "fraction_censored": (0 <= self.fraction_censored < 1, "in [0, 1)"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"{name} must be {rule}, but it is {getattr(self, name)!r}. Change it.")


@dataclass(frozen=True)
class SimulatedExpression:
    """Expression (log2, with patient, cancer_type, time and event) and the truth that made it. `module_of` is
    the module of every gene, or ``"none"``. `loadings`, (n_types * n_modules, n_genes), are w by type and
    module; `activities`, (n_samples, n_modules), a; `effects` the log hazard ratios of one unit of activity,
    0 for most; `log_hazards`, (n_samples,), eta.
    """

    data: ExpressionData
    module_of: pd.Series
    loadings: pd.DataFrame
    activities: pd.DataFrame
    effects: pd.Series
    log_hazards: pd.Series


def _effects(modules: list[str], effects: Mapping[str, float] | None) -> pd.Series:
    given = dict(zip(modules, (0.7, -0.5), strict=False)) if effects is None else dict(effects)
    unknown = [name for name in given if name not in modules]
    if unknown:
        raise ValueError(
            f"effects must name modules of {modules[0]} to {modules[-1]}, but {list_names(unknown)} came."
        )
    return pd.Series(given, dtype="float64").reindex(modules, fill_value=0.0)


def _wire(
    n_types: int, n_modules: int, n_genes: int, settings: ExpressionSettings, generator: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Array]:
    """Module of each gene (-1 for none), and weights (n_types, n_modules, n_genes)."""
    n_in = max(round(settings.fraction_in_modules * n_genes), n_modules)
    module_of = np.full(n_genes, -1)
    module_of[generator.permutation(n_genes)[:n_in]] = np.arange(n_in) % n_modules
    sizes = generator.uniform(0.5, 1.5, n_genes) * generator.choice([-1.0, 1.0], n_genes)
    weights = np.zeros((n_types, n_modules, n_genes))
    inside = np.flatnonzero(module_of >= 0)
    weights[:, module_of[inside], inside] = sizes[inside]
    # From the last module down, so that the first ones, which act on survival, keep one meaning in all types.
    for module in range(n_modules - round(settings.fraction_rewired * n_modules), n_modules):
        genes = np.flatnonzero(module_of == module)
        for cancer_type in range(n_types):
            weights[cancer_type, module, genes] = generator.permutation(sizes[genes])
    return module_of, weights


def _censoring_rate(hazards: Array, fraction: float) -> float:
    """Rate c at which the mean of c / (c + h) is the asked share."""
    if fraction == 0:
        return 0.0
    log_rate = brentq(
        lambda log_c: float(np.mean(1 / (1 + hazards / np.exp(log_c)))) - fraction,
        np.log(hazards.min()) - 20,
        np.log(hazards.max()) + 20,
    )
    return float(np.exp(log_rate))


def _survive(
    log_hazards: Array, settings: ExpressionSettings, generator: np.random.Generator
) -> tuple[Array, npt.NDArray[np.int64]]:
    hazards = np.log(2) / settings.median_time * np.exp(log_hazards)
    latent = generator.exponential(1 / hazards)
    rate = _censoring_rate(hazards, settings.fraction_censored)
    censoring = generator.exponential(1 / rate, len(hazards)) if rate else np.full(len(hazards), np.inf)
    return np.minimum(latent, censoring), (latent <= censoring).astype(np.int64)


def simulate_expression(
    n_samples: int = 600,
    n_genes: int = 256,
    *,
    n_types: int = 6,
    n_modules: int = 16,
    effects: Mapping[str, float] | None = None,
    settings: ExpressionSettings | None = None,
    random_state: int | np.random.Generator | None = None,
) -> SimulatedExpression:
    """Draw expression with co-expression modules, cancer types and survival.

    Parameters
    ----------
    n_samples, n_genes : at least 1, and a gene for every module
    n_types, n_modules : at least 1
    effects : log hazard ratio of one unit of activity, by module; 0.7 for M1, -0.5 for M2 by default
    settings : the finer `ExpressionSettings`
    random_state : int, numpy.random.Generator or None; the seed

    Raises
    ------
    ValueError
        If a size is out of range, or an effect names no module.
    """
    sizes = {"n_samples": n_samples, "n_genes": n_genes, "n_types": n_types, "n_modules": n_modules}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, but it is {size}.")
    if n_genes < n_modules:
        raise ValueError(f"n_genes must be at least n_modules ({n_modules}), but it is {n_genes}.")
    chosen = settings or ExpressionSettings()
    generator = np.random.default_rng(random_state)
    modules = [f"M{number}" for number in range(1, n_modules + 1)]
    types = [f"T{number}" for number in range(1, n_types + 1)]
    effect = _effects(modules, effects)
    module_of, weights = _wire(n_types, n_modules, n_genes, chosen, generator)
    type_of = generator.integers(n_types, size=n_samples)
    means = chosen.type_sd * generator.normal(size=(n_types, n_modules))
    activities = means[type_of] + generator.normal(size=(n_samples, n_modules))
    values = generator.uniform(4, 12, n_genes) + np.einsum("nk,nkg->ng", activities, weights[type_of])
    values = np.maximum(values + chosen.noise_sd * generator.normal(size=values.shape), 0)
    log_hazards = (activities - activities.mean(axis=0)) @ effect.to_numpy()
    times, events = _survive(log_hazards, chosen, generator)
    samples = pd.Index([f"P{number:04d}" for number in range(1, n_samples + 1)], name="sample")
    genes = [f"GENE{number:04d}" for number in range(1, n_genes + 1)]
    table = {"patient": samples, "cancer_type": np.array(types)[type_of], "time": times, "event": events}
    return SimulatedExpression(
        ExpressionData(
            pd.DataFrame(values.astype(np.float32), index=samples, columns=genes),
            pd.DataFrame(table, index=samples),
            "log2",
        ),
        pd.Series(np.array([*modules, "none"])[module_of], index=genes),
        pd.DataFrame(
            weights.reshape(-1, n_genes), index=pd.MultiIndex.from_product([types, modules]), columns=genes
        ),
        pd.DataFrame(activities, index=samples, columns=modules),
        effect,
        pd.Series(log_hazards, index=samples),
    )
