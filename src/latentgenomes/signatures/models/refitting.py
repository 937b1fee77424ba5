r"""Sparse exposures of known signatures: what a sample holds, what it does not, and how sure that is.

Every signature that enters a sample costs the log-odds against it and half the logarithm of the mutations:

.. math::
    c_{nk} = \log\frac{1 - \pi_k}{\pi_k} + \tfrac{1}{2} \log\frac{N_n}{2 \cdot 3.14},
    \qquad \varphi_n = \max\Big(1, \frac{\sum_m (x_{nm} - r_{nm})^2 / r_{nm}}{f_n (1 + \bar s_n)}\Big).

The second term is what Laplace's approximation of the evidence charges for one number learnt from N
mutations. The prevalence pi of a signature starts equal for all and is then learnt from the samples, or from
those of the same group, as the mean probability that a sample holds it,
:math:`1 / (1 + e^{c - T/2})`, where T/2 is what the signature adds to the fit, in nats. The likelihood of a
sample whose counts scatter more than Poisson counts around the fit of all signatures is divided by its
dispersion (f: channels less signatures; s: mean relative residual). A p-value takes T as half the time 0,
half the time chi-square with one degree of freedom: the law of a likelihood ratio at the boundary e = 0.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $c$ | `penalties` | (n, k), nats |
| $\pi$ | `prevalence` | (groups, k) |
| $N$ | `totals` | (n,) |
| $\varphi$ | `dispersion` | (n,) |
| $T/2$ | `ratios` | (n, k), nats |

References
----------
Schwarz 1978, Ann. Stat. 6:461 (half the logarithm). Fletcher 2012, Biometrika 99:230, eq. 2.3 (dispersion of
sparse counts). Self & Liang 1987, J. Am. Stat. Assoc. 82:605, case 5 (the boundary).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import chi2
from torch import Tensor

from latentgenomes.core.checks import check_counts, check_profiles, list_names
from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.klnmf import refit_exposures
from latentgenomes.signatures.models.subsets import SubsetSearch

_BATCH = 200  # samples searched at a time
_ROUNDS = 3  # how often prevalences are learnt; more changes nothing
_EXPECTED = 5.0  # signatures expected in a sample before any is seen
_WEIGHT = 2.0  # samples that the prior counts for
_SCALE = 1e4  # mutations for which a signature is decomposed
_GAIN = 0.02  # nats per mutation that another reference in a mixture must gain
_ALONE = 0.95  # cosine from which a signature gets the name of its best reference alone


@dataclass(frozen=True)
class SparseExposures:
    """What `refit_sparse` finds, as labelled frames. The choice of signatures was made on the same counts, so
    p-values are too small for signatures that look alike.
    """

    exposures: pd.DataFrame  # (n, k), mutations; exactly 0 where a signature is absent
    p_values: pd.DataFrame  # (n, k), of the fit with and without it, the other signatures as chosen
    probabilities: pd.DataFrame  # (n, k), that the sample holds it, given the other signatures
    prevalence: pd.DataFrame  # (groups, k), share of the samples of a group that hold the signature
    samples: pd.DataFrame  # mutations, n_signatures, dispersion (1 for Poisson), cosine of counts and fit

    @property
    def presence(self) -> pd.DataFrame:
        """Whether a sample holds a signature, bool."""
        return self.exposures > 0


def refit_sparse(
    counts: pd.DataFrame,
    signatures: pd.DataFrame,
    *,
    groups: pd.Series | None = None,
    prior: pd.Series | None = None,
    learn_prevalence: bool = True,
    overdispersed: bool = True,
) -> SparseExposures:
    """Estimate which known signatures each sample of counts holds, and how many mutations they left. Channels
    are aligned by label. `groups`, such as cancer types, get prevalences of their own, drawn towards those of
    all; without `learn_prevalence` each sample is judged by `prior`, shares in (0, 1), of which by default 5
    signatures are expected. Without `overdispersed` counts are Poisson.
    """
    counts = check_counts(counts, name="counts", allow_fractional=True, on_empty="keep")
    profiles = _aligned(signatures, counts, ("signatures", "counts"))
    labels = _group_labels(groups, counts.index)
    start = _prior(prior, profiles.index)
    seen: npt.NDArray[np.bool_] = counts.to_numpy().sum(axis=1) > 0
    if not seen.any():
        raise ValueError("counts must hold mutations, but every count is 0. Check how they were selected.")
    x, s = torch.from_numpy(counts.to_numpy()[seen]), torch.from_numpy(profiles.to_numpy())
    dispersion = _dispersion(x, s) if overdispersed else torch.ones(len(x), dtype=x.dtype)
    names, numbers = np.unique(labels.to_numpy(dtype=np.str_)[seen], return_inverse=True)
    fit = _fit(x, s, dispersion, start.expand(len(names), -1), torch.from_numpy(numbers), learn_prevalence)
    frame = _framer(counts.index, profiles.index, seen)
    exposures = frame(fit.exposures, 0.0)
    samples = pd.DataFrame(
        {"mutations": counts.sum(axis=1), "n_signatures": (exposures > 0).sum(axis=1)}, index=counts.index
    )
    for name, values in (
        ("dispersion", dispersion),
        ("cosine", torch.cosine_similarity(x, fit.exposures @ s)),
    ):
        samples.loc[seen, name] = values.numpy()
    return SparseExposures(
        exposures=exposures,
        p_values=frame(torch.from_numpy(p_value(fit.ratios.numpy())), 1.0),
        probabilities=frame(fit.probabilities, 0.0),
        prevalence=pd.DataFrame(
            fit.prevalence.numpy(), index=pd.Index(names, name="group"), columns=profiles.index
        ),
        samples=samples,
    )


def p_value(ratios: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability of at least the ratio T / 2 (nats, >= 0) where the signature is absent; 1 at 0."""
    tail: npt.NDArray[np.float64] = np.where(ratios > 0, 0.5 * chi2.sf(2.0 * ratios, df=1), 1.0)
    return tail


