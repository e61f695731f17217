"""Every way in which a plugin can fail: one clear message, and the host and the other flavors go on."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_site import GOOD, OBSERVER, PluginSite, plugin_site

from palate._flavor import Flavor
from palate.errors import FlavorBroken
from palate.hookspecs import SaveOptions

PATH, CONFIG = Path("model"), {"data": "model.txt"}

# How the host calls each hook.
CALLS: dict[str, Any] = {
    "save_model": lambda flavor, folder: flavor.save_model(object(), folder, None),
    "load_model": lambda flavor, folder: flavor.load_model(folder, CONFIG, None),
    "prepare": lambda flavor, folder: flavor.prepare("m", folder, CONFIG, None),
    "predict": lambda flavor, folder: flavor.predict("m", "d", "predict", {}),
    "methods": lambda flavor, folder: flavor.methods("m"),
    "rows_are_independent": lambda flavor, folder: flavor.rows_are_independent("m", "predict"),
    "takes_array": lambda flavor, folder: flavor.takes_array("m", "predict", ("a",)),
    "requirements": lambda flavor, folder: flavor.requirements("m", SaveOptions(format="text")),
    "executes_code": lambda flavor, folder: flavor.executes_code(folder, CONFIG),
    "infer_input_schema": lambda flavor, folder: flavor.infer_input_schema("m"),
    "pyfunc_section": lambda flavor, folder: flavor.pyfunc_section(CONFIG),
    "guarantees": lambda flavor, folder: flavor.guarantees(folder, CONFIG),
    "mapped_files": lambda flavor, folder: flavor.mapped_files(CONFIG),
    "embedded_types": lambda flavor, folder: flavor.embedded_types(),
    "sample_models": lambda flavor, folder: flavor.sample_models(),
}

JUNK = [
    ("save_model", "None", "must return a dict of plain YAML data, not a NoneType"),
    ("save_model", "['data']", "must return a dict of plain YAML data, not a list"),
    ("save_model", "{'data': {1, 2}}", "must return plain YAML data: data"),
    ("save_model", "{'data': float('nan')}", "must return plain YAML data: data: is not a finite number"),
    ("save_model", "{1: 'data'}", "must return plain YAML data"),
    ("load_model", "None", "returned None"),
    ("prepare", "None", "returned None"),
    ("methods", "None", "must return a sequence of str"),
    ("methods", "'predict'", "must return a sequence of str"),
    ("methods", "('predict', 5)", "must return a sequence of str"),
    ("methods", "('predict', '')", "must return names, each once and none empty"),
    ("methods", "('predict', 'predict')", "must return names, each once and none empty"),
    ("rows_are_independent", "None", "must return True or False, not a NoneType"),
    ("rows_are_independent", "'no'", "must return True or False, not a str"),
    ("takes_array", "None", "must return True or False, not a NoneType"),
    ("takes_array", "0", "must return True or False, not a int"),
    ("requirements", "None", "must return a sequence of str"),
    ("requirements", "'numpy==1'", "must return a sequence of str"),
    ("requirements", "('numpy==1', 5)", "must return a sequence of str"),
    ("requirements", "('not a requirement',)", "must return pip requirements.*'not a requirement' was refused"),
    ("requirements", "('--index-url=x',)", "must return pip requirements.*pip options are not requirements"),
    ("requirements", "('a==1', 'a==2')", "must return pip requirements"),
    ("executes_code", "None", "must return a sequence of CodeReason"),
    ("executes_code", "True", "must return a sequence of CodeReason"),
    ("executes_code", "('model.pkl',)", "must return a sequence of CodeReason"),
    ("executes_code", "(CodeReason(5, 'a pickle'),)", "must return reasons whose file and rule are text"),
    ("infer_input_schema", "['x']", "returned a list, not a Schema, a Signature or None"),
    ("pyfunc_section", "'mlflow'", "must return a dict of plain YAML data, not a str"),
    ("pyfunc_section", "{'loader_module': 5}", "must name its loader_module as text"),
    ("pyfunc_section", "{'loader_module': 'x', 'data': b'x'}", "must return plain YAML data"),
    ("guarantees", "True", "returned a bool, not Guarantees"),
    ("guarantees", "Guarantees(no_code='yes', memory_safe=True, bounded=True)", "must say True or False"),
    (
        "guarantees",
        "Guarantees(no_code=True, memory_safe=True, bounded=True, exceptions='none')",
        "must list its exceptions as text",
    ),
    ("guarantees", "None", "returned a NoneType, not Guarantees"),
    ("mapped_files", "None", "must return the names of files"),
    ("mapped_files", "'model.txt'", "must return the names of files"),
    ("mapped_files", "(5,)", "must return the names of files"),
    ("embedded_types", "None", "must return a sequence of EmbeddedType"),
    ("embedded_types", "5", "must return a sequence of EmbeddedType"),
    ("embedded_types", "('a.B',)", "must return a sequence of EmbeddedType"),
    ("embedded_types", "(EmbeddedType(name='a.B', check=None),)", "must give each type a full name and a function"),
    ("sample_models", "None", "must return a dict of SampleModel by name"),
    ("sample_models", "['model']", "must return a dict of SampleModel by name"),
    ("sample_models", "{'one': 5}", "must return a dict of SampleModel by name"),
    ("sample_models", "{1: SampleModel(model=1, sample=1, description='')}", "must return a dict of SampleModel"),
]


def with_hook(hook: str, *body: str, source: str = GOOD.format(package="decimal")) -> str:
    """Return a plugin's source in which one hook has another body."""
    imports = "from palate.errors import CodeReason\nfrom palate.hookspecs import *\n"
    return f"{source}\n{imports}@hookimpl\ndef {hook}():\n" + "".join(f"    {line}\n" for line in body)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A folder of installed distributions, one of them sound."""
    with plugin_site(tmp_path / "site") as made:
        made.install("good", "fine", GOOD.format(package="fff"))
        yield made


def broken_flavor(site: PluginSite, source: str) -> Flavor:
    """Install a plugin that is activated and fails later, beside one that works."""
    site.install("bad", "odd", source)
    registry = site.registry()
    assert registry.get("fine").predict("m", "d", "predict", {}) == ["m", "d", "predict"]
    return registry.get("odd")


def test_every_hook_is_called_here() -> None:
    """A hook that is added is tried too."""
    from palate import hookspecs

    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "palate_spec")}
    assert set(CALLS) == hooks
    assert {hook for hook, _, _ in JUNK} == hooks - {"predict"}  # whose answers are the model's own affair


@pytest.mark.parametrize(("hook", "answer", "reason"), JUNK)
def test_junk_is_the_flavors_fault(site, tmp_path, hook, answer, reason) -> None:
    """An answer that the contract does not allow names the flavor, its distribution, the hook and what is wrong."""
    flavor = broken_flavor(site, with_hook(hook, f"return {answer}"))
    with pytest.raises(FlavorBroken, match=rf"(?s)'odd' of bad 1\.2 cannot be used: its {hook} {reason}"):
        CALLS[hook](flavor, tmp_path)


@pytest.mark.parametrize("hook", sorted(set(CALLS) - {"predict", "prepare", "save_model", "load_model"}))
def test_a_question_that_raises_is_the_flavors_fault(site, tmp_path, hook) -> None:
    """What a plugin raises where it only answers is told with its hook, and is the cause."""
    flavor = broken_flavor(site, with_hook(hook, "raise KeyError('x')"))
    with pytest.raises(FlavorBroken, match=f"its {hook} failed: KeyError: 'x'") as caught:
        CALLS[hook](flavor, tmp_path)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("hook", sorted(CALLS))
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise type('PanicException', (BaseException,), {})('index out of bounds')", "PanicException: index out of"),
    ],
    ids=["sys.exit", "exit of a generator", "panic"],
)
def test_a_hook_cannot_end_the_host(site, tmp_path, hook, line, told) -> None:
    """Whatever is no Exception, such as SystemExit or a Rust panic, becomes an error that the host survives."""
    flavor = broken_flavor(site, with_hook(hook, line))
    others = ", or the model's own code," if hook in ("load_model", "prepare", "predict") else ""
    with pytest.raises(FlavorBroken, match=f"'odd' of bad 1.2.*its {hook}{others} raised {told}.*ended the process"):
        CALLS[hook](flavor, tmp_path)


def test_an_observer_that_would_end_the_host_is_named(site, tmp_path) -> None:
    """The flavor may be innocent, so the message names those around it."""
    site.install("watch", "watcher", OBSERVER.replace("return (yield)", "yield; exit(1)"), group="palate.plugins")
    with pytest.raises(
        FlavorBroken, match=r"its predict, or an observer around it \(watch:watcher\) or the model's own code, raised"
    ):
        site.registry().get("fine").predict("m", "d", "predict", {})


@pytest.mark.parametrize("hook", sorted(set(CALLS) - {"predict"}))
@pytest.mark.parametrize(("keyword", "kind"), [("await None", "coroutine"), ("yield 1", "generator")])
def test_a_hook_answers_at_once(site, tmp_path, hook, keyword, kind) -> None:
    """A hook declared async, or with a yield, is told to be an ordinary function; nothing warns of it afterwards."""
    source = with_hook(hook, keyword)
    if kind == "coroutine":
        source = source.replace(f"def {hook}():", f"async def {hook}():")
    with pytest.raises(FlavorBroken, match=f"its {hook} returned a {kind}; a hook is an ordinary function"):
        CALLS[hook](broken_flavor(site, source), tmp_path)


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "asyncio.CancelledError"])
@pytest.mark.parametrize("hook", ["predict", "methods"])
def test_what_is_meant_for_the_host_passes(site, tmp_path, hook, error) -> None:
    """An interrupt and a cancelled task are not the plugin's to be blamed for."""
    flavor = broken_flavor(site, with_hook(hook, "import asyncio", f"raise {error}"))
    kind = KeyboardInterrupt if error == "KeyboardInterrupt" else asyncio.CancelledError
    with pytest.raises(kind):
        CALLS[hook](flavor, tmp_path)


