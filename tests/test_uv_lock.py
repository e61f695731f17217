"""The part of a uv project's lock that some requirements lead to."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from palate._environment.lock import GitSource, Lock
from palate._environment.pylock import read_pylock, write_pylock
from palate._environment.uv_lock import UnusableLock, read_uv_lock

INDEX = {"registry": "https://packages.example.com/simple"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLD, NEW = "python_full_version < '3.12'", "python_full_version >= '3.12'"


def package(name: str, version: str = "1.0", *needs: str | Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    """Return a package as uv.lock has it, with a wheel and an sdist."""
    files = {kind: f"{name}-{version}{end}" for kind, end in (("sdist", ".tar.gz"), ("wheel", "-py3-none-any.whl"))}
    tables = {
        kind: {
            "url": f"https://packages.example.com/files/ab/{file}",
            "hash": f"sha256:{hashlib.sha256(file.encode()).hexdigest()}",
            "size": len(file),
        }
        for kind, file in files.items()
    }
    return {
        "name": name,
        "version": version,
        "source": INDEX,
        "dependencies": [{"name": need} if isinstance(need, str) else need for need in needs],
        "sdist": tables["sdist"],
        "wheels": [tables["wheel"]],
        **keys,
    }


def read(lock: list[dict[str, Any]], *requirements: str, **keys: Any) -> Lock:
    """Read a lock of these packages, and prove that what comes out can be written and read."""
    found = read_uv_lock({"version": 1, "package": lock, **keys}, map(Requirement, requirements))
    assert read_pylock(write_pylock(found).encode()).packages
    return found


def taken(lock: list[dict[str, Any]], *requirements: str, **keys: Any) -> dict[str, str | None]:
    """Return the packages that are taken, with their markers."""
    return {f"{p.name} {p.version}": p.marker for p in read(lock, *requirements, **keys).packages}


def test_closure_is_taken() -> None:
    """What is required, directly or not, is taken with the hashes of all its files, and nothing else is."""
    lock = [package("top", "2.0", "middle"), package("middle", "1.0", "low"), package("low"), package("stranger")]
    found = read(lock, "Top>=1", **{"requires-python": ">=3.11"})
    assert [p.name for p in found.packages] == ["top", "middle", "low"]
    assert found.requires_python == ">=3.11"
    [sdist, wheel] = found.packages[0].files
    assert (sdist.name, wheel.name) == ("top-2.0.tar.gz", "top-2.0-py3-none-any.whl")
    assert wheel.sha256 == hashlib.sha256(wheel.name.encode()).hexdigest()
    assert "example.com" not in write_pylock(found)


def test_circles_end() -> None:
    """Packages may require each other."""
    assert taken([package("a", "1", "b"), package("b", "1", "a")], "a") == {"a 1": None, "b 1": None}


def test_extras_are_followed() -> None:
    """What an extra brings is taken where it is asked for, by a requirement or by another package."""
    lock = [
        package("web", "1", {"name": "client", "extra": ["socks"]}),
        package("client", "1", **{"optional-dependencies": {"socks": [{"name": "pysocks"}], "h2": [{"name": "h2"}]}}),
        package("pysocks"),
        package("h2"),
    ]
    assert set(taken(lock, "web")) == {"web 1", "client 1", "pysocks 1.0"}
    assert set(taken(lock, "client[H2]")) == {"client 1", "h2 1.0"}
    assert set(taken(lock, "client")) == {"client 1"}


def test_markers_are_joined() -> None:
    """A package holds where one way to it holds, and along a way all markers have to."""
    windows = {"name": "colorama", "marker": "sys_platform == 'win32'"}
    lock = [
        package("top", "1", windows, {"name": "old", "marker": OLD}),
        package("old", "1", windows),
        package("colorama"),
    ]
    assert taken(lock, "top")["colorama 1.0"] == 'sys_platform == "win32"'
    assert taken(lock, "top")["old 1"] == 'python_full_version < "3.12"'
    only_old = taken(lock, "old ; python_full_version < '3.12'")
    assert only_old["colorama 1.0"] == 'python_full_version < "3.12" and sys_platform == "win32"'
    both = taken([*lock, package("other", "1", "colorama")], "top", "other")
    assert both["colorama 1.0"] is None


def test_versions_for_parts_of_the_platforms() -> None:
    """Of a package in two versions each is taken for its platforms, and what both bring is taken everywhere."""
    lock = [
        package("numpy", "1.26", "shared", **{"resolution-markers": [OLD]}),
        package("numpy", "2.5", "shared", **{"resolution-markers": [NEW]}),
        package("shared"),
    ]
    assert taken(lock, "numpy", **{"resolution-markers": [OLD, NEW]}) == {
        "numpy 1.26": 'python_full_version < "3.12"',
        "numpy 2.5": 'python_full_version >= "3.12"',
        "shared 1.0": None,
    }


def test_dependency_says_which_version() -> None:
    """Where a dependency names one of several versions, that one is taken."""
    lock = [
        package("top", "1", {"name": "numpy", "version": "2.5", "source": INDEX}),
        package("numpy", "1.26", **{"resolution-markers": [OLD]}),
        package("numpy", "2.5", **{"resolution-markers": [NEW]}),
    ]
    assert taken(lock, "top") == {"top 1": None, "numpy 2.5": None}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"https://example.com/lib?rev=main#{COMMIT}", GitSource(url="https://example.com/lib", commit=COMMIT)),
        (
            f"ssh://git@example.com/lib.git?subdirectory=py%2Flib&rev=v1#{COMMIT}",
            GitSource(url="ssh://git@example.com/lib.git", commit=COMMIT, subdirectory="py/lib"),
        ),
        (f"https://user:hunter2@example.com/lib#{COMMIT}", GitSource(url="https://example.com/lib", commit=COMMIT)),
    ],
)
def test_commits_are_taken(address: str, expected: GitSource) -> None:
    """A package from git is named by its commit, without anybody's credentials."""
    entry = {"name": "lib", "version": "1", "source": {"git": address}}
    assert read([entry], "lib").packages[0].git == expected


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        ([package("other")], "lib is not in it"),
        ([package("lib", "1", "gone")], "gone is required in it and not in it"),
        ([package("lib", source={"editable": "."})], "comes from a source that only this machine has.*editable"),
        ([package("lib", source={"virtual": "."})], "virtual"),
        ([package("lib", source={"directory": "../lib"})], "directory"),
        ([package("lib", source={"url": "https://example.com/lib.whl"})], "url"),
        ([package("lib", sdist={"url": "x/lib-1.tar.gz"}, wheels=[])], "no file with a SHA-256"),
        ([package("lib", sdist={"url": "x", "hash": "md5:0"}, wheels=[])], "no file with a SHA-256"),
        ([package("lib", "1", {"name": "dep", "marker": "extra == 'cpu'"}), package("dep")], "extras of the project"),
        ([package("lib", "1", {"name": "dep", "marker": "os.system('id')"}), package("dep")], "malformed marker"),
        ([{"name": "lib"}], "malformed"),
        ([{"name": ["lib"], "source": INDEX}], "malformed"),
        ([package("lib", wheels=[3])], "malformed"),
        (["lib"], "malformed"),
        (3, "malformed"),
    ],
)
def test_lock_that_does_not_do(lock: Any, reason: str) -> None:
    """A lock that is malformed, or that other machines could not install from, is told why."""
    with pytest.raises(UnusableLock, match=reason):
        read_uv_lock({"version": 1, "package": lock}, [Requirement("lib")])


