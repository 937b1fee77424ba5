"""Costs of haplotypes: the published estimate, honest bits, entropy, and codes without a network."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latentgenomes.genotypes.evaluate import classical_codes, compression

PUBLISHED = Path(__file__).parents[2] / "data" / "published" / "aegen_table1.csv"


def mosaics(n_haplotypes, n_snps, *, seed=0, n_founders=8, switch=0.05, error=0.01):
    """Haplotypes that copy a few founders."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((n_founders, n_snps)) < rng.beta(0.5, 1, n_snps)).astype(np.int8)
    rng = np.random.default_rng([seed, n_haplotypes])
    jumps = np.cumsum(rng.random((n_haplotypes, n_snps)) < switch, axis=1)
    copied = rng.integers(n_founders, size=(n_haplotypes, n_snps + 1))
    rows = np.take_along_axis(copied, jumps, axis=1)
    return founders[rows, np.arange(n_snps)] ^ (rng.random(rows.shape) < error)


PANEL, CALLS = mosaics(60, 40), mosaics(7, 40)


def test_runs_of_residuals_by_hand():
    residuals = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]], dtype=bool)
    assert list(compression.residual_runs(residuals)) == [1, 3, 5, 1]


def test_the_published_estimate_by_hand():
    calls = np.array([[0, 1, 1, 0], [1, 1, 1, 1]], dtype=np.int8)
    perfect = compression.published_bits(calls, calls * 0.8 + 0.1, 2)
    assert list(perfect) == [16 + 64, 16 + 64]
    wrong = compression.published_bits(calls, np.full((2, 4), 0.9), 0)
    assert list(wrong) == [16 * 3, 16]


@pytest.mark.parametrize(
    ("calls", "probabilities", "n_latents", "message"),
    [
        (CALLS, np.zeros((7, 39)), 2, r"tables of one shape, but they are \(7, 40\) and \(7, 39\)"),
        (np.full((2, 3), -1, np.int8), np.zeros((2, 3)), 2, "6 of 6 are missing. Impute them"),
        (CALLS, np.zeros((7, 40)), -1, "n_latents must be >= 0, but it is -1"),
    ],
)
def test_what_the_published_estimate_cannot_take_is_refused(calls, probabilities, n_latents, message):
    with pytest.raises(ValueError, match=message):
        compression.published_bits(calls, probabilities, n_latents)


def test_the_published_table_is_typed_whole():
    table = pd.read_csv(PUBLISHED)
    wide = table.pivot(index="n_latents", columns="region", values="factor")
    assert wide.shape == (2, 7)
    assert wide.notna().all(axis=None)
    assert wide.loc[32].idxmin() == wide.loc[64].idxmin() == "AFR"
    assert (table["factor"].min(), table["factor"].max()) == (1.03, 2.33)


def test_frequency_bits_sum_call_by_call():
    calls = CALLS.copy()
    calls[2, :5] = -1
    shares = compression.smoothed_frequencies(PANEL)
    slow = [
        sum(-np.log2(p if x == 1 else 1 - p) for x, p in zip(row, shares, strict=True) if x >= 0)
        for row in calls
    ]
    np.testing.assert_allclose(compression.frequency_bits(calls, shares), slow)
    assert shares[0] == pytest.approx((PANEL[:, 0].sum() + 0.5) / (len(PANEL) + 1))


def test_each_population_has_its_own_frequencies():
    groups = np.array(["a", "b"] * 30)
    panel = np.where(groups[:, None] == "a", 0, 1) * np.ones((1, 9), np.int8)
    panel = panel.astype(np.int8)
    bits = compression.population_frequency_bits(panel, groups, panel[:2], groups[:2])
    np.testing.assert_allclose(bits, 9 * -np.log2(30.5 / 31))
    with pytest.raises(ValueError, match="must be in the panel, but 1 are not: 'c'"):
        compression.population_frequency_bits(panel, groups, panel[:2], ["a", "c"])


def test_ratios_by_group():
    table = compression.ratio_table([10, 20, 30], ["x", "y", "y"], n_snps=100, method="m", split=2)
    assert list(table["group"]) == ["all", "x", "y"]
    assert list(table["n_haplotypes"]) == [3, 1, 2]
    np.testing.assert_allclose(table["ratio"], [5, 10, 4])
    assert set(table["split"]) == {2}


