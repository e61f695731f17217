"""A machine-learning framework of one model: the straight line through points."""

from __future__ import annotations

from typing import Any

__all__ = ["Line"]


class Line:
    """A straight line, ``y = slope * x + intercept``."""

    def __init__(self, slope: float = 0.0, intercept: float = 0.0) -> None:
        self.slope, self.intercept = slope, intercept

    def fit(self, x: Any, y: Any) -> Line:
        """Take the line with the least squared distance to the points; return self."""
        import numpy

        self.slope, self.intercept = (float(value) for value in numpy.polyfit(x, y, 1))
        return self

    def predict(self, x: Any, shift: float = 0.0) -> Any:
        """Return the line's height at each *x*, moved up by *shift*."""
        import numpy

        return numpy.asarray(x, dtype=float) * self.slope + self.intercept + shift

    def invert(self, y: Any) -> Any:
        """Return where the line reaches each height *y*."""
        import numpy

        return (numpy.asarray(y, dtype=float) - self.intercept) / self.slope
