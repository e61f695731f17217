"""Stand-ins for the parts of mlflow that saved models name, for processes where mlflow is not installed.

PythonModel pickles written by MLflow name its base class and a few helpers; files of models-from-code import mlflow to
call ``set_model``. The stand-ins never enter ``sys.modules`` for others to find: only a model's own code sees them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, TypeVar

from palate._code import untraced
from palate._code.load_answers import load_model_of
from palate._code.model_slot import current_slot, set_model
from palate._code.python_model import Context, PythonModel, call_rule, convert_input, list_hint
from palate._disk.format import MLFLOW_FORMAT_VERSION
from palate._disk.strict_yaml import read_yaml
from palate.errors import DependencyMissing

__all__ = ["StandIn", "mlflow_installed", "stand_in", "stand_ins"]


class StandIn(ModuleType):
    """A module of mlflow's, as far as saved models need it.

    It also stands for whatever else is imported from mlflow: code names much that it never uses when it predicts.
    What is missing is asked for when it is called or subclassed.
    """

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._ask()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        self._ask()

    def __or__(self, other: object) -> Any:
        return Any  # an annotation: MlflowClient | None

    __ror__ = __or__

    def _ask(self) -> NoReturn:
        raise DependencyMissing("mlflow", needed_for=f"This model uses {self.__name__}, which")

    def __getattr__(self, name: str) -> Any:
        # Tools that look at modules ask for many dunder names and expect a plain refusal.
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "autolog":
            return untraced.do_nothing
        raise AttributeError(
            f"This model uses {self.__name__}.{name}, which needs the real mlflow. Hint: pip install mlflow."
        )


def mlflow_installed() -> bool:
    """Return whether the real mlflow can be imported here; a stray folder called mlflow does not count."""
    if "mlflow" in sys.modules:
        return sys.modules["mlflow"] is not None
    try:
        spec = find_spec("mlflow")
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


class MlflowException(Exception):
    """The base of the errors that code written for MLflow raises and catches."""

    def __init__(self, message: object = "", error_code: object = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = str(message)
        self.error_code = error_code
        self.facts = facts

    @classmethod
    def invalid_parameter_value(cls, message: object, **facts: Any) -> MlflowException:
        """Make the error for a wrong argument."""
        return cls(message, error_code="INVALID_PARAMETER_VALUE", **facts)


class TypeHints:
    """The type hints that MLflow stores in an instance of a model class."""

    def __init__(self, input_: Any = None, output: Any = None) -> None:
        self.input = input_
        self.output = output


class FunctionPythonModel(PythonModel):
    """A plain function that MLflow saved."""

    func: Callable[[Any], Any]

    def predict(self, model_input: Any) -> Any:
        """Call the function; MLflow gives it no params."""
        return self.func(model_input)


class FuncInfo(NamedTuple):
    """What MLflow's predict wrapper remembers of the function that it wraps."""

    input_type_hint: Any
    input_param_name: str


