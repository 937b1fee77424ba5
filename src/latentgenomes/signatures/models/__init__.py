"""Systems that extract mutational signatures: catalogue = exposures x signatures + noise."""

from latentgenomes.core.doors import open_door

open_door(__name__)
