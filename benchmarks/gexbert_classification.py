"""Cancer types from few genes and few labels, with GexBERT and without.

Run: python benchmarks/gexbert_classification.py cells --labels 10 --draws 0 10 [--methods svm]
     python benchmarks/gexbert_classification.py tables

Finished cells are kept under build/, so that a killed run goes on; `--labels 0` takes all labels. The second
command writes classification.csv, its means and its paired tests to data/results/expression.
"""

import argparse
import hashlib
import json
from itertools import product

import pandas as pd
from gexbert import RESULTS, WORK, hashes

from latentgenomes.core.provenance import write_results
from latentgenomes.expression.experiments.classification import (
    METHODS,
    Cell,
    classify,
    compare_with,
    make_classification_task,
    mean_scores,
)
from latentgenomes.expression.experiments.masking import load_dataset
from latentgenomes.expression.experiments.pretraining import pretraining_task
from latentgenomes.expression.models.gexbert import GexBERT

FOLDER = WORK / "classification"


def weights_digest(model: GexBERT) -> str:
    """SHA-256 of the weights; settings such as the name of a checkpoint do not count."""
    digest = hashlib.sha256()
    for name, value in sorted(model.module_.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def cells(arguments: argparse.Namespace) -> None:
    """Score the methods on the cells asked for."""
    backbone = GexBERT.load(arguments.weights)
    genes = pretraining_task().train
    task = make_classification_task(load_dataset("mirna"), genes.index, genes.columns)
    del backbone.feature_names_in_  # the workflow passes arrays
    draws = range(*arguments.draws)
    asked = [Cell(arguments.labels, k, draw) for draw, k in product(draws, arguments.genes)]
    digest = weights_digest(GexBERT.load(arguments.weights))
    scores = classify(task, backbone, asked, methods=arguments.methods, folder=FOLDER / digest[:12])
    about = {"weights_sha256": digest, "steps": backbone.n_steps, "n_test": len(task.test)}
    (FOLDER / digest[:12] / "about.txt").write_text(json.dumps(about), encoding="utf-8")
    print(mean_scores(scores).round(4).to_string())


def tables(arguments: argparse.Namespace) -> None:
    """Collect finished cells into two tables."""
    digest = weights_digest(GexBERT.load(arguments.weights))
    folder = FOLDER / digest[:12]
    scores = pd.DataFrame([json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))])
    scores = scores.sort_values(["n_labels", "n_genes", "method", "draw"], ignore_index=True)
    about = {
        "command": "python benchmarks/gexbert_classification.py cells, then tables",
        **json.loads((folder / "about.txt").read_text()),
    }
    tests = pd.concat(
        [
            compare_with(scores, baseline, score=score).assign(score=score)
            for baseline in ("svm", "logistic", "mlp")
            for score in ("accuracy", "macro_f1")
        ],
        ignore_index=True,
    )
    means = mean_scores(scores)
    wide = means.pivot(index="method", columns=["n_labels", "n_genes"], values="accuracy").round(4)
    wide.columns = [f"{labels or 'all'}_{genes}" for labels, genes in wide.columns]
    for frame, name in (
        (scores.drop(columns="seconds"), "classification.csv"),
        (wide.assign(n_types=32).reset_index(), "classification_accuracy.csv"),
        (means.round(3), "classification_means.csv"),
        (tests, "classification_tests.csv"),
    ):
        write_results(
            frame,
            RESULTS / name,
            parameters=about,
            data=hashes(),
            seed=0,
            seconds=scores["seconds"].sum(),
            code=[GexBERT, pretraining_task, make_classification_task, classify],
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["cells", "tables"])
    parser.add_argument("--weights", default=str(RESULTS / "gexbert_mirna.safetensors"))
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--draws", type=int, nargs=2, default=[0, 10])
    parser.add_argument("--genes", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    given = parser.parse_args()
    (cells if given.what == "cells" else tables)(given)
