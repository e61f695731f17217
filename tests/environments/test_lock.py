"""pylock.toml: what is written, what is read, and what is refused (R26, R27)."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock

from palate._environment.lock import GitSource, Lock, LockedFile, LockedPackage, git_lines, hashed_lines
from palate._environment.pylock import read_pylock, write_pylock
from palate.errors import InvalidModelFile

SIX = LockedPackage(
    name="six",
    version="1.17.0",
    files=(
        LockedFile(name="six-1.17.0-py2.py3-none-any.whl", sha256="a" * 64, size=11050),
        LockedFile(name="six-1.17.0.tar.gz", sha256="b" * 64),
    ),
    marker="python_version >= '3'",
)
COMMIT = LockedPackage(
    name="tool",
    version=None,
    git=GitSource(url="https://git.example/team/tool", commit="c" * 40, subdirectory="python/tool"),
)


def toml(**package: Any) -> bytes:
    """Return a lock of one package, in which each value is TOML."""
    entries = {"name": '"six"', "version": '"1.17.0"', **package}
    lines = [f"{key.replace('_', '-')} = {value}" for key, value in entries.items() if value]
    return "\n".join(['lock-version = "1.0"', "[[packages]]", *lines]).encode()


def wheel(name: str = "six-1.17.0-py3-none-any.whl", **entries: str) -> str:
    """Return a list of one wheel."""
    hashes = entries.pop("hashes", f'{{sha256 = "{"a" * 64}"}}')
    more = "".join(f", {key} = {value}" for key, value in entries.items())
    return f'[{{name = "{name}", hashes = {hashes}{more}}}]'


SDIST = wheel("six-1.17.0.tar.gz").strip("[]")
VCS = f'{{type = "git", url = "https://git.example/team/six", commit-id = "{"c" * 40}"}}'


def problems(content: bytes) -> str:
    """Return why a lock is refused."""
    with pytest.raises(InvalidModelFile) as caught:
        read_pylock(content)
    return str(caught.value)


def test_what_is_written_is_read_back_and_is_pep_751() -> None:
    """The text means the same to Palate and to `packaging`, and names no host but a commit's."""
    lock = Lock(packages=(COMMIT, SIX), requires_python=">=3.11")
    text = write_pylock(lock)
    assert read_pylock(text.encode()) == Lock(packages=(SIX, COMMIT), requires_python=">=3.11")
    judged = Pylock.from_dict(tomllib.loads(text))
    assert [package.name for package in judged.packages] == ["six", "tool"]
    assert text.count("://") == 1
    assert write_pylock(Lock(packages=(SIX, COMMIT), requires_python=">=3.11")) == text


def test_an_empty_lock_is_one() -> None:
    """A model that needs no package has a lock of none."""
    text = write_pylock(Lock(packages=()))
    Pylock.from_dict(tomllib.loads(text))
    assert read_pylock(text.encode()) == Lock(packages=())


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_quoted(text: str) -> None:
    """A JSON string is a TOML string, control characters and DEL included."""
    lock = Lock(packages=(LockedPackage(name="six", version="1", git=SIX.git, marker=text or "x"),))
    assert tomllib.loads(write_pylock(lock))["packages"][0]["marker"] == (text or "x")


def test_lines_for_installers() -> None:
    """Files become lines with hashes, commits lines with the commit."""
    lock = Lock(packages=(COMMIT, SIX))
    assert hashed_lines(lock) == [
        f"six==1.17.0 ; python_version >= '3' --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}"
    ]
    assert git_lines(lock) == [f"tool @ git+https://git.example/team/tool@{'c' * 40}#subdirectory=python/tool"]


