"""The python_function flavor through its hooks: what can be saved, how it opens, and what is refused."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import palate
from palate import _python_function as flavor
from palate._code.model_code import ModelCode
from palate._code.python_model import PythonModel
from palate.errors import (
    InvalidModelFile,
    InvalidOption,
    LoadFailed,
    ModelChanged,
    UnsafeModel,
    UnsafePath,
    UnsupportedModel,
)
from palate.hookspecs import LoadOptions, SaveOptions

MODELS = Path(__file__).parent / "data" / "mlflow_models"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}.0"


def save(model, path, **options):
    """Save through the hook, which is given paths as text."""
    path.mkdir(parents=True, exist_ok=True)
    model = str(model) if isinstance(model, Path) else model
    return flavor.save_model(model=model, path=path, options=SaveOptions(format="cloudpickle", extra=options))


def load(path, section, *, trust=True, **options):
    """Load through the hook, as palate.load_model does."""
    code = ModelCode(path / "code" if section.get("code") or (path / "code").is_dir() else None)
    return flavor.load_model(path, section, LoadOptions(trust=trust, code=code, extra=options))


def there_and_back(model, path, **options):
    """Save and load."""
    return load(path, save(model, path, **options))


def call(loaded, data, **params):
    """Predict through the hook."""
    return flavor.predict(loaded, data, "predict", params)


def local_class(body: str, name: str = "Model"):
    """Make a class as a notebook would: it belongs to no importable module, so it is carried."""
    space = {"__name__": "__main__", "PythonModel": PythonModel, "pd": pd, "np": np}
    exec(textwrap.dedent(body), space)
    return space[name]


SIMPLE = """
class Model(PythonModel):
    def __init__(self, offset=1): self.offset = offset
    def predict(self, model_input): return model_input + self.offset
"""


# -- what can be saved -------------------------------------------------------------------------------------------------


def test_python_model(tmp_path) -> None:
    """An instance comes back with its state, and the section is the one that MLflow writes."""
    section = save(local_class(SIMPLE)(5), tmp_path)
    assert section.pop("cloudpickle_version")
    assert section == {
        "loader_module": "mlflow.pyfunc.model",
        "python_model": "python_model.pkl",
        "streamable": False,
    }
    loaded = load(tmp_path, section)
    assert call(loaded, np.array([1, 2])).tolist() == [6, 7]
    assert loaded.model.offset == 5


def add_one(data: list[int]) -> list[int]:
    """Add one to each."""
    return [item + 1 for item in data]


@pytest.mark.parametrize(
    ("function", "data", "expected"),
    [
        (lambda data: data * 2, 4, 8),
        (functools.partial(lambda k, data: data * k, 3), 4, 12),
        (len, [1, 2], 2),
        (functools.partial(max, key=len), ["a", "bbb"], "bbb"),
        ("abc".count, "b", 1),
    ],
)
def test_functions(function, data, expected, tmp_path) -> None:
    """Lambdas, partials, builtins and bound methods are models of one argument."""
    loaded = there_and_back(function, tmp_path)
    assert call(loaded, data) == expected
    assert flavor.methods(loaded) == ("predict",)


def test_params_reach_only_what_takes_them(tmp_path) -> None:
    """A model without params is called without; one with params gets None when there are none, as from MLflow."""
    loaded = there_and_back(lambda data, params: params, tmp_path)
    assert call(loaded, 1, k=2) == {"k": 2}
    assert call(loaded, 1) is None
    assert call(there_and_back(lambda data: data, tmp_path / "b"), 1, k=2) == 1


def test_context_and_load_context(tmp_path) -> None:
    """load_context runs once, with the artifacts' paths and the configuration."""
    body = """
    import pathlib
    class Model(PythonModel):
        def load_context(self, context):
            self.text = pathlib.Path(context.artifacts["note"]).read_text()
        def predict(self, context, model_input, params=None):
            return [self.text, context.model_config["k"], sorted(context.artifacts)]
    """
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    model = local_class(body)()
    artifacts = {"note": tmp_path / "note.txt", "tree": (tmp_path / "tree").as_uri()}
    section = save(model, tmp_path / "m", artifacts=artifacts, model_config={"k": 1})
    assert section["artifacts"]["note"] == {"path": "artifacts/note.txt", "uri": "artifacts/note.txt"}
    assert str(tmp_path) not in json.dumps(section)
    assert call(load(tmp_path / "m", section), None) == ["hello", 1, ["note", "tree"]]
    assert (tmp_path / "m" / "artifacts" / "tree" / "deep").is_dir()


