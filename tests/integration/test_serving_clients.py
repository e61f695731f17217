"""A live server asked by clients that others wrote: Triton's, KServe's, TensorFlow Serving's and SageMaker's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clients_environment import clients_python, run_client, tensorflow_messages
from live_server import LiveServer, live_server

import palate

pytestmark = pytest.mark.slow

SERVE = """
import sys
from palate.serving import ServingSettings, serve
say = lambda addresses, served: print(*addresses, file=sys.stderr, flush=True)
sys.exit(serve({"flowers": sys.argv[1], "pixels": sys.argv[2]}, ServingSettings(port=0), on_listening=say))
"""
FLOWERS = {"size": [0.5, 2.5, 1.0 / 3.0], "colour": ["red", "blue", "grün"]}
PIXELS = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 2.0, 0.5]], dtype=np.float32)
WAYS = [f"{sent} to {answered}" for sent in ("json", "binary") for answered in ("json", "binary")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the clients found, and what the models predict here."""

    found: dict[str, Any]
    labels: list[str]
    chances: list[list[float]]
    values: list[list[float]]


def save_models(folder: Path) -> tuple[Path, Path]:
    """Save a classifier of numbers and text that answers with text, and a regression on float32."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    random = np.random.default_rng(7)
    frame = pd.DataFrame({"size": random.normal(size=60) * 3, "colour": random.choice(FLOWERS["colour"], 60)})
    split = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    flowers = make_pipeline(split, LogisticRegression()).fit(frame, np.where(frame["size"] > 0.6, "groß", "klein"))
    pixels = random.normal(size=(60, 4)).astype(np.float32)
    palate.save_model(flowers, folder / "flowers", input_example=frame[:3])
    palate.save_model(LinearRegression().fit(pixels, pixels[:, :2]), folder / "pixels", input_example=pixels[:3])
    return folder / "flowers", folder / "pixels"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the directories of both models."""
    clients_python()
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(models: tuple[Path, Path]) -> Iterator[LiveServer]:
    """Serve both models."""
    with live_server(sys.executable, "-c", SERVE, *models, ready="/v2/health/ready") as running:
        yield running


@pytest.fixture(scope="module")
def asked(server: LiveServer, models: tuple[Path, Path]) -> Asked:
    """Ask with every client once."""
    flowers, pixels = map(palate.load_model, models)
    frame = pd.DataFrame(FLOWERS)
    return Asked(
        found=json.loads(run_client("outside_clients.py", server.base_url)),
        labels=flowers.predict(frame).tolist(),
        chances=flowers.predict_proba(frame).tolist(),
        values=pixels.predict(PIXELS).tolist(),
    )


@pytest.mark.parametrize("client", ["triton", "kserve", "tensorflow"])
def test_no_client_stumbles(asked: Asked, client: str) -> None:
    """Each client understands every answer that it gets."""
    assert asked.found[client].get("failed") is None


@pytest.mark.parametrize("way", WAYS)
def test_triton_sends_and_receives(asked: Asked, way: str) -> None:
    """Text and float32 travel as JSON and as binary data, to the last bit; the id is echoed."""
    found = asked.found["triton"]
    assert found[f"flowers {way}"] == {"labels": asked.labels, "id": "q-7", "version": "1"}
    assert found[f"pixels {way}"] == {"dtype": "float32", "values": asked.values}


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_triton_compresses(asked: Asked, packing: str) -> None:
    """A compressed request is answered like another."""
    found = asked.found["triton"]
    assert found[f"flowers {packing}"]["labels"] == asked.labels
    assert found[f"pixels {packing}"]["values"] == asked.values


