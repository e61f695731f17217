"""Save one model of every kind with Palate, from a script whose classes are ``__main__``'s, as a notebook's are.

Usage: palate_saves.py DIRECTORY. Each model gets DIRECTORY/<name>/model and, beside it, case.pkl with the input, the
params, the expected predictions and what to open it with.
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import palate

OUT = Path(sys.argv[1])
random = np.random.default_rng(7)
frame = pd.DataFrame({"a": random.normal(size=40), "b": random.normal(size=40), "c": random.integers(0, 4, 40)})
mixed = frame.assign(c=[["x", "y", "z"][i % 3] for i in range(40)])
array = frame.to_numpy(dtype="float64")
label = (frame.a + frame.b > 0).astype(int).to_numpy()
price = (frame.a * 2 + frame.c).to_numpy()


def keep(name, model, data, *, params=None, expected=None, example=True, flavors=("pyfunc",), **options):
    """Save one model and write down what it must predict."""
    directory = OUT / name
    directory.mkdir(parents=True)
    if example:
        options.setdefault("input_example", (data, params) if params else data)
    palate.save_model(model, directory / "model", **options)
    loaded = palate.load_model(directory / "model", trust=True)
    predicted = loaded.predict(data, params) if expected is None else expected
    case = {"input": data, "params": params, "expected": predicted, "flavors": flavors}
    (directory / "case.pkl").write_bytes(pickle.dumps(case))


both = ("pyfunc", "sklearn")
encode = ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(), ["c"])])
logistic = LogisticRegression().fit(frame, label)
keep("sk_skops_frame", logistic, frame.head(5), expected=logistic.predict(frame.head(5)), flavors=both)
keep("sk_skops_array", LinearRegression().fit(array, price), array[:5], flavors=both)
keep("sk_skops_mixed", make_pipeline(encode, LinearRegression()).fit(mixed, price), mixed.head(5), flavors=both)
forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(frame, label)
keep("sk_skops_forest", forest, frame.head(5), flavors=both)
keep("sk_skops_boosting", HistGradientBoostingRegressor(max_iter=5).fit(array, price), array[:5], flavors=both)
keep("sk_skops_neighbors", KNeighborsClassifier().fit(array, label), array[:5], flavors=both)
grid = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(frame, label)
keep("sk_skops_grid", grid, frame.head(5), flavors=both)
keep("sk_sparse", LinearRegression().fit(array, price), sparse.csr_matrix(array[:5]), flavors=both)
keep("sk_pickle", forest, frame.head(5), format="pickle", flavors=both)
keep("sk_cloudpickle", forest, frame.head(5), format="cloudpickle", flavors=both)
keep("sk_no_example", logistic, frame.head(5), example=False, flavors=both)
keep("sk_signature_none", logistic, frame.head(5), example=False, signature=None, flavors=both)


class Scaler(palate.PythonModel):
    """Needs its context, and takes params."""

    def load_context(self, context):
        self.factor = context.model_config["factor"] + float(Path(context.artifacts["offset"]).read_text())

    def predict(self, context, model_input, params=None):
        return model_input["a"] * self.factor * (params or {}).get("times", 1.0)


class NoContext(palate.PythonModel):
    """The short form of predict, without context."""

    def predict(self, model_input):
        return model_input.sum(axis=1)


def summed(model_input):
    """Add two columns."""
    return model_input.a + model_input.b


def shouted(words: list[str]) -> list[str]:
    """Answer in capitals."""
    return [word.upper() for word in words]


def doubled(rows: list[dict[str, float]]) -> list[float]:
    """Double a member."""
    return [2 * row["x"] for row in rows]


offset = OUT / "offset.txt"
offset.write_text("0.5")
few = frame[["a", "b"]].head(4)
options = {"artifacts": {"offset": str(offset)}, "model_config": {"factor": 2}}
keep("py_context", Scaler(), few, params={"times": 3.0}, **options)
keep("py_no_context", NoContext(), few)
keep("py_function", summed, few)
keep("py_lambda", lambda model_input: model_input.a * 2, few)
keep("py_hints", shouted, ["a", "b"])
keep("py_hints_map", doubled, [{"x": 1.5}, {"x": 2.0}])
keep("py_array", lambda model_input: model_input * 2, array[:3])
keep("py_arrays", lambda model_input: {k: v + 1 for k, v in model_input.items()}, {"p": array[:3], "q": label[:3]})
nested = [{"id": 1, "tags": ["x", "y"], "size": {"w": 1.5}}, {"id": 2, "tags": ["z"], "size": {"w": 2.5}}]
keep("py_nested", lambda model_input: [len(tags) for tags in model_input["tags"]], nested)
dated = pd.DataFrame({"when": pd.to_datetime(["2024-01-02T00:00:00", "2024-05-06T07:08:09"]), "flag": [True, False]})
keep("py_dates", lambda model_input: model_input["when"].dt.month.tolist(), dated)

package = OUT / "lib" / "steps"
package.mkdir(parents=True)
(package / "__init__.py").write_text("from .inner import triple\n")
(package / "inner.py").write_text("def triple(x):\n    return x * 3\n")


class UsesCode(palate.PythonModel):
    """Imports its own code when it predicts."""

    def predict(self, context, model_input, params=None):
        from steps import triple

        return triple(model_input["a"])


keep("py_code_paths", UsesCode(), few, code_paths=[package])
loader = OUT / "lib" / "my_loader_of_numbers.py"
loader.write_text(
    "import pathlib\n\n\nclass Model:\n    def __init__(self, n):\n        self.n = n\n\n"
    "    def predict(self, data, params=None):\n        return [self.n] * len(data)\n\n\n"
    "def _load_pyfunc(path):\n    return Model(int(pathlib.Path(path).read_text()))\n"
)
number = OUT / "lib" / "number.txt"
number.write_text("7")
keep(
    "py_loader",
    None,
    few,
    flavor="python_function",
    loader_module="my_loader_of_numbers",
    data_path=str(number),
    code_paths=[loader],
)
script = OUT / "lib" / "from_code.py"
script.write_text(
    "import mlflow\n\n\nclass Lengths(mlflow.pyfunc.PythonModel):\n"
    "    def predict(self, context, model_input, params=None):\n        return [len(t) for t in model_input['t']]\n\n\n"
    "mlflow.models.set_model(Lengths())\n"
)
keep("py_from_code", str(script), pd.DataFrame({"t": ["a", "bbb"]}))
