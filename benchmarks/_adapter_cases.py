"""What adapter.py measures: models, the data they are called with, and what Palate is held to.

Palate's worker and MLflow's both read this file, so its top level imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["HOOK", "MILLION", "ROWS", "Goal", "Row", "add_types", "data_maker", "hook_call", "native_call", "save"]

MILLION = 1_000_000
HOOK = "the hook alone, of that function"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is held to: seconds beyond the native call, or a ratio to it or to numpy's conversion."""

    kind: Literal["adds", "native", "conversion"]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        model: a key of MODELS; fitted on 30 columns, or as many as there are.
        fitted: what the model was trained on; its example, and so its signature, is of the container of the data.
        container, rows, columns: the data of a call.
        given: the data type of the data; the signature is always of *needed*.
        again: the same object in every call; otherwise each call gets one that nobody has seen.
    """

    model: str
    fitted: Literal["frame", "array"] = "frame"
    container: Literal["frame", "array"] = "frame"
    rows: int = 1
    columns: int = 30
    given: str = "float64"
    needed: str = "float64"
    again: bool = False
    goal: Goal | None = None

    @property
    def converts(self) -> bool:
        """Whether the data has to be converted."""
        return self.given != self.needed

    @property
    def directory(self) -> str:
        """The name of its model's directory."""
        return f"{self.model}-{self.fitted}-{self.container}-{self.columns}-{self.needed}".replace(" ", "")

    @property
    def data(self) -> str:
        """The data in words."""
        count = "1e6" if self.rows == MILLION else str(self.rows)
        dtype = f" {self.given} → {self.needed}" if self.converts else ""
        fitted = ", fitted on arrays" if (self.fitted, self.container) == ("array", "frame") else ""
        return f"{self.container} {count} x {self.columns}{dtype}{fitted}{', the same again' if self.again else ''}"

    @property
    def title(self) -> str:
        """The whole line in words."""
        return f"{self.model}, {self.data}"


def _adds(microseconds: float) -> Goal:
    return Goal("adds", microseconds / 1e6)


_HALF, _TWICE = Goal("native", 0.5), Goal("conversion", 2.0)
_BARE = "function that returns its input"
_LINEAR, _PIPELINE = "LogisticRegression", "StandardScaler + LogisticRegression"
_FOREST, _BOOSTED = "RandomForestClassifier", "XGBClassifier"

ROWS = (
    Row(model=_BARE, container="array", fitted="array", goal=_adds(8)),
    Row(model=HOOK, container="array", fitted="array"),
    Row(model=_BARE, columns=4, goal=_adds(20)),
    Row(model=_BARE, goal=_adds(20)),
    Row(model=_BARE, again=True, goal=_adds(20)),
    Row(model=_BARE, columns=600, goal=_adds(120)),
    Row(model=_BARE, rows=1000, goal=_adds(20)),
    Row(model=_BARE, rows=MILLION, goal=_adds(1000)),
    Row(model=_LINEAR, columns=4),
    Row(model=_LINEAR, goal=_HALF),
    Row(model=_LINEAR, fitted="array", goal=_HALF),
    Row(model=_LINEAR, columns=600, goal=_adds(120)),
    Row(model=_LINEAR, rows=1000, goal=_adds(20)),
    Row(model=_LINEAR, rows=MILLION, goal=_adds(1000)),
    Row(model=_LINEAR, fitted="array", container="array", goal=_adds(8)),
    Row(model=_LINEAR, fitted="array", container="array", rows=MILLION, goal=_adds(1000)),
    Row(model=_PIPELINE, goal=_HALF),
    Row(model=_PIPELINE, fitted="array", container="array", goal=_adds(8)),
    Row(model=_FOREST),
    Row(model=_BOOSTED, columns=4),
    Row(model=_BOOSTED, goal=_HALF),
    Row(model=_BOOSTED, fitted="array", goal=_HALF),
    Row(model=_BOOSTED, columns=600, goal=_adds(120)),
    Row(model=_BOOSTED, rows=1000, goal=_adds(20)),
    Row(model=_BOOSTED, rows=MILLION, goal=_adds(1000)),
    Row(model=_BOOSTED, fitted="array", container="array", goal=_adds(8)),
    Row(model="torch module", fitted="array", container="array", given="float32", needed="float32", goal=_adds(8)),
    Row(model="Keras model", fitted="array", container="array", given="float32", needed="float32", goal=_adds(8)),
    *(
        Row(model=_BARE, rows=rows, columns=columns, given=given, goal=_TWICE)
        for given in ("int64", "int32", "float32")
        for rows, columns in ((1, 30), (1000, 600), (MILLION, 30))
    ),
    Row(model=_BARE, container="array", given="float32", goal=_TWICE),
    Row(model=_BARE, container="array", rows=MILLION, given="float32", goal=_TWICE),
)


