"""Plugins that the host brings itself: single files that PALATE_PLUGINS names, and objects that it registers."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from plugin_site import GOOD, OBSERVER, PluginSite, plugin_site

from palate._plugin_sources import LocalFile, find_plugins
from palate._registry import FlavorRegistry
from palate.errors import FlavorBroken, FlavorConflict, InvalidOption
from palate.flavors import register_flavor
from palate.hookspecs import hookimpl
from palate.testing._threads import at_once


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A folder of installed distributions."""
    with plugin_site(tmp_path / "site") as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Callable[..., LocalFile]:
    """Write a flavor's file and return it as PALATE_PLUGINS would name it."""

    def write(name: str = "mine.py", source: str = GOOD.format(package="decimal"), folder: str = "here") -> LocalFile:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(source)
        return LocalFile(str(tmp_path / folder / name))

    return write


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_local_flavor_takes_the_whole_way(tmp_path, local, run_python) -> None:
    """A file named by PALATE_PLUGINS is found by its stem, owns its classes, saves, loads and is listed."""
    file = local()
    script = """
import sys, decimal, palate
from palate.flavors import list_flavors
info = palate.save_model(decimal.Decimal(1), sys.argv[1])
[record] = [record for record in list_flavors() if record.name == "mine"]
print(info.flavor, palate.load_model(sys.argv[1]).predict(1))
print(record.distribution, repr(record.version), record.status, record.packages)
"""
    done = run_python(script, tmp_path / "model", env={"PALATE_PLUGINS": str(file.path)})
    assert done.stdout.splitlines() == [
        "mine ['saved', 1, 'predict']",
        f"{file.path} '' ok ('decimal',)",
    ], done.stderr


def test_the_variable_names_files_as_a_path_does(tmp_path, monkeypatch) -> None:
    """Files are separated as folders of PATH are; empty parts count for nothing, and ~ is the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    given = os.pathsep.join(["~/one.py", "", "two.py"])
    found = [plugin for plugin in find_plugins({"PALATE_PLUGINS": given}) if plugin.is_hosts_own]
    assert [plugin.distribution for plugin in found] == [str(tmp_path / "one.py"), str(tmp_path / "two.py")]
    assert [plugin.name for plugin in found] == ["one", "two"]


def test_a_local_flavor_is_imported_only_when_its_name_is_spoken(local) -> None:
    """Listing names runs nothing of a file."""
    registry = FlavorRegistry([local("loud.py", "raise OSError('ran')")])
    assert registry.names == ("loud",)
    with pytest.raises(FlavorBroken, match="OSError: ran"):
        registry.get("loud")


def test_a_local_flavor_hides_no_module(local) -> None:
    """A file called like a module of Python's is imported under a name of its own, and that is found by pickles."""
    source = GOOD.format(package="aaa") + "\nclass Line:\n    pass\n"
    file = local("decimal.py", source)
    FlavorRegistry([file]).get("decimal")
    import decimal

    assert hasattr(decimal, "Decimal")
    line = file.load().Line()  # type: ignore[attr-defined]
    assert type(pickle.loads(pickle.dumps(line))) is type(line)
    assert type(line).__module__.startswith("_palate_local_")


def test_two_files_keep_their_classes_apart(local) -> None:
    """The same name in two folders is two modules."""
    one, two = (local(folder=folder).load() for folder in ("here", "there"))
    assert isinstance(one, ModuleType)
    assert isinstance(two, ModuleType)
    assert one.__name__ != two.__name__


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("gone.py", None, "FileNotFoundError: .*gone.py"),
        ("folder.py", ..., "it is not a regular file"),
        ("plain.txt", GOOD.format(package="aaa"), "ImportError: it is not a Python file"),
        ("half.py", "def (:", "SyntaxError: .*half.py"),
        ("dead.py", "raise OSError('no')", "OSError: no"),
        ("bare.py", "", "it does not implement save_model"),
        ("torch.py", GOOD.format(package="aaa"), "cannot be called 'torch'"),
        ("a:b.py", GOOD.format(package="aaa"), "cannot be called 'a:b'"),
    ],
)
def test_a_broken_file_is_listed_with_its_path(tmp_path, local, name, source, reason) -> None:
    """The rest goes on; asking for it raises, with the path of the file."""
    fine, path = local(), tmp_path / name
    if isinstance(source, str):
        path.write_text(source)
    elif source is ...:
        path.mkdir()
    registry = FlavorRegistry([LocalFile(str(path)), fine])
    with pytest.raises(FlavorBroken, match=f"of {path} cannot be used: .*{reason}.*correct the plugin"):
        registry._activate(registry._candidates[path.stem][0])
    [record] = [record for record in registry.records() if record.distribution == str(path)]
    assert record.status == "broken"
    assert registry.get("mine").name == "mine"


