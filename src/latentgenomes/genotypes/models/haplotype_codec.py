"""Haplotypes to bytes and back, by a model of their calls.

The bytes hold one container (`container`). Its payload is one stream of the range coder: whether
any call is missing; if so, which, with adaptive counts; then the calls that are not missing, with the
probabilities of the model. The code length is that of the model, within a few bytes:

    bits = sum_il -log2 P(m_il | m before) + sum_{il not missing} -log2 P(x_il | x_i before, panel)

P(m = 1) is n_c1 / (n_c0 + n_c1), where n_c counts the calls before it in the context c: whether the last call
of the haplotype is missing, and how many of its calls are so far (0, 1, 2 to 3, more).

| symbol | name in code | shape |
|---|---|---|
| $x$ | `calls` | (n_haplotypes, n_snps) |
| $m$ | `missing` | (n_haplotypes, n_snps) |
| $n_c$ | `counts` | (8, 2) |
| panel | `model_` | |
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

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
from latentgenomes.genotypes.models.copying import Calls, CopyingMixture, check_values
from latentgenomes.genotypes.models.vae_coding import VAECoding

_FLAG = np.array([[TOTAL - SMALLEST, SMALLEST]])
#: Number of every method in the header, and the model that it uses by default: one with `fit`, `fingerprint`,
#: `write`, `read` and `score`.
METHODS: dict[str, tuple[int, type[BaseEstimator]]] = {
    "copying": (1, CopyingMixture),
    "vae": (2, VAECoding),
}


class _MissingCounts:
    """Adaptive probabilities of missing calls, the same for writer and reader."""

    def __init__(self, n_haplotypes: int) -> None:
        self.counts = np.ones((8, 2), dtype=np.int64)
        self._last = np.zeros(n_haplotypes, dtype=np.int64)
        self._seen = np.zeros(n_haplotypes, dtype=np.int64)

    def table(self) -> npt.NDArray[np.int64]:
        """Probability table of the next SNP's column, (n_haplotypes, 2)."""
        # 0, 1, 2 to 3, more: the whole part of 2/3 of it, up to 3
        self._context = self._last * 4 + np.minimum(self._seen - self._seen // 3, 3)
        ones = (self.counts[:, 1] << PRECISION) // self.counts.sum(axis=1)
        return binary_table(ones[self._context])

    def learn(self, missing: npt.NDArray[np.int64]) -> None:
        """Count a column, (n_haplotypes,) of 0 and 1."""
        np.add.at(self.counts, (self._context, missing), 1)
        self._last = missing
        self._seen = self._seen + missing


def _write_missing(missing: npt.NDArray[np.bool_], writer: SymbolWriter) -> None:
    any_missing = np.array([missing.any()], dtype=np.int64)
    writer.write(any_missing, _FLAG)
    if not any_missing[0]:
        return
    model = _MissingCounts(len(missing))
    for column in missing.T.astype(np.int64):
        writer.write(column, model.table())
        model.learn(column)


def _read_missing(n_haplotypes: int, n_snps: int, reader: SymbolReader) -> npt.NDArray[np.bool_]:
    missing = np.zeros((n_haplotypes, n_snps), dtype=bool)
    if not reader.read(_FLAG)[0]:
        return missing
    model = _MissingCounts(n_haplotypes)
    for snp in range(n_snps):
        column = reader.read(model.table())
        missing[:, snp] = column
        model.learn(column)
    return missing


class HaplotypeCodec(BaseEstimator):
    """Lossless codec of phased haplotypes, with a panel that writer and reader share.

    Parameters
    ----------
    method : {"copying", "vae"}
        Which model, by name.
    model : estimator or None
        The model, fitted to the panel as a clone; None is the method's own with its defaults. A model that is
        already fitted is used as it is when it is wrapped in `sklearn.frozen.FrozenEstimator`.

    Attributes
    ----------
    model_ : estimator
        The fitted model.
    n_features_in_ : int
        Number of SNPs.

    Examples
    --------
    >>> data = codec.fit(panel).compress(haplotypes)
    >>> (codec.decompress(data) == haplotypes).all()
    """

    def __init__(self, method: str = "copying", *, model: BaseEstimator | None = None) -> None:
        self.method = method
        self.model = model

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model to a panel.

        Parameters
        ----------
        X : array of shape (n_panel, n_snps)
            Phased calls 0 and 1, -1 for missing; the two haplotypes of a person in neighbouring rows.
        y : array of shape (n_panel,), optional
            Populations, for a model that takes them.

        Raises
        ------
        ValueError
            If there is no such method, or the model refuses the panel.
        """
        if self.method not in METHODS:
            raise ValueError(
                f"method must be one of {', '.join(METHODS)}, but it is {self.method!r}. Name one of these."
            )
        panel = check_values(validate_data(self, X, dtype=None))
        model = METHODS[self.method][1]() if self.model is None else clone(self.model)
        self.model_ = model.fit(panel, y)
        return self

    def _calls(self, X: Any) -> Calls:
        check_is_fitted(self)
        return check_values(validate_data(self, X, dtype=None, reset=False))

    def compress(self, haplotypes: Any) -> bytes:
        """Code haplotypes as one container, see `latentgenomes.genotypes.models.container`.

        Parameters
        ----------
        haplotypes : array of shape (n_haplotypes, n_snps)
            Phased calls 0 and 1, -1 for missing; the SNPs of the panel, in its order.

        Raises
        ------
        ValueError
            If a call is not 0, 1 or -1, or the number of SNPs is not the panel's.
        """
        calls = self._calls(haplotypes)
        writer = SymbolWriter()
        _write_missing(calls < 0, writer)
        self.model_.write(calls, writer)
        number = METHODS[self.method][0]
        header = Header(number, self.model_.fingerprint(), digest([calls]), *calls.shape)
        return pack(header, writer.words())

    def decompress(self, data: bytes) -> Calls:
        """Decode what `compress` returned: the same calls, int8 of shape (n_haplotypes, n_snps).

        Parameters
        ----------
        data : bytes
            The whole container.

        Raises
        ------
        CodecError
            If the data are cut, altered, of another method or panel, or decode to other calls here.
        """
        check_is_fitted(self)
        header, words = unpack(
            data,
            method=METHODS[self.method][0],
            fingerprint=self.model_.fingerprint(),
            n_snps=self.n_features_in_,
        )
        reader = SymbolReader(words)
        calls = self.model_.read(_read_missing(header.n_haplotypes, header.n_snps, reader), reader)
        reader.finish()
        if digest([calls]) != header.calls_digest:
            raise CodecError(
                "The decoded calls must have the digest that the header names, but they have another one: "
                "this machine computes other probabilities. Decode where it was written, and report it."
            )
        return calls

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log2 probability of a call that is not missing, at most 0; see the model's `score`."""
        calls = self._calls(X)
        return float(self.model_.score(calls))
