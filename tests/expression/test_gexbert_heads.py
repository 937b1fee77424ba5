import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.gexbert_survival import GexBERTSurvival
from latentgenomes.expression.models.imputers import RidgeImputer
from latentgenomes.expression.models.survival import CoxRegression

BACKBONE = GexBERT(
    width=8, n_embedding=6, n_summary=2, n_layers=1, fewest_shown=1, most_shown=9, n_steps=60, random_state=0
)


def samples(seed, n=150, p=10):
    """Two factors in ten genes, with types and survival that follow from the first."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(n, 2))
    values = factors @ np.random.default_rng(99).normal(size=(2, p)) + 0.3 * generator.normal(size=(n, p))
    types = np.array(["low", "middle", "high"])[np.digitize(factors[:, 0], [-0.5, 0.5])]
    times = generator.exponential(np.exp(-1.5 * factors[:, 0])) + 0.01
    events = (generator.random(n) < 0.8).astype(float)
    return values, types, np.column_stack([times, events])


@pytest.fixture(scope="module")
def backbone():
    return clone(BACKBONE).set_params(n_steps=300).fit(samples(0, n=400)[0])


def test_frozen_heads_are_sklearns_and_our_regression_on_the_embedding(backbone):
    values, types, outcome = samples(1)
    embedding = backbone.transform(values)
    scaled = (embedding - embedding.mean(0)) / embedding.std(0)
    model = GexBERTClassifier(FrozenEstimator(backbone), C=0.2).fit(values, types)
    theirs = LogisticRegression(C=0.2, max_iter=300, tol=1e-3).fit(scaled, types)
    np.testing.assert_allclose(model.predict_proba(values), theirs.predict_proba(scaled), atol=1e-4)
    later = samples(2)[0]
    moved = (backbone.transform(later) - embedding.mean(0)) / embedding.std(0)
    np.testing.assert_array_equal(model.predict(later), theirs.predict(moved))
    risk = GexBERTSurvival(FrozenEstimator(backbone), alpha=0.3).fit(values, outcome)
    cox = CoxRegression(0.3).fit(scaled, outcome)
    np.testing.assert_allclose(risk.predict(later), cox.predict(moved), atol=1e-4)
    times = [0.1, 0.5, 2.0]
    np.testing.assert_allclose(
        risk.predict_survival_function(later, times), cox.predict_survival_function(moved, times), atol=1e-4
    )
    assert risk.score(values, outcome) == pytest.approx(cox.score(scaled, outcome), abs=1e-4)


def test_fine_tuning_lowers_the_training_loss_and_leaves_the_backbone_alone(backbone):
    values, types, outcome = samples(3)
    before = {name: value.clone() for name, value in backbone.module_.state_dict().items()}
    for model, target in (
        (GexBERTClassifier(FrozenEstimator(backbone), random_state=0), types),
        (GexBERTSurvival(FrozenEstimator(backbone), gene_dropout=0.0, random_state=0), outcome),
    ):
        settings = {"fine_tune": True, "max_epochs": 15, "learning_rate": 1e-3, "validation_fraction": 0.0}
        tuned = clone(model).set_params(**settings).fit(values, target)
        frozen = clone(model).fit(values, target)
        assert len(frozen.history_) == 0
        assert tuned.history_["epoch"].max() == 15
        if target is types:
            own = np.searchsorted(frozen.classes_, types)
            losses = [-m.predict_log_proba(values)[np.arange(len(own)), own].mean() for m in (tuned, frozen)]
        else:
            losses = [-m.score(values, outcome) for m in (tuned, frozen)]
        assert losses[0] < losses[1]
        moved = tuned.module_.backbone.gene_embedding - before["gene_embedding"]
        assert float(moved.detach().abs().max()) > 1e-4
    for name, value in backbone.module_.state_dict().items():
        assert torch.equal(value, before[name])


def test_log_probabilities_are_the_softmax_of_the_layer(backbone):
    values, types, _ = samples(4)
    model = GexBERTClassifier(FrozenEstimator(backbone)).fit(values, types)
    np.testing.assert_allclose(model.predict_log_proba(values), log_softmax(model._scores(values), axis=1))
    packed = model._packed(values[:5])
    with torch.no_grad():
        found = model.module_.log_probability(**packed).numpy()
        risk = GexBERTSurvival(FrozenEstimator(backbone)).fit(values, samples(4)[2])
        log_hazards = risk.module_.log_hazards(**packed).numpy()
    np.testing.assert_allclose(found, model.predict_log_proba(values[:5]), atol=1e-5)
    np.testing.assert_allclose(log_hazards, risk.predict(values[:5]), atol=1e-5)


def test_genes_that_were_not_measured_may_be_nan(backbone):
    values, types, outcome = samples(5)
    few = np.where(np.arange(10) < 4, values, np.nan)
    model = GexBERTClassifier(FrozenEstimator(backbone)).fit(few, types)
    assert model.score(few, types) > 0.42  # a third by chance
    risk = GexBERTSurvival(FrozenEstimator(backbone)).fit(few, outcome)
    assert risk.score(few, outcome) > 0.05
    empty = np.full((2, 10), np.nan)
    assert np.isfinite(risk.predict(empty)).all()


def test_cross_validation_keeps_a_frozen_backbone(backbone):
    values, types, outcome = samples(6)
    model = GexBERTClassifier(FrozenEstimator(backbone))
    assert clone(model).fit(values, types)._pretrained is backbone
    assert cross_val_score(model, values, types, cv=3).mean() > 0.6
    assert cross_val_score(GexBERTSurvival(FrozenEstimator(backbone)), values, outcome, cv=3).mean() > 0.1
    retrained = GexBERTClassifier(clone(BACKBONE)).fit(values, types)
    assert retrained._pretrained.mean_ == pytest.approx(values.mean(0))


def test_a_backbone_may_be_a_file_and_heads_are_saved(backbone, tmp_path):
    values, types, outcome = samples(7)
    path = str(backbone.save(tmp_path / "backbone.safetensors"))

    def check(again, model):
        np.testing.assert_allclose(again._scores(values), model._scores(values), rtol=1e-12, atol=1e-12)

    for kind, target in ((GexBERTClassifier, types), (GexBERTSurvival, outcome)):
        model = kind(path, fine_tune=True, max_epochs=2, random_state=0).fit(values, target)
        again = kind.load(model.save(tmp_path / "head.safetensors"))
        check(again, model)
        frozen = kind(path).fit(values, target)
        again = kind.load(frozen.save(tmp_path / "head.safetensors"))
        check(again, frozen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be at least 1, but 0 came"),
        ({"gene_dropout": 1.0}, r"gene_dropout must be in \[0, 1\), but 1.0 came"),
        ({"backbone": FrozenEstimator(RidgeImputer().fit(samples(0)[0]))}, "but a frozen RidgeImputer came"),
    ],
)
def test_bad_settings_are_refused(backbone, change, message):
    values, types, _ = samples(8)
    with pytest.raises(ValueError, match=message):
        GexBERTClassifier(FrozenEstimator(backbone)).set_params(**change).fit(values, types)


def test_bad_input_is_refused(backbone):
    values, types, outcome = samples(9)
    model, risk = GexBERTClassifier(FrozenEstimator(backbone)), GexBERTSurvival(FrozenEstimator(backbone))
    with pytest.raises(ValueError, match=r"X must have the 10 genes of the backbone, .* but it has 8"):
        model.fit(values[:, :8], types)
    with pytest.raises(ValueError, match="y must hold at least two classes"):
        model.fit(values, np.repeat("one", len(values)))
    with pytest.raises(ValueError, match="y must have one type a sample, but 149 came for 150"):
        model.fit(values, types[1:])
    with pytest.raises(ValueError, match="y must hold at least one event"):
        risk.fit(values, outcome * [1, 0])


def test_frames_keep_their_names(backbone):
    values, types, _ = samples(10)
    frame = pd.DataFrame(values, columns=[f"g{i}" for i in range(10)])
    named = clone(BACKBONE).fit(frame)
    model = GexBERTClassifier(FrozenEstimator(named)).fit(frame, types)
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"g0": "other"}))


@parametrize_with_checks(
    [
        GexBERTClassifier(clone(BACKBONE).set_params(n_steps=40), C=100.0, random_state=0),
        GexBERTSurvival(clone(BACKBONE).set_params(n_steps=3), random_state=0),
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
