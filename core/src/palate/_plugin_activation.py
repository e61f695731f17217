"""From a candidate to a plugin that can be called: imported, checked, and whatever is wrong with it named."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from palate._plugin_contract import UPGRADE
from palate._plugin_failures import describe_failure, is_meant_for_host
from palate._plugin_sources import Candidate
from palate.errors import FlavorBroken

__all__ = ["activate", "broken_plugin"]

_Built = TypeVar("_Built")


def broken_plugin(candidate: Candidate, reason: str) -> FlavorBroken:
    """Return the error that says why a plugin cannot be used."""
    return FlavorBroken(
        candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        reason=reason,
        hint=UPGRADE if reason.endswith(UPGRADE) else "",
    )


def activate(candidate: Candidate, check: Callable[[object], str | None], build: Callable[[object], _Built]) -> _Built:
    """Import a plugin, check it, and build from it what it is called through.

    Raises:
        FlavorBroken: whatever is wrong with the plugin.
    """
    try:
        plugin = candidate.load()
        problem = check(plugin)
        if problem is None:
            return build(plugin)
    except BaseException as exc:
        if is_meant_for_host(exc):
            raise
        if isinstance(exc, FlavorBroken) and exc.flavor == candidate.name:  # it asked for itself
            raise broken_plugin(candidate, exc.reason) from exc
        raise broken_plugin(candidate, describe_failure(exc, candidate.package)) from exc
    raise broken_plugin(candidate, problem)
