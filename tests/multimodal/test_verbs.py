"""Embedding a reader's own tumours: the files that come out, a model used again, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latentgenomes.cli import app
from latentgenomes.multimodal.data.profiles import join_profiles, to_wide
from latentgenomes.multimodal.models.mutembed import MutEmbed
from latentgenomes.multimodal.simulate import (
    DEFAULT_TUMOUR_TYPES,
    TumourSettings,
    dirichlet_signatures,
    simulate_tumours,
)
from latentgenomes.multimodal.verbs.embed import embed_files, embed_tumours, match_columns

PROFILES = ("SBS96", "ID83", "CN48", "SV32")
OWN = {
    profile: dirichlet_signatures(
        profile,
        sorted({n for t in DEFAULT_TUMOUR_TYPES.values() for n in t.weights[profile]}),
        random_state=i,
    )
    for i, profile in enumerate(PROFILES)
}


@pytest.fixture(scope="module")
def tumours():
    settings = TumourSettings(fraction_absent=0.0)
    return simulate_tumours(60, signatures=OWN, settings=settings, random_state=0)


@pytest.fixture
def files(tumours, tmp_path):
    """Matrices as SigProfilerMatrixGenerator writes them."""
    paths = {}
    for name, table in tumours.tables.items():
        paths[name] = tmp_path / f"{name}.all"
        table.T.to_csv(paths[name], sep="\t", index_label="MutationType")
    return paths


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_embed_writes_what_the_estimator_gives_and_the_model_serves_again(files, tumours, tmp_path):
    words = [f"{name}={path}" for name, path in files.items()]
    done = call("embed", *words, "-o", tmp_path / "out", "--max-epochs", 3, "--seed", 5)
    assert done.exit_code == 0, done.output
    assert "60 tumours, profiles SBS96, ID83, CN48, SV32" in done.stdout
    table = pd.read_csv(tmp_path / "out" / "embedding.csv", index_col="sample")
    expected = MutEmbed(max_epochs=3, random_state=5).fit(tumours.wide()).transform(tumours.wide())
    np.testing.assert_allclose(table, expected, rtol=1e-6, atol=1e-8)
    assert table.index.tolist() == tumours.samples.index.tolist()
    attention = pd.read_csv(tmp_path / "out" / "attention.csv", index_col="sample")
    assert attention.columns.tolist() == list(PROFILES)
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-6)

    # Half of the tumours, with the saved model: the same embeddings.
    few = [tumours.tables[name].iloc[:30] for name in PROFILES]
    for path, part in zip(files.values(), few, strict=True):
        part.T.to_csv(path, sep="\t", index_label="MutationType")
    model = tmp_path / "out" / "mutembed.safetensors"
    again = call("embed", *words, "-o", tmp_path / "again", "--model", model)
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "again" / "embedding.csv", index_col="sample"), table.iloc[:30], rtol=1e-6
    )


def test_a_profile_that_did_not_come_is_absent_and_not_zero(files, tumours, tmp_path):
    fitted = embed_tumours(tumours.wide(), max_epochs=2)
    path = fitted.model.save(tmp_path / "m.safetensors")
    part = embed_files({name: files[name] for name in ("SBS96", "CN48")}, model=path)
    assert (part.attention[["ID83", "SV32"]].to_numpy() == 0).all()
    np.testing.assert_allclose(part.attention.sum(axis=1), 1)
    hidden = tumours.wide()
    hidden.loc[:, hidden.columns.str.startswith(("ID83", "SV32"))] = np.nan
    np.testing.assert_allclose(part.embedding, fitted.model.transform(hidden))
    # The order of the columns is that of the model.
    swapped = to_wide(join_profiles(dict(reversed(tumours.tables.items()))))
    np.testing.assert_allclose(embed_tumours(swapped, model=fitted.model).embedding, fitted.embedding)


def test_what_does_not_fit_the_model_is_refused(tumours):
    wide = tumours.wide(["SBS96", "ID83"])
    model = embed_tumours(wide, max_epochs=1).model
    with pytest.raises(
        ValueError, match=r"The model knows the profiles SBS96, ID83, but 'CN48', 'SV32' came"
    ):
        match_columns(tumours.wide(), model)
    bare = MutEmbed(max_epochs=1, profiles=(96, 83)).fit(wide.to_numpy())
    with pytest.raises(ValueError, match=r"model must have been fitted on a table with column names"):
        match_columns(wide, bare)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda w, t: ["sbs.all", *w[1:]], 2, "embed takes NAME=VALUE, but got 'sbs.all'"),
        (lambda w, t: [w[0].replace("SBS96", "SBS6"), *w[1:]], 2, "SBS6"),
        (lambda w, t: [*w, "--model", t / "none.safetensors"], 1, "model must be a file that `embed` wrote"),
        (lambda w, t: [w[0], f"ID83={t / 'none.all'}"], 1, "there is none at"),
    ],
)
def test_embed_refuses_in_one_line(files, tmp_path, change, code, message):
    words = change([f"{name}={path}" for name, path in files.items()], tmp_path)
    done = call("embed", *words, "-o", tmp_path / "out", "--max-epochs", 1)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_embed_refuses_files_in_another_order_and_joins_them_on_request(files, tumours, tmp_path):
    tumours.tables["ID83"].iloc[::-1].T.to_csv(files["ID83"], sep="\t", index_label="MutationType")
    words = [f"{name}={path}" for name, path in files.items()]
    done = call("embed", *words, "-o", tmp_path / "out", "--max-epochs", 1)
    assert done.exit_code == 2
    assert "ID83 must list the same samples in the same order" in done.stderr
    aligned = call("embed", *words, "-o", tmp_path / "out", "--max-epochs", 1, "--align")
    assert aligned.exit_code == 0, aligned.output
    table = pd.read_csv(tmp_path / "out" / "embedding.csv", index_col="sample")
    straight = MutEmbed(max_epochs=1, random_state=0).fit_transform(tumours.wide())
    np.testing.assert_allclose(table, straight, rtol=1e-6, atol=1e-8)
