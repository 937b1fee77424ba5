"""Attention over a set of tokens, and the block that holds it.

Tokens have no positions here: a set in another order gives the same answers in that order.

References
----------
Vaswani et al. 2017, Attention is all you need, section 3.2. The order of normalisation is that of Xiong et
al. 2020, On layer normalization in the transformer architecture.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class SetAttention(nn.Module):
    """Multi-head attention from queries to the tokens of a set; `width` is a multiple of `n_heads`."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        if width % n_heads:
            raise ValueError(f"width must be a multiple of n_heads, but {width} and {n_heads} came.")
        self.n_heads = n_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def _split(self, tokens: Tensor) -> Tensor:
        """Heads in front of the tokens: (n, t, width) -> (n, heads, t, width / heads)."""
        return tokens.unflatten(-1, (self.n_heads, -1)).transpose(-2, -3)

    def forward(self, queries: Tensor, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Mix the tokens, (n, t, width), for each query, (n, q, width).

        Tokens that are False in `present`, (n, t), are left out; every row has one at least.
        """
        mask = None if present is None else present[:, None, None, :]
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(tokens)),
            self._split(self.value(tokens)),
            attn_mask=mask,
        )
        return self.output(mixed.transpose(-2, -3).flatten(-2))

    def weights(self, queries: Tensor, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Weight of each token for each query, (n, heads, q, t), >= 0; the sum over tokens is 1."""
        query, key = self._split(self.query(queries)), self._split(self.key(tokens))
        affinity = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if present is not None:
            affinity = affinity.masked_fill(~present[:, None, None, :], float("-inf"))
        return affinity.softmax(-1)


class AttentionBlock(nn.Module):
    """Attention, then a network on each token; both add to what was there, after normalisation.

    The hidden layer of the network on each token is `expansion` widths of a token wide.
    """

    def __init__(self, width: int, n_heads: int, *, expansion: int = 2) -> None:
        super().__init__()
        self.attention = SetAttention(width, n_heads)
        self.query_norm = nn.LayerNorm(width)
        self.token_norm = nn.LayerNorm(width)
        self.norm = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, queries: Tensor, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """New queries, (n, q, width); with `tokens` the queries themselves it is self-attention."""
        mixed = queries + self.attention(self.query_norm(queries), self.token_norm(tokens), present)
        return mixed + self.network(self.norm(mixed))

    def weights(self, queries: Tensor, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Attention weights of the block, see `SetAttention.weights`."""
        return self.attention.weights(self.query_norm(queries), self.token_norm(tokens), present)
