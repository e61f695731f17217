"""The lane of a model: requests that wait go in one call, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from palate.errors import InvalidInput, Problem
from palate.serving._predicting.lane import Failed, Lane, Waiting
from palate.serving._watching.metrics import Metrics, ModelMetrics
from palate.serving.errors import PredictTimeout, QueueFull
from palate.serving.settings import ServingSettings


class Model:
    """Doubles its rows, and remembers with how many at once it was called."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls: list[int] = []
        self.params: list[Any] = []
        self.threads: set[str] = set()
        self.seconds = seconds

    def check(self, method: str, data: Any) -> Any:
        if np.any(data == 99):
            raise InvalidInput([Problem(("inputs",), "wrong_value", "is too much")])
        return data

    def predict(self, method: str, data: Any, params: Any) -> Any:
        self.check(method, data)
        self.calls.append(len(data))
        self.params.append(params)
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if np.any(data == 13):
            raise ValueError("unlucky")
        if method == "sum":
            return data.sum()
        return data * 2


class Asker:
    """Puts requests in a lane and collects the answers."""

    def __init__(self, model: Any, **settings: Any) -> None:
        self.metrics: ModelMetrics = Metrics(models=[("m", "1")]).bind().model("m", "1")
        chosen = ServingSettings(**settings)
        self.stuck: list[bool] = []
        self.lane = Lane(model, chosen, self.metrics, on_stuck=lambda: self.stuck.append(True))
        self.requests: list[Waiting] = []

    def ask(self, *values: float, key: Any = "k", method: str = "predict", params: Any = None) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request = Waiting(key, method, np.array(values), params, len(values), answer.set_result)
        self.requests.append(request)
        self.lane.submit(request)
        return answer


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on an event loop."""
    asyncio.run(asyncio.wait_for(test, 20))


def test_what_arrives_in_one_turn_goes_in_one_call() -> None:
    """Ten requests that came together are one call, and each gets its own rows back."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        answers = await asyncio.gather(*(asker.ask(n, n + 0.5) for n in range(10)))
        assert model.calls == [20]
        assert [list(answer) for answer in answers] == [[2 * n, 2 * n + 1] for n in range(10)]
        assert {request.rows_together for request in asker.requests} == {20}

    run(test())


def test_what_arrives_meanwhile_is_the_next_call() -> None:
    """While a slow call is under way, in a thread, requests gather; no timer holds a lone request back."""
    model = Model(seconds=0.05)

    async def test() -> None:
        asker = Asker(model)
        first = asker.ask(1)
        await asyncio.sleep(0.02)
        others = [asker.ask(n) for n in range(2, 7)]
        await asyncio.gather(first, *others)
        assert model.calls == [1, 5]

    run(test())


def test_light_calls_run_on_the_loop_and_heavy_ones_beside_it() -> None:
    """A model is tried in a thread, goes to the loop when it proves light, and back when it grows heavy."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        await asker.ask(1)
        assert model.threads == {"palate-model"}
        while "MainThread" not in model.threads:  # on a busy machine it takes a few calls to see that they are light
            await asker.ask(1)
        model.seconds = 0.02
        await asker.ask(1)
        model.threads.clear()
        await asker.ask(2)
        assert model.threads == {"palate-model"}

    run(test())


def test_only_the_guilty_request_fails() -> None:
    """Of a batch on which the model fails, all but the poisoned requests are answered."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        answers = await asyncio.gather(*(asker.ask(n) for n in range(32)))
        failed = [n for n, answer in enumerate(answers) if type(answer) is Failed]
        assert failed == [13]
        assert isinstance(answers[13].cause, ValueError)
        assert [answer[0] for n, answer in enumerate(answers) if n != 13] == [2 * n for n in range(32) if n != 13]
        assert len(model.calls) <= 12  # halved, not one by one

    run(test())


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("light", [True, False])
def test_a_model_that_ends_programs_fails_as_others_do(ending: type[BaseException], light: bool) -> None:
    """Neither the event loop nor the thread of the lane ends by what a model raises; the next request is answered."""

    class Ending(Model):
        def predict(self, method: str, data: Any, params: Any) -> Any:
            if np.any(data == 13):
                raise ending
            return super().predict(method, data, params)

    async def test() -> None:
        asker = Asker(Ending(0.0 if light else 0.02))
        assert (await asker.ask(1))[0] == 2
        answers = await asyncio.gather(asker.ask(13), asker.ask(2))
        assert type(answers[0].cause) is ending
        assert answers[1][0] == 4

    run(test())


def test_what_does_not_fit_is_found_among_the_others() -> None:
    """Records are enforced together; if that fails, each by itself, and the good ones are one call."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        answers = await asyncio.gather(*(asker.ask(n) for n in (1, 99, 2, 99, 3)))
        assert [type(answer) is Failed for answer in answers] == [False, True, False, True, False]
        assert isinstance(answers[1].cause, InvalidInput)
        assert model.calls == [3]

    run(test())


def test_keys_and_methods_are_never_mixed() -> None:
    """Requests of other keys, or of none, go in calls of their own, in the order in which they came."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        asks = [asker.ask(1, key="a"), asker.ask(2, key="b"), asker.ask(3, key="a"), asker.ask(4, key=None)]
        asks.append(asker.ask(5, key=None))
        await asyncio.gather(*asks)
        assert model.calls == [2, 1, 1, 1]

    run(test())


