"""Predicting over an iterator of batches: one at a time, in memory that does not grow."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate import errors


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> palate.PyFuncModel:
    """A regression on two columns."""
    path = tmp_path_factory.mktemp("batches") / "m"
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 3.0]})
    palate.save_model(LinearRegression().fit(frame, frame.a + 2 * frame.b), path, input_example=frame)
    return palate.load_model(path)


def frame_of(start: int, rows: int = 3) -> pd.DataFrame:
    """Return a batch."""
    numbers = np.arange(start, start + rows, dtype=float)
    return pd.DataFrame({"a": numbers, "b": numbers})


def test_batches_give_what_the_whole_gives(model) -> None:
    """In their order, with batches of different sizes, also an empty one."""
    batches = [frame_of(0, 5), frame_of(5, 1), frame_of(6, 4)]
    whole = model.predict(pd.concat(batches))
    np.testing.assert_allclose(np.concatenate(list(model.predict_batches(batches))), whole)


def test_the_next_batch_is_asked_for_when_the_last_one_is_done(model) -> None:
    """Nothing is read ahead: an endless source is no problem."""
    read = []

    def endless() -> Iterator[pd.DataFrame]:
        while True:
            read.append(len(read))
            yield frame_of(len(read))

    answers = model.predict_batches(endless())
    assert read == []
    next(answers), next(answers)
    assert read == [0, 1]


def test_memory_holds_one_batch_whatever_their_number(model) -> None:
    """When the source makes a batch, the one before is gone, and so are its predictions if nobody keeps them."""
    alive: list[weakref.ref[pd.DataFrame]] = []

    def source() -> Iterator[pd.DataFrame]:
        for number in range(20):
            assert [ref for ref in alive if ref() is not None] == []
            batch = frame_of(number, 1000)
            alive.append(weakref.ref(batch))
            yield batch
            del batch

    assert sum(len(answer) for answer in model.predict_batches(source())) == 20_000


def test_params_are_looked_at_once(model) -> None:
    """One warning for a param that the model does not know, not one for each batch."""
    with pytest.warns(errors.PalateWarning) as caught:
        list(model.predict_batches([frame_of(0), frame_of(1)], {"speed": 1}))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_batches_share_no_params(tmp_path) -> None:
    """A list that the model changes is whole again for the next batch."""

    class Popping(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return [params["words"].pop()]

    example = (pd.DataFrame({"x": [1.0]}), {"words": ["a", "b"]})
    palate.save_model(Popping(), tmp_path / "m", input_example=example)
    popping = palate.load_model(tmp_path / "m", trust=True)
    given = {"words": ["c", "d"]}
    assert list(popping.predict_batches([{"x": [1.0]}] * 3, given)) == [["d"]] * 3
    assert given == {"words": ["c", "d"]}


def test_arrow_readers_are_iterables_of_batches(model) -> None:
    """A RecordBatchReader, as a parquet file or a database gives, needs nothing else."""
    table = pa.table({"a": np.arange(10.0), "b": np.zeros(10)})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=4))
    answers = list(model.predict_batches(reader, output="arrow"))
    assert [answer.num_rows for answer in answers] == [4, 4, 2]
    assert all(isinstance(answer, pa.Table) for answer in answers)


def test_the_batch_that_does_not_fit_is_named(model) -> None:
    """Its number stands before the place of each problem; the batches before it are done."""
    answers = model.predict_batches([frame_of(0), frame_of(1), pd.DataFrame({"a": ["x"]})])
    assert len(next(answers)) == len(next(answers)) == 3
    with pytest.raises(errors.InvalidInput) as caught:
        next(answers)
    places = [problem.where for problem in caught.value.problems]
    assert sorted(places) == [("batches", 2, "inputs", "a"), ("batches", 2, "inputs", "b")]


@pytest.mark.parametrize(
    "one", [frame_of(0), np.zeros((2, 2)), {"a": [1.0]}, "file.csv", pa.table({"a": [1.0]}), 3, None]
)
def test_one_table_is_no_iterable_of_batches(model, one) -> None:
    """A frame would be taken apart into the names of its columns, an array into its rows."""
    with pytest.raises(errors.InvalidInput, match=r"batches.*\[data\]"):
        model.predict_batches(one)


def test_wrong_arguments_are_refused_before_the_first_batch(model) -> None:
    """Params, method and output are looked at when predict_batches is called."""
    with pytest.raises(errors.InvalidInput):
        model.predict_batches([frame_of(0)], params=[1])
    with pytest.raises(errors.MethodNotFound):
        model.predict_batches([frame_of(0)], method="transform")
    with pytest.raises(errors.InvalidOption, match="polars"):
        model.predict_batches([frame_of(0)], output="csv")


def test_a_source_that_fails_is_heard(model) -> None:
    """The source's own exception reaches the caller as it is."""

    def broken() -> Iterator[pd.DataFrame]:
        yield frame_of(0)
        raise OSError("gone")

    answers = model.predict_batches(broken())
    next(answers)
    with pytest.raises(OSError, match="gone"):
        next(answers)


def test_what_a_model_raises_names_the_batch(tmp_path) -> None:
    """The exception is the model's own, with a note."""

    def picky(model_input):
        return 1 / int(model_input["x"].iloc[0] != 2.0)

    palate.save_model(picky, tmp_path / "m", signature=palate.infer_signature(pd.DataFrame({"x": [1.0]})))
    answers = palate.load_model(tmp_path / "m", trust=True).predict_batches([{"x": [1.0]}, {"x": [2.0]}])
    next(answers)
    with pytest.raises(ZeroDivisionError) as caught:
        next(answers)
    assert caught.value.__notes__ == ["while predicting batch 1, counted from 0"]
