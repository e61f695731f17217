"""What to say of a model that no flavor owns: which plugin is missing, broken or not allowed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from palate._allow_list import ALLOWED_VARIABLE
from palate._late import LateModule
from palate._plugin_sources import FILES_VARIABLE, Candidate
from palate.errors import FlavorBroken, UnsupportedModel

if TYPE_CHECKING:
    from palate._environment import requirements
else:
    requirements = LateModule("palate._environment.requirements")

__all__ = ["KNOWN_DISTRIBUTIONS", "KNOWN_PACKAGES", "explain_unowned"]

KNOWN_DISTRIBUTIONS = {
    "sklearn": "palate-sklearn",
    "xgboost": "palate-xgboost",
    "pytorch": "palate-torch",
    "tensorflow": "palate-tf",
    "keras": "palate-tf",
}
KNOWN_PACKAGES = {**KNOWN_DISTRIBUTIONS, "torch": "palate-torch"}


def explain_unowned(
    model: object, broken: Mapping[str, FlavorBroken], blocked: Sequence[Candidate]
) -> UnsupportedModel:
    """Return the error for *model*, given the plugins that could not be activated and those that may not be."""
    cls = type(model)
    package = cls.__module__.partition(".")[0]
    if isinstance(model, type):
        return UnsupportedModel(
            "class",
            reason=f"no installed flavor owns classes of '{package}'; '{model.__qualname__}' is a class",
            hint="save an instance of it",
        )
    packages = [c.__module__.partition(".")[0] for c in cls.__mro__]
    reason = f"no installed flavor owns classes of '{package}'"
    if broken:
        reason += "; some plugins are broken: " + "; ".join(f"{key}: {b.reason}" for key, b in broken.items())
    able = [candidate for candidate in blocked if _may_own(candidate, packages)]
    if able:
        names = " and ".join(f"'{candidate.name}' of {candidate.distribution}" for candidate in able)
        reason += f"; {ALLOWED_VARIABLE} does not allow the flavor {names}, which may own it"
    hint = f"add {able[0].distribution} to {ALLOWED_VARIABLE}" if able else _hint(packages)
    return UnsupportedModel(f"{cls.__module__}.{cls.__qualname__}", reason=reason, hint=hint)


def _may_own(candidate: Candidate, packages: Collection[str]) -> bool:
    """Judge by names alone: a plugin that may not be imported cannot be asked what it owns."""
    distributions = {requirements.normalise_name(KNOWN_PACKAGES.get(name, f"palate-{name}")) for name in packages}
    return candidate.name in packages or requirements.normalise_name(candidate.distribution) in distributions


def _hint(packages: Sequence[str]) -> str:
    wrap = "a function or a palate.PythonModel subclass"
    distribution = next((KNOWN_PACKAGES[package] for package in packages if package in KNOWN_PACKAGES), None)
    if distribution:
        return f"pip install {distribution}"
    if packages[0] in sys.stdlib_module_names:  # builtins among them
        return f"save a framework's model, {wrap}, or name the file of its flavor in {FILES_VARIABLE}"
    return f"install the plugin for '{packages[0]}', or name its file in {FILES_VARIABLE}, or wrap it in {wrap}"
