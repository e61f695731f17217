"""Each hook at work in the toy plugin, which knows only public names and is installed like a stranger's."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import palate
from palate import hookspecs
from palate._code.model_code import ModelCode
from palate._registry import Flavor, FlavorRegistry
from palate.errors import (
    FlavorBroken,
    LoadFailed,
    MethodNotFound,
    SaveFailed,
    UnsafeModel,
    UnsafePath,
    UnsupportedModel,
)
from palate.hookspecs import CarriedCode, LoadOptions, ModelSource, SaveOptions, hookimpl
from palate.matrix import Matrix
from palate.pyfunc import PyFuncModel
from palate.schema import Schema, TensorSpec

X = np.array([0.0, 1.0, 2.0])


@pytest.fixture
def flavor(toy_flavor: str) -> Flavor:
    """Return the toy flavor, found through its installed entry point."""
    return FlavorRegistry().get(toy_flavor)


@pytest.fixture
def line() -> object:
    """Return a trained toy model."""
    from toy_framework import Line

    return Line().fit(X, 2 * X + 1)


def test_every_hook_has_a_test() -> None:
    """A hook that is added is shown at work here."""
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "palate_spec")}
    assert {name.removeprefix("test_hook_") for name in globals() if name.startswith("test_hook_")} == hooks


def test_carried_code_is_what_the_kernel_gives() -> None:
    """What an author may annotate ``options.code`` with has the signatures of what stands there."""
    promised = {
        name: value for name, value in vars(CarriedCode).items() if inspect.isfunction(value) and name[0] != "_"
    }
    assert len(promised) == 6
    for name, method in promised.items():
        assert inspect.signature(method).parameters == inspect.signature(getattr(ModelCode, name)).parameters


def test_hook_save_model(flavor: Flavor, line: object, tmp_path: Path) -> None:
    """The flavor writes its file and returns its section of MLmodel."""
    section = flavor.save_model(line, tmp_path, SaveOptions(format="json"))
    assert section == {"data": "line.json", "serialization_format": "json", "toy_version": flavor.version}
    assert sorted(json.loads((tmp_path / "line.json").read_text())) == ["intercept", "slope"]


def test_hook_load_model(flavor: Flavor, line: object, tmp_path: Path) -> None:
    """The native object comes back; a hostile file or path is refused by a typed error."""
    section = flavor.save_model(line, tmp_path, SaveOptions(format="json"))
    options = LoadOptions(code=ModelCode(None), map_file=lambda name: memoryview((tmp_path / name).read_bytes()))
    loaded = flavor.load_model(tmp_path, section, options)
    assert vars(loaded) == vars(line)
    with pytest.raises(UnsafePath):
        flavor.load_model(tmp_path, {"data": "../line.json"}, options)
    (tmp_path / "line.json").write_text("[]")
    with pytest.raises(UnsafeModel, match=r"line\.json"):
        flavor.load_model(tmp_path, section, options)


def test_hook_predict(flavor: Flavor, line: object) -> None:
    """Each method is called by name, with its params."""
    np.testing.assert_allclose(flavor.predict(line, X, "predict", {"shift": 10.0}), 2 * X + 11)
    np.testing.assert_allclose(flavor.predict(line, 2 * X + 1, "invert", {}), X, atol=1e-12)


class Prepared:
    """A plugin of the toy kind that makes its models ready, and tells what it was asked; it claims no classes."""

    FORMATS = ("json",)

    def __init__(self, plugin: ModuleType) -> None:
        self.made = 0
        self.sources: list[ModelSource | None] = []
        for name in ("save_model", "load_model", "methods", "requirements", "executes_code"):
            setattr(self, name, getattr(plugin, name))

    @hookimpl
    def prepare(self, model: Any, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
        """Return the line as a function."""
        self.made += 1
        assert (path / config["data"]).is_file()
        assert options.extra == {}
        return lambda data: model.predict(data)

    @hookimpl
    def predict(self, model: Any, data: Any, method: str, source: ModelSource | None) -> object:
        """Call what was prepared."""
        self.sources.append(source)
        return model(data)


def test_hook_prepare(toy_flavor: str, line: object, tmp_path: Path) -> None:
    """What a flavor makes ready is made once for each model, and is what predict gets; the native model stays."""
    from toy_framework import Line

    plugin = Prepared(import_module("palate_toy"))
    palate.register_flavor(plugin, name="toy_prepared")
    palate.save_model(line, tmp_path / "model", flavor="toy_prepared", input_example=X)
    assert plugin.made == 2  # for the model that was saved, and for the one that was loaded back
    assert set(plugin.sources) == {None}  # which no caller has asked
    model = palate.load_model(tmp_path / "model")
    for _ in range(3):
        np.testing.assert_allclose(model.predict(X), 2 * X + 1)
    assert plugin.made == 3
    assert type(model.native) is Line
    assert type(palate.load_native(tmp_path / "model")) is Line
    assert plugin.made == 3  # nobody predicts with a native model through the flavor


def test_a_save_prepares_the_original_once(toy_flavor: str, line: object, tmp_path: Path) -> None:
    """Also where the example, as it was given, is held against what it is stored as."""
    plugin = Prepared(import_module("palate_toy"))
    palate.register_flavor(plugin, name="toy_series")
    palate.save_model(line, tmp_path / "model", flavor="toy_series", input_example=pd.Series(X, name="x"))
    assert plugin.made == 2
    # The loaded model by two methods, the original, and the original on the series itself.
    assert len(plugin.sources) == 4


@pytest.mark.parametrize(
    ("failing", "raised", "expected"),
    [
        (1, RuntimeError("no session"), LoadFailed),
        (2, RuntimeError("no session"), UnsupportedModel),
        (2, OSError(28, "No space left on device"), SaveFailed),
        (2, UnsafeModel("line.json", rule="no session"), UnsafeModel),
    ],
)
def test_what_prepare_raises_is_told_by_whose_model_it_is(
    toy_flavor: str, line: object, tmp_path: Path, failing: int, raised: Exception, expected: type[Exception]
) -> None:
    """For a loaded model it is LoadFailed, for the one that is being saved as if ``save_model`` had raised it."""

    class Failing(Prepared):
        @hookimpl
        def prepare(self, model: Any) -> object:
            self.made += 1
            if self.made == failing:
                raise raised
            return model.predict

    name = f"toy_failing_{failing}_{expected.__name__}"
    palate.register_flavor(Failing(import_module("palate_toy")), name=name)
    with pytest.raises(expected) as caught:
        palate.save_model(line, tmp_path / "model", flavor=name, input_example=X)
    assert raised in (caught.value, caught.value.__cause__)
    assert list(tmp_path.iterdir()) == []
    if expected is UnsupportedModel:
        reason = f"the flavor '{name}' failed to prepare it for predictions: RuntimeError: no session"
        assert str(caught.value).startswith(f"Cannot save a Line: {reason}")


def test_predict_is_told_which_model_it_is(toy_flavor: str, line: object, tmp_path: Path) -> None:
    """An observer that traces many models can tell them apart: by URI, directory, digest and id."""
    plugin = Prepared(import_module("palate_toy"))
    palate.register_flavor(plugin, name="toy_observed")
    info = palate.save_model(line, tmp_path / "model", flavor="toy_observed")
    palate.load_model(tmp_path / "model").predict(X)
    [source] = plugin.sources
    expected = (str(tmp_path / "model"), tmp_path / "model", info.digest, info.model_uuid)
    assert source is not None
    assert (source.uri, source.path, source.digest, source.model_uuid) == expected


def test_hook_methods(flavor: Flavor, line: object) -> None:
    """The default method comes first."""
    assert flavor.methods(line) == ("predict", "invert")


class Answering:
    """A plugin of the toy kind over named columns, which says of its models what it was made to say."""

    FORMATS = ("json",)

    def __init__(self, plugin: ModuleType, *, array: Any = True, independent: Any = True) -> None:
        self.answers = {"takes_array": array, "rows_are_independent": independent}
        self.asked: list[tuple[object, ...]] = []
        self.given: list[tuple[object, bool]] = []
        for name in ("save_model", "load_model", "methods", "requirements", "executes_code"):
            setattr(self, name, getattr(plugin, name))

    @hookimpl
    def prepare(self, model: object) -> object:
        """Return the line in a tuple, so that it can be told which of the two a hook is given."""
        return (model,)

    @hookimpl
    def takes_array(self, model: object, method: str, columns: Sequence[str | int]) -> object:
        """Answer, or raise."""
        return self._answer("takes_array", type(model).__name__, method, tuple(columns))

    @hookimpl
    def rows_are_independent(self, model: object, method: str) -> object:
        """Answer, or raise."""
        return self._answer("rows_are_independent", type(model).__name__, method)

    @hookimpl
    def predict(self, model: Any, data: Any, method: str, enforced: bool) -> object:
        """Sum up the rows."""
        self.given.append((data, enforced))
        return np.asarray(data).sum(axis=1) * (1 if method == "predict" else -1)

    def _answer(self, hook: str, *asked: object) -> object:
        self.asked.append((hook, *asked))
        if isinstance(self.answers[hook], BaseException):
            raise self.answers[hook]
        return self.answers[hook]


@pytest.fixture
def answering(toy_flavor: str, line: object, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Any, PyFuncModel]:
    """Return a plugin with the answers that the test asks for, and a model of its flavor."""
    plugin = Answering(import_module("palate_toy"), **getattr(request, "param", {}))
    name = f"toy_answering_{tmp_path.name}"
    palate.register_flavor(plugin, name=name)
    palate.save_model(line, tmp_path / "model", flavor=name, input_example=FRAME)
    model = palate.load_model(tmp_path / "model")
    plugin.asked.clear()
    plugin.given.clear()
    return plugin, model


FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
MATRIX = Matrix(FRAME.to_numpy(), ("a", "b"))


def test_hook_takes_array(answering: tuple[Any, PyFuncModel]) -> None:
    """Asked with what was prepared and the columns, before each prediction from a Matrix; yes means that very array."""
    plugin, model = answering
    assert model.fits(MATRIX)
    np.testing.assert_array_equal(model.predict(MATRIX), [4.0, 6.0])
    np.testing.assert_array_equal(model.invert(MATRIX), [-4.0, -6.0])
    assert plugin.asked == [
        ("takes_array", "tuple", "predict", ("a", "b")),
        ("takes_array", "tuple", "invert", ("a", "b")),
    ]
    assert [(data is MATRIX.values, enforced) for data, enforced in plugin.given] == [(True, True)] * 2
    model.predict(FRAME)
    assert len(plugin.asked) == 2  # a DataFrame is no Matrix


@pytest.mark.parametrize("answering", [{"array": False}], indirect=True)
def test_without_takes_array_the_table_is_given(answering: tuple[Any, PyFuncModel]) -> None:
    """No means a DataFrame that shares the array's memory, with the columns' names."""
    plugin, model = answering
    np.testing.assert_array_equal(model.predict(MATRIX), [4.0, 6.0])
    [(data, enforced)] = plugin.given
    assert list(data.columns) == ["a", "b"]
    assert np.shares_memory(data.to_numpy(), MATRIX.values)
    assert enforced


def test_hook_rows_are_independent(answering: tuple[Any, PyFuncModel], flavor: Flavor, line: object) -> None:
    """Asked with the native model and a method; a flavor without the hook says yes of each."""
    plugin, model = answering
    plugin.answers["rows_are_independent"] = False
    assert model.rows_are_independent("invert") is False
    assert plugin.asked == [("rows_are_independent", "Line", "invert")]
    assert "rows_are_independent" not in flavor.hooks
    assert flavor.rows_are_independent(line, "predict") is True
    with pytest.raises(MethodNotFound):
        model.rows_are_independent("transform")


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        ({"array": 1, "independent": 1}, "must return True or False, not a int"),
        ({"array": None, "independent": None}, "must return True or False, not a NoneType"),
        ({"array": np.True_, "independent": np.True_}, "must return True or False, not a bool"),
        ({"array": KeyError("a"), "independent": KeyError("a")}, "failed: KeyError: 'a'"),
        ({"array": SystemExit(3), "independent": SystemExit(3)}, "raised SystemExit: 3, which would have ended"),
    ],
    indirect=["answering"],
)
def test_what_a_flavor_says_of_rows_and_arrays_is_checked(
    answering: tuple[Any, PyFuncModel], message: str, request: pytest.FixtureRequest
) -> None:
    """Any other answer than True or False, and any failure, is that of the flavor, which is named."""
    _, model = answering
    for ask in (lambda: model.predict(MATRIX), lambda: model.rows_are_independent("predict")):
        with pytest.raises(FlavorBroken, match=f"'{model.flavor}'.*{re.escape(message)}"):
            ask()


def test_a_model_tells_whether_the_process_may_fork(answering: tuple[Any, PyFuncModel], toy_flavor: str) -> None:
    """Yes unless the flavor's constant says no; ``inspect_model`` says it before anything is loaded."""
    _, model = answering
    assert model.fork_after_load is True
    assert palate.inspect_model(model.path).fork_after_load is True


