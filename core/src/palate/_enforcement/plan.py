"""Check and convert a model's input by its signature.

What stock MLflow accepts is accepted with the same values; of what it refuses, only what converts without changing a
value (``docs/decisions/0002-enforcement.md``). A signature is compiled once to a plan; an input that fits already
passes through it as the same object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from palate._containers.frames import require_pandas, to_frame
from palate._containers.kinds import is_dataframe
from palate._containers.sharing import keep_alive
from palate._containers.unfit import Unfit
from palate._enforcement.batches import BatchPlan
from palate._enforcement.blocks import dtypes_of
from palate._enforcement.cells import Column
from palate._enforcement.columns import compile_column
from palate._enforcement.labels import ByName, ByPosition, Labels
from palate._enforcement.nested import NUMPY_NAMES
from palate._enforcement.routes import Route, Slot, convert_columns
from palate._enforcement.tensors import NamedTensorPlan, TensorPlan
from palate.errors import Problem
from palate.matrix import Matrix
from palate.schema import ColSpec, Schema

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ColumnPlan", "InputPlan", "compile_inputs"]


class InputPlan(Protocol):
    """A compiled signature; safe to share between threads."""

    def enforce(self, data: object) -> object:
        """Return *data* as the model takes it, the same object where it fits already.

        Raises:
            InvalidInput: with every problem found.
            DependencyMissing: when pandas is needed and not installed.
        """


def compile_inputs(schema: Schema | None, *, from_type_hints: bool = False) -> InputPlan:
    """Compile the inputs of a signature.

    Args:
        schema: the inputs, or None to let everything pass.
        from_type_hints: the model is a function with type hints, which gets a plain list of the only column's type.
    """
    if schema is None:
        return _OpenPlan()
    if schema.is_tensor:
        return NamedTensorPlan(schema.tensors) if schema.is_named else TensorPlan(schema.tensors[0])
    if from_type_hints:
        return BatchPlan(schema)
    return ColumnPlan(schema.columns, named=schema.is_named)


class _OpenPlan:
    """No declared inputs: everything passes."""

    __slots__ = ()

    def enforce(self, data: object) -> object:
        return data


class ColumnPlan:
    """Enforces columns."""

    __slots__ = ("_compiled", "_labels", "_matrix", "_route", "_specs")

    def __init__(self, specs: tuple[ColSpec, ...], *, named: bool) -> None:
        # A name that stands there twice counts as the last of them, as in MLflow.
        self._specs = tuple({spec.name: spec for spec in specs}.values()) if named else specs
        self._labels: Labels = ByName(self._specs) if named else ByPosition(self._specs)
        self._compiled: tuple[Column, ...] | None = None
        self._matrix = _matrix_form(self._specs) if named else None
        # Replaced as a whole, so that no thread sees half of one.
        self._route: Route | None = None

    def enforce(self, data: object) -> object:
        try:
            frame = data if is_dataframe(data) else to_frame(data, self._specs)
        except Unfit as exc:
            raise exc.invalid_input() from exc
        route, dtypes = self._route, dtypes_of(frame)
        if route is None or not route.is_for(frame.columns, dtypes):
            route = self._route = self._find_route(frame, dtypes)
        if route.passes:
            return frame
        converted = route.convert(frame)
        if frame is not data and converted is not frame:
            keep_alive(frame, converted)
        return converted

    def fits(self, matrix: Matrix) -> bool:
        """Tell whether the cells of *matrix* are what the signature asks for, so that there is nothing to enforce."""
        return (matrix.columns, matrix.values.dtype) == self._matrix

    def _find_route(self, frame: Any, dtypes: list[Any]) -> Route:
        columns = self._compiled or self._compile()
        problems: list[Problem] = []
        places = self._labels.place(frame.columns, problems)
        slots = [self._compile_slot(index, position, columns[index]) for index, position in places.items()]
        if problems:
            convert_columns(frame, slots, problems)  # raises: what is there may be wrong as well
        return Route(slots, frame.columns, dtypes, names=self._labels.rename(frame.columns, places))

    def _compile_slot(self, index: int, position: int, column: Column) -> Slot:
        dtype = _own_dtype(self._specs[index])
        return Slot(name=self._labels.key(index), position=position, column=column, dtype=dtype)

    def _compile(self) -> tuple[Column, ...]:
        # Not before data comes: pandas need not be there, nor be loaded, to open a model.
        require_pandas()
        by_position = isinstance(self._labels, ByPosition)
        columns = (compile_column(spec, required=spec.required or by_position) for spec in self._specs)
        self._compiled = tuple(columns)
        return self._compiled


def _matrix_form(specs: tuple[ColSpec, ...]) -> tuple[tuple[str | int, ...], str] | None:
    """Return the columns and the dtype of the Matrix that needs no look at its cells; None where there is none."""
    names = {NUMPY_NAMES.get(spec.type) if isinstance(spec.type, str) and spec.plain else None for spec in specs}
    dtype = names.pop() if len(names) == 1 else None
    if dtype not in ("float32", "float64", "int32", "int64"):
        return None
    return tuple(spec.name for spec in specs if spec.name is not None), dtype


def _own_dtype(spec: ColSpec) -> np.dtype[Any] | None:
    """Return the numpy dtype of a column of which its type says everything."""
    import numpy as np

    name = NUMPY_NAMES.get(spec.type) if isinstance(spec.type, str) and spec.plain else None
    return None if name is None else np.dtype(name)
