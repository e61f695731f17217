"""Data in the container of the input example, for functions that MLflow calls with ``TypeFromExample``.

Such a function is given what its example was, a list of texts say, although the data was checked as a table. The rules
are those of ``mlflow.types.type_hints._convert_dataframe_to_example_format`` (MLflow 3.17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from palate._containers.kinds import is_dataframe
from palate._enforcement.plan import InputPlan
from palate._stored.examples import read_example

__all__ = ["LikeExample"]


class LikeExample:
    """Enforces with another plan, then turns a DataFrame into what the example is."""

    __slots__ = ("_plan", "_turn")

    def __init__(self, plan: InputPlan, directory: Path, info: Mapping[str, Any] | None) -> None:
        stored = read_example(directory, info, None) if info is not None else None
        self._plan = plan
        self._turn = _turner(stored[0]) if stored is not None else _as_it_is

    def enforce(self, data: object) -> object:
        """Return *data*, checked, in the example's container. Raises what the plan raises."""
        checked = self._plan.enforce(data)
        return self._turn(checked) if is_dataframe(checked) else checked


def _turner(example: Any) -> Callable[[Any], Any]:
    import numpy as np

    if isinstance(example, list):
        return _as_items if all(map(np.isscalar, example)) else _as_records
    if isinstance(example, dict):
        return _as_record
    return _as_first_cell if np.isscalar(example) else _as_it_is


def _as_it_is(frame: Any) -> Any:
    return frame


def _as_items(frame: Any) -> Any:
    return frame.iloc[:, 0].tolist() if len(frame.columns) == 1 else _as_records(frame)


def _as_records(frame: Any) -> Any:
    return frame.to_dict(orient="records")


def _as_record(frame: Any) -> Any:
    return _as_records(frame)[0] if len(frame) == 1 else frame


def _as_first_cell(frame: Any) -> Any:
    return frame.iloc[0, 0]
