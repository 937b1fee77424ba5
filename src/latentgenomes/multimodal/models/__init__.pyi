from latentgenomes.multimodal.models.classifier import MLPEnsembleClassifier
from latentgenomes.multimodal.models.features import ProfileFeatures
from latentgenomes.multimodal.models.finetuning import FineTunedClassifier
from latentgenomes.multimodal.models.fusion import FusionAutoencoder
from latentgenomes.multimodal.models.latefusion import LateFusionClassifier
from latentgenomes.multimodal.models.mutembed import MutEmbed

__all__ = [
    "FineTunedClassifier",
    "FusionAutoencoder",
    "LateFusionClassifier",
    "MLPEnsembleClassifier",
    "MutEmbed",
    "ProfileFeatures",
]
