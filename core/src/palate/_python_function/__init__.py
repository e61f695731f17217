"""The python_function flavor: models that are Python code.

A PythonModel or a function is pickled, a ``.py`` file is copied and run when the model is opened, and a loader module
opens data of any kind. All of it is code, so that opening one always needs the caller's trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palate._inference.type_hints import schema_from_hints
from palate._python_function.loaded import LoadedPythonModel
from palate._python_function.opening import PROMISES, code_reasons, open_native
from palate._python_function.subjects import find_hinted, model_methods, unwrap
from palate._python_function.writing import write_native
from palate.errors import CodeReason, UnsafeModel
from palate.hookspecs import LoadOptions, SaveOptions, hookimpl
from palate.signature import Signature

HOOK_API = 1
NATIVE_PACKAGES = ("palate", "mlflow")
NATIVE_TYPES = (
    "builtins.NoneType",
    "builtins.builtin_function_or_method",
    "builtins.function",
    "builtins.method",
    "builtins.str",
    "functools.partial",
)
FORMATS = ("cloudpickle",)
FORMATS_NEEDING_TRUST = ("cloudpickle",)
SAVE_OPTIONS = ("artifacts", "compression", "data_path", "loader_module", "model_config")
LOAD_OPTIONS = ("model_config",)
VERSION_PROMISES = {"cloudpickle": PROMISES}


@hookimpl
def save_model(model: object, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the model and return the python_function section."""
    return write_native(unwrap(model), path, options.extra)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> LoadedPythonModel:
    """Run the model's code and return what it made."""
    if not options.trust:
        reason = code_reasons(path, config)[0]
        raise UnsafeModel(reason.file, rule=f"{reason.rule}, and it is not trusted", hint="pass trust=True")
    return open_native(path, config, options)


@hookimpl
def predict(model: object, data: object, method: str, params: Mapping[str, Any]) -> object:
    """Call a loaded model; one that is being saved has not seen its artifacts yet."""
    return model.call(method, data, params) if isinstance(model, LoadedPythonModel) else NotImplemented


@hookimpl
def methods(model: object) -> Sequence[str]:
    """Return ``predict``, and those of the usual further methods that the model defines."""
    return tuple(model.calls) if isinstance(model, LoadedPythonModel) else model_methods(model)


@hookimpl
def rows_are_independent(model: object) -> bool:
    """Return what an attribute of the model of that name says; user code may do anything, so without it, no."""
    return getattr(unwrap(model), "rows_are_independent", False) is True


@hookimpl
def requirements(model: object) -> Sequence[str]:
    """Return the cloudpickle that wrote the model; its own imports are found in its code."""
    if model is None or isinstance(model, str):
        return ()
    import cloudpickle

    return (f"cloudpickle=={cloudpickle.__version__}",)


@hookimpl
def executes_code(path: Path, config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return the files whose code would run."""
    return code_reasons(path, config)


@hookimpl
def infer_input_schema(model: object) -> Signature | None:
    """Return the signature that type hints declare."""
    function = find_hinted(unwrap(model))
    inputs, outputs = schema_from_hints(function) if function is not None else (None, None)
    return Signature(inputs=inputs, outputs=outputs, from_type_hints=True) if inputs is not None else None


@hookimpl
def pyfunc_section() -> dict[str, Any]:
    """Add nothing: this flavor's section is the python_function section."""
    return {}
