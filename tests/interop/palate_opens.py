"""Open MLflow's own directories with Palate where ``import mlflow`` is impossible.

Usage: palate_opens.py DIRECTORY. Prints one JSON object: name → "ok" or what went wrong.
"""

import json
import pickle
import sys
import traceback
from pathlib import Path

import numpy as np
import pandas as pd


class _NoMlflow:
    """A finder that makes ``import mlflow`` fail, also where it is installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mlflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, _NoMlflow())

import palate  # noqa: E402


def assert_same(given, expected):
    """Compare container and values."""
    assert type(given) is type(expected), (type(given), type(expected))
    if isinstance(expected, dict):
        assert set(given) == set(expected)
        for key in expected:
            assert_same(given[key], expected[key])
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(given, expected)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(given, expected)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(given, expected)
        assert given.dtype == expected.dtype
    else:
        assert given == expected, (given, expected)


results = {}
for directory in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
    try:
        data = pickle.loads((directory / "input.pkl").read_bytes())
        expected = pickle.loads((directory / "output.pkl").read_bytes())
        assert_same(palate.load_model(directory / "model", trust=True).predict(data), expected)
        results[directory.name] = "ok"
    except Exception:
        results[directory.name] = traceback.format_exc(limit=6)
assert "mlflow" not in sys.modules
print(json.dumps(results))
