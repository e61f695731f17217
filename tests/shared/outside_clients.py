"""Asks a server with clients that others wrote, and prints what they understood; runs where Palate is not installed.

``python outside_clients.py http://host:port`` asks for two models: "flowers", whose columns are numbers and text, and
"pixels", one tensor of float32 with four columns.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import kserve
import numpy as np
import requests
import tritonclient.http as triton
from kserve.protocol.infer_type import RequestedOutput
from tritonclient.utils import InferenceServerException

SIZES = [0.5, 2.5, 1.0 / 3.0]
COLOURS = ["red", "blue", "grün"]
PIXELS = [[0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 2.0, 0.5]]


# -- Triton's client ---------------------------------------------------------------------------------------------------


def triton_flowers(client: Any, *, binary: bool, binary_out: bool, **options: Any) -> dict[str, Any]:
    """Ask with text and numbers, each way."""
    sizes = triton.InferInput("size", [3], "FP64")
    sizes.set_data_from_numpy(np.array(SIZES), binary_data=binary)
    colours = triton.InferInput("colour", [3], "BYTES")
    colours.set_data_from_numpy(np.array(COLOURS, dtype=object), binary_data=binary)
    wanted = [triton.InferRequestedOutput("output-0", binary_data=binary_out)]
    answer = client.infer("flowers", [sizes, colours], outputs=wanted, request_id="q-7", **options)
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("output-0").tolist()]
    response = answer.get_response()
    return {"labels": labels, "id": response["id"], "version": response["model_version"]}


def triton_pixels(client: Any, *, binary: bool, binary_out: bool, **options: Any) -> dict[str, Any]:
    """Ask with a matrix of float32; the client asks for binary data where it names no output."""
    pixels = triton.InferInput("any", [2, 4], "FP32")
    pixels.set_data_from_numpy(np.array(PIXELS, dtype=np.float32), binary_data=binary)
    wanted = None if binary_out else [triton.InferRequestedOutput("output-0", binary_data=False)]
    answer = client.infer("pixels", [pixels], outputs=wanted, **options)
    (output,) = answer.get_response()["outputs"]
    array = answer.as_numpy(output["name"])
    return {"dtype": str(array.dtype), "values": array.tolist()}


def triton_refusals(client: Any) -> dict[str, str]:
    """Ask for what there is not."""
    pixels = triton.InferInput("any", [1, 3], "FP32")
    pixels.set_data_from_numpy(np.zeros((1, 3), dtype=np.float32))
    asked: dict[str, Callable[[], Any]] = {
        "model": lambda: client.infer("nothing", [pixels]),
        "version": lambda: client.infer("pixels", [pixels], model_version="9"),
        "shape": lambda: client.infer("pixels", [pixels]),
        "output": lambda: triton_output(client, "nothing"),
        "metadata": lambda: client.get_model_metadata("nothing"),
    }
    return {name: refusal(ask) for name, ask in asked.items()}


def triton_output(client: Any, name: str) -> Any:
    """Ask for one output of the pixels."""
    pixels = triton.InferInput("any", [2, 4], "FP32")
    pixels.set_data_from_numpy(np.array(PIXELS, dtype=np.float32))
    return client.infer("pixels", [pixels], outputs=[triton.InferRequestedOutput(name)])


def refusal(ask: Callable[[], Any]) -> str:
    """Return the status that an error has, and its text."""
    try:
        ask()
    except InferenceServerException as exc:
        return f"{exc.status()} {exc.message()}"
    return "answered"


def ask_triton(address: str) -> dict[str, Any]:
    """Return what Triton's client found."""
    client = triton.InferenceServerClient(address)
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("pixels"),
        "version ready": client.is_model_ready("pixels", "1"),
        "other ready": client.is_model_ready("nothing"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata("flowers", "1"),
        "refusals": triton_refusals(client),
    }
    for binary in (False, True):
        for binary_out in (False, True):
            name = f"{'binary' if binary else 'json'} to {'binary' if binary_out else 'json'}"
            found[f"flowers {name}"] = triton_flowers(client, binary=binary, binary_out=binary_out)
            found[f"pixels {name}"] = triton_pixels(client, binary=binary, binary_out=binary_out, model_version="1")
    for packing in ("gzip", "deflate"):
        packed = {"request_compression_algorithm": packing, "response_compression_algorithm": packing}
        found[f"flowers {packing}"] = triton_flowers(client, binary=True, binary_out=True, **packed)
        found[f"pixels {packing}"] = triton_pixels(client, binary=False, binary_out=False, **packed)
    client.close()
    return found


