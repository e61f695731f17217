"""Says at save time what in a model is in the way of the safe format, where it hangs, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from palate.errors import UnsupportedModel
from sklearn_flavor._graph import Place, walk

__all__ = ["explain_dump_error", "explain_unknown", "missing_flavor"]

# Other frameworks' estimators that may be steps of a pipeline, and what says which files of them are safe.
_CONTRIBUTORS = {"xgboost": "palate-xgboost"}
_OTHERWISE = "format='cloudpickle' holds it, and loads with trust=True"


def explain_unknown(model: object, unknown: Sequence[str]) -> UnsupportedModel:
    """Return the error for a model that names what the reader's list does not allow."""
    places = _places(model, set(unknown))
    found = [_describe(place, name) for name, place in places.items()]
    found.extend(name for name in unknown if name not in places)
    lambdas = any("<lambda>" in name for name in unknown)
    search = any(name.startswith("scipy.stats.") for name in unknown)
    if lambdas:
        way_on = f"replace it by a numpy function such as numpy.log1p; or else {_OTHERWISE}"
    elif any(name.startswith("__main__.") for name in unknown):
        way_on = f"move what belongs to the main script into a module that readers have; or else {_OTHERWISE}"
    elif distribution := missing_flavor(unknown):
        way_on = f"pip install {distribution}, here and where it is loaded; or else {_OTHERWISE}"
    elif search:
        way_on = f"save the search's best_estimator_, which predicts the same; or else {_OTHERWISE}"
    else:
        names = ", ".join(f"'{name}'" for name in unknown[:3])
        way_on = (
            f"if readers have its package installed, pass allow=[{names}] here and when loading; or else {_OTHERWISE}"
        )
    return UnsupportedModel(
        type(model).__name__,
        reason=f"the safe format 'skops' does not allow what it holds: {'; '.join(found[:5])}",
        hint=way_on,
    )


def missing_flavor(names: Iterable[str]) -> str | None:
    """Return the distribution whose flavor would know one of the *names*, none of which an installed flavor knows."""
    packages = (name.partition(".")[0] for name in names)
    return next((_CONTRIBUTORS[package] for package in packages if package in _CONTRIBUTORS), None)


def explain_dump_error(model: object, cause: Exception) -> UnsupportedModel:
    """Return the error for a model that skops could not write."""
    if isinstance(cause, RecursionError):
        reason = "its objects refer to each other in a circle"
    else:
        reason = f"skops cannot hold it ({cause!s:.300})"
    return UnsupportedModel(type(model).__name__, reason=reason, hint=_OTHERWISE)


def _places(model: object, names: set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for place in walk(model):
        for owner in (place.value, type(place.value)):
            name = _name_of(owner)
            if name in names:
                found.setdefault(name, place)
    return found


def _name_of(value: Any) -> str | None:
    name, module = getattr(value, "__name__", None), getattr(value, "__module__", None)
    return f"{module}.{name}" if isinstance(name, str) and isinstance(module, str) else None


def _describe(place: Place, name: str) -> str:
    value = place.value
    if name.endswith(".<lambda>"):
        what = "a lambda"
    elif _name_of(value) == name:
        local = "<locals>" in getattr(value, "__qualname__", "")
        what = f"the {'local ' if local else ''}{'class' if isinstance(value, type) else 'function'} {name}"
    else:
        what = f"an object of class {name}"
    return f"{place.path} is {what}"
