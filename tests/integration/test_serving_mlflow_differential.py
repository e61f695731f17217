"""The same bodies to stock MLflow's server and to ours: where both answer, the answers are equal."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from asgi_posts import Post, post_all
from live_server import live_palate

from palate.serving import ServingSettings, create_app

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

SHARED = Path(__file__).parents[1] / "shared"
JSON = "application/json"
ROW = {
    "boolean": True,
    "integer": -7,
    "long": 2**53 + 1,
    "float": 0.5,
    "double": 0.1,
    "string": "é: 1",
    "binary": base64.b64encode(b"\x00\xff").decode(),
    "datetime": "2026-01-02T03:04:05.678",
}
OUTPUTS = (
    *("vector", "matrix", "truth", "words", "objects", "nan", "frame", "series", "nameless", "list", "dict"),
    *("records", "text", "number", "nothing", "zero", "scalar", "dates"),
)


def split(**columns: list[Any]) -> dict[str, Any]:
    """Return columns as dataframe_split."""
    return {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}


def parquet(frame: pd.DataFrame) -> bytes:
    """Return a frame as a Parquet file."""
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


ABC = pd.DataFrame({"a": [1.5, -2.0], "b": [0.25, 3.0], "c": [1e-9, 4.0]})
RECORDS = ABC.to_dict("records")
# By model, by name: a body that both take.
DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    "table": {
        "split": {"dataframe_split": split(**ABC.to_dict("list"))},
        "split with index": {"dataframe_split": {**split(**ABC.to_dict("list")), "index": [5, 7]}},
        "split, columns swapped": {"dataframe_split": split(**ABC[["c", "a", "b"]].to_dict("list"))},
        "split, a column too many": {"dataframe_split": split(**ABC.to_dict("list"), d=[1, 2])},
        "split, whole numbers": {"dataframe_split": split(a=[1, 2], b=[3, 4], c=[5, 6])},
        "records": {"dataframe_records": RECORDS},
        "records, one": {"dataframe_records": RECORDS[:1]},
        "instances of objects": {"instances": RECORDS},
        "inputs of columns": {"inputs": ABC.to_dict("list")},
        "inputs of records": {"inputs": RECORDS},
        "signature_name": {"instances": RECORDS, "signature_name": "serving_default"},
    },
    "array": {
        "inputs": {"inputs": ABC.to_numpy().tolist()},
        "instances": {"instances": ABC.to_numpy().tolist()},
        "whole numbers": {"inputs": [[1, 2, 3]]},
        "split": {"dataframe_split": {"data": ABC.to_numpy().tolist()}},
    },
    "types": {
        "split": {"dataframe_split": split(**{name: [cell] for name, cell in ROW.items()})},
        "records": {"dataframe_records": [ROW]},
        "records with gaps": {"dataframe_records": [ROW, {**ROW, "double": None, "float": None, "string": None}]},
    },
    "tensors": {
        "inputs": {"inputs": {"m": [[1.5, 2.5]], "v": [1]}},
        "instances": {"instances": [{"m": [1.5, 2.5], "v": 1}, {"m": [0.1, 4], "v": 2**53 + 1}]},
    },
    "open": {
        "split": {"dataframe_split": split(a=[1, 2], t=["x", "y"])},
        "records": {"dataframe_records": [{"a": 1.5, "t": "x"}]},
        "inputs": {"inputs": [[1, 2], [3, 4]]},
        "inputs of columns": {"inputs": {"a": [1, 2], "t": ["x", "y"]}},
        "instances": {"instances": [1.5, 2.5]},
        "instances of objects": {"instances": [{"a": 1}, {"a": 2}]},
    },
    "params": {
        "none": {"dataframe_split": split(a=[1.5])},
        "some": {"dataframe_split": split(a=[1.5]), "params": {"scale": 0.5}},
        "all": {"inputs": {"a": [1.5]}, "params": {"scale": 0.5, "shift": 3}},
    },
    "hints": {"inputs": {"inputs": ["a", "é"]}},
    "outputs": {name: {"dataframe_records": [{"kind": name}]} for name in OUTPUTS},
}
FILES: Mapping[str, Mapping[str, Post]] = {
    "table": {
        "csv": ("text/csv", ABC.to_csv(index=False).encode()),
        "csv with a charset": ("text/csv; charset=UTF-8", ABC.to_csv(index=False).encode()),
        "parquet": ("application/vnd.apache.parquet", parquet(ABC)),
        "json with a charset": (f"{JSON}; charset=utf-8", json.dumps({"dataframe_records": RECORDS}).encode()),
    },
}
POSTS: dict[str, dict[str, Post]] = {
    model: {
        **{name: (JSON, json.dumps(document).encode()) for name, document in documents.items()},
        **FILES.get(model, {}),
    }
    for model, documents in DOCUMENTS.items()
}
# What MLflow's server takes and changes: 1.7 becomes 1, "false" true, 2**40 0, 2**63 negative.
CHANGED: Mapping[str, Mapping[str, Any]] = {
    "decimals as integers": {**ROW, "integer": 1.7},
    "text as truth": {**ROW, "boolean": "false"},
    "numbers as truth": {**ROW, "boolean": 2},
    "large as 32 bits": {**ROW, "integer": 2**40},
    "large as 64 bits": {**ROW, "long": 2**63},
    "text as numbers": {**ROW, "long": "3"},
}
# What both refuse, with the statuses of MLflow's and ours.
REFUSED: Mapping[str, tuple[Post, int, int]] = {
    "empty": ((JSON, b""), 400, 400),
    "no JSON": ((JSON, b'{"inputs": [1'), 400, 400),
    "a list": ((JSON, b"[1]"), 400, 400),
    "no data": ((JSON, b"{}"), 400, 400),
    "two kinds of data": ((JSON, b'{"inputs": [1], "instances": [1]}'), 400, 400),
    "a missing column": ((JSON, json.dumps({"dataframe_split": split(a=[1.5])}).encode()), 400, 400),
    "text for a number": ((JSON, json.dumps({"dataframe_split": split(a=["x"], b=[1], c=[1])}).encode()), 400, 400),
    "ragged rows": ((JSON, b'{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2]]}}'), 400, 400),
    "another type": (("text/xml", b"<a/>"), 415, 415),
    "another charset": ((f"{JSON}; charset=utf-16", b"{}"), 415, 415),
    "no type": ((None, b'{"inputs": []}'), 500, 415),
}
for name, row in CHANGED.items():
    POSTS["types"][name] = (JSON, json.dumps({"dataframe_records": [row]}).encode())
for name, (post, _, _) in REFUSED.items():
    POSTS["table"][name] = post
POSTS["types"]["null as truth"] = (JSON, json.dumps({"dataframe_records": [{**ROW, "boolean": None}]}).encode())
POSTS["outputs"]["single"] = (JSON, b'{"dataframe_records": [{"kind": "single"}]}')
CASES = [(model, name) for model in POSTS for name in [*DOCUMENTS[model], *FILES.get(model, {})]]


def ask_mlflow(python: Path, folder: Path, address: Sequence[object], posts: Mapping[str, Sequence[Post]]) -> Any:
    """Return what stock MLflow answers, by model, and what its client finds at the address of ours."""
    asked = {
        str(folder / model): [(kind, body.decode("latin-1")) for kind, body in all_] for model, all_ in posts.items()
    }
    command = [python, SHARED / "mlflow_posts.py", *address]
    text = {"input": json.dumps(asked), "capture_output": True, "text": True}
    done = subprocess.run(list(map(str, command)), check=False, cwd=folder, **text)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """MLflow's status and body, and ours, by model and case; and what MLflow's client finds."""

    pairs: Mapping[tuple[str, str], tuple[tuple[int, bytes], tuple[int, bytes]]]
    client: Mapping[str, Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models."""
    folder = tmp_path_factory.mktemp("models")
    saved = subprocess.run([sys.executable, str(SHARED / "differential_models.py"), str(folder)], check=False)
    assert saved.returncode == 0
    return folder


