r"""One autoencoder for each population, as a classifier.

Every model learns the haplotypes of one population. A new haplotype is given to all of them, and belongs
where it is explained best: by the bound on its code length, or, as published, by its reconstruction error,

.. math::
    \hat c(x) = \arg\min_c b_c(x) - \log_2 \pi_c, \qquad
    \hat c(x) = \arg\min_c \sum_l -\log_2 p_c(x_l \mid z = \mu_c(x)).

The share :math:`\pi_c` of a population counts in the first rule only, and only when asked for.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `calls` | (n, l) |
| $b$ | `bits` | (n, n_populations) |
| $\pi$ | `shares_` | (n_populations,) |
| $\hat c$ | `predict` | (n,) |

References
----------
Geleta et al. 2026, Genome Research, doi 10.1101/gr.280086.124 (classification by the errors of the
populations' models).
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from latentgenomes.genotypes.models.copying import check_values
from latentgenomes.genotypes.models.haplotype_vae import HaplotypeVAE

_FLOOR = 1e-6  # least probability of a call


class PopulationVAEs(ClassifierMixin, BaseEstimator):
    """One `HaplotypeVAE` for each population.

    Parameters
    ----------
    vae : HaplotypeVAE or None
        Cloned for every population; None takes the defaults. It must not be conditional.
    by_bound : bool
        Judge by the bound on the code length; False by the reconstruction error, as published.
    use_shares : bool
        Let the share of a population in the panel count, as in Bayes' rule. Only with `by_bound`.
    n_draws : int
        Draws of z for the bound.

    Attributes
    ----------
    classes_ : ndarray of shape (n_populations,)
        Names of the populations.
    models_ : list of HaplotypeVAE
        In the order of `classes_`.
    shares_ : ndarray of shape (n_populations,)
        Of the panel's haplotypes.
    """

    def __init__(
        self,
        vae: HaplotypeVAE | None = None,
        *,
        by_bound: bool = True,
        use_shares: bool = False,
        n_draws: int = 4,
    ) -> None:
        self.vae = vae
        self.by_bound = by_bound
        self.use_shares = use_shares
        self.n_draws = n_draws

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one model to each population.

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Calls 0 and 1, -1 for missing.
        y : array of shape (n_haplotypes,)
            Population of every haplotype, at least two of each.

        Raises
        ------
        ValueError
            If a population has a single haplotype, there is one population only, or the model is conditional.
        """
        X, y = validate_data(self, X, y, dtype=None)
        check_classification_targets(y)
        calls = check_values(X)
        self.classes_, numbers, sizes = np.unique(y, return_inverse=True, return_counts=True)
        if len(self.classes_) < 2 or sizes.min() < 2:
            raise ValueError(
                f"There must be two populations or more, of two haplotypes or more, but there are "
                f"{len(self.classes_)} class(es), the smallest of {sizes.min()}. Merge the small ones."
            )
        base = HaplotypeVAE() if self.vae is None else self.vae
        if base.conditional:
            raise ValueError(
                "One model a population needs a model that is not conditional, but vae.conditional is True. "
                "Set it to False."
            )
        self.shares_ = sizes / sizes.sum()
        self.models_ = [clone(base).fit(calls[numbers == number]) for number in range(len(self.classes_))]
        return self

    def bits(self, X: Any) -> npt.NDArray[np.float64]:
        """Bound or reconstruction error, in bits, under every population's model: (n_haplotypes,
        n_populations).

        Parameters
        ----------
        X : array of shape (n_haplotypes, n_snps)
            Calls 0 and 1, -1 for missing.
        """
        check_is_fitted(self)
        calls = check_values(validate_data(self, X, dtype=None, reset=False))
        if self.by_bound:
            bits = np.stack([model.bits(calls, n_draws=self.n_draws) for model in self.models_], axis=1)
            return bits - np.log2(self.shares_) if self.use_shares else bits
        errors = []
        for model in self.models_:
            ones = np.clip(model.inverse_transform(model.transform(calls)), _FLOOR, 1 - _FLOOR)
            errors.append(
                -np.where(calls < 0, 0.0, np.log2(np.where(calls == 1, ones, 1 - ones))).sum(axis=1)
            )
        return np.stack(errors, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Population whose model explains each haplotype best, (n_haplotypes,)."""
        return self.classes_[self.bits(X).argmin(axis=1)]
