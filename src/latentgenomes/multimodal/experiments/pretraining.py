"""Train the tumour classifier that comes with the package, and write down where it came from."""

import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.manifold import TSNE

from latentgenomes.core.definitions import fingerprint
from latentgenomes.core.provenance import replacing
from latentgenomes.core.registry import load_registry
from latentgenomes.multimodal.data.profiles import SV_FILE
from latentgenomes.multimodal.data.reduction import SV5, load_typing_tumours
from latentgenomes.multimodal.models.typer import TumourClassifier
from latentgenomes.mutations.copynumber import SEGMENTS_FILE
from latentgenomes.mutations.pcawg import PCAWG_FILES, SAMPLE_SHEET

COMMAND = "python benchmarks/multimodal.py train"
VERSION = "PCAWG-1"
MOST_BYTES = 3_000_000
LICENCE = (
    "ICGC/TCGA open tier: open access without restriction on use, to be cited as PCAWG Consortium 2020, "
    "Nature 578:82-93, and Alexandrov et al. 2020, Nature 578:94-101"
)


def train_classifier() -> TumourClassifier:
    """Fit `TumourClassifier` on all tumours of PCAWG, and give it the map and names of its tumours."""
    counts, samples = load_typing_tumours()
    model = TumourClassifier(n_components=16, random_state=0).fit(
        counts,
        samples["organ"].astype(str).to_numpy(),
        subtypes=samples["histology"].astype(str).to_numpy(),
        projects=samples["project"].astype(str).to_numpy(),
        donors=samples["donor"].astype(str).to_numpy(),
    )
    flat = TSNE(init="pca", perplexity=40, random_state=0).fit_transform(model.embedding_.astype(np.float32))
    model.known_sample_ = samples["specimen"].to_numpy(dtype=object)
    model.known_histology_ = samples["histology"].to_numpy(dtype=object)
    model.known_project_ = samples["project"].to_numpy(dtype=object)
    model.known_mutations_ = counts.filter(like="SBS96|").sum(axis=1).to_numpy(dtype=np.int32)
    model.known_places_ = flat.astype(np.float16)
    model.about_ = {
        "model": f"TumourClassifier {VERSION}",
        "latentgenomes": metadata.version("latentgenomes"),
        "trained on": f"PCAWG, {len(counts)} tumours, {len(model.classes_)} organs",
        "profiles": ", ".join(model.profile_names_),
        "made by": COMMAND,
        "licence of the training data": LICENCE,
    }
    return model


def write_classifier(path: str | Path) -> Path:
    """Train, and write the weights with the record of how they were made beside them, a JSON file."""
    start = time.perf_counter()
    path = Path(path)
    model = train_classifier()
    model.save(path)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"The weights must be under {MOST_BYTES} bytes, but have {path.stat().st_size}.")
    checksums = load_registry().set_index("name")["sha256"]
    files = [*PCAWG_FILES.values(), SAMPLE_SHEET, SEGMENTS_FILE, SV_FILE]
    record: dict[str, Any] = {
        **model.about_,
        "structural variants": ", ".join(SV5),
        "data": {file: checksums[file] for file in files},
        "code": training_fingerprint(),
        "seconds": round(time.perf_counter() - start, 1),
    }
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def training_fingerprint() -> str:
    """Checksum of all code that training reaches."""
    return fingerprint(train_classifier)
