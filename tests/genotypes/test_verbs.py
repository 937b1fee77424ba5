"""Files of calls to archives and back: every call a VCF, BCF or PLINK 1 file may hold, whole or in part."""

import gzip
import json
import lzma
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from latentgenomes import cli
from latentgenomes.genotypes.models.container import CodecError
from latentgenomes.genotypes.verbs import archives, compress_file, decompress_file

for name in ("numba", "cyvcf2"):
    pytest.importorskip(name)

N_STRANGE = int(os.environ.get("LATENTGENOMES_STRANGE_FILES", "25"))
HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=q10,Description="Quality below 10">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##ALT=<ID=DEL,Description="Deletion">
"""
ALTERNATIVES = ("A", "C", "G", "T", "AT", "GCC", "*", "<DEL>", "<*>", "N", "C]13:123456]", ".", "a")
SEPARATORS = st.sampled_from("/|")


@st.composite
def calls(draw, n_alleles):
    """A call of any ploidy, in part missing, with any separators."""
    n_places = draw(st.sampled_from((1, 2, 2, 2, 2, 2, 3, 4, 6)))
    allele = st.one_of(st.just("."), st.integers(0, n_alleles).map(str))
    text = draw(st.sampled_from(("", "", "", "", "", "", "|", "/")))
    for place in range(n_places):
        text += (draw(SEPARATORS) if place else "") + draw(allele)
    return text


@st.composite
def plain_calls(draw, n_alleles):
    """A call as most files have them."""
    return f"{draw(st.integers(0, n_alleles))}{draw(SEPARATORS)}{draw(st.integers(0, n_alleles))}"


@st.composite
def vcf_texts(draw):
    """Text of a VCF: several chromosomes, any order, duplicate sites, all kinds of alleles and calls."""
    n_samples, n_sites = draw(st.integers(0, 5)), draw(st.integers(0, 12))
    chromosomes = draw(st.sampled_from((("1",), ("chr1", "chrX"), ("1", "2", "X", "chrUn_K1"))))
    contigs = "".join(f"##contig=<ID={name}>\n" for name in chromosomes)
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    if n_samples:
        columns += ["FORMAT", *(f"S{i}" for i in range(n_samples))]
    lines = []
    position = draw(st.integers(1, 1000))
    strange = draw(st.booleans())
    for _ in range(n_sites):
        position = draw(st.sampled_from((position, position + 7, 2_147_483_646, 1, position + 100_000)))
        others = draw(st.lists(st.sampled_from(ALTERNATIVES), min_size=1, max_size=4, unique=True))
        others = ["."] if "." in others else others
        row = [
            draw(st.sampled_from(chromosomes)),
            str(position),
            draw(st.sampled_from((".", "rs1", f"rs{position}", "a;b"))),
            draw(st.sampled_from(("A", "C", "GTT", "N"))),
            ",".join(others),
            draw(st.sampled_from((".", "30", "0.5"))),
            draw(st.sampled_from((".", "PASS", "q10"))),
            draw(st.sampled_from((".", "AC=1"))),
        ]
        if n_samples:
            form = draw(st.sampled_from(("GT", "GT", "GT", "GT:DP", "DP")))
            n_alleles = 0 if others == ["."] else len(others)
            call = (calls if strange else plain_calls)(n_alleles)
            depth = st.sampled_from(("", ":.", ":7"))
            made = [
                "3" if form == "DP" else draw(call) + (draw(depth) if form == "GT:DP" else "")
                for _ in range(n_samples)
            ]
            row += [form, *made]
        lines.append("\t".join(row))
    return HEADER + contigs + "\n".join(["\t".join(columns), *lines]) + "\n"


@dataclass(frozen=True)
class Record:
    """Chromosome, position, ID, REF and ALT of a site, and GT of each sample ("." where there is none)."""

    site: tuple[str, ...]
    calls: tuple[str, ...]


def records(path: Path) -> list[Record]:
    """Records of a text file, by splitting lines."""
    found = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            words = line.split("\t")
            with_gt = len(words) > 8 and words[8].split(":")[0] == "GT"
            calls_ = tuple(word.split(":")[0] if with_gt else "." for word in words[9:])
            found.append(Record(tuple(words[:5]), calls_))
    return found


def call(*words):
    return CliRunner().invoke(cli.app, list(map(str, words)))


def there_and_back(path, *, panel=None, keep="sites", block=4096, suffix=".vcf"):
    """Path of a file that went through an archive."""
    archive, again = path.with_name("a.lg"), path.with_name("again" + suffix)
    for old in (archive, again):
        old.unlink(missing_ok=True)
    compress_file(path, archive, panel=panel, keep=keep, sites_a_block=block)
    decompress_file(archive, again, panel=panel)
    return again


@settings(max_examples=N_STRANGE, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=vcf_texts(), other=vcf_texts(), block=st.sampled_from((5, 4096)))
def test_any_file_comes_back(text, other, block, tmp_path_factory):
    folder = tmp_path_factory.mktemp("strange")
    path, panel = folder / "calls.vcf", folder / "panel.vcf"
    path.write_text(text)
    again = there_and_back(path, keep="all", block=block)
    assert again.read_text() == text
    assert records(there_and_back(path)) == records(path)
    panel.write_text(other)
    held = records(panel)
    if held and held[0].calls and any(words != "." for record in held for words in record.calls):
        assert there_and_back(path, panel=panel, keep="all").read_text() == text
    panel.write_text(text)
    shutil.rmtree(folder)


CASES = {
    "haploid": ["1|0 1 0", "0|0 0 1", "1|1 . 1"],
    "unphased": ["0/1 1/0 1/1", "./. 0/0 0|1"],
    "half": ["0|. .|1 ./1", "0/. . 1|0"],
    "ploidy": ["0/1/1/0 0|1 2", "0|0|1/1 . 1/1/."],
    "leading bar": ["|0|1 /0/1 0|1", "|1 0 /1"],
    "many alleles": ["0|14 9/13 14|14", "8|7 6|5 1|0"],
    "none": [". . .", "./. ./. ./."],
}


def vcf_of(calls, path, samples="ABC"):
    """A file with these calls, a line a site."""
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    others = ",".join("A" * n for n in range(2, 16))
    lines = [
        "\t".join(["1", str(100 + 7 * i), ".", "A", others, ".", ".", ".", "GT", *row.split()])
        for i, row in enumerate(calls)
    ]
    path.write_text(HEADER + "##contig=<ID=1>\n" + "\n".join(["\t".join(columns), *lines]) + "\n")
    return path


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_of_call_comes_back(kind, tmp_path):
    path = vcf_of(CASES[kind], tmp_path / "calls.vcf")
    panel = vcf_of(["0|1 1|1 0|0", "1|0 0|0 1|1"], tmp_path / "panel.vcf")
    assert there_and_back(path, keep="all").read_bytes() == path.read_bytes()
    assert there_and_back(path, panel=panel, keep="all").read_bytes() == path.read_bytes()
    assert [record.calls for record in records(there_and_back(path))] == [
        tuple(row.split()) for row in CASES[kind]
    ]


def mosaic(n_samples, n_sites, seed=0, *, chromosome="1", first=1000, founder_seed=0):
    """Lines of a phased file whose haplotypes are mosaics of a few founders."""
    founders = (np.random.default_rng(founder_seed).random((8, n_sites)) < 0.3).astype(int)
    rng = np.random.default_rng(seed)
    jumps = np.cumsum(rng.random((2 * n_samples, n_sites)) < 0.02, axis=1)
    copied = np.take_along_axis(rng.integers(8, size=(2 * n_samples, n_sites + 1)), jumps, axis=1)
    calls = founders[copied, np.arange(n_sites)]
    lines = []
    for site in range(n_sites):
        words = [f"{a}|{b}" for a, b in zip(calls[::2, site], calls[1::2, site], strict=True)]
        fixed = [chromosome, str(first + 50 * site), f"rs{site}", "A", "G", ".", ".", ".", "GT"]
        lines.append("\t".join(fixed + words))
    return lines


def write_lines(path, lines, n_samples, prefix="S"):
    names = [f"{prefix}{i}" for i in range(n_samples)]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]
    head = "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n"
    head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    path.write_text(head + "\n".join(["\t".join(columns), *lines]) + "\n")
    return path


@pytest.fixture
def two_chromosomes(tmp_path):
    lines = mosaic(12, 700) + mosaic(12, 300, chromosome="2", founder_seed=1)
    return write_lines(tmp_path / "calls.vcf", lines, 12)


def test_a_panel_and_the_files_own_rows_make_it_small(tmp_path):
    path = write_lines(tmp_path / "new.vcf", mosaic(10, 600, seed=1), 10)
    panel = write_lines(tmp_path / "panel.vcf", mosaic(40, 600, seed=2), 40, prefix="P")
    alone = compress_file(path, tmp_path / "alone.lg")
    known = compress_file(path, tmp_path / "known.lg", panel=panel)
    assert known["panel_sites"] == known["sites"] == 600
    assert alone["bytes"] < len(lzma.compress(path.read_bytes(), preset=9))
    assert known["bytes"] < 0.8 * alone["bytes"]
    decompress_file(tmp_path / "known.lg", tmp_path / "again.vcf", panel=panel)
    assert (tmp_path / "again.vcf").read_bytes() == path.read_bytes()


def test_sites_outside_the_panel_and_a_prefix_of_the_chromosome_are_coded(tmp_path):
    lines = [line.replace("1\t", "chr1\t", 1) for line in mosaic(6, 80, seed=1)]
    lines.insert(40, "chr1\t2975\t.\tC\t<DEL>,*\t.\t.\t.\tGT" + "\t0|2" * 6)
    path = write_lines(tmp_path / "new.vcf", lines, 6)
    panel = write_lines(tmp_path / "panel.vcf", mosaic(20, 80, seed=2), 20)
    done = compress_file(path, tmp_path / "a.lg", panel=panel)
    assert (done["sites"], done["panel_sites"]) == (81, 80)
    decompress_file(tmp_path / "a.lg", tmp_path / "again.vcf", panel=panel)
    assert records(tmp_path / "again.vcf") == records(path)


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".bcf"])
def test_every_kind_of_vcf_is_read_and_written(suffix, two_chromosomes):
    folder = two_chromosomes.parent
    first = there_and_back(two_chromosomes, suffix=suffix)
    assert first.name == "again" + suffix
    source = first.rename(folder / ("source" + suffix))
    again = there_and_back(source)
    assert records(again) == records(two_chromosomes)
    if suffix == ".vcf.gz":
        assert gzip.decompress(source.read_bytes()).startswith(b"##fileformat")
    if shutil.which("bcftools"):
        query = ["bcftools", "query", "-f", "%CHROM %POS %ID %REF %ALT [ %GT]\n"]
        texts = [
            subprocess.run([*query, path], capture_output=True, check=True).stdout for path in (source, again)
        ]
        assert texts[0] == texts[1]


def test_a_bcf_is_whole_where_the_header_of_the_text_was_not(two_chromosomes):
    lines = [line for line in two_chromosomes.read_text().splitlines() if not line.startswith("##contig")]
    lines[-1] = lines[-1].replace("\t.\t.\t.\tGT", "\t.\tq99\tDB=3\tGT")
    two_chromosomes.write_text("\n".join(lines) + "\n")
    source = there_and_back(two_chromosomes, keep="all", suffix=".bcf").rename(
        two_chromosomes.with_name("source.bcf")
    )
    assert records(there_and_back(source, keep="all")) == records(two_chromosomes)


@pytest.mark.parametrize(
    ("region", "chosen"),
    [
        ("1:2000-9000", lambda chromosome, position: chromosome == "1" and 2000 <= position <= 9000),
        ("chr2", lambda chromosome, position: chromosome == "2"),
        ("1:5,050", lambda chromosome, position: (chromosome, position) == ("1", 5050)),
        ("1:35000-", lambda chromosome, position: chromosome == "1" and position >= 35_000),
        ("2:1-2", lambda chromosome, position: False),
    ],
)
def test_a_region_and_some_samples_are_read_alone(region, chosen, two_chromosomes, monkeypatch):
    folder = two_chromosomes.parent
    compress_file(two_chromosomes, folder / "a.lg", sites_a_block=100)
    read = []
    one_block = archives.read_block
    monkeypatch.setattr(archives, "read_block", lambda *words: read.append(words[2]) or one_block(*words))
    done = decompress_file(folder / "a.lg", folder / "part.vcf", region=region, samples=["S7", "S2"])
    wanted = [
        replace(record, calls=(record.calls[7], record.calls[2]))
        for record in records(two_chromosomes)
        if chosen(record.site[0], int(record.site[1]))
    ]
    assert records(folder / "part.vcf") == wanted
    blocks = {
        i // 100 if record.site[0] == "1" else 7 + (i - 700) // 100
        for i, record in enumerate(records(two_chromosomes))
        if chosen(record.site[0], int(record.site[1]))
    }
    assert set(read) == blocks
    assert done == {"samples": 2, "sites": len(wanted), "blocks": len(blocks)}


def test_what_is_left_out_is_said(tmp_path):
    path = vcf_of(["0|1 1|1 0|0"], tmp_path / "calls.vcf")
    text = path.read_text().replace(".\t.\t.\tGT", "30\tPASS\tAC=3\tGT:DP").replace("0|1", "0|1:7")
    path.write_text(text)
    done = call("compress", path, "-o", tmp_path / "a.lg")
    assert done.exit_code == 0, done.output
    last = done.stdout.strip().splitlines()[-1]
    assert "Left out: QUAL (1 sites), FILTER (1 sites), INFO (1 sites), DP (1 sites)" in done.stdout
    assert "--keep all" in done.stdout
    assert last
    done = call("compress", path, "-o", tmp_path / "b.lg", "--keep", "all")
    assert "Left out" not in done.stdout
    call("decompress", tmp_path / "b.lg", "-o", tmp_path / "b.vcf")
    assert (tmp_path / "b.vcf").read_text() == text


def write_bed(path, n_samples, seed, n_sites=17):
    """A PLINK set with random calls, bits drawn as they come."""
    rng = np.random.default_rng(seed)
    width = -(-n_samples // 4)
    bits = rng.integers(0, 256, (n_sites, width), dtype=np.uint8)
    if n_samples % 4:
        bits[:, -1] &= (1 << (2 * (n_samples % 4))) - 1
    path.write_bytes(bytes([0x6C, 0x1B, 0x01]) + bits.tobytes())
    lines = [f"{1 + i // 9}\trs{i}\t0.{i}\t{10 * i + 1}\tA\tG\n" for i in range(n_sites)]
    path.with_suffix(".bim").write_text("".join(lines))
    path.with_suffix(".fam").write_text(
        "".join(f"F{seed} I{i} 0 0 {i % 2 + 1} -9\n" for i in range(n_samples))
    )
    return path


@pytest.mark.parametrize("n_samples", [1, 4, 7])
@pytest.mark.parametrize("with_panel", [False, True])
def test_a_plink_set_comes_back_byte_for_byte(n_samples, with_panel, tmp_path):
    path = write_bed(tmp_path / "calls.bed", n_samples, 1)
    panel = write_bed(tmp_path / "panel.bed", 10, 2) if with_panel else None
    again = there_and_back(path, panel=panel, suffix=".bed", block=5)
    for suffix in (".bed", ".bim", ".fam"):
        assert again.with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()
    part = tmp_path / "part.bed"
    decompress_file(tmp_path / "a.lg", part, panel=panel, region="2", samples=["I0"])
    assert part.with_suffix(".bim").read_text().startswith("2\trs9\t")
    assert len(part.read_bytes()) == 3 + 8


@pytest.fixture
def archive(tmp_path):
    path = write_lines(tmp_path / "calls.vcf", mosaic(5, 120), 5)
    compress_file(path, tmp_path / "a.lg", sites_a_block=50)
    return tmp_path / "a.lg"


def test_altered_archives_never_decode_to_something_else(archive):
    right = archive.read_bytes()
    source = records(archive.with_name("calls.vcf"))
    rng = np.random.default_rng(0)
    for trial in range(45):
        data = bytearray(right)
        if trial % 3 == 0:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        elif trial % 3 == 1:
            data = data[: rng.integers(len(data))]
        else:
            data.insert(rng.integers(len(data)), rng.integers(256))
        archive.write_bytes(data)
        again = archive.with_name("again.vcf")
        again.unlink(missing_ok=True)
        try:
            decompress_file(archive, again)
        except CodecError:
            assert not again.exists()
        else:
            assert records(again) == source


def with_directory(data, change):
    """An archive whose blocks and directory were changed, with all digests of bytes made anew."""
    length = int.from_bytes(data[-24:-20], "little")
    unpack = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=archives._FILTERS)
    words = json.loads(unpack.decompress(data[-24 - length : -24]))
    at, blocks = 5, []
    for entry in words["blocks"]:
        blocks.append(bytearray(data[at : at + entry["length"]]))
        at += entry["length"]
    change(words, blocks)
    for entry, block in zip(words["blocks"], blocks, strict=True):
        entry["length"], entry["mark"] = len(block), archives.mark(bytes(block))
    words["blocks"] = [archives.BlockEntry(**entry) for entry in words["blocks"]]
    return data[:5] + b"".join(blocks) + archives.Directory(**words).to_bytes()


def test_forged_blocks_are_refused_by_the_digest_of_what_they_decode_to(archive):
    right = archive.read_bytes()
    rng = np.random.default_rng(1)

    def alter(words, blocks):
        block = blocks[rng.integers(len(blocks))]
        block[rng.integers(len(block))] ^= 1 << rng.integers(8)

    for _ in range(25):
        archive.write_bytes(with_directory(right, alter))
        again = archive.with_name("again.vcf")
        with pytest.raises(CodecError):
            decompress_file(archive, again)
        assert not again.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words, blocks: words.update(samples=["S"] * 3 * 10**6), "at most"),
        (lambda words, blocks: words.update(kind="other"), "cut or altered"),
        (lambda words, blocks: words["blocks"][0].update(n_sites=7), "decode to what was written"),
        (
            lambda words, blocks: blocks[0].__setitem__(slice(0, 4), b"\xff\xff\xff\x7f"),
            "at most 65536 sites",
        ),
        (lambda words, blocks: blocks.__setitem__(0, bytearray(b"\1\0\0\0\2")), "hold 6 bytes or more"),
    ],
)
def test_forged_heads_are_refused_without_room_for_them(archive, change, message):
    archive.write_bytes(with_directory(archive.read_bytes(), change))
    with pytest.raises(CodecError, match=message):
        decompress_file(archive, archive.with_name("again.vcf"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--region", "7"],
            "The region must be on a chromosome of the archive, but '7' is not one; it has '1'",
        ),
        (["--region", "1:5-4-3"], "A region must be such as 20"),
        (["--samples", "S1,Q"], "Samples must be in the archive, and named once, but 'Q' are not"),
        (["--samples", "S1,S1"], "come again"),
    ],
)
def test_parts_that_are_not_there_give_one_line(archive, words, message):
    done = call("decompress", archive, "-o", archive.with_name("again.vcf"), *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not archive.with_name("again.vcf").exists()


def test_another_panel_or_none_is_refused(tmp_path):
    path = write_lines(tmp_path / "new.vcf", mosaic(4, 60, seed=1), 4)
    panel = write_lines(tmp_path / "panel.vcf", mosaic(8, 60, seed=2), 8)
    other = write_lines(tmp_path / "other.vcf", mosaic(8, 60, seed=3), 8)
    compress_file(path, tmp_path / "a.lg", panel=panel)
    with pytest.raises(ValueError, match=r"written with the panel panel.vcf, and needs it"):
        decompress_file(tmp_path / "a.lg", tmp_path / "again.vcf")
    with pytest.raises(CodecError, match=r"the panel that compressed it, panel.vcf, of fingerprint"):
        decompress_file(tmp_path / "a.lg", tmp_path / "again.vcf", panel=other)
    bed = write_bed(tmp_path / "panel.bed", 3, 0)
    with pytest.raises(ValueError, match=r"of the kind vcf, as the file is, but panel.bed is of plink"):
        compress_file(path, tmp_path / "b.lg", panel=bed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("S1", "S0"), "name every sample once, but 1 come again: 'S0'"),
        (lambda text: text.replace("#CHROM", "CHROM"), "with a line that begins #CHROM"),
        (lambda text: text[:-9], "a line of fewer calls than samples, at sample|a call without an allele"),
        (lambda text: text.replace("0|1", "0|x", 1), "a call without an allele, at sample S"),
        (lambda text: text.replace("0|1", "0|99999", 1), "an allele number above 32767"),
        (lambda text: text.replace("0|1", "|".join("0" * 17), 1), "a call of more than 16 alleles"),
        (lambda text: text.replace("1\t1000\t", "1\tten\t", 1), "whole positions, but one is 'ten'"),
        (lambda text: text.replace("\tGT\t0|", "\tGT\t0|0\t0|", 1), "a line of more calls than samples"),
    ],
)
def test_files_that_are_no_calls_give_one_line_and_no_archive(change, message, tmp_path):
    path = write_lines(tmp_path / "calls.vcf", mosaic(5, 30), 5)
    path.write_text(change(path.read_text()))
    done = call("compress", path, "-o", tmp_path / "a.lg")
    assert done.exit_code == 2
    assert any(part in done.stderr for part in message.split("|")) or message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["calls.vcf"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("calls.txt", "must be .vcf, .vcf.gz, .bcf or .bed, but it is calls.txt"),
        ("calls.pgen", "PLINK 2 files are not read, but calls.pgen is one"),
        ("none.vcf", "there is none at"),
        ("none.bed", "but there is no"),
    ],
)
def test_other_files_are_refused(name, message, tmp_path):
    for other in ("calls.txt", "calls.pgen"):
        (tmp_path / other).write_text("x")
    done = call("compress", tmp_path / name, "-o", tmp_path / "a.lg")
    assert done.exit_code != 0
    assert message in done.stderr


def test_cut_packed_files_are_refused(two_chromosomes):
    folder = two_chromosomes.parent
    data = gzip.compress(two_chromosomes.read_bytes())
    (folder / "cut.vcf.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="must be whole, but it cannot be unpacked"):
        compress_file(folder / "cut.vcf.gz", folder / "cut.lg")
    assert not (folder / "cut.lg").exists()


def test_outputs_are_new_files_of_the_right_kind(archive):
    folder = archive.parent
    (folder / "there.vcf").write_text("precious")
    done = call("decompress", archive, "-o", folder / "there.vcf")
    assert done.exit_code == 1
    assert "must be a new file" in done.stderr
    assert (folder / "there.vcf").read_text() == "precious"
    with pytest.raises(FileExistsError, match="must be a new file"):
        compress_file(folder / "calls.vcf", archive)
    with pytest.raises(ValueError, match=r"one of .vcf, .vcf.gz, .bcf, but it is again.bed"):
        decompress_file(archive, folder / "again.bed")
    with pytest.raises(ValueError, match="keep must be 'sites' or 'all'"):
        compress_file(folder / "calls.vcf", folder / "b.lg", keep="some")
    with pytest.raises(ValueError, match="A block must have 1 to 65536 sites"):
        compress_file(folder / "calls.vcf", folder / "b.lg", sites_a_block=0)


FIRST = Path(__file__).parents[1] / "fixtures" / "before_the_move" / "archives"


def test_archives_of_the_first_version_need_their_panel_and_are_decoded_whole(tmp_path):
    pytest.importorskip("constriction")
    with pytest.raises(ValueError, match="an archive of the first version: it needs its panel"):
        decompress_file(FIRST / "all_sites.lg", tmp_path / "again.vcf")
    with pytest.raises(ValueError, match="leave region and samples out"):
        decompress_file(FIRST / "all_sites.lg", tmp_path / "again.vcf", panel=FIRST / "panel.vcf", region="1")
    done = call("decompress", FIRST / "all_sites.lg", "-p", FIRST / "panel.vcf", "-o", tmp_path / "again.vcf")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again.vcf").read_bytes() == (FIRST / "all_sites.vcf").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "the file was cut or altered"),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], "the file was cut or altered"),
        (lambda data: b"PK\3\4" + data[4:], "must start with b'LGVF'"),
        (lambda data: data[:4] + b"\7" + data[5:], "must be of version 1 or 2"),
        (lambda data: b"", "must start with b'LGVF'"),
    ],
)
def test_cut_archives_of_the_first_version_are_refused(change, message, tmp_path):
    (tmp_path / "a.lg").write_bytes(change((FIRST / "all_sites.lg").read_bytes()))
    done = call("decompress", tmp_path / "a.lg", "-p", FIRST / "panel.vcf", "-o", tmp_path / "again.vcf")
    assert done.exit_code == 2
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.lg"]


SECOND = Path(__file__).parents[1] / "fixtures" / "archives"


@pytest.mark.parametrize(
    ("name", "panel", "original"),
    [
        ("alone", None, "own_names.vcf"),
        ("beside_panel", "panel.vcf", "some_sites.vcf"),
        ("plink", "panel.bed", "plink.bed"),
    ],
)
def test_archives_written_once_stay_readable(name, panel, original, tmp_path):
    """Written by version 2 of the format when it was made, from the files of version 1."""
    held = None if panel is None else FIRST / panel
    again = tmp_path / original
    decompress_file(SECOND / f"{name}.lg", again, panel=held)
    if original.endswith(".bed"):
        for suffix in (".bed", ".bim", ".fam"):
            kept = (FIRST / original).with_suffix(suffix)
            assert again.with_suffix(suffix).read_bytes() == kept.read_bytes()
    else:
        assert again.read_bytes() == (FIRST / original).read_bytes()
