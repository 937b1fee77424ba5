r"""The network of GexBERT: genes as tokens, restored from any set of other genes.

A gene g with the standardised value x enters as the sum of two learned vectors, one of the gene and one of
the bin b(x) in which its value lies. A gene that is not known enters as the sum of its vector and that of
"missing". With the switch `interaction` the value also scales the gene:

.. math::
    t_g = e_g + v_{b(x_g)} + R\,\bigl(e_g \odot s_{b(x_g)}\bigr), \qquad q_g = e_g + v_{\text{missing}} .

The encoder mixes the tokens of the observed genes, H = encoder(t), by self-attention or through a few latent
tokens. S learned queries attend to H and give a summary of the sample, z. The decoder lets the query of every
asked gene attend to H and restores it:

.. math::
    \hat x_g = u_g^\top \, \text{decoder}(q_g, H) + w_g^\top z + a_g .

In each step every sample shows a few genes drawn at random, and the loss is the squared error of genes that
it did not show; that of the summary alone, :math:`w_g^\top z + a_g`, counts as well.

| symbol | name in code | shape |
|---|---|---|
| $e$ | `gene_embedding` | (p, d) |
| $v$ | `value_embedding` | bins to d |
| $v_{\text{missing}}$ | `missing_embedding` | (d,) |
| $s$ | `scale_embedding` | bins to d |
| $R$ | `scaled` | (d, d) |
| $t$ | `tokens` | (n, m, d), m genes shown |
| $q$ | `queries` | (n, k, d), k genes asked for |
| $H$ | `encode` | (n, m + 1, d), or (n, latents, d) |
| $S$ | `summary_queries` | (S, d) |
| $z$ | `summary` | (n, r) |
| $u$ | `gene_output` | (p, d) |
| $w$ | `summary_output` | (p, r) |
| $a$ | `gene_bias` | (p,) |
| $\hat x$ | `restore` | (n, k) |

References
----------
Jiang & Hassanpour 2025, GexBERT, arXiv 2504.09704. Jaegle et al. 2021, Perceiver, arXiv 2103.03206 (latent
tokens). What differs from GexBERT is listed under `latentgenomes.expression.models.gexbert.GexBERT`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentgenomes.expression.models.imputers import Array
from latentgenomes.nn.attention import AttentionBlock, SetAttention


class Encoded(NamedTuple):
    """A sample after the encoder: states (n, m, d), and which of them are real, (n, m) or None for all."""

    states: Tensor
    present: Tensor | None


@dataclass(frozen=True)
class GexBERTSize:
    """Sizes and switches of the network; see `latentgenomes.expression.models.gexbert.GexBERT`."""

    width: int = 64
    n_heads: int = 2
    n_layers: int = 2
    n_summary: int = 16
    n_embedding: int = 256
    n_bins: int = 32
    n_latents: int = 0
    continuous: bool = False
    interaction: bool = False


class GexBERTNet(nn.Module):
    """Tokens, encoder, summary and decoder: the equations of GexBERT. A training sample shows from `shown[0]`
    to `shown[1]` genes; the decoder then restores `n_restored` genes, the summary all.
    """

    edges: Tensor

    def __init__(
        self,
        n_genes: int,
        size: GexBERTSize | None = None,
        *,
        shown: tuple[int, int] = (10, 200),
        n_restored: int = 24,
    ) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.size = size = size or GexBERTSize()
        self.shown = shown
        self.n_restored = n_restored
        d = size.width
        self.gene_embedding = nn.Parameter(0.1 * torch.randn(n_genes, d))
        self.value_embedding = _value_embedding(size, 0.5 * torch.randn(d))
        self.missing_embedding = nn.Parameter(0.1 * torch.randn(d))
        self.start_token = nn.Parameter(0.1 * torch.randn(d))
        self.scale_embedding = _value_embedding(size, torch.ones(d)) if size.interaction else None
        self.scaled = nn.Linear(d, d) if size.interaction else None
        self.register_buffer("edges", torch.linspace(-2.5, 2.5, size.n_bins - 1))
        self.latents = nn.Parameter(0.5 * torch.randn(size.n_latents, d))
        self.reader = AttentionBlock(d, size.n_heads) if size.n_latents else None
        self.layers = nn.ModuleList([AttentionBlock(d, size.n_heads) for _ in range(size.n_layers)])
        self.norm = nn.LayerNorm(d)
        self.summary_queries = nn.Parameter(0.5 * torch.randn(size.n_summary, d))
        self.summary_attention = SetAttention(d, size.n_heads)
        r = size.n_embedding
        self.summary_network = nn.Sequential(nn.Linear(size.n_summary * d, r), nn.GELU(), nn.Linear(r, r))
        self.summary_output = nn.Parameter(0.02 * torch.randn(n_genes, r))
        self.decoder = AttentionBlock(d, size.n_heads)
        self.decoder_norm = nn.LayerNorm(d)
        self.gene_output = nn.Parameter(0.02 * torch.randn(n_genes, d))
        self.gene_bias = nn.Parameter(torch.zeros(n_genes))

    def set_edges(self, values: Array) -> None:
        """Space the edges of the bins evenly between the outer half percents of `values`, (n,)."""
        low, high = np.quantile(values, [0.005, 0.995])
        high = high if high > low else low + 1.0
        self.edges.copy_(torch.linspace(float(low), float(high), len(self.edges)))

    def start_from(self, correlation: Array) -> None:
        """Start gene embeddings and outputs from the leading eigenvectors of the correlation, (p, p)."""
        sizes, vectors = np.linalg.eigh(correlation)
        sizes, vectors = np.maximum(sizes[::-1], 0.0), vectors[:, ::-1]
        vectors = vectors * np.where(vectors.sum(0) < 0, -1.0, 1.0)  # eigh leaves the sign open
        k = min(self.n_genes, self.size.width, self.size.n_embedding)
        wide = torch.from_numpy(vectors[:, :k] * self.n_genes**0.5).float()
        steep = torch.from_numpy(vectors[:, :k] * np.sqrt(sizes[:k]) * 0.3).float()
        with torch.no_grad():
            self.gene_embedding[:, :k] = wide
            self.summary_output[:, :k] = steep

    def tokens(self, genes: Tensor, values: Tensor) -> Tensor:
        """Tokens of observed genes: positions and standardised values, (n, m) -> (n, m, d)."""
        embedded = F.embedding(genes, self.gene_embedding)
        given = (
            values.unsqueeze(-1) if self.size.continuous else torch.bucketize(values.contiguous(), self.edges)
        )
        tokens = embedded + self.value_embedding(given)
        if self.scaled is not None and self.scale_embedding is not None:
            tokens = tokens + self.scaled(embedded * self.scale_embedding(given))
        return tokens

    def queries(self, genes: Tensor) -> Tensor:
        """Tokens of genes that are not known: positions (n, k) -> (n, k, d)."""
        return F.embedding(genes, self.gene_embedding) + self.missing_embedding

    def _started(self, genes: Tensor, values: Tensor, present: Tensor | None) -> Encoded:
        """Tokens behind a start token, which stands even where no gene is observed."""
        start = self.start_token.expand(len(genes), 1, -1)
        tokens = torch.cat([start, self.tokens(genes, values)], dim=1)
        if present is not None:
            present = F.pad(present, (1, 0), value=True)
        return Encoded(tokens, present)

    def encode(self, genes: Tensor, values: Tensor, present: Tensor | None = None) -> Encoded:
        """States H of samples: observed genes and values, (n, m), where `present` if numbers differ."""
        states, present = self._started(genes, values, present)
        if self.reader is not None:
            states, present = self.reader(self.latents.expand(len(genes), -1, -1), states, present), None
        for layer in self.layers:
            states = layer(states, states, present)
        return Encoded(self.norm(states), present)

    def summary(self, encoded: Encoded) -> Tensor:
        """Summaries z of samples, (n, r)."""
        queries = self.summary_queries.expand(len(encoded.states), -1, -1)
        read = self.summary_attention(queries, encoded.states, encoded.present)  # (n, S, d)
        return self.summary_network(read.flatten(1))

    def _decoded(self, encoded: Encoded, genes: Tensor) -> Tensor:
        """What the decoder adds for the asked genes, (n, k)."""
        states = self.decoder_norm(self.decoder(self.queries(genes), encoded.states, encoded.present))
        return (states * F.embedding(genes, self.gene_output)).sum(-1)

    def restore(self, encoded: Encoded, genes: Tensor | None = None) -> Tensor:
        """Standardised values of the genes at positions `genes`, (n, k), or of all genes, (n, p)."""
        everything = self.summary(encoded) @ self.summary_output.T + self.gene_bias
        if genes is None:
            genes = torch.arange(self.n_genes, device=everything.device).expand(len(everything), -1)
            return everything + self._decoded(encoded, genes)
        return everything.gather(1, genes) + self._decoded(encoded, genes)

    def attention_weights(self, genes: Tensor, values: Tensor, asked: Tensor) -> Tensor:
        """How much the query of each asked gene attends to each observed one, mean of heads, (n, k, m),
        through latent tokens where there are. The start token is left out, so that rows sum to less than 1.
        """
        encoded = self.encode(genes, values)
        weights = self.decoder.weights(self.queries(asked), encoded.states).mean(1)
        if self.reader is not None:
            tokens = self._started(genes, values, None).states
            latents = self.latents.expand(len(genes), -1, -1)
            weights = weights @ self.reader.weights(latents, tokens).mean(1)
        return weights[..., 1:]

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what a step shows: an order of the genes, (n, p), and how many come first, log-uniform."""
        low, high = (min(bound, self.n_genes - 1) for bound in self.shown)
        share = float(torch.rand((), generator=generator))
        n_shown = round((low + 1) * ((high + 1) / (low + 1)) ** share) - 1
        order = torch.rand(n_samples, self.n_genes, generator=generator)
        return {"order": order, "n_shown": torch.tensor(n_shown)}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared errors of genes that were not shown, in variances of a gene: "restored", over
        `n_restored` genes, and "summarised", over all, by the summary alone. "values", (n, p), are
        standardised, NaN where missing; genes come in increasing noise "order", missing ones last.
        """
        values, n_shown = batch["values"], int(noise["n_shown"])
        missing = values.isnan()
        order = (noise["order"] + missing).argsort(1)
        values, known = values.nan_to_num(0.0).gather(1, order), (~missing).gather(1, order)
        shown, hidden = slice(0, n_shown), slice(n_shown, None)
        present = None if bool(known[:, shown].all()) else known[:, shown]
        encoded = self.encode(order[:, shown], values[:, shown], present)
        summary = self.summary(encoded) @ self.summary_output.T + self.gene_bias  # (n, p)
        asked = order[:, n_shown : n_shown + self.n_restored]
        part = summary.gather(1, asked) + self._decoded(encoded, asked)
        error = {
            "restored": (part, slice(n_shown, n_shown + self.n_restored)),
            "summarised": (summary.gather(1, order[:, hidden]), hidden),
        }
        return {
            name: ((guess - values[:, columns]).square() * known[:, columns]).sum()
            / known[:, columns].sum().clamp_min(1)
            for name, (guess, columns) in error.items()
        }


def _value_embedding(size: GexBERTSize, slope: Tensor) -> nn.Module:
    """Vectors of values: one for each bin, which start near `slope` times the value, or a small network."""
    if size.continuous:
        return nn.Sequential(nn.Linear(1, size.width), nn.GELU(), nn.Linear(size.width, size.width))
    embedding = nn.Embedding(size.n_bins, size.width)
    centres = torch.linspace(-2.6, 2.6, size.n_bins).unsqueeze(-1)
    with torch.no_grad():
        embedding.weight.mul_(0.1).add_(centres * slope)  # (bins, d)
    return embedding
