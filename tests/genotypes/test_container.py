import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentgenomes.genotypes.models.container import (
    PRECISION,
    SMALLEST,
    TOTAL,
    CodecError,
    Header,
    SymbolReader,
    SymbolWriter,
    binary_table,
    digest,
    pack,
    unpack,
)

pytest.importorskip("constriction")


def random_table(rng, n, n_symbols):
    """Integer distributions, from flat to nearly certain."""
    weights = rng.dirichlet(np.full(n_symbols, rng.choice([0.01, 0.3, 10])), size=n)
    table = 1 + np.floor(weights * (TOTAL - n_symbols)).astype(np.int64)
    table[:, 0] += TOTAL - table.sum(axis=1)
    return table


def write(symbols, table):
    writer = SymbolWriter()
    writer.write(symbols, table)
    return writer.words()


def test_ten_thousand_random_and_adversarial_arrays_come_back_bit_exact():
    rng = np.random.default_rng(0)
    for trial in range(10_000):
        n, n_symbols = rng.integers(1, 30), rng.integers(2, 6)
        table = random_table(rng, n, n_symbols)
        # Symbols drawn at random, the likeliest, or the least likely everywhere.
        symbols = [rng.integers(0, n_symbols, n), table.argmax(1), table.argmin(1)][trial % 3]
        words = write(symbols, table)
        reader = SymbolReader(words)
        np.testing.assert_array_equal(reader.read(table), symbols)
        reader.finish()
        ideal = -np.log2(table[np.arange(n), symbols] / TOTAL).sum()
        # The range coder rounds up to words of 32 bits, and may lose a unit of 2**-24 of each share.
        assert 32 * len(words) <= 1.001 * ideal + 64 + n_symbols * n


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, TOTAL)), min_size=1, max_size=60), st.integers(1, 59)
)
def test_pieces_of_any_size_read_the_same(pairs, cut):
    calls, ones = (np.array(part) for part in zip(*pairs, strict=True))
    table = binary_table(ones)
    writer = SymbolWriter()
    for part in (slice(None, cut), slice(cut, None)):
        writer.write(calls[part], table[part])
    reader = SymbolReader(writer.words())
    np.testing.assert_array_equal(reader.read(table), calls)


def test_the_code_length_is_the_ideal_one():
    rng = np.random.default_rng(1)
    ones = rng.integers(SMALLEST, TOTAL - SMALLEST, 200_000)
    calls = (rng.random(len(ones)) < ones / TOTAL).astype(np.int64)
    table = binary_table(ones)
    ideal = -np.log2(table[np.arange(len(calls)), calls] / TOTAL).sum()
    assert 32 * len(write(calls, table)) == pytest.approx(ideal, rel=1e-3)


