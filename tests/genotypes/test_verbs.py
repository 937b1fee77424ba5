"""Genotype files to archives and back, by functions and by the command line."""

import hashlib
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latentgenomes import cli
from latentgenomes.genotypes import verbs as archives
from latentgenomes.genotypes.data.calls import HaplotypeData
from latentgenomes.genotypes.data.files import (
    read_plink,
    read_vcf_haplotypes,
    write_plink,
    write_vcf_haplotypes,
)
from latentgenomes.genotypes.models.container import CodecError
from latentgenomes.genotypes.verbs import compress_file, decompress_file

for name in ("numba", "constriction", "cyvcf2", "bed_reader"):
    pytest.importorskip(name)

RNG = np.random.default_rng(0)
FOUNDERS = (RNG.random((6, 30)) < 0.4).astype(np.int8)


def haplotypes(n_people, *, seed=0, missing=0.0, snps=slice(None)):
    """Copies of founders with names."""
    rng = np.random.default_rng(seed)
    calls = FOUNDERS[rng.integers(6, size=2 * n_people)].copy()
    calls[rng.random(calls.shape) < missing] = -1
    people = np.repeat([f"P{seed}_{i}" for i in range(n_people)], 2)
    index = pd.Index([f"{name}.{copy}" for name, copy in zip(people, [1, 2] * n_people, strict=True)])
    positions = 100 * np.arange(1, 31)
    table = pd.DataFrame(
        {
            "chromosome": np.where(positions > 2000, "2", "1"),
            "position": positions,
            "allele_0": "A",
            "allele_1": "G",
            "id": [f"rs{i}" for i in positions],
        }
    )
    table.index = pd.Index(table.drop(columns="id").astype(str).agg(":".join, axis=1))
    metadata = pd.DataFrame({"person": people}, index=index)
    return HaplotypeData(calls[:, snps], metadata, table[snps])


@pytest.fixture
def vcf(tmp_path):
    write_vcf_haplotypes(haplotypes(12), tmp_path / "panel.vcf")
    write_vcf_haplotypes(haplotypes(5, seed=1, missing=0.05), tmp_path / "new.vcf")
    return tmp_path


def write_bed(path, n_samples, seed):
    """A file set with random calls, all four kinds of them."""
    calls = np.random.default_rng(seed).integers(-1, 3, (n_samples, 17)).astype(np.int8)
    bim = "".join(f"1\trs{i}\t0.{i}\t{10 * i + 1}\tA\tG\n" for i in range(17))
    fam = "".join(f"F{seed} I{i} 0 0 {i % 2 + 1} -9\n" for i in range(n_samples))
    return calls, write_plink(calls, path, bim=bim, fam=fam)


@pytest.fixture
def bed(tmp_path):
    write_bed(tmp_path / "panel.bed", 10, 0)
    write_bed(tmp_path / "new.bed", 7, 1)
    return tmp_path


def test_a_vcf_that_is_written_reads_back_the_same(tmp_path):
    data = haplotypes(4, missing=0.2)
    found = read_vcf_haplotypes(write_vcf_haplotypes(data, tmp_path / "a.vcf"))
    np.testing.assert_array_equal(found.calls, data.calls)
    assert list(found.metadata["person"]) == list(data.metadata["person"])
    pd.testing.assert_frame_equal(found.snps, data.snps, check_dtype=False)


def test_a_plink_set_that_is_written_reads_back_the_same(tmp_path):
    for n_samples in (1, 4, 5, 7):
        calls, path = write_bed(tmp_path / f"{n_samples}.bed", n_samples, 3)
        found = read_plink(path)
        np.testing.assert_array_equal(found.calls, calls)
        assert list(found.snps["allele_1"].unique()) == ["A"]


def test_haploid_samples_keep_their_number_of_haplotypes(tmp_path):
    data = haplotypes(3)
    rows = np.array([0, 2, 3, 4])  # the first and the last person have one haplotype
    men = HaplotypeData(data.calls[rows], data.metadata.iloc[rows], data.snps)
    write_vcf_haplotypes(haplotypes(12), tmp_path / "panel.vcf")
    write_vcf_haplotypes(men, tmp_path / "men.vcf")
    compress_file(tmp_path / "men.vcf", tmp_path / "panel.vcf", tmp_path / "men.lg")
    decompress_file(tmp_path / "men.lg", tmp_path / "panel.vcf", tmp_path / "again.vcf")
    assert (tmp_path / "again.vcf").read_bytes() == (tmp_path / "men.vcf").read_bytes()
    assert len(read_vcf_haplotypes(tmp_path / "again.vcf").calls) == 4


