"""Numbers in bulk are read as the slow way reads them, or left to it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.schema import ColSpec, Schema, TensorSpec
from palate.serving._json import parse_json
from palate.serving.errors import MalformedBody
from palate.serving.protocols._numbers import MatrixReader, TensorReader

CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**54), 2**54),
    st.sampled_from([None, True, False, "1", "", 2**63, -(2**63), 2**53, 2**53 + 1, 2**31, 1e39, [], {}]),
)


def schema(kind: Any, *names: str) -> Schema:
    """Return columns of one type."""
    return Schema(tuple(ColSpec(type=kind, name=name) for name in names))


def is_exact(cell: Any, kind: str) -> bool:
    """Whether a cell of JSON is a number that the type holds without a change; decimals may be rounded to a float."""
    if type(cell) not in (int, float):
        return False
    if kind in ("integer", "long"):
        bits = 31 if kind == "integer" else 63
        return type(cell) is int and -(2**bits) <= cell < 2**bits
    limit = float(np.finfo("float32" if kind == "float" else "float64").max)
    return abs(cell) <= limit and (type(cell) is float or float(cell) == cell)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["double", "float", "long", "integer"]), st.lists(st.lists(CELLS, max_size=3), max_size=4))
def test_what_is_read_is_what_was_written(kind: str, rows: list[list[Any]]) -> None:
    """An array has the very numbers of the rows; of anything that is not a number of the type there is no array."""
    reader = MatrixReader.of(schema(kind, "a", "b"))
    assert reader is not None
    body = orjson.dumps({"data": rows}) if _is_64_bits(rows) else json.dumps({"data": rows}).encode()
    matrix = reader.read(orjson.loads(body)["data"], body)
    if matrix is None:
        return
    assert all(len(row) == 2 and all(is_exact(cell, kind) for cell in row) for row in rows)
    expected = np.array(rows, dtype=object).astype(matrix.values.dtype)
    np.testing.assert_array_equal(matrix.values, expected)


def _is_64_bits(rows: list[list[Any]]) -> bool:
    return all(type(cell) is not int or -(2**63) <= cell < 2**64 for row in rows for cell in row)


@pytest.mark.parametrize("kind", ["double", "float", "long", "integer"])
def test_plain_numbers_take_the_quick_way(kind: str) -> None:
    """Small whole numbers are read for every type, decimals for those of decimals."""
    reader = MatrixReader.of(schema(kind, "a", "b"))
    assert reader is not None
    body = b'{"data":[[1,2],[3,4]]}'
    matrix = reader.read([[1, 2], [3, 4]], body)
    assert matrix is not None
    assert matrix.values.tolist() == [[1, 2], [3, 4]]
    decimals = reader.read([[1.5, 2.5]], b'{"data":[[1.5,2.5]]}')
    assert (decimals is not None) is (kind in ("double", "float"))


def test_truth_values_are_found_behind_a_key_that_is_written_with_an_escape() -> None:
    """A column called data does not make the reader look for them behind that."""
    reader = MatrixReader.of(schema("double", "data", "b"))
    body = rb'{"dataframe_split":{"d\u0061ta":[[true,1.5]],"columns":["data","b"]}}'
    assert reader is not None
    assert reader.read(json.loads(body)["dataframe_split"]["data"], body) is None


@pytest.mark.parametrize(
    "columns",
    [
        (ColSpec(type="double", name="a"), ColSpec(type="long", name="b")),
        (ColSpec(type="double", name="a", minimum=0),),
        (ColSpec(type="long", name="a", nullable=True),),
        (ColSpec(type="string", name="a"),),
        (ColSpec(type="boolean", name="a"),),
        (ColSpec(type="double"),),
        (ColSpec(type="double", name=5),),
    ],
    ids=lambda columns: ",".join(map(str, columns)),
)
def test_columns_that_need_a_look_have_no_reader(columns: tuple[ColSpec, ...]) -> None:
    """Types that differ, bounds, gaps, text, truth values and missing names are the slow way's."""
    assert MatrixReader.of(Schema(columns)) is None
    assert MatrixReader.of(None) is None


def test_tensors_of_numbers_have_a_reader() -> None:
    """The only tensor of a schema is read in one go, of any rank; named and other tensors are not."""
    reader = TensorReader.of(Schema((TensorSpec(dtype="float32", shape=(-1, 2, 2)),)))
    assert reader is not None
    nested = [[[1, 2.5], [3, 4]]]
    array = reader.read(nested, b'{"inputs":[[[1,2.5],[3,4]]]}')
    assert (array.dtype, array.tolist()) == (np.float32, nested)
    assert reader.read([[1, True]], b'{"inputs":[[1,true]]}') is None
    assert reader.read([[1], [1, 2]], b'{"inputs":[[1],[1,2]]}') is None
    assert TensorReader.of(Schema((TensorSpec(dtype="str", shape=(-1,)),))) is None
    assert TensorReader.of(Schema((TensorSpec(dtype="float32", shape=(-1,), name="x"),))) is None


KEYS = st.text(alphabet='a:"\\u', max_size=3)
TREES = st.recursive(
    st.one_of(st.text(alphabet=':a"\\', max_size=4), st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_honest_json_is_read(tree: Any) -> None:
    """Whatever is said once is read as it is, however many colons, quotes and escapes are in it."""
    assert parse_json(json.dumps(tree).encode()) == tree
    assert parse_json(json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()) == tree


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=3), st.data())
def test_a_key_said_twice_is_refused(members: dict[str, Any], data: st.DataObject) -> None:
    """An object with a key twice is refused wherever it stands, also when one of them is escaped."""
    key = data.draw(st.sampled_from(sorted(members)))
    again = json.dumps(key) if data.draw(st.booleans()) else '"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"'
    text = json.dumps(members)[:-1] + f", {again}: 1}}"
    for wrapped in (text, f'[{{"x": {text}}}]'):
        with pytest.raises(MalformedBody, match="twice"):
            parse_json(wrapped.encode())
