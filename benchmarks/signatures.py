"""Every yardstick of the signature study from the stored tables, and the runs behind some of them.

Run: python benchmarks/signatures.py                       print what was measured against what was wanted
     python benchmarks/signatures.py refits timing ...     run these parts again, into data/results/signatures

burden    default system and NMF over burden, number of samples and number of signatures
scatter   counts that scatter more than Poisson counts: simulated ones, and six cancer types
pooled    five systems on all types of PCAWG at once: held-out donors
refits    sparse refits beside SigProfilerAssignment
peers     NMF in SigProfilerExtractor's procedure on the catalogues that the original was run on (make peers)
timing    CPU seconds for 2 to 25 signatures on 1000 x 96
memory    peak memory on 20,000 x 96, in a process of its own
quick     seconds of the quick preset on PCAWG
chain     signeR's posterior from the default chains against a long reference chain
halves    systems with their own number on both halves of the donors of six cancer types: what comes back
consensus the consensus of halves where the truth is known: numbers, F1, coverage of its 90% intervals
many      sets of 20 to 45 COSMIC signatures with counts that scatter: the default and NMF, told the number
posterior what signeR's default chains say of two scenarios: agreement, intervals, absent exposures
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from latentgenomes.book.notebooks import run_notebook
from latentgenomes.core.provenance import write_results
from latentgenomes.core.registry import load_registry
from latentgenomes.core.splits import grouped_split
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.pcawg import load_pcawg
from latentgenomes.signatures.data.published import load_islam
from latentgenomes.signatures.evaluate import match_signatures, recovery
from latentgenomes.signatures.experiments.cohorts import compare_generalisation
from latentgenomes.signatures.experiments.comparison import compare_systems, load_truth
from latentgenomes.signatures.experiments.halves import compare_halves
from latentgenomes.signatures.experiments.refits import compare_refits
from latentgenomes.signatures.models.consensus_nmf import ConsensusNMF
from latentgenomes.signatures.models.klnmf import KLNMF
from latentgenomes.signatures.models.signer import SignerNMF
from latentgenomes.signatures.simulate import CatalogSettings, simulate_signature_catalogs
from latentgenomes.signatures.verbs.extract import extract_signatures

RESULTS = Path(__file__).parents[1] / "data" / "results" / "signatures"
PUBLISHED = Path(__file__).parents[1] / "data" / "published"
PCAWG = "signatures/real_pcawg7/WGS_PCAWG.96.csv"
SIMULATED = ("simulated:100:1000", "simulated:100:5000", "simulated:500:500", "simulated:500:5000")
PEERS = ("breast", "islam_4", "islam_1", "islam_2", "islam_3", "islam_4_own_limit")
ISLAM_PARTS = ("catalog", "truth.sigs", "truth.exposures")
N_POOLED = 20
POOLED_CAP = {"max_mutations": 2000.0}
POOLED: dict[str, dict[str, object]] = {
    "klnmf": {"n_restarts": 5},
    "gamma_poisson": {"n_restarts": 1},
    "vaems": {"n_restarts": 2, "max_epochs": 150},
    "muse_xae": {"n_restarts": 2, "max_epochs": 100},
    "signer": {"n_restarts": 1, "n_starts": 1, "n_burn_in": 300, "n_samples": 200},
}
COHORTS = ("Breast-AdenoCA", "Panc-AdenoCA", "Prost-AdenoCA", "Ovary-AdenoCA", "Kidney-RCC", "Eso-AdenoCA")
SCATTER: dict[str, dict[str, Any]] = {
    "negative_binomial": {"n_restarts": 1},
    "gamma_poisson": {"n_restarts": 1},
    "klnmf": {"n_restarts": 5, "n_signatures": list(range(2, 16))},
}

HALVES = {"consensus": "auto", "klnmf": list(range(2, 15))}
MANY, MANY_SAMPLES = (20, 26, 32, 38, 45), 400
#: What COSMIC takes for artefacts of sequencing.
ARTEFACTS = {"SBS27", "SBS43", "SBS95", *(f"SBS{n}" for n in range(45, 61))}
KNOWN: tuple[tuple[list[str], int, float, Any], ...] = (
    (["SBS1", "SBS2", "SBS3", "SBS5", "SBS18", "SBS40a"], 180, 4000.0, "poisson"),
    (["SBS1", "SBS3", "SBS5", "SBS8", "SBS40a"], 200, 4000.0, "poisson"),
    (["SBS1", "SBS4", "SBS13", "SBS17b"], 150, 4000.0, "poisson"),
    (["SBS1", "SBS2", "SBS13", "SBS5", "SBS18"], 60, 1500.0, "poisson"),
    (["SBS1", "SBS2", "SBS5", "SBS13", "SBS18", "SBS8"], 150, 5000.0, "negative_binomial"),
    (["SBS1", "SBS4", "SBS5", "SBS7a", "SBS18"], 100, 10_000.0, "negative_binomial"),
)

Part = Callable[[], tuple[pd.DataFrame, dict[str, object], list[str]]]
#: The functions and classes of the package that the parts call.
CODE = (extract_signatures, compare_systems, compare_refits, compare_generalisation, recovery, SignerNMF)
OWN_CODE = {
    "halves": (compare_halves,),
    "consensus": (extract_signatures, ConsensusNMF, recovery),
    "many": (extract_signatures, ConsensusNMF, KLNMF, recovery, simulate_signature_catalogs),
}


def cpu_seconds() -> float:
    """CPU seconds of this process so far."""
    return time.process_time()


def burden() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """F1 and number of signatures over burden, number of samples and number of signatures; Poisson noise."""
    tables = []
    for dataset in (*SIMULATED, "synsig_30"):
        seeds = [0, 1] if dataset in SIMULATED else [0]
        k = len(load_truth(dataset, "poisson", 0).signatures)
        near = {"klnmf": {"n_signatures": list(range(k - 2, k + 3)), "n_restarts": 10}}
        methods = ["gamma_poisson", "klnmf"] if dataset in SIMULATED else ["gamma_poisson"]
        tables.append(compare_systems([dataset], methods, noises=["poisson"], seeds=seeds, settings=near))
    return pd.concat(tables, ignore_index=True), {"klnmf": "true number +- 2, 10 restarts"}, []


def refits() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Presence calls and errors of exposures beside SigProfilerAssignment."""
    return compare_refits(n_samples=100, seeds=(0, 1)), {"n_samples": 100}, []


