import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from latentgenomes.genotypes.models.container import CodecError, pack, unpack
from latentgenomes.genotypes.models.copying import CopyingMixture
from latentgenomes.genotypes.models.haplotype_codec import HaplotypeCodec

pytest.importorskip("numba")
pytest.importorskip("constriction")


def mosaics(n_haplotypes, n_snps, *, seed=0, n_founders=12, switch=0.05, error=0.01):
    """Haplotypes that copy a few founders."""
    rng = np.random.default_rng(seed)
    founders = (rng.random((n_founders, n_snps)) < rng.beta(0.5, 1, n_snps)).astype(np.int8)
    rng = np.random.default_rng([seed, n_haplotypes])
    calls = np.empty((n_haplotypes, n_snps), dtype=np.int8)
    for row in calls:
        jumps = np.cumsum(rng.random(n_snps) < switch)
        row[:] = founders[rng.integers(n_founders, size=n_snps + 1)[jumps], np.arange(n_snps)]
    return calls ^ (rng.random(calls.shape) < error)


PANEL = mosaics(120, 90)
CALLS = mosaics(6, 90)
CALLS[1, 10:40] = -1
CALLS[2, ::7] = -1
CALLS[3] = -1
CALLS[4] = 1 - CALLS[4]  # nothing like the panel
MODEL = CopyingMixture((0.02, 0.001, 0.3), (0.01, 0.0002, 0.1), max_block=8).fit(PANEL)
CODEC = HaplotypeCodec(model=FrozenEstimator(MODEL)).fit(PANEL)


def random_calls(rng, kind, shape):
    if kind == 0:
        return rng.integers(-1, 2, shape)
    if kind == 1:
        return np.full(shape, rng.integers(-1, 2))
    calls = mosaics(*shape, seed=int(rng.integers(5)))
    if kind == 2:
        calls = 1 - calls
    calls[rng.random(shape) < rng.choice([0, 0.1, 0.9])] = -1
    return calls


def test_ten_thousand_random_and_adversarial_arrays_come_back_bit_exact():
    rng = np.random.default_rng(5)
    codecs = []
    for n_snps in (1, 2, 3, 5, 8):
        panel = mosaics(int(rng.integers(4, 20)), n_snps, seed=6)
        codecs.append(HaplotypeCodec(model=CopyingMixture(max_block=int(rng.integers(1, 5)))).fit(panel))
    for trial in range(10_000):
        codec = codecs[trial % 5]
        shape = int(rng.integers(1, 4)), codec.n_features_in_
        calls = random_calls(rng, trial // 5 % 4, shape)
        before = calls.copy()
        found = codec.decompress(codec.compress(calls))
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, before)
        np.testing.assert_array_equal(calls, before)


SMALL = HaplotypeCodec(model=CopyingMixture(max_block=3)).fit(mosaics(20, 9))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(calls=st.integers(1, 6).flatmap(lambda n: arrays(np.int8, (n, 9), elements=st.integers(-1, 1))))
def test_whatever_the_calls_they_come_back(calls):
    np.testing.assert_array_equal(SMALL.decompress(SMALL.compress(calls)), calls)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(content=st.binary(max_size=80))
def test_bytes_from_anywhere_are_refused(content):
    for data in (content, b"LGHC\x01\x01" + content):
        with pytest.raises(CodecError):
            SMALL.decompress(data)


@pytest.mark.parametrize("n_haplotypes", [1, 255, 256, 257, 600])
def test_any_number_of_haplotypes(n_haplotypes):
    calls = mosaics(n_haplotypes, 90, seed=3)
    calls[np.random.default_rng(6).random(calls.shape) < 0.02] = -1
    np.testing.assert_array_equal(CODEC.decompress(CODEC.compress(calls)), calls)


def test_altered_files_never_decode_silently_wrong():
    data = CODEC.compress(CALLS)
    rng = np.random.default_rng(7)
    for _ in range(10_000):
        altered = bytearray(data)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            altered[place] = rng.integers(256)
        altered = bytes(altered[: len(data) - int(rng.integers(3))])
        if altered == data:
            continue
        with pytest.raises(CodecError):
            CODEC.decompress(altered)


