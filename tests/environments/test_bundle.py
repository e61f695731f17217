"""palate.environments.bundle_environment: everything in one folder, which installs where no network is."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest
from environment_models import rewrite, save_line
from packaging.pylock import Pylock
from wheelhouse import make_wheelhouse, use_only

from palate._environment.lock import Lock
from palate._opened import open_model
from palate._rebuilding.bundle_notes import bundle_notes
from palate._rebuilding.repacking import pack_distribution
from palate._rebuilding.targets import PLATFORMS, find_targets
from palate._rebuilding.wanted import read_wanted
from palate.environments import Bundle, bundle_environment, create_environment
from palate.errors import EnvironmentFailed, InvalidOption, ModelExists, PythonNotFound, TrustRequired

pytestmark = pytest.mark.usefixtures("cache")

HERE = ".".join(platform.python_version_tuple()[:2])
TAG = f"cp{HERE.replace('.', '')}"
REQUIRES = (
    "idna ; platform_machine == 'x86_64'",
    "iniconfig ; platform_machine == 'armv7l' or platform_machine == 'aarch64'",
    "no-such-package ; sys_platform == 'win32'",
)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels for this machine, the same under the names of other machines, and one that needs others on each."""
    folder = make_wheelhouse(tmp_path_factory.mktemp("wheelhouse"))
    for wheel in [*folder.glob("numpy-*"), *folder.glob("pyyaml-*")]:
        name, version = wheel.name.split("-")[:2]
        for machine in ("aarch64", "armv7l"):
            copy = folder / f"{name}-{version}-{TAG}-{TAG}-manylinux_2_17_{machine}.whl"
            shutil.copy(wheel, copy)
            change(copy)
    with zipfile.ZipFile(folder / "parts-1.0-py3-none-any.whl", "w") as archive:
        needs = "".join(f"Requires-Dist: {line}\n" for line in REQUIRES)
        archive.writestr("parts.py", "")
        archive.writestr("parts-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n{needs}")
        archive.writestr("parts-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("parts-1.0.dist-info/RECORD", "")
    return folder


def change(wheel: Path) -> None:
    """Make other bytes of a wheel, which is as good as before."""
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = wheel.name.encode()


def names(folder: Path) -> set[str]:
    """Return the names of the packages in a bundle."""
    return {path.name.partition("-")[0] for path in (folder / "wheels").iterdir()}


def without_network() -> list[str]:
    """Return what a command is started by to have no network; nothing where only root can do that."""
    alone = ["unshare", "-n"]
    possible = (
        shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0
    )
    return alone if possible else []


def plain_environment() -> dict[str, str]:
    """Return the environment variables of a host where nobody has configured anything."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    closed = "http://127.0.0.1:9/simple"
    return {**kept, "PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": closed, "UV_DEFAULT_INDEX": closed}


@pytest.fixture(scope="module")
def made(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory, toy_flavor: str) -> Bundle:
    """The bundle of the model for this machine, which nobody changes."""
    folder = tmp_path_factory.mktemp("bundled")
    with pytest.MonkeyPatch.context() as patch:
        use_only(wheelhouse, folder, patch)
        return bundle_environment(save_line(folder / "line", toy_flavor), folder / "bundle")


@pytest.fixture
def bundle(made: Bundle) -> Path:
    """Its folder."""
    return made.directory


def test_a_bundle_has_every_file_by_its_hash(made) -> None:
    """Its lock, its requirements and its folder say the same, and Palate's own wheels are in it."""
    assert sorted(path.name for path in made.directory.iterdir()) == [
        "README.md",
        "pylock.toml",
        "requirements.txt",
        "wheels",
    ]
    assert {"palate", "palate_toy", "numpy", "pluggy"} <= names(made.directory)
    lock = Pylock.from_dict(tomllib.loads((made.directory / "pylock.toml").read_text()))
    lines = (made.directory / "requirements.txt").read_text()
    for package in lock.packages:
        for wheel in package.wheels or ():
            content = (made.directory / str(wheel.path)).read_bytes()
            assert wheel.hashes["sha256"] == hashlib.sha256(content).hexdigest()
            assert f"--hash=sha256:{wheel.hashes['sha256']}" in lines
    assert made.wheels == tuple(sorted(path.name for path in (made.directory / "wheels").iterdir()))
    assert made.python_version == HERE
    assert "://" not in (made.directory / "pylock.toml").read_text() + lines


@pytest.mark.parametrize(
    ("name", "shown", "word"),
    [
        ("line", "line", "line"),
        ("my line; id $(id)", "my line; id $(id)", "'my line; id $(id)'"),
        ("it's `id`", "it's 'id'", """'it'"'"'s `id`'"""),
        ("--help", "--help", "./--help"),
        ("line\n# Run this\n    id", "MODEL", "MODEL"),
    ],
)
def test_the_notes_of_a_bundle_are_safe_to_paste(line, name, shown, word) -> None:
    """The folder's name, whatever it is, is one word of each command, and ends neither heading nor code."""
    model = replace(read_wanted(open_model(line)), title=name)
    heading, *rest = bundle_notes(model, Lock(packages=()), ["linux-x86_64"]).splitlines()
    assert heading == f"# The environment of the model `{shown}`"
    commands = [text.strip() for text in rest if "palate " in text and text.startswith("    ")]
    assert [command.partition("palate ")[2] for command in commands] == [
        f"verify {word}",
        f"predict {word} ROWS.csv",
        f"env create --bundle . {word}",
    ]
    assert not any("# Run this" in text for text in rest)


def test_palate_installs_a_bundle_without_a_network(line, bundle) -> None:
    """The model's environment is built from it, and its predictions are replayed."""
    command = [*without_network(), sys.executable, "-m", "palate", "env", "create", "--bundle", str(bundle), str(line)]
    done = subprocess.run(command, env={**plain_environment()}, capture_output=True, text=True, check=True)
    assert "ok: equal to the golden predictions" in done.stdout


def test_pip_and_uv_install_a_bundle_without_a_network(line, bundle, tmp_path) -> None:
    """As its README says, where there is no Palate."""
    python = tmp_path / "plain" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python.parent.parent], check=True)
    readme = (bundle / "README.md").read_text()
    arguments = "install --no-index --find-links wheels --require-hashes -r requirements.txt"
    assert f"pip {arguments}" in readme
    quiet = {"cwd": bundle, "env": plain_environment(), "check": True, "capture_output": True}
    # To put a pip into that environment takes longer than all the rest.
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*without_network(), *pip, *arguments.split()], **quiet)
    done = subprocess.run([python.parent / "palate", "verify", line], **quiet)
    assert b"equal to the golden predictions" in done.stdout
    sync = "uv pip sync --python environment --offline --no-index pylock.toml"
    assert sync in readme
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    command = [uv, *sync.replace("environment", str(python)).split()[1:]]
    subprocess.run([*without_network(), *command], **quiet)


