r"""signeR: signatures as a posterior, with the rank judged by BIC.

The model and its sampler stand in `latentgenomes.signatures.models.gibbs`. Here chains start at the best of
several quick NMFs, run, and are summed up. In every draw signatures :math:`p` are scaled to
:math:`s_k = p_k / \sum_m p_{km}`, and exposures by the inverse, so that they count mutations. Reported is the
median of the draws. The number of signatures is judged by

.. math:: \text{BIC} = 2 \log p(x \mid e, p) - k (n + m) \log n,

by its median over the draws; higher is better. Whether chains agree is measured by
:math:`\hat R = \sqrt{(h - 1) / h + B / W}`: B is the variance of the means of half chains of h draws, W the
mean variance within them.

| symbol | name in code | shape |
|---|---|---|
| $x$ | `counts` | (n, m) |
| $s$ | `signature_draws_` | (d, k, m), rows sum to 1 |
| $e$ | `exposures` | (n, k) |
| $\text{BIC}$ | `bic_` | scalar |
| $\hat R$ | `r_hat_` | (k, 3) |

References
----------
Rosales et al. 2017, Bioinformatics 33:8. Drummond et al. 2023, BMC Bioinformatics 24. Gelman et al. 2013,
Bayesian Data Analysis, section 11.4.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment

from latentgenomes.nn.train import progress
from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.gamma_factor import GammaFactor, Prior
from latentgenomes.signatures.models.gibbs import Draws, GibbsChain, split_r_hat
from latentgenomes.signatures.models.klnmf import factorize, refit_exposures

_START_UPDATES, _START_TOL = 1000, 1e-5  # of the NMF behind the first state
_WARM_UP, _SWEEPS_PER_DRAW = 50, 3  # of exposures under drawn signatures
_REFIT_UPDATES, _REFIT_TOL = 5000, 1e-5


class SignerNMF(SignatureExtractor):
    """signeR: gamma priors on signatures and exposures, and a Gibbs sampler of their posterior.

    Parameters
    ----------
    n_signatures : int
        Number of signatures.
    n_restarts : int
        Independent chains. The one of the highest median likelihood is reported; all enter `r_hat_`.
    n_burn_in : int
        Sweeps of every chain before draws are recorded. They tune its trajectories; with 0 there are none.
    n_samples : int
        Sweeps after that.
    thinning : int
        Every how many sweeps a draw is recorded.
    n_starts : int
        Quick NMFs per chain; the chain starts at the one of lowest divergence.
    signature_prior, exposure_prior : sequence of 3 floats
        a, b and lambda: gamma prior (shape a, rate b) of each entry's rate, exponential prior of its shape.
    opportunities : sequence or None
        How often each channel could have mutated, > 0: one number a channel, or one row a sample of the fit.
        Only ratios matter. None holds them equal.
    keep : int
        At most so many draws stay with the fitted model.
    max_mutations : float or None
        Samples with more mutations are scaled down to this total for the extraction.
    device : str
        Where the NMF of the start runs; the sampler itself runs on the CPU.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    components_ : ndarray of shape (n_signatures, n_channels)
        Signatures: the median of the draws, scaled to rows that sum to 1. With opportunities, as they show in
        a catalogue of average opportunities.
    training_exposures_ : ndarray of shape (n_samples, n_signatures)
        Median exposures of the training samples, in mutations.
    bic_ : float
        Median BIC of the draws; higher is better.
    r_hat_ : DataFrame
        Split R-hat over all chains by signature: median and largest over its channels, and of its total
        exposure.
    restarts_ : DataFrame
        Seed, median log-likelihood (nats) and BIC of every chain, and its least cosine with what is reported.
    signature_draws_ : ndarray of shape (n_kept, n_signatures, n_channels)
        Draws of the reported chain; rows sum to 1.
    scale_draws_ : ndarray of shape (n_kept, n_signatures)
        Row sums before that, which the prior of exposures refers to.
    bic_draws_ : ndarray of shape (n_draws,)
        BIC of all draws of the reported chain.
    n_iter_ : int
        Sweeps of every chain.

    Notes
    -----
    Deviations from signeR 2. Metropolis steps walk in the logarithm of the shape, the rate integrated out.
    Three steps are added: one moves the scale between a signature and its exposures, one moves part of a
    signature into another, and one follows the gradient of all at once
    (`latentgenomes.signatures.models.hamiltonian`). All leave the posterior as it is; without the last,
    thousands of sweeps do not suffice where counts are large. Hence fewer sweeps by default (signeR: 10,000 +
    2,000). Chains start at a KL-NMF, not at one of squared error, and there are several. Fractions of a
    mutation, which capping makes, are shared out in proportion. Medians are rescaled to sum to 1.
    Opportunities are divided by their mean. Hyperparameters are given: their estimation by EM is left out.
    """

    def __init__(
        self,
        n_signatures: int = 8,
        *,
        n_restarts: int = 2,
        n_burn_in: int = 500,
        n_samples: int = 1000,
        thinning: int = 1,
        n_starts: int = 5,
        signature_prior: Sequence[float] = (0.8005, 0.043, 5.3329),
        exposure_prior: Sequence[float] = (2.0506, 1.325, 1.436),
        opportunities: Sequence[float] | Sequence[Sequence[float]] | None = None,
        keep: int = 200,
        max_mutations: float | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_signatures = n_signatures
        self.n_restarts = n_restarts
        self.n_burn_in = n_burn_in
        self.n_samples = n_samples
        self.thinning = thinning
        self.n_starts = n_starts
        self.signature_prior = signature_prior
        self.exposure_prior = exposure_prior
        self.opportunities = opportunities
        self.keep = keep
        self.max_mutations = max_mutations
        self.device = device
        self.random_state = random_state

    def _extract(self, counts: np.ndarray) -> None:
        self._check_settings()
        opportunities = self._opportunities(counts)
        capped, factor = self._cap(counts)
        seeds = self._seeds(self.n_restarts)
        chains: list[Draws] = []
        best = 0
        for position, seed in enumerate(seeds):
            chain = self._start(capped, opportunities, seed)
            draws = chain.run(self.n_burn_in, self.n_samples, thinning=self.thinning, keep=self.keep)
            chains.append(draws)
            if position and np.median(draws.log_likelihoods) > np.median(chains[best].log_likelihoods):
                chains[best].exposures, best = draws.exposures[:0], position  # only the best chain's are used
            elif position:
                draws.exposures = draws.exposures[:0]
        self._sum_up(chains, best, seeds, factor)

    def _start(self, counts: np.ndarray, opportunities: np.ndarray, seed: int) -> GibbsChain:
        """Put a chain at the best of several quick NMFs."""
        rng = np.random.default_rng(seed)
        flat = torch.from_numpy(counts / opportunities).to(self._device())
        signatures, exposures, divergences, _ = factorize(
            flat,
            self.n_signatures,
            seeds=rng.integers(2**31 - 1, size=self.n_starts).tolist(),
            max_iter=_START_UPDATES,
            tol=_START_TOL,
        )
        best = int(divergences.argmin())
        # No entry may start at 0, and exposures of mean 1 are where their prior lies.
        e = exposures[best].cpu().numpy().astype(np.float64) + 0.5
        p = 0.99 * signatures[best].cpu().numpy().astype(np.float64) + 0.01 / counts.shape[1]
        scales = e.mean(0)
        return GibbsChain(
            counts,
            opportunities,
            exposures=GammaFactor.start(e / scales, Prior(*self.exposure_prior), rng),
            signatures=GammaFactor.start(p * scales[:, None], Prior(*self.signature_prior), rng),
            rng=rng,
        )

    def _sum_up(self, chains: list[Draws], best: int, seeds: list[int], factor: np.ndarray) -> None:
        """Set the fitted attributes from the draws of all chains."""
        reported = chains[best]
        medians = [np.median(chain.signatures, axis=0) for chain in chains]
        matches = [_match(median, medians[best]) for median in medians]
        components = medians[best] / medians[best].sum(1, keepdims=True)
        order = self._keep(components, np.median(reported.exposures, axis=0).astype(np.float64) * factor)
        members = [members[order] for members, _ in matches]
        entries = split_r_hat(np.stack([c.signatures[:, i] for c, i in zip(chains, members, strict=True)]))
        totals = split_r_hat(np.stack([c.totals[:, i] for c, i in zip(chains, members, strict=True)]))
        self.r_hat_ = pd.DataFrame(
            {"median_entry": np.median(entries, axis=1), "largest_entry": entries.max(1), "exposure": totals},
            index=pd.Index(self.get_feature_names_out(), name="signature"),
        )
        (n, k), m = self.training_exposures_.shape, components.shape[1]
        bics = [2.0 * chain.log_likelihoods - k * (n + m) * np.log(n) for chain in chains]
        self.restarts_ = pd.DataFrame(
            {
                "seed": seeds,
                "log_likelihood": [np.median(chain.log_likelihoods) for chain in chains],
                "bic": [np.median(bic) for bic in bics],
                "least_cosine": [least for _, least in matches],
            }
        )
        self.bic_draws_ = bics[best]
        self.bic_ = float(np.median(bics[best]))
        self.signature_draws_ = np.ascontiguousarray(reported.signatures[:: reported.every, order])
        self.scale_draws_ = np.ascontiguousarray(reported.scales[:: reported.every, order])
        self.n_iter_ = int(self.n_burn_in + self.n_samples)

    def exposure_intervals(self, X: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Credible intervals of exposures, which carry the uncertainty of the signatures too.

        A Gibbs sampler of the exposures alone passes through the kept draws of the signatures.

        Parameters
        ----------
        X : array or DataFrame of shape (n_samples, n_channels)
            Mutation counts >= 0: training samples or new ones. Opportunities are taken as average.
        level : float in (0, 1)
            Posterior probability inside.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples, n_signatures)
            Equal tails, in mutations.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(
                f"level must lie between 0 and 1, but {level} came. Give a probability, such as 0.95."
            )
        counts = self._check(X)
        rng = np.random.default_rng(self._seeds(1)[0])
        prior = Prior(*self.exposure_prior)
        first = (self._exposures(counts) + 0.5) / self.scale_draws_[0]
        drawn = self.signature_draws_ * self.scale_draws_[:, :, None]
        fixed = GammaFactor(drawn[0], drawn[0], drawn[0], Prior(*self.signature_prior))
        chain = GibbsChain(
            counts,
            np.ones_like(counts),
            exposures=GammaFactor.start(first, prior, rng),
            signatures=fixed,
            rng=rng,
        )
        for _ in range(_WARM_UP):
            chain.sweep_exposures()
        draws = np.empty((len(drawn), *first.shape), dtype=np.float32)
        for d, signatures in enumerate(progress(drawn, "intervals", unit="draw")):
            fixed.values = signatures
            for _ in range(_SWEEPS_PER_DRAW):
                chain.sweep_exposures()
            draws[d] = chain.exposures.values * self.scale_draws_[d]
        tail = (1.0 - level) / 2.0
        lower, upper = np.quantile(draws, [tail, 1.0 - tail], axis=0)
        return lower, upper

    def _exposures(self, counts: np.ndarray) -> np.ndarray:
        """Exposures of greatest likelihood for the reported signatures."""
        device = self._device()
        refit = refit_exposures(
            torch.from_numpy(counts).to(device),
            torch.from_numpy(self.components_).to(device),
            max_iter=_REFIT_UPDATES,
            tol=_REFIT_TOL,
        )
        return refit.cpu().numpy()

    def _check_settings(self) -> None:
        least = {"n_burn_in": 0, "n_samples": 4, "thinning": 1, "n_starts": 1, "keep": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < bound:
                raise ValueError(f"{name} must be a whole number >= {bound}, but {value!r} came.")
        if self.n_samples // self.thinning < 4:
            raise ValueError(
                "n_samples / thinning must leave at least 4 draws, but "
                f"{self.n_samples} / {self.thinning} came. Raise n_samples."
            )
        for name in ("signature_prior", "exposure_prior"):
            values = tuple(getattr(self, name))
            if len(values) != 3 or not all(v > 0 for v in values):
                raise ValueError(f"{name} must be 3 numbers > 0 (a, b and lambda), but {values} came.")

    def _opportunities(self, counts: np.ndarray) -> np.ndarray:
        """Opportunities of every count, (n, m), of mean 1."""
        if self.opportunities is None:
            return np.ones_like(counts)
        given = np.asarray(self.opportunities, dtype=np.float64)
        if given.shape not in ((counts.shape[1],), counts.shape):
            raise ValueError(
                f"opportunities must have one number a channel, {(counts.shape[1],)}, or one a count, "
                f"{counts.shape}, but their shape is {given.shape}."
            )
        if not (np.isfinite(given) & (given > 0)).all():
            raise ValueError(
                "opportunities must be finite and > 0, but some are not. "
                "Leave out channels that cannot mutate."
            )
        return np.broadcast_to(given / given.mean(), counts.shape).copy()

    def _build_module(self) -> None:
        return None


def _match(signatures: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, float]:
    """Order in which signatures pair with the reference, and the least cosine of a pair."""
    unit, other = (s / np.linalg.norm(s, axis=1, keepdims=True) for s in (signatures, reference))
    cosines = other @ unit.T
    rows, members = linear_sum_assignment(-cosines)
    return members, float(cosines[rows, members].min())