def test_artifact_names_collide(tmp_path) -> None:
    """Artifacts with one base name, whatever its case, each keep their content."""
    places = {}
    for folder, name in (("a", "w.bin"), ("b", "w.bin"), ("c", "W.BIN"), ("d", "0")):
        (tmp_path / folder).mkdir()
        places[folder] = tmp_path / folder / name
        places[folder].write_text(folder)
    body = "class Model(PythonModel):\n    def predict(self, context, x): return context.artifacts\n"
    section = save(local_class(body)(), tmp_path / "m", artifacts=places)
    found = call(load(tmp_path / "m", section), None)
    assert {name: Path(path).read_text() for name, path in found.items()} == {k: k for k in "abcd"}
    assert section["artifacts"]["b"]["path"] == "artifacts/1/w.bin"


def test_streams(tmp_path) -> None:
    """A model that defines predict_stream answers to it and says so to MLflow."""
    body = """
    class Model(PythonModel):
        def predict(self, model_input): return 0
        def predict_stream(self, context, model_input, params=None): yield from model_input
    """
    model = local_class(body)()
    assert flavor.methods(model) == ("predict", "predict_stream")
    section = save(model, tmp_path)
    assert section["streamable"] is True
    loaded = load(tmp_path, section)
    assert list(flavor.predict(loaded, [1, 2], "predict_stream", {})) == [1, 2]


def test_type_hints_become_the_signature(tmp_path) -> None:
    """A function's hints declare inputs and outputs; a frame is converted for it."""
    signature = flavor.infer_input_schema(add_one)
    assert signature.from_type_hints
    assert [c.type for c in signature.inputs] == ["long"]
    assert [c.type for c in signature.outputs] == ["long"]
    body = "class Model(PythonModel):\n    def predict(self, context, model_input: list[str]): return model_input\n"
    model = local_class(body)()
    assert [c.type for c in flavor.infer_input_schema(model).inputs] == ["string"]
    loaded = there_and_back(model, tmp_path)
    assert call(loaded, pd.DataFrame({"x": ["a"]})) == ["a"]
    assert flavor.infer_input_schema(loaded).inputs == flavor.infer_input_schema(model).inputs
    assert flavor.infer_input_schema(lambda x: x) is None
    assert flavor.infer_input_schema("model.py") is None


def test_a_loaded_model_can_be_saved_again(tmp_path) -> None:
    """What was loaded, ours or MLflow's, is written as what it holds and needs no name of Palate's."""
    first = there_and_back(local_class(SIMPLE)(5), tmp_path / "a")
    assert call(there_and_back(first, tmp_path / "b"), 1) == 6
    # Pickles of stock MLflow, written by the only Python that can run their functions.
    for name in ("pyf_class_nosig", "pyf_function_with_signature") if sys.version_info[:2] == (3, 11) else ():
        section = yaml.safe_load((MODELS / name / "model" / "MLmodel").read_text())["flavors"]["python_function"]
        loaded = load(MODELS / name / "model", section)
        again = there_and_back(loaded, tmp_path / name)
        data = pickle.loads((MODELS / name / "input.pkl").read_bytes())
        pd.testing.assert_frame_equal(pd.DataFrame(call(again, data)), pd.DataFrame(call(loaded, data)))


