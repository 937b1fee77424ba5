"""Tumours with several mutation profiles, drawn from known signatures and known types.

For a tumour of type t and a profile p, in this order:

=================  ================================================================================
burden             log B_p ~ Normal(log m_tp + g, burden_sd^2), with g ~ Normal(0, genome_sd^2) shared
shares             a ~ Dirichlet(concentration * w_tp): the weight w of each signature of the type
project            q_c = exp(h_c) / mean, with log-factors h ~ Normal(0, project_sd^2) per channel
expected counts    r = B (a S) q, scaled back to the sum B
counts             x ~ Poisson(r)
=================  ================================================================================

Tumours of one donor share burden and shares. Some profiles are absent, as if they had never been called; a
burden may also be so small that a profile is all zeros. The default types come in pairs that one profile
alone cannot tell apart: Breast and Ovary share their substitutions, Skin and Lung their copy number, Prostate
and CNS their indels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.checks import check_profiles, list_names
from latentgenomes.multimodal.data.profiles import wide_table
from latentgenomes.mutations.channels import channels_of
from latentgenomes.mutations.cosmic import cosmic_signatures

Array = npt.NDArray[np.float64]

SIMULATED_PROFILES = ("SBS96", "ID83", "CN48", "SV32")
_GENOMES = {"SV32": "GRCh38"}  # the only genome for which COSMIC gives these signatures


@dataclass(frozen=True)
class TumourType:
    """What the tumours of one type look like; `frequency` is relative to the other types, all numbers are >
    0.

    `weights` of the signatures, and the median `burden` of mutations, segments or variants, stand by profile.
    """

    weights: Mapping[str, Mapping[str, float]]
    burden: Mapping[str, float]
    frequency: float = 1.0


@dataclass(frozen=True)
class TumourSettings:
    """The finer settings of `simulate_tumours`.

    `burden_sd` and `genome_sd` are standard deviations of the natural logarithm of a burden: of its own, and
    shared by the profiles. `concentration` belongs to the Dirichlet distribution of the shares: the larger,
    the more alike are tumours of a type. `project_sd` is that of the logarithm of a project's factor on each
    channel; every type has `n_projects`. `fraction_repeated` of the tumours are a second sample of a donor;
    `fraction_absent` lack each profile but the first.
    """

    burden_sd: float = 0.5
    genome_sd: float = 0.4
    concentration: float = 4.0
    project_sd: float = 0.03
    n_projects: int = 2
    fraction_repeated: float = 0.05
    fraction_absent: float = 0.03

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        rules = {
            "burden_sd": (self.burden_sd >= 0, ">= 0"),
            "genome_sd": (self.genome_sd >= 0, ">= 0"),
            "concentration": (self.concentration > 0, "> 0"),
            "project_sd": (self.project_sd >= 0, ">= 0"),
            "n_projects": (self.n_projects >= 1, ">= 1"),
            "fraction_repeated": (0 <= self.fraction_repeated <= 0.5, "in [0, 0.5]"),
            "fraction_absent": (0 <= self.fraction_absent < 1, "in [0, 1)"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"{name} must be {rule}, but it is {getattr(self, name)!r}. Change it.")


@dataclass(frozen=True)
class SimulatedTumours:
    """Profiles of tumours with the truth that made them.

    `tables` are counts by profile, int64; a tumour whose profile is absent is not in its table. `samples` has
    ``cancer_type``, ``project`` and ``donor``. Rows of the true `signatures` sum to 1. `exposures` are the
    true expected counts of every signature, before the project's factors; absent profiles included.
    """

    tables: dict[str, pd.DataFrame]
    samples: pd.DataFrame
    signatures: dict[str, pd.DataFrame]
    exposures: dict[str, pd.DataFrame]

    def wide(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Profiles side by side, NaN where one is absent: see `to_wide`."""
        tables = self.tables if names is None else {name: self.tables[name] for name in names}
        return wide_table(tables, self.samples.index)


