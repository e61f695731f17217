"""The registry: discovery, ownership, and every way in which a plugin can be broken."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import metadata
from pathlib import Path

import pytest
from plugin_site import GOOD, OBSERVER, PluginSite, plugin_site

from palate._plugin_sources import InstalledPlugin
from palate._registry import FlavorRegistry
from palate.errors import FlavorBroken, FlavorConflict, FlavorNotFound, UnsupportedModel

Install = Callable[..., None]

# An observer of every hook but predict.
WATCHING = """
import palate.hookspecs
for hook in [name for name, value in vars(palate.hookspecs).items() if hasattr(value, "palate_spec")]:
    if hook != "predict":
        exec(f"@hookimpl(wrapper=True)\\ndef {hook}():\\n    seen.append('{hook}')\\n    return (yield)")
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A directory of installed distributions, made for one test and put on sys.path."""
    with plugin_site(tmp_path / "site") as made:
        yield made


@pytest.fixture
def install(site: PluginSite) -> Install:
    """Write a distribution with one plugin module, as pip would leave it."""
    return site.install


@pytest.fixture
def registry(site: PluginSite) -> Callable[[], FlavorRegistry]:
    """Build a registry of only the distributions in *site*."""
    return site.registry


def test_a_flavor_is_imported_only_when_its_name_is_spoken(install, registry) -> None:
    """Listing names loads nothing; get loads exactly one plugin."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("two", "beta", GOOD.format(package="bbb"))
    built = registry()
    assert built.names == ("alpha", "beta")
    assert "plug_one" not in sys.modules
    assert built.get("alpha").formats == ("text",)
    assert "plug_one" in sys.modules
    assert "plug_two" not in sys.modules


def test_making_a_registry_reads_no_metadata(install, registry, monkeypatch) -> None:
    """Who provides a flavor is asked where it matters: to tell it from another of its name, and to name it."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("two", "beta", GOOD.format(package="bbb"))
    reads: list[object] = []
    parsed = metadata.Distribution.metadata.fget
    monkeypatch.setattr(metadata.Distribution, "metadata", property(lambda dist: reads.append(dist) or parsed(dist)))
    assert registry().names == ("alpha", "beta")
    assert reads == []
    install("three", "beta", GOOD.format(package="ccc"))
    registry()
    assert len(reads) == 2


def test_only_the_named_flavor_answers_whatever_is_activated_later(install, registry, tmp_path) -> None:
    """A hook reaches one flavor, also when others are activated after its first call."""
    install("one", "alpha", GOOD.format(package="aaa").replace("saved", "by one"))
    install("two", "beta", GOOD.format(package="bbb").replace("saved", "by two"))
    built = registry()
    alpha = built.get("alpha")
    assert alpha.methods(object()) == ("predict",)
    beta = built.get("beta")
    alpha.save_model(object(), tmp_path, None)
    assert (tmp_path / "model.txt").read_text() == "by one"
    beta.save_model(object(), tmp_path, None)
    assert (tmp_path / "model.txt").read_text() == "by two"


def test_an_unknown_flavor_names_what_is_installed_and_what_to_install(registry) -> None:
    """A known framework's error says which distribution to pip install."""
    with pytest.raises(FlavorNotFound, match="pip install palate-torch"):
        registry().get("torch")
    with pytest.raises(FlavorNotFound, match=r"installed: none\).*spelling"):
        registry().get("nonsense")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('libfoo.so is missing')", "OSError: libfoo.so is missing"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def (:", "SyntaxError"),
        (GOOD.format(package="x") + "\n@hookimpl\ndef predikt(model): ...\n", "predikt"),
        (GOOD.format(package="x").replace("predict(model, data", "predict(modell, data"), "modell"),
        (GOOD.format(package="x").replace("@hookimpl\ndef methods", "def methods"), "does not implement methods"),
        (GOOD.format(package="x").replace('("text",)', '"text"'), "FORMATS must be a tuple"),
        (GOOD.format(package="x").replace('("text",)', "5"), "FORMATS must be a tuple"),
        (GOOD.format(package="x").replace('("text",)', "()"), "FORMATS must name at least one"),
        (GOOD.format(package="x").replace("FORMATS", "FORMAT"), "FORMATS must name at least one"),
        (GOOD.format(package="x").replace('("x",)', "None"), "NATIVE_PACKAGES must be a tuple"),
    ],
    ids=[
        "raises",
        "exits",
        "syntax",
        "wrong hook name",
        "wrong argument",
        "missing hook",
        "text for a tuple",
        "number for a tuple",
        "no formats",
        "formats not stated",
        "no packages",
    ],
)
def test_a_broken_plugin_is_recorded_and_the_others_go_on(install, registry, source: str, reason: str) -> None:
    """A plugin that fails in any way is named with its distribution when asked for, and hurts nobody else."""
    install("bad", "broken", source)
    install("good", "fine", GOOD.format(package="fff"))
    built = registry()
    assert built.get("fine").name == "fine"
    with pytest.raises(FlavorBroken, match=f"(?s)bad 1.2.*{reason}"):
        built.get("broken")
    states = {record.name: record for record in built.records()}
    assert states["fine"].status == "ok"
    assert states["broken"].status == "broken"
    assert states["broken"].error