@pytest.mark.parametrize(
    ("platform", "needed"),
    [("manylinux2014_aarch64", "iniconfig"), ("linux-armv7l", "iniconfig")],
)
def test_a_bundle_for_another_machine(line, tmp_path, platform, needed) -> None:
    """Its wheels are that machine's, and what they need there is judged by that machine's markers."""
    made = bundle_environment(line, tmp_path / "bundle", platforms=[platform], extra_requirements=["parts"])
    machine = platform.replace("_", "-").rpartition("-")[2]
    assert made.platforms == (f"linux-{machine}",)
    binaries = [name for name in made.wheels if not name.endswith("-any.whl")]
    assert len(binaries) == 2
    assert all(name.endswith(f"{machine}.whl") for name in binaries)
    assert needed in names(made.directory)


def test_a_bundle_for_two_machines(line, tmp_path) -> None:
    """What only one of them needs has a marker."""
    made = bundle_environment(
        line, tmp_path / "bundle", platforms=["linux-aarch64", "linux-x86_64"], extra_requirements=["parts"]
    )
    lines = dict(line.split("==", 1) for line in (made.directory / "requirements.txt").read_text().splitlines())
    assert "platform_machine == 'aarch64'" in lines["iniconfig"]
    assert "platform_machine == 'x86_64'" in lines["idna"]
    assert ";" not in lines["numpy"]
    assert lines["numpy"].count("--hash") == 2
    with pytest.raises(TrustRequired, match="parts"):  # which is in the bundle, and not in the model
        create_environment(line, bundle=made.directory)
    assert create_environment(line, bundle=made.directory, trust=True).predictions == "ok"


def test_a_machine_that_a_package_has_no_wheel_for_leaves_nothing(line, tmp_path) -> None:
    """The resolver's own words are in the message."""
    with pytest.raises(EnvironmentFailed, match=r"(?i)numpy|pyyaml"):
        bundle_environment(line, tmp_path / "bundle", platforms=["windows-x86_64"])
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == []


