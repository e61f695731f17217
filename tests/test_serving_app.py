"""The application in one process, asked by starlette's client: every kind of body, every kind of fault."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

import palate
from palate.schema import ColSpec, Schema, TensorSpec
from palate.serving import ServingSettings, create_app
from palate.signature import Signature

COLUMNS = ["a", "b:c", "truel"]
ROWS = [[1.5, 2.5, 3.5], [4.0, 5.0, 6.0]]
SPLIT = {"dataframe_split": {"columns": COLUMNS, "data": ROWS}}
SUMS = [7.5, 15.0]


class Adder(palate.PythonModel):
    """Adds up its columns; unlucky numbers make it fail, and a NaN comes out of a negative one."""

    rows_are_independent = True

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        total = model_input[COLUMNS].sum(axis=1).to_numpy() * (params or {}).get("factor", 1)
        if (total == 13).any():
            raise ValueError("the secret of row thirteen")
        if (total == 666).any():
            raise SystemExit(3)
        return np.where(total < 0, np.nan, total)


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the model."""
    path = tmp_path_factory.mktemp("serving") / "adder"
    example = pd.DataFrame(ROWS, columns=COLUMNS)
    inputs = palate.infer_signature(example, SUMS, params={"factor": 1.0})
    palate.save_model(Adder(), path, signature=inputs, input_example=example)
    return path


@pytest.fixture(scope="module")
def client(adder: Path) -> Iterator[TestClient]:
    """Serve it without a port."""
    app = create_app(adder, ServingSettings(trust=True, access_log="off", max_body_bytes=1 << 20))
    with TestClient(app, base_url="http://localhost") as opened:
        yield opened


def post(client: TestClient, body: Any, path: str = "/invocations", **headers: str) -> Any:
    """Send JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post(path, content=content, headers=sent)


@pytest.mark.parametrize(
    "body",
    [
        SPLIT,
        {"dataframe_split": {"data": ROWS, "columns": COLUMNS}},
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [row[::-1] for row in ROWS]}},
        {"dataframe_split": {"columns": COLUMNS, "index": [5, 6], "data": ROWS}},
        {"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]},
        {"instances": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]},
        {"inputs": {name: [row[n] for row in ROWS] for n, name in enumerate(COLUMNS)}},
        {"inputs": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]},
    ],
    ids=lambda body: next(iter(body)),
)
def test_every_form_of_mlflow_gives_the_same(client: TestClient, body: Any) -> None:
    """Each of MLflow's JSON bodies is read as the same rows."""
    answer = post(client, body)
    assert (answer.status_code, answer.json()) == (200, {"predictions": SUMS})


