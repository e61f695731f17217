"""Models that are opened, or served, only if one of certain keys has signed them."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from live_server import live_palate
from processes import children_of, wait_until
from signing_keys import make_key, save_model, write_key

import palate
from palate import errors
from palate.cli import main
from palate.packing import pack_model
from palate.serving import ServingSettings, create_app, load_settings, serve
from palate.serving.checking import check_server
from palate.signing import read_public_key, sign_model
from palate.store import STORE_VARIABLE, open_store

BODY = json.dumps({"inputs": [{"a": 2.0}]}).encode()
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed model, the public key of whoever signed it, and one of somebody else."""

    model: Path
    key: Path
    stranger: Path
    private: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Sign a model."""
    folder = tmp_path_factory.mktemp("signed")
    private, key = write_key(make_key(), folder, "release")
    _, stranger = write_key(make_key(), folder, "stranger")
    model = save_model(folder / "line")
    sign_model(model, private)
    return Signed(model, key, stranger, private)


@pytest.fixture
def signed(made: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    """Return a copy that this test may change, in a place with a store and a cache of its own."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    for variable in [name for name in os.environ if name.startswith("PALATE_SERVE_")]:
        monkeypatch.delenv(variable)
    return Signed(shutil.copytree(made.model, tmp_path / "line"), made.key, made.stranger, made.private)


def run(*arguments: object, **environ: str) -> Result:
    """Run a command in this process."""
    return CliRunner(env=environ).invoke(main, list(map(str, arguments)))


def kinds_of(signed: Signed, tmp_path: Path) -> list[str]:
    """Return the signed model as a directory, in one file and in a store."""
    packed = pack_model(signed.model, tmp_path / "line.palate").path
    open_store().add("line", signed.model)
    return [str(signed.model), str(packed), "models:/line/1"]


# -- loading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolate", [False, True])
def test_a_key_may_be_given_as_it_was_read(signed: Signed, isolate: bool) -> None:
    """Keys are files or what ``read_public_key`` returns, one or several."""
    for keys in (read_public_key(signed.key), [signed.stranger, read_public_key(signed.key)]):
        model = palate.load_model(signed.model, signed_by=keys, isolate=isolate)
        assert model.predict({"a": [2.0]}) == pytest.approx([2.0])
    with pytest.raises(errors.SignatureInvalid):
        palate.load_model(signed.model, signed_by=read_public_key(signed.stranger), isolate=isolate)
    with pytest.raises(errors.InvalidOption):
        palate.load_model(signed.model, signed_by=[])


def test_predict_demands_a_signature(signed: Signed, tmp_path: Path) -> None:
    """``palate predict --signed-by`` predicts with a model of that signer, and with no other."""
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n2.0\n")
    for uri in kinds_of(signed, tmp_path):
        good = run("predict", uri, rows, "--signed-by", signed.stranger, "--signed-by", signed.key)
        assert (good.exit_code, good.exception) == (0, None) or good.output
        assert "2.0" in good.stdout
        bad = run("predict", uri, rows, "--signed-by", signed.stranger)
        assert (bad.exit_code, bad.stdout) == (1, "")
        assert "it is by another key" in bad.stderr
    (signed.model / "model.sig").unlink()
    unsigned = run("predict", signed.model, rows, "--signed-by", signed.key)
    assert (unsigned.exit_code, unsigned.stdout) == (1, "")
    assert "is not signed" in unsigned.stderr


def test_verify_checks_signatures_of_every_kind(signed: Signed, tmp_path: Path) -> None:
    """``palate verify --key`` finds the signature in a directory, in one file, and beside a version in a store."""
    for uri in kinds_of(signed, tmp_path):
        good = run("verify", uri, "--key", signed.key, "--json")
        found = {check["name"]: check["status"] for check in json.loads(good.stdout)["checks"]}
        assert (good.exit_code, found["signature"], found["predictions"]) == (0, "ok", "ok")
        bad = run("verify", uri, "--key", signed.stranger, "--json")
        found = {check["name"]: check["status"] for check in json.loads(bad.stdout)["checks"]}
        assert (bad.exit_code, found) == (1, {"files": "ok", "signature": "failed"})


# -- the setting -------------------------------------------------------------------------------------------------------


