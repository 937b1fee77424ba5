"""Counting: properties, a slow version, SigProfilerMatrixGenerator, channels by hand, what is left out."""

import gc
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentgenomes.mutations import count as counting
from latentgenomes.mutations.channels import CHANNELS, DBS78, ID83, reverse_complement
from latentgenomes.mutations.classify import place_indel
from latentgenomes.mutations.count import CONTEXTS, count_mutations

# The slow, obvious version: strings and sets, one call after the other.


def sbs_label(sequence, at, alt):
    triplet = sequence[at - 1 : at + 2]
    if triplet[1] in "AG":
        triplet, alt = reverse_complement(triplet), reverse_complement(alt)
    return f"{triplet[0]}[{triplet[1]}>{alt}]{triplet[2]}"


def dbs_label(ref, alt):
    other = f"{reverse_complement(ref)}>{reverse_complement(alt)}"
    return f"{ref}>{alt}" if f"{ref}>{alt}" in DBS78 else other


def placements(sequence, start, bases, inserted):
    """Every (start, bases) that leads to the same sequence."""

    def changed(at, what):
        return (
            sequence[:at] + what + sequence[at:] if inserted else sequence[:at] + sequence[at + len(what) :]
        )

    goal, size = changed(start, bases), len(bases)
    for at in range(len(sequence) + 1 - (0 if inserted else size)):
        what = goal[at : at + size] if inserted else sequence[at : at + size]
        if changed(at, what) == goal:
            yield at, what


def id_label(sequence, start, bases, inserted):
    start, bases = min(placements(sequence, start, bases, inserted))
    size, kind = len(bases), "Ins" if inserted else "Del"
    behind = sequence[start if inserted else start + size :]
    copies = len(re.match(f"({bases})*", behind)[0]) // size
    if size == 1:
        return f"1:{kind}:{'C' if bases in 'CG' else 'T'}:{min(copies, 5)}"
    homology = max(n for n in range(size + 1) if behind[:n] == bases[:n])
    if not inserted and not copies and homology:
        return f"{min(size, 5)}:Del:M:{min(homology, 5)}"
    return f"{min(size, 5)}:{kind}:R:{min(copies, 5)}"


def slow_counts(calls, genome):
    counts = {context: Counter() for context in CONTEXTS}
    for sample in set(calls["sample"]):
        for chromosome, sequence in genome.items():
            mine = calls[(calls["sample"] == sample) & (calls["chromosome"] == chromosome)]
            substitutions, indels = {}, set()
            for call in mine.itertuples():
                at = call.position - 1
                if len(call.ref) == len(call.alt):
                    substitutions[at] = call.alt
                else:
                    inserted = len(call.alt) > 1
                    bases = (call.alt if inserted else call.ref)[1:]
                    indels.add((*min(placements(sequence, at + 1, bases, inserted)), inserted))
            for start, bases, inserted in indels:
                counts["ID83"][sample, id_label(sequence, start, bases, inserted)] += 1
            for at, alt in substitutions.items():
                counts["SBS96"][sample, sbs_label(sequence, at, alt)] += 1
                together = cluster(at, substitutions)
                if together == [at, at + 1]:
                    label = dbs_label(sequence[at : at + 2], alt + substitutions[at + 1])
                    counts["DBS78"][sample, label] += 1
    return counts


def cluster(at, substitutions):
    """Substitutions that hang together with one, each at most five bases behind the last."""
    found = {at}
    while more := {p for p in substitutions if p not in found and min(abs(p - q) for q in found) <= 5}:
        found |= more
    return sorted(found)


