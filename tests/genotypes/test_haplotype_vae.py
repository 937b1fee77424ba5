import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.core.splits import grouped_split
from latentgenomes.genotypes.data.public import LCT_FILE, PANEL_FILE, load_lct
from latentgenomes.genotypes.models import haplotype_estimator, haplotype_vae
from latentgenomes.genotypes.models.haplotype_net import CAUSAL_GAIN, HaplotypeNet, gaussian_kl
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE, _WarmUp, published_settings
from latentgenomes.genotypes.models.latent_mixture import fit_latent_mixture
from latentgenomes.nn.ensemble import seeded
from latentgenomes.nn.train import SingleLearner

FIT = {"n_latent": 4, "hidden": (32,), "max_epochs": 40, "batch_size": 32, "random_state": 0}


def mosaics(n_haplotypes, n_snps=40, *, seed=0, populations=2):
    """Haplotypes that copy founders of their population, and the populations."""
    rng = np.random.default_rng(seed)
    founders = rng.random((populations, 4, n_snps)) < rng.beta(0.6, 1.0, (populations, 1, n_snps))
    rng = np.random.default_rng([seed, n_haplotypes])
    population = rng.integers(populations, size=n_haplotypes)
    jumps = np.cumsum(rng.random((n_haplotypes, n_snps)) < 0.05, axis=1)
    copied = rng.integers(4, size=(n_haplotypes, n_snps + 1))
    calls = np.stack(
        [founders[p, c[j], np.arange(n_snps)] for p, c, j in zip(population, copied, jumps, strict=True)]
    )
    calls = calls ^ (rng.random(calls.shape) < 0.01)
    return calls.astype(np.int8), np.array([f"pop{p}" for p in population])


CALLS, POPULATION = mosaics(500)
NEW, NEW_POPULATION = mosaics(120)
HOLES = NEW.copy()
HOLES[:, ::5] = -1
HOLES[3] = -1


@pytest.fixture(scope="module")
def plain():
    return HaplotypeVAE(**FIT).fit(CALLS)


@pytest.fixture(scope="module")
def causal():
    return HaplotypeVAE(n_previous=8, **FIT).fit(CALLS)


@pytest.fixture(scope="module")
def told():
    return HaplotypeVAE(conditional=True, **FIT).fit(CALLS, POPULATION)


def random_net(seed=0, sizes=(7, 5), **settings):
    """Return a network in double precision with random weights everywhere."""
    settings = {"n_latent": 2, "hidden": (6, 4), "n_previous": 3, "n_populations": 2} | settings
    (net,) = seeded(lambda: HaplotypeNet(sizes, **settings), [seed])
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator)
    net.set_frequencies(torch.linspace(0.1, 0.7, sum(sizes)))
    return net.double().eval()


# ---- the equations --------------------------------------------------------------------------------


def slow_logits(net, latent, calls, population):
    """Log odds of one haplotype, SNP by SNP, as the equation says."""
    logits, start = [], 0
    for number, window in enumerate(net.nets()):
        own = latent[number * window.n_latent : (number + 1) * window.n_latent]
        decoded = window.decoder(torch.cat([own, population])[None])[0]
        for place in range(len(decoded)):
            total = decoded[place].item()
            for back in range(1, window.n_previous + 1):
                before = start + place - back
                if place - back >= 0 and calls[before] >= 0:
                    weight = CAUSAL_GAIN * window.scaled_weights[place, back - 1].item()
                    total += weight * (calls[before].item() - window.frequencies[place - back].item())
            logits.append(total)
        start += len(decoded)
    return np.array(logits)


