"""Extraction in one call: the choice, what comes with it, files, resumption, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from latentgenomes.signatures.evaluate import recovery
from latentgenomes.signatures.experiments.comparison import compare_intervals, compare_systems, load_truth
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.simulate import CatalogSettings, simulate_signature_catalogs
from latentgenomes.signatures.verbs.extract import extract_signatures
from latentgenomes.signatures.verbs.extraction import Extraction


@pytest.fixture(scope="module")
def truth():
    return simulate_signature_catalogs(200, signatures=4, median_mutations=3000, random_state=3)


@pytest.fixture(scope="module")
def found(truth):
    return extract_signatures(
        truth.counts, method="negative_binomial", n_signatures=range(2, 8), n_restarts=1
    )


def test_number_and_signatures_of_a_simulation_are_found(found, truth):
    assert found.n_signatures == 4
    assert recovery(found.signatures, truth.signatures)["f1"].tolist() == [1.0, 1.0, 1.0]
    assert "highest at 4 signatures" in found.reason
    assert found.exposures.index.equals(truth.counts.index)
    assert set(found.selection.index) <= set(range(2, 8))


@pytest.fixture(scope="module")
def scattered():
    noisy = CatalogSettings(dispersion=0.03)
    return simulate_signature_catalogs(
        60, signatures=4, median_mutations=20_000, noise="negative_binomial", settings=noisy
    )


def test_the_negative_binomial_is_not_misled_by_scatter_and_says_so(scattered, tmp_path):
    run = {
        "method": "negative_binomial",
        "n_signatures": range(2, 11),
        "n_restarts": 1,
        "settings": {"max_iter": 2},
    }
    result = extract_signatures(scattered.counts, **run)
    assert result.n_signatures == 4
    assert result.reason.startswith("Counts scatter more than Poisson counts do (dispersion 0.0")
    assert "evidence is highest at 4 signatures (" in result.reason
    assert "would lose" in result.reason
    assert result.selection["evidence"].idxmax() == 4
    loaded = Extraction.load(result.save(tmp_path / "out"))
    assert loaded.model.dispersion_ == result.model.dispersion_
    lower, upper = (result.intervals(0.9, n_repeats=1)[side] for side in ("lower", "upper"))
    plain = extract_signatures(scattered.counts, method="gamma_poisson", n_signatures=4, n_restarts=1)
    width = plain.intervals(0.9, n_repeats=1).eval("upper - lower").mean()
    assert (upper - lower).mean() > 2 * width
    fixed = extract_signatures(scattered.counts, **run | {"n_signatures": 3})
    assert fixed.reason.startswith("3 was asked for. Around them, counts scatter")


def test_where_every_cap_finds_the_same_the_reason_says_so(scattered):
    run = {
        "method": "negative_binomial",
        "n_signatures": range(4, 6),
        "n_restarts": 1,
        "settings": {"max_iter": 1, "n_caps": 1},
    }
    result = extract_signatures(scattered.counts, **run)
    assert f"At every cap on the mutations of a sample, {result.n_signatures} signatures" in result.reason


@pytest.mark.parametrize("method", ["klnmf", "vaems", "muse_xae", "signer"])
def test_every_system_runs_over_a_range_and_explains_itself(method, truth):
    settings = {
        "vaems": {"max_epochs": 10},
        "muse_xae": {"max_epochs": 10},
        "signer": {"n_burn_in": 20, "n_samples": 20},
    }
    result = extract_signatures(
        truth.counts, method=method, n_signatures=[2, 4], n_restarts=3, settings=settings.get(method)
    )
    assert list(result.selection.index) == [2, 4]
    assert np.isfinite(result.selection[["evidence", "divergence", "seconds"]]).all(axis=None)
    assert result.n_signatures in (2, 4)
    assert str(result.n_signatures) in result.reason
    np.testing.assert_allclose(result.signatures.sum(axis=1), 1.0)
    assert result.stability.index.equals(result.signatures.index)


def test_matches_and_decomposition_name_the_true_signatures(found, truth):
    matches = found.matches(truth.signatures)
    assert set(matches["reference"]) == set(truth.signatures.index)
    assert found.matches()["cosine"].min() > 0.9  # COSMIC's, by the channels of the catalogue
    parts = found.decomposition(truth.signatures)
    assert parts.groupby("signature")["share"].sum().to_numpy() == pytest.approx(1.0)
    assert parts.sort_values("share").groupby("signature")["reference"].last().to_dict() == (
        matches.set_index("signature")["reference"].to_dict()
    )


def test_intervals_hold_the_estimate_and_widen_with_the_level(found):
    wide = found.intervals(0.9, n_repeats=1)
    narrow = found.intervals(0.5, n_repeats=1)
    assert len(wide) == found.exposures.size
    assert (wide["lower"] <= narrow["lower"]).all()
    assert (wide["upper"] >= narrow["upper"]).all()
    assert ((wide["lower"] <= wide["exposure"]) & (wide["exposure"] <= wide["upper"])).all()
    assert (wide["lower"] >= 0).all()
    one = wide.iloc[7]
    assert one["exposure"] == found.exposures.loc[one["sample"], one["signature"]]


def test_intervals_cover_at_their_level_where_the_signatures_are_found(found, truth):
    pairs = found.matches(truth.signatures)
    true = truth.exposures[pairs["reference"]].set_axis(list(pairs["signature"]), axis=1)
    bounds = found.intervals(0.9).pivot(index="sample", columns="signature", values=["lower", "upper"])
    lower, upper = (bounds[name].loc[true.index, list(true.columns)] for name in ("lower", "upper"))
    present = true.to_numpy() > 0.05 * true.sum(axis=1).to_numpy()[:, None]
    covered = ((lower <= true) & (true <= upper)).to_numpy()[present]
    assert covered.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.9 * 0.1 / len(covered)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((90,), "level must lie between 0 and 1, but 90 came"), ((0.9, 0), "n_repeats must be at least 1")],
)
def test_intervals_refuse_what_they_cannot_use(found, arguments, message):
    with pytest.raises(ValueError, match=message):
        found.intervals(arguments[0], n_repeats=arguments[-1])


def test_save_and_load_give_the_same_extraction(found, tmp_path):
    folder = found.save(tmp_path / "out")
    again = Extraction.load(folder)
    pd.testing.assert_frame_equal(again.signatures, found.signatures, check_names=False)
    pd.testing.assert_frame_equal(again.exposures, found.exposures, check_names=False)
    pd.testing.assert_frame_equal(again.counts, found.counts, check_names=False)
    assert again.reason == found.reason
    assert isinstance(again.model, GammaPoissonNMF)
    table = pd.read_csv(folder / "signatures.csv", index_col=0)
    np.testing.assert_allclose(table, found.signatures)


def test_load_refuses_what_is_no_extraction(tmp_path):
    with pytest.raises(ValueError, match=r"extraction\.json cannot be read"):
        Extraction.load(tmp_path)
    (tmp_path / "extraction.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="its format is 'other'"):
        Extraction.load(tmp_path)


def test_a_killed_run_goes_on_where_it_stopped(truth, tmp_path, monkeypatch):
    run = {"method": "klnmf", "n_signatures": [2, 3, 4], "n_restarts": 2, "folder": tmp_path}
    fit, fitted = KLNMF.fit, []

    def failing(self, X, y=None):
        if self.n_signatures == 4 and not fitted.count(4):
            fitted.append(4)
            raise KeyboardInterrupt
        fitted.append(self.n_signatures)
        return fit(self, X, y)

    monkeypatch.setattr(KLNMF, "fit", failing)
    with pytest.raises(KeyboardInterrupt):
        extract_signatures(truth.counts, **run)
    resumed = extract_signatures(truth.counts, **run)
    assert fitted == [2, 3, 4, 4]
    monkeypatch.undo()
    whole = extract_signatures(truth.counts, **{**run, "folder": None})
    pd.testing.assert_frame_equal(resumed.signatures, whole.signatures)
    pd.testing.assert_frame_equal(
        resumed.selection.drop(columns="seconds"), whole.selection.drop(columns="seconds")
    )


def test_a_folder_of_another_run_is_refused(truth, tmp_path):
    extract_signatures(truth.counts, method="klnmf", n_signatures=2, n_restarts=2, folder=tmp_path)
    with pytest.raises(ValueError, match=r"holds others\. Choose another folder"):
        extract_signatures(truth.counts, method="klnmf", n_signatures=2, n_restarts=3, folder=tmp_path)


def test_a_single_number_is_taken_as_it_is(truth):
    for method in ("gamma_poisson", "klnmf"):
        result = extract_signatures(truth.counts, method=method, n_signatures=3, n_restarts=2)
        assert result.n_signatures == 3
        assert result.reason == "3 was asked for."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "nmf"}, "method must be one of negative_binomial"),
        ({"n_signatures": "best"}, "n_signatures must be 'auto' or numbers"),
        ({"n_signatures": 0}, "whole numbers >= 1, but 0 came"),
        ({"n_signatures": []}, "whole numbers >= 1"),
        ({"n_signatures": 97}, r"at most the number of samples and of channels \(96\), but 97 came"),
        ({"settings": {"epochs": 3}}, "parameters of method 'consensus', but 'epochs' are not"),
    ],
)
def test_impossible_requests_are_refused(truth, arguments, message):
    with pytest.raises(ValueError, match=message):
        extract_signatures(truth.counts, **arguments)


def test_more_signatures_than_samples_are_refused(truth):
    with pytest.raises(ValueError, match=r"samples and of channels \(5\), but 6 came"):
        extract_signatures(truth.counts.iloc[:5], n_signatures=6)


def test_doubtful_catalogues_are_named_in_a_warning(truth):
    run = {"method": "klnmf", "n_signatures": 2, "n_restarts": 1}
    heavy = truth.counts.copy()
    heavy.iloc[0] *= 10_000
    with pytest.warns(UserWarning, match="holds 9.% of all mutations; it stays in"):
        extract_signatures(heavy, **run)
    empty = truth.counts.copy()
    empty.iloc[:, 4] = 0
    with pytest.warns(UserWarning, match="1 of 96 channels hold no mutation"):
        assert extract_signatures(empty, **run).signatures.iloc[:, 4].max() < 1e-12
    copied = truth.counts.copy()
    copied.iloc[5] = copied.iloc[6]
    with pytest.warns(UserWarning, match="1 samples are copies of others"):
        extract_signatures(copied, **run)
    few = truth.counts.iloc[:10] * 0
    few.iloc[:, ::10] = 1
    few += pd.DataFrame(np.eye(10, 96, dtype=int), few.index, few.columns)
    empties, too_few = (
        pytest.warns(UserWarning, match=text) for text in ("hold no mutation", "the 190 free numbers")
    )
    with empties, too_few:
        extract_signatures(few, **run)


def test_the_comparison_scores_against_truth_and_resumes(tmp_path):
    grid = {"noises": ["poisson"], "seeds": [0, 1], "folder": tmp_path}
    settings = {"klnmf": {"n_signatures": [3, 8], "n_restarts": 2}}
    table = compare_systems(["simulated:100:2000"], ["klnmf"], settings=settings, **grid)
    assert table["seed"].tolist() == [0, 1]
    truth = load_truth("simulated:100:2000", "poisson", 1)
    again = extract_signatures(
        truth.counts, method="klnmf", n_signatures=[3, 8], n_restarts=2, random_state=1
    )
    assert table["n_found"][1] == again.n_signatures
    assert table["f1_0.9"][1] == recovery(again.signatures, truth.signatures, (0.9,))["f1"][0]
    assert table["error"][1] == again.n_signatures - len(truth.signatures)
    (tmp_path / "simulated_100_2000-poisson-0-klnmf.json").unlink()
    stamp = (tmp_path / "simulated_100_2000-poisson-1-klnmf.json").stat().st_mtime_ns
    resumed = compare_systems(["simulated:100:2000"], ["klnmf"], settings=settings, **grid)
    assert (tmp_path / "simulated_100_2000-poisson-1-klnmf.json").stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), table.drop(columns="seconds"))


def test_the_comparison_refuses_unknown_names():
    with pytest.raises(ValueError, match="dataset must be one of islam_1"):
        load_truth("islam_9", "none", 0)
    with pytest.raises(ValueError, match="noises must be among"):
        compare_systems(["islam_1"], ["klnmf"], noises=["gauss"])


def test_coverage_is_the_share_of_true_exposures_inside():
    table = compare_intervals(["simulated:150:3000"], seed=2).set_index("interval")
    truth = load_truth("simulated:150:3000", "poisson", 2)
    found = extract_signatures(truth.counts, method="gamma_poisson", random_state=2)
    lower, upper = found.model.exposure_intervals(truth.counts, 0.9)
    inside = []
    for signature, reference, _ in found.matches(truth.signatures).itertuples(index=False):
        k = list(found.signatures.index).index(signature)
        for n, sample in enumerate(truth.counts.index):
            true = truth.exposures.loc[sample, reference]
            if true > 0.05 * truth.exposures.loc[sample].sum():
                inside.append(lower[n, k] - 0.5 <= true <= upper[n, k] + 0.5)
    assert table["present"]["signatures held"] == pytest.approx(np.mean(inside), abs=0.01)
    assert table["relative_width"]["repeated"] > table["relative_width"]["signatures held"]
