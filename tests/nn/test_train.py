"""The loop, alone and stacked, on a module small enough to check by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from latentgenomes.nn.blocks import DenseStack
from latentgenomes.nn.ensemble import bootstrap_counts, fit_ensemble, seeded
from latentgenomes.nn.train import TrainConfig, check_lengths, fit, progress, resolve_device


class NoisyRegression(nn.Module):
    """y = f(x) + noise, with BatchNorm inside, so that buffers are trained too."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = DenseStack((3, 4), "tanh")
        self.out = nn.Linear(4, 1)
        self.double()

    def noise(self, n_samples, generator):
        return {"eps": torch.randn(n_samples, generator=generator, dtype=torch.float64)}

    def terms(self, batch, noise):
        predicted = self.out(self.stack(batch["x"])).squeeze(-1) + 0.1 * noise["eps"]
        return {"nll": (predicted - batch["y"]).square().mean(), "kl": self.out.weight.square().sum()}

    def forward(self, batch, noise):
        return self.terms(batch, noise)


def make_data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return {"x": x, "y": x[:, 0] - 2 * x[:, 1] * x[:, 2]}


CONFIG = TrainConfig(max_epochs=40, batch_size=16, learning_rate=0.02, patience=4)
WEIGHTS = {"kl": 0.01}


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("own_data", [False, True])
def test_a_member_of_the_stack_equals_the_same_fit_alone(own_data):
    seeds = [11, 22, 33, 44]
    shared, held_out = make_data(70, 0), make_data(30, 1)
    data = [make_data(70, s) if own_data else shared for s in seeds]
    validation = [held_out] * 4
    stacked = seeded(NoisyRegression, seeds)
    history = fit_ensemble(stacked, data, CONFIG, seeds=seeds, weights=WEIGHTS, validation=validation)
    lengths = history[history["set"] == "validation"].groupby("member")["epoch"].max()
    assert lengths.nunique() > 1, "members must stop at different epochs for this test to bite"
    for member, (seed, module) in enumerate(zip(seeds, seeded(NoisyRegression, seeds), strict=True)):
        alone = fit(module, data[member], CONFIG, seed=seed, weights=WEIGHTS, validation=held_out)
        mine = history[history["member"] == member].reset_index(drop=True)
        assert len(mine) == len(alone)
        np.testing.assert_allclose(mine["value"], alone["value"], rtol=1e-9)
        for name, value in state(module).items():
            torch.testing.assert_close(stacked[member].state_dict()[name], value, rtol=1e-8, atol=1e-10)


def test_best_weights_are_restored_not_the_last():
    data, held_out = make_data(60, 2), make_data(40, 3)
    module = seeded(NoisyRegression, [5])[0]
    config = TrainConfig(max_epochs=60, batch_size=60, learning_rate=0.3, patience=60)
    history = fit(module, data, config, seed=5, validation=held_out)
    sums = history[history["set"] == "validation"].groupby("epoch")["value"].sum()
    assert sums.idxmin() < 60
    assert not module.training
    # The loop draws the fixed validation noise first, from the member's generator.
    noise = module.noise(40, torch.Generator().manual_seed(5))
    with torch.no_grad():
        restored = sum(float(v) for v in module.terms(held_out, noise).values())
    assert restored == pytest.approx(sums.min(), rel=1e-9)


def test_early_stopping_judges_the_unweighted_sum():
    module = seeded(NoisyRegression, [6])[0]
    config = TrainConfig(max_epochs=30, batch_size=16, learning_rate=0.01, patience=30)
    history = fit(
        module, make_data(60, 4), config, seed=6, weights={"kl": 100.0}, validation=make_data(30, 5)
    )
    wide = history[history["set"] == "validation"].pivot(index="epoch", columns="term", values="value")
    best = wide.sum(axis=1).idxmin()
    final = float(module.out.weight.square().sum().detach())
    assert final == pytest.approx(wide.loc[best, "kl"], rel=1e-9)


