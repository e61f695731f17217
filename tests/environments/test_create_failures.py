"""palate.environments.create_environment: nothing half-built is left by what fails, is interrupted or runs twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from environment_models import closed_index, index_of_nothing, rewrite
from processes import wait_until

from palate.environments import BuiltEnvironment, create_environment, list_environments, remove_environment
from palate.errors import (
    EnvironmentFailed,
    InvalidOption,
    PredictionChanged,
)

pytestmark = pytest.mark.usefixtures("cache")


# -- nothing half-built ------------------------------------------------------------------------------------------------


def test_what_does_not_resolve_leaves_nothing(line, cache) -> None:
    """The resolver's own words are in the message, and what to do."""
    with pytest.raises(EnvironmentFailed, match=r"(?s)and nothing was left behind:.*six==99.*Hint: ") as caught:
        create_environment(line, extra_requirements=["six==99"])
    assert caught.value.removed
    assert list(cache.parent.rglob("*")) == []


def test_no_network_leaves_nothing(line, cache, tmp_path, monkeypatch) -> None:
    """An index that nobody listens at is told, without the password in its address."""
    (tmp_path / "uv.toml").write_text("")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with closed_index() as url, pytest.raises(EnvironmentFailed, match=r"(?i)connect") as caught:
        create_environment(line, index_url=url, installer="uv")
    assert "secret" not in str(caught.value)
    assert list(cache.parent.rglob("*")) == []


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_index_of_the_caller_comes_before_the_configured_one(line, monkeypatch, installer, tmp_path) -> None:
    """Where variables of the tool's own name another index, it is not asked."""
    (tmp_path / "uv.toml").write_text("")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with index_of_nothing() as (url, asked):
        for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
            monkeypatch.setenv(name, f"{url}/configured/")
        with pytest.raises(EnvironmentFailed):
            create_environment(line, index_url=f"{url}/named/", installer=installer)
    assert {path.split("/")[1] for path in asked} == {"named"}


def test_a_prediction_that_changed_leaves_nothing(line, cache) -> None:
    """A model that predicts otherwise there has no environment there."""
    golden = json.loads((line / "golden_predictions.json").read_text())
    text = json.dumps(golden).replace("2.0", "77.5", 1)
    assert text != json.dumps(golden)
    rewrite(line, "golden_predictions.json", text)
    with pytest.raises(PredictionChanged):
        create_environment(line)
    assert list(cache.parent.rglob("*")) == []


def test_a_model_that_cannot_be_opened_there_leaves_nothing(line, cache) -> None:
    """The reason is told."""
    rewrite(line, "line.json", "[]")
    with pytest.raises(EnvironmentFailed, match="open the model in its environment") as caught:
        create_environment(line)
    assert "line.json was refused" in str(caught.value)
    assert list(cache.parent.rglob("*")) == []


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize("key", ["target", "prefix"])
def test_a_configuration_that_leads_elsewhere_is_found_out(line, cache, tmp_path, monkeypatch, installer, key) -> None:
    """An environment without what was installed is not kept, whether or not the model would be opened in it."""
    configure(tmp_path, monkeypatch, f"{key} = ", str(tmp_path / "elsewhere"))
    with pytest.raises(EnvironmentFailed, match=rf"(?s)palate.*Hint: see whether {installer}'s configuration"):
        create_environment(line, installer=installer, replay=False)
    assert list(cache.parent.rglob("*")) == []


