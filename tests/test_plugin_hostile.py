"""Plugins that fail on purpose where nobody looks: in the texts of their errors, in their answers, in their names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from plugin_site import GOOD, PluginSite, plugin_site

import palate
from palate._flavor import Flavor
from palate._plugin_failures import describe_failure
from palate._plugin_sources import LocalFile
from palate._registry import FlavorRegistry
from palate.errors import FlavorBroken, InvalidOption, LoadFailed
from palate.flavors import register_flavor

PATH, CONFIG = Path("model"), {"data": "model.txt"}
SOUND = GOOD.format(package="hostile")

# Of a package that only these flavors own.
MODEL = type("Model", (), {"__module__": "hostile"})()

TEXTLESS = """
class Textless({base}):
    def __str__(self):
        {body}
"""


def given(source: str, name: str = "given") -> ModuleType:
    """Return a module made of *source*."""
    module = ModuleType(name)
    exec(source, vars(module))
    return module


def flavor_of(*lines: str, hook: str) -> Flavor:
    """Return an activated flavor, one of whose hooks has another body."""
    body = "".join(f"    {line}\n" for line in lines)
    plugin = given(f"{SOUND}\n@hookimpl\ndef {hook}():\n{body}")
    registry = FlavorRegistry([])
    registry.register(plugin, "odd")
    return registry.get("odd")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A folder of installed distributions, one of them sound."""
    with plugin_site(tmp_path / "site") as made:
        made.install("good", "fine", GOOD.format(package="fff"))
        yield made


# -- what is told of a failure -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "raise RuntimeError", "return 5", "raise GeneratorExit"])
@pytest.mark.parametrize("base", ["Exception", "BaseException"])
def test_an_error_without_a_text_is_told_by_its_type(site, base, body) -> None:
    """Whether it comes at import, in a hook, or as something that is no Exception: the host goes on."""
    raising = TEXTLESS.format(base=base, body=body) + "raise Textless"
    site.install("bad", "odd", raising)
    registry = site.registry()
    with pytest.raises(FlavorBroken, match=r"Textless \(its text cannot be told: that raises \w+\) \(plug_bad\.py, "):
        registry.get("odd")
    assert registry.get("fine").name == "fine"
    flavor = flavor_of(*raising.splitlines(), hook="methods")
    with pytest.raises(FlavorBroken, match=r"its methods .*Textless \(its text cannot be told"):
        flavor.methods("m")


def test_the_text_of_an_error_is_cut_to_one_line() -> None:
    """Whoever quotes all that it was given fills no screen."""
    told = describe_failure(ValueError("much\nof it " * 10**6))
    assert told.startswith("ValueError: much of it much of it")
    assert told.endswith("…")
    assert len(told) <= 301
    assert "\n" not in told
    assert describe_failure(KeyError()) == "KeyError"
    assert describe_failure(ValueError("é \x1b[31m\udcff")) == r"ValueError: é \x1b[31m\udcff"


def test_a_failure_at_import_says_where(tmp_path) -> None:
    """The innermost line of the plugin's own, not of what it called."""
    file = tmp_path / "keyerr.py"
    file.write_text("import json\n\ndef read():\n    return json.loads(b'{}')['licence']\n\nread()\n")
    with pytest.raises(FlavorBroken, match=r"KeyError: 'licence' \(keyerr\.py, line 4\)\. Hint"):
        FlavorRegistry([LocalFile(str(file))]).get("keyerr")
    file.write_text("import json\njson.loads('')\n")
    with pytest.raises(FlavorBroken, match=r"JSONDecodeError: .* \(keyerr\.py, line 2\)\. Hint"):
        FlavorRegistry([LocalFile(str(file))]).get("keyerr")


@pytest.mark.parametrize("hook", ["save_model", "load_model", "prepare"])
def test_a_save_or_a_load_quotes_no_text_that_fails(tmp_path, hook) -> None:
    """UnsupportedModel and LoadFailed quote what was raised, and are made whatever it is."""
    body = "class T(Exception):\n    def __str__(self): raise SystemExit(3)\n"
    plugin = given(f"{SOUND}\n{body}\n@hookimpl\ndef {hook}(): raise T\n")
    register_flavor(plugin, name=f"textless_{hook}")
    with pytest.raises(palate.errors.PalateError, match=r"T \(its text cannot be told") as caught:
        palate.save_model(MODEL, tmp_path / "m", flavor=f"textless_{hook}", input_example=[1])
    if hook != "save_model":
        task = "prepare" if hook == "prepare" else "load"
        assert isinstance(caught.value, LoadFailed)
        assert f"could not {task} '" in str(caught.value)
        assert "so the file, or the flavor, is at fault" in str(caught.value)


