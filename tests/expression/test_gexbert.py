import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentgenomes.expression.evaluate.restoration import impute, random_masks
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_imputer import GexBERTImputer
from latentgenomes.expression.models.gexbert_net import GexBERTNet, GexBERTSize
from latentgenomes.expression.models.imputers import RidgeImputer
from latentgenomes.expression.models.pretraining import PretrainConfig, pretrain
from latentgenomes.expression.models.stack import StackedImputer
from latentgenomes.nn.attention import AttentionBlock, SetAttention

SMALL = GexBERT(
    width=8, n_embedding=8, n_summary=2, n_layers=1, fewest_shown=1, most_shown=9, n_steps=40, random_state=0
)
KINDS = {
    "faithful": {},
    "continuous": {"value_encoding": "continuous"},
    "interaction": {"interaction": True},
    "latent": {"attention": "latent", "n_latents": 3},
    "random start": {"eigenvectors": False},
}


def correlated(seed, n=120, p=12, k=3, noise=0.4):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n, k)) @ generator.normal(size=(k, p))
    return 3 + 2 * (values + noise * generator.normal(size=(n, p)))


def hide(values, rate, seed=0):
    hidden = random_masks(values.shape, rate, random_state=seed)
    return np.where(hidden, np.nan, values), hidden


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    return clone(SMALL).set_params(**KINDS[request.param]).fit(correlated(0))


def make_net(**changes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = GexBERTNet(
            12, GexBERTSize(width=8, n_embedding=8, n_summary=2, **changes), shown=(2, 9), n_restored=3
        )
    return net.double().eval()


# ---- attention ----------------------------------------------------------------------------------


def test_attention_is_that_of_torch_written_out_head_by_head():
    torch.manual_seed(1)
    layer = SetAttention(6, 2).double()
    queries, tokens = torch.randn(3, 4, 6).double(), torch.randn(3, 5, 6).double()
    present = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 1]]).bool()
    with torch.no_grad():
        found, weights = layer(queries, tokens, present), layer.weights(queries, tokens, present)
        for i in range(3):
            for j in range(4):
                mixed = []
                for head in range(2):
                    part = slice(3 * head, 3 * head + 3)
                    q = layer.query(queries[i, j])[part]
                    scores = [float(q @ layer.key(t)[part]) / math.sqrt(3) for t in tokens[i]]
                    sizes = np.exp(scores) * present[i].numpy()
                    share = sizes / sizes.sum()
                    np.testing.assert_allclose(weights[i, head, j], share, atol=1e-12)
                    mixed.append(sum(s * layer.value(t)[part] for s, t in zip(share, tokens[i], strict=True)))
                torch.testing.assert_close(found[i, j], layer.output(torch.cat(mixed)))


def test_attention_does_not_care_for_the_order_of_the_set():
    torch.manual_seed(2)
    block = AttentionBlock(8, 2).double()
    queries, tokens = torch.randn(2, 3, 8).double(), torch.randn(2, 7, 8).double()
    turned = torch.randperm(7)
    with torch.no_grad():
        torch.testing.assert_close(block(queries, tokens[:, turned]), block(queries, tokens))
    with pytest.raises(ValueError, match="width must be a multiple of n_heads, but 8 and 3 came"):
        SetAttention(8, 3)


# ---- the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"n_latents": 3}, {"continuous": True}, {"interaction": True}])
def test_order_and_padding_of_genes_change_nothing(changes):
    net = make_net(**changes)
    genes = torch.tensor([[3, 0, 7, 5]])
    values = torch.tensor([[0.3, -1.2, 2.0, 0.1]]).double()
    turned = torch.tensor([2, 0, 3, 1])
    padded = torch.tensor([[3, 0, 7, 5, 1, 1]]), torch.tensor([[0.3, -1.2, 2.0, 0.1, 9.0, 9.0]]).double()
    present = torch.tensor([[True] * 4 + [False] * 2])
    asked = torch.tensor([[1, 7, 11]])
    with torch.no_grad():
        plain = net.restore(net.encode(genes, values), asked)
        torch.testing.assert_close(net.restore(net.encode(genes[:, turned], values[:, turned]), asked), plain)
        torch.testing.assert_close(net.restore(net.encode(*padded, present), asked), plain)
        everything = net.restore(net.encode(genes, values))
        torch.testing.assert_close(everything[:, [1, 7, 11]], plain)
        other = values.clone()
        other[0, 1] = 1.5
        assert not torch.allclose(net.restore(net.encode(genes, other), asked), plain)