_HRD = {"SBS3": 5.0, "SBS5": 2.0, "SBS1": 1.0, "SBS8": 1.0}
_QUIET_ID = {"ID1": 3.0, "ID2": 2.0, "ID5": 2.0, "ID8": 1.0}
_DIPLOID = {"CN1": 6.0, "CN9": 2.0, "CN13": 1.0}
#: Types used by default, loosely after the pan-cancer compendia; two of each pair agree in one profile.
DEFAULT_TUMOUR_TYPES: dict[str, TumourType] = {
    "Breast": TumourType(
        {
            "SBS96": _HRD,
            "ID83": {"ID6": 4.0, "ID8": 2.0, "ID1": 1.0},
            "CN48": {"CN17": 4.0, "CN2": 2.0, "CN9": 1.0},
            "SV32": {"SV3": 4.0, "SV5": 2.0, "SV9": 1.0},
        },
        {"SBS96": 6000, "ID83": 500, "CN48": 150, "SV32": 150},
        frequency=1.5,
    ),
    "Ovary": TumourType(
        {
            "SBS96": _HRD,
            "ID83": {"ID6": 2.0, "ID8": 3.0, "ID4": 1.0},
            "CN48": {"CN17": 2.0, "CN4": 3.0, "CN7": 2.0},
            "SV32": {"SV1": 4.0, "SV5": 2.0, "SV4": 1.0},
        },
        {"SBS96": 6500, "ID83": 450, "CN48": 200, "SV32": 170},
    ),
    "Skin": TumourType(
        {
            "SBS96": {"SBS7a": 6.0, "SBS7b": 2.0, "SBS1": 0.3, "SBS5": 0.7},
            "ID83": {"ID13": 4.0, "ID1": 2.0, "ID8": 1.0},
            "CN48": {"CN2": 3.0, "CN9": 2.0, "CN1": 1.0},
            "SV32": {"SV2": 2.0, "SV6": 2.0, "SV9": 1.0},
        },
        {"SBS96": 30000, "ID83": 600, "CN48": 90, "SV32": 70},
    ),
    "Lung": TumourType(
        {
            "SBS96": {"SBS4": 6.0, "SBS5": 1.5, "SBS2": 0.7, "SBS13": 0.7},
            "ID83": {"ID3": 5.0, "ID1": 1.0, "ID8": 1.0},
            "CN48": {"CN2": 3.0, "CN9": 2.0, "CN1": 1.0},
            "SV32": {"SV2": 1.0, "SV9": 2.0, "SV4": 1.0},
        },
        {"SBS96": 25000, "ID83": 1800, "CN48": 100, "SV32": 110},
    ),
    "Prostate": TumourType(
        {
            "SBS96": {"SBS1": 2.0, "SBS5": 4.0, "SBS18": 0.7},
            "ID83": _QUIET_ID,
            "CN48": {"CN1": 4.0, "CN9": 3.0, "CN17": 0.7},
            "SV32": {"SV7": 2.0, "SV9": 2.0, "SV10": 1.0},
        },
        {"SBS96": 2500, "ID83": 220, "CN48": 70, "SV32": 60},
        frequency=1.5,
    ),
    "CNS": TumourType(
        {
            "SBS96": {"SBS1": 3.0, "SBS5": 3.0, "SBS8": 0.7},
            "ID83": _QUIET_ID,
            "CN48": _DIPLOID,
            "SV32": {"SV6": 2.0, "SV9": 1.0, "SV2": 1.0},
        },
        {"SBS96": 1000, "ID83": 120, "CN48": 40, "SV32": 12},
        frequency=1.5,
    ),
}


def _check_types(types: Mapping[str, TumourType], profiles: Sequence[str]) -> None:
    if len(types) < 2:
        raise ValueError(f"tumour_types must hold at least 2 types, but it holds {len(types)}. Add some.")
    for label, kind in types.items():
        for profile in profiles:
            weights, burden = kind.weights.get(profile, {}), kind.burden.get(profile, 0.0)
            if not weights or min(weights.values()) <= 0 or burden <= 0 or kind.frequency <= 0:
                raise ValueError(
                    "tumour_types must have signatures with weights > 0 and a burden > 0 in every profile, "
                    f"and a frequency > 0, but {label!r} does not in {profile}. Change it."
                )


def dirichlet_signatures(
    profile: str, names: Sequence[str], *, concentration: float = 0.1, random_state: int = 0
) -> pd.DataFrame:
    """Rows from a flat Dirichlet distribution over the channels, where there is no reference.

    The smaller the `concentration`, > 0, the more a signature keeps to a few channels.
    """
    channels = list(channels_of(profile))
    rows = np.random.default_rng(random_state).dirichlet([concentration] * len(channels), size=len(names))
    return pd.DataFrame(rows, index=pd.Index(list(names)), columns=channels)


def _samples(
    n_samples: int, types: Mapping[str, TumourType], settings: TumourSettings, generator: np.random.Generator
) -> pd.DataFrame:
    """Type, project and donor of every tumour."""
    n_repeated = round(settings.fraction_repeated * n_samples)
    first = n_samples - n_repeated
    frequency = np.array([kind.frequency for kind in types.values()])
    kinds = generator.choice(len(types), size=first, p=frequency / frequency.sum())
    projects = generator.integers(settings.n_projects, size=first)
    donors = np.concatenate([np.arange(first), generator.permutation(first)[:n_repeated]])
    order = generator.permutation(n_samples)
    donors = donors[order]
    width = len(str(n_samples))
    names = np.array(list(types))
    return pd.DataFrame(
        {
            "cancer_type": names[kinds[donors]],
            "project": [f"{names[kinds[d]]}-{projects[d] + 1}" for d in donors],
            "donor": [f"D{d + 1:0{width}d}" for d in donors],
        },
        index=pd.Index([f"T{i + 1:0{width}d}" for i in range(n_samples)]),
    )


