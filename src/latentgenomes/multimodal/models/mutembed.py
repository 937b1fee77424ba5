r"""MutEmbed: one embedding of several mutation profiles, by attention between them.

A profile enters as frequencies, standardised over the samples of the fit. Each is projected to a common
width; the projections are a short sequence, in which every profile attends to every other. Positions are not
encoded: which profile a row is, its own projection says. The mean over the profiles becomes the embedding,
from which separate linear decoders restore every profile:

.. math::
    z_i &= P_i(m_i), \qquad A = \text{softmax}\left(\frac{(Z W_Q)(Z W_K)^\top}{\sqrt{E}}\right), \qquad
    Z' = A\, Z W_V, \\
    h &= \text{ReLU}\left(W_L \cdot \text{mean}_i\, z'_i\right), \qquad m'_i = D_i(h).

Training minimises, per sample, the squared error summed over the profiles that it has,

.. math:: L = \sum_i \lVert m_i - m'_i \rVert^2 .

A profile that a sample does not have is left out of the attention, the mean and the loss.

| symbol | name in code | shape |
|---|---|---|
| $m$ | `standardized` | (n, d), all profiles side by side |
| $P$ | `projections` | k maps of d_i to E |
| $Z$ | `tokens` | (n, k, E) |
| $W_Q$ | `query` | (E, E) |
| $W_K$ | `key` | (E, E) |
| $W_V$ | `value` | (E, E) |
| $A$ | `attention_weights` | (n, layers, k, k), rows sum to 1 |
| $W_L$ | `to_latent` | (E, 64) |
| $h$ | `embedding` | (n, 64), >= 0 |
| $D$ | `decoders` | k maps of 64 to d_i |
| $L$ | `error` | (n, d), summed over channels, mean over samples |

References
----------
Narain et al. 2025, MutEmbed, ICLR 2025 Tiny Papers. Choices that the paper leaves open are under `MutEmbed`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from latentgenomes.multimodal.models.embedder import ProfileEmbedder
from latentgenomes.multimodal.models.features import column_slices
from latentgenomes.nn.train import TrainConfig


class ProfileAttention(nn.Module):
    """One layer of attention between the profiles of a sample: equations 1 and 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)

    def weights(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Attention of profile i to profile j: (n, k, E) and (n, k) -> (n, k, k), 0 where j is absent."""
        affinity = self.query(tokens) @ self.key(tokens).transpose(-1, -2) / tokens.shape[-1] ** 0.5
        return affinity.masked_fill(~present.unsqueeze(-2), float("-inf")).softmax(-1)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Mix the profiles: (n, k, E) -> (n, k, E)."""
        return self.weights(tokens, present) @ self.value(tokens)


class MutEmbedNet(nn.Module):
    """Projections of profiles of d_i channels, attention, mean, linear decoders: MutEmbed's equations."""

    def __init__(
        self, lengths: Sequence[int], *, width: int = 265, n_latent: int = 64, n_layers: int = 1
    ) -> None:
        super().__init__()
        self.columns = column_slices(lengths)
        self.projections = nn.ModuleList([nn.Linear(length, width) for length in lengths])
        self.layers = nn.ModuleList([ProfileAttention(width) for _ in range(n_layers)])
        self.to_latent = nn.Linear(width, n_latent)
        self.decoders = nn.ModuleList([nn.Linear(n_latent, length) for length in lengths])

    def tokens(self, standardized: Tensor) -> Tensor:
        """Projected profiles Z: (n, d) -> (n, k, E)."""
        blocks = zip(self.projections, self.columns, strict=True)
        return torch.stack([project(standardized[:, columns]) for project, columns in blocks], dim=-2)

    def embedding(self, standardized: Tensor, present: Tensor) -> Tensor:
        """Embeddings h: (n, d) and (n, k) -> (n, n_latent), >= 0."""
        tokens = self.tokens(standardized)
        for layer in self.layers:
            tokens = layer(tokens, present)
        share = present.to(tokens.dtype) / present.sum(-1, keepdim=True)
        mean = (tokens * share.unsqueeze(-1)).sum(-2)  # (n, k, E) -> (n, E)
        return self.to_latent(mean).relu()

    def reconstruction(self, embedding: Tensor) -> Tensor:
        """Restored standardised profiles m': (n, n_latent) -> (n, d)."""
        return torch.cat([decode(embedding) for decode in self.decoders], dim=-1)

    def attention_weights(self, standardized: Tensor, present: Tensor) -> Tensor:
        """Attention A of every layer: (n, d) and (n, k) -> (n, n_layers, k, k)."""
        tokens, read = self.tokens(standardized), []
        for layer in self.layers:
            read.append(cast(ProfileAttention, layer).weights(tokens, present))
            tokens = layer(tokens, present)
        return torch.stack(read, dim=1)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw nothing: MutEmbed has no randomness."""
        return {}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one term of the objective, "squared_error" = L in variances of a channel; see
        `FusionNet.terms`.
        """
        restored = self.reconstruction(self.embedding(batch["standardized"], batch["present"]))
        error = ((batch["standardized"] - restored) * batch["observed"]).square()
        return {"squared_error": error.sum(-1).mean()}


class MutEmbed(ProfileEmbedder):
    """MutEmbed: a 64-dimensional embedding of several mutation profiles.

    Parameters
    ----------
    profiles : sequence of int or None
        Channels of every profile, in column order. None reads them from column names such as
        ``SBS96|A[C>A]A``, and takes a table without such names as one profile.
    n_latent, width, n_layers : int
        Length of the embedding, common width of the projected profiles, layers of attention. The paper prints
        a width of 265, which may mean 256.
    max_epochs, batch_size, learning_rate, device, random_state : int, int, float, str, int
        Training, see `latentgenomes.nn.train.TrainConfig`; no early stopping. "auto" takes a GPU.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_channels,)
        Of every channel's frequency over the samples of the fit that have the profile; one that never varies
        has scale 1.
    profile_names_, profile_lengths_ : list
        Profiles in column order, and their channels.
    module_, history_ : MutEmbedNet, DataFrame
        The trained network, and its error by epoch, see `latentgenomes.nn.train.run`.

    Notes
    -----
    The paper has no public code. Where its text is open, this is what was chosen: "frequency standardized and
    normalized" is counts divided by the sample's total in the profile, then standardised per channel; the
    attention has one head, and no residual connection, normalisation or dropout, as in its equations; the
    projections and decoders have biases, the attention has none. Profiles that a sample does not have are
    masked; the paper had none. A profile in which nothing was found has frequencies 0. The last, incomplete
    batch of an epoch is left out.

    References
    ----------
    Narain et al. 2025, MutEmbed, ICLR 2025 Tiny Papers, appendix A.1.
    """

    module_: MutEmbedNet

    def __init__(
        self,
        profiles: Sequence[int] | None = None,
        *,
        n_latent: int = 64,
        width: int = 265,
        n_layers: int = 1,
        max_epochs: int = 500,
        batch_size: int = 32,
        learning_rate: float = 6e-4,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.profiles = profiles
        self.n_latent = n_latent
        self.width = width
        self.n_layers = n_layers
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def attention(self, X: Any) -> np.ndarray:
        """Attention of every sample: (n_samples, n_layers, n_profiles, n_profiles), for counts as in `fit`.

        Entry (i, j) is the weight of profile j in the new row of profile i; rows sum to 1. It is 0 where j is
        absent, and NaN where i is.
        """
        batch = self._checked_batch(X)
        with torch.no_grad():
            weights = self.module_.attention_weights(batch["standardized"], batch["present"])
            weights = weights.masked_fill(~batch["present"][:, None, :, None], float("nan"))
        return weights.cpu().numpy()

    def _feature_parts(self) -> Sequence[str]:
        return ("frequency",)

    def _train_config(self) -> TrainConfig:
        self._refuse_below(1, ("n_latent", "width", "n_layers"))
        return TrainConfig(
            max_epochs=self.max_epochs, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def _build_module(self) -> MutEmbedNet:
        return MutEmbedNet(
            self.feature_lengths_, width=self.width, n_latent=self.n_latent, n_layers=self.n_layers
        )
