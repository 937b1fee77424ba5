"""The tumour classifier: closed forms against slow ones, any subset of profiles, and calibrated answers."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.multimodal.models.calibration import (
    Calibration,
    LeftOut,
    calibrate,
    combined,
    fit_sharpness,
    least_probability,
    quantiles,
)
from latentgenomes.multimodal.models.explanation import channel_shares, profile_shares
from latentgenomes.multimodal.models.landmarks import designs, fit_kernel, thin
from latentgenomes.multimodal.models.ridge import (
    balanced_weights,
    coefficients,
    left_out,
    pack,
    targets,
    unpack,
)
from latentgenomes.multimodal.models.typer import TumourClassifier
from latentgenomes.multimodal.simulate import TumourSettings, simulate_tumours


@pytest.fixture(scope="module")
def tumours():
    return simulate_tumours(240, settings=TumourSettings(fraction_absent=0.02), random_state=1)


@pytest.fixture(scope="module")
def typed(tumours):
    wide, about = tumours.wide(), tumours.samples
    model = TumourClassifier(n_landmarks=60, n_components=8, random_state=0)
    return model.fit(wide[:180], about["cancer_type"][:180], projects=about["project"][:180])


@parametrize_with_checks([TumourClassifier(n_landmarks=20, ridge=1e-3)])
def test_sklearn_compatible(estimator, check):
    check(estimator)


# ---- ridge -----------------------------------------------------------------------------------------


def test_leaving_a_group_out_is_what_a_fit_without_it_predicts():
    rng = np.random.default_rng(0)
    design, aims, weight = rng.normal(size=(40, 6)), rng.normal(size=(40, 3)), rng.uniform(0.5, 2, 40)
    groups = rng.integers(0, 9, 40)
    got = left_out(design, weight, aims, 0.7, groups)
    for group in np.unique(groups):
        rest = groups != group
        own = design[rest] * weight[rest, None]
        beta = np.linalg.solve(own.T @ design[rest] + 0.7 * np.eye(6), own.T @ aims[rest])
        np.testing.assert_allclose(got[~rest], design[~rest] @ beta, atol=1e-10)


def test_a_fit_on_some_columns_needs_only_their_part_of_the_sums():
    rng = np.random.default_rng(1)
    design, aims = rng.normal(size=(30, 7)), rng.normal(size=(30, 2))
    gram = unpack(pack(design.T @ design), 7)
    np.testing.assert_allclose(gram, design.T @ design, rtol=1e-6)
    columns = np.array([0, 3, 6])
    own = design[:, columns]
    expected = np.linalg.solve(own.T @ own + 0.2 * np.eye(3), own.T @ aims)
    got = coefficients((design.T @ design)[np.ix_(columns, columns)], own.T @ aims, 0.2)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_every_type_weighs_the_same_and_every_project_in_it():
    codes = np.array([0, 0, 0, 0, 1, 1, 1])
    groups = np.array([5, 5, 5, 7, 5, 7, 9])
    weight = balanced_weights(codes, groups)
    assert weight.mean() == pytest.approx(1)
    assert weight[codes == 0].sum() == pytest.approx(weight[codes == 1].sum())
    assert weight[:3].sum() == pytest.approx(weight[3])
    np.testing.assert_allclose(targets(np.array([1, 0]), 3), [[-0.5, 1, -0.5], [1, -0.5, -0.5]])


# ---- the kernel ------------------------------------------------------------------------------------


def test_products_of_features_are_the_kernel_at_the_landmarks():
    counts = np.random.default_rng(2).poisson(4.0, size=(50, 12)).astype(float)
    counts[3] = np.nan
    kernel = fit_kernel(counts, "ID83", n_landmarks=10, bandwidth=0.5, weight=2.0, seed=0)
    design = kernel.design(counts)
    assert design.shape == (50, 10)
    assert not design[3].any()
    standardized, landmarks = kernel.standardized(counts), kernel.landmarks.astype(float)
    for row in (0, 7):  # the slow way: phi phi' = w k' (K + eps I)^-1 k
        near = np.array(
            [1 / (1 + np.square(standardized[row] - one).sum() / kernel.spread) for one in landmarks]
        )
        own = np.array(
            [[1 / (1 + np.square(a - b).sum() / kernel.spread) for b in landmarks] for a in landmarks]
        )
        expected = 2.0 * near @ np.linalg.solve(own + 1e-4 * np.eye(10), near)
        assert design[row] @ design[row] == pytest.approx(expected, rel=1e-8)


def test_thinning_keeps_the_share_that_the_burden_allows_and_other_profiles():
    rng = np.random.default_rng(5)
    counts = np.hstack(
        [rng.poisson(400.0, (300, 96)), rng.poisson(50.0, (300, 83)), rng.poisson(3.0, (300, 28))]
    )
    counts = counts.astype(float)
    counts[0, :96], counts[1, :96], counts[2, 96:179] = 0, np.eye(96)[3] * 20, np.nan
    got = thin(counts, {"SBS96": 96, "ID83": 83, "CN28": 28}, 0)
    np.testing.assert_array_equal(got[:, 179:], counts[:, 179:])
    assert np.isnan(got[2, 96:179]).all()
    assert not got[0, :96].any()
    np.testing.assert_array_equal(got[1], counts[1])  # 20 mutations are fewer than any burden
    left = got[3:, :96].sum(axis=1)
    assert (got[3:, :179] <= np.nan_to_num(counts[3:, :179])).all()
    assert 30 < left.min() < 100 < left.max() < 3300
    share = left / counts[3:, :96].sum(axis=1)
    np.testing.assert_allclose(got[3:, 96:179].sum(axis=1) / counts[3:, 96:179].sum(axis=1), share, atol=0.02)


# ---- calibration -----------------------------------------------------------------------------------


def test_sharpness_is_found_again_and_odds_leave_calibrated_answers_alone():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(6000, 4))
    codes = np.array([rng.choice(4, p=p) for p in softmax(2.5 * scores, axis=1)])
    assert fit_sharpness(scores, codes, np.ones(6000)) == pytest.approx(2.5, rel=0.06)
    found = calibrate([LeftOut(scores, codes, rng.uniform(size=6000), np.full((6000, 4), 0.5))], 0.9)
    probability = np.exp(found.log_probability(scores, np.full((6000, 4), 0.5)))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_allclose(probability, softmax(2.5 * scores, axis=1), atol=0.05)
    right = probability.argmax(axis=1) == codes
    answered = probability.max(axis=1) >= found.threshold
    assert right[answered].mean() >= 0.9
    assert 0.05 < answered.mean() < 1


def test_a_prior_moves_probabilities_by_bayes_rule_before_the_odds_are_set():
    known = Calibration(1.0, np.array([1.0, 0.0, 0.0]), 0.9, *(np.linspace(-1, 1, 5),) * 3)
    scores, prior = np.log([[0.5, 0.3, 0.2]]), np.array([0.1, 0.6, 0.3])
    got = np.exp(known.log_probability(scores, np.zeros((1, 3)), np.log(prior)))
    expected = np.array([0.5, 0.3, 0.2]) * prior
    np.testing.assert_allclose(got[0], expected / expected.sum(), rtol=1e-6)


def test_agreement_of_neighbours_raises_the_answer_and_the_best_stays_the_best():
    known = Calibration(1.0, np.array([0.8, -3.0, 4.0]), 0.9, *(np.linspace(-1, 1, 5),) * 3)
    scores = np.log([[0.4, 0.35, 0.25]] * 2)
    agreement = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    got = np.exp(known.log_probability(scores, agreement))
    assert got[1, 0] > 0.6 > got[0, 0]
    assert (got.argmax(axis=1) == 0).all()
    np.testing.assert_allclose(got.sum(axis=1), 1)
    np.testing.assert_allclose(got[:, 1] / got[:, 2], 0.35 / 0.25, rtol=1e-6)


def test_least_probability_is_the_smallest_that_keeps_the_precision():
    top = np.linspace(1, 0.5, 101)
    right = np.arange(101) < 60  # the 60 surest are right
    least = least_probability(top, right, 0.8)
    assert right[top >= least].mean() >= 0.8
    assert right[top >= least - 0.006].mean() < 0.8
    assert least_probability(top, np.zeros(101, dtype=bool), 0.8) > 1


def test_p_values_of_known_tumours_are_uniform():
    rng = np.random.default_rng(4)
    scores, far = rng.normal(size=(4000, 3)), rng.gamma(3.0, size=4000)
    tops, distances = quantiles(-scores[:2000].max(axis=1)), quantiles(far[:2000])
    novelty = quantiles(combined(scores[:2000], far[:2000], tops, distances))
    known = Calibration(1.0, np.array([1.0, 0, 0]), 0.9, tops, distances, novelty)
    values = known.p_value(scores[2000:], far[2000:])
    for level in (0.05, 0.2, 0.5):
        assert (values <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 2000) + 0.01)
    assert known.p_value(np.full((1, 3), -9.0), np.array([99.0]))[0] == pytest.approx(1 / 101)
    again = Calibration.from_json(known.to_json())
    np.testing.assert_allclose(
        again.p_value(scores[:50], far[:50]), known.p_value(scores[:50], far[:50]), atol=0.02
    )


# ---- the classifier --------------------------------------------------------------------------------


def test_types_are_told_from_any_profiles_and_more_profiles_tell_more(tumours, typed):
    wide, truth = tumours.wide()[180:], tumours.samples["cancer_type"][180:].to_numpy()
    right, names = {}, tuple(typed.profile_names_)
    for shown in (names[:1], names[1:], names):
        table = wide.copy()
        for name in set(typed.profile_names_) - set(shown):
            table.loc[:, table.columns.str.startswith(name)] = np.nan
        right[shown] = (
            typed.predict(table[table.notna().any(axis=1)]) == truth[table.notna().any(axis=1)]
        ).mean()
    assert min(right.values()) > 0.5
    assert right[names] > 0.8


def test_a_subset_is_the_model_that_only_ever_saw_these_profiles(tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    both = wide.filter(regex="^(SBS96|ID83)")
    one = wide.filter(regex="^SBS96")
    settings = {"n_landmarks": 40, "random_state": 0, "subsets": [["SBS96"]]}
    # Weights are shares of their sum: alone a profile weighs double, as much as half the penalty does.
    large = TumourClassifier(weights={"SBS96": 1.0, "ID83": 1.0}, ridge=0.05, **settings).fit(both, types)
    alone = TumourClassifier(weights={"SBS96": 1.0}, ridge=0.1, **settings).fit(one, types)
    hidden = both.copy()
    hidden.loc[:, hidden.columns.str.startswith("ID83")] = np.nan
    # The constant column is not shrunk alike, so the two agree closely and not exactly.
    assert (large.predict(hidden) == alone.predict(one)).mean() > 0.97


def test_an_answer_depends_on_the_tumour_alone_and_a_saved_model_gives_it_again(tumours, typed, tmp_path):
    wide = tumours.wide()
    together, single = typed.answer(wide[:30]), typed.answer(wide[4:5])
    for name in ("log_probability", "p_value", "threshold", "distances"):
        np.testing.assert_allclose(getattr(together, name)[4:5], getattr(single, name), rtol=1e-6)
    loaded = TumourClassifier.load(typed.save(tmp_path / "typer.safetensors"))
    again = loaded.answer(wide[:30])
    np.testing.assert_array_equal(again.log_probability, together.log_probability)
    np.testing.assert_array_equal(again.neighbours, together.neighbours)
    np.testing.assert_array_equal(loaded.transform(wide[:5]), typed.transform(wide[:5]))


def test_the_nearest_known_tumour_of_a_known_one_is_itself(tumours, typed):
    said = typed.answer(tumours.wide()[:50])
    assert (said.neighbours[:, 0] == np.arange(50)).mean() > 0.95
    assert (np.diff(said.distances, axis=1) >= 0).all()


def test_subtypes_belong_to_one_type_and_labels_have_the_length_of_the_samples(tumours):
    wide, types = tumours.wide()[:60], tumours.samples["cancer_type"][:60]
    with pytest.raises(ValueError, match="A subtype must belong to one type"):
        TumourClassifier().fit(wide, types, subtypes=np.zeros(60))
    with pytest.raises(ValueError, match=r"projects must have one label per sample, but 3 came for 60"):
        TumourClassifier().fit(wide, types, projects=[1, 2, 3])


# ---- what spoke for a type -------------------------------------------------------------------------


def test_shares_of_profiles_add_up_to_the_score(tumours, typed):
    wide = tumours.wide()[:20].to_numpy()
    codes = typed.answer(tumours.wide()[:20]).log_probability.argmax(axis=1)
    shares = profile_shares(typed, wide, codes)
    parts = designs(typed._kernels(), wide, typed.profile_lengths_)
    for row in range(20):
        present = ~np.isnan(shares[row])
        beta, columns = typed.beta(present)
        centred = np.hstack(parts)[row] - typed.embedding_mean_
        code = codes[row]
        best = (np.append(np.hstack(parts)[row], 0)[columns][:-1] @ beta[:-1, len(typed.classes_) :])[
            typed.owner_ == code
        ].argmax()
        sub = len(typed.classes_) + np.flatnonzero(typed.owner_ == code)[best]
        direction = (beta[:, code] + beta[:, sub]) / 2
        assert np.nansum(shares[row]) == pytest.approx(centred[columns[:-1]] @ direction[:-1], rel=1e-6)


def test_a_channel_is_worth_what_the_score_loses_without_it(tumours, typed):
    wide = tumours.wide()
    row = int(np.flatnonzero(wide.notna().all(axis=1))[0])
    counts = wide.iloc[row].to_numpy()
    code = int(typed.answer(wide.iloc[[row]]).log_probability[0].argmax())
    shares = channel_shares(typed, counts, code)
    assert [len(share) for share in shares] == typed.profile_lengths_
    # The slow way for one channel of the second profile: its standardised log-ratio set to 0.
    kernel = typed._kernels()[1]
    standardized = kernel.standardized(counts[None, 96 : 96 + 83])
    blotted = standardized.copy()
    blotted[0, 5] = 0
    near = [
        1 / (1 + np.square(v - kernel.landmarks.astype(float)).sum(1) / kernel.spread)
        for v in (standardized, blotted)
    ]
    change = np.sqrt(kernel.weight) * np.linalg.solve(kernel._factor, near[0] - near[1])
    beta, _ = typed.beta(np.ones(len(typed.profile_names_), dtype=bool))
    first = typed._kernels()[0].landmarks.shape[0]
    design = np.hstack(designs(typed._kernels(), counts[None], typed.profile_lengths_))[0]
    sub = np.flatnonzero(typed.owner_ == code) + len(typed.classes_)
    best = sub[(design @ beta[:-1, sub]).argmax()]
    direction = ((beta[:, code] + beta[:, best]) / 2)[first : first + len(change)]
    assert shares[1][5] == pytest.approx(float(change @ direction), rel=1e-6)


def test_embeddings_of_absent_profiles_are_zero(tumours, typed):
    wide = tumours.wide()[:4].copy()
    wide.loc[:, wide.columns.str.startswith("ID83")] = np.nan
    embedding = typed.transform(wide)
    first = typed.components_[0]
    assert not embedding[:, first : first + typed.components_[1]].any()
    assert embedding[:, :first].any()
    assert isinstance(typed.predict_proba(wide), np.ndarray)
    assert pd.Series(typed.predict(wide)).isin(typed.classes_).all()
