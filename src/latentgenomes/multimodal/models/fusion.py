r"""Denoising autoencoder of several mutation profiles, fused by concatenation.

A profile enters as centred log-ratios and the logarithm of its total, standardised over the samples of the
fit. Each has an encoder of its own; the encoded profiles are put side by side and mapped to the embedding,
from which separate linear decoders restore every profile:

.. math::
    t_i = B_i\, \text{GELU}\big(A_i\, (c_i \odot m_i)\big), \qquad h = F\,[t_1, \dots, t_k], \qquad
    m'_i = D_i(h).

In training, features are left out at random (c) and so are whole profiles; the network must restore what it
was not shown. A profile that is left out, or that a sample does not have, enters as a learned vector t in
place of its encoding. The loss is the squared error of every profile that the sample has, shown or not:

.. math:: L = \sum_i \lVert m_i - m'_i \rVert^2 .

| symbol | name in code | shape |
|---|---|---|
| $m$ | `standardized` | (n, d), all profiles side by side |
| $c$ | `feature_mask` | (n, d) |
| $A, B$ | `encoders` | k maps of d_i to E to E |
| $t$ | `tokens` | (n, k, E) |
| $F$ | `to_latent` | (k E, q) |
| $h$ | `embedding` | (n, q) |
| $D$ | `decoders` | k maps of q to d_i |
| $L$ | `error` | (n, d), summed over features, mean over samples |

References
----------
Vincent et al. 2010, J Mach Learn Res 11:3371-3408 (denoising autoencoders).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from latentgenomes.multimodal.models.embedder import ProfileEmbedder
from latentgenomes.multimodal.models.features import CLR, column_slices
from latentgenomes.nn.train import TrainConfig


class FusionNet(nn.Module):
    """An encoder per profile of d_i features, concatenation, linear decoders."""

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        width: int = 128,
        n_latent: int = 128,
        feature_dropout: float = 0.2,
        profile_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.columns = column_slices(lengths)
        self.feature_dropout = feature_dropout
        self.profile_dropout = profile_dropout
        self.encoders = nn.ModuleList(
            [nn.Sequential(nn.Linear(n, width), nn.GELU(), nn.Linear(width, width)) for n in lengths]
        )
        self.absent = nn.Parameter(torch.zeros(len(lengths), width))
        self.to_latent = nn.Linear(len(lengths) * width, n_latent)
        self.decoders = nn.ModuleList([nn.Linear(n_latent, n) for n in lengths])

    def tokens(self, standardized: Tensor, shown: Tensor) -> Tensor:
        """Encoded profiles t, learned vectors where not shown: (n, d) and (n, k) -> (n, k, E)."""
        blocks = zip(self.encoders, self.columns, strict=True)
        encoded = torch.stack([encoder(standardized[:, columns]) for encoder, columns in blocks], dim=-2)
        return torch.where(shown.unsqueeze(-1), encoded, self.absent)

    def embedding(self, standardized: Tensor, shown: Tensor) -> Tensor:
        """Embeddings h: (n, d) and (n, k) -> (n, q)."""
        return self.to_latent(self.tokens(standardized, shown).flatten(-2))

    def reconstruction(self, embedding: Tensor) -> Tensor:
        """Restored standardised profiles m': (n, q) -> (n, d)."""
        return torch.cat([decode(embedding) for decode in self.decoders], dim=-1)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the masks of `terms`: features kept (scaled), and profiles kept."""
        device = generator.device
        features = torch.empty(n_samples, self.columns[-1].stop, device=device).uniform_(generator=generator)
        profiles = torch.empty(n_samples, len(self.columns), device=device).uniform_(generator=generator)
        kept = (features >= self.feature_dropout).float() / (1.0 - self.feature_dropout)
        return {"feature_mask": kept, "profile_mask": profiles >= self.profile_dropout}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one term of the objective, "squared_error" = L in variances of a feature.

        The batch is that of `standardized_batch`; the masks of `noise` are used in training only.
        """
        seen, shown = batch["standardized"], batch["present"]
        if self.training:
            seen, shown = seen * noise["feature_mask"], shown & noise["profile_mask"]
        restored = self.reconstruction(self.embedding(seen, shown))
        error = ((batch["standardized"] - restored) * batch["observed"]).square()
        return {"squared_error": error.sum(-1).mean()}


class FusionAutoencoder(ProfileEmbedder):
    """Denoising autoencoder of several mutation profiles.

    Parameters
    ----------
    profiles : sequence of int or None
        Channels of every profile, in column order. None reads them from column names such as
        ``SBS96|A[C>A]A``, and takes a table without such names as one profile.
    parts : sequence of str
        Features of every profile, see `latentgenomes.multimodal.models.features.ProfileFeatures`.
    n_latent, width : int
        Length of the embedding, and of an encoded profile.
    feature_dropout, profile_dropout : float
        Share of features, and of profiles, that a training step does not show.
    max_epochs, batch_size, learning_rate, decay_to, device, random_state : int, int, float, float, str, int
        Training, see `latentgenomes.nn.train.TrainConfig`; no early stopping. "auto" takes a GPU.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        Of every feature over the samples of the fit that have the profile; one that never varies has scale 1.
    profile_names_, profile_lengths_, feature_lengths_ : list
        Profiles in column order, their channels, and their features.
    module_, history_ : FusionNet, DataFrame
        The trained network, and its error by epoch, see `latentgenomes.nn.train.run`.
    """

    module_: FusionNet

    def __init__(
        self,
        profiles: Sequence[int] | None = None,
        *,
        parts: Sequence[str] = CLR,
        n_latent: int = 128,
        width: int = 128,
        feature_dropout: float = 0.2,
        profile_dropout: float = 0.1,
        max_epochs: int = 60,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        decay_to: float = 0.02,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.profiles = profiles
        self.parts = parts
        self.n_latent = n_latent
        self.width = width
        self.feature_dropout = feature_dropout
        self.profile_dropout = profile_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay_to = decay_to
        self.device = device
        self.random_state = random_state

    def _feature_parts(self) -> Sequence[str]:
        return self.parts

    def _train_config(self) -> TrainConfig:
        self._refuse_below(1, ("n_latent", "width"))
        for name in ("feature_dropout", "profile_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), but {getattr(self, name)!r} came.")
        return TrainConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay_to=self.decay_to,
        )

    def _build_module(self) -> FusionNet:
        return FusionNet(
            self.feature_lengths_,
            width=self.width,
            n_latent=self.n_latent,
            feature_dropout=self.feature_dropout,
            profile_dropout=self.profile_dropout,
        )
