"""Models in Spark: a function of columns, and whole frames.

Both run in Spark's Python workers on Arrow batches, without pandas in between. The model goes to each executor once, as
a file of the session, and is opened once by each Python worker.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.batch._output_types import NAMELESS
from palate.batch._scoring import Scorer
from palate.batch.engines._shipping import Scoring, Shipment, Uri, kept_folder, shipping
from palate.batch.engines._spark_types import (
    conform,
    one_column,
    parse_result_type,
    spark_type,
    to_arrow,
    to_spark_schema,
    widen,
)
from palate.errors import DependencyMissing, InvalidInput, InvalidOption, Problem
from palate.schema import Object, Schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

__all__ = ["require_spark", "spark_predict", "spark_udf"]


def spark_udf(
    spark: SparkSession,
    uri: Uri,
    *,
    method: str | None = None,
    params: Mapping[str, object] | None = None,
    result_type: DataType | str | None = None,
    trust: bool = False,
    flavor: str | None = None,
    signed_by: Any = None,
    isolate: Any = False,
    **flavor_options: Any,
) -> Any:
    """Return a Spark function of columns that predicts: ``frame.withColumn("prediction", predict(struct("x", "y")))``.

    It takes one struct whose fields are the model's columns; or the columns themselves, in the order of the signature;
    or nothing, where the frame has columns called as in the signature. It can be registered for SQL. What it gives is
    one value where the signature has one output, an array where that is a matrix, and a struct of several outputs.

    Args:
        spark: the session, which sends the model to its executors. Palate, and the flavor, are installed on these.
        uri: the model.
        method: another method than the default one.
        params: values for the signature's params; the same for all rows.
        result_type: what the function gives, where the signature does not tell, or in another type than it tells.
        trust, flavor, signed_by, isolate, **flavor_options: as for ``palate.load_model``.

    Raises:
        PalateError: what ``palate.load_model`` raises, here and not in tasks.
        InvalidOption: the signature does not tell the type of the outputs, or *result_type* is none.
        InvalidInput: *params* do not fit. In tasks: rows do not; it is in the text of Spark's PythonException.
        DependencyMissing: Spark is not installed, or older than 4.1.
    """
    require_spark("spark_udf")
    from pyspark.sql.functions import arrow_udf

    with shipping(
        uri, kept_folder(), method=method, params=params, trust=trust, flavor=flavor, signed_by=signed_by,
        isolate=isolate, options=flavor_options,
    ) as shipment:  # fmt: skip
        wanted = _result_column(shipment) if result_type is None else parse_result_type(result_type)
        inputs = shipment.model.signature.inputs if shipment.model.signature else None
        task = _ColumnsTask(_send(spark, shipment), shipment.scoring, wanted, _Inputs.of(inputs))
    predict = arrow_udf(_annotated(task), returnType=spark_type(wanted))
    return _with_names(predict, inputs)


def spark_predict(
    frame: DataFrame,
    uri: Uri,
    *,
    method: str | None = None,
    params: Mapping[str, object] | None = None,
    keys: Sequence[str] = (),
    result_type: DataType | str | None = None,
    trust: bool = False,
    flavor: str | None = None,
    signed_by: Any = None,
    isolate: Any = False,
    **flavor_options: Any,
) -> DataFrame:
    """Return a frame with the predictions for each row of *frame*, by ``mapInArrow``: the keys, then the predictions.

    Only the columns that the model needs, and the keys, are read. What is wrong with the columns or the model is said
    here, before any job runs.

    Args:
        frame: the rows.
        uri: the model.
        method: another method than the default one.
        params: values for the signature's params; the same for all rows.
        keys: columns that pass through, by which predictions can be told apart: Spark's rows have no order.
        result_type: what the predictions are, where the signature does not tell, such as "label string, p double".
        trust, flavor, signed_by, isolate, **flavor_options: as for ``palate.load_model``.

    Raises:
        InvalidInput: columns are missing or of types that do not fit, or *params* do not fit.
        InvalidOption: the signature does not tell the type of the outputs, or *result_type* or *keys* do not work.
        PalateError: what ``palate.load_model`` raises.
        DependencyMissing: Spark is not installed, or older than 4.1.
    """
    require_spark("spark_predict")
    with shipping(
        uri, kept_folder(), method=method, params=params, keys=keys, trust=trust, flavor=flavor, signed_by=signed_by,
        isolate=isolate, options=flavor_options,
    ) as shipment:  # fmt: skip
        columns = shipment.choose_columns(frame.columns)
        given = _read_schema(frame, columns)
        shipment.scorer.check(given)
        if result_type is None:
            answer = _declared(shipment, given)
        else:
            answer = _answer_schema(shipment, given, parse_result_type(result_type))
        schema = _widen_all(answer)
        task = _RowsTask(_send(frame.sparkSession, shipment), shipment.scoring, schema)
    with warnings.catch_warnings():
        # mapInArrow looks for pandas, which it does not use, and warns of releases that it was not tested with.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        return frame.select(*map(_quote, columns)).mapInArrow(task, to_spark_schema(schema))


def require_spark(needed_for: str) -> None:
    """Raise DependencyMissing unless a Spark is installed that has functions of Arrow columns."""
    try:
        from pyspark.sql.functions import arrow_udf  # noqa: F401
    except ImportError as exc:
        raise DependencyMissing("pyspark 4.1 or newer", needed_for=needed_for, install="palate[spark]") from exc


# -- on the driver -----------------------------------------------------------------------------------------------------


def _send(spark: SparkSession, shipment: Shipment) -> str:
    """Give the session the archive, for its executors to fetch; return what it is called there."""
    spark.addArtifacts(str(shipment.archive), file=True)
    return shipment.archive.name


def _quote(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _read_schema(frame: DataFrame, columns: Sequence[str]) -> pa.Schema:
    """Return some columns of a frame as Arrow's. Raises InvalidInput for types that no model takes."""
    import pyarrow as pa

    kinds = {name: to_arrow(frame.schema[name].dataType) for name in columns}
    if problems := [_unknown_type(frame, name) for name, kind in kinds.items() if kind is None]:
        raise InvalidInput(problems)
    return pa.schema(list(kinds.items()))


