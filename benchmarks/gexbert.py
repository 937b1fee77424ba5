"""Pretrain GexBERT on miRNAs, with its curve, and measure its alternatives.

Run: python benchmarks/gexbert.py pretrain [--steps 5000] [--until 500]
     python benchmarks/gexbert.py alternatives [--steps 400]
     python benchmarks/gexbert.py imputation
     python benchmarks/gexbert.py attention

The first writes data/results/expression/gexbert_mirna.safetensors and gexbert_training.csv beside it; a
killed run goes on. The second trains each alternative for as many steps, and writes
gexbert_alternatives.csv. The last two judge the pretrained weights.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.impute import SimpleImputer

from latentgenomes.core.compare import paired_differences
from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.expression.data.mirna import PREPARED_MATRIX, PREPARED_SAMPLES
from latentgenomes.expression.evaluate.attention import family_enrichment, mirna_families, pair_agreement
from latentgenomes.expression.experiments.pretraining import (
    fresh_masks,
    judge_imputers,
    pretrain_in_portions,
    pretraining_task,
    task_digest,
)
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.imputers import RidgeImputer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "data" / "results" / "expression"
WORK = ROOT / "build" / "gexbert"
ALTERNATIVES = {
    "faithful": {},
    "random start": {"eigenvectors": False},
    "continuous values": {"value_encoding": "continuous"},
    "value scales gene": {"interaction": True},
    "latent attention": {"attention": "latent"},
    "8 bins": {"n_bins": 8},
}


def hashes() -> dict[str, str]:
    """SHA-256 of the data files, by name."""
    registry, names = load_registry(), (PREPARED_MATRIX, PREPARED_SAMPLES)
    return registry[registry["name"].isin(names)].set_index("name")["sha256"].to_dict()


def store(frame: pd.DataFrame, name: str, parameters: dict[str, object], seconds: float) -> None:
    """Write a table with its record."""
    write_results(
        frame,
        RESULTS / name,
        parameters=parameters,
        data=hashes(),
        seed=0,
        seconds=seconds,
        code=[GexBERT, pretraining_task, pretrain_in_portions, judge_imputers],
    )


def pretrain(n_steps: int, until: int | None) -> None:
    """Pretrain the faithful model in portions, up to step `until` in this call."""
    task = pretraining_task()
    WORK.mkdir(parents=True, exist_ok=True)
    model = GexBERT(n_steps=n_steps, random_state=0, checkpoint=str(WORK / f"pretrain-{n_steps}.safetensors"))
    stops = [s for s in (250, 500, 1000, 1500, 2000, 3000, 4000) if s < n_steps] + [n_steps]
    stops = [s for s in stops if until is None or s <= until]
    fitted, curve = pretrain_in_portions(model, task, stops=stops)
    print(curve.pivot(index="step", columns="rate", values="rmse").round(4))
    if stops[-1] < n_steps:
        return
    about = {
        "command": f"python benchmarks/gexbert.py pretrain --steps {n_steps}",
        "task_digest": task_digest(task),
        "model": json.loads(json.dumps(fitted.get_params(), default=str)) | {"checkpoint": None},
    }
    seconds = float(curve["seconds"].max())
    wide = curve.pivot(index=["step", "seconds"], columns="rate", values="rmse").round(3).reset_index()
    wide["seconds"] = wide["seconds"].round().astype(int)
    store(curve, "gexbert_training.csv", about, seconds)
    store(wide, "gexbert_curve.csv", about, seconds)
    fitted.set_params(checkpoint=None, stop_at=None).save(RESULTS / "gexbert_mirna.safetensors")


def alternatives(n_steps: int) -> None:
    """Train each alternative for as many steps."""
    task = pretraining_task()
    parts, start = [], time.process_time()
    for name, changes in ALTERNATIVES.items():
        WORK.mkdir(parents=True, exist_ok=True)
        path = WORK / f"{name.replace(' ', '_')}-{n_steps}.safetensors"
        model = GexBERT(n_steps=n_steps, random_state=0, checkpoint=str(path)).set_params(**changes)
        fitted, curve = pretrain_in_portions(model, task, stops=[n_steps])
        n_weights = sum(weight.numel() for weight in fitted.module_.parameters())
        parts.append(curve.assign(alternative=name, n_weights=n_weights))
        print(parts[-1].round(4).to_string(), flush=True)
    about = {
        "command": f"python benchmarks/gexbert.py alternatives --steps {n_steps}",
        "task_digest": task_digest(task),
    }
    curve, seconds = pd.concat(parts), time.process_time() - start
    wide = curve.pivot(index=["alternative", "seconds", "n_weights"], columns="rate", values="rmse").round(3)
    wide = wide.reset_index().rename(columns={"alternative": "method"}).assign(n_steps=n_steps)
    store(curve, "gexbert_alternatives.csv", about, seconds)
    store(wide, "gexbert_alternatives_means.csv", about, seconds)


def imputation() -> None:
    """Set the pretrained model beside two imputers, on fresh masks of three seeds.

    The stronger ones stand on the same patients and genes in the table of the whole comparison.
    """
    task, start = pretraining_task(), time.process_time()
    model = GexBERT.load(RESULTS / "gexbert_mirna.safetensors")
    imputers = {
        "mean": SimpleImputer().set_output(transform="default"),
        "pca30": RidgeImputer(1e-6, n_components=30),
    }
    fitted = {name: imputer.fit(task.train) for name, imputer in imputers.items()}
    scores = judge_imputers(fitted | {"gexbert": model}, task, fresh_masks(task))
    print(scores.groupby(["method", "rate"])["rmse"].mean().unstack().round(4))
    tests = [
        paired_differences(
            part.rename(columns={"seed": "split", "rmse": "score"})[["split", "method", "score"]],
            baseline="pca30",
        ).assign(rate=rate)
        for rate, part in scores.groupby("rate")
    ]
    about = {"command": "python benchmarks/gexbert.py imputation", "task_digest": task_digest(task)}
    seconds = time.process_time() - start
    means = scores.groupby(["method", "rate"], sort=False)["rmse"].mean().unstack().round(3)
    store(scores, "gexbert_imputation.csv", about, seconds)
    store(means.reset_index(), "gexbert_imputation_means.csv", about, seconds)
    store(pd.concat(tests, ignore_index=True), "gexbert_imputation_tests.csv", about, seconds)


def attention() -> None:
    """Compare attention, trained and untrained, with co-expression and families."""
    task, start = pretraining_task(), time.process_time()
    trained = GexBERT.load(RESULTS / "gexbert_mirna.safetensors")
    untrained = clone(trained).set_params(stop_at=0).fit(task.train)
    samples = task.test.iloc[:100]
    correlation = np.abs(np.corrcoef(task.train.to_numpy().T))
    maps = {"trained": trained.attention_map(samples), "untrained": untrained.attention_map(samples)}
    families = mirna_families([str(name) for name in task.train.columns])
    records = [
        {"pairs": name, "against": "co-expression", **pair_agreement(table, correlation, n_permutations=199)}
        for name, table in maps.items()
    ]
    records += [
        {"pairs": name, "against": "families", **family_enrichment(table, families, n_permutations=199)}
        for name, table in (maps | {"co-expression": correlation}).items()
    ]
    frame = pd.DataFrame(records)
    print(frame.round(4).to_string())
    about = {"command": "python benchmarks/gexbert.py attention", "task_digest": task_digest(task)}
    store(frame.round(4), "attention.csv", about, time.process_time() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["pretrain", "alternatives", "imputation", "attention"])
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--until", type=int, default=None)
    chosen = parser.parse_args()
    if chosen.what == "pretrain":
        pretrain(chosen.steps or GexBERT().n_steps, chosen.until)
    elif chosen.what == "alternatives":
        alternatives(chosen.steps or 400)
    else:
        {"imputation": imputation, "attention": attention}[chosen.what]()
