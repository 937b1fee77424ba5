"""Scores: arrays in, tidy frames out."""

from latentgenomes.core.doors import open_door

open_door(__name__)
