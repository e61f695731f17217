"""The host's list of allowed plugins: what it leaves out is never imported, and everybody is told so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from plugin_site import GOOD, OBSERVER, PluginSite, plugin_site

from palate._plugin_sources import InstalledPlugin, LocalFile
from palate._registry import FlavorRegistry
from palate.errors import FlavorBlocked, FlavorNotFound, UnsupportedModel

VARIABLE = "PALATE_ALLOWED_PLUGINS"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A folder with two flavors of installed distributions."""
    with plugin_site(tmp_path / "site") as made:
        made.install("one", "alpha", GOOD.format(package="decimal"))
        made.install("Two_Dots.and-more", "beta", GOOD.format(package="fractions"), module="plug_two")
        yield made


@pytest.fixture
def allowing(site: PluginSite, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], FlavorRegistry]:
    """Build a registry of the installed flavors, of which the list allows some."""

    def build(allowed: str) -> FlavorRegistry:
        monkeypatch.setenv(VARIABLE, allowed)
        return site.registry()

    return build


def test_without_the_list_everything_is_allowed(site, monkeypatch) -> None:
    """An unset variable blocks nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert {record.status for record in site.registry().records()} == {"ok"}


@pytest.mark.parametrize("written", ["two-dots-and-more", "Two_Dots.and-more", " two.dots.and.more , one-more,"])
def test_what_the_list_leaves_out_is_never_imported(allowing, written) -> None:
    """Names are compared as package indexes compare them; a blocked plugin is listed with the reason."""
    registry = allowing(written)
    records = {record.name: record for record in registry.records()}
    assert records["beta"].status == "ok"
    assert (records["alpha"].status, records["alpha"].version) == ("blocked", "1.2")
    assert records["alpha"].error == "PALATE_ALLOWED_PLUGINS does not list one"
    assert "plug_one" not in sys.modules
    assert registry.names == ("beta",)


def test_asking_for_a_blocked_flavor_names_distribution_and_variable(allowing) -> None:
    """It is a permission that is missing, not the plugin."""
    registry = allowing("palate-sklearn")
    for name in ("alpha", "one:alpha"):
        with pytest.raises(FlavorBlocked, match=r"'alpha' of one.*PALATE_ALLOWED_PLUGINS does not list one") as caught:
            registry.get(name)
        assert isinstance(caught.value, PermissionError)
    with pytest.raises(FlavorNotFound, match="installed: none"):
        registry.get("other:alpha")
    assert "plug_one" not in sys.modules


def test_an_empty_list_allows_only_what_is_palates_own(run_python) -> None:
    """The built-in flavor is no plugin of anybody's; each other is blocked, in the process and in what it prints."""
    script = """
from palate.flavors import list_flavors
print(sorted({(r.distribution, r.status) for r in list_flavors()} - {("palate", "ok")}))
print({r.status for r in list_flavors() if r.distribution != "palate"})
"""
    done = run_python(script, env={VARIABLE: ""})
    assert "palate-sklearn', 'blocked'" in done.stdout
    assert done.stdout.splitlines()[1] == "{'blocked'}", done.stderr


def test_a_blocked_flavor_is_no_conflict(site, allowing, tmp_path) -> None:
    """Of two that claim one name or package, the allowed one has it."""
    site.install("three", "alpha", GOOD.format(package="decimal"))
    registry = allowing("three")
    assert registry.get("alpha").distribution == "three"
    assert registry.owner_of(Decimal(1)).distribution == "three"
    assert [r.status for r in registry.records() if r.name == "alpha"] == ["blocked", "ok"]


def test_a_model_that_only_a_blocked_flavor_would_own_says_so(site, allowing) -> None:
    """The plugin is known by its name, or by its distribution's, without being imported."""
    site.install("someone", "decimal", GOOD.format(package="decimal"))
    with pytest.raises(
        UnsupportedModel, match=r"does not allow the flavor 'decimal' of someone.*Hint: add someone to PALATE_ALLOWED"
    ):
        allowing("").owner_of(Decimal(1))
    site.install("Palate.My_Thing", "mine", GOOD.format(package="my_thing"), module="plug_mine")
    thing = type("Thing", (), {"__module__": "my_thing.models"})()
    with pytest.raises(UnsupportedModel, match=r"does not allow the flavor 'mine' of Palate\.My_Thing"):
        allowing("").owner_of(thing)
    site.install("palate-torch", "pytorch", GOOD.format(package="torch"))
    net = type("Net", (type("Module", (), {"__module__": "torch.nn"}),), {"__module__": "__main__"})
    with pytest.raises(UnsupportedModel, match="add palate-torch to PALATE_ALLOWED_PLUGINS"):
        allowing("").owner_of(net())


def test_observers_are_asked_for_permission_too(site, allowing) -> None:
    """One that is not allowed sees no call."""
    site.install("watch", "watcher", OBSERVER, group="palate.plugins")
    registry = allowing("one")
    registry.get("alpha").predict("m", "d", "predict", {})
    assert "plug_watch" not in sys.modules
    assert [(r.kind, r.status) for r in registry.records()][-1] == ("observer", "blocked")


def test_what_the_host_brings_itself_needs_no_permission(site, tmp_path, monkeypatch) -> None:
    """A file that it names and an object that it registers are its own choice."""
    (tmp_path / "mine.py").write_text(GOOD.format(package="decimal"))
    monkeypatch.setenv(VARIABLE, "")
    registry = FlavorRegistry([LocalFile(str(tmp_path / "mine.py")), *map(InstalledPlugin, site.entry_points())])
    assert registry.get("mine").distribution == str(tmp_path / "mine.py")
    # A name that only a blocked plugin has is free.
    registry.register(LocalFile(str(tmp_path / "mine.py")).load(), "alpha")
    assert registry.get("alpha").distribution == "register_flavor"


def test_inspecting_a_model_of_a_blocked_flavor_says_so(tmp_path, toy_flavor, run_python) -> None:
    """What the directory is can be read; what only the plugin knows is told to be missing, and loading is refused."""
    script = """
import sys, os, palate
if sys.argv[2] == "save":
    from toy_framework import Line
    palate.save_model(Line(1.0, 2.0), sys.argv[1])
else:
    print(palate.inspect_model(sys.argv[1]).plugin_problem)
    try:
        palate.load_model(sys.argv[1])
    except palate.errors.FlavorBlocked as exc:
        print(exc.flavor, exc.distribution, "palate_toy" in sys.modules)
"""
    saved = run_python(script, tmp_path / "model", "save")
    assert saved.returncode == 0, saved.stderr
    done = run_python(script, tmp_path / "model", "open", env={VARIABLE: "palate-sklearn"})
    first, second = done.stdout.splitlines()
    assert "PALATE_ALLOWED_PLUGINS does not list palate-toy" in first
    assert second == "toy palate-toy False"


def test_names_that_nothing_has_are_told(allowing) -> None:
    """A spelling mistake in the list would block a plugin, and nobody would know why."""
    assert allowing("one,palate,palate-sklaern").unmatched_allowed == ("palate-sklaern",)
    assert allowing("").unmatched_allowed == ()
