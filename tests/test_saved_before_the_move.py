"""Models, extractions and archives that version 0.1.0 wrote before the folders moved: they still load.

The files are simulated and lie in ``fixtures/before_the_move``, with what the code answered when it wrote
them. New code must read each and give the same.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from latentgenomes.expression.models import (
    CoxRegression,
    LocalRidgeImputer,
    MaskedRestorer,
    MixtureImputer,
    NeighbourImputer,
    RidgeImputer,
)
from latentgenomes.expression.models.gexbert import GexBERT
from latentgenomes.expression.models.gexbert_classifier import GexBERTClassifier
from latentgenomes.expression.models.gexbert_survival import GexBERTSurvival
from latentgenomes.genotypes.models import CopyingMixture, HaplotypeCodec, HaplotypeVAE, VAECoding
from latentgenomes.genotypes.verbs import decompress_file
from latentgenomes.multimodal.models import (
    FineTunedClassifier,
    FusionAutoencoder,
    LateFusionClassifier,
    MLPEnsembleClassifier,
    MutEmbed,
)
from latentgenomes.multimodal.verbs.embed import embed_files
from latentgenomes.mutations.catalogues import read_catalog
from latentgenomes.signatures.models import (
    KLNMF,
    VAEMS,
    GammaPoissonNMF,
    MuseXAE,
    NegativeBinomialNMF,
    SignerNMF,
)
from latentgenomes.signatures.verbs.extract import extract_signatures
from latentgenomes.signatures.verbs.extraction import Extraction
from latentgenomes.signatures.verbs.refit import refit_known

HERE = Path(__file__).parent / "fixtures" / "before_the_move"
TIMES = [0.2, 1.0]
EXTRACTOR = ("signatures_", "training_exposures_", "transform", "score")
IMPUTER = ("transform", "impute")
CLASSIFIER = ("classes_", "predict_proba", "predict")

#: File, class, which input, and what is asked of the model: methods of the input, or fitted attributes.
MODELS = [
    ("KLNMF", KLNMF, "counts", EXTRACTOR),
    ("KLNMF_consensus", KLNMF, "counts", (*EXTRACTOR, "stability_")),
    ("VAEMS", VAEMS, "counts", EXTRACTOR),
    ("MuseXAE", MuseXAE, "counts", (*EXTRACTOR, "stability_", "restart_signatures_")),
    ("GammaPoissonNMF", GammaPoissonNMF, "counts", EXTRACTOR),
    ("NegativeBinomialNMF", NegativeBinomialNMF, "counts", (*EXTRACTOR, "dispersion_", "exposure_intervals")),
    ("SignerNMF", SignerNMF, "counts", (*EXTRACTOR, "bic_", "exposure_intervals")),
    ("MutEmbed", MutEmbed, "profiles", ("transform", "attention", "score")),
    ("FusionAutoencoder", FusionAutoencoder, "profiles", ("transform", "score")),
    ("MLPEnsembleClassifier", MLPEnsembleClassifier, "profiles", CLASSIFIER),
    ("LateFusionClassifier", LateFusionClassifier, "profiles", CLASSIFIER),
    ("FineTunedClassifier", FineTunedClassifier, "profiles", CLASSIFIER),
    ("RidgeImputer", RidgeImputer, "genes", IMPUTER),
    ("RidgeImputer_components", RidgeImputer, "genes", IMPUTER),
    ("LocalRidgeImputer", LocalRidgeImputer, "genes", IMPUTER),
    ("NeighbourImputer", NeighbourImputer, "genes", IMPUTER),
    ("MixtureImputer", MixtureImputer, "genes", IMPUTER),
    ("MaskedRestorer", MaskedRestorer, "genes", IMPUTER),
    ("MaskedRestorer_plain", MaskedRestorer, "genes", IMPUTER),
    ("GexBERT", GexBERT, "genes", ("transform", "restore", "impute")),
    ("GexBERT_latent", GexBERT, "genes", ("transform", "restore", "impute")),
    ("GexBERTClassifier", GexBERTClassifier, "genes", CLASSIFIER),
    ("GexBERTSurvival", GexBERTSurvival, "genes", ("predict", "predict_survival_function")),
    ("CoxRegression", CoxRegression, "covariates", ("predict", "predict_survival_function")),
    ("CopyingMixture", CopyingMixture, "haplotypes", ("bits", "score", "fingerprint")),
    ("HaplotypeVAE", HaplotypeVAE, "haplotypes", ("transform", "bits", "impute")),
    ("HaplotypeVAE_windows", HaplotypeVAE, "haplotypes", ("transform", "bits", "impute")),
    ("HaplotypeVAE_conditional", HaplotypeVAE, "haplotypes", ("transform", "likeliest_population", "bits")),
]
#: Payload in a container, class of the saved model in it, and the codec around that model.
CONTAINERS = {
    "copying": ("CopyingMixture", CopyingMixture, lambda model: HaplotypeCodec(model=FrozenEstimator(model))),
    "copying_fitted_again": (None, None, lambda model: HaplotypeCodec()),
} | {
    f"{file}_{way}": (
        file,
        HaplotypeVAE,
        lambda model, back=way == "bits_back": HaplotypeCodec(
            "vae", model=VAECoding(FrozenEstimator(model), bits_back=back)
        ),
    )
    for file in ("HaplotypeVAE", "HaplotypeVAE_windows")
    for way in ("bits_back", "rounded")
}
GENOTYPE_FILES = [
    ("all_sites.lg", "panel.vcf", "all_sites.vcf"),
    ("some_sites.lg", "panel.vcf", "some_sites.vcf"),
    ("own_names.lg", "panel.vcf", "own_names.vcf"),
    ("plink.lg", "panel.bed", "plink.bed"),
    ("plink_own_map.lg", "panel.bed", "plink_own_map.bed"),
]
EXTRACTIONS = [("klnmf", KLNMF, [2, 3]), ("negative_binomial", NegativeBinomialNMF, [2, 3, 4])]


def ask(model, question, given):
    """The answer of a model as one array: a method of the input, or an attribute."""
    found = getattr(model, question)
    if question == "fingerprint":
        found = np.frombuffer(found(), dtype=np.uint8)
    elif question == "predict_survival_function":
        found = found(given, TIMES)
    elif callable(found):
        found = found(given)
    return np.stack(found) if isinstance(found, tuple) else np.asarray(found)


def as_fitted(model, given):
    """The input as a table where the model was fitted to one."""
    names = getattr(model, "feature_names_in_", None)
    return given if names is None else pd.DataFrame(given, columns=names)


def assert_same(found, expected):
    """Equal labels and whole numbers; reals within 1e-6, of the largest where they are near 0."""
    assert found.shape == expected.shape
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    largest = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * largest)


@pytest.fixture(scope="module")
def inputs():
    with np.load(HERE / "inputs.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def answers():
    with np.load(HERE / "expected.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize(("file", "kind", "what", "questions"), MODELS, ids=[row[0] for row in MODELS])
def test_a_saved_model_answers_as_before(file, kind, what, questions, inputs, answers):
    model = kind.load(HERE / "models" / f"{file}.safetensors")
    given = as_fitted(model, inputs[what])
    for question in questions:
        assert_same(ask(model, question, given), answers[f"{file}/{question}"])


def test_every_saved_model_is_read():
    files = {path.stem for path in (HERE / "models").glob("*.safetensors")}
    assert files == {row[0] for row in MODELS}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_decodes_to_the_same_calls(name, inputs):
    for package in ("numba", "constriction"):
        pytest.importorskip(package)
    file, kind, codec_of = CONTAINERS[name]
    model = None if file is None else kind.load(HERE / "models" / f"{file}.safetensors")
    codec = codec_of(model).fit(inputs["panel"])
    data = (HERE / "containers" / f"{name}.lghc").read_bytes()
    np.testing.assert_array_equal(codec.decompress(data), inputs["haplotypes"])
    assert codec.compress(inputs["haplotypes"]) == data


@pytest.mark.parametrize(("archive", "panel", "original"), GENOTYPE_FILES)
def test_an_archive_decodes_to_the_same_file(archive, panel, original, tmp_path):
    for package in ("numba", "constriction", "cyvcf2", "bed_reader"):
        pytest.importorskip(package)
    folder = HERE / "archives"
    decompress_file(folder / archive, tmp_path / original, panel=folder / panel)
    written = sorted(path.name for path in tmp_path.iterdir())
    stem = Path(original).stem
    suffixes = (".bed", ".bim", ".fam") if original.endswith(".bed") else (".vcf",)
    assert written == sorted(f"{stem}{suffix}" for suffix in suffixes)
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(("method", "kind", "candidates"), EXTRACTIONS, ids=[row[0] for row in EXTRACTIONS])
def test_an_extraction_loads_and_goes_on_from_its_fits(method, kind, candidates, tmp_path, monkeypatch):
    folder = HERE / f"extract_{method}"
    found = Extraction.load(folder)
    assert type(found.model) is kind
    assert str(found.n_signatures) in found.reason
    tables = {"signatures": found.signatures, "exposures": found.exposures, "catalogue": found.counts}
    for name, table in tables.items():
        written = pd.read_csv(folder / f"{name}.csv", index_col=0)
        pd.testing.assert_frame_equal(table, written, check_names=False, rtol=1e-9)

    counts = read_catalog(HERE / "catalogue.csv", context="SV32")
    pd.testing.assert_frame_equal(counts, found.counts, check_names=False)
    shutil.copytree(folder / "fits", tmp_path / "fits")

    def refuse(self, X, y=None):
        raise AssertionError("a finished fit was not taken from the folder")

    monkeypatch.setattr(kind, "fit", refuse)
    again = extract_signatures(counts, method=method, n_signatures=candidates, folder=tmp_path / "fits")
    pd.testing.assert_frame_equal(again.signatures, found.signatures, rtol=1e-9)
    pd.testing.assert_frame_equal(again.exposures, found.exposures, check_names=False, rtol=1e-9)
    pd.testing.assert_frame_equal(again.selection, found.selection, check_names=False, rtol=1e-6)
    assert again.reason == found.reason


def test_signatures_of_an_extraction_can_be_refitted(answers):
    counts = read_catalog(HERE / "catalogue.csv", context="SV32", on_empty="keep")
    found = refit_known(counts, "SV32", signatures=HERE / "extract_klnmf" / "signatures.csv")
    assert_same(found.exposures.to_numpy(), answers["refit/exposures"])


def test_the_model_of_an_embedding_serves_again():
    pytest.importorskip("mudata")
    paths = {name: HERE / "embed" / f"{name}.csv" for name in ("ID83", "SV32")}
    found = embed_files(paths, model=HERE / "embed" / "mutembed.safetensors")
    for name in ("embedding", "attention"):
        written = pd.read_csv(HERE / "embed" / f"{name}.csv", index_col="sample")
        np.testing.assert_allclose(getattr(found, name), written, rtol=1e-6, atol=1e-7)
        assert list(getattr(found, name).columns) == list(written.columns)


def test_the_model_of_a_restored_matrix_restores_again(answers):
    folder = HERE / "impute"
    given = pd.read_csv(folder / "matrix.csv", index_col=0)
    restored = pd.read_csv(folder / "restored.csv", index_col=0)
    model = MixtureImputer.load(folder / "model.safetensors")
    found = model.impute(given[restored.columns].to_numpy())
    assert_same(found, answers["impute/restored"])
    np.testing.assert_allclose(found, restored, rtol=1e-5)  # written with six digits
