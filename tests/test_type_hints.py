"""Schemas from type hints."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Optional, TypedDict, Union

import pytest

from palate._inference.type_hints import schema_from_hints
from palate.errors import InvalidSignature
from palate.schema import type_text

if TYPE_CHECKING:
    from somewhere import Frame

np = pytest.importorskip("numpy")


def hinted(hint: object, returns: object = None) -> Callable[..., object]:
    """Return a function whose input has this hint."""

    def predict(model_input: object) -> object: ...

    predict.__annotations__ = {"model_input": hint} | ({} if returns is None else {"return": returns})
    return predict


def input_type(function: Callable[..., object]) -> str | None:
    """Return the input's type as text, or None when the hints say nothing."""
    inputs, _ = schema_from_hints(function)
    return None if inputs is None else type_text(inputs.columns[0].type)


def refusal(function: Callable[..., object]) -> str:
    """Return why a hint is refused."""
    with pytest.raises(InvalidSignature) as caught:
        schema_from_hints(function)
    return str(caught.value)


@dataclasses.dataclass
class Point:
    x: float
    label: str | None = None


class Row(TypedDict):
    name: str
    tags: NotRequired[list[str]]


@dataclasses.dataclass
class Tree:
    children: list[Tree]


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (list[str], "string"),
        (list[int], "long"),
        (list[float], "double"),
        (list[bool], "boolean"),
        (list[bytes], "binary"),
        (list[dt.datetime], "datetime"),
        (list[list[str]], "array(string)"),
        (list[dict[str, int]], "map(long)"),
        (list[dict[str, list[float]]], "map(array(double))"),
        (list[Any], "any"),
        (list[int | str], "any"),
        (list[Union[int, str]], "any"),  # noqa: UP007 - the older spelling is another object
        (list[list[Optional[str]]], "array(string)"),  # noqa: UP045
        (list[Literal["a", "b"]], "string"),
        (list[Literal["a", 1]], "any"),
        (list[Point], "object(label?: string, x: double)"),
        (list[Row], "object(name: string, tags?: array(string))"),
        ("list[str]", "string"),
        (list["Point"], "object(label?: string, x: double)"),
    ],
)
def test_list_hints_declare_one_unnamed_column(hint: object, text: str) -> None:
    """``list[T]`` is one unnamed, required column of the type T."""
    inputs, _ = schema_from_hints(hinted(hint))
    assert inputs is not None
    (column,) = inputs.columns
    assert (type_text(column.type), column.name, column.required) == (text, None, True)


@pytest.mark.parametrize("hint", [np.ndarray, np.ndarray | None, object, Any, Sequence[float], types.SimpleNamespace])
def test_containers_of_others_say_nothing(hint: object) -> None:
    """A hint that does not tell the content declares no inputs."""
    assert schema_from_hints(hinted(hint)) == (None, None)


def test_frames_say_nothing() -> None:
    """A DataFrame's columns are not in its hint."""
    pd = pytest.importorskip("pandas")
    assert schema_from_hints(hinted(pd.DataFrame, pd.Series)) == (None, None)


@pytest.mark.parametrize(
    ("hint", "advice"),
    [
        (str, "write list[str]"),
        (dict[str, int], "write list[dict[str, int]]"),
        (tuple[int, int], "write list[tuple[int, int]]"),
        (Point, "write list[Point]"),
        (list, "does not say of what"),
        (Optional[list[str]], "cannot be optional. Hint: write list[str]"),  # noqa: UP045
        (list[str | None], "cannot be optional"),
        (list[tuple[int, int]], "'tuple[int, int]' has no type"),
        (list[dict[int, str]], "needs str keys"),
        (list[dict], "has no type"),
        (list[np.float64], "'float64' has no type"),
        (list[Tree], "contains itself"),
        (list[dataclasses.make_dataclass("Empty", [])], "has no fields"),
    ],
)
def test_hints_that_cannot_be_are_refused(hint: object, advice: str) -> None:
    """A hint that means content but cannot be a column's type is refused with what to write."""
    assert advice in refusal(hinted(hint))


