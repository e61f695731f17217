"""Servers as processes on a core of their own: started, found ready, measured, stopped."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from _serving_bodies import Body
from _serving_models import MODEL_NAME, Served

__all__ = [
    "ENVIRONMENT",
    "Environments",
    "Running",
    "Server",
    "answer_of",
    "memory_of",
    "palate_server",
    "require_tools",
    "servers_of",
    "start",
]

# All alike: one core, one thread. What is written down goes nowhere else than to the folder of the run.
ENVIRONMENT = {
    **os.environ,
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}
PATIENCE = 120.0  # seconds that a server may take until it is ready
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Interpreters: Palate's, which runs the floor too, and others'; None leaves theirs out."""

    palate: str
    mlflow: str | None
    mlserver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How a server is started, and what it is sent.

    Attributes:
        name: what tables call it.
        command: the words; ``{port}`` stands for the port.
        form: a key of BODIES.
        ready: a path that answers 200 once it predicts.
        environment: beyond what all have.
    """

    name: str
    command: Sequence[str]
    form: str
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Running:
    """A server that runs; ``seconds`` is what it took from its start until it was ready."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    seconds: float

    def processor_seconds(self) -> float:
        """Return the processor time of its processes so far."""
        ticks = 0
        for process in _family(self.process.pid):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def servers_of(served: Served, python: Environments, options: Sequence[str], folder: Path) -> dict[str, Server]:
    """Return every server of a model by name, as its users start it; *options* are added to ``palate serve``."""
    found = [
        palate_server("palate split", served.columns, "split", python.palate, options),
        _floor("floor split", served, "split", python.palate),
    ]
    if python.mlflow:
        found.append(_mlflow("mlflow split", served.columns, "split", python.mlflow, folder))
    found += [
        palate_server("palate inputs", served.tensor, "inputs", python.palate, options),
        _floor("floor inputs", served, "inputs", python.palate),
    ]
    if python.mlflow:
        found.append(_mlflow("mlflow inputs", served.tensor, "inputs", python.mlflow, folder))
    if python.mlserver:
        found.append(_mlserver("mlserver v2", served, python.mlserver))
    return {server.name: server for server in found}


def palate_server(name: str, model: Path, form: str, python: str, options: Sequence[str]) -> Server:
    """Return ``palate serve`` of a model."""
    words = [python, "-m", "palate", "serve", str(model), "--port", "{port}", "--name", MODEL_NAME, *options]
    return Server(name=name, command=words, form=form, ready="/v2/health/ready")


def _floor(name: str, served: Served, form: str, python: str) -> Server:
    words = [python, "-m", "uvicorn", "_serving_floor:app", "--app-dir", str(_HERE), "--port", "{port}"]
    words += ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    environment = {"FLOOR_MODEL": str(served.native), "FLOOR_FORM": form}
    return Server(name=name, command=words, form=form, ready="/", environment=environment)


def _mlflow(name: str, model: Path, form: str, python: str, folder: Path) -> Server:
    words = [python, "-m", "mlflow", "models", "serve", "--model-uri", str(model), "--port", "{port}"]
    words += ["--env-manager", "local", "--workers", "1"]
    # It starts uvicorn by that name.
    environment = {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"file:{folder}/runs",
    }
    return Server(name=name, command=words, form=form, ready="/ping", environment=environment)


def _mlserver(name: str, served: Served, python: str) -> Server:
    # Its own processes for models do not start under uvloop 0.23, whose loops are not made on demand; so it predicts
    # in the one that serves. Without debug it logs and traces less.
    environment = {
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port+1}",
        "MLSERVER_METRICS_PORT": "{port+2}",
    }
    words = [str(Path(python).with_name("mlserver")), "start", str(served.mlserver)]
    return Server(name=name, command=words, form="v2", ready="/v2/health/ready", environment=environment)


# -- processes ---------------------------------------------------------------------------------------------------------


@contextmanager
def start(server: Server, core: int, folder: Path) -> Iterator[Running]:
    """Start a server on *core* and wait until it is ready; it and all that it started ends with the block.

    What it writes stands in a file of its name in *folder*. Raises SystemExit with that if it does not become ready.
    """
    port = _free_port()
    ports = {"{port}": str(port), "{port+1}": str(port + 1), "{port+2}": str(port + 2)}
    environment = {**ENVIRONMENT, **{key: ports.get(value, value) for key, value in server.environment.items()}}
    words = ["taskset", "--cpu-list", str(core), *(ports.get(word, word) for word in server.command)]
    log = folder / f"{server.name.replace(' ', '-')}.log"
    with log.open("wb") as written:
        started = time.perf_counter()
        process = subprocess.Popen(
            words, env=environment, cwd=folder, stdout=written, stderr=written, start_new_session=True
        )
        try:
            _wait_until_ready(server, port, process, log)
            yield Running(server=server, port=port, process=process, seconds=time.perf_counter() - started)
        finally:
            _end(process)


def _wait_until_ready(server: Server, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _is_ready(server, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{server.name} does not become ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.005)


def _is_ready(server: Server, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", server.ready)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if _family(process.pid):
        os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    """Return a port such that it and the two behind it are free."""
    while True:
        with socket.socket() as probe, socket.socket() as second, socket.socket() as third:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except (OSError, OverflowError):
                continue
            return port


def answer_of(port: int, body: Body, *, timeout: float = 60.0) -> tuple[int, dict[str, str], bytes]:
    """Post a body on a connection of its own; return the status, the headers by lower-case name, and the content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", body.path, body.content, body.headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


# -- memory ------------------------------------------------------------------------------------------------------------


def memory_of(process: int) -> tuple[int, int]:
    """Return resident and proportional bytes of a process and of all that it started."""
    resident = proportional = 0
    for member in _family(process):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "Rss":
                resident += int(rest.split()[0]) * 1024
            elif name == "Pss":
                proportional += int(rest.split()[0]) * 1024
    return resident, proportional


def _family(leader: int) -> list[int]:
    """Return the living processes of a session: a server leads one, and its workers stay in it."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def require_tools() -> None:
    """Raise SystemExit unless everything that measures is installed."""
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed. Hint: apt-get install {package}")
