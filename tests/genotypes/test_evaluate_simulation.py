import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from latentgenomes.genotypes.data.public import FILES_805, PANEL_FILE, SNPS_805_FILE, load_805
from latentgenomes.genotypes.evaluate.ancestry import ancestry_folds, score_representation
from latentgenomes.genotypes.evaluate.simulation import (
    adversarial_accuracy,
    compare_haplotypes,
    linkage,
    linkage_decay,
    nearest_distances,
    pca_wasserstein,
    privacy_loss,
    squared_correlations,
    three_point,
)
from latentgenomes.genotypes.experiments.ancestry import (
    Ancestry,
    ancestry_summary,
    classify_ancestry,
    load_ancestry,
)
from latentgenomes.genotypes.experiments.autoencoders import (
    DECAY_EDGES,
    code_lengths,
    decay_table,
    fitted_vae,
)
from latentgenomes.genotypes.models import haplotype_vae
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.population_vaes import PopulationVAEs


def haplotypes(n, n_snps=30, *, seed=0):
    """Two kinds of haplotypes with linked SNPs, and which kind."""
    rng = np.random.default_rng(7)
    founders = (rng.random((2, 3, n_snps)) < 0.4).astype(np.int8)
    rng = np.random.default_rng([seed, n])
    kind = np.arange(n) // 2 % 2
    calls = founders[kind, rng.integers(3, size=n)]
    return calls ^ (rng.random(calls.shape) < 0.05), kind


REAL, KIND = haplotypes(200)
DRAWN, _ = haplotypes(200, seed=1)


def test_linkage_is_the_squared_correlation_of_every_pair():
    np.testing.assert_allclose(squared_correlations(REAL), np.corrcoef(REAL.T) ** 2, atol=1e-12)
    found = linkage(REAL, DRAWN)
    pairs = [(i, j) for i in range(30) for j in range(i)]
    slow = {
        name: [
            [np.corrcoef(t[:, i], t[:, j])[0, 1] ** 2 for i, j in pairs if test(i - j)] for t in (REAL, DRAWN)
        ]
        for name, test in (
            ("r2_near", lambda d: d <= 10),
            ("r2_far", lambda d: d > 10),
            ("r2_all", lambda d: True),
        )
    }
    for name, (left, right) in slow.items():
        assert found[name] == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_linkage_decay_averages_the_pairs_of_each_distance():
    positions = np.cumsum(np.arange(30) + 1)
    table = linkage_decay(REAL, [0, 5, 50, 400], positions)
    r2 = squared_correlations(REAL)
    slow = [
        [r2[i, j] for i in range(30) for j in range(i) if low < positions[i] - positions[j] <= high]
        for low, high in ((0, 5), (5, 50), (50, 400))
    ]
    assert table["n_pairs"].tolist() == [len(own) for own in slow]
    np.testing.assert_allclose(table["mean_r2"], [np.mean(own) for own in slow])
    constant = REAL.copy()
    constant[:, 0] = 0  # a SNP that never varies has no linkage
    assert linkage_decay(constant, [0, 1])["n_pairs"].tolist() == [28]


def test_three_point_correlations_are_their_definition():
    triples = np.array([[0, 1, 2], [3, 10, 29]])
    f = REAL.mean(0)
    slow = [np.mean([(x[i] - f[i]) * (x[j] - f[j]) * (x[k] - f[k]) for x in REAL]) for i, j, k in triples]
    np.testing.assert_allclose(three_point(REAL, triples), slow, atol=1e-6)


def test_nearest_distances_count_differing_snps():
    slow = [min((x != y).sum() for y in DRAWN) for x in REAL]
    np.testing.assert_array_equal(nearest_distances(REAL, DRAWN), slow)
    slow = [min((x != y).sum() for j, y in enumerate(REAL) if j != i) for i, x in enumerate(REAL)]
    np.testing.assert_array_equal(nearest_distances(REAL, REAL, skip_self=True), slow)


def test_both_halves_of_aats_tell_copies_strangers_and_equals_apart():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 2, (150, 200)).astype(np.int8)
    assert adversarial_accuracy(real, real.copy()) == {"aats_truth": 0.0, "aats_synthetic": 0.0}
    one = np.repeat(real[:1], 150, axis=0)
    alone = adversarial_accuracy(real, one)
    assert alone["aats_truth"] > 0.95  # nobody is near, but the one that was copied
    assert alone["aats_synthetic"] == 0.5  # copies of each other and of a real one: all ties
    equals = adversarial_accuracy(real, rng.integers(0, 2, (150, 200)).astype(np.int8))
    error = 4 * 0.5 / np.sqrt(150)
    assert equals["aats_truth"] == pytest.approx(0.5, abs=error)
    assert equals["aats_synthetic"] == pytest.approx(0.5, abs=error)


