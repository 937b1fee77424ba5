"""Mutation catalogs drawn from known signatures and known exposures.

For a sample of cancer type t, in this order:

=================  =========================================================================
burden             log B ~ Normal(log m_t, burden_sd^2), in mutations
active signatures  a_k ~ Bernoulli(p_tk), at least one
exposures          E_k = B a_k w_tk h_k / sum_j a_j w_tj h_j, with log h_k ~ Normal(0, share_sd^2)
hypermutation      the largest E_k grows until the sum is hypermutation_factor times B
expected counts    r = (1 - c) E S + c B q, with a contaminating spectrum q
counts             x ~ Poisson(r), or Poisson(r g) with g ~ Gamma(1 / d, d), so Var x = r + d r^2
=================  =========================================================================

The medians m_t keep the cancer types' ratios and are scaled so that the median over the whole population
(before hypermutation) is `median_mutations`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from latentgenomes.core.checks import check_profiles, list_names
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.data.published import SimulatedCatalogs

Array = npt.NDArray[np.float64]
Noise = Literal["poisson", "negative_binomial", "none"]


@dataclass(frozen=True)
class CancerType:
    """What one cancer type looks like."""

    activities: Mapping[str, tuple[float, float]]  # signature -> (probability in (0, 1], weight where active)
    burden: float = 1.0  # median number of mutations relative to the other types
    frequency: float = 1.0  # share of the samples relative to the other types


@dataclass(frozen=True)
class CatalogSettings:
    """The finer settings of `simulate_signature_catalogs`."""

    version: str = "3.4"  # of COSMIC's signatures, and their reference genome
    genome: str = "GRCh37"
    burden_sd: float = 0.7  # of the natural logarithm of the burden within a type
    share_sd: float = 0.6  # of the natural logarithm of a signature's weight within a type
    dispersion: float = 0.05  # d of the negative binomial; used only with that noise
    fraction_hypermutated: float = 0.0  # share of hypermutated samples; their number is rounded
    hypermutation_factor: float = 20.0  # how many times its burden such a sample has
    contamination: float = 0.0  # c, the share of every sample's expected mutations that is not its own
    contaminant: Literal["flat", "other_type"] = "flat"  # equal over the channels, or of another type

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        rules = {
            "burden_sd": (self.burden_sd > 0, "> 0"),
            "share_sd": (self.share_sd >= 0, ">= 0"),
            "dispersion": (self.dispersion > 0, "> 0"),
            "fraction_hypermutated": (0 <= self.fraction_hypermutated <= 1, "in [0, 1]"),
            "hypermutation_factor": (self.hypermutation_factor >= 1, ">= 1"),
            "contamination": (0 <= self.contamination < 1, "in [0, 1)"),
            "contaminant": (self.contaminant in ("flat", "other_type"), "'flat' or 'other_type'"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"{name} must be {rule}, but it is {getattr(self, name)!r}. Change it.")


#: Signatures used by default, the first n of them for `signatures=n`. Non-negative factors can tell the first
#: eight apart. The ninth is hard: SBS7a minus some SBS2 is still a spectrum, so counts may leave them mixed.
DEFAULT_SIGNATURES: tuple[str, ...] = (
    "SBS1", "SBS5", "SBS2", "SBS13", "SBS4", "SBS17b", "SBS3", "SBS10a", "SBS7a", "SBS18", "SBS9", "SBS12",
    "SBS16", "SBS6", "SBS8", "SBS28",
)  # fmt: skip

#: Cancer types used by default: signature -> (probability that it is active, relative weight). Simplified
#: from Alexandrov et al. 2020, with rare signatures made frequent enough to be found in some hundred samples.
DEFAULT_CANCER_TYPES: dict[str, CancerType] = {
    "Breast": CancerType(
        {
            "SBS1": (1, 1), "SBS5": (0.8, 2), "SBS2": (0.6, 2), "SBS13": (0.6, 2), "SBS3": (0.4, 6),
            "SBS18": (0.3, 1), "SBS8": (0.4, 1.5),
        },
        frequency=1.5,
    ),
    "Lung": CancerType(
        {"SBS1": (0.8, 0.3), "SBS5": (1, 1.5), "SBS4": (0.9, 6), "SBS2": (0.5, 1), "SBS13": (0.5, 1)},
        burden=3,
    ),
    "Skin": CancerType({"SBS1": (0.8, 0.3), "SBS5": (0.9, 1), "SBS7a": (0.9, 8)}, burden=3, frequency=1.5),
    "Ovary": CancerType(
        {
            "SBS1": (1, 1), "SBS5": (0.6, 1.5), "SBS3": (0.75, 6), "SBS2": (0.2, 1), "SBS13": (0.3, 1),
            "SBS8": (0.3, 1),
        },
        burden=1.5,
        frequency=1.5,
    ),
    "Esophagus": CancerType(
        {
            "SBS1": (1, 1.5), "SBS5": (0.9, 2), "SBS17b": (0.8, 4), "SBS2": (0.3, 1), "SBS13": (0.3, 1),
            "SBS18": (0.4, 1),
        },
        burden=2,
    ),
    "Colorectal": CancerType(
        {
            "SBS1": (1, 3), "SBS5": (0.8, 1.5), "SBS17b": (0.2, 1.5), "SBS18": (0.5, 1.5), "SBS10a": (0.4, 6),
            "SBS28": (0.2, 2), "SBS6": (0.25, 4),
        },
        burden=2,
        frequency=1.5,
    ),
    "Liver": CancerType(
        {"SBS1": (0.8, 0.6), "SBS5": (1, 3), "SBS4": (0.4, 2), "SBS12": (0.7, 2), "SBS16": (0.5, 2)},
        burden=1.5,
    ),
    "Lymphoma": CancerType({"SBS1": (1, 1), "SBS5": (1, 2.5), "SBS9": (0.7, 3), "SBS17b": (0.2, 2)}),
    "CNS": CancerType({"SBS1": (1, 1.5), "SBS5": (0.8, 1)}, burden=0.4),
}  # fmt: skip


def _profiles(signatures: int | Sequence[str] | pd.DataFrame, settings: CatalogSettings) -> pd.DataFrame:
    if isinstance(signatures, pd.DataFrame):
        return check_profiles(signatures, name="signatures")
    if isinstance(signatures, int):
        if not 1 <= signatures <= len(DEFAULT_SIGNATURES):
            raise ValueError(
                f"signatures must be between 1 and {len(DEFAULT_SIGNATURES)} when it is a number, but it is "
                f"{signatures}. For others, pass their COSMIC names."
            )
        signatures = DEFAULT_SIGNATURES[:signatures]
    table = cosmic_signatures(settings.version, genome=settings.genome)
    unknown = [name for name in signatures if name not in table.index]
    if unknown or not len(signatures) or len(set(signatures)) < len(signatures):
        raise ValueError(
            f"signatures must be different names of COSMIC v{settings.version}, but they are "
            f"{list_names(list(signatures))}; unknown: {list_names(unknown) or 'none'}. "
            "See latentgenomes.mutations.cosmic.cosmic_signatures."
        )
    return table.loc[list(signatures)]


def _random_types(names: Sequence[str], generator: np.random.Generator) -> dict[str, CancerType]:
    """Six types over any signatures; every signature belongs to two of them at least."""
    member = generator.random((6, len(names))) < 0.4
    for k in range(len(names)):
        member[generator.choice(6, size=2, replace=False), k] = True
    types = {}
    for t, row in enumerate(member):
        chosen = [name for name, is_in in zip(names, row, strict=True) if is_in] or [names[0]]
        activities = {name: (generator.uniform(0.4, 0.9), generator.uniform(1, 3)) for name in chosen}
        types[f"Type{t + 1}"] = CancerType(activities, burden=float(np.exp(generator.normal(0, 0.5))))
    return types


def _cancer_types(
    cancer_types: Mapping[str, CancerType] | None, names: Sequence[str], generator: np.random.Generator
) -> dict[str, CancerType]:
    if cancer_types is None:
        kept = {}
        for label, kind in DEFAULT_CANCER_TYPES.items():
            leading = max(kind.activities, key=lambda name: kind.activities[name][1])
            if leading in names:  # without it, this would be another cancer
                activities = {name: kind.activities[name] for name in names if name in kind.activities}
                kept[label] = CancerType(activities, kind.burden, kind.frequency)
        covered = {name for kind in kept.values() for name in kind.activities}
        return kept if covered.issuperset(names) else _random_types(names, generator)
    if not cancer_types:
        raise ValueError(
            "cancer_types must hold at least one type, but it is empty. Pass None for the default."
        )
    for label, kind in cancer_types.items():
        unknown = [name for name in kind.activities if name not in names]
        if unknown or not kind.activities:
            raise ValueError(
                f"cancer_types must use signatures of the simulation, but {label!r} has "
                f"{list_names(unknown) or 'none at all'}. Add them to signatures, or leave them out."
            )
        in_range = all(0 < p <= 1 and w > 0 for p, w in kind.activities.values())
        if not in_range or kind.burden <= 0 or kind.frequency <= 0:
            raise ValueError(
                f"cancer_types must have probabilities in (0, 1], and weights, burden and frequency > 0, but "
                f"{label!r} does not: {kind}. Change it."
            )
    return dict(cancer_types)


def _log_medians(types: Sequence[CancerType], median: float, burden_sd: float) -> Array:
    """Natural logarithm of every type's median burden; the mixture of the types has the asked median."""
    relative = np.log([kind.burden for kind in types])
    weights = np.array([kind.frequency for kind in types])
    weights = weights / weights.sum()

    def above_half(shift: float) -> float:
        return float(weights @ ndtr((np.log(median) - shift - relative) / burden_sd)) - 0.5

    low, high = np.log(median) - relative.max() - 1, np.log(median) - relative.min() + 1
    return np.asarray(relative + brentq(above_half, low, high), dtype=np.float64)