def test_a_token_is_the_sum_of_the_vectors_of_gene_and_bin():
    net = make_net()
    net.set_edges(np.linspace(-3, 3, 601))
    genes, values = torch.tensor([[4, 4, 9]]), torch.tensor([[-5.0, 0.02, 5.0]]).double()
    edges = net.edges.numpy()
    np.testing.assert_allclose(edges, np.linspace(-2.97, 2.97, 31), atol=1e-6)
    bins = [sum(value > edges) for value in values[0].tolist()]
    assert bins[0] == 0
    assert bins[2] == 31
    with torch.no_grad():
        expected = net.gene_embedding[genes[0]] + net.value_embedding.weight[bins]
        torch.testing.assert_close(net.tokens(genes, values)[0], expected)
        torch.testing.assert_close(
            net.queries(genes)[0], net.gene_embedding[genes[0]] + net.missing_embedding
        )


def test_the_loss_is_the_error_of_genes_that_were_not_shown():
    net = make_net()
    values = torch.randn(5, 12, generator=torch.Generator().manual_seed(3)).double()
    values[2, [1, 5, 6]] = float("nan")
    noise = net.noise(5, torch.Generator().manual_seed(4))
    n_shown = int(noise["n_shown"])
    errors = {"restored": [], "summarised": []}
    with torch.no_grad():
        terms = net.terms({"values": values}, noise)
        for row, keys in zip(values, noise["order"], strict=True):
            order = [g for g in keys.argsort().tolist() if not math.isnan(float(row[g]))]
            shown, hidden = order[:n_shown], order[n_shown:]
            encoded = net.encode(torch.tensor([shown]), row[shown].unsqueeze(0))
            whole = net.restore(encoded)[0]
            summary = (net.summary(encoded) @ net.summary_output.T + net.gene_bias)[0]
            errors["restored"] += [float((whole[g] - row[g]) ** 2) for g in hidden[:3]]
            errors["summarised"] += [float((summary[g] - row[g]) ** 2) for g in hidden]
    for name, expected in errors.items():
        assert float(terms[name]) == pytest.approx(np.mean(expected), rel=1e-9)


def test_each_step_shows_another_number_of_genes_within_the_bounds():
    net = GexBERTNet(300, GexBERTSize(width=4, n_embedding=4), shown=(10, 200))
    generator = torch.Generator().manual_seed(5)
    drawn = np.array([int(net.noise(1, generator)["n_shown"]) for _ in range(2000)])
    assert drawn.min() >= 10
    assert drawn.max() <= 200
    logs = np.log(drawn + 1)
    middle = (np.log(11) + np.log(201)) / 2  # log-uniform; 2,000 draws, 4 standard errors
    assert logs.mean() == pytest.approx(middle, abs=4 * logs.std() / 2000**0.5)


def test_the_start_holds_the_leading_eigenvectors():
    values = correlated(6, n=400)
    correlation = np.corrcoef(values.T)
    net = GexBERTNet(12, GexBERTSize(width=4, n_embedding=8))
    net.start_from(correlation)
    vectors = np.linalg.eigh(correlation)[1][:, ::-1][:, :4]
    overlap = np.abs((net.gene_embedding.detach().numpy() / np.sqrt(12) * vectors).sum(0))
    np.testing.assert_allclose(overlap, 1.0, atol=1e-5)


