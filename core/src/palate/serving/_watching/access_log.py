"""The logs of a server: a line for each request, and the story of each incident.

Requests go to standard output, as the product of the command, so that a pipe or a file gets nothing else; incidents and
what else an operator has to know go to standard error.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import Literal

from palate.serving._watching.counters import Counter
from palate.serving._watching.log_lines import AccessLines, AccessRecord, Served, event_line
from palate.serving._watching.log_writer import LogWriter, Stream
from palate.serving.settings import LogFormat, LoggedRequests

__all__ = ["AccessLog", "IncidentLog"]

# What has gathered is written after so many seconds or lines.
_PAUSE = 0.25
_GATHERED = 1024
# A model that fails on every request must not fill the disk with its traceback a thousand times a second.
_TRACEBACKS_A_SECOND = 5
_LONGEST_TRACEBACK = 16 << 10
_LONGEST_CAUSE = 512
_LOWEST_STATUS = {"all": 0, "errors": 400, "off": 1000}


class AccessLog:
    """A line for each request that was answered; to be used from the event loop's thread.

    Args:
        writer: what writes the lines.
        logged: which requests: all, those with an error, or none.
        form: JSON or text.
        descriptor: where to; standard output by default.
        lost: counts the lines that could not be written.
    """

    __slots__ = ("_armed", "_form", "_lines", "_lowest", "_stream", "_writer")

    def __init__(
        self,
        writer: LogWriter,
        *,
        logged: LoggedRequests = "all",
        form: LogFormat = "json",
        descriptor: int = 1,
        lost: Counter | None = None,
    ) -> None:
        self._writer = writer
        self._lowest = _LOWEST_STATUS[logged]
        self._form = AccessLines(form)
        self._stream = Stream(descriptor, "access log", lost)
        self._lines: list[str] = []
        self._armed = False

    def add(
        self,
        request_id: str,
        client: str,
        method: bytes,
        path: bytes,
        status: int,
        seconds: float,
        bytes_in: int,
        bytes_out: int,
        served: Served | None = None,
        rows: int | None = None,
        batch: int | None = None,
        error: str | None = None,
        incident: str | None = None,
    ) -> None:
        """Note a request that was answered just now; its line is written later.

        Args:
            request_id: the id it was answered with, from RequestIds.
            client: the address it came from, without the port.
            method: as it was sent.
            path: as it was sent, without what follows the question mark: people put tokens there.
            status: the answer's.
            seconds: from its head having arrived to its answer having been handed to the network.
            bytes_in: the length of its body as sent.
            bytes_out: the length of the answer's body.
            served: what it was for, or None.
            rows: how many it had.
            batch: how many rows were in the call that answered it.
            error: an ``ErrorKind``.
            incident: the id under which the incident log tells the cause.
        """
        if status < self._lowest:
            return
        lines = self._lines
        # Formatted at once: all lines of a quarter of a second at one time would be a stop that clients feel.
        # As AccessRecord(...) would, without the call of a Python function in between: this is done for each request.
        # fmt: off
        lines.append(self._form.line(tuple.__new__(AccessRecord, (
            time.time(), request_id, client, method, path, status, seconds, bytes_in, bytes_out,
            served, rows, batch, error, incident,
        ))))
        # fmt: on
        if len(lines) >= _GATHERED:
            self.flush()
        elif not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(_PAUSE, self._wake)

    def flush(self) -> None:
        """Hand what has gathered to the writer."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._writer.write(self._stream, "".join(lines).encode(), len(lines))

    @property
    def lost(self) -> int:
        """How many lines could not be written so far."""
        return self._stream.lost

    def _wake(self) -> None:
        self._armed = False
        self.flush()


class IncidentLog:
    """What an operator has to know: why a model failed, and what became of the server; from the event loop's thread.

    The cause of an incident can quote the request's data, which no answer does.
    """

    __slots__ = ("_form", "_left", "_second", "_stream", "_writer")

    def __init__(
        self, writer: LogWriter, *, form: LogFormat = "json", descriptor: int = 2, lost: Counter | None = None
    ) -> None:
        self._writer = writer
        self._form: LogFormat = form
        self._stream = Stream(descriptor, "incident log", lost)
        self._second, self._left = 0, 0

    def failed(self, request_id: str, error: BaseException, **facts: object) -> None:
        """Tell why a request failed, with the traceback of *error*; of many in one second, only of the first few."""
        story = None
        if self._may_tell_all():
            # The end has the cause, and what was called last.
            story = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
        cause = f"{type(error).__name__}: {_text_of(error)}"[:_LONGEST_CAUSE]
        self.tell("model_failed", level="error", request_id=request_id, **facts, cause=cause, traceback=story)

    def tell(self, event: str, *, level: Literal["info", "warning", "error"] = "info", **facts: object) -> None:
        """Tell what happened, with what is to be known of it; facts that are None are left out."""
        self._writer.write(self._stream, event_line(self._form, {"level": level, "event": event, **facts}), 1)

    @property
    def lost(self) -> int:
        """How many lines could not be written so far."""
        return self._stream.lost

    def _may_tell_all(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._left = second, _TRACEBACKS_A_SECOND
        self._left -= 1
        return self._left >= 0


def _text_of(error: BaseException) -> str:
    """Return what an error says; those of a model are classes of strangers, which may fail to say anything."""
    try:
        return str(error)
    except Exception as exc:
        return f"it has no text, since its __str__ raised {type(exc).__name__}"