@pytest.mark.parametrize(
    "inputs",
    [
        [dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
        {name: [row[n] for row in ROWS] for n, name in enumerate(COLUMNS)},
    ],
    ids=["records", "columns"],
)
def test_typed_route_takes_records_and_columns(client: TestClient, inputs: Any) -> None:
    """The route of a method reads rows by name."""
    answer = post(client, {"inputs": inputs, "params": {"factor": 2}}, "/models/adder/predict")
    assert (answer.status_code, answer.json()) == (200, {"predictions": [15.0, 30.0]})
    assert post(client, {"inputs": inputs}, "/models/adder/versions/1/predict").json() == {"predictions": SUMS}


def arrow(table: pa.Table) -> bytes:
    """Return a table as an IPC stream."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet(table: pa.Table) -> bytes:
    """Return a table as a parquet file."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def npy(array: Any) -> bytes:
    """Return an array as a npy file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


TABLE = pa.table({name: [row[n] for row in ROWS] for n, name in enumerate(COLUMNS)})
BULK = {
    "application/vnd.apache.arrow.stream": arrow(TABLE),
    "application/vnd.apache.parquet": parquet(TABLE),
    "application/x-parquet": parquet(TABLE),
    "application/x-npy": npy(np.array(ROWS)),
    "text/csv": b"a,b:c,truel\n1.5,2.5,3.5\n4,5,6\n",
    "text/csv; charset=UTF-8": b"a,b:c,truel\n1.5,2.5,3.5\n4,5,6\n",
}


@pytest.mark.parametrize("path", ["/invocations", "/models/adder/predict"])
@pytest.mark.parametrize(("content_type", "body"), BULK.items(), ids=BULK)
def test_bulk_bodies_are_the_same_rows(client: TestClient, path: str, content_type: str, body: bytes) -> None:
    """csv, parquet and Arrow hold what JSON holds."""
    answer = post(client, body, path, content_type=content_type)
    assert (answer.status_code, answer.json()) == (200, {"predictions": SUMS})


@pytest.mark.parametrize(
    "table",
    [
        TABLE.select(COLUMNS[::-1]),
        TABLE.append_column("more", [["x", "y"]]),
        TABLE.cast(pa.schema([(name, pa.float32()) for name in COLUMNS])),
        TABLE.set_column(0, "a", pa.array([1.5, None])),
        TABLE.slice(1),
        pa.concat_tables([TABLE, TABLE]),
        TABLE.slice(0, 0),
    ],
    ids=["another order", "another column", "float32", "a gap", "one row", "chunks", "no rows"],
)
def test_tables_are_read_by_name_and_type(client: TestClient, adder: Path, table: pa.Table) -> None:
    """Whatever the order, the width, the chunks and the gaps of an Arrow table, its rows are what a frame has."""
    wanted = palate.load_model(adder, trust=True).predict(table.select(COLUMNS).to_pandas()) if table.num_rows else []
    answer = post(client, arrow(table), content_type="application/vnd.apache.arrow.stream")
    assert (answer.status_code, answer.json()) == (200, {"predictions": list(wanted)})


ABSENT = "text/csv; header=absent"


@pytest.mark.parametrize("path", ["/invocations", "/models/adder/predict"])
def test_csv_without_a_header_is_read_in_the_signatures_order(client: TestClient, path: str) -> None:
    """Rows that a batch transform has split off, which say so, need no line of names; others are told of it."""
    assert post(client, b"1.5,2.5,3.5\n4,5,6\n", path, content_type=ABSENT).json() == {"predictions": SUMS}
    refused = post(client, b"1.5,2.5,3.5\n4,5,6\n", path, content_type="text/csv")
    assert refused.status_code == 400
    assert ABSENT in refused.text
    assert "2.5" not in refused.text


@pytest.mark.parametrize("path", ["/invocations", "/models/adder/predict"])
def test_every_wrong_cell_of_csv_has_its_place(client: TestClient, path: str) -> None:
    """The name and the row of each, as in JSON."""
    refused = post(client, b"a,b:c,truel\n1,x,3\n4,5,y\n", path, content_type="text/csv")
    places = [problem["where"] for problem in refused.json()["problems"]]
    assert (refused.status_code, places) == (400, [["inputs", "b:c", 0], ["inputs", "truel", 1]])


class Flat(palate.PythonModel):
    """Adds up each row of data without names."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        rows = np.asarray(model_input)
        return rows.reshape(len(rows), -1).sum(axis=1)


def _double(numbers: list[float]) -> list[float]:
    return [2 * number for number in numbers]


NAMELESS = {
    "columns": (Flat(), Schema((ColSpec(type="double"), ColSpec(type="double"))), b"1.5,2\n4,5\n", [3.5, 9.0]),
    "rows": (Flat(), Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)), b"1.5,2\n4,5\n", [3.5, 9.0]),
    "numbers": (Flat(), Schema((TensorSpec(dtype="int64", shape=(-1,)),)), b"7\n8\n", [7, 8]),
    "a function": (_double, None, b"7.5\n8\n", [15.0, 16.0]),
}


@pytest.mark.parametrize(("model", "inputs", "body", "wanted"), NAMELESS.values(), ids=NAMELESS)
def test_csv_for_signatures_without_names(
    tmp_path: Path, model: Any, inputs: Schema | None, body: bytes, wanted: list[float]
) -> None:
    """Without a header line every row is data; a first row of data that is not told of is refused, never lost."""
    options = {} if inputs is None else {"signature": Signature(inputs=inputs)}
    palate.save_model(model, tmp_path / "m", **options)
    app = create_app(tmp_path / "m", ServingSettings(trust=True, access_log="off"))
    with TestClient(app, base_url="http://localhost") as client:
        for path in ("/invocations", "/models/m/predict"):
            assert post(client, body, path, content_type=ABSENT).json() == {"predictions": wanted}
            refused = post(client, body, path, content_type="text/csv")
            assert (refused.status_code, "looks like data" in refused.text) == (400, True)
            width = body.split(b"\n")[0].count(b",") + 1
            named = b",".join(b"xy"[n : n + 1] for n in range(width)) + b"\n" + body
            assert post(client, named, path, content_type="text/csv").json() == {"predictions": wanted}


