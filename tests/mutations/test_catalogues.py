"""Tables of counts as other programs write them: other strands, finer channels, sums, and calls."""

import gzip
import warnings

import cyvcf2
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.mutations.channels import CHANNELS, DBS78, SBS96, other_strand, reverse_complement


def table(context="SBS96", *, n=3, seed=0, channels=None):
    channels = list(channels or CHANNELS[context])
    counts = np.random.default_rng(seed).poisson(5, size=(n, len(channels))) + 1
    return pd.DataFrame(counts, index=[f"P{i}" for i in range(n)], columns=channels)


def turned(label):
    """The same change on the other strand."""
    if "[" not in label:
        return ">".join(reverse_complement(part) for part in label.split(">"))
    five, ref, alt, three = (reverse_complement(label[i]) for i in (0, 2, 4, 6))
    return f"{three}[{ref}>{alt}]{five}"


def finer(form):
    """Channels of a finer table, and the SBS96 channel of each."""
    sides = [a + b for a in "ACGT" for b in "ACGT"]
    strands = {"288": "TUN", "384": "TUBN"}.get(form, "")
    if strands:
        return {f"{strand}:{label}": label for label in SBS96 for strand in strands}
    return {f"{side[0]}{label}{side[1]}": label for label in SBS96 for side in sides}


def test_names_with_an_underscore_are_read(tmp_path):
    frame = table()
    named = frame.rename(columns=lambda c: f"{c[2]}_{c[4]}.{c[0]}{c[2]}{c[6]}")
    for name, written in (("rows.csv", named.T), ("columns.csv", named)):
        written.to_csv(tmp_path / name)
        pd.testing.assert_frame_equal(read_catalog(tmp_path / name), frame)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.data())
def test_names_on_the_other_strand_are_read_and_said(tmp_path, data):
    context = data.draw(st.sampled_from(["SBS96", "DBS78"]))
    frame = table(context)
    # A dinucleotide that is its own reverse complement may be named so in the catalogue.
    able = [label for label in frame.columns if turned(label) not in CHANNELS[context]]
    some = data.draw(st.lists(st.sampled_from(able), min_size=1, unique=True))
    spell = data.draw(st.sampled_from([str, str.lower]))
    written = frame.rename(columns={label: spell(turned(label)) for label in some})
    (written.T if data.draw(st.booleans()) else written).to_csv(tmp_path / "t.csv")
    with pytest.warns(
        UserWarning, match=rf"names {len(some)} of {len(CHANNELS[context])} channels on the other"
    ):
        pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", context=context), frame)


def test_every_name_on_the_other_strand_is_known_and_no_other():
    assert [other_strand(turned(label), "SBS96") for label in SBS96] == list(SBS96)
    assert {other_strand(turned(label), "DBS78") or turned(label) for label in DBS78} == set(DBS78)
    assert [other_strand(label, context) for context in CHANNELS for label in CHANNELS[context]] == [
        None
    ] * 337
    assert other_strand("G>T,GGA", "SBS96") == "T[C>A]C"
    assert other_strand("GT>TG", "SBS96") is None


@pytest.mark.parametrize("form", ["288", "384", "1536"])
@pytest.mark.parametrize("transposed", [False, True])
def test_finer_tables_are_summed_and_said(tmp_path, form, transposed):
    channels = finer(form)
    frame = table(channels=channels)
    shuffled = frame.sample(frac=1, axis=1, random_state=3)
    (shuffled.T if transposed else shuffled).to_csv(tmp_path / "t.csv")
    with pytest.warns(
        UserWarning, match=rf"t\.csv holds {form} channels, {int(form) // 96} for each of SBS96"
    ):
        found = read_catalog(tmp_path / "t.csv")
    for label in SBS96:
        parts = [channel for channel, coarse in channels.items() if coarse == label]
        assert found[label].tolist() == frame[parts].sum(axis=1).tolist()
    assert tuple(found.columns) == SBS96
    assert (found.dtypes == np.int64).all()