def test_params_go_with_their_call() -> None:
    """A call has the params of its requests."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        await asyncio.gather(asker.ask(1, key="x", params={"t": 1}), asker.ask(2, key="y", params={"t": 2}))
        assert model.params == [{"t": 1}, {"t": 2}]

    run(test())


def test_rows_that_do_not_add_up_are_asked_one_by_one() -> None:
    """A model that answers for all rows at once is asked alone, from then on, and nobody gets another's answer."""
    model = Model()

    async def test() -> None:
        asker = Asker(model)
        answers = await asyncio.gather(*(asker.ask(n, n, method="sum") for n in range(4)))
        assert answers == [0, 2, 4, 6]
        model.calls.clear()
        assert await asyncio.gather(*(asker.ask(n, n, method="sum") for n in range(4))) == [0, 2, 4, 6]
        assert model.calls == [2, 2, 2, 2]

    run(test())


def test_a_full_queue_refuses_at_once() -> None:
    """What would wait beyond the limit is refused and told when to come again; what waits is answered."""

    async def test() -> None:
        asker = Asker(Model(seconds=0.05), max_queue_rows=4)
        first = asker.ask(1)
        await asyncio.sleep(0.01)
        waiting = [asker.ask(1, 2), asker.ask(3, 4)]
        with pytest.raises(QueueFull) as caught:
            asker.ask(5)
        assert caught.value.retry_after >= 1
        await asyncio.gather(first, *waiting)
        await asker.ask(5)

    run(test())


def test_many_may_wait_shortly_and_few_for_long() -> None:
    """However many requests wait, none is refused while the wait is short; of a slow model only so many may wait."""

    async def test() -> None:
        asker = Asker(Model(), max_queue_requests=5)
        await asyncio.gather(*(asker.ask(n) for n in range(200)))
        slow = Asker(Model(seconds=0.1), max_queue_requests=5)
        for _ in range(4):
            await slow.ask(1)
        first = slow.ask(1)
        await asyncio.sleep(0.01)
        waiting = [slow.ask(n, key=None) for n in range(5)]
        with pytest.raises(QueueFull, match="5 requests"):
            slow.ask(5)
        await asyncio.gather(first, *waiting)

    run(test())


def test_the_first_call_counts_before_it_has_ended() -> None:
    """A server that has measured nothing yet sees from the call under way that its model is slow."""

    async def test() -> None:
        asker = Asker(Model(seconds=0.4), max_queue_requests=3)
        first = asker.ask(1)
        await asyncio.sleep(0.2)
        waiting = [asker.ask(n) for n in range(3)]
        with pytest.raises(QueueFull):
            asker.ask(4)
        await asyncio.gather(first, *waiting)

    run(test())


def test_what_would_wait_beyond_its_deadline_is_refused() -> None:
    """A request that would only time out is refused at once."""

    async def test() -> None:
        asker = Asker(Model(seconds=0.1), predict_timeout=0.3)
        for _ in range(8):
            await asker.ask(1)
        first = asker.ask(1)
        await asyncio.sleep(0.01)
        waiting = [asker.ask(n, key=None) for n in range(4)]
        with pytest.raises(QueueFull):
            asker.ask(5)
        await asyncio.gather(first, *waiting)

    run(test())


def test_one_large_request_is_taken_when_nothing_waits() -> None:
    """The limit is for what waits: a request of more rows than it is answered when it is alone."""

    async def test() -> None:
        asker = Asker(Model(), max_queue_rows=4)
        assert len(await asker.ask(*range(10))) == 10

    run(test())


def test_batches_keep_to_the_limit_of_rows() -> None:
    """No call joins more rows than max_batch_rows; a request that has more by itself is not cut."""
    model = Model()

    async def test() -> None:
        asker = Asker(model, max_batch_rows=8)
        await asyncio.gather(*(asker.ask(1, 2, 3) for _ in range(5)), asker.ask(*range(9)))
        assert sorted(model.calls) == [3, 6, 6, 9]

    run(test())


def test_a_call_that_never_ends_is_left_behind() -> None:
    """Its requests get PredictTimeout, those that waited are answered by a new thread, and enough of them is stuck."""
    release = threading.Event()

    class Stubborn(Model):
        def predict(self, method: str, data: Any, params: Any) -> Any:
            if data[0] == 0:
                release.wait(20)
            return data

    async def test() -> None:
        asker = Asker(Stubborn(), predict_timeout=0.2)
        await asker.ask(1)
        for lost in range(4):
            stuck, behind = asker.ask(0, *range(1000)), asker.ask(7, key="other")
            assert isinstance((await stuck).cause, PredictTimeout)
            answer = await behind
            assert type(answer) is Failed or list(answer) == [7]
            assert asker.lane.is_stuck is (lost == 3)
        assert list(await asker.ask(8)) == [8]
        assert asker.stuck == [True]
        release.set()
        while asker.lane.is_stuck:
            await asyncio.sleep(0.01)
        asker.lane.close()

    run(test())


def test_a_client_that_has_gone_costs_nothing() -> None:
    """A dropped request is not predicted, and no longer counts as waiting."""
    model = Model(seconds=0.03)

    async def test() -> None:
        asker = Asker(model, max_queue_rows=2)
        first = asker.ask(1)
        await asyncio.sleep(0.01)
        asker.ask(2, 3)
        asker.requests[1].drop()
        await first
        await asyncio.sleep(0.01)
        await asker.ask(4, 5)
        assert model.calls == [1, 2]

    run(test())


def test_work_is_counted() -> None:
    """Calls, their rows and the waiting of each request are in the metrics."""

    async def test() -> None:
        asker = Asker(Model())
        await asyncio.gather(*(asker.ask(n) for n in range(3)))
        assert (asker.metrics.batch_rows.sum, asker.metrics.batch_rows.buckets[-1]) == (3, 1)
        assert asker.metrics.stages["queue"].buckets[-1] == 3
        assert asker.metrics.stages["predict"].buckets[-1] == 1
        assert asker.metrics.queued_rows.value == 0

    run(test())
