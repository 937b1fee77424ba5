"""Run SigProfilerExtractor on named data sets and store its tables with the record of each run.

Run: make peers
     python benchmarks/peers/run.py islam_4 breast -o data/results/signatures/peers

Each run has its own process in the peer's environment; this file hands over the counts and reads what comes
back. What has finished is stored after every data set and kept in the work folder, so that a stopped run
starts again with the next data set; `--collect` only writes the tables of what is there.

<data set>_signatures.csv   signatures of every number tried, with stability and mutations
<data set>_selection.csv    stability, errors, iterations and seconds of every number tried, and the choice
runs.csv                    one row a data set: settings, choice, seconds
"""

import argparse
import hashlib
import json
import re
import resource
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.provenance import replacing, write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.mutations.pcawg import load_pcawg
from latentgenomes.signatures.data.published import load_islam

PEER = Path(__file__).with_name("sigprofilerextractor.py")


@dataclass(frozen=True)
class Job:
    """Settings of one run; what is not named is SigProfilerExtractor's own."""

    source: str
    minimum: int
    maximum: int
    replicates: int
    max_iterations: int = 20_000  # the first test at which the program's own settings let it stop


JOBS = {
    "islam_4": Job("islam_4", 2, 5, 5),
    "breast": Job("Breast-AdenoCA", 2, 10, 5),
    # Eleven true signatures, 1,000 tumours: stopped at the program's own minimum of updates.
    "islam_1": Job("islam_1", 8, 14, 5, 10_000),
    "islam_2": Job("islam_2", 8, 14, 5, 10_000),
    "islam_3": Job("islam_3", 8, 14, 5, 10_000),
    # The program's own limit on iterations: what the lower one leaves out, and what it saves.
    "islam_4_own_limit": Job("islam_4", 3, 3, 2, 1_000_000),
}


