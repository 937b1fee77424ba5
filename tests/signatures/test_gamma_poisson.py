import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special, stats
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.signatures.evaluate import match_signatures, recovery
from latentgenomes.signatures.models.elimination import Search
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF, evidence
from latentgenomes.signatures.models.spike_slab import (
    Catalogue,
    Factors,
    bound,
    climb,
    close_exposures,
    divergence_terms,
    explained,
    infer,
    open_exposures,
    open_factors,
    opening_gains,
    posterior,
    update,
)
from latentgenomes.signatures.simulate import simulate_signature_catalogs


@pytest.fixture(scope="module")
def catalogs():
    """400 samples of 8 signatures, median 5,000 mutations, Poisson noise."""
    return simulate_signature_catalogs(400, random_state=0)


@pytest.fixture(scope="module")
def fitted(catalogs):
    return GammaPoissonNMF(12, n_restarts=1, max_iter=2, random_state=0).fit(catalogs.counts)


def wrap(counts):
    return Catalogue.of(np.asarray(counts, dtype=np.float64), torch.device("cpu"), torch.float64)


def random_state(seed, n=14, m=9, k=4, b=2):
    """Counts and a state off every optimum, with some exposures absent."""
    rng = np.random.default_rng(seed)
    s = rng.dirichlet(np.full(m, 0.7), size=(b, k))
    e = rng.gamma(0.7, 60.0, size=(n, k))
    x = rng.poisson(e @ s[0]).astype(float)
    x[x.sum(1) == 0, 0] = 1.0
    active = (rng.random((b, n, k)) < 0.7).astype(float)
    active[..., 0] = 1.0
    factors = Factors(
        torch.from_numpy(s),
        torch.from_numpy(rng.gamma(1.0, 30.0, size=(b, n, k)) * active),
        torch.from_numpy(active),
        torch.from_numpy(rng.uniform(0.4, 3.0, size=(b, k))),
        torch.from_numpy(rng.uniform(1.0, 9.0, size=(b, k))),
    )
    return wrap(x), factors


# ---- the bound and its updates ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_with_one_signature_the_bound_is_the_exact_evidence(seed):
    # One signature: the sum over channels is negative binomial and the channels are multinomial given it.
    rng = np.random.default_rng(seed)
    s = rng.dirichlet(np.ones(6))
    x = rng.poisson(rng.gamma(2.0, 20.0, size=(5, 1)) * s).astype(float) + np.eye(5, 6)
    shape, rate = 1.7, 2.5
    catalogue = wrap(x)
    total = x.sum(1)
    ones = torch.ones(1, 5, 1, dtype=torch.float64)
    factors = Factors(
        torch.from_numpy(s).view(1, 1, -1),
        torch.from_numpy(total).view(1, 5, 1),
        ones,
        torch.tensor([[shape]], dtype=torch.float64),
        torch.tensor([[rate]], dtype=torch.float64),
    )
    prior = rate / total
    exact = stats.nbinom.logpmf(total, shape, prior / (1 + prior)).sum()
    exact += sum(stats.multinomial.logpmf(row, int(t), s) for row, t in zip(x, total, strict=True))
    assert float(bound(catalogue, factors)[0]) == pytest.approx(exact + 5 * np.log(5.5 / 6), rel=1e-10)


def test_the_bound_is_below_the_evidence_by_sampling():
    # log p(x, z) by 400,000 draws of the exposures from their prior; two samples with few counts.
    x = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    s = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    catalogue = wrap(x)
    factors = climb(
        catalogue, open_factors(catalogue, torch.from_numpy(s)[None]), 200, learn_signatures=False
    )
    rng = np.random.default_rng(0)
    total = 0.0
    spread = 0.0
    for row in x:
        a, b = factors.shape[0].numpy(), factors.rate[0].numpy() / row.sum()
        r = rng.gamma(a, 1 / b, size=(400_000, 2)) @ s
        p = np.exp(stats.poisson.logpmf(row, r).sum(1))
        total += np.log(p.mean())
        spread += (p.std() / p.mean()) ** 2 / len(p)
    total += 2 * np.log(factors.prevalence[0].numpy()).sum()
    ours = float(bound(catalogue, factors)[0])
    assert ours < total + 4 * np.sqrt(spread)
    assert ours > total - 1.0  # and not far below