def test_attention_weights_are_those_of_the_decoder_and_leave_out_the_start_token():
    for changes in ({}, {"n_latents": 3}):
        net = make_net(**changes)
        genes = torch.arange(12).expand(2, -1)
        with torch.no_grad():
            weights = net.attention_weights(genes, torch.randn(2, 12).double(), genes[:, :4])
        assert weights.shape == (2, 4, 12)
        assert (weights >= 0).all()
        assert (weights.sum(-1) < 1).all()


# ---- pretraining --------------------------------------------------------------------------------


def test_the_learning_rate_rises_and_falls_once():
    config = PretrainConfig(n_steps=100, learning_rate=0.5, warmup=0.1)
    rates = [config.rate(step) for step in range(1, 101)]
    assert int(np.argmax(rates)) == 9
    assert (np.diff(rates[9:]) < 0).all()
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert rates[4] == pytest.approx(0.5 * 0.5 * (1 + math.cos(math.pi * 0.05)) / 2)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    values, path = correlated(7), str(tmp_path / "run.safetensors")
    whole = clone(SMALL).set_params(n_steps=230).fit(values)
    portions = clone(SMALL).set_params(n_steps=230, checkpoint=path)
    for stop in (30, 120, None):
        last = clone(portions).set_params(stop_at=stop).fit(values)
    for a, b in zip(whole.module_.state_dict().values(), last.module_.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert last.history_["step"].tolist() == [30, 30, 100, 100, 120, 120, 200, 200, 230, 230]
    assert last.history_["seconds"].is_monotonic_increasing
    again = clone(portions).fit(values)  # finished: nothing is left to do
    assert torch.equal(again.module_.gene_bias, last.module_.gene_bias)
    with pytest.raises(ValueError, match=r"A checkpoint must be of the same run, but .* with other settings"):
        clone(portions).fit(values[::-1])
    (tmp_path / "run.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="is not a whole checkpoint"):
        clone(portions).fit(values)


def test_fitting_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    clone(SMALL).set_params(n_steps=2).fit(correlated(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_is_refused():
    net = GexBERTNet(12, GexBERTSize(width=4, n_embedding=4), shown=(2, 9))
    data = {"values": torch.full((8, 12), float("inf"))}
    with pytest.raises(
        FloatingPointError, match=r"The loss of pretraining must be finite, but it is (nan|inf)"
    ):
        pretrain(net, data, PretrainConfig(n_steps=2), seed=0)


# ---- the estimator ------------------------------------------------------------------------------


def test_what_is_observed_stays_and_what_is_hidden_does_not_matter(fitted):
    values = correlated(1)
    given, _ = hide(values, 0.6)
    given[0] = np.nan
    before = given.copy()
    filled = fitted.impute(given)
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(filled[np.isfinite(given)], given[np.isfinite(given)])
    assert np.isfinite(filled).all()
    # A sample's answer does not depend on those beside it, whatever number of genes they have.
    np.testing.assert_allclose(fitted.impute(given[5:9]), filled[5:9], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        fitted.transform(given[5:9]), fitted.transform(given)[5:9], rtol=1e-4, atol=1e-4
    )
    assert fitted.transform(given).shape == (len(given), 8)


def test_any_genes_in_any_genes_out(fitted):
    values = pd.DataFrame(correlated(1), columns=[f"g{i}" for i in range(12)])
    model = clone(fitted).fit(values)
    unseen = values.columns.difference(["g1", "g4", "g9"])
    panel = values.assign(**dict.fromkeys(unseen, np.nan))
    everything = model.restore(panel)
    np.testing.assert_allclose(
        model.restore(panel, ["g7", "g1"]), everything[:, [7, 1]], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(model.restore(panel, [7, 1]), everything[:, [7, 1]], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"genes must be among the 12 of the fit, but 1 of 2 .* 'g99'"):
        model.restore(panel, ["g1", "g99"])
    with pytest.raises(ValueError, match=r"1 of 1 are not; the first is .*12"):
        model.restore(panel, [12])


def test_training_beats_the_mean_and_comes_near_ridge_on_one_gaussian():
    values = correlated(8, n=1000)
    model = clone(SMALL).set_params(width=16, n_embedding=16, n_steps=400).fit(values[:800])
    given, hidden = hide(values[800:], 0.5)
    truth, scale = values[800:], values[:800].std(0)

    def rmse(filled):
        return float(np.sqrt((((filled - truth) / scale)[hidden] ** 2).mean()))

    mean = rmse(np.where(hidden, values[:800].mean(0), truth))
    ridge = rmse(RidgeImputer().fit(values[:800]).impute(given))
    assert rmse(model.impute(given)) < mean - 0.6 * (mean - ridge)


def test_attention_maps_have_rows_of_one_and_no_diagonal(fitted):
    values = correlated(2)
    weights = fitted.attention_map(values[:20])
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(np.diag(weights), 0.0)
    with pytest.raises(ValueError, match="in which all genes are known, but 72 values"):
        fitted.attention_map(np.where(np.arange(12) < 6, np.nan, values[:12]))


def test_as_an_imputer_it_joins_a_stack():
    values = correlated(3, n=200)
    given, _ = hide(values, 0.5)
    model = clone(SMALL).fit(values)
    alone = GexBERTImputer(FrozenEstimator(model)).fit(values)
    np.testing.assert_allclose(alone.transform(given), model.impute(given), rtol=1e-5)
    assert alone.backbone_.estimator is model
    trained = GexBERTImputer(clone(SMALL)).fit(values)
    np.testing.assert_allclose(trained.transform(given), model.impute(given), rtol=1e-3, atol=1e-3)
    stack = StackedImputer([FrozenEstimator(alone)], rates=(0.5,), validation_fraction=1.0, random_state=0)
    assert np.isfinite(impute(stack.fit(values), given)).all()


def test_saving_and_loading_keeps_the_answers(fitted, tmp_path):
    given, _ = hide(correlated(4), 0.5)
    again = GexBERT.load(fitted.save(tmp_path / "gexbert.safetensors"))
    np.testing.assert_array_equal(again.impute(given), fitted.impute(given))
    np.testing.assert_array_equal(again.transform(given), fitted.transform(given))
    pd.testing.assert_frame_equal(again.history_, fitted.history_)


def test_training_samples_may_have_gaps():
    values = correlated(9, n=400)
    given, _ = hide(values, 0.2)
    model = clone(SMALL).set_params(width=16, n_embedding=16, n_steps=300).fit(given)
    np.testing.assert_allclose(model.mean_, np.nanmean(given, axis=0))
    later, hidden = hide(values, 0.5, seed=1)
    error = ((model.impute(later) - values) / values.std(0))[hidden]
    assert np.sqrt((error**2).mean()) < 0.85  # the mean of each gene has 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value_encoding": "rank"}, r"value_encoding must be one of .*, but 'rank' came"),
        ({"attention": "none"}, r"attention must be one of .*, but 'none' came"),
        ({"n_bins": 1}, "n_bins must be at least 2, but 1 came"),
        ({"n_layers": 0}, "n_layers must be at least 1, but 0 came"),
        ({"most_shown": 0}, r"most_shown must be at least 1 and fewest_shown \(1\), but 0 came"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**change).fit(correlated(0))


def test_a_gene_that_is_missing_everywhere_is_refused():
    values = correlated(0)
    values[:, 3] = np.nan
    with pytest.raises(ValueError, match="1 of 12 genes are missing everywhere; the first is column 3"):
        clone(SMALL).fit(values)


@parametrize_with_checks(
    [
        clone(SMALL).set_params(n_steps=3),
        GexBERTImputer(clone(SMALL).set_params(n_steps=3)),
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
