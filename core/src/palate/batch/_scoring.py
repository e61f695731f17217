"""Rows in, rows out: keys that pass through, and predictions beside them as columns of fixed types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from palate.batch._first_line import first_line
from palate.batch._output_types import NAMELESS, number_names, output_fields
from palate.batch.errors import RowsDiffer
from palate.datasets import Chunk, Place, TableChunk, missing_column
from palate.errors import InvalidInput, InvalidOption, MethodNotFound, Problem, UnsupportedOutput
from palate.matrix import Matrix
from palate.pyfunc import PyFuncModel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Scorer", "output_schema", "read_keys"]

_NOWHERE: Final = Place("the rows", 0)


class Scorer:
    """A model that takes rows of Arrow's and gives them back with its predictions.

    Attributes:
        model: the model.
        method: which of its methods predicts.
        keys: the columns that pass through.
        columns: the columns that have to be read: those of the signature, and the keys. None where the signature names
            none, so that all are the model's.
        outputs: the columns of the predictions; None where only they tell.

    Args:
        model: the model.
        method: another method than the default one.
        params: values for the signature's params; the same for all rows.
        keys: the names of columns that the answer has too, before the predictions.

    Raises:
        MethodNotFound: the model has no such method.
        InvalidInput: the params do not fit.
        InvalidOption: a key is named twice.
    """

    def __init__(
        self,
        model: PyFuncModel,
        *,
        method: str | None = None,
        params: Mapping[str, object] | None = None,
        keys: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.method = model.default_method if method is None else method
        if self.method not in model.signatures:
            raise MethodNotFound(self.method, available=model.methods)
        self.keys = read_keys(keys)
        self._params = dict(params or {})
        self._names = _input_names(model)
        self.columns = None if self._names is None else tuple(dict.fromkeys((*self._names, *self.keys)))
        outputs = model.signatures[self.method].outputs
        self._declared = frozenset(str(spec.name) for spec in outputs or () if spec.name is not None)
        self.outputs = output_fields(outputs)

    def score(self, rows: pa.Table | pa.RecordBatch) -> pa.Table:
        """Return the keys and the predictions of some rows, as many and in the same order.

        Where the signature tells the types of the outputs, the columns have these.

        Raises:
            InvalidInput: rows do not fit the signature, or a key is not there.
            RowsDiffer: the model gave more or fewer predictions than there are rows.
            UnsupportedOutput: the predictions are no table, or not of the types that the signature promises.
        """
        import pyarrow as pa

        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        return self.score_chunk(TableChunk(table, _NOWHERE))

    def score_chunk(self, chunk: Chunk) -> pa.Table:
        """Do the same for rows from a file."""
        import pyarrow as pa

        keys = {key: _decoded(key, chunk.column(key)) for key in self.keys}
        inputs = self._take_inputs(chunk)
        answer = self.model.call(self.method, inputs, self._params, output="arrow")
        if answer.num_rows != len(chunk):
            raise RowsDiffer(self.method, given=len(chunk), answered=answer.num_rows)
        typed = self._with_types(_with_names(answer, self.method, self._declared))
        _refuse_clash(self.keys, typed.column_names)
        return pa.table({**keys, **dict(zip(typed.column_names, typed.columns, strict=True))})

    def _take_inputs(self, chunk: Chunk) -> Any:
        names: Sequence[str] | None = self._names
        if names is None and self.keys:
            names = _others(chunk, self.keys)
        inputs = chunk.inputs(names)
        if not hasattr(inputs, "schema"):
            return inputs
        matrix = _as_matrix(inputs)
        if matrix is not None and self.model.fits(matrix):
            return matrix
        return inputs if self.model.signature is not None else inputs.to_pandas()

    def _with_types(self, answer: pa.Table) -> pa.Table:
        if self.outputs is None or answer.schema.names != [field.name for field in self.outputs]:
            return answer
        import pyarrow as pa

        wanted = pa.schema(self.outputs)
        if answer.schema.equals(wanted):
            return answer
        try:
            return answer.cast(wanted)
        except (pa.ArrowException, ValueError) as exc:
            reason = f"they are not what the signature promises of '{self.method}': {first_line(exc)}"
            raise UnsupportedOutput("arrow", reason=reason) from exc

    def require_independent(self) -> None:
        """Raise InvalidOption where a row's prediction may depend on the others of its call, so that batches change it.

        That is so for some models, and nobody knows it of code that does not say.
        """
        if not self.model.rows_are_independent(self.method):
            reason = f"what '{self.method}' answers for a row may depend on the other rows of the call"
            hint = (
                "predict on all rows in one call, with load_model(uri).predict(data); or, if you know that it does "
                "not, say how many rows a call has, with batch_rows (CLI: --batch-rows)"
            )
            raise InvalidOption("model", reason=reason, hint=hint)

    def check(self, schema: pa.Schema) -> None:
        """Hold the columns of a table against the signature before any row is read.

        Raises:
            InvalidInput: columns are missing, or of types that no value could fit.
        """
        self.check_names(schema.names)
        if self._names is not None:
            empty = schema.empty_table()
            self.model.enforce(empty.select([name for name in self._names if name in schema.names]), method=self.method)

    def check_names(self, names: Sequence[str]) -> None:
        """Raise InvalidInput unless the columns of these names are all that the model and the keys need."""
        inputs = self.model.signature.inputs if self.model.signature is not None else None
        needed = [str(spec.name) for spec in inputs or () if spec.required] if self._names is not None else []
        missing = [name for name in needed if name not in names]
        problems = [Problem(("inputs", name), "missing", "this column is missing") for name in missing]
        problems += [missing_column(key, names).problems[0] for key in self.keys if key not in names]
        if problems:
            raise InvalidInput(problems)


def output_schema(model: PyFuncModel, *, method: str | None = None, keys: Iterable[pa.Field] = ()) -> pa.Schema:
    """Return the columns of what a Scorer gives, by the signature alone.

    Args:
        model: the model.
        method: another method than the default one.
        keys: the columns that pass through, with their types.

    Raises:
        MethodNotFound: the model has no such method.
        InvalidOption: the signature does not tell what the method returns, or a key is called as a prediction is.
    """
    import pyarrow as pa

    scorer = Scorer(model, method=method)
    fields = output_fields(model.signatures[scorer.method].outputs)
    if fields is None:
        reason = f"the signature does not tell what '{scorer.method}' returns"
        hint = "save the model with a signature that has outputs, or with an input example"
        raise InvalidOption("signature", reason=reason, hint=hint)
    kept = list(keys)
    _refuse_clash([key.name for key in kept], [field.name for field in fields])
    return pa.schema([*kept, *fields])


def read_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Return the names of keys. Raises InvalidOption for a text, each letter of which would be one, and for twins."""
    if isinstance(keys, str):
        raise InvalidOption("keys", reason="it is one text", hint=f"give a list: [{keys!r:.60}]")
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise InvalidOption("keys", reason=f"'{twice[0]:.60}' is named twice", hint="name each column once")
    return tuple(keys)


