"""From calls to a catalogue: how often each sample has each channel of SBS96, ID83 and DBS78.

The conventions are those of SigProfilerMatrixGenerator: a doublet is counted in DBS78, and its two
substitutions in SBS96. With these exceptions: alleles are cut to what differs, and indels are moved to the
left before they are named, so that a channel does not depend on how a caller wrote it. An insertion of a MAF
stands behind its Start_Position, as the format says. All chromosomes of the genome count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from latentgenomes.core.checks import list_names
from latentgenomes.core.provenance import replacing
from latentgenomes.mutations.callfiles import Calls, find_calls, read_calls
from latentgenomes.mutations.calls import LeftOut, leave_out
from latentgenomes.mutations.channels import BASES, channels_of
from latentgenomes.mutations.classify import Ints, dbs_table, doublets, place_indel, sbs_table
from latentgenomes.mutations.genome import (
    UNKNOWN,
    bases_at,
    chromosome_names,
    common_name,
    read_chromosomes,
)

CONTEXTS = ("SBS96", "ID83", "DBS78")
_TOLERATED = 0.01  # share of calls whose reference base may be another one than the genome's
_N_DETAILS = 5  # details in one note


@dataclass(frozen=True)
class MutationCounts:
    """Catalogues that were counted from calls.

    Attributes
    ----------
    tables : dict of str to DataFrame
        By context: mutations, int64, (n_samples, n_channels), channels in catalogue order.
    notes : tuple of str
        What was left out or read in a special way, and how often.
    """

    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]

    def save(self, folder: str | Path) -> Path:
        """Write a table for each context, such as ``SBS96.csv``, and the notes to ``notes.txt``."""
        folder = Path(folder)
        for context, table in self.tables.items():
            with replacing(folder / f"{context}.csv") as path:
                table.to_csv(path, index_label="sample")
        with replacing(folder / "notes.txt") as path:
            path.write_text("".join(f"{note}\n" for note in self.notes), encoding="utf-8")
        return folder


@dataclass
class _Tally:
    """What has been counted, left out and seen so far."""

    counts: dict[str, Ints]  # (n_samples, n_channels) each
    left_out: LeftOut = field(default_factory=dict)
    n_checked: int = 0
    n_wrong: int = 0
    example: str = ""
    n_doublets: int = 0
    n_crowded: int = 0
    n_mitochondrial: int = 0

    def add(self, context: str, sample: Ints, channel: Ints) -> None:
        """Count mutations by sample and channel."""
        shape = self.counts[context].shape
        flat = np.bincount(sample * shape[1] + channel, minlength=shape[0] * shape[1])
        self.counts[context] += flat.reshape(shape)

    def check(self, chromosome: str, wrong: Sequence[tuple[int, str, str]], n_checked: int) -> None:
        """Note calls whose reference is not the genome's: position, and both references."""
        self.n_checked += n_checked
        self.n_wrong += len(wrong)
        if wrong and not self.example:
            position, called, genome = wrong[0]
            self.example = f"{chromosome}:{position} ({called} in the calls, {genome or 'its end'} there)"


def count_mutations(
    paths: str | Path | Iterable[str | Path],
    genome: str | Path,
    *,
    contexts: Sequence[str] = CONTEXTS,
    passed: bool = True,
) -> MutationCounts:
    """Count the mutations of calls by sample and channel.

    Parameters
    ----------
    paths : path or iterable of paths
        Files of calls, or folders of them: VCF or BCF of one or many samples; MAF; or a table with the
        columns chromosome, position, ref, alt and sample. A VCF without samples is one sample with the name
        of the file.
    genome : str or pathlib.Path
        FASTA file of the build that was called on. A prefix ``chr`` may be on either side.
    contexts : sequence of str
        Some of SBS96, ID83 and DBS78.
    passed : bool
        Leave out calls that did not pass their filters.

    Returns
    -------
    MutationCounts
        All samples of the files, also those without a counted call.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file cannot be used; if two files hold one sample; if the reference bases of more than 1% of the
        calls are not those of the genome, or it has none of their chromosomes.
    """
    wrong = [context for context in contexts if context not in CONTEXTS]
    if wrong or not contexts:
        raise ValueError(
            f"contexts must be some of {', '.join(CONTEXTS)}, but they are {list_names(list(contexts))}. "
            "Name one or more of these."
        )
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    read = {
        path: read_calls(path, kind, passed=passed)
        for path, kind in find_calls([Path(file) for file in files]).items()
    }
    samples = _samples(read)
    tally = _Tally({c: np.zeros((len(samples), len(channels_of(c))), dtype=np.int64) for c in CONTEXTS})
    for calls in read.values():
        for reason, details in calls.left_out.items():
            tally.left_out.setdefault(reason, Counter()).update(details)
    table = pd.concat([calls.table for calls in read.values()], ignore_index=True)
    _count(table, samples, Path(genome), tally)
    tables = {
        context: pd.DataFrame(tally.counts[context], pd.Index(samples), list(channels_of(context)))
        for context in contexts
    }
    return MutationCounts(tables, tuple(_notes(tally, samples)))