TYPED_MISFITS = {
    "an extra column": ([{"a": 1, "b:c": 2, "truel": 3, "more": 4}], ["inputs", 0, "more"]),
    "a missing one": ([{"a": 1, "b:c": 2, "truel": 3}, {"a": 1, "b:c": 2}], ["inputs", 1, "truel"]),
    "text": ([{"a": "1", "b:c": 2, "truel": 3}], ["inputs", 0, "a"]),
    "true": ([{"a": True, "b:c": 2, "truel": 3}], ["inputs", 0, "a"]),
    "a list": ([{"a": [1], "b:c": 2, "truel": 3}], ["inputs", 0, "a"]),
    "no record": ([[1, 2, 3]], ["inputs", 0]),
    "one record": ({"a": 1, "b:c": 2, "truel": 3}, ["inputs", "a"]),
    "uneven columns": ({"a": [1], "b:c": [2], "truel": [3, 4]}, ["inputs"]),
    "a number": (5, ["inputs"]),
}


@pytest.mark.parametrize(("inputs", "where"), TYPED_MISFITS.values(), ids=TYPED_MISFITS)
def test_typed_route_takes_nothing_but_what_it_says(client: TestClient, inputs: Any, where: list[Any]) -> None:
    """Names, types and lengths that the document does not have are 400, with the place of each."""
    answer = post(client, {"inputs": inputs}, "/models/adder/predict")
    assert answer.status_code == 400, answer.text
    assert where in [problem["where"] for problem in answer.json()["problems"]]


def test_typed_route_knows_its_params(client: TestClient) -> None:
    """A param that the signature has not is refused, and so is another key beside inputs and params."""
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    for body in (
        {"inputs": rows, "params": {"fctor": 2}},
        {"inputs": rows, "parms": {}},
        {"inputs": rows, "params": []},
    ):
        assert post(client, body, "/models/adder/predict").status_code == 400
    assert post(client, {"inputs": []}, "/models/adder/predict").json() == {"predictions": []}


def test_long_texts_are_not_widened(client: TestClient) -> None:
    """A text among numbers is refused without an array in which every item has its room."""
    rows = [["x" * 500_000, 1, 2], *[[1, 2, 3]] * 20_000]
    assert post(client, {"dataframe_split": {"columns": COLUMNS, "data": rows}}).status_code == 400
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert post(client, {"inputs": records[:5000]}, "/models/adder/predict").status_code == 400


def test_answers_come_in_the_form_that_is_asked_for(client: TestClient) -> None:
    """Accept chooses among JSON, Arrow, npy and csv, by quality."""
    stream = post(client, SPLIT, accept="application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(stream.content).read_all().column("prediction").to_pylist() == SUMS
    array = post(client, SPLIT, accept="text/html;q=0.9, application/x-npy;q=0.8, application/json;q=0.1")
    assert np.load(io.BytesIO(array.content)).tolist() == SUMS
    assert post(client, SPLIT, accept="text/csv").text == "prediction\n7.5\n15.0\n"
    assert post(client, SPLIT, accept="application/*").headers["content-type"] == "application/json"
    assert post(client, SPLIT, accept="image/png").status_code == 406


def test_an_answer_without_the_form_asked_for_is_406(tmp_path: Path) -> None:
    """Nested predictions are no table: whoever asks for one is told that there is JSON."""
    palate.save_model(_nest, tmp_path / "nest", signature=palate.infer_signature(pd.DataFrame({"a": [1.0]})))
    app = create_app(tmp_path / "nest", ServingSettings(trust=True, access_log="off"))
    with TestClient(app, base_url="http://localhost") as client:
        body = {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}
        assert post(client, body).json() == {"predictions": [{"deep": [1.0]}]}
        for accept in ("text/csv", "application/x-npy"):
            refused = post(client, body, accept=accept)
            assert (refused.status_code, "application/json" in refused.json()["message"]) == (406, True)


def _nest(table: Any) -> list[dict[str, Any]]:
    return [{"deep": [cell]} for cell in table["a"].tolist()]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
def test_compressed_bodies_are_read(client: TestClient, encoding: str) -> None:
    """gzip and both forms of deflate are inflated."""
    plain = json.dumps(SPLIT).encode()
    raw = zlib.compressobj(wbits=-15)
    sent = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": raw.compress(plain) + raw.flush(),
    }
    answer = post(client, sent[encoding], content_encoding=encoding.split()[-1])
    assert answer.json() == {"predictions": SUMS}


