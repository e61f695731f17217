"""What the adapter adds to a call stays small beside the native call of the same run.

Bounds are generous and hold for ratios of best times: what is compared takes turns, so a slow or busy machine slows
both, and a best time is one that nothing disturbed. A ratio above its bound is measured again, until it fits or the
patience for it ends; code that became slower fits never. Floors are small, so that 200 µs more for one row are noticed,
also with 600 columns. benchmarks/adapter.py prints the exact figures.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

import palate
from palate.matrix import Matrix

# Seconds after which a ratio above its bound is believed.
PATIENCE = 20.0


@pytest.fixture(scope="module")
def timing(repository: Path) -> ModuleType:
    """Return the clockwork of the benchmarks, which are no package: the guard measures as they do."""
    spec = importlib.util.spec_from_file_location("palate_timing", repository / "benchmarks" / "_timing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def require(timing: ModuleType, measures: dict[str, Callable[[], float]], *, bound: float, rounds: int = 50) -> None:
    """Fail unless the best of the first measure is at most *bound* times the best of the second, its floor."""
    best = dict.fromkeys(measures, float("inf"))
    deadline = time.monotonic() + PATIENCE
    while True:
        taken = timing.in_turn(measures, rounds)
        best = {name: min(best[name], *taken[name]) for name in best}
        measured, floor = best.values()
        if measured <= bound * floor:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"{measured / floor:.2f} times its floor of {floor * 1e6:.1f} µs; {bound} is allowed")


@pytest.fixture(scope="module")
def require_call(timing: ModuleType) -> Callable[..., None]:
    """Return the guard of a call beside another one on the same data."""

    def guard(
        call: Callable[[Any], object], floor: Callable[[Any], object], make: Callable[[], Any], *, bound: float
    ) -> None:
        require(timing, {n: timing.call_timer(f, make) for n, f in (("call", call), ("floor", floor))}, bound=bound)

    return guard


def frames(rows: int, columns: int, dtype: str = "float64") -> Callable[[], pd.DataFrame]:
    """Return what makes a new frame over the same values each time, as requests bring them."""
    values = np.random.default_rng(0).integers(-9, 9, (columns, rows)).astype(dtype)
    names = [f"column {number}" for number in range(columns)]
    return lambda: pd.DataFrame(values.T, columns=list(names), copy=False)


def arrays(rows: int, columns: int) -> Callable[[], Any]:
    """Return what makes a new array over the same values each time."""
    values = frames(rows, columns)().to_numpy(copy=True)
    return lambda: values[:]


def give_back(model_input: Any) -> Any:
    """A model that costs nothing, so that its call is the adapter alone."""
    return model_input


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., palate.PyFuncModel]:
    """Save and open a model whose signature is that of *example*."""

    def save_and_load(model: object, example: object) -> palate.PyFuncModel:
        path = tmp_path_factory.mktemp("overhead") / "m"
        palate.save_model(model, path, signature=palate.infer_signature(example))
        return palate.load_model(path, trust=True)

    return save_and_load


def fit(estimator: Any, make: Callable[[], Any]) -> Any:
    """Fit on rows of the kind that *make* makes."""
    X = make()
    return estimator.fit(X, np.arange(len(X)) % 2)


# -- the adapter alone, beside the cheapest model there is -------------------------------------------------------------


def test_an_array_that_fits_passes_quickly(require_call, opened) -> None:
    """The adapter alone costs a small part of a linear model's prediction from one row."""
    native = fit(LogisticRegression(), arrays(50, 30))
    make = arrays(1, 30)
    require_call(opened(give_back, make()).predict, native.predict, make, bound=0.15)


@pytest.mark.parametrize("columns", [30, 600])
def test_a_frame_that_fits_passes_quickly(require_call, opened, columns) -> None:
    """The adapter alone costs about what pandas takes to find that a frame already has the type asked for."""
    make = frames(1, columns)
    require_call(opened(give_back, make()).predict, lambda frame: frame.astype("float64"), make, bound=2)


def test_data_that_fits_is_handed_on_and_not_copied(opened) -> None:
    """The model gets the caller's own memory, however much; nothing of its size is made on the way."""
    for make in (frames(100_000, 30), arrays(100_000, 30)):
        model, data = opened(give_back, make()), make()
        tracemalloc.start()
        try:
            assert np.shares_memory(np.asarray(model.predict(data)), np.asarray(data))
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(("rows", "columns"), [(20_000, 30), (1000, 600)])
@pytest.mark.parametrize("dtype", ["int64", "int32", "float32"])
def test_numbers_are_converted_at_numpys_pace(require_call, opened, rows, columns, dtype) -> None:
    """Converting a whole frame without loss takes a few times what numpy takes to convert it without a look."""
    model = opened(give_back, frames(3, columns)())
    require_call(model.predict, lambda frame: frame.to_numpy().astype("float64"), frames(rows, columns, dtype), bound=4)


