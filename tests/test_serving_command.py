"""``palate serve``: what it takes, what it tries before it starts, what it tells, and that it serves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from live_server import LiveServer, live_palate
from processes import children_of, wait_until
from sklearn.linear_model import LinearRegression

import palate
from palate.cli import main
from palate.serving.checking import check_server
from palate.serving.settings import SETTINGS, ServingSettings

INPUTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
BODY = json.dumps({"inputs": INPUTS.tolist()}).encode()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with golden predictions."""
    path = tmp_path_factory.mktemp("serve") / "lines"
    palate.save_model(LinearRegression().fit(INPUTS, [1.0, 2.0, 4.0]), path, input_example=INPUTS)
    return path


@pytest.fixture
def palate_serve(monkeypatch, tmp_path) -> Callable[..., Result]:
    """Run the command in this process, in an empty directory and without the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("PALATE_SERVE_")]:
        monkeypatch.delenv(variable)

    def run(*arguments: object, **environ: str) -> Result:
        return CliRunner(env=environ).invoke(main, ["serve", *map(str, arguments)])

    return run


def statuses(result: Result) -> dict[str, str]:
    """Return what a --check --json found, by name."""
    return {check["name"]: check["status"] for check in json.loads(result.stdout)["checks"]}


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(server: LiveServer, body: bytes = BODY) -> int:
    """Ask for predictions, and return the status."""
    return server.request("POST", "/invocations", body, {"content-type": "application/json"}).status


def number(server: LiveServer, sample: str) -> float:
    """Return a number from the page for Prometheus."""
    page = server.request("GET", "/metrics").body.decode()
    return float(re.findall(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)[0])


def test_every_setting_is_an_option(palate_serve) -> None:
    """The help has each setting's flag, what it does and its default."""
    # Lines are wrapped, also at hyphens.
    told = "".join(palate_serve("--help").output.split())
    for setting in SETTINGS:
        assert setting.flag in told
        assert "".join(setting.help.split()) in told
    assert "[default:16MiB]" in told
    assert "PALATE_SERVE_PORT" in told


def test_options_variables_and_file_reach_the_server(palate_serve, saved, tmp_path) -> None:
    """--check shows what is not as by default, from whichever of the three it came."""
    (tmp_path / "s.toml").write_text("[serve]\nmax_headers = 50\nworkers = 9\nport = 9\n")
    arguments = ["--workers", 2, "--no-docs", "--protocols", "v2", "--protocols", "tf,palate", "--header-timeout", "5s"]
    result = palate_serve(
        saved, "--check", "--json", "--config", "s.toml", *arguments, PALATE_SERVE_PORT="0", PALATE_SERVE_WORKERS="3"
    )
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (0, True)
    assert found["checks"][0]["detail"] == (
        "port=0, workers=2, protocols=v2,tf,palate, max_headers=50, header_timeout=5s, docs=false"
    )
    named = palate_serve(saved, "--check", "--port", "0", PALATE_SERVE_CONFIG=str(tmp_path / "s.toml"))
    assert "workers=9, max_headers=50" in named.output


def test_wrong_settings_are_told_in_one_line(palate_serve, saved) -> None:
    """All of them, with exit code 2, before anything is opened."""
    result = palate_serve(saved, "--port", "x", "--workers", 0, PALATE_SERVE_HOTS="a")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    for told in ("--port: 'x' cannot be read", "--workers: 0 is not", "PALATE_SERVE_HOTS: there is no such setting"):
        assert told in result.stderr
    refused = palate_serve(saved, "--host", "0.0.0.0")
    assert refused.exit_code == 2
    assert "other machines reach 0.0.0.0" in refused.stderr
    assert palate_serve(saved, "--json").exit_code == 2


def test_a_check_of_what_would_start(palate_serve, saved, tmp_path) -> None:
    """It exits with 0, one line for each thing that was tried, and leaves no socket behind."""
    result = palate_serve(saved, "--check", "--uds", "here.sock")
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.output.splitlines()] == [
        ["settings", "ok"],
        ["address", "ok"],
        ["model", "ok"],
        ["predictions", "ok"],
    ]
    assert list(tmp_path.iterdir()) == []
    port = free_port()
    for _ in range(2):
        assert check_server(saved, ServingSettings(port=port)).ok


