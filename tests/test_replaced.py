"""Reading a model while somebody replaces it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate import _opened, errors
from palate.locations import Location, read_one_model

DATA = np.array([[0.0], [1.0]])

WRITER = """
import itertools
import sys
import numpy as np
from sklearn.linear_model import LinearRegression
import palate

data = np.array([[0.0], [1.0]])
for value in itertools.count(1):
    model = LinearRegression().fit(data, [value, value])
    palate.save_model(model, sys.argv[1], overwrite=True, metadata={"value": value}, requirements=["numpy"])
"""


def save(path: Path, value: int) -> None:
    """Save a model that predicts *value*, in the place of what is there."""
    model = LinearRegression().fit(DATA, [value, value])
    palate.save_model(model, path, overwrite=True, metadata={"value": value}, input_example=DATA)


def replace_once(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let another model take the place after the first one's files were checked."""
    check, done = _opened.check_manifest, []

    def check_then_replace(*args: Any) -> Any:
        seal = check(*args)
        if not done:
            done.append(seal)
            save(path, 2)
        return seal

    monkeypatch.setattr(_opened, "check_manifest", check_then_replace)


def test_a_load_during_a_replacement_gives_the_new_model_whole(tmp_path, monkeypatch) -> None:
    """The reader starts again instead of reporting files that nobody touched."""
    save(tmp_path / "m", 1)
    replace_once(monkeypatch, tmp_path / "m")
    model = palate.load_model(tmp_path / "m")
    assert model.metadata.metadata == {"value": 2}
    assert model.predict(DATA).round().tolist() == [2, 2]


@pytest.mark.parametrize("look", [palate.inspect_model, palate.verify_model])
def test_looking_during_a_replacement_shows_the_new_model_whole(tmp_path, monkeypatch, look) -> None:
    """The same holds for inspect_model and verify_model."""
    save(tmp_path / "m", 1)
    replace_once(monkeypatch, tmp_path / "m")
    found = look(tmp_path / "m")
    assert found.ok if hasattr(found, "ok") else found.metadata == {"value": 2}


def test_a_model_that_was_only_changed_is_not_read_again(tmp_path) -> None:
    """A fault of a directory that stands still is reported the first time."""
    save(tmp_path / "m", 1)
    calls = []

    def read(_: Location) -> None:
        calls.append(1)
        raise errors.ModelChanged(str(tmp_path), changed=["a"])

    with pytest.raises(errors.ModelChanged):
        read_one_model(tmp_path / "m", read, is_whole=lambda _: True)
    assert len(calls) == 1


def test_a_reader_that_never_finds_it_still_gives_up(tmp_path) -> None:
    """Ten tries, then the error of the last one."""
    save(tmp_path / "m", 0)
    calls = []

    def read(_: Location) -> None:
        calls.append(1)
        save(tmp_path / "m", len(calls))
        raise errors.ModelChanged(str(tmp_path), changed=["a"])

    with pytest.raises(errors.ModelChanged):
        read_one_model(tmp_path / "m", read, is_whole=lambda _: True)
    assert len(calls) == 10


def test_readers_of_a_path_that_is_saved_to_in_a_loop_never_fail(tmp_path) -> None:
    """Each load gives one of the models, its parameters and its MLmodel belonging together."""
    path = tmp_path / "m"
    save(path, 0)
    seen = set()
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
        try:
            while len(seen) < 6:
                assert writer.poll() is None
                model = palate.load_model(path)
                assert model.metadata.metadata is not None
                value = model.metadata.metadata["value"]
                assert model.predict(DATA).round().tolist() == [value, value]
                seen.add(value)
        finally:
            writer.kill()