def test_triton_asks_about_the_server(asked: Asked) -> None:
    """Health, readiness by model and version, and the metadata of server and model are understood."""
    found = asked.found["triton"]
    assert [found[name] for name in ("live", "ready", "model ready", "version ready", "other ready")] == [True] * 4 + [
        False
    ]
    assert found["server"]["extensions"] == ["binary_tensor_data", "parameters"]
    assert found["metadata"]["inputs"] == [
        {"name": "size", "datatype": "FP64", "shape": [-1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [output["name"] for output in found["metadata"]["outputs"]] == ["output-0"]


def test_triton_is_refused(asked: Asked) -> None:
    """What there is not is 404, what does not fit 400, each with a text that the client shows."""
    statuses = {name: text.partition(" ")[0] for name, text in asked.found["triton"]["refusals"].items()}
    assert statuses == {"model": "404", "version": "404", "shape": "400", "output": "400", "metadata": "404"}


@pytest.mark.parametrize("form", ["json", "binary"])
def test_kserve_sends_and_receives(asked: Asked, form: str) -> None:
    """KServe's client sends and gets float32, as JSON and as binary data, to the last bit."""
    expected = {"id": "q-8", "dtype": "float32", "values": asked.values}
    assert asked.found["kserve"][f"pixels {form}"] == expected


def test_kserve_asks_about_the_server(asked: Asked) -> None:
    """Health and readiness are understood; its first protocol is TensorFlow Serving's, and is answered too."""
    found = asked.found["kserve"]
    assert [found[name] for name in ("live", "ready", "model ready", "other ready")] == [True, True, True, False]
    assert np.array_equal(np.float32(found["pixels v1"]["predictions"]), np.float32(asked.values))


def test_tensorflow_serving_predicts(asked: Asked) -> None:
    """Rows, columns, one tensor, versions and methods are answered in the form that was sent."""
    found = asked.found["tensorflow"]
    assert found["rows"] == [200, {"predictions": asked.labels}]
    assert found["columns"] == [200, {"outputs": asked.labels}]
    assert found["probabilities"] == [200, {"predictions": asked.chances}]
    status, document = found["one tensor"]
    assert (status, np.float32(document["predictions"]).tolist()) == (200, asked.values)


def test_tensorflow_serving_refuses(asked: Asked) -> None:
    """Errors have TensorFlow Serving's statuses and shape."""
    found = asked.found["tensorflow"]
    statuses = {"unknown model": 404, "unknown version": 404, "nothing": 404, "classify": 400, "no rows given": 400}
    assert {name: found[name][0] for name in statuses} == statuses
    assert all(list(found[name][1]) == ["error"] for name in statuses)


def test_tensorflow_servings_own_messages_hold_the_information(asked: Asked) -> None:
    """Status and metadata parse as the protocol buffers of TensorFlow Serving, without an unknown field."""
    found = asked.found["tensorflow"]
    document = {"status": found["flowers/versions/1"][1], "metadata": found["flowers/metadata"][1]}
    script = Path(__file__).parents[1] / "shared" / "tensorflow_messages.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tensorflow_messages())},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    available, double, string = 30, 2, 7  # as get_model_status.proto and types.proto number them
    assert json.loads(done.stdout) == {
        "states": [[1, available]],
        "spec": ["flowers", 1],
        "inputs": {"size": [double, [-1]], "colour": [string, [-1]]},
    }


def test_sagemaker_asks(server: LiveServer) -> None:
    """The routes of a SageMaker container answer, and its own headers change nothing."""
    own = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=é".encode().decode("latin-1"),
        "X-Amzn-SageMaker-Inference-Id": "i-1",
        "X-Amzn-SageMaker-Target-Variant": "blue",
    }
    body = json.dumps(
        {"dataframe_split": {"columns": list(FLOWERS), "data": list(zip(*FLOWERS.values(), strict=True))}}
    )
    reply = server.request("POST", "/invocations", body.encode(), {"Content-Type": "application/json", **own})
    assert (reply.status, len(json.loads(reply.body)["predictions"])) == (200, 3)
    assert server.request("GET", "/ping").status == 200
    parameters = json.loads(server.request("GET", "/execution-parameters").body)
    assert parameters == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 16}
