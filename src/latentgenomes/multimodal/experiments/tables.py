"""The full run of the tumour comparison: which system runs where, and the tables that are stored of it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from sklearn.manifold import TSNE

from latentgenomes.core.extras import require
from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.multimodal.data.profiles import MUAT_FILES, PCAWG_PROFILES
from latentgenomes.multimodal.evaluate.typing import MACRO
from latentgenomes.multimodal.experiments.comparison import (
    TEST_FRACTION,
    compare_typing,
    differences,
    finished_methods,
    finished_splits,
    hide_profiles,
    hold_out_projects,
    restore_profiles,
    score_muat,
    separations,
    training_costs,
)
from latentgenomes.multimodal.experiments.typing import Tumours, load_tumours

AS_PUBLISHED = tuple(
    f"{profile}_plain{suffix}" for suffix in ("", "_unweighted") for profile in PCAWG_PROFILES
)
#: Methods by task and protocol, with the number of splits: 10, and 5 or 3 for the dear ones.
PLAN: dict[tuple[str, str], dict[str, int]] = {
    ("organ", "donor"): dict.fromkeys(
        (
            "concat", "mutembed", "mutembed_unweighted", "mutembed_scaled", "pca_plain", "pca_frequency",
            "pca_counts", "dae_plain", "dae", "SBS96_full",
            "ID83_full", "CN28_full", "SV26_full",
            "svm", "extra_trees", "late_fusion",
            *AS_PUBLISHED[:4],
        ),
        10,
    )
    | dict.fromkeys(("dae_tuned", "dae_scratch", "dae_training", "concat_ensemble", "sbs_ensemble"), 5)
    | {"mutembed_training": 3},
    ("organ", "random"): dict.fromkeys(
        (
            "concat", "mutembed", "mutembed_unweighted", *AS_PUBLISHED, "SBS96_full", "pca_frequency",
            "pca_counts", "dae", "svm",
        ),
        10,
    ),
    ("subtype", "donor"): dict.fromkeys(
        ("concat", "mutembed", "mutembed_unweighted", "pca_counts", "dae", "SBS96_full", "svm", "extra_trees",
         "late_fusion"),
        10,
    ) | dict.fromkeys(("dae_tuned", "concat_ensemble"), 5),
    ("subtype", "random"): dict.fromkeys(
        ("concat", "mutembed", "mutembed_unweighted", *AS_PUBLISHED, "SBS96_full", "svm"), 10
    ),
}  # fmt: skip
ELSEWHERE = ("concat", "mutembed", "pca_counts", "dae", "SBS96_full", "svm", "late_fusion")
HIDDEN = ("mutembed", "dae", "late_fusion", "svm")
DATA = (
    "signatures/real_pcawg7/WGS_PCAWG.96.csv",
    "signatures/real_pcawg7/WGS_PCAWG.indels.csv",
    "multimodal/pcawg_sample_sheet.v1.4.2016-09-14.tsv",
    "multimodal/pcawg_cn_tally_W.rds",
    "multimodal/viola_feature_matrix.csv",
)
TABLES = (
    "scores", "differences", "seconds", "projects", "muat", "hidden", "restored", "separation", "training",
    "plane",
)  # fmt: skip


def plane(tumours: Tumours, *, random_state: int = 0) -> pd.DataFrame:
    """Place tumours of the paper's organs in the plane by t-SNE and by UMAP of MutEmbed's embedding."""
    rows = tumours.rows("organ")
    embedding = tumours.embedded("mutembed")[rows]
    flat = TSNE(metric="cosine", init="random", random_state=random_state).fit_transform(embedding)
    umap = require("umap", "multimodal")
    other = umap.UMAP(metric="cosine", random_state=random_state, n_jobs=1).fit_transform(embedding)
    samples = tumours.samples.iloc[rows]
    named = {"sample": samples.index, "organ": samples["organ"].to_numpy()}
    places = {"tsne_1": flat[:, 0], "tsne_2": flat[:, 1], "umap_1": other[:, 0], "umap_2": other[:, 1]}
    return pd.DataFrame(named | places)


def full_scores(tumours: Tumours, *, finished: bool = False) -> pd.DataFrame:
    """All trials of `PLAN`, or those that are kept; see `compare_typing`."""
    frames = []
    for (task, protocol), methods in PLAN.items():
        for method, planned in methods.items():
            n_splits = finished_splits(tumours, method, task, protocol, planned) if finished else planned
            if n_splits:
                frames.append(
                    compare_typing(tumours, [method], task=task, protocol=protocol, n_splits=n_splits)
                )
    return pd.concat(frames, ignore_index=True)


def full_tables(
    tumours: Tumours, names: Sequence[str] = (), *, finished: bool = False
) -> dict[str, pd.DataFrame]:
    """Every table of the full run, or some; with a folder the run can be stopped and goes on.

    With `finished`, take the splits and methods that are kept, and compute no more of them.
    """
    compared = not names or {"scores", "differences", "seconds"} & set(names)
    trials = full_scores(tumours, finished=finished) if compared else None
    chosen = {"projects": ELSEWHERE, "muat": ELSEWHERE, "hidden": HIDDEN}
    if finished:
        chosen = {kind: tuple(finished_methods(tumours, kind, all_)) for kind, all_ in chosen.items()}
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "projects": lambda: hold_out_projects(tumours, chosen["projects"]),
        "muat": lambda: score_muat(tumours, chosen["muat"]),
        "hidden": lambda: hide_profiles(tumours, chosen["hidden"]),
        "restored": lambda: restore_profiles(tumours),
        "separation": lambda: separations(tumours),
        "training": lambda: training_costs(tumours),
        "plane": lambda: plane(tumours),
    }
    if trials is not None:
        macro = trials[trials["label"] == MACRO]
        makers |= {
            "scores": lambda: trials.drop(columns="seconds"),
            "differences": lambda: differences(trials),
            "seconds": lambda: macro.groupby(["task", "method"], as_index=False)[["seconds"]].mean(),
        }
    wanted = [name for name in makers if (not names or name in names) and chosen.get(name, (name,))]
    return {name: makers[name]() for name in wanted}


def write_tables(
    tumours: Tumours, folder: str | Path, names: Sequence[str] = (), *, finished: bool = False
) -> None:
    """Run what is not yet kept, and write the tables, see `full_tables`, with their provenance."""
    start = time.perf_counter()
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        raise ValueError(
            f"names must be of {', '.join(TABLES)}, but {unknown[0]!r} came. Name some of these."
        )
    tables = full_tables(tumours, names, finished=finished)
    checksums = load_registry().set_index("name")["sha256"]
    run: dict[str, object] = {}
    if "scores" in tables:
        counted = tables["scores"].groupby(["task", "protocol", "method"], sort=False)["split"].nunique()
        run["splits"] = {" ".join(map(str, key)): int(n) for key, n in counted.items()}  # type: ignore[call-overload]
        run["test_fraction"] = TEST_FRACTION
    for name, table in tables.items():
        files = [*DATA, *(MUAT_FILES.values() if name == "muat" else ())]
        write_results(
            table.round(4),
            Path(folder) / f"{name}.csv",
            parameters=run if name in ("scores", "differences", "seconds") else {},
            data={file: checksums[file] for file in files},
            seed=0,
            seconds=time.perf_counter() - start,
            code=[load_tumours, full_tables],
        )