def test_every_source_names_keys(signed: Signed, tmp_path: Path) -> None:
    """The file, the environment, flags and Python name one file or several; paths are taken as such."""
    (tmp_path / "serve.toml").write_text('[serve]\nsigned_by = ["a.pem", "b.pem"]\n')
    assert load_settings(tmp_path / "serve.toml", {}, {}).signed_by == ("a.pem", "b.pem")
    assert load_settings(None, {"PALATE_SERVE_SIGNED_BY": "a.pem,b.pem"}, {}).signed_by == ("a.pem", "b.pem")
    assert load_settings(None, {}, {"signed_by": ("a.pem", "b.pem")}).signed_by == ("a.pem", "b.pem")
    assert ServingSettings(signed_by=signed.key).signed_by == (str(signed.key),)
    assert ServingSettings(signed_by=[signed.key, "b.pem"]).signed_by == (str(signed.key), "b.pem")
    with pytest.raises(errors.InvalidOption, match="is not a path"):
        ServingSettings(signed_by=("a\0b",))
    with pytest.raises(errors.InvalidOption, match="not a list of texts"):
        ServingSettings(signed_by=3)


# -- serving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--workers", 2), ("--workers", 2, "--isolate")], ids=["one", "two", "apart"])
def test_a_server_of_what_somebody_else_signed_does_not_start(signed: Signed, options: tuple[object, ...]) -> None:
    """One line says why, before there is a worker, and nothing listens."""
    bad = run("serve", signed.model, "--port", 0, *options, "--signed-by", signed.stranger)
    assert (bad.exit_code, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
    assert "it is by another key" in bad.stderr
    (signed.model / "model.sig").unlink()
    unsigned = run("serve", signed.model, "--port", 0, *options, "--signed-by", signed.key)
    assert (unsigned.exit_code, unsigned.stdout, unsigned.stderr.count("\n")) == (1, "", 1)
    assert "is not signed" in unsigned.stderr
    keyless = run("serve", signed.model, "--port", 0, *options, "--signed-by", signed.model / "none.pem")
    assert keyless.exit_code == 2
    assert "cannot be read" in keyless.stderr


def test_a_check_says_whether_the_signature_will_do(signed: Signed, tmp_path: Path) -> None:
    """--check fails where the server would not start."""
    for uri in kinds_of(signed, tmp_path):
        assert check_server(uri, ServingSettings(port=0, signed_by=(str(signed.key),))).ok
        refused = check_server(uri, ServingSettings(port=0, signed_by=(str(signed.stranger),)))
        found = {check.name: check for check in refused.checks}
        assert found["model"].status == "failed"
        assert "it is by another key" in found["model"].detail


def test_a_changed_model_does_not_start(signed: Signed) -> None:
    """A signature is of the files: a model that was changed and sealed anew is not what was signed."""
    metadata = signed.model / "notes" / "card.md"
    metadata.write_text("# Another line\n")
    palate.accept_changes(signed.model)
    with pytest.raises(errors.SignatureInvalid):
        create_app(signed.model, ServingSettings(signed_by=(str(signed.key),)))


def test_what_the_store_demands_is_demanded_besides(signed: Signed) -> None:
    """A store's own keys and the server's must both have signed: one of each."""
    store = open_store()
    store.add("line", signed.model)
    store.demand_signatures([signed.key])
    create_app("models:/line/1", ServingSettings(signed_by=(str(signed.key),)))
    with pytest.raises(errors.SignatureInvalid):
        create_app("models:/line/1", ServingSettings(signed_by=(str(signed.stranger),)))
    store.demand_signatures([signed.stranger])
    with pytest.raises(errors.SignatureInvalid):
        create_app("models:/line/1", ServingSettings(signed_by=(str(signed.key),)))


def test_a_loaded_model_cannot_be_vouched_for(signed: Signed) -> None:
    """Nobody can tell any more who signed the files that it was loaded from, so it is not served."""
    model, settings = palate.load_model(signed.model), ServingSettings(signed_by=(str(signed.key),))
    for models in (model, {"a": signed.model, "b": model}):
        with pytest.raises(errors.InvalidOption, match=r"signed_by: .*loaded already.*Hint"):
            create_app(models, settings)
    with pytest.raises(errors.InvalidOption, match="loaded already"):
        serve(model, settings)


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--isolate",)], ids=["shared", "each loads"])
def test_a_signed_model_is_served(signed: Signed, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The log says so, and a worker that is started later needs the key's file no more."""
    key = Path(shutil.copy(signed.key, tmp_path / "key.pem"))
    named = {"PALATE_SERVE_SIGNED_BY": f"{signed.stranger},{key}"}
    with live_palate("--workers", 2, *options, signed.model, env=named) as server:
        assert server.errors().endswith(f" from {signed.model}, signed by one of the given keys\n")
        key.unlink()
        pid = server.process.pid
        killed = children_of(pid)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children_of(pid)) == 2 and killed not in children_of(pid), 20)
        wait_until(lambda: server.request("GET", "/ready").status == 200, 20)
        for _ in range(10):
            assert server.request("POST", "/models/line/predict", BODY, JSON).status == 200
        assert server.stop() == 0
