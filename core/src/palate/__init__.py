"""Palate packages trained models so that anything can run them."""
