"""palate.environments.create_environment: an environment that the model predicts in, or nothing at all."""

from __future__ import annotations

import grp
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from environment_models import closed_index, index_of_nothing, rewrite, save_line
from sklearn.linear_model import LinearRegression
from wheelhouse import make_wheelhouse, use_only

import palate
from palate._rebuilding.planning import open_wanted
from palate.environments import BuiltEnvironment, create_environment, list_environments, remove_environment
from palate.errors import (
    EnvironmentFailed,
    InvalidModelFile,
    InvalidOption,
    InvalidRequirement,
    ModelChanged,
    PredictionChanged,
    PythonNotFound,
    TrustRequired,
    UnsafePath,
)

MLFLOW_MODELS = Path(__file__).parent / "data" / "mlflow_models"
HERE = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of what Palate needs, and of some small packages."""
    return make_wheelhouse(tmp_path_factory.mktemp("wheelhouse"))


@pytest.fixture(autouse=True)
def cache(wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test alone."""
    use_only(wheelhouse, tmp_path, monkeypatch)
    return tmp_path / "cache" / "environments"


@pytest.fixture
def line(tmp_path: Path, toy_flavor: str) -> Path:
    """A model in a safe format, with golden predictions, which needs no more than its flavor."""
    return save_line(tmp_path / "line", toy_flavor)


@pytest.fixture
def function(tmp_path: Path) -> Path:
    """A pickled function, which needs trust, and six besides."""

    def double(data: np.ndarray) -> np.ndarray:
        return data * 2

    palate.save_model(
        double, tmp_path / "double", input_example=np.arange(3.0), requirements=["six==1.17.0", "cloudpickle"]
    )
    return tmp_path / "double"


