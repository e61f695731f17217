"""The classes that user code meets, and the wrappers that its functions are saved in.

Saving pickles this module by value, so that stock MLflow opens the directory without Palate. It may import nothing but
the standard library, and nothing may ask whether a loaded model is an instance of these classes: it holds copies.
Copies are told by this module's full name, which every saved model holds; renaming it needs a second name to look for.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "Context",
    "FunctionModel",
    "HintedModel",
    "PythonModel",
    "RecordMisfit",
    "TypeHints",
    "call_rule",
    "convert_input",
    "list_hint",
]


class Context:
    """What a model finds beside it when it is loaded.

    Attributes:
        artifacts: the path of each artifact, by name.
        model_config: the configuration saved with the model, with the loader's overrides; None when there is none.
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None) -> None:
        self.artifacts = artifacts
        self.model_config = model_config


class TypeHints:
    """What stock MLflow asks a model for, to convert its input by; the wrappers here convert it themselves."""

    input: Any = None
    output: Any = None


class PythonModel:
    """A model in plain Python: subclass it, define ``predict``, and save an instance.

    ``predict`` may be written ``predict(self, model_input)``, ``predict(self, context, model_input)``, and with a
    parameter named ``params`` at the end. A type hint ``list[T]`` on the input becomes the signature.
    """

    def load_context(self, context: Any) -> None:
        """Prepare for predictions: called once when the model is loaded, with its artifacts and configuration."""

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the predictions for the input."""
        raise NotImplementedError(f"{type(self).__qualname__} defines no predict(self, context, model_input)")

    @property
    def predict_type_hints(self) -> TypeHints:
        """Answer stock MLflow, which asks this of every model that it opens."""
        return TypeHints()


class FunctionModel(PythonModel):
    """A function of one argument, and optionally ``params``, as a model."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.with_params = call_rule(func)[1]
        self.hint = list_hint(func, position=0)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the function."""
        data = convert_input(model_input, self.hint)
        return self.func(data, params=params) if self.with_params else self.func(data)


class HintedModel(PythonModel):
    """A model whose input is hinted ``list[T]``: what callers pass is converted before it predicts."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def load_context(self, context: Any) -> None:
        """Prepare the model."""
        self.model.load_context(context)

    def predict(self, context: Any, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model's predict."""
        return self._call(self.model.predict, context, model_input, params)

    def _call(self, method: Callable[..., Any], context: Any, data: Any, params: Any) -> Any:
        with_context, with_params = call_rule(method)
        data = convert_input(data, list_hint(method, position=1 if with_context else 0))
        given = (context, data) if with_context else (data,)
        return method(*given, params=params) if with_params else method(*given)

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks for attributes before there is a model to ask.
        if name == "model" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.model, name)


def call_rule(predict: Callable[..., Any]) -> tuple[bool, bool]:
    """Return whether a predict method takes the context, and whether it takes params.

    The rule is MLflow's: the context goes to a parameter of that name, or to the first of exactly two.
    """
    try:
        parameters = inspect.signature(predict).parameters
    except (TypeError, ValueError):  # some builtins have none
        return False, False
    others = [name for name in parameters if name not in ("self", "params")]
    params = parameters.get("params")
    return (
        "context" in parameters or len(others) == 2,
        params is not None and params.kind is not inspect.Parameter.VAR_KEYWORD,
    )


def list_hint(predict: Callable[..., Any], *, position: int) -> Any:
    """Return the type hint ``list[T]`` of the parameter at *position* (self and params not counted), or None."""
    target: Any = predict
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        hints = typing.get_type_hints(target)
        names = [name for name in inspect.signature(predict).parameters if name not in ("self", "params")]
    except (TypeError, ValueError, NameError, AttributeError):  # names that exist for the type checker only
        return None
    hint = hints.get(names[position]) if position < len(names) else None
    return hint if typing.get_origin(hint) is list and len(typing.get_args(hint)) == 1 else None