# -- models, beside their own call on the same data --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LogisticRegression", "Pipeline", "XGBClassifier"])
def test_one_row_of_an_array_costs_little_more_than_natively(require_call, opened, kind) -> None:
    """Half as much again at most."""
    model = opened(fit(estimator(kind), arrays(50, 30)), arrays(3, 30)())
    require_call(model.predict, model.native.predict, arrays(1, 30), bound=1.5)


@pytest.mark.parametrize(("kind", "bound"), [("LogisticRegression", 0.65), ("Pipeline", 0.65), ("XGBClassifier", 0.5)])
def test_one_row_of_a_frame_costs_less_than_natively(require_call, opened, kind, bound) -> None:
    """What the signature has checked is not checked again."""
    model = opened(fit(estimator(kind), frames(50, 30)), frames(3, 30)())
    require_call(model.predict, model.native.predict, frames(1, 30), bound=bound)


@pytest.mark.parametrize(
    ("kind", "columns", "bound"),
    [
        ("LogisticRegression", 30, 2.8),
        ("LogisticRegression", 600, 3.6),
        ("XGBClassifier", 30, 2.1),
        ("XGBClassifier", 600, 2.8),
    ],
)
def test_one_row_of_a_frame_costs_a_few_times_its_bare_values(timing, opened, kind, columns, bound) -> None:
    """What a frame costs beyond the native call on an array of its values, which nothing can do without, is bounded."""
    model = opened(fit(estimator(kind), frames(50, columns)), frames(3, columns)())
    native = fit(estimator(kind), arrays(50, columns))
    call = timing.call_timer(model.predict, frames(1, columns))
    require(timing, {"call": call, "floor": timing.call_timer(native.predict, arrays(1, columns))}, bound=bound)


@pytest.mark.parametrize(
    ("kind", "columns"), [("LogisticRegression", 30), ("LogisticRegression", 600), ("Pipeline", 30)]
)
def test_one_row_of_a_matrix_costs_less_than_of_a_frame(timing, opened, kind, columns) -> None:
    """A server that makes its rows itself says what a frame would have to be asked for."""
    model = opened(fit(estimator(kind), frames(50, columns)), frames(3, columns)())
    make, names = arrays(1, columns), tuple(frames(1, columns)().columns)
    assert model.fits(Matrix(make(), names))
    call = timing.call_timer(model.predict, lambda: Matrix(make(), names))
    require(timing, {"matrix": call, "frame": timing.call_timer(model.predict, frames(1, columns))}, bound=1.0)


def test_a_matrix_that_becomes_a_table_costs_little_more_than_that(timing, opened) -> None:
    """What the flavor does not take as an array costs the making of the table at most twice, whatever the columns."""
    columns = 600
    model = opened(give_back, frames(3, columns)())
    make, names = arrays(1, columns), tuple(frames(1, columns)().columns)
    call = timing.call_timer(model.predict, lambda: Matrix(make(), names))
    floor = timing.call_timer(lambda matrix: matrix.to_frame(), lambda: Matrix(make(), names))
    require(timing, {"matrix": call, "table": floor}, bound=2.0)


def estimator(kind: str) -> Any:
    """Return an unfitted model; on one thread, since a pool of threads waits for cores that others have."""
    if kind == "XGBClassifier":
        return XGBClassifier(n_estimators=20, n_jobs=1)
    linear = LogisticRegression()
    return linear if kind == "LogisticRegression" else make_pipeline(StandardScaler(), linear)


# -- whole processes ---------------------------------------------------------------------------------------------------


IMPORT_NUMPY = "import numpy"
SHOW_HELP = "import sys; sys.argv = ['palate', '--help']; import palate.cli; palate.cli.main()"


@pytest.mark.parametrize(
    ("code", "bound"),
    [("import palate", 0.6), (SHOW_HELP, 1.2), ("import palate; palate.load_model", 2.0)],
    ids=["import", "help", "load_model"],
)
def test_starting_costs_about_as_much_as_numpy_at_most(timing, code, bound) -> None:
    """The front door costs next to nothing beside `import numpy`; help and all that opens a model as much as that."""
    measures = {
        name: timing.process_timer(lambda program=program: [sys.executable, "-W", "ignore", "-c", program])
        for name, program in (("palate", code), ("numpy", IMPORT_NUMPY))
    }
    require(timing, measures, bound=bound, rounds=5)
