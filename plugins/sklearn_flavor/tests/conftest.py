"""What the tests of the scikit-learn flavor share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

import sklearn_flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions, SaveOptions


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., tuple[Path, dict[str, Any]]]:
    """Save a model with the hooks; return its directory and section."""

    def saver(model: object, format: str = "skops", **extra: object) -> tuple[Path, dict[str, Any]]:
        options = SaveOptions(format=format, extra=extra)
        return tmp_path, sklearn_flavor.save_model(model=model, path=tmp_path, options=options)

    return saver


@pytest.fixture
def load() -> Callable[..., Any]:
    """Load a directory with the hooks."""

    def loader(path: Path, section: dict[str, Any], *, trust: bool = False, **extra: object) -> Any:
        code = ModelCode(path / "code" if (path / "code").is_dir() else None)
        return sklearn_flavor.load_model(
            path=path, config=section, options=LoadOptions(trust=trust, code=code, extra=extra)
        )

    return loader


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let native code run in one thread: for tables of 50 rows it would mostly wait for the others."""
    with threadpool_limits(1):
        yield