def decompose(signatures: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Mixture of few references for each signature: signature, reference, share, cosine of the mixture. One
    reference stands alone where its cosine is at least 0.95; else each one more must gain 0.02 nats per
    mutation. Rows go by falling share.
    """
    known = _aligned(reference, signatures, ("reference", "signatures"))
    profiles = _aligned(signatures, signatures, ("signatures", "signatures"))
    x, s = torch.from_numpy(profiles.to_numpy()), torch.from_numpy(known.to_numpy())
    nearest, best = torch.cosine_similarity(x.unsqueeze(1), s.unsqueeze(0), dim=-1).max(1)
    cost = torch.full((len(x), len(s)), _GAIN * _SCALE, dtype=x.dtype)
    shares = SubsetSearch(x * _SCALE, s, cost, torch.ones(len(x), dtype=x.dtype)).run()
    alone = torch.zeros_like(shares).scatter_(1, best.unsqueeze(1), 1.0)
    shares = torch.where((nearest >= _ALONE).unsqueeze(1), alone, shares)
    shares = shares / shares.sum(1, keepdim=True)
    cosines = torch.cosine_similarity(x, shares @ s)
    order = shares.argsort(dim=1, descending=True, stable=True)
    rows = [
        (profiles.index[n], known.index[k], float(shares[n, k]), float(cosines[n]))
        for n in range(len(x))
        for k in order[n, : int((shares[n] > 0).sum())].tolist()
    ]
    return pd.DataFrame(rows, columns=["signature", "reference", "share", "cosine"])


class _Fit(NamedTuple):
    exposures: Tensor  # (n, k)
    ratios: Tensor  # (n, k), nats
    probabilities: Tensor  # (n, k)
    prevalence: Tensor  # (groups, k)


def _fit(
    counts: Tensor,
    signatures: Tensor,
    dispersion: Tensor,
    prevalence: Tensor,
    groups: Tensor,
    learn_prevalence: bool,
) -> _Fit:
    """Search subsets and learn prevalences in turn, starting from the given prevalences."""
    prior, exposures = prevalence[0], None
    n_rounds = _ROUNDS if learn_prevalence else 0
    for _ in progress(range(n_rounds), "sparse refit", unit="round"):
        penalties = _penalties(counts.sum(1), prevalence[groups])
        exposures, ratios = _search(counts, signatures, penalties, dispersion, exposures)
        prevalence = _learn(torch.sigmoid(ratios - penalties), groups, prior)
    penalties = _penalties(counts.sum(1), prevalence[groups])
    exposures, ratios = _search(counts, signatures, penalties, dispersion, exposures)
    probabilities = torch.sigmoid(ratios - penalties)
    probabilities = torch.where(exposures > 0, probabilities, probabilities.clamp_max(0.5))
    return _Fit(exposures, ratios, probabilities, prevalence)


def _search(
    counts: Tensor, signatures: Tensor, penalties: Tensor, dispersion: Tensor, exposures: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Best subsets of all samples and the likelihood ratios there, batch by batch: both (n, k)."""
    found, ratios = [], []
    for rows in torch.arange(len(counts)).split(_BATCH):
        search = SubsetSearch(counts[rows], signatures, penalties[rows], dispersion[rows])
        found.append(search.run(None if exposures is None else exposures[rows]))
        ratios.append(search.likelihood_ratios(found[-1]))
    return torch.cat(found), torch.cat(ratios)


def _penalties(totals: Tensor, prevalence: Tensor) -> Tensor:
    """Cost of a signature in nats, (n, k), at least 0."""
    evidence = (0.5 * (totals / (2.0 * torch.pi)).log()).clamp_min(0.0)
    return (evidence.unsqueeze(1) - torch.logit(prevalence)).clamp_min(0.0)


def _learn(probabilities: Tensor, groups: Tensor, prior: Tensor) -> Tensor:
    """Prevalences per group, (groups, k): group drawn towards all samples, all towards the prior."""
    overall = (probabilities.sum(0) + _WEIGHT * prior) / (len(probabilities) + _WEIGHT)
    n_groups = int(groups.max()) + 1
    sums = torch.zeros(n_groups, len(prior), dtype=prior.dtype).index_add(0, groups, probabilities)
    sizes = torch.bincount(groups, minlength=n_groups).unsqueeze(1)
    return ((sums + _WEIGHT * overall) / (sizes + _WEIGHT)).clamp(1e-6, 1.0 - 1e-6)


def _dispersion(counts: Tensor, signatures: Tensor) -> Tensor:
    """Dispersion of every sample around its fit of all signatures, (n,), at least 1."""
    found = []
    for x in counts.split(_BATCH):
        totals = x.sum(1, keepdim=True)
        exposures = refit_exposures(x, signatures, max_iter=1000, tol=1e-5)
        rates = (exposures @ signatures).clamp_min(1e-6)
        n_free = (x.shape[1] - (exposures > 1e-3 * totals).sum(1)).clamp_min(1)
        relative = ((x - rates) / rates).mean(1)
        pearson = ((x - rates) ** 2 / rates).sum(1) / n_free
        found.append((pearson / (1.0 + relative)).clamp_min(1.0))
    return torch.cat(found)


def _framer(
    samples: pd.Index, signatures: pd.Index, seen: npt.NDArray[np.bool_]
) -> Callable[[Tensor, float], pd.DataFrame]:
    """How to label a table of the samples that hold mutations; the others get a constant."""

    def frame(values: Tensor, empty: float) -> pd.DataFrame:
        full = np.full((len(samples), len(signatures)), empty)
        full[seen] = values.numpy()
        return pd.DataFrame(full, index=samples, columns=signatures)

    return frame


def _aligned(signatures: pd.DataFrame, counts: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Signatures with the channels in the order of the counts, rows scaled to sum to 1."""
    if set(counts.columns) != set(signatures.columns):
        odd = sorted(map(str, set(counts.columns) ^ set(signatures.columns)))
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same channels, but {len(odd)} are in only one of them, "
            f"such as {odd[0]!r}. Use the same classification for both."
        )
    values = check_counts(signatures, name=names[0], allow_fractional=True)
    return check_profiles(values.div(values.sum(axis=1), axis=0)[list(counts.columns)], name=names[0])


def _group_labels(groups: pd.Series | None, samples: pd.Index) -> pd.Series:
    if groups is None:
        return pd.Series("all", index=samples)
    labels = groups.reindex(samples)
    absent = list(samples[labels.isna()])
    if absent:
        raise ValueError(
            f"groups must name the group of every sample, but {len(absent)} of {len(samples)} have none: "
            f"{list_names(absent)}. Index groups like counts."
        )
    return labels.astype(str)


def _prior(prior: pd.Series | None, signatures: pd.Index) -> Tensor:
    """Prevalences before the samples are seen, (k,)."""
    if prior is None:
        return torch.full((len(signatures),), min(_EXPECTED / len(signatures), 0.5), dtype=torch.float64)
    values = prior.reindex(signatures)
    bad = list(signatures[~((values > 0) & (values < 1)).to_numpy()])
    if bad:
        raise ValueError(
            f"prior must give every signature a number in (0, 1), but {len(bad)} of {len(values)} have none: "
            f"{list_names(bad)}. Leave signatures out that cannot be present."
        )
    return torch.from_numpy(values.to_numpy(dtype=np.float64))