def test_a_signal_handler_of_the_host_may_end_it(site, run_python) -> None:
    """A server that answers SIGTERM by sys.exit() ends, also when the signal comes while a flavor predicts."""
    site.install("bad", "odd", with_hook("predict", "import os, signal", "os.kill(os.getpid(), signal.SIGTERM)"))
    script = """
import signal, sys
from palate._registry import FlavorRegistry
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
FlavorRegistry().get("odd").predict("m", "d", "predict", {})
"""
    done = run_python(script, env={"PYTHONPATH": str(site.folder)})
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("HOOK_API = 1", "HOOK_API = 99"), "it needs hook API 99 and this Palate offers 1; upgrade palate"),
        (("HOOK_API = 1", "HOOK_API = '1'"), "its HOOK_API is '1'; it must be a number"),
        (("HOOK_API = 1", "HOOK_API = 0"), "its HOOK_API is 0; it must be a number"),
        (("HOOK_API = 1", "FORMATS_NEEDING_TRUST = 'text'"), "its FORMATS_NEEDING_TRUST must be a tuple"),
        (("HOOK_API = 1", "FORMATS_NEEDING_TRUST = ('pickle',)"), "names 'pickle', which is none of its FORMATS"),
        (("HOOK_API = 1", "FORK_AFTER_LOAD = 'no'"), "its FORK_AFTER_LOAD must be True or False"),
        (("HOOK_API = 1", "VERSION_PROMISES = [1]"), "its VERSION_PROMISES must be a dict such as"),
        (("HOOK_API = 1", "VERSION_PROMISES = {1: {}}"), "its VERSION_PROMISES must be a dict such as"),
        (("HOOK_API = 1", "VERSION_PROMISES = {'text': 'newer'}"), "its VERSION_PROMISES must be a dict"),
        (("HOOK_API = 1", "VERSION_PROMISES = {'text': {1: 'newer'}}"), "its VERSION_PROMISES must be a dict"),
        (("HOOK_API = 1", "VERSION_PROMISES = {'zip': {}}"), "its VERSION_PROMISES names 'zip', which is none of"),
        (("HOOK_API = 1", "VERSION_PROMISES = {'text': {'a': 'any'}}"), "promises 'any' of a, and may say exact, "),
        (("HOOK_API = 1", "VERSION_PROMISES = {'text': {'a': []}}"), r"promises \[\] of a, and may say exact, "),
        (("HOOK_API = 1", "NATIVE_TYPES = ('builtins.object',)"), "it claims every class there is"),
        (('("decimal",)', '("builtins",)'), "it claims every class there is"),
        (("@hookimpl\ndef predict(", "@hookimpl(wrapper=True)\ndef predict("), "predict.*wrapper"),
        (("HOOK_API = 1", "def __getattr__(name): raise OSError('no disk')"), "OSError: no disk"),
    ],
)
def test_what_a_flavor_declares_is_checked(site, change, reason) -> None:
    """Its constants are read once, when it is activated."""
    site.install("bad", "odd", GOOD.format(package="decimal").replace(*change))
    registry = site.registry()
    with pytest.raises(FlavorBroken, match=f"(?s)'odd' of bad 1.2.*{reason}"):
        registry.get("odd")
    assert registry.get("fine").name == "fine"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("plug_bad:missing", "AttributeError: .*missing"),
        ("no_such_module", "ModuleNotFoundError: .*no_such_module"),
        ("not valid!", "its entry point names no module: 'not valid!'"),
    ],
)
def test_an_entry_point_that_leads_nowhere_breaks_its_own_flavor(site, value, reason) -> None:
    """A name that is not there, or that is none, is the distribution's mistake."""
    site.install("bad", "odd", GOOD.format(package="decimal"))
    (site.folder / "bad-1.2.dist-info" / "entry_points.txt").write_text(f"[palate.flavors]\nodd = {value}\n")
    registry = site.registry()
    with pytest.raises(FlavorBroken, match=rf"'odd' of bad 1\.2.*{reason}"):
        registry.get("odd")
    assert registry.get("fine").name == "fine"


