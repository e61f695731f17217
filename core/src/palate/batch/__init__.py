"""Predictions for any number of rows."""
