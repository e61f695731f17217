"""Data against a schema: plans compiled once per model, that check or convert losslessly."""
