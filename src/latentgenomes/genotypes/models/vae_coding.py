r"""Real bytes from a haplotype VAE, decodable on every machine.

The network is turned into whole numbers (`latentgenomes.genotypes.models.integer_network`), and used in one
of two ways:

- *quantised*: z is rounded to whole numbers, improved by trying the neighbours of each coordinate, and sent
  with the frequencies that the panel's rounded z have; then the calls, with p(x | z);
- *bits back* (`latentgenomes.genotypes.models.bits_back`): z is chosen by bits that were written before, and
  costs only what it tells.

.. math::
    \text{bits} = -\log_2 p(\hat z) - \log_2 p(x \mid \hat z) \qquad \text{or} \qquad
    -\log_2 p(z) - \log_2 p(x \mid z) + \log_2 q(z \mid x).

| symbol | name in code | shape |
|---|---|---|
| $x$ | `calls` | (n, l) |
| $\hat z$ | `rounded` | (n, k), whole numbers in -8 ... 8 |
| $p(\hat z)$ | `latent_tables_` | (k, 17), shares of 2^24 |
| $p(z)$ | `prior_` | (k, 193), cumulative shares |
| $q(z \mid x)$ | `cell_shares` | (k, 193), cumulative shares |

References
----------
Geleta et al. 2026, Genome Research, doi 10.1101/gr.280086.124 (latent variables and residuals); Townsend et
al. 2019, ICLR (bits back).
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.core.extras import require
from latentgenomes.genotypes.models.container import (
    PRECISION,
    TOTAL,
    CodecError,
    SymbolReader,
    SymbolWriter,
    binary_table,
    digest,
)
from latentgenomes.genotypes.models.copying import Calls, check_values
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE
from latentgenomes.genotypes.models.integer_network import ACTIVATION_BITS, IntegerNet, Whole, evidence

Integers = npt.NDArray[np.int64]

_MODEL = b"vae-1"  # changes with every change of a probability
_REACH = 8  # largest size of a rounded latent variable
_CHUNK = 256  # haplotypes at once
_BYTE_TABLE = np.full((1, 256), TOTAL // 256, dtype=np.int64)
_MOST_BITS = 16  # that a call can cost; 24 for a latent variable


def _bits_back() -> Any:
    """The compiled part."""
    require("numba", extra="genotypes")
    from latentgenomes.genotypes.models import bits_back

    return bits_back


def _ones(sums: Whole) -> Integers:
    """Probabilities of a 1 in shares of 2**24, from log odds of any shape."""
    require("numba", extra="genotypes")
    from latentgenomes.genotypes.models import mixing

    inputs = evidence(sums).reshape(-1, 1)
    ones = np.zeros(len(inputs), dtype=np.int64)
    mixing.mix(inputs, np.array([1 << 32]), mixing.tables()[1], ones)
    return ones.reshape(sums.shape)


def _write_numbers(numbers: npt.NDArray[np.uint32], writer: SymbolWriter) -> None:
    """Write words as they are, 8 bits a symbol."""
    symbols = np.frombuffer(numbers.astype("<u4").tobytes(), dtype=np.uint8).astype(np.int64)
    for start in range(0, len(symbols), 4096):
        part = symbols[start : start + 4096]
        writer.write(part, np.repeat(_BYTE_TABLE, len(part), axis=0))


def _read_numbers(size: int, reader: SymbolReader) -> npt.NDArray[np.uint32]:
    parts = []
    for start in range(0, 4 * size, 4096):
        length = min(4096, 4 * size - start)
        parts.append(reader.read(np.repeat(_BYTE_TABLE, length, axis=0)).astype(np.uint8))
    return np.frombuffer(np.concatenate(parts).tobytes(), dtype="<u4").astype(np.uint32)


class VAECoding(BaseEstimator):
    """Model of haplotypes for `HaplotypeCodec`: a VAE in whole numbers.

    Parameters
    ----------
    vae : HaplotypeVAE or None
        Fitted to the panel as a clone; None takes the defaults. One that is already fitted is used as it is
        when it is wrapped in `sklearn.frozen.FrozenEstimator`.
    bits_back : bool
        Let latent variables carry bits that were written before; False rounds them.
    n_sweeps : int
        Rounds of improvement of the rounded latent variables. The reader does not need to know it.

    Attributes
    ----------
    vae_ : HaplotypeVAE
        The fitted model.
    net_ : IntegerNet
        Its network in whole numbers.
    latent_tables_ : ndarray of int64, shape (n_latent, 17)
        Probabilities of the rounded latent variables -8 ... 8, shares of 2**24.
    prior_ : ndarray of int64, shape (n_latent, 193)
        Cumulative probabilities of the cells of the latent variables.
    n_features_in_ : int
        Number of SNPs.
    """

    def __init__(self, vae: HaplotypeVAE | None = None, *, bits_back: bool = True, n_sweeps: int = 1) -> None:
        self.vae = vae
        self.bits_back = bits_back
        self.n_sweeps = n_sweeps

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model to a panel, round its network, and count the latent variables of the panel.

        Parameters
        ----------
        X : array of shape (n_panel, n_snps)
            Phased calls 0 and 1, -1 for missing.
        y : array of shape (n_panel,), optional
            Populations; the stream knows nothing of them.

        Raises
        ------
        ValueError
            If a call is not 0, 1 or -1, the model is told populations, or its weights are too large.
        """
        _bits_back()
        panel = check_values(validate_data(self, X, dtype=None))
        self.vae_ = clone(HaplotypeVAE() if self.vae is None else self.vae).fit(panel, y)
        self.net_ = IntegerNet(self.vae_.module_)
        counts = np.zeros((self.net_.n_latent, 2 * _REACH + 1), dtype=np.int64)
        sums = np.zeros((self.net_.n_latent, _bits_back().N_CELLS), dtype=np.int64)
        for start in range(0, len(panel), _CHUNK):
            mean, log_var = self.net_.posterior(self.net_.centred(panel[start : start + _CHUNK]))
            for k, column in enumerate(self._rounded(mean).T.astype(np.int64)):
                counts[k] += np.bincount(column + _REACH, minlength=2 * _REACH + 1)
            sums += np.diff(_bits_back().cell_shares(mean, log_var), axis=-1).sum(axis=0)
        self.prior_ = _bits_back().prior_shares(sums)
        # Half a count for every value, and the rounding to the commonest one.
        tables = ((2 * counts + 1) << PRECISION) // (2 * counts + 1).sum(axis=1, keepdims=True)
        tables = np.maximum(tables, 1)
        tables[np.arange(len(tables)), tables.argmax(axis=1)] += TOTAL - tables.sum(axis=1)
        self.latent_tables_ = tables
        return self

    @staticmethod
    def _rounded(mean: Whole) -> Whole:
        return np.clip(np.floor(mean * 2.0**-ACTIVATION_BITS + 0.5), -_REACH, _REACH)

    def fingerprint(self) -> bytes:
        """Digest of everything that a probability depends on, 8 bytes."""
        check_is_fitted(self)
        way = b"bits back" if self.bits_back else b"rounded"
        return digest([_MODEL, way, *self.net_.arrays(), self.latent_tables_, self.prior_])

    # ---- writing and reading --------------------------------------------------------------------

    def write(self, calls: Calls, writer: SymbolWriter) -> None:
        """Code the calls (n_haplotypes, n_snps) that are not missing."""
        if self.bits_back:
            stack = _bits_back().BitStack()
            for start in range(0, len(calls), _CHUNK):
                self._put(calls[start : start + _CHUNK], stack)
            words = stack.words()
            _write_numbers(np.array([len(words), stack.borrowed], dtype=np.uint32), writer)
            _write_numbers(words, writer)
            return
        for start in range(0, len(calls), _CHUNK):
            self._write_rounded(calls[start : start + _CHUNK], writer)

    def read(self, missing: npt.NDArray[np.bool_], reader: SymbolReader) -> Calls:
        """Decode what `write` coded, given where calls are missing; CodecError for a foreign payload."""
        if missing.shape[1] != self.n_features_in_:
            raise CodecError(
                f"The file must hold {self.n_features_in_} SNPs, but it holds {missing.shape[1]}. "
                "Fit the codec to the panel that compressed it."
            )
        if self.bits_back:
            return self._read_stack(missing, reader)
        parts = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        return np.concatenate([self._read_rounded(part, reader) for part in parts])

    def _write_rounded(self, calls: Calls, writer: SymbolWriter) -> None:
        centred = self.net_.centred(calls)
        rounded = self._improved(calls, centred)
        for column, table in zip(rounded.T.astype(np.int64), self.latent_tables_, strict=True):
            writer.write(column + _REACH, np.repeat(table[None], len(column), axis=0))
        ones = _ones(self._log_odds(rounded) + self.net_.causal_parts(centred))
        for column, own in zip(calls.T, ones.T, strict=True):
            writer.write(column[column >= 0], binary_table(own[column >= 0]))

    def _read_rounded(self, missing: npt.NDArray[np.bool_], reader: SymbolReader) -> Calls:
        n = len(missing)
        tables = [np.repeat(table[None], n, axis=0) for table in self.latent_tables_]
        rounded = np.stack([reader.read(table) - _REACH for table in tables], axis=1)
        sums = self._log_odds(rounded.astype(np.float64))
        calls = np.full(missing.shape, -1, dtype=np.int8)
        centred = np.zeros(missing.shape)
        for snp in range(missing.shape[1]):
            seen = ~missing[:, snp]
            ones = _ones(sums[:, snp] + self.net_.causal_part(centred, snp))
            calls[seen, snp] = reader.read(binary_table(ones[seen]))
            known = calls[:, snp] * float(1 << ACTIVATION_BITS) - self.net_.frequencies[snp]
            centred[:, snp] = np.where(seen, known, 0.0)
        return calls

    def _log_odds(self, rounded: Whole) -> Whole:
        return self.net_.decode(rounded * 2.0**ACTIVATION_BITS)

    def _improved(self, calls: Calls, centred: Whole) -> Whole:
        """Rounded latent variables, each coordinate moved by one where that saves bits."""
        causal = self.net_.causal_parts(centred)
        best = self._rounded(self.net_.posterior(centred)[0])
        cost = self._cost(calls, best, causal)
        for coordinate in list(range(best.shape[1])) * self.n_sweeps:
            for step in (-1.0, 1.0):
                other = best.copy()
                other[:, coordinate] = np.clip(other[:, coordinate] + step, -_REACH, _REACH)
                new = self._cost(calls, other, causal)
                best = np.where((new < cost)[:, None], other, best)
                cost = np.minimum(new, cost)
        return best

    def _cost(self, calls: Calls, rounded: Whole, causal: Whole) -> npt.NDArray[np.float64]:
        """Ideal bits of every haplotype with given latent variables, (n,)."""
        shares = self.latent_tables_[np.arange(rounded.shape[1]), rounded.astype(np.int64) + _REACH]
        bits = -np.log2(shares / TOTAL).sum(axis=1)
        return np.asarray(bits + self._call_bits(calls, self._log_odds(rounded) + causal))

    @staticmethod
    def _call_bits(calls: Calls, sums: Whole) -> npt.NDArray[np.float64]:
        table = binary_table(_ones(sums).reshape(-1))
        share = table[np.arange(len(table)), np.maximum(calls, 0).reshape(-1)].reshape(calls.shape) / TOTAL
        return np.asarray(-np.where(calls < 0, 0.0, np.log2(share)).sum(axis=1))

    def _put(self, calls: Calls, stack: Any) -> None:
        """Put haplotypes on the stack, each with latent variables taken from it."""
        coding = _bits_back()
        centred = self.net_.centred(calls)
        causal = self.net_.causal_parts(centred)
        posterior = coding.cell_shares(*self.net_.posterior(centred))
        for row, shares, own in zip(calls, posterior, causal, strict=True):
            cells = stack.take_cells(shares, stirred=True)
            stack.put_calls(row, _ones(self.net_.decode(coding.centres(cells)[None])[0] + own))
            stack.put_cells(self.prior_, cells)

    def _read_stack(self, missing: npt.NDArray[np.bool_], reader: SymbolReader) -> Calls:
        coding = _bits_back()
        size, borrowed = (int(number) for number in _read_numbers(2, reader))
        n, n_snps = missing.shape
        most = (n * (n_snps * _MOST_BITS + self.net_.n_latent * PRECISION)) // 32 + n + 4
        if not 2 <= size <= most or borrowed > most:
            raise CodecError(
                f"The stack must have 2 to {most} words, but {size} are named, {borrowed} of them borrowed. "
                "Nothing was decoded. Compress again."
            )
        stack = coding.BitStack(_read_numbers(size, reader))
        calls = np.full(missing.shape, -1, dtype=np.int8)
        for row in range(n - 1, -1, -1):
            cells = stack.take_cells(self.prior_)
            sums = self.net_.decode(coding.centres(cells)[None])[0]
            calls[row] = stack.take_calls(sums, self.net_, missing[row])
            mean, log_var = self.net_.posterior(self.net_.centred(calls[row : row + 1]))
            stack.put_cells(coding.cell_shares(mean[0], log_var[0]), cells, stirred=True)
        stack.check_empty(borrowed)
        return calls

    # ---- code lengths ---------------------------------------------------------------------------

    def bits(self, X: Any) -> npt.NDArray[np.float64]:
        """Ideal code length of every haplotype, the model known; with bits back that of one draw of z.

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Phased calls 0 and 1, -1 for missing, which cost nothing.
        """
        check_is_fitted(self)
        calls = check_values(validate_data(self, X, dtype=None, reset=False))
        parts = []
        for start in range(0, len(calls), _CHUNK):
            rows = calls[start : start + _CHUNK]
            centred = self.net_.centred(rows)
            causal = self.net_.causal_parts(centred)
            if not self.bits_back:
                parts.append(self._cost(rows, self._improved(rows, centred), causal))
                continue
            coding = _bits_back()
            shares = np.diff(coding.cell_shares(*self.net_.posterior(centred)), axis=-1)
            uniform = np.random.default_rng(start).random(shares.shape[:2])
            cells = (shares.cumsum(axis=-1) <= uniform[..., None] * TOTAL).sum(axis=-1)
            taken = np.take_along_axis(shares, cells[..., None], axis=-1)[..., 0]
            given = np.diff(self.prior_, axis=-1)[np.arange(cells.shape[1]), cells]
            latent = np.log2(taken / given).sum(axis=1)
            parts.append(latent + self._call_bits(rows, self.net_.decode(coding.centres(cells)) + causal))
        return np.concatenate(parts)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log2 probability of a call that is there: minus the bits per SNP, so at most 0; see `bits`."""
        return -float(self.bits(X).sum() / max((np.asarray(X) >= 0).sum(), 1))
