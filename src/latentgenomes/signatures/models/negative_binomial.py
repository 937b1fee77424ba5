r"""Signatures of counts that scatter more than Poisson counts do.

Real counts vary beyond Poisson noise, and the more so the larger they are:

.. math::
    x_{nm} \sim \text{NegBin}(r_{nm}, \varphi), \qquad r = e\,s, \qquad
    \text{Var}\, x_{nm} = r_{nm} + \varphi\, r_{nm}^2.

A Poisson model takes this scatter for structure and pays for it with signatures. So several sets of
signatures are proposed, and the negative binomial judges them. The proposals come from
`latentgenomes.signatures.models.gamma_poisson` at caps that halve: the fewer mutations a sample may show,
the less of its scatter is taken for structure. Each proposal is improved by updates that never lower the
likelihood,

.. math::
    e_{nk} \leftarrow e_{nk}
    \frac{\sum_m s_{km}\, x_{nm} / r_{nm}}{\sum_m s_{km}\, (x_{nm} + 1 / \varphi) / (r_{nm} + 1 / \varphi)},

likewise for the signatures, with :math:`\varphi` by maximum likelihood in between, and scored by

.. math::
    \mathcal{E} = \log p(x \mid e, s, \varphi)
    - (m - 1) \sum_k \max\big(\tfrac{1}{2} \log n_k, 1\big)
    - \tfrac{1}{2} \sum_{e_{nk} > 0} \log\big(1 + e_{nk}^2 I_{nk}\big)
    - n \sum_k H\Big(\frac{n_k}{n}\Big), \qquad
    I_{nk} = \sum_m \frac{s_{km}^2}{r_{nm} + \varphi r_{nm}^2}:

the price of each signature as in the Poisson model, that of each exposure by its information, and that of
saying which samples carry it. If the first proposal gains no more from :math:`\varphi` than the price of one
number, :math:`\tfrac{1}{2} \log n m`, the counts are Poisson counts: it is kept as it is.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $r$ | `rates` | (n, m) |
| $e$ | `exposures` | (n, k) |
| $s$ | `signatures` | (k, m), rows sum to 1 |
| $\varphi$ | `dispersion` | scalar, 0 for Poisson counts |
| $n_k$ | `n_carriers` | (k,), samples |
| $I$ | `information` | (n, k) |
| $\mathcal{E}$ | `evidence` | scalar, nats |

References
----------
Pelizzola et al. 2023, BMC Bioinformatics 24:187 (negative binomial NMF for signatures; Poisson models find
too many). Gouvert et al. 2020, IEEE Signal Process. Lett. 27:815 (the updates). Schwarz 1978, Ann. Stat.
6:461 (half a logarithm a number).
"""

from numbers import Integral

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import entr, gammaln, xlogy
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF

_LEAST, _MOST = 1e-6, 10.0  # dispersion
_N_UPDATES = 300
_REFIT_EVERY = 50  # updates between estimates of the dispersion
_REFIT_UPDATES = 200
_TINY = 1e-12


def log_likelihood(counts: np.ndarray, rates: np.ndarray, dispersion: float) -> float:
    """Negative binomial log-likelihood, summed, in nats; Poisson where the dispersion is 0."""
    if dispersion == 0.0:
        return float((xlogy(counts, rates) - rates - gammaln(counts + 1.0)).sum())
    r = 1.0 / dispersion
    entries = gammaln(counts + r) - gammaln(r) - gammaln(counts + 1.0)
    entries += xlogy(counts, rates) - counts * np.log(r + rates) - r * np.log1p(rates / r)
    return float(entries.sum())


def fit_dispersion(counts: np.ndarray, rates: np.ndarray) -> float:
    """Dispersion of greatest likelihood, between 1e-6 and 10, for expectations > 0."""
    bounds = (np.log(_LEAST), np.log(_MOST))
    found = minimize_scalar(
        lambda log: -log_likelihood(counts, rates, float(np.exp(log))), bounds=bounds, method="bounded"
    )
    return float(np.exp(found.x))


def _updated(
    counts: np.ndarray, exposures: np.ndarray, signatures: np.ndarray, dispersion: float
) -> np.ndarray:
    """One update of the exposures; of the signatures, transposed, if all are given transposed."""
    rates = np.maximum(exposures @ signatures, _TINY)
    wanted = (counts / rates) @ signatures.T
    held = (1.0 + dispersion * counts) / (1.0 + dispersion * rates) @ signatures.T
    return exposures * wanted / np.maximum(held, _TINY)


