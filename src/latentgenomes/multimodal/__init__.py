"""Multimodal embedding: tumours by several kinds of mutation profiles at once.

`classify`               your own tumours by organ: how sure, why, and like what
`ClassifiedTumours`      what it answers
`embed`                  your own tumours as vectors
`simulate`               tumours of known types with several profiles
`read_profiles`          your own matrices, joined by sample name
`MutEmbed`               one vector a tumour, from any profiles it has
`FusionAutoencoder`      denoising autoencoder: the best embedding learnt without labels
`FineTunedClassifier`    the same network, tuned to tell types
`LateFusionClassifier`   types from SBS96 and from all profiles, averaged
`TumourClassifier`       types from any profiles, calibrated for new projects
`MLPEnsembleClassifier`  types by an ensemble of small networks
`ProfileFeatures`        profiles as logs, log-ratios and roots
"""

from latentgenomes.core.doors import open_door

open_door(__name__)