def test_terms_are_those_of_the_equations():
    net = random_net()
    calls = torch.from_numpy(np.random.default_rng(1).integers(-1, 2, (3, 12))).double()
    population = torch.eye(2, dtype=torch.float64)[[0, 1, 1]]
    noise = {"latent": torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))}
    nll, kl = 0.0, 0.0
    for x, c, eps in zip(calls, population, noise["latent"], strict=True):
        frequencies = torch.cat([window.frequencies for window in net.nets()])
        centred = torch.where(x < 0, 0.0, x - frequencies)
        parts = [
            window.to_posterior(window.encoder(torch.cat([part, c])[None]))[0]
            for window, part in zip(net.nets(), centred.split([7, 5]), strict=True)
        ]
        mean = torch.cat([part[:2] for part in parts])
        sd = torch.cat([part[2:] for part in parts]).div(2).exp()
        logits = slow_logits(net, mean + sd * eps, x, c)
        probability = 1 / (1 + np.exp(-logits))
        nll -= sum(np.log(p if call else 1 - p) for p, call in zip(probability, x, strict=True) if call >= 0)
        for q in map(stats.norm, mean.tolist(), sd.tolist()):
            kl += q.expect(stats.norm.logpdf) * -1 - q.entropy()
    terms = net.terms({"calls": calls, "population": population}, noise)
    assert terms["nll"].item() == pytest.approx(nll / 3, rel=1e-9)
    assert terms["kl"].item() == pytest.approx(kl / 3, rel=1e-5)


def test_the_kl_is_zero_only_at_the_prior():
    assert gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0.0
    assert gaussian_kl(torch.zeros(1, 3), torch.full((1, 3), 0.5)).item() > 0


def test_generated_calls_have_the_probabilities_of_the_logits():
    net = random_net(3)
    rng = np.random.default_rng(0)
    latent, uniform = torch.from_numpy(rng.normal(size=(5, 4))), torch.from_numpy(rng.random((5, 12)))
    population = torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1, 0]]
    given = torch.from_numpy(rng.integers(-1, 2, (5, 12))).double()
    filled = net.generate(latent, population, uniform, given)
    assert (filled[given >= 0] == given[given >= 0]).all()
    for x, z, c, u, known in zip(filled, latent, population, uniform, given >= 0, strict=True):
        drawn = u.numpy() < 1 / (1 + np.exp(-slow_logits(net, z, x, c)))
        np.testing.assert_array_equal(x.numpy()[~known], drawn[~known])


def test_a_window_does_not_see_the_others():
    net = random_net(4)
    calls = torch.zeros(1, 12, dtype=torch.float64)
    other = calls.clone()
    other[0, 7:] = 1
    latent, population = torch.ones(1, 4, dtype=torch.float64), torch.eye(2, dtype=torch.float64)[:1]
    means = [net.posterior(net.centred(x), population)[0] for x in (calls, other)]
    logits = [net.logits(latent, net.centred(x), population) for x in (calls, other)]
    assert torch.equal(means[0][:, :2], means[1][:, :2])
    assert not torch.equal(means[0][:, 2:], means[1][:, 2:])
    assert torch.equal(logits[0][:, :7], logits[1][:, :7])
    assert torch.equal(logits[0][:, 7], logits[1][:, 7])  # the first SNP of a window has none before it
    assert not torch.equal(logits[0][:, 8:], logits[1][:, 8:])


def test_a_later_call_never_changes_an_earlier_probability():
    net = random_net(5, sizes=(12,))
    latent, population = torch.ones(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)[:1]
    zeros = torch.zeros(1, 12, dtype=torch.float64)
    reference = net.logits(latent, net.centred(zeros), population)
    for snp in range(12):
        changed = zeros.clone()
        changed[0, snp] = 1
        logits = net.logits(latent, net.centred(changed), population)
        assert torch.equal(logits[:, : snp + 1], reference[:, : snp + 1])
        assert snp == 11 or not torch.equal(logits[:, snp + 1], reference[:, snp + 1])


def test_warm_up_scales_the_gradient_of_the_kl_and_not_its_value():
    batch = {"calls": torch.from_numpy(CALLS[:64]).float(), "population": torch.zeros(64, 0)}
    (net,) = seeded(lambda: HaplotypeNet([40], n_latent=2, hidden=(8,), input_dropout=0.0), [1])
    rows, noise = torch.arange(64)[None], {"latent": torch.randn(1, 64, 2)}
    plain_terms = SingleLearner(net, batch, None).training_terms(rows, noise)
    (full,) = torch.autograd.grad(plain_terms["kl"].sum(), net.nets()[0].to_posterior.weight)
    learner = _WarmUp(SingleLearner(net, batch, None), 4)
    for share in (0.25, 0.5, 0.75, 1.0, 1.0):
        terms = learner.training_terms(rows, noise)
        (gradient,) = torch.autograd.grad(terms["kl"].sum(), net.nets()[0].to_posterior.weight)
        assert terms["kl"].item() == pytest.approx(plain_terms["kl"].item())
        torch.testing.assert_close(gradient, share * full)