def test_privacy_loss_finds_a_copied_training_set():
    rng = np.random.default_rng(1)
    train, test = rng.integers(0, 2, (2, 120, 100)).astype(np.int8)
    assert privacy_loss(train, test, train) > 0.4
    fresh = rng.integers(0, 2, (120, 100)).astype(np.int8)
    assert abs(privacy_loss(train, test, fresh)) < 4 * 0.5 / np.sqrt(120)


def test_wasserstein_is_the_shift_of_shifted_haplotypes():
    np.testing.assert_allclose(pca_wasserstein(REAL, REAL), 0, atol=1e-9)
    only = REAL[KIND == 0]
    along = PCA(1).fit(REAL.astype(float))
    scores, part = along.transform(REAL.astype(float))[:, 0], along.transform(only.astype(float))[:, 0]
    grid = (np.arange(2000) + 0.5) / 2000
    slow = np.abs(np.quantile(scores, grid) - np.quantile(part, grid)).mean() / scores.std()
    assert pca_wasserstein(REAL, only, 1)[0] == pytest.approx(slow, rel=0.05)


def test_a_good_sample_scores_better_than_independent_snps():
    good = compare_haplotypes(REAL, DRAWN)
    rng = np.random.default_rng(2)
    bad = compare_haplotypes(REAL, (rng.random(REAL.shape) < REAL.mean(0)).astype(np.int8))
    assert good["frequency_correlation"] > 0.95
    assert bad["frequency_correlation"] > 0.95
    assert good["r2_all"] > 0.9 > bad["r2_all"]
    assert good["wasserstein"] < 0.3 * bad["wasserstein"]
    assert bad["aats_truth"] > 0.9


def test_tables_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="must be two tables of the same SNPs"):
        compare_haplotypes(REAL, DRAWN[:, :5])
    with pytest.raises(ValueError, match="must have no missing call"):
        compare_haplotypes(REAL, np.where(DRAWN == 0, -1, DRAWN))


# ---- ancestry -------------------------------------------------------------------------------------

PEOPLE = np.repeat(np.arange(100), 2)
NAMES = np.array(["north", "south"])[KIND]


def test_folds_keep_people_together_and_populations_everywhere():
    tests = []
    for train, test in ancestry_folds(NAMES, PEOPLE):
        assert not set(PEOPLE[train]) & set(PEOPLE[test])
        assert set(NAMES[test]) == {"north", "south"}
        tests += test.tolist()
    assert sorted(tests) == list(range(200))
    with pytest.raises(ValueError, match="Every population must have 5 people or more"):
        next(ancestry_folds(np.where(np.arange(200) < 4, "few", NAMES), PEOPLE))


def test_representations_tell_two_kinds_apart_and_labels_by_chance_do_not():
    train, test = next(ancestry_folds(NAMES, PEOPLE))
    chance = np.random.default_rng(0).permutation(NAMES)
    for representation in (
        PCA(4),
        None,
        HaplotypeVAE(3, hidden=(16,), max_epochs=20, batch_size=32, random_state=0),
    ):
        right, wrong = score_representation(representation, REAL, [NAMES, chance], train, test)
        assert right > 0.9
        assert wrong < 0.5 + 4 * 0.5 / np.sqrt(40)


def test_a_coordinate_without_meaning_stays_small():
    """Scaled to its own spread, the noise of a switched-off latent variable would count like the others."""

    class Noisy(PCA):
        def transform(self, X):
            noise = 1e-6 * np.random.default_rng(len(X)).normal(size=(len(X), 60))
            return np.hstack([super().transform(X), noise])

    train, test = next(ancestry_folds(NAMES, PEOPLE))
    scores = [score_representation(model, REAL, [NAMES], train, test) for model in (PCA(2), Noisy(2))]
    assert scores[0] == scores[1]


def test_one_model_a_population_recognises_them_by_both_rules(monkeypatch):
    vae = HaplotypeVAE(2, hidden=(16,), max_epochs=20, batch_size=16, random_state=0)
    for by_bound in (True, False):
        model = PopulationVAEs(vae, by_bound=by_bound).fit(REAL, NAMES)
        assert (model.predict(DRAWN) == NAMES).mean() > 0.9
        gaps = DRAWN.copy()
        gaps[:, ::3] = -1
        assert (model.predict(gaps) == NAMES).mean() > 0.85
        assert (model.bits(gaps) < model.bits(DRAWN) + 5).mean() > 0.95
    shares = PopulationVAEs(vae, use_shares=True).fit(REAL[:150], NAMES[:150])
    expected = PopulationVAEs(vae).fit(REAL[:150], NAMES[:150]).bits(DRAWN) - np.log2(shares.shares_)
    np.testing.assert_allclose(shares.bits(DRAWN), expected)


def test_populations_that_cannot_be_learnt_are_refused():
    with pytest.raises(ValueError, match="There must be two populations or more"):
        PopulationVAEs().fit(REAL, np.full(200, "one"))
    with pytest.raises(ValueError, match="needs a model that is not conditional"):
        PopulationVAEs(HaplotypeVAE(conditional=True)).fit(REAL, NAMES)


