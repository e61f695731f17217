"""A model of every flavor, what they are asked, and what threads do with them; the scripts of these tests import it.

Run as a script, it saves the models of one family: ``zoo.py FAMILY FOLDER``. Frameworks are imported where they are
needed, so that a script which loads a model is the first to import its framework, as in a fresh process.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

NAMES = {
    "sklearn": ("linear", "histogram", "pipeline"),
    "xgboost": ("classifier", "booster", "straight"),
    "torch": ("graph", "pickled"),
    "tf": ("keras", "module"),
    "python": ("coded", "function"),
}
COLUMNS = ("a", "b", "c", "d")
_ROWS = 40


class Call(NamedTuple):
    """One question to a model."""

    method: str
    data: Any
    params: dict[str, Any] | None = None
    output: str | None = None


# -- saving ----------------------------------------------------------------------------------------------------------


def rows() -> list[list[float]]:
    """Return the same forty rows of four numbers, each exact in four bytes, in every process."""
    return [[((row * 37 + column * 11) % 64) / 8 - 4 for column in range(len(COLUMNS))] for row in range(_ROWS)]


def _table() -> Any:
    import pandas as pd

    return pd.DataFrame(rows(), columns=list(COLUMNS))


def _target() -> list[int]:
    return [int(row[0] + row[1] * row[2] > 0) for row in rows()]


def save_sklearn(folder: Path) -> None:
    """Save a linear model, one whose trees are counted by OpenMP, and a pipeline of several steps."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    import palate

    steps = ColumnTransformer([("scaled", StandardScaler(), ["a", "b"]), ("powers", PolynomialFeatures(2), ["c", "d"])])
    models = {
        "linear": LogisticRegression(),
        "histogram": HistGradientBoostingClassifier(max_iter=20),
        "pipeline": make_pipeline(steps, LogisticRegression()),
    }
    for name, model in models.items():
        palate.save_model(model.fit(_table(), _target()), folder / name, input_example=_table().head(4))


def save_xgboost(folder: Path) -> None:
    """Save a classifier, the booster in it, and a linear one, whose predictions xgboost cannot make side by side."""
    import xgboost

    import palate

    classifier = xgboost.XGBClassifier(n_estimators=10, max_depth=3, n_jobs=2).fit(_table(), _target())
    data = xgboost.DMatrix(_table(), label=_target())
    straight = xgboost.train({"booster": "gblinear", "nthread": 1}, data, 5)
    models = {"classifier": classifier, "booster": classifier.get_booster(), "straight": straight}
    for name, model in models.items():
        palate.save_model(model, folder / name, input_example=_table().head(4))


def save_torch(folder: Path) -> None:
    """Save a network with dropout as a graph, and as a pickle."""
    import torch

    import palate

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
    example = torch.tensor(rows()[:4]).numpy()
    palate.save_model(network.eval(), folder / "graph", input_example=example)
    palate.save_model(network.eval(), folder / "pickled", input_example=example, format="pickle")


def save_tf(folder: Path) -> None:
    """Save a Keras model, and a module of TensorFlow's with two signatures."""
    import keras
    import numpy as np
    import tensorflow as tf

    import palate

    class Halves(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(np.arange(8, dtype="f4").reshape(4, 2))

        def __call__(self, x: Any) -> Any:
            return x @ self.weights

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), name="x"), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    example = np.array(rows()[:4], dtype="f4")
    palate.save_model(keras.Sequential(layers), folder / "keras", input_example=example)
    palate.save_model(Halves(), folder / "module", input_example=example)


CODED = """
    import threading
    from palate import PythonModel
    class Model(PythonModel):
        def load_context(self, context):
            from shop import prices
            self.word, self.lock = prices.WORD, threading.Lock()
        def predict(self, context, model_input, params=None):
            import shop.late
            from shop.later import scale
            return scale(model_input, shop.late.FACTOR) + params["plus"]
"""