def peers() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Number, signatures and CPU seconds beside SigProfilerExtractor's on the same catalogues."""
    runs = pd.read_csv(RESULTS / "peers" / "runs.csv").set_index("run")
    rows, used = [], []
    for name in PEERS:
        if name not in runs.index:
            continue
        run = runs.loc[name]
        counts = _peer_counts(str(run["source"]))
        tried = range(int(run["minimum"]), int(run["maximum"]) + 1)
        start = cpu_seconds()
        found = extract_signatures(
            counts, method="klnmf", n_signatures=tried, n_restarts=int(run["replicates"])
        )
        seconds = cpu_seconds() - start
        theirs = pd.read_csv(RESULTS / "peers" / f"{name}_signatures.csv").set_index("n_signatures")
        chosen = int(run["chosen"]) if pd.notna(run["chosen"]) else found.n_signatures
        same = theirs.loc[chosen].set_index("signature")[counts.columns]
        ours = extract_signatures(
            counts, method="klnmf", n_signatures=chosen, n_restarts=int(run["replicates"])
        )
        cosines = match_signatures(ours.signatures, same)["cosine"]
        rows.append(
            {
                "catalogue": name,
                "n_theirs": chosen,
                "n_ours": found.n_signatures,
                "mean_cosine": cosines.mean(),
                "least_cosine": cosines.min(),
                **_peer_recovery(str(run["source"]), same, found.signatures),
                "replicates": int(run["replicates"]),
                "their_most_updates": int(run["max_iterations"]),
                "their_cpu_seconds": run["cpu_seconds"],
                "our_cpu_seconds": seconds,
                "ratio": run["cpu_seconds"] / seconds,
            }
        )
        islam = f"signatures/synthetic_islam2022/Scenario_{run['source'][-1]}.catalog.csv"
        used.append(islam if run["source"].startswith("islam") else PCAWG)
    return pd.DataFrame(rows), {"replicates": "as theirs"}, sorted(set(used))


