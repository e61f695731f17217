"""A project's lock is taken over into a model where it says what is installed, and else told of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from installed_site import Site, write_wheel
from packaging.markers import Marker

import palate
from palate._environment.capture import Evidence, capture_environment
from palate._environment.environment import Environment
from palate._environment.lock import Lock
from palate._environment.pylock import read_pylock, write_pylock
from palate._environment.source import find_lock

DIGEST = "0" * 64


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A folder in which `toppkg` 2.0, which requires `lowpkg` 1.0, is installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    site = Site(folder)
    site.install("lowpkg", "1.0", {"lowpkg.py": ""})
    site.install("toppkg", "2.0", {"toppkg.py": ""}, requires=["lowpkg>=1", "winpkg; sys_platform == 'win32'"])
    return site


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".git").mkdir()
    return folder


def uv_lock(**versions: str) -> str:
    """Return a uv.lock in which toppkg requires lowpkg, and on Windows winpkg."""
    needs = {"toppkg": '{ name = "lowpkg" }, { name = "winpkg", marker = "sys_platform == \'win32\'" }'}
    return "version = 1\n" + "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        'source = { registry = "https://packages.example.com/simple" }\n'
        f"dependencies = [{needs.get(name, '')}]\n"
        f'wheels = [{{ url = "https://packages.example.com/{name}-{version}-py3-none-any.whl", '
        f'hash = "sha256:{DIGEST}" }}]\n'
        for name, version in versions.items()
    )


def pylock(**versions: str) -> str:
    """Return a pylock.toml, which does not say what requires what."""
    return 'lock-version = "1.0"\ncreated-by = "tests"\n' + "".join(
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\nindex = "https://packages.example.com/simple"\n'
        + ("marker = \"sys_platform == 'win32'\"\n" if name.startswith("win") else "")
        + f'wheels = [{{ name = "{name}-{version}-py3-none-any.whl", url = "https://packages.example.com/x.whl", '
        f'hashes = {{ sha256 = "{DIGEST}" }} }}]\n'
        for name, version in versions.items()
    )


def capture(project: Path, **options: object) -> Environment:
    """Capture the environment of a model whose code imports toppkg."""
    return capture_environment(Evidence(modules=frozenset(["toppkg"])), project=project, **options)  # type: ignore[arg-type]


# -- where it is found -------------------------------------------------------------------------------------------------


def test_a_lock_that_palate_wrote_is_none_of_a_project(tmp_path: Path) -> None:
    """What ``palate env export`` leaves beside a script says what one model needs."""
    (tmp_path / "pylock.toml").write_text(write_pylock(Lock(packages=())))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "pylock.flowers.toml").write_text((tmp_path / "pylock.toml").read_text())
    assert find_lock(tmp_path) is None
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n')
    assert find_lock(tmp_path) == tmp_path / "pylock.toml"


def test_nearest_lock_is_found(project: Path) -> None:
    """From a file or folder upward, up to the folder of the repository, uv's own lock first."""
    inner = project / "src" / "pkg"
    inner.mkdir(parents=True)
    (inner / "model.py").touch()
    assert find_lock(inner) is None
    (project / "pylock.toml").touch()
    assert find_lock(inner / "model.py") == project / "pylock.toml"
    (project / "uv.lock").touch()
    assert find_lock(inner) == project / "uv.lock"
    (inner / "pylock.toml").touch()
    assert find_lock(inner) == inner / "pylock.toml"


def test_no_lock_beyond_the_repository(project: Path) -> None:
    """What lies above the repository is another project's."""
    (project.parent / "uv.lock").touch()
    assert find_lock(project) is None


def test_no_lock_beyond_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repository the search ends with the home folder."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "uv.lock").touch()
    assert find_lock(tmp_path / "home" / "work") is None


def test_named_lock(project: Path) -> None:
    """pylock.<name>.toml is taken beside a pyproject.toml, and of several none, since nothing says which."""
    (project / "pylock.prod.toml").touch()
    assert find_lock(project) is None
    (project / "pyproject.toml").touch()
    assert find_lock(project) == project / "pylock.prod.toml"
    (project / "pylock.dev.toml").touch()
    assert find_lock(project) is None


# -- when it is taken --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "write"), [("uv.lock", uv_lock), ("pylock.toml", pylock)])
def test_lock_of_what_is_installed(site: Site, project: Path, name: str, write: object) -> None:
    """The part that the model needs is taken, for other platforms too, and strangers are left out."""
    text = write(lowpkg="1.0", toppkg="2.0", winpkg="3.0", strangerpkg="4.0", windows_only="5.0")  # type: ignore[operator]
    (project / name).write_text(text)
    found = capture(project)
    assert found.warnings == ()
    assert found.lock is not None
    assert found.lock.source == name
    markers = {p.name: p.marker and str(Marker(p.marker)) for p in found.lock.lock.packages}
    assert markers == {"lowpkg": None, "toppkg": None, "winpkg": 'sys_platform == "win32"'}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (uv_lock(lowpkg="1.1", toppkg="2.0", winpkg="3"), "lowpkg 1.0 is installed and 1.1 locked"),
        (uv_lock(lowpkg="1.0", winpkg="3"), "toppkg is not in it"),
        ("version = 1\n[[package", "it is not TOML"),
        ("version = 1\npackage = 3", "malformed"),
        ("\x00", "it is not TOML"),
    ],
)
def test_lock_of_something_else(site: Site, project: Path, text: str, reason: str) -> None:
    """A lock that differs, or cannot be read, is told in one warning, and requirements are captured all the same."""
    (project / "uv.lock").write_text(text)
    found = capture(project)
    assert (found.lock, found.requirements) == (None, ("toppkg==2.0",))
    [warning] = found.warnings
    assert warning.startswith("The project's uv.lock is not taken over into the model: ")
    assert reason in warning


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (pylock(toppkg="2.0"), "lowpkg 1.0 is installed and not locked"),
        (pylock(lowpkg="1", toppkg="2.5"), "toppkg 2.0 is installed and 2.5 locked"),
        (pylock(lowpkg="1", toppkg="2").replace("sha256 =", "md5 ="), "SHA-256"),
        (
            pylock(lowpkg="1", toppkg="2").replace('"1.0"\ncre', '"1.0"\nrequires-python = "<3"\ncre'),
            "it is for Python <3",
        ),
    ],
)
def test_pylock_of_something_else(site: Site, project: Path, text: str, reason: str) -> None:
    """R26: the same holds for pylock.toml, in which files have to have hashes."""
    (project / "pylock.toml").write_text(text)
    [warning] = capture(project).warnings
    assert reason in warning


