import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.frozen import FrozenEstimator

from latentgenomes.core.splits import grouped_split
from latentgenomes.genotypes.data.public import LCT_FILE, PANEL_FILE, load_lct
from latentgenomes.genotypes.models.container import TOTAL, CodecError, SymbolReader, SymbolWriter
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec
from latentgenomes.genotypes.models.haplotype_net import HaplotypeNet
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.vae_coding import VAECoding, _write_numbers

pytest.importorskip("constriction")
coding = pytest.importorskip("latentgenomes.genotypes.models.bits_back")
whole = pytest.importorskip("latentgenomes.genotypes.models.integer_network")


def mosaics(n_haplotypes, n_snps, *, seed=0):
    """Haplotypes that copy a few founders."""
    rng = np.random.default_rng(seed)
    founders = rng.random((6, n_snps)) < rng.beta(0.5, 1, n_snps)
    rng = np.random.default_rng([seed, n_haplotypes])
    jumps = np.cumsum(rng.random((n_haplotypes, n_snps)) < 0.05, axis=1)
    copied = rng.integers(6, size=(n_haplotypes, n_snps + 1))
    calls = np.stack([founders[c[j], np.arange(n_snps)] for c, j in zip(copied, jumps, strict=True)])
    return (calls ^ (rng.random(calls.shape) < 0.01)).astype(np.int8)


PANEL, NEW = mosaics(400, 60), mosaics(80, 60)
FIT = {"n_latent": 3, "hidden": (24, 16), "max_epochs": 30, "batch_size": 32, "random_state": 0}
SETTINGS = {
    "plain": {},
    "causal": {"n_previous": 6},
    "windows": {"window": 25, "n_previous": 4, "batch_norm": True},
}
VAES = {name: HaplotypeVAE(**FIT | own).fit(PANEL) for name, own in SETTINGS.items()}
CODECS = {
    (name, bits_back): HaplotypeCodec("vae", model=VAECoding(FrozenEstimator(vae), bits_back=bits_back)).fit(
        PANEL
    )
    for name, vae in VAES.items()
    for bits_back in (False, True)
}
EVERY = pytest.mark.parametrize("codec", CODECS.values(), ids=[f"{n}-{b}" for n, b in CODECS])


# ---- whole numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_the_whole_number_network_is_close_to_the_real_one(name):
    net, vae = whole.IntegerNet(VAES[name].module_), VAES[name]
    centred = net.centred(NEW)
    mean, log_var = net.posterior(centred)
    with torch.no_grad():
        real = vae.module_.centred(torch.from_numpy(NEW).double())
        true = vae.module_.posterior(real, torch.zeros(80, 0))
        latent = torch.round(true[0])
        logits = vae.module_.logits(latent, real, torch.zeros(80, 0)).numpy()
    np.testing.assert_allclose(mean / 4096, true[0], atol=0.01)
    np.testing.assert_allclose(log_var / 4096, true[1], atol=0.02)
    sums = net.decode(latent.numpy() * 4096) + net.causal_parts(centred)
    np.testing.assert_allclose(whole.evidence(sums) / 65536, logits / np.log(2), atol=0.03)


def test_the_sums_do_not_depend_on_their_order():
    """Doubles that are not whole numbers fail this; whole ones below 2**53 cannot."""
    rng = np.random.default_rng(0)
    layer = whole.integer_layers([torch.nn.Linear(300, 5), torch.nn.LeakyReLU(0.1)])[0]
    activations = rng.integers(-(1 << 24), 1 << 24, (7, 300)).astype(float)
    weights, biases = layer.weights.astype(int).tolist(), layer.biases.astype(int).tolist()
    exact = [
        [
            sum(w * int(a) for w, a in zip(row, x, strict=True)) + b
            for row, b in zip(weights, biases, strict=True)
        ]
        for x in activations
    ]
    np.testing.assert_array_equal(layer.sums(activations), np.array(exact, dtype=np.int64))
    order = rng.permutation(300)
    shuffled = whole.IntegerLayer(layer.weights[:, order], layer.biases, layer.slope)
    np.testing.assert_array_equal(shuffled.sums(activations[:, order]), layer.sums(activations))


def test_negative_activations_are_scaled_down_by_whole_numbers():
    layer = whole.IntegerLayer(np.eye(2) * (1 << 14), np.zeros(2), 410)
    np.testing.assert_array_equal(layer.forward(np.array([[4096.0, -4096.0]])), [[4096, -410]])