def test_without_validation_the_last_weights_stay_and_all_epochs_run():
    module = seeded(NoisyRegression, [7])[0]
    history = fit(module, make_data(40, 6), TrainConfig(max_epochs=5, batch_size=8), seed=7)
    assert history["epoch"].max() == 5
    assert set(history["set"]) == {"training"}


def test_training_is_reproducible_and_leaves_the_global_state_alone():
    torch.manual_seed(99)
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        module = seeded(NoisyRegression, [8])[0]
        fit(module, make_data(40, 7), TrainConfig(max_epochs=3), seed=8)
        weights.append(module.out.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(torch.get_rng_state(), before)


class Slope(nn.Module):
    """A loss whose gradient is 1, so that each step of Adam is the learning rate itself."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def noise(self, n_samples, generator):
        return {}

    def terms(self, batch, noise):
        return {"height": self.height.sum()}


@pytest.mark.parametrize(("decay_to", "expected"), [(1.0, 1.0), (0.2, 0.6), (0.0, 0.5)])
def test_learning_rate_falls_linearly_to_its_last_share(decay_to, expected):
    module = Slope()
    config = TrainConfig(max_epochs=11, batch_size=5, learning_rate=0.1, decay_to=decay_to)
    fit(module, {"x": torch.zeros(5)}, config, seed=0)
    assert -float(module.height.detach()) == pytest.approx(11 * 0.1 * expected, rel=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_gives_the_results_of_the_cpu():
    histories = []
    for device in ("cpu", "cuda"):
        modules = [m.to(device) for m in seeded(NoisyRegression, [1, 2])]
        data = [{k: v.to(device) for k, v in make_data(60, 0).items()}] * 2
        config = TrainConfig(max_epochs=5, batch_size=16, learning_rate=0.01)
        histories.append(fit_ensemble(modules, data, config, seeds=[1, 2], validation=data))
    np.testing.assert_allclose(histories[0]["value"], histories[1]["value"], rtol=1e-6)


def test_a_fit_that_never_is_finite_is_an_error():
    data = make_data(40, 0)
    data["y"][:] = float("nan")
    with pytest.raises(FloatingPointError, match="never had one"):
        fit(seeded(NoisyRegression, [0])[0], data, CONFIG, seed=0, validation=data)


def test_ensemble_refuses_uneven_members():
    modules = seeded(NoisyRegression, [1, 2])
    with pytest.raises(ValueError, match=r"one of each per member, but .*'seeds': 1"):
        fit_ensemble(modules, [make_data(9, 0)] * 2, CONFIG, seeds=[1])


def test_data_must_be_equally_long():
    with pytest.raises(ValueError, match=r"equally long tensors, but the lengths are \{'a': 2, 'b': 3\}"):
        check_lengths({"a": torch.zeros(2), "b": torch.zeros(3)})


def test_device_auto_is_there_and_a_missing_one_is_refused():
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ValueError, match="device must name a device of this machine, but 'warp' came"):
        resolve_device("warp")


def test_progress_can_be_switched_off(monkeypatch, capsys):
    monkeypatch.setenv("LATENTGENOMES_PROGRESS", "0")
    assert list(progress(range(3), "x")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_bootstrap_keeps_totals_and_has_multinomial_moments():
    counts = np.array([[50.0, 30.0, 20.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    draws = np.stack([bootstrap_counts(counts, seed) for seed in range(2000)])
    assert (draws.sum(2) == counts.sum(1)).all()
    assert (draws[:, 0, 3] == 0).all()
    share = counts[0] / 100
    variance = 100 * share * (1 - share)
    error = np.abs(draws[:, 0].mean(0) - counts[0])
    assert (error <= 4 * np.sqrt(variance / 2000)).all()
    np.testing.assert_allclose(draws[:, 0].var(0)[:3], variance[:3], rtol=4 * np.sqrt(2 / 2000))


def test_resampling_refuses_fractions():
    with pytest.raises(ValueError, match="needs whole counts"):
        bootstrap_counts(np.array([[0.5, 1.0]]), 0)