def test_hook_requirements(flavor: Flavor, line: object) -> None:
    """The flavor pins what loading needs."""
    assert flavor.requirements(line, SaveOptions(format="json")) == (f"palate-toy=={flavor.version}",)


def test_hook_guarantees(flavor: Flavor, tmp_path: Path) -> None:
    """The flavor says what holds for a stranger's directory."""
    stated = flavor.guarantees(tmp_path, {})
    assert stated is not None
    assert (stated.no_code, stated.memory_safe, stated.bounded, stated.exceptions) == (True, True, True, ())


def test_hook_embedded_types(toy_flavor: str) -> None:
    """The registry finds the type by its full name; its check names the rule that attributes break."""
    registry = FlavorRegistry()
    line = registry.embedded_type("toy_framework.Line")
    assert line is not None
    assert line.check({"slope": 1.0, "intercept": 2.0}) is None
    assert line.check({"slope": ..., "intercept": 2.0}) == "it must be two numbers, slope and intercept"
    assert registry.embedded_type("toy_framework.Other") is None
    assert registry.embedded_type("os.system") is None


def test_hook_mapped_files(flavor: Flavor, line: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that it names is read out of a model in one file, where an empty one stands for it."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    assert flavor.mapped_files({"data": "line.json"}) == ("line.json",)
    palate.save_model(line, tmp_path / "m.palate", flavor="toy")
    loaded = palate.load_model(tmp_path / "m.palate")
    assert (loaded.path / "line.json").read_bytes() == b""
    assert vars(loaded.native) == vars(line)


def test_hook_executes_code(flavor: Flavor, tmp_path: Path) -> None:
    """Two numbers run nothing."""
    assert flavor.executes_code(tmp_path, {}) == ()


def test_hook_infer_input_schema(flavor: Flavor, line: object) -> None:
    """The model knows its input without an example."""
    assert flavor.infer_input_schema(line) == Schema((TensorSpec(dtype="float64", shape=(-1,)),))


def test_hook_pyfunc_section(flavor: Flavor) -> None:
    """A flavor without this hook gets a loader of Palate's, which stock MLflow imports."""
    assert flavor.pyfunc_section({"data": "line.json"}) == {"loader_module": "palate.mlflow_loader"}


def test_hook_sample_models(flavor: Flavor) -> None:
    """The samples are trained models with input that they predict on."""
    for sample in flavor.sample_models().values():
        assert len(flavor.predict(sample.model, sample.sample, "predict", {})) == len(sample.sample)


def test_stranger_is_discovered(flavor: Flavor, line: object) -> None:
    """An installed plugin owns the classes of its framework, and is listed with its distribution."""
    registry = FlavorRegistry()
    assert registry.owner_of(line).name == "toy"
    [record] = [record for record in registry.records() if record.name == "toy"]
    assert (record.distribution, record.status, record.packages) == ("palate-toy", "ok", ("toy_framework",))


def test_stranger_takes_the_whole_way(toy_flavor: str, line: object, tmp_path: Path) -> None:
    """Saved, proved, loaded in the safe default and predicting, with no help from the core."""
    from palate.loading import load_model
    from palate.saving import save_model

    save_model(line, tmp_path / "model", input_example=X)
    model = load_model(tmp_path / "model")
    np.testing.assert_allclose(model.predict(X), 2 * X + 1)
    np.testing.assert_allclose(model.invert(2 * X + 1), X, atol=1e-12)
