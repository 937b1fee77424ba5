r"""MUSE-XAE: a denoising autoencoder with a linear decoder and signatures of small volume.

Every sample is shown as its profile, scaled to the logarithm of its number of mutations, so that a
hypermutator weighs little more than any other. A deep encoder f gives latent values; a linear, non-negative
decoder, whose rows are the signatures up to scale, turns them into Poisson rates:

.. math::
    y_n = \frac{x_n}{\sum_m x_{nm}} \log_2 \sum_m x_{nm}, \qquad
    h_n = \text{softplus}(f(y_n)), \qquad r_{nm} = \sum_k h_{nk} W_{km}.

Training minimises, over bootstraps of the samples, the mean of

.. math::
    -\log p(y_n \mid r_n) + m\, \beta\, \log_{10} \det(W W^\top + I).

The signatures of all restarts are clustered; the centroids S are kept. Exposures are found anew, as
a linear program without the encoder, and scaled to the sample's number of mutations:

.. math::
    e_n = \arg\min_{e \ge 0}\; \frac{1}{m} \sum_m \Big| x_{nm} - \sum_k e_k S_{km} \Big| + \alpha \sum_k e_k.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $y$ | `scaled` | (n, m) |
| $h$ | `latent` | (n, k) |
| $W$ | `weights` | (k, m), >= 0 |
| $r$ | `rate` | (n, m) |
| $S$ | `signatures` | (k, m), rows sum to 1 |
| $e$ | `exposures` | (n, k) |
| $\beta$ | `volume_penalty` | scalar |
| $\alpha$ | `l1` | scalar |

References
----------
Pancotti et al. 2024, Bioinformatics 40:btae320. Deviations are listed under `MuseXAE`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

from latentgenomes.nn.ensemble import fit_ensemble, seeded
from latentgenomes.nn.train import TrainConfig, progress
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.consensus import cluster_signatures
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.klnmf import refit_exposures

_START = 0.1  # share of Glorot's width; rates then start at the size of scaled counts


def scale_catalogue(counts: Tensor) -> Tensor:
    """Scale profiles to the binary logarithm of their totals; rows with a total of 1 or less become 0."""
    totals = counts.sum(-1, keepdim=True).clamp_min(1.0)
    return counts * (totals.log2() / totals)


class MuseXAENet(nn.Module):
    """Encoder and linear decoder: the equations of MUSE-XAE; `augment` shows bootstraps while it trains."""

    def __init__(
        self,
        n_channels: int,
        n_signatures: int,
        *,
        hidden: Sequence[int] = (128, 64, 32),
        volume_penalty: float = 1e-3,
        augment: bool = True,
    ) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.augment = augment
        self.volume_penalty = volume_penalty
        sizes = (n_channels, *hidden)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [_dense(n_in, n_out), nn.ELU(), nn.BatchNorm1d(n_out, eps=1e-3)]
        self.encoder = nn.Sequential(*layers, _dense(sizes[-1], n_signatures), nn.Softplus())
        self.decoder = nn.Parameter(torch.empty(n_signatures, n_channels))
        nn.init.xavier_uniform_(self.decoder, gain=_START)

    def weights(self) -> Tensor:
        """Decoder weights W: (k, m), >= 0, as the magnitude of a free parameter."""
        return self.decoder.abs()

    def signatures(self) -> Tensor:
        """Signatures: (k, m), the rows of W scaled to sum to 1."""
        weights = self.weights()
        return weights / weights.sum(-1, keepdim=True).clamp_min(poisson.TINY)

    def exposures(self, scaled: Tensor) -> Tensor:
        """Encoder exposures in scaled mutations: (n, m) -> (n, k); times `signatures` they are the rate."""
        return self.encoder(scaled) * self.weights().sum(-1)

    def volume(self) -> Tensor:
        """Volume log10 det(W W^T + I) spanned by the decoder's rows, a scalar >= 0."""
        weights = self.weights()
        gram = weights @ weights.transpose(-1, -2)  # (k, k)
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        return torch.linalg.slogdet(gram + identity).logabsdet / log(10.0)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the noise of `terms` for `n_samples` samples: what a bootstrap adds to the counts."""
        normal = torch.empty(n_samples, self.n_channels, device=generator.device)
        return {"normal": normal.normal_(generator=generator)}

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Additive terms of the objective, in nats per sample: "nll" = -log p(y | r) and "volume". The batch
        holds "counts" (n, m), "log_total" (n,) = log2 of their totals and "log_factorial" (n,) = sum of log
        y! of the scaled counts, which stands for that of a bootstrap in training too.
        """
        counts = batch["counts"]
        shown = resample(counts, noise["normal"]) if self.training and self.augment else counts
        size = batch["log_total"] / shown.sum(-1).clamp_min(poisson.TINY)
        scaled = shown * size.unsqueeze(-1)  # y, (n, m)
        latent = self.encoder(scaled)  # h, (n, k)
        rate = latent @ self.weights()  # h W: (n, k) @ (k, m) -> (n, m)
        nll = -poisson.log_prob(scaled, rate, log_factorial=batch["log_factorial"])
        return {"nll": nll.mean(), "volume": self.n_channels * self.volume_penalty * self.volume()}

    def forward(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return `terms`: what ``torch.func`` calls when restarts are stacked."""
        return self.terms(batch, noise)


def resample(counts: Tensor, normal: Tensor) -> Tensor:
    """Bootstrap samples so cheaply that every training step can have its own, from standard normal noise.
    Redrawing mutations makes each channel a nearly Poisson count around the one seen. Here it is ``(sqrt(x -
    1/8) + normal / 2)**2 - 1/8``, of mean and variance x, clamped at 0. A count of 0 stays 0.
    """
    root = (counts - 0.125).clamp_min(0.0).sqrt()
    drawn = ((root + 0.5 * normal).square() - 0.125).clamp_min(0.0)
    return torch.where(counts > 0, drawn, 0.0)


def refit_absolute(counts: np.ndarray, signatures: np.ndarray, *, l1: float) -> np.ndarray:
    """Exposures of least absolute error with an L1 penalty, (n, k), not yet scaled to the sample's total.
    Each sample is its own linear program. The dual is solved: maximise ``x u`` where ``|u| <= 1`` and ``S u
    <= m l1``. Exposures are the prices of its rows, and all 0 where `l1` is above 1 / m.
    """
    n_signatures, n_channels = signatures.shape
    limit = np.full(n_signatures, n_channels * l1)
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, poisson.TINY)
    prices = [
        linprog(-share, A_ub=signatures, b_ub=limit, bounds=(-1.0, 1.0)).ineqlin.marginals
        for share in progress(shares, "refit", unit="sample")
    ]
    return np.maximum(-np.array(prices), 0.0) * totals


class MuseXAE(SignatureExtractor):
    """MUSE-XAE with a given number of signatures; all restarts train as one stacked batch.

    Parameters
    ----------
    n_signatures : int
        Number of signatures.
    n_restarts : int
        Restarts, each with its own initial weights and bootstraps. Published: 100.
    hidden : sequence of int
        Widths of the encoder's hidden layers.
    augment : bool
        Whether each epoch shows a fresh bootstrap of every sample. Published: 100 stored bootstraps.
    volume_penalty : float
        Weight beta of the volume; the loss beside it is the mean over channels, as published.
    max_epochs, batch_size, learning_rate, decay_to, patience : int, int, float, float, int
        Training, see `latentgenomes.nn.train.TrainConfig`. Published: 1000, 64, 0.001, 1, 30; an epoch there
        passes over all 100 bootstraps.
    validation_fraction : float
        Share of the samples held out, before any bootstrap, for early stopping.
    l1 : float
        Weight alpha of the L1 penalty when exposures are refitted.
    max_mutations : float or None
        Samples with more mutations are scaled down to this total. None, as published, trusts the logarithm.
    device, random_state : str, int or RandomState
        "auto" takes the GPU where there is one; the seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures: centroids of the clusters; rows sum to 1. `signatures_` is the same as a labelled frame.
    stability_ : ndarray of shape (n_signatures,)
        Mean cosine silhouette of each cluster, in the order of `components_`.
    reconstruction_error_ : float
        Mean over restarts of the Frobenius norm of y - r, over all samples.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Refitted exposures of the training samples, in mutations.
    history_ : DataFrame
        Terms by member, epoch and set, in nats per sample.
    restarts_ : DataFrame
        Seed, best validation sum (nats per sample), reconstruction error and epochs of every restart.
    restart_signatures_ : ndarray of shape (n_restarts, n_signatures, n_channels)
        Signatures of every restart, in the order of `restarts_`.

    Notes
    -----
    The number of signatures is published to be the one of least mean `reconstruction_error_` among those with
    a mean `stability_` of at least 0.7 and none below 0.2.

    Deviations from the authors' code at commit 094f902: (1) early stopping judges the objective on samples
    held out before the bootstrap; theirs the squared error on the samples whose bootstraps it trained on; (2)
    bootstraps are fresh in every epoch and drawn by a square-root approximation; (3) fewer restarts and
    steps, larger batches and a large learning rate that falls; (4) W is the magnitude of a free parameter,
    theirs is cut off at 0 after each step; it starts ten times smaller; (5) a cluster holds one signature of
    each restart, scaled to sum to 1; theirs are balanced only, and start from k-means; (6) BatchNorm's
    averages forget ten times faster; (7) the refit is solved exactly, where theirs trains another encoder, so
    that exposures depend on the other samples; where the answer is 0 for every signature, the Poisson
    likelihood decides; their later removal of small exposures is left out.
    """

    def __init__(
        self,
        n_signatures: int = 8,
        *,
        n_restarts: int = 6,
        hidden: Sequence[int] = (128, 64, 32),
        augment: bool = True,
        volume_penalty: float = 1e-3,
        max_epochs: int = 600,
        batch_size: int = 128,
        learning_rate: float = 0.01,
        decay_to: float = 0.02,
        patience: int = 100,
        validation_fraction: float = 0.1,
        l1: float = 1e-3,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.hidden = hidden
        self.augment = augment
        self.volume_penalty = volume_penalty
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay_to = decay_to
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.l1 = l1
        self.max_mutations = max_mutations
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        seeds = self._seeds(self.n_restarts)
        n_held_out = self._check_settings(len(counts))
        shuffled = np.random.default_rng(seeds[0]).permutation(len(counts))
        held_out, train = np.split(shuffled, [n_held_out])
        capped = torch.from_numpy(self._cap(counts)[0]).to(self._device())
        nets = [net.to(capped.device) for net in seeded(self._new_net, seeds)]
        config = TrainConfig(
            self.max_epochs, self.batch_size, self.learning_rate, self.patience, decay_to=self.decay_to
        )
        # Split before any bootstrap: early stopping must not judge what training has seen.
        seen, unseen = _batch(capped[np.sort(train)]), _batch(capped[np.sort(held_out)])
        self.history_ = fit_ensemble(
            nets,
            [seen] * len(nets),
            config,
            seeds=seeds,
            validation=[unseen] * len(nets) if n_held_out else None,
        )
        self._judge(nets, seeds, scale_catalogue(capped).float())
        consensus = cluster_signatures(self.restart_signatures_)
        self.components_ = consensus.signatures
        self.stability_ = consensus.stability[self._keep(self.components_, self._exposures(counts))]

    def _check_settings(self, n_samples: int) -> int:
        """Refuse settings that cannot work; return how many samples are held out."""
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction must be in [0, 1), but {self.validation_fraction} came.")
        if not self.l1 >= 0.0:
            raise ValueError(f"l1 must be >= 0, but {self.l1} came.")
        n_held_out = round(self.validation_fraction * n_samples)
        if min(n_samples - n_held_out, self.batch_size) < 2:
            raise ValueError(
                f"A step needs at least 2 samples, but {n_samples - n_held_out} of {n_samples} are left for "
                f"training, in batches of {self.batch_size}. Lower validation_fraction or raise batch_size."
            )
        return n_held_out

    def _new_net(self) -> MuseXAENet:
        return MuseXAENet(
            self.n_features_in_,
            self.n_signatures,
            hidden=tuple(self.hidden),
            volume_penalty=self.volume_penalty,
            augment=self.augment,
        )

    def _judge(self, nets: Sequence[MuseXAENet], seeds: Sequence[int], scaled: Tensor) -> None:
        """Keep the signatures of every restart and how well it explains the scaled catalogue."""
        with torch.no_grad():
            signatures = torch.stack([net.signatures() for net in nets])
            rates = torch.stack([net.exposures(scaled) @ net.signatures() for net in nets])
        self.restart_signatures_ = signatures.cpu().numpy().astype(np.float64)
        errors = (scaled - rates).double().square().sum((-2, -1)).sqrt().cpu().numpy()
        judged = self.history_[self.history_["set"] == self.history_["set"].iloc[-1]]
        sums = judged.groupby(["member", "epoch"])["value"].sum().groupby("member")
        # Without held-out samples the last weights were kept, not the best.
        bound = sums.min() if judged["set"].iloc[0] == "validation" else sums.last()
        columns = {"seed": seeds, "bound": bound, "error": errors, "n_epochs": sums.size()}
        self.restarts_ = pd.DataFrame(columns)
        self.reconstruction_error_ = float(errors.mean())

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        exposures = refit_absolute(counts, self.components_, l1=self.l1)
        lost = exposures.sum(1) <= 0.0
        signatures = torch.from_numpy(self.components_)
        likeliest = refit_exposures(torch.from_numpy(counts[lost]), signatures, max_iter=2000, tol=1e-5)
        exposures[lost] = likeliest.numpy()
        shares = exposures / np.maximum(exposures.sum(1, keepdims=True), poisson.TINY)
        return shares * counts.sum(1, keepdims=True)

    def _build_module(self) -> None:
        return None


def _batch(counts: Tensor) -> dict[str, Tensor]:
    """Return what `MuseXAENet.terms` needs of samples (n, m), in single precision."""
    return {
        "counts": counts.float(),
        "log_total": counts.sum(-1).clamp_min(1.0).log2().float(),
        "log_factorial": poisson.sum_log_factorial(scale_catalogue(counts)).float(),
    }


def _dense(n_in: int, n_out: int) -> nn.Linear:
    """Linear layer with Glorot's uniform weights and no initial bias."""
    linear = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
