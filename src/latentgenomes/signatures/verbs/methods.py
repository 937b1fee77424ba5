"""The systems that `extract_signatures` can run: estimator, settings, rule for the number of signatures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from latentgenomes.signatures.models.extractor import SignatureExtractor
from latentgenomes.signatures.models.gamma_poisson import GammaPoissonNMF
from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.models.muse_xae import MuseXAE
from latentgenomes.signatures.models.negative_binomial import NegativeBinomialNMF
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.models.sigprofiler import hypermutator_limit
from latentgenomes.signatures.models.vaems import VAEMS
from latentgenomes.signatures.verbs.selection import Choice, choose_highest, choose_least_error, choose_stable

Prepare = Callable[[pd.DataFrame], Mapping[str, object]]
Rule = Callable[[pd.DataFrame, Mapping[int, np.ndarray]], Choice]


@dataclass(frozen=True)
class System:
    """One way to extract signatures.

    Attributes
    ----------
    estimator : type
        The estimator's class.
    rule : callable
        Takes the table of criteria and the errors of the samples by number of signatures.
    eliminates : bool
        Whether one fit goes through all numbers of signatures by itself.
    settings : mapping
        Where the system departs from the defaults of the class.
    prepare : callable
        Settings that follow from the catalogue.
    """

    estimator: type[SignatureExtractor]
    rule: Rule
    eliminates: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    prepare: Prepare = lambda counts: {}


SYSTEMS: dict[str, System] = {
    "negative_binomial": System(
        NegativeBinomialNMF, lambda table, _: choose_highest(table, "evidence"), True
    ),
    "gamma_poisson": System(GammaPoissonNMF, lambda table, _: choose_highest(table, "evidence"), True),
    "klnmf": System(
        KLNMF,
        choose_stable,
        settings={"consensus": True, "resample": "bootstrap", "accelerated": True, "n_restarts": 20},
        prepare=lambda counts: {"max_mutations": hypermutator_limit(counts)},
    ),
    "vaems": System(
        VAEMS,
        lambda table, _: choose_highest(table, "evidence"),
        settings={"consensus": True, "n_restarts": 20, "max_epochs": 200},
    ),
    "muse_xae": System(MuseXAE, lambda table, _: choose_least_error(table)),
    "signer": System(SignerNMF, lambda table, _: choose_highest(table, "bic")),
}