def test_other_version_of_the_format() -> None:
    """What a later uv writes may mean something else."""
    with pytest.raises(UnusableLock, match="version is 2"):
        read_uv_lock({"version": 2, "package": [package("lib")]}, [Requirement("lib")])


def test_conditions_without_end() -> None:
    """A lock made to have a million ways to one package is refused, and quickly."""
    chain = [
        package(f"p{n}", "1", *({"name": f"p{n + 1}", "marker": f"os_name == '{n}{side}'"} for side in "ab"))
        for n in range(30)
    ]
    with pytest.raises(UnusableLock, match="too many conditions"):
        read_uv_lock({"version": 1, "package": [*chain, package("p30")]}, [Requirement("p0")])


WHOLE = [
    package("top", "2.0", {"name": "low", "extra": ["x"], "marker": OLD, "version": "1.0", "source": INDEX}),
    package("low", "1.0", **{"optional-dependencies": {"x": [{"name": "git"}]}, "resolution-markers": [OLD, NEW]}),
    {"name": "git", "version": "1", "source": {"git": f"https://example.com/git?subdirectory=a#{COMMIT}"}},
]
JUNK = st.sampled_from(
    [None, 3, -1, 1.5, True, "", "x", "\x00", "http://[", [], [3], {}, {"a": 1}, [[]], "extra == 'x'"]
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in a document with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@given(st.data())
@settings(max_examples=300)
def test_any_change_is_read_or_told(data: st.DataObject) -> None:
    """Whatever stands where something else should, the lock is read or refused, and what is read can be written."""
    document = copy.deepcopy({"version": 1, "requires-python": ">=3.11", "package": WHOLE})
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(document))))
        container[key] = copy.deepcopy(data.draw(JUNK))
    with suppress(UnusableLock):
        assert write_pylock(read_uv_lock(document, [Requirement("top")]))