def test_the_tables_are_whole_numbers_to_the_coder_too():
    """The cost of a call tells the share that the coder gives it: that of the table, within one unit."""
    for ones in (SMALLEST, SMALLEST + 1, 3 * SMALLEST, TOTAL // 2 - 1):
        calls = np.ones(20_000, dtype=np.int64)
        bits = 32 * len(write(calls, binary_table(np.full(len(calls), ones)))) / len(calls)
        assert bits == pytest.approx(PRECISION - np.log2(ones), abs=1.6 / ones + 64 / len(calls))


def test_bytes_written_once_stay_readable():
    """Golden, written by constriction 0.5.0: a coder that reads it otherwise breaks files."""
    ones = (np.arange(40) * 2_654_435 + 1_000_003) % TOTAL
    calls = np.arange(40) * 7 % 5 % 2
    words = write(calls, binary_table(ones))
    assert words.tobytes().hex() == "830c8b4e71ea4d5b"
    np.testing.assert_array_equal(SymbolReader(words).read(binary_table(ones)), calls)


def test_probabilities_of_0_and_1_stay_off_the_ends():
    np.testing.assert_array_equal(
        binary_table(np.array([-5, 0, SMALLEST, TOTAL // 2, TOTAL, TOTAL + 9])),
        [
            [TOTAL - SMALLEST, SMALLEST],
            [TOTAL - SMALLEST, SMALLEST],
            [TOTAL - SMALLEST, SMALLEST],
            [TOTAL // 2, TOTAL // 2],
            [SMALLEST, TOTAL - SMALLEST],
            [SMALLEST, TOTAL - SMALLEST],
        ],
    )


HALF = np.array([[TOTAL // 2, TOTAL // 2]])


@pytest.mark.parametrize(
    ("symbols", "table", "message"),
    [
        ([0], HALF / TOTAL, "table must hold whole numbers, one row a symbol, but it is float64"),
        ([0], HALF[0], r"one row a symbol, but it is int64 of shape \(2,\)"),
        ([0], HALF + 1, r"sum to 2\*\*24, but 1 of 1 rows do not; the first is row 0"),
        ([0], [[0, TOTAL]], "whole numbers >= 1"),
        ([0, 1], HALF, r"one entry a row of table, but their shapes are \(2,\) and \(1, 2\)"),
        ([2], HALF, "symbols must lie in 0 ... 1, but they reach from 2 to 2"),
        ([-1], HALF, "symbols must lie in 0 ... 1, but they reach from -1"),
    ],
)
def test_what_cannot_be_coded_is_refused(symbols, table, message):
    with pytest.raises(ValueError, match=message):
        write(np.array(symbols), np.array(table))


def test_no_symbols_cost_nothing():
    empty = np.zeros((0, 2), dtype=np.int64)
    assert len(write(np.zeros(0, dtype=np.int64), empty)) == 0
    assert len(SymbolReader(np.zeros(0, dtype=np.uint32)).read(empty)) == 0


def test_bits_that_no_symbol_has_are_refused():
    reader = SymbolReader(np.full(3, 2**32 - 1, dtype=np.uint32))
    table = np.repeat([[TOTAL // 10, TOTAL - TOTAL // 10]], 500, axis=0)
    with pytest.raises(CodecError, match="no symbol has its bits"):
        reader.read(table)


def test_words_left_over_are_refused():
    calls, table = np.arange(400) % 2, np.repeat(HALF, 400, axis=0)
    reader = SymbolReader(write(calls, table))
    reader.read(table[:100])
    with pytest.raises(CodecError, match="words are left over"):
        reader.finish()


MARK, OTHER = b"12345678", b"abcdefgh"
WHO = {"method": 1, "fingerprint": MARK, "n_snps": 30}


def container(header=None, n_words=5):
    words = np.random.default_rng(2).integers(0, 2**32, n_words, dtype=np.uint32)
    return pack(header or Header(1, MARK, OTHER, 200, 30), words), words


def seal(body):
    """A container with a right last digest, whatever it says."""
    return body + hashlib.blake2b(body, digest_size=8).digest()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(min_size=8, max_size=8), st.integers(1, 10**6), st.integers(0, 9))
def test_a_container_gives_back_what_it_was_given(method, mark, n_haplotypes, n_words):
    words = np.arange(n_words, dtype=np.uint32)
    header = Header(method, mark, OTHER, n_haplotypes, 1)
    found, payload = unpack(pack(header, words), method=method, fingerprint=mark, n_snps=1)
    assert found == header
    np.testing.assert_array_equal(payload, words)


def test_ten_thousand_altered_containers_are_refused():
    data, _ = container()
    rng = np.random.default_rng(3)
    for trial in range(10_000):
        altered = bytearray(data)
        if trial % 4 == 0:  # one bit
            altered[rng.integers(len(data))] ^= 1 << rng.integers(8)
        elif trial % 4 == 1:  # cut
            altered = altered[: rng.integers(len(data))]
        elif trial % 4 == 2:  # a byte more, somewhere
            altered.insert(rng.integers(len(data) + 1), rng.integers(256))
        else:  # two pieces swapped
            first, second = sorted(rng.choice(len(data), 2, replace=False))
            altered = altered[second:] + altered[first:second] + altered[:first]
        if bytes(altered) != data:
            with pytest.raises(CodecError):
                unpack(bytes(altered), **WHO)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"PK\x03\x04" + data[4:], r"must start with b'LGHC', but this one starts with b'PK"),
        (lambda data: b"", r"starts with b''"),
        (lambda data: data[:20], "at least 32 bytes, but this one has 20: it is cut off"),
        (lambda data: data[:-1], "the digest of the 44 before them"),
        (lambda data: seal(data[:4] + b"\x02" + data[5:-8]), "version 1, but this file has version 2"),
        (lambda data: seal(data[:5] + b"\x07" + data[6:-8]), "method 1, but it is of method 7"),
        (
            lambda data: seal(data[:6] + OTHER + data[14:-8]),
            f"{MARK.hex()}, but it was written with {OTHER.hex()}",
        ),
        (lambda data: seal(data[:-9]), r"whole words for >= 1 haplotypes of 30 SNPs, but it holds 19 bytes"),
        (lambda data: seal(data[:22] + b"\x00" + data[24:-8]), "for 0 of 30"),
        (
            lambda data: seal(data[:24] + b"\x1f" + data[25:-8]),
            "of 30 SNPs, but it holds 20 bytes for 200 of 31",
        ),
        (lambda data: seal(data[:22] + b"\xff" * 40), "two numbers of at most 5 bytes"),
        (lambda data: seal(data[:22] + b"\xff\xff\xff\xff\x7f" + data[24:-8]), "cannot hold so many"),
    ],
)
def test_each_refusal_says_why(change, message):
    data, _ = container()
    with pytest.raises(CodecError, match=message):
        unpack(change(data), **WHO)


def test_a_container_needs_haplotypes():
    with pytest.raises(ValueError, match="holds 1 to 34359738367 haplotypes and SNPs, but 0 came"):
        container(Header(1, MARK, OTHER, 0, 30))


def test_the_digest_reads_type_shape_and_values():
    calls = np.array([[0, 1], [1, 1]], dtype=np.int8)
    others = [calls.ravel(), calls.astype(np.int16), 1 - calls]
    marks = {digest([array]) for array in [calls, *others]}
    assert len(marks) == 4
    assert digest([calls]) == digest([np.asfortranarray(calls)])
    assert digest([calls, b"ab"]) != digest([calls, b"a", b"b"])
    assert digest([calls.astype(">i2")]) == digest([calls.astype("<i2")])
