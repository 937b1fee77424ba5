r"""The network of a haplotype VAE in whole numbers, the same on every machine.

A decoder of bytes must compute the very probabilities of the encoder. Sums of rounded numbers differ with
their order, and so with processor, library and number of threads. Here every weight and activation is a whole
number of small units (2^-12 for activations, 2^-14 for weights), so that

.. math::
    s = \sum_j W_{ij} a_j + b_i, \qquad a'_i = \lfloor s / 2^{14} \rfloor, \qquad
    \text{LeakyReLU: } a'_i \leftarrow \lfloor a'_i\, r / 2^{12} \rfloor \text{ where } a'_i < 0 .

The numbers are held in double precision. A sum of whole numbers is exact there, in any order, while every
partial sum stays below 2^53. Activations are clipped to 2^24 units and the weights are checked, so they do.

| symbol | name in code | shape |
|---|---|---|
| $W$ | `weights` | (n_out, n_in) |
| $b$ | `biases` | (n_out,) |
| $a$ | `activations` | (n, n_in) |
| $r$ | `slope` | scalar |
| $s$ | `sums` | (n, n_out) |
| $f$ | `frequencies` | (l,) |
| $C$ | `causal` | (l, w) |

References
----------
Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only
inference, CVPR; Balle et al. 2019, Integer networks for data compression with latent-variable models, ICLR.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from latentgenomes.genotypes.models.haplotype_net import HaplotypeNet

Whole = npt.NDArray[np.float64]  # whole numbers in double precision

ACTIVATION_BITS = 12
WEIGHT_BITS = 14
_LARGEST = 1 << 24  # units of an activation
_EXACT = 1 << 53
#: log2(e) in units of 2**-16: turns log odds in nats into bits.
NATS_TO_BITS = 94548


@dataclass(frozen=True)
class IntegerLayer:
    """One linear layer: weights (n_out, n_in) in units of 2**-14, biases (n_out,) of 2**-26.

    slope is that of LeakyReLU below 0, in units of 2**-12; None for no activation.
    """

    weights: Whole
    biases: Whole
    slope: int | None

    def sums(self, activations: Whole) -> Whole:
        """W a + b in units of 2**-26, (n, n_in) -> (n, n_out)."""
        return np.asarray(np.clip(activations, -_LARGEST, _LARGEST) @ self.weights.T + self.biases)

    def forward(self, activations: Whole) -> Whole:
        """Output in units of 2**-12, (n, n_in) -> (n, n_out)."""
        out = np.floor(self.sums(activations) * 2.0**-WEIGHT_BITS)
        if self.slope is None:
            return out
        return np.where(out < 0, np.floor(out * self.slope * 2.0**-ACTIVATION_BITS), out)


def _rounded(values: torch.Tensor, bits: int) -> Whole:
    return np.rint(values.detach().cpu().numpy().astype(np.float64) * 2.0**bits)


def _layer(linear: nn.Linear, norm: nn.BatchNorm1d | None, slope: int | None) -> IntegerLayer:
    """Round a layer; BatchNorm, which is linear once trained, is folded into it."""
    weight = linear.weight.detach().double()
    bias = torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach()
    bias = bias.double().to(weight.device)
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = weight * scale[:, None]
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    weights, biases = _rounded(weight, WEIGHT_BITS), _rounded(bias, WEIGHT_BITS + ACTIVATION_BITS)
    if (np.abs(weights).sum(axis=1) * _LARGEST + np.abs(biases)).max() >= _EXACT:
        raise ValueError(
            "Weights must be small enough for exact sums, below 2**15 in each row together, but they are "
            "not: training diverged. Fit again with a lower learning rate."
        )
    return IntegerLayer(weights, biases, slope)


def integer_layers(modules: list[nn.Module]) -> list[IntegerLayer]:
    """Whole-number layers of a chain of Linear, BatchNorm1d, ReLU and LeakyReLU."""
    layers = []
    for place, module in enumerate(modules):
        if not isinstance(module, nn.Linear):
            continue
        after = []
        for follower in modules[place + 1 :]:
            if isinstance(follower, nn.Linear):
                break
            after.append(follower)
        norm = next((m for m in after if isinstance(m, nn.BatchNorm1d)), None)
        leaky = next((m.negative_slope for m in after if isinstance(m, nn.LeakyReLU)), 0.0)
        active = any(isinstance(m, nn.LeakyReLU | nn.ReLU) for m in after)
        layers.append(_layer(module, norm, round(leaky * 2**ACTIVATION_BITS) if active else None))
    return layers


class IntegerNet:
    """Encoders, decoders and causal weights of a network, trained without populations, in whole numbers."""

    def __init__(self, net: HaplotypeNet) -> None:
        if net.n_populations:
            raise ValueError(
                "A codec needs a model that is not told populations: a stream does not hold them. "
                "Set conditional=False."
            )
        self.window_sizes = list(net.window_sizes)
        self.n_latent = net.n_latent
        self.encoders = [integer_layers([*window.encoder, window.to_posterior]) for window in net.nets()]
        self.decoders = [integer_layers(list(window.decoder)) for window in net.nets()]
        self.frequencies = np.concatenate([_rounded(w.frequencies, ACTIVATION_BITS) for w in net.nets()])
        self.causal = np.zeros((len(self.frequencies), max(w.n_previous for w in net.nets())))
        start = 0
        for window in net.nets():
            own = _rounded(window.causal_weights(), WEIGHT_BITS)
            for back in range(1, own.shape[1] + 1):  # from its first SNP a window does not look back
                self.causal[start + back : start + len(own), -back] = own[back:, back - 1]
            start += len(own)
        if (np.abs(self.causal).sum(axis=1) * (1 << ACTIVATION_BITS)).max() >= _EXACT / 4:
            raise ValueError(
                "Causal weights must be small enough for exact sums, but they are not: training diverged. "
                "Fit again with a lower learning rate."
            )

    def arrays(self) -> list[Whole]:
        """Everything that a probability depends on."""
        layers = [layer for stack in [*self.encoders, *self.decoders] for layer in stack]
        numbers = [-1.0 if layer.slope is None else float(layer.slope) for layer in layers]
        parts = [array for layer in layers for array in (layer.weights, layer.biases)]
        return [*parts, np.array(numbers), self.frequencies, self.causal, np.array(self.window_sizes, float)]

    def centred(self, calls: npt.NDArray[np.int8]) -> Whole:
        """Calls as x - f in units of 2**-12, 0 where missing: (n, l) -> (n, l)."""
        return np.where(calls < 0, 0.0, calls * float(1 << ACTIVATION_BITS) - self.frequencies)

    def posterior(self, centred: Whole) -> tuple[Whole, Whole]:
        """Mean and log_var of q(z | x) in units of 2**-12: (n, l) -> twice (n, k)."""
        means, log_vars = [], []
        parts = np.split(centred, np.cumsum(self.window_sizes)[:-1], axis=1)
        for layers, activations in zip(self.encoders, parts, strict=True):
            for layer in layers:
                activations = layer.forward(activations)
            mean, log_var = np.split(activations, 2, axis=1)
            means.append(mean)
            log_vars.append(log_var)
        return np.hstack(means), np.hstack(log_vars)

    def decode(self, latent: Whole) -> Whole:
        """Log odds without the causal part, units of 2**-26 nats: z in units of 2**-12, (n, k) -> (n, l)."""
        sums = []
        parts = np.split(latent, len(self.window_sizes), axis=1)
        for layers, activations in zip(self.decoders, parts, strict=True):
            for layer in layers[:-1]:
                activations = layer.forward(activations)
            sums.append(layers[-1].sums(activations))
        return np.hstack(sums)

    def causal_part(self, centred: Whole, snp: int) -> Whole:
        """What the calls before a SNP add, units of 2**-26: (n, l) -> (n,)."""
        w = self.causal.shape[1]
        start = max(snp - w, 0)
        return np.asarray(centred[:, start:snp] @ self.causal[snp, w - (snp - start) :])

    def causal_parts(self, centred: Whole) -> Whole:
        """The same for all SNPs at once, (n, l) -> (n, l)."""
        if not self.causal.shape[1]:
            return np.zeros_like(centred)
        return np.stack([self.causal_part(centred, snp) for snp in range(centred.shape[1])], axis=1)


def evidence(sums: Whole) -> npt.NDArray[np.int64]:
    """Log odds in units of 2**-26 nats to units of 2**-16 bits, cut to 20 bits either way."""
    nats = np.clip(np.floor(sums * 2.0**-WEIGHT_BITS), -_LARGEST, _LARGEST)
    return np.asarray(np.floor(nats * NATS_TO_BITS * 2.0**-ACTIVATION_BITS), dtype=np.int64)