@pytest.fixture(scope="module")
def answers(mlflow_python: Path, models: Path) -> Answers:
    """Return MLflow's answer and ours to each case."""
    posts = {model: list(named.values()) for model, named in POSTS.items()}
    with live_palate(models / "table", ready="/ping") as server:
        found = ask_mlflow(mlflow_python, models, [server.host, server.port], posts)
    pairs = {}
    settings = ServingSettings(trust=True, access_log="off")
    for model, named in POSTS.items():
        theirs = [(status, body.encode("latin-1")) for status, body in found["posts"][str(models / model)]]
        ours = post_all(create_app(models / model, settings), posts[model])
        pairs.update({(model, name): both for name, *both in zip(named, theirs, ours, strict=True)})
    return Answers(pairs=pairs, client=found["client"])


def read(body: bytes) -> Any:
    """Return a document with null for NaN, which MLflow writes as no JSON has it."""
    return json.loads(body, parse_constant=lambda _: None)


def types_of(value: Any) -> Any:
    """Return a document with the type of each value in its place, so that 1, 1.0 and true differ."""
    if isinstance(value, list):
        return [types_of(item) for item in value]
    if isinstance(value, dict):
        return {name: types_of(item) for name, item in value.items()}
    return type(value).__name__


@pytest.mark.parametrize(("model", "name"), CASES, ids=lambda part: part.replace(" ", "-"))
def test_both_answer_alike(answers: Answers, model: str, name: str) -> None:
    """A body that stock MLflow answers gets the same answer from us: shape, values and types."""
    (theirs_status, theirs), (ours_status, ours) = answers.pairs[model, name]
    assert (theirs_status, ours_status) == (200, 200), (theirs[-500:], ours[-500:])
    assert read(ours) == read(theirs)
    assert types_of(read(ours)) == types_of(read(theirs))


