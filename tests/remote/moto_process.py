"""Imitates Amazon's object storage on a port that it writes to standard output; runs where moto is installed.

One request at a time: where several are under way, moto itself looks first and writes later.
"""

from __future__ import annotations

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Write nothing."""


server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), request_handler=Quiet)
print(server.port, flush=True)
server.serve_forever()
