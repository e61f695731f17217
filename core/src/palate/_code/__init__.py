"""Code that comes with a model: found in pickles and sources, isolated, run only when trusted."""