def _exposures(
    profile: str,
    types: Mapping[str, TumourType],
    samples: pd.DataFrame,
    shared: Array,
    settings: TumourSettings,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Expected counts of every signature: (n_samples, n_signatures); equal for the samples of a donor."""
    names = sorted({name for kind in types.values() for name in kind.weights[profile]})
    donors, first = np.unique(samples["donor"], return_index=True)
    rows = np.zeros((len(donors), len(names)))
    for number, label in enumerate(samples["cancer_type"].to_numpy()[first]):
        weights = np.array([types[label].weights[profile].get(name, 0.0) for name in names])
        on = weights > 0
        mean = weights[on] / weights.sum()
        share = generator.dirichlet(settings.concentration * len(mean) * mean)
        log_burden = np.log(types[label].burden[profile]) + shared[number]
        rows[number, on] = share * np.exp(log_burden + settings.burden_sd * generator.standard_normal())
    frame = pd.DataFrame(rows, index=pd.Index(donors), columns=names)
    return frame.loc[samples["donor"]].set_axis(samples.index)


def _project_factors(
    projects: pd.Series, n_channels: int, settings: TumourSettings, generator: np.random.Generator
) -> Array:
    codes, names = pd.factorize(projects, sort=True)
    factors = np.exp(settings.project_sd * generator.standard_normal((len(names), n_channels)))
    rows: Array = (factors / factors.mean(axis=1, keepdims=True))[codes]
    return rows


def simulate_tumours(
    n_samples: int = 400,
    *,
    profiles: Sequence[str] = SIMULATED_PROFILES,
    tumour_types: Mapping[str, TumourType] | None = None,
    signatures: Mapping[str, pd.DataFrame] | None = None,
    settings: TumourSettings | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> SimulatedTumours:
    """Draw tumours of known types with several profiles; the module's docstring has the model.

    Parameters
    ----------
    n_samples : int
        Number of tumours, at least 2.
    profiles : sequence of str
        Of SBS96, ID83, DBS78, CN48 and SV32; the first is never absent.
    tumour_types : mapping of str to TumourType, optional
        By default `DEFAULT_TUMOUR_TYPES`, which have no DBS78.
    signatures : mapping of str to DataFrame, optional
        By profile, rows that sum to 1, where they are not to be COSMIC's; see `dirichlet_signatures`.
    settings : TumourSettings, optional
        Finer settings; by default ``TumourSettings()``.
    random_state : int, numpy.random.Generator or None
        Seed of the draws. The global random state is not touched.

    Raises
    ------
    ValueError
        If an argument is out of range, or a type uses a signature that is not there.
    ImportError
        If COSMIC's signatures are asked for and SigProfilerAssignment is not installed.

    References
    ----------
    Alexandrov et al. 2020, Nature 578:94-101; Steele et al. 2022, Nature 606:984-991; Everall et al. 2023,
    medRxiv 2023.06.07.23290970 (which signatures are in which types).
    """
    settings = settings or TumourSettings()
    types = DEFAULT_TUMOUR_TYPES if tumour_types is None else dict(tumour_types)
    if n_samples < 2 or not profiles or len(set(profiles)) < len(profiles):
        raise ValueError(
            f"n_samples must be >= 2 and profiles different names, but they are {n_samples} and "
            f"{list(profiles)}. Change them."
        )
    _check_types(types, profiles)
    generator = np.random.default_rng(random_state)
    samples = _samples(n_samples, types, settings, generator)
    shared = settings.genome_sd * generator.standard_normal(samples["donor"].nunique())
    tables: dict[str, pd.DataFrame] = {}
    used: dict[str, pd.DataFrame] = {}
    exposures: dict[str, pd.DataFrame] = {}
    for number, profile in enumerate(profiles):
        own = _exposures(profile, types, samples, shared, settings, generator)
        spectra = _spectra(profile, list(own.columns), signatures)
        expected = own.to_numpy() @ spectra.to_numpy()  # (n, k) @ (k, c) -> (n, c)
        tilted = expected * _project_factors(samples["project"], expected.shape[1], settings, generator)
        tilted *= expected.sum(axis=1, keepdims=True) / tilted.sum(axis=1, keepdims=True)
        counts = pd.DataFrame(generator.poisson(tilted), index=samples.index, columns=spectra.columns)
        absent = np.zeros(n_samples, dtype=bool)
        if number > 0:
            absent[generator.permutation(n_samples)[: round(settings.fraction_absent * n_samples)]] = True
        tables[profile], used[profile], exposures[profile] = counts[~absent], spectra, own
    return SimulatedTumours(tables, samples, used, exposures)


def _spectra(
    profile: str, names: Sequence[str], signatures: Mapping[str, pd.DataFrame] | None
) -> pd.DataFrame:
    if signatures is None or profile not in signatures:
        table = cosmic_signatures(context=profile, genome=_GENOMES.get(profile, "GRCh37"))
        unknown = [name for name in names if name not in table.index]
        if unknown:
            raise ValueError(
                f"tumour_types must use signatures of COSMIC, but {profile} has no {list_names(unknown)}. "
                "Pass signatures of your own, or change the names."
            )
        return table.loc[list(names)]
    table = check_profiles(signatures[profile], name=f"signatures of {profile}")
    missing = [name for name in names if name not in table.index]
    if missing or list(table.columns) != list(channels_of(profile)):
        raise ValueError(
            f"signatures of {profile} must have its channels in catalogue order and all signatures of the "
            f"types; missing: {list_names(missing) or 'none'}. Add them, or order the columns."
        )
    return table.loc[list(names)]