def save_coded(folder: Path, *, word: str = "coded", factor: float = 3.0, pause: float = 0.02) -> Path:
    """Save a model that imports modules of its own when it predicts for the first time; return its directory.

    One of the imports takes *pause* seconds, as that of a large module does: all threads come to it meanwhile.
    """
    import palate

    code = folder.parent / f"code_of_{folder.name}"
    files = {
        "shop/__init__.py": "",
        "shop/prices.py": f"WORD = {word!r}",
        "shop/late.py": f"import time\nfrom .prices import WORD\ntime.sleep({pause})\nFACTOR = {factor}\n",
        "shop/later.py": "def scale(frame, factor):\n    return frame[list('abcd')].to_numpy().sum(axis=1) * factor\n",
        "model.py": textwrap.dedent(CODED) + "import palate\npalate.set_model(Model())\n",
    }
    for name, text in files.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(text)
    example = (_table().head(4), {"plus": 1.0})
    palate.save_model(str(code / "model.py"), folder, code_paths=[str(code / "shop")], input_example=example)
    return folder


def save_python(folder: Path) -> None:
    """Save a model with modules of its own, and a pickled function."""
    import palate

    save_coded(folder / "coded")

    def function(model_input, params=None):
        import math

        return [math.floor(value) * params["times"] for value in model_input["a"].tolist()]

    palate.save_model(function, folder / "function", input_example=(_table().head(4), {"times": 2}))


# -- asking ----------------------------------------------------------------------------------------------------------


def load(folder: Path, name: str) -> Any:
    """Load a model that ``save_*`` has saved."""
    import palate

    return palate.load_model(folder / name, trust=name in ("pickled", "coded", "function"))


def plain_calls(name: str) -> list[Call]:
    """Return questions made of lists and dicts, for which nothing has to be imported before they are asked."""
    columns = dict(zip(COLUMNS, map(list, zip(*rows(), strict=True)), strict=True))
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows()]
    if name in NAMES["torch"] + NAMES["tf"]:
        return [Call("predict", rows()), Call("predict", rows()[:1])]
    params = {"coded": {"plus": 2.0}, "function": {"times": 3}}.get(name)
    turned = {column: columns[column] for column in reversed(COLUMNS)}
    return [Call("predict", columns), Call("predict", records), Call("predict", turned, params)]


def calls(name: str) -> list[Call]:
    """Return questions to every method, in containers of every kind, with columns in several orders."""
    import numpy as np

    if name in NAMES["torch"] + NAMES["tf"]:
        array = np.array(rows(), dtype="f4")
        data = [array, array[::2], np.asfortranarray(array), array[:1], rows()]
        return [Call("predict", item) for item in data] + [Call("predict", array, output="numpy")]
    import polars as pl
    import pyarrow as pa

    frame = _table()
    turned = frame[["d", "b", "a", "c"]]
    tables = [frame, turned, frame.assign(more="x"), frame.iloc[:1], frame.astype({"a": "float32"})]
    others = [pl.from_pandas(frame), pa.Table.from_pandas(turned), frame.to_dict("list"), turned.to_dict("records")]
    data = [*tables, *others]
    methods = {"booster": ("predict", "pred_leaf"), "function": ("predict",), "coded": ("predict",)}
    methods["straight"] = ("predict", "pred_contribs")
    params = {"coded": [None, {"plus": 2.0}], "function": [None, {"times": 3}]}.get(name, [None])
    asked = methods.get(name, ("predict", "predict_proba"))
    found = [Call(method, item, given) for method in asked for item in data for given in params]
    return [*found, Call("predict", frame, output="pandas"), Call("predict", turned, output="polars")]


def answer(model: Any, call: Call) -> Any:
    """Ask a model."""
    return model.call(call.method, call.data, call.params, output=call.output)


def as_bytes(value: Any) -> bytes:
    """Return the numbers of an answer, bit for bit."""
    import numpy as np

    if isinstance(value, dict):
        return b"".join(map(as_bytes, value.values()))
    array = np.asarray(value)
    return f"{array.dtype}{array.shape}".encode() + array.tobytes()


if __name__ == "__main__":
    {"sklearn": save_sklearn, "xgboost": save_xgboost, "torch": save_torch, "tf": save_tf, "python": save_python}[
        sys.argv[1]
    ](Path(sys.argv[2]))