# ---- workflows ------------------------------------------------------------------------------------


def test_genotypes_as_two_calls_hold_the_number_of_copies():
    copies = np.random.default_rng(0).integers(0, 3, (6, 4)).astype(np.int8)
    binary = Ancestry(copies, pd.DataFrame(), phased=False).binary()
    np.testing.assert_array_equal(binary[:, :4] + binary[:, 4:], copies)


def test_an_ancestry_run_is_kept_and_read_again(tmp_path, monkeypatch):
    labels = pd.DataFrame({"person": PEOPLE, "population": NAMES, "region": NAMES})
    data = Ancestry(REAL, labels, phased=True)
    monkeypatch.setattr("latentgenomes.genotypes.experiments.ancestry.load_ancestry", lambda name: data)
    first = classify_ancestry(["x"], ["pca10", "pca16", "raw"], folder=tmp_path)
    assert len(first) == 2 * 3 * 5
    assert (first["balanced_accuracy"] > 0.85).all()
    monkeypatch.setattr(
        "latentgenomes.genotypes.experiments.ancestry._fold_scores", None
    )  # nothing is computed again
    pd.testing.assert_frame_equal(classify_ancestry(["x"], ["pca10", "pca16", "raw"], folder=tmp_path), first)
    summary = ancestry_summary(first)
    assert set(summary["method"]) == {"pca10", "pca16", "raw"}
    assert (summary.loc[summary["method"] == "pca16", "verdict"] == "baseline").all()
    with pytest.raises(ValueError, match="methods must be among pca10"):
        classify_ancestry(["x"], ["umap"])


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="dataset must be one of 805, lct, tgp, hgdp, but 'x' came"):
        load_ancestry("x")


def test_a_fitted_model_is_kept_until_its_settings_or_data_change(tmp_path, monkeypatch):
    settings = {"n_latent": 2, "hidden": (8,), "max_epochs": 2, "batch_size": 32}
    first = fitted_vae(settings, REAL, NAMES, folder=tmp_path)
    fits = []
    own_fit = haplotype_vae.HaplotypeVAE.fit
    monkeypatch.setattr(
        haplotype_vae.HaplotypeVAE, "fit", lambda self, X, y=None: fits.append(1) or own_fit(self, X, y)
    )
    again = fitted_vae(settings, REAL, NAMES, folder=tmp_path)
    np.testing.assert_array_equal(again.transform(REAL), first.transform(REAL))
    assert fits == []
    fitted_vae(settings | {"n_latent": 3}, REAL, NAMES, folder=tmp_path)
    fitted_vae(settings, DRAWN, NAMES, folder=tmp_path)
    assert len(fits) == 2


def test_code_lengths_of_simulated_people_agree_with_their_bytes(tmp_path):
    pytest.importorskip("constriction")
    simulate = pytest.importorskip("latentgenomes.genotypes.simulate").simulate_haplotypes
    data = simulate(n_people=40, length=60_000, min_maf=0.05, random_state=0).data
    data.metadata["region"] = data.metadata["population"]
    settings = {"small": {"n_latent": 3, "hidden": (24,), "max_epochs": 15, "batch_size": 16}}
    table = code_lengths(data, ["small"], settings=settings, folder=tmp_path).set_index(["method", "group"])
    own = table.xs("all", level="group")
    assert own.loc["small: importance bound", "ratio"] > own.loc["small: negative ELBO", "ratio"] - 0.5
    for way in ("rounded", "bits back"):
        row = own.loc[f"small: bytes, {way}"]
        assert row["bytes"] * 8 / row["n_haplotypes"] == pytest.approx(row["bits_per_haplotype"])
        assert row["ratio"] > 1.3
    assert {"YRI", "CEU", "CHB"} <= set(table.index.get_level_values("group"))


def test_the_decay_table_holds_every_source():
    table = decay_table({"real": REAL, "drawn": DRAWN})
    assert table["source"].drop_duplicates().tolist() == ["real", "drawn"]
    assert len(table) == 2 * (len(DECAY_EDGES) - 1)


@pytest.mark.real_data(*FILES_805.values(), SNPS_805_FILE, PANEL_FILE)
def test_the_published_generators_have_the_known_faults():
    """The GAN's haplotypes are too alike; the RBM's linkage of neighbours is weak."""
    real = load_805().calls
    gan, rbm = (load_805(source).calls for source in ("gan", "rbm"))
    assert adversarial_accuracy(real[::3], gan[::3])["aats_synthetic"] > 0.9
    assert linkage(real, rbm)["r2_near"] == pytest.approx(0.79, abs=0.02)
    assert linkage(real, gan)["r2_near"] == pytest.approx(0.895, abs=0.01)