def test_a_name_that_means_another_flavor_is_refused(site) -> None:
    """'torch' is what people type for pytorch, whoever provides that."""
    site.install("bad", "torch", GOOD.format(package="decimal"))
    [record] = [record for record in site.registry().records() if record.distribution == "bad"]
    assert (record.status, record.error) == (
        "broken",
        "a flavor cannot be called 'torch', which is another word for 'pytorch'",
    )


def test_a_flavor_that_lists_flavors_while_it_is_imported_is_sound(site, run_python) -> None:
    """It sees itself as being imported, and is whole afterwards."""
    asking = "from palate.flavors import list_flavors\nseen = {r.name: r.error for r in list_flavors()}\n"
    site.install("bad", "odd", asking + GOOD.format(package="decimal"))
    script = """
from palate.flavors import list_flavors
states = {record.name: record.status for record in list_flavors()}
import plug_bad
print(plug_bad.seen["odd"], "|", plug_bad.seen["fine"], states["odd"], states["fine"])
"""
    done = run_python(script, env={"PYTHONPATH": str(site.folder)})
    assert done.stdout.strip() == "it is being imported | None ok ok", done.stderr


def test_a_flavor_that_asks_for_itself_while_it_is_imported_is_told(site, run_python) -> None:
    """It would be called half made; the message says what to do instead, and the others work."""
    asking = "from palate.flavors import sample_models\nsample_models('odd')\n"
    site.install("bad", "odd", asking + GOOD.format(package="decimal"))
    script = """
from palate.flavors import list_flavors, sample_models
print({record.name: record.error for record in list_flavors()}["odd"])
print(sample_models("fine"))
"""
    done = run_python(script, env={"PYTHONPATH": str(site.folder)})
    reason = "it was asked for while it was being imported; ask for it in a function"
    assert done.stdout.splitlines() == [reason, "{}"], done.stderr


