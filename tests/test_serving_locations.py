"""Servers of models that are not just a directory: versions in stores, models in one file, pinned ones."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from live_server import LiveServer, live_palate
from processes import children_of, wait_until
from relay import Answer, site
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

import palate
from palate.cli import main
from palate.locations import pin_location
from palate.packing import pack_model
from palate.serving import ServingSettings, create_app, read_contract
from palate.serving.checking import check_server
from palate.store import STORE_VARIABLE, Store, open_store

INPUTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
BODY = json.dumps({"inputs": INPUTS.tolist()}).encode()
JSON = {"content-type": "application/json"}


def save_line(path: Path, slope: int, *, overwrite: bool = False) -> Path:
    """Save a model that answers *slope* to the first row."""
    fitted = LinearRegression().fit(INPUTS, [1.0 * slope, 2.0 * slope, 4.0 * slope])
    palate.save_model(fitted, path, input_example=INPUTS, overwrite=overwrite)
    return path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test have a store and a cache of its own."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    for variable in [name for name in os.environ if name.startswith("PALATE_SERVE_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with two versions of lines, of which the champion is the second."""
    opened = open_store()
    for slope in (1, 2):
        opened.add("lines", save_line(tmp_path / f"line-{slope}", slope))
    opened.set_alias("lines", "champion", 2)
    return opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a model in one file."""
    return pack_model(save_line(tmp_path / "line-3", 3), tmp_path / "my lines.palate").path


def first(server: LiveServer) -> float:
    """Return what a server answers to the first row."""
    reply = server.request("POST", "/invocations", BODY, JSON)
    assert reply.status == 200, reply.body
    return float(round(json.loads(reply.body)["predictions"][0], 6))


def document(server: LiveServer, path: str) -> dict[str, object]:
    """Return the JSON at a path."""
    found: dict[str, object] = json.loads(server.request("GET", path).body)
    return found


def replace_a_worker(server: LiveServer, *, workers: int = 2) -> None:
    """Kill a worker, and wait until another one has taken its place."""
    pid = server.process.pid
    killed = children_of(pid)[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children_of(pid)) == workers and killed not in children_of(pid), 20)


def ready_workers(server: LiveServer) -> float:
    """Return in how many workers the model takes requests."""
    page = server.request("GET", "/metrics").body.decode()
    return float(re.findall(r"^palate_model_ready\{.*\} (\S+)$", page, re.MULTILINE)[0])


# -- names and identities ----------------------------------------------------------------------------------------------


def test_a_version_in_a_store_has_its_own_name_and_number(store: Store) -> None:
    """Routes, answers, metadata, documents and the log say which version it is, and its identity."""
    digest = store.version("lines/2").digest
    with live_palate("models:/lines@champion") as server:
        assert server.errors() == (
            f"Serving lines on {server.base_url} (docs: /docs)\n"
            f"lines version 2 (sha256 {digest}) from models:/lines@champion\n"
        )
        assert server.request("POST", "/models/lines/versions/2/predict", BODY, JSON).status == 200
        assert server.request("POST", "/models/lines/versions/1/predict", BODY, JSON).status == 404
        rows = {"inputs": [{"name": "x", "shape": [3, 2], "datatype": "FP64", "data": INPUTS.ravel().tolist()}]}
        answer = json.loads(server.request("POST", "/v2/models/lines/infer", json.dumps(rows).encode(), JSON).body)
        assert (answer["model_name"], answer["model_version"]) == ("lines", "2")
        told = document(server, "/v2/models/lines")
        assert (told["versions"], told["properties"]) == (["2"], {"digest": f"sha256:{digest}"})
        info = document(server, "/openapi.json")["info"]
        assert info == {"title": "lines", "version": "2", "description": f"Serves lines version 2 (sha256 {digest})."}
        assert f"sha256 {digest}" in server.request("GET", "/docs").body.decode()
        assert first(server) == 2
        page = server.request("GET", "/metrics").body.decode()
        assert 'palate_requests_total{model="lines",protocol="mlflow",status="200",version="2"} 1' in page
        assert server.stop() == 0
        assert json.loads(server.output().splitlines()[-2])["version"] == "2"


def test_a_model_in_one_file_is_named_after_the_file(archive: Path) -> None:
    """Not after the copy of it that is kept in the cache; a character that has no place in a URL becomes a dash."""
    with TestClient(create_app(archive), base_url="http://localhost") as client:
        answer = client.post("/models/my-lines/predict", json={"inputs": INPUTS.tolist()})
        assert answer.json()["predictions"] == pytest.approx([3, 6, 12])
        told = client.get("/v2/models/my-lines").json()
    assert told["versions"] == ["1"]
    assert told["properties"] == {"digest": f"sha256:{palate.inspect_model(archive).digest}"}


def test_settings_and_callers_say_other_names(store: Store) -> None:
    """The setting goes before the store's name, and so does the name under which a program serves a model."""
    settings = ServingSettings(name="mine")
    with TestClient(create_app("models:/lines/1", settings), base_url="http://localhost") as client:
        assert client.get("/v2/models/mine/versions/1").status_code == 200
        assert client.get("/v2/models/lines").status_code == 404
    models = {"old": "models:/lines/1", "new": pin_location("models:/lines@champion")}
    with TestClient(create_app(models), base_url="http://localhost") as client:
        assert client.get("/v2/models/old/versions/1").status_code == 200
        assert client.get("/v2/models/new/versions/2").status_code == 200
        told = client.get("/openapi.json").json()["info"]["description"]
    old, new = (store.version(f"lines/{number}").digest for number in (1, 2))
    assert told == f"Serves old version 1 (sha256 {old}) and new version 2 (sha256 {new})."