def test_update_is_the_equations_written_out_entry_by_entry():
    catalogue, factors = random_state(0, b=1)
    alpha, beta, log_mean = (part[0].numpy() for part in posterior(catalogue, factors))
    x, t = catalogue.counts.numpy(), catalogue.totals[:, 0].numpy()
    z, s = factors.active[0].numpy(), factors.signatures[0].numpy()
    a, b = factors.shape[0].numpy(), factors.rate[0].numpy()
    moved = update(catalogue, factors)
    weight, new = np.zeros_like(s), np.zeros_like(alpha)
    for n in range(len(x)):
        for k in range(len(s)):
            assert alpha[n, k] == pytest.approx(a[k] + factors.allotted[0, n, k])
            assert beta[n, k] == pytest.approx(1 + b[k] / t[n])
            assert log_mean[n, k] == pytest.approx(special.digamma(alpha[n, k]) - np.log(beta[n, k]))
        g = z[n] * np.exp(log_mean[n])
        for m in range(x.shape[1]):
            share = g * s[:, m] / (g * s[:, m]).sum()
            new[n] += x[n, m] * share
            weight[:, m] += x[n, m] * share
    np.testing.assert_allclose(moved.allotted[0].numpy(), new, rtol=1e-9)
    expected = weight / weight.sum(1, keepdims=True)
    np.testing.assert_allclose(moved.signatures[0].numpy(), expected, atol=2e-6)  # the floor of a share
    on = z[:, 0] > 0
    share = (alpha[:, 0] / beta[:, 0] / t)[on]
    assert moved.rate[0, 0].item() == pytest.approx(moved.shape[0, 0].item() / share.mean())


@pytest.mark.parametrize("seed", range(4))
def test_no_update_lowers_the_bound(seed):
    catalogue, factors = random_state(seed)
    last = bound(catalogue, update(catalogue, factors, learn_signatures=False, learn_prior=False))
    factors = update(catalogue, factors, learn_signatures=False, learn_prior=False)
    for step in range(40):
        factors = update(catalogue, factors, learn_signatures=step % 2 == 0, learn_prior=False)
        # The posterior follows the signatures one update later.
        factors = update(catalogue, factors, learn_signatures=False, learn_prior=False)
        now = bound(catalogue, factors)
        assert (now >= last - 1e-5).all()
        last = now


@pytest.mark.parametrize("seed", range(4))
def test_momentum_never_ends_below_its_start_and_beats_plain_updates(seed):
    catalogue, factors = random_state(seed, n=40, m=20)
    plain = factors
    for _ in range(60):
        plain = update(catalogue, plain)
    climbed = climb(catalogue, factors, 60)
    assert (bound(catalogue, climbed) >= bound(catalogue, factors)).all()
    assert (bound(catalogue, climbed) >= bound(catalogue, plain) - 1e-6).all()


def test_the_learnt_shape_is_near_the_maximum_of_the_bound():
    catalogue, factors = random_state(1, n=200, b=1)
    factors = climb(catalogue, factors, 300, learn_signatures=False)
    best = bound(catalogue, factors)
    for change in (0.7, 1.4):
        shape, rate = factors.shape * change, factors.rate * change
        other = Factors(factors.signatures, factors.allotted, factors.active, shape, rate)
        for _ in range(20):
            other = update(catalogue, other, learn_signatures=False, learn_prior=False)
        assert bound(catalogue, other) < best


