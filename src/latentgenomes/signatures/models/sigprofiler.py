r"""What SigProfilerExtractor does around its factorisations: a limit for hypermutators, a measure of misfit.

A few samples with very many mutations would rule the extraction. They are looked for with a mixture of
two Gaussians over the totals :math:`N_n = \sum_m x_{nm}`. While the means of the two parts lie at least
four standard deviations of the larger part from each other, the smaller part is left out and the rest is
split again. With mean :math:`\mu` and standard deviation :math:`\sigma` of the totals that remain,

.. math:: L = \max(\lfloor \mu + 2 \sigma \rfloor,\; 100\, m)

is the total to which larger samples are scaled down. How badly signatures fit a sample is

.. math::
    d_n = \frac{\lVert x_n - r_n \rVert_2}{\lVert x_n \rVert_2}, \qquad
    r_n = N_n \frac{e_n s}{\sum_k e_{nk}},

with :math:`e_n` from non-negative least squares. Two numbers of signatures are compared by a rank sum
test of their :math:`d`.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $N$ | `totals` | (n,) |
| $L$ | `limit` | scalar |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $e$ | `exposures` | (k,), of one sample |
| $r$ | `expected` | (m,), of one sample |
| $d$ | `errors` | (n,) |

References
----------
Islam et al. 2022, Cell Genomics 2:100179. SigProfilerExtractor 1.4.1, ``get_normalization_cutoff``,
``calculate_similarities`` and ``stabVsRError``.
"""

import warnings

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from latentgenomes.signatures.models import poisson


def hypermutator_limit(counts: np.ndarray | pd.DataFrame, *, random_state: int = 0) -> float:
    """Whole number of mutations to which samples with more are scaled down; empty samples do not count."""
    table = np.asarray(counts, dtype=np.float64)
    totals = table.sum(1)
    totals = totals[totals > 0]
    if len(totals) == 0:
        raise ValueError("counts must hold mutations, but every sample is empty. Drop empty samples first.")
    while len(np.unique(totals)) > 1:
        larger = _larger_part(totals, random_state)
        kept, dropped = totals[larger], totals[~larger]
        if len(dropped) == 0 or abs(kept.mean() - dropped.mean()) < 4 * kept.std():
            break
        totals = kept
    limit = max(int(totals.mean() + 2 * totals.std()), 100 * table.shape[1])
    return float(limit)


def _larger_part(totals: np.ndarray, random_state: int) -> np.ndarray:
    """Which samples fall into the part of a mixture of two Gaussians that holds more of them."""
    mixture = GaussianMixture(2, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the split is used as far as it came
        part = mixture.fit_predict(totals[:, None])
    return part == np.bincount(part, minlength=2).argmax()


def relative_errors(counts: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Misfit d of every sample, (n,): 0 where it is empty, 1 where it shares no channel with a signature."""
    errors = np.zeros(len(counts))
    totals = counts.sum(1)
    for row in np.flatnonzero(totals):
        exposures = nnls(signatures.T, counts[row])[0]
        expected = totals[row] * (exposures @ signatures) / max(exposures.sum(), poisson.TINY)
        errors[row] = np.linalg.norm(counts[row] - expected) / np.linalg.norm(counts[row])
    return errors
