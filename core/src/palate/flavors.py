"""The flavors of this process, for programs and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from palate._allow_list import ALLOWED_VARIABLE
from palate._plugin_failures import is_meant_for_host
from palate._plugin_record import FlavorRecord
from palate._registry import default_registry
from palate.errors import InvalidOption
from palate.hookspecs import SampleModel

if TYPE_CHECKING:
    from palate._flavor_project import FlavorProject, new_flavor

__all__ = [
    "ALLOWED_VARIABLE",
    "FlavorProject",
    "FlavorRecord",
    "SampleModel",
    "list_flavors",
    "new_flavor",
    "register_flavor",
    "sample_models",
    "unmatched_allowed_plugins",
]


def __getattr__(name: str) -> object:
    # Late: whoever lists or registers flavors seldom begins one.
    if name not in ("FlavorProject", "new_flavor"):
        raise AttributeError(f"module 'palate.flavors' has no attribute {name!r}")
    value: object = getattr(import_module("palate._flavor_project"), name)
    return value


def list_flavors() -> list[FlavorRecord]:
    """Return every plugin with its state, working or not. Activates all that the host allows."""
    return default_registry().records()


def unmatched_allowed_plugins() -> tuple[str, ...]:
    """Return the names in ``PALATE_ALLOWED_PLUGINS`` that no installed plugin's distribution has: spelling mistakes."""
    return default_registry().unmatched_allowed


def register_flavor(plugin: object, *, name: str | None = None) -> None:
    """Add a flavor to this process, without a distribution and an entry point.

    It takes part at once, also in models that have been opened before where they ask for other flavors' types. Another
    process does not know it. Registering the same object again under the same name changes nothing.

    Args:
        plugin: a module, a class of static methods, or an object with the hooks of a flavor.
        name: the flavor's name; by default the last part of the ``__name__`` of a module or class.

    Raises:
        InvalidOption: *plugin* has no name of its own, or no flavor can have that name.
        FlavorConflict: another plugin has it.
        FlavorBroken: *plugin* does not keep the contract of a flavor; the reason is in the message.
    """
    if name is None:
        given = _own_name(plugin)
        if given in ("", "__main__"):
            reason = f"there is none to take from this {type(plugin).__name__}"
            raise InvalidOption("name", reason=reason, hint="pass name='...', as it shall stand in MLmodel")
        name = given.rpartition(".")[2]
    if not isinstance(name, str):
        raise InvalidOption("name", reason=f"it is {type(name).__name__}", hint="give text")
    default_registry().register(plugin, str.__str__(name))  # a subclass of str may compare in any way


def _own_name(plugin: object) -> str:
    """Return what a module or class calls itself, or nothing: somebody's own object may answer in any way."""
    try:
        given = getattr(plugin, "__name__", None)
    except BaseException as exc:
        if is_meant_for_host(exc):
            raise
        return ""
    return given if type(given) is str else ""


def sample_models(flavor: str) -> Mapping[str, SampleModel]:
    """Train and return the sample models that a flavor offers, by name; empty if it offers none.

    Raises:
        FlavorNotFound, FlavorBlocked, FlavorBroken, FlavorConflict: the flavor cannot be used.
    """
    return default_registry().get(flavor).sample_models()
