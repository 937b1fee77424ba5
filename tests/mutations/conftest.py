"""Small genomes, calls on them, and files of calls, for the tests of what is counted."""

import gzip
from types import SimpleNamespace

import cyvcf2
import pandas as pd
import pytest

from latentgenomes.mutations.count import count_mutations

GENOTYPE_HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="passed">
##FILTER=<ID=weak,Description="weak">
##contig=<ID=1,length=5000>
##contig=<ID=X,length=5000>
##contig=<ID=MT,length=5000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
"""


def random_genome(rng, n=400, names=("1",)):
    """Chromosomes in which homopolymers and short repeats are frequent."""
    genome = {}
    for name in names:
        parts = []
        while sum(map(len, parts)) < n:
            unit = "".join(rng.choice(list("ACGT"), size=rng.integers(1, 6)))
            parts.append(unit * int(rng.integers(1, 7)) + "".join(rng.choice(list("ACGT"), size=4)))
        genome[name] = "".join(parts)[:n]
    return genome


def random_calls(rng, genome, *, n=60, samples=("a", "b")):
    """Calls with an anchor base, as a VCF has them, wherever in a repeat they happen to stand."""
    rows = []
    for _ in range(n):
        chromosome = str(rng.choice(list(genome)))
        sequence = genome[chromosome]
        at = int(rng.integers(30, len(sequence) - 40))
        kind, size = rng.choice(["SBS", "SBS", "run", "Del", "Ins"]), int(rng.choice([1, 1, 2, 3, 4, 5, 7]))
        sample = str(rng.choice(samples))
        if kind == "Del":
            rows.append((chromosome, at + 1, sequence[at : at + size + 1], sequence[at], sample))
        elif kind == "Ins":
            more = sequence[at + 1 : at + 1 + size]
            more = more if rng.random() < 0.6 else "".join(rng.choice(list("ACGT"), size=size))
            rows.append((chromosome, at + 1, sequence[at], sequence[at] + more, sample))
        else:
            for step in range(1 if kind == "SBS" else int(rng.integers(2, 4))):
                ref = sequence[at + step]
                alt = str(rng.choice([base for base in "ACGT" if base != ref]))
                rows.append((chromosome, at + step + 1, ref, alt, sample))
    return pd.DataFrame(rows, columns=["chromosome", "position", "ref", "alt", "sample"])


def write_fasta(path, genome, *, prefix="", width=60):
    lines = []
    for name, sequence in genome.items():
        lines.append(f">{prefix}{name} a description > with a mark")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_vcf(path, calls, *, header=GENOTYPE_HEADER):
    """One VCF with a column a sample; a call that several samples share is one record."""
    samples = list(dict.fromkeys(calls["sample"]))
    records = calls.groupby(["chromosome", "position", "ref", "alt"], sort=False)["sample"].agg(set)
    lines = ["\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples])]
    for (chromosome, position, ref, alt), holders in records.items():
        genotypes = ["0/1" if sample in holders else "0/0" for sample in samples]
        lines.append(
            "\t".join([chromosome, str(position), ".", ref, alt, ".", "PASS", ".", "GT", *genotypes])
        )
    path.write_text(header + "\n".join(lines) + "\n")
    return path


def write_bcf(path, vcf):
    reader = cyvcf2.VCF(str(vcf))
    writer = cyvcf2.Writer(str(path), reader, mode="wb")
    for record in reader:
        writer.write_record(record)
    writer.close()
    return path


def write_maf(path, calls, *, header=""):
    """Without anchors: ``-`` for no base, and an insertion named by the base in front of it."""
    rows = []
    for call in calls.itertuples():
        ref, alt, position = call.ref, call.alt, call.position
        if len(ref) != len(alt):
            ref, alt = ref[1:] or "-", alt[1:] or "-"
            position += ref != "-"
        rows.append(("GENE", call.chromosome, position, position, ref, ref, alt, call.sample))
    names = ["Hugo_Symbol", "Chromosome", "Start_Position", "End_Position", "Reference_Allele"]
    names += ["Tumor_Seq_Allele1", "Tumor_Seq_Allele2", "Tumor_Sample_Barcode"]
    path.write_text(header + pd.DataFrame(rows, columns=names).to_csv(sep="\t", index=False))
    return path


def held(table):
    return {key: int(n) for key, n in table.stack().items() if n}


@pytest.fixture(scope="session")
def make():
    """Genomes, calls, and files of them; and the counts of a table that are not 0."""
    return SimpleNamespace(
        genome=random_genome,
        calls=random_calls,
        fasta=write_fasta,
        vcf=write_vcf,
        bcf=write_bcf,
        maf=write_maf,
        held=held,
        header=GENOTYPE_HEADER,
    )


@pytest.fixture
def tiny(tmp_path):
    """A genome by hand, and a function that counts calls of one sample on it."""
    sequence = "TTACGTCCCATGATGATGTTTACGGAACCNACGTAGCTAGGCTA"
    write_fasta(tmp_path / "tiny.fa", {"1": sequence})

    def count(*calls, **options):
        rows = [(*call, "s")[:5] if len(call) == 4 else call for call in calls]
        frame = pd.DataFrame(rows, columns=["chromosome", "position", "ref", "alt", "sample"])
        frame.to_csv(tmp_path / "calls.csv", index=False)
        return count_mutations(tmp_path / "calls.csv", tmp_path / "tiny.fa", **options)

    count.sequence, count.folder = sequence, tmp_path
    return count
