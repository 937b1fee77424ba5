"""Columns of 0 and 1, coded row after row: against a slow decoder that shares no compiled code with ours."""

from collections import defaultdict

import numpy as np
import pytest

pytest.importorskip("numba")

from latentgenomes.genotypes.models.arithmetic import (
    N_NUMBER,
    code_number,
    finish_writing,
    new_chances,
    new_coder,
    pace_table,
    start_reading,
    written,
)
from latentgenomes.genotypes.models.columns import code_column, new_model
from latentgenomes.genotypes.models.mixing import tables
from latentgenomes.genotypes.models.neighbours import N_NEAR, find_neighbours, new_order, sort_on

LOGARITHMS, POWERS = (table.tolist() for table in tables())


def mosaic(n_rows, n_columns, seed=0):
    rng = np.random.default_rng(seed)
    founders = (rng.random((5, n_columns)) < rng.beta(0.5, 1, n_columns)).astype(np.int8)
    jumps = np.cumsum(rng.random((n_rows, n_columns)) < 0.06, axis=1)
    copied = np.take_along_axis(rng.integers(5, size=(n_rows, n_columns + 1)), jumps, axis=1)
    return (founders[copied, np.arange(n_columns)] ^ (rng.random(copied.shape) < 0.01)).T.copy()


def write(columns):
    """Bytes of columns (n_columns, n_rows), each after its number of ones."""
    coder, data, chances = (
        new_coder(reading=False),
        np.zeros(columns.size + 1000, np.uint8),
        new_chances(N_NUMBER),
    )
    model, paces = new_model(columns.shape[1]), pace_table()
    for column in columns.copy():
        n_ones = code_number(int(column.sum()), chances, paces, coder, data)
        if n_ones:
            code_column(column, (0, 0), n_ones, True, True, model, (coder, data))
    finish_writing(coder, data)
    return written(data, coder)


