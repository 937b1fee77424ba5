r"""VAE-MS: an asymmetric variational autoencoder with Poisson exposures.

A deep encoder proposes how many mutations each signature contributed; a linear decoder, whose
rows are the signatures, turns them into the expected catalogue:

.. math::
    z_{nk} \sim \text{Poisson}(r_{nk}), \qquad
    x_{nm} \sim \text{Poisson}\left(\textstyle\sum_k z_{nk} W_{km}\right), \qquad
    q(z_{nk} \mid x_n) = \text{Poisson}(\lambda_{nk}(x_n)).

Training minimises :math:`-\log p(x \mid z) + \beta\, \text{KL}(q \| p)` with
:math:`\text{KL} = \sum_k \lambda \log(\lambda / r) - \lambda + r`. The prior rates r are each sample's
exposures in an initial KL-NMF, whose signatures also start W.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $\lambda$ | `posterior` | (n, k) |
| $r$ | `prior_rate` | (n, k) |
| $z$ | `exposures` | (n, k) |
| $W$ | `signatures` | (k, m), rows sum to 1 |
| $\beta$ | `beta` | scalar |
| $T$ | `temperature` | scalar |

References
----------
Egendal et al. 2026, arXiv 2602.22239. Deviations are listed under `VAEMS`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from latentgenomes.nn.blocks import DenseStack
from latentgenomes.nn.ensemble import bootstrap_counts, fit_ensemble, seeded
from latentgenomes.nn.train import TrainConfig
from latentgenomes.signatures.models import poisson
from latentgenomes.signatures.models.consensus import cluster_signatures
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.klnmf import factorize, refit_exposures

ENCODINGS = ("log", "raw")
_NMF_UPDATES = 2000
_PRIOR_FLOOR = 0.1  # mutations; keeps KL finite where the NMF gave an exposure of 0


class SimplexRows(nn.Module):
    """Matrix whose rows sum to 1, ``|W| / sum |W|`` of a free weight W, so that an optimiser may cross 0."""

    def __init__(self, n_rows: int, n_columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(n_rows, n_columns))

    def forward(self) -> Tensor:
        """Return the matrix, (n_rows, n_columns), rows summing to 1."""
        magnitude = self.weight.abs()
        return magnitude / magnitude.sum(-1, keepdim=True).clamp_min(1e-12)

    def set_rows(self, rows: Tensor) -> None:
        """Start from rows >= 0 with positive sums, stored with mean 1, so that a learning rate means the same
        for every number of columns. Exact zeros are lifted: at 0 the gradient vanishes and the entry could
        never grow.
        """
        share = rows / rows.sum(-1, keepdim=True) * rows.shape[-1]
        with torch.no_grad():
            self.weight.copy_(share.clamp_min(1e-3))


class VAEMSNet(nn.Module):
    """Encoder, Poisson latent and linear decoder: the equations of VAE-MS. With "log" the encoder sees log(1
    + x) and its output is multiplied by the sample's total; with "raw" it sees and gives plain counts, as the
    authors' code does.
    """

    def __init__(
        self,
        n_channels: int,
        n_signatures: int,
        *,
        hidden: Sequence[int] = (60, 40),
        activation: str = "relu",
        encoding: str = "log",
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_signatures = n_signatures
        self.encoding = encoding
        self.temperature = temperature
        self.encoder = DenseStack((n_channels, *hidden, n_signatures), activation)
        self.rate = nn.Linear(n_signatures, n_signatures)
        self.decoder = SimplexRows(n_signatures, n_channels)
        if encoding == "log":  # start from equal shares of the total, away from the kink of |.| at 0
            with torch.no_grad():
                self.rate.weight.mul_(0.1)
                self.rate.bias.fill_(1.0 / n_signatures)

    def posterior(self, counts: Tensor) -> Tensor:
        """Rates lambda of q(z | x): (n, m) -> (n, k), in mutations."""
        if self.encoding == "raw":
            return self.rate(self.encoder(counts)).abs()
        return self.rate(self.encoder(counts.log1p())).abs() * counts.sum(-1, keepdim=True)

    def signatures(self) -> Tensor:
        """Signatures W: (k, m), rows sum to 1."""
        return self.decoder()

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the noise of `terms` for `n_samples` samples."""
        return poisson.draw_noise((n_samples, self.n_signatures), generator)

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Additive terms of the negative ELBO, in nats per sample: "nll" = -log p(x | z) and "kl". The batch
        holds "counts" (n, m), "prior_rate" (n, k) > 0 and "log_factorial" (n,) = sum of log x!.
        """
        counts = batch["counts"]
        rate = self.posterior(counts)  # lambda, (n, k)
        exposures = poisson.sample(rate, noise, self.temperature if self.training else 0.0)
        expected = exposures @ self.signatures()  # z W: (n, k) @ (k, m) -> (n, m)
        nll = -poisson.log_prob(counts, expected, log_factorial=batch["log_factorial"])
        kl = poisson.kl(rate, batch["prior_rate"]).sum(-1)
        return {"nll": nll.mean(), "kl": kl.mean()}

    def forward(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return `terms`: what ``torch.func`` calls when restarts are stacked."""
        return self.terms(batch, noise)


