"""What the notebooks run: comparisons, ablations, tables of full runs."""

from latentgenomes.core.doors import open_door

open_door(__name__)
