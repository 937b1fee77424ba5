"""Signatures from a file, and refitting them from the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latentgenomes.cli import app
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.profiles import read_signatures
from latentgenomes.signatures.models.refitting import refit_sparse
from latentgenomes.signatures.simulate import simulate_signature_catalogs
from latentgenomes.signatures.verbs.refit import refit_known


@pytest.fixture
def known():
    return cosmic_signatures().loc[["SBS1", "SBS2", "SBS13", "SBS4"]]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_table_comes_back_in_every_layout(known, tmp_path, separator, turned):
    shuffled = known.sample(frac=1, axis=1, random_state=0)
    (shuffled.T if turned else shuffled).to_csv(tmp_path / "mine.txt", sep=separator)
    pd.testing.assert_frame_equal(read_signatures(tmp_path / "mine.txt"), known, check_names=False)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t.drop(columns="A[C>A]A"),
            r"96 channels of SBS96 once, but has 95 columns; missing: A\[C>A\]A",
        ),
        (lambda t: t.rename(columns={"A[C>A]A": "A[C>X]A"}), "unknown: A\\[C>X\\]A"),
        (lambda t: t * 2, "sum to 1"),
        (lambda t: -t, "mine.csv"),
    ],
)
def test_a_bad_table_is_refused(known, tmp_path, spoil, message):
    spoil(known).to_csv(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match=message):
        read_signatures(tmp_path / "mine.csv")


def test_an_unknown_context_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"context must be one of SBS96, .*, but it is 'SBS7'"):
        read_signatures(tmp_path / "mine.csv", context="SBS7")


def test_a_subset_is_what_is_refitted(known):
    truth = simulate_signature_catalogs(20, signatures=known, random_state=0)
    found = refit_known(truth.counts, "SBS96", only=["SBS4", "SBS2"])
    pd.testing.assert_frame_equal(
        found.exposures, refit_sparse(truth.counts, known.loc[["SBS4", "SBS2"]]).exposures
    )
    with pytest.raises(ValueError, match="'SBS0' is none of"):
        refit_known(truth.counts, "SBS96", only=["SBS0"])


def test_the_command_writes_tables_and_says_who_holds_what(known, tmp_path):
    truth = simulate_signature_catalogs(40, signatures=known, random_state=0)
    truth.counts.to_csv(tmp_path / "mine.csv")
    known.to_csv(tmp_path / "known.csv")
    words = [
        "refit",
        str(tmp_path / "mine.csv"),
        "-o",
        str(tmp_path / "out"),
        "-s",
        str(tmp_path / "known.csv"),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    exposures = pd.read_csv(tmp_path / "out" / "exposures.csv", index_col=0)
    true = truth.exposures.reindex(columns=exposures.columns)
    np.testing.assert_array_equal((exposures > 0).mean() > 0, (true >= 0.5).mean() > 0)
    assert np.corrcoef(exposures.to_numpy().ravel(), true.to_numpy().ravel())[0, 1] > 0.98
    assert len(pd.read_csv(tmp_path / "out" / "p_values.csv")) == 40
    refused = CliRunner().invoke(app, [*words, "--only", "SBS99"])
    assert refused.exit_code == 2
    assert "'SBS99' is none of 4" in refused.stderr
