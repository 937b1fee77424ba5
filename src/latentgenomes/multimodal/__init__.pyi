from latentgenomes.multimodal import data, evaluate, experiments, figures, models
from latentgenomes.multimodal.data.profiles import read_profiles
from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier
from latentgenomes.multimodal.models.features import ProfileFeatures
from latentgenomes.multimodal.models.finetuning import FineTunedClassifier
from latentgenomes.multimodal.models.fusion import FusionAutoencoder
from latentgenomes.multimodal.models.latefusion import LateFusionClassifier
from latentgenomes.multimodal.models.mutembed import MutEmbed
from latentgenomes.multimodal.models.typer import TumourClassifier
from latentgenomes.multimodal.simulate import simulate_tumours as simulate
from latentgenomes.multimodal.verbs.classify import ClassifiedTumours
from latentgenomes.multimodal.verbs.classify import classify_tumours as classify
from latentgenomes.multimodal.verbs.embed import embed_tumours as embed

__all__ = [
    "ClassifiedTumours",
    "FineTunedClassifier",
    "FusionAutoencoder",
    "LateFusionClassifier",
    "MLPEnsembleClassifier",
    "MutEmbed",
    "ProfileFeatures",
    "TumourClassifier",
    "classify",
    "data",
    "embed",
    "evaluate",
    "experiments",
    "figures",
    "models",
    "read_profiles",
    "simulate",
]
