"""The contract of a flavor as one class of tests."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pytest

from palate._flavor import Flavor
from palate._registry import default_registry
from palate.errors import PalateError
from palate.testing._damage import DamageChecks
from palate.testing._directory import DirectoryChecks
from palate.testing._inputs import InputChecks
from palate.testing._interop import InteropChecks
from palate.testing._notes import Note
from palate.testing._places import PlaceChecks
from palate.testing._plugin import PluginChecks
from palate.testing._round_trip import RoundTripChecks
from palate.testing._saving import SavingChecks
from palate.testing._serving import ServingChecks
from palate.testing._side_effects import SideEffectChecks
from palate.testing._trust import TrustChecks

__all__ = ["CHECKS", "TOPICS", "FlavorContract", "why"]


class FlavorContract(
    RoundTripChecks,
    DirectoryChecks,
    SideEffectChecks,
    SavingChecks,
    PlaceChecks,
    InputChecks,
    ServingChecks,
    TrustChecks,
    DamageChecks,
    PluginChecks,
    InteropChecks,
):
    """What every flavor promises; a flavor's tests are a subclass.

    A subclass sets ``flavor`` and defines two fixtures: ``model``, a trained native model, and ``sample``, some rows of
    input. Everything else is optional: ``format``, ``save_options``, ``load_options``, ``rtol``, ``atol``,
    ``rows_are_independent``, ``import_budget_ms``, ``patience_s``, and the fixtures ``expected`` (what the framework
    itself predicts for the sample) and ``foreign_model`` (an object of somebody else's)::

        class TestMyFlavor(FlavorContract):
            flavor = "my_flavor"

            @pytest.fixture
            def model(self): ...

            @pytest.fixture
            def sample(self): ...

    A check that cannot hold for a flavor is overridden by a method of its name that has
    ``@pytest.mark.xfail(reason="...")``. The kit's own check is what runs, and it has to fail: an exception that is no
    longer one is found.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in CHECKS:
            override = getattr(cls, name, None)
            if override is not getattr(FlavorContract, name) and not hasattr(override, _DECLARED):
                setattr(cls, name, _declared(cls, name, override))

    @staticmethod
    def note_of(cls: type[FlavorContract], item: pytest.Function) -> Note | None:
        """Return what a report says of one test of a class, or None for a test of the author's own.

        Raises:
            pytest.UsageError: the class changes more of the kit than it may.
        """
        check = item.originalname or item.name
        if check not in CHECKS:
            return None
        _refuse_changes(cls, check)
        if any(node is not item for node, _ in item.iter_markers_with_node("xfail")):
            raise pytest.UsageError(
                f"{cls.__qualname__} is marked xfail as a whole: override each check that cannot hold, with its reason"
            )
        parameters = getattr(getattr(item, "callspec", None), "id", "")
        name = getattr(cls, "flavor", "")
        flavor = _find_flavor(name)
        return Note(
            check=check,
            why=why(check),
            group=item.parent.nodeid if item.parent else "",
            parameters=parameters,
            case=cls.__name__.removeprefix("Test") + (f"[{parameters}]" if parameters else ""),
            flavor=name,
            format=cls.format or (flavor.formats[0] if flavor else ""),
            distribution=flavor.distribution if flavor else "",
            version=flavor.version if flavor else "",
            settings=", ".join(f"{name}={getattr(cls, name)!r}" for name in _SETTINGS if _is_set(cls, name)),
        )


_DECLARED = "__palate_declared__"
# What an author may loosen, which a report then says.
_SETTINGS = ("rtol", "atol", "rows_are_independent", "import_budget_ms")
_OWN = {
    *("flavor", "format", "save_options", "load_options", "patience_s", *_SETTINGS),
    *("model", "sample", "expected", "foreign_model"),
}
TOPICS: Mapping[str, tuple[str, ...]] = {
    " ".join((group.__doc__ or "").split()).rstrip("."): tuple(name for name in vars(group) if name.startswith("test_"))
    for group in FlavorContract.__bases__
}
"""The names of the checks, in their order, by what they are about."""
CHECKS = tuple(name for names in TOPICS.values() for name in names)


def why(check: str) -> str:
    """Return the sentence that says what a check proves, and why it is asked."""
    return " ".join((getattr(FlavorContract, check).__doc__ or "").split())


def _is_set(cls: type, name: str) -> bool:
    return bool(getattr(cls, name) != getattr(FlavorContract, name))


def _refuse_changes(cls: type[FlavorContract], check: str) -> None:
    """Raise pytest.UsageError when a class runs something else for a check, or changes what the checks stand on."""
    function, original = getattr(cls, check), getattr(FlavorContract, check)
    if function is not original and not (hasattr(function, _DECLARED) and function.__wrapped__ is original):
        raise pytest.UsageError(f"{cls.__qualname__}.{check} is not the kit's check; take the replacement away")
    for base in cls.__mro__[: cls.__mro__.index(FlavorContract)]:
        changed = sorted(
            name
            for name in vars(base).keys() - _OWN - set(CHECKS)
            if not name.startswith("__") and hasattr(FlavorContract, name)
        )
        if changed:
            raise pytest.UsageError(
                f"{base.__qualname__} changes {', '.join(changed)}, which the kit's checks stand on; "
                f"a subclass may define {', '.join(sorted(_OWN))}, and tests of its own"
            )


@functools.cache  # asked for each test that is collected
def _find_flavor(name: str) -> Flavor | None:
    """Return a flavor, or None when it cannot be used: that is for the checks to say, not for pytest's collecting."""
    try:
        return default_registry().get(name)
    except PalateError:
        return None


def _declared(cls: type, name: str, override: object) -> Any:
    """Return the kit's check with the marks of its override.

    Raises:
        TypeError: the override does not say why, or would keep the check from being run.
    """
    marks = [mark for mark in getattr(override, "pytestmark", ()) if mark.name == "xfail"]
    if not marks or not all(isinstance(m.kwargs.get("reason"), str) and m.kwargs["reason"].strip() for m in marks):
        raise TypeError(
            f"{cls.__qualname__} overrides {name}, a promise that every flavor gives: {why(name)} "
            "Where it cannot hold, say why: mark the override with @pytest.mark.xfail(reason='...')."
        )
    if not all(mark.kwargs.get("run", True) for mark in marks):
        raise TypeError(
            f"{cls.__qualname__} overrides {name} with xfail(run=False): the check has to run, so that an exception "
            "that is none any more is found. Leave run=False out."
        )
    original = getattr(FlavorContract, name)

    @functools.wraps(original)  # with its marks, and pytest reads the names of the fixtures from it
    def check(*arguments: Any, **fixtures: Any) -> None:
        original(*arguments, **fixtures)

    setattr(check, _DECLARED, True)
    for mark in marks:
        check = pytest.mark.xfail(*mark.args, **{**mark.kwargs, "strict": True})(check)
    return check
