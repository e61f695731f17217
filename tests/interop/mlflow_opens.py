"""Open every model that palate_saves.py saved with stock MLflow, in an environment where Palate is not installed.

Usage: mlflow_opens.py DIRECTORY. Prints one JSON object: name → "ok" or what went wrong.
"""

import importlib.util
import json
import pickle
import sys
import traceback
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

if importlib.util.find_spec("palate") is not None:
    sys.exit("palate is importable here, so this would prove nothing")


def assert_same(given, expected):
    """Compare predictions by value, whatever their container."""
    if isinstance(expected, dict):
        assert set(given) == set(expected)
        for key in expected:
            assert_same(given[key], expected[key])
    elif isinstance(expected, pd.Series | pd.DataFrame | np.ndarray):
        np.testing.assert_allclose(np.asarray(given), np.asarray(expected))
    else:
        assert given == expected, (given, expected)


results = {}
for case_file in sorted(Path(sys.argv[1]).glob("*/case.pkl")):
    name, directory = case_file.parent.name, str(case_file.parent / "model")
    case = pickle.loads(case_file.read_bytes())
    try:
        for flavor in case["flavors"]:
            if flavor == "pyfunc":
                model = mlflow.pyfunc.load_model(directory)
                assert_same(model.predict(case["input"], params=case["params"]), case["expected"])
            else:
                assert_same(mlflow.sklearn.load_model(directory).predict(case["input"]), case["expected"])
        recorded = mlflow.models.Model.load(directory)
        if recorded.saved_input_example_info:
            assert recorded.load_input_example(directory) is not None
        results[name] = "ok"
    except Exception:
        results[name] = traceback.format_exc(limit=3)
print(json.dumps(results))
