"""Servers that files are kept on, and a certificate that nobody has signed."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_servers import BUCKET, credentials, moto_server, objects_python, seaweedfs_server

from palate.remote import Bucket

Open = Callable[..., Bucket]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Return the address of a server that imitates Amazon's."""
    with moto_server() as (endpoint, _):
        yield endpoint


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that people run."""
    with seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture(params=["moto", "seaweedfs"])
def endpoint(request: pytest.FixtureRequest) -> str:
    """Return the address of each of them."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see whatever credentials this machine has."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in credentials("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def folder() -> str:
    """Return an address in the bucket that no other test has."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def open_bucket(monkeypatch: pytest.MonkeyPatch, folder: str) -> Open:
    """Open a folder of this test on a server."""

    def open_at(endpoint: str, *, patience: float = 20.0) -> Bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        return Bucket(folder, patience=patience)

    return open_at


@pytest.fixture
def bucket(open_bucket: Open, endpoint: str) -> Bucket:
    """Return an empty folder on each server."""
    return open_bucket(endpoint)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for this machine, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "certificate.pem", folder / "key.pem"
    script = Path(__file__).with_name("certificate_process.py")
    subprocess.run([objects_python(), script, *paths], check=True, timeout=60)
    return paths
