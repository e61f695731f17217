"""Places and models of the tests of environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from environment_models import save_line
from wheelhouse import make_wheelhouse, use_only


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of what Palate needs, and of some small packages."""
    return make_wheelhouse(tmp_path_factory.mktemp("wheelhouse"))


@pytest.fixture
def cache(wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test alone; packages come from the wheelhouse."""
    use_only(wheelhouse, tmp_path, monkeypatch)
    return tmp_path / "cache" / "environments"


@pytest.fixture
def line(tmp_path: Path, toy_flavor: str) -> Path:
    """A model in a safe format, with golden predictions, which needs no more than its flavor."""
    return save_line(tmp_path / "line", toy_flavor)