def test_what_was_installed_from_elsewhere(site: Site, project: Path, tmp_path: Path) -> None:
    """A version in place of the locked one may be equal in name only."""
    origin = {"url": (tmp_path / "oddpkg").as_uri(), "dir_info": {}}
    site.install("oddpkg", "1.0", {"oddpkg.py": ""}, origin=origin)
    (project / "uv.lock").write_text(uv_lock(oddpkg="1.0"))
    found = capture_environment(Evidence(modules=frozenset(["oddpkg"])), project=project)
    assert any("oddpkg is locked as files of an index, and installed from elsewhere" in text for text in found.warnings)


def test_declared_requirements_are_locked_too(site: Site, project: Path) -> None:
    """A caller's own list gets its lock, unless it asks for something that is not locked."""
    (project / "uv.lock").write_text(uv_lock(lowpkg="1.0", toppkg="2.0", winpkg="3.0"))
    found = capture(project, requirements=["lowpkg"])
    assert found.lock is not None
    assert [p.name for p in found.lock.lock.packages] == ["lowpkg"]
    _, warning = capture(project, requirements=["lowpkg>=1.5"]).warnings
    assert "lowpkg 1.0 is locked, and lowpkg>=1.5 asked for" in warning
    (project / "bounds.txt").write_text("lowpkg<1")
    [warning] = capture(project, extra_requirements=[f"-c {project / 'bounds.txt'}"]).warnings
    assert "lowpkg<1 asked for" in warning


def test_saved_model_holds_the_lock(site: Site, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pylock.toml is sealed with the model, names no host, and MLmodel says where it is from."""
    monkeypatch.chdir(project)
    (project / "uv.lock").write_text(uv_lock(lowpkg="1.0", toppkg="2.0", winpkg="3.0", palate="0.1.0"))
    (project / "model.py").write_text("import palate, toppkg\npalate.set_model(lambda model_input: model_input)\n")
    info = palate.save_model("model.py", "m", requirements=["toppkg==2.0"])
    lock = (project / "m" / "pylock.toml").read_bytes()
    assert b"example.com" not in lock
    assert [p.name for p in read_pylock(lock).packages] == ["lowpkg", "toppkg", "winpkg"]
    assert next(f.purpose for f in info.files if f.name == "pylock.toml").startswith("the exact files")
    model = palate.load_model("m", trust=True)
    assert model.metadata.palate["environment"]["lock"] == {"file": "pylock.toml", "source": "uv.lock"}


def test_code_paths_name_the_project(site: Site, project: Path, tmp_path: Path) -> None:
    """The project is the one of the model's code, wherever the script was started."""
    (project / "uv.lock").write_text(uv_lock(lowpkg="1.0", toppkg="1.0", winpkg="3.0"))
    (project / "helper.py").write_text("import toppkg\n")
    with pytest.warns(palate.errors.PalateWarning, match="toppkg 2.0 is installed and 1.0 locked"):
        palate.save_model(len, tmp_path / "m", code_paths=[project / "helper.py"], requirements=["toppkg"])


# -- with the real uv --------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """An index on this machine with two packages, one of them in a version for older Pythons too."""
    root = tmp_path / "index"
    for name, version, requires in (("lowpkg", "1.0", []), ("lowpkg", "0.9", []), ("toppkg", "2.0", ["lowpkg"])):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel = write_wheel(folder, name, version, {f"{name}.py": ""}, requires)
        link = f'<a href="{wheel.name}#sha256={sha256(wheel.read_bytes()).hexdigest()}">{wheel.name}</a>\n'
        with (folder / "index.html").open("a") as page:
            page.write(link)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_uv_locks_is_understood(site: Site, project: Path, index: str) -> None:
    """A lock that the real uv has written, forks and all, is taken over, and the host of its index is not."""
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    if uv is None:
        pytest.skip("uv is not installed")
    wanted = ["toppkg", "lowpkg<1 ; python_version < '3.11'", "lowpkg>=1 ; python_version >= '3.11'"]
    table = f"[project]\nname = 'demo'\nversion = '0'\nrequires-python = '>=3.9'\ndependencies = {json.dumps(wanted)}\n"
    (project / "pyproject.toml").write_text(table)
    command = [uv, "lock", "--quiet", "--no-config", "--index-url", index, "--python", sys.executable, "--no-cache"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    found = capture(project)
    assert found.warnings == ()
    assert found.lock is not None
    lowpkg = {p.version: p.marker for p in found.lock.lock.packages if p.name == "lowpkg"}
    assert set(lowpkg) == {"0.9", "1.0"}
    assert all(lowpkg.values())
    assert all(p.files for p in found.lock.lock.packages)


def test_no_lock_no_cost(site: Site, project: Path) -> None:
    """Where there is no lock nothing is said of any."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert capture(project).lock is None
