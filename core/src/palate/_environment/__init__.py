"""What surrounds a model: the packages that it needs, and the commit that it was saved from."""
