"""The flavor of the toy framework, in its safe format: two numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palate.errors import CodeReason, UnsafeModel
from palate.hookspecs import EmbeddedType, Guarantees, LoadOptions, SampleModel, SaveOptions, confine, hookimpl
from palate.schema import Schema, TensorSpec

HOOK_API = 1
NATIVE_PACKAGES = ("toy_framework",)
FORMATS = ("json",)
FORMATS_NEEDING_TRUST = ()
VERSION_PROMISES = {"json": {"palate-toy": "newer"}}

FILE = "line.json"


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the line's two numbers."""
    numbers = {"slope": model.slope, "intercept": model.intercept}
    (path / FILE).write_text(json.dumps(numbers), encoding="utf-8")
    return {"data": FILE, "serialization_format": options.format, "toy_version": version("palate-toy")}


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Read two numbers, and nothing else."""
    from toy_framework import Line

    name = config.get("data", FILE)
    file = confine(path, name, field="flavors.toy.data")
    try:
        numbers = json.loads(bytes(options.map_file(name)))
        return Line(slope=float(numbers["slope"]), intercept=float(numbers["intercept"]))
    except (ValueError, KeyError, TypeError) as exc:
        raise UnsafeModel(file.name, rule="it must be a JSON object of two numbers, slope and intercept") from exc


@hookimpl
def predict(model: Any, data: Any, method: str, params: Mapping[str, Any]) -> object:
    """Call the line's method of that name."""
    return getattr(model, method)(data, **params)


@hookimpl
def methods() -> Sequence[str]:
    """Every line answers to the same."""
    return ("predict", "invert")


@hookimpl
def requirements() -> Sequence[str]:
    """The framework comes with the plugin."""
    return (f"palate-toy=={version('palate-toy')}",)


@hookimpl
def executes_code() -> Sequence[CodeReason]:
    """Two numbers run nothing."""
    return ()


@hookimpl
def infer_input_schema() -> Schema:
    """A line takes any number of numbers."""
    return Schema((TensorSpec(dtype="float64", shape=(-1,)),))


@hookimpl
def mapped_files(config: Mapping[str, Any]) -> Sequence[str]:
    """The one file is read from memory."""
    return (config.get("data", FILE),)


@hookimpl
def guarantees() -> Guarantees:
    """Two numbers are read by Python's own JSON parser, and calculated with."""
    return Guarantees(no_code=True, memory_safe=True, bounded=True)


@hookimpl
def embedded_types() -> Sequence[EmbeddedType]:
    """A line may stand inside another framework's model, if it is two numbers there too."""
    return (EmbeddedType(name="toy_framework.Line", check=_check_line),)


def _check_line(attributes: Mapping[str, object]) -> str | None:
    if set(attributes) == {"slope", "intercept"} and all(isinstance(value, float) for value in attributes.values()):
        return None
    return "it must be two numbers, slope and intercept"


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Return a line through measured points: a spring's length in cm under a weight in g."""
    import numpy
    from toy_framework import Line

    weight = numpy.array([0.0, 50.0, 100.0, 150.0, 200.0])
    length = numpy.array([12.0, 13.9, 16.1, 18.0, 19.9])
    line = Line().fit(weight, length)
    return {"spring": SampleModel(model=line, sample=weight[:3], description="a spring's length under a weight")}