def test_hints_for_type_checkers_only_are_refused() -> None:
    """A hint that cannot be resolved at run time is told, with the way out."""

    def predict(model_input: list[Frame]) -> list[str]: ...

    assert "TYPE_CHECKING" in refusal(predict)


def test_other_hints_need_not_resolve() -> None:
    """Only the input's own hint must be resolvable."""

    def predict(model_input: list[str], params: Frame | None = None) -> Frame: ...

    assert input_type(predict) == "string"


def test_the_input_is_not_self_context_or_params() -> None:
    """``context`` and ``params`` are passed by name or position, and are not the data."""

    class Model:
        def plain(self, rows: list[str]) -> None: ...
        def with_params(self, rows: list[str], params: dict[str, int] | None = None) -> None: ...
        def with_context(self, context: int, rows: list[str]) -> None: ...
        def with_any_context(self, ctx: int, rows: list[str]) -> None: ...
        def with_both(self, context: int, rows: list[str], params: int = 0) -> None: ...
        def with_more(self, rows: list[str], **options: int) -> None: ...

    names = [name for name in vars(Model) if not name.startswith("_")]
    assert [input_type(getattr(Model(), name)) for name in names] == ["string"] * 6
    assert [input_type(getattr(Model, name)) for name in names] == ["string"] * 6


def test_functions_without_an_input_say_nothing() -> None:
    """No parameter, no hint and no signature are all no declaration."""
    assert schema_from_hints(lambda: None) == (None, None)
    assert schema_from_hints(lambda rows: None) == (None, None)
    assert schema_from_hints(dict.fromkeys) == (None, None)


class Caller:
    def __call__(self, rows: list[Point]) -> list[str]: ...


def test_callables_of_every_sort_are_read() -> None:
    """Decorated functions, partials and objects that can be called resolve text hints where they were written."""

    @functools.wraps(hinted)
    def decorated(*args: object) -> object: ...

    decorated.__wrapped__ = Caller.__call__  # type: ignore[attr-defined]
    expected = "object(label?: string, x: double)"
    assert input_type(Caller()) == expected
    assert input_type(decorated) == expected
    assert input_type(functools.partial(Caller().__call__)) == expected


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (list[str], "string"),
        (str, "string"),
        (dict[str, float], "map(double)"),
        (Point, "object(label?: string, x: double)"),
    ],
)
def test_outputs_may_be_lists_or_single(hint: object, text: str) -> None:
    """``-> list[T]`` and ``-> T`` both declare a column of type T."""
    _, outputs = schema_from_hints(hinted(list[str], hint))
    assert outputs is not None
    assert type_text(outputs.columns[0].type) == text


@pytest.mark.parametrize("hint", [np.ndarray, tuple[int, int], list, str | None, "Unknown"])
def test_outputs_that_say_nothing_are_no_error(hint: object) -> None:
    """Outputs are not enforced, so a hint without a type is simply not recorded."""
    assert schema_from_hints(hinted(list[str], hint))[1] is None


def test_pydantic_models_are_objects() -> None:
    """Fields that may be None, or have a default, are optional, and nested models nest."""
    pydantic = pytest.importorskip("pydantic")
    inner = pydantic.create_model("Inner", n=(int, 3))
    outer = pydantic.create_model("Outer", inner=(list[inner], ...), note=(str | None, None))
    assert input_type(hinted(list[outer])) == "object(inner: array(object(n?: long)), note?: string)"
    assert "write list[Outer]" in refusal(hinted(outer))


def test_pydantic_fields_that_may_be_none_need_a_default() -> None:
    """A field that the signature lets callers leave out must have a default, or pydantic would refuse the record."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", note=(str | None, ...))
    assert "'Model.note' may be None but has no default" in refusal(hinted(list[model]))