def _samples(read: Mapping[Path, Calls]) -> list[str]:
    """Samples of all files; each must be in one of them."""
    homes: dict[str, Path] = {}
    for path, calls in read.items():
        for sample in calls.samples:
            if sample in homes:
                raise ValueError(
                    f"A sample must be in one file, but {sample!r} is in {homes[sample]} and in {path}. "
                    "Join the files of a sample (bcftools concat), or rename one (bcftools reheader)."
                )
            homes[sample] = path
    if not homes:
        raise ValueError(
            f"Calls must name samples, but no row stands in {list_names([p.name for p in read])}. "
            "Write the files again."
        )
    return list(homes)


def _count(table: pd.DataFrame, samples: Sequence[str], genome: Path, tally: _Tally) -> None:
    """Count all calls, chromosome by chromosome."""
    raw, spelled = pd.factorize(table["chromosome"])
    common = [common_name(name) for name in spelled]
    names = list(dict.fromkeys(common))
    codes = np.array([names.index(name) for name in common], dtype=np.int64)[raw]
    sample = pd.Index(samples).get_indexer(pd.Index(table["sample"])).astype(np.int64)
    substitutions, indels = _changes(table, codes, sample, tally.left_out)
    found = set()
    for name, sequence in read_chromosomes(genome, set(names)):
        found.add(name)
        first, last = np.searchsorted(substitutions[:, 0], [names.index(name), names.index(name) + 1])
        _count_substitutions(sequence, name, substitutions[first:last, 1:], tally)
        _count_indels(sequence, name, indels.pop(names.index(name), []), tally)
        tally.n_mitochondrial += int((codes == names.index(name)).sum()) if name == "MT" else 0
    if names and not found:
        raise ValueError(
            f"The genome must hold the chromosomes of the calls, but {genome.name} has "
            f"{chromosome_names(genome)}, and the calls are on {list_names(names)}. Name another FASTA."
        )
    for number, name in enumerate(names):
        if name not in found:
            lost = int((substitutions[:, 0] == number).sum()) + len(indels.get(number, []))
            leave_out(tally.left_out, f"{genome.name} has no such chromosome", [name] * lost)
    if tally.n_wrong > _TOLERATED * tally.n_checked:
        raise ValueError(
            f"Calls must be on the build of the genome, but {tally.n_wrong:,} of {tally.n_checked:,} "
            f"({tally.n_wrong / tally.n_checked:.1%}) have another reference than {genome.name}, such as "
            f"{tally.example}. Name the FASTA that was called on."
        )
    if tally.n_wrong:
        reason = f"the reference is not that of {genome.name}, such as {tally.example}"
        leave_out(tally.left_out, reason, [""] * tally.n_wrong)


@dataclass(frozen=True)
class _Indel:
    """A called insertion or deletion: what a file says (0-based), and what is left without shared bases."""

    sample: int
    position: int
    ref: bytes
    start: int
    bases: bytes
    inserted: bool


def _changes(
    table: pd.DataFrame, chromosome: Ints, sample: Ints, left_out: LeftOut
) -> tuple[Ints, dict[int, list[_Indel]]]:
    """Substitutions of one base, and indels by chromosome.

    The substitutions are rows of (chromosome, sample, 0-based position, reference, alternative), sorted by
    chromosome. One of two bases is two.
    """
    pairs, texts = pd.factorize(table["ref"] + ">" + table["alt"])
    trimmed = [_trimmed(*text.split(">")) for text in texts]
    lengths = np.array([(len(ref), len(alt)) for _, ref, alt in trimmed], dtype=np.int64).reshape(-1, 2)[
        pairs
    ]
    offset = np.array([offset for offset, _, _ in trimmed], dtype=np.int64)[pairs]
    start = table["position"].to_numpy() - 1 + offset
    equal, empty = lengths[:, 0] == lengths[:, 1], lengths.min(axis=1) == 0
    rows = []
    for size, base in ((1, 0), (2, 0), (2, 1)):
        one = np.flatnonzero(equal & (lengths[:, 0] == size))
        bases = [
            [BASES.find(allele[base]) if len(allele) > base else -1 for allele in alleles]
            for _, *alleles in trimmed
        ]
        codes = np.array(bases, dtype=np.int64).reshape(-1, 2)[pairs[one]]
        rows.append(np.column_stack([chromosome[one], sample[one], start[one] + base, codes]))
    substitutions = np.concatenate(rows)
    indels: dict[int, list[_Indel]] = {}
    for number in np.flatnonzero(empty):
        _, ref, alt = trimmed[pairs[number]]
        whole = str(table["ref"].iloc[number]).encode()
        position = int(table["position"].iloc[number]) - 1
        indel = _Indel(
            int(sample[number]), position, whole, int(start[number]), (ref or alt).encode(), not ref
        )
        indels.setdefault(int(chromosome[number]), []).append(indel)
    long = equal & (lengths[:, 0] > 2)
    leave_out(left_out, "three or more bases are replaced at once", [""] * int(long.sum()))
    leave_out(left_out, "bases are replaced by another number of bases", [""] * int((~equal & ~empty).sum()))
    return substitutions[np.argsort(substitutions[:, 0], kind="stable")], indels


