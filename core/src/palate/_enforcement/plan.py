"""Check and convert a model's input by its signature.

What stock MLflow accepts is accepted with the same values; of what it refuses, only what converts without changing a
value (``docs/decisions/0002-enforcement.md``). A signature is compiled once to a plan; an input that fits already
passes through it as the same object.
"""

from __future__ import annotations

from typing import Any, Protocol

from palate._enforcement.batches import BatchPlan
from palate._enforcement.columns import Column, InvalidCells, compile_column
from palate._enforcement.containers import is_dataframe
from palate._enforcement.exactness import Unfit
from palate._enforcement.frames import require_pandas, to_frame
from palate._enforcement.tensors import NamedTensorPlan, TensorPlan
from palate.errors import InvalidInput, Problem
from palate.schema import ColSpec, Schema

__all__ = ["InputPlan", "compile_inputs"]


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
    return _NamedColumnPlan(schema.columns) if schema.is_named else _ColumnPlan(schema.columns)


class _OpenPlan:
    """No declared inputs: everything passes."""

    __slots__ = ()

    def enforce(self, data: object) -> object:
        return data


class _ColumnPlan:
    """Enforces columns without names, by position."""

    __slots__ = ("_compiled", "_specs")

    def __init__(self, specs: tuple[ColSpec, ...]) -> None:
        self._specs = specs
        self._compiled: tuple[Column, ...] | None = None

    def enforce(self, data: object) -> object:
        try:
            frame = data if is_dataframe(data) else to_frame(data, self._specs)
        except Unfit as exc:
            raise InvalidInput([Problem(("inputs",), exc.kind, exc.message)]) from exc
        columns = self._compiled or self._compile()
        if self._has_labels(frame) and all(map(_passes, columns, frame.dtypes.tolist())):
            return frame
        return self._convert(frame, columns)

    def _compile(self) -> tuple[Column, ...]:
        # Not before data comes: pandas need not be there, nor be loaded, to open a model.
        require_pandas()
        self._compiled = tuple(compile_column(spec, required=self._needs_cells(spec)) for spec in self._specs)
        return self._compiled

    def _needs_cells(self, spec: ColSpec) -> bool:  # noqa: ARG002 - the named columns need it
        return True

    def _has_labels(self, frame: Any) -> bool:
        """Tell whether the frame has exactly the schema's columns, in its order."""
        return len(frame.columns) == len(self._specs) and frame.columns.is_unique

    def _place(self, frame: Any, problems: list[Problem]) -> dict[int, int]:
        """Return the positions of the frame's columns by the positions of the schema's, noting what is wrong."""
        have, need = len(frame.columns), len(self._specs)
        if have < need:
            problems.append(Problem(("inputs",), "missing", f"needs {need} column(s), got {have}"))
        elif not frame.columns[:need].is_unique:
            problems.append(Problem(("inputs",), "wrong_value", "several of the columns have the same name"))
        return {} if problems else {index: index for index in range(need)}

    def _key(self, index: int) -> str | int:
        return index

    def _convert(self, frame: Any, columns: tuple[Column, ...]) -> Any:
        problems: list[Problem] = []
        places = self._place(frame, problems)
        series = [column for _, column in frame.items()]  # several times as fast as iloc for each
        given, converted = [series[position] for position in places.values()], {}
        for before, (index, position) in zip(given, places.items(), strict=True):
            where = ("inputs", self._key(index))
            try:
                converted[position] = columns[index].convert(before)
            except Unfit as exc:
                problems.append(Problem(where, exc.kind, exc.message))
            except InvalidCells as exc:
                problems.extend(Problem((*where, *p.where), p.kind, p.message) for p in exc.problems)
        if problems:
            raise InvalidInput(problems)
        return _assemble(frame, given, converted)


def _passes(column: Column, dtype: Any) -> bool:
    return column.passes(dtype)


class _NamedColumnPlan(_ColumnPlan):
    """Enforces columns by their names, in any order; those the schema does not know are left out."""

    __slots__ = ("_names",)

    def __init__(self, specs: tuple[ColSpec, ...]) -> None:
        # A name that stands there twice counts as the last of them, as in MLflow.
        super().__init__(tuple({spec.name: spec for spec in specs}.values()))
        self._names = [spec.name for spec in self._specs]

    def _needs_cells(self, spec: ColSpec) -> bool:
        return spec.required

    def _has_labels(self, frame: Any) -> bool:
        return bool(frame.columns.tolist() == self._names)

    def _key(self, index: int) -> str | int:
        name = self._names[index]
        return index if name is None else name

    def _place(self, frame: Any, problems: list[Problem]) -> dict[int, int]:
        labels = frame.columns.tolist()
        positions: dict[Any, list[int]] = {name: [] for name in self._names}
        for position, label in enumerate(labels):
            if label in positions and not isinstance(label, bool):
                positions[label].append(position)
        places = {}
        for index, spec in enumerate(self._specs):
            match positions[spec.name]:
                case [position]:
                    places[index] = position
                case [] if spec.required:
                    given = "" if problems else _describe(labels, self._names)
                    problems.append(Problem(("inputs", self._key(index)), "missing", "this column is missing" + given))
                case [_, _, *_] as several:
                    message = f"there are {len(several)} columns of this name"
                    problems.append(Problem(("inputs", self._key(index)), "wrong_value", message))
        return places


def _describe(labels: list[Any], names: list[Any]) -> str:
    if labels == list(range(len(labels))) and not any(isinstance(name, int) for name in names):
        return f" (got {len(labels)} column(s) without names. Hint: pass a DataFrame or a dict with the column names)"
    extra = [f"{label!s:.60}" for label in labels if label not in names]
    shown = ", ".join(extra[:10]) + (", …" if len(extra) > 10 else "")
    return f" (columns not in the signature: {shown})" if extra else ""


def _assemble(frame: Any, given: list[Any], converted: dict[int, Any]) -> Any:
    import pandas as pd

    positions = list(converted)
    if all(before is after for before, after in zip(given, converted.values(), strict=True)):
        return frame if positions == list(range(len(frame.columns))) else frame.iloc[:, positions]
    labels = [frame.columns[position] for position in positions]
    return pd.DataFrame(dict(zip(labels, converted.values(), strict=True)), index=frame.index)
