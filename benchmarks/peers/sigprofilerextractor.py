"""Run SigProfilerExtractor on one matrix, inside its own environment. `run.py` calls this file.

Run: python benchmarks/peers/sigprofilerextractor.py MATRIX FOLDER --minimum 2 --maximum 5 --replicates 10

MATRIX is tab-separated, channels in rows and samples in columns. The program's own folder tree goes to
FOLDER, and FOLDER/job.json holds settings and versions. A matrix needs no reference genome, and
stopping after the extraction needs no COSMIC table, so nothing is downloaded.
"""

import argparse
import json
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "SigProfilerExtractor",
    "SigProfilerAssignment",
    "sigProfilerPlotting",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
)


def arguments() -> argparse.Namespace:
    """Return the parsed command line; defaults are SigProfilerExtractor's own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("matrix", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minimum", type=int, default=1, help="least number of signatures")
    parser.add_argument("--maximum", type=int, default=25, help="largest number of signatures")
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--min-iterations", type=int, default=10_000)
    parser.add_argument("--max-iterations", type=int, default=1_000_000)
    parser.add_argument("--test-every", type=int, default=10_000, help="iterations between two tests")
    parser.add_argument("--tolerance", type=float, default=1e-15)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Extract, then record what was run."""
    settings = arguments()
    settings.folder.mkdir(parents=True, exist_ok=True)
    seeds = settings.folder / "seed.txt"  # the form that the program reads seeds in
    seeds.write_text(f"\tSeed\n0\t{settings.seed}\n", encoding="utf-8")
    options = {
        "minimum_signatures": settings.minimum,
        "maximum_signatures": settings.maximum,
        "nmf_replicates": settings.replicates,
        "min_nmf_iterations": settings.min_iterations,
        "max_nmf_iterations": settings.max_iterations,
        "nmf_test_conv": settings.test_every,
        "nmf_tolerance": settings.tolerance,
        "nmf_init": "random",
        "matrix_normalization": "gmm",
        "resample": True,
        "precision": "single",
        "cpu": 1,
        "stop_after_extraction": True,
        "make_decomposition_plots": False,
    }
    record = {
        "options": options,
        "seed": settings.seed,
        "versions": {"python": platform.python_version()} | {p: metadata.version(p) for p in PACKAGES},
    }
    (settings.folder / "job.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    # Here, not above: the program starts worker processes that read this file again.
    from SigProfilerExtractor import sigpro

    sigpro.sigProfilerExtractor(
        "matrix", str(settings.folder / "extraction"), str(settings.matrix), seeds=str(seeds), **options
    )


if __name__ == "__main__":
    main()