def test_a_directory_without_a_manifest_has_no_identity(tmp_path: Path) -> None:
    """What MLflow saved is served, and nothing is said of which model it is."""
    model = Path(__file__).parent / "data" / "mlflow_models" / "sk_predict_proba" / "model"
    with TestClient(create_app(model, ServingSettings(trust=True)), base_url="http://localhost") as client:
        assert "properties" not in client.get("/v2/models/model").json()
        assert "description" not in client.get("/openapi.json").json()["info"]


def test_openapi_is_of_the_version(store: Store, archive: Path) -> None:
    """``palate openapi`` writes what the server of that URI would, unless its options say another name or version."""

    def info(*arguments: object) -> dict[str, str]:
        done = CliRunner().invoke(main, ["openapi", *map(str, arguments)])
        assert done.exit_code == 0, done.output
        found: dict[str, str] = json.loads(done.stdout)["info"]
        return found

    served = info("models:/lines@champion")
    assert (served["title"], served["version"]) == ("lines", "2")
    assert served["description"] == f"Serves lines version 2 (sha256 {store.version('lines/2').digest})."
    told = info("models:/lines/1", "--name", "m", "--version", "7")
    assert (told["title"], told["version"]) == ("m", "7")
    assert info(archive)["title"] == "my-lines"
    with TestClient(create_app("models:/lines/2"), base_url="http://localhost") as client:
        assert client.get("/openapi.json").json() == json.loads(
            CliRunner().invoke(main, ["openapi", "models:/lines/2"]).stdout
        )


def test_a_contract_has_the_identity(store: Store) -> None:
    """What is read without opening the model says the same as what is served."""
    contract = read_contract("models:/lines@champion")
    assert (contract.name, contract.version) == ("lines", "2")
    assert contract.facts["digest"] == store.version("lines/2").digest


@pytest.mark.parametrize("isolate", [False, True])
def test_a_check_says_which_model_it_is(store: Store, archive: Path, isolate: bool) -> None:
    """--check looks the model up as the server does, opens it, isolated or not, and names it."""
    settings = ServingSettings(port=0, isolate=isolate)
    for uri, title in (("models:/lines@champion", "lines version 2"), (archive, "my-lines version 1")):
        found = {check.name: check for check in check_server(uri, settings).checks}
        assert found["model"].status == found["predictions"].status == "ok"
        assert found["model"].detail.startswith(f"{title} (sha256 ")
    missing = check_server("models:/lines@nobody", settings)
    assert [check.status for check in missing.checks if check.name == "model"] == ["failed"]


