"""Layers that the encoders are built from."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class DenseStack(nn.Module):
    """Blocks of Linear, BatchNorm and activation: `sizes` ``(96, 60, 40)``, input first, make two.

    The Linear layers have no bias: BatchNorm subtracts it again, so its gradient is rounding error, which
    Adam would blow up into a random walk.
    """

    def __init__(self, sizes: Sequence[int], activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, but {activation!r} came.")
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            linear = nn.Linear(n_in, n_out, bias=False)
            nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
            layers += [linear, nn.BatchNorm1d(n_out), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (n_samples, sizes[0]) to (n_samples, sizes[-1])."""
        return self.layers(inputs)
