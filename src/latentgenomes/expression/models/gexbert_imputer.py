r"""A pretrained GexBERT behind the interface of the other imputers.

`GexBERT.transform` gives an embedding, while imputers fill genes by `transform`. `GexBERTImputer` does so
with :math:`\hat y` of `GexBERT.restore`.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `values` | (n, p), standardised |
| $O$ | `observed` | (n, p), True where observed |
| $\hat y$ | `backbone_` | its `restore`, (n, p) |
"""

from typing import Any

import numpy as np
from sklearn.base import clone

from latentgenomes.expression.models.imputers import Array, ExpressionImputer, Mask


class GexBERTImputer(ExpressionImputer):
    """GexBERT, fitted by `fit` unless frozen, as an imputer whose `transform` fills genes, for stacks."""

    def __init__(self, backbone: Any) -> None:
        self.backbone = backbone

    def _learn(self, values: Array) -> None:
        self.backbone_ = clone(self.backbone).fit(values * self.scale_ + self.mean_, None)

    def _fill(self, values: Array, observed: Mask) -> Array:
        raw = np.where(observed, values * self.scale_ + self.mean_, np.nan)
        network = getattr(self.backbone_, "estimator", self.backbone_)
        return (network.restore(raw) - self.mean_) / self.scale_
