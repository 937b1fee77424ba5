"""Comparison of codes, diversity of populations, and places of samples."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from latentgenomes.genotypes.data.calls import GenotypeData, HaplotypeData
from latentgenomes.genotypes.evaluate.ancestry import great_circle_km, place_scores
from latentgenomes.genotypes.experiments import compression, diversity

for name in ("numba", "constriction", "zstandard"):
    pytest.importorskip(name)


def people(n_people, n_snps, *, seed=0):
    """Haplotypes of two populations that copy founders of their own."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((2, 5, n_snps)) < rng.beta(0.5, 0.7, (2, 1, n_snps))).astype(np.int8)
    group = np.arange(n_people) % 2
    calls = founders[np.repeat(group, 2), rng.integers(5, size=2 * n_people)]
    calls = calls ^ (rng.random(calls.shape) < 0.01)
    index = pd.Index([f"P{i}.{copy}" for i in range(n_people) for copy in (1, 2)])
    metadata = pd.DataFrame(
        {
            "person": np.repeat([f"P{i}" for i in range(n_people)], 2),
            "population": np.repeat(np.array(["YRI", "CEU"])[group], 2),
            "region": np.repeat(np.array(["AFR", "EUR"])[group], 2),
        },
        index=index,
    )
    snps = pd.DataFrame({"chromosome": "1", "position": range(n_snps), "allele_0": "A", "allele_1": "C"})
    return HaplotypeData(calls.astype(np.int8), metadata, snps.set_index(snps["position"].astype(str)))


DATA = people(80, 60)


def test_no_person_stands_on_both_sides():
    for split in compression.splits(DATA, 3, test_fraction=0.2):
        held_out = set(split.held_out.metadata["person"])
        assert len(held_out) == 16
        assert not held_out & set(split.panel.metadata["person"])
        np.testing.assert_array_equal(
            split.panel.metadata["person"][::2], split.panel.metadata["person"][1::2]
        )


def test_every_code_is_in_the_table_with_what_both_sides_know():
    split = next(compression.splits(DATA, 1, test_fraction=0.2))
    table = compression.score_split(split)
    total = table[table["level"] == "all"].set_index("method")
    assert total.loc["HaplotypeCodec", "kind"] == "bytes"
    assert total.loc["PCA, published estimate", "kind"] == "estimate"
    assert total.loc["Li-Stephens, one setting", "known"] == "panel"
    # Each population knows more than all together, and real bytes are no less than the ideal.
    assert (
        total.loc["allele frequencies of the population", "ratio"] > total.loc["allele frequencies", "ratio"]
    )
    ideal, real = total.loc[["HaplotypeCodec, ideal", "HaplotypeCodec"], "bits_per_haplotype"]
    assert ideal < real < ideal + 8 * 60 / 32
    # Counted with the panel, nothing is as short; allele frequencies cost two bytes a SNP.
    assert (total["ratio_counted"] <= total["ratio"] + 1e-9).all()
    assert total.loc["allele frequencies", "model_bytes"] == 2 * 60
    assert total.loc["HaplotypeCodec", "model_bytes"] > 0
    regions = table[(table["method"] == "HaplotypeCodec, ideal") & (table["level"] == "region")]
    mean = np.average(regions["bits_per_haplotype"], weights=regions["n_haplotypes"])
    assert mean == pytest.approx(ideal)


def test_files_that_know_nothing_hold_everyone():
    files = compression.self_contained(DATA.calls)
    assert sum(map(len, files)) < DATA.calls.size / 8
    table = compression.score_whole(DATA).set_index("method")
    assert table.loc["HaplotypeCodec, growing panel", "bytes"] == sum(map(len, files))
    assert {"xz", "zstd", "PBWT and adaptive contexts"} <= set(table.index)


def test_a_code_that_loses_something_is_found_out():
    with pytest.raises(RuntimeError, match="must decode to what was coded, but 1 of 4 calls differ"):
        compression._check_equal(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]]))


