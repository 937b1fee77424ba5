"""KL-NMF in SigProfilerExtractor's procedure, and the updates that start ahead."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_samples
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.core.registry import available
from latentgenomes.mutations.pcawg import load_pcawg
from latentgenomes.nn.ensemble import bootstrap_counts
from latentgenomes.signatures.data.published import load_islam
from latentgenomes.signatures.models.klnmf import (
    KLNMF,
    divergence,
    factorize,
    refit_exposures,
    update_exposures,
    update_signatures,
)
from latentgenomes.signatures.models.sigprofiler import hypermutator_limit, relative_errors
from latentgenomes.signatures.simulate import simulate_signature_catalogs

PEERS = Path(__file__).parents[2] / "data" / "results" / "signatures" / "peers"
PROCEDURE = {"consensus": True, "resample": "bootstrap", "accelerated": True}


def needs(*names):
    """Skip where the data are not at hand."""
    missing = [name for name in names if not available(name)]
    return pytest.mark.skipif(
        bool(missing), reason=f"not at hand: {missing}; set LATENTGENOMES_MIRROR or LATENTGENOMES_DATA"
    )


def simulate(seed, n=60, m=16, k=4, mutations=3000.0):
    """Sparse signatures that are easy to tell apart, and their catalogue with Poisson noise."""
    rng = np.random.default_rng(seed)
    signatures = rng.dirichlet(np.full(m, 0.2), size=k)
    exposures = mutations * rng.dirichlet(np.full(k, 0.5), size=n)
    return rng.poisson(exposures @ signatures).astype(float), signatures


def matched_cosines(ours, theirs):
    ours = ours / np.linalg.norm(ours, axis=1, keepdims=True)
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    cosines = ours @ theirs.T
    return cosines[linear_sum_assignment(-cosines)]


@pytest.fixture(scope="module")
def procedure():
    counts, truth = simulate(0)
    return counts, truth, KLNMF(4, n_restarts=6, random_state=3, **PROCEDURE).fit(counts)


# ---- without the new settings nothing has changed -----------------------------------------------------


def test_plain_updates_are_the_two_updates_in_turn_bit_for_bit():
    counts = torch.from_numpy(simulate(1)[0])
    start = factorize(counts, 4, seeds=[7], max_iter=1, tol=0.0)
    signatures, exposures = start[0], start[1]
    for _ in range(18):
        exposures = update_exposures(counts[None], exposures, signatures)
        signatures = update_signatures(counts[None], exposures, signatures)
    plain = factorize(counts, 4, seeds=[7], max_iter=19, tol=0.0)
    assert torch.equal(plain[0], signatures)
    assert torch.equal(plain[1], exposures)


def test_by_default_the_restart_of_lowest_divergence_is_kept():
    counts, _ = simulate(2)
    model = KLNMF(4, n_restarts=4, random_state=0).fit(counts)
    x = torch.from_numpy(counts)
    seeds = model.restarts_["seed"].tolist()
    signatures, exposures, _, _ = factorize(x, 4, seeds=seeds, max_iter=5000, tol=1e-5)
    divergences = divergence(x[None], exposures @ signatures)
    best = int(divergences.argmin())
    order = (-exposures[best].sum(0)).argsort(stable=True)
    np.testing.assert_array_equal(model.restarts_["divergence"], divergences)
    np.testing.assert_allclose(model.components_, signatures[best][order], rtol=1e-12)
    np.testing.assert_array_equal(model.training_exposures_, exposures[best][:, order])
    assert not hasattr(model, "stability_")


# ---- updates that start ahead ---------------------------------------------------------------------------


def test_updates_ahead_are_those_written_out_step_by_step():
    counts = torch.from_numpy(simulate(3)[0])[None]
    start = factorize(counts, 4, seeds=[5], max_iter=1, tol=0.0)
    signatures, exposures = start[0].numpy()[0], start[1].numpy()[0]
    # The first update has nothing to look back at, so the start itself is drawn as `factorize` draws it.
    generator = torch.Generator().manual_seed(5)
    before_s = torch.rand(4, 16, generator=generator, dtype=torch.float64).numpy()
    before_e = torch.rand(60, 4, generator=generator, dtype=torch.float64).numpy()
    before_s /= before_s.sum(1, keepdims=True)
    before_e *= counts[0].numpy().sum(1, keepdims=True) / before_e.sum(1, keepdims=True)
    for t in range(2, 8):
        beta = (t - 1) / (t + 2)
        s = signatures + beta * np.maximum(signatures - before_s, 0)
        e = exposures + beta * np.maximum(exposures - before_e, 0)
        before_s, before_e = signatures, exposures
        s /= s.sum(1, keepdims=True)
        exposures = e * ((counts[0].numpy() / (e @ s)) @ s.T)
        signatures = s * (exposures.T @ (counts[0].numpy() / (exposures @ s)))
        signatures /= signatures.sum(1, keepdims=True)
    found = factorize(counts, 4, seeds=[5], max_iter=7, tol=0.0, accelerated=True)
    np.testing.assert_allclose(found[0][0], signatures, rtol=1e-10)
    np.testing.assert_allclose(found[1][0], exposures, rtol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_updates_ahead_never_fit_worse_than_before_nor_than_plain_ones(seed):
    counts = torch.from_numpy(simulate(seed)[0])
    last = float("inf")
    for n in (20, 40, 80, 160, 320, 640):
        settings = {"seeds": [seed], "max_iter": n, "tol": -1.0}
        ahead = float(factorize(counts, 4, accelerated=True, **settings)[2])
        assert ahead <= last * (1 + 1e-9)
        assert ahead <= float(factorize(counts, 4, **settings)[2]) * (1 + 1e-6)
        last = ahead


def test_updates_ahead_reach_the_optimum_of_plain_ones_many_times_sooner():
    counts, _ = simulate(4, n=200, m=96, k=5)
    x = torch.from_numpy(counts)
    plain = factorize(x, 5, seeds=[1], max_iter=20_000, tol=1e-9)
    ahead = factorize(x, 5, seeds=[1], max_iter=20_000, tol=1e-9, accelerated=True)
    assert float(ahead[2]) == pytest.approx(float(plain[2]), rel=1e-5)
    assert matched_cosines(ahead[0][0].numpy(), plain[0][0].numpy()).min() > 0.9999
    quarter = factorize(x, 5, seeds=[1], max_iter=int(plain[3]) // 4, tol=0.0, accelerated=True)
    assert float(quarter[2]) <= float(plain[2]) * (1 + 1e-5)


def test_single_precision_reaches_the_divergence_of_double():
    counts, _ = simulate(5, n=200, m=96, k=5)
    x = torch.from_numpy(counts)
    single = factorize(x.float(), 5, seeds=[1, 2], max_iter=3000, tol=1e-6, accelerated=True)
    double = factorize(x, 5, seeds=[1, 2], max_iter=3000, tol=1e-6, accelerated=True)
    np.testing.assert_allclose(single[2], double[2], rtol=1e-4)


def test_accelerated_fits_without_consensus_keep_the_best_restart_in_double_precision():
    counts, truth = simulate(6)
    model = KLNMF(4, n_restarts=4, accelerated=True, random_state=0).fit(counts)
    assert model.components_.dtype == model.training_exposures_.dtype == np.float64
    np.testing.assert_allclose(model.components_.sum(1), 1.0, rtol=1e-12)
    assert matched_cosines(model.components_, truth).min() > 0.99
    rates = torch.from_numpy(model.training_exposures_ @ model.components_)
    assert float(divergence(torch.from_numpy(counts), rates)) == pytest.approx(
        model.restarts_["divergence"].min(), rel=1e-6
    )


# ---- the procedure --------------------------------------------------------------------------------------


def test_consensus_is_that_of_replicates_run_one_by_one():
    counts, truth = simulate(7)
    model = KLNMF(4, n_restarts=5, consensus=True, resample="bootstrap", random_state=1).fit(counts)
    clusters = [[] for _ in truth]
    for row, seed in enumerate(model.restarts_["seed"]):
        own = torch.from_numpy(bootstrap_counts(counts, seed))
        signatures, exposures, _, n_iter = factorize(own, 4, seeds=[seed], max_iter=5000, tol=1e-5)
        rates = exposures @ signatures
        assert model.restarts_["n_iter"][row] == int(n_iter)
        assert model.restarts_["divergence"][row] == pytest.approx(float(divergence(own, rates)), rel=1e-8)
        found = signatures[0].numpy()
        # Far apart as they are, the truth itself says which signature belongs to which cluster.
        cosines = (truth / np.linalg.norm(truth, axis=1, keepdims=True)) @ (
            found / np.linalg.norm(found, axis=1, keepdims=True)
        ).T
        for cluster, member in zip(*linear_sum_assignment(-cosines), strict=True):
            clusters[cluster].append(found[member])
    centroids = np.mean(clusters, axis=1)  # (4 clusters, 5 replicates, m) -> (4, m)
    labels = np.repeat(np.arange(4), 5)
    silhouettes = silhouette_samples(np.concatenate(clusters), labels, metric="cosine").reshape(4, 5)
    exposures = refit_exposures(
        torch.from_numpy(counts), torch.from_numpy(centroids), max_iter=5000, tol=1e-5
    )
    order = np.argsort(-exposures.sum(0).numpy())
    np.testing.assert_allclose(model.components_, centroids[order], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.stability_, silhouettes.mean(1)[order], atol=1e-6)
    np.testing.assert_allclose(model.training_exposures_, exposures[:, order], rtol=1e-4, atol=1e-3)
    assert model.n_iter_ == model.restarts_["n_iter"].max()


def test_stability_is_the_mean_silhouette_in_the_order_of_the_components(procedure):
    _, truth, model = procedure
    restarts = model.restart_signatures_  # (6, 4, m), every one in the order of the components
    np.testing.assert_allclose(restarts.mean(0), model.components_, atol=1e-6)
    labels = np.tile(np.arange(4), 6)
    silhouettes = silhouette_samples(restarts.reshape(24, -1), labels, metric="cosine")
    np.testing.assert_allclose(model.stability_, silhouettes.reshape(6, 4).mean(0), atol=1e-6)
    assert matched_cosines(model.components_, truth).min() > 0.99
    assert model.stability_.min() > 0.95
    assert (np.diff(model.training_exposures_.sum(0)) <= 0).all()


def test_a_signature_too_many_is_not_stable(procedure):
    counts, _, model = procedure
    more = KLNMF(6, n_restarts=6, random_state=3, **PROCEDURE).fit(counts)
    assert more.stability_.min() < 0.7 < model.stability_.min()


def test_replicates_factorise_bootstraps_of_their_own():
    spread = []
    for mutations in (500.0, 50_000.0):
        counts, _ = simulate(8, n=100, mutations=mutations)
        model = KLNMF(4, n_restarts=12, tol=1e-7, random_state=0, **PROCEDURE).fit(counts)
        spread.append(model.restart_signatures_.std(0).mean())
    # A hundred times the mutations, a tenth of the noise of a bootstrap.
    assert spread[0] / spread[1] == pytest.approx(10.0, rel=0.4)


def test_without_bootstraps_stability_speaks_of_random_starts_alone():
    counts, _ = simulate(8, n=100, mutations=500.0)
    alone = KLNMF(4, n_restarts=6, consensus=True, accelerated=True, tol=1e-7, random_state=0).fit(counts)
    assert alone.restart_signatures_.std(0).max() < 1e-2
    assert alone.stability_.min() > 0.99


def test_exposures_of_capped_samples_are_in_mutations(procedure):
    counts, _, _ = procedure
    heavy = counts.copy()
    heavy[0] *= 300
    model = KLNMF(4, n_restarts=3, max_mutations=5000.0, random_state=0, **PROCEDURE).fit(heavy)
    np.testing.assert_allclose(model.training_exposures_.sum(1), heavy.sum(1), rtol=1e-6)
    np.testing.assert_allclose(model.transform(heavy), model.training_exposures_, rtol=1e-6, atol=1e-6)


def test_save_and_load_keep_stability(procedure, tmp_path):
    counts, _, model = procedure
    again = KLNMF.load(model.save(tmp_path / "m.safetensors"))
    for name in ("stability_", "sample_errors_", "components_", "restart_signatures_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    np.testing.assert_array_equal(again.transform(counts), model.transform(counts))


@parametrize_with_checks(
    [KLNMF(2, n_restarts=2, max_iter=400, tol=1e-6, consensus=True, accelerated=True, random_state=0)]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)


# ---- errors of samples ----------------------------------------------------------------------------------


def test_sample_errors_are_those_of_the_components(procedure):
    counts, _, model = procedure
    np.testing.assert_allclose(model.sample_errors_, relative_errors(counts, model.components_))


def test_relative_errors_by_projected_gradient():
    rng = np.random.default_rng(0)
    counts, signatures = simulate(9, n=5, m=12, k=3)
    expected = []
    for x in counts:
        e = np.full(3, x.sum() / 3)
        for _ in range(20_000):
            e = np.maximum(e - 0.3 * signatures @ (e @ signatures - x), 0)
        rate = x.sum() * e / e.sum() @ signatures
        expected.append(np.sqrt(((x - rate) ** 2).sum()) / np.sqrt((x**2).sum()))
    np.testing.assert_allclose(relative_errors(counts, signatures), expected, rtol=1e-6)
    exact = rng.dirichlet(np.ones(3), size=4) @ signatures
    np.testing.assert_allclose(relative_errors(700 * exact, signatures), 0.0, atol=1e-10)


def test_samples_that_no_signature_explains_have_error_one_and_empty_ones_none():
    signatures = np.array([[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(
        relative_errors(np.array([[0.0, 0.0, 8.0], [0.0, 0.0, 0.0], [3.0, 3.0, 0.0]]), signatures),
        [1.0, 0.0, 0.0],
        atol=1e-12,
    )


# ---- hypermutators --------------------------------------------------------------------------------------


def obvious_limit(totals, n_channels):
    """The rule as a list of steps."""
    totals = list(totals)
    while True:
        mixture = GaussianMixture(n_components=2, random_state=0).fit(np.reshape(totals, (-1, 1)))
        labels = mixture.predict(np.reshape(totals, (-1, 1)))
        parts = [[t for t, label in zip(totals, labels, strict=True) if label == part] for part in (0, 1)]
        small, large = sorted(parts, key=len)
        if not small or abs(np.mean(small) - np.mean(large)) < 4 * np.std(large):
            break
        totals = large
    return max(int(np.mean(totals) + 2 * np.std(totals)), 100 * n_channels)


@pytest.mark.parametrize("seed", range(4))
def test_hypermutator_limit_follows_the_rule(seed):
    rng = np.random.default_rng(seed)
    totals = np.concatenate([rng.normal(12_000, 2000, size=200), 10 ** rng.uniform(5, 6.5, size=9)])
    counts = np.stack([rng.multinomial(int(t), np.full(24, 1 / 24)) for t in totals])
    limit = hypermutator_limit(counts)
    assert limit == obvious_limit(counts.sum(1), 24)
    # Nine samples a hundred times as large hardly move it, where they rule the plain mean.
    assert limit == pytest.approx(hypermutator_limit(counts[:200]), rel=0.1)
    assert counts.sum(1).mean() > 2 * limit


def test_hypermutator_limit_is_at_least_100_per_channel_and_skips_empty_samples():
    counts = np.full((50, 96), 3.0)
    assert hypermutator_limit(counts) == 9600.0
    assert hypermutator_limit(pd.DataFrame(counts[:, :10])) == 1000.0
    rng = np.random.default_rng(0)
    counts = rng.poisson(400, size=(80, 30)).astype(float)
    padded = np.concatenate([counts, np.zeros((40, 30))])
    assert hypermutator_limit(padded) == hypermutator_limit(counts) > 3000
    with pytest.raises(ValueError, match="counts must hold mutations, but every sample is empty"):
        hypermutator_limit(np.zeros((3, 96)))


# ---- reference problem and real data ----------------------------------------------------------------------


def test_the_procedure_finds_every_signature_of_the_reference_problem():
    catalogs = simulate_signature_catalogs(500, random_state=0)
    limit = hypermutator_limit(catalogs.counts)
    model = KLNMF(8, n_restarts=5, max_mutations=limit, random_state=0, **PROCEDURE).fit(catalogs.counts)
    assert matched_cosines(model.components_, catalogs.signatures.to_numpy()).min() > 0.9
    assert model.stability_.mean() >= 0.8


@needs("signatures/synthetic_islam2022/Scenario_4.catalog.csv")
def test_the_limit_is_sigprofilerextractors_on_a_published_catalogue():
    # From the JOB_METADATA.txt of SigProfilerExtractor 1.4.1 on this catalogue: "cutoff value set at 18262".
    assert hypermutator_limit(load_islam(4).counts) == 18262.0


@needs("signatures/real_pcawg7/WGS_PCAWG.96.csv", "multimodal/pcawg_sample_sheet.v1.4.2016-09-14.tsv")
def test_breast_cancers_give_the_signatures_and_errors_of_sigprofilerextractor():
    pcawg = load_pcawg()
    counts = pcawg.counts[pcawg.metadata["histology"] == "Breast-AdenoCA"]
    assert hypermutator_limit(counts) == 9600.0  # as in its JOB_METADATA.txt
    theirs = pd.read_csv(PEERS / "breast_signatures.csv", index_col=["n_signatures", "signature"]).loc[6]
    model = KLNMF(6, n_restarts=5, max_mutations=9600.0, random_state=0, **PROCEDURE).fit(counts)
    assert matched_cosines(model.components_, theirs[counts.columns].to_numpy()).min() > 0.97
    assert model.stability_.mean() == pytest.approx(theirs["stability"].mean(), abs=0.05)
    errors = pd.read_csv(PEERS / "breast_selection.csv", index_col=0)["median_l2_percent"]
    assert 100 * np.median(model.sample_errors_) == pytest.approx(errors[6], rel=0.02)
    # The measure itself, on the very same signatures; theirs rounds exposures to whole mutations.
    same = relative_errors(counts.to_numpy(float), theirs[counts.columns].to_numpy())
    assert 100 * np.median(same) == pytest.approx(errors[6], rel=1e-3)
