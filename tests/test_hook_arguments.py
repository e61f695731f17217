"""What a hook is passed: every argument that it names, and nothing by which nothing could be passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palate._plugin_contract import check_observer
from palate._registry import FlavorRegistry
from palate.errors import FlavorBroken
from palate.hookspecs import hookimpl


class Plain:
    """A flavor of few words."""

    HOOK_API = 1
    FORMATS = ("text",)

    @hookimpl
    def save_model(self, model: Any, path: Path) -> dict[str, Any]:
        """Save."""
        return {}

    @hookimpl
    def load_model(self, path: Path) -> object:
        """Load."""
        return self

    @hookimpl
    def predict(self, model: Any, data: Any) -> object:
        """Predict."""
        return data

    @hookimpl
    def methods(self) -> tuple[str, ...]:
        """Name the methods."""
        return ("predict", "score")

    @hookimpl
    def requirements(self) -> tuple[str, ...]:
        """Need nothing."""
        return ()

    @hookimpl
    def executes_code(self) -> tuple[()]:
        """Run nothing."""
        return ()


def test_an_argument_with_a_default_is_passed_too() -> None:
    """A default of the author's stands for nothing: the hook gets the method that was called."""

    class Defaults(Plain):
        @hookimpl
        def predict(self, model: Any, data: Any, method: str = "predict", own: int = 7) -> object:
            """Return what was passed."""
            return method, own

    registry = FlavorRegistry([])
    registry.register(Defaults(), "defaults")
    assert registry.get("defaults").predict("m", [1], "score", {}) == ("score", 7)


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (lambda self, **arguments: None, r"its predict takes \*\*arguments, by which nothing is passed.*flavor, model"),
        (lambda self, *arguments: None, r"its predict takes \*arguments, by which nothing is passed"),
        (lambda self, model, *, data: None, "its predict takes data, by which nothing is passed; name each argument"),
        (lambda self, modell: None, "its predict takes 'modell', which is no argument of that hook; it may take"),
    ],
    ids=["keywords", "positions", "keyword only", "misspelt"],
)
def test_arguments_that_nothing_is_passed_by_are_refused(hook: Any, reason: str) -> None:
    """A hook that would be called without what it needs is refused at once, with the arguments that there are."""
    broken = type("Broken", (Plain,), {"predict": hookimpl(hook)})()
    with pytest.raises(FlavorBroken, match=reason):
        FlavorRegistry([]).register(broken, "broken")


def test_a_misspelt_hook_is_told_from_the_one_that_was_meant() -> None:
    """The message has the nearest name; a hook of another Palate's is passed over when its author says so."""

    def guarantee(self: object) -> None:
        """Be misspelt."""

    broken = type("Broken", (Plain,), {"guarantee": hookimpl(guarantee)})()
    with pytest.raises(FlavorBroken, match="there is no hook 'guarantee'; did you mean 'guarantees'"):
        FlavorRegistry([]).register(broken, "broken")
    later = type("Later", (Plain,), {"guarantee": hookimpl(optionalhook=True)(guarantee)})()
    FlavorRegistry([]).register(later, "later")


def test_an_observer_without_a_yield_is_refused() -> None:
    """It would keep every flavor from being called, so it is broken by itself, in words of ours."""

    class Silent:
        @hookimpl(wrapper=True)
        def predict(self, flavor: str) -> None:
            """Call nothing."""

    assert check_observer(Silent()) == (
        "its predict is a wrapper and has no yield, where the hook that it is around is called"
    )


def test_a_mark_that_was_forgotten_is_named() -> None:
    """A function of a required hook's name is not silently passed over."""
    broken = type("Broken", (Plain,), {"methods": lambda self: ("predict",)})()
    with pytest.raises(FlavorBroken, match="does not implement methods; mark methods with @hookimpl"):
        FlavorRegistry([]).register(broken, "broken")