def test_addresses_are_passed_over() -> None:
    """A project's lock names where its files were; what is kept is what they are called and their hash."""
    url = '"https://files.example/a/b/six-1.17.0-py3-none-any.whl"'
    content = toml(wheels=wheel(url=url), index='"https://index.example/simple"')
    lock = read_pylock(content)
    assert lock.packages[0].files[0].name == "six-1.17.0-py3-none-any.whl"
    assert "example" not in write_pylock(lock)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (toml(), "has no file with a SHA-256"),  # R26
        (toml(wheels=wheel(hashes="{}")), "has to have a SHA-256"),  # R26
        (toml(wheels=wheel(hashes='{md5 = "aa"}')), "has to have a SHA-256"),  # R26
        (toml(wheels=wheel(hashes='{sha256 = "AA"}')), "has to have a SHA-256"),
        (toml(wheels=wheel(path='"../../six-1.17.0-py3-none-any.whl"')), "is not 'wheels/"),  # R27
        (toml(wheels=wheel(path='"/etc/six-1.17.0-py3-none-any.whl"')), "is not 'wheels/"),  # R27
        (toml(wheels=wheel("../six-1.17.0-py3-none-any.whl")), "is not the name of a wheel"),  # R27
        (toml(wheels=wheel("-r.whl")), "is not the name of a wheel"),
        (toml(wheels=wheel("evil-1.17.0-py3-none-any.whl")), "is a wheel of another package"),
        (toml(wheels=wheel(size="-1")), "is not a number of bytes"),
        (toml(name='"six --index-url=x"', wheels=wheel()), "another package"),
        (toml(version='"1.0 --hash=sha256:aa"', wheels=wheel()), "is no version"),
        (toml(name='"six #x"', sdist=SDIST), "packages.0.name: 'six #x' is no name"),
        (toml(name='" six"', sdist=SDIST), "is no name of a package"),
        (toml(name='"six\\n"', sdist=SDIST), "is no name of a package"),
        (toml(name='"six[all]"', version=None, vcs=VCS), "is no name of a package"),
        (toml(name='"-e"', version=None, vcs=VCS), "is no name of a package"),
        (toml(name='"s\u0131x"', wheels=wheel()), "is no name of a package"),
        (toml(version='"1.0 #"', wheels=wheel()), "packages.0.version: '1.0 #' is no version"),
        (toml(version='"1.0 "', wheels=wheel()), "is no version"),
        (toml(version='"1.0\\n-e ."', vcs=VCS), "is no version"),
        (toml(version='"1.*"', wheels=wheel()), "is no version"),
        (toml(version='"1.0,!=2"', wheels=wheel()), "is no version"),
        (toml(version='"=1.0"', wheels=wheel()), "is no version"),
        (toml(version="\"1.0;python_version<'3'\"", wheels=wheel()), "is no version"),
        (toml(version='"2004d"', vcs=VCS), "is no version"),
        (toml(version=f'"{"9" * 5000}"', vcs=VCS), "is no version"),
        (toml(marker="\"python_version > '3' #\"", wheels=wheel()), "a part of it is a comment"),
        (toml(version=None, vcs=VCS.replace("}", ', subdirectory = "a #"}')), "a part of it is a comment"),
        (toml(marker="\"python_version > '3' --pre\"", wheels=wheel()), "was refused"),
        (toml(marker="\"__import__('os')\"", wheels=wheel()), "was refused"),
        (toml(marker="3", wheels=wheel()), "is int, not text"),
        (toml(archive='{url = "https://x.example/a.zip"}'), "whatever it is"),
        (toml(directory='{path = "/etc"}'), "whatever it is"),
        (toml(vcs='{type = "git", url = "https://git.example/a/b", commit-id = "main"}'), "full commit hash"),
        (toml(vcs='{type = "git", url = "file:///etc", commit-id = "' + "a" * 40 + '"}'), "git+https"),
        (toml(vcs='{type = "hg", url = "https://x.example/a", commit-id = "a"}'), "git repository"),
        (toml(wheels='"x"'), "list of tables"),
        (b'lock-version = "2.0"\npackages = []', "reads 1.x"),
        (b"packages = 3", "list of tables"),
        (b'lock-version = "1.0"\nrequires-python = "soon"\npackages = []', "range of versions"),
        (f'lock-version = "1.0"\nrequires-python = "=={"9" * 5000}"\npackages = []'.encode(), "range of versions"),
        (f'lock-version = "1.0"\nrequires-python = "{">=3," * 10_000}"\npackages = []'.encode(), "range of versions"),
        (b"\xff", "is not TOML"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a" + b".a" * 1_000_000 + b" = 1", "a key of more than"),
        (b"#" * (5 << 20), "larger than"),
    ],
)
def test_hostile_locks_are_refused(content: bytes, told: str) -> None:
    """What is not a plain lock of hashed files is refused, with the reason."""
    assert told in problems(content)


def test_every_problem_is_told() -> None:
    """All packages are looked at, not only the first."""
    content = toml() + b'\n[[packages]]\nname = "b"\n[[packages]]\nname = 3'
    text = problems(content)
    assert "packages.0" in text
    assert "packages.1" in text
    assert "packages.2.name" in text
