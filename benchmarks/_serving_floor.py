"""The floor: the least that a server of a model does, written by hand; uvicorn runs ``app``.

Raw ASGI and orjson, no validation but of the shape, one model, one route, one form of body. Whatever requests arrive
in one turn of the event loop go to the model in one call, and no timer waits for more. In the environment:

* FLOOR_MODEL: a file of joblib or of XGBoost; the estimator was fitted on arrays.
* FLOOR_FORM: ``split`` for MLflow's dataframe_split, ``inputs`` for its tensors.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

COLUMNS = 30
# Rows at which a call starts without waiting for the end of the turn.
FULL = 256
TYPE = (b"content-type", b"application/json")


def load(file: Path) -> Any:
    """Return the model's own predict, on one thread."""
    if file.suffix == ".joblib":
        import joblib

        return joblib.load(file).predict
    import xgboost

    model = xgboost.XGBClassifier(n_jobs=1)
    model.load_model(file)
    model.set_params(n_jobs=1)
    return model.predict


def parse_split(body: bytes) -> Any:
    """Return the rows of a dataframe_split; the names of its columns are not looked at."""
    return np.array(orjson.loads(body)["dataframe_split"]["data"], dtype="f8")


def parse_inputs(body: bytes) -> Any:
    """Return the rows of a tensor."""
    return np.array(orjson.loads(body)["inputs"], dtype="f8")


class Batch:
    """The requests of this turn of the event loop."""

    def __init__(self, predict: Callable[[Any], Any], parse: Callable[[bytes], Any]) -> None:
        self._predict, self._parse = predict, parse
        self._waiting: list[tuple[Any, asyncio.Future[bytes]]] = []
        self._rows = 0

    def score(self, body: bytes) -> asyncio.Future[bytes]:
        """Return the answer to a body, once there is one."""
        rows = self._parse(body)
        if rows.ndim != 2 or rows.shape[1] != COLUMNS:
            raise ValueError(rows.shape)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((rows, future))
        self._rows += len(rows)
        if self._rows >= FULL:
            self._flush()
        return future

    def _flush(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if len(waiting) == 1:
            waiting[0][1].set_result(encode(self._predict(waiting[0][0])))
        elif waiting:
            predicted, start = self._predict(np.concatenate([rows for rows, _ in waiting])), 0
            for rows, future in waiting:
                end = start + len(rows)
                future.set_result(encode(predicted[start:end]))
                start = end


def encode(predicted: Any) -> bytes:
    """Return predictions as MLflow writes them."""
    return orjson.dumps({"predictions": predicted}, option=orjson.OPT_SERIALIZE_NUMPY)


predict = load(Path(os.environ["FLOOR_MODEL"]))
batch = Batch(predict, {"split": parse_split, "inputs": parse_inputs}[os.environ["FLOOR_FORM"]])
predict(np.zeros((1, COLUMNS)))
gc.collect()
gc.freeze()


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Predict for a POST, whatever its path; answer a GET, which asks whether the server is ready."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    body = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
        body = b"".join(parts)
    answer = await batch.score(body) if scope["method"] == "POST" else b"{}"
    headers = [TYPE, (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