def test_the_pickle_needs_no_palate(tmp_path) -> None:
    """No name of Palate's stands in a pickle, also not with type hints: stock MLflow opens it."""
    from palate._code.pickles import pickle_modules

    hinted = "class Model(PythonModel):\n    def predict(self, context, model_input: list[str]): return model_input\n"
    for number, model in enumerate((local_class(SIMPLE)(), local_class(hinted)(), lambda x: x)):
        save(model, tmp_path / str(number))
        modules = pickle_modules(tmp_path / str(number) / "python_model.pkl")
        assert not [name for name in modules if name.startswith("palate")]
    import cloudpickle

    assert not cloudpickle.list_registry_pickle_by_value()


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma"])
def test_compression(compression, tmp_path) -> None:
    """A pickle can be compressed the ways MLflow knows, with the suffixes that it uses."""
    section = save(local_class(SIMPLE)(), tmp_path, compression=compression)
    assert section["python_model_compression"] == compression
    assert (tmp_path / section["python_model"]).suffix in (".gz", ".bz2", ".xz")
    assert call(load(tmp_path, section), 1) == 2


class Nothing:
    """Not a model."""


class OnlyBase(PythonModel):
    """Defines no predict."""


async def awaited(data):
    """Cannot be called like a function."""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Nothing(), "subclass palate.PythonModel"),
        (PythonModel, "save an instance"),
        (OnlyBase(), "define predict"),
        (awaited, "plain function"),
        (lambda a, b: 0, "needs a, b"),
        (lambda: 0, "takes no argument"),
        (None, "loader_module="),
        ("nowhere.py", "no such file"),
        ("notes.txt", "not a .py file"),
        (functools.partial(lambda a, b: 0), "takes the data alone"),
    ],
)
def test_what_cannot_be_saved(model, words, tmp_path) -> None:
    """Each refusal says what to do instead."""
    with pytest.raises(UnsupportedModel, match=words):
        save(model, tmp_path)


def test_what_cannot_be_pickled(tmp_path) -> None:
    """A model with an open connection in it is refused with the way out."""
    body = (
        "import threading\nclass Model(PythonModel):\n    lock = threading.Lock()\n    def predict(self, x): return x\n"
    )
    with pytest.raises(UnsupportedModel, match="load_context"):
        save(local_class(body)(), tmp_path)


def test_code_that_only_this_machine_has(tmp_path, monkeypatch) -> None:
    """A class of a module that is not installed is opened from the model's code/, beside the one at hand."""
    source = "from palate import PythonModel\nclass Model(PythonModel):\n    def predict(self, x): return x\n"
    (tmp_path / "my_project_x.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_project_x

    model = my_project_x.Model()
    (tmp_path / "b" / "code").mkdir(parents=True)
    (tmp_path / "b" / "code" / "my_project_x.py").write_text(source)
    section = save(model, tmp_path / "b")
    del sys.modules["my_project_x"]
    loaded = load(tmp_path / "b", section)
    assert call(loaded, 3) == 3
    assert type(loaded.model) is not type(model)
    assert "my_project_x" not in sys.modules


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"artifacts": {"a": "/nowhere/at/all"}}, "nothing|no file"),
        ({"artifacts": {"a": "s3://bucket/key"}}, "not on this machine"),
        ({"artifacts": {"a": 5}}, "given no path"),
        ({"artifacts": {"": "x"}}, "not a name"),
        ({"artifacts": ["x"]}, "not a dict"),
        ({"model_config": {"a": object()}}, "model_config"),
        ({"model_config": [1]}, "not a dict"),
        ({"compression": "zip"}, "gzip"),
        ({"data_path": "x"}, "loader_module="),
    ],
)
def test_options_that_do_not_work(options, words, tmp_path) -> None:
    """Each is named, with what would work."""
    with pytest.raises(InvalidOption, match=words):
        save(local_class(SIMPLE)(), tmp_path, **options)


# -- models from code --------------------------------------------------------------------------------------------------


def write_file(path: Path, text: str) -> Path:
    """Write a source file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


FROM_CODE = """
from palate._code.model_slot import set_model
from palate._code.python_model import PythonModel
class Model(PythonModel):
    def predict(self, model_input): return [word + "!" for word in model_input]
