"""Predicting inside an event loop: the loop goes on, and models that are coroutines themselves are awaited."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import palate
from palate import errors

DATA = pd.DataFrame({"x": [1.0, 2.0]})


class Slow(palate.PythonModel):
    """Predicts after a while, in whichever thread it is called."""

    def predict(self, context, model_input, params=None):
        time.sleep(0.2)
        return model_input["x"].to_numpy() * 2


class Awaiting(palate.PythonModel):
    """Predicts by awaiting, as a client of a remote model does."""

    async def predict(self, context, model_input, params=None):
        await asyncio.sleep(0.2)
        self.loop = asyncio.get_running_loop()
        return model_input["x"].to_numpy() * params["factor"]


@pytest.fixture
def slow(tmp_path: Path) -> palate.PyFuncModel:
    """A loaded model that takes its time."""
    palate.save_model(Slow(), tmp_path / "slow", input_example=DATA)
    return palate.load_model(tmp_path / "slow", trust=True)


@pytest.fixture
def awaiting(tmp_path: Path) -> palate.PyFuncModel:
    """A loaded model whose predict is a coroutine."""
    palate.save_model(Awaiting(), tmp_path / "awaiting", input_example=(DATA, {"factor": 3.0}))
    return palate.load_model(tmp_path / "awaiting", trust=True)


def test_the_loop_goes_on_while_a_model_predicts(slow) -> None:
    """Four slow predictions at once, and a clock that ticks meanwhile."""

    async def main() -> tuple[list[np.ndarray], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        clock = asyncio.create_task(tick())
        answers = await asyncio.gather(*(slow.apredict(DATA) for _ in range(4)))
        clock.cancel()
        return answers, ticks

    answers, ticks = asyncio.run(main())
    assert all(answer.tolist() == [2.0, 4.0] for answer in answers)
    assert ticks >= 3


def test_a_coroutine_is_awaited_in_the_callers_loop(awaiting) -> None:
    """Twenty of them wait side by side, in no loop of their own."""

    async def main() -> list[np.ndarray]:
        answers = await asyncio.gather(*(awaiting.apredict(DATA, {"factor": float(n)}) for n in range(20)))
        assert awaiting.native.model.loop is asyncio.get_running_loop()
        return answers

    answers = asyncio.run(main())
    assert [answer.tolist() for answer in answers] == [[n * 1.0, n * 2.0] for n in range(20)]


def test_a_coroutine_answers_callers_without_a_loop(awaiting) -> None:
    """predict runs it to its end; it was saved with golden predictions, which replay."""
    assert awaiting.predict(DATA).tolist() == [3.0, 6.0]
    assert {check.status for check in palate.verify_model(awaiting.path, trust=True).checks} == {"ok"}


def test_a_coroutine_answers_inside_a_running_loop(awaiting) -> None:
    """As in a notebook, where a loop runs and predict is called nevertheless."""

    async def main() -> np.ndarray:
        return awaiting.predict(DATA)

    assert asyncio.run(main()).tolist() == [3.0, 6.0]


def test_bad_input_is_refused_as_by_predict(slow) -> None:
    """Checks run in the thread too, and their error reaches who awaits."""
    with pytest.raises(errors.InvalidInput, match="missing"):
        asyncio.run(slow.apredict(pd.DataFrame({"y": [1.0]})))
    with pytest.raises(errors.MethodNotFound):
        asyncio.run(slow.acall("transform", DATA))
    with pytest.raises(errors.InvalidOption, match="polars"):
        asyncio.run(slow.apredict(DATA, output="xml"))


def test_output_is_converted_for_who_awaits(slow, awaiting) -> None:
    """output= means the same as for predict, for models of both kinds."""
    for model in (slow, awaiting):
        frame = asyncio.run(model.apredict(DATA, output="pandas"))
        assert isinstance(frame, pd.DataFrame)
        pd.testing.assert_frame_equal(frame, model.predict(DATA, output="pandas"))


def test_a_cancelled_caller_leaves_the_model_usable(slow) -> None:
    """The thread ends by itself; the next call works."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.apredict(DATA), timeout=0.05)

    asyncio.run(main())
    assert slow.predict(DATA).tolist() == [2.0, 4.0]


def test_a_model_that_raises_stop_iteration_is_heard(tmp_path) -> None:
    """A future cannot hold it, so that its awaiter would wait for ever."""

    def exhausted(model_input):
        return next(iter(()))

    palate.save_model(exhausted, tmp_path / "m")
    model = palate.load_model(tmp_path / "m", trust=True)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(model.apredict(DATA), timeout=20)

    asyncio.run(main())


@pytest.mark.filterwarnings("error")
def test_a_coroutine_that_nobody_waits_for_is_closed(awaiting) -> None:
    """A caller that is cancelled while its input is checked leaves no coroutine behind that was never awaited."""
    big = pd.DataFrame({"x": pd.array([1, 2] * 500_000, dtype="Int64")})

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(awaiting.apredict(big), timeout=0.001)

    asyncio.run(main())
    gc.collect()


def test_a_coroutine_may_write_into_what_it_keeps_of_its_frame(tmp_path) -> None:
    """Memory of the caller's is copied then, however long the coroutine waits, and stays as it was."""

    class Keeping(palate.PythonModel):
        async def predict(self, context, model_input, params=None):
            column = model_input["x"]
            del model_input
            await asyncio.sleep(0)
            column.iloc[0] = 5.0
            return column.to_numpy()

    palate.save_model(Keeping(), tmp_path / "m", input_example=DATA)
    model = palate.load_model(tmp_path / "m", trust=True)
    table = pa.table({"x": np.zeros(100_000)})
    assert asyncio.run(model.apredict(table))[0] == 5.0
    assert model.predict(table)[0] == 5.0
    assert table["x"][0].as_py() == 0.0