def test_a_configuration_that_leaves_requirements_out_is_found_out_or_overruled(line, tmp_path, monkeypatch) -> None:
    """pip can be told otherwise; uv cannot, and what it left out is named."""
    configure(tmp_path, monkeypatch, "no-deps = ", "true")
    with pytest.raises(EnvironmentFailed, match=r"(?s)palate.* requires .*Hint: see whether uv's configuration"):
        create_environment(line, installer="uv", replay=False)
    assert create_environment(line, installer="pip").predictions == "ok"


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    """Say *key* = *value* in the configuration of both uv, where packages' folder is said already, and pip."""
    with (folder / "uv.toml").open("a") as file:
        file.write(f"[pip]\n{key}{value if value == 'true' else repr(value)}\n")
    (folder / "pip.conf").write_text(f"[install]\n{key}{value}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_full_disk_leaves_nothing(line, small_disk, installer, monkeypatch) -> None:
    """The disk's own words are in the message."""
    monkeypatch.setenv("PALATE_CACHE", str(small_disk))
    with pytest.raises(EnvironmentFailed, match="No space left"):
        create_environment(line, installer=installer)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("mark", [None, b"", b"An env"], ids=["none", "empty", "half"])
def test_what_ended_at_its_first_step_is_built_by_the_next(line, cache, mark) -> None:
    """A full disk, or a kill, may leave a folder with half of Palate's mark, or none: the next one takes it over."""
    place = cache / create_environment(line, replay=False).directory.name
    remove_environment(place.name)
    (place / "palate-environment").mkdir(parents=True)
    if mark is not None:
        (place / "palate-environment" / "made-by-palate").write_bytes(mark)
    assert [environment.whole for environment in list_environments()] == [False]
    assert create_environment(line, replay=False).directory == place


def test_a_disk_without_any_room_leaves_nothing(line, small_disk, monkeypatch) -> None:
    """Not even the mark fits; with room again it is built."""
    monkeypatch.setenv("PALATE_CACHE", str(small_disk / "cache"))
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    with pytest.raises(EnvironmentFailed, match="No space left"):
        create_environment(line)
    assert list_environments() == []


def test_a_cache_that_nobody_may_write_to_is_used(line, cache) -> None:
    """As in an image that brings its environments along."""
    built = create_environment(line)
    if subprocess.run(["mount", "--bind", "-o", "ro", cache, cache], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        assert create_environment(line).directory == built.directory
    finally:
        subprocess.run(["umount", cache], check=True)


def test_a_cache_in_the_home_of_nobody_is_told(line, monkeypatch) -> None:
    """The variable names a user that is not here."""
    monkeypatch.setenv("PALATE_CACHE", "~no-such-user/cache")
    with pytest.raises(InvalidOption, match="PALATE_CACHE"):
        create_environment(line)


def test_what_cannot_be_removed_is_told(line, cache) -> None:
    """An environment that something is mounted in is not said to be gone."""
    built = create_environment(line, replay=False)
    busy = built.directory / "lib"
    if subprocess.run(["mount", "--bind", busy, busy], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        with pytest.raises(EnvironmentFailed, match=r"(?s)Could not remove .*busy.*Hint: "):
            remove_environment(built.directory.name)
    finally:
        subprocess.run(["umount", busy], check=True)
    assert not list_environments()[0].whole
    assert remove_environment(built.directory.name) == built.directory


# -- interrupted, and at the same time ---------------------------------------------------------------------------------

BUILD = "import sys; from palate.environments import create_environment; create_environment(sys.argv[1])"


@contextmanager
def index_that_hangs() -> Iterator[str]:
    """Yield the address of an index that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


@contextmanager
def begun(command: list[str], cache: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a build, and yield when it is in the middle."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            wait_until(lambda: list(cache.glob("*/palate-environment/requirements.txt")), 30)
            time.sleep(0.3)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def hanging(tmp_path: Path, url: str) -> dict[str, str]:
    """Return the environment variables for a build that hangs for a second or two."""
    (tmp_path / "hanging.toml").write_text("")
    changed = {"UV_CONFIG_FILE": str(tmp_path / "hanging.toml"), "UV_DEFAULT_INDEX": url}
    changed |= {"UV_HTTP_TIMEOUT": "2", "UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": str(tmp_path / "uv-cache")}
    return {**os.environ, **changed}


def test_a_killed_build_is_built_by_the_next(line, cache, tmp_path) -> None:
    """What it left is taken away, once the last of the programs that it started has ended."""
    with (
        index_that_hangs() as url,
        begun([sys.executable, "-c", BUILD, str(line)], cache, hanging(tmp_path, url)) as it,
    ):
        os.kill(it.pid, signal.SIGKILL)
        it.wait()
    (left,) = list_environments()
    assert not left.whole
    built = create_environment(line)
    assert built.directory == left.directory
    assert built.predictions == "ok"
    assert [path.name for path in cache.iterdir()] == [built.directory.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(line, cache, tmp_path, number) -> None:
    """Ctrl-C, and a polite request to end, take away what was begun, and what runs for it."""
    command = [sys.executable, "-m", "palate", "env", "create", str(line)]
    with index_that_hangs() as url, begun(command, cache, hanging(tmp_path, url)) as process:
        os.kill(process.pid, number)
        assert process.wait(timeout=10) != 0
    assert list(cache.parent.rglob("*")) == []


def test_two_at_once_build_it_once(line) -> None:
    """One builds; the other waits and gets the same."""
    found: list[BuiltEnvironment] = []
    told: list[str] = []

    def build() -> None:
        found.append(create_environment(line, progress=told.append))

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(built.reused for built in found) == [False, True, True]
    assert len({built.directory for built in found}) == 1
    assert told.count("another process is building it; waiting") == 2