# ---- code lengths ---------------------------------------------------------------------------------


def exact_bits(model, calls):
    """Code length by numerical integration over the one latent variable."""
    x = torch.from_numpy(calls).double()

    def joint(z):
        logits = model.module_.logits(
            torch.full((1, 1), z, dtype=torch.float64), model.module_.centred(x[None]), torch.zeros(1, 0)
        )
        return np.exp(-model.module_.nll(x[None], logits).item()) * stats.norm.pdf(z)

    return -np.log2(integrate.quad(joint, -8, 8, limit=200)[0])


@pytest.fixture(scope="module")
def tiny():
    return HaplotypeVAE(1, hidden=(8,), n_previous=2, max_epochs=30, batch_size=32, random_state=1).fit(
        CALLS[:, :5]
    )


def test_the_bounds_lie_above_the_exact_code_length_and_close_in(tiny):
    rows = np.array([[0, 0, 0, 0, 0], [1, 0, 1, 1, 0], [0, -1, 1, -1, 1]])
    exact = np.array([exact_bits(tiny, row) for row in rows])
    nobody = np.zeros(3, dtype=int)
    one, ten = (np.array([tiny._bits(rows, nobody, k, seed) for seed in range(200)]) for k in (1, 10))
    error = one.std(0) / np.sqrt(200) + ten.std(0) / np.sqrt(200)
    assert (one.mean(0) > exact - 4 * error).all()
    assert (ten.mean(0) > exact - 4 * error).all()
    assert (ten.mean(0) < one.mean(0) + 4 * error).all()
    np.testing.assert_allclose(tiny.bits(rows, n_draws=4000), exact, rtol=0.01)


def test_all_haplotypes_together_have_probability_one(tiny):
    every = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(np.int8)
    assert np.exp2(-tiny.bits(every, n_draws=3000)).sum() == pytest.approx(1.0, abs=0.02)


def test_missing_calls_cost_nothing(plain):
    assert plain.bits(np.full((1, 40), -1), n_draws=2000)[0] == pytest.approx(0.0, abs=0.2)
    assert (plain.bits(HOLES, n_draws=50) < plain.bits(NEW, n_draws=50) + 1.0).all()


def test_score_is_minus_the_bits_of_a_known_call(plain):
    assert plain.score(HOLES) == pytest.approx(-plain.bits(HOLES).sum() / (HOLES >= 0).sum())


def test_the_model_beats_allele_frequencies_and_looking_back_helps(plain, causal, told):
    frequency = np.clip(CALLS.mean(0), 0.002, 0.998)
    independent = -(NEW * np.log2(frequency) + (1 - NEW) * np.log2(1 - frequency)).sum(1).mean()
    assert plain.bits(NEW, n_draws=20).mean() < 0.75 * independent
    assert causal.bits(NEW, n_draws=20).mean() < 0.9 * plain.bits(NEW, n_draws=20).mean()
    assert told.bits(NEW, NEW_POPULATION, n_draws=20).mean() < independent


# ---- the estimator --------------------------------------------------------------------------------


def binarized(calls):
    """scikit-learn hands in real numbers; their sign is the call."""
    return (np.asarray(calls).astype(np.float64) > 0).astype(np.int8)


@parametrize_with_checks(
    [
        HaplotypeVAE(2, hidden=(4,), max_epochs=2, random_state=0),
        HaplotypeVAE(1, hidden=(4,), max_epochs=2, n_previous=1, window=2, random_state=0),
    ]
)
def test_sklearn_compatible(estimator, check, monkeypatch):
    monkeypatch.setattr(haplotype_vae, "check_values", binarized)
    monkeypatch.setattr(haplotype_estimator, "check_values", binarized)
    check(estimator)


def test_a_haplotype_does_not_depend_on_those_beside_it(causal):
    np.testing.assert_allclose(causal.transform(NEW)[7:9], causal.transform(NEW[7:9]), rtol=1e-12)
    np.testing.assert_allclose(causal.bits(NEW, n_draws=3)[7:9], causal.bits(NEW[7:9], n_draws=3), rtol=1e-12)


