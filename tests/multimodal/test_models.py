import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.multimodal.models.classifier import ClassifierNet, MLPEnsembleClassifier
from latentgenomes.multimodal.models.features import ProfileFeatures, column_slices, encode, profile_lengths
from latentgenomes.multimodal.models.fusion import FusionAutoencoder, FusionNet
from latentgenomes.multimodal.models.latefusion import LateFusionClassifier
from latentgenomes.multimodal.models.mutembed import MutEmbed, MutEmbedNet
from latentgenomes.multimodal.simulate import (
    DEFAULT_TUMOUR_TYPES,
    TumourSettings,
    dirichlet_signatures,
    simulate_tumours,
)

LENGTHS = [96, 83, 48, 32]
EMBEDDERS = {
    "MutEmbed": MutEmbed(n_latent=12, width=24, max_epochs=25, learning_rate=2e-3, random_state=0),
    "FusionAutoencoder": FusionAutoencoder(
        n_latent=12, width=24, max_epochs=25, batch_size=32, random_state=0
    ),
}
NETS = {
    "MutEmbed": MutEmbedNet([5, 3, 4], width=6, n_latent=7, n_layers=2),
    "FusionAutoencoder": FusionNet([5, 3, 4], width=6, n_latent=7, feature_dropout=0.4, profile_dropout=0.4),
}


@pytest.fixture(scope="module")
def tumours():
    """300 tumours of six types, four profiles, 3% of each profile but the first absent."""
    own = {}
    for number, profile in enumerate(("SBS96", "ID83", "CN48", "SV32")):
        names = sorted({n for kind in DEFAULT_TUMOUR_TYPES.values() for n in kind.weights[profile]})
        own[profile] = dirichlet_signatures(profile, names, random_state=number)
    # Without differences between projects, which would tell Breast from Ovary.
    return simulate_tumours(300, signatures=own, settings=TumourSettings(project_sd=0.0), random_state=0)


@pytest.fixture(scope="module")
def fitted(tumours):
    return {name: clone(model).fit(tumours.wide()) for name, model in EMBEDDERS.items()}


