"""A flavor that keeps every promise; the tests break one at a time."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

from palate.errors import CodeReason, UnsafeModel
from palate.hookspecs import Guarantees, SampleModel, confine, hookimpl, parse_json, pin_installed

HOOK_API = 1
NATIVE_PACKAGES = ("lines",)
FORMATS = ("json", "pickle")
FORMATS_NEEDING_TRUST = ("pickle",)
VERSION_PROMISES = {"json": {"lines": "newer"}, "pickle": {"lines": "patch"}}


def write_line(model, path, options):
    """Write the numbers, or a pickle, and return the section."""
    section = {"lines_version": pin_installed("lines").partition("==")[2]}
    if options.format == "pickle":
        (path / "line.pkl").write_bytes(pickle.dumps(model))
        return {"pickled_model": "line.pkl", **section}
    (path / "line.json").write_text(json.dumps({"weights": model.weights.tolist(), "bias": model.bias}) + "\n")
    return {"data": "line.json", **section}


def read_line(path, config, options):
    """Read the line back."""
    from lines import Line

    if options.trust and "pickled_model" in config:
        return options.code.load_pickle(confine(path, config["pickled_model"], field="pickled_model"))
    file = confine(path, config.get("data"), field="data")
    document = parse_json(file.read_bytes(), max_bytes=1 << 20) if file.is_file() else None
    if not isinstance(document, dict) or set(document) != {"weights", "bias"}:
        raise UnsafeModel(file.name, rule="it must be an object of weights and bias")
    weights, bias = document["weights"], document["bias"]
    numbers = [*weights, bias] if isinstance(weights, list) else [None]
    if not all(type(number) is float for number in numbers):
        raise UnsafeModel(file.name, rule="weights and bias must be numbers")
    return Line(weights, bias)


def ask_line(model, data, method):
    """Predict by one of the methods."""
    return getattr(model, method)(data)


@hookimpl
def save_model(model, path, options):
    """Save."""
    return write_line(model, path, options)


@hookimpl
def load_model(path, config, options):
    """Load."""
    return read_line(path, config, options)


@hookimpl
def predict(model, data, method):
    """Predict."""
    return ask_line(model, data, method)


@hookimpl
def methods(model):
    """Name the methods."""
    return ("predict", "sign")


@hookimpl
def takes_array(model, method, columns):
    """Say that a line sees nothing but numbers."""
    return True


@hookimpl
def requirements(model, options):
    """Name the framework."""
    return (pin_installed("lines"),)


@hookimpl
def executes_code(path, config):
    """Tell of the pickle."""
    if "pickled_model" in config:
        return (CodeReason(str(config["pickled_model"]), "a pickle"),)
    return ()


@hookimpl
def guarantees(path, config):
    """Promise all, as only JSON is read."""
    return Guarantees(no_code=True, memory_safe=True, bounded=True)


@hookimpl
def pyfunc_section(config):
    """Name the framework's own loader for MLflow."""
    if "data" not in config:
        return None
    return {"loader_module": "lines.mlflow_loader", "data": config["data"]}


@hookimpl
def sample_models():
    """Offer a line."""
    from lines import Line

    sample = [[1.0, 2.0], [3.0, 4.0]]
    return {"rising": SampleModel(model=Line([1.0, 2.0], 0.0), sample=sample, description="a line that rises")}


def is_stage(path: Path) -> bool:
    """Whether the directory is still being written; mutants behave there, or could not be saved."""
    return ".palate-stage-" in str(path)