def test_save_and_load_give_the_same_model(told, tmp_path):
    again = HaplotypeVAE.load(told.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.transform(NEW, NEW_POPULATION), told.transform(NEW, NEW_POPULATION))
    np.testing.assert_array_equal(
        again.sample(5, population="pop1", random_state=3), told.sample(5, population="pop1", random_state=3)
    )


def test_the_same_seed_gives_the_same_model(plain):
    np.testing.assert_array_equal(HaplotypeVAE(**FIT).fit(CALLS).transform(NEW), plain.transform(NEW))


def test_imputation_keeps_what_is_known_and_beats_the_commoner_allele(plain, causal):
    common = (CALLS.mean(0) > 0.5).astype(np.int8)
    hidden = (HOLES < 0) & (HOLES >= 0).any(axis=1)[:, None]
    for model in (plain, causal):
        filled = model.impute(HOLES)
        np.testing.assert_array_equal(filled[HOLES >= 0], HOLES[HOLES >= 0])
        assert set(np.unique(filled)) <= {0, 1}
        wrong = (filled != NEW)[hidden].mean()
        assert wrong < 0.6 * (np.broadcast_to(common, NEW.shape) != NEW)[hidden].mean()


def test_inverse_transform_gives_probabilities_near_the_calls(plain):
    restored = plain.inverse_transform(plain.transform(NEW))
    assert restored.min() >= 0
    assert restored.max() <= 1
    assert np.abs(restored - NEW).mean() < 0.6 * np.abs(CALLS.mean(0) - NEW).mean()


def test_samples_have_the_frequencies_of_their_population(plain, told):
    n = 2000
    for name in ("pop0", "pop1"):
        true = CALLS[name == POPULATION].mean(0)
        for aggregate in (True, False):
            drawn = told.sample(n, population=name, aggregate=aggregate, random_state=1).mean(0)
            assert np.corrcoef(drawn, true)[0, 1] > 0.97
        other = CALLS[name != POPULATION].mean(0)
        assert np.abs(drawn - true).mean() < 0.5 * np.abs(drawn - other).mean()
    assert np.corrcoef(plain.sample(n, random_state=1).mean(0), CALLS.mean(0))[0, 1] > 0.98


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
def test_temperature_divides_the_log_odds(plain, temperature):
    n = 300
    drawn = plain.sample(n, aggregate=False, temperature=temperature, random_state=1)
    rng = np.random.default_rng(1)
    rng.choice(1, n, p=[1.0])  # the population: there is one
    probability = plain.inverse_transform(rng.standard_normal((n, FIT["n_latent"])))
    odds = special.expit(special.logit(probability) / temperature)
    np.testing.assert_array_equal(drawn, rng.random(odds.shape) < odds)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_not_above_zero_is_refused(plain, temperature):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        plain.sample(2, temperature=temperature)


def test_populations_shape_the_mixture_of_a_model_that_is_not_told():
    model = HaplotypeVAE(**FIT).fit(CALLS, POPULATION)
    drawn = model.sample(1000, population="pop0", random_state=0).mean(0)
    same, other = (CALLS[name == POPULATION].mean(0) for name in ("pop0", "pop1"))
    assert np.abs(drawn - same).mean() < 0.5 * np.abs(drawn - other).mean()


def test_a_conditional_model_recognises_populations(told):
    found = told.likeliest_population(NEW)
    assert (found == NEW_POPULATION).mean() > 0.9
    np.testing.assert_array_equal(told.transform(NEW), told.transform(NEW, found))


def test_windows_cut_the_chromosome_and_keep_the_remainder():
    model = HaplotypeVAE(window=15, **FIT | {"max_epochs": 3}).fit(CALLS)
    assert model.module_.window_sizes == [15, 15, 10]
    assert model.transform(NEW).shape == (120, 12)
    assert list(model.get_feature_names_out()[[0, -1]]) == ["latent1", "latent12"]
    changed = NEW.copy()
    changed[:, 15:] = 1 - changed[:, 15:]
    np.testing.assert_array_equal(model.transform(changed)[:, :4], model.transform(NEW)[:, :4])


