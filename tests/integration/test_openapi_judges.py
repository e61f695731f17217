"""The OpenAPI document before judges that others wrote: a validator of the specification, and schemathesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients_environment import clients_python, run_client
from live_server import LiveServer, live_server
from openapi_contracts import HOSTILE_NAMES, SIGNATURES, contract_of, every_contract

from palate.serving import openapi_document

SHARED = Path(__file__).resolve().parents[1] / "shared"
# Their shapes are the protocol's own: the document does not say which tensors the model has.
PROTOCOLS = "^/(invocations|v1/models/(customers|pairs):predict|v2/models/(customers|pairs)/infer)$"


@pytest.mark.slow
def test_documents_are_valid(tmp_path: Path) -> None:
    """The document of every signature, and of models with hostile names, is valid OpenAPI 3.1."""
    newer = contract_of(SIGNATURES["facts"], name="facts", version="12")
    named = [contract_of(SIGNATURES["params"], name=name or "empty") for name in HOSTILE_NAMES]
    documents = {
        "every signature": openapi_document([*every_contract(), newer]),
        "hostile names": openapi_document(named, protocols=["palate", "tf"]),
        "no model": openapi_document([]),
    }
    file = tmp_path / "documents.json"
    file.write_text(json.dumps(documents), "utf-8")
    assert json.loads(run_client("openapi_validator.py", file)) == {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of several models."""
    clients_python()
    folder = tmp_path_factory.mktemp("served")
    with live_server(sys.executable, SHARED / "openapi_server.py", folder, ready="/ready") as running:
        yield running


def _judge(server: LiveServer, folder: Path, *options: object) -> tuple[int, str]:
    """Run schemathesis in a folder of its own; return its exit code and what it says."""
    command = [clients_python().with_name("schemathesis"), "run", f"{server.base_url}/openapi.json", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(SHARED)}
    done = subprocess.run(
        list(
            map(
                str,
                [
                    *command,
                    "--seed",
                    1,
                    "--phases",
                    "examples,coverage,fuzzing",
                    "--warnings",
                    "off",
                    "--generation-database",
                    "none",
                    *options,
                ],
            )
        ),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_typed_routes(server: LiveServer, tmp_path: Path) -> None:
    """Palate's own routes take every body that the document describes, refuse every other, and answer as it says."""
    code, told = _judge(server, tmp_path, "--include-path-regex", "^/models/[a-z]+/predict$", "--max-examples", 20)
    assert code == 0, told


@pytest.mark.slow
def test_other_methods_and_versions(server: LiveServer, tmp_path: Path) -> None:
    """The routes of other methods, and those with a version, keep the document as well."""
    paths = "^/models/(flowers/predict_|[a-z]+/versions)"
    code, told = _judge(server, tmp_path, "--include-path-regex", paths, "--max-examples", 5)
    assert code == 0, told


@pytest.mark.slow
def test_information(server: LiveServer, tmp_path: Path) -> None:
    """Every route that tells instead of predicting answers as the document says, and other methods with 405."""
    code, told = _judge(server, tmp_path, "--include-method", "GET", "--max-examples", 5)
    assert code == 0, told


@pytest.mark.slow
def test_protocols(server: LiveServer, tmp_path: Path) -> None:
    """Routes of other protocols never fail, refuse what their shapes rule out, and answer as the document says."""
    unsaid = ("--exclude-checks", "positive_data_acceptance")
    code, told = _judge(server, tmp_path, "--include-path-regex", PROTOCOLS, *unsaid, "--max-examples", 20)
    assert code == 0, told


def test_examples_are_answered(server: LiveServer) -> None:
    """Each body in the document of a running server has an example, which is answered with 200."""
    document = json.loads(server.request("GET", "/openapi.json").body)
    headers = {"content-type": "application/json"}
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    assert len(posts) >= 20
    for path, operation in posts.items():
        example = operation["requestBody"]["content"]["application/json"]["example"]
        reply = server.request("POST", path, json.dumps(example).encode(), headers)
        assert reply.status == 200, (path, example, reply.body)


def test_page_of_a_server(server: LiveServer) -> None:
    """A running server shows the page, whose commands call that server, under a policy that forbids all else."""
    reply = server.request("GET", "/docs")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert f"curl {server.base_url}/models/flowers/predict " in reply.body.decode()


@pytest.fixture(scope="module")
def without_frameworks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which no framework can be imported."""
    folder = tmp_path_factory.mktemp("poison")
    for name in ("sklearn", "torch", "xgboost", "tensorflow", "keras", "pandas", "skops", "scipy"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is not to be imported')\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def _palate_openapi(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "palate", "openapi", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_command(without_frameworks: dict[str, str], tmp_path: Path) -> None:
    """``palate openapi`` prints, or writes, the document from a model's directory, with no framework installed."""
    model = Path(__file__).resolve().parents[1] / "data" / "mlflow_models" / "pyf_function_with_signature" / "model"
    printed = _palate_openapi(without_frameworks, model, "--name", "mine", "--version", "3")
    assert (printed.returncode, printed.stderr) == (0, "")
    document: dict[str, Any] = json.loads(printed.stdout)
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "mine", "version": "3"}
    assert "/models/mine/versions/3/predict" in document["paths"]
    written = _palate_openapi(
        without_frameworks, model, "--name", "mine", "--version", "3", "-o", tmp_path / "api.json"
    )
    assert (written.returncode, written.stdout) == (0, "")
    assert json.loads((tmp_path / "api.json").read_text("utf-8")) == document


def test_command_refused(without_frameworks: dict[str, str], tmp_path: Path) -> None:
    """Where no model is, or nothing can be written, ``palate openapi`` says so in a line."""
    missing = _palate_openapi(without_frameworks, tmp_path)
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
    model = Path(__file__).resolve().parents[1] / "data" / "mlflow_models" / "pyf_function_with_signature" / "model"
    unwritten = _palate_openapi(without_frameworks, model, "-o", tmp_path / "no" / "api.json")
    assert unwritten.returncode == 1
    assert unwritten.stderr.count("\n") == 1
