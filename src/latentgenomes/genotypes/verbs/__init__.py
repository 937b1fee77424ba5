"""What a user asks for in one call: a file of calls to an archive, and back."""

from latentgenomes.core.doors import open_door

open_door(__name__)
