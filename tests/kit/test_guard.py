"""An exception to a check has a reason, is run nevertheless, and is found when it is none any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit_session import HEAD, Session, run_kit

from palate.testing import FlavorContract

CHECK = "test_section_is_small"
LARGE = """
@hookimpl
def save_model(model, path, options):
    return {**write_line(model, path, options), "note": "x" * 20_000}
"""


def run_override(tmp_path: Path, good_line: Path, body: str, *, breaks: bool, bases: str = "OnLine") -> Session:
    """Run one check with an override, for a flavor that keeps it or breaks it."""
    flavor = tmp_path / "wordy.py"
    flavor.write_text(good_line.read_text() + (LARGE if breaks else ""))
    module = f"{HEAD}\n{body}\n\nclass TestWordy({bases}):\n    flavor = 'wordy'\n"
    return run_kit(tmp_path, module, "-rA", f"test_kit.py::TestWordy::{CHECK}", plugins=[flavor])


def _body(*marks: pytest.MarkDecorator) -> object:
    """Return a method with marks; pytest would not put them on a lambda."""

    def override(self: object) -> None: ...

    for mark in marks:
        mark(override)
    return override


@pytest.fixture
def good_line(repository: Path) -> Path:
    """Return the flavor that keeps every promise."""
    return repository / "tests" / "kit" / "line.py"


def override(marks: str, body: str = "pass", name: str = "Declared", base: str = "OnLine") -> str:
    """Return a class with an override of the check."""
    return f"class {name}({base}):\n    {marks}\n    def {CHECK}(self):\n        {body}\n"


@pytest.mark.parametrize(
    "member",
    [
        _body(),
        None,
        _body(pytest.mark.skip(reason="it fails")),
        _body(pytest.mark.xfail),
        _body(pytest.mark.xfail(reason="")),
        _body(pytest.mark.xfail(reason="  ")),
        property(_body()),
    ],
    ids=["plain", "None", "skip", "xfail", "empty reason", "blank reason", "property"],
)
def test_override_without_a_reason_is_refused(member: object) -> None:
    """The class cannot be made, and the message tells the promise and what to write."""
    with pytest.raises(TypeError, match=rf"TestX overrides {CHECK}, .*The section describes .*xfail\(reason='...'\)"):
        type("TestX", (FlavorContract,), {CHECK: member})


def test_override_of_a_mixin_is_refused() -> None:
    """Where the override comes from does not matter."""
    mixin = type("Mixin", (), {CHECK: _body()})
    with pytest.raises(TypeError, match=f"TestX overrides {CHECK}"):
        type("TestX", (mixin, FlavorContract), {})


def test_override_of_a_declared_exception_needs_its_own_reason() -> None:
    """A class below one with a reason does not inherit it for another body."""
    declared = _body(pytest.mark.xfail(reason="it is wordy"))
    parent = type("Parent", (FlavorContract,), {CHECK: declared})
    type("TestHeir", (parent,), {})
    with pytest.raises(TypeError, match=f"TestX overrides {CHECK}"):
        type("TestX", (parent,), {CHECK: _body()})


def test_override_that_would_not_run_is_refused() -> None:
    """run=False would hide that the exception is none any more."""
    with pytest.raises(TypeError, match="the check has to run"):
        type("TestX", (FlavorContract,), {CHECK: _body(pytest.mark.xfail(run=False, reason="slow"))})


@pytest.mark.parametrize("body", ["pass", "raise RuntimeError"])
@pytest.mark.parametrize("bases", ["Declared", "Below"])
@pytest.mark.parametrize(("breaks", "outcome"), [(True, "skipped"), (False, "failed")])
def test_check_is_run_whatever_the_override_does(tmp_path, good_line, body, bases, breaks, outcome) -> None:
    """The kit's check decides, one class below, too: expected to fail, it fails, or is found to pass."""
    text = override('@pytest.mark.xfail(reason="it is wordy")', body) + "\n\nclass Below(Declared):\n    pass\n"
    done = run_override(tmp_path, good_line, text, breaks=breaks, bases=bases)
    assert list(done.outcomes.values()) == [outcome], done.text
    assert ("XPASS(strict)" in done.text) is not breaks
    assert ("it is wordy" in done.text) is True