@pytest.mark.parametrize("snps", [slice(None), slice(3, 25, 2)])
def test_a_vcf_comes_back(vcf, snps):
    path = write_vcf_haplotypes(haplotypes(5, seed=1, missing=0.05, snps=snps), vcf / "some.vcf")
    done = compress_file(path, vcf / "panel.vcf", vcf / "some.lg")
    assert done["bytes"] == (vcf / "some.lg").stat().st_size < path.stat().st_size / 3
    assert decompress_file(vcf / "some.lg", vcf / "panel.vcf", vcf / "again.vcf")["haplotypes"] == 10
    assert (vcf / "again.vcf").read_bytes() == path.read_bytes()


def test_other_identifiers_than_the_panels_are_kept(vcf):
    data = haplotypes(5, seed=1)
    renamed = HaplotypeData(data.calls, data.metadata, data.snps.assign(id="."))
    path = write_vcf_haplotypes(renamed, vcf / "dots.vcf")
    compress_file(path, vcf / "panel.vcf", vcf / "dots.lg")
    decompress_file(vcf / "dots.lg", vcf / "panel.vcf", vcf / "again.vcf")
    assert (vcf / "again.vcf").read_bytes() == path.read_bytes()


def test_a_plink_set_comes_back_byte_for_byte(bed):
    compress_file(bed / "new.bed", bed / "panel.bed", bed / "new.lg")
    decompress_file(bed / "new.lg", bed / "panel.bed", bed / "again.bed")
    for suffix in (".bed", ".bim", ".fam"):
        assert (bed / "again.bed").with_suffix(suffix).read_bytes() == (bed / "new.bed").with_suffix(
            suffix
        ).read_bytes()


def test_another_map_than_the_panels_is_kept(bed):
    text = (bed / "new.bim").read_text()
    (bed / "new.bim").write_text(text.replace("0.3\t", "7.5\t"))
    compress_file(bed / "new.bed", bed / "panel.bed", bed / "new.lg")
    decompress_file(bed / "new.lg", bed / "panel.bed", bed / "again.bed")
    assert "7.5" in (bed / "again.bim").read_text()


def call(*words):
    return CliRunner().invoke(cli.app, list(map(str, words)))


def test_the_command_line_goes_there_and_back(vcf):
    done = call("compress", vcf / "new.vcf", "-p", vcf / "panel.vcf", "-o", vcf / "new.lg")
    assert done.exit_code == 0, done.output
    assert "10 haplotypes of 30 SNPs" in done.output
    done = call("decompress", vcf / "new.lg", "-p", vcf / "panel.vcf", "-o", vcf / "again.vcf")
    assert done.exit_code == 0, done.output
    assert (vcf / "again.vcf").read_bytes() == (vcf / "new.vcf").read_bytes()


def test_an_existing_output_stays_untouched(vcf):
    (vcf / "new.lg").write_text("precious")
    done = call("compress", vcf / "new.vcf", "-p", vcf / "panel.vcf", "-o", vcf / "new.lg")
    assert done.exit_code == 1
    assert "must be a new file" in done.stderr
    assert (vcf / "new.lg").read_text() == "precious"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "the file was cut or altered"),
        (lambda data: data[:12], "the file was cut or altered"),
        (lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:], "the file was cut or altered"),
        (lambda data: b"PK\3\4" + data[4:], "must start with b'LGVF'"),
        (lambda data: b"", "must start with b'LGVF', but new.lg starts with b''"),
    ],
)
def test_cut_altered_and_foreign_archives_give_one_line_and_no_file(vcf, change, message):
    compress_file(vcf / "new.vcf", vcf / "panel.vcf", vcf / "new.lg")
    (vcf / "new.lg").write_bytes(change((vcf / "new.lg").read_bytes()))
    before = sorted(path.name for path in vcf.iterdir())
    done = call("decompress", vcf / "new.lg", "-p", vcf / "panel.vcf", "-o", vcf / "again.vcf")
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in vcf.iterdir()) == before


