r"""Variational autoencoder of haplotypes: the equations.

A haplotype x of 0 and 1 is explained by a short vector z. The encoder proposes a Gaussian of z, the decoder
gives every SNP its probability of allele 1:

.. math::
    z \sim N(0, I), \qquad x_l \mid z \sim \text{Bernoulli}(\sigma(\eta_l)), \qquad
    \eta_l = d_l(z, c) + \sum_{j=1}^{w} C_{lj}\,(x_{l-j} - f_{l-j}), \qquad
    q(z \mid x, c) = N(\mu(x, c), \text{diag}\,\sigma^2(x, c)).

c is the population, one-hot, where the model is told it. With w = 0 this is the plain autoencoder, whose SNPs
are independent once z is known; w > 0 also looks back at the w SNPs before (a causal decoder). Training
minimises

.. math:: -\log p(x \mid z, c) + \beta\, \text{KL}(q(z \mid x, c) \| N(0, I)), \qquad
    \text{KL} = \tfrac{1}{2} \sum_k \mu_k^2 + \sigma_k^2 - 1 - \log \sigma_k^2,

summed over SNPs. The encoder reads x - f, the difference to the allele frequency: a missing call, and a call
that input dropout hides, is then 0. A chromosome may be cut into windows, each with a network of its own.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `calls` | (n, l) |
| $f$ | `frequencies` | (l,) |
| $c$ | `population` | (n, n_populations), one-hot |
| $\mu$ | `mean` | (n, k) |
| $\log \sigma^2$ | `log_var` | (n, k) |
| $z$ | `latent` | (n, k) |
| $d$ | `decoder` | (n, k) to (n, l) |
| $C$ | `causal_weights` | (l, w) |
| $\eta$ | `logits` | (n, l) |

References
----------
Kingma & Welling 2014, arXiv 1312.6114; Geleta et al. 2026, Genome Research, doi 10.1101/gr.280086.124
(autoencoders for genomic variation).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentgenomes.nn.blocks import DenseStack

#: Causal weights are stored divided by this. Adam's steps do not know the scale: it multiplies their rate.
CAUSAL_GAIN = 20.0
_RAREST = 1e-3  # allele frequency that the decoder's first bias is held to


def _stack(sizes: Sequence[int], batch_norm: bool, slope: float) -> nn.Sequential:
    """Linear layers, each with an activation."""
    if batch_norm:
        return DenseStack(sizes, "relu").layers
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) of every sample, (n, k) -> (n,), in nats."""
    return 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(-1)