def test_an_address_is_shown_without_its_secrets(archive: Path) -> None:
    """A signed address is served by the name of its file, and no log shows what it is signed with."""
    with site(lambda _: Answer(body=archive.read_bytes())) as remote:
        address = remote.url
        with live_palate(f"{address}/folder/lines.palate?X-Amz-Signature=secret") as server:
            assert document(server, "/v2/models/lines")["name"] == "lines"
            assert f" from {address}/folder/lines.palate?…\n" in server.errors()
            assert "secret" not in server.errors()
            assert first(server) == 3


# -- one model, whatever happens ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--isolate",)], ids=["shared", "each loads"])
def test_workers_serve_what_the_alias_led_to_at_the_start(store: Store, options: tuple[str, ...]) -> None:
    """An alias that moves while the server runs changes nothing, for a worker that is started anew neither."""
    with live_palate("--workers", 2, *options, "models:/lines@champion") as server:
        store.set_alias("lines", "champion", 1)
        replace_a_worker(server)
        wait_until(lambda: ready_workers(server) == 2, 30)
        assert {first(server) for _ in range(20)} == {2}
        assert document(server, "/v2/models/lines")["versions"] == ["2"]
        assert server.stop() == 0
    with live_palate("models:/lines@champion") as server:
        assert first(server) == 1


@pytest.mark.slow
def test_a_worker_never_serves_the_model_that_took_the_place(tmp_path: Path) -> None:
    """One that has to load anew finds another model at the path and refuses it; the others go on with the old one."""
    path = save_line(tmp_path / "line", 1)
    with live_palate("--workers", 2, "--isolate", path) as server:
        wait_until(lambda: ready_workers(server) >= 1, 90)
        save_line(path, 5, overwrite=True)
        os.kill(children_of(server.process.pid)[0], signal.SIGKILL)
        server.wait_for("is not the model that was asked for", seconds=90)
        answers = set()
        for _ in range(20):
            # The system may give a request to the worker that does not come back.
            with suppress(ConnectionError, AssertionError):
                answers.add(first(server))
        assert answers <= {1}


def test_a_model_that_is_replaced_goes_on_where_it_is_loaded(tmp_path: Path) -> None:
    """Whoever saves over the directory of a served model changes what the next server serves."""
    path = save_line(tmp_path / "line", 1)
    with live_palate(path) as server:
        save_line(path, 5, overwrite=True)
        assert first(server) == 1
    with live_palate(path) as server:
        assert first(server) == 5


def test_a_pin_is_held(tmp_path: Path, store: Store, archive: Path) -> None:
    """A URI with an identity behind it serves that model, or nothing."""
    for uri in ("models:/lines/1", str(archive), str(tmp_path / "line-1")):
        good = f"{uri}@sha256:{palate.inspect_model(uri).digest}"
        assert check_server(good, ServingSettings(port=0)).ok
        bad = CliRunner().invoke(main, ["serve", f"{uri}@sha256:{'0' * 64}", "--port", "0"])
        assert bad.exit_code == 1
        assert "is not the model that was asked for" in bad.stderr or "no version has" in bad.stderr, bad.stderr


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """Let the store be one in a bucket, with a version of lines; yield the process that keeps it."""
    objects = pytest.importorskip("object_servers")
    with objects.moto_server() as (endpoint, process):
        for name, value in objects.credentials(endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv(STORE_VARIABLE, f"s3://{objects.BUCKET}/store")
        opened = open_store()
        opened.add("lines", save_line(tmp_path / "line", 4))
        opened.set_alias("lines", "champion", 1)
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--isolate",)], ids=["shared", "each loads"])
def test_workers_need_the_bucket_no_more(bucket: subprocess.Popen[bytes], options: tuple[str, ...]) -> None:
    """The process that starts has fetched the model; workers, also later ones, ask nobody for it."""
    with live_palate("--workers", 2, *options, "models:/lines@champion") as server:
        bucket.kill()
        replace_a_worker(server)
        wait_until(lambda: ready_workers(server) == 2, 30)
        assert {first(server) for _ in range(20)} == {4}
        assert server.stop() == 0
