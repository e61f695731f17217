"""What installed distributions lead to, by their own metadata."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed_site import Site
from packaging.requirements import Requirement

from palate._environment.dependencies import InstalledGraph, find_distribution, metadata_field, requires_lines


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty folder of installed distributions."""
    (tmp_path / "site-packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    return Site(tmp_path / "site-packages")


def closure(*requirements: str) -> list[str]:
    """Return the names that requirements lead to."""
    return sorted(InstalledGraph().closure(map(Requirement, requirements)))


def test_closure(site: Site) -> None:
    """What is required by what is required counts, a circle ends, and what is not installed is passed over."""
    site.install("Top.Pkg", "1", {}, requires=["middle_pkg>=1", "nowhere"])
    site.install("middle-pkg", "1", {}, requires=["low (>=1)"])
    site.install("low", "1", {}, requires=["top-pkg"])
    assert closure("top_pkg") == ["low", "middle-pkg", "top-pkg"]
    assert closure("nowhere") == []


def test_metadata_from_before_utf_8(site: Site) -> None:
    """Letters of another encoding are replaced, and what else it says is read."""
    info = site.install("latin", "1", {}, requires=["low"])
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_bytes(text.replace("Version: 1", "Version: 1\nAuthor: M\xfcller").encode("latin-1"))
    site.install("low", "1", {})
    assert closure("latin") == ["latin", "low"]


def test_extras(site: Site) -> None:
    """An extra's requirements count where it is asked for, in whatever spelling, also once the rest is known."""
    site.install("client", "1", {}, requires=["plain", "socks; extra == 'my-extra'", "other; extra == 'x'"])
    site.install("user", "1", {}, requires=["client[My_Extra]"])
    for name in ("plain", "socks", "other"):
        site.install(name, "1", {})
    assert closure("client") == ["client", "plain"]
    assert closure("client", "user") == ["client", "plain", "socks", "user"]
    assert closure("client[x]") == ["client", "other", "plain"]


def test_markers(site: Site) -> None:
    """What another platform or Python needs is not followed here; a line that nobody could read is passed over."""
    lines = ["low; python_version > '3'", "high; python_version < '3'", "odd; os_name ~= 'posix'", "high >>> 1"]
    site.install("top", "1", {}, requires=lines)
    for name in ("low", "high", "odd"):
        site.install(name, "1", {})
    assert closure("top", "high; sys_platform == 'nowhere'") == ["low", "top"]


def test_egg(site: Site) -> None:
    """Old installs say what they require in another file."""
    info = site.folder / "old.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 1.0\r\nName: old\r\nVersion: 1\r\n\r\nName: other\r\n")
    (info / "requires.txt").write_text("low>=1\n\n[x]\nhigh\n")
    distribution = find_distribution("old")
    assert distribution is not None
    assert metadata_field(distribution, "Name") == "old"
    assert requires_lines(distribution)[0] == "low>=1"


def test_description_is_no_header(site: Site) -> None:
    """What a readme says of requirements is no requirement."""
    info = site.install("top", "1", {}, requires=["low"])
    (info / "METADATA").write_text((info / "METADATA").read_text() + "\nRequires-Dist: high\nVersion: 2\n")
    distribution = find_distribution("top")
    assert distribution is not None
    assert requires_lines(distribution) == ["low"]
    assert metadata_field(distribution, "Version") == "1"


def test_remains_of_an_uninstall(site: Site) -> None:
    """A folder without a name and version in it is no distribution."""
    (site.folder / "ruin-1.dist-info").mkdir()
    assert find_distribution("ruin") is None
    assert find_distribution("") is None