set_model(Model())
"""


def test_models_from_code(tmp_path) -> None:
    """The file is copied and run; MLmodel names it without the machine's path."""
    file = write_file(tmp_path / "src" / "my model.py", FROM_CODE)
    section = save(str(file), tmp_path / "m")
    assert section["model_code_path"] == "my model.py"
    loaded = load(tmp_path / "m", {**section, "model_code_path": r"C:\somewhere\else\my model.py"})
    assert call(loaded, ["a"]) == ["a!"]
    assert flavor.requirements(str(file)) == ()


def test_a_file_that_sets_a_function(tmp_path) -> None:
    """A function is a model too."""
    file = write_file(tmp_path / "f.py", "from palate._code.model_slot import set_model\nset_model(len)\n")
    assert call(there_and_back(file, tmp_path / "m"), "abc") == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "never calls palate.set_model"),
        ("from palate._code.model_slot import set_model\nset_model(5)", "neither a PythonModel"),
        ("from palate._code.model_slot import set_model\nset_model(dict)", "neither a PythonModel"),
    ],
)
def test_a_file_that_sets_no_model(text, words, tmp_path) -> None:
    """It is an error that names the file; the model of a file loaded before is never returned."""
    assert there_and_back(write_file(tmp_path / "good.py", FROM_CODE), tmp_path / "a")
    with pytest.raises(InvalidModelFile, match=f"bad.py.*{words}"):
        there_and_back(write_file(tmp_path / "bad.py", text), tmp_path / "b")


def test_errors_of_user_code_are_passed_on(tmp_path) -> None:
    """What a file, load_context or predict raises arrives as it is."""
    with pytest.raises(ZeroDivisionError):
        there_and_back(write_file(tmp_path / "f.py", "1 / 0"), tmp_path / "a")
    body = "class Model(PythonModel):\n    def load_context(self, context): {}['k']\n    def predict(self, x): 1 / 0\n"
    with pytest.raises(KeyError, match="k"):
        there_and_back(local_class(body)(), tmp_path / "b")
    body = "class Model(PythonModel):\n    def predict(self, x): 1 / 0\n"
    with pytest.raises(ZeroDivisionError):
        call(there_and_back(local_class(body)(), tmp_path / "c"), 1)


# -- loader modules ----------------------------------------------------------------------------------------------------

LOADER = """
import os
class Made:
    def __init__(self, path, config): self.path, self.config = path, config
    def predict(self, data): return [os.path.basename(self.path), self.config, data]
    def again(self, data, params=None): return params
def _load_pyfunc(path, model_config=None): return Made(path, model_config)
"""


def test_loader_modules(tmp_path) -> None:
    """A module from code/ opens the data; the configuration is passed only when there is one."""
    write_file(tmp_path / "m" / "code" / "my_loader_x.py", LOADER)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.txt").write_text("1")
    section = save(None, tmp_path / "m", loader_module="my_loader_x", data_path=tmp_path / "weights")
    assert section == {"loader_module": "my_loader_x", "streamable": False, "data": "data/weights"}
    assert call(load(tmp_path / "m", section), 7) == ["weights", None, 7]
    with_config = {**section, "config": {"k": 1}}
    assert call(load(tmp_path / "m", with_config, model_config={"k": 2}), 7)[1] == {"k": 2}
    del section["data"]
    assert call(load(tmp_path / "m", section), 7)[0] == "m"
    assert call(load(tmp_path / "m", {**section, "predict_fn": "again"}), 7, z=1) == {"z": 1}
    assert flavor.requirements(None) == ()


@pytest.mark.parametrize("name", ["nowhere_x", "os.", "a b", 5])
def test_loader_modules_that_cannot_be(name, tmp_path) -> None:
    """A loader that would not be found elsewhere is refused at save."""
    with pytest.raises(InvalidOption, match="loader_module"):
        save(None, tmp_path, loader_module=name)