def test_a_file_that_takes_itself_out_tells_its_own_error(tmp_path) -> None:
    """Not that it is missing among the modules."""
    file = tmp_path / "gone.py"
    file.write_text("import sys\ndel sys.modules[__name__]\nraise OSError('no disk')")
    with pytest.raises(FlavorBroken, match="OSError: no disk"):
        FlavorRegistry([LocalFile(str(file))]).get("gone")


def test_the_exit_of_a_generator_at_import_is_the_plugins(tmp_path) -> None:
    """It is nobody's interrupt: no generator of the host's is being closed."""
    file = tmp_path / "gen.py"
    file.write_text("raise GeneratorExit('g')")
    with pytest.raises(FlavorBroken, match="GeneratorExit: g"):
        FlavorRegistry([LocalFile(str(file))]).get("gen")


# -- what cannot be read -----------------------------------------------------------------------------------------------

LISTING = """
from palate.flavors import list_flavors
for r in list_flavors():
    if r.name in ("fine", "odd", "bad", "sklearn"):
        print(r.name, r.distribution, r.status, r.error)
"""


@pytest.mark.parametrize(
    ("entry_points", "reason"),
    [
        (b"[palate.flavors]\nodd\n", "TypeError: "),
        (b"[palate.flavors]\nodd\xff = plug_bad\n", "UnicodeDecodeError: "),
        (b"[console_scripts]\nodd\xff = plug_bad\n", None),
    ],
)
def test_a_damaged_list_of_entry_points_breaks_one_distribution(site, run_python, entry_points, reason) -> None:
    """It is listed if it has plugins; every other distribution's are found as ever."""
    site.install("bad", "odd", SOUND)
    (site.folder / "bad-1.2.dist-info" / "entry_points.txt").write_bytes(entry_points)
    done = run_python(LISTING, env={"PYTHONPATH": str(site.folder)})
    lines = done.stdout.splitlines()
    assert "fine good ok None" in lines, done.stderr
    assert any(line.startswith("sklearn palate-sklearn ok") for line in lines)
    broken = [line for line in lines if line.startswith("bad ")]
    if reason is None:
        assert broken == []
    else:
        assert broken[0].startswith(f"bad bad broken ImportError: its entry_points.txt cannot be read: {reason}")


@pytest.mark.parametrize("line", [b"Author: \xff\xfe\n", b"Name: b\xff\n"])
def test_damaged_metadata_breaks_nobody(site, run_python, line) -> None:
    """A distribution is told by what of it can be read."""
    site.install("bad", "odd", SOUND)
    metadata = b"Metadata-Version: 2.1\n" + (b"" if line.startswith(b"Name") else b"Name: bad\n") + line
    (site.folder / "bad-1.2.dist-info" / "METADATA").write_bytes(metadata + b"Version: 1.2\n")
    done = run_python(LISTING, env={"PYTHONPATH": str(site.folder), "PYTHONIOENCODING": "utf-8"})
    name = "b\ufffd" if line.startswith(b"Name") else "bad"
    assert {"fine good ok None", f"odd {name} ok None"} <= set(done.stdout.splitlines()), done.stderr


def test_a_relative_file_and_no_working_directory(tmp_path, run_python) -> None:
    """The file is broken; the flavors that are installed are there."""
    script = (
        """
import os, sys
os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])
os.environ["PALATE_PLUGINS"] = "odd.py"
"""
        + LISTING
    )
    (tmp_path / "gone").mkdir()
    done = run_python(script, tmp_path / "gone")
    lines = done.stdout.splitlines()
    assert any(line.startswith("odd odd.py broken FileNotFoundError") for line in lines), done.stderr
    assert any(line.startswith("sklearn palate-sklearn ok") for line in lines)


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    """Only regular files are read."""
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(FlavorBroken, match="it is not a regular file"):
        FlavorRegistry([LocalFile(str(tmp_path / "pipe.py"))]).get("pipe")


