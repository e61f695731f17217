"""A folder of wheels made of what is installed here, so that tests build environments without a network."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest

from palate._rebuilding.repacking import pack_distribution

__all__ = ["make_wheelhouse", "use_only"]

PACKAGES = "click cloudpickle idna iniconfig numpy packaging pluggy pyyaml six"


def make_wheelhouse(folder: Path) -> Path:
    """Pack what Palate needs, and some small packages, into *folder*."""
    for name in PACKAGES.split():
        wheel = pack_distribution(distribution(name))
        (folder / wheel.file_name).write_bytes(wheel.content)
    return folder


def use_only(wheelhouse: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let uv and pip find packages there and nowhere else, and let Palate keep its environments in *folder*."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CONSTRAINT", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    (folder / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(wheelhouse)!r}]\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(folder / "uv.toml"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_COMPILE", "1")  # of which numpy has more than the tests use
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    # uv's own would keep the content of these wheels for ever, under the name of a folder that is gone.
    monkeypatch.setenv("UV_CACHE_DIR", str(wheelhouse.parent / "uv-cache"))
    monkeypatch.setenv("PALATE_CACHE", str(folder / "cache"))
