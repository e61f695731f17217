"""Servers of object storage in processes of their own, and the environment that clients of theirs need."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from obstore.store import S3Store

__all__ = ["BUCKET", "credentials", "moto_server", "objects_python", "seaweedfs_server"]

BUCKET: Final = "models"
_KEY: Final = "palate"
_SECRET: Final = "palate-secret"

_ROOT: Final = Path(__file__).resolve().parents[2]
_FOLDER: Final = _ROOT / ".venv-objects" / "bin"
_PATIENCE: Final = 60.0


def credentials(endpoint: str) -> dict[str, str]:
    """Return what a client of a server here finds in its environment."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",  # nobody's: the machine's own must not be asked
    }


def objects_python() -> Path:
    """Return the interpreter of the environment of these servers; without it the test is skipped, and in CI fails."""
    return _program("python")


@contextmanager
def moto_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start moto with a bucket; yield its address and its process."""
    command = [objects_python(), _ROOT / "tests" / "remote" / "moto_process.py"]
    with _running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=_PATIENCE).close()
        yield endpoint, process


@contextmanager
def seaweedfs_server(folder: Path) -> Iterator[str]:
    """Start SeaweedFS with a bucket, and its files in *folder*; yield its address."""
    weed = _program("weed")
    master, volume, filer, gateway = _free_ports(4)
    options = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.port": master, "volume.port": volume,
        "filer.port": filer, "s3.port": gateway, "master.volumeSizeLimitMB": 128, "volume.max": 20,
        "master.telemetry": "false", "s3.port.iceberg": 0, "s3.port.lance": 0,
    }  # fmt: skip
    command = [weed, f"-logdir={folder}", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    endpoint = f"http://127.0.0.1:{gateway}"
    log = folder / "output.txt"
    with log.open("wb") as output, _running(command, env=credentials(endpoint), stdout=output) as process:
        end = time.monotonic() + _PATIENCE
        while not _answers(endpoint):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)
        # It makes a bucket when that is first written to.
        keys = {"access_key_id": _KEY, "secret_access_key": _SECRET}
        S3Store(BUCKET, endpoint=endpoint, client_options={"allow_http": True}, **keys).put("first", b"")
        yield endpoint
    for port in (master, volume, filer, gateway):  # it listens there, too, wherever its files are
        for number in (port, port + 10_000):
            for listening in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                listening.unlink()


def _program(name: str) -> Path:
    path = _FOLDER / name
    if not path.exists():
        reason = f"no {name} in {_FOLDER}: run 'make .venv-objects'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@contextmanager
def _running(
    command: list[object], *, env: Mapping[str, str] | None = None, stdout: object
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _free_ports(count: int) -> list[int]:
    """Return ports of which also the one 10,000 above is free: SeaweedFS takes that for its own calls."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError):
            for number in (port, port + 10_000):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", number))
            found.append(port)
    return found


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(f"{endpoint}/healthz", timeout=5).close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
