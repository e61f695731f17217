"""Streams of Arrow are read once, to their end, or not at all: a source that fails never looks like an empty table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from strangers import Stream

from palate._containers.arrow import to_arrow
from palate._containers.unfit import Unfit
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, ColSpec, Schema, TensorSpec

BATCH = pa.record_batch({"a": [1.0]})
PLANS = [
    compile_inputs(Schema((ColSpec(name="a", type="double"),))),
    compile_inputs(Schema((ColSpec(type="double"),))),
    compile_inputs(Schema((ColSpec(name="a", type="double", required=False),))),
    compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1,)),))),
]


class ArraySpeaker:
    """An array of a package that is not known here."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        """Hand out the array of the source."""
        return self.source.__arrow_c_array__(requested_schema)


def failing(error: Exception) -> pa.RecordBatchReader:
    """Return a reader that fails after its first batch."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        raise error

    return pa.RecordBatchReader.from_batches(BATCH.schema, batches())


@pytest.mark.parametrize("error", [RuntimeError("own"), ValueError("own"), OSError("own"), pa.ArrowInvalid("own")])
@pytest.mark.parametrize("plan", PLANS)
def test_a_reader_that_fails_midway_raises_its_own_error(plan: Any, error: Exception) -> None:
    """What the generator behind a reader raises is what the caller gets: the same object, no rows."""
    with pytest.raises(type(error)) as caught:
        plan.enforce(failing(error))
    assert caught.value is error


@pytest.mark.parametrize("error", [RuntimeError("own"), ValueError("own"), OSError("own"), pa.ArrowInvalid("own")])
@pytest.mark.parametrize("plan", PLANS)
def test_a_stream_of_an_unknown_package_that_fails_raises_what_arrives_of_it(plan: Any, error: Exception) -> None:
    """Through the C interface an exception is text, which pyarrow raises; that too is no table of no rows."""
    with pytest.raises((pa.ArrowInvalid, OSError), match="own"):
        plan.enforce(Stream(failing(error)))


def test_a_source_that_hands_out_nothing_raises_its_own_error() -> None:
    """An exception in __arrow_c_stream__ itself is the source's as well, although ValueError is what Unfit is."""

    class Broken:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise ValueError("own")

    with pytest.raises(ValueError, match="own") as caught:
        to_arrow(Broken())
    assert not isinstance(caught.value, Unfit)


@pytest.mark.parametrize("wrap", [lambda reader: reader, Stream])
def test_a_stream_is_read_to_its_end(wrap: Callable[[Any], Any]) -> None:
    """All batches of a reader are in the table."""
    reader = pa.RecordBatchReader.from_batches(BATCH.schema, iter([BATCH] * 3))
    assert to_arrow(wrap(reader)).to_pydict() == {"a": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("data", "names", "rows"),
    [
        (pa.array([1, 2]), [""], 2),
        (pa.chunked_array([[1], [2]]), [""], 2),
        (pa.array([{"a": 1}, {"a": 2}]), ["a"], 2),
        (pa.array([{"a": 1}, None]), [""], 2),
        (Stream(pa.chunked_array([[1], [2]])), [""], 2),
        (Stream(pa.table({"a": [1, 2]})), ["a"], 2),
        (ArraySpeaker(pa.array([1, 2])), [""], 2),
        (ArraySpeaker(pa.record_batch({"a": [1, 2]})), ["a"], 2),
        (Stream(pa.table({"a": pa.array([], pa.int64())})), ["a"], 0),
    ],
)
def test_tables_and_columns_are_told_apart(data: Any, names: list[str], rows: int) -> None:
    """A struct without gaps is a table, whoever hands it out; everything else is one column without a name."""
    table = to_arrow(data)
    assert (table.column_names, table.num_rows) == (names, rows)


def test_a_type_unknown_to_pyarrow_is_no_error_of_the_source() -> None:
    """A stream whose schema pyarrow cannot read does not fit, whoever hands it out."""
    pl = pytest.importorskip("polars")
    wide = pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)})
    for data in (wide, Stream(wide), wide["a"]):
        with pytest.raises(Unfit, match="pyarrow has no form"):
            to_arrow(data)


def test_an_iterator_that_fails_raises_its_own_error() -> None:
    """A column that is read once raises what its generator raises."""
    error = ValueError("own")

    def cells() -> Iterator[float]:
        yield 1.0
        raise error

    with pytest.raises(ValueError, match="own") as caught:
        PLANS[0].enforce({"a": cells()})
    assert caught.value is error


@pytest.mark.parametrize(("error", "raised"), [(OSError("own"), OSError), (RuntimeError("own"), InvalidInput)])
def test_an_array_says_that_numpy_has_no_form_for_it(error: Exception, raised: type[Exception]) -> None:
    """torch says so by RuntimeError; an error of reading is the array's own."""

    class Broken:
        def __dlpack__(self, **options: object) -> object:
            raise error

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    with pytest.raises(raised):
        PLANS[3].enforce(Broken())


def test_python_objects_in_polars_are_refused() -> None:
    """polars hands out their addresses in memory, which would pass for bytes, text and anything."""
    frame = pl.DataFrame({"a": pl.Series("a", [{"x": 1}, {"y": 2}], dtype=pl.Object)})
    for kind in ("string", "binary", AnyType()):
        with pytest.raises(InvalidInput, match=r"Python objects in 'a'.*own types"):
            compile_inputs(Schema((ColSpec(name="a", type=kind),))).enforce(frame)


def test_python_objects_inside_of_polars_types_are_refused() -> None:
    """So it is with objects in an array, and in an array of a struct."""
    cells = np.array([[object()], [object()]], dtype=object)
    arrays = pl.Series("a", cells)
    assert arrays.dtype == pl.Array(pl.Object, 1)
    for column in (arrays, pl.DataFrame([arrays.alias("b")]).to_struct("a")):
        with pytest.raises(InvalidInput, match=r"Python objects in 'a'.*own types"):
            compile_inputs(Schema((ColSpec(name="a", type=AnyType()),))).enforce(column.to_frame())
