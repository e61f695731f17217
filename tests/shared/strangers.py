"""Data of packages that nobody has heard of, which speaks a protocol and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Answers", "Batch", "Exchanged", "Stream"]


class Stream:
    """A table of a package that nobody has heard of."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Batch:
    """One that comes in a single batch."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self.table.to_batches()[0].__arrow_c_array__(requested_schema)


class Answers:
    """An array of a package that nobody has heard of, which answers to numpy."""

    def __init__(self, array: Any = None) -> None:
        self.array = np.ones(2) if array is None else array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


class Exchanged:
    """One that only speaks DLPack."""

    def __init__(self, array: Any = None) -> None:
        self.array = np.ones(2) if array is None else array

    def __dlpack__(self, **options: Any) -> object:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)
