"""Clusters of Spark, Ray and Dask on this machine, and the environment that they and their drivers run in.

Whatever a cluster starts, however deep, has its token among its variables: by that it is found, and ended.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from cluster_models import LOG_VARIABLE
from processes import is_running, wait_until

__all__ = ["Cluster", "Done", "Told", "dask_cluster", "engines_python", "ray_cluster", "spark_cluster", "spark_connect"]

_FOLDER: Final = Path(__file__).resolve().parents[2] / ".venv-engines"
_TOKEN: Final = "PALATE_TEST_CLUSTER"
_PATIENCE: Final = 90.0
# What of this process would lead Palate or an engine elsewhere than to the folders of the cluster.
_OURS: Final = ("PALATE_CACHE", "XDG_CACHE_HOME", "PYTHONPATH", "SPARK_HOME", "RAY_ADDRESS", "PYSPARK_PYTHON")


def engines_python() -> Path:
    """Return the interpreter of the environment with the engines; without it the test is skipped, and in CI fails."""
    python = _FOLDER / "bin" / "python"
    missing = [] if (_FOLDER / "ready.stamp").exists() else [f"no {_FOLDER}: run 'make .venv-engines'"]
    missing += [] if shutil.which("java") else ["no java: install openjdk-17-jre-headless"]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(missing[0])
        pytest.skip(missing[0])
    return python


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a telling model wrote down: where it did what."""

    pid: int
    parent: int
    machine: int
    what: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a driver did: predictions in folders below *out*, and its report."""

    out: Path
    report: dict[str, Any]


@dataclass(slots=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        folder: for its files and those of its drivers.
        address: for its drivers.
        token: what all its processes have among their variables.
        nodes: its worker daemons.
        prefix: what commands of drivers begin with, to run on its first machine.
        settings: variables of its processes.
    """

    folder: Path
    address: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    prefix: Sequence[str] = ()
    settings: dict[str, str] = field(default_factory=dict)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What telling models write down."""
        return self.folder / "told.txt"

    @property
    def temporary(self) -> Path:
        """Where its processes put what is for the moment."""
        return self.folder / "tmp"

    def told(self) -> list[Told]:
        """Return what telling models have written down so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        found = [line.split(" ", 3) for line in lines]
        return [Told(pid=int(pid), parent=int(ppid), machine=int(net), what=what) for pid, ppid, net, what in found]

    def environment(self) -> dict[str, str]:
        """Return the variables of its processes: a home of their own, and the token."""
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        own = {"HOME": self.folder / "home", "TMPDIR": self.temporary}
        for folder in own.values():
            folder.mkdir(exist_ok=True)
        told = {LOG_VARIABLE: str(self.log), _TOKEN: self.token}
        return {**kept, **{name: str(path) for name, path in own.items()}, **told, **self.settings}

    def start(self, name: str, *command: object, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a process of it."""
        with (self.folder / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [*prefix, *map(str, command)],
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(process)
        return process

    def begin(self, script: Path, *arguments: object) -> subprocess.Popen[bytes]:
        """Start a driver: a script that is given the address, a file for its report, and *arguments*."""
        self._report.unlink(missing_ok=True)
        command = [engines_python(), "-W", "ignore", script, self.address, self._report, *arguments]
        return self.start("driver", *command, prefix=self.prefix)

    def end(self, driver: subprocess.Popen[bytes]) -> Any:
        """Wait for a driver; return its report."""
        driver.wait(timeout=_PATIENCE * 4)
        assert driver.returncode == 0, (self.folder / "driver.log").read_text(errors="replace")[-6000:]
        return json.loads(self._report.read_text())

    def run(self, script: Path, *arguments: object) -> Done:
        """Run a driver, which is also given a folder for predictions."""
        out = self.folder / "out"
        out.mkdir()
        return Done(out, self.end(self.begin(script, *arguments, out)))

    @property
    def _report(self) -> Path:
        return self.folder / "report.json"

    def processes(self) -> list[int]:
        """Return all processes that have the token."""
        wanted = f"{_TOKEN}={self.token}".encode()
        return [pid for pid in _all_processes() if wanted in _variables(pid)]

    def kill(self) -> None:
        """End all of them."""
        end = time.monotonic() + 30
        while pids := [pid for pid in self.processes() if is_running(pid)]:
            assert time.monotonic() < end, f"{pids} do not end"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for process in self._children:
            process.wait()


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    engines_python()
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.kill()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for_log(cluster: Cluster, name: str, text: str, process: subprocess.Popen[bytes]) -> None:
    """Return when a process of the cluster has said something."""
    file = cluster.folder / f"{name}.log"

    def has_said() -> bool:
        log = file.read_text(errors="replace")
        assert process.poll() is None, log[-3000:]
        return text in log

    wait_until(has_said, _PATIENCE)


# -- Spark -------------------------------------------------------------------------------------------------------------


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a standalone master of Spark and two workers."""
    with _cluster(folder) as cluster:
        home = next((_FOLDER / "lib").glob("python3*/site-packages/pyspark"))
        cluster.settings |= {**_spark_settings(folder), "SPARK_DAEMON_MEMORY": "256m"}
        port = _free_port()
        start, here = home / "bin" / "spark-class", ["--host", "127.0.0.1", "--webui-port", 0]
        master = cluster.start("master", start, "org.apache.spark.deploy.master.Master", *here, "--port", port)
        cluster.address = f"spark://127.0.0.1:{port}"
        _wait_for_log(cluster, "master", "I have been elected leader", master)
        names = ("worker-0", "worker-1")
        for name in names:
            options = [*here, "--cores", 1, "--memory", "1g", "--work-dir", folder / name]
            command = [start, "org.apache.spark.deploy.worker.Worker", *options, cluster.address]
            cluster.nodes.append(cluster.start(name, *command))
        for name, worker in zip(names, cluster.nodes, strict=True):
            _wait_for_log(cluster, name, "registered with", worker)
        yield cluster


@contextmanager
def spark_connect(folder: Path) -> Iterator[Cluster]:
    """Let drivers have a server of Spark Connect, which they start themselves."""
    with _cluster(folder) as cluster:
        cluster.settings |= _spark_settings(folder)
        cluster.address = "local[2]"
        yield cluster


def _spark_settings(folder: Path) -> dict[str, str]:
    return {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "PYSPARK_PYTHON": str(engines_python()),
    }


# -- Ray ---------------------------------------------------------------------------------------------------------------


@contextmanager
def ray_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a head of Ray and a second node: two machines by their networks if that may be made, else one."""
    with _cluster(folder) as cluster, _two_machines() as machines, _short_folder() as session:
        cluster.settings |= {
            "RAY_AUTH_MODE": "disabled",  # else it writes a token to the home, and both nodes need it
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "1000",
            "RAY_health_check_failure_threshold": "4",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",  # nodes on loopback
        }
        ray = engines_python().with_name("ray")
        (first, first_ip), (second, second_ip) = machines
        port = 6379 if first else _free_port()
        common = ["--num-cpus", 2, "--object-store-memory", 120_000_000, "--disable-usage-stats", "--block"]
        head = ["start", "--head", "--node-ip-address", first_ip, "--port", port, "--temp-dir", session]
        head += ["--include-dashboard=false"]
        cluster.address, cluster.prefix = f"{first_ip}:{port}", first
        cluster.nodes.append(cluster.start("head", ray, *head, *common, prefix=first))
        _wait_for_log(cluster, "head", "--block", cluster.nodes[0])
        node = ["start", "--address", cluster.address, "--node-ip-address", second_ip]
        cluster.nodes.append(cluster.start("node", ray, *node, *common, prefix=second))
        _wait_for_log(cluster, "node", "--block", cluster.nodes[1])
        yield cluster


@contextmanager
def _two_machines() -> Iterator[list[tuple[list[str], str]]]:
    """Yield how commands begin on each of two machines, and their addresses."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield [([], "127.0.0.1"), ([], "127.0.0.1")]
        return
    names = [f"palate-{os.getpid()}-{number}" for number in (1, 2)]
    pair = [f"pl{os.getpid() % 100_000}{letter}" for letter in "ab"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", pair[0], "netns", names[0], "type", "veth", "peer", "name", pair[1], "netns", names[1])
        for number, (name, link) in enumerate(zip(names, pair, strict=True), 1):
            _ip("-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", link)
            for device in ("lo", link):
                _ip("-n", name, "link", "set", device, "up")
        yield [(["ip", "netns", "exec", name], f"10.99.0.{number}") for number, name in enumerate(names, 1)]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Yield a folder whose path is so short that sockets in it have one of at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="pl", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


# -- Dask --------------------------------------------------------------------------------------------------------------


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler of Dask and two workers."""
    with _cluster(folder) as cluster:
        dask, port = engines_python().with_name("dask"), _free_port()
        options = ["--host", "127.0.0.1", "--port", port, "--no-dashboard"]
        scheduler = cluster.start("scheduler", dask, "scheduler", *options)
        cluster.address = f"tcp://127.0.0.1:{port}"
        _wait_for_log(cluster, "scheduler", "Scheduler at", scheduler)
        names = ("worker-0", "worker-1")
        for name in names:
            own = ["--nthreads", 1, "--no-dashboard", "--host", "127.0.0.1", "--local-directory", folder / name]
            cluster.nodes.append(cluster.start(name, dask, "worker", cluster.address, *own))
        for name, worker in zip(names, cluster.nodes, strict=True):
            _wait_for_log(cluster, name, "Registered to", worker)
        yield cluster
