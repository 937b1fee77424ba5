"""Mutations, shared by two studies: channels, catalogues, COSMIC, PCAWG, and how spectra are drawn."""

from latentgenomes.core.doors import open_door

open_door(__name__)
