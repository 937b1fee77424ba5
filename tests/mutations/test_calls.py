"""Files of calls: every format, filters, genotypes, and files that cannot be used."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from latentgenomes.mutations import calls as calls_module
from latentgenomes.mutations import vcf as vcf_module
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.count import CONTEXTS, count_mutations


def test_every_format_gives_the_same_catalogue(tmp_path, make, monkeypatch):
    rng = np.random.default_rng(5)
    genome = make.genome(rng, names=("1", "X"))
    calls = make.calls(rng, genome, n=120, samples=("b", "a", "c")).drop_duplicates(
        ["chromosome", "position", "sample"]
    )
    fasta = make.fasta(tmp_path / "g.fa", genome)
    vcf = make.vcf(tmp_path / "all.vcf", calls)
    (tmp_path / "packed.vcf.gz").write_bytes(gzip.compress(vcf.read_bytes()))
    calls.to_csv(tmp_path / "calls.csv", index=False)
    names = {"chromosome": "CHROM", "position": "Pos", "ref": "REF", "alt": "ALT", "sample": "Sample"}
    calls[["sample", "alt", "ref", "position", "chromosome"]].rename(columns=names).to_csv(
        tmp_path / "calls.tsv", sep="\t", index=False
    )
    files = [
        vcf,
        tmp_path / "packed.vcf.gz",
        make.bcf(tmp_path / "all.bcf", vcf),
        make.maf(tmp_path / "all.maf", calls, header="#version 2.4\n"),
        tmp_path / "calls.csv",
        tmp_path / "calls.tsv",
    ]
    folder = tmp_path / "apart"
    folder.mkdir()
    bare = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"])
    for sample, mine in calls.groupby("sample"):
        lines = [
            f"chr{c.chromosome}\t{c.position}\t.\t{c.ref.lower()}\t{c.alt}\t.\t.\t."
            for c in mine.itertuples()
        ]
        (folder / f"{sample}.vcf").write_text("\r\n".join([bare, *lines, ""]))
    (folder / ".hidden").write_text("x")
    (folder / "a.vcf.gz.tbi").write_text("x")
    results = [count_mutations(file, fasta) for file in [*files, folder]]
    monkeypatch.setattr(calls_module, "_CHUNK", 7)
    monkeypatch.setattr(vcf_module, "_BATCH", 5)
    results += [count_mutations(file, fasta) for file in files]  # some rows at a time
    for result in results[1:]:
        for context in CONTEXTS:
            table = result.tables[context].loc[results[0].tables[context].index]
            pd.testing.assert_frame_equal(table, results[0].tables[context])
    assert results[0].tables["SBS96"].to_numpy().sum() > 20


def test_the_first_allele_of_a_maf_can_be_a_change(tiny):
    path = tiny.folder / "a.maf"
    names = "Chromosome\tStart_position\tReference_Allele\tTumor_Seq_Allele1\tTumor_Seq_Allele2\t"
    rows = ["1\t4\tC\tC\tT", "1\t7\tC\tA\tA", "1\t5\tG\tA\tT", "1\t11\tT\tC\tT", "1\t14\tT\t.\tC"]
    path.write_text(names + "Tumor_Sample_Barcode\n" + "".join(f"{row}\ts\n" for row in rows))
    found = count_mutations(path, tiny.folder / "tiny.fa")
    assert found.tables["SBS96"].to_numpy().sum() == 6
    assert not [note for note in found.notes if "left out" in note]


def test_filters(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    head = make.header + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    rows = [(2, "PASS"), (6, "."), (10, "weak"), (3, "weak;other"), (7, "weak")]
    body = "".join(f"1\t{p}\t.\t{'ACGT'[(p - 1) % 4]}\tA\t.\t{f}\t.\n" for p, f in rows)
    (tmp_path / "s.vcf").write_text(head + body)
    found = count_mutations(tmp_path / "s.vcf", fasta)
    assert found.tables["SBS96"].to_numpy().sum() == 2
    assert found.notes == ("3 calls left out: the FILTER is not PASS (weak 2, weak;other 1).",)
    every = count_mutations(tmp_path / "s.vcf", fasta, passed=False)
    assert every.tables["SBS96"].to_numpy().sum() == 5
    many = "".join(f"1\t2\t.\tC\tA\t.\tf{i}\t.\n" for i in range(8))
    (tmp_path / "s.vcf").write_text(head + many)
    found = count_mutations(tmp_path / "s.vcf", fasta)
    assert found.notes[0].endswith("(f0 1, f1 1, f2 1, f3 1, f4 1, 3 more).")
    assert found.notes[1] == "1 of 1 samples have no counted call: 's'."
    maf = "Chromosome\tStart_Position\tReference_Allele\tTumor_Seq_Allele2\tTumor_Sample_Barcode\tFILTER\n"
    (tmp_path / "s.maf").write_text(maf + "1\t2\tC\tA\ts\tPASS\n1\t6\tC\tA\tt\twga\n")
    found = count_mutations(tmp_path / "s.maf", fasta)
    assert found.tables["SBS96"].sum(axis=1).to_dict() == {"s": 1, "t": 0}


def vcf_of(tmp_path, samples, *records):
    names = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    lines = ["\t".join(names), *("\t".join(record) for record in records)]
    (tmp_path / "s.vcf").write_text("\n".join(["##fileformat=VCFv4.2", *lines, ""]))
    return tmp_path / "s.vcf"


def test_genotypes_split_alleles_over_samples(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    samples = ["<b>T</b>", "../N", "=1+1"]

    def record(position, alt, *genotypes):
        return ("1", position, ".", "C", alt, ".", "PASS", ".", "GT:DP", *genotypes)

    path = vcf_of(
        tmp_path,
        samples,
        record("2", "A,G", "0/1:3", "0|2", "1/2:9"),
        record("6", "T", ".", "1", "./1:."),
        record("10", "T", "./.", "0/0", "0"),
    )
    found = count_mutations(path, fasta)
    assert make.held(found.tables["SBS96"]) == {
        ("<b>T</b>", "A[C>A]G"): 1,
        ("../N", "A[C>G]G"): 1,
        ("=1+1", "A[C>A]G"): 1,
        ("=1+1", "A[C>G]G"): 1,
        ("../N", "A[C>T]G"): 1,
        ("=1+1", "A[C>T]G"): 1,
    }
    assert found.notes == ("1 call left out: no genotype holds the ALT.",)
    found.save(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "DBS78.csv",
        "ID83.csv",
        "SBS96.csv",
        "notes.txt",
    ]
    for context in CONTEXTS:
        again = read_catalog(tmp_path / "out" / f"{context}.csv", context=context, on_empty="keep")
        pd.testing.assert_frame_equal(again, found.tables[context])
    assert (tmp_path / "out" / "notes.txt").read_text() == found.notes[0] + "\n"


def test_one_sample_needs_no_genotype(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    rest = (".", "PASS", ".", "DP")
    path = vcf_of(
        tmp_path, ["T"], ("1", "2", ".", "C", "A,G", *rest, "3"), ("1", "6", ".", "C", "A", *rest, "3")
    )
    assert make.held(count_mutations(path, fasta).tables["SBS96"]) == {
        ("T", "A[C>A]G"): 2,
        ("T", "A[C>G]G"): 1,
    }
    path = vcf_of(tmp_path, ["T", "N"], ("1", "2", ".", "C", "A,G", *rest, "3", "4"))
    with pytest.raises(
        ValueError, match=r"must give genotypes \(GT\), but 1 records of s\.vcf .* at 1:2\. Keep one"
    ):
        count_mutations(path, fasta)


@pytest.mark.parametrize("genotype", ["0/2", "0/x", "A"])
def test_genotypes_that_number_no_allele(tmp_path, make, genotype):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    path = vcf_of(tmp_path, ["T"], ("1", "2", ".", "C", "A", ".", "PASS", ".", "GT", genotype))
    with pytest.raises(
        ValueError, match=rf"must number alleles .* but 1 of s\.vcf do not; the first is '{genotype}'"
    ):
        count_mutations(path, fasta)


def test_a_vcf_without_records_is_a_sample_without_mutations(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    found = count_mutations(vcf_of(tmp_path, ["T"]), fasta)
    assert found.tables["SBS96"].shape == (1, 96)
    assert found.notes == ("1 of 1 samples have no counted call: 'T'.",)


def test_a_sample_in_two_files(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("chromosome,position,ref,alt,sample\n1,2,C,A,P1\n")
    with pytest.raises(ValueError, match=r"'P1' is in .*one\.csv and in .*two\.csv\. Join the files"):
        count_mutations([tmp_path / "one.csv", tmp_path / "two.csv"], fasta)


def test_folders_and_unknown_files(tmp_path, make):
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    folder = tmp_path / "calls"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"must hold files, but .*calls holds none"):
        count_mutations(folder, fasta)
    (folder / "a.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t2\t.\tC\tA\t.\t.\t.\n")
    (folder / "notes.txt").write_text("read me\n")
    with pytest.raises(ValueError, match=r"but 1 of 2 at .*calls are not: 'notes\.txt'\. Convert or remove"):
        count_mutations(folder, fasta)
    (folder / "notes.txt").write_text("Chrom;Pos;Ref;Alt;Sample\n1;6;C;T;b\n")
    with pytest.raises(ValueError, match=r"holds VCF and table; VCF: 'a\.vcf'\. Name the files one by one"):
        count_mutations(folder, fasta)
    found = count_mutations([folder / "a.vcf", str(folder / "notes.txt")], fasta)
    assert make.held(found.tables["SBS96"]) == {("a", "A[C>A]G"): 1, ("b", "A[C>T]G"): 1}
    with pytest.raises(FileNotFoundError, match=r"files or folders, but .*absent\.vcf is none"):
        count_mutations(tmp_path / "absent.vcf", fasta)
    (tmp_path / "empty.vcf").touch()
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b\0\0")
    for name in ("empty.vcf", "bad.gz", "g.fa"):
        with pytest.raises(ValueError, match=rf"but 1 of 1 at .* are not: '{re.escape(name)}'"):
            count_mutations(tmp_path / name, fasta)
    with pytest.raises(ValueError, match=r"some of SBS96, ID83, DBS78, but they are 'SBS288'"):
        count_mutations(folder / "a.vcf", fasta, contexts=["SBS288"])
    assert list(count_mutations(folder / "a.vcf", fasta, contexts=["DBS78"]).tables) == ["DBS78"]


def test_files_that_are_cut_off(tmp_path, make):
    rng = np.random.default_rng(8)
    genome = make.genome(rng, n=3000)
    fasta = make.fasta(tmp_path / "g.fa", genome)
    vcf = make.vcf(tmp_path / "s.vcf", make.calls(rng, genome, n=2000))
    whole = vcf.read_bytes()
    cut = {"cut.vcf.gz": gzip.compress(whole)[:-500], "cut.vcf": whole[:-18]}
    bcf = make.bcf(tmp_path / "s.bcf", vcf).read_bytes()
    cut |= {"cut.bcf": bcf[:-60], "end.bcf": bcf[:-28]}
    for name, content in cut.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"must be whole, but {name} is cut off or damaged\. Copy or"):
            count_mutations(tmp_path / name, fasta)


BAD_FILES = {
    "header.vcf": (
        "##fileformat=VCFv4.2\n1\t2\t.\tC\tA\t.\t.\t.\n",
        r"must have the line '#CHROM POS .* '1 2 \. C",
    ),
    "spaces.vcf": ("##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n", r"with tabs between"),
    "twice.vcf": (
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\ta\n",
        r"name every sample once, but twice\.vcf repeats 'a'",
    ),
    "position.csv": (
        "chromosome,position,ref,alt,sample\n1,2,C,A,s\n1,2.5,C,A,s\n",
        r"must be a whole number, but 1 of position\.csv are not; the first is '2\.5'",
    ),
    "nameless.csv": (
        "chromosome,position,ref,alt,sample\n1,2,C,A,s\n1,6,C,A,\n",
        r"must name its sample, but 1 of nameless\.csv do not; the first is at 1:6",
    ),
    "nobody.csv": (
        "chromosome,position,ref,alt,sample\n",
        r"must name samples, but no row stands in 'nobody\.csv'",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_refused_files(tmp_path, make, name):
    text, message = BAD_FILES[name]
    fasta = make.fasta(tmp_path / "g.fa", {"1": "ACGTACGTACGT"})
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        count_mutations(tmp_path / name, fasta)
