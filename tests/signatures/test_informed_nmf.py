"""Extraction with known signatures: kept as they are, changed, absent, or joined by new ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentgenomes as lg
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.evaluate import cosine_similarity, recovery
from latentgenomes.signatures.models.dictionary import Dictionary, Judge
from latentgenomes.signatures.models.informed_nmf import InformedNMF
from latentgenomes.signatures.models.negative_binomial import penalised_likelihood

TRUE = ["SBS1", "SBS2", "SBS4", "SBS5", "SBS13", "SBS17b"]
OTHERS = ["SBS3", "SBS6", "SBS7a", "SBS8", "SBS12", "SBS18", "SBS28", "SBS40a", "SBS44"]
FAST = {"max_iter": 2, "random_state": 0}


def simulated(profiles=None, seed=0, **settings):
    """Counts of six signatures that scatter, with other profiles for some of them."""
    table = cosmic_signatures().loc[TRUE].copy()
    for name, profile in (profiles or {}).items():
        table.loc[name] = profile
    settings = {"median_mutations": 3000, "noise": "negative_binomial"} | settings
    return lg.signatures.simulate(80, signatures=table, random_state=seed, **settings)


def informed(truth, known, **settings):
    return lg.signatures.extract(truth.counts, known=known, settings={"max_iter": 2} | settings)


@pytest.fixture(scope="module")
def known():
    return cosmic_signatures().loc[TRUE + OTHERS]


@pytest.fixture(scope="module")
def all_known(known):
    truth = simulated()
    return truth, informed(truth, known)


@pytest.fixture(scope="module")
def moved():
    """SBS4 with a quarter of its mutations elsewhere."""
    spiky = np.random.default_rng(1).dirichlet(np.full(96, 0.3))
    return 0.75 * cosmic_signatures().loc["SBS4"] + 0.25 * spiky


def test_signatures_that_are_all_known_come_back_as_they_are_and_no_others(all_known, known):
    truth, found = all_known
    table = found.verdicts.set_index("signature")
    assert set(table.index) == set(TRUE)
    assert (table["verdict"] == "known").all()
    assert (table["reference"] == table.index).all()
    pd.testing.assert_frame_equal(
        found.signatures, known.loc[found.signatures.index], rtol=1e-3, atol=2e-5, check_names=False
    )
    assert found.reason.startswith("6 of 15 known signatures are in use, none is new. Counts scatter")
    errors = (found.exposures[TRUE] - truth.exposures[TRUE]).abs().to_numpy().sum()
    assert errors < 0.12 * truth.exposures.to_numpy().sum()
    assert (table["margin"] > 20).all()
    assert (table["cosine"] > 0.97).all()


def test_a_changed_signature_is_named_with_what_moved(known, moved):
    truth = simulated({"SBS4": moved})
    found = informed(truth, known)
    table = found.verdicts.set_index("signature")
    assert set(table.index) == {"SBS4 changed", *TRUE} - {"SBS4"}
    row = table.loc["SBS4 changed"]
    assert (row["verdict"], row["reference"]) == ("changed", "SBS4")
    change = moved - known.loc["SBS4"]
    assert row["cosine"] == pytest.approx(
        cosine_similarity(moved.to_frame().T, known.loc[["SBS4"]]).iloc[0, 0], abs=0.02
    )
    channel, amount = row["moved"].split(", ")[0].split(" ")
    assert channel in change.abs().nlargest(3).index
    assert float(amount) == pytest.approx(change[channel], abs=0.01)
    assert row["missed"] == pytest.approx(change.abs().sum() / 2, abs=0.03)
    assert row["margin"] > 50
    assert "1 of them changed ('SBS4')" in found.reason
    assert recovery(found.signatures, truth.signatures, (0.99,))["f1"].tolist() == [1.0]


def test_a_signature_that_nobody_knows_is_new_beside_the_known_ones(known):
    truth = simulated()
    found = informed(truth, known.drop(index="SBS17b"))
    table = found.verdicts.set_index("signature")
    assert set(table.index) == {"new 1", *TRUE} - {"SBS17b"}
    row = table.loc["new 1"]
    assert row["verdict"] == "new"
    assert row["best_sum"]
    assert row["cosine_of_sum"] < 0.8
    assert 0.3 < row["missed"] < 1
    assert found.reason.startswith("5 of 14 known signatures are in use, 1 is new.")
    new = cosine_similarity(found.signatures.loc[["new 1"]], truth.signatures.loc[["SBS17b"]])
    assert new.iloc[0, 0] > 0.97


def test_without_scatter_the_counts_are_poisson_counts(known):
    truth = simulated(noise="poisson", median_mutations=1500)
    found = informed(truth, known)
    assert set(found.signatures.index) == set(TRUE)
    assert found.model.dispersion_ == 0.0
    assert "scatter" not in found.reason


def test_knowledge_that_is_all_wrong_does_not_mislead():
    truth = lg.signatures.simulate(50, signatures=["SBS1", "SBS4", "SBS13"], random_state=0)
    found = informed(truth, cosmic_signatures().loc[["SBS7a", "SBS28", "SBS12"]])
    assert (found.verdicts["verdict"] == "new").all()
    assert recovery(found.signatures, truth.signatures, (0.9,))["f1"].tolist() == [1.0]


def test_intervals_cover_where_the_signatures_are_known(all_known):
    truth, found = all_known
    ends = found.intervals(0.9).set_index(["sample", "signature"])
    exposures = truth.exposures[TRUE]
    large = exposures[exposures.gt(0.05 * truth.counts.sum(axis=1), axis=0)].stack()
    inside = [ends["lower"][key] <= value <= ends["upper"][key] for key, value in large.items()]
    assert abs(np.mean(inside) - 0.9) < 0.03 + 4 * np.sqrt(0.09 / len(inside))


def test_the_extraction_survives_its_folder(all_known, tmp_path):
    truth, found = all_known
    again = lg.signatures.Extraction.load(found.save(tmp_path))
    pd.testing.assert_frame_equal(again.verdicts, found.verdicts)
    pd.testing.assert_frame_equal(again.exposures, found.exposures, check_names=False)
    table = pd.read_csv(tmp_path / "verdicts.csv", index_col=0)
    assert table["verdict"].to_dict() == found.verdicts.set_index("signature")["verdict"].to_dict()
    assert again.selection.loc[6, "evidence"] == pytest.approx(found.selection["evidence"].max())
    np.testing.assert_allclose(again.model.transform(truth.counts), found.exposures)


def test_a_finished_fit_is_not_made_again(known, tmp_path, monkeypatch):
    truth = simulated()
    run = {"known": known, "settings": {"max_iter": 1}, "folder": tmp_path}
    first = lg.signatures.extract(truth.counts, **run)
    monkeypatch.setattr(InformedNMF, "fit", None)
    pd.testing.assert_frame_equal(lg.signatures.extract(truth.counts, **run).signatures, first.signatures)
    with pytest.raises(ValueError, match=r"holds others\. Choose another folder"):
        lg.signatures.extract(truth.counts, **run | {"known": known.iloc[:-1]})


def test_known_signatures_come_from_cosmic_a_file_or_a_table(known, tmp_path):
    from latentgenomes.signatures.verbs.informed import _known_table

    counts = simulated().counts
    assert len(_known_table("COSMIC", counts)) == 86
    known.T.to_csv(tmp_path / "mine.tsv", sep="\t")
    pd.testing.assert_frame_equal(_known_table(tmp_path / "mine.tsv", counts), known, check_names=False)
    shuffled = known[known.columns[::-1]]
    pd.testing.assert_frame_equal(_known_table(shuffled, counts), known, check_names=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_signatures": 5}, "n_signatures 5. Leave both out, or leave out known"),
        ({"method": "klnmf"}, "method is 'klnmf'"),
        ({"known": pd.DataFrame(np.eye(3))}, r"96 of 96 channels are missing"),
        ({"settings": {"share": 1}}, "parameters of InformedNMF, but 'share' are not"),
    ],
)
def test_what_cannot_be_is_refused(known, arguments, message):
    with pytest.raises(ValueError, match=message):
        lg.signatures.extract(simulated().counts, **{"known": known} | arguments)


def test_verdicts_need_knowledge():
    found = lg.signatures.extract(simulated().counts, method="klnmf", n_signatures=2)
    with pytest.raises(ValueError, match="Extract with known='COSMIC' or a table"):
        _ = found.verdicts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 5)),), r"one column for each of the 4 channels, but its shape is \(2, 5\)"),
        ((np.zeros((2, 4)),), "no row of zeros"),
        ((np.ones((2, 4)), ["a", "a"]), r"a name of its own, but 2 came, 1 of them different"),
    ],
)
def test_the_estimator_refuses_what_is_no_table(arguments, message):
    known, names = (*arguments, None)[:2]
    with pytest.raises(ValueError, match=message):
        InformedNMF(known, names=names).fit(np.random.default_rng(0).poisson(9, (6, 4)))


def test_the_price_of_signatures_is_the_equation_of_the_module():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(12, 0.3), 4)
    exposures = rng.gamma(1.0, 300.0, (30, 3)) * (rng.random((30, 3)) < 0.7)
    exposures[:, 0] += 10.0
    drawn = 0.9 * table[2] + 0.1 / 12
    signatures = np.stack([table[1], drawn, rng.dirichlet(np.full(12, 0.3))])
    counts = rng.poisson(exposures @ signatures).astype(float)
    judge = Judge(counts, table)
    found = Dictionary(signatures, np.array([1, 2, -1]), np.array([np.inf, 500.0, 0.0]), exposures, 0.02)
    p = np.maximum(0.5 * np.log((exposures > 0).sum(0)), 1.0)
    rates = np.maximum(exposures @ signatures, 1e-12)
    centre, price = judge.known[2], np.log(6) + np.log(5)  # 2 of 4 known ones, and their number
    price += 11 * p[2]
    for m in range(12):
        information = (exposures[:, 1] ** 2 / (rates[:, m] + 0.02 * rates[:, m] ** 2)).sum()
        price += min(0.5 * np.log(1 + centre[m] * information / 500.0), p[1])
        price += 500.0 * centre[m] * np.log(centre[m] / drawn[m])
    whole = penalised_likelihood(counts, exposures, signatures, 0.02) + 11 * p.sum() - price
    assert judge.evidence(found) == pytest.approx(whole, rel=1e-9)


def test_learning_moves_free_signatures_only_and_a_strong_prior_holds_back():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(20, 0.3), 2)
    exposures = rng.gamma(2.0, 200.0, (40, 2))
    other = 0.7 * table[1] + 0.3 * rng.dirichlet(np.full(20, 0.3))
    judge = Judge(rng.poisson(exposures @ np.stack([table[0], other])).astype(float), table)
    distances = []
    for strength in (np.inf, 1e6, 1e4, 1e2):
        start = Dictionary(judge.known, np.arange(2), np.array([np.inf, strength]), exposures, 0.0)
        after = judge.learnt(start, 200)
        np.testing.assert_array_equal(after.signatures[0], judge.known[0])
        np.testing.assert_allclose(after.signatures.sum(1), 1.0)
        distances.append(np.abs(after.signatures[1] - other).sum())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


@parametrize_with_checks([InformedNMF(n_signatures=2, max_iter=1, random_state=0)])
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)
