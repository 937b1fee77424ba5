"""Tidy frame and axes in, axes out."""

from latentgenomes.core.doors import open_door

open_door(__name__)