def _unknown_type(frame: DataFrame, name: str) -> Problem:
    spark = frame.schema[name].dataType.simpleString()
    message = f"Spark's type {spark} is none that Palate reads. Hint: cast the column"
    return Problem(("inputs", name), "wrong_type", message)


def _result_column(shipment: Shipment) -> pa.DataType:
    """Return the type of one column with all outputs of the signature."""
    import pyarrow as pa

    schema = _widen_all(_declared(shipment, pa.schema([])))
    outputs = shipment.model.signatures[shipment.scorer.method].outputs
    if len(schema) == 1:
        return schema.field(0).type
    if outputs is not None and len(outputs) == 1:  # a matrix
        return pa.list_(pa.field("element", schema.field(0).type))
    return pa.struct(list(schema))


def _declared(shipment: Shipment, given: pa.Schema) -> pa.Schema:
    """Return what the signature promises. Raises InvalidOption, which asks for result_type, where it is silent."""
    try:
        return shipment.output_schema(given)
    except InvalidOption as exc:
        if exc.name != "signature":
            raise
        hint = (
            "say it, as result_type='double' or 'label string, score double', or save the model with an input example"
        )
        raise InvalidOption("result_type", reason=exc.reason, hint=hint) from exc


def _answer_schema(shipment: Shipment, given: pa.Schema, kind: pa.DataType) -> pa.Schema:
    """Return the keys and the columns that a caller says the predictions are."""
    import pyarrow as pa

    named = list(kind) if pa.types.is_struct(kind) else [pa.field(NAMELESS, kind)]
    return pa.schema([*(given.field(key) for key in shipment.scorer.keys), *named])


def _widen_all(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(field.name, widen(field.type)) for field in schema])