def convert_input(data: Any, hint: Any) -> Any:
    """Return *data* as the list that a parameter hinted ``list[T]`` wants; other hints leave it alone.

    DataFrames become lists of cells or of records, dicts become the pydantic models or dataclasses that T names.
    """
    if hint is None:
        return data
    (element,) = typing.get_args(hint)
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        data = _frame_items(data, element)
    elif hasattr(data, "tolist"):
        data = data.tolist()
    known: dict[type, _Fields] = {}
    return [_convert(item, element, known) for item in data] if isinstance(data, list) else data


def _frame_items(frame: Any, element: Any) -> list[Any]:
    # A frame whose only column has the number 0 is how one unnamed column travels.
    if _is_record(element) and list(frame.columns) != [0]:
        items = frame.to_dict(orient="records")
    elif len(frame.columns) == 1:
        items = frame.iloc[:, 0].tolist()
    else:
        raise ValueError(f"predict takes a list, which a DataFrame of {len(frame.columns)} columns cannot become")
    return items if element is float else [_without_nan(item) for item in items]


def _without_nan(value: Any) -> Any:
    """Undo what pandas does to lists and missing values."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    if hasattr(value, "tolist"):
        return _without_nan(value.tolist())
    return None if isinstance(value, float) and value != value else value


def _is_record(hint: Any) -> bool:
    return dict in (hint, typing.get_origin(hint)) or typing.is_typeddict(hint) or _makes_objects(hint)


def _makes_objects(hint: Any) -> bool:
    if not isinstance(hint, type):
        return False
    pydantic = any(cls.__name__ == "BaseModel" and cls.__module__.startswith("pydantic") for cls in hint.__mro__)
    return pydantic or dataclasses.is_dataclass(hint)


@dataclasses.dataclass(frozen=True)
class _Fields:
    """What is to be known of a record's class, looked up once and not for each record."""

    required: frozenset[str]
    hints: Mapping[str, Any]


def _convert(value: Any, hint: Any, known: dict[type, _Fields]) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and isinstance(value, list):
        return [_convert(item, args[0], known) for item in value]
    if origin is dict and isinstance(value, dict) and len(args) == 2:
        return {key: _convert(item, args[1], known) for key, item in value.items()}
    if origin in (typing.Union, types.UnionType):
        others = [arg for arg in args if arg is not type(None)]
        return _convert(value, others[0], known) if len(others) == 1 else value
    if not isinstance(value, dict) or not (typing.is_typeddict(hint) or _makes_objects(hint)):
        return value
    fields = known.get(hint)
    if fields is None:
        # pydantic converts the members itself.
        hints = typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {}
        fields = known[hint] = _Fields(_required_keys(hint), hints)
    if lost := fields.required - value.keys():
        raise RecordMisfit(f"a record misses {', '.join(sorted(lost))}")
    if typing.is_typeddict(hint):
        return value
    if fields.hints and (extra := len(value.keys() - fields.hints.keys())):
        raise RecordMisfit(f"a record has {extra} key(s) that are no fields of {hint.__name__}")
    return hint(**{key: _convert(item, fields.hints.get(key), known) for key, item in value.items()})


def _required_keys(hint: Any) -> frozenset[str]:
    """Return the keys that a TypedDict or a dataclass needs; pydantic judges its records itself."""
    if typing.is_typeddict(hint):
        # Where annotations are text, a TypedDict's own __required_keys__ overlooks NotRequired.
        hints = typing.get_type_hints(hint, include_extras=True)
        optional = {name for name, member in hints.items() if typing.get_origin(member) is typing.NotRequired}
        return frozenset(hint.__required_keys__) - optional
    if not dataclasses.is_dataclass(hint) or hasattr(hint, "__pydantic_fields__"):
        return frozenset()
    unset = dataclasses.MISSING
    needed = (f for f in dataclasses.fields(hint) if f.init and f.default is unset and f.default_factory is unset)
    return frozenset(f.name for f in needed)


class RecordMisfit(TypeError):
    """A record does not have the keys that its type hint needs; the text names keys of the hint, and no values."""
