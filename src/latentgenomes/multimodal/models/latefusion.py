r"""Tumour type by late fusion: a model of one profile and a model of all, whose log-probabilities are added.

With the two views of a tumour, v the leading profile in full and u centred log-ratios and totals of all
profiles, and M members over each,

.. math:: \log p(y \mid v, u) = \log \bar p(y \mid v) + \log \bar p(y \mid u) + \text{const},
    \qquad \bar p = \frac{1}{M} \sum_m p_m,

as if the views were independent given the type and the types equally frequent.

| symbol | name in code | shape |
|---|---|---|
| $v$ | `leading` | (n, 3 d_1 + 1) |
| $u$ | `fused` | (n, sum of d_i + 1) |
| $M$ | `n_members` | scalar |

References
----------
Aitchison 1982, J R Stat Soc B 44:139-177 (centred log-ratio); Kittler et al. 1998, IEEE TPAMI 20:226-239 (the
product rule).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Tags

from latentgenomes.multimodal.models.classifier import Array, ViewClassifier
from latentgenomes.multimodal.models.features import CLR, LCS, check_wide, encode


class LateFusionClassifier(ViewClassifier):
    """Two ensembles whose log-probabilities are added: one sees the leading profile, one sees all.

    Small mutations are the most informative, and a network that sees four profiles at once overfits the other
    three. Here one ensemble sees only the first profile, in full (the LCS features); the other sees centred
    log-ratios and totals of all profiles.

    Parameters
    ----------
    profiles : sequence of int or None
        Channels of every profile, in column order; see `MutEmbed`. The first should be SBS96.
    n_members : int
        Networks trained for each of the two views.
    hidden, dropout, input_dropout, class_weighted, validation_fraction, device, random_state : various
        See `MLPEnsembleClassifier`, also for the fitted attributes; the members of the first view come first.
    max_epochs, batch_size, learning_rate, patience : int, int, float, int
        Training, see `latentgenomes.nn.train.TrainConfig`.
    """

    def __init__(
        self,
        profiles: Sequence[int] | None = None,
        *,
        n_members: int = 3,
        hidden: int = 256,
        dropout: float = 0.5,
        input_dropout: float = 0.25,
        class_weighted: bool = True,
        max_epochs: int = 40,
        batch_size: int = 64,
        learning_rate: float = 1.5e-3,
        patience: int = 8,
        validation_fraction: float = 0.25,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.profiles = profiles
        self.n_members = n_members
        self.hidden = hidden
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.class_weighted = class_weighted
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def _views(self, X: Any, *, reset: bool) -> list[Array]:
        counts, _ = check_wide(self, X, reset=reset)
        lengths = self.profile_lengths_
        leading, _ = encode(counts[:, : lengths[0]], lengths[:1], LCS)
        fused, _ = encode(counts, lengths, CLR)
        return [leading, fused]

    def __sklearn_tags__(self) -> Tags:
        """State that the input must not be negative; NaN may stand for whole profiles only."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
