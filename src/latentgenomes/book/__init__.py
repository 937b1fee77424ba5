"""Notebooks as the reader runs them: checked parameters, outputs, pages."""

from latentgenomes.core.doors import open_door

open_door(__name__)
