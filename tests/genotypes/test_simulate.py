import numpy as np
import pytest

from latentgenomes.genotypes.simulate import MODELS, _per_generation, simulate_haplotypes

pytest.importorskip("stdpopsim")

CANIDS = "EarlyWolfAdmixture_6F14"
SMALL = {"length": 100_000, "random_state": 1}


@pytest.fixture(scope="module")
def humans():
    return simulate_haplotypes(n_people=20, length=300_000, random_state=0)


@pytest.fixture(scope="module")
def admixed():
    people = {"AFR": 30, "EUR": 30, "ASIA": 30, "ADMIX": 100}
    return simulate_haplotypes(
        "AmericanAdmixture_4B18", people, length=2_000_000, min_maf=0.05, random_state=0
    )


def heterozygosity(data, population):
    """Expected differences per site between two haplotypes of a population."""
    calls = data.calls[(data.metadata["population"] == population).to_numpy()]
    n, ones = len(calls), calls.sum(axis=0)
    return (2 * ones * (n - ones) / (n * (n - 1))).sum()


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_alone_decides(model):
    first, again = (simulate_haplotypes(model, 2, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first.data.calls, again.data.calls)
    other = simulate_haplotypes(model, 2, **SMALL | {"random_state": 2})
    assert first.data.calls.shape != other.data.calls.shape or (first.data.calls != other.data.calls).any()


def test_the_global_random_state_stays():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_haplotypes(n_people=1, **SMALL)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("model", MODELS)
def test_people_and_populations_stand_in_neighbouring_rows(model):
    names = MODELS[model][1][:2]
    data = simulate_haplotypes(model, {names[1]: 3, names[0]: 1}, **SMALL).data
    assert list(data.metadata["population"]) == [names[1]] * 6 + [names[0]] * 2
    assert list(data.metadata["person"][::2]) == list(data.metadata["person"][1::2])
    assert data.metadata["person"].nunique() == 4
    assert data.snps["position"].is_monotonic_increasing
    assert data.snps["position"].between(0, SMALL["length"] - 1).all()


def test_every_site_varies_and_the_frequency_filter_holds(humans):
    frequency = humans.data.calls.mean(axis=0)
    assert frequency.min() > 0
    assert frequency.max() < 1
    same = simulate_haplotypes(n_people=20, length=300_000, min_maf=0.1, random_state=0).data
    kept = np.minimum(frequency, 1 - frequency) >= 0.1
    np.testing.assert_array_equal(same.calls, humans.data.calls[:, kept])


def test_diversity_is_highest_in_africa_and_of_the_known_size(humans):
    per_base = {name: heterozygosity(humans.data, name) / 300_000 for name in ("YRI", "CEU", "CHB")}
    assert per_base["YRI"] > per_base["CEU"]
    assert per_base["YRI"] > per_base["CHB"]
    # About 4 N mu = 4 x 12300 x 2.35e-8 = 1.2e-3; one piece of 300 kb varies by a third or so.
    assert 0.6e-3 < per_base["YRI"] < 2.2e-3


def test_a_model_without_admixture_has_no_local_ancestry(humans):
    assert humans.local_ancestry is None
    assert humans.ancestries == ()


def test_local_ancestry_has_the_shares_of_the_model(admixed):
    ancestry, population = admixed.local_ancestry, admixed.data.metadata["population"].to_numpy()
    assert admixed.ancestries == ("AFR", "EUR", "ASIA")
    assert ancestry.shape == admixed.data.calls.shape
    assert ancestry.min() == 0
    rows = ancestry[population == "ADMIX"]
    for source, share in enumerate((1 / 6, 1 / 3, 1 / 2)):
        per_haplotype = (rows == source).mean(axis=1)
        error = per_haplotype.std(ddof=1) / np.sqrt(len(rows))  # 200 haplotypes
        # Some haplotypes share their founders, so the standard error is a little too small: allow 6.
        assert abs(per_haplotype.mean() - share) < 6 * error
    for source, name in enumerate(admixed.ancestries):
        assert (ancestry[population == name] == source).mean() > 0.98  # 12 generations of rare migration


def test_local_ancestry_changes_as_often_as_chromosomes_recombine(admixed):
    rows = admixed.local_ancestry[(admixed.data.metadata["population"] == "ADMIX").to_numpy()]
    switches = (np.diff(rows.astype(int), axis=1) != 0).sum(axis=1)
    # 12.5 generations x 2 Mb x 1.28e-8 = 0.32 crossings, and 11/18 of them join different sources.
    expected = 12.5 * 2e6 * 1.28e-8 * (1 - 1 / 36 - 1 / 9 - 1 / 4)
    error = switches.std(ddof=1) / np.sqrt(len(switches))
    assert abs(switches.mean() - expected) < 6 * error + 0.05


def test_ancestry_explains_frequencies(admixed):
    """An admixed haplotype is nearer to its local ancestry than to any one source."""
    data, population = admixed.data, admixed.data.metadata["population"].to_numpy()
    references = np.stack([data.calls[population == name].mean(axis=0) for name in admixed.ancestries])
    rows = admixed.local_ancestry[population == "ADMIX"].astype(int)
    calls = data.calls[population == "ADMIX"]
    distance = np.abs(calls[None] - references[:, None, :])  # (3, n, n_snps)
    own = np.take_along_axis(distance, rows[None], axis=0)[0]
    assert own.mean() < distance.mean(axis=(1, 2)).min()


def test_dogs_and_wolves_and_jackals():
    data = simulate_haplotypes(CANIDS, 4, length=400_000, random_state=0).data
    assert set(data.metadata["population"]) == {"BSJ", "DNG", "CHW", "ISW", "CRW", "GLJ"}
    # Dogs went through bottlenecks: they have less diversity than the Israeli wolf.
    for dog in ("BSJ", "DNG"):
        assert heterozygosity(data, dog) < heterozygosity(data, "ISW")
    # Golden jackals split off first, by far.
    population = data.metadata["population"].to_numpy()
    means = {name: data.calls[population == name].mean(axis=0) for name in set(population)}
    distance = {name: np.abs(means[name] - means["CRW"]).mean() for name in means}
    assert all(distance[name] < distance["GLJ"] for name in ("BSJ", "DNG", "CHW", "ISW"))


def test_the_canid_model_counts_in_generations():
    """Golden: dogs and wolves split 14,874 years ago (table S12), 4958 generations of 3 years."""
    known = pytest.importorskip("stdpopsim").get_species("CanFam").get_demographic_model(CANIDS)
    # Where the catalogue is mended, the correction must go.
    assert known.model["ancDOG"].name == "ancDOG"
    assert known.model.migration_matrix.max() == 0.18
    fixed = _per_generation(known.model, known.generation_time)
    split = next(event for event in fixed.events if "ancDOG" in getattr(event, "derived", ()))
    assert split.time == 4958
    basenji, wolf = (fixed[name].id for name in ("BSJ", "ISW"))
    # Both lived until the basenji's split from the dingo, 12,795 years ago.
    assert fixed.migration_matrix[basenji, wolf] * 12_795 / 3 == pytest.approx(0.18)
    flow = [event for event in fixed.events if hasattr(event, "rate")]
    assert {round(event.rate * (398_262 - 14_874) / 3, 9) for event in flow} == {0.02, 0.99}
    assert known.model.migration_matrix.max() == 0.18  # the catalogue's own stays as it is


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "Zigzag_1S14"}, "model must be one of OutOfAfrica_3G09, .* but it is 'Zigzag_1S14'"),
        ({"n_people": {"FIN": 3}}, "n_people must be >= 1 for some of YRI, CEU, CHB, but it is {'FIN': 3}"),
        ({"n_people": 0}, "but it is 0"),
        ({"n_people": {}}, "but it is {}"),
        ({"length": 0}, "length must be >= 1 base pair, but it is 0"),
        ({"min_maf": 0.6, "length": 1000}, r"min_maf must be in \[0, 0.5\], but it is 0.6"),
        (
            {"length": 1, "n_people": 1, "random_state": 0},
            "At least one site must vary, but of 0 mutated ones",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_haplotypes(**arguments)
