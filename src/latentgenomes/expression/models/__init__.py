"""Systems that restore masked expression, and what is predicted from expression: type and survival."""

from latentgenomes.core.doors import open_door

open_door(__name__)
