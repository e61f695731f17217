"""A loaded python_function model, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from palate._code.python_model import Context, RecordMisfit, call_rule, convert_input, list_hint
from palate._containers.kinds import is_dataframe
from palate._containers.sharing import shares_safely
from palate.errors import InvalidInput, Problem

__all__ = ["Call", "LoadedPythonModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of a model, and what it wants besides the data; found out once.

    Attributes:
        function: the method.
        with_context: it takes the context first.
        with_params: it takes ``params``.
        hint: the ``list[T]`` that its data is converted to, or None.
    """

    function: Callable[..., Any]
    with_context: bool
    with_params: bool
    hint: Any = None

    @classmethod
    def of_method(cls, method: Callable[..., Any]) -> Call:
        """Return how to call a method of a PythonModel."""
        with_context, with_params = call_rule(method)
        hint = list_hint(method, position=1 if with_context else 0)
        return cls(function=method, with_context=with_context, with_params=with_params, hint=hint)

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> Call:
        """Return how to call a function, or a method that a loader module made: these know no context."""
        hint = list_hint(function, position=0)
        return cls(function=function, with_context=False, with_params=call_rule(function)[1], hint=hint)


@dataclass(frozen=True, slots=True)
class LoadedPythonModel:
    """A model made by user code.

    Attributes:
        model: the PythonModel, the function, or what a loader module returned.
        context: its artifacts and configuration; None for a loader module's.
        calls: what it answers to, the default first.
    """

    model: Any
    context: Context | None
    calls: Mapping[str, Call]

    def call(self, method: str, data: Any, params: Mapping[str, Any]) -> Any:
        """Call one of its methods; params go only to a method that takes them, as in MLflow."""
        rule = self.calls[method]
        given = (_converted(_own(data), rule.hint),)
        arguments = (self.context, *given) if rule.with_context else given
        if rule.with_params:
            # A model without params gets None, as from MLflow.
            return rule.function(*arguments, params=dict(params) or None)
        return rule.function(*arguments)


def _own(data: Any) -> Any:
    """Return a container that the model may add to and take from, as user code does; arrays in it are the caller's.

    Where frames can share memory safely, columns are copied when the model writes into them; with pandas 2 they are
    copied here.
    """
    if isinstance(data, dict | list):
        return data.copy()
    return data.copy(deep=not shares_safely()) if is_dataframe(data) else data


def _converted(data: Any, hint: Any) -> Any:
    """Return the data as the hint wants it; what the hint's own classes refuse is wrong in the input."""
    try:
        return convert_input(data, hint)
    except Exception as exc:  # pydantic's ValidationError, a dataclass's TypeError, what a validator raises
        raise InvalidInput(_problems(exc)) from exc


def _problems(exc: Exception) -> list[Problem]:
    """Say what was refused, without the caller's values."""
    if isinstance(exc, RecordMisfit):
        return [Problem(("inputs",), "missing", str(exc))]
    if type(exc).__module__.partition(".")[0] == "pydantic_core":
        told: Any = exc
        return [_problem(error) for error in told.errors(include_url=False, include_context=False, include_input=False)]
    # The text of what user code raises may hold values.
    message = f"could not be converted to the model's type hint ({type(exc).__name__})"
    return [Problem(("inputs",), "wrong_type", message)]


def _problem(error: Mapping[str, Any]) -> Problem:
    """Translate one of pydantic's; the messages of validators may hold values, its own do not."""
    message = error["type"] if error["type"] in ("value_error", "assertion_error") else error["msg"]
    return Problem(("inputs", *error["loc"]), "missing" if error["type"] == "missing" else "wrong_value", message)