@pytest.mark.parametrize("name", CHANGED, ids=lambda name: name.replace(" ", "-"))
def test_values_that_mlflow_changes_are_refused(answers: Answers, name: str) -> None:
    """Where MLflow's server casts a value to another, ours refuses it."""
    (theirs_status, _), (ours_status, ours) = answers.pairs["types", name]
    assert (theirs_status, ours_status) == (200, 400)
    assert json.loads(ours)["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_missing_truth_value_stays_missing(answers: Answers) -> None:
    """null reaches a model's column of truth values as None, of which MLflow's server makes false."""
    (_, theirs), (_, ours) = answers.pairs["types", "null as truth"]
    assert [read(body)["predictions"][0]["boolean"] for body in (theirs, ours)] == [False, None]


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_both_refuse(answers: Answers, name: str) -> None:
    """What MLflow's server refuses is refused here, and told as the client's fault, which it is."""
    _, *expected = REFUSED[name]
    assert [status for status, _ in answers.pairs["table", name]] == expected


def test_float32_is_written_as_short_as_it_is_exact(answers: Answers) -> None:
    """A float32 has the digits that it needs, in MLflow's answer those of a double; read as float32, both are equal."""
    (_, theirs), (_, ours) = answers.pairs["outputs", "single"]
    found, expected = (np.float32(read(body)["predictions"]).tolist() for body in (ours, theirs))
    assert found == expected


def test_mlflows_client(answers: Answers) -> None:
    """MLflow's own client pings, asks for the version, invokes with a frame and with records, and shows an error."""
    found = answers.client
    assert found["frame"] == {"0": found["records"]} == {"0": [True, False]}
    assert "error code 400" in found["refused"]
    assert found["version"]
