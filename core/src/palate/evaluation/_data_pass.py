"""One pass over the data: each chunk is read once, and every model is asked about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palate.datasets import Chunk, Dataset
from palate.errors import PalateError
from palate.evaluation._accumulator import Accumulator, Totals
from palate.evaluation._column_source import ColumnSource, require_columns
from palate.evaluation._evaluated_model import EvaluatedModel, PredictedRows, RowContext, read_weights
from palate.evaluation._failing_rows import explain_failure
from palate.evaluation._model_inputs import input_names, inputs_note, open_rows, require_inputs
from palate.evaluation._settings import Settings
from palate.evaluation._slices import SliceColumn
from palate.evaluation.errors import NoRows
from palate.pyfunc import PyFuncModel

__all__ = ["PassResult", "run_pass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What a pass over the data found of one model.

    Attributes:
        subject: the model, and what it was asked.
        totals: its figures.
        names: of the columns that it is given; None for all.
        sample: some rows of which it is known what is true.
        cells: what is true of these.
        dataset: where the rows came from.
    """

    subject: EvaluatedModel
    totals: Totals
    names: list[str] | None
    sample: Chunk
    cells: list[Any]
    dataset: Dataset


def run_pass(
    models: Sequence[PyFuncModel], data: Any, *, target: Any, weights: Any, settings: Settings
) -> list[PassResult]:
    """Read the data once, and ask each model about all of it.

    Raises:
        EvaluationError: something does not fit; the class says what.
    """
    truth, weight = (
        ColumnSource(target, role="target"),
        None if weights is None else ColumnSource(weights, role="weights"),
    )
    named = bool(truth.names or settings.by or (weight and weight.names))
    dataset = open_rows(data, models, named=named, format=settings.format, delimiter=settings.delimiter)
    free = {*truth.names, *(weight.names if weight else ())}
    inputs = [input_names(model, dataset, free, settings.by) for model in models]
    for model, names in zip(models, inputs, strict=True):
        declared = model.signature is not None and model.signature.inputs is not None
        require_columns(dataset, truth, inputs=names if declared and names else ())
    columns = [SliceColumn(name) for name in settings.by]
    for given in (weight, ColumnSource(settings.by, role="column to divide by") if settings.by else None):
        if given is not None:
            require_columns(dataset, given)
    for model in models:
        require_inputs(model, dataset)
    reader = _Reader(models, settings, truth, weight, columns, inputs)
    wanted = None if dataset.columns is None or None in inputs else _wanted(dataset, inputs, free, settings.by)
    for chunk in dataset.chunks(wanted, batch_rows=settings.batch_rows):
        reader.read(chunk)
    return reader.finish(dataset)


def _wanted(dataset: Dataset, inputs: Sequence[list[str] | None], free: set[str], by: Sequence[str]) -> list[str]:
    needed = {name for names in inputs for name in names or ()} | free | set(by)
    return [name for name in dataset.columns or () if name in needed]


class _Reader:
    """Chunks on their way to the models."""

    def __init__(
        self,
        models: Sequence[PyFuncModel],
        settings: Settings,
        target: ColumnSource,
        weights: ColumnSource | None,
        columns: list[SliceColumn],
        inputs: list[list[str] | None],
    ) -> None:
        self._target, self._weights, self._columns, self._inputs = target, weights, columns, inputs
        self._subjects = [EvaluatedModel(model, target, settings) for model in models]
        for subject, names in zip(self._subjects, inputs, strict=True):
            subject.notes += filter(None, [inputs_note(subject.model, names)])
        limit = settings.max_held_bytes // len(models)
        title = weights.title if weights else ""
        self._accumulators = [
            Accumulator(subject, columns, max_held_bytes=limit, weights=title) for subject in self._subjects
        ]
        self._rows = 0
        self._sample: tuple[Chunk, list[Any]] | None = None

    def read(self, chunk: Chunk) -> None:
        """Ask every model about some rows."""
        side = RowContext(
            cells=self._target.read(chunk, self._rows),
            weights=None if self._weights is None else self._read_weights(chunk),
            slices=tuple(column.read(chunk.column(column.name)) for column in self._columns),
            start=self._rows,
        )
        for subject, accumulator, names in zip(self._subjects, self._accumulators, self._inputs, strict=True):
            part = self._ask(subject, chunk, names, side)
            if part is not None:
                accumulator.add(part)
        if self._sample is None and self._subjects[0].rows:
            self._sample = (chunk, side.cells)
        self._rows += len(chunk)

    def _ask(
        self, subject: EvaluatedModel, chunk: Chunk, names: list[str] | None, side: RowContext
    ) -> PredictedRows | None:
        try:
            return subject.read(chunk.inputs(names), len(chunk), side)
        except Exception as exc:  # a model may raise anything
            if isinstance(exc, PalateError | MemoryError | ImportError):
                raise
            raise explain_failure(subject.model, subject.asked.first, chunk, names, exc) from exc

    def finish(self, dataset: Dataset) -> list[PassResult]:
        """Return what was found."""
        for given in (self._target, self._weights):
            if given is not None:
                given.check_length(self._rows)
        found = []
        for subject, accumulator, names in zip(self._subjects, self._accumulators, self._inputs, strict=True):
            subject.finish()
            if not subject.rows or self._sample is None:
                raise NoRows(dataset.description, skipped=subject.skipped)
            chunk, cells = self._sample
            found.append(
                PassResult(
                    subject=subject,
                    totals=accumulator.finish(),
                    names=names,
                    sample=chunk,
                    cells=cells,
                    dataset=dataset,
                )
            )
        return found

    def _read_weights(self, chunk: Chunk) -> Any:
        assert self._weights is not None
        return read_weights(self._weights, self._weights.read(chunk, self._rows)[0], self._rows)