def test_answers_are_compressed_for_who_asks_for_it(client: TestClient) -> None:
    """A client that takes gzip, and nothing else, gets it for a body that is worth it; others are spared the time."""
    many = {"dataframe_split": {"columns": COLUMNS, "data": ROWS * 500}}
    for encoding in ("gzip", "deflate"):
        answer = post(client, many, accept_encoding=encoding)
        assert answer.headers["content-encoding"] == encoding
        assert answer.json() == {"predictions": SUMS * 500}
        assert "content-encoding" not in post(client, SPLIT, accept_encoding=encoding).headers
    assert "content-encoding" not in post(client, many, accept_encoding="gzip, deflate, br").headers


def test_many_rows_are_read_and_written_beside_the_loop(client: TestClient) -> None:
    """A large request is answered like a small one; what it gets wrong, too."""
    many = {"dataframe_split": {"columns": COLUMNS, "data": ROWS * 5000}}
    assert post(client, many).json() == {"predictions": SUMS * 5000}
    assert post(client, many, accept="image/png").status_code == 406
    many["dataframe_split"]["data"][-1] = [1, 2]
    assert post(client, many).status_code == 400


def test_a_bomb_is_refused_before_it_goes_off(client: TestClient) -> None:
    """A body that grows beyond the limit is 413, and the next request is answered."""
    bomb = gzip.compress(b" " * (50 << 20))
    assert post(client, bomb, content_encoding="gzip").status_code == 413
    assert post(client, b"x" * ((1 << 20) + 1)).status_code == 413
    assert post(client, SPLIT).status_code == 200


BAD = {
    "empty": (b"", 400),
    "truncated": (b'{"dataframe_split": {"col', 400),
    "NaN": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[NaN, 2, 3]]}}', 400),
    "1e999": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[1e999, 2, 3]]}}', 400),
    "key twice": (b'{"instances": [], "instances": []}', 400),
    "column twice": (b'{"dataframe_records": [{"a": 1, "a": 2, "b:c": 1, "truel": 2}]}', 400),
    "list": (b"[1]", 400),
    "null": (b"null", 400),
    "no wrapper": (b'{"rows": []}', 400),
    "two wrappers": (b'{"instances": [], "inputs": []}', 400),
    "deep": (b"[" * 100_000 + b"]" * 100_000, 400),
    "text": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [["1", 2, 3]]}}', 400),
    "true": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[true, 2, 3]]}}', 400),
    "false": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[false, 2.5, 3], [1, 2, 3]]}}', 400),
    "ragged": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[1, 2, 3], [1]]}}', 400),
    "wide": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[1, 2, 3, 4]]}}', 400),
    "missing column": (b'{"dataframe_split": {"columns": ["a", "b:c"], "data": [[1, 2]]}}', 400),
    "inexact": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[9007199254740993, 2, 3]]}}', 400),
    "params": (b'{"dataframe_split": {"columns": ["a", "b:c", "truel"], "data": [[1, 2, 3]]}, "params": 5}', 400),
    "param": (b'{"instances": [{"a": 1, "b:c": 2, "truel": 3}], "params": {"factor": "x"}}', 400),
    "columns": (b'{"dataframe_split": {"columns": [["a"], "b:c", "truel"], "data": [[1, 2, 3]]}}', 400),
    "name twice": (b'{"dataframe_split": {"columns": ["a", "a", "b:c"], "data": [[1, 2, 3]]}}', 400),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD)
def test_bad_bodies_are_the_clients_fault(client: TestClient, body: bytes, status: int) -> None:
    """Each is refused with its status, in JSON, without a traceback; the next request is answered."""
    answer = post(client, body)
    assert answer.status_code == status, answer.text
    assert {"error_code", "message", "request_id"} <= answer.json().keys()
    assert "Traceback" not in answer.text
    assert post(client, SPLIT).json() == {"predictions": SUMS}


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "application/x-pickle", "application/json; charset=utf-16", "text/csv, application/json", ""],
)
def test_other_content_types_are_not_read(client: TestClient, content_type: str) -> None:
    """What is not read here is 415 and says what would be."""
    answer = post(client, SPLIT, content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]


