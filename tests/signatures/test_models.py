import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.decomposition import NMF

from latentgenomes.nn.estimator import TorchEstimator
from latentgenomes.signatures.evaluate import match_signatures, recovery
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.klnmf import (
    KLNMF,
    divergence,
    factorize,
    refit,
    refit_exposures,
    update_exposures,
    update_signatures,
)
from latentgenomes.signatures.models.vaems import VAEMS, VAEMSNet
from latentgenomes.signatures.simulate import simulate_signature_catalogs


@pytest.fixture(scope="module")
def catalogs():
    """The reference problem: 500 samples, 8 signatures, median 5,000 mutations, Poisson noise."""
    return simulate_signature_catalogs(500, random_state=0)


@pytest.fixture(scope="module")
def fitted(catalogs):
    return {
        "KLNMF": KLNMF(8, n_restarts=4, random_state=0).fit(catalogs.counts),
        "VAEMS": VAEMS(8, n_restarts=4, random_state=0).fit(catalogs.counts),
    }


def random_problem(seed, n=12, m=9, k=3):
    generator = torch.Generator().manual_seed(seed)
    signatures = torch.rand(k, m, generator=generator, dtype=torch.float64)
    signatures /= signatures.sum(-1, keepdim=True)
    exposures = 50 * torch.rand(n, k, generator=generator, dtype=torch.float64)
    counts = torch.poisson(exposures @ signatures, generator=generator)
    return counts, exposures, signatures


# ---- KL-NMF -------------------------------------------------------------------------------------


def test_updates_are_lee_and_seungs_written_out_entry_by_entry():
    counts, exposures, signatures = random_problem(0)
    x, e, s = counts.numpy(), exposures.numpy(), signatures.numpy()
    ratio = x / (e @ s)
    expected = np.zeros_like(e)
    for n in range(e.shape[0]):
        for k in range(e.shape[1]):
            expected[n, k] = e[n, k] * sum(s[k, m] * ratio[n, m] for m in range(s.shape[1])) / s[k].sum()
    np.testing.assert_allclose(update_exposures(counts, exposures, signatures).numpy(), expected)
    expected = np.zeros_like(s)
    for k in range(s.shape[0]):
        for m in range(s.shape[1]):
            expected[k, m] = s[k, m] * sum(e[n, k] * ratio[n, m] for n in range(e.shape[0]))
        expected[k] /= expected[k].sum()
    np.testing.assert_allclose(update_signatures(counts, exposures, signatures).numpy(), expected)


@pytest.mark.parametrize("seed", range(5))
def test_every_update_lowers_the_divergence_and_keeps_totals(seed):
    counts, exposures, signatures = random_problem(seed)
    generator = torch.Generator().manual_seed(seed)
    exposures = torch.rand(exposures.shape, generator=generator, dtype=torch.float64) * 20
    last = float(divergence(counts, exposures @ signatures))
    for _ in range(30):
        exposures = update_exposures(counts, exposures, signatures)
        now = float(divergence(counts, exposures @ signatures))
        assert now <= last + 1e-9
        torch.testing.assert_close(exposures.sum(-1), counts.sum(-1))
        signatures = update_signatures(counts, exposures, signatures)
        last = float(divergence(counts, update_exposures(counts, exposures, signatures) @ signatures))


def test_factorize_reaches_sklearns_divergence(catalogs):
    x = catalogs.counts.to_numpy(dtype=np.float64)
    _, _, ours, _ = factorize(torch.from_numpy(x), 8, seeds=range(4), max_iter=3000, tol=1e-7)
    theirs = []
    for seed in range(2):
        nmf = NMF(
            8,
            init="random",
            solver="mu",
            beta_loss="kullback-leibler",
            max_iter=4000,
            tol=1e-5,
            random_state=seed,
        )
        w = nmf.fit_transform(x)
        theirs.append(float(divergence(torch.from_numpy(x), torch.from_numpy(w @ nmf.components_))))
    assert float(ours.min()) < min(theirs) * 1.002