@pytest.mark.parametrize(
    ("loader", "words"),
    [("os", "no function _load_pyfunc"), ("", "must name"), (".x", "must name"), (None, "must name")],
)
def test_loader_modules_that_are_none(loader, words, tmp_path) -> None:
    """With trust, a loader_module that is no loader is an error of MLmodel."""
    with pytest.raises(InvalidModelFile, match=words):
        load(tmp_path, {"loader_module": loader})


def test_a_loader_that_returns_nonsense(tmp_path) -> None:
    """What cannot predict is refused, naming the loader."""
    write_file(tmp_path / "code" / "bad_loader_x.py", "def _load_pyfunc(path): return 5")
    with pytest.raises(InvalidModelFile, match=r"bad_loader_x.*int without predict"):
        load(tmp_path, {"loader_module": "bad_loader_x"})


# -- opening -----------------------------------------------------------------------------------------------------------


def test_nothing_runs_without_trust(tmp_path) -> None:
    """The hook itself refuses, naming the file, and no byte of the pickle is executed."""
    marker = tmp_path / "marker"
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps(functools.partial(os.mkdir, str(marker))))
    section = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    with pytest.raises(UnsafeModel, match=r"python_model\.pkl.*trust=True"):
        load(tmp_path, section, trust=False)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ({"loader_module": "mlflow.pyfunc.model", "python_model": "p.pkl"}, ["p.pkl"]),
        (
            {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": "/x/y.py", "code": "code"},
            ["y.py", "code/"],
        ),
        ({"loader_module": "mine", "code": "code"}, ["code/mine.py", "code/"]),
        ({"loader_module": "os"}, ["MLmodel"]),
        ({"loader_module": 5, "code": 7}, ["MLmodel", "7/"]),
        ({}, ["MLmodel"]),
        ({"loader_module": "mlflow.pyfunc.model"}, ["python_model.pkl"]),
    ],
)
def test_reasons(config, files, tmp_path) -> None:
    """Every directory of this flavor runs code, and each file that would is named, whatever MLmodel says."""
    write_file(tmp_path / "code" / "mine.py", "raise SystemExit('was run')")
    assert [reason.file for reason in flavor.executes_code(tmp_path, config)] == files


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"python_model": "../outside.pkl"}, UnsafePath),
        ({"python_model": "/etc/passwd"}, UnsafePath),
        ({"python_model": 5}, UnsafePath),
        ({"python_model": "missing.pkl"}, ModelChanged),
        ({"python_model": None}, InvalidModelFile),
        ({"python_model_compression": "zip"}, InvalidModelFile),
        ({"python_model_compression": ["gzip"]}, InvalidModelFile),
        ({"artifacts": {"a": {"path": "../../etc/passwd"}}}, UnsafePath),
        ({"artifacts": {"a": "x"}}, UnsafePath),
        ({"artifacts": ["a"]}, InvalidModelFile),
        ({"config": [1]}, InvalidModelFile),
        ({"model_code_path": "../x.py"}, ModelChanged),
        ({"model_code_path": ".."}, UnsafePath),
    ],
)
def test_hostile_sections(changes, error, tmp_path) -> None:
    """Paths that leave the directory and values of the wrong kind are typed errors, with trust too."""
    section = save(local_class(SIMPLE)(), tmp_path / "m")
    (tmp_path / "outside.pkl").write_bytes((tmp_path / "m" / "python_model.pkl").read_bytes())
    with pytest.raises(error):
        load(tmp_path / "m", {**section, **changes})


def test_model_config_is_overridden_by_known_keys_only(tmp_path) -> None:
    """MLflow drops an unknown key silently; here it is refused, naming the known ones."""
    body = "class Model(PythonModel):\n    def predict(self, context, x): return context.model_config\n"
    (tmp_path / "config.yaml").write_text("a: 10\n")
    section = save(local_class(body)(), tmp_path / "m", model_config={"a": 1, "b": {"c": 2}})
    for given in ({"a": 10}, tmp_path / "config.yaml", str(tmp_path / "config.yaml")):
        assert call(load(tmp_path / "m", section, model_config=given), None) == {"a": 10, "b": {"c": 2}}
    assert section["config"] == {"a": 1, "b": {"c": 2}}
    with pytest.raises(InvalidOption, match=r"knows no z.*: a, b"):
        load(tmp_path / "m", section, model_config={"z": 1})


