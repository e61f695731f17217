"""Whatever speaks Arrow is an input example, and is inferred from, as a table of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import palate
from palate._inference.inference import infer_schema
from palate._stored.examples import read_example, read_whole, write_example
from palate.errors import InvalidExample, InvalidSignature
from palate.schema import ColSpec, Schema

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

TABLE = pa.table({"a": [1.5, 2.5], "b": ["x", "y"]})
NAMED = Schema((ColSpec(type="double", name="a"), ColSpec(type="string", name="b")))
UNNAMED = Schema((ColSpec(type="double"),))


class Speaker:
    """A frame of a package that is not known here."""

    def __init__(self, data: Any = TABLE) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.data.__arrow_c_stream__(requested_schema)


class Rows(palate.PythonModel):
    """Predicts the number of rows."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[int]:
        return [len(model_input)]


FRAMES: dict[str, Callable[[], Any]] = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.to_batches()[0],
    "reader, which is read once": TABLE.to_reader,
    "polars": lambda: pl.from_arrow(TABLE),
    "unknown package": Speaker,
}
COLUMNS: dict[str, Callable[[], Any]] = {
    "array": lambda: pa.array([1.5, 2.5]),
    "chunked array": lambda: pa.chunked_array([[1.5], [2.5]]),
    "polars": lambda: pl.Series([1.5, 2.5]),
    "unknown package": lambda: Speaker(pa.chunked_array([[1.5], [2.5]])),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_that_speaks_arrow_is_inferred_from(make: Callable[[], Any]) -> None:
    """The columns have Arrow's types, whichever package they come from."""
    assert infer_schema(make()) == NAMED


@pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)
def test_a_column_without_a_name_is_an_unnamed_column(make: Callable[[], Any], tmp_path: Path) -> None:
    """It is inferred from and stored as one that has only its place."""
    assert infer_schema(make()) == UNNAMED
    written = write_example(read_whole(make()), tmp_path)
    frame, _ = read_example(tmp_path, written.info, UNNAMED) or (None, None)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({0: [1.5, 2.5]}))


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_model_is_saved_with_it(make: Callable[[], Any], tmp_path: Path) -> None:
    """The rows are all there, in the signature, the stored example and the predictions on it; params stand beside."""
    info = palate.save_model(Rows(), tmp_path / "m", input_example=(make(), {"n": 1}))
    assert info.signature is not None
    assert info.signature.inputs == NAMED
    assert palate.load_model(tmp_path / "m", trust=True).predict(make()) == [2]


def test_a_query_has_to_be_collected() -> None:
    """A query has no data: the example, or the signature, cannot be made, and the error tells the way out."""
    query = pl.LazyFrame({"a": [1]})
    with pytest.raises(InvalidExample, match=r"Hint: collect\(\) it"):
        read_whole(query)
    with pytest.raises(InvalidSignature, match=r"Hint: collect\(\) it"):
        infer_schema(query)