# -- what is looked at -------------------------------------------------------------------------------------------------

LAZY = [
    "from collections.abc import Sequence",
    "class Lazy(Sequence):",
    "    def __len__(self): raise SystemExit('len')",
    "    def __getitem__(self, at): raise SystemExit('item')",
]


@pytest.mark.parametrize("hook", ["methods", "requirements", "executes_code", "mapped_files", "embedded_types"])
def test_looking_at_an_answer_cannot_end_the_host(hook) -> None:
    """A sequence of the plugin's own runs its code when it is read."""
    flavor = flavor_of(*LAZY, "return Lazy()", hook=hook)
    calls: dict[str, Any] = {
        "methods": lambda: flavor.methods("m"),
        "requirements": lambda: flavor.requirements("m", None),  # type: ignore[arg-type]
        "executes_code": lambda: flavor.executes_code(PATH, CONFIG),
        "mapped_files": lambda: flavor.mapped_files(CONFIG),
        "embedded_types": flavor.embedded_types,
    }
    with pytest.raises(FlavorBroken, match=f"its {hook} raised SystemExit: item"):
        calls[hook]()


def test_an_answer_is_read_once_and_kept() -> None:
    """A sequence that says something else the next time, and a name that compares in its own way, are not kept."""
    lines = [
        "class Name(str):",
        "    __hash__ = str.__hash__",
        "    def __eq__(self, other): raise SystemExit('eq')",
        "return [Name('predict')]",
    ]
    flavor = flavor_of(*lines, hook="methods")
    answer = flavor.methods("m")
    assert answer == ("predict",)
    assert type(answer) is tuple
    assert type(answer[0]) is str


def test_an_answer_that_pretends_a_class_is_the_plugins_failure() -> None:
    """An object may answer even the question for its class by an exit."""
    lines = ["class Proxy:", "    __class__ = property(lambda self: exit(3))", "return Proxy()"]
    with pytest.raises(FlavorBroken, match="its load_model, or the model's own code, raised SystemExit: 3"):
        flavor_of(*lines, hook="load_model").load_model(PATH, CONFIG, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ["SystemExit(9)", "GeneratorExit()"])
def test_an_exit_in_a_coroutine_is_the_flavors_fault(tmp_path, error) -> None:
    """An async predict may end the host no more than an ordinary one, in a loop and without one."""
    source = SOUND + f"\n@hookimpl\nasync def predict(): raise {error}\n"
    name = f"exiting_{error[0].lower()}"
    register_flavor(given(source), name=name)
    palate.save_model(MODEL, tmp_path / "m", flavor=name)
    model = palate.load_model(tmp_path / "m")
    with pytest.raises(FlavorBroken, match=f"its predict, or the model's own code, raised {error.partition('(')[0]}"):
        model.predict(1)
    if error.startswith("System"):
        with pytest.raises(FlavorBroken, match="its predict, or the model's own code, raised SystemExit: 9"):
            asyncio.run(model.apredict(1))


def test_closing_a_coroutine_of_a_prediction_closes_it(tmp_path) -> None:
    """Whoever closes it, such as a loop that ends, sees no error."""
    source = SOUND + ("\nimport asyncio\n@hookimpl\nasync def predict(): await asyncio.sleep(60)\n")
    flavor = FlavorRegistry([])
    flavor.register(given(source), "sleepy")
    made = flavor.get("sleepy")

    async def begin() -> None:
        waiting = made.wait_for(made.predict("m", 1, "predict", {}))  # type: ignore[arg-type]
        waiting.send(None)
        waiting.close()

    asyncio.run(begin())


# -- names and constants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "a\x1b[31mb", "../../etc", "a:b", "-a", ".a", "é", "x" * 101])
def test_a_name_that_cannot_be_spoken_is_refused(name) -> None:
    """It stands in MLmodel, on command lines and in messages."""
    with pytest.raises(InvalidOption, match="a flavor cannot be called"):
        register_flavor(given(SOUND), name=name)