def test_byte_code_of_another_python_is_not_run(tmp_path) -> None:
    """Functions compiled elsewhere can crash the interpreter: they are refused before anything is unpickled."""
    section = {**save(local_class(SIMPLE)(), tmp_path), "python_version": "3.4.1"}
    with pytest.raises(UnsafeModel, match=r"byte code of Python 3\.4\.1.*open it with Python 3\.4"):
        load(tmp_path, section)
    assert call(load(tmp_path, {**section, "python_version": VERSION}), 1) == 2


def test_a_pickle_without_functions_opens_on_any_python(tmp_path) -> None:
    """Only carried functions are tied to a Python version."""
    section = {**save(functools.partial(max, 3), tmp_path), "python_version": VERSION}
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps(functools.partial(max, 3)))
    loaded = load(tmp_path, {**section, "python_version": "3.4.1"})
    assert call(loaded, 5) == 5


def test_a_pickle_that_cannot_be_read(tmp_path) -> None:
    """The error names the model, the cause, and what differs here from where it was saved."""
    model = tmp_path / "model"
    palate.save_model(add_one, model)
    next(model.glob("*.pkl")).write_bytes(b"cnot_installed_x.deep\nThing\n.")
    document = yaml.safe_load((model / "MLmodel").read_text())
    document["flavors"]["python_function"]["cloudpickle_version"] = "0.1"
    (model / "MLmodel").write_text(yaml.safe_dump(document))
    (model / "requirements.txt").write_text("cloudpickle\n")
    palate.accept_changes(model)
    told = r"model'.*No module named 'not_installed_x'.*cloudpickle==0\.1 \(which saved it\) is required, "
    with pytest.raises(LoadFailed, match=told):
        palate.load_model(model, trust=True)


def test_an_unloaded_model_does_not_predict(tmp_path) -> None:
    """What is being saved has seen neither artifacts nor load_context."""
    assert flavor.predict(add_one, [1], "predict", {}) is NotImplemented


def test_load_context_may_read_pickles_of_the_models_classes(tmp_path) -> None:
    """Libraries that load_context calls find the classes of code/ by name; joblib is the second of these."""
    root = tmp_path / "m"
    write_file(root / "code" / "my_parts_x.py", "class Part:\n    value = 3\n")
    artifact = tmp_path / "part.pkl"
    artifact.write_bytes(b"cmy_parts_x\nPart\n)\x81.")
    body = """
    import pickle
    class Model(PythonModel):
        def load_context(self, context):
            with open(context.artifacts["part"], "rb") as file:
                self.part = pickle.load(file)
            with open(context.artifacts["part"], "rb") as file:
                self.same = pickle._Unpickler(file).load()
        def predict(self, x): return [self.part.value, type(self.part) is type(self.same)]
    """
    section = save(local_class(body)(), root, artifacts={"part": artifact})
    assert call(load(root, section), None) == [3, True]


# -- directories of stock MLflow ---------------------------------------------------------------------------------------

BLOCKED = """
import pickle, sys, yaml
from pathlib import Path

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Block())
import numpy as np
import pandas as pd
import palate
from palate import _python_function as flavor
from palate._code.model_code import ModelCode
from palate.hookspecs import LoadOptions

def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    if isinstance(a, (np.ndarray, pd.Series)):
        return type(a) is type(b) and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and a == b

for name in sys.argv[1:]:
    model = Path(name) / "model"
    document = yaml.safe_load((model / "MLmodel").read_text())
    section = document["flavors"]["python_function"]
    code = ModelCode(model / section["code"] if section.get("code") else None)
    loaded = flavor.load_model(model, section, LoadOptions(trust=True, code=code))
    data = pickle.loads((Path(name) / "input.pkl").read_bytes())
    inputs = yaml.safe_load((document.get("signature") or {}).get("inputs") or "[]")
    names = [column["name"] for column in inputs if "name" in column]
    if isinstance(data, pd.DataFrame) and names:
        data = data[[n for n in names if n in data]]
    expected = pickle.loads((Path(name) / "output.pkl").read_bytes())
    given = flavor.predict(loaded, data, "predict", {})
    assert same(given, expected), (name, given, expected)
    left = [m for m in sys.modules if m.startswith(("mlflow", "pkgcode", "my_loader", "model_code"))]
    assert not left, left
print("all the same")
"""


