"""Models of haplotypes, and the codec that turns them into bytes."""

from latentgenomes.core.doors import open_door

open_door(__name__)
