"""What stands in the flavor's section of MLmodel; nothing of LightGBM is imported to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palate.errors import CodeReason, InvalidModelFile, Problem

__all__ = [
    "BOOSTER",
    "FILES",
    "LARGEST_INT32",
    "TEXT_FILE",
    "THREADS",
    "executes_code",
    "pyfunc_section",
    "read_format",
]

BOOSTER = "lightgbm.basic.Booster"
TEXT_FILE = "model.lgb"
FILES = {"text": TEXT_FILE, "skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}

# What LightGBM calls the number of threads; the first that is set counts.
THREADS = ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs")
LARGEST_INT32 = 2**31 - 1

_REASONS = {
    "pickle": "a pickle can run any code",
    "cloudpickle": "a pickle can run any code",
    "skops": "skops builds objects without the checks that the text format gets",
}


def read_format(config: Mapping[str, Any]) -> str:
    """Return which of the flavor's formats a section means, whoever wrote it.

    MLflow writes a Booster as text whatever ``serialization_format`` says, and left that key out in its early releases,
    which pickled estimators with cloudpickle. Raises InvalidModelFile for a format that nobody knows.
    """
    if config.get("model_class", BOOSTER) == BOOSTER:
        return "text"
    given = config.get("serialization_format", "cloudpickle")
    if isinstance(given, str) and given in _REASONS:
        return given
    known = ", ".join(FILES)
    where = ("flavors", "lightgbm", "serialization_format")
    raise InvalidModelFile([Problem(where, "wrong_value", f"must be one of {known}")])


def executes_code(config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return the reason why this section's file needs trust, if it does."""
    stored = read_format(config)
    if stored == "text":
        return ()
    return (CodeReason(str(config.get("data", FILES[stored])), _REASONS[stored]),)


def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that make ``mlflow.pyfunc`` open the directory with MLflow's own loader, where that is right.

    MLflow opens text as the bare booster. That predicts what an ``LGBMRegressor`` predicts, but probabilities where an
    ``LGBMClassifier`` predicts labels; so a classifier's text gets Palate's loader, which no key asks for.
    """
    if "classes" in config.get("estimator", {}):
        return {}
    return {"loader_module": "mlflow.lightgbm", "data": config["data"]}