@pytest.fixture(scope="module")
def typed(tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    late = LateFusionClassifier(n_members=2, hidden=32, max_epochs=15, random_state=0)
    return late.fit(wide[:200], types[:200], X_val=wide[200:240], y_val=types[200:240])


@parametrize_with_checks(
    [
        ProfileFeatures(),
        MutEmbed(n_latent=3, width=5, max_epochs=2, random_state=0),
        FusionAutoencoder(n_latent=3, width=5, max_epochs=2, random_state=0),
        MLPEnsembleClassifier(hidden=16, max_epochs=25, learning_rate=0.02, random_state=0),
        LateFusionClassifier(n_members=1, hidden=16, max_epochs=25, learning_rate=0.02, random_state=0),
        MLPEnsembleClassifier(
            standardize=False, hidden=16, max_epochs=60, learning_rate=0.02, patience=30, random_state=0
        ),
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)


# ---- features -----------------------------------------------------------------------------------


def test_features_are_their_formulas_entry_by_entry():
    counts = np.random.default_rng(0).poisson(3.0, size=(5, 7)).astype(float)
    counts[1, :4] = 0
    counts[2, 4:] = np.nan
    got, lengths = encode(counts, [4, 3], ("log", "clr", "root", "frequency", "total"))
    assert lengths == [17, 13]
    for row in range(5):
        expected = []
        for block in (counts[row, :4], counts[row, 4:]):
            total = block.sum()
            shifted = [np.log(x + 0.5) for x in block]
            frequency = [x / total if total else 0.0 for x in block]
            expected += [np.log(1 + x) for x in block]
            expected += [s - sum(shifted) / len(shifted) for s in shifted]
            expected += list(np.sqrt(frequency)) + list(frequency) + [np.log(1 + total)]
        expected = np.array(expected)
        if row == 2:
            expected[17:] = np.nan
        np.testing.assert_allclose(got[row], expected, atol=1e-12)


def test_clr_does_not_change_with_the_other_samples_and_sums_to_zero(tumours):
    wide = tumours.wide()
    model = ProfileFeatures(("clr", "total")).fit(wide)
    together = model.transform(wide)
    np.testing.assert_array_equal(together[7:9], model.transform(wide[7:9]))
    names = model.get_feature_names_out()
    assert names[[0, 96, 97]].tolist() == ["clr SBS96|A[C>A]A", "total SBS96", "clr ID83|1:Del:C:0"]
    np.testing.assert_allclose(together[:, :96].sum(axis=1), 0, atol=1e-9)
    framed = ProfileFeatures().set_output(transform="pandas").fit_transform(wide)
    assert list(framed.index) == list(wide.index)
    assert framed.shape[1] == sum(3 * n + 1 for n in LENGTHS)


def test_profiles_are_told_by_lengths_or_by_names(tumours):
    wide = tumours.wide()
    by_name = ProfileFeatures().fit_transform(wide)
    by_length = ProfileFeatures(profiles=LENGTHS).fit_transform(wide.to_numpy())
    np.testing.assert_array_equal(by_name, by_length)
    assert profile_lengths(3, None) == {"P1": 3}
    assert profile_lengths(3, None, ["a|x", "b|x", "b|y"]) == {"a": 1, "b": 2}
    assert profile_lengths(3, [2, 1], ["a|x", "b|x", "b|y"]) == {"P1": 2, "P2": 1}
    assert column_slices([2, 3]) == [slice(0, 2), slice(2, 5)]


@pytest.mark.parametrize("profiles", [[3, 3], [7, 0], [3.5, 3.5], []])
def test_lengths_that_do_not_fit_are_refused(profiles):
    with pytest.raises(ValueError, match=r"profiles must be whole numbers >= 1 whose sum .* 7, but they are"):
        ProfileFeatures(profiles=profiles).fit(np.ones((3, 7)))


def test_bad_tables_are_named(tumours):
    wide = tumours.wide()
    with pytest.raises(ValueError, match=r"columns of a profile must stand together, .* \['a', 'b', 'a'\]"):
        profile_lengths(3, None, ["a|x", "b|x", "a|y"])
    counts = np.ones((4, 5))
    counts[2, 3] = np.nan
    with pytest.raises(
        ValueError, match=r"present or NaN in all its channels, but of 1 samples .* row 2, prof"
    ):
        ProfileFeatures(profiles=[3, 2]).fit(counts)
    counts[2] = np.nan
    with pytest.raises(ValueError, match=r"at least one profile, but 1 of 4 have none; the first is row 2"):
        ProfileFeatures(profiles=[3, 2]).fit(counts)
    counts[:] = 1.0
    counts[:, 3:] = np.nan
    with pytest.raises(
        ValueError, match=r"present in some sample of the fit, but P2 is NaN in all 4\. Leave"
    ):
        ProfileFeatures(profiles=[3, 2]).fit(counts)
    counts[1, 1] = -2
    with pytest.raises(ValueError, match=r"Negative values in data .* is -2 at row 1, column 1\. Pass raw"):
        ProfileFeatures(profiles=[3, 2]).fit(counts)
    with pytest.raises(ValueError, match=r"parts must be of log, clr, .* but \['sqrt'\] came"):
        ProfileFeatures(("sqrt",)).fit(wide)
    with pytest.raises(ValueError, match="feature names should match"):
        ProfileFeatures().fit(wide).transform(wide[wide.columns[::-1]])


# ---- embeddings ---------------------------------------------------------------------------------


def random_batch(seed=0, n=9):
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(n, 3, generator=generator) > 0.3
    present[:, 0] = True
    observed = torch.repeat_interleave(present, torch.tensor([5, 3, 4]), dim=1).double()
    return {
        "standardized": torch.randn(n, 12, generator=generator, dtype=torch.float64) * observed,
        "observed": observed,
        "present": present,
    }


def numpy_linear(layer, x):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T + bias


def test_mutembed_is_its_equations_sample_by_sample():
    net, batch = NETS["MutEmbed"].double(), random_batch()
    embedding = net.embedding(batch["standardized"], batch["present"]).detach().numpy()
    attention = net.attention_weights(batch["standardized"], batch["present"]).detach().numpy()
    loss = 0.0
    for row in range(9):
        x, on = batch["standardized"][row].numpy(), batch["present"][row].numpy()
        blocks = [x[:5], x[5:8], x[8:]]
        z = np.stack([numpy_linear(p, b) for p, b, i in zip(net.projections, blocks, on, strict=True) if i])
        for number, layer in enumerate(net.layers):
            q, k, v = (numpy_linear(part, z) for part in (layer.query, layer.key, layer.value))
            a = softmax(q @ k.T / np.sqrt(6), axis=1)
            np.testing.assert_allclose(attention[row, number][np.ix_(on, on)], a, atol=1e-12)
            assert (attention[row, number][:, ~on] == 0).all()
            z = a @ v
        h = np.maximum(numpy_linear(net.to_latent, z.mean(axis=0)), 0)
        np.testing.assert_allclose(embedding[row], h, atol=1e-12)
        for decoder, block, i in zip(net.decoders, blocks, on, strict=True):
            loss += ((numpy_linear(decoder, h) - block) ** 2).sum() if i else 0.0
    assert net.terms(batch, {})["squared_error"].item() == pytest.approx(loss / 9)


def test_order_of_profiles_does_not_matter_to_mutembed():
    net, batch = NETS["MutEmbed"].double(), random_batch(1)
    turned = MutEmbedNet([4, 5, 3], width=6, n_latent=7, n_layers=2).double()
    weights = net.state_dict()
    moved = dict(weights)
    for new, old in enumerate((2, 0, 1)):
        for name in ("projections", "decoders"):
            for kind in ("weight", "bias"):
                moved[f"{name}.{new}.{kind}"] = weights[f"{name}.{old}.{kind}"]
    turned.load_state_dict(moved)
    x = batch["standardized"]
    other = torch.cat([x[:, 8:], x[:, :5], x[:, 5:8]], dim=1)
    torch.testing.assert_close(
        turned.embedding(other, batch["present"][:, [2, 0, 1]]), net.embedding(x, batch["present"])
    )


@pytest.mark.parametrize("name", NETS)
def test_what_an_absent_profile_holds_cannot_reach_the_embedding(name):
    net, batch = NETS[name].double().eval(), random_batch(2)
    noise = torch.where(batch["observed"] == 0, 100.0, 0.0).double()
    torch.testing.assert_close(
        net.embedding(batch["standardized"] + noise, batch["present"]),
        net.embedding(batch["standardized"], batch["present"]),
    )
    assert not batch["present"].all()


def test_fusion_restores_what_it_was_not_shown():
    net, batch = NETS["FusionAutoencoder"].double().train(), random_batch(3)
    noise = net.noise(9, torch.Generator().manual_seed(0))
    loss = net.terms(batch, noise)["squared_error"].item()
    seen = batch["standardized"] * noise["feature_mask"]
    shown = batch["present"] & noise["profile_mask"]
    restored = net.reconstruction(net.embedding(seen, shown)).detach()
    by_hand = sum(
        float(((batch["standardized"][row, c] - restored[row, c]) ** 2).sum())
        for row in range(9)
        for profile, c in enumerate(column_slices([5, 3, 4]))
        if batch["present"][row, profile]
    )
    assert loss == pytest.approx(by_hand / 9)
    net.eval()
    plain = net.terms(batch, noise)["squared_error"].item()
    assert plain != pytest.approx(loss)
    # Masks keep the expected input: n = 40,000 draws, 4 standard errors of a mean of 0 or 1 / .6.
    masks = net.noise(40_000 // 12, torch.Generator().manual_seed(1))
    assert float(masks["feature_mask"].mean()) == pytest.approx(1, abs=4 * np.sqrt(0.4 / 0.6 / 40_000))
    assert float(masks["profile_mask"].double().mean()) == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / 10_000))


@pytest.mark.parametrize("name", EMBEDDERS)
def test_training_explains_variance_and_score_is_the_share(fitted, tumours, name):
    model, wide = fitted[name], tumours.wide()
    history = model.history_["value"]
    assert history.iloc[-1] < 0.8 * history.iloc[0]
    parts = ("frequency",) if name == "MutEmbed" else ("clr", "total")
    x = ProfileFeatures(parts).fit_transform(wide)
    restored = model.inverse_transform(model.transform(wide))
    z = (x - np.nanmean(x, axis=0)) / model.scale_
    share = 1 - np.nansum(((x - restored) / model.scale_) ** 2) / np.nansum(z**2)
    assert model.score(wide) == pytest.approx(share, rel=1e-9)
    # No linear map of 12 numbers restores more than PCA; the networks stay below it and above the mean.
    best = PCA(12).fit(np.nan_to_num(z)).explained_variance_ratio_.sum()
    assert 0.1 < share < best + 0.02


@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedding_of_a_sample_depends_on_that_sample_alone(fitted, tumours, name):
    model, wide = fitted[name], tumours.wide()
    together = model.transform(wide)
    np.testing.assert_allclose(model.transform(wide[10:11]), together[10:11], rtol=1e-9, atol=1e-12)
    shuffled = wide.sample(frac=1, random_state=0)
    order = wide.index.get_indexer(shuffled.index)
    np.testing.assert_allclose(model.transform(shuffled), together[order], rtol=1e-9, atol=1e-12)
    # A new tumour of which only one profile is known can be embedded.
    alone = wide[:3].copy()
    alone.iloc[:, 96:] = np.nan
    assert np.isfinite(model.transform(alone)).all()
    assert not np.allclose(model.transform(alone), together[:3])


@pytest.mark.parametrize("name", EMBEDDERS)
def test_saved_and_loaded_embeddings_are_equal(fitted, tumours, name, tmp_path):
    model, wide = fitted[name], tumours.wide()
    again = type(model).load(model.save(tmp_path / "m.safetensors"))
    # Not bit by bit: where a tensor lies in memory changes how a product is rounded.
    np.testing.assert_allclose(again.transform(wide), model.transform(wide), rtol=1e-9, atol=1e-12)
    assert again.score(wide) == pytest.approx(model.score(wide), rel=1e-9)
    framed = clone(model).set_params(max_epochs=1).set_output(transform="pandas").fit(wide).transform(wide)
    assert list(framed.index) == list(wide.index)
    assert framed.columns[0] == f"{name.lower()}1"
    if name == "MutEmbed":
        np.testing.assert_allclose(again.attention(wide), model.attention(wide), rtol=1e-9)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_same_seed_same_embedding_and_the_table_is_not_changed(tumours, name):
    wide = tumours.wide()[:60]
    before = wide.copy()
    model = clone(EMBEDDERS[name]).set_params(max_epochs=2)
    state = torch.random.get_rng_state()
    one, two = clone(model).fit_transform(wide), clone(model).fit_transform(wide)
    np.testing.assert_array_equal(one, two)
    other = clone(model).set_params(random_state=1).fit_transform(wide)
    assert not np.allclose(one, other)
    pd.testing.assert_frame_equal(wide, before)
    torch.testing.assert_close(torch.random.get_rng_state(), state)


def test_attention_reads_out_per_sample(fitted, tumours):
    wide = tumours.wide()
    read = fitted["MutEmbed"].attention(wide)
    assert read.shape == (300, 1, 4, 4)
    absent = wide.isna().to_numpy()[:, [0, 96, 179, 227]]
    assert np.array_equal(np.isnan(read[:, 0, :, 0]), absent)
    np.testing.assert_allclose(np.nansum(read, axis=-1)[:, 0][~absent], 1, atol=1e-9)
    assert (read[:, 0][~absent & absent.any(axis=1, keepdims=True)].min(axis=-1) == 0).all()
    full = read[~absent.any(axis=1), 0]
    assert full.std(axis=0).max() > 0.01  # it differs between tumours


def test_published_settings_are_the_defaults():
    # Narain et al. 2025, appendix A.1.2 and A.1.3.
    model = MutEmbed()
    assert (model.width, model.n_latent, model.n_layers) == (265, 64, 1)
    assert (model.max_epochs, model.batch_size, model.learning_rate) == (500, 32, 6e-4)
    mlp = MLPEnsembleClassifier()
    assert (mlp.hidden, mlp.max_epochs, mlp.batch_size, mlp.learning_rate) == (128, 50, 32, 1e-3)
    assert (mlp.n_members, mlp.dropout, mlp.class_weighted) == (1, 0.0, True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MutEmbed(n_latent=0), "n_latent must be >= 1, but 0 came"),
        (MutEmbed(n_layers=0), "n_layers must be >= 1, but 0 came"),
        (FusionAutoencoder(width=0), "width must be >= 1, but 0 came"),
        (FusionAutoencoder(profile_dropout=1.0), r"profile_dropout must be in \[0, 1\), but 1.0 came"),
        (MLPEnsembleClassifier(n_members=0), "n_members must be >= 1, but 0 came"),
        (LateFusionClassifier(dropout=-0.1), r"dropout must be in \[0, 1\), but -0\.1 came"),
    ],
)
def test_bad_settings_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((10, 5)), np.arange(10) % 2)