def _refuse_clash(keys: Iterable[str], predictions: Sequence[str]) -> None:
    """Raise InvalidOption where a key would be lost under the name of a prediction."""
    if clashing := [key for key in keys if key in predictions]:
        hint = "leave that key out, or rename the column"
        raise InvalidOption("keys", reason=f"the predictions have a column '{clashing[0]:.60}' too", hint=hint)


def _input_names(model: PyFuncModel) -> tuple[str, ...] | None:
    """Return the columns that the model takes by name; None where it takes whatever there is."""
    inputs = model.signature.inputs if model.signature is not None else None
    if inputs is None or not inputs.is_named:
        return None
    return tuple(str(field.name) for field in inputs)


def _decoded(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return categories as their values: each batch has a list of its own, and a file of Arrow's takes only one."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column
    try:
        return column.cast(column.type.value_type)
    except pa.ArrowException as exc:
        message = f"holds categories that are too long to be written for {len(column):,} rows at once"
        raise InvalidInput([Problem(("inputs", name), "wrong_value", message)]) from exc


def _others(chunk: Chunk, keys: Sequence[str]) -> list[str]:
    """Return the columns besides the keys, which are the model's where its signature names none."""
    if not isinstance(chunk, TableChunk):
        reason = "the model takes columns without names, from which keys cannot be told in this format"
        raise InvalidOption("keys", reason=reason, hint="give parquet or Arrow files, or no keys")
    return [name for name in chunk.rows.column_names if name not in keys]


def _with_names(answer: pa.Table, method: str, declared: frozenset[str]) -> pa.Table:
    """Return predictions that were called by the method, as nothing else named them, by the name that files give them.

    A method's name says little in a file, and ``palate.codecs`` does not know it.
    """
    names = answer.column_names
    own = number_names(method, len(names))
    if names != own or declared.intersection(own):
        return answer
    return answer.rename_columns(number_names(NAMELESS, len(names)))


def _as_matrix(rows: pa.Table) -> Matrix | None:
    """Return a table of numbers of one type, without gaps, as an array."""
    import pyarrow as pa

    kinds = {field.type for field in rows.schema}
    if len(kinds) != 1 or not (pa.types.is_floating(kind := kinds.pop()) or pa.types.is_integer(kind)):
        return None
    if not rows.num_rows or any(column.null_count for column in rows.columns):
        return None
    whole = rows.combine_chunks().to_batches()
    if len(whole) != 1:
        return None
    try:
        # By columns, as pandas has them in memory: sooner made, and to the bit what the model predicts on a DataFrame.
        values = whole[0].to_tensor(row_major=False).to_numpy()
    except pa.ArrowException:  # a type that it makes no tensors of
        return None
    return Matrix(values, tuple(rows.column_names))
