"""Dogs and wolves by latent variables and by principal components."""

import numpy as np
import pandas as pd
import pytest

from latentgenomes.genotypes.data.calls import GenotypeData, HaplotypeData
from latentgenomes.genotypes.experiments import diversity

pytest.importorskip("numba")


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


def cline(n, *, seed=0):
    """Samples whose allele frequencies change along longitude and latitude."""
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.uniform(-20, 20, n), rng.uniform(30, 60, n)]).round(1)
    shares = np.clip(0.5 + (places - places.mean(axis=0)) @ rng.normal(0, 0.02, (2, 300)), 0.02, 0.98)
    calls = rng.binomial(2, shares).astype(np.int8)
    calls[rng.random(calls.shape) < 0.02] = -1
    metadata = pd.DataFrame(places, columns=["longitude", "latitude"], index=[f"W{i}" for i in range(n)])
    return GenotypeData(calls, metadata, pd.DataFrame(index=pd.Index([f"s{i}" for i in range(300)])))


def test_both_codes_place_samples_on_a_cline():
    """Seed 0, 80 samples: the truth is a plane, and both find it."""
    table = diversity.locate_by_codes(cline(80), n_latent=3, max_epochs=60).set_index("method")
    assert list(table.index) == ["principal components", "HaplotypeVAE"]
    assert (table[["r2_longitude", "r2_latitude"]] > 0.5).all(axis=None)
    shuffled = cline(80)
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