class VAEMS(SignatureExtractor):
    """VAE-MS with a given number of signatures; all restarts train as one stacked batch.

    Parameters
    ----------
    n_signatures : int
        Number of signatures.
    n_restarts : int
        Restarts, each from its own NMF and its own initial encoder; the one with the lowest validation bound
        is kept, unless `consensus` is set.
    hidden : sequence of int
        Widths of the encoder's hidden layers.
    encoding : {"log", "raw"}
        What the encoder sees, see `VAEMSNet`. "raw" is the published form.
    temperature : float
        Width of the relaxed step; must be > 0, or the encoder would learn nothing from the data.
    beta : float
        Weight of the KL term in training, both terms in nats per sample. The published code averages the
        likelihood over channels and the KL over signatures: its weight b is ``beta = b * n_channels /
        n_signatures`` here.
    max_epochs, batch_size, learning_rate, decay_to, patience : int, int, float, float, int
        Training, see `latentgenomes.nn.train.TrainConfig`. Published: 500, 16, 0.001, 1, 10.
    validation_fraction : float
        Share of the samples held out for early stopping and for the choice among restarts.
    max_mutations : float or None
        Larger samples are scaled down to this total for the encoder; their exposures are scaled back.
    resample : {None, "bootstrap"}
        Whether each restart trains on its own multinomial bootstrap of the training samples.
    consensus : bool
        True keeps the restart whose signatures are most central among those of all restarts, not the one with
        the lowest bound. A rule of this package: the paper has none.
    device, random_state : str, int or RandomState
        "auto" takes the GPU where there is one; the seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures; rows sum to 1. `signatures_` is the same as a labelled frame.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Encoder exposures of the training samples, in mutations.
    module_ : VAEMSNet
        The trained network of the chosen restart.
    history_ : DataFrame
        Terms by member, epoch and set, in nats per sample.
    restarts_ : DataFrame
        Seed, best validation sum (nats per sample) and epochs of every restart.
    restart_signatures_ : ndarray of shape (n_restarts, n_signatures, n_channels)
        Signatures of every restart, in the order of `restarts_`.
    stability_ : ndarray of shape (n_signatures,)
        Mean silhouette of every signature's cluster over the restarts, in [-1, 1].

    Notes
    -----
    Deviations from the authors' code at commit bccbe99: (1) the temperature is positive; theirs is 0 in the
    example, where rates get no gradient from the reconstruction; (2) `encoding="log"` by default; (3) the
    decoder's weights are stored with mean 1, theirs with sum 1, where a step of 0.001 is a tenth of an entry;
    (4) rates above 2 are sampled by their square-root approximation; (5) Linear layers before BatchNorm have
    no bias; (6) the likelihood is exact and its two arguments are the same way round in training and
    validation; (7) larger batches and a large learning rate that falls to a fiftieth: with the published
    ones, training stops early and far from the optimum; (8) with `encoding="log"` the last layer starts from
    equal shares.
    """

    module_: VAEMSNet

    def __init__(
        self,
        n_signatures: int = 8,
        *,
        n_restarts: int = 4,
        hidden: Sequence[int] = (60, 40),
        encoding: str = "log",
        temperature: float = 0.1,
        beta: float = 0.1,
        max_epochs: int = 300,
        batch_size: int = 64,
        learning_rate: float = 0.02,
        decay_to: float = 0.02,
        patience: int = 100,
        validation_fraction: float = 0.2,
        max_mutations: float | None = 9600.0,
        resample: str | None = None,
        consensus: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.hidden = hidden
        self.encoding = encoding
        self.temperature = temperature
        self.beta = beta
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay_to = decay_to
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.max_mutations = max_mutations
        self.resample = resample
        self.consensus = consensus
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        self._check_settings()
        seeds = self._seeds(self.n_restarts)
        shuffled = np.random.default_rng(seeds[0]).permutation(len(counts))
        held_out, train = np.split(shuffled, [round(self.validation_fraction * len(counts))])
        catalogues = self._training_catalogues(counts[np.sort(train)], seeds)
        starts, exposures, _, _ = factorize(
            catalogues, self.n_signatures, seeds=seeds, max_iter=_NMF_UPDATES, tol=1e-4
        )
        modules = seeded(self._build_module, seeds)
        for module, start in zip(modules, starts, strict=True):
            module.to(catalogues.device).decoder.set_rows(start)
        validation = None
        if len(held_out):
            unseen = self._tensor(self._cap(counts[np.sort(held_out)])[0]).unsqueeze(0)
            validation = _batches(unseen, refit_exposures(unseen, starts, max_iter=_NMF_UPDATES, tol=1e-4))
        self.history_ = fit_ensemble(
            modules,
            _batches(catalogues, exposures),
            TrainConfig(
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                patience=self.patience,
                decay_to=self.decay_to,
            ),
            seeds=seeds,
            weights={"kl": self.beta},
            validation=validation,
        )
        self._choose(modules, seeds, counts)

    def _check_settings(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding must be one of {ENCODINGS}, but {self.encoding!r} came.")
        if not self.temperature > 0:
            raise ValueError(
                f"temperature must be > 0, but {self.temperature} came: at 0 the sampler is a step "
                "function and the encoder gets no gradient from the counts. 0.1 works."
            )
        if self.resample not in (None, "bootstrap"):
            raise ValueError(f"resample must be None or 'bootstrap', but {self.resample!r} came.")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(f"validation_fraction must be in [0, 1), but {self.validation_fraction} came.")

    def _tensor(self, counts: np.ndarray) -> Tensor:
        return torch.from_numpy(counts).to(self._device())

    def _training_catalogues(self, counts: np.ndarray, seeds: Sequence[int]) -> Tensor:
        """Capped counts, (1, n, m) shared by the restarts or (n_restarts, n, m) bootstrapped."""
        if self.resample is None:
            return self._tensor(self._cap(counts)[0]).unsqueeze(0)
        return self._tensor(np.stack([self._cap(bootstrap_counts(counts, seed))[0] for seed in seeds]))

    def _choose(self, modules: Sequence[VAEMSNet], seeds: Sequence[int], counts: np.ndarray) -> None:
        """Keep the restart with the lowest sum of terms at its best epoch, or the most central one."""
        judged = self.history_[self.history_["set"] == self.history_["set"].iloc[-1]]
        sums = judged.groupby(["member", "epoch"])["value"].sum().groupby("member")
        # Without held-out samples the last weights were kept, not the best.
        bound = sums.min() if judged["set"].iloc[0] == "validation" else sums.last()
        self.restarts_ = pd.DataFrame({"seed": seeds, "bound": bound, "n_epochs": sums.size()})
        with torch.no_grad():
            signatures = [m.signatures().cpu().numpy() for m in modules]
        self.restart_signatures_ = np.stack(signatures).astype(np.float64)
        clusters = cluster_signatures(self.restart_signatures_)
        best = clusters.medoid if self.consensus else int(bound.argmin())
        # Trained in single, used in double precision: a sample's exposures must not depend on the
        # samples beside it.
        self.module_ = modules[best].double()
        order = np.argsort(-self._encode(counts).sum(0), kind="stable")
        self._permute(order)
        self.stability_ = clusters.stability[np.argsort(clusters.members[best])[order]]
        components = self.restart_signatures_[best][order]
        self.components_ = components / components.sum(1, keepdims=True)
        self.training_exposures_ = self._encode(counts)

    def _permute(self, order: np.ndarray) -> None:
        """Put the latent units of the network into the given order; the function is unchanged."""
        index = torch.from_numpy(order).to(self.module_.decoder.weight.device)
        with torch.no_grad():
            self.module_.decoder.weight.copy_(self.module_.decoder.weight[index])
            self.module_.rate.weight.copy_(self.module_.rate.weight[index])
            self.module_.rate.bias.copy_(self.module_.rate.bias[index])

    def _encode(self, counts: np.ndarray) -> np.ndarray:
        capped, factor = self._cap(counts)
        with torch.no_grad():
            rate = self.module_.posterior(torch.from_numpy(capped).to(self._device()))
        return rate.cpu().numpy() * factor

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        return self._encode(counts)

    def _sampled_exposures(self, rows: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw z from q averaged over the training samples: a Poisson count around each rate."""
        return rng.poisson(self.training_exposures_[rows]).astype(np.float64)

    def _build_module(self) -> VAEMSNet:
        return VAEMSNet(
            self.n_features_in_,
            self.n_signatures,
            hidden=tuple(self.hidden),
            encoding=self.encoding,
            temperature=self.temperature,
        )


def _batches(counts: Tensor, prior_rates: Tensor) -> list[dict[str, Tensor]]:
    """One batch per restart, in single precision; counts are (1 or r, n, m), prior rates (r, n, k)."""
    shared = len(counts) == 1
    x, constant = list(counts.float()), list(poisson.sum_log_factorial(counts).float())
    return [
        {
            "counts": x[0 if shared else r],
            "log_factorial": constant[0 if shared else r],
            "prior_rate": prior.clamp_min(_PRIOR_FLOOR).float(),
        }
        for r, prior in enumerate(prior_rates)
    ]