def test_each_candidate_climbs_as_it_would_alone():
    catalogue, factors = random_state(2)
    both = climb(catalogue, factors, 30)
    alone = climb(catalogue, factors.member(1), 30)
    torch.testing.assert_close(both.signatures[1], alone.signatures[0], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(both.allotted[1], alone.allotted[0], rtol=1e-7, atol=1e-7)


# ---- presence -----------------------------------------------------------------------------------


def test_what_an_exposure_explains_is_the_log_likelihood_without_it():
    catalogue, factors = random_state(3, b=1)
    factors = climb(catalogue, factors, 30)
    geometric, expected, _, _ = divergence_terms(catalogue, factors)
    ours = explained(catalogue, factors, geometric, expected)[0].numpy()
    x, t = catalogue.counts.numpy(), catalogue.totals[:, 0].numpy()
    g, s, c = geometric[0].numpy(), factors.signatures[0].numpy(), factors.allotted[0].numpy()
    for n in range(len(x)):
        for k in range(len(s)):
            r = g[n] @ s
            rest = (r - g[n, k] * s[k]) * t[n] / (t[n] - c[n, k])
            assert ours[n, k] == pytest.approx(max((x[n] * np.log(r / rest)).sum(), 0.0), abs=2e-3, rel=2e-3)


def test_closing_raises_the_bound_and_leaves_one_exposure():
    catalogue, factors = random_state(4, n=60)
    factors = climb(catalogue, factors, 30)
    closed, n_closed = close_exposures(catalogue, factors, most=4)
    assert (closed.active.sum(-1) >= 1).all()
    assert (closed.active <= factors.active).all()
    assert (n_closed > 0).all()
    torch.testing.assert_close(n_closed, (factors.active - closed.active).sum((-2, -1)))
    torch.testing.assert_close(closed.allotted.sum(-1), catalogue.totals[:, 0].expand(2, -1))
    settled = climb(catalogue, closed, 30)
    assert (bound(catalogue, settled) > bound(catalogue, climb(catalogue, factors, 30))).all()


def test_opening_gains_are_the_gradient_and_curvature_of_the_log_likelihood():
    catalogue, _ = random_state(5, b=1)
    rng = np.random.default_rng(5)
    v = rng.dirichlet(np.ones(9), size=3)
    r = rng.uniform(1.0, 9.0, size=(14, 9))
    gains, amounts = opening_gains(catalogue, torch.from_numpy(r)[None], torch.from_numpy(v)[None])
    x, h = catalogue.counts.numpy(), 1e-5
    for n in range(len(x)):
        for j in range(3):

            def log_likelihood(e, n=n, j=j):
                rates = r[n] + e * v[j]
                return (x[n] * np.log(rates) - rates).sum()

            slope = (log_likelihood(h) - log_likelihood(-h)) / (2 * h)
            rate = max(slope, 0.0) / (v[j] ** 2 / r[n]).sum()  # the expected curvature: x = r
            assert float(amounts[0, n, j]) == pytest.approx(rate, rel=1e-4, abs=1e-4)
            assert float(gains[0, n, j]) == pytest.approx(0.5 * rate * slope, rel=1e-4, abs=1e-4)


def test_a_missing_exposure_is_opened_where_it_belongs(catalogs):
    x, s = catalogs.counts.to_numpy(float)[:80], catalogs.signatures.to_numpy()
    catalogue = wrap(x)
    factors = infer(catalogue, torch.from_numpy(s)[None])
    large = (catalogs.exposures.to_numpy()[:80, 4] > 0.3 * x.sum(1)).nonzero()[0]
    active, allotted = factors.active.clone(), factors.allotted.clone()
    active[0, large, 4] = allotted[0, large, 4] = 0.0
    robbed = climb(
        catalogue,
        Factors(factors.signatures, allotted, active, factors.shape, factors.rate),
        20,
        learn_signatures=False,
    )
    opened = open_exposures(catalogue, robbed)
    assert len(large) >= 3
    assert (opened.active[0, large, 4] == 1).all()
    assert (opened.active >= robbed.active).all()


def test_presence_agrees_with_the_truth(catalogs):
    x = catalogs.counts.to_numpy(float)
    factors = infer(wrap(x), torch.from_numpy(catalogs.signatures.to_numpy())[None])
    present = catalogs.exposures.to_numpy() > 0
    agreement = (factors.active[0].numpy() == present).mean()
    assert agreement > 0.93  # small exposures cannot be told from none


# ---- the search ---------------------------------------------------------------------------------


def test_the_penalty_is_half_a_log_of_the_carriers_but_no_less_than_akaikes():
    catalogue = wrap(np.ones((5, 7)))
    carriers = torch.tensor([[100.0, 3.0, 0.0]])
    assert float(catalogue.penalty(carriers)[0]) == pytest.approx(6 * (0.5 * np.log(100) + 1 + 1))


def overreaching(catalogs):
    """True signatures, but the first two with part of another one subtracted."""
    s = catalogs.signatures.to_numpy().copy()
    s[1] = np.clip(s[1] - 0.5 * s[0], 0, None)
    return s / s.sum(1, keepdims=True)


def test_tightening_explains_the_same_rates(catalogs):
    x = catalogs.counts.to_numpy(float)[:100]
    search = Search(wrap(x), 1, 12)
    factors = open_factors(search.catalogue, torch.from_numpy(overreaching(catalogs))[None])
    before = factors.allotted @ factors.signatures
    moved = search._tightened(factors, [(0.0, 1, 0, 0.4)])
    torch.testing.assert_close(moved.allotted @ moved.signatures, before)
    torch.testing.assert_close(moved.allotted.sum(-1), factors.allotted.sum(-1))
    expected = (factors.signatures[0, 1] + 0.4 * factors.signatures[0, 0]) / 1.4
    torch.testing.assert_close(moved.signatures[0, 1], expected)


def test_a_signature_that_overreaches_is_tightened(catalogs):
    x = catalogs.counts.to_numpy(float)
    search = Search(wrap(x), 1, 12)
    wrong = search.judge(infer(search.catalogue, torch.from_numpy(overreaching(catalogs))[None]))
    better = search.tighten(wrong, rounds=10, tol=5.0)
    truth = torch.from_numpy(catalogs.signatures.to_numpy()[1])
    cosines = [
        float(torch.cosine_similarity(one.factors.signatures[0, 1], truth, dim=0)) for one in (wrong, better)
    ]
    assert better.evidence > wrong.evidence + 100
    assert cosines[1] > cosines[0]


def test_a_birth_is_the_signature_that_is_missing(catalogs):
    x, s = catalogs.counts.to_numpy(float), catalogs.signatures.to_numpy()
    search = Search(wrap(x), 1, 12)
    rest = np.delete(s, 5, axis=0)
    grown = search.with_births(infer(search.catalogue, torch.from_numpy(rest)[None]))
    born = grown.signatures[0, 7:]
    assert 1 <= len(born) <= 6
    assert float(torch.cosine_similarity(born, torch.from_numpy(s[5]), dim=1).max()) > 0.9
    assert (grown.active[0, :, 7:].sum(0) >= 2).all()


def test_nothing_is_born_where_nothing_is_left():
    x = np.outer(np.arange(1, 31), np.arange(1, 7)).astype(float)
    search = Search(wrap(x), 1, 3)
    factors = infer(search.catalogue, torch.from_numpy(x[:1] / x[0].sum())[None])
    assert search.with_births(factors).n_signatures == 1


def test_elimination_takes_the_needless_signature(catalogs):
    x, s = catalogs.counts.to_numpy(float), catalogs.signatures.to_numpy()
    search = Search(wrap(x), 1, 12)
    flat = np.full((1, 96), 1 / 96)
    factors = infer(search.catalogue, torch.from_numpy(np.concatenate([s, flat]))[None])
    fewer = search.without_least(factors, n_candidates=4)
    np.testing.assert_allclose(fewer.signatures[0].numpy(), s, atol=1e-4)


# ---- the estimator ------------------------------------------------------------------------------


def test_the_true_signatures_and_their_number_are_found(fitted, catalogs):
    assert fitted.n_signatures_ == 8
    scores = recovery(fitted.signatures_, catalogs.signatures, (0.9,)).iloc[0]
    assert scores["f1"] == 1.0
    assert scores["mean_cosine"] > 0.97
    matches = match_signatures(fitted.signatures_, catalogs.signatures).set_index("signature")["reference"]
    exposures = pd.DataFrame(
        fitted.training_exposures_, catalogs.counts.index, fitted.get_feature_names_out()
    ).rename(columns=matches)
    assert exposures.corrwith(catalogs.exposures).min() > 0.9


def test_the_path_holds_the_chosen_number_and_adds_up(fitted):
    path = fitted.path_
    assert list(path.columns) == ["n_signatures", "evidence", "penalty", "penalised_evidence"]
    np.testing.assert_allclose(path["evidence"] - path["penalty"], path["penalised_evidence"])
    best = path.loc[path["penalised_evidence"].idxmax()]
    assert best["n_signatures"] == fitted.n_signatures_
    # The search computes in single precision, the last updates in double.
    assert -1 < fitted.evidence_ - best["penalised_evidence"] < 20
    assert path["n_signatures"].is_monotonic_increasing
    assert len(path) >= 3


def test_evidence_ranks_the_truth_above_fewer_more_and_wrong(fitted, catalogs):
    x, s = catalogs.counts.to_numpy(float), catalogs.signatures.to_numpy()
    truth = evidence(x, s)
    assert truth > evidence(x, s[:-1]) + 100
    noise = np.random.default_rng(0).dirichlet(np.ones(96), size=2)
    assert truth > evidence(x, np.concatenate([s, noise])) + 100
    assert truth > evidence(x, overreaching(catalogs)) + 100
    assert evidence(x, fitted.components_) == pytest.approx(fitted.evidence_, rel=1e-3)
    assert evidence(x, fitted.components_) > truth  # adapted to the counts
    assert evidence(x, 7.0 * s[::-1]) == pytest.approx(truth, rel=1e-6)  # neither scale nor order matter
    assert evidence(np.concatenate([x, np.zeros((2, 96))]), s) == truth


def test_exactly_as_many_signatures_as_asked(catalogs):
    model = GammaPoissonNMF(5, eliminate=False, n_restarts=1, max_iter=1, random_state=0).fit(catalogs.counts)
    assert model.components_.shape == (5, 96)
    assert model.path_["n_signatures"].tolist() == [5]
    cosines = match_signatures(model.signatures_, catalogs.signatures, how="nearest")["cosine"]
    assert (cosines > 0.9).sum() >= 3


def test_min_signatures_and_small_tables_bound_the_number():
    x = np.outer(np.arange(1, 31), np.arange(1, 5)).astype(float)
    settings = {"n_restarts": 1, "max_iter": 1, "random_state": 0}
    assert GammaPoissonNMF(25, **settings).fit(x).n_signatures_ == 1
    assert GammaPoissonNMF(25, min_signatures=3, **settings).fit(x).n_signatures_ >= 3
    more = GammaPoissonNMF(6, eliminate=False, **settings).fit(x)  # more than channels
    assert more.components_.shape == (6, 4)
    assert np.isfinite(more.transform(x)).all()


def test_exposures_are_in_mutations_and_explain_the_counts(fitted, catalogs):
    exposures = fitted.transform(catalogs.counts)
    np.testing.assert_allclose(exposures, fitted.training_exposures_, rtol=1e-9)
    totals = catalogs.counts.sum(axis=1)
    assert (np.abs(exposures.sum(1) - totals) <= 4 * np.sqrt(totals)).all()
    np.testing.assert_allclose(exposures.sum(), totals.sum(), rtol=1e-3)
    assert 0.2 < (exposures == 0).mean() < 0.8
    assert (np.diff(exposures.sum(0)) <= 0).all()
    x = catalogs.counts.to_numpy()
    true_rates = catalogs.exposures.to_numpy() @ catalogs.signatures.to_numpy()
    assert fitted.score(catalogs.counts) > stats.poisson.logpmf(x, true_rates).sum() / x.sum() - 1e-3


def test_exposures_of_a_sample_do_not_depend_on_the_others(fitted, catalogs):
    x = catalogs.counts[:20]
    one_by_one = np.concatenate([fitted.transform(x[n : n + 1]) for n in range(len(x))])
    np.testing.assert_allclose(fitted.transform(x), one_by_one, rtol=1e-6, atol=1e-6)
    assert (fitted.transform(x * 0) == 0).all()


def test_a_hypermutator_is_scaled_for_the_fit_and_not_for_its_exposures(catalogs):
    x = catalogs.counts.to_numpy(float)[:100].copy()
    settings = {"n_signatures": 6, "n_restarts": 1, "max_iter": 1, "random_state": 0}
    plain = GammaPoissonNMF(**settings).fit(x)
    x[0] *= 1000
    held = GammaPoissonNMF(**settings).fit(x)
    assert held.n_signatures_ == plain.n_signatures_
    columns = catalogs.counts.columns
    same = match_signatures(*(pd.DataFrame(m.components_, columns=columns) for m in (plain, held)))
    assert same["cosine"].min() > 0.99
    assert held.training_exposures_[0].sum() == pytest.approx(x[0].sum(), rel=0.02)


def test_intervals_hold_the_exposures_and_widen_with_the_level(fitted, catalogs):
    exposures = fitted.transform(catalogs.counts)
    lower, upper = fitted.exposure_intervals(catalogs.counts)
    absent = exposures == 0
    assert (lower[absent] == 0).all()
    assert (upper[absent] == 0).all()
    assert (lower < exposures)[~absent].all()
    assert (exposures < upper)[~absent].mean() > 0.99  # a skewed tail may lie below its mean
    narrow, wide = (np.subtract(*fitted.exposure_intervals(catalogs.counts, q)) for q in (0.5, 0.99))
    assert (wide <= narrow).all()  # lower - upper
    alpha, beta, _ = fitted._posterior(catalogs.counts.to_numpy(float)[:1])
    k = int(exposures[0].argmax())
    draws = np.random.default_rng(0).gamma(alpha[0, k], 1 / beta[0, k], size=40_000)
    inside = ((draws > lower[0, k]) & (draws < upper[0, k])).mean()
    assert inside == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 40_000))


