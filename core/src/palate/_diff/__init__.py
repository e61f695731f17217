"""How two models differ, and what of it a caller of the one would notice if the other took its place."""