# -- KServe's client ---------------------------------------------------------------------------------------------------


async def ask_kserve(url: str) -> dict[str, Any]:
    """Return what KServe's client found with the second version of the protocol."""
    client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", timeout=20))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model ready": await client.is_model_ready(url, "pixels"),
        "other ready": await client.is_model_ready(url, "nothing"),
    }
    for binary in (False, True):
        pixels = kserve.InferInput("any", [2, 4], "FP32")
        pixels.set_data_from_numpy(np.array(PIXELS, dtype=np.float32), binary_data=binary)
        wanted = [RequestedOutput("output-0", {"binary_data": binary})]
        request = kserve.InferRequest("pixels", [pixels], request_id="q-8", request_outputs=wanted)
        answer = await client.infer(url, request, model_name="pixels")
        array = answer.outputs[0].as_numpy()
        kind = "binary" if binary else "json"
        found[f"pixels {kind}"] = {"id": answer.id, "dtype": str(array.dtype), "values": array.tolist()}
    await client.close()
    first = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1", timeout=20))
    found["pixels v1"] = await first.infer(url, {"instances": PIXELS}, model_name="pixels")
    await first.close()
    return found


# -- requests, as TensorFlow Serving's documentation asks --------------------------------------------------------------


def ask_tensorflow_serving(url: str) -> dict[str, Any]:
    """Return what comes back in rows, in columns and about the model, with the statuses."""
    rows = [{"size": size, "colour": colour} for size, colour in zip(SIZES, COLOURS, strict=True)]
    asked = {
        "rows": ("flowers:predict", {"instances": rows}),
        "columns": ("flowers/versions/1:predict", {"inputs": {"size": SIZES, "colour": COLOURS}}),
        "one tensor": ("pixels:predict", {"signature_name": "serving_default", "instances": PIXELS}),
        "probabilities": ("flowers:predict", {"signature_name": "predict_proba", "instances": rows}),
        "unknown model": ("nothing:predict", {"instances": rows}),
        "unknown version": ("flowers/versions/9:predict", {"instances": rows}),
        "classify": ("flowers:classify", {"examples": rows}),
        "no rows given": ("flowers:predict", {}),
    }
    found = {}
    for name, (path, document) in asked.items():
        answer = requests.post(f"{url}/v1/models/{path}", json=document, timeout=20)
        found[name] = [answer.status_code, answer.json()]
    for path in ("flowers", "flowers/versions/1", "flowers/metadata", "nothing"):
        answer = requests.get(f"{url}/v1/models/{path}", timeout=20)
        found[path] = [answer.status_code, answer.json()]
    return found


def ask_all(url: str) -> dict[str, Any]:
    """Return what each client found; what one raised stands in its place."""
    clients: dict[str, Callable[[], Any]] = {
        "triton": lambda: ask_triton(url.removeprefix("http://")),
        "kserve": lambda: asyncio.run(ask_kserve(url)),
        "tensorflow": lambda: ask_tensorflow_serving(url),
    }
    found = {}
    for name, ask in clients.items():
        try:
            found[name] = ask()
        except Exception:
            found[name] = {"failed": traceback.format_exc()}
    return found


if __name__ == "__main__":
    print(json.dumps(ask_all(sys.argv[1])))
