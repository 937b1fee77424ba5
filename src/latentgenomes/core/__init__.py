"""What every study needs and none owns: checks, splits, data files, provenance, the look of figures."""

from latentgenomes.core.doors import open_door

open_door(__name__)
