"""The conformance kit: what every flavor promises, as tests that a flavor's author subclasses.

Needs pytest, which ``palate[testing]`` brings; pytest loads ``palate.testing.pytest_plugin`` by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from palate.errors import DependencyMissing

if TYPE_CHECKING:
    from palate.testing._checking import check_flavor
    from palate.testing._contract import FlavorContract
    from palate.testing._report import (
        CheckResult,
        Conformance,
        check_target,
        render_json,
        render_markdown,
        write_report,
    )

__all__ = [
    "CheckResult",
    "Conformance",
    "FlavorContract",
    "check_flavor",
    "check_target",
    "render_json",
    "render_markdown",
    "write_report",
]

_HOMES = {
    "CheckResult": "palate.testing._report",
    "Conformance": "palate.testing._report",
    "FlavorContract": "palate.testing._contract",
    "check_flavor": "palate.testing._checking",
    "check_target": "palate.testing._report",
    "render_json": "palate.testing._report",
    "render_markdown": "palate.testing._report",
    "write_report": "palate.testing._report",
}


def __getattr__(name: str) -> object:
    # Late, so that pytest, which imports this package wherever Palate is installed, does not load the checks for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'palate.testing' has no attribute {name!r}")
    try:
        value: object = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as exc:
        if exc.name != "pytest":
            raise
        raise DependencyMissing("pytest", needed_for="The conformance kit", install="'palate[testing]'") from exc
    return value