def validate_model_input(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, hint: Any, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Convert the model input among a call's arguments, as the wrapper in MLflow's pickles asks for."""
    if name in kwargs:
        return args, {**kwargs, name: convert_input(kwargs[name], hint)}
    if position < len(args):
        return (*args[:position], convert_input(args[position], hint), *args[position + 1 :]), kwargs
    return args, kwargs


def pyfunc(func: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a predict function so that its input is converted to its type hint."""
    with_context, _ = call_rule(func)
    names = list(inspect.signature(func).parameters)
    position = (1 if with_context else 0) + (1 if "self" in names else 0)
    hint = list_hint(func, position=1 if with_context else 0)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = validate_model_input(args, kwargs, position, hint, names[position])
        return func(*args, **kwargs)

    return wrapper


class ModelConfig:
    """The configuration of the model whose file is being run, or the one for development."""

    def __init__(self, *, development_config: str | Mapping[str, Any] | None = None) -> None:
        slot = current_slot()
        self.config = slot.config if slot is not None else development_config
        if not self.config:
            raise FileNotFoundError("This model's code reads a ModelConfig, and the model was saved without one.")

    def to_dict(self) -> dict[str, Any]:
        """Return the whole configuration."""
        if isinstance(self.config, str):
            document = read_yaml(Path(self.config).read_bytes(), source=self.config)
            return document if isinstance(document, dict) else {}
        return dict(self.config or {})

    def get(self, key: str) -> Any:
        """Return one value; a missing key is a KeyError, as in MLflow."""
        return self.to_dict()[key]


class DataType(Enum):
    """MLflow's scalar types, by the numbers that it pickles."""

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8


class Record:
    """A part of a signature, kept as it was pickled; the signature that counts is in MLmodel."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


_SCHEMA_CLASSES = (
    "AnyType Array ColSpec Map Object ParamSchema ParamSpec Property Schema SparkMLVector TensorInfo TensorSpec"
)
_FRAMEWORKS = ("keras", "pytorch", "sklearn", "tensorflow", "xgboost")


@cache
def stand_ins() -> dict[str, StandIn]:
    """Return the stand-in modules by name."""
    contents = _contents()
    modules = {name: StandIn(name, "A stand-in of Palate's.") for name in contents}
    for name, things in contents.items():
        vars(modules[name]).update(things, __path__=[])
        parent, _, tail = name.rpartition(".")
        if parent:
            setattr(modules[parent], tail, modules[name])
    return modules


def stand_in(name: str) -> StandIn:
    """Return the stand-in for a module of mlflow's, or for any other thing of that name."""
    known = stand_ins()
    if name not in known:
        parent, _, tail = name.rpartition(".")
        known[name] = StandIn(name, "A stand-in of Palate's for what it does not know.")
        vars(known[name])["__path__"] = []
        setattr(stand_in(parent), tail, known[name])
    return known[name]


def _contents() -> dict[str, dict[str, Any]]:
    model = {"PythonModel": PythonModel, "PythonModelContext": Context, "_FunctionPythonModel": FunctionPythonModel}
    validation = {"FuncInfo": FuncInfo, "_validate_model_input": validate_model_input, "pyfunc": pyfunc}
    public = {name: thing for name, thing in model.items() if not name.startswith("_")}
    settings = dict.fromkeys(("set_experiment", "set_registry_uri", "set_tracking_uri"), untraced.do_nothing)
    return {
        "mlflow": {
            "MlflowException": MlflowException,
            "__version__": MLFLOW_FORMAT_VERSION,
            **{name: thing for name, thing in _tracing().items() if not name.startswith("_")},
            **settings,
        },
        **{f"mlflow.{name}": {"load_model": load_model_of(f"mlflow.{name}")} for name in _FRAMEWORKS},
        "mlflow.entities": {"SpanType": untraced.SpanType},
        "mlflow.exceptions": {"MlflowException": MlflowException},
        **_model_contents(),
        "mlflow.pyfunc": {**public, "load_model": load_model_of("mlflow.pyfunc")},
        "mlflow.pyfunc.model": model,
        "mlflow.pyfunc.utils": {"pyfunc": pyfunc},
        "mlflow.pyfunc.utils.data_validation": validation,
        # What a function refers to that was traced when it was pickled.
        "mlflow.tracing": {},
        "mlflow.tracing.constant": {"SpanAttributeKey": untraced.SpanAttributeKey},
        "mlflow.tracing.fluent": _tracing(),
        "mlflow.tracing.utils": {"capture_function_input_args": untraced.do_nothing},
    }


def _model_contents() -> dict[str, dict[str, Any]]:
    schema: dict[str, Any] = {name: type(name, (Record,), {}) for name in _SCHEMA_CLASSES.split()}
    schema["DataType"] = DataType
    record = type("ModelSignature", (Record,), {})
    signature = {"ModelSignature": record, "infer_signature": record, "_TypeHints": TypeHints}
    return {
        "mlflow.models": {"set_model": set_model, "ModelConfig": ModelConfig, **signature},
        "mlflow.models.model": {"set_model": set_model},
        "mlflow.models.model_config": {"ModelConfig": ModelConfig},
        "mlflow.models.signature": signature,
        "mlflow.types": schema,
        "mlflow.types.schema": schema,
        "mlflow.types.type_hints": {"TypeFromExample": TypeVar("TypeFromExample")},
    }


def _tracing() -> dict[str, Any]:
    silent = ("get_current_active_span", "update_current_span", "update_current_trace")
    return {
        "trace": untraced.trace,
        "start_span": untraced.start_span,
        "_set_sampling_ratio_override": untraced.start_span,
        **dict.fromkeys(silent, untraced.do_nothing),
    }
