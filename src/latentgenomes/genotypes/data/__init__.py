"""Loaders: public files, and the reader's own."""

from latentgenomes.core.doors import open_door

open_door(__name__)
