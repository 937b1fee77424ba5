"""Comparison of systems on cohorts without a truth, and of refits with one."""

import numpy as np
import pandas as pd
import pytest

from latentgenomes.core.splits import grouped_split
from latentgenomes.signatures.evaluate import log_likelihood_per_mutation
from latentgenomes.signatures.experiments.cohorts import (
    compare_consistency,
    compare_generalisation,
    fit_system,
)
from latentgenomes.signatures.experiments.refits import compare_refits, presence_scores
from latentgenomes.signatures.models.klnmf import KLNMF, refit
from latentgenomes.signatures.simulate import simulate_signature_catalogs

QUICK = {
    "klnmf": {"n_restarts": 2, "max_iter": 200},
    "vaems": {"n_restarts": 1, "max_epochs": 5, "consensus": False},
}


@pytest.fixture(scope="module")
def cohort():
    truth = simulate_signature_catalogs(60, signatures=3, random_state=0)
    donors = pd.Series([f"D{i // 2}" for i in range(60)], index=truth.counts.index)
    return truth.counts, donors


def test_each_system_is_scored_seen_and_unseen_in_both_ways(cohort):
    counts, donors = cohort
    found = compare_generalisation(counts, donors, {"klnmf": 3, "vaems": 2}, n_splits=2, settings=QUICK)
    assert len(found) == 2 * 2 * 2
    assert found.groupby("method")["n_signatures"].unique().map(list).to_dict() == {
        "klnmf": [3],
        "vaems": [2],
    }
    assert (found[["seen", "unseen"]] < 0).all().all()
    wide = found.pivot(index=["split", "method"], columns="inference", values="unseen")
    encoder = wide.xs("vaems", level="method")
    assert (encoder["refit"] >= encoder["own"]).all()  # a search is never worse than one pass


def test_the_unseen_score_is_that_of_the_held_out_donors(cohort):
    counts, donors = cohort
    found = compare_generalisation(
        counts, donors, {"klnmf": 3}, n_splits=1, test_fraction=0.5, settings=QUICK, random_state=4
    )
    train, test = grouped_split(donors, test_fraction=0.5, random_state=4)
    assert not set(donors.iloc[train]) & set(donors.iloc[test])
    model = fit_system(counts.iloc[train], "klnmf", 3, settings=QUICK["klnmf"], random_state=4)
    rates = refit(counts.iloc[test], model.signatures_) @ model.signatures_
    expected = log_likelihood_per_mutation(counts.iloc[test], rates)
    assert found.set_index("inference").loc["refit", "unseen"] == pytest.approx(expected, rel=1e-9)


def test_a_system_that_eliminates_keeps_the_number_that_is_given(cohort):
    model = fit_system(cohort[0], "gamma_poisson", 5, settings={"n_restarts": 1})
    assert len(model.components_) == 5


def test_settings_of_the_system_stand_unless_overruled(cohort):
    model = fit_system(cohort[0], "klnmf", 2, settings={"max_iter": 50})
    assert isinstance(model, KLNMF)
    assert model.consensus
    assert model.resample == "bootstrap"
    assert model.max_iter == 50


def test_pairs_of_seeds_and_of_halves_are_compared(cohort):
    counts, donors = cohort
    found = compare_consistency(counts, donors, {"klnmf": 3}, n_seeds=3, settings=QUICK)
    assert found["between"].value_counts().to_dict() == {"seeds": 3, "halves": 3}
    assert found["mean_cosine"].between(0, 1).all()
    means = found.groupby("between")["mean_cosine"].mean()
    assert means["seeds"] > 0.95
    assert means["seeds"] > means["halves"] - 0.02


def test_consistency_needs_two_fits(cohort):
    with pytest.raises(ValueError, match="n_seeds must be at least 2, but 1 came"):
        compare_consistency(*cohort, 3, n_seeds=1)


def test_an_unknown_system_is_named(cohort):
    with pytest.raises(ValueError, match=r"method must be one of negative_binomial, .*, but 'nmf' came"):
        fit_system(cohort[0], "nmf", 3)


def test_an_unknown_case_is_named():
    with pytest.raises(ValueError, match=r"cases must be among genomes, .*, but 'panels' came"):
        compare_refits(["panels"])


def test_a_perfect_refit_scores_one_and_an_empty_one_zero():
    truth = simulate_signature_catalogs(20, signatures=3, random_state=1)
    exact = presence_scores(truth.exposures.where(truth.exposures >= 0.5, 0.0), truth)
    assert exact["presence_f1"] == 1
    assert exact["relative_error"] < 1e-3
    empty = presence_scores(truth.exposures * 0, truth)
    assert empty["presence_f1"] == 0
    assert empty["relative_error"] == pytest.approx(1)


def test_presence_scores_against_counting_by_hand():
    truth = simulate_signature_catalogs(30, signatures=4, random_state=2)
    rng = np.random.default_rng(0)
    guess = truth.exposures * (rng.random(truth.exposures.shape) < 0.7)
    guess["SBSnone"] = rng.integers(0, 2, len(guess)) * 5.0
    hits = called = present = 0
    for sample in truth.counts.index:
        for name in guess.columns:
            is_there = name in truth.exposures and truth.exposures.loc[sample, name] >= 0.5
            is_called = guess.loc[sample, name] > 0
            hits, called, present = hits + (is_there and is_called), called + is_called, present + is_there
    found = presence_scores(guess, truth)
    assert found["precision"] == pytest.approx(hits / called)
    assert found["recall"] == pytest.approx(hits / present)


def test_both_tools_are_run_on_the_same_catalogues():
    seen = []

    def peer(counts, signatures):
        seen.append(counts)
        return pd.DataFrame(0.0, index=counts.index, columns=signatures.index)

    found = compare_refits(["genomes", "exomes"], n_samples=12, peer=peer)
    assert len(seen) == 2
    assert seen[0].sum(axis=1).median() > 5 * seen[1].sum(axis=1).median()
    scores = found.set_index(["case", "tool"])["presence_f1"]
    assert scores["genomes", "refit_sparse"] > 0.8
    assert scores["genomes", "SigProfilerAssignment"] == 0
