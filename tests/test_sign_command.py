"""``palate sign``, and ``palate verify`` with keys."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from signing_keys import make_key, save_model, write_key

import palate
from palate.cli import main
from palate.errors import InvalidKey, InvalidOption


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Return a folder with keys: ours, one with a password, a stranger's."""
    folder = tmp_path_factory.mktemp("keys")
    write_key(make_key(), folder, "ours")
    write_key(make_key(), folder, "secret", password="open sesame")
    write_key(make_key(), folder, "stranger")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """Return an unsigned model, which nobody changes."""
    return save_model(tmp_path_factory.mktemp("original") / "line")


@pytest.fixture
def model(original, tmp_path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(original, tmp_path / "line"))


def run(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)))


def checks(result: Result) -> dict[str, str]:
    """Return the status of each check."""
    return {check["name"]: check["status"] for check in json.loads(result.stdout)["checks"]}


def test_signing_and_verifying(model, keys) -> None:
    """The table says where the signature is and by which key; verifying has one check more, and passes."""
    signed = run("sign", model, "--key", keys / "ours.pem")
    assert signed.exit_code == 0, signed.output
    rows = dict(line.split(None, 1) for line in signed.stdout.splitlines())
    assert rows["signature"] == str(model / "model.sig")
    assert rows["key"].startswith("sha256 ")
    verified = run("verify", model, "--key", keys / "stranger.pub", "--key", keys / "ours.pub", "--json")
    assert verified.exit_code == 0, verified.output
    assert checks(verified) == {"files": "ok", "signature": "ok", "environment": "ok", "predictions": "ok"}
    assert f"by the key {keys / 'ours.pub'}" in verified.stdout
    assert "signature" not in checks(run("verify", model, "--json"))


def test_signing_for_programs(model, keys) -> None:
    """One JSON document, and 2 for a model that is signed already, unless it is to be replaced."""
    signed = run("sign", model, "--key", keys / "ours.pem", "--json")
    assert set(json.loads(signed.stdout)) == {"directory", "signature", "files", "fingerprint"}
    again = run("sign", model, "--key", keys / "ours.pem")
    assert again.exit_code == 2
    assert "is signed already" in again.stderr
    assert run("sign", model, "--key", keys / "ours.pem", "--overwrite").exit_code == 0


def test_a_key_with_a_password(model, keys, tmp_path) -> None:
    """The password is the first line of a file, and never an argument, which other users of the machine would see."""
    asked = run("sign", model, "--key", keys / "secret.pem")
    assert asked.exit_code == 2
    assert "--password-file" in asked.stderr
    (tmp_path / "wrong").write_text("open\nsesame\n")
    assert run("sign", model, "--key", keys / "secret.pem", "--password-file", tmp_path / "wrong").exit_code == 2
    (tmp_path / "right").write_text("open sesame\r\nand more\n")
    assert run("sign", model, "--key", keys / "secret.pem", "--password-file", tmp_path / "right").exit_code == 0
    assert run("verify", model, "--key", keys / "secret.pub").exit_code == 0
    missing = run("sign", model, "--key", keys / "secret.pem", "--password-file", tmp_path / "nothing")
    assert missing.exit_code == 2
    assert "--password-file" in missing.stderr
    assert not any("--password" in option.opts for option in main.get_command(None, "sign").params)  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize(("key", "reason"), [("stranger.pub", "by another key"), ("ours.pub", "there is no model.sig")])
def test_what_is_not_signed_by_the_key_fails_and_is_not_loaded(key, reason, model, keys) -> None:
    """Exit code 1, the reason in the table, and neither environment nor predictions are looked at."""
    if key == "stranger.pub":
        run("sign", model, "--key", keys / "ours.pem")
    refused = run("verify", model, "--key", keys / key, "--json")
    assert refused.exit_code == 1
    assert checks(refused) == {"files": "ok", "signature": "failed"}
    assert reason in json.loads(refused.stdout)["checks"][1]["detail"]
    assert "signature  failed" in run("verify", model, "--key", keys / key).stdout


