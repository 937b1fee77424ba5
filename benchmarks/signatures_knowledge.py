"""What it is worth to know signatures beforehand: extract with and without them, where the truth is known.

Run: python benchmarks/signatures_knowledge.py    into data/results/signatures/knowledge.csv
"""

import time
from pathlib import Path

from latentgenomes.core.provenance import write_results
from latentgenomes.signatures.experiments.knowledge import CASES, compare_knowledge

RESULTS = Path(__file__).parents[1] / "data" / "results" / "signatures"
SEEDS, N_SAMPLES = (0, 1, 2, 3, 4), 120


def main() -> None:
    """Run all cases, print their means, and store every run."""
    begun = time.perf_counter()
    table = compare_knowledge(seeds=SEEDS, n_samples=N_SAMPLES)
    parameters = {"cases": list(CASES), "seeds": list(SEEDS), "n_samples": N_SAMPLES}
    write_results(
        table,
        RESULTS / "knowledge.csv",
        parameters=parameters,
        data={},
        seed=0,
        seconds=time.perf_counter() - begun,
        code=[compare_knowledge],
    )
    means = table.groupby(["case", "method"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(3).to_string())


if __name__ == "__main__":
    main()