def test_a_bundle_replaces_nothing(line, tmp_path) -> None:
    """Something at its place is an error, and stays."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "file").touch()
    with pytest.raises(ModelExists):
        bundle_environment(line, tmp_path / "bundle")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["file"]


def test_foreign_packages_are_fetched_without_trust(line, tmp_path) -> None:
    """To download a wheel runs nothing; a commit would run, and is refused."""
    rewrite(line, "requirements.txt", "six\n")
    made = bundle_environment(line, tmp_path / "bundle")
    assert "six" in names(made.directory)
    with pytest.raises(TrustRequired):
        create_environment(line, bundle=made.directory)
    rewrite(line, "requirements.txt", f"six @ git+https://git.example/six@{'a' * 40}\n")
    with pytest.raises(TrustRequired, match="commit"):
        bundle_environment(line, tmp_path / "other")


def test_a_bundle_that_was_changed_is_not_installed(line, bundle, tmp_path) -> None:
    """A wheel whose bytes are others than its lock says is refused by the installer; no lock, no bundle."""
    bundle = shutil.copytree(bundle, tmp_path / "bundle")
    (wheel,) = (bundle / "wheels").glob("pluggy-*")
    change(wheel)
    with pytest.raises(EnvironmentFailed, match=r"(?i)hash"):
        create_environment(line, bundle=bundle)
    with pytest.raises(InvalidOption, match="is no bundle"):
        create_environment(line, bundle=bundle / "wheels")


def test_options_that_mean_nothing_beside_a_bundle_are_refused(line, bundle) -> None:
    """A bundle says itself what is installed, and has it."""
    for options in ({"index_url": "https://index.example"}, {"use_recorded_index": True}, {"locked": False}):
        with pytest.raises(InvalidOption, match=next(iter(options))):
            create_environment(line, bundle=bundle, **options)


def test_trust_in_a_bundle_is_true_or_false(line, tmp_path) -> None:
    """Text from a settings file is no permission to run what a commit holds."""
    rewrite(line, "requirements.txt", f"six @ git+https://git.example/six@{'a' * 40}\n")
    with pytest.raises(InvalidOption, match="trust"):
        bundle_environment(line, tmp_path / "bundle", trust="no")  # type: ignore[arg-type]


def test_a_lock_is_held_against_the_python_of_the_bundle(line, tmp_path, monkeypatch) -> None:
    """For another machine that need not be the Python that is here."""
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYENV_ROOT": ""}.items():
        monkeypatch.setenv(name, value)  # so that looking for others takes no time
    rewrite(line, "pylock.toml", f'lock-version = "1.0"\nrequires-python = "=={HERE}.*"\npackages = []')
    with pytest.raises(InvalidOption, match=r"and this would be 3\.14"):
        bundle_environment(line, tmp_path / "bundle", platforms=["linux-aarch64"], python="3.14")
    with pytest.raises(PythonNotFound, match="Palate runs on Python"):
        bundle_environment(line, tmp_path / "bundle", platforms=["linux-aarch64"], python="3.8")


# -- names of machines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLATFORMS)
def test_each_short_name_means_a_machine(name) -> None:
    """Markers can be judged for it, and wheels have tags for it."""
    (target,) = find_targets([name])
    assert target.short_name == name
    assert target.tags
    assert target.markers("3.11.7")["python_version"] == "3.11"


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "linux_aarch64"),
        ("manylinux_2_34_x86_64", "manylinux_2_34_x86_64", "linux_x86_64"),
        ("linux/arm64", "manylinux_2_28_aarch64", "linux_aarch64"),
        ("musllinux_1_1_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64"),
        ("macosx_14_0_arm64", "macosx_14_0_arm64", "macosx_11_0_universal2"),
        ("win_amd64", "win_amd64", "win_amd64"),
    ],
)
def test_a_tag_means_a_machine_and_what_is_older(name, first, last) -> None:
    """The newest wheels come first, and those for older systems do as well."""
    (target,) = find_targets([name])
    assert (target.tags[0], target.tags[-1]) == (first, last)


@pytest.mark.parametrize(
    "name",
    "beos-x86_64|linux|--dest=/etc|manylinux_2_17||linux-x86_64; id|win_arm64|win_foo|linux_foo|macosx_11_0_universal2"
    "|manylinux2014_mips".split("|"),
)
def test_a_name_that_means_nothing_is_refused(name) -> None:
    """The names that there are stand in the message."""
    with pytest.raises(InvalidOption, match="linux-aarch64"):
        find_targets([name])
    with pytest.raises(InvalidOption, match="one text"):
        find_targets("linux-aarch64")


# -- wheels of what is installed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["palate", "palate-toy", "six", "numpy"])
def test_what_is_installed_is_packed_whole(name) -> None:
    """Installed in place or not: each module is there, the list of files is right, the same bytes every time."""
    import base64
    import csv
    import io

    home = distribution(name)
    wheel = pack_distribution(home)
    assert wheel.content == pack_distribution(home).content
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        files = archive.namelist()
        (record,) = [file for file in files if file.endswith(".dist-info/RECORD")]
        rows = {row[0]: row[1] for row in csv.reader(io.StringIO(archive.read(record).decode()))}
        assert sorted(rows) == sorted(files)
        for file in files:
            if file != record:
                digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(file)).digest()).rstrip(b"=").decode()
                assert rows[file] == f"sha256={digest}"
    assert not any(file.endswith(".pyc") or ".." in file or "direct_url" in file for file in files)
    module = {"palate": "palate/environments.py", "palate-toy": "palate_toy/__init__.py", "six": "six.py"}
    assert module.get(name, "numpy/__init__.py") in files
    assert wheel.file_name.startswith(f"{name.replace('-', '_')}-{home.version}-")


def test_a_bundle_of_another_model_is_refused(line, bundle) -> None:
    """What the model requires has to be in it, in a version that the model admits."""
    for requirement in ("numpy==1.0", "not-in-it"):
        rewrite(line, "requirements.txt", requirement)
        with pytest.raises(InvalidOption, match=f"the model requires {requirement}"):
            create_environment(line, bundle=bundle, trust=True)