def _draw_exposures(
    types: Sequence[CancerType],
    kinds: npt.NDArray[np.int64],
    names: Sequence[str],
    settings: CatalogSettings,
    generator: np.random.Generator,
) -> Array:
    """Share of every signature in every sample: sparse, (n, k), rows sum to 1."""
    table = np.array([[kind.activities.get(name, (0.0, 0.0)) for name in names] for kind in types])
    presence, weight = table[kinds, :, 0], table[kinds, :, 1]  # (n, k)
    active = generator.random(presence.shape) < presence
    idle = ~active.any(axis=1)
    active[idle, presence[idle].argmax(axis=1)] = True
    share = active * weight * np.exp(settings.share_sd * generator.standard_normal(weight.shape))
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _hypermutate(
    exposures: Array, settings: CatalogSettings, generator: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:
    n_samples = len(exposures)
    chosen = np.full(n_samples, False)
    n_chosen = round(settings.fraction_hypermutated * n_samples)
    chosen[generator.permutation(n_samples)[:n_chosen]] = True
    rows = np.flatnonzero(chosen)
    grown = exposures.copy()
    grown[rows, exposures[rows].argmax(axis=1)] += (settings.hypermutation_factor - 1) * exposures[rows].sum(
        axis=1
    )
    return grown, chosen


def _contaminant(
    own: Array, kinds: npt.NDArray[np.int64], settings: CatalogSettings, generator: np.random.Generator
) -> Array:
    """Spectrum of the mutations that are not a sample's own: (n, c), rows sum to 1."""
    if settings.contaminant == "flat":
        return np.full_like(own, 1 / own.shape[1])
    spectra = own / own.sum(axis=1, keepdims=True)
    if len(np.unique(kinds)) < 2:
        raise ValueError(
            "contaminant='other_type' must find samples of 2 cancer types or more, but all are of one. "
            "Simulate more samples or types, or use contaminant='flat'."
        )
    donors = [generator.choice(np.flatnonzero(kinds != kind)) for kind in kinds]
    return np.asarray(spectra[donors])


def _draw_counts(expected: Array, noise: Noise, dispersion: float, generator: np.random.Generator) -> Array:
    if noise == "none":
        return np.rint(expected)
    if noise == "negative_binomial":
        expected = expected * generator.gamma(1 / dispersion, dispersion, size=expected.shape)
    return generator.poisson(expected).astype(np.float64)


def simulate_signature_catalogs(
    n_samples: int = 500,
    *,
    signatures: int | Sequence[str] | pd.DataFrame = 8,
    cancer_types: Mapping[str, CancerType] | None = None,
    median_mutations: float = 5000.0,
    noise: Noise = "poisson",
    settings: CatalogSettings | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> SimulatedCatalogs:
    """Draw mutation catalogs from known signatures; the module's docstring has the model.

    Parameters
    ----------
    n_samples : int
        Number of samples, at least 1.
    signatures : int, sequence of str or pandas.DataFrame of shape (n_signatures, n_channels)
        The first so many of `DEFAULT_SIGNATURES`, COSMIC names, or profiles of one's own with rows that sum
        to 1.
    cancer_types : mapping of str to CancerType, optional
        By default those of `DEFAULT_CANCER_TYPES` whose heaviest signature is simulated, where these cover
        all signatures; else six random types.
    median_mutations : float
        Median of the expected mutations per sample in the population without hypermutation, > 0.
    noise : {"poisson", "negative_binomial", "none"}
        Law of the counts given their expectation; ``"none"`` rounds the expectation.
    settings : CatalogSettings, optional
        Finer settings; by default ``CatalogSettings()``.
    random_state : int, numpy.random.Generator or None
        Seed of the draws. The global random state is not touched.

    Returns
    -------
    SimulatedCatalogs
        ``exposures @ signatures`` is a sample's own part of the expected counts. The metadata columns are
        ``cancer_type``, ``burden`` (expected mutations, hypermutation and contamination included),
        ``hypermutated`` and ``contaminating`` (expected mutations that are not the sample's own).

    Raises
    ------
    ValueError
        If an argument is out of range, or a signature, also one of a cancer type, is unknown.
    ImportError
        If COSMIC's signatures are asked for and SigProfilerAssignment is not installed.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101 (activities and burdens of the default types).
    """
    settings = settings or CatalogSettings()
    if n_samples < 1 or not 0 < median_mutations < np.inf:
        raise ValueError(
            f"n_samples must be >= 1 and median_mutations > 0, but they are {n_samples} and "
            f"{median_mutations}. Raise them."
        )
    if noise not in ("poisson", "negative_binomial", "none"):
        raise ValueError(
            f"noise must be 'poisson', 'negative_binomial' or 'none', but it is {noise!r}. Name one."
        )
    generator = np.random.default_rng(random_state)
    profiles = _profiles(signatures, settings)
    types = _cancer_types(cancer_types, list(profiles.index), generator)
    frequency = np.array([kind.frequency for kind in types.values()])
    kinds = generator.choice(len(types), size=n_samples, p=frequency / frequency.sum())
    log_median = _log_medians(list(types.values()), median_mutations, settings.burden_sd)[kinds]
    burden = np.exp(log_median + settings.burden_sd * generator.standard_normal(n_samples))
    shares = _draw_exposures(list(types.values()), kinds, list(profiles.index), settings, generator)
    exposures, hypermutated = _hypermutate(shares * burden[:, None], settings, generator)
    contaminating = settings.contamination * exposures.sum(axis=1)
    own = (1 - settings.contamination) * exposures
    expected = own @ profiles.to_numpy()  # (n, k) @ (k, c) -> (n, c)
    if settings.contamination > 0:
        expected = expected + contaminating[:, None] * _contaminant(expected, kinds, settings, generator)
    counts = _draw_counts(expected, noise, settings.dispersion, generator).astype(np.int64)
    samples = pd.Index([f"S{i + 1:0{len(str(n_samples))}d}" for i in range(n_samples)])
    metadata = pd.DataFrame(
        {
            "cancer_type": np.array(list(types))[kinds],
            "burden": exposures.sum(axis=1),
            "hypermutated": hypermutated,
            "contaminating": contaminating,
        },
        index=samples,
    )
    return SimulatedCatalogs(
        pd.DataFrame(counts, index=samples, columns=profiles.columns),
        profiles,
        pd.DataFrame(own, index=samples, columns=profiles.index),
        metadata,
    )
