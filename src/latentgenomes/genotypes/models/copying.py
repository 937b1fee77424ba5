r"""Copying mixture: every haplotype is a mosaic of a panel's, with a few differences.

The probability of the next call comes from the calls before it. Several Li-Stephens models (pairs of a switch
rate and a mismatch rate) follow the haplotype along the panel; counts say what panel haplotypes carry that
agree with the last calls exactly (`latentgenomes.genotypes.models.forward`). A logistic mixture weighs these
votes (`latentgenomes.genotypes.models.mixing`):

    P(x_l = 1 | x_1 ... x_{l-1}) = 1 / (1 + 2^-z_l),     z_l = sum_i a_ti x_li

Its weights are trained on the panel itself: some of its haplotypes are followed without themselves and
without their neighbour in the file, the other haplotype of the same person. A missing call is skipped: it
costs nothing and teaches nothing. Everything is computed in whole numbers, the fit too, so the same panel
gives the same model and the same probabilities on every machine.

| symbol | name in code | shape |
|---|---|---|
| panel | `panel_` | (n_panel, n_snps) |
| $\rho$ | `switch_rates` | (n_settings,) |
| $\epsilon$ | `mismatch_rates` | (n_settings,) |
| $a$ | `mixing_weights_` | (n_places, n_settings + 6) |
| $x$ | `inputs` | (n_haplotypes, n_settings + 6) |
| $P$ | `ones` | (n_haplotypes,) |

References
----------
Li & Stephens 2003, Genetics 165:2213-2233; Mahoney 2005, Florida Tech CS-2005-16 (logistic mixing).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.core.extras import require
from latentgenomes.genotypes.models.container import (
    TOTAL,
    CodecError,
    SymbolReader,
    SymbolWriter,
    binary_table,
    digest,
)
from latentgenomes.nn.estimator import TorchEstimator

Calls = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]

_MODEL = b"copying-1"  # changes with every change of a probability
_MAX_PANEL = 1 << 20  # haplotypes; more would leave each too little mass for 31 bits
_CHUNK = 256  # haplotypes followed at once
_TRAIN_CALLS = 1 << 19
_MIN_TRAINED = 32  # haplotypes
_RATES = (450, 290, 190, 120, 80, 50, 34, 22)  # learning rate of each pass, in units of 2**-16


def _compiled() -> tuple[ModuleType, ModuleType]:
    """The compiled parts: forward recursion and mixing."""
    require("numba", extra="genotypes")
    from latentgenomes.genotypes.models import forward, mixing

    return forward, mixing


def check_values(calls: npt.NDArray[Any]) -> Calls:
    """Copy of calls as int8; refused (ValueError) unless every one is 0, 1 or -1."""
    whole = calls.dtype.kind in "biu" or bool((calls == np.floor(calls)).all())
    if not (whole and calls.min() >= -1 and calls.max() <= 1):
        bad = ~np.isin(calls, (0, 1, -1))
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"Calls must be 0, 1 or -1 for missing, but {bad.sum()} of {bad.size} are not; the first is "
            f"{calls[row, column]} at haplotype {row}, SNP {column}. Pass phased haplotypes, one row each."
        )
    return calls.astype(np.int8)


@dataclass(frozen=True)
class _Layout:
    """The panel cut into blocks; see `forward.group_patterns`."""

    starts: Integers
    pattern_of: npt.NDArray[np.uint16]
    n_patterns: Integers
    first: Integers
    block_of: Integers  # of every SNP
    places: Integers  # row of the mixing weights of every SNP


class _Followers:
    """Haplotypes that are followed along the panel, SNP by SNP."""

    def __init__(
        self, panel: Calls, layout: _Layout, rates: npt.NDArray[np.uint64], excluded: npt.NDArray[np.bool_]
    ) -> None:
        self._forward, self._mixing = _compiled()
        self._panel, self._layout = panel, layout
        self._switch, self._mismatch, self._odds = rates
        n, n_settings = len(excluded), rates.shape[1]
        self._state = self._forward.new_state(n, n_settings, int(layout.n_patterns.max()), excluded)
        self._logarithms, self._powers = self._mixing.tables()
        self._inputs = np.zeros((n, n_settings + len(self._forward.BACK) + 1), dtype=np.int64)
        self._alleles = np.zeros(0, dtype=np.int8)

    def inputs(self, snp: int) -> Integers:
        """Evidence for allele 1 at the next SNP, (n_haplotypes, n_inputs), units of 2**-16 bits."""
        layout = self._layout
        block = int(layout.block_of[snp])
        if snp == layout.starts[block]:
            self._forward.begin_block(block, block - 1, self._state, layout.pattern_of, layout.n_patterns)
        self._alleles = self._panel[layout.first[block, : layout.n_patterns[block]], snp]
        self._forward.predict(
            self._alleles, self._state, self._switch, self._mismatch, self._logarithms, self._inputs
        )
        return self._inputs

    def ones(self, snp: int, mixing_weights: Integers) -> Integers:
        """Probability of allele 1 at the next SNP in shares of 2**24, (n_haplotypes,)."""
        ones = np.zeros(len(self._inputs), dtype=np.int64)
        row = mixing_weights[self._layout.places[snp]]
        self._mixing.mix(self.inputs(snp), row, self._powers, ones)
        return ones

    def observe(self, calls: Calls) -> None:
        """Learn the calls of the SNP that was predicted last, (n_haplotypes,)."""
        self._forward.observe(calls, self._alleles, self._state, self._odds)


class CopyingMixture(TorchEstimator):
    """Mixture of Li-Stephens models and exact matches: the probability of each call given those before it.

    Parameters
    ----------
    switch_rates : sequence of float
        Probability of a switch to another panel haplotype before a SNP, of each setting, in (0, 0.5].
    mismatch_rates : sequence of float
        Probability that a call differs from the copied haplotype's, of each setting, in [0.0002, 0.5).
    max_block : int
        SNPs of a block, at most. It changes speed more than the probabilities.

    Attributes
    ----------
    panel_ : ndarray of int8, shape (n_panel, n_snps)
        The panel; a missing call of it is filled with the SNP's commoner allele (0 on a tie).
    mixing_weights_ : ndarray of int64, shape (16, n_settings + 6)
        Weights of the inputs for each place in a block, in units of 2**-32.
    n_features_in_ : int
        Number of SNPs.
    """

    def __init__(
        self,
        switch_rates: Sequence[float] = (0.001, 0.001, 0.001),
        mismatch_rates: Sequence[float] = (0.0004, 0.008, 0.1),
        *,
        max_block: int = 32,
    ) -> None:
        self.switch_rates = switch_rates
        self.mismatch_rates = mismatch_rates
        self.max_block = max_block

    def _build_module(self) -> None:
        return None

    def _rates(self) -> npt.NDArray[np.uint64]:
        """rho, epsilon and epsilon / (1 - epsilon) of every setting, in units of 2**-32."""
        switch, mismatch = list(self.switch_rates), list(self.mismatch_rates)
        if len(switch) != len(mismatch) or not switch:
            raise ValueError(
                "switch_rates and mismatch_rates must be of one length >= 1, but their lengths are "
                f"{len(switch)} and {len(mismatch)}. Give one pair a setting."
            )
        if not all(0 < rate <= 0.5 for rate in switch) or not all(2e-4 <= e < 0.5 for e in mismatch):
            raise ValueError(
                "switch_rates must lie in (0, 0.5] and mismatch_rates in [0.0002, 0.5), but they are "
                f"{switch} and {mismatch}. Change them."
            )
        rho, err = ([round(rate * 2**32) for rate in rates] for rates in (switch, mismatch))
        return np.array([rho, err, [(e << 32) // ((1 << 32) - e) for e in err]], dtype=np.uint64)

    def _layout(self) -> _Layout:
        """Blocks of the panel; built once, and again after loading."""
        kept = getattr(self, "_kept_layout", None)
        if kept is not None and kept[0] is self.panel_:
            return kept[1]
        forward, mixing = _compiled()
        starts, pattern_of, n_patterns, first = forward.group_patterns(
            np.ascontiguousarray(self.panel_.T), self.max_block
        )
        block_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        places = np.minimum(np.arange(len(block_of)) - starts[block_of], mixing.N_PLACES - 1)
        layout = _Layout(starts, pattern_of, n_patterns, first, block_of, places)
        self._kept_layout = self.panel_, layout
        return layout

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take a panel, and train the mixture on it.

        Parameters
        ----------
        X : array of shape (n_panel, n_snps)
            Phased calls 0 and 1, -1 for missing; the two haplotypes of a person in neighbouring rows.
        y : None

        Raises
        ------
        ValueError
            If a call is not 0, 1 or -1, a setting is out of range, or there are not 4 to 2**20 haplotypes.
        """
        _compiled()
        self._rates()
        if not isinstance(self.max_block, int) or self.max_block < 1:
            raise ValueError(f"max_block must be a whole number >= 1, but it is {self.max_block!r}. Try 32.")
        panel = check_values(validate_data(self, X, dtype=None, ensure_min_samples=4))
        if len(panel) > _MAX_PANEL:
            raise ValueError(
                f"A panel must have at most {_MAX_PANEL} haplotypes, but it has {len(panel)}. Draw a sample."
            )
        common = (2 * (panel == 1).sum(axis=0) > (panel >= 0).sum(axis=0)).astype(np.int8)
        self.panel_ = np.where(panel < 0, common, panel)
        self.mixing_weights_ = self._train()
        return self

    def _train(self) -> Integers:
        """Mixing weights from panel haplotypes that are followed without themselves."""
        _, mixing = _compiled()
        n_panel, n_snps = self.panel_.shape
        n_trained = min(n_panel, max(_MIN_TRAINED, _TRAIN_CALLS // n_snps))
        # Large strides: neighbours in a file are relatives by population, and the last ones count most.
        step = next(s for s in range(max(n_trained * 5 // 8, 1), n_trained + 2) if np.gcd(s, n_trained) == 1)
        order = np.arange(n_trained) * step % n_trained
        rows = order * n_panel // n_trained
        layout = self._layout()
        inputs = np.zeros((n_trained, n_snps, len(self._rates()[0]) + 6), dtype=np.int32)
        for start in range(0, n_trained, _CHUNK):
            own = rows[start : start + _CHUNK]
            everyone = np.arange(n_panel)
            followers = _Followers(self.panel_, layout, self._rates(), everyone // 2 == own[:, None] // 2)
            for snp in range(n_snps):
                inputs[start : start + _CHUNK, snp] = followers.inputs(snp)
                followers.observe(self.panel_[own, snp])
        powers = mixing.tables()[1]
        trained = mixing.train_mixing(inputs, self.panel_[rows], layout.places, powers, np.array(_RATES))
        return np.asarray(trained)

    def fingerprint(self) -> bytes:
        """Digest of everything that a probability depends on, 8 bytes."""
        check_is_fitted(self)
        return digest([_MODEL, self.panel_, self._rates(), self._layout().starts, self.mixing_weights_])

    def _chunks(self, n_haplotypes: int) -> Iterator[tuple[slice, _Followers]]:
        check_is_fitted(self)
        layout, rates = self._layout(), self._rates()
        for start in range(0, n_haplotypes, _CHUNK):
            rows = slice(start, min(start + _CHUNK, n_haplotypes))
            nobody = np.zeros((rows.stop - rows.start, len(self.panel_)), dtype=bool)
            yield rows, _Followers(self.panel_, layout, rates, nobody)

    def write(self, calls: Calls, writer: SymbolWriter) -> None:
        """Code the calls (n_haplotypes, n_snps) that are not missing."""
        for rows, followers in self._chunks(len(calls)):
            for snp in range(self.n_features_in_):
                ones, column = followers.ones(snp, self.mixing_weights_), calls[rows, snp]
                seen = column >= 0
                writer.write(column[seen], binary_table(ones[seen]))
                followers.observe(column)

    def read(self, missing: npt.NDArray[np.bool_], reader: SymbolReader) -> Calls:
        """Decode what `write` coded, given where calls are missing; CodecError for a foreign payload."""
        if missing.shape[1] != self.n_features_in_:
            raise CodecError(
                f"The file must hold {self.n_features_in_} SNPs, but it holds {missing.shape[1]}. "
                "Fit the codec to the panel that compressed it."
            )
        calls = np.full(missing.shape, -1, dtype=np.int8)
        for rows, followers in self._chunks(len(missing)):
            for snp in range(self.n_features_in_):
                ones, seen = followers.ones(snp, self.mixing_weights_), ~missing[rows, snp]
                column = calls[rows, snp]  # a view
                column[seen] = reader.read(binary_table(ones[seen]))
                followers.observe(column)
        return calls

    def bits(self, X: Any) -> npt.NDArray[np.float64]:
        """Ideal code length of every haplotype, the panel known.

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Phased calls 0 and 1, -1 for missing, which cost nothing.
        """
        check_is_fitted(self)
        calls = check_values(validate_data(self, X, dtype=None, reset=False))
        bits = np.zeros(len(calls))
        for rows, followers in self._chunks(len(calls)):
            for snp in range(self.n_features_in_):
                table = binary_table(followers.ones(snp, self.mixing_weights_))
                column = calls[rows, snp]
                share = table[np.arange(len(column)), np.maximum(column, 0)] / TOTAL
                bits[rows] -= np.where(column < 0, 0, np.log2(share))
                followers.observe(column)
        return bits

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log2 probability of a call that is there: minus the bits per SNP, so at most 0; see `bits`."""
        return -float(self.bits(X).sum() / max((np.asarray(X) >= 0).sum(), 1))
