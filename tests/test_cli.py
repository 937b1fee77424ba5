"""The command line: what it prints, and which exit code a mistake gives."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from safetensors import SafetensorError
from typer.testing import CliRunner

from latentgenomes import cli
from latentgenomes.book import notebooks
from latentgenomes.core import registry
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.evaluate import cosine_similarity, recovery
from latentgenomes.signatures.simulate import simulate_signature_catalogs

COMMAND = Path(sys.executable).with_name("latentgenomes")
PARAMETERS = """n: int = 3  # how many; 1 to 9
output_dir: str = ""  # folder"""


@pytest.fixture
def call():
    return lambda *words: CliRunner().invoke(cli.app, list(words))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell("10 / (n - 1)")]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "toy.ipynb")
    monkeypatch.setattr(notebooks, "locate", lambda relative: tmp_path / relative)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_installed_command_works():
    done = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"latentgenomes {metadata.version('latentgenomes')}\n"
    done = subprocess.run(
        [COMMAND, "run", "no_such", "-o", "out"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: There is no notebook 'no_such'.")
    assert "Traceback" not in done.stderr


def test_help_comes_without_arguments(call):
    text = call().output
    assert "data" in text
    assert "run" in text


def test_help_groups_the_commands_by_study_and_loads_nothing_slow():
    script = """import sys
from safetensors import SafetensorError
from typer.testing import CliRunner
from latentgenomes.cli import app
print(CliRunner().invoke(app, ["--help"]).output)
assert not {"numpy", "pandas", "torch", "matplotlib", "nbformat"} & set(sys.modules)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    words = done.stdout.split()
    groups = ("Signatures", "extract", "Tumours", "embed", "Genotypes", "compress", "Expression", "impute")
    places = [words.index(word) for word in groups]
    assert places == sorted(places)


def test_the_shell_completes_commands():
    env = {
        **os.environ,
        "_LATENTGENOMES_COMPLETE": "complete_bash",
        "COMP_WORDS": "latentgenomes ex",
        "COMP_CWORD": "1",
    }
    done = subprocess.run([COMMAND], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["extract"]


def test_the_list_of_data_holds_every_registered_file(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(tmp_path))
    table = registry.load_registry()
    name = table["name"][0]
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    lines = call("data", "list").stdout.splitlines()
    assert len(lines) == 1 + len(table)
    assert [line.split()[0] for line in lines[1:]] == list(table["name"])
    assert [" yes " in line for line in lines[1:]] == [True] + [False] * (len(table) - 1)


def test_data_that_is_not_at_hand(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(tmp_path))
    name = registry.load_registry()["name"][0]
    result = call("data", "verify")
    assert (result.exit_code, result.stdout) == (
        0,
        "No file is at hand. Fetch some with: latentgenomes data fetch\n",
    )
    for verb in ("verify", "fetch"):
        result = call("data", verb, name)
        assert result.exit_code == 1
        assert "Error: " in result.stderr
        assert "Traceback" not in result.stderr
        assert name in result.stderr
    result = call("data", "fetch", "no_such_file")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no_such_file" in result.stderr


def test_every_damaged_file_is_named(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTGENOMES_MIRROR", str(tmp_path))
    names = list(registry.load_registry()["name"][:2])
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("cut off")
    result = call("data", "verify")
    assert result.exit_code == 1
    assert all(name in result.stderr for name in names)


def test_notebooks_and_their_parameters_are_shown(call, folder):
    assert call("run", "--list").stdout == "toy\n"
    lines = call("run", "toy", "--help-parameters").stdout.splitlines()
    assert lines[0].split() == ["name", "type", "default", "allowed", "meaning"]
    assert lines[1].split() == ["n", "int", "3", "1", "to", "9", "how", "many"]
    assert len(lines) == 3


def test_a_run_prints_where_its_pages_are(call, folder):
    result = call("run", "toy", "-p", "n=6", "-o", "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(folder / "out" / f"toy.{kind}") for kind in ("ipynb", "html")]
    assert ">2.0<" in (folder / "out" / "toy.html").read_text().replace("\n", "").replace(" ", "")


def test_a_failing_notebook_gives_one_and_names_the_cell(call, folder):
    result = call("run", "toy", "-p", "n=1", "-o", "out")
    assert result.exit_code == 1
    assert "toy failed in cell 2 (10 / (n - 1)): ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy", "-p", "n=0", "-o", "out"], "n must be 1 to 9, but is '0'"),
        (["toy", "-p", "m=2", "-p", "n=x", "-o", "out"], "unknown parameter 'm'"),
        (["toy", "-p", "n", "-o", "out"], "-p takes NAME=VALUE, but got 'n'"),
        (["toy", "-f", "absent.yaml", "-o", "out"], "'absent.yaml' is not there"),
        (["toy", "-p", "n=2"], "Name the folder for the results with -o OUT"),
        (["-o", "out"], "Name a notebook; `latentgenomes run --list` shows them"),
    ],
)
def test_wrong_parameters_give_two(call, folder, words, message):
    result = call("run", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (folder / "out").exists()


def test_an_absent_extra_is_one_line(call, folder, monkeypatch):
    def absent(module, extra):
        raise ImportError(f"{module} is not installed; install it with: pip install 'latentgenomes[{extra}]'")

    monkeypatch.setattr(notebooks, "require", absent)
    result = call("run", "toy", "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: papermill is not installed; install it with: pip install 'latentgenomes[book]'"
    ]


def test_extract_writes_everything_and_explains_the_choice(call, tmp_path):
    truth = simulate_signature_catalogs(60, signatures=3, median_mutations=2000, random_state=1)
    truth.counts.T.to_csv(tmp_path / "mine.csv")
    words = ("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"), "--no-report")
    done = call(*words, "--n-signatures", "2-5")
    assert done.exit_code == 0, done.output
    assert "highest at 3 signatures" in done.stdout
    signatures = pd.read_csv(tmp_path / "out" / "signatures.csv", index_col=0)
    assert recovery(signatures, truth.signatures, (0.9,))["f1"].tolist() == [1.0]
    assert len(pd.read_csv(tmp_path / "out" / "matches.csv")) == 3
    assert sum(line.endswith(" found") for line in done.stdout.splitlines()) == 3
    intervals = pd.read_csv(tmp_path / "out" / "intervals.csv")
    assert len(intervals) == 60 * 3
    assert (
        (intervals["lower"] <= intervals["exposure"]) & (intervals["exposure"] <= intervals["upper"])
    ).all()
    assert not (tmp_path / "out" / "report.html").exists()
    assert call(*words, "--n-signatures", "4-2").exit_code == 2


def test_extract_leaves_its_report(call, tmp_path):
    truth = simulate_signature_catalogs(30, signatures=2, median_mutations=2000, random_state=1)
    truth.counts.to_csv(tmp_path / "mine.csv")
    out = tmp_path / "out"
    done = call("extract", str(tmp_path / "mine.csv"), "-o", str(out), "--n-signatures", "2")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-2:] == [str(out / "report.html"), str(out)]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "2 was asked for." in page
    assert page.count("<img") == 4
    for hidden in ("Extraction.load(results)", "default</th>", str(tmp_path), "{term}", "By The Latent"):
        assert hidden not in page
    cells = nbformat.read(out / "report.ipynb", as_version=4).cells
    given = [cell.source for cell in cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert 'results = "."' in given[0]  # the folder can be moved with its report


def test_extract_starts_from_known_signatures_and_says_what_became_of_them(call, tmp_path):
    truth = simulate_signature_catalogs(40, signatures=["SBS1", "SBS4", "SBS13"], random_state=1)
    truth.counts.to_csv(tmp_path / "mine.csv")
    cosmic_signatures().loc[["SBS1", "SBS4", "SBS7a", "SBS13"]].to_csv(tmp_path / "known.csv")
    words = ("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"), "--no-report")
    done = call(*words, "--known", str(tmp_path / "known.csv"))
    assert done.exit_code == 0, done.output
    assert "3 of 4 known signatures are in use, none is new." in done.stdout
    table = pd.read_csv(tmp_path / "out" / "verdicts.csv", index_col=0)
    assert table["verdict"].to_dict() == dict.fromkeys(["SBS1", "SBS4", "SBS13"], "known")
    assert set(pd.read_csv(tmp_path / "out" / "exposures.csv", index_col=0)) == {"SBS1", "SBS4", "SBS13"}
    for options, message in (
        (("--known", "COSMIC", "--n-signatures", "3"), "Leave out --method and --n-signatures"),
        (("--known", "no.csv"), "--known takes COSMIC or a table of signatures, but there is no file no.csv"),
    ):
        done = call(*words, *options)
        assert done.exit_code == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_extract_sends_one_sample_to_refit_and_says_what_else_cannot_be(call, tmp_path):
    counts = simulate_signature_catalogs(8, signatures=2, median_mutations=2000, random_state=1).counts
    counts.iloc[:1].to_csv(tmp_path / "one.csv")
    done = call("extract", str(tmp_path / "one.csv"), "-o", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert f"latentgenomes refit {tmp_path / 'one.csv'} --context SBS96 -o DIR" in done.stderr
    counts.to_csv(tmp_path / "mine.csv")
    words = ("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"))
    for options, message in (
        (("--tumours", "brest"), "tumours must name one of adrenal,"),
        (("--context", "SBS288"), "must hold the channels of SBS288, but it holds those of SBS96"),
        (("--context", "SBS6"), "context must be one of SBS96, ID83,"),
    ):
        done = call(*words, *options)
        assert done.exit_code == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_mouse_is_compared_with_the_table_of_its_build_and_names_are_doubted(call, tmp_path):
    truth = simulate_signature_catalogs(30, signatures=["SBS5", "SBS7a"], random_state=1)
    truth.counts.to_csv(tmp_path / "mine.csv")
    words = ("extract", str(tmp_path / "mine.csv"), "--no-report", "--n-signatures", "2", "-o")
    done = call(*words, str(tmp_path / "out"), "--build", "mm10", "--tumours", "breast")
    assert done.exit_code == 0, done.output
    matches = pd.read_csv(tmp_path / "out" / "matches.csv").set_index("reference")
    mouse = cosmic_signatures(genome="mm10")
    own = pd.read_csv(tmp_path / "out" / "signatures.csv", index_col=0)
    assert matches.loc["SBS7a", "cosine"] == pytest.approx(
        cosine_similarity(own.loc[[matches.loc["SBS7a", "signature"]]], mouse.loc[["SBS7a"]]).iloc[0, 0]
    )
    assert matches.loc["SBS7a", "doubt"] == "ultraviolet light is not expected in breast"
    done = call(*words, str(tmp_path / "none"), "--build", "mm99")
    assert done.exit_code == 0, done.output
    assert "no names of COSMIC's: COSMIC has no SBS96 genome signatures" in done.stderr
    assert not (tmp_path / "none" / "matches.csv").exists()
    assert (tmp_path / "none" / "figures" / "signatures.svg").is_file()
    assert call("refit", str(tmp_path / "mine.csv"), "-o", "x", "--build", "mm99").exit_code == 2


def test_samples_without_mutations_are_left_out_of_an_extraction(call, tmp_path):
    counts = simulate_signature_catalogs(12, signatures=2, median_mutations=2000, random_state=1).counts
    names = list(counts.index)
    counts.loc[names[4:6]] = 0
    counts.to_csv(tmp_path / "mine.csv")
    words = ("extract", str(tmp_path / "mine.csv"), "--no-report", "--n-signatures", "2", "-o")
    done = call(*words, str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert f"2 of 12 samples have no mutation ({names[4]!r}, {names[5]!r})." in done.stderr
    exposures = pd.read_csv(tmp_path / "out" / "exposures.csv", index_col=0)
    assert exposures.index.tolist() == names
    assert (exposures.sum(axis=1) > 0).tolist() == [name not in names[4:6] for name in names]
    counts.drop(index=names[4:6]).to_csv(tmp_path / "mine.csv")
    assert call(*words, str(tmp_path / "without")).exit_code == 0
    without = pd.read_csv(tmp_path / "without" / "exposures.csv", index_col=0)
    pd.testing.assert_frame_equal(exposures.loc[without.index], without)
    (counts * 0).to_csv(tmp_path / "mine.csv")
    done = call(*words, str(tmp_path / "empty"))
    assert done.exit_code == 2
    assert (
        done.stderr
        == "Error: mine.csv must hold mutations, but all of its 12 samples have none. Check the file.\n"
    )


def test_calls_are_counted_and_then_refitted(call, tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGTTGCAGG" * 20 + "\n")
    rows = [f"1\t{10 * i + 2}\t.\tC\tT\t.\t{'PASS' if i else 'weak'}\t." for i in range(15)]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "P1.vcf").write_text(header + "\n".join([*rows, "1\t104\t.\tTT\tT\t.\t.\t.", ""]))
    words = (
        "count",
        str(tmp_path / "P1.vcf"),
        "--genome",
        str(tmp_path / "g.fa"),
        "-o",
        str(tmp_path / "out"),
    )
    done = call(*words)
    assert done.exit_code == 0, done.output
    note = "1 call left out: the FILTER is not PASS (weak 1)."
    assert done.stdout.splitlines() == [
        "samples 1",
        "SBS96 14",
        "ID83 1",
        "DBS78 0",
        note,
        str(tmp_path / "out"),
    ]
    assert (tmp_path / "out" / "notes.txt").read_text() == note + "\n"
    assert pd.read_csv(tmp_path / "out" / "ID83.csv", index_col=0).loc["P1", "1:Del:T:1"] == 1
    done = call(*words, "--all")
    assert done.stdout.splitlines()[1] == "SBS96 15"
    assert (tmp_path / "out" / "notes.txt").read_text() == ""
    catalogue = str(tmp_path / "out" / "SBS96.csv")
    assert call("refit", catalogue, "-o", str(tmp_path / "refit"), "--only", "SBS1,SBS5").exit_code == 0
    for command in ("extract", "refit"):
        done = call(command, str(tmp_path / "P1.vcf"), "-o", str(tmp_path / "no"))
        assert done.exit_code == 2
        assert (
            f"latentgenomes count {tmp_path / 'P1.vcf'} --genome FASTA -o DIR, then use DIR/SBS96.csv"
            in done.stderr
        )
    (tmp_path / "g.fa").write_text(">chr1\n" + "GGGGGGGGGG" * 20 + "\n")
    done = call(*words[:-1], str(tmp_path / "no"))
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: Calls must be on the build of the genome, but 15 of 15 (100.0%)")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-signatures", "many"], "takes auto, a number"),
        (["--method", "pca"], "method must be one of negative_binomial"),
    ],
)
def test_extract_refuses_in_one_line(call, tmp_path, options, message):
    simulate_signature_catalogs(20, signatures=2, random_state=1).counts.to_csv(tmp_path / "mine.csv")
    done = call("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"), *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_says_that_the_command_goes_on(call, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("latentgenomes.signatures.verbs.extract.extract_signatures", stop)
    simulate_signature_catalogs(20, signatures=2, random_state=1).counts.to_csv(tmp_path / "mine.csv")
    done = call("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"))
    assert done.exit_code == 130
    assert done.stderr == "Stopped. The same command goes on from what is finished in its folder.\n"


def test_a_full_disk_is_one_line(call, tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("latentgenomes.signatures.verbs.extract.extract_signatures", full)
    simulate_signature_catalogs(20, signatures=2, random_state=1).counts.to_csv(tmp_path / "mine.csv")
    done = call("extract", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out"))
    assert (done.exit_code, done.stderr) == (1, "Error: I/O error: No space left on device\n")


def test_refit_leaves_its_report(call, tmp_path):
    truth = simulate_signature_catalogs(20, signatures=["SBS1", "SBS5", "SBS13"], random_state=1)
    truth.counts.to_csv(tmp_path / "mine.csv")
    out = tmp_path / "out"
    done = call("refit", str(tmp_path / "mine.csv"), "-o", str(out), "--only", "SBS1,SBS5,SBS13,SBS3")
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 1
    assert "SBS13" in page
    assert str(tmp_path) not in page
    assert nbformat.read(out / "report.ipynb", as_version=4).cells
