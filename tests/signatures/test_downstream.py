"""What a run leaves beside its tables: SigProfiler's shapes, figures, what was possible, intervals."""

import numpy as np
import pandas as pd
import pytest

import latentgenomes as lg
from latentgenomes.mutations.cosmic import cosmic_signatures
from latentgenomes.mutations.finer import FINER
from latentgenomes.mutations.profiles import read_signatures
from latentgenomes.mutations.references import Reference
from latentgenomes.signatures.data.sigprofiler import sigprofiler_names
from latentgenomes.signatures.verbs.downstream import save_extraction_tables, save_refit_tables
from latentgenomes.signatures.verbs.drawings import save_extraction_figures, save_refit_figures
from latentgenomes.signatures.verbs.reach import reach

NAMES = ["SBS1", "SBS4", "SBS13"]


def read_activities(path):
    """As tools that follow SigProfilerExtractor read it."""
    table = pd.read_csv(path, sep="\t").set_index("Samples")
    return table.set_axis(table.index.astype(str))


@pytest.fixture(scope="module")
def truth():
    return lg.signatures.simulate(40, signatures=NAMES, random_state=0)


@pytest.fixture(scope="module")
def found(truth):
    return lg.signatures.extract(
        truth.counts, method="gamma_poisson", n_signatures=3, settings={"max_iter": 2}
    )


def test_what_we_write_as_sigprofiler_our_readers_read(found, tmp_path):
    solution = save_extraction_tables(found, tmp_path, Reference())
    assert solution == tmp_path / "SBS96" / "Suggested_Solution"
    own = solution / "SBS96_De-Novo_Solution"
    text = (own / "Signatures" / "SBS96_De-Novo_Signatures.txt").read_text()
    assert text.startswith("MutationType\tSBS96A\tSBS96B\tSBS96C\nA[C>A]A\t0.0")
    signatures = read_signatures(own / "Signatures" / "SBS96_De-Novo_Signatures.txt")
    np.testing.assert_allclose(signatures, found.signatures, atol=1e-7)
    text = (own / "Activities" / "SBS96_De-Novo_Activities_refit.txt").read_text()
    assert text.startswith("Samples\tSBS96A\tSBS96B\tSBS96C\n")
    activities = read_activities(own / "Activities" / "SBS96_De-Novo_Activities_refit.txt")
    np.testing.assert_allclose(activities, found.exposures, atol=0.5)
    assert activities.index.equals(found.counts.index)
    samples = lg.signatures.read_catalog(tmp_path / "SBS96" / "Samples.txt")
    pd.testing.assert_frame_equal(samples, found.counts, check_dtype=False)


def test_the_decomposition_names_cosmic_and_its_activities_are_near_the_truth(found, truth, tmp_path):
    solution = save_extraction_tables(found, tmp_path, Reference()) / "COSMIC_SBS96_Decomposed_Solution"
    header, *rows = (solution / "De_Novo_map_to_COSMIC_SBS96.csv").read_text().splitlines()
    assert header.startswith("De novo extracted, Global NMF Signatures, L1 Error %")
    named = {row.split(", ")[1].split(" ")[1] for row in rows}
    assert named == set(NAMES)
    assert all(row.startswith("Signature 96-SBS96") and float(row.split(", ")[5]) > 0.99 for row in rows)
    activities = read_activities(solution / "Activities" / "COSMIC_SBS96_Activities.txt")
    errors = (activities[NAMES] - truth.exposures).abs().to_numpy().sum()
    assert errors < 0.05 * truth.exposures.to_numpy().sum()


def test_a_signature_like_no_known_one_stands_for_itself(found, tmp_path):
    known = cosmic_signatures().drop(index=["SBS4", *(f"SBS{n}" for n in (18, 29, 24, 36, 45, 94))])
    few = type("Few", (), {"signatures": lambda self, context: known.loc[["SBS1", "SBS13"]]})()
    solution = save_extraction_tables(found, tmp_path, few) / "COSMIC_SBS96_Decomposed_Solution"
    rows = (solution / "De_Novo_map_to_COSMIC_SBS96.csv").read_text().splitlines()[1:]
    alone = [row for row in rows if row.endswith(", 0, 0, 0, 1, 1")]
    assert len(alone) == 1
    name = alone[0].split(",")[0].removeprefix("Signature 96-")
    assert name in read_activities(solution / "Activities" / "COSMIC_SBS96_Activities.txt")


