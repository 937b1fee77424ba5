import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from latentgenomes.core import extras
from latentgenomes.genotypes.models.container import CodecError, SymbolReader
from latentgenomes.genotypes.models.copying import CopyingMixture

pytest.importorskip("numba")
pytest.importorskip("constriction")
from latentgenomes.genotypes.models import copying, forward, mixing

UNIT = 2.0**-16  # of the logarithms


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


def slow_evidence(panel, calls, rho, eps):
    """Li-Stephens forward in floating point: log2 odds of allele 1 at every SNP; one haplotype."""
    weights = np.full(len(panel), 1 / len(panel))
    evidence = []
    for snp, call in enumerate(calls):
        weights = (1 - rho) * weights + rho * weights.sum() / len(panel)
        ones = weights[panel[:, snp] == 1].sum() / weights.sum()
        one = (1 - eps) * ones + eps * (1 - ones)
        evidence.append(np.log2(one / (1 - one)))
        if call >= 0:
            weights = weights * np.where(panel[:, snp] == call, 1 - eps, eps)
            weights /= weights.sum()
    return np.array(evidence)


def slow_counts(panel, calls, starts, back):
    """Alleles of the panel haplotypes that agree since `back` blocks before this one began."""
    counts = []
    for snp in range(len(calls)):
        block = np.searchsorted(starts, snp, side="right") - 1
        if block < back:
            counts.append((0, 0))
            continue
        window = slice(starts[block - back], snp)
        agree = ((panel[:, window] == calls[window]) | (calls[window] < 0)).all(axis=1)
        counts.append(np.bincount(panel[agree, snp], minlength=2))
    return np.array(counts)


def fast_inputs(model, calls, excluded=None):
    """All inputs of the mixture, (n_haplotypes, n_snps, n_inputs), in bits."""
    if excluded is None:
        excluded = np.zeros((len(calls), len(model.panel_)), dtype=bool)
    followers = copying._Followers(model.panel_, model._layout(), model._rates(), excluded)
    found = []
    for snp in range(calls.shape[1]):
        found.append(followers.inputs(snp) * UNIT)
        followers.observe(calls[:, snp])
    return np.stack(found, axis=1)


PANEL = mosaics(120, 90)
CALLS = mosaics(6, 90, seed=0)
CALLS[1, 10:40] = -1
CALLS[2, ::7] = -1
CALLS[3] = -1
OPPOSITE = 4
CALLS[OPPOSITE] = 1 - CALLS[OPPOSITE]  # nothing like the panel
LIKELY = CALLS[[0, 1, 2, 3, 5]]
MODEL = CopyingMixture((0.02, 0.001, 0.3), (0.01, 0.0002, 0.1), max_block=8).fit(PANEL)


@pytest.mark.parametrize("setting", [0, 1, 2])
def test_whole_numbers_agree_with_the_exact_forward_recursion(setting):
    inputs = fast_inputs(MODEL, CALLS)
    rho, eps = MODEL.switch_rates[setting], MODEL.mismatch_rates[setting]
    for row, calls in enumerate(CALLS):
        exact = slow_evidence(PANEL, calls, rho, eps)
        # Masses have 31 bits: where nothing fits, two mismatches in a row may leave a few units of them.
        atol = 0.5 if row == OPPOSITE else 0.05 if eps == 0.0002 else 0.003
        np.testing.assert_allclose(inputs[row, :, setting], exact, atol=atol)


def test_a_haplotype_follows_the_panel_without_those_it_must_not_copy():
    own = np.array([0, 7, 50])
    excluded = np.arange(len(PANEL)) // 2 == own[:, None] // 2
    inputs = fast_inputs(MODEL, PANEL[own], excluded)
    for row in range(len(own)):
        exact = slow_evidence(PANEL[~excluded[row]], PANEL[own[row]], 0.02, 0.01)
        np.testing.assert_allclose(inputs[row, :, 0], exact, atol=0.003)


