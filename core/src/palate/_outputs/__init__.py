"""Predictions in the container that the caller asks for: taken apart into columns or arrays, then put together."""