def test_an_observer_that_asks_for_flavors_while_it_is_imported_is_told(site, run_python) -> None:
    """What it asked for would never be seen by it; so it is the observer that is broken."""
    asking = "from palate.flavors import list_flavors\nlist_flavors()\n"
    site.install("watch", "watcher", asking + OBSERVER, group="palate.plugins")
    script = """
from palate.flavors import list_flavors
print(*(f"{r.name} {r.status} {r.error}" for r in list_flavors() if r.name in ("fine", "watcher")), sep="\\n")
"""
    done = run_python(script, env={"PYTHONPATH": str(site.folder)})
    reason = "it asked for flavors while it was being imported; ask in a function"
    assert done.stdout.splitlines() == ["fine ok None", f"watcher broken {reason}"], done.stderr


def test_nobody_waits_for_a_plugin_that_takes_long_to_import(site) -> None:
    """While one thread imports it, another gets a flavor that is active already."""
    site.install("slow", "slow", "import plug_gate\nplug_gate.begun.set()\nplug_gate.go_on.wait(60)")
    (site.folder / "plug_gate.py").write_text("import threading\nbegun, go_on = threading.Event(), threading.Event()")
    import plug_gate

    registry = site.registry()
    registry.get("fine")

    def wait() -> None:
        with pytest.raises(FlavorBroken):
            registry.get("slow")

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        assert plug_gate.begun.wait(60)
        got: list[Flavor] = []
        asking = threading.Thread(target=lambda: got.append(registry.get("fine")))
        asking.start()
        asking.join(60)
        assert [flavor.name for flavor in got] == ["fine"]
        assert not plug_gate.go_on.is_set()
    finally:
        plug_gate.go_on.set()
        waiting.join()


