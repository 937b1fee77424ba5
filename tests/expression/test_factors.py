"""Factor analysis with gaps, partners of genes, and regression on a panel."""

import numpy as np
import pytest
from sklearn.decomposition import FactorAnalysis
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.expression.models.factors import FactorImputer, _posterior, _State, moments
from latentgenomes.expression.models.imputers import NeighbourImputer, RidgeImputer
from latentgenomes.expression.models.panels import PanelImputer, _ridge
from latentgenomes.expression.models.partners import find_partners, predict_residuals


def low_rank(n_samples=200, n_genes=80, *, n_factors=5, noise=0.5, seed=0):
    generator = np.random.default_rng(seed)
    loadings = generator.normal(size=(n_genes, n_factors))
    factors = generator.normal(size=(n_samples, n_factors))
    values = factors @ loadings.T + noise * generator.normal(size=(n_samples, n_genes))
    return 5 + values, loadings


def hidden(values, rate=0.3, seed=1):
    gaps = np.random.default_rng(seed).uniform(size=values.shape) < rate
    return np.where(gaps, np.nan, values), gaps


def rmse(restored, values, gaps):
    return np.sqrt((((restored - values) / values.std(axis=0))[gaps] ** 2).mean())


def test_factors_given_loadings_are_the_gaussian_posterior():
    """Oracle: the mean and covariance of z given x_O from the joint Gaussian, sample by sample."""
    generator = np.random.default_rng(0)
    n_genes, k = 12, 3
    loadings = generator.normal(size=(n_genes, k)).astype(np.float32)
    noise = generator.uniform(0.3, 2, size=n_genes).astype(np.float32)
    offset = generator.normal(size=n_genes).astype(np.float32)
    values = generator.normal(size=(6, n_genes)).astype(np.float32)
    mask = (generator.uniform(size=values.shape) < 0.6).astype(np.float32)
    state = _State(loadings, noise, offset, np.zeros((n_genes, k * (k + 1) // 2), np.float32), np.ones(k))
    means, covariances = _posterior(values * mask, mask, state)
    for row in range(6):
        o = mask[row] > 0
        inner = loadings[o] @ loadings[o].T + np.diag(noise[o])
        gain = loadings[o].T @ np.linalg.inv(inner)
        np.testing.assert_allclose(means[row], gain @ (values[row, o] - offset[o]), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(covariances[row], np.eye(k) - gain @ loadings[o], rtol=1e-3, atol=1e-4)


def test_without_gaps_the_covariance_is_that_of_factor_analysis():
    values, _ = low_rank(2000, 30, n_factors=3, noise=0.8)
    ours = FactorImputer(3, n_partners=0, max_iter=400, tol=1e-6).fit(values)
    theirs = FactorAnalysis(3, max_iter=5000, tol=1e-8).fit((values - ours.mean_) / ours.scale_)
    covariance = ours.loadings_ @ ours.loadings_.T + np.diag(ours.noise_)
    np.testing.assert_allclose(covariance, theirs.get_covariance(), atol=0.02)


def test_more_factors_than_there_are_do_no_harm():
    values, _ = low_rank()
    given, gaps = hidden(values)
    errors = [rmse(FactorImputer(k, n_partners=0).fit(given).impute(given), values, gaps) for k in (5, 30)]
    bound = 0.5 / np.sqrt(5 + 0.25)  # noise over the spread of a gene
    assert bound < errors[0] < 1.35 * bound
    assert errors[1] < 1.05 * errors[0]


def test_factors_beat_neighbours_where_genes_follow_factors():
    values, _ = low_rank(150, 400, n_factors=8, noise=1.5)
    given, gaps = hidden(values)
    ours = rmse(FactorImputer().fit(given).impute(given), values, gaps)
    assert ours < 0.9 * rmse(NeighbourImputer().fit(given).impute(given), values, gaps)


def test_partners_find_what_factors_leave_and_are_silent_where_there_is_nothing():
    values, _ = low_rank(400, 100, noise=1.0)
    twin = np.random.default_rng(2).normal(size=400)
    values[:, 7] += 2 * twin
    values[:, 50] += 2 * twin
    given, gaps = hidden(values, 0.1)
    alone = FactorImputer(5, n_partners=0).fit(given)
    both = FactorImputer(5, n_partners=10).fit(given)
    assert 50 in both.partners_[7][np.abs(both.weights_[7]) > 0.3]
    assert (both.weights_ != 0).any(axis=1).mean() < 0.4
    seen = gaps[:, 7]
    errors = [np.sqrt(((model.impute(given) - values)[seen, 7] ** 2).mean()) for model in (alone, both)]
    assert errors[1] < 0.75 * errors[0]


def test_residuals_of_partners_that_are_missing_count_as_nothing():
    residuals = np.array([[1.0, 2.0, 0.0], [0.0, 4.0, 3.0]], np.float32)
    partners, weights = np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.5, 1], [1, 0], [0, 0]], np.float32)
    np.testing.assert_allclose(predict_residuals(residuals, partners, weights), [[1, 1, 0], [5, 0, 0]])
    nothing = find_partners(residuals[:, :2], None, 1, random_state=0)
    assert not nothing[1].any()


def test_what_was_measured_stays_and_empty_samples_get_the_mean():
    values, _ = low_rank()
    given, _ = hidden(values)
    given[3] = np.nan
    model = FactorImputer(5).fit(given)
    filled = model.impute(given)
    np.testing.assert_array_equal(filled[np.isfinite(given)], given[np.isfinite(given)])
    np.testing.assert_allclose(filled[3], model.mean_ + model.offset_ * model.scale_, rtol=1e-4)
    assert FactorImputer(5).fit(given.astype(np.float32)).impute(given.astype(np.float32)).dtype == np.float32


def test_a_warm_start_ends_where_a_cold_one_does_in_fewer_rounds():
    values, _ = low_rank()
    given, gaps = hidden(values)
    cold = FactorImputer(8, n_partners=0).fit(given)
    warm = FactorImputer(8, n_partners=0, warm_start=True).fit(hidden(given, 0.1, seed=5)[0]).fit(given)
    assert warm.n_iter_ < cold.n_iter_
    assert rmse(warm.impute(given), values, gaps) == pytest.approx(
        rmse(cold.impute(given), values, gaps), rel=0.02
    )


def test_moments_are_those_of_the_measured_values():
    given, _ = hidden(low_rank(2500, 7)[0])
    given[:, 3] = 4.0
    mean, scale = moments(given)
    np.testing.assert_allclose(mean, np.nanmean(given, axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.delete(scale, 3), np.delete(np.nanstd(given, axis=0), 3), rtol=1e-5)
    assert scale[3] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: FactorImputer(0).fit(v), "n_factors and max_iter must be at least 1"),
        (
            lambda v: FactorImputer().fit(np.c_[v, np.full(200, np.nan)]),
            "1 of 81 genes are missing everywhere",
        ),
        (lambda v: PanelImputer([]).fit(v), "some columns of X and not all, but it has 0"),
        (lambda v: PanelImputer(range(80)).fit(v), "some columns of X and not all, but it has 80"),
        (lambda v: PanelImputer([90]).fit(v), "some columns of X and not all, but it has 1"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(low_rank()[0])


# ---- a panel ------------------------------------------------------------------------------------


def test_the_penalty_of_each_gene_is_the_best_by_generalised_cross_validation():
    """Oracle: for each penalty and gene, residuals and trace of the hat matrix, written out."""
    generator = np.random.default_rng(0)
    known = generator.normal(size=(60, 15)).astype(np.float32)
    target = known @ generator.normal(size=(15, 4)) * [0, 0.1, 0.5, 3] + generator.normal(size=(60, 4))
    best = np.full(4, np.inf)
    expected = np.zeros((15, 4))
    for ridge in np.geomspace(1e-3, 3, 12):
        solve = np.linalg.inv(known.T @ known + 60 * ridge * np.eye(15)) @ known.T
        left = target - known @ (solve @ target)
        score = (left**2).mean(axis=0) / (1 - np.trace(known @ solve) / 60) ** 2
        expected = np.where(score < best, solve @ target, expected)
        best = np.minimum(best, score)
    np.testing.assert_allclose(_ridge(known, target.astype(np.float32)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_panel", [10, 40])
def test_local_regression_is_ridge_on_the_neighbours(n_panel):
    """Oracle: centred ridge on the nearest samples; also where the panel is larger than they are many."""
    generator = np.random.default_rng(0)
    known, target = (generator.normal(size=(50, m)).astype(np.float32) for m in (n_panel, 6))
    shown = generator.normal(size=(1, n_panel)).astype(np.float32)
    model = PanelImputer(n_neighbors=25, ridge=0.3, n_nearest=4)
    local, mean = model._near(shown, known, target)
    order = np.argsort(((known - shown) ** 2).sum(axis=1))
    x, y = known[order[:25]], target[order[:25]]
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(
        centred.T @ centred + 0.3 * 25 * np.eye(n_panel), centred.T @ (y - y.mean(axis=0))
    )
    np.testing.assert_allclose(
        local[0], y.mean(axis=0) + (shown[0] - x.mean(axis=0)) @ weights, rtol=2e-3, atol=1e-4
    )
    np.testing.assert_allclose(mean[0], target[order[:4]].mean(axis=0), rtol=1e-5)


def test_the_weighed_regressions_beat_one_where_samples_fall_into_types():
    generator = np.random.default_rng(3)
    kind = generator.integers(6, size=900)
    centres = 1.5 * generator.normal(size=(6, 120))
    slopes = generator.normal(size=(6, 8, 120))
    factors = generator.normal(size=(900, 8))
    values = (
        centres[kind] + np.einsum("nk,nkp->np", factors, slopes[kind]) + generator.normal(size=(900, 120))
    )
    panel, train, test = np.arange(30), values[:800], values[800:]
    given = np.where(np.isin(np.arange(120), panel), test, np.nan)
    gaps = np.isnan(given)
    model = PanelImputer(panel.tolist()).fit(train)
    ours = rmse(model.impute(given), test, gaps)
    assert ours < 0.95 * rmse(RidgeImputer().fit(train).impute(given), test, gaps)
    assert model.weights_[1] > 0.2
    with_holes = given.copy()
    with_holes[:, 5] = np.nan
    assert rmse(model.impute(with_holes), test, gaps) < 1.1 * ours


def test_models_come_back_from_their_files(tmp_path):
    values, _ = low_rank()
    given, _ = hidden(values)
    for model in (FactorImputer(5), PanelImputer([0, 1, 2, 3, 9])):
        fitted = model.fit(given)
        again = type(model).load(fitted.save(tmp_path / "model.safetensors"))
        np.testing.assert_array_equal(again.impute(given), fitted.impute(given))


@parametrize_with_checks([FactorImputer(2, n_partners=2, max_iter=5), PanelImputer()])
def test_sklearn_compatible(estimator, check):
    check(estimator)
