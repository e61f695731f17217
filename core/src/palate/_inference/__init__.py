"""A schema from data, and from the type hints of a function."""