def test_bad_embeddings_are_named(fitted):
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 12\), but theirs is \(2, 3\)"):
        fitted["MutEmbed"].inverse_transform(np.ones((2, 3)))


# ---- classifiers --------------------------------------------------------------------------------


def test_classifier_loss_is_the_weighted_cross_entropy_by_hand():
    generator = torch.Generator().manual_seed(0)
    net = ClassifierNet(6, 3, hidden=5, dropout=0.5, input_dropout=0.3).double().train()
    batch = {
        "features": torch.randn(8, 6, generator=generator, dtype=torch.float64),
        "label": torch.tensor([0, 1, 2, 0, 1, 2, 0, 0]),
        "weight": torch.rand(8, generator=generator, dtype=torch.float64) + 0.5,
    }
    noise = net.noise(8, generator)
    assert set(noise) == {"input_mask", "hidden_mask"}
    x = batch["features"].numpy() * noise["input_mask"].numpy()
    units = np.maximum(numpy_linear(net.hidden, x), 0) * noise["hidden_mask"].numpy()
    logits = numpy_linear(net.output, units)
    log_p = logits - logsumexp(logits, axis=1, keepdims=True)
    own = log_p[np.arange(8), batch["label"].numpy()]
    assert net.terms(batch, noise)["nll"].item() == pytest.approx(-(batch["weight"].numpy() * own).mean())
    net.eval()
    plain = numpy_linear(net.output, np.maximum(numpy_linear(net.hidden, batch["features"].numpy()), 0))
    own = (plain - logsumexp(plain, axis=1, keepdims=True))[np.arange(8), batch["label"].numpy()]
    assert net.terms(batch, noise)["nll"].item() == pytest.approx(-(batch["weight"].numpy() * own).mean())
    assert ClassifierNet(6, 3).noise(8, generator) == {}


