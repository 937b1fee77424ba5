import gzip

import numpy as np
import pytest

from latentgenomes.genotypes.data.files import read_plink, read_vcf_genotypes, read_vcf_haplotypes

HEADER = """##fileformat=VCFv4.2
##contig=<ID=X,length=1000000>
##contig=<ID=1,length=1000000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""


def write_vcf(path, lines, samples=("A", "B", "C")):
    """Lines of (chromosome, position, REF, ALT, calls)."""
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    rows = [
        [str(chromosome), str(position), ".", ref, alt, ".", ".", ".", "GT", *calls.split()]
        for chromosome, position, ref, alt, calls in lines
    ]
    path.write_text(HEADER + "\n".join("\t".join(row) for row in [columns, *rows]) + "\n")
    return path


@pytest.fixture
def vcf(tmp_path):
    pytest.importorskip("cyvcf2")
    return lambda *lines, **more: write_vcf(tmp_path / "calls.vcf", lines, **more)


def random_haplotypes(n_people=6, n_snps=40, seed=0):
    return np.random.default_rng(seed).integers(-1, 2, (2 * n_people, n_snps)).astype(np.int8)


def test_what_is_written_phased_is_read_back(vcf):
    calls = random_haplotypes()
    words = np.array(["0", "1", "."])[calls]  # -1 is the last
    lines = [
        (
            1,
            10 * snp + 1,
            "A",
            "C",
            " ".join(map("|".join, zip(words[::2, snp], words[1::2, snp], strict=True))),
        )
        for snp in range(calls.shape[1])
    ]
    path = vcf(*lines, samples=[f"P{i}" for i in range(6)])
    phased = read_vcf_haplotypes(path)
    np.testing.assert_array_equal(phased.calls, calls)
    assert list(phased.metadata.index[:3]) == ["P0.1", "P0.2", "P1.1"]
    assert list(phased.metadata["person"][:3]) == ["P0", "P0", "P1"]
    assert list(phased.snps["position"]) == [10 * snp + 1 for snp in range(40)]
    assert phased.snps.index[0] == "1:1:A:C"
    pairs = calls.reshape(6, 2, 40)
    copies = np.where((pairs < 0).any(axis=1), -1, pairs.sum(axis=1))
    np.testing.assert_array_equal(read_vcf_genotypes(str(path)).calls, copies)


@pytest.mark.parametrize(
    ("call", "haplotypes", "genotype"),
    [
        ("0|1", (0, 1), 1),
        ("1|0", (1, 0), 1),
        ("0/0", (0, 0), 0),
        ("1/1", (1, 1), 2),
        ("./.", (-1, -1), -1),
        (".", (-1, -1), -1),
        ("0|.", (0, -1), -1),
        (".|1", (-1, 1), -1),
        ("0", (0, -1), 0),
        ("1", (1, -1), 2),
        ("0/1", None, 1),
        ("0/.", None, -1),
        ("./1", None, -1),
    ],
)
def test_each_kind_of_call(vcf, call, haplotypes, genotype):
    path = vcf(("X", 5, "A", "C", f"{call} 0|1 1|1"), ("X", 6, "A", "C", "0|0 0|1 1|1"))
    assert read_vcf_genotypes(path).calls[0, 0] == genotype
    if haplotypes is None:
        with pytest.raises(ValueError, match=r"phased calls .* but 1 of 3 at X:5 are not; .* of A"):
            read_vcf_haplotypes(path)
    else:
        assert tuple(read_vcf_haplotypes(path).calls[:2, 0]) == haplotypes


def test_haploid_samples_have_one_haplotype(vcf):
    data = read_vcf_haplotypes(
        vcf(("X", 5, "A", "C", "1 0|1 0"), ("X", 6, "G", "T", "0 1|1 ."), ("X", 7, "G", "T", "1 0|0 1|0"))
    )
    assert list(data.metadata.index) == ["A.1", "B.1", "B.2", "C.1", "C.2"]
    np.testing.assert_array_equal(data.calls, [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, -1, 1], [-1, -1, 0]])
    men = read_vcf_haplotypes(vcf(("X", 5, "A", "C", "1 0 ."), ("X", 6, "A", "C", "0 0 1")))
    np.testing.assert_array_equal(men.calls, [[1, 0], [0, 0], [-1, 1]])
    np.testing.assert_array_equal(
        read_vcf_genotypes(vcf(("X", 5, "A", "C", "1 0 ."))).calls, [[2], [0], [-1]]
    )


def test_sites_with_several_alternatives_are_refused_or_dropped(vcf):
    path = vcf(
        (1, 5, "A", "C", "0|1 0|0 1|1"), (1, 6, "A", "C,G", "0|2 0|1 1|1"), (1, 7, "A", "AT", "1|1 0|0 0|0")
    )
    for read in (read_vcf_haplotypes, read_vcf_genotypes):
        with pytest.raises(
            ValueError, match=r"one ALT allele a site, but 1:6 has 2: C,G. Pass drop_multiallelic"
        ):
            read(path)
        kept = read(path, drop_multiallelic=True).snps
        assert list(kept.index) == ["1:5:A:C", "1:7:A:AT"]


def test_a_site_without_alternative_is_all_reference(vcf):
    data = read_vcf_haplotypes(vcf((1, 5, "A", ".", "0|0 0|0 .|."), (1, 6, "A", "G", "0|1 0|0 0|0")))
    assert list(data.snps["allele_1"]) == [".", "G"]
    np.testing.assert_array_equal(data.calls[:, 0], [0, 0, 0, 0, -1, -1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(1, 5, "A", "C", "0/0/1 0/1 0/1")], "one or two alleles a call, but A has 3 at 1:5"),
        (
            [(1, 5, "A", "C", "0|1 0|0 0|0")] * 2,
            "Every SNP must have a name of its own, but 1 names .* '1:5:A:C'",
        ),
        ([], "at least one site to keep, but it holds none"),
    ],
)
def test_files_that_cannot_be_calls_are_refused(vcf, lines, message):
    with pytest.raises(ValueError, match=message):
        read_vcf_genotypes(vcf(*lines))


def test_files_that_are_no_vcf_are_refused(tmp_path, vcf):
    path = vcf((1, 5, "A", "C", "0|1 0|0 1|1"))
    text = path.read_text()
    with pytest.raises(FileNotFoundError, match="there is none at"):
        read_vcf_haplotypes(tmp_path / "absent.vcf")
    path.write_text(text.replace("\tGT\t0|1\t0|0\t1|1", "\tDP\t3\t4\t5"))
    with pytest.raises(ValueError, match="must give GT at every site, but 1:5 has none"):
        read_vcf_haplotypes(path)
    sites = [line.split("\t")[:8] if not line.startswith("##") else [line] for line in text.splitlines()]
    path.write_text("\n".join("\t".join(line) for line in sites) + "\n")
    with pytest.raises(ValueError, match="must hold samples, but it holds sites only"):
        read_vcf_haplotypes(path)
    for junk in ("", "one line\n"):
        path.write_text(junk)
        with pytest.raises(ValueError, match="must be a VCF or BCF file, but it cannot be read"):
            read_vcf_haplotypes(path)


def test_a_line_that_cannot_be_read_is_refused(vcf):
    path = vcf((1, 5, "A", "C", "0|1 0|0 1|1"), (1, 6, "A", "C", "0|1 0|0 1|1"))
    path.write_text(path.read_text().rsplit("\t", 2)[0] + "\n")
    with pytest.raises(ValueError, match="whole VCF or BCF file, but a line cannot be read"):
        read_vcf_haplotypes(path)


@pytest.mark.parametrize(("suffix", "mode"), [("vcf.gz", "wz"), ("bcf", "wb")])
def test_compressed_files_are_read_and_refused_when_cut(tmp_path, vcf, suffix, mode):
    cyvcf2 = pytest.importorskip("cyvcf2")
    plain = vcf(*[("1", snp + 1, "A", "C", "0|1 0|0 1|1") for snp in range(3000)])
    reader = cyvcf2.VCF(str(plain))
    path = tmp_path / f"calls.{suffix}"
    writer = cyvcf2.Writer(str(path), reader, mode)
    for variant in reader:
        writer.write_record(variant)
    writer.close()
    np.testing.assert_array_equal(read_vcf_haplotypes(path).calls, read_vcf_haplotypes(plain).calls)
    whole = path.read_bytes()
    for n_bytes in (len(whole) - 1, len(whole) - 28, len(whole) // 2):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match=r"must end with the empty block .* it is cut off"):
            read_vcf_haplotypes(path)


def test_a_file_of_plain_gzip_is_read(tmp_path, vcf):
    path = vcf((1, 5, "A", "C", "0|1 0|0 1|1"))
    packed = tmp_path / "plain.vcf.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_vcf_haplotypes(packed).calls, read_vcf_haplotypes(path).calls)


FAM = "f1 A 0 0 1 -9\nf2 B 0 0 2 -9\nf3 C 0 0 0 -9\n"
BIM = "1\trs1\t0\t100\tC\tA\nX\trs2\t0\t200\tG\tT\n"


def write_plink(folder, calls, fam=FAM, bim=BIM):
    """A PLINK 1 file set by bits: 00 two copies of A1, 01 missing, 10 one, 11 none; first sample lowest."""
    code = {2: 0, -1: 1, 1: 2, 0: 3}
    columns = [
        sum(code[call] << 2 * (i % 4) for i, call in enumerate(column[start : start + 4]))
        for column in np.asarray(calls).T.tolist()
        for start in range(0, len(column), 4)
    ]
    path = folder / "set.bed"
    path.write_bytes(bytes([0x6C, 0x1B, 0x01, *columns]))
    path.with_suffix(".fam").write_text(fam)
    path.with_suffix(".bim").write_text(bim)
    return path


PLINK_CALLS = np.array([[0, 2], [1, 1], [-1, 0]])


def test_plink_files_are_read(tmp_path):
    pytest.importorskip("bed_reader")
    data = read_plink(write_plink(tmp_path, PLINK_CALLS))
    np.testing.assert_array_equal(data.calls, PLINK_CALLS)
    assert list(data.metadata.index) == ["A", "B", "C"]
    assert list(data.metadata["sex"]) == ["male", "female", "unknown"]
    assert list(data.metadata["family"]) == ["f1", "f2", "f3"]
    assert data.snps.loc["rs1"].to_dict() == {
        "chromosome": "1",
        "position": 100,
        "allele_0": "A",
        "allele_1": "C",
    }


@pytest.mark.parametrize("seed", range(5))
def test_any_plink_file_is_read(tmp_path, seed):
    pytest.importorskip("bed_reader")
    rng = np.random.default_rng(seed)
    calls = rng.integers(-1, 3, (rng.integers(1, 12), rng.integers(1, 30)))
    fam = "".join(f"f P{i} 0 0 0 -9\n" for i in range(len(calls)))
    bim = "".join(f"1\trs{i}\t0\t{i}\tC\tA\n" for i in range(calls.shape[1]))
    np.testing.assert_array_equal(read_plink(write_plink(tmp_path, calls, fam, bim)).calls, calls)


@pytest.mark.parametrize(
    ("calls", "files", "message"),
    [
        (
            [[0, 1], [1, 1], [0, 0]],
            {},
            "no male with two alleles on X, but 1 calls are such; the first is of A at rs2",
        ),
        (PLINK_CALLS, {"fam": FAM.replace("B", "A")}, "Every sample must have a name of its own"),
        (PLINK_CALLS, {"bim": BIM.replace("rs2", "rs1")}, "Every SNP must have a name of its own"),
        (
            PLINK_CALLS,
            {"bim": BIM + "1\trs3\t0\t5\tA\tC\n"},
            "must be a PLINK 1 file set, but it cannot be read",
        ),
        (
            PLINK_CALLS,
            {"bim": BIM.splitlines()[0] + "\n"},
            "must be a PLINK 1 file set, but it cannot be read",
        ),
        (PLINK_CALLS, {"bim": "1 rs1\n"}, "must be a PLINK 1 file set, but it cannot be read"),
    ],
)
def test_plink_files_that_do_not_fit_are_refused(tmp_path, calls, files, message):
    pytest.importorskip("bed_reader")
    with pytest.raises(ValueError, match=message):
        read_plink(write_plink(tmp_path, calls, **files))


def test_plink_needs_its_three_files(tmp_path):
    pytest.importorskip("bed_reader")
    path = write_plink(tmp_path, PLINK_CALLS)
    path.write_bytes(b"no bed" + path.read_bytes())
    with pytest.raises(ValueError, match="must be a PLINK 1 file set, but it cannot be read"):
        read_plink(path)
    path.with_suffix(".bim").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs .bed, .bim and .fam, but there is no .*set.bim"):
        read_plink(path)
