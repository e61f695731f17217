"""Hostile bodies, and a model that misbehaves, on ``palate serve``: errors in JSON, and a good next answer."""

from __future__ import annotations

import gzip
import json
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fickle_model import save_fickle
from live_server import LiveServer, Reply, live_palate
from raw_http import connect, post

JSON = "application/json"
GOOD = b'{"dataframe_split":{"columns":["a","b","c"],"data":[[1.5,1,"x"]]}}'
ONE_MEBIBYTE = 1 << 20


def split(*rows: str, columns: str = '["a","b","c"]') -> bytes:
    """Return a body of rows that are written as they are to be sent."""
    return f'{{"dataframe_split":{{"columns":{columns},"data":[{",".join(rows)}]}}}}'.encode()


def told(how: int) -> bytes:
    """Return a body that tells the model what to do."""
    return split(f'[1.5,{how},"x"]')


def v2(**changes: Any) -> bytes:
    """Return a request of the Open Inference Protocol, changed."""
    column = {"a": ("FP64", [1.5]), "b": ("INT64", [1]), "c": ("BYTES", ["x"])}
    inputs = [
        {"name": name, "datatype": kind, "shape": [1], "data": data} | changes.get(name, {})
        for name, (kind, data) in column.items()
    ]
    return json.dumps({"inputs": inputs + changes.get("more", [])}).encode()