def _with_names(predict: Any, inputs: Schema | None) -> Any:
    """Return a function that also takes no columns at all, and then asks for those of the signature."""

    @functools.wraps(predict)
    def predict_columns(*columns: Column | str) -> Column:
        from pyspark.sql.functions import struct

        if not columns:
            return predict(struct(*map(_quote, _names_to_ask_for(inputs))))
        if len(columns) > 1:
            _check_count(inputs, len(columns))
        return predict(*columns)

    return predict_columns


def _names_to_ask_for(inputs: Schema | None) -> list[str]:
    hint = "pass struct('a', 'b', …) with the columns that the frame has"
    if inputs is None or not inputs.is_named:
        raise InvalidOption("columns", reason="the signature has no names to ask for", hint=hint)
    if optional := [field.name for field in inputs if not field.required]:
        reason = f"the signature has columns that may be missing, such as '{optional[0]}'"
        raise InvalidOption("columns", reason=reason, hint=hint)
    return [str(field.name) for field in inputs]


def _check_count(inputs: Schema | None, count: int) -> None:
    """Raise InvalidInput unless so many columns, without names, can be those of the signature."""
    if inputs is None or not inputs.is_named:
        return
    least = sum(field.required for field in inputs)
    if not least <= count <= len(inputs):
        needed = ", ".join(str(field.name) for field in inputs.fields[:20])
        message = f"needs the columns {needed}, in this order; {count} were given. Hint: or one struct of them"
        raise InvalidInput([Problem(("inputs",), "wrong_shape", message)])


# -- on the executors --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """What columns without names are called.

    Attributes:
        names: the names of the signature, or none.
        one_object: whether the model's only column is itself a struct.
    """

    names: tuple[str, ...]
    one_object: bool

    @classmethod
    def of(cls, inputs: Schema | None) -> _Inputs:
        named = [str(field.name) for field in inputs] if inputs is not None and inputs.is_named else []
        columns = inputs.columns if inputs is not None else ()
        return cls(names=tuple(named), one_object=len(columns) == 1 and isinstance(columns[0].type, Object))

    def name(self, columns: Sequence[pa.Array]) -> pa.RecordBatch:
        """Return columns as rows: the fields of the only one, or each by its name."""
        import pyarrow as pa

        if len(columns) == 1 and pa.types.is_struct(columns[0].type) and not self._means(columns[0].type):
            return pa.RecordBatch.from_struct_array(columns[0])
        names = self.names or tuple(map(str, range(len(columns))))
        return pa.RecordBatch.from_arrays(list(columns), names=list(names[: len(columns)]))

    def _means(self, kind: pa.DataType) -> bool:
        return self.one_object and kind.get_field_index(self.names[0] if self.names else "") < 0


@dataclass(frozen=True)
class _Task:
    """What is pickled: the name of the model's file, and what is done with it."""

    file: str
    scoring: Scoring

    @cached_property
    def scorer(self) -> Scorer:
        from pyspark import SparkFiles

        return self.scoring.scorer(Path(SparkFiles.get(self.file)))


@dataclass(frozen=True)
class _RowsTask(_Task):
    """Predicts for the batches of a partition."""

    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield from conform(self.scorer.score(batch), self.schema).combine_chunks().to_batches()


@dataclass(frozen=True)
class _ColumnsTask(_Task):
    """Predicts for a batch of columns."""

    wanted: pa.DataType
    inputs: _Inputs

    def predict(self, columns: Sequence[pa.Array]) -> pa.Array:
        import pyarrow as pa

        if not len(columns[0]):
            return pa.array([], self.wanted)
        return one_column(self.scorer.score(self.inputs.name(columns)), self.wanted)


def _annotated(task: _ColumnsTask) -> Any:
    """Return a function whose annotations tell Spark that it takes and gives Arrow arrays."""
    import pyarrow as pa

    def predict(*columns: Any) -> Any:
        return task.predict(columns)

    predict.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return predict