def seal(body):
    """An archive with a right last digest, whatever is in it."""
    return body + hashlib.blake2b(body, digest_size=8).digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body[:4] + b"\2" + body[5:], "version 1 and kind 1 or 2, but new.lg is of 2 and 1"),
        (lambda body: body[:5] + b"\7" + body[6:], "is of 1 and 7"),
        (lambda body: body + b"x", "bytes after its header, but it does not"),
    ],
)
def test_forged_heads_are_refused(vcf, change, message):
    compress_file(vcf / "new.vcf", vcf / "panel.vcf", vcf / "new.lg")
    (vcf / "new.lg").write_bytes(seal(change((vcf / "new.lg").read_bytes()[:-8])))
    with pytest.raises(CodecError, match=message):
        decompress_file(vcf / "new.lg", vcf / "panel.vcf", vcf / "again.vcf")


def test_names_that_unpack_without_end_are_refused(vcf, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_NAMES", 1000)
    names = zlib.compress(b"0" * 100_000)
    body = struct.pack("<4sBB8sII", b"LGVF", 1, 1, b"8 bytes!", len(names), 0) + names
    (vcf / "bomb.lg").write_bytes(seal(body))
    with pytest.raises(CodecError, match="at most 1000 bytes of names, but holds more"):
        decompress_file(vcf / "bomb.lg", vcf / "panel.vcf", vcf / "again.vcf")


def test_another_panel_is_refused(vcf):
    compress_file(vcf / "new.vcf", vcf / "panel.vcf", vcf / "new.lg")
    write_vcf_haplotypes(haplotypes(11), vcf / "other.vcf")
    with pytest.raises(CodecError, match="Fit the codec to the panel that compressed it"):
        decompress_file(vcf / "new.lg", vcf / "other.vcf", vcf / "again.vcf")
    write_vcf_haplotypes(haplotypes(12, snps=slice(1, None)), vcf / "shorter.vcf")
    with pytest.raises(CodecError, match=r"written with the sites of shorter.vcf"):
        decompress_file(vcf / "new.lg", vcf / "shorter.vcf", vcf / "again.vcf")


def test_sites_outside_the_panel_or_out_of_order_are_refused(vcf):
    write_vcf_haplotypes(haplotypes(12, snps=slice(1, None)), vcf / "shorter.vcf")
    with pytest.raises(ValueError, match=r"1 of 30 are not: '1:100:A:G'. Remove them"):
        compress_file(vcf / "new.vcf", vcf / "shorter.vcf", vcf / "new.lg")
    data = haplotypes(3)
    back = HaplotypeData(data.calls[:, ::-1], data.metadata, data.snps[::-1])
    write_vcf_haplotypes(back, vcf / "back.vcf")
    with pytest.raises(ValueError, match="the panel's order, but 2:2900:A:G does not"):
        compress_file(vcf / "back.vcf", vcf / "panel.vcf", vcf / "new.lg")


def test_files_of_another_kind_are_refused(vcf, bed):
    with pytest.raises(ValueError, match=r"of the kind vcf, as the file is, but panel.bed is of plink"):
        compress_file(vcf / "new.vcf", bed / "panel.bed", vcf / "new.lg")
    with pytest.raises(ValueError, match=r"must be .vcf, .vcf.gz, .bcf or .bed, but it is calls.txt"):
        compress_file(vcf / "calls.txt", bed / "panel.bed", vcf / "new.lg")
    with pytest.raises(FileNotFoundError, match="there is none at"):
        decompress_file(vcf / "none.lg", vcf / "panel.vcf", vcf / "again.vcf")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_vcf_haplotypes(haplotypes(2), path / "a.vcf.gz"), "must end in .vcf, but it is"),
        (
            lambda path: write_vcf_haplotypes(three_haplotypes(), path / "a.vcf"),
            "one or two haplotypes in neighbouring rows",
        ),
        (lambda path: write_plink(FOUNDERS, path / "a.fam", bim="", fam=""), "must end in .bed"),
        (lambda path: write_plink(FOUNDERS, path / "a.bed", bim="x\n", fam="y\n"), r"have 1 and 1 for calls"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, write, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def three_haplotypes():
    """Haplotypes of one person too many."""
    data = haplotypes(2)
    return HaplotypeData(data.calls[:3], data.metadata.iloc[:3].assign(person="one"), data.snps)
