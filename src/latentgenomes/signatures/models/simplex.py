"""Non-negative weights whose rows are probability distributions."""

import torch
from torch import Tensor, nn


class SimplexRows(nn.Module):
    """A matrix with non-negative rows that sum to 1, stored as an unconstrained weight.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the matrix.

    Notes
    -----
    The constraint is ``|W| / sum |W|``, so that an optimiser may cross zero freely.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(n_rows, n_columns))

    def forward(self) -> Tensor:
        """Return the matrix, (n_rows, n_columns), rows summing to 1."""
        magnitude = self.weight.abs()
        return magnitude / magnitude.sum(-1, keepdim=True).clamp_min(1e-12)

    def set_rows(self, rows: Tensor) -> None:
        """Start from the given rows, (n_rows, n_columns), >= 0 with positive sums.

        Rows are stored with mean 1 per entry, so that a learning rate means the same for
        every number of columns. Exact zeros are lifted to a thousandth of the mean:
        at 0 the gradient of the magnitude vanishes and the entry could never grow.
        """
        share = rows / rows.sum(-1, keepdim=True) * rows.shape[-1]
        with torch.no_grad():
            self.weight.copy_(share.clamp_min(1e-3))