@pytest.mark.parametrize("name", ["my.org-flavor_2", "X", "_x", "x" * 100])
def test_a_name_of_letters_and_marks_is_taken(name) -> None:
    """As MLflow's own and those of others are."""
    registry = FlavorRegistry([])
    registry.register(given(SOUND), name)
    assert registry.names == (name,)


def test_a_file_whose_stem_is_no_name_is_broken(tmp_path) -> None:
    """Its record tells the rule."""
    file = tmp_path / "a b.py"
    file.write_text(SOUND)
    [record] = FlavorRegistry([LocalFile(str(file))]).records()
    assert record.status == "broken"
    assert "a flavor cannot be called 'a b': a name is of a to z" in str(record.error)


def test_an_object_whose_name_exits_has_none() -> None:
    """register_flavor asks it for its name before anything else."""

    class Nameless:
        @property
        def __name__(self) -> str:
            raise SystemExit("name")

    with pytest.raises(InvalidOption, match="there is none to take from this Nameless"):
        register_flavor(Nameless())


@pytest.mark.parametrize(
    ("constant", "reason"),
    [
        ("FORMATS = ('',)", "its FORMATS must be at most 100 names"),
        ("FORMATS = (' ',)", "its FORMATS must be at most 100 names"),
        ("FORMATS = ('a\\x1b[31m',)", "its FORMATS must be at most 100 names"),
        ("FORMATS = tuple(map(str, range(5000)))", "its FORMATS must be at most 100 names"),
        ("FORMATS = (type('Text', (str,), {})('text'),)", "its FORMATS must be a tuple of names"),
        ("HOOK_API = 10**5000", "its HOOK_API is no number of a version, such as 1"),
        (
            "@hookimpl(specname='predict')\ndef other(): return 1",
            "it implements predict twice, as other and as predict",
        ),
    ],
)
def test_what_a_flavor_declares_can_be_read(constant, reason) -> None:
    """The reason is about the constant, not about what failed in looking at it."""
    with pytest.raises(FlavorBroken, match=reason):
        FlavorRegistry([]).register(given(f"{SOUND}\n{constant}\n"), "odd")


def test_a_hook_of_a_class_may_have_another_name() -> None:
    """pluggy's specname= says which hook a function is."""
    hooks = {k: staticmethod(v) for k, v in vars(given(SOUND)).items() if hasattr(v, "palate_impl")}
    source = "from palate.hookspecs import hookimpl\n@hookimpl(specname='predict')\ndef ask(model): return 5\n"
    asked = {"ask": staticmethod(given(source).ask), "FORMATS": ("text",)}
    named = {name: hook for name, hook in hooks.items() if name != "predict"}
    registry = FlavorRegistry([])
    registry.register(type("Plugin", (), {**named, **asked}), "named")
    assert registry.get("named").predict("m", 1, "predict", {}) == 5


# -- tracing -----------------------------------------------------------------------------------------------------------


class Exiting:
    """An object whose attributes exit."""

    def __getattr__(self, name: str) -> object:
        raise SystemExit(name)


class Endless:
    """An object that says to have infinitely many dimensions."""

    dtype = None

    @property
    def shape(self) -> Iterator[int]:
        while True:
            yield 1


class Lengthless(list[int]):
    """A list that has no length."""

    def __len__(self) -> int:
        raise SystemExit("len")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Exiting(), "data=Exiting,"),
        (Endless(), "data=Endless (1, 1, 1, 1, 1, 1, 1, 1, …),"),
        (Lengthless(), "data=Lengthless,"),
    ],
    ids=["exiting", "endless", "lengthless"],
)
def test_tracing_fails_no_call(monkeypatch, capsys, data, told) -> None:
    """Whatever an object answers when it is described, it is told by its type, and the call goes on."""
    monkeypatch.setenv("PALATE_TRACE_HOOKS", "1")
    flavor = flavor_of("return 5", hook="predict")
    assert flavor.predict("m", data, "predict", {}) == 5
    assert told in capsys.readouterr().err


def test_the_front_door_has_flavors(run_python) -> None:
    """As the documentation writes it: palate.flavors, with nothing imported but palate."""
    done = run_python("import sys, palate; assert 'palate.flavors' not in sys.modules; print(palate.flavors.__name__)")
    assert done.stdout.strip() == "palate.flavors", done.stderr
