"""A model in a process of its own: what crosses to it and back, how it is started, watched and replaced."""
