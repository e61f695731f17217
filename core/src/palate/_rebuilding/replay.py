"""Opening a model in its own environment, and replaying its golden predictions there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from palate._opened import OpenedModel
from palate._opening import code_reasons
from palate._rebuilding.commands import run_tool
from palate._registry import default_registry
from palate.errors import (
    EnvironmentFailed,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    PredictionChanged,
)

__all__ = ["PredictionState", "Replay", "replay_in"]

PredictionState: TypeAlias = Literal["ok", "skipped"]

_STEP = "open the model in its environment"
_HINT = (
    "it may need packages that its requirements do not name: add them by extra_requirements= (CLI: --with), or build "
    "with replay=False (CLI: --no-replay) and look"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Whether the model predicts there what it predicted when it was saved, and the reason if nobody could tell."""

    state: PredictionState
    detail: str


def replay_in(python: Path, opened: OpenedModel, *, trust: bool, folder: Path) -> Replay:
    """Let the Palate of another environment verify the model.

    Raises:
        PredictionChanged: it predicts something else there.
        EnvironmentFailed: it cannot be opened there.
    """
    if not trust and _needs_trust(python, opened, folder):
        return Replay(state="skipped", detail="to open it runs code of its own, which needs trust")
    options = ["--trust"] if trust else []
    printed = _palate(python, "verify", opened, *options, folder=folder)
    checks = {check["name"]: check for check in printed["checks"]}
    failed = next((check for check in checks.values() if check["status"] == "failed"), None)
    if failed is None:
        found = checks["predictions"]
        return Replay(state="ok" if found["status"] == "ok" else "skipped", detail=str(found["detail"]))
    if failed["differences"]:
        raise PredictionChanged(opened.uri, differences=failed["differences"])
    raise EnvironmentFailed(_STEP, output=[str(failed["detail"])], hint=_HINT)


def _needs_trust(python: Path, opened: OpenedModel, folder: Path) -> bool:
    try:
        return bool(code_reasons(opened, default_registry().get(opened.flavor_name())))
    except (FlavorNotFound, FlavorBlocked, FlavorBroken, FlavorConflict):
        # The plugin is in that environment only.
        return _palate(python, "inspect", opened, folder=folder).get("trust_needed") is not False


def _palate(python: Path, command: str, opened: OpenedModel, *options: str, folder: Path) -> dict[str, Any]:
    printed = run_tool(
        [python, "-I", "-m", "palate", command, "--json", *options, "--", opened.path],
        step=_STEP,
        hint=_HINT,
        folder=folder,
        accepted=(0, 1),
    )
    try:
        found: dict[str, Any] = json.loads(printed)
    except ValueError as exc:
        raise EnvironmentFailed(_STEP, output=["its Palate gave no answer"], hint=_HINT) from exc
    return found
