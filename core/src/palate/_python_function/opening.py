"""Opening a python_function model: what would run, then running it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from palate._code.model_slot import open_slot
from palate._code.pickles import COMPRESSIONS, has_byte_code
from palate._code.python_model import Context
from palate._code.standins import mlflow_installed
from palate._disk.paths import confine
from palate._environment.promises import Promise
from palate._python_function.artifacts import base_name, find_artifacts
from palate._python_function.loaded import Call, LoadedPythonModel
from palate._python_function.subjects import METHODS, STREAM, further_methods, is_python_model, unwrap
from palate._python_function.writing import read_config
from palate.errors import (
    CodeReason,
    DependencyMissing,
    InvalidModelFile,
    InvalidOption,
    PalateError,
    Problem,
    UnsafeModel,
)
from palate.hookspecs import LoadOptions

__all__ = ["PROMISES", "code_reasons", "open_native"]

FLAVOR = "python_function"
# cloudpickle's README supports no storing for later; its bug-fix releases read each other's pickles.
PROMISES: dict[str, Promise] = {"cloudpickle": "patch"}
# MLflow's loaders for pickles and for models-from-code, which we have implementations of.
PICKLE_LOADER = "mlflow.pyfunc.model"
CODE_LOADER = "mlflow.pyfunc.loaders.code_model"


# -- inspecting: nothing is imported ---------------------------------------------------------------------------------


def code_reasons(path: Path, config: Mapping[str, Any]) -> tuple[CodeReason, ...]:
    """Return why opening this directory would run its code; there always is a reason."""
    reasons: list[CodeReason] = []
    loader = config.get("loader_module")
    if loader not in (PICKLE_LOADER, CODE_LOADER):
        reasons.append(_loader_reason(path, config, loader))
    elif config.get("model_code_path") is not None:
        reasons.append(CodeReason(base_name(str(config["model_code_path"])), "this Python file makes the model"))
    else:
        reasons.append(CodeReason(str(config.get("python_model") or "python_model.pkl"), "a pickle can run any code"))
    if config.get("code"):
        reasons.append(CodeReason(f"{config['code']}/", "the model can import the modules in it"))
    return tuple(reasons)


def _loader_reason(path: Path, config: Mapping[str, Any], loader: object) -> CodeReason:
    if isinstance(loader, str) and isinstance(config.get("code"), str):
        relative = f"{config['code']}/{loader.replace('.', '/')}"
        for file in (f"{relative}.py", f"{relative}/__init__.py"):
            with suppress(PalateError):  # no such file, or a name that no file has
                if confine(path, file, field="loader_module").is_file():
                    return CodeReason(file, "this loader module opens the model")
    return CodeReason("MLmodel", f"its loader_module {str(loader)!r:.80} names a module outside the model to run")


# -- constructing ----------------------------------------------------------------------------------------------------


def open_native(path: Path, config: Mapping[str, Any], options: LoadOptions) -> LoadedPythonModel:
    """Run the code of a model that the caller trusts.

    What the model's own code raises is passed on as it is; a pickle that cannot be read is a LoadFailed.
    """
    model_config = _merged_config(config.get("config"), options.extra.get("model_config"))
    loader = config.get("loader_module")
    if loader not in (PICKLE_LOADER, CODE_LOADER):
        return _run_loader(path, config, options, model_config)
    # Paths are checked before any code runs: trust in the code is no trust in a path that leaves the directory.
    context = Context(find_artifacts(path, config.get("artifacts")), model_config)
    if config.get("model_code_path") is not None:
        model = _run_code_file(path, config, options, model_config)
    else:
        model = _unpickle(path, config, options)
    if is_python_model(model):
        # Libraries that load_context calls to read artifacts import the classes in them by name.
        with options.code.activated():
            model.load_context(context)
    return LoadedPythonModel(unwrap(model), context, _calls(unwrap(model)))


def _calls(model: Any) -> dict[str, Call]:
    if not is_python_model(model):
        return {"predict": Call.of_function(model)}
    return {name: Call.of_method(getattr(model, name)) for name in ("predict", *further_methods(model))}


def _merged_config(saved: object, given: object) -> dict[str, Any] | None:
    """Return the saved configuration with the caller's changes; None where the model has none, as in MLflow."""
    if saved is not None and not isinstance(saved, Mapping):
        raise _invalid("config", "wrong_type", "must be a map")
    known = dict(saved or {})
    changes = read_config(given) if given is not None else {}
    unknown = sorted(str(key) for key in changes if key not in known)
    if unknown:
        hint = f"keys that the model was saved with: {', '.join(map(str, known)) or 'none'}"
        raise InvalidOption("model_config", reason=f"the model knows no {', '.join(unknown)}", hint=hint)
    return deepcopy({**known, **changes}) or None