def _peer_recovery(source: str, theirs: pd.DataFrame, ours: pd.DataFrame) -> dict[str, float]:
    """F1 at a cosine of .9 of both, where the truth is known; ours with the number that it found."""
    if not source.startswith("islam"):
        return {}
    truth = load_islam(int(source[-1])).signatures
    sides = {"f1_theirs": theirs, "f1_ours": ours}
    return {side: float(recovery(found, truth, [0.9])["f1"].iloc[0]) for side, found in sides.items()}


def _peer_counts(source: str) -> pd.DataFrame:
    """Counts of a source of `make peers`."""
    if source.startswith("islam"):
        return load_islam(int(source[-1])).counts
    pcawg = load_pcawg()
    return pcawg.counts[pcawg.metadata["histology"] == source]


def timing() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """CPU seconds of a full extraction on 1000 x 96; VAE-MS at three numbers of signatures."""
    counts = load_truth("islam_1", "poisson", 0).counts
    start = cpu_seconds()
    extract_signatures(counts, method="gamma_poisson")  # the default's first proposal
    rows = [{"system": "gamma_poisson", "n_signatures": "2-25", "cpu_seconds": cpu_seconds() - start}]
    measured = {}
    for k in (2, 11, 25):
        start = cpu_seconds()
        extract_signatures(counts, method="vaems", n_signatures=k, n_restarts=20)
        measured[k] = cpu_seconds() - start
        rows.append({"system": "vaems, 20 restarts", "n_signatures": str(k), "cpu_seconds": measured[k]})
    numbers = np.arange(2, 26)
    total = float(np.interp(numbers, list(measured), list(measured.values())).sum())
    rows.append({"system": "vaems, 20 restarts", "n_signatures": "2-25, interpolated", "cpu_seconds": total})
    return pd.DataFrame(rows), {"dataset": "islam_1, Poisson noise"}, []


def memory() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Peak memory and CPU seconds of the default system on 20,000 x 96; run this part alone."""
    counts = simulate_signature_catalogs(20_000, random_state=0).counts
    start = cpu_seconds()
    found = extract_signatures(counts, method="gamma_poisson", n_signatures=range(2, 13))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # KiB -> GiB
    row = {
        "system": "gamma_poisson",
        "n_samples": len(counts),
        "n_found": found.n_signatures,
        "peak_gib": peak,
        "cpu_seconds": cpu_seconds() - start,
    }
    return pd.DataFrame([row]), {"dataset": "simulated", "n_signatures": "2 to 12"}, []


def chain() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Posterior mean of the default chains against a long chain from another seed."""
    rows = []
    for name, counts, k in (
        ("simulated, 150 samples", simulate_signature_catalogs(150, signatures=4, random_state=0).counts, 4),
        ("islam_4, Poisson noise", load_truth("islam_4", "poisson", 0).counts, 3),
    ):
        short = SignerNMF(k, random_state=0).fit(counts)
        long = SignerNMF(k, n_restarts=1, n_burn_in=4000, n_samples=4000, random_state=1).fit(counts)
        row = {"catalogue": name, "n_signatures": k}
        row["least_cosine"] = match_signatures(short.signatures_, long.signatures_)["cosine"].min()
        rows.append(row | {f"r_hat_{column}": short.r_hat_[column].max() for column in short.r_hat_})
    settings: dict[str, object] = {"short": "default", "reference": "1 chain, 4000 + 4000 sweeps"}
    return pd.DataFrame(rows), settings, []