def test_settings_are_chosen_within_the_panel():
    split = next(compression.splits(DATA, 1, test_fraction=0.2))
    assert compression.choose_components(split.panel) in (4, 8, 16)
    assert compression.choose_rates(split.panel) in compression._SETTINGS


def test_diversity_falls_with_the_steps_from_africa():
    rng = np.random.default_rng(1)
    steps = {"Africa": 0.5, "Europe": 0.35, "E.Asia": 0.2, "America": 0.1}
    calls, rows = [], []
    for region, share in steps.items():
        for number in range(3):
            calls.append((rng.random((20, 400)) < share).astype(np.int8))
            rows += [{"population": f"{region}{number}", "region": region}] * 20
    table = diversity.diversity_table(np.concatenate(calls), pd.DataFrame(rows), name="made")
    assert list(table.groupby("region")["steps"].first()[list(steps)]) == [0, 2, 3, 5]
    trends = diversity.migration_trends(table).set_index("measure")
    assert trends.loc["heterozygosity", "spearman"] < -0.9
    assert trends.loc["heterozygosity", "n_populations"] == 12
    assert "distinct" not in trends.index  # all haplotypes differ: nothing to rank


def test_populations_are_told_from_codes_with_people_kept_together():
    made = {"PCA 2": lambda: PCA(2), "PCA 5": lambda: PCA(5)}
    table = diversity.classify_populations(DATA, made, n_splits=4)
    assert table.groupby("method").size().to_dict() == {"PCA 2": 4, "PCA 5": 4}
    assert table["balanced_accuracy"].min() > 0.95
    shuffled = DATA.metadata.assign(population=np.repeat(np.random.default_rng(0).permutation(80) % 2, 2))
    chance = diversity.classify_populations(HaplotypeData(DATA.calls, shuffled, DATA.snps), made, n_splits=4)
    assert abs(chance["balanced_accuracy"].mean() - 0.5) < 0.2


def cline(n, *, seed=0):
    """Samples whose allele frequencies change along longitude and latitude."""
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.uniform(-20, 20, n), rng.uniform(30, 60, n)]).round(1)
    slopes = rng.normal(0, 0.06, (2, 500))
    shares = np.clip(0.5 + (places - places.mean(axis=0)) @ slopes / 3, 0.02, 0.98)
    calls = rng.binomial(2, shares).astype(np.int8)
    calls[rng.random(calls.shape) < 0.02] = -1
    names = pd.Index([f"W{i}" for i in range(n)])
    metadata = pd.DataFrame(places, columns=["longitude", "latitude"], index=names)
    return GenotypeData(calls, metadata, pd.DataFrame(index=pd.Index([f"s{i}" for i in range(500)])))


@pytest.mark.parametrize("block_degrees", [0.0, 10.0])
def test_places_are_told_from_a_cline(block_degrees):
    table = diversity.locate_samples(cline(80), n_components=(2, 5), block_degrees=block_degrees, n_repeats=2)
    means = table.groupby("n_components").mean(numeric_only=True)
    assert means.loc[2, "r2_longitude"] > 0.8
    assert means.loc[2, "r2_latitude"] > 0.7
    assert means.loc[0, "r2_longitude"] < 0.01
    assert means.loc[2, "median_km"] < means.loc[0, "median_km"] / 2


def test_distances_on_the_globe():
    quarter = np.pi / 2 * 6371.0088
    found = great_circle_km([[0, 0], [0, 0], [10, 20], [179, 0]], [[90, 0], [0, 90], [10, 20], [-179, 0]])
    np.testing.assert_allclose(found, [quarter, quarter, 0, quarter * 2 / 90], atol=1e-6)
    # Golden: London to Paris, airport codes LHR and CDG, about 347 km.
    assert great_circle_km([[-0.4543, 51.4700]], [[2.5479, 49.0097]])[0] == pytest.approx(347, abs=2)