def test_no_rows_in_no_rows_out(client: TestClient) -> None:
    """An empty table is answered with an empty list, though frameworks raise on it."""
    answer = post(client, {"dataframe_split": {"columns": COLUMNS, "data": []}})
    assert (answer.status_code, answer.json()) == (200, {"predictions": []})


def test_missing_values_are_null_in_and_out(client: TestClient) -> None:
    """null is NaN in a column of doubles; NaN goes out as null with a header that says so, and whole in npy."""
    with_null = {"dataframe_split": {"columns": COLUMNS, "data": [[None, -9, 1], [1, 2, 3]]}}
    answer = post(client, with_null)
    assert answer.json() == {"predictions": [None, 6.0]}
    assert answer.headers["palate-nan-as-null"] == "true"
    assert math.isnan(np.load(io.BytesIO(post(client, with_null, accept="application/x-npy").content))[0])


def test_the_models_own_fault_is_the_servers(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    """A model that raises is 500 with an id; its words and its traceback are in the log under that id alone."""
    unlucky = {"dataframe_split": {"columns": COLUMNS, "data": [[13, 0, 0]]}}
    answer = post(client, unlucky, x_request_id="case-13")
    assert answer.status_code == 500
    assert "case-13" in answer.json()["message"]
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "case-13"
    typed = post(client, {"inputs": [dict(zip(COLUMNS, [13, 0, 0], strict=True))]}, "/models/adder/predict")
    assert (typed.status_code, typed.headers["content-type"]) == (500, "application/problem+json")
    assert typed.json()["kind"] == "ModelFailed"


def test_a_model_that_ends_the_process_does_not(client: TestClient) -> None:
    """sys.exit in a model is a failure like others."""
    assert post(client, {"dataframe_split": {"columns": COLUMNS, "data": [[666, 0, 0]]}}).status_code == 500
    assert post(client, SPLIT).status_code == 200


def test_other_methods_and_paths(client: TestClient) -> None:
    """A path that predicts is for POST and says so; unknown paths and models are 404, in the protocol's form."""
    wrong = client.get("/invocations")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert client.get("/models/adder/predict").json()["kind"] == "MethodNotAllowed"
    assert client.post("/ready").status_code == 405
    assert client.get("/nowhere").status_code == 404
    assert "error" in post(client, SPLIT, "/v2/models/other/infer").json()
    for path, kind in (("adder/explain", "MethodNotFound"), ("other/predict", "UnknownModel")):
        unknown = post(client, SPLIT, f"/models/{path}")
        assert (unknown.status_code, unknown.json()["kind"]) == (404, kind)
        assert "adder" in unknown.text or "predict" in unknown.text


def test_a_table_for_a_model_without_signature_is_a_frame(tmp_path: Path) -> None:
    """Where no signature says what becomes of a body, MLflow's tables are DataFrames, as MLflow has them."""
    palate.save_model(_count_columns, tmp_path / "open", signature=None)
    with TestClient(
        create_app(tmp_path / "open", ServingSettings(trust=True, access_log="off")), base_url="http://localhost"
    ) as client:
        for body in (SPLIT, {"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}):
            assert post(client, body).json() == {"predictions": [3, 3]}
        assert post(client, {"dataframe_records": 5}).status_code == 400


def _count_columns(table: pd.DataFrame) -> list[int]:
    return [len(table.columns)] * len(table)


def test_information_routes(client: TestClient) -> None:
    """Health, version, metadata, metrics and documents answer."""
    for path in ("/ping", "/health", "/version", "/live", "/ready", "/v2", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200, path
    assert client.get("/ping").content == b"\n"
    assert client.get("/v2/models/adder").json()["name"] == "adder"
    assert client.get("/v2/models/adder/versions/2").status_code == 404
    assert client.get("/v2/models/nobody").json() == {"error": "No model 'nobody' is served here (there is: adder)."}
    counted = 'palate_errors_total{kind="unknown_model",model="",version=""}'
    assert re.search(rf"^{re.escape(counted)} [1-9]", client.get("/metrics").text, re.MULTILINE)
    assert client.get("/v1/models/adder").json()["model_version_status"][0]["state"] == "AVAILABLE"
    assert client.get("/execution-parameters").json()["MaxPayloadInMB"] == 1
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
    assert "palate_requests_total" in client.get("/metrics").text
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/models/adder/predict" in page.text


def test_request_ids_are_given_and_taken(client: TestClient) -> None:
    """A client's own id comes back if it is harmless; otherwise each request has one of ours."""
    assert post(client, SPLIT, x_request_id="a.b-C_1").headers["x-request-id"] == "a.b-C_1"
    ours = {post(client, SPLIT, x_request_id=given).headers["x-request-id"] for given in ("no way", "n/a")}
    assert len(ours - {"no way", "n/a"}) == 2


def test_only_the_protocols_that_are_on_answer(adder: Path) -> None:
    """Protocols, documents and metrics that are switched off are not there."""
    settings = ServingSettings(trust=True, protocols=("v2",), openapi=False, metrics=False, access_log="off")
    with TestClient(create_app({"sum": adder}, settings), base_url="http://localhost") as client:
        assert client.get("/v2/models/sum").status_code == 200
        for path in ("/ping", "/v1/models/sum", "/openapi.json", "/docs", "/metrics", "/execution-parameters"):
            assert client.get(path).status_code == 404, path
        assert post(client, SPLIT).status_code == 404


def test_a_model_whose_predictions_changed_is_not_ready(adder: Path, tmp_path: Path) -> None:
    """The golden predictions have to pass before the server says that it is ready; live it is all the same."""
    model = palate.load_model(adder, trust=True)
    native: Any = model.native
    native.model.predict = lambda context, model_input, params=None: np.zeros(len(model_input))
    object.__setattr__(native, "calls", {"predict": type(native.calls["predict"]).of_method(native.model.predict)})
    with TestClient(create_app(model, ServingSettings(access_log="off")), base_url="http://localhost") as client:
        assert client.get("/ready").status_code == 503
        assert client.get("/ping").status_code == 503
        assert client.get("/v2/models/adder/ready").status_code == 503
        assert client.get("/live").status_code == 200
        refused = post(client, SPLIT)
        assert refused.status_code == 503
        assert "retry-after" not in refused.headers  # it will not pass
    with TestClient(
        create_app(model, ServingSettings(golden="skip", access_log="off")), base_url="http://localhost"
    ) as client:
        assert client.get("/ready").status_code == 200


def test_several_models_stand_beside_each_other(adder: Path) -> None:
    """Each has its own routes; those that name no model are the first's."""
    settings = ServingSettings(trust=True, access_log="off")
    app = create_app({"one": adder, "two": palate.load_model(adder, trust=True)}, settings)
    with TestClient(app, base_url="http://localhost") as client:
        for path in ("/models/one/predict", "/models/two/predict"):
            body = {"inputs": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}
            assert post(client, body, path).json() == {"predictions": SUMS}
        assert post(client, SPLIT).status_code == 200
        assert client.get("/openapi.json").json()["paths"].keys() >= {"/models/one/predict", "/models/two/predict"}


def test_draining_refuses_what_is_new(adder: Path) -> None:
    """From the beginning of the drain on nothing is ready, and requests are told to try elsewhere."""
    app = create_app(adder, ServingSettings(trust=True, access_log="off"))
    with TestClient(app, base_url="http://localhost") as client:
        assert post(client, SPLIT).status_code == 200
        app.begin_drain()
        assert client.get("/ready").status_code == 503
        refused = post(client, SPLIT)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert client.get("/live").status_code == 200


def test_client_that_leaves_before_its_body_is_counted_once(adder: Path) -> None:
    """Under any ASGI server, a request whose body never came whole is over: not in flight, and named in /metrics."""
    app = create_app(adder, ServingSettings(trust=True, access_log="off"))
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there for {message}")

    with TestClient(app, base_url="http://localhost") as opened:
        asyncio.run(app(scope, receive, send))
        page = opened.get("/metrics").text
    assert re.search(r"^palate_requests_in_flight 0(\.0)?$", page, re.MULTILINE), page
    assert re.search(r'^palate_errors_total\{.*"client_gone".*\} 1(\.0)?$', page, re.MULTILINE), page
