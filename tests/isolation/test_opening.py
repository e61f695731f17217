"""A model in a process of its own: trust, limits and errors when it is opened."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from isolated import HERE
from processes import children_of, wait_until

import palate
from palate import Isolation, errors


def test_trust_is_asked_for_there_too(moody_path: Path) -> None:
    """Isolation grants nothing: a model that carries code needs trust, and its process is gone."""
    before = set(children_of(os.getpid()))
    with pytest.raises(errors.TrustRequired) as caught:
        palate.load_model(moody_path, isolate=HERE)
    assert caught.value.reasons
    assert isinstance(caught.value, PermissionError)
    wait_until(lambda: set(children_of(os.getpid())) <= before)


def test_changed_files_are_refused(moody_path: Path, tmp_path: Path) -> None:
    """The process checks every byte, this one the document."""

    for name in ("moody.py", "MLmodel"):
        changed = tmp_path / name
        shutil.copytree(moody_path, changed)
        (changed / name).write_text((changed / name).read_text() + "\n# changed\n")
        with pytest.raises(errors.ModelChanged, match=name):
            palate.load_model(changed, trust=True, isolate=HERE)


def test_missing_model_and_wrong_options(moody_path: Path, tmp_path: Path) -> None:
    """Errors of loading are those of a model in this process."""
    with pytest.raises(errors.ModelNotFound):
        palate.load_model(tmp_path / "nothing", isolate=True)
    with pytest.raises(errors.InvalidOption, match="takes no such option"):
        palate.load_model(moody_path, trust=True, isolate=HERE, nothing=1)
    with pytest.raises(errors.FlavorNotFound):
        palate.load_model(moody_path, trust=True, isolate=HERE, flavor="nothing")


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ("segfault", errors.ModelCrashed, "signal SIGSEGV"),
        ("leave", errors.FlavorBroken, "SystemExit"),
    ],
)
def test_failure_at_load(moody_path: Path, order: str, error: type[Exception], words: str) -> None:
    """A model that ends its process while it is loaded is an error of loading."""
    with pytest.raises(error, match=words):
        palate.load_model(moody_path, trust=True, isolate=HERE, model_config={"at_load": order})


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_limit": 10},
        {"memory_limit": 1 << 63},
        {"memory_limit": "2GiB"},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": 3e6},
        {"start_timeout": 10**400},
        {"timeout": True},
        {"start_timeout": None},
        {"environment": ""},
        {"environment": None},
    ],
)
def test_limits_are_checked(wrong: dict[str, object]) -> None:
    """A limit that is none is refused where it is written."""
    with pytest.raises(errors.InvalidOption, match=next(iter(wrong))):
        Isolation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["yes", 1, None, {"timeout": 1}])
def test_isolate_is_a_switch_or_an_isolation(moody_path: Path, wrong: object) -> None:
    """What is neither is refused, texts that are true values among them."""
    with pytest.raises(errors.InvalidOption, match="isolate"):
        palate.load_model(moody_path, isolate=wrong)  # type: ignore[call-overload]


def test_environment_without_palate(moody_path: Path, tmp_path: Path) -> None:
    """An interpreter that has no Palate, or is none, is named with its own words."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    with pytest.raises(errors.ModelCrashed, match="No module named 'palate'"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment=tmp_path / "bare"))
    (tmp_path / "python").write_text("")
    with pytest.raises(errors.ModelCrashed, match="could not be started"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment=tmp_path / "python"))
    with pytest.raises(errors.InvalidOption, match="'auto', 'here', 'model'"):
        palate.load_model(moody_path, trust=True, isolate=Isolation(environment="modle"))


LIAR = """#!{python}
import socket, sys
from palate._isolation.channel import Channel
channel = Channel(socket.socket(fileno=int(sys.argv[-3])))
channel.receive()
channel.send({first})
channel.receive()
channel.send({second})
"""
READY: dict[str, Any] = {
    "protocol": 1,
    "ready": {"flavor": "toy", "methods": ("predict",), "independent": {"predict": True}, "python": "3.14.0"},
}
LIES = [
    7,
    [1],
    {},
    {"protocol": 99, "ready": READY["ready"]},
    {"protocol": 1},
    {"protocol": 1, "raised": 3},
    {"protocol": 1, "raised": {"kinds": ["builtins.ValueError"]}},
    {"protocol": 1, "ready": 3},
    {"protocol": 1, "ready": {}},
    {"protocol": 1, "ready": {**READY["ready"], "methods": ["predict"]}},
    {"protocol": 1, "ready": {**READY["ready"], "methods": (1,), "independent": {1: True}}},
    {"protocol": 1, "ready": {**READY["ready"], "independent": {"predict": "no"}}},
]


def write_liar(path: Path, first: object, second: object = None) -> Isolation:
    """Return an isolation whose worker says these two things, whatever it is asked."""
    path.write_text(LIAR.format(python=sys.executable, first=first, second=second))
    path.chmod(0o755)
    return Isolation(environment=path)


@pytest.mark.parametrize("lie", LIES, ids=repr)
def test_worker_that_lies_at_its_start(moody_path: Path, tmp_path: Path, lie: object) -> None:
    """A worker that says what none says is found out, and nothing of it is left."""
    before, files = set(children_of(os.getpid())), len(os.listdir("/proc/self/fd"))
    isolation = write_liar(tmp_path / "python", lie)
    with pytest.raises(errors.ModelCrashed, match="junk"):
        palate.load_model(moody_path, trust=True, isolate=isolation)
    wait_until(lambda: set(children_of(os.getpid())) <= before)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize("lie", [7, {}, {"raised": None}, {"raised": {"kinds": 3}}], ids=repr)
def test_worker_that_lies_when_it_is_asked(moody_path: Path, tmp_path: Path, lie: object) -> None:
    """The same when it shall predict: the call fails, and nothing but that error is raised."""
    with palate.load_model(moody_path, trust=True, isolate=write_liar(tmp_path / "python", READY, lie)) as model:
        assert (model.flavor, model.python) == ("toy", "3.14.0")
        with pytest.raises(errors.ModelCrashed, match="junk"):
            model.predict([1])


def test_flavor_that_cannot_say_whether_rows_are_independent(tmp_path: Path) -> None:
    """It fails whoever asks, here as there, and not the load."""
    code = """
import palate
class Unsure(palate.PythonModel):
    @property
    def rows_are_independent(self):
        raise ValueError("who knows")
    def predict(self, context, model_input, params=None):
        return model_input
palate.set_model(Unsure())
"""
    (tmp_path / "unsure.py").write_text(code)
    palate.save_model(str(tmp_path / "unsure.py"), tmp_path / "model", signature=None)
    direct = palate.load_model(tmp_path / "model", trust=True)
    with palate.load_model(tmp_path / "model", trust=True, isolate=HERE) as isolated:
        told = []
        for model in (direct, isolated):
            with pytest.raises(errors.FlavorBroken) as caught:
                model.rows_are_independent("predict")
            told.append(str(caught.value))
        assert told[0] == told[1]
        assert isolated.predict([1]) == [1]
