"""What it is worth to know signatures beforehand: extract with and without them, where the truth is known.

Run: python benchmarks/signatures_knowledge.py    into data/results/signatures/knowledge*.csv
"""

import time
from pathlib import Path

import pandas as pd

from latentgenomes.core.provenance import write_results
from latentgenomes.signatures.experiments.knowledge import CASES, compare_knowledge

RESULTS = Path(__file__).parents[1] / "data" / "results" / "signatures"
SEEDS, N_SAMPLES = (0, 1, 2, 3, 4), 120


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds, as the chapter shows them."""
    columns = ["n_found", "f1_0.9", "f1_0.95", "relative_error", "covered", "right", "wrong", "cpu_seconds"]
    return table.groupby(["case", "method"], sort=False)[columns].mean().round(3).reset_index()


def main() -> None:
    """Run all cases, print their means, and store every run."""
    begun = time.perf_counter()
    table = compare_knowledge(seeds=SEEDS, n_samples=N_SAMPLES)
    parameters = {"cases": list(CASES), "seeds": list(SEEDS), "n_samples": N_SAMPLES}
    for name, frame in (("knowledge", table), ("knowledge_means", means(table))):
        write_results(
            frame,
            RESULTS / f"{name}.csv",
            parameters=parameters,
            data={},
            seed=0,
            seconds=time.perf_counter() - begun,
            code=[compare_knowledge],
        )
    print(means(table).to_string(index=False))


if __name__ == "__main__":
    main()
