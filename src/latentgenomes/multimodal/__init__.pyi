from latentgenomes.multimodal import data, evaluate, experiments, figures, models
from latentgenomes.multimodal.data.profiles import read_profiles
from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier
from latentgenomes.multimodal.models.features import ProfileFeatures
from latentgenomes.multimodal.models.finetuning import FineTunedClassifier
from latentgenomes.multimodal.models.fusion import FusionAutoencoder
from latentgenomes.multimodal.models.latefusion import LateFusionClassifier
from latentgenomes.multimodal.models.mutembed import MutEmbed
from latentgenomes.multimodal.simulate import simulate_tumours as simulate
from latentgenomes.multimodal.verbs import embed_tumours as embed

__all__ = [
    "FineTunedClassifier",
    "FusionAutoencoder",
    "LateFusionClassifier",
    "MLPEnsembleClassifier",
    "MutEmbed",
    "ProfileFeatures",
    "data",
    "embed",
    "evaluate",
    "experiments",
    "figures",
    "models",
    "read_profiles",
    "simulate",
]