def test_a_check_of_what_would_not_start(palate_serve, saved, tmp_path) -> None:
    """A taken address, a missing model and one that is not trusted are all told, and the exit code is 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = palate_serve(tmp_path / "none", "--check", "--json", "--port", taken.getsockname()[1])
    assert result.exit_code == 1
    assert statuses(result) == {"settings": "ok", "address": "failed", "model": "failed"}
    palate.save_model(LinearRegression().fit(INPUTS, [1, 2, 3]), tmp_path / "p", format="pickle")
    result = palate_serve(tmp_path / "p", "--check", "--json", "--port", 0)
    assert result.exit_code == 1
    assert "pass trust=True (CLI: --trust)" in json.loads(result.stdout)["checks"][-1]["detail"]
    trusted = palate_serve(tmp_path / "p", "--check", "--json", "--port", 0, "--trust")
    assert statuses(trusted) == {
        "settings": "ok",
        "address": "ok",
        "model": "ok",
        "signature": "note",
        "predictions": "skipped",
    }


def test_a_check_of_a_model_that_predicts_something_else(palate_serve, saved, tmp_path) -> None:
    """Golden predictions that do not come out fail the check, unless the settings pass them over."""
    changed = tmp_path / "changed"
    subprocess.run(["cp", "-r", saved, changed], check=True)
    golden = changed / "golden_predictions.json"
    golden.write_text(golden.read_text().replace("1.", "2."))
    palate.accept_changes(changed)
    result = palate_serve(changed, "--check", "--json", "--port", 0)
    assert (result.exit_code, statuses(result)["predictions"]) == (1, "failed")
    passed_over = palate_serve(changed, "--check", "--json", "--port", 0, "--golden", "skip")
    assert (passed_over.exit_code, statuses(passed_over)["predictions"]) == (0, "skipped")


@pytest.mark.slow
def test_it_serves_and_tells_where(saved) -> None:
    """Two lines on stderr have name, address, page and identity; each request is a line of JSON on stdout; SIGTERM ends
    with 0."""
    with live_palate(saved) as server:
        served = f"lines version 1 (sha256 {palate.inspect_model(saved).digest}) from {saved}"
        assert server.errors() == f"Serving lines on {server.base_url} (docs: /docs)\n{served}\n"
        assert ask(server) == 200
        assert ask(server, b"{") == 400
        assert server.request("GET", "/docs").status == 200
        assert number(server, 'palate_model_ready{model="lines",version="1"}') == 1
        assert server.stop(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in server.output().splitlines()]
    asked = [line for line in lines if line["method"] == "POST"]
    assert [(line["status"], line["model"], line.get("rows"), line.get("error")) for line in asked] == [
        (200, "lines", 3, None),
        (400, "lines", None, "malformed"),
    ]
    assert len({line["request_id"] for line in asked}) == 2


@pytest.mark.slow
def test_counts_outlive_the_worker_that_counted(saved) -> None:
    """With several workers, any of them answers for all, also after one was killed and another took its place."""
    with live_palate("--workers", 2, "--name", "m", saved) as server:
        served = 'palate_requests_total{model="m",protocol="mlflow",status="200",version="1"}'
        ready = 'palate_model_ready{model="m",version="1"}'
        assert [ask(server) for _ in range(20)] == [200] * 20
        wait_until(lambda: number(server, served) >= 20, 20)
        assert {number(server, served) for _ in range(10)} == {20}
        pid = server.process.pid
        killed = children_of(pid)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children_of(pid)) == number(server, ready) == 2 and killed not in children_of(pid), 20)
        assert [ask(server) for _ in range(10)] == [200] * 10
        wait_until(lambda: number(server, served) >= 30, 20)
        assert {number(server, served) for _ in range(10)} == {30}
        assert server.stop() == 0