def posterior() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Agreement of the default chains, coverage of 95% intervals, and exposures above ten mutations."""
    rows, used = [], []
    for scenario in (1,):
        truth = load_truth(f"islam_{scenario}", "poisson", 0)
        start = cpu_seconds()
        model = SignerNMF(len(truth.signatures), random_state=0).fit(truth.counts)
        seconds = cpu_seconds() - start
        pairs = match_signatures(model.signatures_, truth.signatures)
        own = model.signatures_.index.get_indexer(pd.Index(pairs["signature"]))
        true = truth.exposures.loc[truth.counts.index, pairs["reference"]].to_numpy()
        found = model.training_exposures_[:, own]
        lower, upper = (bound[:, own] for bound in model.exposure_intervals(truth.counts, 0.95))
        present = true > 0.05 * true.sum(axis=1, keepdims=True)
        row = {"catalogue": f"islam_{scenario}, Poisson noise", "n_signatures": len(own)}
        row |= {"mean_cosine": pairs["cosine"].mean(), "agreement": model.restarts_["least_cosine"].min()}
        row |= {f"r_hat_{column}": model.r_hat_[column].max() for column in model.r_hat_}
        row["covered"] = float(((lower <= true) & (true <= upper))[present].mean())
        row |= {"above_ten": (found > 10).sum(1).mean(), "truly_above_ten": (true > 10).sum(1).mean()}
        rows.append(row | {"cpu_seconds": seconds})
        used += [f"signatures/synthetic_islam2022/Scenario_{scenario}.{part}.csv" for part in ISLAM_PARTS]
    return pd.DataFrame(rows), {"signer": "default"}, used


def pooled() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Log-likelihood per mutation of held-out donors, all types of PCAWG at once, one number for all."""
    pcawg = load_pcawg()
    donors = pcawg.metadata.loc[pcawg.counts.index, "donor"]
    tables = []
    for method, own in POOLED.items():
        start = cpu_seconds()
        table = compare_generalisation(
            pcawg.counts, donors, {method: N_POOLED}, n_splits=2, settings={method: {**own, **POOLED_CAP}}
        )
        tables.append(table.assign(cpu_seconds=(cpu_seconds() - start) / 2))
        print(tables[-1].round(4).to_string(index=False), flush=True)
    settings = {method: str({**own, **POOLED_CAP}) for method, own in POOLED.items()}
    return (
        pd.concat(tables, ignore_index=True),
        {"n_signatures": N_POOLED, "n_splits": 2, **settings},
        [PCAWG],
    )