def _invalid(key: str, kind: Any, message: str) -> InvalidModelFile:
    return InvalidModelFile([Problem(("flavors", FLAVOR, key), kind, message)])


def _unpickle(path: Path, config: Mapping[str, Any], options: LoadOptions) -> Any:
    name, compression = config.get("python_model"), config.get("python_model_compression")
    if name is None:
        raise _invalid("python_model", "missing", "names no pickle and there is no model_code_path")
    if compression is not None and not (isinstance(compression, str) and compression in COMPRESSIONS):
        known = ", ".join(COMPRESSIONS)
        raise _invalid("python_model_compression", "wrong_value", f"is {compression!r:.40}, not one of {known}")
    file = confine(path, name, field=f"flavors.{FLAVOR}.python_model")
    _check_byte_code(file, str(name), config)
    return options.code.load_pickle(file, compression=compression)


def _check_byte_code(file: Path, name: str, config: Mapping[str, Any]) -> None:
    """Refuse functions compiled by another Python: running foreign byte code can crash the process."""
    recorded = config.get("python_version")
    saved, here = _minor(recorded), _minor(platform.python_version())
    if saved is None or saved == here:
        return
    if has_byte_code(file):
        raise UnsafeModel(
            name,
            rule=f"its functions are byte code of Python {recorded}, and this is Python {platform.python_version()}",
            hint=f"open it with Python {saved}, or save the model as a .py file",
        )


def _minor(version: object) -> str | None:
    parts = version.split(".") if isinstance(version, str) else []
    return ".".join(parts[:2]) if len(parts) > 1 else None


def _run_code_file(
    path: Path, config: Mapping[str, Any], options: LoadOptions, model_config: Mapping[str, Any] | None
) -> Any:
    name = base_name(str(config["model_code_path"]))
    file = confine(path, name, field=f"flavors.{FLAVOR}.model_code_path")
    if mlflow_installed() and b"ModelConfig" in file.read_bytes():
        # The real ModelConfig reads a global of its module, which must be there before the file runs.
        options.code.import_module("mlflow.models.model_config")
    with open_slot(model_config) as slot:
        options.code.run_file(file)
    model = slot.model
    if model is None:
        raise _invalid("model_code_path", "wrong_value", f"{name} never calls palate.set_model(...)")
    if not is_python_model(model) and (isinstance(model, type) or not callable(model)):
        what = f"{name} sets a {type(model).__name__}, which is neither a PythonModel instance nor a function"
        raise _invalid("model_code_path", "wrong_value", what)
    return model


def _run_loader(
    path: Path, config: Mapping[str, Any], options: LoadOptions, model_config: Mapping[str, Any] | None
) -> LoadedPythonModel:
    loader = config.get("loader_module")
    if not isinstance(loader, str) or not loader or loader.startswith("."):
        raise _invalid("loader_module", "wrong_value", "must name a module")
    data = confine(path, config.get("data", ""), field=f"flavors.{FLAVOR}.data", allow_root=True)
    with options.code.activated():
        load = getattr(options.code.import_module(loader), "_load_pyfunc", None)
        if not callable(load) and loader.startswith("mlflow."):
            raise DependencyMissing("mlflow", needed_for=f"A model that {loader} opens")
        if not callable(load):
            raise _invalid("loader_module", "wrong_value", f"names {loader}, which has no function _load_pyfunc")
        made = load(str(data), model_config) if model_config else load(str(data))
    predict = config.get("predict_fn", "predict")
    names = {"predict": predict, **{name: name for name in METHODS}, STREAM: config.get("predict_stream_fn", STREAM)}
    calls = {
        method: Call.of_function(function)
        for method, name in names.items()
        if callable(function := getattr(made, str(name), None))
    }
    if "predict" not in calls:
        message = f"names {loader}, whose _load_pyfunc returned a {type(made).__name__} without {predict}"
        raise _invalid("loader_module", "wrong_value", message)
    return LoadedPythonModel(made, None, calls)
