import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.multimodal.models.classifier import ClassifierNet, MLPEnsembleClassifier
from latentgenomes.multimodal.models.finetuning import FineTunedClassifier, FineTuneNet
from latentgenomes.multimodal.models.fusion import FusionAutoencoder, FusionNet
from latentgenomes.multimodal.simulate import DEFAULT_TUMOUR_TYPES as TYPES
from latentgenomes.multimodal.simulate import TumourSettings, dirichlet_signatures, simulate_tumours

SMALL = FineTunedClassifier(
    n_latent=16, width=16, pretrain_epochs=10, max_epochs=20, learning_rate=3e-3, random_state=0
)


@pytest.fixture(scope="module")
def tumours():
    """240 tumours of six types, four profiles, 3% of each profile but the first absent."""
    own = {}
    for number, profile in enumerate(("SBS96", "ID83", "CN48", "SV32")):
        names = sorted({n for kind in TYPES.values() for n in kind.weights[profile]})
        own[profile] = dirichlet_signatures(profile, names, random_state=number)
    return simulate_tumours(240, signatures=own, settings=TumourSettings(project_sd=0.0), random_state=0)


@pytest.fixture(scope="module")
def typed(tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    return clone(SMALL).fit(wide[:150], types[:150], X_val=wide[150:190], y_val=types[150:190])


@parametrize_with_checks(
    [
        FineTunedClassifier(
            n_latent=8, width=8, pretrain_epochs=2, max_epochs=40, dropout=0.0, profile_dropout=0.0,
            feature_dropout=0.0, learning_rate=0.02, random_state=0,
        )
    ]
)  # fmt: skip
def test_sklearn_compatible(estimator, check):
    check(estimator)


def numpy_gelu(x):
    return x * torch.special.ndtr(torch.from_numpy(x)).numpy()


def test_the_network_is_its_equations_by_hand():
    torch.manual_seed(0)
    backbone = FusionNet([3, 2], width=4, n_latent=5)
    net = FineTuneNet(backbone, 3).double().eval()
    x, shown = torch.randn(7, 5, dtype=torch.float64), torch.ones(7, 2, dtype=torch.bool)
    units = numpy_gelu(backbone.embedding(x, shown).detach().numpy())
    logits = units @ net.output.weight.detach().numpy().T + net.output.bias.detach().numpy()
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = net.log_probability(x, shown).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    label, weight = torch.tensor([0, 1, 2, 0, 1, 2, 0]), torch.linspace(0.5, 2, 7, dtype=torch.float64)
    batch = {"standardized": x, "present": shown, "label": label, "weight": weight}
    own = expected[np.arange(7), label.numpy()]
    assert float(net.terms(batch, {})["nll"].detach()) == pytest.approx(-(weight.numpy() * own).mean())


def test_masks_act_in_training_only():
    torch.manual_seed(0)
    net = FineTuneNet(FusionNet([3, 2], width=4, n_latent=50, profile_dropout=0.5), 3, dropout=0.5)
    noise = net.noise(400, torch.Generator().manual_seed(0))
    for name, share in (("hidden_mask", 0.5), ("feature_mask", 0.8), ("profile_mask", 0.5)):
        kept = (noise[name] > 0).double()
        assert abs(kept.mean() - share) < 4 * np.sqrt(share * (1 - share) / kept.numel())
    assert set(noise["hidden_mask"].unique().tolist()) == {0.0, 2.0}
    batch = {
        "standardized": torch.randn(400, 5), "present": torch.ones(400, 2, dtype=torch.bool),
        "label": torch.zeros(400, dtype=torch.long), "weight": torch.ones(400),
    }  # fmt: skip
    plain = net.eval().terms(batch, {})["nll"]
    assert torch.equal(net.terms(batch, noise)["nll"], plain)
    assert not torch.equal(net.train().terms(batch, noise)["nll"], plain)


def test_it_types_new_tumours(typed, tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    assert (typed.predict(wide[190:]) == types[190:]).mean() > 0.85
    np.testing.assert_allclose(typed.predict_proba(wide).sum(axis=1), 1, rtol=1e-9)


def test_it_starts_from_the_autoencoder_of_the_training_samples(tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    still = clone(SMALL).set_params(learning_rate=1e-12, max_epochs=1)
    still.fit(wide[:100], types[:100], X_val=wide[100:150], y_val=types[100:150])
    seed = still._seeds(3)[1]
    plain = FusionAutoencoder(n_latent=16, width=16, max_epochs=10, random_state=seed).fit(wide[:100])
    for name, value in plain.module_.state_dict().items():
        torch.testing.assert_close(still.module_.backbone.state_dict()[name], value, atol=1e-7, rtol=1e-6)
    raw = clone(still).set_params(pretrain_epochs=0)
    raw.fit(wide[:100], types[:100], X_val=wide[100:150], y_val=types[100:150])
    moved = plain.module_.to_latent.weight.detach() - raw.module_.backbone.to_latent.weight.detach()
    assert float(moved.abs().max()) > 1e-3


def test_labels_of_validation_samples_never_train(tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"].to_numpy()
    model = clone(SMALL).set_params(max_epochs=3, pretrain_epochs=2)
    one = clone(model).fit(wide[:100], types[:100], X_val=wide[100:150], y_val=types[100:150])
    two = clone(model).fit(wide[:100], types[:100], X_val=wide[100:150], y_val=np.roll(types[100:150], 1))
    kept = [m.history_.query("set == 'training'")["value"].to_numpy() for m in (one, two)]
    np.testing.assert_array_equal(kept[0], kept[1])
    np.testing.assert_array_equal(one.mean_, two.mean_)


def test_what_an_absent_profile_holds_cannot_reach_the_answer(typed, tumours):
    wide = tumours.wide()[:20].copy()
    wide.iloc[:, 96:179] = np.nan
    hidden = typed.predict_proba(wide)
    again = typed.predict_proba(wide.iloc[::-1])[::-1]
    np.testing.assert_allclose(hidden, again, rtol=1e-9)
    assert np.isfinite(hidden).all()


def test_saved_and_loaded_are_equal(typed, tumours, tmp_path):
    again = FineTunedClassifier.load(typed.save(tmp_path / "tuned.safetensors"))
    wide = tumours.wide()
    np.testing.assert_allclose(again.predict_proba(wide), typed.predict_proba(wide), rtol=1e-9)


def test_bad_settings_are_named():
    x, y = np.ones((10, 4)), np.arange(10) % 2
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), but 1.0 came"):
        FineTunedClassifier(dropout=1.0).fit(x, y)
    with pytest.raises(ValueError, match=r"max_epochs must be >= 1, but 0 came"):
        FineTunedClassifier(max_epochs=0).fit(x, y)
    with pytest.raises(ValueError, match="X_val and y_val must be given both or neither"):
        FineTunedClassifier().fit(x, y, X_val=x)


# ---- what the plain classifier gained ------------------------------------------------------------


def test_without_standardising_features_enter_as_they_are():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.uniform(0, 0.02, size=(200, 50)))
    y = (x[0] > 0.01).astype(int)
    plain = MLPEnsembleClassifier(standardize=False, max_epochs=30, random_state=0).fit(x, y)
    assert (plain.mean_ == 0).all()
    assert (plain.scale_ == 1).all()
    net: ClassifierNet = plain.module_[0]
    logs = net.log_probability(torch.from_numpy(x.to_numpy())).detach().numpy()
    np.testing.assert_allclose(plain.predict_log_proba(x), logs, atol=1e-9)
    # Frequencies of some hundredths hardly move such a network in few epochs; standardised they do.
    scaled = MLPEnsembleClassifier(max_epochs=30, random_state=0).fit(x, y)
    assert scaled.score(x, y) > plain.score(x, y) + 0.1


def test_one_member_is_the_same_alone_and_in_a_stack():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 8)), np.arange(120) % 3
    x[:, 0] += y
    model = MLPEnsembleClassifier(max_epochs=8, validation_fraction=0.2, dropout=0.3, random_state=4)
    alone = clone(model).fit(x[:90], y[:90], X_val=x[90:], y_val=y[90:])
    two = clone(model).set_params(n_members=2).fit(x[:90], y[:90], X_val=x[90:], y_val=y[90:])
    for name, value in alone.module_[0].state_dict().items():
        torch.testing.assert_close(value, two.module_[0].state_dict()[name], rtol=1e-4, atol=1e-5)
