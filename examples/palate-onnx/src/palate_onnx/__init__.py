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
    from palate_onnx._runtime import OnnxModel

__all__ = ["FORMATS", "HOOK_API", "LOAD_OPTIONS", "NATIVE_PACKAGES", "NATIVE_TYPES", "SAVE_OPTIONS", "OnnxModel"]

HOOK_API = 1
# onnxruntime too, so that somebody who gives a session learns what to give instead.
NATIVE_PACKAGES = ("onnx", "onnxruntime")
NATIVE_TYPES = ("palate_onnx._runtime.OnnxModel",)
FORMATS = ("onnx",)
SAVE_OPTIONS = ("onnx_execution_providers", "onnx_session_options", "save_as_external_data")
LOAD_OPTIONS = ("onnx_execution_providers", "onnx_session_options")

_LEFT_OUT = (
    "onnxruntime's own operators are native code, which shapes and attributes made for the purpose may lead astray",
    "a graph may loop for ever and ask for any amount of memory, some of it while it is opened: set limits",
)
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


def __getattr__(name: str) -> object:
    if name == "OnnxModel":
        from palate_onnx._runtime import OnnxModel

        return OnnxModel
    raise AttributeError(f"module 'palate_onnx' has no attribute {name!r}")


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the graph, and large weights beside it where that is wanted or needed."""
    from palate_onnx._persistence import write_model

    return write_model(model, path, options)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> OnnxModel:
    """Check the graph, then make its session."""
    from palate_onnx._persistence import read_model

    return read_model(path, config, options)


@hookimpl
def predict(model: Any, data: Any, enforced: bool) -> object:
    """Run the graph."""
    from palate_onnx._prediction import run
    from palate_onnx._runtime import open_saved

    native = open_saved(model)
    return NotImplemented if native is None else run(native, data, enforced=enforced)


@hookimpl
def methods() -> Sequence[str]:
    """A graph is one function."""
    return ("predict",)


@hookimpl
def requirements() -> Sequence[str]:
    """The graph's format and its engine, whichever build of that is installed."""
    from importlib.metadata import distributions

    installed = {distribution.name for distribution in distributions()}
    runtime = next((name for name in _RUNTIMES if name in installed), _RUNTIMES[0])
    return (pin_installed("onnx"), pin_installed(runtime))


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
