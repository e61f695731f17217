"""A server in a process of its own, as its users start it: on a free port, handed over when it is ready."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["LiveServer", "Reply", "live_palate", "live_server"]

_ADDRESS = re.compile(rb"http://(\[[0-9a-f:]+\]|[0-9.]+):(\d+)")
_PATIENCE = 60.0  # seconds until ready: a model of the largest framework opens in ten on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class LiveServer:
    """A running server. ``base_url`` has no slash at its end."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    _errors: IO[bytes] = field(repr=False)
    _output: IO[bytes] = field(repr=False)

    @property
    def base_url(self) -> str:
        """Return where it answers."""
        return f"http://{self.host}:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 20.0,
    ) -> Reply:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(status=answer.status, headers=found, body=answer.read())
        finally:
            connection.close()

    def errors(self) -> str:
        """Return what it has written to stderr so far."""
        return _text(self._errors)

    def output(self) -> str:
        """Return what it has written to stdout so far."""
        return _text(self._output)

    def wait_for(self, text: str, *, seconds: float = 10.0) -> None:
        """Wait until it has written *text* to stderr."""
        deadline = time.monotonic() + seconds
        while text not in self.errors():
            assert time.monotonic() < deadline, f"{text!r} was not written:\n{self.errors()}"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def live_server(
    *command: object, ready: str | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[LiveServer]:
    """Start *command*, which writes its address (``http://host:port``) to stderr once it listens.

    Args:
        command: a program and its arguments; it and the processes it starts are killed at the end.
        ready: a path that answers 200 once the server is ready; None: it is ready when it listens.
        env: added to this process's environment.
        cwd: where it runs.
    """
    shared = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": shared, "PYTHONUNBUFFERED": "1", **(env or {})}
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # a group of its own, so that its workers end with it
        )
        try:
            yield _ready(running, errors, output, ready)
        except BaseException:
            print(_text(output), _text(errors), sep="\n", file=sys.stderr)
            raise
        finally:
            _end(running)


@contextmanager
def live_palate(
    *arguments: object, ready: str | None = "/v2/health/ready", env: Mapping[str, str] | None = None
) -> Iterator[LiveServer]:
    """Start ``palate serve`` with *arguments* on a free port, and wait until its models are ready."""
    command = (sys.executable, "-m", "palate", "serve", "--port", 0, *arguments)
    with live_server(*command, ready=ready, env=env) as running:
        yield running


def _ready(running: subprocess.Popen[bytes], errors: IO[bytes], output: IO[bytes], path: str | None) -> LiveServer:
    deadline = time.monotonic() + _PATIENCE
    while not (found := _ADDRESS.search(_text(errors).encode())):
        _check_alive(running, errors, deadline)
    host, port = found.groups()
    server = LiveServer(process=running, host=host.decode(), port=int(port), _errors=errors, _output=output)
    while path is not None and not _answers(server, path):
        _check_alive(running, errors, deadline)
    return server


def _check_alive(running: subprocess.Popen[bytes], errors: IO[bytes], deadline: float) -> None:
    assert running.poll() is None, f"the server ended with {running.returncode}:\n{_text(errors)}"
    assert time.monotonic() < deadline, f"the server is not ready:\n{_text(errors)}"
    time.sleep(0.02)


def _answers(server: LiveServer, path: str) -> bool:
    try:
        return server.request("GET", path).status == 200
    except OSError:
        return False


def _text(file: IO[bytes]) -> str:
    # The child writes through the same file description: its position is left alone.
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")


def _end(running: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # it and its workers have ended
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
