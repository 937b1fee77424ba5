"""Genomes: names, forms, and those that cannot be used."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from latentgenomes.mutations import genome as sequences
from latentgenomes.mutations.count import CONTEXTS, count_mutations


@pytest.mark.parametrize("prefix", ["", "chr"])
@pytest.mark.parametrize("called", ["", "chr", "CHR"])
def test_names_of_chromosomes_are_reconciled(tmp_path, make, prefix, called):
    genome = {"1": "ACGTACGTAC", "X": "ACGTACGTAC", "M" if prefix else "MT": "TTTCGTACGT"}
    fasta = make.fasta(tmp_path / "g.fa", genome, prefix=prefix)
    rows = [
        (f"{called}1", 6, "C", "T"),
        (f"{called}x", 6, "C", "A"),
        (f"{called}M", 4, "C", "G"),
        ("MT", 8, "C", "T"),
    ]
    frame = pd.DataFrame(rows, columns=["chromosome", "position", "ref", "alt"]).assign(sample="s")
    frame.to_csv(tmp_path / "c.csv", index=False)
    found = count_mutations(tmp_path / "c.csv", fasta)
    assert set(make.held(found.tables["SBS96"])) == {("s", x) for x in ("A[C>T]G", "A[C>A]G", "T[C>G]G")}
    assert found.tables["SBS96"].to_numpy().sum() == 4
    assert found.notes == ("2 calls on the mitochondrial genome, not left out.",)


@pytest.mark.parametrize("name", ["g.fa.gz", "g.fa", "indexed.fa"])
def test_a_genome_in_any_form(tmp_path, make, name):
    rng = np.random.default_rng(2)
    genome = make.genome(rng, n=3000, names=("1", "2", "X"))
    calls = make.calls(rng, {"X": genome["X"], "1": genome["1"]}, n=100)
    calls.to_csv(tmp_path / "c.csv", index=False)
    plain = count_mutations(tmp_path / "c.csv", make.fasta(tmp_path / "plain.fa", genome))
    lower = {key: value.lower() for key, value in genome.items()}
    fasta = make.fasta(tmp_path / name, lower, width=71)
    if name == "indexed.fa":
        faidx = pytest.importorskip("pyfaidx")
        faidx.Faidx(str(fasta)).close()
        assert (tmp_path / "indexed.fa.fai").is_file()
    found = count_mutations(tmp_path / "c.csv", fasta)
    for context in CONTEXTS:
        pd.testing.assert_frame_equal(found.tables[context], plain.tables[context])


def test_blocks_of_a_genome_may_end_anywhere(tmp_path, make, monkeypatch):
    genome = make.genome(np.random.default_rng(4), n=230, names=("1", "2", "3"))
    fasta = make.fasta(tmp_path / "g.fa", genome, width=17)
    for size in (1, 7, 18, 19, 64):
        monkeypatch.setattr(sequences, "_BLOCK", size)
        assert dict(sequences.read_chromosomes(fasta, {"1", "3"})) == {
            n: genome[n].encode() for n in ("1", "3")
        }


def test_genomes_that_cannot_be_used(make, tiny):
    call = ("1", 4, "C", "T")
    tiny(call)
    calls, fasta = tiny.folder / "calls.csv", tiny.folder / "g.fa"
    with pytest.raises(FileNotFoundError, match=r"must be a FASTA file, but .*g\.fa is none\. Check"):
        count_mutations(calls, fasta)
    fasta.write_text("ACGT\n")
    with pytest.raises(ValueError, match=r"must be FASTA, which begins with '>', but g\.fa does not"):
        count_mutations(calls, fasta)
    make.fasta(fasta, {"1": "ACGT", "chr1": "ACGT"})
    with pytest.raises(ValueError, match=r"every chromosome once, but g\.fa holds 1 as '1' and as 'chr1'"):
        count_mutations(calls, fasta)
    make.fasta(fasta, {"7": "ACGT", "8": "ACGT"})
    with pytest.raises(ValueError, match=r"g\.fa has '7', '8', and the calls are on '1'\. Name another"):
        count_mutations(calls, fasta)
    packed = gzip.compress(b">1\n" + b"ACGTTGCA" * 4000)
    (tiny.folder / "cut.fa.gz").write_bytes(packed[:-20])
    with pytest.raises(ValueError, match=r"A genome must be whole, but cut\.fa\.gz is cut off"):
        count_mutations(calls, tiny.folder / "cut.fa.gz")


def test_another_build_is_noticed(tmp_path, make):
    rng = np.random.default_rng(3)
    genome = make.genome(rng, n=4000)
    sequence = genome["1"]
    at = rng.choice(np.arange(5, 3990), size=1000, replace=False)
    rows = [("1", p + 1, sequence[p], "ACGT"[("ACGT".index(sequence[p]) + 1) % 4], "s") for p in sorted(at)]
    frame = pd.DataFrame(rows, columns=["chromosome", "position", "ref", "alt", "sample"])
    wrong = frame.copy()
    wrong.loc[:10, ["ref", "alt"]] = wrong.loc[:10, ["alt", "ref"]].to_numpy()
    fasta = make.fasta(tmp_path / "hg0.fa", genome)
    wrong.to_csv(tmp_path / "c.csv", index=False)
    first = wrong.iloc[0]
    example = rf"1:{first['position']} \({first['ref']} in the calls, {first['alt']} there\)"
    message = (
        rf"11 of 1,000 \(1\.1%\) have another reference than hg0\.fa, such as {example}\. Name the FASTA"
    )
    with pytest.raises(ValueError, match=message):
        count_mutations(tmp_path / "c.csv", fasta)
    wrong = pd.concat([wrong.iloc[:10], frame.iloc[10:]])
    wrong.to_csv(tmp_path / "c.csv", index=False)
    found = count_mutations(tmp_path / "c.csv", fasta)
    assert re.search(
        rf"^10 calls left out: the reference is not that of hg0\.fa, such as {example}\.$", found.notes[-1]
    )
    counted = found.tables["SBS96"].to_numpy().sum()
    assert counted == 990
    frame.assign(position=frame["position"] + 10_000).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(ValueError, match=r"1,000 of 1,000 \(100\.0%\) .* in the calls, its end there\)"):
        count_mutations(tmp_path / "c.csv", fasta)
    frame.assign(ref=frame["alt"], alt=frame["alt"] + "A").to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(ValueError, match=r"1,000 of 1,000"):
        count_mutations(tmp_path / "c.csv", fasta)