# By their number in the catalogue: the body, headers besides, and the statuses that are an answer to it.
MLFLOW: dict[str, tuple[bytes, dict[str, str], set[int]]] = {
    "H01": (b"", {}, {400}),
    "H02": (GOOD[:30], {}, {400}),
    "H03": (split('[NaN,1,"x"]'), {}, {400}),
    "H04": (split('[-Infinity,1,"x"]'), {}, {400}),
    "H05": (split('[1e999,1,"x"]'), {}, {400}),
    "H06": (split(f'[1.5,{"9" * 5000},"x"]'), {}, {400}),
    "H07": (split('[1.5,18446744073709551616,"x"]'), {}, {400}),
    "H08": (b'{"dataframe_split":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}, {400}),
    "H09": (GOOD[:-1] + b',"dataframe_split":5}', {}, {400}),
    "H10": (b"[1,2,3]", {}, {400}),
    "H11": (b"null", {}, {400}),
    "H12": (split('["x",1,"x"]'), {}, {400}),
    "H13": (split('[1.5,1,"x"]', "[1.5]"), {}, {400}),
    "H14": (split('[1.5,1,"x",9]'), {}, {400}),
    "H15": (split("[1.5,1]", columns='["a","b"]'), {}, {400}),
    "H17": (b'{"nope":1}', {}, {400}),
    "H18": (split('[1.5,1,"\\ud800"]'), {}, {400}),
    "H19": (split('[1.5,1,"?"]').replace(b"?", b"\xff\xfe"), {}, {400}),
    "H20": (GOOD.decode().encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, {415}),
    "H20-unsaid": (GOOD.decode().encode("utf-16"), {}, {400, 415}),
    "H21": (b"\xef\xbb\xbf" + GOOD, {}, {400}),
    "H23": (b"<a/>", {"Content-Type": "application/xml"}, {415}),
    "H24": (b"\x80\x04N.", {"Content-Type": "application/x-pickle"}, {415}),
    "H25": (b"a,b,c\n\x00,1,x\n", {"Content-Type": "text/csv"}, {400}),
    "H26": (b",".join(b"c%d" % number for number in range(100_000)) + b"\n", {"Content-Type": "text/csv"}, {400, 413}),
    "H27": (GOOD, {"Content-Encoding": "gzip"}, {400}),
    "H27-cut": (gzip.compress(GOOD)[:-9], {"Content-Encoding": "gzip"}, {400}),
    "H29": (gzip.compress(bytes(200_000_000), 1), {"Content-Encoding": "gzip"}, {413}),
    "H30": (b"x", {"Content-Encoding": "rot13"}, {415}),
    "H31": (gzip.compress(gzip.compress(GOOD)), {"Content-Encoding": "gzip, gzip"}, {415}),
    "H32": (b" " * (ONE_MEBIBYTE + 1), {}, {413}),
}
V2: dict[str, tuple[bytes, set[int]]] = {
    "H72-short": (v2(a={"shape": [2]}), {400}),
    "H72-negative": (v2(a={"shape": [-1]}), {400}),
    "H72-huge": (v2(a={"shape": [1 << 35, 1 << 35]}), {400, 413}),
    "H72-number": (v2(a={"shape": [1.0]}), {400}),
    "H72-datatype": (v2(a={"datatype": "FP99"}), {400}),
    "H72-mismatch": (v2(a={"datatype": "BOOL", "data": [True]}), {400}),
    "H72-twice": (v2(more=[{"name": "a", "datatype": "FP64", "shape": [1], "data": [1.5]}]), {400}),
    "H72-unknown": (v2(more=[{"name": "z", "datatype": "FP64", "shape": [1], "data": [1.5]}]), {400}),
    "H72-no-inputs": (b'{"inputs":[]}', {400}),
    "H72-ragged": (v2(a={"shape": [1], "data": [[1.5], []]}), {400}),
    "H72-text": (v2(a={"data": ["x"]}), {400}),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's directory."""
    return save_fickle(tmp_path_factory.mktemp("models") / "fickle")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[LiveServer]:
    """A server of it with small limits."""
    limits = ("--max-body-bytes", "1MiB", "--predict-timeout", "1s")
    with live_palate(model, "--trust", *limits) as running:
        yield running


def ask(server: LiveServer, body: bytes, path: str = "/invocations", **headers: str) -> Reply:
    """Ask for a prediction."""
    return server.request("POST", path, body, {"Content-Type": JSON} | headers)


def check_refusal(reply: Reply, statuses: set[int]) -> Any:
    """Hold an answer against what every error has to be; return it read."""
    assert reply.status in statuses, reply
    assert reply.headers["content-type"] in (JSON, "application/problem+json")
    assert b"Traceback" not in reply.body
    assert b"secret" not in reply.body
    return json.loads(reply.body)


@pytest.fixture(autouse=True)
def _good_next_answer(server: LiveServer) -> Iterator[None]:
    yield
    reply = ask(server, GOOD)
    assert (reply.status, reply.body) == (200, b'{"predictions":[3.0]}')


@pytest.mark.parametrize("name", MLFLOW)
def test_a_body_that_is_not_what_it_should_be(name: str, server: LiveServer) -> None:
    """MLflow's protocol: refused with a reason, and without the data."""
    body, headers, statuses = MLFLOW[name]
    check_refusal(ask(server, body, **headers), statuses)


def test_the_missing_column_is_named(server: LiveServer) -> None:
    """So that a client can mend its request (H15)."""
    reply = ask(server, MLFLOW["H15"][0])
    assert b"'c'" in reply.body or b'"c"' in reply.body or b"\\'c\\'" in reply.body


def test_what_only_looks_hostile_is_answered(server: LiveServer) -> None:
    """Zero rows (H16), a gzip body (H28), numbers at the edges of types, a column too many (as in MLflow, H14)."""
    empty = ask(server, split())
    assert (empty.status, json.loads(empty.body)) == (200, {"predictions": []})
    assert ask(server, split('[1.5,1,"x",9]', columns='["a","b","c","d"]')).body == b'{"predictions":[3.0]}'
    assert ask(server, gzip.compress(GOOD), **{"Content-Encoding": "gzip"}).body == b'{"predictions":[3.0]}'
    assert ask(server, split('[1.7976931348623157e308,-9223372036854775808,""]')).status in (200, 500)


def test_no_content_type_is_415(server: LiveServer) -> None:
    """Nothing is guessed (H22)."""
    with connect(server.host, server.port) as line:
        line.send(post("/invocations", GOOD, kind=None))
        assert line.reply().status == 415


def test_a_bomb_does_not_blow_up_the_memory(server: LiveServer) -> None:
    """Two hundred megabytes of zeros in a small body are refused before they are there (H29)."""
    ask(server, MLFLOW["H29"][0], **{"Content-Encoding": "gzip"})
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    before = _peak(status)
    for _ in range(5):
        ask(server, MLFLOW["H29"][0], **{"Content-Encoding": "gzip"})
    assert _peak(Path(f"/proc/{server.process.pid}/status").read_text()) - before < 8 << 10


def _peak(status: str) -> int:
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.mark.parametrize("name", V2)
def test_a_tensor_that_is_not_what_it_says(name: str, server: LiveServer) -> None:
    """The Open Inference Protocol (H72)."""
    body, statuses = V2[name]
    assert ask(server, v2(), "/v2/models/fickle/infer").status == 200
    check_refusal(ask(server, body, "/v2/models/fickle/infer"), statuses)


@pytest.mark.parametrize("size", ["-1", "0", "7", "999999999999", "x", "1e3", "1, 1"])
def test_a_size_of_the_json_part_that_lies(size: str, server: LiveServer) -> None:
    """Of a body with binary tensors (H72)."""
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": size}
    check_refusal(ask(server, v2() + bytes(8), "/v2/models/fickle/infer", **headers), {400})


@pytest.mark.parametrize("length", [2, 0, 0xFFFFFFFF])
def test_lengths_of_strings_that_lie(length: int, server: LiveServer) -> None:
    """Binary BYTES say for each string how long it is (H72)."""
    data = struct.pack("<I", length) + b"x" * (3 if length == 0 else 1)
    parameters = {"parameters": {"binary_data_size": len(data)}}
    document = json.loads(v2())
    del document["inputs"][2]["data"]
    document["inputs"][2] |= parameters
    head = json.dumps(document).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    check_refusal(ask(server, head + data, "/v2/models/fickle/infer", **headers), {400})


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "/invocations", {405}),
        ("PUT", "/v2/models/fickle/infer", {405}),
        ("GET", "/%2e%2e%2f%2e%2e%2fetc/passwd", {404}),
        ("GET", "/../../etc/passwd", {404}),
        ("GET", "/v2/models/%2e%2e%2f/ready", {404}),
        ("GET", "/v2/models/nobody", {404}),
        ("GET", "/v2/models/fickle/versions/99/ready", {404}),
        ("GET", "/v2/models/fickle/versions/..%2f1/ready", {404}),
        ("POST", "/v2/models/nobody/infer", {404}),
        ("GET", "/v2/models/" + "a" * 3000, {404}),
    ],
)
def test_paths_that_lead_nowhere(method: str, path: str, statuses: set[int], server: LiveServer) -> None:
    """A wrong method says which is right (H52), an unknown model or version is 404 (H50, H70, H71)."""
    reply = server.request(method, path, b"{}" if method != "GET" else None, {"Content-Type": JSON})
    check_refusal(reply, statuses)
    if reply.status == 405:
        assert "POST" in reply.headers["allow"]