def number_left_out(notes):
    return sum(
        int(n.replace(",", "")) for note in notes for n in re.findall(r"^([\d,]+) calls? left out", note)
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_slow_version_counts_the_same(tmp_path, make, seed):
    rng = np.random.default_rng(seed)
    genome = make.genome(rng, names=("1", "X"))
    calls = make.calls(rng, genome, n=150).drop_duplicates(["chromosome", "position", "sample"])
    calls.to_csv(tmp_path / "calls.csv", index=False)
    found = count_mutations(tmp_path / "calls.csv", make.fasta(tmp_path / "g.fa", genome))
    slow = slow_counts(calls, genome)
    for context in CONTEXTS:
        assert make.held(found.tables[context]) == dict(slow[context]), context
        assert tuple(found.tables[context].columns) == CHANNELS[context]
        assert (found.tables[context].dtypes == np.int64).all()
    totals = {context: int(table.to_numpy().sum()) for context, table in found.tables.items()}
    counted = totals["SBS96"] + totals["ID83"]
    assert counted + number_left_out(found.notes) == len(calls)
    assert min(totals.values()) > 0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_channel_of_an_indel_does_not_depend_on_its_placement(data):
    unit = data.draw(st.text("ACGT", min_size=1, max_size=6))
    middle = unit * data.draw(st.integers(0, 7)) + unit[: data.draw(st.integers(0, 5))]
    sequence = (
        data.draw(st.text("AC", max_size=4)) + middle + data.draw(st.text("ACGT", min_size=6, max_size=12))
    )
    inserted = data.draw(st.booleans())
    start = data.draw(st.integers(0, len(sequence) - 1))
    size = data.draw(st.integers(1, min(7, len(sequence) - start)))
    bases = data.draw(st.sampled_from([unit, sequence[start : start + size]]))
    if not inserted:
        bases = sequence[start : start + size]
    places = list(placements(sequence, start, bases, inserted))
    assert (start, bases) in places
    found = {place_indel(sequence.encode(), at, what.encode(), inserted=inserted) for at, what in places}
    (indel,) = found
    assert (indel.start, indel.bases.decode()) == min(places)
    assert ID83[indel.channel] == id_label(sequence, start, bases, inserted)


@pytest.mark.parametrize("seed", range(3))
def test_both_strands_give_the_same_catalogue(tmp_path, make, seed):
    rng = np.random.default_rng(seed)
    genome = make.genome(rng)
    calls = make.calls(rng, genome, n=200).drop_duplicates(["position", "sample"])
    n = len(genome["1"])
    turned = []
    for call in calls.itertuples():
        ref, alt, position = call.ref, call.alt, call.position
        if len(ref) != len(alt):  # the anchor of the other strand is the base behind
            ref, alt, position = ref[1:], alt[1:], position + 1
            behind = genome["1"][position - 1 + len(ref)]
            ref, alt = ref + behind, alt + behind
        last = position + len(ref) - 1
        turned.append(
            (call.chromosome, n - last + 1, reverse_complement(ref), reverse_complement(alt), call.sample)
        )
    calls.to_csv(tmp_path / "one.csv", index=False)
    pd.DataFrame(turned, columns=calls.columns).to_csv(tmp_path / "other.csv", index=False)
    one = count_mutations(tmp_path / "one.csv", make.fasta(tmp_path / "one.fa", genome))
    mirrored = {"1": reverse_complement(genome["1"])}
    other = count_mutations(tmp_path / "other.csv", make.fasta(tmp_path / "other.fa", mirrored))
    for context in CONTEXTS:
        pd.testing.assert_frame_equal(one.tables[context], other.tables[context])


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_same_as_sigprofilermatrixgenerator(tmp_path, make):
    generator = pytest.importorskip("SigProfilerMatrixGenerator.scripts.MutationMatrixGenerator")
    rng = np.random.default_rng(11)
    genome = make.genome(rng, n=900)
    calls = make.calls(rng, genome, n=400).drop_duplicates(["position", "sample"])
    indel = calls["ref"].str.len() != calls["alt"].str.len()
    moved = [
        to_the_left(genome["1"], call) if far else tuple(call)[1:]
        for call, far in zip(calls.itertuples(), indel, strict=True)
    ]
    calls = pd.DataFrame(moved, columns=calls.columns).drop_duplicates()
    indel = calls["ref"].str.len() != calls["alt"].str.len()
    calls.to_csv(tmp_path / "calls.csv", index=False)
    ours = count_mutations(tmp_path / "calls.csv", make.fasta(tmp_path / "g.fa", genome)).tables
    theirs = sigprofiler_counts(generator, tmp_path, genome["1"], calls[~indel], calls[indel])
    gc.collect()  # it leaves files open, and this test has to bear the warning
    assert make.held(ours["DBS78"]) == theirs["DBS78"]
    assert make.held(ours["ID83"]) == theirs["ID83"]
    assert make.held(ours["SBS96"]) == theirs["SBS96"]
    assert ours["DBS78"].to_numpy().sum() > 5


def to_the_left(sequence, call):
    inserted = len(call.alt) > 1
    start, bases = min(
        placements(sequence, call.position, (call.alt if inserted else call.ref)[1:], inserted)
    )
    anchor = sequence[start - 1]
    alleles = (anchor, anchor + bases) if inserted else (anchor + bases, anchor)
    return (call.chromosome, start, *alleles, call.sample)


def sigprofiler_counts(generator, folder, sequence, substitutions, indels):
    """What its functions for one chromosome count, on a genome in its own format."""
    (folder / "1.txt").write_bytes(bytes("ACGT".index(base) for base in sequence))
    place = f"{folder}/"

    def lines(calls):
        rows = [[c.sample, c.chromosome, str(c.position), c.ref, c.alt] for c in calls.itertuples()]
        return sorted(rows, key=lambda row: (row[0], int(row[2])))

    snv, dbs = SimpleNamespace(at=Counter()), SimpleNamespace(at=Counter())
    ids = {name: SimpleNamespace(at=Counter()) for name in ("ID", "simple", "tsb", "complete")}
    known = {f"{strand}:{a}[{d}]{b}" for strand in "TUBNQ" for d in DBS78 for a in "ACGT" for b in "ACGT"}
    bases = {code: ["N", base] for code, base in enumerate("ACGT")}
    generator.catalogue_generator_single(
        lines=lines(substitutions),
        chrom="1",
        mutation_dict={"6144": snv},
        mutation_dinuc_pd_all=dbs,
        mutation_types_tsb_context=known,
        vcf_path=place,
        vcf_path_original=place,
        vcf_files=[],
        bed_file_path=None,
        chrom_path=place,
        project="p",
        output_matrix=place,
        context="6144",
        exome=False,
        genome="GRCh37",
        ncbi_chrom={},
        functionFlag=True,
        bed=False,
        bed_ranges=None,
        chrom_based=False,
        plot=False,
        tsb_ref=bases,
        transcript_path=place,
        tsb_stat=False,
        seqInfo=True,
        gs=False,
        log_file=place + "log",
    )
    generator.catalogue_generator_INDEL_single(
        mutation_ID=ids,
        lines=lines(indels),
        chrom="1",
        vcf_path=place,
        vcf_path_original=place,
        vcf_files=[],
        bed_file_path=None,
        chrom_path=place,
        project="p",
        output_matrix=place,
        exome=False,
        genome="GRCh37",
        ncbi_chrom={},
        limited_indel=True,
        functionFlag=True,
        bed=False,
        bed_ranges=None,
        chrom_based=False,
        plot=False,
        tsb_ref=bases,
        transcript_path=place,
        seqInfo=True,
        gs=False,
        log_file=place + "log",
    )
    found = {context: Counter() for context in CONTEXTS}
    for (label, sample), n in snv.at.items():
        found["SBS96"][sample, label[3:-1]] += n
    for (label, sample), n in dbs.at.items():
        found["DBS78"][sample, label[4:9]] += n
    for (label, sample), n in ids["ID"].at.items():
        found["ID83"][sample, label] += n
    return {context: dict(counts) for context, counts in found.items()}


@pytest.mark.parametrize(
    ("call", "channel"),
    [
        # TTACGTCCCATGATGATGTTTACGGAACCNACGTAGCTAGGCTA, counted from 1
        (("1", 4, "C", "T"), "A[C>T]G"),
        (("1", 5, "G", "T"), "A[C>A]G"),  # CGT is ACG on the other strand
        (("1", 3, "AC", "AT"), "A[C>T]G"),  # only one base differs
        (("1", 6, "TC", "T"), "1:Del:C:2"),
        (("1", 8, "CC", "C"), "1:Del:C:2"),  # the same in another place
        (("1", 6, "T", "TC"), "1:Ins:C:3"),
        (("1", 4, "C", "CA"), "1:Ins:T:0"),
        (("1", 9, "CATG", "C"), "3:Del:R:2"),
        (("1", 12, "G", "GATG"), "3:Ins:R:3"),
        (("1", 24, "GGAAC", "G"), "4:Del:R:0"),
        (("1", 18, "GTT", "G"), "2:Del:M:1"),
        (("1", 22, "ACG", "A"), "2:Del:R:0"),
        (("1", 22, "ACGG", "ACG"), "1:Del:C:1"),  # the bases that are shared are cut off
    ],
)
def test_channels_by_hand(make, tiny, call, channel):
    found = tiny(call)
    assert [label for table in found.tables.values() for _, label in make.held(table)] == [channel]
    assert not [note for note in found.notes if "left out" in note]


def test_a_doublet_and_its_substitutions(make, tiny):
    found = tiny(("1", 3, "AC", "GT")).tables
    assert make.held(found["DBS78"]) == {("s", "AC>GT"): 1}
    # In TTACGT: the A on the other strand, and the C.
    assert make.held(found["SBS96"]) == {("s", "G[T>C]A"): 1, ("s", "A[C>T]G"): 1}


def test_which_adjacent_substitutions_are_doublets(make, tiny):
    changes = dict(zip("ACGT", "CATG", strict=True))
    calls = [
        ("1", p, tiny.sequence[p - 1], changes[tiny.sequence[p - 1]])
        for p in (2, 3, 10, 11, 16, 17, 18, 23, 24)
    ]
    found = tiny(*calls)
    # 10+11 are 5 bases from 16, 23+24 are 5 from 18: one long cluster.
    assert make.held(found.tables["DBS78"]) == {("s", dbs_label("TA", "GC")): 1}
    assert found.tables["SBS96"].to_numpy().sum() == 9
    assert found.notes == (
        "1 pair of adjacent substitutions is counted in DBS78, and as two substitutions in SBS96.",
        "4 pairs of adjacent substitutions are no doublet: a third substitution of the sample is at most 5 "
        "bases away.",
    )
    two = [(*call, sample) for call, sample in zip(calls[:2], "ab", strict=True)]
    assert not tiny(*two).tables["DBS78"].to_numpy().any()  # of two samples


@pytest.mark.parametrize(
    ("call", "note"),
    [
        (("1", 4, "C", "<DEL>"), r"1 call left out: the allele is symbolic \(<DEL> 1\)\."),
        (("1", 4, "C", "*"), r"the allele is symbolic \(\* 1\)"),
        (("1", 4, "C", "C[2:321682["), r"the allele is symbolic \(breakend 1\)"),
        (("1", 4, "C", "."), r"an allele is missing\."),
        (("1", 4, "C", "R"), r"an allele has other letters than A, C, G, T \(R 1\)"),
        (("1", 4, "C", "C"), r"REF and ALT are equal"),
        (("1", 4, "CGT", "TAC"), r"three or more bases are replaced at once"),
        (("1", 4, "CG", "TAC"), r"replaced by another number of bases"),
        (("1", 1, "T", "C"), r"no known base beside it \(N, or the end of a chromosome\)"),
        (("1", 44, "A", "C"), r"no known base beside it"),
        (("1", 29, "C", "T"), r"no known base beside it"),
        (("1", 30, "A", "T"), r"the genome does not know the bases there \(N\)"),
        (("1", 29, "CG", "C"), r"the genome does not know the bases there \(N\)"),
        (("GL000191.1", 4, "C", "T"), r"tiny\.fa has no such chromosome \(GL000191\.1 1\)"),
        (("1", 5, "G", "T"), r"the same call stands there again"),
    ],
)
def test_what_cannot_be_counted_is_said(make, tiny, call, note):
    found = tiny(("1", 5, "G", "T"), call)
    assert re.search(note, found.notes[-1]), found.notes
    assert make.held(found.tables["SBS96"]) == {("s", "A[C>A]G"): 1}
    assert not found.tables["ID83"].to_numpy().any()


def test_the_same_indel_in_two_places_is_one(make, tiny):
    found = tiny(("1", 6, "TC", "T"), ("1", 8, "CC", "C"), ("1", 8, "CC", "C", "other"))
    assert make.held(found.tables["ID83"]) == {("s", "1:Del:C:2"): 1, ("other", "1:Del:C:2"): 1}
    assert found.notes == ("1 call left out: the same call stands there again.",)


def test_ends_of_a_chromosome(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "AACGTT"})
    rows = [("1", 1, "AA", "A"), ("1", 5, "TT", "T"), ("1", 1, "-", "A"), ("1", 6, "-", "G")]
    frame = pd.DataFrame(rows, columns=["chromosome", "position", "ref", "alt"]).assign(
        sample=["a", "b", "c", "d"]
    )
    frame.to_csv(tmp_path / "c.csv", index=False)
    found = count_mutations(tmp_path / "c.csv", fasta)
    assert make.held(found.tables["ID83"]) == {
        ("a", "1:Del:T:1"): 1,
        ("b", "1:Del:T:1"): 1,
        ("c", "1:Ins:T:2"): 1,
        ("d", "1:Ins:C:0"): 1,
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 14), st.text("ACGTN.-*<", max_size=3), st.text("ACGT-", max_size=3)),
        min_size=1,
    )
)
def test_nothing_is_lost_in_silence(tmp_path, make, monkeypatch, rows):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTTACGGCATN"})
    frame = pd.DataFrame([("1", p, ref, alt, "s") for p, alt, ref in rows])
    text = "chromosome,position,ref,alt,sample\n" + frame.to_csv(index=False, header=False)
    (tmp_path / "c.csv").write_text(text)
    monkeypatch.setattr(counting, "_TOLERATED", 1.0)
    found = count_mutations(tmp_path / "c.csv", fasta)
    totals = {context: int(table.to_numpy().sum()) for context, table in found.tables.items()}
    pairs = sum(is_two_changes(ref, alt) for _, alt, ref in rows)
    counted = totals["SBS96"] + totals["ID83"] + number_left_out(found.notes)
    assert len(rows) <= counted <= len(rows) + pairs


def is_two_changes(ref, alt):
    """Whether a call replaces two neighbours, so that it is two calls of one base."""
    differ = [a != b for a, b in zip(ref, alt, strict=False)]
    first, last = (differ + [True]).index(True), len(differ) - 1 - (differ[::-1] + [True]).index(True)
    return len(ref) == len(alt) and set(ref + alt) <= set("ACGT") and last - first == 1
