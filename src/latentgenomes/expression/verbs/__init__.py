"""What a user asks for in one call."""

from latentgenomes.core.doors import open_door

open_door(__name__)
