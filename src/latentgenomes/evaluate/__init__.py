"""Scores: arrays and frames in, tidy frames out. One module per subject, and paired comparisons."""

from latentgenomes.evaluate.compare import paired_differences
from latentgenomes.evaluate.signatures import (
    cosine_similarity,
    exposure_errors,
    log_likelihood_per_mutation,
    match_signatures,
    poisson_log_likelihood,
    recovery,
)

__all__ = [
    "cosine_similarity",
    "exposure_errors",
    "log_likelihood_per_mutation",
    "match_signatures",
    "paired_differences",
    "poisson_log_likelihood",
    "recovery",
]