def test_heterozygosity_is_the_share_of_pairs_that_differ():
    calls = mosaics(9, 12, seed=3)
    calls[0, 0] = calls[4, 3] = -1
    for snp, found in enumerate(compression.heterozygosity(calls)):
        known = calls[calls[:, snp] >= 0, snp]
        pairs = list(itertools.combinations(known, 2))
        assert found == pytest.approx(np.mean([a != b for a, b in pairs]))
    two = calls[:8].reshape(4, 2, 12).clip(0).sum(axis=1).astype(np.int8)
    np.testing.assert_allclose(
        compression.heterozygosity(two, ploidy=2), compression.heterozygosity(calls[:8].clip(0))
    )


def test_entropy_of_a_site():
    calls = np.array([[0, 0, 0, -1], [1, 0, 0, -1], [0, 0, 1, -1], [1, 0, 0, -1]], dtype=np.int8)
    found = compression.site_entropy(calls)
    bias = np.log2(np.e) / 8
    np.testing.assert_allclose(found[:3], [1, 0, 0.8112781 + bias])
    assert np.isnan(found[3])


def test_the_correction_takes_the_bias_of_small_samples_away():
    """Seed 0; 4000 samples of 12 haplotypes at p = 0.2: within 4 standard errors of the truth plus 0.005."""
    rng = np.random.default_rng(0)
    found = compression.site_entropy((rng.random((12, 4000)) < 0.2).astype(np.int8))
    truth = -0.2 * np.log2(0.2) - 0.8 * np.log2(0.8)
    assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(4000) + 0.005


def test_diversity_draws_equally_many_of_each():
    calls = np.concatenate([mosaics(30, 50, n_founders=2, error=0), mosaics(10, 50, seed=1, error=0)])
    table = compression.diversity_by_population(calls, ["few"] * 30 + ["many"] * 10, random_state=1)
    assert list(table["n_drawn"]) == [10, 10]
    few, many = table.set_index("population").loc[["few", "many"], "heterozygosity"]
    assert few < many
    assert table["distinct"].between(0, 1).all()
    left = compression.diversity_by_population(calls, ["few"] * 30 + ["many"] * 10, n_drawn=20)
    assert list(left["population"]) == ["few"]
    with pytest.raises(ValueError, match="n_drawn must be >= 2, but it is 1"):
        compression.diversity_by_population(calls[:3], ["a", "a", "b"])


def slow_li_stephens(panel, call, switch, mismatch):
    """Sum over every path of copied haplotypes."""
    n, total = len(panel), 0.0
    for path in itertools.product(range(n), repeat=len(call)):
        chance = 1 / n
        for snp, copied in enumerate(path):
            if snp:
                chance *= switch / n + (1 - switch) * (copied == path[snp - 1])
            chance *= 1 - mismatch if panel[copied, snp] == call[snp] else mismatch
        total += chance
    return -np.log2(total)


def test_li_stephens_sums_over_all_paths():
    panel, calls = mosaics(4, 6, seed=2), mosaics(3, 6, seed=2)
    found = classical_codes.li_stephens_bits(panel, calls, switch=0.2, mismatch=0.05)
    # Before the first SNP a switch changes nothing: the start is uniform.
    slow = [slow_li_stephens(panel, call, 0.2, 0.05) for call in calls]
    np.testing.assert_allclose(found, slow, rtol=1e-5)


