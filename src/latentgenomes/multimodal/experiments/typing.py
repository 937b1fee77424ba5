"""The systems of the tumour comparison: what each sees of a tumour, and the classifier behind it."""

import hashlib
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from latentgenomes.core.definitions import PACKAGE, entry_name, fingerprint
from latentgenomes.core.provenance import replacing
from latentgenomes.multimodal.data.profiles import (
    PAPER_ORGANS,
    PAPER_SUBTYPES,
    PCAWG_PROFILES,
    load_pcawg_profiles,
    to_wide,
)
from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier
from latentgenomes.multimodal.models.embedder import ProfileEmbedder
from latentgenomes.multimodal.models.features import CLR, LCS, encode, profile_lengths
from latentgenomes.multimodal.models.finetuning import FineTunedClassifier
from latentgenomes.multimodal.models.fusion import FusionAutoencoder
from latentgenomes.multimodal.models.latefusion import LateFusionClassifier
from latentgenomes.multimodal.models.mutembed import MutEmbed

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

TASKS = {"organ": PAPER_ORGANS, "subtype": PAPER_SUBTYPES}
#: Embeddings that are learned without labels, with their published or explored settings.
EMBEDDERS: dict[str, ProfileEmbedder] = {
    "mutembed": MutEmbed(random_state=0),
    "dae": FusionAutoencoder(random_state=0),
}
FREQUENCY = ("frequency",)
COUNTS_AND_FREQUENCY = ("log", "frequency")
N_COMPONENTS = 64  # of PCA: the length of MutEmbed's embedding


@dataclass(frozen=True)
class Tumours:
    """Counts of all tumours, profile beside profile, and what is known of them.

    `counts` is a wide table, see `to_wide`; `samples` has the same rows and the columns organ, subtype,
    donor, project and aliquot. Embeddings and finished cells are kept in `folder`. `max_epochs` are those of
    every embedding, where fewer than its default are wanted.
    """

    counts: pd.DataFrame
    samples: pd.DataFrame
    folder: Path | None = None
    max_epochs: int | None = None
    _fitted: dict[str, ProfileEmbedder] = field(default_factory=dict, repr=False)

    @property
    def profiles(self) -> dict[str, slice]:
        """Columns of every profile."""
        lengths = profile_lengths(self.counts.shape[1], None, list(self.counts.columns))
        ends = np.cumsum([0, *lengths.values()])
        return {name: slice(int(a), int(b)) for name, a, b in zip(lengths, ends[:-1], ends[1:], strict=True)}

    @cached_property
    def digest(self) -> str:
        """Checksum of counts and labels: what a kept result depends on besides the code."""
        parts = [self.counts, self.samples[["organ", "subtype", "donor", "project", "aliquot"]]]
        sums = [pd.util.hash_pandas_object(part).to_numpy().tobytes() for part in parts]
        return hashlib.sha256(b"".join(sums)).hexdigest()

    def rows(self, task: str) -> Rows:
        """Positions of the tumours whose type the paper scores."""
        return np.flatnonzero(self.samples[task].isin(TASKS[task]))

    def features(self, parts: Sequence[str], profile: str | None = None) -> Array:
        """Features of all tumours, of one profile or of all; NaN where a profile is absent."""
        columns = slice(None) if profile is None else self.profiles[profile]
        counts = self.counts.iloc[:, columns].to_numpy(dtype=np.float64)
        lengths = [s.stop - s.start for name, s in self.profiles.items() if profile in (None, name)]
        return encode(counts, lengths, parts)[0]

    def embedder(self, name: str, rows: Rows | None = None) -> ProfileEmbedder:
        """A trained embedding of `EMBEDDERS`, fitted without labels on all tumours, or on some; kept in the
        folder.
        """
        label = name if rows is None else f"{name}-{hashlib.sha256(rows.tobytes()).hexdigest()[:12]}"
        if label in self._fitted:
            return self._fitted[label]
        untrained = EMBEDDERS[name]
        if self.max_epochs is not None:
            untrained = type(untrained)(**untrained.get_params() | {"max_epochs": self.max_epochs})
        path = None if self.folder is None else self.folder / f"{label}.safetensors"
        key = {"data": self.digest, "code": training_code(untrained), "settings": repr(untrained)}
        if path is not None and _is_kept(path.with_suffix(".json"), key):
            self._fitted[label] = type(untrained).load(path)
            return self._fitted[label]
        start = time.process_time()
        fitted = type(untrained)(**untrained.get_params())
        fitted.fit(self.counts if rows is None else self.counts.iloc[rows])
        if path is not None:
            fitted.save(path)
            cost = {"cpu_seconds": time.process_time() - start, "peak_megabytes": peak_megabytes()}
            with replacing(path.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps({"key": key} | cost), encoding="utf-8")
        self._fitted[label] = fitted
        return fitted

    def embedded(self, name: str, rows: Rows | None = None) -> Array:
        """Embeddings of all tumours."""
        return np.asarray(self.embedder(name, rows).transform(self.counts))


def _is_kept(path: Path, key: dict[str, str]) -> bool:
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["key"] == key


