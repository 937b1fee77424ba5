"""Latent Genomes: autoencoder models for cancer and population genomics, one package a study.

`signatures`   signature extraction
`multimodal`   multimodal embedding of tumours
`genotypes`    population genotypes
`expression`   expression masking and survival
"""

from latentgenomes.core.doors import open_door

open_door(__name__)
