"""A server whose standard files were closed by whoever started it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
from live_server import live_server
from sklearn.linear_model import LinearRegression

import palate


def test_logs_of_a_server_without_standard_files_go_nowhere(tmp_path: Path) -> None:
    """No socket gets the number of a file that is written to; the server answers."""
    rows = np.arange(6.0).reshape(3, 2)
    palate.save_model(LinearRegression().fit(rows, rows[:, 0]), tmp_path / "line", input_example=rows)
    serve = shlex.join([sys.executable, "-m", "palate", "serve", str(tmp_path / "line"), "--port", "0"])
    with live_server("sh", "-c", f"exec {serve} <&- >&-", ready="/ready") as server:
        files = Path(f"/proc/{server.process.pid}/fd")
        assert [str((files / number).readlink()) for number in "01"] == ["/dev/null"] * 2
        reply = server.request("POST", "/invocations", b'{"inputs":[[1.0,2.0]]}', {"Content-Type": "application/json"})
        assert reply.status == 200
        assert server.stop() == 0
        assert "cannot be written" not in server.errors()