def peak_megabytes() -> float:
    """Largest memory that this process has held so far, in megabytes (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def training_code(*estimators: object) -> str:
    """Fingerprint of the code that trains estimators: a kept result of other code is not taken."""
    own = {type(estimator) for estimator in estimators if type(estimator).__module__.startswith(PACKAGE.name)}
    return fingerprint(*sorted(own, key=entry_name))


def load_tumours(*, folder: str | Path | None = None, max_epochs: int | None = None) -> Tumours:
    """The tumours of PCAWG with SBS96, ID83, CN28 and SV26; see `Tumours` for what is kept."""
    profiles = load_pcawg_profiles(PCAWG_PROFILES)
    kept = Path(folder) if folder else None
    return Tumours(to_wide(profiles), pd.DataFrame(profiles.obs), kept, max_epochs)


def _pca(parts: Sequence[str]) -> Callable[[Tumours, Rows | None], Array]:
    def components(tumours: Tumours, rows: Rows | None) -> Array:
        model = make_pipeline(
            StandardScaler(), SimpleImputer(strategy="mean"), PCA(N_COMPONENTS, svd_solver="full")
        )
        features = tumours.features(parts)
        return np.asarray(model.fit(features if rows is None else features[rows]).transform(features))

    return components


def _features(parts: Sequence[str], profile: str | None = None) -> Callable[[Tumours, Rows | None], Array]:
    return lambda tumours, _: tumours.features(parts, profile)


def _embedded(name: str) -> Callable[[Tumours, Rows | None], Array]:
    return lambda tumours, rows: tumours.embedded(name, rows)


def _counts(tumours: Tumours, _: Rows | None) -> pd.DataFrame:
    return tumours.counts


@dataclass(frozen=True)
class TypingSystem:
    """One way to tell a tumour's type.

    `features` gives what the unfitted `classifier` sees, one row per tumour. It may be learned without
    labels: on the rows given, or on all tumours where they are None. With `own_rows` they are the training
    donors of each split. `words` say what it is.
    """

    features: Callable[[Tumours, Rows | None], Any]
    classifier: Any
    words: str
    own_rows: bool = False


def _ensemble() -> MLPEnsembleClassifier:
    return MLPEnsembleClassifier(
        n_members=5, hidden=256, dropout=0.5, input_dropout=0.25, max_epochs=40, batch_size=64,
        learning_rate=1.5e-3, patience=8,
    )  # fmt: skip


def _systems() -> dict[str, TypingSystem]:
    paper = MLPEnsembleClassifier(standardize=False)
    unweighted = MLPEnsembleClassifier(class_weighted=False, standardize=False)
    scaled = MLPEnsembleClassifier()
    embedding = _embedded("mutembed")
    found = {
        "mutembed": TypingSystem(embedding, paper, "MutEmbed-64, frozen"),
        "mutembed_unweighted": TypingSystem(embedding, unweighted, "MutEmbed-64, frozen"),
        "mutembed_scaled": TypingSystem(embedding, scaled, "MutEmbed-64, frozen, standardised"),
        "mutembed_training": TypingSystem(
            embedding, paper, "MutEmbed-64, frozen, fitted on training donors", True
        ),
        "pca_plain": TypingSystem(_pca(COUNTS_AND_FREQUENCY), paper, "PCA-64 of counts and frequencies"),
        "dae_plain": TypingSystem(_embedded("dae"), paper, "denoising autoencoder-128, frozen"),
        "pca_frequency": TypingSystem(_pca(FREQUENCY), scaled, "PCA-64 of frequencies, standardised"),
        "pca_counts": TypingSystem(
            _pca(COUNTS_AND_FREQUENCY), scaled, "PCA-64 of counts and frequencies, standardised"
        ),
        "dae": TypingSystem(_embedded("dae"), scaled, "denoising autoencoder-128, frozen, standardised"),
        "dae_training": TypingSystem(_embedded("dae"), scaled, "the same, fitted on training donors", True),
        "dae_tuned": TypingSystem(_counts, FineTunedClassifier(), "denoising autoencoder-128, fine-tuned"),
        "dae_scratch": TypingSystem(
            _counts, FineTunedClassifier(pretrain_epochs=0), "the same network from random weights"
        ),
        "concat": TypingSystem(_features(COUNTS_AND_FREQUENCY), scaled, "concatenation of four, one MLP"),
        "concat_ensemble": TypingSystem(_features(LCS), _ensemble(), "concatenation of four, 5 dropout MLPs"),
        "sbs_ensemble": TypingSystem(_features(LCS, "SBS96"), _ensemble(), "SBS96 alone, 5 dropout MLPs"),
        "svm": TypingSystem(
            _features(CLR),
            make_pipeline(StandardScaler(), SimpleImputer(), SVC(C=10, class_weight="balanced")),
            "SVM-RBF on centred log-ratios",
        ),
        "extra_trees": TypingSystem(
            _features(CLR),
            make_pipeline(SimpleImputer(), ExtraTreesClassifier(300, class_weight="balanced")),
            "ExtraTrees on centred log-ratios",
        ),
        "late_fusion": TypingSystem(_counts, LateFusionClassifier(), "late fusion of SBS96 and of four"),
    }
    as_published = {"": paper, "_unweighted": unweighted}
    for profile in PCAWG_PROFILES:
        for suffix, classifier in as_published.items():
            found[f"{profile}_plain{suffix}"] = TypingSystem(
                _features(FREQUENCY, profile), classifier, f"{profile} alone, plain frequencies"
            )
        found[f"{profile}_full"] = TypingSystem(
            _features(LCS, profile), scaled, f"{profile} alone, logs, log-ratios, roots, total; standardised"
        )
    return found


def kept_by(method: str, tumours: Tumours) -> dict[str, object]:
    """What a kept result of a system depends on: data, code and settings."""
    system = SYSTEMS[method]
    parts = [system.classifier, *(model for name, model in EMBEDDERS.items() if method.startswith(name))]
    return {
        "data": tumours.digest,
        "code": training_code(*parts),
        "settings": [repr(part) for part in parts],
        "epochs": tumours.max_epochs,
    }


#: Systems by name. The paper's classifier is one MLP. It gets its inputs as they are, which reproduces the
#: published scores, or standardised, where `words` say so or features are joined. With "unweighted" in its
#: name it lets every sample weigh the same, as in Table 2.
SYSTEMS: dict[str, TypingSystem] = _systems()
