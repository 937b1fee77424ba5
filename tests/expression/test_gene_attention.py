import numpy as np
import pytest
from scipy.stats import spearmanr

from latentgenomes.expression.evaluate.attention import family_enrichment, mirna_families, pair_agreement


def tables(seed, n=20, shared=0.0):
    generator = np.random.default_rng(seed)
    common, a, b = generator.normal(size=(3, n, n))
    return shared * common + a, shared * common + b


def test_agreement_is_spearmans_over_the_upper_pairs():
    a, b = tables(0, shared=1.0)
    upper = np.triu_indices(20, k=1)
    expected = spearmanr((a + a.T)[upper], (b + b.T)[upper]).statistic
    found = pair_agreement(a, b, n_permutations=99)
    assert found["value"] == pytest.approx(expected, rel=1e-10)
    assert found["p_value"] == 0.01  # 1 / (99 + 1): no permutation comes near
    np.fill_diagonal(a, 1e9)
    assert pair_agreement(a, b, n_permutations=9)["value"] == pytest.approx(expected, rel=1e-10)


def test_unrelated_tables_are_significant_as_often_as_the_level_says():
    p = [pair_agreement(*tables(seed, n=8), n_permutations=39)["p_value"] for seed in range(200)]
    # 200 tests at level .1: 20 expected, 4 standard errors are 17
    assert abs(np.mean(np.array(p) <= 0.1) - 0.1) <= 4 * np.sqrt(0.09 / 200)


def test_families_are_found_where_they_are_and_nowhere_else():
    families = np.repeat(list("abcdefgh"), 3)
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(24, 24))
    same = (families[:, None] == families).astype(float)
    nothing = family_enrichment(noise, families, n_permutations=199)
    assert nothing["n_pairs"] == 24
    assert abs(nothing["value"] - nothing["null_mean"]) < 4 * nothing["null_sd"]
    assert nothing["null_mean"] == pytest.approx(0.5, abs=0.02)
    real = family_enrichment(noise + 3 * same, families, n_permutations=199)
    assert real["value"] > 0.9
    assert real["p_value"] == 0.005
    upper = np.triu_indices(24, k=1)
    pairs = ((noise + noise.T) / 2)[upper]
    ranks = (np.argsort(np.argsort(pairs)) + 0.5) / len(pairs)
    assert nothing["value"] == pytest.approx(ranks[same[upper] == 1].mean(), rel=1e-10)


def test_names_of_mirnas_tell_the_family():
    names = [
        "hsa-mir-30a",
        "hsa-mir-30c-2",
        "hsa-let-7f-1",
        "hsa-mir-181a-2",
        "hsa-mir-1-2",
        "hsa-mir-196a-1",
    ]
    assert mirna_families(names).tolist() == ["mir-30", "mir-30", "let-7", "mir-181", "mir-1", "mir-196"]
    with pytest.raises(ValueError, match="1 of 2 are not; the first is 'TP53'"):
        mirna_families(["hsa-mir-21", "TP53"])


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match=r"their shapes are \(4, 4\) and \(5, 5\)"):
        pair_agreement(np.eye(4), np.eye(5))
    with pytest.raises(ValueError, match="families must hold two genes of one family"):
        family_enrichment(np.eye(3), ["a", "b", "c"])