def test_place_scores_by_hand():
    true = np.array([[0.0, 0.0], [10.0, 10.0], [20.0, 20.0]])
    assert place_scores(true, true) == {"r2_longitude": 1.0, "r2_latitude": 1.0, "median_km": 0.0}
    assert place_scores(true, np.full((3, 2), 10.0))["r2_longitude"] == pytest.approx(0)
    with pytest.raises(
        ValueError, match=r"two tables \(n, 2\) of one shape, but they are \(3, 2\) and \(2, 2\)"
    ):
        place_scores(true, true[:2])
    with pytest.raises(ValueError, match="must differ in longitude and latitude"):
        place_scores(true * [1, 0], true)


def test_two_calls_hold_every_genotype():
    calls = np.random.default_rng(0).integers(-1, 3, (7, 11)).astype(np.int8)
    found = diversity.two_calls(calls)
    assert set(np.unique(found)) <= {-1, 0, 1}
    one, two = found[:, :11], found[:, 11:]
    np.testing.assert_array_equal(np.where(one < 0, -1, one + two), calls)


@pytest.mark.parametrize(("n_snps", "n_kept"), [(1, 5), (10, 10), (10, 3), (1000, 7)])
def test_thinned_snps_spread_from_end_to_end(n_snps, n_kept):
    kept = diversity.thinned(n_snps, n_kept)
    assert len(kept) == min(n_snps, n_kept)
    assert kept[0] == 0
    assert (np.diff(kept) >= 1).all()
    if n_kept > 1:
        assert kept[-1] == n_snps - 1


def plane(n, *, seed=0):
    """Samples whose allele frequencies change along longitude and latitude."""
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.uniform(-20, 20, n), rng.uniform(30, 60, n)]).round(1)
    shares = np.clip(0.5 + (places - places.mean(axis=0)) @ rng.normal(0, 0.02, (2, 300)), 0.02, 0.98)
    calls = rng.binomial(2, shares).astype(np.int8)
    calls[rng.random(calls.shape) < 0.02] = -1
    metadata = pd.DataFrame(places, columns=["longitude", "latitude"], index=[f"W{i}" for i in range(n)])
    return GenotypeData(calls, metadata, pd.DataFrame(index=pd.Index([f"s{i}" for i in range(300)])))


def test_both_codes_place_samples_on_a_plane():
    """Seed 0, 80 samples: the truth is a plane, and both find it."""
    table = diversity.locate_by_codes(plane(80), n_latent=3, max_epochs=60).set_index("method")
    assert list(table.index) == ["principal components", "HaplotypeVAE"]
    assert (table[["r2_longitude", "r2_latitude"]] > 0.5).all(axis=None)
    shuffled = plane(80)
    mixed = shuffled.metadata.sample(frac=1, random_state=0).set_axis(shuffled.metadata.index)
    chance = diversity.locate_by_codes(
        GenotypeData(shuffled.calls, mixed, shuffled.snps), n_latent=3, max_epochs=5
    )
    assert (chance[["r2_longitude", "r2_latitude"]] < 0.1).all(axis=None)


def test_both_codes_tell_two_populations():
    rng = np.random.default_rng(1)
    shares = np.where(np.repeat([True, False], 40)[:, None], 0.8, 0.2) * np.ones((80, 50))
    calls = (rng.random(shares.shape) < shares).astype(np.int8)
    metadata = pd.DataFrame(
        {"person": np.repeat([f"D{i}" for i in range(40)], 2), "population": np.repeat(["dog", "wolf"], 40)},
        index=[f"h{i}" for i in range(80)],
    )
    snps = pd.DataFrame(
        {"chromosome": "1", "position": range(50), "allele_0": "0", "allele_1": "1"},
        index=[f"s{i}" for i in range(50)],
    )
    table = diversity.classify_canids(
        HaplotypeData(calls, metadata, snps), n_latent=2, n_snps=40, max_epochs=20
    )
    assert table.groupby("method")["balanced_accuracy"].mean().min() > 0.95