@pytest.mark.parametrize("how", [101, 103, 106, 107])
def test_a_model_that_fails_is_an_incident(how: int, server: LiveServer) -> None:
    """It raises (H63), exits, asks for more memory than there is (H65), or answers with what is no data."""
    document = check_refusal(ask(server, told(how)), {500})
    identity = document.get("request_id") or ""
    assert identity
    server.wait_for(identity)


def test_numbers_that_are_none_are_null(server: LiveServer) -> None:
    """JSON has no NaN; what comes is valid JSON (H64)."""
    assert json.loads(ask(server, told(102)).body) == {"predictions": [None]}


def test_a_model_that_does_not_come_back_is_timed_out(server: LiveServer) -> None:
    """504 for the one request, and the next one is answered after it, though it is still under way (H61, H65)."""
    ask(server, told(108))  # a call that is not light: from now on they are made beside the event loop
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(ask, server, told(105))
        time.sleep(1.2)
        assert ask(server, GOOD).status == 200
        check_refusal(waiting.result(10), {504})
        assert time.monotonic() - began < 5.0


def test_a_full_queue_is_told_at_once(model: Path) -> None:
    """503 with the time to wait, instead of memory that grows (H59)."""
    limits = ("--predict-timeout", "1s", "--max-queue-rows", "2", "--max-batch-rows", "2", "--golden", "skip")
    with live_palate(model, "--trust", *limits) as server, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, server, told(105)) for _ in range(8)]
        replies = [one.result(20) for one in asked]
        full = [reply for reply in replies if reply.status == 503]
        assert full
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in full)
        assert {reply.status for reply in replies} == {503, 504}


@pytest.mark.slow
def test_a_model_that_ends_its_process_ends_no_other(model: Path) -> None:
    """With workers its request fails, and the next answer comes within two seconds (H62, H65)."""
    with live_palate(model, "--trust", "--workers", "2") as server:
        with pytest.raises(ConnectionError):
            ask(server, told(104))
        began = time.monotonic()
        assert ask(server, GOOD).status == 200
        assert time.monotonic() - began < 2.0
