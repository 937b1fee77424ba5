"""Sparse exposures of known signatures: the search, the calls, and what they are worth."""

from itertools import chain, combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import chi2

from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.data.published import load_islam
from latentgenomes.signatures.models.klnmf import refit
from latentgenomes.signatures.models.refitting import decompose, p_value, refit_sparse
from latentgenomes.signatures.models.subsets import SubsetSearch, maximize
from latentgenomes.signatures.simulate import CatalogSettings, simulate_signature_catalogs


def random_signatures(k, m=12, seed=0, concentration=0.5):
    values = np.random.default_rng(seed).dirichlet(np.full(m, concentration), size=k)
    return pd.DataFrame(values, index=[f"S{i}" for i in range(k)], columns=[f"c{i}" for i in range(m)])


def draw(exposures, signatures, seed=0):
    rates = exposures @ signatures.loc[exposures.columns]
    return pd.DataFrame(np.random.default_rng(seed).poisson(rates), index=rates.index, columns=rates.columns)


def sparse_exposures(n, k, seed=0, present=0.4, scale=500.0):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2, scale, size=(n, k)) * (rng.random((n, k)) < present)
    values[np.arange(n), rng.integers(0, k, n)] += scale
    return pd.DataFrame(values, index=[f"P{i}" for i in range(n)], columns=[f"S{i}" for i in range(k)])


def f1(found, truth):
    return (
        2 * float((found & truth).to_numpy().sum()) / float(found.to_numpy().sum() + truth.to_numpy().sum())
    )


@pytest.fixture(scope="module")
def cosmic():
    return cosmic_signatures()


@pytest.fixture(scope="module")
def catalogs():
    return simulate_signature_catalogs(40, signatures=16, random_state=11)


@pytest.fixture(scope="module")
def found(catalogs, cosmic):
    return refit_sparse(catalogs.counts, cosmic)


# ---- the solver and the search ------------------------------------------------------------------


def test_maximize_agrees_with_a_general_optimiser_and_meets_the_optimality_conditions():
    rng = np.random.default_rng(0)
    profiles = rng.dirichlet(np.full(9, 0.5), size=(8, 4))
    counts = rng.poisson(40 * rng.dirichlet(np.ones(9), size=8)).astype(float)
    allowed = np.ones((8, 4), bool)
    allowed[::2, 1] = False
    start = np.full((8, 4), counts.sum(1, keepdims=True) / 4)
    exposures, value = maximize(*(torch.from_numpy(a) for a in (counts, profiles, allowed, start)))
    for n in range(8):
        own = profiles[n][allowed[n]]

        def loss(e, own=own, x=counts[n]):
            r = e @ own + 1e-10
            return r.sum() - x @ np.log(r), own @ (1 - x / r)

        best = minimize(loss, np.full(len(own), 10.0), jac=True, bounds=[(0, None)] * len(own), tol=1e-12)
        assert float(value[n]) == pytest.approx(-best.fun, abs=2e-3)
        e = exposures[n].numpy()
        assert (e[~allowed[n]] == 0).all()
        # Karush-Kuhn-Tucker: the score is 0 where an exposure is positive, and not above 0 elsewhere.
        score = profiles[n] @ (counts[n] / (e @ profiles[n])) - 1
        assert np.abs(score[allowed[n] & (e > 1e-6)]).max() < 0.01
        assert (score[allowed[n]] < 0.01).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_search_finds_the_best_of_all_subsets(seed):
    k, penalty = 6, 3.0
    signatures = random_signatures(k, seed=seed)
    counts = draw(sparse_exposures(25, k, seed=seed, scale=60.0), signatures, seed)
    x, s = (torch.from_numpy(frame.to_numpy(dtype=float)) for frame in (counts, signatures))
    search = SubsetSearch(x, s, torch.full((25, k), penalty, dtype=x.dtype), torch.ones(25, dtype=x.dtype))
    exposures = search.run()
    subsets = list(chain.from_iterable(combinations(range(k), size) for size in range(1, k + 1)))
    best = torch.full((25,), -torch.inf, dtype=x.dtype)
    for subset in subsets:
        members = list(subset)
        start = x.sum(1, keepdim=True).expand(-1, len(members)) / len(members)
        value = maximize(
            x, s[members].expand(25, -1, -1), torch.ones(25, len(members), dtype=torch.bool), start
        )[1]
        best = torch.maximum(best, value - penalty * len(members))
    rates = exposures @ s
    reached = (torch.xlogy(x, rates.clamp_min(1e-10)) - rates).sum(1) - penalty * (exposures > 0).sum(1)
    assert (reached > best - 0.01).float().mean() >= 0.96  # a local search may miss one in 25
    assert (reached < best + 0.01).all()