def test_weights_that_sums_cannot_hold_are_refused():
    linear = torch.nn.Linear(2, 1)
    linear.weight.data.fill_(1e5)
    with pytest.raises(ValueError, match="Weights must be small enough for exact sums"):
        whole.integer_layers([linear])
    net = HaplotypeNet([4], n_latent=1, hidden=(2,), n_previous=2)
    net.nets()[0].scaled_weights.data.fill_(1e9)
    with pytest.raises(ValueError, match="Causal weights must be small enough"):
        whole.IntegerNet(net)


# ---- the stack ------------------------------------------------------------------------------------


def test_the_normal_table_is_the_distribution_function():
    table = coding.normal_table()
    at = np.arange(-512, 513) / 64
    np.testing.assert_allclose(table / table[-1], stats.norm.cdf(at), atol=2.0**-23)
    assert (np.diff(table) >= 0).all()
    np.testing.assert_array_equal(table + table[::-1], table[-1])
    np.testing.assert_allclose(coding.inverse_sigmas() / 4096, 2.0 ** (np.arange(-4, 25) / 4), rtol=3e-4)


def test_the_cells_have_the_probabilities_of_the_posterior():
    rng = np.random.default_rng(1)
    mean, log_var = rng.normal(0, 1.5, (40, 3)), rng.uniform(-4, 0.6, (40, 3))
    shares = coding.cell_shares(np.rint(mean * 4096), np.rint(log_var * 4096))
    assert (shares[..., 0] == 0).all()
    assert (shares[..., -1] == TOTAL).all()
    probability = np.diff(shares, axis=-1) / TOTAL
    assert (probability > 0).all()
    sigma = 2.0 ** (np.rint(log_var / 2 / np.log(2) * 4) / 4)  # the nearest level
    edges = (np.arange(193) - 96) / 16
    cdf = stats.norm.cdf(edges, mean[..., None], sigma[..., None])
    cdf[..., 0], cdf[..., -1] = 0, 1
    assert np.abs(np.diff(cdf, axis=-1) - probability).max() < 0.02
    np.testing.assert_allclose(probability @ coding.centres(np.arange(192)) / 4096, mean, atol=0.02)


def test_what_is_put_on_the_stack_comes_off_in_reverse():
    rng = np.random.default_rng(2)
    for stirred in (False, True):
        shares = np.sort(rng.choice(np.arange(1, TOTAL), (5, 191), replace=False), axis=1)
        shares = np.hstack([np.zeros((5, 1), dtype=np.int64), shares, np.full((5, 1), TOTAL)])
        stack, put = coding.BitStack(), []
        for _ in range(300):
            cells = rng.integers(192, size=5)
            stack.put_cells(shares, cells, stirred=stirred)
            put.append(cells)
        again = coding.BitStack(stack.words())
        for cells in reversed(put):
            np.testing.assert_array_equal(again.take_cells(shares, stirred=stirred), cells)
        again.check_empty(0)


def test_taking_from_an_empty_stack_borrows_words_that_come_back():
    shares = np.arange(193)[None] * TOTAL // 192
    stack = coding.BitStack()
    taken = [stack.take_cells(shares, stirred=True) for _ in range(100)]
    assert stack.borrowed == pytest.approx(100 * np.log2(192) / 32, abs=2)
    assert len(np.unique(taken)) > 60  # chance, not one cell again and again
    for cells in reversed(taken):
        stack.put_cells(shares, cells, stirred=True)
    back = coding.BitStack(stack.words())
    back.check_empty(stack.borrowed)
    with pytest.raises(CodecError, match="A stack must end as it was begun"):
        back.check_empty(stack.borrowed + 1)


def test_calls_cost_what_their_probabilities_say():
    rng = np.random.default_rng(3)
    ones = rng.integers(1 << 8, TOTAL - (1 << 8), 5000)
    calls = (rng.random(5000) < ones / TOTAL).astype(np.int8)
    calls[::7] = -1
    stack = coding.BitStack()
    stack.put_calls(calls, ones)
    p = np.where(calls == 1, ones, TOTAL - ones)[calls >= 0] / TOTAL
    assert 32 * len(stack.words()) == pytest.approx(-np.log2(p).sum(), abs=64)


# ---- bytes ----------------------------------------------------------------------------------------


def arrays(seed, n):
    """Random and adversarial tables of the 60 SNPs."""
    rng = np.random.default_rng(seed)
    for trial in range(n):
        shape = int(rng.integers(1, 5)), 60
        kind = trial % 5
        if kind == 0:
            yield rng.integers(-1, 2, shape).astype(np.int8)
        elif kind == 1:
            yield np.full(shape, rng.integers(-1, 2), dtype=np.int8)
        else:
            calls = mosaics(*shape, seed=int(rng.integers(3)))
            calls = 1 - calls if kind == 2 else calls
            calls[rng.random(shape) < rng.choice([0, 0.1, 0.9])] = -1
            yield calls