def test_pbwt_bits_are_those_of_an_adaptive_coder():
    """The sum in closed form equals call-by-call coding with counts that grow."""
    calls = mosaics(25, 12, seed=4)
    order, bits, prior = list(range(25)), 0.0, {}
    for column in calls.T:
        counts, before = {}, []
        for row in order:
            if before:
                run = 1
                while run < len(before) and before[-run - 1] == before[-1]:
                    run += 1
                context = before[-1], int(np.log2(run))
            else:
                context = "first"
            start = prior.get(context, (0.5, 0.5))
            seen = counts.setdefault(context, [0, 0])
            shares = [start[a] + seen[a] for a in (0, 1)]
            bits -= np.log2(shares[column[row]] / sum(shares))
            seen[column[row]] += 1
            before.append(column[row])
        for context in set(prior) | set(counts):
            start, seen = prior.get(context, (0.5, 0.5)), counts.get(context, (0, 0))
            prior[context] = tuple(max(0.3 * (start[a] + seen[a]), 0.02) for a in (0, 1))
        for context in [*itertools.product((0, 1), range(16)), "first"]:
            if context not in prior:
                prior[context] = (0.15, 0.15)
        order = [r for r in order if column[r] == 0] + [r for r in order if column[r] == 1]
    assert classical_codes.pbwt_bits(calls, keep=0.3) == pytest.approx(bits, rel=1e-9)


def test_a_haplotype_stands_in_the_pbwt_where_sorting_puts_it():
    """The neighbours found by ranks are those of sorting panel and haplotype together."""
    panel, calls = mosaics(30, 15, seed=5), mosaics(4, 15, seed=5)
    bits = classical_codes.pbwt_panel_bits(panel, calls)
    contexts, seen = {}, []
    for snp in range(15):
        rank = sorted(range(30), key=lambda r: (tuple(panel[r, :snp][::-1]), r))
        ordered = panel[rank, snp]
        for i in range(30):
            context = around(np.delete(ordered, i), i)
            contexts.setdefault(context, [0.5, 0.5])[ordered[i]] += 1
        for h, call in enumerate(calls):
            # Among equal prefixes the start decides: the middle of the panel.
            prefixes = [(tuple(panel[r, :snp][::-1]), r) for r in rank]
            place = sum(key < (tuple(call[:snp][::-1]), 14.5) for key in prefixes)
            seen.append((h, snp, around(ordered, place)))
    slow = np.zeros(4)
    for h, snp, context in seen:
        counts = contexts.get(context, [0.5, 0.5])
        slow[h] -= np.log2(counts[calls[h, snp]] / sum(counts))
    np.testing.assert_allclose(bits, slow)


def around(column, place):
    """Calls next to a place of a column, and the number of ones among four on each side."""
    above = column[place - 1] if place > 0 else 2
    below = column[place] if place < len(column) else 2
    return above, below, column[max(place - 4, 0) : place + 4].sum()


def test_haplotypes_that_the_panel_holds_cost_little_after_it():
    pytest.importorskip("zstandard")
    panel = mosaics(300, 300, n_founders=100, seed=6)
    for bytes_of in (classical_codes.xz_bytes, classical_codes.zstd_bytes):
        known = bytes_of(panel[100:120], panel)
        assert known < bytes_of(panel[100:120]) / 5
        strange = bytes_of(mosaics(20, 300, n_founders=100, seed=9), panel)
        assert known < strange / 5
    assert classical_codes.pbwt_panel_bits(panel, panel[:9]).mean() < 150
    assert classical_codes.li_stephens_bits(panel, panel[:9], switch=0.001, mismatch=0.001).mean() < 20


def test_pca_has_its_mean_added_back():
    """With all its components PCA gives the calls back: one run a haplotype by the published estimate."""
    rng = np.random.default_rng(7)
    panel = (rng.random((90, 12)) < 0.9).astype(np.int8)  # a mean far from zero
    honest, published = classical_codes.pca_codes(panel, panel[:8], 12)
    np.testing.assert_array_equal(published, np.full(8, 16 + 32 * 12))
    assert honest.shape == (8,)
    whole, kept = (mosaics(n, 200, switch=0, seed=8) for n in (500, 20))
    few, _ = classical_codes.pca_codes(whole, kept, 3)
    assert few.mean() < compression.frequency_bits(kept, compression.smoothed_frequencies(whole)).mean()


def test_without_its_library_there_is_no_pgen(monkeypatch):
    monkeypatch.setattr(classical_codes.importlib, "import_module", refuse)
    assert classical_codes.pgen_bytes(CALLS[:6]) is None


def refuse(name):
    """Import nothing."""
    raise ImportError(name)


def test_a_pgen_file_is_at_least_as_long_as_its_header():
    pytest.importorskip("pgenlib")
    assert classical_codes.pgen_bytes(PANEL) > 12