def test_likelihood_ratios_are_those_of_two_fits():
    signatures = random_signatures(5, seed=3)
    counts = draw(sparse_exposures(4, 5, seed=3, scale=80.0), signatures, 3)
    result = refit_sparse(counts, signatures, learn_prevalence=False, overdispersed=False)

    def fit(sample, names):
        rates = (
            refit(counts.loc[[sample]], signatures.loc[names], max_iter=20000, tol=1e-9)
            @ signatures.loc[names]
        )
        return float((counts.loc[[sample]] * np.log(rates + 1e-300) - rates).to_numpy().sum())

    for sample in counts.index:
        members = list(signatures.index[result.presence.loc[sample]])
        for name in signatures.index:
            others = [member for member in members if member != name]
            if others:
                ratio = max(fit(sample, [*others, name]) - fit(sample, others), 0.0)
                expected = 0.5 * chi2.sf(2 * ratio, 1) if ratio > 1e-3 else 1.0
                # An absent signature that adds little has an estimated p-value.
                loose = name not in members and ratio < 0.4
                tolerance = 0.25 if loose else 0.02 * expected + 1e-12
                assert abs(result.p_values.loc[sample, name] - expected) <= max(
                    tolerance, 0.3 * (ratio < 1e-2)
                )


def test_p_values_are_half_of_chi_square_at_the_boundary():
    assert p_value(np.array([0.0])) == 1.0
    # The 5% point of the mixture is the 10% point of chi-square: T = 2.706 (Self & Liang 1987, case 5).
    assert p_value(np.array([2.7055 / 2])) == pytest.approx(0.05, rel=1e-4)


def test_p_values_of_an_absent_signature_are_calibrated():
    n = 600
    signatures = random_signatures(4, m=40, seed=5, concentration=0.3)
    truth = pd.DataFrame(0.0, index=[f"P{i}" for i in range(n)], columns=signatures.index)
    truth[["S0", "S1"]] = 800.0
    result = refit_sparse(draw(truth, signatures, 5), signatures, learn_prevalence=False, overdispersed=False)
    for name in ("S2", "S3"):
        for level in (0.01, 0.05, 0.1):
            share = float((result.p_values[name] <= level).mean())
            assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / n)


# ---- properties of the whole --------------------------------------------------------------------


def test_absent_is_exactly_zero_and_sums_are_kept(catalogs, cosmic, found):
    assert found.exposures.shape == (40, len(cosmic))
    assert found.presence.equals(found.exposures > 0)
    assert (found.exposures.to_numpy() == 0).mean() > 0.9
    # At the optimum the fitted mutations are the observed ones.
    np.testing.assert_allclose(found.exposures.sum(axis=1), catalogs.counts.sum(axis=1), rtol=1e-4)
    assert found.samples["n_signatures"].tolist() == found.presence.sum(axis=1).tolist()
    assert found.samples["cosine"].median() > 0.99
    present = found.presence.to_numpy()
    assert found.p_values.to_numpy()[present].max() < 0.5
    assert found.probabilities.to_numpy()[~present].max() <= 0.5
    assert found.prevalence.index.tolist() == ["all"]
    assert found.prevalence.loc["all"].between(0, 1).all()