def test_a_finer_table_must_be_whole(tmp_path):
    frame = table(channels=finer("288"))
    frame.drop(columns="U:A[C>A]A").to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"all 288 SBS96 channels, but 1 are missing: 'U:A\[C>A\]A'"):
        read_catalog(tmp_path / "t.csv")
    broken = frame.astype(object)
    broken.loc["P1", "N:T[T>G]T"] = ""
    broken.to_csv(tmp_path / "t.csv")
    with (
        pytest.warns(UserWarning, match="288 channels"),
        pytest.raises(ValueError, match=r"finite counts, .* row 'P1', column 'N:T\[T>G\]T'"),
    ):
        read_catalog(tmp_path / "t.csv")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", ["Total", "cohort"])
def test_sums_of_the_others_are_named(tmp_path, name, transposed):
    frame = table()
    for summed in (
        frame.assign(**{name: frame.sum(axis=1)}),
        pd.concat([frame, frame.sum().to_frame(name).T]),
    ):
        (summed.T if transposed else summed).to_csv(tmp_path / "t.csv")
        with pytest.raises(
            ValueError, match=rf"channels only, but '{name}' is the sum of the others\. Remove it"
        ):
            read_catalog(tmp_path / "t.csv")


def test_sums_that_mean_nothing_pass(tmp_path):
    frame = table(n=1)
    for same in (pd.concat([frame, frame.set_axis(["P1"])]), pd.concat([frame * 0, frame.set_axis(["P1"])])):
        same.to_csv(tmp_path / "t.csv")  # copies; a lone sample beside an empty one
        pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", on_empty="keep"), same)
    few = pd.DataFrame(0, index=["a", "b", "c"], columns=list(SBS96))
    few.loc[["a", "c"], "A[C>A]A"], few.loc[["b", "c"], "A[C>A]C"] = 1, 1
    few.to_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv"), few)
    few.rename(index={"c": "Sum"}).to_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="'Sum' is the sum of the others"):
        read_catalog(tmp_path / "t.csv")


VCF = """##fileformat=VCFv4.2
##contig=<ID=1,length=99>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
1\t2\t.\tC\tA\t.\t.\t.
"""
MAF = "Hugo_Symbol,Chromosome,Start_Position,Reference_Allele,Tumor_Seq_Allele2,Tumor_Sample_Barcode\n"


def test_calls_are_recognised_and_the_command_is_named(tmp_path):
    (tmp_path / "a.vcf").write_text(VCF)
    (tmp_path / "a.vcf.gz").write_bytes(gzip.compress(VCF.encode()))
    reader = cyvcf2.VCF(str(tmp_path / "a.vcf"))
    writer = cyvcf2.Writer(str(tmp_path / "a.bcf"), reader, mode="wb")
    for record in reader:
        writer.write_record(record)
    writer.close()
    (tmp_path / "a.maf").write_text("#version 2.4\n" + MAF.replace(",", "\t"))
    (tmp_path / "a.tsv").write_text("Chromosome\tPosition\tRef\tAlt\tSample\n1\t2\tC\tA\ts\n")
    kinds = {"a.vcf": "VCF", "a.vcf.gz": "VCF", "a.bcf": "BCF", "a.maf": "MAF", "a.tsv": "table"}
    for name, kind in kinds.items():
        command = rf"latentgenomes count .*{name} --genome FASTA -o DIR, then use DIR/ID83\.csv\."
        with pytest.raises(
            ValueError, match=rf"^{name} must hold a table of counts, .* \({kind}\)\. .* {command}$"
        ):
            read_catalog(tmp_path / name, context="ID83")


def test_usual_tables_say_nothing(tmp_path):
    for context in CHANNELS:
        table(context).to_csv(tmp_path / "t.csv")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pd.testing.assert_frame_equal(read_catalog(tmp_path / "t.csv", context=context), table(context))