def test_a_broken_plugin_raises_at_once_in_strict_mode(install, registry, monkeypatch) -> None:
    """PALATE_STRICT_PLUGINS=1 turns a record into an exception for whoever triggers it."""
    install("bad", "broken", "raise OSError('no')")
    assert registry().records()[0].status == "broken"
    sys.modules.pop("plug_bad", None)
    monkeypatch.setenv("PALATE_STRICT_PLUGINS", "1")
    with pytest.raises(FlavorBroken):
        registry().records()


def test_two_distributions_with_one_flavor_name_are_an_error_solved_by_naming_one(install, registry) -> None:
    """The error names both; distribution:name picks."""
    install("one", "same", GOOD.format(package="aaa"))
    install("two", "same", GOOD.format(package="bbb"))
    built = registry()
    with pytest.raises(FlavorConflict, match=r"one and by two.*flavor='one:same' or flavor='two:same'"):
        built.get("same")
    assert built.get("two:same").packages == ("bbb",)
    assert {record.status for record in built.records()} == {"conflict"}


def test_two_flavors_for_one_package_are_an_error_naming_both(install, registry) -> None:
    """Ownership of a class is never decided by accident."""
    install("one", "alpha", GOOD.format(package="decimal"))
    install("two", "beta", GOOD.format(package="decimal"))
    from decimal import Decimal

    with pytest.raises(FlavorConflict, match="'decimal' is claimed by one and by two"):
        registry().owner_of(Decimal(1))


def test_one_distribution_found_twice_is_no_conflict(install, site) -> None:
    """An editable install beside a built one is still one distribution."""
    install("one", "alpha", GOOD.format(package="aaa"))
    assert FlavorRegistry(map(InstalledPlugin, site.entry_points() * 2)).get("alpha").name == "alpha"


def test_the_nearest_class_decides_who_owns_a_model(install, registry) -> None:
    """A subclass in a package of its own belongs to that package's flavor, a user's subclass to the base's."""
    install("one", "base", GOOD.format(package="collections"))
    install("two", "derived", GOOD.format(package="plug_models"))
    import collections

    derived = type("Derived", (collections.OrderedDict,), {"__module__": "plug_models.sub"})
    mine = type("Mine", (collections.OrderedDict,), {"__module__": "__main__"})
    built = registry()
    assert built.owner_of(derived()).name == "derived"
    assert built.owner_of(mine()).name == "base"
    assert built.owner_of(type("Mine2", (derived,), {"__module__": "__main__"})()).name == "derived"


def test_a_model_that_nobody_owns_says_so_and_mentions_broken_plugins(install, registry) -> None:
    """The way on depends on whether the framework's plugin is known."""
    install("bad", "broken", "raise OSError('no')")
    with pytest.raises(
        UnsupportedModel, match=r"(?s)no installed flavor owns classes of 'fractions'.*broken: bad:broken"
    ):
        registry().owner_of(Fraction(1))
    net = type("Net", (type("Module", (), {"__module__": "torch.nn"}),), {"__module__": "__main__"})
    with pytest.raises(UnsupportedModel, match="pip install palate-torch"):
        registry().owner_of(net())


