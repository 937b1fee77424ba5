"""Haplotypes drawn from published demographic models of humans and canids, with their truth.

The catalogue of stdpopsim names sizes, splits, growth and migration; msprime draws the ancestry backwards in
time and puts mutations on it:

=========================  =======  =============================================================
model                      species  populations
=========================  =======  =============================================================
OutOfAfrica_3G09           human    YRI, CEU, CHB
AmericanAdmixture_4B18     human    AFR, EUR, ASIA, and ADMIX: 1/6, 1/3 and 1/2 of them, 12
                                    generations ago
EarlyWolfAdmixture_6F14    canid    dogs BSJ (basenji), DNG (dingo); wolves CHW (China), ISW
                                    (Israel), CRW (Croatia); GLJ (golden jackal)
=========================  =======  =============================================================

Mutation and recombination rates are the model's and the species' means. Nothing is downloaded.

The catalogue (stdpopsim 0.3) holds the canid model with the paper's split times in years as if they were
generations, and with the paper's total migration of each pair as if it were the migration of one generation:
18% of the basenji's parents would be Israeli wolves in every generation, and the two, with the jackal, one
population. Here times are divided by the generation interval of 3 years, and each total by the generations
for which both populations stood side by side.

References
----------
Adrion et al. 2020, eLife 9:e54967 (stdpopsim); Baumdicker et al. 2022, Genetics 220:iyab229 (msprime);
Gutenkunst et al. 2009, PLoS Genetics 5:e1000695; Browning et al. 2018, PLoS Genetics 14:e1007385; Freedman et
al. 2014, PLoS Genetics 10:e1004016, table S12; github.com/popsim-consortium/stdpopsim, issue 1801.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from latentgenomes.core.extras import require
from latentgenomes.genotypes.data.calls import HaplotypeData, allele_frequencies

#: Species and populations of every model.
MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "OutOfAfrica_3G09": ("HomSap", ("YRI", "CEU", "CHB")),
    "AmericanAdmixture_4B18": ("HomSap", ("AFR", "EUR", "ASIA", "ADMIX")),
    "EarlyWolfAdmixture_6F14": ("CanFam", ("BSJ", "DNG", "CHW", "ISW", "CRW", "GLJ")),
}
#: Populations from which the admixed one came, and when, in generations: just before its founding.
_SOURCES = {"AmericanAdmixture_4B18": (("AFR", "EUR", "ASIA"), 12.5)}


@dataclass(frozen=True)
class SimulatedHaplotypes:
    """Phased calls with the truth that made them.

    With admixture `local_ancestry` holds, for every call, the place in `ancestries` of the population in
    which its ancestor lived just before; without it is None.
    """

    data: HaplotypeData
    local_ancestry: npt.NDArray[np.int8] | None
    ancestries: tuple[str, ...]


def _people(model: str, n_people: int | Mapping[str, int]) -> dict[str, int]:
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, but it is {model!r}. Name one of these.")
    names = MODELS[model][1]
    wanted = dict(n_people) if isinstance(n_people, Mapping) else dict.fromkeys(names, n_people)
    wrong = {name: n for name, n in wanted.items() if name not in names or n < 1}
    if wrong or not wanted:
        raise ValueError(
            f"n_people must be >= 1 for some of {', '.join(names)}, but it is {n_people!r}. Change it."
        )
    return wanted


def _per_generation(demography: Any, generation_time: float) -> Any:
    """The canid model in generations: times from years, migration from totals over its duration."""
    fixed = demography.copy()
    for event in fixed.events:
        event.time /= generation_time
    ends = {name: event.time for event in fixed.events for name in getattr(event, "derived", ())}
    names = [population.name for population in fixed.populations]
    for i, j in np.argwhere(fixed.migration_matrix > 0):
        fixed.migration_matrix[i, j] /= min(ends[names[i]], ends[names[j]])
    for event in fixed.events:
        if hasattr(event, "rate"):
            event.rate /= min(ends[event.source], ends[event.dest]) - event.time
    return fixed


def _local_ancestry(
    trees: Any, sources: tuple[str, ...], positions: npt.NDArray[Any]
) -> npt.NDArray[np.int8]:
    """Source population of the ancestor of every sample at every site, by the census nodes."""
    msprime = require("msprime", extra="genotypes")
    names = [population.metadata["name"] for population in trees.populations()]
    source_of = np.array([sources.index(name) if name in sources else -1 for name in names], dtype=np.int8)
    census = np.flatnonzero(trees.nodes_flags & msprime.NODE_IS_CEN_EVENT)
    samples = trees.samples()
    edges = trees.tables.link_ancestors(samples, census)
    row_of = np.full(trees.num_nodes, -1)
    row_of[samples] = np.arange(len(samples))
    ancestry = np.full((len(samples), len(positions)), -1, dtype=np.int8)
    starts, ends = np.searchsorted(positions, edges.left), np.searchsorted(positions, edges.right)
    origin = source_of[trees.nodes_population[edges.parent]]
    for child, start, end, source in zip(row_of[edges.child], starts, ends, origin, strict=True):
        ancestry[child, start:end] = source
    return ancestry


def simulate_haplotypes(
    model: str = "OutOfAfrica_3G09",
    n_people: int | Mapping[str, int] = 50,
    *,
    length: int = 1_000_000,
    min_maf: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> SimulatedHaplotypes:
    """Draw phased haplotypes of one piece of a chromosome from a demographic model.

    Parameters
    ----------
    model : str
        OutOfAfrica_3G09, AmericanAdmixture_4B18 or EarlyWolfAdmixture_6F14.
    n_people : int or mapping of str to int
        People (or animals) of every population, or of each one that is named; >= 1.
    length : int
        Base pairs, >= 1.
    min_maf : float
        Least frequency of the rarer allele over all haplotypes, in [0, 0.5]. Sites where all are equal are
        always left out.
    random_state : int, numpy.random.Generator or None
        Seed.

    Returns
    -------
    SimulatedHaplotypes
        The two haplotypes of a person stand in neighbouring rows.

    Raises
    ------
    ValueError
        If there is no such model or population, a number is out of range, or no site varies.
    """
    people = _people(model, n_people)
    if length < 1:
        raise ValueError(f"length must be >= 1 base pair, but it is {length!r}. Try 1,000,000.")
    msprime = require("msprime", extra="genotypes")
    species = require("stdpopsim", extra="genotypes").get_species(MODELS[model][0])
    known = species.get_demographic_model(model)
    demography = known.model.copy()
    if MODELS[model][0] == "CanFam":
        demography = _per_generation(demography, known.generation_time)
    sources, census = _SOURCES.get(model, ((), None))
    if census is not None:
        demography.add_census(time=census)
        demography.sort_events()
    contig = species.get_contig(length=length)
    generator = np.random.default_rng(random_state)
    seeds = [int(seed) for seed in generator.integers(1, 2**31 - 1, size=2)]
    trees = msprime.sim_ancestry(
        people,
        demography=demography,
        sequence_length=length,
        recombination_rate=contig.recombination_map.mean_rate,
        random_seed=seeds[0],
    )
    rate = known.mutation_rate or contig.mutation_rate
    trees = msprime.sim_mutations(trees, rate, model=msprime.BinaryMutationModel(), random_seed=seeds[1])
    return _collect(trees, people, sources, min_maf)


def _collect(
    trees: Any, people: dict[str, int], sources: tuple[str, ...], min_maf: float
) -> SimulatedHaplotypes:
    by_site = np.empty((trees.num_sites, trees.num_samples), dtype=np.int8)
    for row, variant in zip(by_site, trees.variants(copy=False), strict=True):
        row[:] = variant.genotypes  # a quarter of the memory of trees.genotype_matrix()
    calls = np.ascontiguousarray(by_site.T)
    frequency = allele_frequencies(calls)
    rarer = np.minimum(frequency, 1 - frequency)
    if not 0 <= min_maf <= 0.5:
        raise ValueError(f"min_maf must be in [0, 0.5], but it is {min_maf!r}. Try 0.01.")
    kept = (rarer > 0) & (rarer >= min_maf)
    if not kept.any():
        raise ValueError(
            f"At least one site must vary, but of {len(kept)} mutated ones none does with a frequency >= "
            f"{min_maf}. Simulate a longer piece or more people."
        )
    positions = trees.sites_position[kept].astype(np.int64)
    names = [f"{population}_{i}" for population, n in people.items() for i in range(1, n + 1)]
    person = np.repeat(names, 2)
    index = pd.Index([f"{name}.{copy}" for name in names for copy in (1, 2)])
    population = np.repeat(list(people), [2 * n for n in people.values()])
    metadata = pd.DataFrame({"person": person, "population": population}, index=index)
    snps = pd.DataFrame(
        {"chromosome": "1", "position": positions, "allele_0": "0", "allele_1": "1"},
        index=pd.Index([f"1:{position}" for position in positions]),
    )
    ancestry = _local_ancestry(trees, sources, trees.sites_position[kept]) if sources else None
    return SimulatedHaplotypes(HaplotypeData(calls[:, kept], metadata, snps), ancestry, sources)