def test_the_published_network_has_batch_norm_and_trains():
    model = HaplotypeVAE(**published_settings() | {"max_epochs": 15, "batch_size": 32}, random_state=0).fit(
        CALLS
    )
    kinds = {type(module).__name__ for module in model.module_.modules()}
    assert {"BatchNorm1d", "ReLU"} <= kinds
    assert "LeakyReLU" not in kinds
    nll = model.history_.query("term == 'nll'")["value"].to_numpy()
    assert nll[-1] < 0.6 * nll[0]


def test_the_mixture_has_the_moments_of_what_it_was_fitted_to():
    rng = np.random.default_rng(0)
    shapes = np.array([[1.0, 0.6], [0.6, 0.8]]), np.array([[0.2, 0.0], [0.0, 2.0]])
    parts = [rng.multivariate_normal([5.0 * i, -i], shape, 3000) for i, shape in enumerate(shapes)]
    mixture = fit_latent_mixture(np.concatenate(parts), np.repeat([0, 1], 3000), 1, seed=0)
    for number, part in enumerate(parts):
        drawn = mixture.draw(20_000, rng, population=number)
        np.testing.assert_allclose(drawn.mean(0), part.mean(0), atol=4 * np.sqrt(2.0 / 20_000))
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(part.T), atol=0.1)
    assert mixture.weights.sum() == pytest.approx(1.0)
    alone = fit_latent_mixture(np.zeros((1, 2)), np.zeros(1, dtype=int), 3, seed=0)
    assert alone.draw(4, rng).shape == (4, 2)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({"conditional": True}, None, "must be told the population of every haplotype"),
        ({}, ["a", "b"], "y must name one population a haplotype"),
        ({"n_latent": 0}, None, "n_latent must be >= 1, but 0 came"),
        ({"window": 0}, None, "window must be >= 1, but 0 came"),
        ({"warmup": 1.0}, None, r"warmup must lie in \[0, 1\), but 1.0 came"),
        ({"hidden": ()}, None, "hidden must name at least one layer"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, y, message):
    with pytest.raises(ValueError, match=message):
        HaplotypeVAE(**FIT | settings).fit(CALLS[:40], y)


def test_calls_and_requests_that_cannot_be_are_refused(plain, told):
    with pytest.raises(ValueError, match="Calls must be 0, 1 or -1 for missing, but 1 of"):
        plain.transform(np.where(np.arange(40) == 3, 2, NEW[:1]))
    with pytest.raises(ValueError, match="n_samples must be >= 1"):
        plain.sample(0)
    with pytest.raises(ValueError, match=r"N\(0, I\) knows no populations"):
        plain.sample(2, population="all", aggregate=False)
    with pytest.raises(ValueError, match="population must be one of 'pop0', 'pop1', but 'pop9' came"):
        told.sample(2, population="pop9")
    with pytest.raises(ValueError, match="population must be one of 'pop0', 'pop1', but 'x' came"):
        told.transform(NEW, "x")
    with pytest.raises(ValueError, match=r"must have shape \(n_haplotypes, 4\), but theirs is \(2, 3\)"):
        plain.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="must be told the population, but none came"):
        told.inverse_transform(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="must be conditional to tell populations apart"):
        plain.likeliest_population(NEW)
    with pytest.raises(ValueError, match="n_draws must be >= 1"):
        plain.bits(NEW, n_draws=0)


@pytest.mark.real_data(LCT_FILE, PANEL_FILE)
def test_real_haplotypes_cost_less_than_by_allele_frequencies():
    data = load_lct(0.05)
    train, test = grouped_split(data.metadata["person"], test_fraction=0.1, random_state=0)
    model = HaplotypeVAE(hidden=(64,), max_epochs=4, batch_size=32, random_state=0).fit(
        data.calls[train[::2]]
    )
    frequency = data.calls[train].mean(0).clip(1e-3, 1 - 1e-3)
    new = data.calls[test]
    independent = -(new * np.log2(frequency) + (1 - new) * np.log2(1 - frequency)).sum(1).mean()
    assert model.bits(new).mean() < 0.35 * independent  # 2.24 times one bit a SNP is the yardstick's ratio