def scatter() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Numbers of signatures found where counts scatter: with a truth, and on six cancer types.

    On real tumours the other columns judge: cosines with COSMIC, and the share of the signatures of either
    half of the donors, each with a number of its own, that the other half shows too.
    """
    rows = []
    for median, dispersion in ((5000.0, 0.0), (5000.0, 0.01), (20_000.0, 0.005), (20_000.0, 0.02)):
        noise = "negative_binomial" if dispersion else "poisson"
        for seed in (0, 1):
            truth = simulate_signature_catalogs(
                200,
                median_mutations=median,
                noise=noise,
                settings=CatalogSettings(dispersion=dispersion or 0.05),
                random_state=seed,
            )
            for method, own in SCATTER.items():
                start = cpu_seconds()
                found = extract_signatures(truth.counts, method=method, **own)
                row = {"catalogue": "simulated", "median_mutations": median, "dispersion": dispersion}
                row |= {"seed": seed, "method": method, "n_true": 8, "n_found": found.n_signatures}
                row["f1_0.9"] = recovery(found.signatures, truth.signatures, [0.9])["f1"].item()
                rows.append(row | {"cpu_seconds": cpu_seconds() - start})
                print(rows[-1], flush=True)
    pcawg = load_pcawg()
    for name in COHORTS:
        counts = pcawg.counts[pcawg.metadata["histology"] == name]
        halves = grouped_split(pcawg.metadata.loc[counts.index, "donor"], test_fraction=0.5, random_state=0)
        for method, own in SCATTER.items():
            start = cpu_seconds()
            found = extract_signatures(counts, method=method, **own)
            row = {"catalogue": name, "median_mutations": float(counts.sum(axis=1).median())}
            row |= {"method": method, "n_found": found.n_signatures}
            row["dispersion"] = getattr(found.model, "dispersion_", np.nan)
            row["cpu_seconds"] = cpu_seconds() - start
            row["cosmic_0.9"] = int((found.matches()["cosine"] >= 0.9).sum())
            one, two = (extract_signatures(counts.iloc[half], method=method, **own) for half in halves)
            shared = int((match_signatures(one.signatures, two.signatures)["cosine"] >= 0.9).sum())
            row |= {"in_both_halves": shared, "n_half": (one.n_signatures + two.n_signatures) / 2}
            rows.append(row)
            print(rows[-1], flush=True)
    return pd.DataFrame(rows), {method: str(own) for method, own in SCATTER.items()}, [PCAWG]


def halves() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """What comes back from the other half of the donors, six cancer types, three splits."""
    pcawg, tables = load_pcawg(), []
    for name in COHORTS:
        counts = pcawg.counts[pcawg.metadata["histology"] == name]
        table = compare_halves(counts, pcawg.metadata["donor"], HALVES, n_splits=3)
        tables.append(table.assign(cohort=name))
        print(tables[-1].round(3).to_string(index=False), flush=True)
    return (
        pd.concat(tables, ignore_index=True),
        {"n_splits": 3} | {method: str(numbers) for method, numbers in HALVES.items()},
        [PCAWG],
    )


def consensus() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """The consensus of halves on catalogues with a truth, Poisson noise and scatter."""
    catalogs = {
        f"{' '.join(names)}, {noise}": simulate_signature_catalogs(
            n, signatures=names, median_mutations=median, noise=noise, random_state=0
        )
        for names, n, median, noise in KNOWN
    }
    rows = []
    for name, truth in catalogs.items():
        rows.append({"catalogue": name} | _consensus(truth.counts, truth.signatures, truth.exposures))
        print(rows[-1], flush=True)
    for number in (4, 1, 3, 2):
        truth = load_islam(number)
        drawn = np.random.default_rng(0).poisson(truth.counts)
        counts = pd.DataFrame(drawn, index=truth.counts.index, columns=truth.counts.columns)
        rows.append({"catalogue": f"islam_{number}"} | _consensus(counts, truth.signatures, truth.exposures))
        print(rows[-1], flush=True)
    files = [
        f"signatures/synthetic_islam2022/Scenario_{n}.{p}.csv" for n in (1, 2, 3, 4) for p in ISLAM_PARTS
    ]
    return pd.DataFrame(rows), {"share_of_total": 0.05, "level": 0.9}, files


def _consensus(counts: pd.DataFrame, signatures: pd.DataFrame, exposures: pd.DataFrame) -> dict[str, float]:
    """Numbers, F1, and coverage and width of the intervals of exposures above 5% of a tumour."""
    start = cpu_seconds()
    found = extract_signatures(counts, method="consensus")
    row = {"n_samples": len(counts), "n_true": len(signatures), "n_signatures": found.n_signatures}
    told = found.signatures[found.support["verdict"] == "found"]
    row |= {"n_found": len(told), "cpu_seconds": cpu_seconds() - start}
    row["f1_0.9"] = recovery(found.signatures, signatures, [0.9])["f1"].item()
    row["f1_0.9_found"] = recovery(told, signatures, [0.9])["f1"].item()
    pairs = match_signatures(found.signatures, signatures)
    pairs = pairs[pairs["cosine"] >= 0.9].set_index("signature")["reference"]
    tidy = found.intervals(0.9)
    tidy = tidy[tidy["signature"].isin(pairs.index)]
    total = counts.sum(axis=1).reindex(tidy["sample"]).to_numpy()
    reference = pairs.reindex(tidy["signature"])
    true = exposures.stack().reindex(list(zip(tidy["sample"], reference, strict=True))).to_numpy()
    large = true > 0.05 * total
    inside = (tidy["lower"] <= true) & (true <= tidy["upper"])
    width = (tidy["upper"] - tidy["lower"]) / total
    return row | {"coverage": inside[large].mean(), "width": width[large].mean(), "n_intervals": large.sum()}


def many() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """F1 on sets of many signatures, a seed each; NMF is told the true number, the default finds its own."""
    names, rows = [name for name in cosmic_signatures().index if name not in ARTEFACTS], []
    for seed, k in enumerate(MANY):
        drawn = sorted(np.random.default_rng(seed).choice(names, k, replace=False), key=names.index)
        truth = simulate_signature_catalogs(
            MANY_SAMPLES,
            signatures=drawn,
            median_mutations=5000,
            noise="negative_binomial",
            random_state=seed,
        )
        for method, numbers in (("consensus", "auto"), ("klnmf", k)):
            start = cpu_seconds()
            found = extract_signatures(truth.counts, method=method, n_signatures=numbers)
            row = {"split": seed, "method": method, "n_true": k, "n_signatures": found.n_signatures}
            scores = recovery(found.signatures, truth.signatures, [0.9]).iloc[0]
            row |= {f"{name}_0.9": scores[name] for name in ("precision", "recall", "f1")}
            rows.append(row | {"cpu_seconds": cpu_seconds() - start})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows), {"n_samples": MANY_SAMPLES, "median_mutations": 5000}, []


def quick() -> tuple[pd.DataFrame, dict[str, object], list[str]]:
    """Seconds of the quick preset on PCAWG, one thread, start and HTML page included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run_notebook("signatures_analysis", given={}, params_file=None, out=Path(folder))
        seconds = time.perf_counter() - start
    return pd.DataFrame([{"notebook": "signatures_analysis", "seconds": seconds}]), {}, [PCAWG]