@pytest.mark.parametrize(("column", "back"), list(enumerate(forward.BACK)))
def test_counts_of_agreeing_haplotypes(column, back):
    found = fast_inputs(MODEL, CALLS)[:, :, 3 + column]
    starts = MODEL._layout().starts
    assert len(starts) > 12
    for row, calls in enumerate(CALLS):
        zeros, ones = slow_counts(PANEL, calls, starts, back).T
        np.testing.assert_allclose(found[row], np.log2((50 * ones + 1) / (50 * zeros + 1)), atol=0.001)


def test_the_last_input_is_the_allele_frequency():
    ones = (PANEL == 1).sum(axis=0)
    expected = np.log2((50 * ones + 1) / (50 * (len(PANEL) - ones) + 1))
    for row in fast_inputs(MODEL, CALLS)[:, :, -1]:
        np.testing.assert_allclose(row, expected, atol=0.001)


@pytest.mark.parametrize("max_block", [1, 5, 32])
def test_patterns_and_blocks_hold_the_panel(max_block):
    starts, pattern_of, n_patterns, first = forward.group_patterns(np.ascontiguousarray(PANEL.T), max_block)
    assert starts[0] == 0
    assert starts[-1] == PANEL.shape[1]
    lengths = np.diff(starts)
    assert lengths.min() >= 1
    assert lengths.max() <= max_block
    for block, length in enumerate(lengths):
        piece = PANEL[:, starts[block] : starts[block + 1]]
        assert n_patterns[block] == len(np.unique(piece, axis=0))
        assert n_patterns[block] * length <= len(PANEL) or length == 1
        np.testing.assert_array_equal(piece[first[block, pattern_of[block]]], piece)


def test_the_length_of_blocks_does_not_change_the_recursion():
    others = CopyingMixture(MODEL.switch_rates, MODEL.mismatch_rates, max_block=3).fit(PANEL)
    np.testing.assert_allclose(
        fast_inputs(others, LIKELY)[:, :, :3], fast_inputs(MODEL, LIKELY)[:, :, :3], atol=0.05
    )


def test_masses_neither_die_nor_overflow_when_nothing_fits():
    panel = np.zeros((4, 3000), dtype=np.int8)
    panel[0, ::2] = 1
    model = CopyingMixture((0.001, 0.5), (0.0002, 0.0002)).fit(panel)
    against = 1 - panel[:1]
    inputs = fast_inputs(model, against)
    assert np.abs(inputs[:, :, :2]).max() < 13
    np.testing.assert_allclose(inputs[0, :, 0], slow_evidence(panel, against[0], 0.001, 0.0002), atol=0.5)


def test_integer_logarithms_powers_and_logistic_function():
    logarithms, powers = mixing.tables()
    steps = np.arange(4096) / 4096
    np.testing.assert_allclose(logarithms * UNIT, np.log2(1 + steps), atol=UNIT)
    np.testing.assert_allclose(powers / 2**32, 2**-steps, atol=2.0**-31)
    values = np.unique(np.logspace(0, 61, 500, base=2).astype(np.int64))
    found = np.array([mixing.log2(value, logarithms) for value in values]) * UNIT
    np.testing.assert_allclose(found, np.log2(values.astype(float)), atol=4e-4)
    z = np.arange(-25, 25, 0.07)
    ones = np.array([mixing.squash(np.int64(v), powers) for v in np.floor(z / UNIT)]) / 2**24
    np.testing.assert_allclose(
        ones, np.clip(1 / (1 + 2.0**-z), 2.0**-16, 1 - 2.0**-16), rtol=3e-4, atol=2.0**-23
    )
    up, down = (mixing.squash(np.int64(v), powers) for v in (12345, -12345))
    assert up + down == 2**24


def test_training_finds_the_weights_of_a_logistic_regression():
    rng = np.random.default_rng(4)
    n, n_snps = 300, 60
    inputs = rng.normal(0, 2, (n, n_snps, 3))
    truth = np.array([1.2, -0.5, 0.0])
    calls = (rng.random((n, n_snps)) < 1 / (1 + 2 ** -(inputs @ truth))).astype(np.int8)
    places = np.zeros(n_snps, dtype=np.int64)
    whole = (inputs / UNIT).astype(np.int32)
    weights = mixing.train_mixing(whole, calls, places, mixing.tables()[1], np.array(copying._RATES))
    # Standard errors are about 0.02 for 18,000 calls; the last learning rate adds as much.
    np.testing.assert_allclose(weights[0] / 2**32, truth, atol=0.16)
    np.testing.assert_allclose(weights[1:] / 2**32, 1 / 3, rtol=1e-6)  # places without SNPs stay as they were


