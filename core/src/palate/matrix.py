"""A table whose cells are all numbers of one type: an array with names for its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palate._containers.frames import require_pandas

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Matrix"]


class Matrix:
    """Rows of numbers under the names of their columns, which a model takes as it takes a DataFrame of them.

    A server or a batch engine that makes its rows itself says with it what a DataFrame would have to be asked for. A
    model predicts the same from either, and from this sooner.

    Attributes:
        values: an array of shape (rows, columns) of a numeric dtype. The model may be given this very array.
        columns: the names, in the order of the array's columns.

    Raises:
        ValueError: the array has another shape.
    """

    __slots__ = ("columns", "values")

    def __init__(self, values: np.ndarray[Any, Any], columns: tuple[str | int, ...]) -> None:
        if values.ndim != 2 or values.shape[1] != len(columns):
            raise ValueError(f"an array of shape {values.shape} has no columns for {len(columns)} names")
        self.values = values
        self.columns = columns

    def __len__(self) -> int:
        return len(self.values)

    def to_frame(self) -> Any:
        """Return a pandas DataFrame that shares the array. Raises DependencyMissing where there is no pandas."""
        return require_pandas().DataFrame(self.values, columns=list(self.columns), copy=False)

    def __repr__(self) -> str:
        return f"<Matrix of {len(self.values)} rows and {len(self.columns)} columns of {self.values.dtype}>"