def test_same_seed_same_fit_and_the_global_state_is_untouched(catalogs):
    x = catalogs.counts.to_numpy(float)[:60]
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one = GammaPoissonNMF(4, n_restarts=2, max_iter=1, random_state=4).fit(x.copy())
    two = clone(one).fit(x)
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(one.components_, two.components_)
    pd.testing.assert_frame_equal(one.path_, two.path_)
    assert one.restarts_["seed"].nunique() == 2
    assert one.evidence_ > one.restarts_["penalised_evidence"].max() - 1  # single precision


def test_a_saved_model_is_loaded_equal(fitted, catalogs, tmp_path):
    again = GammaPoissonNMF.load(fitted.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(again.transform(catalogs.counts), fitted.transform(catalogs.counts))
    pd.testing.assert_frame_equal(again.signatures_, fitted.signatures_)
    pd.testing.assert_frame_equal(again.path_, fitted.path_)
    for ours, theirs in zip(
        again.exposure_intervals(catalogs.counts), fitted.exposure_intervals(catalogs.counts), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert (again.evidence_, again.n_iter_) == (fitted.evidence_, fitted.n_iter_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_signatures": 0}, r"min_signatures must be between 1 and n_signatures \(4\), but 0 came"),
        ({"min_signatures": 5}, r"min_signatures must be between 1 and n_signatures \(4\), but 5 came"),
        ({"max_mutations": -1.0}, r"max_mutations must be > 0, or None for no limit, but -1\.0 came"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        GammaPoissonNMF(4, **settings).fit(np.ones((6, 5)))


def test_bad_arguments_are_named(fitted, catalogs):
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), but 1 came"):
        fitted.exposure_intervals(catalogs.counts, 1)
    with pytest.raises(
        ValueError, match=r"same channels in their columns, but their shapes are \(4, 3\) and"
    ):
        evidence(np.ones((4, 3)), np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"counts must hold finite numbers >= 0, not all 0"):
        evidence(-np.ones((4, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"signatures must hold finite numbers >= 0, not all 0"):
        evidence(np.ones((4, 3)), np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match=r"Every signature must have a positive sum, but row 1 has none"):
        evidence(np.ones((4, 3)), np.array([[1.0, 1, 1], [0, 0, 0]]))


@parametrize_with_checks([GammaPoissonNMF(n_signatures=2, n_restarts=1, max_iter=1, random_state=0)])
def test_sklearn_compatible(estimator, check):
    check(estimator)


@pytest.mark.real_data(
    *(
        f"signatures/synthetic_islam2022/Scenario_4.{part}.csv"
        for part in ("catalog", "truth.sigs", "truth.exposures")
    )
)
def test_the_three_signatures_of_islams_fourth_scenario_are_found():
    from latentgenomes.signatures.data.published import load_islam

    data = load_islam(4)
    model = GammaPoissonNMF(8, n_restarts=1, max_iter=1, random_state=0).fit(data.counts)
    assert model.n_signatures_ == 3
    assert recovery(model.signatures_, data.signatures, (0.9,))["f1"].iloc[0] == 1.0
