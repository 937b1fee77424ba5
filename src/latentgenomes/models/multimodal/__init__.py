"""Systems that embed or classify tumours from several mutation profiles."""

from latentgenomes.models.multimodal.classifier import MLPEnsembleClassifier
from latentgenomes.models.multimodal.features import ProfileFeatures
from latentgenomes.models.multimodal.finetuning import FineTunedClassifier
from latentgenomes.models.multimodal.fusion import FusionAutoencoder
from latentgenomes.models.multimodal.latefusion import LateFusionClassifier
from latentgenomes.models.multimodal.mutembed import MutEmbed

__all__ = [
    "FineTunedClassifier",
    "FusionAutoencoder",
    "LateFusionClassifier",
    "MLPEnsembleClassifier",
    "MutEmbed",
    "ProfileFeatures",
]
