"""The ONNX flavor: graphs for ONNX Runtime, in ``model.onnx``, checked before they are opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import CodeReason
from palate.hookspecs import Guarantees, LoadOptions, SampleModel, SaveOptions, hookimpl, pin_installed

if TYPE_CHECKING:
    from palate.schema import Schema
    from palate.signature import Signature

__all__ = ["FORMATS", "HOOK_API", "LOAD_OPTIONS", "NATIVE_PACKAGES", "SAVE_OPTIONS", "VERSION_PROMISES"]

HOOK_API = 1
# onnxruntime too, so that somebody who gives a session learns what to give instead.
NATIVE_PACKAGES = ("onnx", "onnxruntime")
FORMATS = ("onnx",)
SAVE_OPTIONS = ("onnx_execution_providers", "onnx_session_options", "save_as_external_data")
LOAD_OPTIONS = ("onnx_execution_providers", "onnx_session_options", "load_external_data")

# ONNX Runtime (Compatibility): newer versions support all models that worked with prior ones; onnx reads the earlier
# versions of its format.
VERSION_PROMISES = {"onnx": {"onnx": "newer", "onnxruntime": "newer"}}

_LEFT_OUT = (
    "onnxruntime's own operators are native code, which shapes and attributes made for the purpose may lead astray",
    "a graph may loop for ever and ask for any amount of memory, some of it while it is opened: set limits",
)
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the graph, and large weights beside it where that is wanted or needed."""
    from palate_onnx._persistence import write_model

    return write_model(model, path, options)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Check the graph, and return it."""
    from palate_onnx._persistence import read_model

    graph: object = read_model(path, config, options)
    return graph


@hookimpl
def prepare(model: Any, path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Make the session that runs the graph: it takes time, and a graph has no place to keep one."""
    from palate_onnx._persistence import make_engine

    return make_engine(model, path, config, options)


@hookimpl
def predict(model: Any, data: Any, enforced: bool) -> object:
    """Run the graph."""
    from palate_onnx._prediction import run

    return run(model, data, enforced=enforced)


@hookimpl
def methods() -> Sequence[str]:
    """A graph is one function."""
    return ("predict",)


@hookimpl
def rows_are_independent() -> bool:
    """A graph may compute anything of its rows together."""
    return False


@hookimpl
def requirements() -> Sequence[str]:
    """The graph's format and its engine, whichever build of that is installed."""
    pins = [pin_installed(name) for name in _RUNTIMES]
    return (pin_installed("onnx"), next((pin for pin in pins if "==" in pin), _RUNTIMES[0]))


@hookimpl
def executes_code() -> Sequence[CodeReason]:
    """A graph names operators of the engine's own, and carries none."""
    return ()


@hookimpl
def infer_input_schema(model: Any) -> Schema | Signature | None:
    """A graph declares its inputs."""
    from palate_onnx._schema import read_signature

    return read_signature(model)


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Stock MLflow has a loader for this layout."""
    return {"loader_module": "mlflow.onnx", "data": config["data"]}


@hookimpl
def guarantees() -> Guarantees:
    """What is checked, and what only limits of the process can hold."""
    return Guarantees(no_code=True, memory_safe=False, bounded=False, exceptions=_LEFT_OUT)


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Return a classifier of flowers, built from onnx alone."""
    from palate_onnx._samples import make_samples

    return make_samples()
