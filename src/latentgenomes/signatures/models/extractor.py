"""What every signature extractor can do once it has signatures: counts are Poisson around ``rate = e S``."""

from abc import abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.nn.estimator import TorchEstimator
from latentgenomes.signatures.models import poisson


class SignatureExtractor(TransformerMixin, TorchEstimator):
    """Abstract base of the extractors: `_extract` sets ``components_`` and ``training_exposures_``."""

    n_signatures: int
    n_restarts: int
    max_mutations: float | None
    components_: np.ndarray
    training_exposures_: np.ndarray

    @abstractmethod
    def _extract(self, counts: np.ndarray) -> None:
        """Fit to checked counts, (n_samples, n_channels) float64."""

    @abstractmethod
    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        """Exposures in mutations, (n_samples, n_signatures), of checked counts."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Extract signatures from a catalogue.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0, one row a sample.
        y : None
            Ignored.
        """
        counts = validate_data(self, X, dtype=np.float64, ensure_non_negative=True, ensure_min_samples=2)
        for name in ("n_signatures", "n_restarts"):
            if not isinstance(getattr(self, name), Integral) or getattr(self, name) < 1:
                raise ValueError(f"{name} must be a whole number >= 1, but {getattr(self, name)!r} came.")
        if self.max_mutations is not None and not self.max_mutations > 0:
            raise ValueError(
                f"max_mutations must be > 0, or None for no limit, but {self.max_mutations!r} came."
            )
        if not counts.sum() > 0:
            raise ValueError("X must hold mutations, but every count is 0.")
        self._extract(counts)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Estimate the exposures of samples: mutations that each signature contributed.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0, with the channels of the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_signatures)
        """
        return self._exposures(self._check(X))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Expected catalogue of exposures: ``e S``.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_signatures)
            Exposures in mutations.

        Returns
        -------
        ndarray of shape (n_samples, n_channels)
        """
        check_is_fitted(self)
        exposures = np.asarray(X, dtype=np.float64)
        if exposures.ndim != 2 or exposures.shape[1] != len(self.components_):
            raise ValueError(
                f"exposures must have one column per signature ({len(self.components_)}), "
                f"but their shape is {exposures.shape}."
            )
        return exposures @ self.components_

    def score(self, X: Any, y: Any = None) -> float:
        """Mean Poisson log-likelihood of samples under their own exposures, in nats per mutation.

        The exact log x! is included, so models can be compared on the same samples. Higher is better.
        """
        counts = self._check(X)
        rates = torch.from_numpy(self._exposures(counts) @ self.components_)
        log_prob = poisson.log_prob(torch.from_numpy(counts), rates)
        return float(log_prob.sum() / counts.sum())

    def sample(
        self, n_samples: int = 1, *, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw new catalogues: a training sample's exposures, then Poisson counts around ``e S``.

        Parameters
        ----------
        n_samples : int
            How many.
        random_state : int, RandomState or None
            Source of randomness.

        Returns
        -------
        ndarray of shape (n_samples, n_channels)
            Whole counts.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, but {n_samples} came.")
        rng = check_random_state(random_state)
        rows = rng.randint(len(self.training_exposures_), size=n_samples)
        return rng.poisson(self._sampled_exposures(rows, rng) @ self.components_)

    def _sampled_exposures(self, rows: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Exposures of new samples drawn after the training samples `rows`."""
        return self.training_exposures_[rows]

    @property
    def signatures_(self) -> pd.DataFrame:
        """Signatures: one row each, summing to 1, over the channels of the fit."""
        check_is_fitted(self)
        channels = getattr(self, "feature_names_in_", None)
        if channels is None:
            channels = [f"x{i}" for i in range(self.n_features_in_)]
        return pd.DataFrame(self.components_, index=self.get_feature_names_out(), columns=channels)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the signatures: S1, S2, ... from the largest total exposure down."""
        check_is_fitted(self)
        return np.array([f"S{k + 1}" for k in range(len(self.components_))], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, ensure_non_negative=True, reset=False)

    def _cap(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scale samples above `max_mutations` down to it; also what to multiply exposures with, (n, 1)."""
        totals = counts.sum(1, keepdims=True)
        limit = np.inf if self.max_mutations is None else self.max_mutations
        factor = np.maximum(totals / limit, 1.0)
        return counts / factor, factor

    def _keep(self, components: np.ndarray, exposures: np.ndarray) -> np.ndarray:
        """Store signatures and exposures from the largest total exposure down; return that order."""
        order = np.argsort(-exposures.sum(0), kind="stable")
        self.components_ = np.ascontiguousarray(components[order])
        self.training_exposures_ = np.ascontiguousarray(exposures[:, order])
        return order
