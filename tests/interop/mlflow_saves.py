"""Save models of many kinds with stock MLflow, each with an input and MLflow's own prediction on it.

Usage: mlflow_saves.py DIRECTORY. Prints one JSON object: name → "ok". Runs where MLflow is and Palate is not.
"""

import copy
import datetime
import json
import logging
import pickle
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pydantic
import scipy.sparse as sp
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from mlflow.types.type_hints import TypeFromExample
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

logging.getLogger("mlflow").setLevel(logging.ERROR)
root = Path(sys.argv[1])
sources = root.parent / "sources"
sources.mkdir()
results = {}

rows = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "größe": [0.5, 0.1, 0.9, 0.3]})
numbers = pd.DataFrame({"n": [1, 2]})
logistic = LogisticRegression().fit(rows, [0, 0, 1, 1])


def keep(name, save, data, **options):
    """Save a model, and what stock MLflow predicts with it on *data*."""
    directory = root / name
    directory.mkdir()
    save(path=str(directory / "model"), pip_requirements=["numpy"], **options)
    (directory / "input.pkl").write_bytes(pickle.dumps(data))
    predicted = mlflow.pyfunc.load_model(str(directory / "model")).predict(copy.deepcopy(data))
    (directory / "output.pkl").write_bytes(pickle.dumps(predicted))
    results[name] = "ok"


def sklearn(name, model, data, **options):
    """Keep an estimator."""
    keep(name, mlflow.sklearn.save_model, data, sk_model=model, **options)


def python(name, model, data, **options):
    """Keep a PythonModel, a function, or a file of code."""
    keep(name, mlflow.pyfunc.save_model, data, python_model=model, **options)


def source(name, text):
    """Write a file that a model is made from."""
    file = sources / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return str(file)


# -- scikit-learn ------------------------------------------------------------------------------------------------------

for form in ("skops", "pickle", "cloudpickle"):
    sklearn(f"sk_{form}", logistic, rows, serialization_format=form, input_example=rows.head(2))
# MLflow hands no params on to an estimator.
sklearn("sk_params", logistic, rows, input_example=(rows.head(2), {"threshold": 0.5}))
sklearn("sk_params_pipeline", make_pipeline(logistic), rows, input_example=(rows.head(2), {"threshold": 0.5}))
sklearn("sk_no_signature", logistic, rows.to_numpy())
sklearn("sk_proba", logistic, rows, pyfunc_predict_fn="predict_proba", input_example=rows)
cubed = make_pipeline(FunctionTransformer(lambda table: table**3), LinearRegression()).fit(rows, [1.0, 2, 3, 4])
sklearn("sk_lambda", cubed, rows, serialization_format="cloudpickle", input_example=rows)
sparse = LinearRegression().fit(sp.csr_matrix(np.eye(3)), [1.0, 2, 3])
sklearn("sk_sparse", sparse, sp.csc_matrix(np.eye(3)), input_example=sp.csr_matrix(np.eye(3)))
facts = {"nested": {"x": [1, 2.5, None, True]}, "version": "1.10", "day": datetime.date(2020, 1, 1), "é": "ü"}
sklearn("sk_metadata", logistic, rows, metadata=facts)

# -- functions with type hints -----------------------------------------------------------------------------------------


class Item(pydantic.BaseModel):
    """A record with a default."""

    name: str
    qty: int = 1
    note: str | None = None


def describe(items: list[Item]) -> list[str]:
    """Tell what pydantic made of the records."""
    return [f"{item.name}-{item.qty}-{item.note}" for item in items]


def lengths(texts: list[str]) -> list[int]:
    """Count letters."""
    return [len(text) for text in texts]


def keys(records: list[dict[str, float]]) -> list[str]:
    """Tell what the maps hold."""
    return [",".join(sorted(record)) for record in records]


def kind(model_input: TypeFromExample):
    """Tell in which container the data comes."""
    return [type(model_input).__name__, repr(model_input)]


