"""python_function directories that we write open in stock MLflow, where Palate cannot be imported."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mlflow

# Run as a script, as a notebook or a training script would be: its classes are __main__'s.
SAVE = """
import functools, json, pickle, platform, sys
from pathlib import Path
import numpy as np
import pandas as pd
import yaml
from palate import _python_function as flavor
from palate._code.model_code import ModelCode
from palate._code.bundle import copy_code
from palate._code.model_slot import set_model
from palate._code.python_model import PythonModel
from palate.hookspecs import LoadOptions, SaveOptions

OUT = Path(sys.argv[1])
(OUT / "note.txt").write_text("note")
(OUT / "lib").mkdir()
(OUT / "lib" / "__init__.py").write_text("")
(OUT / "lib" / "deep.py").write_text("def triple(x): return 3 * x")
(OUT / "made_x.py").write_text(
    "from mlflow.models import set_model\\n"
    "from mlflow.pyfunc import PythonModel\\n"
    "class M(PythonModel):\\n"
    "    def predict(self, context, model_input, params=None): return model_input['a'].tolist()\\n"
    "set_model(M())\\n"
)
(OUT / "loader_x.py").write_text(
    "class W:\\n"
    "    def __init__(self, path): self.text = open(path).read()\\n"
    "    def predict(self, data): return [self.text] * len(data)\\n"
    "def _load_pyfunc(path): return W(path)\\n"
)

class Plain(PythonModel):
    def __init__(self, k): self.k = k
    def predict(self, model_input, params=None): return model_input["a"] * self.k

class WithContext(PythonModel):
    def load_context(self, context):
        with open(context.artifacts["note"]) as file:
            self.text = file.read()
    def predict(self, context, model_input, params=None):
        return [self.text, str(context.model_config), str(params)]

class Hinted(PythonModel):
    def predict(self, context, model_input: list[str], params=None) -> list[str]:
        return [item.upper() + str(params) for item in model_input]

class UsesCode(PythonModel):
    def predict(self, context, model_input):
        from lib.deep import triple
        return triple(model_input["a"])

class Streams(PythonModel):
    def predict(self, model_input): return "whole"
    def predict_stream(self, model_input): yield from ["a", "b"]

def shout(data: list[str]) -> list[str]:
    return [item + "!" for item in data]

def records(data: list[dict[str, str]]) -> list[str]:
    return ["-".join(item.values()) for item in data]

def keep(name, model, data, *, inputs=None, hinted=False, code=(), **options):
    root = OUT / name
    root.mkdir()
    copied = copy_code([OUT / path for path in code], root)
    section = flavor.save_model(model=model, path=root, options=SaveOptions(format="cloudpickle", extra=options))
    section = {**section, "code": copied, "python_version": platform.python_version()}
    document = {"flavors": {"python_function": section}, "mlflow_version": "3.17.2", "model_uuid": "0" * 32}
    if inputs:
        document["signature"] = {"inputs": json.dumps(inputs), "outputs": None, "params": None}
        document["is_signature_from_type_hint"] = hinted
    (root / "MLmodel").write_text(yaml.safe_dump(document))
    code = ModelCode(root / copied if copied else None)
    loaded = flavor.load_model(root, section, LoadOptions(trust=True, code=code))
    listed = data.iloc[:, 0].tolist() if hinted and isinstance(data, pd.DataFrame) and len(data.columns) == 1 else data
    expected = flavor.predict(loaded, listed, "predict", {})
    (OUT / (name + ".case")).write_bytes(pickle.dumps((data, expected)))

frame = pd.DataFrame({"a": [1.0, 2.0]})
text = [{"type": "string", "required": True}]
mapped = [{"type": "map", "values": {"type": "string"}, "required": True}]
keep("plain", Plain(2), frame)
keep("context", WithContext(), frame, artifacts={"note": OUT / "note.txt"}, model_config={"t": 0.5})
keep("hinted", Hinted(), ["x", "y"], inputs=text, hinted=True)
keep("hinted_frame", Hinted(), pd.DataFrame({"q": ["x", "y"]}), inputs=text, hinted=True)
keep("function", shout, ["x", "y"], inputs=text, hinted=True)
keep("function_frame", shout, pd.DataFrame({"q": ["x", "y"]}), inputs=text, hinted=True)
keep("records", records, [{"a": "x", "b": "y"}], inputs=mapped, hinted=True)
keep("records_frame", records, pd.DataFrame({"a": ["x"], "b": ["y"]}), inputs=mapped, hinted=True)
keep("lambda", lambda data: data["a"].sum(), frame)
keep("partial", functools.partial(np.multiply, 2), np.array([1.0, 2.0]))
keep("code", UsesCode(), frame, code=["lib"])
keep("streams", Streams(), "text")
keep("packed", Plain(3), frame, compression="gzip")
keep("from_code", str(OUT / "made_x.py"), frame)
keep("loader", None, frame, loader_module="loader_x", data_path=OUT / "note.txt", code=["loader_x.py"])
print("saved")
"""

OPEN = """
import pickle, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "palate":
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Block())
import mlflow.pyfunc

