"""A framework of one model, for the tests of the conformance kit."""

from __future__ import annotations

import numpy as np

from lines import extra

__all__ = ["Line", "extra"]


class Line:
    """A sum of weighted columns."""

    def __init__(self, weights: object = (), bias: float = 0.0) -> None:
        self.weights = np.asarray(weights, dtype=float)
        self.bias = float(bias)

    def predict(self, rows: object) -> np.ndarray:
        """Return one number for each row."""
        return np.asarray(rows, dtype=float) @ self.weights + self.bias

    def sign(self, rows: object) -> np.ndarray:
        """Return on which side of the line each row is: -1, 0 or 1."""
        return np.sign(self.predict(rows)).astype(int)