python("hint_defaults", describe, [{"name": "a"}, {"name": "b", "qty": 3}], input_example=[Item(name="z")])
python("hint_texts", lengths, ["one", "three"])
python("hint_texts_frame", lengths, pd.DataFrame({"t": ["one", "three"]}))
python("hint_maps", keys, [{"b": 1.0, "a": 2.0}])
python("example_texts", kind, ["c"], input_example=["a", "b"])
python("example_numbers", kind, [3, 4], input_example=[1, 2])
python("example_records", kind, [{"a": 5}], input_example=[{"a": 1}, {"a": 2}])
python("example_frame", kind, rows, input_example=rows)
python("example_texts_frame", kind, pd.DataFrame(["x", "y"]), input_example=["a", "b"])

# -- Python models -----------------------------------------------------------------------------------------------------


class Echo(PythonModel):
    """Answers with what it was given."""

    def predict(self, context, model_input, params=None):
        """Tell the container, the values and the params."""
        return [type(model_input).__name__, repr(model_input), repr(params)]


class Configured(PythonModel):
    """Reads a file and a configuration; takes no context when it predicts."""

    def load_context(self, context):
        """Read both."""
        self.text = Path(context.artifacts["words"]).read_text()
        self.factor = context.model_config["factor"]

    def predict(self, model_input):
        """Answer with what was read."""
        return [self.text] * self.factor


OBJECT = Object([Property("n", "long"), Property("tags", Array("string"), required=False)])
columns = {
    "array": (Array("double"), pd.DataFrame({"x": [[1.0, 2.0], []]})),
    "object": (OBJECT, pd.DataFrame({"x": [{"n": 1, "tags": ["a"]}, {"n": 2}]})),
    "map": (Map("double"), pd.DataFrame({"x": [{"k": 1.0}]})),
    "any": (AnyType(), pd.DataFrame({"x": [1, "a"]})),
    "binary": ("binary", pd.DataFrame({"x": [b"a", b""]})),
    "datetime": ("datetime", pd.DataFrame({"x": pd.to_datetime(["2020-01-01", None])})),
}
for name, (declared, data) in columns.items():
    python(f"type_{name}", Echo(), data, signature=ModelSignature(Schema([ColSpec(declared, "x")])))
optional = ModelSignature(Schema([ColSpec("long", "x"), ColSpec("string", "y", required=False)]))
python("optional_column", Echo(), pd.DataFrame({"x": [1, 2]}), signature=optional)
with_params = infer_signature(rows, None, params={"k": 1, "words": ["a"], "deep": {"x": [1.5]}})
python("params_defaults", Echo(), rows, signature=with_params)
python("tensor", Echo(), np.ones((2, 3), "float32"), input_example=np.ones((1, 3), "float32"))
tensors = {"u": np.ones((1, 2)), "v": np.arange(1)}
python("named_tensors", Echo(), {"u": np.ones((2, 2)), "v": np.arange(2)}, input_example=tensors)
python("scalar_example", Echo(), "word", input_example="text")
words = {"words": source("words.txt", "hello")}
python("artifacts", Configured(), ["x"], artifacts=words, model_config={"factor": 2})

# -- code --------------------------------------------------------------------------------------------------------------

source("shop/__init__.py", "from .prices import price\n")
source("shop/prices.py", "def price(n):\n    from . import rates\n    return n * rates.RATE\n")
source("shop/rates.py", "RATE = 3\n")
MODEL = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Shop(PythonModel):
    def predict(self, context, model_input, params=None):
        import shop
        return [shop.price(n) for n in model_input["n"]]

set_model(Shop())
"""
python("from_code", source("model.py", MODEL), numbers, code_paths=[str(sources / "shop")])
LOADER = """
import json

class Rated:
    def __init__(self, rate):
        self.rate = rate

    def predict(self, data):
        return data["n"] * self.rate

def _load_pyfunc(path):
    return Rated(json.load(open(path))["rate"])
"""
loader = {"loader_module": "shop_loader", "code_paths": [source("shop_loader.py", LOADER)]}
keep("loader_module", mlflow.pyfunc.save_model, numbers, data_path=source("rate.json", '{"rate": 4}'), **loader)
print(json.dumps(results))
