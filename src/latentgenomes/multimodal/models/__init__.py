"""Systems that embed or classify tumours from several mutation profiles."""

from latentgenomes.core.doors import open_door

open_door(__name__)