PARTS: dict[str, Part] = {
    "quick": quick,
    "burden": burden,
    "refits": refits,
    "peers": peers,
    "timing": timing,
    "memory": memory,
    "chain": chain,
    "posterior": posterior,
    "pooled": pooled,
    "scatter": scatter,
    "halves": halves,
    "consensus": consensus,
    "many": many,
}


def store(name: str) -> None:
    """Run one part and store its table."""
    start = time.perf_counter()
    table, parameters, files = PARTS[name]()
    hashes = load_registry().set_index("name")["sha256"]
    path = RESULTS / f"{'beside_sigprofiler' if name == 'peers' else name}.csv"
    write_results(
        table.round(4),
        path,
        parameters=parameters,
        data={file: hashes[file] for file in files},
        seed=0,
        seconds=time.perf_counter() - start,
        code=OWN_CODE.get(name, CODE),
    )
    print(table.round(3).to_string(index=False))


def yardsticks() -> pd.DataFrame:
    """One row per yardstick: what, yardstick, to reach, measured, reached."""
    rows: list[tuple[str, str, str, str, bool]] = []
    systems = pd.read_csv(RESULTS / "systems.csv")
    published = pd.read_csv(PUBLISHED / "musexae_islam.csv")["f1_0.9"].mean()

    def mean_f1(method: str, noise: str) -> tuple[float, int]:
        part = systems[(systems["method"] == method) & (systems["noise"] == noise)]
        by_data = part.groupby("dataset")["f1_0.9"].mean()
        return float(by_data.mean()), len(by_data)

    value, n = mean_f1("muse_xae", "none")
    reached = n == 5 and abs(value - published) <= 0.05
    what = "MuseXAE, F1 at .9, Islam 1-5, no noise, number not given"
    rows.append((what, f"{published:.3f}", "within .05", f"{value:.3f} ({n} scenarios)", reached))
    beside = pd.read_csv(RESULTS / "beside_sigprofiler.csv")
    own = beside["their_most_updates"] >= 1_000_000  # the program's own settings, one number of signatures
    many, ratio = beside[~own], beside["ratio"]
    same, cosine = int((many["n_ours"] == many["n_theirs"]).sum()), beside["mean_cosine"].min()
    text = f"{same} of {len(many)}, {cosine:.3f}"
    what = "KLNMF beside SigProfilerExtractor: same number, least mean cosine"
    rows.append((what, "-", "all, >= .97", text, same == len(many) and bool(cosine >= 0.97)))
    for what, part in (("stopped at 10,000 or 20,000 updates", ~own), ("its own settings", own)):
        text = f"{ratio[part].min():.0f}-{ratio[part].max():.0f} ({part.sum()} runs)"
        reached = bool(ratio[part].min() >= 20)
        rows.append((f"CPU of SigProfilerExtractor, {what}, over KLNMF's", "-", ">= 20", text, reached))
    for method, name in (("negative_binomial", "negative binomial"), ("gamma_poisson", "Gamma-Poisson NMF")):
        for noise, floor in (("none", 0.95), ("poisson", 0.92)):
            value, n = mean_f1(method, noise)
            what = f"{name}, F1 at .9, Islam 1-5, noise {noise}, number not given"
            yard, text = f"{published:.3f}" if noise == "none" else "-", f"{value:.3f} ({n} scenarios)"
            rows.append((what, yard, f">= {floor}", text, n == 5 and value >= floor))
    for row in pd.read_csv(RESULTS / "chain.csv").itertuples():
        what = f"SignerNMF against a long chain, {row.catalogue}: least cosine, largest R-hat"
        good = row.least_cosine >= 0.99 and row.r_hat_largest_entry <= 1.05
        text = f"{row.least_cosine:.3f}, {row.r_hat_largest_entry:.3f}"
        rows.append((what, "-", ">= .99, <= 1.05", text, bool(good)))
    timed = pd.read_csv(RESULTS / "timing.csv").set_index(["system", "n_signatures"])["cpu_seconds"]
    for system, numbers, minutes in (
        ("gamma_poisson", "2-25", 5),
        ("vaems, 20 restarts", "2-25, interpolated", 30),
    ):
        used = timed[system, numbers] / 60
        # Each number of signatures is a fit of its own, so two cores share the work of VAE-MS.
        wall = used if system == "gamma_poisson" else used / 2
        what = f"{system}, 2-25 signatures, 1000 x 96, minutes on two cores"
        rows.append((what, "hours to days", f"< {minutes}", f"{wall:.1f} ({used:.1f} CPU)", wall < minutes))
    rows += [*_promises(), *_intervals(), *_many()]
    paths = [RESULTS / f"{name}.csv" for name in ("quick", "memory")]
    quick, used = (pd.read_csv(path) if path.is_file() else None for path in paths)
    seconds = None if quick is None else float(quick["seconds"].iloc[0])
    text = "not run" if seconds is None else f"{seconds:.0f}"
    rows.append(("PCAWG quick preset, seconds", "-", "< 90", text, seconds is not None and seconds < 90))
    peak = None if used is None else float(used["peak_gib"].iloc[0])
    text = "not run" if peak is None else f"{peak:.2f} GiB"
    rows.append(("20,000 x 96, peak memory", "-", "< 4 GB", text, peak is not None and peak < 3.7))
    return pd.DataFrame(rows, columns=["what", "yardstick", "to reach", "measured", "reached"])