@pytest.mark.parametrize(
    ("mark", "outcome"),
    [
        ('@pytest.mark.xfail(True, reason="here")', "skipped"),
        ('@pytest.mark.xfail(False, reason="elsewhere")', "failed"),
        ('@pytest.mark.xfail("sys.platform == \'linux\'", reason="here")', "skipped"),
        ('@pytest.mark.xfail(raises=AssertionError, reason="it is wordy")', "skipped"),
        ('@pytest.mark.xfail(raises=KeyError, reason="it is something else")', "failed"),
        ('@pytest.mark.xfail(strict=False, reason="it is wordy")', "skipped"),
    ],
)
def test_conditions_of_an_exception_count(tmp_path, good_line, mark, outcome) -> None:
    """What an xfail says besides of when it holds is kept."""
    done = run_override(tmp_path, good_line, override(mark), breaks=True, bases="Declared")
    assert list(done.outcomes.values()) == [outcome], done.text


def test_exception_is_strict_whatever_it_says(tmp_path, good_line) -> None:
    """strict=False does not hide an exception that is none any more."""
    text = override('@pytest.mark.xfail(strict=False, reason="it was wordy")')
    done = run_override(tmp_path, good_line, text, breaks=False, bases="Declared")
    assert list(done.outcomes.values()) == ["failed"], done.text


def test_exception_keeps_the_marks_of_the_check() -> None:
    """What the kit itself says of a check, such as which warnings count for nothing in it, holds for an exception."""
    check = "test_interrupted_save_leaves_all_or_nothing"
    assert [mark.name for mark in getattr(FlavorContract, check).pytestmark] == ["filterwarnings"]
    declared = type("TestX", (FlavorContract,), {check: _body(pytest.mark.xfail(reason="it is slow"))})
    assert [mark.name for mark in getattr(declared, check).pytestmark] == ["filterwarnings", "xfail"]
    assert [mark.name for mark in getattr(FlavorContract, check).pytestmark] == ["filterwarnings"]


@pytest.mark.parametrize("place", ["class", "module"])
def test_whole_class_is_no_exception(tmp_path, place) -> None:
    """A mark on the class, or on the module, would be a reason for everything."""
    marks = {
        "class": "@pytest.mark.xfail(reason='all')\n",
        "module": "pytestmark = pytest.mark.xfail(reason='all')\n\n",
    }
    done = run_kit(tmp_path, f"{HEAD}\n\n{marks[place]}class TestLine(OnLine):\n    flavor = 'line'\n")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "TestLine is marked xfail as a whole" in done.text


def test_parametrized_fixtures_are_cases_of_their_own(tmp_path) -> None:
    """Each parameter of the model has its own directory, also where an exception is declared."""
    text = f"""
class TestLine(OnLine):
    flavor = "line"

    @pytest.fixture(params=[1.0, 2.0])
    def model(self, request):
        return Line([request.param, 0.0], 0.0)

    @pytest.mark.xfail(reason="not here")
    def {CHECK}(self):
        pass
"""
    done = run_kit(tmp_path, HEAD + text, "-k", f"test_loaded_model_predicts_the_same or test_flavor_writes or {CHECK}")
    assert dict(done.outcomes) == {
        **{f"TestLine::test_loaded_model_predicts_the_same[{weight}]": "passed" for weight in (1.0, 2.0)},
        **{f"TestLine::test_flavor_writes_a_file[{weight}]": "passed" for weight in (1.0, 2.0)},
        **{f"TestLine::{CHECK}[{weight}]": "failed" for weight in (1.0, 2.0)},  # it passes
    }, done.text


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("", "TestLine does not say which flavor it is for"),
        ("flavor = 'liine'", "No installed flavor is called 'liine'"),
    ],
)
def test_missing_flavor_is_named(tmp_path, members, message) -> None:
    """A class without a flavor, or of one that is not there, says so in every check that needs it."""
    done = run_kit(tmp_path, f"{HEAD}\n\nclass TestLine(OnLine):\n    {members or 'pass'}\n", "-k", "methods_survive")
    assert message in done.text
    assert done.outcomes == {"TestLine::test_methods_survive": "error"}