def load(source: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Counts of a data set, and the SHA-256 of the files that they were read from."""
    if source.startswith("islam_"):
        counts = load_islam(int(source[-1])).counts
        used = [f"signatures/synthetic_islam2022/Scenario_{source[-1]}.catalog.csv"]
    else:
        pcawg = load_pcawg()
        counts = pcawg.counts[pcawg.metadata["histology"] == source]
        used = ["signatures/real_pcawg7/WGS_PCAWG.96.csv"]
    hashes = load_registry().set_index("name")["sha256"]
    return counts, {name: hashes[name] for name in used}


def write_matrix(counts: pd.DataFrame, path: Path) -> None:
    """Write counts as the peer reads them: channels in rows, tab-separated."""
    with replacing(path) as temporary:
        counts.T.rename_axis(index="MutationType").to_csv(temporary, sep="\t")


def extract(job: Job, python: str, folder: Path) -> None:
    """Run the peer and leave its seconds in ``usage.json``."""
    command = [python, str(PEER), str(folder / "matrix.txt"), str(folder)]
    command += ["--minimum", str(job.minimum), "--maximum", str(job.maximum)]
    command += ["--replicates", str(job.replicates), "--max-iterations", str(job.max_iterations)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with replacing(folder / "usage.json") as temporary:
        temporary.write_text(json.dumps({"seconds": seconds, "cpu_seconds": cpu}), encoding="utf-8")


def finished(folder: Path) -> list[Path]:
    """Folders of the numbers of signatures that are complete, also those of a run that was stopped."""
    listed = folder / "extraction/SBS96/All_solutions_stat.csv"  # a number's line is the last thing written
    if not listed.is_file():
        return []
    numbers = re.findall(r"^\s*(\d+)\*?,", listed.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [folder / f"extraction/SBS96/All_Solutions/SBS96_{n}_Signatures" for n in numbers]


def read_signatures(folder: Path) -> pd.DataFrame:
    """Signatures of every number tried: (n_signatures, signature, stability, mutations, 96 channels)."""
    parts = []
    for found in finished(folder):
        n = int(found.name.split("_")[1])
        table = pd.read_csv(found / f"Signatures/SBS96_S{n}_Signatures.txt", sep="\t", index_col=0).T
        stats = pd.read_csv(found / f"Solution_Stats/SBS96_S{n}_Signatures_stats.txt", sep="\t", index_col=0)
        stats = stats.loc[table.index].rename(
            columns={"Stability": "stability", "Total Mutations": "mutations"}
        )
        part = pd.concat([stats, table.round(7)], axis=1)
        parts.append(part.assign(n_signatures=n).rename_axis("signature").reset_index())
    tidy = pd.concat(parts).sort_values(["n_signatures", "mutations"], ascending=[True, False])
    return tidy.set_index(["n_signatures", "signature"])


def read_selection(folder: Path, signatures: pd.DataFrame, cap: int) -> pd.DataFrame:
    """One row per number of signatures; `chosen` is empty where the run was stopped before the choice."""
    log = (folder / "log.txt").read_text(encoding="utf-8")
    pattern = r"Time taken to collect \d+ iterations for (\d+) signatures is ([\d.]+) seconds"
    seconds = {int(n): float(value) for n, value in re.findall(pattern, log)}
    stability = signatures["stability"].groupby(level=0)
    table = pd.DataFrame({"stability_mean": stability.mean().round(3), "stability_min": stability.min()})
    for n in table.index:
        found = folder / f"extraction/SBS96/All_Solutions/SBS96_{n}_Signatures/Solution_Stats"
        samples = pd.read_csv(found / f"SBS96_S{n}_Samples_stats.txt", sep="\t", index_col=0)
        error = samples["L2_Norm_%"].str.rstrip("%").astype(float)
        table.loc[n, "median_l2_percent"] = error.median()
        table.loc[n, "mean_kl"] = samples["KL Divergence"].replace(np.inf, np.nan).mean()
        fits = pd.read_csv(found / f"SBS96_S{n}_NMF_Convergence_Information.txt", sep="\t", index_col=0)
        iterations = fits["Convergence Iterations"]  # 0 where the limit came first
        table.loc[n, "median_iterations"] = iterations.where(iterations > 0, cap).median()
        table.loc[n, "nmf_seconds"] = seconds[n]
    stats = pd.read_csv(folder / "extraction/SBS96/All_solutions_stat.csv", dtype=str)
    if "P-value" in stats:
        stats = stats.set_index(stats["Signatures"].str.rstrip("*").astype(int))
        table["highest_stable"] = stats["P-value"] == "Most Stab Sigs"
        table["p_value"] = pd.to_numeric(stats["P-value"], errors="coerce")  # against the highest stable
        table["chosen"] = stats["Signatures"].str.endswith("*")
    return table.round({"stability_mean": 3, "median_l2_percent": 3, "mean_kl": 7})


def collect(name: str, job: Job, folder: Path, output: Path) -> dict[str, object]:
    """Write the two tables of a data set; return its row of the table of runs."""
    counts, data = load(job.source)
    record = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    matrix = hashlib.sha256((folder / "matrix.txt").read_bytes()).hexdigest()
    signatures = read_signatures(folder)
    selection = read_selection(folder, signatures, job.max_iterations)
    usage = {
        "seconds": float(selection["nmf_seconds"].sum()),
        "cpu_seconds": None,
    }  # of a run that was stopped
    if (folder / "usage.json").is_file():
        usage = json.loads((folder / "usage.json").read_text(encoding="utf-8"))
    parameters = record | {
        "data_set": job.source,
        "matrix_sha256": matrix,
        "cpu_seconds": usage["cpu_seconds"],
    }
    for table, kind in ((signatures, "signatures"), (selection, "selection")):
        write_results(
            table,
            output / f"{name}_{kind}.csv",
            parameters=parameters,
            data=data,
            seed=record["seed"],
            seconds=usage["seconds"],
            code=[],  # a peer's numbers hang on its versions and its data, which are recorded, not on ours
        )
    chosen = selection.index[selection["chosen"]] if "chosen" in selection else []
    return {
        "run": name,
        **asdict(job),
        "n_samples": len(counts),
        "chosen": int(chosen[0]) if len(chosen) else None,
        "seconds": usage["seconds"],
        "cpu_seconds": usage["cpu_seconds"],
        "version": record["versions"]["SigProfilerExtractor"],
    }


def earlier(table: Path, again: set[str]) -> list[dict[str, object]]:
    """Rows of the stored table of runs whose raw output is gone; those in `again` are read anew."""
    if not table.is_file():
        return []
    stored = pd.read_csv(table)
    return [
        {str(k): v for k, v in row.items()} for row in stored[~stored["run"].isin(again)].to_dict("records")
    ]


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*JOBS, []], help="data sets; all by default")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--work", type=Path, default=Path("build/peers"), help="folder of the raw output")
    parser.add_argument("--python", default=".venv-peers/bin/python", help="the peer's interpreter")
    parser.add_argument("--collect", action="store_true", help="only write tables of what has finished")
    options = parser.parse_args()
    for name in options.names or JOBS:
        folder = options.work / name
        if not options.collect and not (folder / "usage.json").is_file():
            write_matrix(load(JOBS[name].source)[0], folder / "matrix.txt")
            extract(JOBS[name], options.python, folder)
        done = {key: options.work / key for key in JOBS if finished(options.work / key)}
        rows = earlier(options.output / "runs.csv", set(done))
        rows += [collect(key, JOBS[key], folder, options.output) for key, folder in done.items()]
        sources = {str(row["source"]) for row in rows}
        data = {file: digest for source in sorted(sources) for file, digest in load(source)[1].items()}
        write_results(
            pd.DataFrame(rows).round(1).astype({"chosen": "Int64"}).set_index("run"),
            options.output / "runs.csv",
            parameters={str(row["run"]): asdict(JOBS[str(row["run"])]) for row in rows},
            data=data,
            seed=0,
            seconds=sum(float(str(row["seconds"])) for row in rows),
            code=[],
        )
        print(f"{name}: tables of {', '.join(done)} are in {options.output}")


if __name__ == "__main__":
    main()