for case in sorted(Path(sys.argv[1]).glob("*.case")):
    data, _ = pickle.loads(case.read_bytes())
    try:
        loaded = mlflow.pyfunc.load_model(str(case.with_suffix("")))
        given = loaded.predict(data)
        if case.stem == "streams":
            assert list(loaded.predict_stream(data)) == ["a", "b"]
    except Exception as exc:
        given = f"{type(exc).__name__}: {exc}"
    case.with_suffix(".mlflow").write_bytes(pickle.dumps(given))
print("opened")
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory, mlflow_python) -> Path:
    """Directories of every kind, each with what we predict and what stock MLflow predicts."""
    root = tmp_path_factory.mktemp("saved")
    (root / "save.py").write_text(SAVE)
    done = subprocess.run([sys.executable, str(root / "save.py"), str(root)], capture_output=True, text=True)
    assert done.stdout.strip() == "saved", done.stderr
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root), "MLFLOW_TRACKING_URI": f"file:{root}/tracking"}
    done = subprocess.run(
        [str(mlflow_python), "-c", OPEN, str(root)], capture_output=True, text=True, env=environment, cwd=root
    )
    assert done.stdout.strip().endswith("opened"), done.stderr
    return root


@pytest.mark.parametrize(
    "name",
    """
    plain context hinted hinted_frame function function_frame records records_frame lambda partial code streams packed
    from_code loader
    """.split(),
)
def test_stock_mlflow_predicts_the_same(name, saved) -> None:
    """A directory of ours gives the same predictions in stock MLflow, without Palate."""
    import numpy as np
    import pandas as pd

    _, expected = pickle.loads((saved / f"{name}.case").read_bytes())
    given = pickle.loads((saved / f"{name}.mlflow").read_bytes())
    assert type(given) is type(expected), given
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(given, expected)
    elif isinstance(expected, np.ndarray):
        assert given.tolist() == expected.tolist()
    else:
        assert given == expected


SLOT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from palate._code.model_code import ModelCode
from palate._code.model_slot import open_slot, set_model

def run(text, config=None):
    file = Path(sys.argv[2])
    file.write_text(text)
    with open_slot(config) as slot:
        ModelCode().run_file(file)
    return slot.model

assert run("import mlflow\\nmlflow.models.set_model(len)") is len
assert run("import mlflow") is None, "the model of the file before came back"
import mlflow
mlflow.models.set_model(max)
assert run("import mlflow\\nmlflow.models.set_model(min)") is min
assert run("x = 1") is None
assert mlflow.models.model.__mlflow_model__ is max
read = "from mlflow.models import ModelConfig, set_model\\nc = ModelConfig(development_config={'a': 1}).get('a')\\n"
assert run(read + "set_model(lambda data: c)", {"a": 2})(0) == 2
assert mlflow.models.model_config.__mlflow_model_config__ is None
set_model(sum)
assert mlflow.models.model.__mlflow_model__ is sum
print("slots are clean")
"""


def test_the_slot_of_a_real_mlflow(mlflow_python, repository, tmp_path) -> None:
    """Files that use the real set_model and ModelConfig work, and leave nothing in MLflow's globals."""
    command = [str(mlflow_python), "-W", "ignore", "-c", SLOT, str(repository / "core" / "src"), str(tmp_path / "f.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "slots are clean", done.stderr


def test_no_path_of_this_machine_is_recorded(saved) -> None:
    """MLflow records where artifacts and code files were; ours records their place in the model."""
    for name in ("context", "from_code", "loader"):
        assert str(saved) not in (saved / name / "MLmodel").read_text()