def test_another_plugin_that_is_broken_is_only_a_failure(tmp_path, good_line) -> None:
    """Where every broken plugin is an error, one beside the flavor fails checks in words, and ends no session."""
    broken = tmp_path / "no_licence.py"
    broken.write_text("raise RuntimeError('there is no licence')")
    done = run_kit(
        tmp_path,
        f"{HEAD}\n\nclass TestLine(OnLine):\n    flavor = 'line'\n",
        "-k",
        "plugin_is_active or hook_api",
        plugins=[good_line, broken],
        env={"PALATE_STRICT_PLUGINS": "1"},
    )
    outcomes = {"TestLine::test_plugin_is_active": "error", "TestLine::test_hook_api_is_stated": "passed"}
    assert done.outcomes == outcomes, done.text
    assert "there is no licence" in done.messages["TestLine::test_plugin_is_active"]


ONLY_LOADED = """
LOADED = []

@hookimpl
def load_model(path, config, options):
    line = read_line(path, config, options)
    LOADED.append(path)
    line._number = len(LOADED)
    return line

@hookimpl
def predict(model, data, method):
    if not hasattr(model, "_number"):
        return NotImplemented
    return ask_line(model, {data}, method)
"""


@pytest.mark.parametrize(
    ("data", "outcome"), [("data", "passed"), ("data if len(data) or model._number % 2 else None", "failed")]
)
def test_flavor_that_predicts_only_when_loaded_is_held_against_itself(tmp_path, good_line, data, outcome) -> None:
    """Nothing passes unasked where the original says nothing: two loaded models have to agree, or the check says why
    it asks nothing."""
    flavor = tmp_path / "only_loaded.py"
    flavor.write_text(good_line.read_text() + ONLY_LOADED.format(data=data))
    module = f"{HEAD}\n\nclass TestLoaded(OnLine):\n    flavor = 'only_loaded'\n"
    done = run_kit(tmp_path, module, "-k", "empty_input or leaves_predictions", plugins=[flavor])
    assert done.outcomes == {
        "TestLoaded::test_empty_input_is_answered_alike": outcome,
        "TestLoaded::test_save_leaves_predictions": "skipped",
    }, done.text
    assert "the flavor predicts only with loaded models" in done.messages["TestLoaded::test_save_leaves_predictions"]


def test_missing_fixture_is_named(tmp_path) -> None:
    """A class without a model says which fixture is missing."""
    text = f"{HEAD}\n\nclass TestLine(FlavorContract):\n    flavor = 'line'\n"
    done = run_kit(tmp_path, text, "-k", "methods_survive")
    assert "TestLine has no fixture 'model'" in done.text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("rtol = 0.0", None),
        ("def _refusal(self, *arguments, **options):\n        return None", "changes _refusal"),
        ("@pytest.fixture\n    def saved(self):\n        return None", "changes saved"),
        ("@classmethod\n    def note_of(cls, item):\n        return None", "changes note_of"),
        ("def assert_same(self, *arguments, **options):\n        return None", "changes assert_same"),
    ],
    ids=["own setting", "helper", "fixture", "note", "comparison"],
)
def test_what_the_checks_stand_on_is_not_changed(tmp_path, good_line, body, told) -> None:
    """A class sets what it may, and defines tests of its own; another change of the kit ends the run with its name."""
    module = f"{HEAD}\n\nclass TestWordy(OnLine):\n    {body}\n"
    session = run_kit(tmp_path, module, "--collect-only", plugins=[good_line])
    assert (session.code == 0) is (told is None), session.text
    assert told is None or told in session.text


def test_a_check_that_was_put_in_another_ones_place_is_found(tmp_path, good_line) -> None:
    """Also one that is set after the class was made."""
    module = f"{HEAD}\n\nclass TestWordy(OnLine):\n    ...\n\n\nsetattr(TestWordy, {CHECK!r}, lambda self: None)\n"
    session = run_kit(tmp_path, module, "--collect-only", plugins=[good_line])
    assert f"{CHECK} is not the kit's check" in session.text