def test_two_files_with_one_name_are_told_apart_by_their_paths(local) -> None:
    """The error names both, and what flavor= takes."""
    one, two = local(folder="here"), local(folder="there")
    registry = FlavorRegistry([one, two])
    with pytest.raises(FlavorConflict, match=f"claimed by {one.path} and by {two.path}.*flavor='{one.path}:mine' or"):
        registry.get("mine")
    assert registry.get(f"{two.path}:mine").distribution == str(two.path)
    assert {record.status for record in registry.records()} == {"conflict"}


def test_one_file_named_twice_is_no_conflict(local) -> None:
    """It is the same flavor."""
    assert FlavorRegistry([local(), local()]).get("mine").name == "mine"


def test_a_file_with_an_installed_flavors_name_is_told_apart_from_it(site, local) -> None:
    """Neither hides the other."""
    site.install("one", "mine", GOOD.format(package="aaa"))
    file = local()
    registry = FlavorRegistry([*site.registry()._found, file])
    with pytest.raises(FlavorConflict, match=rf"{file.path} and by one.*or flavor='one:mine'"):
        registry.get("mine")
    assert registry.get("one:mine").packages == ("aaa",)
    assert registry.get(f"{file.path}:mine").packages == ("decimal",)


# -- objects -----------------------------------------------------------------------------------------------------------


class Plugin:
    """A flavor of methods."""

    NATIVE_PACKAGES = ("decimal",)
    FORMATS = ("none",)

    @hookimpl
    def save_model(self, path):
        return {}

    @hookimpl
    def load_model(self):
        return "loaded"

    @hookimpl
    def predict(self, model, data):
        return [model, data]

    @hookimpl
    def methods(self):
        return ("predict",)

    @hookimpl
    def requirements(self):
        return ()

    @hookimpl
    def executes_code(self):
        return ()


def module(name: str, source: str = GOOD.format(package="decimal")) -> ModuleType:
    """Return a module that stands in no file."""
    made = ModuleType(name)
    exec(source, vars(made))
    return made


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FlavorRegistry:
    """The registry of the process, with no plugin in it."""
    empty = FlavorRegistry([])
    monkeypatch.setattr("palate.flavors.default_registry", lambda: empty)
    return empty


def test_an_object_is_a_flavor_at_once(registry) -> None:
    """It answers by its name and owns its classes, also after others were activated."""
    with pytest.raises(Exception, match="no installed flavor owns"):
        registry.owner_of(Decimal(1))
    register_flavor(Plugin(), name="mine")
    assert registry.get("mine").predict("m", "d", "predict", {}) == ["m", "d"]
    assert registry.owner_of(Decimal(1)) is registry.get("mine") is registry.get("register_flavor:mine")
    [record] = registry.records()
    assert (record.name, record.distribution, record.version, record.status) == ("mine", "register_flavor", "", "ok")


def test_a_module_is_called_as_it_is(registry) -> None:
    """The last part of its name is the flavor's, unless another is given."""
    register_flavor(module("my.flavors.mine"))
    register_flavor(module("my.flavors.mine"), name="other")
    assert registry.names == ("mine", "other")


def test_a_class_of_static_methods_is_a_flavor(registry) -> None:
    """One whose hooks want an instance is told to give one."""
    static = type("Static", (Plugin,), {name: staticmethod(value) for name, value in vars(module("m")).items()})
    register_flavor(static)
    assert registry.get("Static").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    with pytest.raises(FlavorBroken, match="is a method of the class Plugin; give an instance of it"):
        register_flavor(Plugin)


def test_the_same_object_again_changes_nothing(registry) -> None:
    """A notebook's cell may run twice; another object of that name is a conflict."""
    mine = module("mine")
    register_flavor(mine)
    first = registry.get("mine")
    register_flavor(mine)
    assert registry.get("mine") is first
    with pytest.raises(FlavorConflict, match=r"claimed by register_flavor \(mine\) and by .*with another name="):
        register_flavor(module("mine"))


def test_a_taken_name_is_refused(site, monkeypatch) -> None:
    """An installed flavor keeps its name, whether it works or not."""
    site.install("one", "mine", "raise OSError('no')")
    registry = site.registry()
    monkeypatch.setattr("palate.flavors.default_registry", lambda: registry)
    with pytest.raises(FlavorConflict, match="'mine' is claimed by one and by register_flavor"):
        register_flavor(module("mine"))
    register_flavor(module("mine"), name="other")
    assert registry.get("other").name == "other"