def test_order_of_samples_signatures_and_channels_does_not_matter(catalogs, cosmic):
    counts = catalogs.counts.iloc[:10]
    straight = refit_sparse(counts, cosmic)
    turned = refit_sparse(counts.iloc[::-1], cosmic.iloc[::-1, ::-1])
    pd.testing.assert_frame_equal(
        turned.exposures.loc[counts.index, cosmic.index], straight.exposures, rtol=1e-2, atol=1.0
    )


def test_a_sample_judged_alone_does_not_depend_on_the_others(catalogs, cosmic):
    together = refit_sparse(catalogs.counts.iloc[:12], cosmic, learn_prevalence=False)
    alone = refit_sparse(catalogs.counts.iloc[[5]], cosmic, learn_prevalence=False)
    pd.testing.assert_frame_equal(together.exposures.iloc[[5]], alone.exposures, rtol=1e-6)


def test_inputs_are_not_changed_and_empty_samples_get_nothing(cosmic):
    counts = simulate_signature_catalogs(4, random_state=0).counts
    counts.iloc[1] = 0
    before = counts.copy(), cosmic.copy()
    result = refit_sparse(counts, cosmic)
    pd.testing.assert_frame_equal(counts, before[0])
    pd.testing.assert_frame_equal(cosmic, before[1])
    assert (result.exposures.iloc[1] == 0).all()
    assert (result.p_values.iloc[1] == 1).all()
    assert result.samples["cosine"].isna().tolist() == [False, True, False, False]


# ---- what it is worth ---------------------------------------------------------------------------


def test_presence_and_exposures_against_truth(catalogs, found):
    truth = catalogs.exposures.reindex(columns=found.exposures.columns, fill_value=0.0)
    # 16 true signatures among the 86 of COSMIC; measured 0.99 on 200 other samples.
    assert f1(found.presence, truth > 0) > 0.96
    error = np.sqrt(((found.exposures - truth) ** 2).to_numpy().mean())
    full = refit(catalogs.counts, cosmic_signatures())[truth.columns]
    assert error < 0.5 * np.sqrt(((full - truth) ** 2).to_numpy().mean())


def test_prevalence_learnt_from_the_cohort_helps_samples_with_few_mutations(cosmic):
    data = simulate_signature_catalogs(60, signatures=16, median_mutations=150, random_state=12)
    truth = data.exposures.reindex(columns=cosmic.index, fill_value=0.0) > 0
    alone = f1(refit_sparse(data.counts, cosmic, learn_prevalence=False).presence, truth)
    cohort = f1(refit_sparse(data.counts, cosmic).presence, truth)
    assert cohort > alone + 0.05  # measured 0.70 and 0.90 on 200 other samples


def test_dispersion_keeps_spurious_signatures_out_of_overdispersed_samples(cosmic):
    data = simulate_signature_catalogs(
        30,
        signatures=16,
        noise="negative_binomial",
        settings=CatalogSettings(dispersion=0.05),
        random_state=13,
    )
    truth = data.exposures.reindex(columns=cosmic.index, fill_value=0.0) > 0
    with_it = refit_sparse(data.counts, cosmic)
    without = refit_sparse(data.counts, cosmic, overdispersed=False)
    assert (without.samples["dispersion"] == 1).all()
    assert with_it.samples["dispersion"].median() > 1.3
    spurious = [(result.presence & ~truth).to_numpy().sum() for result in (with_it, without)]
    assert spurious[0] < 0.6 * spurious[1]


def test_groups_and_prior_steer_the_calls(catalogs, cosmic):
    counts = catalogs.counts.iloc[:40]
    types = catalogs.metadata["cancer_type"]
    grouped = refit_sparse(counts, cosmic, groups=types)
    assert grouped.prevalence.index.tolist() == sorted(types.iloc[:40].unique())
    assert grouped.prevalence["SBS7a"].idxmax() == "Skin"
    prior = pd.Series(0.05, index=cosmic.index)
    truth = catalogs.exposures.iloc[:40].reindex(columns=cosmic.index, fill_value=0.0) > 0
    prior[truth.columns[truth.any()]] = 0.4
    prior["SBS5"] = 1e-200
    told = refit_sparse(counts, cosmic, prior=prior, learn_prevalence=False)
    assert told.presence["SBS5"].sum() < truth["SBS5"].sum() / 2
    assert told.prevalence.loc["all", "SBS5"] == 1e-200


