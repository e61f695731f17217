"""What can be saved as a python_function model, and what it answers to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from palate._code import python_model, standins
from palate._code.python_model import FunctionModel, HintedModel, call_rule, list_hint
from palate._python_function.loaded import LoadedPythonModel
from palate.errors import UnsupportedModel

__all__ = [
    "METHODS",
    "STREAM",
    "find_hinted",
    "further_methods",
    "is_python_model",
    "model_methods",
    "prepare",
    "streams",
    "unwrap",
]

# What other frameworks call the methods of a model.
STREAM = "predict_stream"
METHODS = (STREAM, "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")

_MLFLOW_MODEL = "mlflow.pyfunc.model"  # the module of the real PythonModel
_AGENTS = frozenset({"ChatModel", "ChatAgent", "ResponsesAgent"})
_WRITE_ONE = "subclass palate.PythonModel and save an instance, or save a function of one argument"


def is_python_model(model: Any) -> bool:
    """Return whether *model* has what MLflow calls on a PythonModel; its classes are copies, so ask no isinstance."""
    methods = (getattr(model, name, None) for name in ("load_context", "predict"))
    return not isinstance(model, type) and all(map(callable, methods))


def unwrap(model: Any) -> Any:
    """Return what a loaded model, or a wrapper from a pickle, holds."""
    while True:
        if isinstance(model, LoadedPythonModel) or _is_copy(model, HintedModel):
            model = model.model
        elif _is_copy(model, FunctionModel, standins.FunctionPythonModel):
            model = model.func
        else:
            return model


def _is_copy(model: Any, *classes: type) -> bool:
    kind = type(model)
    return any((kind.__module__, kind.__qualname__) == (cls.__module__, cls.__qualname__) for cls in classes)


def find_hinted(model: Any) -> Callable[..., Any] | None:
    """Return the function whose type hints declare the inputs, or None."""
    if is_python_model(model):
        return model.predict if _defines_predict(model) else None
    if not callable(model) or isinstance(model, type):
        return None
    # MLflow's rule for methods would take the first of two for the context.
    return None if call_rule(model)[0] else model


def model_methods(model: Any) -> Sequence[str]:
    """Return the methods of a model that is being saved."""
    model = unwrap(model)
    return ("predict", *further_methods(model)) if is_python_model(model) else ("predict",)


def further_methods(model: Any) -> tuple[str, ...]:
    """Return what a PythonModel answers to besides ``predict``: those of the usual names that its class defines."""
    defined = [name for name in METHODS if callable(getattr(type(model), name, None))]
    return tuple(name for name in defined if name != STREAM or streams(model))


def streams(model: Any) -> bool:
    """Return whether a model defines ``predict_stream``; MLflow's base class only raises in its own."""
    method = getattr(type(model), "predict_stream", None)
    return method is not None and getattr(method, "__module__", "").partition(".")[0] != "mlflow"


def _defines_predict(model: Any) -> bool:
    method = getattr(type(model), "predict", None)
    return getattr(method, "__module__", None) not in (python_model.__name__, _MLFLOW_MODEL)


def prepare(model: Any) -> Any:
    """Return what to pickle for *model*.

    Raises:
        UnsupportedModel: it is nothing that predicts; the message says what would be.
    """
    name = type(model).__qualname__
    if isinstance(model, type):
        raise UnsupportedModel("class", reason=f"'{model.__qualname__}' is a class", hint="save an instance of it")
    of_mlflow = {cls.__name__ for cls in type(model).__mro__ if cls.__module__ == _MLFLOW_MODEL}
    if of_mlflow & _AGENTS:
        raise UnsupportedModel(name, reason="MLflow's chat and agent classes need loaders of MLflow's", hint=_WRITE_ONE)
    if is_python_model(model):
        if not _defines_predict(model):
            raise UnsupportedModel(name, reason="it defines no predict", hint="define predict(self, model_input)")
        # MLflow's own base class converts what is hinted.
        return HintedModel(model) if _is_hinted(model) and not of_mlflow else model
    if not callable(model):
        raise UnsupportedModel(name, reason="it is neither a PythonModel nor a function", hint=_WRITE_ONE)
    _check_function(model, name)
    return FunctionModel(model)


def _is_hinted(model: Any) -> bool:
    with_context, _ = call_rule(model.predict)
    return list_hint(model.predict, position=1 if with_context else 0) is not None


def _check_function(function: Callable[..., Any], name: str) -> None:
    if inspect.iscoroutinefunction(function):
        raise UnsupportedModel(name, reason="its calls must be awaited", hint="save a plain function")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [parameter for parameter in needed if parameter != "params"]
    if not positional or len(needed) > 1:
        takes = f"needs {', '.join(needed)}" if needed else "takes no argument"
        raise UnsupportedModel(name, reason=f"it {takes}", hint="save a function that takes the data alone")