LOUD = """
import numpy as np, palate
class Loud(palate.PythonModel):
    def load_context(self, context):
        open("loaded", "a").close()
    def predict(self, context, model_input, params=None):
        return model_input
palate.save_model(Loud(), "loud", input_example=np.zeros((1, 1)))
"""


def test_no_code_of_a_model_by_somebody_else_runs(tmp_path, keys, monkeypatch) -> None:
    """Even with --trust: whoever gives a key trusts what that key signed."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", LOUD], check=True, capture_output=True)
    Path("loaded").unlink()
    run("sign", "loud", "--key", keys / "stranger.pem")
    assert run("verify", "loud", "--trust", "--key", keys / "ours.pub").exit_code == 1
    assert not Path("loaded").exists()
    assert run("verify", "loud", "--trust", "--key", keys / "stranger.pub").exit_code == 0
    assert Path("loaded").exists()


def test_a_signature_elsewhere(model, keys, tmp_path) -> None:
    """It may be kept outside of the model, and is then named; without a key that makes no sense."""
    run("sign", model, "--key", keys / "ours.pem")
    (model / "model.sig").rename(tmp_path / "elsewhere.sig")
    assert run("verify", model, "--key", keys / "ours.pub").exit_code == 1
    named = ("--signature", tmp_path / "elsewhere.sig")
    assert run("verify", model, "--key", keys / "ours.pub", *named).exit_code == 0
    assert run("verify", model, *named).exit_code == 2
    with pytest.raises(InvalidOption, match="signature"):
        palate.verify_model(model, signature=tmp_path / "elsewhere.sig")
    with pytest.raises(InvalidKey):
        palate.verify_model(model, keys=[tmp_path / "elsewhere.sig"])


def test_a_changed_model_fails_before_its_signature_is_asked(model, keys) -> None:
    """The files are not those of the manifest, so there is nothing that was signed."""
    run("sign", model, "--key", keys / "ours.pem")
    (model / "model.skops").write_bytes(b"")
    assert checks(run("verify", model, "--key", keys / "ours.pub", "--json")) == {"files": "failed"}
    assert checks(run("verify", model, "--accept", "--key", keys / "ours.pub", "--json"))["signature"] == "failed"


def test_what_cannot_be_signed(model, keys, tmp_path) -> None:
    """No model, no key, not a directory: wrong use, with one line that says what to do."""
    assert run("sign", tmp_path / "nothing", "--key", keys / "ours.pem").exit_code == 2
    assert run("sign", model, "--key", tmp_path / "nothing").exit_code == 2
    assert run("sign", model, "--key", keys / "ours.pub").exit_code == 2
    assert run("sign", model).exit_code == 2
    away = run("sign", "https://example.org/m", "--key", keys / "ours.pem")
    assert away.exit_code == 2
    assert "sign the directory before" in away.stderr
    (model / "conda.yaml").write_text("")
    assert run("sign", model, "--key", keys / "ours.pem").exit_code == 1


WITHOUT = """
import sys
sys.modules["cryptography"] = None
import palate.signing, palate.cli
from palate.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", [("sign", "--key", "ours.pem"), ("verify", "--key", "ours.pub")])
def test_without_cryptography_the_error_says_what_to_install(command, model, keys) -> None:
    """The modules can be imported; using them names the extra."""
    name, option, key = command
    arguments = [name, str(model), option, str(keys / key)]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    assert "pip install 'palate[sign]'" in done.stderr


def test_a_signed_model_predicts(model, keys) -> None:
    """The signature is no part of what the model is."""
    before = palate.load_model(model).predict({"a": np.array([5.0])})
    run("sign", model, "--key", keys / "ours.pem")
    assert palate.load_model(model).predict({"a": np.array([5.0])}) == pytest.approx(before)
    assert palate.verify_model(model).ok