@pytest.mark.real_data
def test_islam_scenario_with_decoys(cosmic):
    data = load_islam(1)
    signatures = data.signatures.div(data.signatures.sum(axis=1), axis=0)
    decoys = cosmic.drop(index=[*signatures.index.intersection(cosmic.index), "SBS40a", "SBS40b", "SBS40c"])
    exposures = data.exposures.iloc[:40]
    counts = draw(exposures, signatures, 4)
    result = refit_sparse(counts, pd.concat([signatures[cosmic.columns], decoys]))
    truth = exposures.reindex(columns=result.exposures.columns, fill_value=0.0)
    assert f1(result.presence, truth > 0) > 0.95
    assert (
        f1(result.exposures.gt(0.05 * truth.sum(axis=1), axis=0), truth.gt(0.05 * truth.sum(axis=1), axis=0))
        > 0.95
    )


# ---- decompositions -----------------------------------------------------------------------------


def test_mixtures_are_taken_apart_and_single_signatures_keep_their_name(cosmic):
    extracted = pd.DataFrame(
        {
            "A": 0.6 * cosmic.loc["SBS2"] + 0.4 * cosmic.loc["SBS13"],
            "B": cosmic.loc["SBS4"] * 7,
            "C": 0.5 * cosmic.loc["SBS1"] + 0.3 * cosmic.loc["SBS7a"] + 0.2 * cosmic.loc["SBS17b"],
        }
    ).T[cosmic.columns[::-1]]
    table = decompose(extracted, cosmic)
    assert table.columns.tolist() == ["signature", "reference", "share", "cosine"]
    assert table["reference"].tolist() == ["SBS2", "SBS13", "SBS4", "SBS1", "SBS7a", "SBS17b"]
    np.testing.assert_allclose(table["share"], [0.6, 0.4, 1, 0.5, 0.3, 0.2], atol=0.01)
    assert (table["cosine"] > 0.999).all()


def test_a_signature_unlike_all_has_a_low_cosine(cosmic):
    spiked = pd.DataFrame(0.0, index=["new"], columns=cosmic.columns)
    spiked[["A[T>G]C", "C[C>G]G"]] = 0.5
    assert decompose(spiked, cosmic)["cosine"].max() < 0.8


# ---- refusals -----------------------------------------------------------------------------------


def test_refusals_say_what_came_and_what_to_do():
    signatures = random_signatures(3)
    counts = draw(sparse_exposures(4, 3), signatures)
    with pytest.raises(
        ValueError, match=r"^signatures and counts must have the same channels, but 1 .* 'c0'"
    ):
        refit_sparse(counts.drop(columns="c0"), signatures)
    with pytest.raises(ValueError, match=r"^reference and signatures must have the same channels"):
        decompose(signatures, signatures.rename(columns={"c0": "d"}))
    with pytest.raises(ValueError, match=r"^counts must hold counts >= 0, but 48 of 48"):
        refit_sparse(-counts - 1, signatures)
    with pytest.raises(ValueError, match=r"^counts must hold mutations, but every count is 0"):
        refit_sparse(counts * 0, signatures)
    with pytest.raises(ValueError, match=r"every sample, but 1 of 4 have none: 'P3'\. Index groups"):
        refit_sparse(counts, signatures, groups=pd.Series("a", index=["P0", "P1", "P2"]))
    with pytest.raises(ValueError, match=r"number in \(0, 1\), but 2 of 3 have none: 'S1', 'S2'"):
        refit_sparse(counts, signatures, prior=pd.Series({"S0": 0.5, "S1": 1.0}))
