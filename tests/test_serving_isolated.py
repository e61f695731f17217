"""``palate serve --isolate``: a model that crashes, hangs or eats memory costs its own requests."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import LiveServer, Reply, live_palate
from processes import children_of, wait_until
from starlette.testclient import TestClient

import palate
from palate.serving import ServingSettings, create_app

MODEL = """
import os, signal, time
import palate

class Moody(palate.PythonModel):
    def load_context(self, context):
        time.sleep(LOAD_SECONDS)

    def predict(self, context, model_input, params=None):
        for value in model_input["x"]:
            if value == -1:
                os.kill(os.getpid(), signal.SIGSEGV)
            if value == -2:
                time.sleep(60)
            if value == -3:
                bytearray(8 << 30)
            if value == -4:
                raise ValueError("a secret")
        return model_input["x"].to_numpy() * 2

palate.set_model(Moody())
"""


def save_moody(folder: Path, *, load_seconds: float) -> Path:
    """Save a model that its input can end, and that takes so long to load."""
    import pandas as pd

    (folder / "moody.py").write_text(MODEL.replace("LOAD_SECONDS", str(load_seconds)))
    palate.save_model(str(folder / "moody.py"), folder / "model", input_example=pd.DataFrame({"x": [1.0, 2.0]}))
    return folder / "model"


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a model is that its input can end."""
    return save_moody(tmp_path_factory.mktemp("moody"), load_seconds=0)


@pytest.fixture(scope="module")
def slow_to_load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where one is that takes long to load."""
    return save_moody(tmp_path_factory.mktemp("slow"), load_seconds=2)


def rows(*values: float) -> dict[str, object]:
    """Return a body for MLflow's protocol."""
    return {"dataframe_records": [{"x": value} for value in values]}


@pytest.fixture(scope="module")
def client(moody: Path) -> Iterator[TestClient]:
    """Yield a client of an application that isolates."""
    settings = ServingSettings(trust=True, isolate=True, memory_limit=1 << 30, predict_timeout=5.0)
    with TestClient(create_app(moody, settings)) as opened:
        yield opened


def test_answers_are_those_of_the_model(client: TestClient) -> None:
    """Golden predictions pass, and answers are right."""
    assert client.get("/ready").status_code == 200
    assert client.post("/invocations", json=rows(1, 3)).json() == {"predictions": [2.0, 6.0]}


@pytest.mark.parametrize(
    ("value", "status", "error"),
    [(-1, 503, "ModelRestarting"), (-2, 504, "PredictTimeout"), (-3, 503, "ModelRestarting"), (-4, 500, "ModelFailed")],
)
def test_failure_is_the_guilty_requests_alone(client: TestClient, value: float, status: int, error: str) -> None:
    """Each way of failing has its status; the request after it is answered."""
    answer = client.post("/invocations", json=rows(value))
    assert (answer.status_code, error in answer.text) == (status, True), answer.text
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    assert client.post("/invocations", json=rows(5)).json() == {"predictions": [10.0]}


@pytest.fixture(scope="module")
def server(slow_to_load: Path) -> Iterator[LiveServer]:
    """Yield a live server that isolates."""
    with live_palate(slow_to_load, "--isolate", "--trust") as running:
        yield running


def test_neighbours_of_a_crash_are_answered(server: LiveServer) -> None:
    """Requests that came together with one that ends the process get their answers."""
    answers: dict[int, Reply] = {}

    def ask(number: int) -> None:
        body = json.dumps(rows(-1 if number == 7 else number)).encode()
        answers[number] = server.request("POST", "/invocations", body, {"content-type": "application/json"})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.pop(7).status == 503
    assert {number: json.loads(answer.body) for number, answer in answers.items()} == {
        number: {"predictions": [2.0 * number]} for number in range(16) if number != 7
    }


def test_server_answers_while_the_process_starts_again(server: LiveServer) -> None:
    """A request that waits for the next process holds up no other."""
    headers = {"content-type": "application/json"}

    def ask(value: float) -> Reply:
        return server.request("POST", "/invocations", json.dumps(rows(value)).encode(), headers)

    assert ask(-1).status == 503
    answers: list[Reply] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(4)))
    waiting.start()
    for _ in range(5):
        assert server.request("GET", "/live").status == 200
    assert answers == []
    waiting.join()
    assert json.loads(answers[0].body) == {"predictions": [8.0]}


def test_killed_server_leaves_no_process(moody: Path) -> None:
    """kill -9 of the server ends the processes of its models."""
    with live_palate(moody, "--isolate", "--trust") as running:
        pid = running.process.pid
        children = children_of(pid)
        assert children
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