def test_views_are_added_as_log_probabilities_of_averaged_members(typed, tumours):
    wide = tumours.wide()[240:]
    leading = encode(wide.to_numpy()[:, :96], [96], ("log", "clr", "root", "total"))[0]
    fused = encode(wide.to_numpy(), LENGTHS, ("clr", "total"))[0]
    total = np.zeros((60, 6))
    for number, view in enumerate((leading, fused)):
        columns = column_slices(typed.view_lengths_)[number]
        x = np.nan_to_num((view - typed.mean_[columns]) / typed.scale_[columns])
        members = typed.module_[2 * number : 2 * number + 2]
        p = np.mean(
            [
                softmax(numpy_linear(m.output, np.maximum(numpy_linear(m.hidden, x), 0)), axis=1)
                for m in members
            ],
            axis=0,
        )
        total += np.log(p)
    expected = softmax(total, axis=1)
    np.testing.assert_allclose(typed.predict_proba(wide), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(typed.predict(wide), typed.classes_[expected.argmax(axis=1)])


def test_late_fusion_types_new_tumours_and_beats_its_leading_profile(typed, tumours):
    wide, types = tumours.wide(), tumours.samples["cancer_type"]
    truth = types[240:]
    both = f1_score(truth, typed.predict(wide[240:]), average="macro")
    # Breast and Ovary have the same substitutions: SBS96 alone cannot tell them apart.
    sbs = MLPEnsembleClassifier(hidden=32, max_epochs=20, random_state=0)
    features = ProfileFeatures(profiles=[96]).fit_transform(wide.iloc[:, :96].to_numpy())
    sbs.fit(features[:200], types[:200], X_val=features[200:240], y_val=types[200:240])
    alone = f1_score(truth, sbs.predict(features[240:]), average="macro")
    assert both > 0.9
    assert both > alone + 0.05


def test_a_view_that_a_tumour_lacks_says_nothing(typed, tumours):
    wide = tumours.wide()[:4].copy()
    wide.iloc[:, :96] = np.nan
    columns = column_slices(typed.view_lengths_)[1]
    fused = encode(wide.to_numpy(), LENGTHS, ("clr", "total"))[0]
    x = np.nan_to_num((fused - typed.mean_[columns]) / typed.scale_[columns])
    p = np.mean(
        [
            softmax(numpy_linear(m.output, np.maximum(numpy_linear(m.hidden, x), 0)), axis=1)
            for m in typed.module_[2:]
        ],
        axis=0,
    )
    np.testing.assert_allclose(typed.predict_proba(wide), p, rtol=1e-8)


def test_class_weights_make_every_class_weigh_the_same():
    rng = np.random.default_rng(0)
    y = np.array(["rare"] * 20 + ["common"] * 380)
    x = rng.normal(size=(400, 2)) + (y == "rare")[:, None] * 0.7
    found = {}
    for weighted in (True, False):
        model = MLPEnsembleClassifier(class_weighted=weighted, hidden=8, max_epochs=40, random_state=0).fit(
            x, y
        )
        found[weighted] = (model.predict(x) == "rare").sum()
        weights = dict(zip(model.classes_, model.class_weight_, strict=True))
        assert weights == ({"rare": 10.0, "common": 400 / 760} if weighted else {"rare": 1.0, "common": 1.0})
    assert found[True] > 60 > found[False]


def test_validation_samples_decide_when_to_stop_and_never_train():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 20)), np.arange(60) % 2
    model = MLPEnsembleClassifier(max_epochs=200, patience=3, learning_rate=0.02, random_state=0)
    model.fit(x[:40], y[:40], X_val=x[40:], y_val=y[40:])
    judged = model.history_.query("set == 'validation'")["value"].reset_index(drop=True)
    assert len(judged) == int(judged.idxmin()) + 1 + 3
    flipped = clone(model).fit(x[:40], y[:40], X_val=x[40:], y_val=1 - y[40:])
    np.testing.assert_array_equal(flipped.mean_, x[:40].mean(axis=0))
    one = model.history_.query("set == 'training'")["value"].reset_index(drop=True)
    two = flipped.history_.query("set == 'training'")["value"].reset_index(drop=True)
    shared = min(len(one), len(two))
    np.testing.assert_array_equal(one[:shared], two[:shared])
    free = clone(model).set_params(validation_fraction=0.0, max_epochs=4).fit(x, y)
    assert set(free.history_["set"]) == {"training"}


def test_saved_and_loaded_classifiers_are_equal(typed, tumours, tmp_path):
    again = LateFusionClassifier.load(typed.save(tmp_path / "late.safetensors"))
    wide = tumours.wide()
    # Not bit by bit: where a tensor lies in memory changes how a product is rounded.
    np.testing.assert_allclose(again.predict_proba(wide), typed.predict_proba(wide), rtol=1e-9)
    np.testing.assert_array_equal(again.predict(wide), typed.predict(wide))


def test_bad_labels_are_named(tumours):
    x, y = np.ones((10, 3)), np.array(["a", "b"] * 5)
    model = MLPEnsembleClassifier(max_epochs=1)
    with pytest.raises(ValueError, match="y must have one label per sample, but 9 came for 10 samples"):
        model.fit(x, y[:9])
    with pytest.raises(ValueError, match=r"y must hold at least two classes, but it holds 1 class"):
        model.fit(x, ["a"] * 10)
    with pytest.raises(ValueError, match=r"y_val must hold classes of the training samples, but \['c'\] are"):
        model.fit(x, y, X_val=x[:2], y_val=["a", "c"])
    with pytest.raises(ValueError, match="X_val and y_val must be given both or neither"):
        model.fit(x, y, X_val=x)
