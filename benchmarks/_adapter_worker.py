"""One process of adapter.py's: it holds an adapter, Palate's or MLflow's, and answers one line of JSON with another.

Words on the command line: the adapter, and the folder of models. Orders, each ``[order, argument, …]``:

* ``["open", ROW]``: open that row's model, save it first where Palate does not find it, and prove that it predicts what
  the native call predicts, to the last bit. The answer is whether MLflow refuses the data; whatever else is raised ends
  the process.
* ``["round", N]``: call everything N times in turn. The answer has the median seconds by name, and what the adapter
  takes beyond the native call.
* ``["peak"]``: bytes that a call has beyond what was there before it, at most: natively, and through the adapter.
* ``["versions"]``: what is installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _adapter_cases import HOOK, ROWS, Row, add_types, data_maker, hook_call, native_call, save
from _timing import call_timer, in_turn, median_added, medians

LIBRARIES = ("palate", "mlflow", "numpy", "pandas", "scikit-learn", "xgboost", "torch", "tensorflow", "keras")


class Worker:
    """The model that is open, and the calls that are measured on it."""

    def __init__(self, adapter: str, folder: Path) -> None:
        self._adapter = adapter
        self._folder = folder
        self._calls: dict[str, Callable[[Any], object]] = {}
        self._make: Callable[[], Any] = lambda: None

    def open(self, number: int) -> bool:
        """Open a row's model; return whether MLflow refuses its data."""
        row = ROWS[number]
        self._make = data_maker(row)
        read_native, predict, refusals = self._load(row)
        direct = native_call(row, read_native)
        given = self._make()
        expected = direct(given.astype(row.needed) if row.converts else given)
        try:
            predicted = predict(given)
        except refusals:
            if not row.converts:
                raise
            return True
        require_same_bits(row.title, expected, predicted)
        if self._adapter == "palate" and direct(given) is given and not row.converts:
            assert np.shares_memory(np.asarray(predicted), np.asarray(given)), f"{row.title}: the model got a copy"
        # What the model does with data that fits it is no part of a conversion.
        self._calls = {"native": direct, "adapter": predict}
        if row.converts:
            add_types(row, self._calls)
        return False

    def _load(self, row: Row) -> tuple[Callable[[], object], Callable[[Any], object], tuple[type[Exception], ...]]:
        """Return what gives the native object, the adapter's call, and the errors by which it may refuse data."""
        if row.model == HOOK:
            return object, hook_call(), ()
        path = self._folder / row.directory
        if self._adapter == "palate":
            import palate

            save(row, self._folder)
            model = palate.load_model(path, trust=True)
            return lambda: model.native, model.predict, ()
        import mlflow

        loaded = mlflow.pyfunc.load_model(str(path))
        return loaded.get_raw_model, loaded.predict, (mlflow.exceptions.MlflowException,)

    def round(self, calls: int) -> dict[str, float]:
        """Call everything in turn."""
        timers = {name: call_timer(call, self._make) for name, call in self._calls.items()}
        taken = in_turn(timers, calls, warm_up=0)
        return {**medians(taken), "added": median_added(taken, "adapter", "native")}

    def peak(self) -> dict[str, int]:
        """Return the memory of one call natively and through the adapter; numpy tells tracemalloc of its arrays."""
        return {name: _peak(self._calls[name], self._make) for name in ("native", "adapter")}

    def versions(self) -> dict[str, str]:
        """Return the releases of Python and of what is installed."""
        found = {"Python": platform.python_version()}
        for name in LIBRARIES:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return found


def _peak(call: Callable[[Any], object], make: Callable[[], Any]) -> int:
    data = make()
    tracemalloc.start()
    call(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def require_same_bits(title: str, expected: Any, predicted: Any) -> None:
    """Raise AssertionError unless both are of one type, data type and shape, and of the same bytes."""
    assert type(expected) is type(predicted), f"{title}: {type(predicted)} instead of {type(expected)}"
    if hasattr(expected, "columns"):
        assert expected.columns.equals(predicted.columns), f"{title}: other columns"
        assert expected.dtypes.equals(predicted.dtypes), f"{title}: other data types"
        expected, predicted = expected.to_numpy(), predicted.to_numpy()
    assert (expected.dtype, expected.shape) == (predicted.dtype, predicted.shape), f"{title}: another array"
    assert expected.tobytes() == predicted.tobytes(), f"{title}: other values"


def require_same_memory(title: str, given: Any, predicted: Any) -> None:
    """Raise AssertionError unless the values of *predicted* lie where those of *given* lie."""
    import numpy as np

    assert np.shares_memory(np.asarray(given), np.asarray(predicted)), f"{title}: the model was given a copy"


def main() -> None:
    """Answer orders until there are none."""
    # What frameworks print belongs elsewhere.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(sys.argv[1], Path(sys.argv[2]))
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, order)(*arguments)), file=answers)


if __name__ == "__main__":
    main()
