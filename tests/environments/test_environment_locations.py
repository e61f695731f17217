"""The environments of models that are not just a directory: a version in a store, a model in one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import palate
from palate import Isolation
from palate.cli import main
from palate.environments import bundle_environment, create_environment, export_environment, list_environments
from palate.errors import WrongModel
from palate.packing import pack_model
from palate.store import STORE_VARIABLE, open_store

pytestmark = pytest.mark.usefixtures("cache")

Kept = Callable[[Path], str]


def in_one_file(line: Path) -> str:
    """Keep a model in one file; return its path."""
    return str(pack_model(line, line.with_name("my line.palate")).path)


def in_a_store(line: Path) -> str:
    """Keep a model in a store; return a URI of an alias."""
    store = open_store()
    store.add("lines", line)
    store.set_alias("lines", "champion", 1)
    return "models:/lines@champion"


@pytest.fixture(params=[in_one_file, in_a_store])
def uri(request: pytest.FixtureRequest, line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where the model is kept."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    keep: Kept = request.param
    return keep(line)


def test_an_environment_is_built_and_used(uri: str, tmp_path: Path) -> None:
    """The golden predictions are replayed in it, the list says whose it is, and an isolated model runs in it."""
    built = create_environment(uri)
    assert (built.predictions, built.reused) == ("ok", False)
    [listed] = list_environments()
    kept = tmp_path / "store" / "lines" / "1" / "model" if uri.startswith("models:") else Path(uri)
    assert listed.model == str(kept)
    with palate.load_model(uri, isolate=Isolation(environment="model")) as model:
        assert model.predict(np.arange(3.0)) == pytest.approx([0, 2, 4])
    with palate.load_model(uri, isolate=True) as model:
        assert model.predict(np.arange(3.0)) == pytest.approx([0, 2, 4])
    assert create_environment(f"{uri}@sha256:{palate.inspect_model(uri).digest}").reused
    with pytest.raises(WrongModel):
        create_environment(f"{uri}@sha256:{'0' * 64}")


def test_this_environment_is_compared(uri: str) -> None:
    """``palate env check`` takes what load takes."""
    done = CliRunner().invoke(main, ["env", "check", uri, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["uri"]) == (0, uri)


def test_other_tools_are_told_its_name(uri: str) -> None:
    """A Dockerfile and a bundle call the model as it is called, and not as the copy in the cache."""
    name = "lines" if uri.startswith("models:") else "my line"
    assert f'COPY ["{name}", "/model"]' in export_environment(uri, format="dockerfile")
    assert "toy" in export_environment(uri)


def test_a_bundle_is_made(uri: str, tmp_path: Path) -> None:
    """Its page calls the model by its name."""
    bundle_environment(uri, tmp_path / "bundle")
    name = "lines" if uri.startswith("models:") else "'my line'"
    assert f"palate verify {name}\n" in (tmp_path / "bundle" / "README.md").read_text()
