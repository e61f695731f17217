"""A worker that cannot be started again leaves its connections to the others, until it can."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from live_server import LiveServer, live_server

SCRIPT = """
import os, sys, echo_server
from palate.serving._process.workers import serve
from palate.serving.settings import ServingSettings

class Moody(echo_server.EchoApp):
    async def live(self, receive, send):
        if self.worker == 1 and os.path.exists(sys.argv[1]):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "the model is gone"})
        else:
            await super().live(receive, send)

tell = lambda addresses: print(*addresses, file=sys.stderr, flush=True)
sys.exit(serve(Moody, ServingSettings(port=0, workers=2), preload=False, on_listening=tell))
"""


def answering(server: LiveServer) -> dict[int, int]:
    """Return the processes that answer on twenty new connections, by worker."""
    found = {}
    for _ in range(20):
        process, worker, *_ = server.request("GET", "/asgi/facts", timeout=5).body.split()
        found[int(worker)] = int(process)
    return found


@pytest.mark.slow
def test_connections_go_to_the_workers_there_are(tmp_path: Path) -> None:
    """While one of two workers fails to start, every connection is answered by the other; then both answer again."""
    broken = tmp_path / "broken"
    with live_server(sys.executable, "-c", SCRIPT, broken, ready="/asgi/facts") as server:
        while len(both := answering(server)) < 2:
            time.sleep(0.05)
        broken.touch()
        os.kill(both[1], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while server.errors().count("it is started again") < 4:
            assert time.monotonic() < deadline, server.errors()
            time.sleep(0.05)
        assert answering(server).keys() == {0}
        broken.unlink()
        while 1 not in answering(server):
            assert time.monotonic() < deadline + 20, server.errors()
            time.sleep(0.2)