def test_a_broken_flavor_stops_nobody_from_saving_and_loading(site, tmp_path, run_python) -> None:
    """Through palate.save_model and palate.load_model: the broken one raises its error, the process goes on."""
    for number, (hook, line) in enumerate(
        [("save_model", "return 5"), ("load_model", "exit(4)"), ("methods", "exit(4)"), ("executes_code", "return 5")]
    ):
        site.install(f"bad{number}", f"odd{number}", with_hook(hook, line))
    site.install("dead", "dead", "import sys; sys.exit(5)")
    script = """
import sys, decimal, palate
from palate.errors import FlavorBroken
for number in range(4):
    try:
        palate.save_model(decimal.Decimal(1), f"{sys.argv[1]}/odd{number}", flavor=f"odd{number}", input_example=[1])
        print("saved")
    except FlavorBroken as exc:
        print(exc.flavor, exc.reason)
try:
    palate.save_model(decimal.Decimal(1), f"{sys.argv[1]}/dead", flavor="dead")
except FlavorBroken as exc:
    print(exc.flavor, exc.reason)
palate.save_model(type("Model", (), {"__module__": "fff"})(), f"{sys.argv[1]}/fine")
print(palate.load_model(f"{sys.argv[1]}/fine").predict(1))
"""
    done = run_python(script, tmp_path, env={"PYTHONPATH": str(site.folder)})
    assert done.stdout.splitlines() == [
        "odd0 its save_model must return a dict of plain YAML data, not a int",
        "odd1 its load_model, or the model's own code, raised SystemExit: 4, which would have ended the process",
        "odd2 its methods raised SystemExit: 4, which would have ended the process",
        "odd3 its executes_code must return a sequence of CodeReason",
        "dead SystemExit: 5 (plug_dead.py, line 1)",
        "['saved', 1, 'predict']",
    ], done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fine", "site"]


def test_the_trace_of_an_error_does_not_grow(site) -> None:
    """One and the same record is raised each time, without the frames of those who asked before."""
    site.install("dead", "dead", "raise OSError('no')")
    registry = site.registry()

    def frames() -> int:
        with pytest.raises(FlavorBroken) as caught:
            registry.get("dead")
        return len(caught.traceback)

    assert frames() == frames() == frames()
    assert "plug_dead" not in sys.modules