def test_directories_of_stock_mlflow_open_without_mlflow() -> None:
    """Every kind that MLflow writes predicts what MLflow predicted, in a process where mlflow cannot be imported."""
    names = [d for d in sorted(MODELS.iterdir()) if d.name.startswith(("pyf_", "sig_", "ex_"))]
    if sys.version_info[:2] != (3, 11):  # what wrote them; cloudpickle's functions are tied to it
        names = [d for d in names if not (d / "model" / "python_model.pkl").exists()]
    elif importlib.util.find_spec("pydantic") is None:
        names = [d for d in names if "pydantic" not in d.name]
    assert len(names) >= 2
    done = subprocess.run([sys.executable, "-c", BLOCKED, *names], capture_output=True, text=True)
    assert done.stdout.strip() == "all the same", done.stderr
    assert not list(MODELS.rglob("__pycache__"))


def test_records_are_judged_by_the_models_own_class(tmp_path) -> None:
    """Fields with defaults may be left out; what pydantic refuses is InvalidInput, without the caller's values."""
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model("Item", name=(str, ...), qty=(int, 1), tags=(list[str], []))

    def describe(items):
        return [f"{item.name} {item.qty} {item.tags}" for item in items]

    describe.__annotations__ = {"items": list[item], "return": list[str]}
    palate.save_model(describe, tmp_path / "m", input_example=[item(name="a")])
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.predict([{"name": "z"}, {"name": "y", "qty": 2, "other": 1}]) == ["z 1 []", "y 2 []"]
    for record in ({"qty": 2}, {"zz": 1}, {1: 2}):
        with pytest.raises(palate.errors.InvalidInput):
            model.predict([record])
    with pytest.raises(palate.errors.InvalidInput) as caught:
        model.predict([{"qty": 2}])
    assert [problem.where for problem in caught.value.problems] == [("inputs", "name")]


def test_records_of_typed_dicts_and_dataclasses_need_their_keys(tmp_path) -> None:
    """NotRequired keys and defaults may be left out, needed keys and None for what is no option may not."""
    (tmp_path / "records_z.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, typing\n"
        "class Rec(typing.TypedDict):\n    a: int\n    b: typing.NotRequired[int]\n"
        "@dataclasses.dataclass\nclass P:\n    x: int\n    y: int = 3\n"
        "def keys(rows: list[Rec]) -> list[int]:\n    return [len(row) for row in rows]\n"
        "def sums(rows: list[P]) -> list[int]:\n    return [row.x + row.y for row in rows]\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import records_z
    finally:
        sys.path.remove(str(tmp_path))
    code = [tmp_path / "records_z.py"]
    palate.save_model(records_z.keys, tmp_path / "keys", code_paths=code)
    palate.save_model(records_z.sums, tmp_path / "sums", code_paths=code)
    keys, sums = (palate.load_model(tmp_path / name, trust=True) for name in ("keys", "sums"))
    assert keys.predict([{"a": 1}, {"a": 1, "b": 2}]) == [1, 2]
    assert sums.predict([{"x": 1}, {"x": 1, "y": 1}]) == [4, 2]
    for model, record in ((keys, {"b": 1}), (sums, {"y": 1}), (sums, {"x": 1, "y": None}), (sums, {"x": 1, "z": 2})):
        with pytest.raises(palate.errors.InvalidInput):
            model.predict([record])