def _trimmed(ref: str, alt: str) -> tuple[int, str, str]:
    """Alleles without the bases that they share at their ends, and how many are cut off in front."""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    front = 0
    while front < min(len(ref), len(alt)) and ref[front] == alt[front]:
        front += 1
    return front, ref[front:], alt[front:]


def _count_substitutions(sequence: bytes, name: str, rows: Ints, tally: _Tally) -> None:
    """Count substitutions of one chromosome, rows of (sample, position, reference, alternative)."""
    there, ref = bases_at(sequence, rows[:, 1]), rows[:, 2]
    outside = (rows[:, 1] < 0) | (rows[:, 1] >= len(sequence))
    wrong = outside | ((there != UNKNOWN) & (there != ref))
    called = [
        (int(position) + 1, BASES[base], "" if out else BASES[code])
        for position, base, out, code in zip(
            rows[wrong, 1], ref[wrong], outside[wrong], there[wrong] % UNKNOWN, strict=True
        )
    ]
    tally.check(name, called, len(rows))
    hidden = ~outside & (there == UNKNOWN)
    leave_out(tally.left_out, "the genome does not know the bases there (N)", [""] * int(hidden.sum()))
    rows = rows[~wrong & ~hidden]
    rows = rows[np.lexsort((rows[:, 3], rows[:, 1], rows[:, 0]))]
    again = np.concatenate([[False], (np.diff(rows, axis=0) == 0).all(axis=1)])[: len(rows)]
    leave_out(tally.left_out, "the same call stands there again", [""] * int(again.sum()))
    rows = rows[~again]
    sample, position, ref, alt = rows.T
    first, crowded = doublets(sample, position)
    one = np.flatnonzero(first)
    two = one + 1
    tally.add("DBS78", sample[one], dbs_table()[ref[one], ref[two], alt[one], alt[two]])
    tally.n_doublets += len(one)
    tally.n_crowded += crowded
    five, three = (bases_at(sequence, position + step) for step in (-1, 1))
    known = (five != UNKNOWN) & (three != UNKNOWN)
    beside = "the genome has no known base beside it (N, or the end of a chromosome)"
    leave_out(tally.left_out, beside, [""] * int((~known).sum()))
    channel = sbs_table()[five[known], ref[known], alt[known], three[known]]
    tally.add("SBS96", sample[known], channel)


def _count_indels(sequence: bytes, name: str, indels: Iterable[_Indel], tally: _Tally) -> None:
    """Count insertions and deletions of one chromosome."""
    wrong, seen, numbers, n_checked = [], set(), [], 0
    for indel in indels:
        genome = sequence[max(indel.position, 0) : max(indel.position, 0) + len(indel.ref)]
        n_checked += 1
        pairs = zip(indel.ref, genome, strict=False)
        inside = 0 <= indel.position <= len(sequence) - len(indel.ref)
        if not inside or any(a != b and b != ord("N") for a, b in pairs):
            wrong.append((indel.position + 1, indel.ref.decode(), genome.decode() if inside else ""))
            continue
        if indel.ref != genome:
            leave_out(tally.left_out, "the genome does not know the bases there (N)", [""])
            continue
        placed = place_indel(sequence, indel.start, indel.bases, inserted=indel.inserted)
        key = (indel.sample, placed.start, placed.bases, indel.inserted)
        if key in seen:
            leave_out(tally.left_out, "the same call stands there again", [""])
            continue
        seen.add(key)
        numbers.append((indel.sample, placed.channel))
    tally.check(name, wrong, n_checked)
    sample, channel = np.array(numbers, dtype=np.int64).reshape(-1, 2).T
    tally.add("ID83", sample, channel)


def _notes(tally: _Tally, samples: Sequence[str]) -> Iterable[str]:
    if tally.n_doublets:
        yield f"{_pairs(tally.n_doublets)} counted in DBS78, and as two substitutions in SBS96."
    if tally.n_crowded:
        yield (
            f"{_pairs(tally.n_crowded)} no doublet: a third substitution of the sample "
            "is at most 5 bases away."
        )
    if tally.n_mitochondrial:
        yield f"{_calls(tally.n_mitochondrial)} on the mitochondrial genome, not left out."
    for reason, details in sorted(tally.left_out.items(), key=lambda item: -item[1].total()):
        named = [f"{detail} {n:,}" for detail, n in details.most_common(_N_DETAILS) if detail]
        named += [f"{len(details) - _N_DETAILS} more"] if len(details) > _N_DETAILS else []
        listed = f" ({', '.join(named)})" if named else ""
        yield f"{_calls(details.total())} left out: {reason}{listed}."
    total = sum(counts.sum(axis=1) for counts in tally.counts.values())
    empty = [sample for sample, n in zip(samples, total, strict=True) if n == 0]
    if empty:
        yield f"{len(empty):,} of {len(samples):,} samples have no counted call: {list_names(empty)}."


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"


def _pairs(number: int) -> str:
    pairs = "1 pair of adjacent substitutions is" if number == 1 else ""
    return pairs or f"{number:,} pairs of adjacent substitutions are"
