r"""GexBERT: any genes in, any genes out, and an embedding of the sample.

Genes are standardised by the mean and the standard deviation of their observed training values,
:math:`x = (y - \mu) / \sigma`, and back. The equations of the network stand in
`latentgenomes.expression.models.gexbert_net`, its training in `latentgenomes.expression.models.pretraining`.

| symbol | name in code | shape |
|---|---|---|
| $y$ | `X` | (n, p), NaN where missing |
| $\mu$ | `mean_` | (p,) |
| $\sigma$ | `scale_` | (p,) |
| $z$ | `transform` | (n, r) |
| $\hat y$ | `restore` | (n, k) |
| $A$ | `attention_map` | (p, p) |

References
----------
Jiang & Hassanpour 2025, GexBERT, arXiv 2504.09704.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from latentgenomes.expression.models.gexbert_net import Encoded, GexBERTNet, GexBERTSize
from latentgenomes.expression.models.imputers import Array, Mask, RandomState
from latentgenomes.expression.models.pretraining import PretrainConfig, pretrain
from latentgenomes.nn.estimator import TorchEstimator

_ROWS = 64  # samples of one pass; those with about as many genes go together


class GexBERT(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator):
    """Masked autoencoder of genes: pretrained by restoring hidden genes, for any set of observed ones.

    Parameters
    ----------
    width, n_heads, n_layers : length of a token, heads of attention, layers of the encoder
    n_embedding, n_summary : length of a sample's embedding, and queries that gather it from the genes
    value_encoding : "bins", one vector for each bin of the value, or "continuous", a small network of it
    n_bins : their edges are spaced evenly over the training values, without the outer half percents
    interaction : let the value also scale the embedding of its gene; without, the two are only added
    attention : "full", every gene attends to every gene, or "latent", `n_latents` tokens read the genes
    n_latents : tokens that attend to one another, with "latent"
    fewest_shown, most_shown : genes that a training sample shows, log-uniform between the two
    n_restored : hidden genes that the decoder restores in a step
    eigenvectors : start gene embeddings from eigenvectors of the training correlation, not at random
    n_steps, batch_size, learning_rate, weight_decay : see `latentgenomes.expression.models.pretraining`
    checkpoint : file to which training is written as it goes; a killed run, fitted again, goes on from it
    stop_at : stop after so many steps; fitted again with another value and the same `checkpoint`, it goes on
    device : "auto" takes the GPU where there is one
    random_state : int, RandomState or None; the seed

    Attributes
    ----------
    mean_, scale_ : of the observed training values, (n_genes,); a constant gene has scale 1
    history_ : squared errors in training, in variances of a gene, by step and seconds of processor time
    module_ : the trained GexBERTNet

    Notes
    -----
    Of the paper's network its widths, depths and loss are not known. Known are the sum of a gene's and a
    value's embedding, "missing" as a value, the sampling of genes in every iteration, encoder and decoder.
    Added here: `eigenvectors`; the summary of the sample, which restores all genes at little cost and gives
    the embedding; one output vector for each gene. Genes that are hidden do not enter the encoder, so its
    cost falls with the missing rate. `interaction`, "continuous" and "latent" are alternatives to measure.
    """

    module_: GexBERTNet

    def __init__(
        self,
        *,
        width: int = 64,
        n_heads: int = 2,
        n_layers: int = 2,
        n_embedding: int = 256,
        n_summary: int = 16,
        value_encoding: str = "bins",
        n_bins: int = 32,
        interaction: bool = False,
        attention: str = "full",
        n_latents: int = 16,
        fewest_shown: int = 10,
        most_shown: int = 200,
        n_restored: int = 24,
        eigenvectors: bool = True,
        n_steps: int = 5000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.03,
        checkpoint: str | None = None,
        stop_at: int | None = None,
        device: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.width = width
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.n_embedding = n_embedding
        self.n_summary = n_summary
        self.value_encoding = value_encoding
        self.n_bins = n_bins
        self.interaction = interaction
        self.attention = attention
        self.n_latents = n_latents
        self.fewest_shown = fewest_shown
        self.most_shown = most_shown
        self.n_restored = n_restored
        self.eigenvectors = eigenvectors
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.checkpoint = checkpoint
        self.stop_at = stop_at
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Pretrain on samples X, (n_samples, n_genes), NaN where missing; `y` is ignored.

        Raises
        ------
        ValueError
            If a gene is missing in all samples, a setting out of range, or the checkpoint of another run.
        FloatingPointError
            If training diverges.
        """
        self._check_settings()
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        observed = np.isfinite(values)
        empty = np.flatnonzero(~observed.any(0))
        if len(empty):
            raise ValueError(
                f"X must observe every gene in at least one sample, but {len(empty)} of {values.shape[1]} "
                f"genes are missing everywhere; the first is column {empty[0]}. Leave them out."
            )
        self.mean_ = np.nanmean(values, axis=0)
        spread = np.nanstd(values, axis=0)
        self.scale_ = np.where(spread > 1e-10 * np.maximum(np.abs(self.mean_), 1e-300), spread, 1.0)
        standardised = (values - self.mean_) / self.scale_
        seeds = self._seeds(2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds[0])
            module = self._build_module()
        module.set_edges(standardised[observed])
        if self.eigenvectors:
            filled = np.where(observed, standardised, 0.0)
            module.start_from(filled.T @ filled / len(filled))
        config = PretrainConfig(
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        data = {"values": torch.from_numpy(standardised).float().to(self._device())}
        self.module_ = module.to(self._device())
        self.history_ = pretrain(
            self.module_, data, config, seed=seeds[1], checkpoint=self.checkpoint, stop_at=self.stop_at
        )
        return self

    def transform(self, X: Any) -> Array:
        """Embed samples X, (n_samples, n_genes), NaN where missing: (n_samples, n_embedding)."""
        values, observed = self._standardised(X)
        return self._predict(values, observed, lambda encoded, _: self.module_.summary(encoded))

    def restore(self, X: Any, genes: Sequence[Any] | npt.ArrayLike | None = None) -> Array:
        """Predict genes from the observed ones, (n_samples, n_asked), in the units of X, observed genes too.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_genes), with the genes of the fit; NaN where missing
        genes : positions, or names if the fit had names, all by default; an unknown one raises a ValueError
        """
        values, observed = self._standardised(X)
        columns = np.arange(self.n_features_in_) if genes is None else self._positions(genes)
        asked = torch.from_numpy(columns).to(self._device())
        predicted = self._predict(
            values, observed, lambda encoded, n: self.module_.restore(encoded, asked.expand(n, -1))
        )
        return predicted * self.scale_[columns] + self.mean_[columns]

    def impute(self, X: Any) -> Array:
        """Fill what is missing in X, (n_samples, n_genes); what was observed comes back unchanged."""
        predicted = self.restore(X)
        given = np.asarray(X, dtype=np.float64)
        return np.where(np.isfinite(given), given, predicted)

    def attention_map(self, X: Any) -> Array:
        """Mean attention over samples in which all genes are known, (n_genes, n_genes): entry (g, h) is the
        weight of gene h in restoring gene g; the diagonal is 0 and rows sum to 1.
        """
        values, observed = self._standardised(X)
        if not observed.all():
            raise ValueError(
                f"Attention is read from samples in which all genes are known, but {(~observed).sum()} "
                "values are missing. Impute them first, or leave those samples out."
            )
        p, device = values.shape[1], self._device()
        genes = torch.arange(p, device=device)
        total = torch.zeros(p, p, device=device)
        for start in range(0, len(values), 16):
            block = torch.from_numpy(values[start : start + 16]).float().to(device)
            places = genes.expand(len(block), -1)
            with torch.no_grad():
                total += self.module_.attention_weights(places, block, places).sum(0)
        weights = total.cpu().numpy().astype(np.float64)
        np.fill_diagonal(weights, 0.0)
        return weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)

    def _check_settings(self) -> None:
        choices = {"value_encoding": ("bins", "continuous"), "attention": ("full", "latent")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, but {getattr(self, name)!r} came.")
        at_least = dict.fromkeys(
            (
                "width",
                "n_heads",
                "n_layers",
                "n_embedding",
                "n_summary",
                "n_latents",
                "n_restored",
                "n_steps",
            ),
            1,
        )
        for name, least in (at_least | {"n_bins": 2, "batch_size": 1, "fewest_shown": 0}).items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but {getattr(self, name)!r} came.")
        if self.most_shown < max(self.fewest_shown, 1):
            raise ValueError(
                f"most_shown must be at least 1 and fewest_shown ({self.fewest_shown}), but "
                f"{self.most_shown} came."
            )

    def _standardised(self, X: Any) -> tuple[Array, Mask]:
        """Checked samples: standardised values, 0 where missing, and which are observed."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        observed = np.isfinite(values)
        return np.where(observed, (values - self.mean_) / self.scale_, 0.0), observed

    def _positions(self, genes: Sequence[Any] | npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Positions of genes given by position or by name."""
        asked = np.atleast_1d(np.asarray(genes))
        p = self.n_features_in_
        if asked.dtype.kind in "iu":
            known = (asked >= 0) & (asked < p)
            found = asked
        else:
            found = pd.Index(getattr(self, "feature_names_in_", ())).get_indexer(pd.Index(asked))
            known = found >= 0
        if not known.all():
            raise ValueError(
                f"genes must be among the {p} of the fit, but {(~known).sum()} of {len(asked)} are not; the "
                f"first is {asked[~known].tolist()[0]!r}. Leave them out."
            )
        return found.astype(np.int64)

    def _predict(self, values: Array, observed: Mask, answer: Callable[[Encoded, int], Tensor]) -> Array:
        """Answers of the network for each sample, in the order of the samples."""
        parts, places = [], []
        with torch.no_grad():
            for rows in _blocks(observed):
                encoded = self.module_.encode(*self._packed(values[rows], observed[rows]))
                parts.append(answer(encoded, len(rows)).cpu().numpy())
                places.append(rows)
        joined: Array = np.concatenate(parts).astype(np.float64)
        return joined[np.argsort(np.concatenate(places), kind="stable")]

    def _packed(self, values: Array, observed: Mask) -> tuple[Tensor, Tensor, Tensor | None]:
        """Observed genes of each sample side by side: positions, values, and which places are filled."""
        counts = observed.sum(1)
        order = np.argsort(~observed, axis=1, kind="stable")[:, : counts.max()]
        present = np.arange(counts.max()) < counts[:, None]
        device = self._device()
        return (
            torch.from_numpy(order).to(device),
            torch.from_numpy(np.take_along_axis(values, order, axis=1)).float().to(device),
            None if present.all() else torch.from_numpy(present).to(device),
        )

    def _build_module(self) -> GexBERTNet:
        size = GexBERTSize(
            width=self.width,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            n_summary=self.n_summary,
            n_embedding=self.n_embedding,
            n_bins=self.n_bins,
            n_latents=self.n_latents if self.attention == "latent" else 0,
            continuous=self.value_encoding == "continuous",
            interaction=self.interaction,
        )
        return GexBERTNet(
            self.n_features_in_, size, shown=(self.fewest_shown, self.most_shown), n_restored=self.n_restored
        )

    @property
    def _n_features_out(self) -> int:
        return self.n_embedding

    def __sklearn_tags__(self) -> Tags:
        """State that NaN is welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _blocks(observed: Mask) -> Iterator[npt.NDArray[np.int64]]:
    """Rows in blocks of about equally many observed genes."""
    order = np.argsort(observed.sum(1), kind="stable")
    yield from np.split(order, range(_ROWS, len(order), _ROWS))