def test_payloads_under_a_right_seal_are_refused_or_decode_to_what_was_sealed():
    """Even who forges the last digest cannot make a payload pass for other calls."""
    data = CODEC.compress(CALLS)
    who = {"method": 1, "fingerprint": MODEL.fingerprint(), "n_snps": 90}
    header, words = unpack(data, **who)
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(30):
        other = words.copy()
        other[rng.integers(len(other) - 2)] ^= np.uint32(1 << int(rng.integers(32)))
        forged = pack(header, other)
        with pytest.raises(CodecError, match=r"another one: this machine|words are left over|no symbol"):
            CODEC.decompress(forged)
        refused += 1
    assert refused == 30


def test_a_file_of_another_panel_is_refused():
    other = HaplotypeCodec(model=clone(MODEL)).fit(PANEL[:-2])
    with pytest.raises(CodecError, match="Fit the codec to the panel that compressed it"):
        other.decompress(CODEC.compress(CALLS))


def test_the_same_panel_gives_the_same_bytes():
    again = HaplotypeCodec(model=clone(MODEL)).fit(PANEL.astype(float))
    assert again.compress(CALLS) == CODEC.compress(CALLS)


def test_bytes_written_once_stay_readable():
    """Golden: a change of any probability shows here, and needs a new name of the model."""
    panel, calls = np.indices((12, 20)).prod(axis=0) % 7 % 2, np.indices((3, 20)).prod(axis=0) % 5 % 2
    codec = HaplotypeCodec().fit(panel)
    assert codec.compress(calls).hex() == (
        "4c47484301014f20ecc68a784842369edd3cd439dd27031428c55646107789e98c3e7958ab3f1e61"
    )


def test_missing_calls_cost_their_place_only():
    calls = mosaics(200, 90, seed=0)
    some = calls.copy()
    some[10:20, 30:60] = -1  # runs are cheap
    cost = len(CODEC.compress(some)) - len(CODEC.compress(calls))
    assert cost < 100


def test_the_code_length_is_that_of_the_model():
    calls = mosaics(300, 90, seed=0)
    header = 4 + 2 + 3 * 8 + 3
    # The range coder adds up to two words, and a thousandth.
    ideal = CODEC.model_.bits(calls).sum()
    assert 8 * (len(CODEC.compress(calls)) - header) == pytest.approx(ideal, rel=1e-3, abs=64)


def test_the_estimators_keep_the_conventions_of_scikit_learn():
    codec = HaplotypeCodec(model=CopyingMixture(max_block=9))
    assert clone(codec).model.max_block == 9
    assert codec.get_params()["model__max_block"] == 9
    assert not hasattr(codec, "model_")
    frame = pd.DataFrame(PANEL).add_prefix("rs")
    assert list(codec.fit(frame).feature_names_in_) == list(frame.columns)
    assert codec.n_features_in_ == 90
    assert codec.score(frame) == pytest.approx(codec.model_.score(PANEL))
    with pytest.raises(ValueError, match="feature names should match"):
        codec.compress(frame.rename(columns={"rs0": "rs?"}))
    for verb in (HaplotypeCodec().compress, HaplotypeCodec().decompress, HaplotypeCodec().score):
        with pytest.raises(NotFittedError):
            verb(PANEL)


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (np.full((2, 90), 2), "but 180 of 180 are not; the first is 2 at haplotype 0, SNP 0"),
        (np.full((2, 90), 0.5), "the first is 0.5"),
        (np.full((2, 90), np.nan), "contains NaN"),
        (PANEL[:, :-1], "90 features"),
    ],
)
def test_calls_that_are_none_are_refused(calls, message):
    with pytest.raises(ValueError, match=message):
        CODEC.compress(calls)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be one of copying, vae, but it is 'zip'"):
        HaplotypeCodec("zip").fit(PANEL)


LCT_FILES = "genotypes/Ravages_LCT.haplotypes.rda", "genotypes/integrated_call_samples_v3.20130502.ALL.panel"


@pytest.mark.real_data(*LCT_FILES)
def test_the_lactase_window_takes_a_fortieth_of_a_bit_per_snp():
    """Real bytes for held-out people at MAF >= 1%, the panel known: ratio >= 40 to one bit per SNP."""
    from latentgenomes.core.splits import grouped_split
    from latentgenomes.genotypes.data.public import load_lct

    data = load_lct(min_maf=0.01)
    assert data.calls.shape == (5008, 1261)
    train, test = grouped_split(data.metadata["person"], test_fraction=0.1, random_state=0)
    codec = HaplotypeCodec().fit(data.calls[train])
    held_out = data.calls[test]
    compressed = codec.compress(held_out)
    assert held_out.size / 8 / len(compressed) >= 40
    np.testing.assert_array_equal(codec.decompress(compressed), held_out)
