"""SigProfilerAssignment on frames: aligned, silent, and without a trace."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from latentgenomes.mutations.channels import CHANNELS
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.signatures.data import assignment
from latentgenomes.signatures.data.assignment import assign_with_sigprofiler
from latentgenomes.signatures.simulate import simulate_signature_catalogs

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("SigProfilerAssignment") is None, reason="SigProfilerAssignment is not installed"
)


@needs_package
def test_it_finds_what_was_put_in_in_any_order_and_leaves_no_trace(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = simulate_signature_catalogs(4, signatures=["SBS1", "SBS5", "SBS2", "SBS13", "SBS4"], noise="none")
    counts = data.counts.set_axis(["a::1", "b 2", "c", "d"]).iloc[:, ::-1]
    counts.loc["empty"] = 0
    before, state = counts.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    # Decoys of another kind. The signatures come in another order of channels than the counts.
    reference = cosmic_signatures().loc[["SBS13", "SBS7a", "SBS17b", "SBS5", "SBS4", "SBS2", "SBS1"]]
    found = assign_with_sigprofiler(counts, reference)
    assert found.index.equals(counts.index)
    assert found.columns.equals(reference.index)
    truth = data.exposures.set_axis(["a::1", "b 2", "c", "d"])
    np.testing.assert_allclose(
        found.loc[truth.index, truth.columns], truth, atol=0.02 * truth.sum(axis=1).max()
    )
    np.testing.assert_array_equal(found.sum(axis=1), counts.sum(axis=1))
    assert (found.loc["empty"] == 0).all()
    pd.testing.assert_frame_equal(counts, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@needs_package
@pytest.mark.parametrize(("context", "names"), [("ID83", ["ID1", "ID2"]), ("SV32", ["SV1", "SV2"])])
def test_other_classifications_with_cosmics_own_signatures(context, names):
    table = cosmic_signatures("3.4", context, genome="GRCh38" if context == "SV32" else "GRCh37")
    mixture = 3000 * table.loc[names[0]] + 2000 * table.loc[names[1]]
    found = assign_with_sigprofiler(mixture.round().to_frame("a").T)
    assert found.columns.equals(table.index)
    assert found.loc["a", names].tolist() == pytest.approx([3000, 2000], rel=0.05)


def test_refusals_say_what_came_and_what_to_do(monkeypatch):
    counts = pd.DataFrame(1, index=["a"], columns=list(CHANNELS["SBS96"]))
    with pytest.raises(ValueError, match=r"channels of one of SBS96, .* their 95 columns are of none"):
        assign_with_sigprofiler(counts.iloc[:, 1:])
    with pytest.raises(ValueError, match=r"signatures must have the SBS96 channels of the counts"):
        assign_with_sigprofiler(counts, pd.DataFrame(1 / 83, index=["x"], columns=list(CHANNELS["ID83"])))
    with pytest.raises(ValueError, match=r"^counts must hold whole counts"):
        assign_with_sigprofiler(counts * 0.5)
    monkeypatch.setattr(assignment, "_PROGRAM", "import sys; sys.exit('no such thing')")
    with pytest.raises(RuntimeError, match=r"but it ended with 1 and said: no such thing\. Check counts"):
        assign_with_sigprofiler(counts, counts / 96)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"SigProfilerAssignment is not installed; install it with: pip"):
        assign_with_sigprofiler(counts)
