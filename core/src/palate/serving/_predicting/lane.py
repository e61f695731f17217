"""Micro-batching without a timer: what arrived while the model was busy goes to it in one call.

Each model has one lane. Light calls run on the event loop itself, after all requests of that turn of the loop have been
read; heavier ones run in a thread, and what arrives meanwhile is the next call. Which they are is measured, call by
call. A call of several requests that fails is halved until only the guilty ones have failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from palate.errors import InvalidInput, ModelCrashed, ModelOutOfMemory, ModelTimeout
from palate.serving._predicting.calls import CallThread
from palate.serving._predicting.joining import RowsDiffer, join_rows, split_rows
from palate.serving._watching.metrics import ModelMetrics
from palate.serving.errors import PredictTimeout, QueueFull
from palate.serving.settings import ServingSettings

__all__ = ["Caller", "Failed", "Lane", "Waiting", "answer_together"]


class Caller(Protocol):
    """Calls a model; from one thread at a time, or from several if the lane has several."""

    def predict(self, method: str, data: Any, params: Mapping[str, Any] | None) -> Any:
        """Return what a method answers."""

    def check(self, method: str, data: Any) -> Any:
        """Return data as the model takes it. Raises InvalidInput."""


_log = logging.getLogger("palate.serving")

# The event loop may stand still that long for a model, in seconds: other connections feel it as that much latency.
_INLINE_SECONDS = 0.004
# Seconds that nobody minds to wait.
_SHORT_WAIT = 0.1
# How much of a new measurement goes into what is known.
_LEARNING = 0.25
# What a call took that cost a process says nothing of the next one.
_LOST = (ModelCrashed, ModelOutOfMemory, ModelTimeout)
# Calls that never came back hold a thread each. With so many the process is no good any more.
_MOST_LOST = 4


class Failed(NamedTuple):
    """What stands for the answer of a request that has none."""

    cause: BaseException


class Waiting:
    """A request that waits for the model.

    Attributes:
        key: what requests of one call have in common, or None for a call of its own.
        method: the method that is called.
        data: what it is called with, enforced, or records that will be when they are together.
        params: the same, or None for the defaults.
        rows: how many rows the data has.
        done: called once, on the event loop, with the model's answer or ``Failed``.
        since: when it came, on the clock of ``perf_counter``.
        rows_together: of the call that it was part of.
        is_done: whether it has its answer, or needs none any more.
    """

    __slots__ = ("data", "done", "is_done", "key", "method", "params", "rows", "rows_together", "since")

    def __init__(
        self,
        key: Hashable | None,
        method: str,
        data: Any,
        params: Mapping[str, Any] | None,
        rows: int,
        done: Callable[[Any], None],
    ) -> None:
        self.key = key
        self.method = method
        self.data = data
        self.params = params
        self.rows = rows
        self.done = done
        self.since = perf_counter()
        self.rows_together = rows
        self.is_done = False

    def drop(self) -> None:
        """Need no answer any more: the client has gone."""
        self.is_done, self.done = True, _tell_nobody

    def resolve(self, answer: Any) -> None:
        """Hand the answer over, unless nobody waits for it."""
        if not self.is_done:
            # What is told holds this request; it is let go of before, so that there is no circle to collect.
            done, self.done, self.is_done = self.done, _tell_nobody, True
            done(answer)


def _tell_nobody(answer: Any) -> None:
    """Stand where an answer was told already."""


def answer_together(model: Caller, requests: Sequence[Waiting]) -> tuple[list[Any], bool]:
    """Return the answer of each request, ``Failed`` for those that the model fails on, and whether its rows add up.

    Args:
        model: is called.
        requests: of one key.
    """
    first = requests[0]
    try:
        if len(requests) == 1:
            return [model.predict(first.method, first.data, first.params)], True
        data = join_rows([request.data for request in requests])
        answer = model.predict(first.method, data, first.params)
        return split_rows(answer, [request.rows for request in requests]), True
    except RowsDiffer:
        return [answer for request in requests for answer in answer_together(model, [request])[0]], False
    except InvalidInput as exc:
        return ([Failed(exc)], True) if len(requests) == 1 else _answer_those_that_fit(model, requests)
    except ModelTimeout as exc:  # again, each half would take as long
        return [Failed(exc)] * len(requests), True
    except (ModelCrashed, ModelOutOfMemory) as exc:  # each half with a guilty one in it would cost a process
        if len(requests) == 1:
            return [Failed(exc)], True
        return [answer for request in requests for answer in answer_together(model, [request])[0]], True
    except BaseException as exc:  # a model may fail in any way: sys.exit() would end the server, or a thread of it
        if len(requests) == 1:
            return [Failed(exc)], True
    middle = len(requests) // 2
    left, left_adds_up = answer_together(model, requests[:middle])
    right, right_adds_up = answer_together(model, requests[middle:])
    return left + right, left_adds_up and right_adds_up


def _answer_those_that_fit(model: Caller, requests: Sequence[Waiting]) -> tuple[list[Any], bool]:
    """Hold each request against the signature by itself, which they were not together, and ask for the good ones."""
    answers: dict[int, Any] = {}
    for place, request in enumerate(requests):
        try:
            model.check(request.method, request.data)
        except InvalidInput as exc:
            answers[place] = Failed(exc)
    if not answers:  # each fits: the model itself refuses something, or they do not fit together
        return [answer for request in requests for answer in answer_together(model, [request])[0]], True
    good = [place for place in range(len(requests)) if place not in answers]
    found, adds_up = answer_together(model, [requests[place] for place in good]) if good else ([], True)
    answers.update(zip(good, found, strict=True))
    return [answers[place] for place in range(len(requests))], adds_up


class _Run(NamedTuple):
    """What came of a call in a thread."""

    answers: list[Any]
    adds_up: bool
    seconds: float


class _Call:
    """A call that is under way in a thread."""

    __slots__ = ("lost", "requests", "rows", "since", "thread", "timer")

    def __init__(self, requests: list[Waiting], rows: int, thread: CallThread) -> None:
        self.requests, self.rows, self.thread = requests, rows, thread
        self.timer: asyncio.TimerHandle | None = None
        self.since = perf_counter()
        self.lost = False


class Lane:
    """The requests of one model, in the order in which they came; belongs to one event loop.

    Args:
        model: is called.
        settings: of the server.
        metrics: where batches, waiting and times are counted.
        on_stuck: called when so many calls never came back that the process should be replaced.
        waits: whether a call may have to wait, as for a process that starts, however light it was before; then none
            runs on the event loop.
    """

    def __init__(
        self,
        model: Caller,
        settings: ServingSettings,
        metrics: ModelMetrics,
        *,
        on_stuck: Callable[[], None],
        waits: bool = False,
    ) -> None:
        self._model = model
        self._waits = waits
        self._on_stuck = on_stuck
        self._timeout = settings.predict_timeout
        self._most_waiting = settings.max_queue_rows
        self._most_requests = settings.max_queue_requests
        self._most_together = settings.max_batch_rows
        self._metrics = metrics
        self._observe_wait = metrics.stages["queue"].observe
        self._observe_predict = metrics.stages["predict"].observe
        self._loop = asyncio.get_running_loop()
        self._idle = [CallThread(self._loop) for _ in range(settings.threads)]
        self._busy: set[_Call] = set()
        self._waiting: list[Waiting] = []
        self._rows = 0
        self._is_scheduled = False
        # Calls of up to so many rows are known to be light. Nothing is, before the first one.
        self._light_rows = 0
        self._seconds_per_row = 0.0
        self._lost = 0
        self._never_joined: set[str] = set()

    @property
    def is_stuck(self) -> bool:
        """Whether so many calls never came back that the process should be replaced."""
        return self._lost >= _MOST_LOST

    def submit(self, request: Waiting) -> None:
        """Put a request in the lane; it is answered with the model's answer, what the model raised, or PredictTimeout.

        Raises:
            QueueFull: too many rows are waiting.
        """
        if self._waiting:
            self._refuse_if_full(request)
        if request.method in self._never_joined:
            request.key = None
        self._waiting.append(request)
        self._rows += request.rows
        if not self._is_scheduled:
            self._is_scheduled = True
            # After the callbacks of this turn, which read further requests.
            self._loop.call_soon(self._advance)

    def _refuse_if_full(self, request: Waiting) -> None:
        # A call that is under way will take as long again as it has taken, for all that is known.
        now = perf_counter()
        under_way = max((now - call.since for call in self._busy), default=0.0) if not self._idle else 0.0
        expected = self._rows * self._seconds_per_row + under_way
        count, limit = len(self._waiting), self._most_requests
        too_many = count >= limit and expected > _SHORT_WAIT
        if too_many or expected > self._timeout or self._rows + request.rows > self._most_waiting:
            raise QueueFull(requests=count, rows=self._rows, retry_after=max(1, round(expected)))

    def close(self) -> None:
        """Let the threads end."""
        for thread in [*self._idle, *(call.thread for call in self._busy)]:
            thread.stop()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        """Start the next call, if one can be; one on the event loop in each turn, so that others get theirs."""
        self._is_scheduled = False
        if not self._waiting or not self._idle:
            return
        requests, rows = self._take()
        self._metrics.queued_rows.set(self._rows)
        if not requests:
            self._schedule()
        elif rows <= self._light_rows and not self._busy and not self._waits:
            begin = perf_counter()
            answers, adds_up = answer_together(self._model, requests)
            self._finish(requests, rows, _Run(answers, adds_up, perf_counter() - begin))
        else:
            self._start(requests, rows)
        self._schedule()

    def _take(self) -> tuple[list[Waiting], int]:
        """Take those that go in the next call; who has waited too long, or has gone, is dismissed."""
        waiting, now = self._waiting, perf_counter()
        latest = now - self._timeout
        together: list[Waiting] = []
        left: list[Waiting] = []
        rows = 0
        key: Hashable | None = None
        for request in waiting:
            if request.since < latest or request.is_done:
                self._rows -= request.rows
                request.resolve(Failed(PredictTimeout(self._timeout)))
            elif not together:
                key, rows = request.key, request.rows
                together.append(request)
            elif key is not None and request.key == key and rows + request.rows <= self._most_together:
                rows += request.rows
                together.append(request)
            else:
                left.append(request)
        self._waiting = left
        self._rows -= rows
        for request in together:
            self._observe_wait(now - request.since)
            request.rows_together = rows
        return together, rows

    def _start(self, requests: list[Waiting], rows: int) -> None:
        call = _Call(requests, rows, self._idle.pop())
        model = self._model

        def run() -> _Run:
            begin = perf_counter()
            answers, adds_up = answer_together(model, requests)
            return _Run(answers, adds_up, perf_counter() - begin)

        def done(result: _Run) -> None:
            self._come_back(call, result)

        self._busy.add(call)
        left = min(request.since for request in requests) + self._timeout - perf_counter()
        call.timer = self._loop.call_later(max(left, 0), self._give_up, call)
        call.thread.start(run, done)

    def _come_back(self, call: _Call, result: _Run) -> None:
        if call.lost:
            self._lost -= 1
            return
        if call.timer is not None:
            call.timer.cancel()
        self._busy.discard(call)
        self._idle.append(call.thread)
        self._finish(call.requests, call.rows, result)
        self._schedule()

    def _give_up(self, call: _Call) -> None:
        """Leave a call that takes too long to itself; a thread cannot be stopped, only replaced."""
        call.lost = True
        self._lost += 1
        self._busy.discard(call)
        call.thread.stop()
        for request in call.requests:
            request.resolve(Failed(PredictTimeout(self._timeout)))
        self._idle.append(CallThread(self._loop))
        self._schedule()
        if self._lost == _MOST_LOST:
            self._on_stuck()

    def _finish(self, requests: list[Waiting], rows: int, run: _Run) -> None:
        self._observe_predict(run.seconds)
        self._metrics.batch_rows.observe(rows)
        if not any(isinstance(answer, Failed) and isinstance(answer.cause, _LOST) for answer in run.answers):
            self._learn(rows, run.seconds)
        if not run.adds_up:
            method = requests[0].method
            self._never_joined.add(method)
            _log.warning("%s answered with another number of rows than it was given: requests are not joined", method)
        for request, answer in zip(requests, run.answers, strict=True):
            request.resolve(answer)

    def _learn(self, rows: int, seconds: float) -> None:
        """Remember what a call costs; a hiccup of the machine is forgotten with the next call."""
        self._seconds_per_row += _LEARNING * (seconds / max(rows, 1) - self._seconds_per_row)
        if seconds > _INLINE_SECONDS:
            self._light_rows = min(self._light_rows, rows // 2)
        elif seconds < _INLINE_SECONDS / 4 and rows >= self._light_rows:
            self._light_rows = 2 * rows