def test_an_observer_runs_around_every_flavor(install, registry) -> None:
    """A wrapper from palate.plugins sees the calls of all flavors and changes nothing."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("watch", "watcher", OBSERVER, group="palate.plugins")
    built = registry()
    assert built.get("alpha").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    assert sys.modules["plug_watch"].seen == [("alpha", "predict")]
    assert [r.kind for r in built.records()] == ["flavor", "observer"]


def test_an_observer_does_not_see_a_hook_that_the_flavor_has_not(install, registry, tmp_path) -> None:
    """What nobody answers is no call, whichever of the optional hooks it is."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("watch", "watcher", OBSERVER + WATCHING, group="palate.plugins")
    flavor = registry().get("alpha")
    flavor.methods("m")
    assert (flavor.infer_input_schema("m"), flavor.guarantees(tmp_path, {})) == (None, None)
    assert (flavor.embedded_types(), flavor.sample_models()) == ((), {})
    assert flavor.pyfunc_section({}) == {"loader_module": "palate.mlflow_loader"}
    assert flavor.prepare("m", tmp_path, {}, None) == "m"
    assert sys.modules["plug_watch"].seen == ["methods"]


@pytest.mark.parametrize("number", ["99", "'1'"])
def test_an_observer_states_what_it_was_written_for(install, registry, number) -> None:
    """One for a later number of the hooks is broken, as a flavor would be; the flavors go on without it."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("watch", "watcher", f"HOOK_API = {number}\n{OBSERVER}", group="palate.plugins")
    built = registry()
    assert built.get("alpha").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    [record] = [record for record in built.records() if record.kind == "observer"]
    assert record.status == "broken"
    assert (record.error or "").startswith(
        {"99": "it needs hook API 99 and"}.get(number, "its HOOK_API is '1'; it must")
    )


def test_a_broken_observer_is_raised_every_time_in_strict_mode(install, registry, monkeypatch) -> None:
    """An audit that does not run is not forgotten after its first error."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("bad", "watcher", "raise OSError('no')", group="palate.plugins")
    monkeypatch.setenv("PALATE_STRICT_PLUGINS", "1")
    built = registry()
    for _ in range(2):
        with pytest.raises(FlavorBroken, match=r"bad 1\.2"):
            built.get("alpha")


def test_no_call_reaches_a_flavor_that_is_activated_meanwhile(install, registry) -> None:
    """Threads that predict with one flavor get its answers while others are being activated."""
    for number in range(30):
        source = GOOD.format(package=f"p{number}").replace("[model, data, method]", str(number))
        install(f"dist{number}", f"f{number}", source)
    built = registry()
    first, wrong, done = built.get("f0"), [], threading.Event()

    def predict() -> None:
        while not done.is_set():
            if (answer := first.predict("m", "d", "predict", {})) != 0:
                wrong.append(answer)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(30):
        built.get(f"f{number}")
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_observer_that_would_answer_for_a_flavor_is_refused(install, registry) -> None:
    """A plain implementation in palate.plugins could replace a prediction, so it is not registered."""
    install("one", "alpha", GOOD.format(package="aaa"))
    install("watch", "watcher", OBSERVER.replace("(wrapper=True)", "").replace("(yield)", "1"), group="palate.plugins")
    built = registry()
    assert built.get("alpha").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    assert "wrapper=True" in (built.records()[1].error or "")


@pytest.mark.parametrize("watcher", [OBSERVER, "raise OSError('no')"], ids=["working", "broken"])
def test_a_flavor_and_an_observer_of_one_distribution_may_share_a_name(site, watcher) -> None:
    """Neither takes the other's place, and a broken observer does not break the flavor."""
    (site.folder / "plug_both.py").write_text(GOOD.format(package="aaa"))
    (site.folder / "plug_watch.py").write_text(watcher)
    groups = {"plug_both": "palate.flavors", "plug_watch": "palate.plugins"}
    built = FlavorRegistry(
        InstalledPlugin(metadata.EntryPoint("same", module, group)) for module, group in groups.items()
    )
    assert built.get("same").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    assert [r.status for r in built.records()] == ["ok", "broken" if "OSError" in watcher else "ok"]