@EVERY
def test_random_and_adversarial_arrays_come_back_bit_exact(codec):
    for calls in arrays(4, 60):
        before = calls.copy()
        found = codec.decompress(codec.compress(calls))
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, before)
        np.testing.assert_array_equal(calls, before)


@EVERY
def test_mutated_files_never_decode_silently_wrong(codec):
    rng = np.random.default_rng(5)
    data = codec.compress(NEW[:6])
    for _ in range(100):
        bad = bytearray(data)
        bad[int(rng.integers(len(bad)))] ^= int(rng.integers(1, 256))
        with pytest.raises(CodecError):
            codec.decompress(bytes(bad))
    for size in rng.integers(0, len(data), 20):
        with pytest.raises(CodecError):
            codec.decompress(data[:size])


@EVERY
def test_the_bytes_are_as_many_as_the_bits_say(codec):
    bits = codec.model_.bits(NEW)
    spread = 6.0 * np.sqrt(len(NEW)) if codec.model_.bits_back else 0.0  # another draw of z
    header = 8 * (40 + 16)  # container, length and state of the stack, what was borrowed
    assert abs(8 * len(codec.compress(NEW)) - bits.sum() - header) < header + 4 * spread
    assert codec.score(NEW) == pytest.approx(-bits.sum() / NEW.size)


def test_bits_back_costs_the_negative_elbo():
    for name, vae in VAES.items():
        elbo = np.mean([vae._bits(NEW, np.zeros(80, dtype=int), 1, seed).mean() for seed in range(20)])
        assert CODECS[name, True].model_.bits(NEW).mean() < elbo + 0.5 + 4 * 3.0 / np.sqrt(80)


def test_improving_the_rounded_latent_variables_saves_bits():
    tables = [
        VAECoding(FrozenEstimator(VAES["plain"]), bits_back=False, n_sweeps=n).fit(PANEL) for n in (0, 1, 2)
    ]
    bits = np.stack([model.bits(NEW) for model in tables])
    assert (np.diff(bits, axis=0) <= 0).all()
    assert bits[1].mean() < bits[0].mean() - 0.1
    # The reader does not search: a file of one decodes with another.
    writer = HaplotypeCodec("vae", model=FrozenEstimator(tables[2])).fit(PANEL)
    reader = HaplotypeCodec("vae", model=FrozenEstimator(tables[0])).fit(PANEL)
    np.testing.assert_array_equal(reader.decompress(writer.compress(NEW)), NEW)


def test_a_file_of_another_model_or_way_is_refused():
    data = CODECS["plain", True].compress(NEW[:3])
    for other in (CODECS["causal", True], CODECS["plain", False]):
        with pytest.raises(CodecError, match="must be written with the model or panel"):
            other.decompress(data)
    with pytest.raises(CodecError, match="must be of method 1"):
        HaplotypeCodec().fit(PANEL).decompress(data)


def test_a_stack_of_impossible_size_is_refused_before_it_is_read():
    model = CODECS["plain", True].model_
    writer = SymbolWriter()
    _write_numbers(np.array([1 << 30, 0], dtype=np.uint32), writer)
    with pytest.raises(CodecError, match=r"must have 2 to \d+ words, but 1073741824 are named"):
        model.read(np.zeros((2, 60), dtype=bool), SymbolReader(writer.words()))
    with pytest.raises(CodecError, match="must hold 60 SNPs, but it holds 3"):
        model.read(np.zeros((2, 3), dtype=bool), SymbolReader(writer.words()))


def test_a_model_that_is_told_populations_is_refused():
    with pytest.raises(ValueError, match="needs a model that is not told populations"):
        VAECoding(HaplotypeVAE(conditional=True, **FIT | {"max_epochs": 1})).fit(PANEL, np.arange(400) % 2)


@pytest.mark.real_data(LCT_FILE, PANEL_FILE)
def test_real_haplotypes_come_back_from_a_tenth_of_their_bits():
    data = load_lct(0.05)
    train, test = grouped_split(data.metadata["person"], test_fraction=0.1, random_state=0)
    vae = HaplotypeVAE(8, hidden=(64,), max_epochs=20, batch_size=64, random_state=0, n_components=1)
    codec = HaplotypeCodec("vae", model=VAECoding(vae)).fit(data.calls[train])
    new = data.calls[test]
    packed = codec.compress(new)
    np.testing.assert_array_equal(codec.decompress(packed), new)
    assert len(packed) < new.size / 8 / 10
