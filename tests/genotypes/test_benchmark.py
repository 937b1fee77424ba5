"""The acceptance table of the genotype study reads stored tables and judges them."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "genotypes.py"


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.syspath_prepend(SOURCE.parent)  # it stands on the file beside it
    spec = importlib.util.spec_from_file_location("genotypes_benchmark", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, name, rows):
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


def measured(lines, folder):
    return lines.acceptance(folder).set_index("what")[["measured", "reached"]]


def test_without_tables_every_line_says_so(lines, tmp_path):
    table = measured(lines, tmp_path)
    assert len(table) == 15
    assert set(table["measured"]) == {lines.MISSING}
    assert set(table["reached"]) == {"-"}


@pytest.mark.parametrize(("ratio", "reached"), [(41.0, "yes"), (39.9, "NO")])
def test_the_worst_split_of_the_codec_decides(lines, tmp_path, ratio, reached):
    rows = []
    for split, own in enumerate((45.0, ratio)):
        ratios = {"HaplotypeCodec": own, "zstd after the panel": 20.0, "Li-Stephens, one setting": 37.0}
        for method, value in ratios.items():
            row = {"split": split, "method": method, "level": "all", "group": "all", "n_haplotypes": 500}
            rows.append(row | {"ratio": value, "known": "panel", "ratio_counted": 3.0})
    write(tmp_path, "compression", rows)
    # Simulated animals in a table of the same columns are no held-out people.
    write(tmp_path, "canids", [rows[0] | {"n_haplotypes": 72, "ratio": 1.0}])
    text, word = measured(lines, tmp_path).loc["best codec, real bytes"]
    assert f"mean of 2 splits; 45.0, {ratio}" in text
    assert word == reached


def test_speed_and_linear_cost(lines, tmp_path):
    rows = [
        {"data": name, "n_snps": n, "encode_per_second": 300, "decode_per_second": 250, "peak_mb": 900}
        for name, n in (("LCT window", 1261), ("simulated", 1000), ("simulated", 100_000))
    ]
    costs = 3.0, 3.0, 3.5
    write(
        tmp_path, "scaling", [row | {"microseconds_per_call": c} for row, c in zip(rows, costs, strict=True)]
    )
    table = measured(lines, tmp_path)
    assert list(table.loc["encode and decode, one core, a second"]) == ["300 encoded, 250 decoded", "yes"]
    text, word = table.loc["cost linear in SNPs, peak memory"]
    assert text == "3.00 to 3.50 microseconds a call from 1000 to 100000 SNPs; peak 0.9 GB"
    assert word == "yes"


def test_one_file_decoded_wrong_fails_the_round_trip(lines, tmp_path):
    rows = [
        {"what": what, "kind": "any", "n": 10_000, "right": 10_000, "silently_wrong": 0}
        for what in ("arrays decoded bit for bit", "files refused")
    ]
    write(tmp_path, "roundtrip", rows)
    assert measured(lines, tmp_path).loc["round trip", "reached"] == "yes"
    write(tmp_path, "roundtrip", [rows[0], rows[1] | {"right": 9_999, "silently_wrong": 1}])
    assert measured(lines, tmp_path).loc["round trip", "reached"] == "NO"


def test_the_network_is_judged_by_all_aims_at_once(lines, tmp_path):
    good = {
        "source": "VAE causal, mixture",
        "repeat": 0,
        "frequency_correlation": 0.999,
        "r2_near": 0.98,
        "wasserstein": 0.05,
        "aats_truth": 0.45,
        "aats_synthetic": 0.55,
    }
    write(tmp_path, "simulation", [good, good | {"source": "GAN", "r2_near": 0.1}])
    text, word = measured(lines, tmp_path).loc["805-SNP simulation, best single model"]
    assert text.startswith("VAE causal, mixture: AF 0.9990")
    assert word == "yes"
    write(tmp_path, "simulation", [good | {"aats_synthetic": 0.7}])
    assert measured(lines, tmp_path).loc["805-SNP simulation, best single model", "reached"] == "NO (AATS)"
    byte = {"split": 0, "method": "improved: bytes, bits back", "ratio": 24.0, "encoded_per_second": 900.0}
    write(tmp_path, "vae", [byte, byte | {"method": "improved: bytes, rounded", "ratio": 19.0}])
    text, word = measured(lines, tmp_path).loc["VAE alone, real bytes"]
    assert (text, word) == ("improved, bits back 24.0; improved, rounded 19.0", "yes")


def test_ancestry_falls_with_any_verdict_below_noise(lines, tmp_path):
    base = {"dataset": "TGP", "level": "region", "method": "pca16", "mean": 0.99, "verdict": "baseline"}
    write(tmp_path, "ancestry", [base, base | {"method": "vae16", "mean": 0.985, "verdict": "within noise"}])
    text, word = measured(lines, tmp_path).loc["ancestry, grouped cross-validation"]
    assert (text, word) == ("TGP region 0.985 against 0.990 (within noise)", "yes")
    write(tmp_path, "ancestry", [base, base | {"method": "vae16", "mean": 0.9, "verdict": "lower"}])
    assert measured(lines, tmp_path).loc["ancestry, grouped cross-validation", "reached"] == "NO"


def test_archives_are_judged_by_every_row(lines, tmp_path):
    rows = [
        {
            "what": "alone, common",
            "method": "archive",
            "ratio": 36.5,
            "write_per_second": 4e6,
            "read_per_second": 4e6,
        },
        {"what": "alone, common", "method": "copying, growing panel", "ratio": 33.0, "write_per_second": 1e5}
        | {"read_per_second": 1e5},
        {"what": "alone, variable", "method": "archive", "ratio": 84.0},
        {"what": "beside a panel", "method": "archive", "ratio": 43.0},
        {"what": "beside a panel", "method": "copying", "ratio": 44.0},
    ]
    write(tmp_path, "archives", [row | {"bytes": 10} for row in rows])
    sizes = {"archive, 4096 sites a block": 100, "BCF (htslib)": 300}
    write(
        tmp_path,
        "archive_files",
        [{"file": name, "file_bytes": n, "times_smallest": n / 100} for name, n in sizes.items()],
    )
    write(
        tmp_path,
        "archive_parts",
        [{"region_sites": 9, "blocks": 1, "share_of_time": x} for x in (0.02, 0.09)],
    )
    write(tmp_path, "archive_altered", [{"altered": "bit", "n": 10_000, "refused": 9_999, "other_calls": 1}])
    table = measured(lines, tmp_path)["reached"]
    assert table["alone, 5,008 haplotypes, everything counted"] == "yes"
    assert table["alone, all variable SNPs"] == "NO"
    assert table["archive beside a panel, one split"] == "NO"
    assert table["write and read, SNP-haplotypes a second of one core"] == "yes"
    assert table["a whole real file, all records"] == "yes"
    assert table["1% of a chromosome, ten people"] == "NO"
    assert table["altered archives"] == "NO"