def test_a_restart_in_the_batch_equals_the_restart_alone():
    counts, _, _ = random_problem(3, n=40, m=20)
    together = factorize(counts, 3, seeds=[5, 6, 7], max_iter=2000, tol=1e-6)
    assert together[3].unique().numel() > 1, "restarts must stop at different updates for this test to bite"
    for position, seed in enumerate([5, 6, 7]):
        alone = factorize(counts, 3, seeds=[seed], max_iter=2000, tol=1e-6)
        torch.testing.assert_close(together[0][position], alone[0][0], rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(together[1][position], alone[1][0], rtol=1e-8, atol=1e-8)
        assert int(together[3][position]) == int(alone[3][0])


def test_refit_finds_the_maximum_likelihood_exposures():
    counts, _, signatures = random_problem(4, n=4)
    refit = refit_exposures(counts, signatures, max_iter=50_000, tol=1e-12).numpy()
    s = signatures.numpy()
    for row, x in zip(refit, counts.numpy(), strict=True):
        best = minimize(
            lambda e, x=x: float((e @ s).sum() - x @ np.log(np.maximum(e @ s, 1e-12))),
            np.full(3, x.sum() / 3),
            bounds=[(0, None)] * 3,
            method="L-BFGS-B",
            options={"ftol": 1e-14, "gtol": 1e-10},
        )
        np.testing.assert_allclose(row, best.x, rtol=1e-3, atol=1e-2)


def test_refit_aligns_channels_by_label_and_refuses_others(catalogs):
    counts, signatures = catalogs.counts.iloc[:20], catalogs.signatures
    exposures = refit(counts, signatures[signatures.columns[::-1]])
    pd.testing.assert_frame_equal(exposures, refit(counts, signatures))
    assert list(exposures.columns) == list(signatures.index)
    np.testing.assert_allclose(exposures.sum(axis=1), counts.sum(axis=1), rtol=1e-6)
    error = (exposures - catalogs.exposures.iloc[:20]).abs().to_numpy().sum() / counts.to_numpy().sum()
    assert error < 0.15
    with pytest.raises(
        ValueError, match=r"same channels, but 2 are in only one of them, such as 'A\[C>A\]A'"
    ):
        refit(counts, signatures.rename(columns={"A[C>A]A": "odd"}))


# ---- VAE-MS -------------------------------------------------------------------------------------


def make_net(encoding="log", seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = VAEMSNet(10, 3, hidden=(8,), encoding=encoding)
    counts, exposures, _ = random_problem(seed, n=16, m=10)
    batch = {
        "counts": counts.float(),
        "prior_rate": exposures.float() + 1,
        "log_factorial": poisson.sum_log_factorial(counts.float()),
    }
    return net, batch


@pytest.mark.parametrize("encoding", ["log", "raw"])
def test_terms_are_the_negative_elbo_of_scipys_densities(encoding):
    net, batch = make_net(encoding)
    net.eval()
    noise = net.noise(16, torch.Generator().manual_seed(1))
    with torch.no_grad():
        rate = net.posterior(batch["counts"])
        z = poisson.sample(rate, noise, 0.0)
        expected = (z @ net.signatures()).clamp_min(1e-10).double().numpy()
        terms = net.terms(batch, noise)
    x = batch["counts"].double().numpy()
    nll = -stats.poisson.logpmf(x, expected).sum(1).mean()
    r = batch["prior_rate"].double().numpy()
    lam = rate.double().numpy()
    kl = (lam * np.log(lam / r) - lam + r).sum(1).mean()
    assert float(terms["nll"]) == pytest.approx(nll, rel=1e-5)
    assert float(terms["kl"]) == pytest.approx(kl, rel=1e-4)


def test_encoder_receives_reconstruction_gradient_and_none_at_temperature_zero():
    for temperature, expect in ((0.1, True), (0.0, False)):
        net, batch = make_net()
        net.temperature = temperature
        # Small rates, so that every latent count comes from arrival times.
        with torch.no_grad():
            net.rate.weight.mul_(1e-3)
            net.rate.bias.fill_(1e-3)
        terms = net.terms(batch, net.noise(16, torch.Generator().manual_seed(2)))
        gradients = torch.autograd.grad(terms["nll"], list(net.encoder.parameters()), allow_unused=True)
        moved = any(g is not None and float(g.abs().max()) > 0 for g in gradients)
        assert moved is expect


def test_reconstruction_gradient_points_downhill():
    # Averaged over the noise, a small step against the gradient lowers the mean nll.
    net, batch = make_net()
    big = {name: value.repeat(200, *[1] * (value.dim() - 1)) for name, value in batch.items()}
    noise = net.noise(3200, torch.Generator().manual_seed(3))
    before = net.terms(big, noise)["nll"]
    gradients = torch.autograd.grad(before, list(net.encoder.parameters()))
    scale = torch.stack([g.square().sum() for g in gradients]).sum()
    with torch.no_grad():
        for parameter, gradient in zip(net.encoder.parameters(), gradients, strict=True):
            parameter -= 1e-2 / scale * gradient
        after = net.terms(big, noise)["nll"]
    assert float(before.detach() - after) == pytest.approx(1e-2, rel=0.3)


def test_published_encoding_is_the_linear_stack_without_totals():
    net, batch = make_net("raw")
    net.eval()
    with torch.no_grad():
        by_hand = net.rate(net.encoder(batch["counts"])).abs()
        torch.testing.assert_close(net.posterior(batch["counts"]), by_hand)
        log_net, _ = make_net("log")
        log_net.eval()
        hand = log_net.rate(log_net.encoder(batch["counts"].log1p())).abs()
        torch.testing.assert_close(
            log_net.posterior(batch["counts"]), hand * batch["counts"].sum(1, keepdim=True)
        )


# ---- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["KLNMF", "VAEMS"])
def test_every_true_signature_is_found(fitted, catalogs, name):
    model = fitted[name]
    matches = match_signatures(model.signatures_, catalogs.signatures)
    assert matches["cosine"].min() >= 0.9
    assert recovery(model.signatures_, catalogs.signatures, (0.9,))["f1"].iloc[0] == 1.0
    # Each exposure follows its truth, under the name that the matching gave it.
    exposures = pd.DataFrame(
        model.transform(catalogs.counts), index=catalogs.counts.index, columns=model.get_feature_names_out()
    ).rename(columns=matches.set_index("signature")["reference"])
    correlations = exposures.corrwith(catalogs.exposures)
    assert correlations.drop("SBS3").min() > 0.95
    assert correlations["SBS3"] > 0.8  # the flat one


@pytest.mark.parametrize("name", ["KLNMF", "VAEMS"])
def test_signatures_are_labelled_distributions_from_large_to_small(fitted, catalogs, name):
    model = fitted[name]
    signatures = model.signatures_
    assert list(signatures.columns) == list(catalogs.counts.columns)
    assert list(signatures.index) == [f"S{k}" for k in range(1, 9)]
    np.testing.assert_allclose(signatures.sum(axis=1), 1.0, rtol=1e-9)
    totals = model.training_exposures_.sum(0)
    assert (np.diff(totals) <= 1e-6 * totals[0]).all()
    assert (model.transform(catalogs.counts) >= 0).all()


@pytest.mark.parametrize("name", ["KLNMF", "VAEMS"])
def test_score_is_scipys_log_likelihood_per_mutation(fitted, catalogs, name):
    model = fitted[name]
    x = catalogs.counts.to_numpy()
    rates = np.maximum(model.inverse_transform(model.transform(catalogs.counts)), 1e-10)
    assert model.score(catalogs.counts) == pytest.approx(
        stats.poisson.logpmf(x, rates).sum() / x.sum(), rel=1e-6
    )


@pytest.mark.parametrize("name", ["KLNMF", "VAEMS"])
def test_samples_follow_the_training_catalogue(fitted, catalogs, name):
    drawn = fitted[name].sample(4000, random_state=0)
    assert np.array_equal(drawn, np.rint(drawn))
    x = catalogs.counts.to_numpy()
    spectrum, ours = x.sum(0) / x.sum(), drawn.sum(0) / drawn.sum()
    assert spectrum @ ours / np.linalg.norm(spectrum) / np.linalg.norm(ours) > 0.98
    assert np.log(drawn.sum(1) + 1).mean() == pytest.approx(np.log(x.sum(1) + 1).mean(), abs=0.15)
    assert np.array_equal(drawn[:5], fitted[name].sample(4000, random_state=0)[:5])


@pytest.mark.parametrize("name", ["KLNMF", "VAEMS"])
def test_saved_and_loaded_models_are_equal(fitted, catalogs, name, tmp_path):
    model = fitted[name]
    path = model.save(tmp_path / "deep" / "model.safetensors")
    again = type(model).load(path)
    np.testing.assert_array_equal(again.transform(catalogs.counts), model.transform(catalogs.counts))
    pd.testing.assert_frame_equal(again.signatures_, model.signatures_)
    pd.testing.assert_frame_equal(again.restarts_, model.restarts_, check_names=False)
    assert again.score(catalogs.counts) == model.score(catalogs.counts)
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_files_that_are_not_ours_are_refused(fitted, tmp_path):
    path = fitted["KLNMF"].save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="must hold a VAEMS in format latentgenomes-1, but it holds KLNMF"):
        VAEMS.load(path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        KLNMF.load(path)
    with pytest.raises(ValueError, match="Use an int as random_state"):
        clone(fitted["KLNMF"]).set_params(random_state=np.random.RandomState(0)).fit(np.ones((4, 3))).save(
            path
        )


def test_loading_never_unpickles(fitted, tmp_path, monkeypatch):
    import pickle

    path = fitted["VAEMS"].save(tmp_path / "m.safetensors")

    def refuse(*args, **kwargs):
        raise RuntimeError("unpickled")

    for target in (pickle, torch):
        monkeypatch.setattr(target, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    assert isinstance(VAEMS.load(path), TorchEstimator)


@pytest.mark.parametrize("make", [KLNMF, VAEMS])
def test_same_seed_same_signatures_and_the_first_restart_is_the_same(make, catalogs):
    settings = {"max_iter": 200} if make is KLNMF else {"max_epochs": 3}
    x = catalogs.counts.iloc[:80]
    one, two = (make(4, n_restarts=n, random_state=3, **settings).fit(x) for n in (1, 3))
    again = make(4, n_restarts=3, random_state=3, **settings).fit(x)
    np.testing.assert_array_equal(two.components_, again.components_)
    assert one.restarts_["seed"].iloc[0] == two.restarts_["seed"].iloc[0]
    # Rows may differ by rounding: one restart and three multiply in batches of other shapes.
    np.testing.assert_allclose(one.restart_signatures_[0], two.restart_signatures_[0], atol=2e-3)


@pytest.mark.parametrize("make", [KLNMF, VAEMS])
def test_pandas_output_keeps_labels(make, catalogs):
    settings = {"max_iter": 100} if make is KLNMF else {"max_epochs": 2}
    x = catalogs.counts.iloc[:60]
    model = make(3, n_restarts=1, random_state=0, **settings).set_output(transform="pandas").fit(x)
    exposures = model.transform(x)
    assert list(exposures.columns) == ["S1", "S2", "S3"]
    assert list(exposures.index) == list(x.index)


def test_a_capped_hypermutator_keeps_its_exposures_in_mutations(catalogs):
    x = catalogs.counts.to_numpy(dtype=float)[:100].copy()
    x[0] *= 500
    model = VAEMS(4, n_restarts=1, max_epochs=5, random_state=0).fit(x)
    capped, factor = model._cap(x)
    assert capped.sum(1).max() == pytest.approx(9600)
    assert factor[0, 0] == pytest.approx(x[0].sum() / 9600)
    np.testing.assert_allclose(model.transform(x[:1]), model.transform(capped[:1]) * factor[0], rtol=1e-6)
    free = KLNMF(4, n_restarts=1, max_iter=50, random_state=0).fit(x)
    held = KLNMF(4, n_restarts=1, max_iter=50, max_mutations=9600.0, random_state=0).fit(x)
    assert not np.allclose(free.components_, held.components_, atol=1e-3)


@pytest.mark.parametrize("make", [KLNMF, VAEMS])
def test_bootstrap_gives_every_restart_its_own_data(make, catalogs):
    settings = {"max_iter": 200} if make is KLNMF else {"max_epochs": 3}
    x = catalogs.counts.iloc[:80]
    plain = make(3, n_restarts=2, random_state=1, **settings).fit(x)
    drawn = make(3, n_restarts=2, random_state=1, resample="bootstrap", **settings).fit(x)
    assert not np.allclose(plain.restart_signatures_, drawn.restart_signatures_, atol=1e-4)
    assert np.isfinite(drawn.score(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "sqrt"}, r"encoding must be one of \('log', 'raw'\), but 'sqrt' came"),
        ({"temperature": 0.0}, "temperature must be > 0, but 0.0 came"),
        ({"resample": "jackknife"}, "resample must be None or 'bootstrap', but 'jackknife' came"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be in \[0, 1\), but 1.0 came"),
        ({"n_signatures": 0}, "n_signatures must be a whole number >= 1, but 0 came"),
        ({"n_restarts": 2.5}, r"n_restarts must be a whole number >= 1, but 2\.5 came"),
        ({"max_mutations": 0}, "max_mutations must be > 0, or None for no limit, but 0 came"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        VAEMS(**settings).fit(np.ones((10, 5)))


def test_without_validation_the_last_epoch_decides(catalogs):
    model = VAEMS(3, n_restarts=2, max_epochs=4, validation_fraction=0.0, random_state=0)
    history = model.fit(catalogs.counts.iloc[:60]).history_
    assert set(history["set"]) == {"training"}
    last = history[history["epoch"] == 4].groupby("member")["value"].sum()
    np.testing.assert_allclose(model.restarts_["bound"], last)


def test_bad_counts_and_exposures_are_named(fitted):
    with pytest.raises(ValueError, match="X must hold mutations, but every count is 0"):
        KLNMF(2).fit(np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"one column per signature \(8\), but their shape is \(2, 3\)"):
        fitted["KLNMF"].inverse_transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        fitted["KLNMF"].sample(0)
    with pytest.raises(ValueError, match="resample must be None or 'bootstrap', but 'x' came"):
        KLNMF(2, resample="x").fit(np.ones((5, 4)))