def test_the_mixture_is_better_than_its_parts_on_new_haplotypes():
    panel, new = mosaics(400, 150, seed=1), mosaics(60, 150, seed=1)
    model = CopyingMixture((0.02, 0.001), (0.01, 0.05)).fit(panel)
    inputs = fast_inputs(model, new)
    one = 1 / (1 + 2.0**-inputs)
    parts = -np.log2(np.where(new[:, :, None] == 1, one, 1 - one)).sum(axis=1)  # (n, n_inputs)
    gain = parts.mean(axis=0).min() - model.bits(new).mean()
    assert gain > 0


def test_missing_calls_of_the_panel_are_filled_with_the_commoner_allele():
    panel = np.array([[0, 1, 1, -1], [0, 1, -1, -1], [0, -1, 0, -1], [-1, 0, 1, -1]])
    model = CopyingMixture().fit(panel)
    np.testing.assert_array_equal(model.panel_, [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert panel[0, 3] == -1  # the caller's stays as it is


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"switch_rates": (0.1,)}, "one length >= 1, but their lengths are 1 and 3"),
        ({"switch_rates": (), "mismatch_rates": ()}, "their lengths are 0 and 0"),
        ({"switch_rates": (0, 0.1, 0.1)}, r"switch_rates must lie in \(0, 0.5\]"),
        ({"mismatch_rates": (0.1, 0.1, 1e-5)}, r"mismatch_rates in \[0.0002, 0.5\)"),
        ({"max_block": 0}, "max_block must be a whole number >= 1, but it is 0"),
    ],
)
def test_settings_out_of_range_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        CopyingMixture(**parameters).fit(PANEL)


def test_panels_of_impossible_size_are_refused():
    with pytest.raises(ValueError, match="minimum of 4 is required"):
        CopyingMixture().fit(PANEL[:3])
    with pytest.raises(ValueError, match="at most 1048576 haplotypes, but it has 1048577"):
        CopyingMixture().fit(np.zeros((2**20 + 1, 1), dtype=np.int8))


def test_the_model_refuses_another_number_of_snps():
    with pytest.raises(CodecError, match="must hold 90 SNPs, but it holds 3"):
        MODEL.read(np.zeros((1, 3), dtype=bool), SymbolReader(np.zeros(0, dtype=np.uint32)))


def test_without_numba_one_line_says_what_to_install(monkeypatch):
    def absent(module, extra):
        raise ImportError(extras.install_message(module, extra))

    monkeypatch.setattr(copying, "require", absent)
    with pytest.raises(
        ImportError, match=r"numba is not installed; install it with: pip install 'latentgenomes\[gen"
    ):
        CopyingMixture().fit(PANEL)


def test_the_code_length_is_that_of_the_probabilities():
    bits = MODEL.bits(CALLS)
    inputs = fast_inputs(MODEL, CALLS)
    weights = MODEL.mixing_weights_[MODEL._layout().places] / 2**32  # (n_snps, n_inputs)
    one = 1 / (1 + 2.0 ** -(inputs * weights).sum(axis=2))
    one = np.clip(one, 2.0**-16, 1 - 2.0**-16)
    expected = -np.log2(np.where(CALLS == 1, one, 1 - one)).sum(axis=1, where=CALLS >= 0)
    np.testing.assert_allclose(bits, expected, rtol=0.005)
    assert bits[3] == 0
    assert MODEL.score(CALLS) == pytest.approx(-bits.sum() / (CALLS >= 0).sum())


def test_a_saved_model_gives_the_same_probabilities(tmp_path):
    loaded = CopyingMixture.load(MODEL.save(tmp_path / "panel.safetensors"))
    assert loaded.fingerprint() == MODEL.fingerprint()
    np.testing.assert_array_equal(loaded.bits(CALLS), MODEL.bits(CALLS))


def test_nothing_is_computed_before_a_fit():
    with pytest.raises(NotFittedError):
        CopyingMixture().bits(PANEL)