def _promises() -> list[tuple[str, str, str, str, bool]]:
    """What comes back from the other half of the donors, the default and NMF with its rule."""
    path = RESULTS / "halves.csv"
    if not path.is_file():
        return [("halves of the donors", "-", ">= .75", "not run", False)]
    table = pd.read_csv(path)
    means = table.groupby("method")[["among", "anywhere", "unseen"]].mean()
    sums = table.groupby("method")[["back", "cosmic"]].sum()
    ours, nmf = means.loc["consensus"], means.loc["klnmf"]
    wide = table.pivot(index=["cohort", "split"], columns="method", values="among")
    p = float(stats.wilcoxon(wide["consensus"], wide["klnmf"]).pvalue)
    by_cohort = (wide["consensus"] - wide["klnmf"]).groupby("cohort").mean()
    text = f"{ours['among']:.2f} / {ours['anywhere']:.2f}, NMF {nmf['among']:.2f} (p {p:.3f})"
    good = bool(ours["among"] >= 0.75 and ours["anywhere"] >= 0.9 and p < 0.05)
    least = f"{by_cohort.min():+.2f} ({by_cohort.idxmin()})"
    back, cosmic = (f"{sums.loc['consensus', c]}, NMF {sums.loc['klnmf', c]}" for c in ("back", "cosmic"))
    more = sums.loc["consensus"] - sums.loc["klnmf"]
    score = f"{ours['unseen']:.4f}, NMF {nmf['unseen']:.4f}"
    return [
        ("found in one half, and in the other: found / anywhere", "NMF", ">= .75 / .90", text, good),
        ("the same, by cohort, least difference to NMF", "-", ">= -.05", least, by_cohort.min() >= -0.05),
        ("number that comes back", "NMF", "not fewer", back, bool(more["back"] >= 0)),
        ("with a partner in COSMIC at .9, whole results", "NMF", "more", cosmic, bool(more["cosmic"] > 0)),
        ("unseen donors, nats a mutation", "NMF", "not below", score, bool(ours["unseen"] >= nmf["unseen"])),
    ]