# -- models ------------------------------------------------------------------------------------------------------------


def _function() -> Callable[[Any], Any]:
    # Made here, so that cloudpickle takes it along whole and no reader has to have this module.
    def give_back(model_input):  # type: ignore[no-untyped-def]
        return model_input

    return give_back


def _fit_linear(X: Any, y: Any) -> object:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, y)


def _fit_pipeline(X: Any, y: Any) -> object:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)


def _fit_forest(X: Any, y: Any) -> object:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(10, random_state=0).fit(X, y)


def _fit_boosted(X: Any, y: Any) -> object:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=50, n_jobs=1).fit(X, y)


def _build_torch(X: Any, y: Any) -> object:
    import torch

    del y
    return torch.nn.Sequential(torch.nn.Linear(X.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)).eval()


def _build_keras(X: Any, y: Any) -> object:
    import keras

    del y
    layers = keras.layers
    return keras.Sequential([keras.Input((X.shape[1],)), layers.Dense(64, activation="relu"), layers.Dense(2)])


MODELS: dict[str, Callable[[Any, Any], object]] = {
    _BARE: lambda _X, _y: _function(),
    _LINEAR: _fit_linear,
    _PIPELINE: _fit_pipeline,
    _FOREST: _fit_forest,
    _BOOSTED: _fit_boosted,
    "torch module": _build_torch,
    "Keras model": _build_keras,
}


def save(row: Row, folder: Path) -> None:
    """Save the row's model with Palate, unless an earlier row has done so."""
    import palate

    if (folder / row.directory).exists():
        return
    training = Row(model=row.model, container=row.fitted, rows=500, columns=row.columns, given=row.needed)
    X = data_maker(training)()
    model = MODELS[row.model](X, [number % 2 for number in range(len(X))])
    example = data_maker(Row(model="", container=row.container, rows=3, columns=row.columns, given=row.needed))()
    palate.save_model(model, folder / row.directory, signature=palate.infer_signature(example))


def native_call(row: Row, read_native: Callable[[], Any]) -> Callable[[Any], object]:
    """Return the shortest way to the same prediction with the framework alone; a function is not asked for."""
    if row.model in (_BARE, HOOK):
        return _function()
    native = read_native()
    if row.model == "torch module":
        import torch

        def forward(array: Any) -> object:
            with torch.no_grad():
                return native(torch.from_numpy(array)).numpy()

        return forward
    return native.predict_on_batch if row.model == "Keras model" else native.predict


def hook_call() -> Callable[[Any], object]:
    """Return the call of the function as a plugin's hook and nothing else: what observers cost that are not there."""
    import pluggy

    from palate import hookspecs

    class Plugin:
        @hookspecs.hookimpl
        def predict(self, model: Callable[[Any], object], data: Any) -> object:
            return model(data)

    manager = pluggy.PluginManager("palate")
    manager.add_hookspecs(hookspecs)
    manager.register(Plugin())
    hook, function = manager.hook.predict, _function()
    return lambda data: hook(flavor="f", model=function, data=data, method="predict", params={}, enforced=True)


# -- data --------------------------------------------------------------------------------------------------------------


def data_maker(row: Row) -> Callable[[], Any]:
    """Return what makes the data of a call: new objects over the same memory, or the same object again."""
    import numpy as np

    values = np.random.default_rng(0).integers(-1000, 1000, (row.columns, row.rows)).astype(row.given)
    if row.given.startswith("float"):
        values /= 7
    if row.container == "array":
        array = np.ascontiguousarray(values.T)
        return lambda: array[:]
    import pandas as pd

    # The layout in which pandas itself keeps columns of one data type; nothing is copied.
    names = [f"column {number}" for number in range(row.columns)]

    def make() -> Any:
        return pd.DataFrame(values.T, columns=list(names), copy=False)

    only = make()
    return (lambda: only) if row.again else make


def add_types(row: Row, calls: dict[str, Callable[[Any], object]]) -> None:
    """Add the bare conversion of the data, by numpy and by the library that it comes from."""
    if row.container == "frame":
        calls["numpy"] = lambda frame: frame.to_numpy().astype(row.needed)
        calls["pandas"] = lambda frame: frame.astype(row.needed)
    else:
        calls["numpy"] = lambda array: array.astype(row.needed)