class WindowNet(nn.Module):
    """Encoder and decoder of one window; the decoder mirrors the `hidden` widths, and looks back at
    n_previous SNPs.

    batch_norm builds Linear, BatchNorm and ReLU, as published, else Linear and LeakyReLU.
    """

    frequencies: Tensor

    def __init__(
        self,
        n_snps: int,
        *,
        n_latent: int,
        hidden: Sequence[int],
        batch_norm: bool,
        slope: float,
        n_populations: int,
        n_previous: int,
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.n_previous = min(n_previous, n_snps - 1)
        self.encoder = _stack((n_snps + n_populations, *hidden), batch_norm, slope)
        self.to_posterior = nn.Linear(hidden[-1], 2 * n_latent)
        mirrored = (n_latent + n_populations, *reversed(hidden))
        self.decoder = nn.Sequential(*_stack(mirrored, batch_norm, slope), nn.Linear(hidden[0], n_snps))
        self.scaled_weights = nn.Parameter(torch.zeros(n_snps, self.n_previous))
        self.register_buffer("frequencies", torch.full((n_snps,), 0.5))

    def set_frequencies(self, frequencies: Tensor) -> None:
        """Take the allele frequencies (n_snps,), and start the decoder from them."""
        self.frequencies.copy_(frequencies)
        last = self.decoder[-1]
        with torch.no_grad():
            last.bias.copy_(frequencies.clamp(_RAREST, 1 - _RAREST).logit())  # type: ignore[operator]

    def posterior(self, centred: Tensor, population: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log_var of q(z | x, c): x - f (n, l) and c (n, n_populations) -> twice (n, k)."""
        mean, log_var = self.to_posterior(self.encoder(torch.cat([centred, population], -1))).chunk(2, -1)
        return mean, log_var

    def causal_weights(self) -> Tensor:
        """Weights C of the SNPs before, the nearest first: (l, w)."""
        return self.scaled_weights * CAUSAL_GAIN

    def logits(self, latent: Tensor, centred: Tensor, population: Tensor) -> Tensor:
        """Log odds eta of allele 1 given the calls before: (n, k), (n, l), (n, n_populations) -> (n, l)."""
        own = self.decoder(torch.cat([latent, population], -1))
        if not self.n_previous:
            return own
        before = F.pad(centred, (self.n_previous, 0))[:, :-1].unfold(-1, self.n_previous, 1)  # (n, l, w)
        return own + (before * self.causal_weights().flip(-1)).sum(-1)

    def generate(self, latent: Tensor, population: Tensor, uniform: Tensor, calls: Tensor) -> Tensor:
        """Fill calls from left to right, each with the probability that those before it give.

        latent (n, k), population (n, n_populations), uniform (n, l) in (0, 1), calls (n, l) with -1 where one
        is to be filled: 1 where `uniform` lies below the probability. Returns new calls (n, l).
        """
        own = self.decoder(torch.cat([latent, population], -1))
        if not self.n_previous:
            return torch.where(calls < 0, (uniform < own.sigmoid()).to(calls), calls)
        weights, filled = self.causal_weights().flip(-1), calls.clone()
        centred = own.new_zeros(len(calls), self.n_previous + calls.shape[1])  # zeros before the first SNP
        for snp in range(calls.shape[1]):
            logit = own[:, snp] + centred[:, snp : snp + self.n_previous] @ weights[snp]
            drawn = (uniform[:, snp] < logit.sigmoid()).to(calls)
            filled[:, snp] = torch.where(calls[:, snp] < 0, drawn, calls[:, snp])
            centred[:, snp + self.n_previous] = filled[:, snp] - self.frequencies[snp]
        return filled


class HaplotypeNet(nn.Module):
    """Networks of all windows, side by side; `input_dropout` hides that share of calls from the encoder."""

    def __init__(
        self,
        window_sizes: Sequence[int],
        *,
        n_latent: int = 16,
        hidden: Sequence[int] = (256, 256),
        batch_norm: bool = False,
        slope: float = 0.1,
        input_dropout: float = 0.1,
        n_populations: int = 0,
        n_previous: int = 0,
    ) -> None:
        super().__init__()
        self.window_sizes = list(window_sizes)
        self.n_latent = n_latent * len(self.window_sizes)
        self.input_dropout = input_dropout
        self.n_populations = n_populations
        self.windows = nn.ModuleList(
            WindowNet(
                size,
                n_latent=n_latent,
                hidden=hidden,
                batch_norm=batch_norm,
                slope=slope,
                n_populations=n_populations,
                n_previous=n_previous,
            )
            for size in self.window_sizes
        )

    def nets(self) -> list[WindowNet]:
        """Return the networks of the windows, from left to right."""
        return list(self.windows)  # type: ignore[arg-type]

    def set_frequencies(self, frequencies: Tensor) -> None:
        """Take the allele frequencies (n_snps,), and start the decoders from them."""
        for net, own in zip(self.nets(), frequencies.split(self.window_sizes), strict=True):
            net.set_frequencies(own)

    def centred(self, calls: Tensor) -> Tensor:
        """Calls as x - f, and 0 for a missing one: (n, l) of 0, 1, -1 -> (n, l)."""
        frequencies = torch.cat([net.frequencies for net in self.nets()])
        return (calls - frequencies) * (calls >= 0)

    def posterior(self, centred: Tensor, population: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log_var of q(z | x, c), windows side by side: (n, l) -> twice (n, k)."""
        parts = zip(self.nets(), centred.split(self.window_sizes, -1), strict=True)
        means, log_vars = zip(*(net.posterior(part, population) for net, part in parts), strict=True)
        return torch.cat(means, -1), torch.cat(log_vars, -1)

    def logits(self, latent: Tensor, centred: Tensor, population: Tensor) -> Tensor:
        """Log odds eta of allele 1, see `WindowNet.logits`; windows side by side."""
        latents = latent.chunk(len(self.window_sizes), -1)
        parts = zip(self.nets(), latents, centred.split(self.window_sizes, -1), strict=True)
        return torch.cat([net.logits(own, part, population) for net, own, part in parts], -1)

    def generate(self, latent: Tensor, population: Tensor, uniform: Tensor, calls: Tensor) -> Tensor:
        """Fill the missing calls, see `WindowNet.generate`; windows side by side."""
        latents = latent.chunk(len(self.window_sizes), -1)
        split = (table.split(self.window_sizes, -1) for table in (uniform, calls))
        parts = zip(self.nets(), latents, *split, strict=True)
        return torch.cat([net.generate(own, population, u, x) for net, own, u, x in parts], -1)

    def noise(self, n_samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw the noise of `terms`: of z, and which calls the encoder sees."""
        noise = {"latent": torch.randn(n_samples, self.n_latent, generator=generator)}
        if self.input_dropout:
            drawn = torch.rand(n_samples, sum(self.window_sizes), generator=generator)
            noise["seen"] = drawn >= self.input_dropout
        return noise

    def terms(self, batch: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Additive terms of the negative ELBO, in nats per haplotype (Kingma & Welling 2014, eq. 10).

        batch holds "calls" (n, l) as floats and "population" (n, n_populations), one-hot; "nll" = -log p(x |
        z, c) is of the calls that are there and "kl" = KL(q || p). Calls are hidden in training only.
        """
        calls, population = batch["calls"], batch["population"]
        centred = self.centred(calls)
        shown = centred * noise["seen"] if self.training and "seen" in noise else centred
        mean, log_var = self.posterior(shown, population)
        latent = mean + (0.5 * log_var).exp() * noise["latent"]
        nll = self.nll(calls, self.logits(latent, centred, population))
        return {"nll": nll.mean(), "kl": gaussian_kl(mean, log_var).mean()}

    def nll(self, calls: Tensor, logits: Tensor) -> Tensor:
        """-log p(x | z, c) of the calls that are not missing: twice (..., l) -> (...,), in nats."""
        return ((F.softplus(logits) - calls * logits) * (calls >= 0)).sum(-1)
