"""Whether this environment will do for a model: what differs, and what of it matters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from palate._environment.comparison import Difference
from palate._opened import OpenedModel, open_model
from palate._opening import compare_opened
from palate._registry import default_registry
from palate._unowned import KNOWN_DISTRIBUTIONS
from palate.errors import FlavorBlocked, FlavorBroken, FlavorConflict, FlavorNotFound, InvalidOption
from palate.locations import Location, read_one_model

__all__ = ["Difference", "EnvironmentCheck", "check_environment", "compare_here", "find_differences_that_matter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCheck:
    """The result of ``check_environment``.

    Attributes:
        uri: the model that was looked at.
        flavor: the flavor that opens it.
        differences: how this environment differs from the model's, the most important first.
    """

    uri: str
    flavor: str
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that differs matters."""
        return not any(difference.matters for difference in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        differences = [asdict(difference) for difference in self.differences]
        return {"uri": self.uri, "ok": self.ok, "flavor": self.flavor, "differences": differences}


def check_environment(uri: str | PathLike[str], *, verify: bool = True) -> EnvironmentCheck:
    """Compare the environment that the model at *uri* asks for with this one; nothing of the model is run.

    Args:
        uri: where the model is.
        verify: check the files against MANIFEST.json first.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile: see ``load_model``.
    """

    def read(location: Location) -> EnvironmentCheck:
        opened = open_model(location, verify=verify)
        return EnvironmentCheck(uri=opened.uri, flavor=opened.flavor_name(), differences=compare_here(opened))

    return read_one_model(uri, read, is_whole=lambda _: False)


def find_differences_that_matter(opened: OpenedModel) -> tuple[Difference, ...]:
    """Return the differences for which an opened model should rather run in an environment of its own."""
    return tuple(difference for difference in compare_here(opened) if difference.matters)


def compare_here(opened: OpenedModel) -> tuple[Difference, ...]:
    """Return how this environment, its plugins included, differs from what an opened model asks for."""
    name = opened.flavor_name()
    try:
        return compare_opened(opened, default_registry().get(name))
    except (FlavorNotFound, FlavorBlocked, FlavorBroken, FlavorConflict, InvalidOption) as exc:
        return _without_plugin(name, exc), *compare_opened(opened, None)


def _without_plugin(name: str, problem: Exception) -> Difference:
    return Difference(
        name=f"the flavor {name!r:.60}",
        required=KNOWN_DISTRIBUTIONS.get(name, "a plugin"),
        installed=None,
        kind="flavor",
        matters=True,
        why=str(problem).removesuffix("."),
    )
