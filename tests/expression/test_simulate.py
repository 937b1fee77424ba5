import numpy as np
import pandas as pd
import pytest

from latentgenomes.expression.models.imputers import LocalRidgeImputer, RidgeImputer
from latentgenomes.expression.models.survival import CoxRegression
from latentgenomes.expression.simulate import ExpressionSettings, simulate_expression


def test_the_seed_gives_the_same_data_and_the_global_state_stays():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (simulate_expression(50, 32, random_state=3) for _ in range(2))
    pd.testing.assert_frame_equal(first.data.values, second.data.values)
    pd.testing.assert_frame_equal(first.data.samples, second.data.samples)
    assert not first.data.values.equals(simulate_expression(50, 32, random_state=4).data.values)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_expression_is_base_plus_activities_times_loadings_plus_noise():
    simulated = simulate_expression(3000, 60, n_modules=5, n_types=3, random_state=0)
    values = simulated.data.values.to_numpy(dtype=float)
    types = simulated.data.samples["cancer_type"]
    loadings = np.stack([simulated.loadings.loc[t].to_numpy() for t in types])  # (n, k, g)
    rest = values - np.einsum("nk,nkg->ng", simulated.activities.to_numpy(), loadings)
    above = values.min(axis=0) > 0  # the floor touches no sample of these genes
    assert above.sum() > 10
    spread = rest[:, above].std(axis=0)
    np.testing.assert_allclose(spread, 0.5, atol=4 * 0.5 / np.sqrt(2 * 3000))
    assert (values >= 0).all()


def test_genes_of_a_module_go_together_and_others_do_not():
    settings = ExpressionSettings(fraction_rewired=0.0)
    simulated = simulate_expression(2000, 80, n_modules=8, n_types=1, settings=settings, random_state=1)
    values, module_of = simulated.data.values, simulated.module_of
    assert (module_of == "none").sum() == 16
    correlation = np.corrcoef(values.to_numpy(dtype=float).T) ** 2
    same = (module_of.to_numpy()[:, None] == module_of.to_numpy()) & (module_of != "none").to_numpy()[:, None]
    off = ~np.eye(80, dtype=bool)
    assert correlation[same & off].min() > 0.1
    assert correlation[~same & off].max() < 16 / 2000  # squared, 4 standard errors
    assert ((simulated.loadings != 0).sum() == (module_of != "none")).all()


def test_rewired_modules_differ_between_types_and_the_prognostic_ones_do_not():
    simulated = simulate_expression(20, 64, n_modules=8, n_types=3, random_state=2)
    first, second = simulated.loadings.loc["T1"], simulated.loadings.loc["T2"]
    differ = (first != second).any(axis=1)
    assert differ.tolist() == [False] * 6 + [True] * 2
    for module in ("M7", "M8"):
        np.testing.assert_allclose(np.sort(first.loc[module]), np.sort(second.loc[module]))


def test_survival_has_the_effect_the_median_and_the_censoring_that_were_asked_for():
    n = 4000
    simulated = simulate_expression(n, 16, n_modules=4, effects={"M1": 0.8, "M3": -0.4}, random_state=5)
    samples = simulated.data.samples
    assert simulated.effects.tolist() == [0.8, 0.0, -0.4, 0.0]
    assert 1 - samples["event"].mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(n))
    model = CoxRegression(0.0).fit(simulated.activities, samples[["time", "event"]])
    # Standard error of a log hazard ratio is about 1 / sqrt(events) / sd of the activity, which is above 1.
    np.testing.assert_allclose(model.coef_, simulated.effects, atol=4 / np.sqrt(samples["event"].sum()))
    uncensored = simulate_expression(
        n, 16, n_modules=4, effects={}, settings=ExpressionSettings(fraction_censored=0.0), random_state=6
    ).data.samples
    assert uncensored["event"].all()
    # Half of the times are below the median: 4 standard errors of a share.
    assert (uncensored["time"] < 900).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(n))


def test_restoration_gains_from_rewiring_only_what_is_local():
    gains = {}
    for fraction in (0.0, 1.0):
        settings = ExpressionSettings(fraction_rewired=fraction)
        simulated = simulate_expression(900, 48, n_modules=8, n_types=3, settings=settings, random_state=7)
        values = simulated.data.values.to_numpy(dtype=float)
        hidden = np.random.default_rng(0).random((200, 48)) < 0.5
        given = np.where(hidden, np.nan, values[700:])
        errors = [
            np.sqrt(((model.fit(values[:700]).impute(given) - values[700:])[hidden] ** 2).mean())
            for model in (RidgeImputer(0.05), LocalRidgeImputer(150, ridge=0.05))
        ]
        gains[fraction] = errors[0] / errors[1]
    assert gains[1.0] > 1.1 > gains[0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_expression(0), "n_samples must be at least 1, but it is 0"),
        (
            lambda: simulate_expression(5, 3, n_modules=4),
            r"n_genes must be at least n_modules \(4\), but it is 3",
        ),
        (lambda: simulate_expression(5, effects={"M99": 1.0}), "modules of M1 to M16, but 'M99' came"),
        (lambda: ExpressionSettings(noise_sd=-1), "noise_sd must be >= 0, but it is -1"),
        (
            lambda: ExpressionSettings(fraction_censored=1.0),
            r"fraction_censored must be in \[0, 1\), but it is 1.0",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
