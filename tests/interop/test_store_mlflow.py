"""MLflow's own registry and runs by URI, and back into it: with stock MLflow as the judge."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from installed_site import Site

HERE = Path(__file__).parent
PROJECTS = (".", "plugins/sklearn_flavor")
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}  # which would look for a network

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def beside_mlflow(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PYTHONPATH that puts Palate beside stock MLflow, whose own environment stays without it."""
    folder = tmp_path_factory.mktemp("site")
    sources = []
    for project in PROJECTS:
        table = tomllib.loads((repository / project / "pyproject.toml").read_text())["project"]
        info = Site(folder).install(table["name"], table["version"], {})
        points = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
            for group, named in table["entry-points"].items()
            if group.startswith("palate.")
        ]
        (info / "entry_points.txt").write_text("\n".join(points))
        sources.append(str(repository / ("core/src" if project == "." else f"{project}/src")))
    pluggy = distribution("pluggy")
    for file in pluggy.files or ():
        target = folder / file
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(pluggy.locate_file(file)), target)
    return os.pathsep.join([*sources, str(folder)])


def travel(python: Path, path: str, folder: Path, tracking: str) -> dict[str, Any]:
    """Run the script beside this file, and return what it has seen."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= QUIET | {
        "PYTHONPATH": path,
        "PALATE_CACHE": str(folder / "cache"),
        "PALATE_STORE": str(folder / "store"),
        "MLFLOW_TRACKING_URI": tracking,
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(python), str(HERE / "registry_travels.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def server(python: Path, folder: Path) -> Iterator[str]:
    """Run stock MLflow's server, which hands out artifacts itself, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    environment = {**os.environ, **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            urlopen(address, timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.3)
        else:
            return
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module", params=["database", "server"])
def seen(request, mlflow_python, beside_mlflow, tmp_path_factory) -> dict[str, Any]:
    """Return what the script saw, with a registry in a database and with one behind MLflow's server."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "database":
        return travel(mlflow_python, beside_mlflow, folder, f"sqlite:///{folder}/mlflow.db")
    with server(mlflow_python, folder) as address:
        return travel(mlflow_python, beside_mlflow, folder, address)


def test_every_address_of_mlflow_opens_its_model(seen) -> None:
    """Versions, aliases, runs, ids and artifacts: Palate predicts what stock MLflow does."""
    assert len(seen["same predictions"]) == 8
    assert all(seen["same predictions"].values())


def test_a_model_of_the_registry_has_an_identity(seen) -> None:
    """Two versions have two digests, an alias has that of its version, and a pin is kept."""
    assert seen["digests differ"]
    assert seen["alias"]
    assert seen["by digest"], "what is in the cache is taken without asking"
    assert seen["wrong digest"][0] == "WrongModel"


def test_a_model_of_the_registry_runs_isolated(seen) -> None:
    """A process of its own finds the model that was fetched."""
    assert seen["isolated"] == [2.0, 4.0, 6.0]


def test_what_is_not_there_is_told_as_such(seen) -> None:
    """Missing versions, aliases, runs and files are ModelNotFound, with MLflow's reason and a hint."""
    unknown = seen["refused"].pop("nonsense:/x")
    assert unknown[0] == "RemoteFailed"
    assert len(seen["refused"]) == 6
    for address, (kind, text) in seen["refused"].items():
        assert kind == "ModelNotFound", address
        assert "Hint: " in text
    assert "holds no MLmodel" in seen["refused"]["runs:/<run>/notes"][1]


def test_the_registry_is_imported_into_a_store(seen) -> None:
    """Under the name that it has there, with its address as the source, once."""
    assert seen["imported"] == [[f"models:/lines/{number}", f"mlflow:models:/lines/{number}"] for number in (1, 2)]
    assert seen["imported predicts"]
    assert seen["again"] == ["models:/lines/2"]


def test_a_model_of_palate_goes_into_the_registry_and_comes_back(seen) -> None:
    """Each export is a new version; stock MLflow opens it, and Palate finds its very bytes again, without a warning."""
    assert seen["exported"] == ["mlflow:models:/classes/1", "mlflow:models:/classes/2"]
    assert seen["stock opens it"]
    assert seen["comes back"] == [True, []]


def test_a_mlmodel_that_mlflow_rewrote_is_told_of(seen) -> None:
    """The model opens, with another digest and a warning that says why; the digest is the same every time."""
    differs, warned, same = seen["rewritten"]
    assert differs
    assert same
    assert len(warned) == 1
    assert warned[0].startswith("MLflow has rewritten the MLmodel of 'mlflow:models:/classes/2'")
    assert seen["rewritten predicts"] == [0, 0, 1]


def test_anything_else_that_changed_is_refused(seen) -> None:
    """A file that is not what Palate saved is named, and the model not opened."""
    kind, text = seen["changed"]
    assert kind == "ModelChanged"
    assert "changed: MLmodel, requirements.txt" in text
    assert "mlflow:models:/classes/2" in text


def test_nothing_half_fetched_is_left(seen) -> None:
    """After all of that, refusals included, the cache holds whole models only."""
    assert seen["left over"] == []


def test_mlflow_stays_without_palate(mlflow_python) -> None:
    """The judge's environment knows neither Palate nor what it stands on."""
    code = "import importlib.util as u; print([n for n in ('palate', 'pluggy') if u.find_spec(n)])"
    assert sys.executable != str(mlflow_python)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(mlflow_python), "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