def _intervals() -> list[tuple[str, str, str, str, bool]]:
    """Coverage of the 90% intervals of the default, every set."""
    table = pd.read_csv(RESULTS / "consensus.csv")
    return [
        (
            f"90% intervals, {row.catalogue}: coverage (width)",
            "-",
            ".85-.95",
            f"{row.coverage:.2f} ({row.width:.2f})",
            bool(0.85 <= round(row.coverage, 2) <= 0.95),
        )
        for row in table.itertuples()
    ]


def _many() -> list[tuple[str, str, str, str, bool]]:
    """F1 on sets of 20 to 45 signatures."""
    path = RESULTS / "many.csv"
    if not path.is_file():
        return [("20 to 45 signatures, F1 at .9", "-", ">= .80", "not run", False)]
    wide = pd.read_csv(path).pivot(index="split", columns="method", values="f1_0.9")
    p = float(stats.ttest_rel(wide["consensus"], wide["klnmf"]).pvalue)
    ours, nmf = wide["consensus"].mean(), wide["klnmf"].mean()
    text = f"{ours:.2f}, NMF {nmf:.2f} (p {p:.3f})"
    return [
        (
            "20 to 45 signatures, F1 at .9",
            "NMF",
            ">= .80, above",
            text,
            bool(ours >= 0.8 and p < 0.05 and ours > nmf),
        )
    ]


def main() -> None:
    """Print the table, or run parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="parts to run again; none prints the table"
    )
    options = parser.parse_args()
    for name in options.parts:
        store(name)
    if not options.parts:
        with pd.option_context("display.width", 200, "display.max_colwidth", 90):
            print(yardsticks().to_string(index=False))


if __name__ == "__main__":
    main()