def run_in(built: BuiltEnvironment, code: str) -> str:
    """Run code in an environment."""
    return subprocess.run([built.python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout


# -- what is built -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_environment_opens_the_model(line, cache, installer, monkeypatch) -> None:
    """The very Palate that is here is there, wherever variables lead; the golden predictions were replayed."""
    monkeypatch.setenv("PIP_TARGET", str(cache.parent / "elsewhere"))
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    built = create_environment(line, installer=installer)
    assert (built.installer, built.reused, built.predictions) == (installer, False, "ok")
    assert built.directory.parent == cache
    where = run_in(built, "import palate, palate_toy; print(palate.__file__); print(palate_toy.__file__)").split()
    assert all(Path(place).is_relative_to(built.directory) for place in where)
    assert (Path(where[0]).parent / "environments.py").read_bytes() == Path(palate.environments.__file__).read_bytes()
    assert built.directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in cache.iterdir()] == [built.directory.name]


def test_the_same_content_is_built_once(line, tmp_path) -> None:
    """A second call, and another model that asks for the same, get the environment that is there."""
    first = create_environment(line)
    shutil.copytree(line, tmp_path / "copy")
    second = create_environment(tmp_path / "copy")
    assert second.reused
    assert (second.directory, second.digest, second.predictions) == (first.directory, first.digest, "ok")
    other = create_environment(line, extra_requirements=["idna"], replay=False)
    assert other.directory != first.directory
    assert (other.predictions, other.detail) == ("skipped", "it was not asked for")


def test_the_cache_is_listed_and_emptied(line) -> None:
    """Each environment says what it is, and goes by the beginning of its name."""
    built = create_environment(line, replay=False)
    (found,) = list_environments()
    assert (found.directory, found.whole, found.model) == (built.directory, True, str(line))
    assert found.python_version == platform.python_version()
    with pytest.raises(InvalidOption, match="there is no 'x'"):
        remove_environment("x")
    assert remove_environment(found.name[:8]) == built.directory
    assert list_environments() == []


@pytest.mark.parametrize(("inner", "outer"), [(0o777, 0o755), (0o770, 0o755), (0o700, 0o777), (0o755, 0o775)])
def test_a_cache_that_others_write_to_is_not_used(line, cache, inner, outer) -> None:
    """What is found there would be run; whoever may write to the folder above can put another one there."""
    cache.mkdir(parents=True)
    for place, mode in ((cache, inner), (cache.parent, outer)):
        os.chown(place, -1, 12345 if os.geteuid() == 0 else -1)
        place.chmod(mode)
    if os.geteuid() and not (inner | outer) & 0o002:
        pytest.skip("only root may give a folder to another group")
    with pytest.raises(InvalidOption, match="another user"):
        create_environment(line)


def test_a_cache_of_ones_own_is_used(line, cache) -> None:
    """A group of the user's name that nobody else is in, as where the umask is 002, is no other user; nor is /tmp."""
    from palate._rebuilding.places import check_cache

    cache.mkdir(parents=True)
    check_cache(cache)
    cache.parent.chmod(0o1777)
    check_cache(cache)
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    if group.gr_name == user.pw_name and user.pw_gid == os.getegid() and set(group.gr_mem) <= {user.pw_name}:
        cache.chmod(0o775)
        check_cache(cache)


def test_a_bad_place_in_further_requirements_is_refused(line) -> None:
    """An index there would lose its password, and a folder would mean nothing: each has its own argument."""
    for text in ("--index-url=https://user:secret@index.example", "--find-links=wheels"):
        with pytest.raises(InvalidOption, match="index_url=") as caught:
            create_environment(line, extra_requirements=["six", text])
        assert "secret" not in str(caught.value)


def test_an_environment_that_lost_its_interpreter_is_built_anew(line) -> None:
    """As when the Python that it was made from was removed."""
    first = create_environment(line, replay=False)
    first.python.unlink()
    again = create_environment(line, replay=False)
    assert (again.directory, again.reused) == (first.directory, False)
    assert again.python.exists()


def test_a_folder_of_the_callers(line, tmp_path) -> None:
    """It may be missing or empty; what holds anything is left alone."""
    target = tmp_path / "new" / "environment"
    built = create_environment(line, directory=target)
    assert built.directory == target
    assert [path.name for path in target.parent.iterdir()] == ["environment"]
    for taken in (target, line):
        before = sorted(taken.rglob("*"))
        with pytest.raises(InvalidOption, match="is there already"):
            create_environment(line, directory=taken)
        assert sorted(taken.rglob("*")) == before


def test_mlflow_is_left_out_of_what_it_wrote_itself(line) -> None:
    """It names itself in every directory; whoever saved with Palate and names it means it."""
    assert open_wanted(MLFLOW_MODELS / "pyf_from_code" / "model")[1].left_out == ("mlflow==3.17.2",)
    rewrite(line, "requirements.txt", "mlflow==3.17.2\nnumpy\n")
    with pytest.raises(TrustRequired, match="mlflow"):
        create_environment(line)


def test_constraints_hold_for_what_comes_along(line) -> None:
    """A bound in the model's constraints.txt that nothing fulfils is the resolver's to refuse."""
    (line / "constraints.txt").write_text("click<1\n")
    rewrite(line, "requirements.txt", "numpy\n-c constraints.txt\n")
    with pytest.raises(EnvironmentFailed, match="click"):
        create_environment(line)


# -- trust -------------------------------------------------------------------------------------------------------------


def test_foreign_packages_need_trust(function, cache) -> None:
    """What Palate does not require itself is not installed for a model that nobody trusts; each is named."""
    with pytest.raises(TrustRequired) as caught:
        create_environment(function)
    assert [reason.file for reason in caught.value.reasons] == ["requirements.txt"]
    assert "six" in str(caught.value)
    assert not cache.exists()
    built = create_environment(function, trust=True)
    assert built.predictions == "ok"
    assert run_in(built, "import six; print(six.__version__)").strip() == "1.17.0"


def test_a_model_that_needs_trust_is_not_opened_without(function) -> None:
    """Its environment can be built, and the predictions are skipped for that reason."""
    rewrite(function, "requirements.txt", "cloudpickle\n")
    built = create_environment(function)
    assert (built.predictions, built.detail) == ("skipped", "to open it runs code of its own, which needs trust")


def test_many_foreign_packages_are_counted(line) -> None:
    """Twenty are named in the message, and how many more there are."""
    rewrite(line, "requirements.txt", "\n".join(f"foreign-{number}" for number in range(50)))
    with pytest.raises(TrustRequired, match="and 30 more") as caught:
        create_environment(line)
    assert len(caught.value.reasons) == 21


def test_a_commit_needs_trust(line) -> None:
    """To build it runs its code, whatever it is called."""
    rewrite(line, "requirements.txt", f"numpy @ git+https://git.example/numpy@{'a' * 40}\n")
    with pytest.raises(TrustRequired, match="commit"):
        create_environment(line)


def test_trust_is_true_or_false(line) -> None:
    """Text from a settings file is no permission."""
    with pytest.raises(InvalidOption, match="trust"):
        create_environment(line, trust="no")  # type: ignore[arg-type]


# -- wheels and locks of the model -------------------------------------------------------------------------------------


@pytest.fixture
def carrying(function, wheelhouse) -> Path:
    """A model that carries the wheel of idna, and whose section says so."""
    (function / "wheels").mkdir()
    (wheel,) = wheelhouse.glob("idna-*.whl")
    shutil.copy(wheel, function / "wheels")
    text = (function / "MLmodel").read_text()
    entry = f"palate:\n  environment:\n    wheels:\n      idna: wheels/{wheel.name}\n"
    (function / "MLmodel").write_text(text.replace("palate:\n", entry, 1))
    rewrite(function, "requirements.txt", f"cloudpickle\nidna=={wheel.name.split('-')[1]}\n")
    return function


def test_a_carried_wheel_is_installed_by_its_path(carrying, wheelhouse, tmp_path, monkeypatch) -> None:
    """No index has to have it; without trust it is refused, because it comes with the model."""
    without = tmp_path / "without"
    shutil.copytree(wheelhouse, without, ignore=shutil.ignore_patterns("idna-*"))
    use_only(without, tmp_path, monkeypatch)
    with pytest.raises(TrustRequired, match="wheels/idna"):
        create_environment(carrying)
    built = create_environment(carrying, trust=True)
    assert "idna" in run_in(built, "import idna; print(idna.__file__)")


@pytest.mark.parametrize(
    "place", ["../idna-1-py3-none-any.whl", "wheels/-x.whl", "/etc/passwd", "wheels/six-1-py3-none-any.whl"]
)
def test_a_carried_wheel_lies_in_its_folder(carrying, place) -> None:
    """A path that leads elsewhere, or to another package, is refused."""
    text = (carrying / "MLmodel").read_text()
    before = next(line for line in text.splitlines() if "idna: wheels/" in line)
    rewrite(carrying, "MLmodel", text.replace(before, f"      idna: {place}"))
    with pytest.raises(InvalidModelFile, match="wheel"):
        create_environment(carrying, trust=True)


def test_a_carried_wheel_that_changed_is_refused(carrying) -> None:
    """Its bytes are those that the manifest lists."""
    (wheel,) = (carrying / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(ModelChanged):
        create_environment(carrying, trust=True)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_locked_model_is_installed_by_hash(function, wheelhouse, installer) -> None:
    """The files are those of the lock, or none is installed."""
    import hashlib

    (wheel,) = wheelhouse.glob("six-*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f'''lock-version = "1.0"
[[packages]]
name = "six"
version = "1.17.0"
wheels = [{{name = "{wheel.name}", hashes = {{sha256 = "%s"}}}}]
'''
    rewrite(function, "pylock.toml", lock % ("0" * 64))
    with pytest.raises(EnvironmentFailed, match=r"(?i)hash"):
        create_environment(function, trust=True, installer=installer)
    if installer == "uv":
        rewrite(function, "pylock.toml", lock % digest)
        assert create_environment(function, trust=True, installer=installer).predictions == "ok"
    assert create_environment(function, trust=True, installer="uv", locked=False, replay=False).reused is False


def test_a_lock_has_to_be_there_and_for_this_python(line) -> None:
    """Asked for where there is none, and one for another Python, are errors that say so."""
    with pytest.raises(InvalidOption, match=r"pylock\.toml"):
        create_environment(line, locked=True)
    rewrite(line, "pylock.toml", 'lock-version = "1.0"\nrequires-python = "<3"\npackages = []')
    with pytest.raises(InvalidOption, match="locked for Python <3"):
        create_environment(line)


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
            wait_for(lambda: list(cache.glob("*/palate-environment/requirements.txt")))
            time.sleep(0.3)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def wait_for(condition: Callable[[], object]) -> None:
    """Return when something has come true."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it has not come true"
        time.sleep(0.02)


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


# -- which Python ------------------------------------------------------------------------------------------------------


@pytest.fixture
def few_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the system's own, so that looking for others takes no time."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PYENV_ROOT", raising=False)


def test_a_python_that_is_missing_is_told(line, cache, few_pythons) -> None:
    """The ways to get it are named, and the ones that are here."""
    rewrite(line, "python_env.yaml", "python: 3.49.1\n")
    with pytest.raises(PythonNotFound, match=r"uv python install 3\.49") as caught:
        create_environment(line)
    assert platform.python_version() in caught.value.found
    assert not cache.exists()


def test_a_python_before_palates_first_is_told(line, few_pythons) -> None:
    """Palate does not run there; another can be asked for."""
    rewrite(line, "python_env.yaml", "python: 3.8.18\n")
    with pytest.raises(PythonNotFound, match=r"Palate runs on Python >=3\.11"):
        create_environment(line)
    assert create_environment(line, python=HERE, replay=False).python_version.startswith(HERE)


@pytest.mark.parametrize("version", ["3.11; rm -rf /", "$(id)", "--help", "../../bin/sh", "3", "3.11 ", "3.11\\n3.12"])
def test_a_version_that_is_none_is_refused(line, version) -> None:
    """R28: what a model calls its Python never reaches a program unless it is a version."""
    rewrite(line, "python_env.yaml", f'python: "{version}"\n')
    with pytest.raises(InvalidModelFile, match="is no version of Python"):
        create_environment(line)


def test_conda_and_mlmodel_say_it_where_nothing_else_does(line, few_pythons) -> None:
    """Where python_env.yaml is missing, conda.yaml says which Python; where that is, MLmodel."""
    (line / "python_env.yaml").unlink()
    rewrite(line, "conda.yaml", "dependencies:\n- python=3.48.1\n- pip\n")
    with pytest.raises(PythonNotFound, match=r"3\.48"):
        create_environment(line)
    (line / "conda.yaml").unlink()
    text = (line / "MLmodel").read_text()
    rewrite(line, "MLmodel", text.replace(f"python_version: {platform.python_version()}", "python_version: 3.47.0"))
    with pytest.raises(PythonNotFound, match=r"3\.47"):
        create_environment(line)


@pytest.mark.parametrize("python", ["no-such-python", "/bin/true", "3.11;id"])
def test_what_is_no_interpreter_is_refused(line, python) -> None:
    """The caller's own word is checked as well."""
    with pytest.raises(InvalidOption, match="neither a version nor an interpreter"):
        create_environment(line, python=python)


def test_a_shim_that_fails_is_passed_over(line, tmp_path, few_pythons, monkeypatch) -> None:
    """A python3.x on PATH that cannot run, as pyenv has them, is no Python."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "python3.46"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(PythonNotFound):
        create_environment(line, python="3.46")


def test_an_interpreter_is_named_by_its_path(line) -> None:
    """One in a virtual environment stands for the Python that this was made from."""
    assert (
        create_environment(line, python=Path(sys.executable), replay=False).python_version == platform.python_version()
    )


# -- hostile directories -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("requirements.txt", "--index-url https://evil.example\n", InvalidRequirement),
        ("requirements.txt", "-r /etc/passwd\n", InvalidRequirement),
        ("requirements.txt", "x @ file:///etc\n", InvalidRequirement),
        ("requirements.txt", "numpy\n-c /etc/passwd\n", InvalidRequirement),
        ("requirements.txt", "numpy\r--index-url=x\n", InvalidRequirement),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1"', InvalidModelFile),
    ],
)
def test_hostile_files_reach_no_installer(line, cache, name, text, error) -> None:
    """Each is refused by name, trusted or not, before anything is made."""
    rewrite(line, name, text)
    for trust in (False, True):
        with pytest.raises(error):
            create_environment(line, trust=trust)
    assert not cache.exists()


@pytest.mark.parametrize(
    "section",
    [
        "index_options: {index_url: '--extra-index-url=x'}",
        "index_options: {index_url: 'file:///etc'}",
        "index_options: {find_links: ['https://x.example/ -r /etc/passwd']}",
        "index_options: {extra_index_urls: 'https://x.example'}",
        "index_options: [1]",
        "wheels: [1]",
    ],
)
def test_a_hostile_section_is_refused(line, section) -> None:
    """What MLmodel says of indexes and wheels is read strictly."""
    text = (line / "MLmodel").read_text()
    rewrite(line, "MLmodel", text.replace("palate:\n", f"palate:\n  environment:\n    {section}\n", 1))
    with pytest.raises(InvalidModelFile, match="environment"):
        create_environment(line)


def test_a_file_that_the_manifest_does_not_list_is_refused(line) -> None:
    """Requirements that were added or changed later are not what was saved."""
    (line / "constraints.txt").write_text("numpy<1\n")
    with pytest.raises(ModelChanged):
        create_environment(line)
    (line / "constraints.txt").unlink()
    (line / "requirements.txt").write_text("six\n")
    with pytest.raises(ModelChanged):
        create_environment(line)
    (line / "requirements.txt").unlink()
    (line / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises((ModelChanged, UnsafePath, InvalidRequirement)):
        create_environment(line)


def test_recorded_indexes_are_used_only_if_the_caller_says_so(line, wheelhouse, tmp_path, monkeypatch) -> None:
    """A model's own fields can ask, never grant; and where packages come from is part of what an environment is."""
    (tmp_path / "uv.toml").write_text(f"find-links = [{str(wheelhouse)!r}]\n")
    with index_of_nothing() as (url, asked):
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/configured/")
        text = (line / "MLmodel").read_text()
        options = f"{{extra_index_urls: ['{url}/recorded/'], find_links: ['{url}/files/']}}"
        entry = f"palate:\n  environment:\n    index_options: {options}\n"
        rewrite(line, "MLmodel", text.replace("palate:\n", entry, 1))
        plain = create_environment(line, replay=False, trust=True)
        assert {path.split("/")[1] for path in asked} == {"configured"}
        with pytest.raises(TrustRequired, match="an index has that the model names"):
            create_environment(line, replay=False, use_recorded_index=True)
        # The folder of files answers with an error, which only a run that asks it can tell.
        with pytest.raises(EnvironmentFailed, match="files"):
            create_environment(line, replay=False, use_recorded_index=True, trust=True)
        rewrite(line, "MLmodel", text.replace("palate:\n", entry.replace(f"'{url}/files/'", ""), 1))
        recorded = create_environment(line, replay=False, use_recorded_index=True, trust=True)
        assert {path.split("/")[1] for path in asked} == {"configured", "files", "recorded"}
    assert recorded.digest != plain.digest


def test_folders_that_palate_did_not_make_are_left_alone(tmp_path, monkeypatch) -> None:
    """Neither a folder that looks like a leftover, nor what stands in the cache under another name, is removed."""
    model = tmp_path / "model"
    palate.save_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), model)
    theirs = tmp_path / "theirs"
    (theirs / "palate-environment").mkdir(parents=True)
    (theirs / "precious.txt").write_text("mine")
    with pytest.raises(InvalidOption, match="no empty folder"):
        create_environment(model, directory=theirs)
    assert (theirs / "precious.txt").read_text() == "mine"
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "project"))
    (tmp_path / "project" / "environments" / "staging").mkdir(parents=True, mode=0o700)
    assert list_environments() == []


def test_extras_need_trust(tmp_path) -> None:
    """What an extra brings is a package that Palate does not require."""
    model = tmp_path / "model"
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    palate.save_model(fitted, model, requirements=["scikit-learn[examples]>=1.5", "skops>=0.14"])
    with pytest.raises(TrustRequired, match=r"scikit-learn\[examples\]"):
        create_environment(model)


def write_wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """Write a wheel with one empty module, and a file that every start of Python runs."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    files = {
        f"{module}.py": "",
        f"{module}.pth": f"import pathlib; pathlib.Path({str(folder / 'ran')!r}).touch()\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_a_known_package_leads_to_needs_trust(line, wheelhouse, installer) -> None:
    """A release of a known package that requires a foreign one is found out before either is installed."""
    write_wheel(wheelhouse, "pluggy", "96.0", "evil-pkg")
    write_wheel(wheelhouse, "evil-pkg", "1.0")
    try:
        rewrite(line, "requirements.txt", "pluggy==96.0")
        with pytest.raises(TrustRequired, match="evil-pkg, which it leads to"):
            create_environment(line, installer=installer)
        assert not (wheelhouse / "ran").exists()
        assert list_environments() == []
    finally:
        for wheel in (*wheelhouse.glob("pluggy-96*"), *wheelhouse.glob("evil*")):
            wheel.unlink()