def test_finer_catalogues_are_decomposed_as_sbs96_and_mice_have_no_indels(tmp_path):
    rng = np.random.default_rng(0)
    profiles = rng.dirichlet(np.full(288, 2.0), 2)
    counts = pd.DataFrame(
        rng.poisson(rng.gamma(1.0, 2000.0, (20, 2)) @ profiles), columns=list(FINER["SBS288"])
    ).rename(index=lambda n: f"s{n}")
    found = lg.signatures.extract(counts, method="gamma_poisson", n_signatures=2, settings={"max_iter": 1})
    assert found.signatures.shape == (2, 288)
    assert len(found.matches(build="mm10")) == 2
    solution = save_extraction_tables(found, tmp_path, Reference(build="mm10"))
    assert solution.parent.name == "SBS288"
    assert (solution / "COSMIC_SBS96_Decomposed_Solution" / "De_Novo_map_to_COSMIC_SBS96.csv").is_file()
    other = counts.iloc[:, :83].set_axis(lg.signatures.cosmic(context="ID83").columns, axis=1)
    other = other[other.any(axis=1)]
    found = lg.signatures.extract(other, method="gamma_poisson", n_signatures=1, settings={"max_iter": 1})
    solution = save_extraction_tables(found, tmp_path, Reference(build="mm10"))
    assert [path.name for path in solution.iterdir()] == ["ID83_De-Novo_Solution"]


def test_the_names_go_on_after_z():
    assert sigprofiler_names("CN48", 28)[-3:] == ["CNV48Z", "CNV48AA", "CNV48AB"]


def test_figures_are_the_same_bytes_again(found, tmp_path):
    known = Reference().signatures("SBS96")
    first = save_extraction_figures(found, tmp_path / "a", known, found.matches(known))
    assert {path.stem for path in first} == {
        "number_of_signatures", "signatures_beside_cosmic", "exposures_by_sample", "residuals_by_channel",
    }  # fmt: skip
    second = save_extraction_figures(found, tmp_path / "b", known, found.matches(known))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert "signatures.svg" in {path.name for path in save_extraction_figures(found, tmp_path, None, None)}


def test_what_a_catalogue_allows_is_the_equation_of_the_module(truth):
    known = cosmic_signatures()
    allows = reach(truth.counts, known)
    mean = truth.counts.sum() / truth.counts.to_numpy().sum()
    mixed = 0.75 * mean + 0.25 * known.loc["SBS5"]
    told = (mixed * np.log(mixed / mean)).sum() / 0.25
    assert allows.needed["SBS5"] == pytest.approx(95 * np.log(40) / 2 / told, rel=1e-3)
    assert not allows.narrow
    assert "These are few" not in str(allows)


def test_few_mutations_allow_little_and_it_is_said():
    exomes = lg.signatures.simulate(60, signatures=8, median_mutations=30, random_state=0).counts
    allows = reach(exomes, cosmic_signatures())
    assert allows.narrow
    assert "These are few: one with less than " in str(allows)
    sharp, flat = allows.needed["SBS2"], allows.needed["SBS5"]
    assert sharp < 500 < flat


def test_one_sample_is_refitted_not_extracted(truth):
    with pytest.raises(ValueError, match=r"there is 1\. Refit known signatures to it"):
        lg.signatures.extract(truth.counts.iloc[:1])


@pytest.mark.parametrize(
    ("noise", "burden"), [("poisson", 4000), ("poisson", 400), ("negative_binomial", 4000)]
)
def test_intervals_of_a_refit_cover_where_the_signatures_are_right(noise, burden):
    truth = lg.signatures.simulate(100, signatures=16, noise=noise, median_mutations=burden, random_state=1)
    found = lg.signatures.refit(truth.counts, "SBS96", only=list(truth.signatures.index))
    ends = found.intervals(0.9).pivot(index="sample", columns="signature", values=["lower", "upper"])
    true = truth.exposures
    lower, upper = (ends[end].loc[true.index, true.columns].to_numpy() for end in ("lower", "upper"))
    inside = (lower <= true.to_numpy()) & (true.to_numpy() <= upper)
    large = true.gt(0.05 * true.sum(axis=1), axis=0).to_numpy()
    assert 0.85 - 0.04 < inside[large].mean() < 0.95 + 0.02
    assert inside[true.to_numpy() < 0.5].mean() > 0.95
    exposures = found.exposures[true.columns].to_numpy()
    assert (lower <= exposures).all()
    assert (exposures <= upper).all()
    narrow = found.intervals(0.5)
    assert ((narrow["upper"] - narrow["lower"]) <= (found.intervals(0.9).eval("upper - lower") + 1e-9)).all()
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), but 1 came"):
        found.intervals(1)


def test_a_refit_is_saved_as_sigprofiler_assigns(truth, tmp_path):
    found = lg.signatures.refit(truth.counts, "SBS96", only=[*NAMES, "SBS88"])
    solution = save_refit_tables(found.exposures, found.signatures, tmp_path)
    activities = read_activities(solution / "Activities" / "Assignment_Solution_Activities.txt")
    np.testing.assert_allclose(activities, found.exposures, atol=0.5)
    signatures = read_signatures(solution / "Signatures" / "Assignment_Solution_Signatures.txt")
    held = [name for name in found.signatures.index if found.presence[name].any()]
    np.testing.assert_allclose(signatures.loc[held], found.signatures.loc[held], atol=1e-7)
    assert [path.suffix for path in save_refit_figures(found.exposures, tmp_path)] == [".png", ".svg"]
