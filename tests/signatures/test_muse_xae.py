"""MUSE-XAE: its equations against slow versions, its refit against trusted optimisers, and a known truth."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.nn.train import TrainConfig, fit
from latentgenomes.signatures.evaluate import match_signatures
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.consensus import cluster_signatures
from latentgenomes.signatures.models.klnmf import refit_exposures
from latentgenomes.signatures.models.muse_xae import (
    MuseXAE,
    MuseXAENet,
    refit_absolute,
    resample,
    scale_catalogue,
)
from latentgenomes.signatures.simulate import simulate_signature_catalogs

SMALL = {"n_restarts": 3, "hidden": (16, 8), "max_epochs": 6, "batch_size": 32}


@pytest.fixture(scope="module")
def catalogs():
    """400 samples, 8 signatures, Poisson noise."""
    return simulate_signature_catalogs(400, random_state=0)


@pytest.fixture(scope="module")
def quick(catalogs):
    return MuseXAE(4, **SMALL, random_state=3).fit(catalogs.counts.iloc[:120])


def make_net(seed=0, n=24, m=10, k=3, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = MuseXAENet(m, k, hidden=(8, 6), **settings)
    generator = torch.Generator().manual_seed(seed)
    counts = torch.poisson(20 * torch.rand(n, m, generator=generator), generator=generator)
    batch = {
        "counts": counts,
        "log_total": counts.sum(-1).log2(),
        "log_factorial": poisson.sum_log_factorial(scale_catalogue(counts)),
    }
    return net, batch, net.noise(n, generator)


def random_problem(seed, n=6, m=12, k=3, total=400.0):
    rng = np.random.default_rng(seed)
    signatures = rng.dirichlet(np.full(m, 0.4), size=k)
    counts = rng.poisson(rng.dirichlet(np.ones(k), size=n) @ signatures * total).astype(float)
    return counts, signatures


# ---- the network --------------------------------------------------------------------------------


def test_scaled_profiles_sum_to_the_binary_logarithm_of_the_total():
    counts = torch.tensor([[4.0, 0.0, 12.0], [1000.0, 24.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expected = [[1.0, 0.0, 3.0], [9.765625, 0.234375, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(scale_catalogue(counts), torch.tensor(expected))


def test_volume_is_the_logarithm_of_the_determinant_written_out():
    net, _, _ = make_net(1)
    with torch.no_grad():
        net.decoder.mul_(40.0)  # away from 0, where every volume is nearly 0
        w = net.decoder.abs().double().numpy()
    gram = np.array([[sum(a * b) for b in w] for a in w]) + np.eye(3)
    (a, b, c), (d, e, f), (g, h, i) = gram
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    assert determinant > 10
    assert net.volume().item() == pytest.approx(np.log10(determinant), rel=1e-5)


def test_terms_are_scipys_densities_and_the_weighted_volume():
    net, batch, noise = make_net(2, volume_penalty=0.3)
    net.eval()
    with torch.no_grad():
        terms = net.terms(batch, noise)
        scaled = scale_catalogue(batch["counts"])
        latent = net.encoder(scaled).double().numpy()
    y = scaled.double().numpy()
    rate = latent @ net.weights().detach().double().numpy()
    log_density = stats.gamma.logpdf(rate, y + 1.0)  # r^y exp(-r) / Gamma(y + 1): a Poisson with real y
    assert float(terms["nll"]) == pytest.approx(-log_density.sum(1).mean(), rel=1e-5)
    assert float(terms["volume"]) == pytest.approx(10 * 0.3 * net.volume().item(), rel=1e-6)
    assert set(terms) == {"nll", "volume"}


def test_training_shows_a_bootstrap_and_evaluation_the_sample():
    net, batch, noise = make_net(3)
    drawn = resample(batch["counts"], noise["normal"])
    net.train()
    plain, _, _ = make_net(3, augment=False)
    as_drawn = batch | {"counts": drawn}
    shown = net.terms(batch, noise)["nll"].item()
    assert shown == pytest.approx(plain.terms(as_drawn, noise)["nll"].item(), rel=1e-6)
    assert shown != pytest.approx(plain.terms(batch, noise)["nll"].item(), rel=1e-6)
    net.eval()
    plain.load_state_dict(net.state_dict())
    plain.eval()
    assert net.terms(batch, noise)["nll"].item() == plain.terms(batch, noise)["nll"].item()


def test_resampling_has_the_mean_and_variance_of_a_bootstrap():
    # n = 40,000 draws of 4 channels; a multinomial of share p has mean N p and variance N p (1 - p).
    counts = torch.tensor([0.0, 1.0, 6.0, 300.0])
    drawn = resample(
        counts.expand(40_000, 4), torch.randn(40_000, 4, generator=torch.Generator().manual_seed(0))
    )
    assert float(drawn.min()) >= 0.0
    assert float(drawn[:, 0].max()) == 0.0
    error = drawn.std(0) / 200
    assert (((drawn.mean(0) - counts).abs() - 4 * error)[1:] <= 0.01).all()
    torch.testing.assert_close(drawn.var(0)[1:], counts[1:], rtol=0.05, atol=0.0)


def test_gradient_reaches_the_encoder_and_points_downhill():
    net, batch, noise = make_net(4)
    before = net.terms(batch, noise)["nll"]
    parameters = list(net.encoder.parameters())
    gradients = torch.autograd.grad(before, parameters)
    assert all(float(g.abs().max()) > 0 for g in gradients)
    size = torch.stack([g.square().sum() for g in gradients]).sum()
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 1e-3 / size * gradient
        after = net.terms(batch, noise)["nll"]
    assert (before - after).item() == pytest.approx(1e-3, rel=0.1)


def test_volume_shrinks_weights_that_the_likelihood_leaves_alone():
    net, _, _ = make_net(5)
    start = net.decoder.detach().clone()
    (gradient,) = torch.autograd.grad(net.volume(), net.decoder)
    assert (gradient * start).sum().item() > 0


def test_decoder_stays_non_negative_and_exposures_times_signatures_are_the_rate():
    net, batch, _ = make_net(6)
    fit(net, batch, TrainConfig(max_epochs=40, batch_size=8, learning_rate=0.1), seed=0)
    assert net.decoder.min().item() < 0 <= net.weights().min().item()
    scaled = scale_catalogue(batch["counts"])
    with torch.no_grad():
        torch.testing.assert_close(net.signatures().sum(-1), torch.ones(3))
        rate = net.encoder(scaled) @ net.weights()
        torch.testing.assert_close(net.exposures(scaled) @ net.signatures(), rate)


# ---- the refit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("l1", [0.0, 0.001, 0.02])
def test_refit_reaches_the_optimum_of_the_program_written_out(l1):
    counts, signatures = random_problem(1)
    m, k = signatures.shape[1], len(signatures)

    def objective(exposures, x):
        return np.abs(x - exposures @ signatures).mean() + l1 * exposures.sum()

    ours = refit_absolute(counts, signatures, l1=l1)
    assert (ours >= 0).all()
    for exposures, x in zip(ours, counts, strict=True):
        # exposures, then residuals above and below, all >= 0
        costs = np.r_[np.full(k, l1), np.full(2 * m, 1 / m)]
        slow = linprog(costs, A_eq=np.hstack([signatures.T, np.eye(m), -np.eye(m)]), b_eq=x)
        assert objective(exposures, x) == pytest.approx(slow.fun, rel=1e-9)
        rng = np.random.default_rng(0)
        for _ in range(200):
            nearby = np.maximum(exposures + rng.normal(size=k) * rng.choice([0.1, 1.0, 10.0]), 0.0)
            assert objective(nearby, x) >= objective(exposures, x) - 1e-9


def test_refit_finds_noiseless_exposures_and_shrinks_to_nothing():
    _, signatures = random_problem(2)
    exposures = np.array([[100.0, 0.0, 40.0], [3.0, 2.0, 1.0]])
    np.testing.assert_allclose(
        refit_absolute(exposures @ signatures, signatures, l1=0.0), exposures, atol=1e-9
    )
    assert refit_absolute(exposures @ signatures, signatures, l1=1.001 / 12).sum() == 0.0


def test_exposures_scale_with_the_sample_and_do_not_depend_on_its_neighbours(quick, catalogs):
    x = catalogs.counts.iloc[:30]
    exposures = quick.transform(x)
    np.testing.assert_allclose(exposures.sum(1), x.sum(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(quick.transform(x.iloc[[7, 3]]), exposures[[7, 3]])
    np.testing.assert_allclose(quick.transform(4 * x), 4 * exposures, rtol=1e-9, atol=1e-9)


def test_a_sample_without_any_exposure_gets_those_of_greatest_likelihood(quick, catalogs):
    x = catalogs.counts.iloc[:20]
    strict = clone(quick).set_params(l1=1.0)
    vars(strict).update({k: v for k, v in vars(quick).items() if k.endswith("_")})
    likeliest = refit_exposures(
        torch.from_numpy(x.to_numpy(float)), torch.from_numpy(quick.components_), max_iter=20_000, tol=1e-9
    ).numpy()
    error = np.abs(strict.transform(x) - likeliest).sum(1) / x.sum(axis=1)
    assert error.max() < 0.02
    assert (quick.transform(0 * x) == 0.0).all()


# ---- the estimator ------------------------------------------------------------------------------


def test_every_true_signature_is_found(catalogs):
    model = MuseXAE(8, n_restarts=3, max_epochs=150, batch_size=64, random_state=0).fit(catalogs.counts)
    matches = match_signatures(model.signatures_, catalogs.signatures)
    assert matches["cosine"].min() >= 0.9
    exposures = pd.DataFrame(
        model.training_exposures_, index=catalogs.counts.index, columns=model.get_feature_names_out()
    ).rename(columns=matches.set_index("signature")["reference"])
    assert exposures.corrwith(catalogs.exposures).median() > 0.95


def test_fitted_parts_agree_with_each_other(quick, catalogs):
    consensus = cluster_signatures(quick.restart_signatures_)
    np.testing.assert_allclose(quick.components_.sum(1), 1.0, rtol=1e-9)
    position = {tuple(np.round(row, 12)): i for i, row in enumerate(consensus.signatures)}
    order = [position[tuple(np.round(row, 12))] for row in quick.components_]
    np.testing.assert_allclose(quick.stability_, consensus.stability[order])
    assert (np.diff(quick.training_exposures_.sum(0)) <= 0).all()
    again = quick.transform(catalogs.counts.iloc[:120])
    np.testing.assert_allclose(again, quick.training_exposures_, rtol=1e-9, atol=1e-6)
    assert quick.reconstruction_error_ == pytest.approx(quick.restarts_["error"].mean())


def test_reconstruction_error_is_the_frobenius_norm_in_scaled_counts(catalogs):
    x = catalogs.counts.to_numpy(float)[:60]
    settings = SMALL | {"n_restarts": 1, "max_epochs": 2, "validation_fraction": 0.0, "batch_size": 60}
    model = MuseXAE(3, **settings, random_state=0).fit(x)
    net = model._new_net()
    last = model.history_[model.history_["epoch"] == 2]
    assert list(last["set"].unique()) == ["training"]
    assert model.restarts_["bound"].iloc[0] == pytest.approx(last["value"].sum())
    # The same fit by the single-member loop gives the network whose error is reported.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(model.restarts_["seed"].iloc[0]))
        net = model._new_net()
    counts = torch.from_numpy(x)
    scaled = scale_catalogue(counts)
    batch = {
        "counts": counts.float(),
        "log_total": counts.sum(-1).log2().float(),
        "log_factorial": poisson.sum_log_factorial(scaled).float(),
    }
    config = TrainConfig(max_epochs=2, batch_size=60, learning_rate=0.01, decay_to=model.decay_to)
    fit(net, batch, config, seed=int(model.restarts_["seed"].iloc[0]))
    with torch.no_grad():
        rate = (net.exposures(scaled.float()) @ net.signatures()).double().numpy()
    by_hand = np.sqrt(sum((scaled.numpy()[i, j] - rate[i, j]) ** 2 for i in range(60) for j in range(96)))
    assert model.reconstruction_error_ == pytest.approx(by_hand, rel=1e-2)


def test_early_stopping_sees_only_samples_that_no_bootstrap_came_from(catalogs, monkeypatch):
    seen = {}

    def spy(modules, data, config, *, seeds, validation):
        seen["train"], seen["validation"] = data[0]["counts"], validation[0]["counts"]
        raise InterruptedError

    monkeypatch.setattr("latentgenomes.signatures.models.muse_xae.fit_ensemble", spy)
    x = catalogs.counts.to_numpy(float)[:50]
    with pytest.raises(InterruptedError):
        MuseXAE(3, validation_fraction=0.2, random_state=0).fit(x)
    together = torch.cat([seen["train"], seen["validation"]]).numpy()
    assert len(seen["validation"]) == 10
    np.testing.assert_array_equal(together[np.lexsort(together.T)], x[np.lexsort(x.T)])


def test_same_seed_same_signatures_and_the_callers_things_stay(catalogs, quick):
    x = catalogs.counts.iloc[:120]
    before, state = x.copy(), torch.get_rng_state()
    again = clone(quick).fit(x)
    np.testing.assert_array_equal(again.components_, quick.components_)
    np.testing.assert_array_equal(again.restart_signatures_, quick.restart_signatures_)
    pd.testing.assert_frame_equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    other = clone(quick).set_params(random_state=4).fit(x)
    assert np.abs(other.components_ - quick.components_).max() > 1e-3


def test_saved_and_loaded_models_are_equal(quick, catalogs, tmp_path):
    again = MuseXAE.load(quick.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(again.transform(catalogs.counts[:9]), quick.transform(catalogs.counts[:9]))
    pd.testing.assert_frame_equal(again.signatures_, quick.signatures_)
    pd.testing.assert_frame_equal(again.restarts_, quick.restarts_, check_names=False)
    assert again.reconstruction_error_ == quick.reconstruction_error_
    np.testing.assert_array_equal(again.stability_, quick.stability_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation_fraction": 1.0}, "validation_fraction must be in [0, 1), but 1.0 came."),
        ({"l1": -0.1}, "l1 must be >= 0, but -0.1 came."),
        (
            {"batch_size": 1},
            "A step needs at least 2 samples, but 18 of 20 are left for training, in batches of 1.",
        ),
        ({"validation_fraction": 0.95}, "but 1 of 20 are left for training, in batches of 32."),
        ({"n_restarts": 0}, "n_restarts must be a whole number >= 1, but 0 came."),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MuseXAE(2, **(SMALL | settings)).fit(np.ones((20, 6)))


@parametrize_with_checks([MuseXAE(n_signatures=2, n_restarts=2, hidden=(6,), max_epochs=3, random_state=0)])
def test_sklearn_compatible(estimator, check):
    check(estimator)