@pytest.mark.parametrize(
    ("plugin", "name", "reason"),
    [
        (SimpleNamespace(), None, "there is none to take from this SimpleNamespace.*pass name="),
        (module("__main__"), None, "there is none to take from this module"),
        (module("mine"), 5, "it is int"),
        (module("mine"), "", "a flavor cannot be called ''"),
        (module("mine"), "a:b", "a flavor cannot be called 'a:b'"),
        (module("mine"), "torch", "another word for 'pytorch'"),
    ],
)
def test_a_name_that_no_flavor_can_have_is_refused(registry, plugin, name, reason) -> None:
    """It would stand in MLmodel and in flavor=."""
    with pytest.raises(InvalidOption, match=f"name: .*{reason}"):
        register_flavor(plugin, name=name)


def test_an_object_without_the_hooks_is_refused_at_once(registry) -> None:
    """Nothing of it stays, so that a corrected one can be registered."""
    with pytest.raises(
        FlavorBroken, match="'mine' of register_flavor cannot be used: it does not implement save_model"
    ):
        register_flavor(SimpleNamespace(), name="mine")
    assert registry.names == ()
    register_flavor(Plugin(), name="mine")
    assert registry.records()[0].status == "ok"


def test_an_observer_runs_around_a_registered_flavor(site, monkeypatch) -> None:
    """What the host brings itself is watched like the rest."""
    site.install("watch", "watcher", OBSERVER, group="palate.plugins")
    registry = site.registry()
    monkeypatch.setattr("palate.flavors.default_registry", lambda: registry)
    register_flavor(Plugin(), name="mine")
    registry.get("mine").predict("m", "d", "predict", {})
    assert sys.modules["plug_watch"].seen == [("mine", "predict")]


def test_many_threads_register_and_ask(registry) -> None:
    """Every flavor is there in the end, and nobody who goes through them meanwhile is disturbed."""

    def work(number: int) -> None:
        for each in range(20):
            register_flavor(Plugin(), name=f"f{number}-{each}")
            assert registry.get(f"f{number}-{each}").methods("m") == ("predict",)
            registry.records()

    at_once(work, 4)
    assert len(registry.names) == 80


def test_threads_that_come_first_share_one_registry(run_python) -> None:
    """What one of them registers, the others find."""
    script = """
from palate._registry import default_registry
from palate.testing._threads import at_once
print(len(set(map(id, at_once(lambda _: default_registry(), 8, short_turns=True)))))
"""
    done = run_python(script)
    assert done.stdout.strip() == "1", done.stderr


def test_a_child_forked_amid_an_import_can_use_the_others(tmp_path, site, run_python) -> None:
    """A plugin that another thread was importing is not taken for being imported for ever."""
    (site.folder / "plug_gate.py").write_text("import threading\nbegun, go_on = threading.Event(), threading.Event()")
    slow = (
        "import plug_gate\nif not plug_gate.go_on.is_set():\n    plug_gate.begun.set()\n    plug_gate.go_on.wait(60)\n"
    )
    (tmp_path / "slow.py").write_text(slow + GOOD.format(package="decimal"))
    site.install("good", "fine", GOOD.format(package="fff"))
    script = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
import plug_gate
from palate.flavors import sample_models
thread = threading.Thread(target=sample_models, args=("slow",))
thread.start()
plug_gate.begun.wait(60)
child = os.fork()
if child == 0:
    plug_gate.go_on.set()
    sample_models("fine")
    print("fine", flush=True)
    sample_models("slow")
    print("slow", flush=True)
    os._exit(0)
os.waitpid(child, 0)
plug_gate.go_on.set()
thread.join()
sample_models("slow")
print("parent")
"""
    env = {"PYTHONPATH": str(site.folder), "PALATE_PLUGINS": str(tmp_path / "slow.py")}
    done = run_python(script, env=env, timeout=60)
    assert done.stdout.splitlines() == ["fine", "slow", "parent"], done.stderr


def test_register_flavor_is_public(run_python) -> None:
    """palate.register_flavor registers in this process."""
    script = f"""
import types, palate
from palate.flavors import list_flavors
mine = types.ModuleType("mine")
exec({GOOD.format(package="decimal")!r}, vars(mine))
palate.register_flavor(mine)
print([(r.name, r.status) for r in list_flavors() if r.distribution == "register_flavor"])
"""
    done = run_python(script)
    assert done.stdout.strip() == "[('mine', 'ok')]", done.stderr