def improve(
    counts: np.ndarray, exposures: np.ndarray, signatures: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Improve exposures (n, k), signatures (k, m) and dispersion under the negative binomial; zeros stay."""
    dispersion = fit_dispersion(counts, np.maximum(exposures @ signatures, _TINY))
    for step in range(1, _N_UPDATES + 1):
        exposures = _updated(counts, exposures, signatures, dispersion)
        signatures = _updated(counts.T, signatures.T, exposures.T, dispersion).T
        sums = np.maximum(signatures.sum(1), _TINY)
        exposures, signatures = exposures * sums, signatures / sums[:, None]
        if step % _REFIT_EVERY == 0:
            dispersion = fit_dispersion(counts, np.maximum(exposures @ signatures, _TINY))
    return exposures, signatures, dispersion


def penalised_likelihood(
    counts: np.ndarray, exposures: np.ndarray, signatures: np.ndarray, dispersion: float
) -> float:
    """Score a set of signatures with its exposures, in nats; the module's docstring has the terms."""
    rates = np.maximum(exposures @ signatures, _TINY)
    present = exposures > 0
    n_carriers = present.sum(0)
    information = (1.0 / (rates + dispersion * rates**2)) @ (signatures**2).T
    of_signatures = (signatures.shape[1] - 1) * np.maximum(np.log(np.maximum(n_carriers, 1)) / 2.0, 1.0).sum()
    of_exposures = np.log1p(exposures**2 * information)[present].sum() / 2.0
    share = n_carriers / len(counts)
    of_presence = len(counts) * (entr(share) + entr(1.0 - share)).sum()
    return log_likelihood(counts, rates, dispersion) - float(of_signatures + of_exposures + of_presence)


class ScatteringNMF(GammaPoissonNMF):
    """Abstract: a Gamma-Poisson NMF whose counts may scatter by `dispersion_`, which a subclass learns."""

    dispersion_: float

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        exposures = super()._exposures(counts)
        if self.dispersion_ > 0:
            for _ in range(_REFIT_UPDATES):
                exposures = _updated(counts, exposures, self.components_, self.dispersion_)
        return exposures

    def sample(
        self, n_samples: int = 1, *, random_state: int | np.random.RandomState | None = None
    ) -> np.ndarray:
        """Draw new catalogues as `GammaPoissonNMF` does, with counts of the learnt dispersion."""
        check_is_fitted(self)
        if self.dispersion_ == 0 or n_samples < 1:
            return super().sample(n_samples, random_state=random_state)
        rng = check_random_state(random_state)
        rows = rng.randint(len(self.training_exposures_), size=n_samples)
        rates = self._sampled_exposures(rows, rng) @ self.components_
        return rng.poisson(rates * rng.gamma(1.0 / self.dispersion_, self.dispersion_, size=rates.shape))


class NegativeBinomialNMF(ScatteringNMF):
    """Gamma-Poisson NMF that knows that counts may scatter more than Poisson counts do.

    On Poisson counts that `GammaPoissonNMF` explains it gives the same, number for number. Where counts
    scatter more, it finds fewer signatures and gives wider intervals.

    Parameters
    ----------
    n_signatures, eliminate, min_signatures, n_restarts, max_iter, tol, device, random_state
        Of every proposal, see `GammaPoissonNMF`; the seed is the same for all.
    n_caps : int
        Proposals at most; every cap on a sample's mutations is half of that before.
    max_mutations : float or None
        The first cap; None takes the median of the totals.

    Attributes
    ----------
    dispersion_ : float
        Variance = rate + dispersion * rate^2; 0 where the counts are no more than Poisson.
    candidates_ : DataFrame
        One row per proposal: max_mutations, n_signatures, dispersion, log_likelihood and evidence in nats.
    evidence_ : float
        Evidence of what was kept, in nats.
    path_ : DataFrame
        As in `GammaPoissonNMF` for Poisson counts; else the best proposal of every number of signatures.

    Notes
    -----
    The other attributes are those of `GammaPoissonNMF`, for the proposal that was kept. Which signatures a
    sample carries is that model's answer. Exposures are then those of greatest negative binomial likelihood.
    """

    candidates_: pd.DataFrame
    dispersion_: float

    def __init__(
        self,
        n_signatures: int = 25,
        *,
        eliminate: bool = True,
        min_signatures: int = 1,
        n_restarts: int = 2,
        max_iter: int = 10,
        tol: float = 5.0,
        n_caps: int = 5,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_signatures,
            eliminate=eliminate,
            min_signatures=min_signatures,
            n_restarts=n_restarts,
            max_iter=max_iter,
            tol=tol,
            max_mutations=max_mutations,
            device=device,
            random_state=random_state,
        )
        self.n_caps = n_caps

    def _extract(self, counts: np.ndarray) -> None:
        if not isinstance(self.n_caps, Integral) or self.n_caps < 1:
            raise ValueError(f"n_caps must be a whole number >= 1, but {self.n_caps!r} came.")
        totals = counts.sum(1)
        cap = float(np.median(totals[totals > 0])) if self.max_mutations is None else self.max_mutations
        settings = {name: value for name, value in self.get_params(deep=False).items() if name != "n_caps"}
        if not isinstance(self.random_state, Integral):
            settings["random_state"] = self._seeds(1)[0]
        rows: list[dict[str, float]] = []
        for turn in range(self.n_caps):
            settings["max_mutations"] = cap * 0.5**turn
            model = GammaPoissonNMF(**settings).fit(counts)
            row = {"max_mutations": settings["max_mutations"], "n_signatures": len(model.components_)}
            if turn == 0 and not _scatters(counts, model.training_exposures_ @ model.components_):
                self._take(model)
                self.dispersion_ = 0.0
                rates = np.maximum(model.training_exposures_ @ model.components_, _TINY)
                row |= {"dispersion": 0.0, "log_likelihood": log_likelihood(counts, rates, 0.0)}
                self.candidates_ = pd.DataFrame([row | {"evidence": model.evidence_}])
                return
            exposures, signatures, dispersion = improve(counts, model.training_exposures_, model.components_)
            score = penalised_likelihood(counts, exposures, signatures, dispersion)
            rates = np.maximum(exposures @ signatures, _TINY)
            row |= {"dispersion": dispersion, "log_likelihood": log_likelihood(counts, rates, dispersion)}
            if score > max((one["evidence"] for one in rows), default=-np.inf):
                self._take(model)
                self.components_, self.dispersion_, self.evidence_ = signatures, dispersion, score
            rows.append(row | {"evidence": score})
        self._settle(counts, pd.DataFrame(rows))

    def _take(self, model: GammaPoissonNMF) -> None:
        """Become this proposal."""
        own = {"n_features_in_", "feature_names_in_"}
        for name, value in vars(model).items():
            if name.endswith("_") and not name.startswith("_") and name not in own:
                setattr(self, name, value)

    def _settle(self, counts: np.ndarray, candidates: pd.DataFrame) -> None:
        """Set what depends on all proposals, and the exposures under the best."""
        self.candidates_ = candidates
        best = candidates.sort_values("evidence").drop_duplicates("n_signatures", keep="last")
        best = best.sort_values("n_signatures", ignore_index=True)
        self.path_ = pd.DataFrame(
            {
                "n_signatures": best["n_signatures"],
                "evidence": best["log_likelihood"],
                "penalty": best["log_likelihood"] - best["evidence"],
                "penalised_evidence": best["evidence"],
            }
        )
        order = self._keep(self.components_, self._exposures(counts))
        for name in ("prior_shape_", "prior_rate_", "prevalence_"):
            setattr(self, name, getattr(self, name)[order])

    def exposure_intervals(self, X: np.ndarray, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Central intervals of the exposures, in mutations, widened by the scatter of the counts.

        The gamma posterior of the Poisson model keeps its mean at the exposure, and its variance grows as
        that of the sample's counts does. Signatures are held fixed, so expect them to cover less than
        `level`.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0, with the channels of the fit.
        level : float in (0, 1)
            Nominal probability within.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples, n_signatures)
        """
        if self.dispersion_ == 0 or not 0.0 < level < 1.0:
            return super().exposure_intervals(X, level)
        counts = self._check(X)
        exposures, rate = self._exposures(counts), self._posterior(counts)[1]
        rates = np.maximum(exposures @ self.components_, _TINY)
        inflation = 1.0 + self.dispersion_ * (rates**2).sum(1) / rates.sum(1)
        rate = rate / inflation[:, None]
        shape = np.maximum(exposures * rate, _TINY)
        lower, upper = (
            np.where(exposures > 0, stats.gamma.ppf(tail, shape, scale=1.0 / rate), 0.0)
            for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
        )
        return lower, upper


def _scatters(counts: np.ndarray, rates: np.ndarray) -> bool:
    """Whether a dispersion gains more likelihood than one number is worth."""
    rates = np.maximum(rates, _TINY)
    gain = log_likelihood(counts, rates, fit_dispersion(counts, rates)) - log_likelihood(counts, rates, 0.0)
    return gain > 0.5 * np.log(counts.size)