class Slow:
    """What `write` wrote, read with plain whole numbers, lists and brute force."""

    def __init__(self, data, n_rows, n_columns):
        self.data, self.at, self.n_rows = data, 0, n_rows
        self.low, self.high, self.code = 0, 2**56 - 1, 0
        for _ in range(7):
            self.code = self.code * 256 + self.byte()
        self.chance = defaultdict(lambda: [1 << 21, 0])
        self.weights = defaultdict(lambda: [12_000] * 16)
        self.last = defaultdict(lambda: [1 << 14] * 4)
        steps = [self.squash((step - 12) * 2**13) >> 2 for step in range(24)]
        self.map = defaultdict(lambda: list(steps))
        self.copied = [{} for _ in range(n_rows)]
        self.slots = [[None] * 12 for _ in range(n_rows)]
        self.surprise = [0] * n_rows
        self.history = [[] for _ in range(n_rows)]  # of the columns that were sorted on
        self.columns = [self.column() for _ in range(n_columns)]

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, share):
        share = min(max(share, 256), 2**24 - 256)
        split = self.low + (self.high - self.low) // 2**24 * share
        one = self.code <= split
        self.low, self.high = (self.low, split) if one else (split + 1, self.high)
        while self.low >> 48 == self.high >> 48:
            self.low = self.low * 256 % 2**56
            self.high = self.high * 256 % 2**56 + 255
            self.code = self.code * 256 % 2**56 + self.byte()
        return int(one)

    def learn(self, key, bit):
        chance = self.chance[key]
        chance[0] += ((bit * 2**22 - chance[0]) * (2**17 // (2 * chance[1] + 3))) >> 16
        chance[1] = min(chance[1] + 1, 1000)

    def adaptive(self, key):
        bit = self.bit(self.chance[key][0] * 4)
        self.learn(key, bit)
        return bit

    def number(self):
        n = 0
        while self.adaptive(("length", n)):
            n += 1
        found = 1
        for depth in range(n):
            key = ("digit", n) if depth == 0 else ("next", n, found % 2)
            found = 2 * found + (self.adaptive(key) if depth < 2 else self.bit(2**23))
        return found - 1

    @staticmethod
    def log2(value):
        top = value.bit_length() - 1
        shifted = value >> (top - 12) if top >= 12 else value << (12 - top)
        return top * 2**16 + LOGARITHMS[shifted % 4096]

    def odds(self, ones, zeros):
        return (self.log2(ones) - self.log2(zeros)) >> 4

    @staticmethod
    def squash(z):
        """Share of a 1 by evidence in units of 2**-12 bits."""
        z *= 16
        size = min(abs(z), 20 * 2**16)
        power = POWERS[(size % 2**16) >> 4] >> (size >> 16)
        small = max(power * 2**24 // (2**32 + power), 256)
        return 2**24 - small if z > 0 else small

    @staticmethod
    def level(length):
        if length < 4:
            return max(length, 0)
        n = length.bit_length()
        return min(2 * n - 2 + (length >> (n - 2)) % 2, 19)

    def agreed(self, one, other):
        """For how many sorted columns up to now two rows have been alike."""
        n = 0
        for a, b in zip(reversed(self.history[one]), reversed(self.history[other]), strict=True):
            if a != b:
                break
            n += 1
        return n

    def column(self):
        n_ones = self.number()
        if n_ones == 0:
            return [0] * self.n_rows
        order = sorted(range(self.n_rows), key=lambda row: (self.history[row][::-1], row))
        flip = int(2 * n_ones > self.n_rows)
        total, left = self.n_rows, self.n_rows - n_ones if flip else n_ones
        common = min((left * 2**14 // total).bit_length(), 15)
        values, near = {}, {}
        for row in range(self.n_rows):
            place = order.index(row)
            sides = [[r for r in order[:place][::-1] if r < row], [r for r in order[place + 1 :] if r < row]]
            near[row] = [side[:N_NEAR] for side in sides]
            if left in (0, total):
                values[row] = int(left > 0) ^ flip
                continue
            bit = self.row(row, order, near[row], values, flip, common, total, left)
            values[row] = bit ^ flip
            total, left = total - 1, left - bit
        rarer = min(n_ones, self.n_rows - n_ones)
        sort = rarer * 2000 > self.n_rows
        for row in range(self.n_rows):
            self.follow(row, near[row], values, sort)
        if sort:
            for row in range(self.n_rows):
                self.history[row].append(values[row])
        return [values[row] for row in range(self.n_rows)]

    def row(self, row, order, near, values, flip, common, total, left):
        lengths = [[self.agreed(row, other) for other in side] for side in near]
        shown = [[values[other] ^ flip for other in side] for side in near]
        pairs = [pair for side in (0, 1) for pair in zip(shown[side], lengths[side], strict=True)]
        padded = [(side + [2] * 3)[:3] for side in shown]
        six = 0
        for k in range(3):
            for side in (0, 1):
                six = six * 3 + padded[side][k]
        n_ones = sum(value for value, _ in pairs)
        one_length = max([length for value, length in pairs if value], default=-1)
        zero_length = max([length for value, length in pairs if not value], default=-1)
        first, second = padded[0][0], padded[1][0]
        length_1, length_2 = ((lengths[side] or [-1])[0] for side in (0, 1))
        if length_2 > length_1:
            first, second, length_1, length_2 = second, first, length_2, length_1
        level_1, level_2, pair = self.level(length_1), self.level(length_2), 3 * first + second
        surprise = min(self.surprise[row] >> 10, 7)
        partner = values[row - 1] ^ flip if row % 2 else 2
        voted, votes = 0, []
        for s, error in enumerate((12, 205)):
            mass = [1, 1]
            for slot in self.slots[row]:
                if slot:
                    mass[values[slot[0]] ^ flip] += slot[1][s]
            right, wrong = 4096 - error, error
            votes.append(self.odds(mass[1] * right + mass[0] * wrong, mass[0] * right + mass[1] * wrong))
            voted = voted * 32 + min(max((votes[-1] >> 12) + 16, 0), 31)
        around, seen = [], 0
        for power in (3, 6):
            place = order.index(row) >> power
            there = [
                values[r] ^ flip for k, r in enumerate(order) if r < row and abs((k >> power) - place) <= 1
            ]
            ones = sum(there)
            around.append(self.odds(50 * ones + 1, 50 * (len(there) - ones) + 1))
            for count in (ones, len(there) - ones):
                seen = seen * 10 + (count if count < 4 else min(count.bit_length() + 1, 9))
        waiting = min(left.bit_length(), 7)
        keys = [
            (pair, level_1, level_2),
            (six, common),
            (self.level(one_length + 1), self.level(zero_length + 1), common),
            (first, level_1, partner, common),
            (n_ones, common, waiting),
            (pair, level_1, surprise),
            (pair, n_ones, common),
            (voted, common),
            (pair, level_1),
            seen,
        ]
        keys = list(enumerate(keys))
        evidence = []
        for key in keys:
            one = 2 * (self.chance[key][0] >> 6) + 1
            evidence.append(self.odds(one, 2**17 - one))
        evidence += [self.odds(left, total - left), 4096, *votes, *around]
        sets = [(pair, common), (n_ones, level_1), (surprise, level_2, partner), voted]
        sets = list(enumerate(sets))
        mixed = [self.weigh(self.weights[key], evidence) for key in sets]
        z = self.weigh(self.last[common, first], mixed)
        share = self.squash(z)
        step, part = divmod(min(max(z, -11 * 2**13), 11 * 2**13) + 12 * 2**13, 2**13)
        row_map = self.map[partner, second, first, common]
        mapped = (row_map[step] * (8192 - part) + row_map[step + 1] * part) >> 13
        final = min(max((share + 4 * mapped) >> 1, 256), 2**24 - 256)
        bit = self.bit(final)
        self.adjust(self.last[common, first], mixed, bit * 2**24 - share, 20)
        nearest = step if part < 4096 else step + 1
        row_map[nearest] += (bit * 2**22 - row_map[nearest]) >> 6
        for key, one in zip(sets, mixed, strict=True):
            self.adjust(self.weights[key], evidence, bit * 2**24 - self.squash(one), 80)
        for key in keys:
            self.learn(key, bit)
        paid = 24 * 2**16 - self.log2(final if bit else 2**24 - final)
        self.surprise[row] += (min(paid >> 6, 8191) - self.surprise[row]) >> 4
        return bit

    @staticmethod
    def weigh(weights, evidence):
        z = sum(w * x for w, x in zip(weights, evidence, strict=True)) >> 16
        return min(max(z, -19 * 2**12), 19 * 2**12)

    @staticmethod
    def adjust(weights, evidence, error, rate):
        for k, x in enumerate(evidence):
            weights[k] += ((x * error >> 14) * rate) >> 20

    def follow(self, row, near, values, adopt):
        slots = self.slots[row]
        for s, rate in enumerate((197, 3449)):
            for slot in slots:
                if slot and values[slot[0]] != values[row]:
                    slot[1][s] = slot[1][s] * rate >> 16
            total = sum(slot[1][s] for slot in slots if slot)
            if total:
                shift = 0
                while total << shift < 2**29:
                    shift += 1
                for slot in filter(None, slots):
                    slot[1][s] = (slot[1][s] << shift) >> (total >= 2**30)
        if not adopt:
            return
        for k in range(4):
            side = near[k % 2]
            if k // 2 >= len(side) or values[side[k // 2]] != values[row]:
                continue
            other = side[k // 2]
            masses = [slot[1][0] if slot else 0 for slot in slots]
            mass = (2**29 * (self.agreed(row, other) + 1) >> 10) // min(row, 50)
            here = any(slot and slot[0] == other for slot in slots)
            if not here and min(masses) < mass:
                slots[masses.index(min(masses))] = [other, [mass, mass]]


@pytest.mark.parametrize(("n_rows", "n_columns", "seed"), [(1, 5, 0), (2, 30, 1), (16, 60, 2), (45, 40, 3)])
def test_a_slow_decoder_reads_the_same_columns(n_rows, n_columns, seed):
    columns = mosaic(n_rows, n_columns, seed)
    found = Slow(write(columns), n_rows, n_columns).columns
    np.testing.assert_array_equal(found, columns)


def test_bytes_written_once_stay_readable():
    """Golden: a predictor that answers otherwise breaks files."""
    columns = mosaic(20, 30, 4)
    golden = "0f459527147038c40f9d2836afbba51153b6b264a4b58dc4d2d8ce308"
    golden += "6411a10d6f68af022583d358822919a100d60f22766ee"
    assert write(columns).hex() == golden


def test_neighbours_are_the_nearest_earlier_rows_by_brute_force():
    columns = mosaic(23, 40, 5)
    n_rows = columns.shape[1]
    order, starts = new_order(n_rows)
    near, since = np.zeros((2, n_rows, 2 * N_NEAR), dtype=np.int64)
    links, room = np.zeros((3, n_rows + 2), dtype=np.int64), np.zeros((2, n_rows), dtype=np.int64)
    for at, column in enumerate(columns):
        active = np.random.default_rng(at).random(n_rows) < 0.9
        find_neighbours(order, starts, active, at, links, near, since)
        past = [tuple(columns[:at, row][::-1]) for row in range(n_rows)]
        ranked = sorted(range(n_rows), key=lambda row: (past[row], row))
        np.testing.assert_array_equal(order, ranked)
        for row in np.flatnonzero(active):
            place = ranked.index(row)
            for side, others in enumerate((ranked[:place][::-1], ranked[place + 1 :])):
                wanted = [other for other in others if other < row and active[other]][:N_NEAR]
                found = near[row, side * N_NEAR : side * N_NEAR + N_NEAR]
                assert found[found >= 0].tolist() == wanted
                for other, first in zip(wanted, since[row, side * N_NEAR :], strict=False):
                    alike = (columns[first:at, row] == columns[first:at, other]).all()
                    assert alike
                    assert first == 0 or columns[first - 1, row] != columns[first - 1, other]
        sort_on(order, starts, column, at, room)


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2, 3, 2**31, 2**40 - 2], list(range(300))])
def test_numbers_of_any_size_come_back(numbers):
    coder, data = new_coder(reading=False), np.zeros(4000, np.uint8)
    chances, paces = new_chances(N_NUMBER), pace_table()
    for number in numbers:
        code_number(number, chances, paces, coder, data)
    finish_writing(coder, data)
    stream = np.frombuffer(written(data, coder), np.uint8).copy()
    coder, chances = new_coder(reading=True), new_chances(N_NUMBER)
    start_reading(coder, stream)
    assert [code_number(0, chances, paces, coder, stream) for _ in numbers] == numbers


def test_a_writer_without_room_says_so():
    coder, data = new_coder(reading=False), np.zeros(2, np.uint8)
    for number in range(20):
        code_number(number, new_chances(N_NUMBER), pace_table(), coder, data)
    assert coder[5] == 1
