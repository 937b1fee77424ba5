"""SigProfilerAssignment (Diaz-Gay et al. 2023, Bioinformatics 39:btad756), on frames.

It reads and writes files, prints, and draws from numpy's global random state, so it has a process of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from latentgenomes.core.checks import check_counts, check_profiles
from latentgenomes.core.extras import package_folder
from latentgenomes.mutations.channels import CHANNELS
from latentgenomes.mutations.cosmic import cosmic_signatures

_ACTIVITIES = Path("out", "Assignment_Solution", "Activities", "Assignment_Solution_Activities.txt")
# What the process runs. The package tells classifications apart by their number of channels.
_PROGRAM = """
import sys
from SigProfilerAssignment import Analyzer
folder, is_sbs96, background, processes = sys.argv[1:]
Analyzer.cosmic_fit(
    samples=folder + "/counts.txt", output=folder + "/out", signature_database=folder + "/signatures.txt",
    input_type="matrix", collapse_to_SBS96=is_sbs96 == "True", make_plots=False, export_probabilities=False,
    add_background_signatures=background == "True", cpu=int(processes),
)
"""


def assign_with_sigprofiler(
    counts: pd.DataFrame,
    signatures: pd.DataFrame | None = None,
    *,
    cosmic_version: str = "3.4",
    background: bool = True,
    n_processes: int = 1,
) -> pd.DataFrame:
    """Whole exposures of known signatures, COSMIC's by default, as SigProfilerAssignment with its own
    settings. `background` keeps SBS1 and SBS5 in every sample, as the package does by default. A sample
    without mutations, which the package leaves out, gets 0 everywhere. If it fails, RuntimeError has the end
    of what it said.
    """
    package_folder("SigProfilerAssignment", "signatures")
    counts = check_counts(counts, name="counts", on_empty="keep")
    context = _context_of(counts)
    if signatures is None:
        genome = "GRCh38" if context == "SV32" else "GRCh37"
        signatures = cosmic_signatures(cosmic_version, context, genome=genome)
    if set(signatures.columns) != set(counts.columns):
        raise ValueError(
            f"signatures must have the {context} channels of the counts, but their channels are others. "
            "Use the same classification for both."
        )
    profiles = check_profiles(signatures, name="signatures", tolerance=0.01)
    # The package matches channels by position, so both tables get the catalogue's order. Names with
    # spaces or colons are kept from it.
    channels = list(CHANNELS[context])
    names = [f"sample{number}" for number in range(len(counts))]
    with tempfile.TemporaryDirectory() as folder:
        table = counts[channels].set_axis(names).T.rename_axis("MutationType")
        table.to_csv(Path(folder, "counts.txt"), sep="\t")
        profiles[channels].T.rename_axis("MutationType").to_csv(Path(folder, "signatures.txt"), sep="\t")
        _run(folder, context == "SBS96", background, n_processes)
        found = pd.read_csv(Path(folder, _ACTIVITIES), sep="\t", index_col=0)
    full = found.reindex(index=names, columns=profiles.index, fill_value=0)
    return full.set_axis(counts.index).set_axis(profiles.index, axis=1).astype("int64")


def _run(folder: str, is_sbs96: bool, background: bool, n_processes: int) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, folder]
    done = subprocess.run(
        [*command, str(is_sbs96), str(background), str(n_processes)],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not Path(folder, _ACTIVITIES).is_file():
        said = (done.stderr.strip() or done.stdout.strip())[-600:]
        raise RuntimeError(
            f"SigProfilerAssignment must write its activities, but it ended with {done.returncode} and said: "
            f"{said}. Check counts and signatures."
        )


def _context_of(counts: pd.DataFrame) -> str:
    for context, channels in CHANNELS.items():
        if set(channels) == set(counts.columns):
            return context
    raise ValueError(
        f"counts must have the channels of one of {', '.join(CHANNELS)}, but their {counts.shape[1]} columns "
        "are of none of these. Read the table with latentgenomes.mutations.catalogues.read_catalog."
    )
