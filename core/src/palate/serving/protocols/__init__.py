"""The protocols: each a way to write a call of a model, and its answer, as bytes."""
