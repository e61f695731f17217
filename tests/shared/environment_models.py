"""Models, and package indexes, that tests of environments are about."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

import palate
from palate.verification import accept_changes

__all__ = ["closed_index", "index_of_nothing", "rewrite", "save_line"]


def save_line(path: Path, flavor: str) -> Path:
    """Save a model in a safe format, with golden predictions, which needs no more than its flavor; return *path*."""
    from toy_framework import Line

    model = Line().fit(np.arange(4.0), np.arange(4.0) * 2)
    palate.save_model(model, path, flavor=flavor, input_example=np.arange(3.0))
    return path


def rewrite(model: Path, name: str, text: str) -> None:
    """Change a file of a model, and let its manifest say so."""
    (model / name).write_text(text)
    accept_changes(model)


@contextmanager
def closed_index() -> Iterator[str]:
    """Yield the address, with a password in it, of an index that nobody listens at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/simple"


@contextmanager
def index_of_nothing() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of an index that has no package, and the paths that it is asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
