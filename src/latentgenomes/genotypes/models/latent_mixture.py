r"""What the latent variables of a panel look like: Gaussian mixtures, one for each population.

A decoder was trained on draws of q(z | x), and these do not fill the prior N(0, I) evenly. Haplotypes drawn
from the prior are therefore too few of some kinds. The aggregate posterior, the mean of q(z | x) over the
panel, is where the decoder was trained; here it is replaced by a mixture, so that new z can be drawn:

.. math:: \frac{1}{n} \sum_i q(z \mid x_i) \approx \sum_m \pi_m N(z; \nu_m, \Sigma_m).

It is fitted to draws of q, one for each haplotype. Where populations are known each has a mixture, and its
share of the panel is its weight.

| symbol | name in code | shape |
|---|---|---|
| $z$ | `latent` | (n, k) |
| $\pi$ | `weights` | (n_components,) |
| $\nu$ | `means` | (n_components, k) |
| $\Sigma$ | `cholesky` | (n_components, k, k), its Cholesky factor |

References
----------
Tomczak & Welling 2018, VAE with a VampPrior, AISTATS (the aggregate posterior as prior); Ghosh et al. 2020,
From variational to deterministic autoencoders, ICLR (a mixture fitted afterwards).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.mixture import GaussianMixture

Array = npt.NDArray[np.float64]
_LEAST_SHARE = 4  # draws for each latent variable that a component needs


@dataclass(frozen=True)
class LatentMixture:
    """Gaussian mixture of the latent variables; `population` (n_components,) says whose a component is."""

    weights: Array
    means: Array
    cholesky: Array
    population: npt.NDArray[np.int64]

    def draw(self, n_samples: int, rng: np.random.Generator, *, population: int | None = None) -> Array:
        """Draw latent variables (n_samples, n_latent), of one population or of all."""
        shares = self.weights if population is None else self.weights * (self.population == population)
        drawn = rng.choice(len(shares), size=n_samples, p=shares / shares.sum())
        noise = rng.standard_normal((n_samples, self.means.shape[1]))
        return self.means[drawn] + np.einsum("nij,nj->ni", self.cholesky[drawn], noise)


def fit_latent_mixture(
    latent: Array, population: npt.NDArray[np.int64], n_components: int, *, seed: int
) -> LatentMixture:
    """Fit a mixture to draws (n_draws, n_latent) of q(z | x), for each population; all 0 without populations.

    Of at most n_components Gaussians each has four draws or more for each latent variable.
    """
    parts = []
    for number in np.unique(population):
        own = latent[population == number]
        n_own = max(1, min(n_components, len(own) // (_LEAST_SHARE * latent.shape[1])))
        if len(own) < 2:  # nothing to estimate a spread from
            parts.append((np.ones(1), own, np.eye(latent.shape[1])[None], number, len(own)))
            continue
        fitted = GaussianMixture(n_own, reg_covar=1e-3, random_state=seed, max_iter=200, tol=1e-2).fit(own)
        root = np.linalg.cholesky(fitted.covariances_)
        parts.append((fitted.weights_, fitted.means_, root, number, len(own)))
    return LatentMixture(
        np.concatenate([weights * n / len(latent) for weights, _, _, _, n in parts]),
        np.concatenate([means for _, means, _, _, _ in parts]),
        np.concatenate([root for _, _, root, _, _ in parts]),
        np.concatenate([np.full(len(weights), number) for weights, _, _, number, _ in parts]),
    )
