"""The classes that user code meets: how predict is called, and what its input is converted to."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import pytest

from palate._code.model_slot import current_slot, open_slot, set_model
from palate._code.python_model import FunctionModel, HintedModel, PythonModel, call_rule, convert_input, list_hint


@dataclasses.dataclass
class Inner:
    """A nested record."""

    n: int


@dataclasses.dataclass
class Message:
    """A record as a hint."""

    text: str
    inner: Inner | None = None
    more: list[Inner] = dataclasses.field(default_factory=list)


class Row(TypedDict):
    """A record that stays a dict."""

    text: str


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (lambda model_input: 0, (False, False)),
        (lambda model_input, params: 0, (False, True)),
        (lambda model_input, params=None: 0, (False, True)),
        (lambda context, model_input: 0, (True, False)),
        (lambda ctx, data: 0, (True, False)),
        (lambda ctx, data, params=None: 0, (True, True)),
        (lambda context: 0, (True, False)),
        (lambda a, b, c: 0, (False, False)),
        (lambda data, **params: 0, (False, False)),
        (min, (False, False)),
    ],
)
def test_call_rule(function, rule) -> None:
    """The context goes to a parameter of that name or to the first of exactly two; params only by name."""
    assert call_rule(function) == rule


def hinted(data: list[Message]) -> None:
    """Carry a hint."""


class Callable:
    """An instance that is called."""

    def __call__(self, data: list[int]) -> None:
        """Carry a hint."""


def unresolvable(data: list[Nowhere]) -> None:  # noqa: F821
    """Carry a hint that names nothing."""


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (hinted, list[Message]),
        (functools.partial(hinted), list[Message]),
        (Callable(), list[int]),
        (unresolvable, None),
        (lambda data: 0, None),
        (len, None),
    ],
)
def test_list_hint(function, hint) -> None:
    """Hints are found on functions, partials and callable instances; those that cannot be resolved are none."""
    assert list_hint(function, position=0) == hint


@pytest.mark.parametrize(
    ("data", "hint", "expected"),
    [
        (pd.DataFrame({"x": ["a", "b"]}), list[str], ["a", "b"]),
        (pd.DataFrame({0: [1.5, np.nan]}), list[float], [1.5, None]),
        (pd.DataFrame({"text": ["a"], "inner": [None]}), list[dict[str, Any]], [{"text": "a", "inner": None}]),
        (pd.DataFrame({0: [{"text": "a"}]}), list[Row], [{"text": "a"}]),
        (pd.DataFrame({"text": ["a"]}), list[Row], [{"text": "a"}]),
        (pd.DataFrame({"text": ["a"]}), list[Message], [Message("a")]),
        (pd.DataFrame({"x": [np.array(["a", "b"])]}), list[list[str]], [["a", "b"]]),
        (pd.Series([1, 2]), list[int], [1, 2]),
        (np.array([1, 2]), list[int], [1, 2]),
        (
            [{"text": "a", "inner": {"n": 1}, "more": [{"n": 2}]}],
            list[Message],
            [Message("a", Inner(1), [Inner(2)])],
        ),
        ([{"k": {"n": 1}}], list[dict[str, Inner]], [{"k": Inner(1)}]),
        ([None, {"n": 1}], list[Inner | None], [None, Inner(1)]),
        ([1, "a"], list[int | str], [1, "a"]),
        ([Message("a")], list[Message], [Message("a")]),
        ("text", list[str], "text"),
        ([datetime.date(2024, 1, 2)], list[datetime.date], [datetime.date(2024, 1, 2)]),
    ],
)
def test_convert_input(data, hint, expected) -> None:
    """Frames, series and arrays become lists, and dicts the objects that the hint names."""
    given = convert_input(data, hint)
    assert given == expected or (hint == list[float] and given[0] == 1.5 and np.isnan(given[1]))


def test_input_without_a_hint_is_untouched() -> None:
    """A model that says nothing gets what came, the very same object."""
    frame = pd.DataFrame({"a": [1]})
    assert convert_input(frame, None) is frame


def test_a_wide_frame_is_not_cut_to_its_first_column() -> None:
    """MLflow takes the first column with a warning; that would be somebody's data lost."""
    with pytest.raises(ValueError, match="2 columns"):
        convert_input(pd.DataFrame({"a": ["x"], "b": ["y"]}), list[str])


def test_function_model() -> None:
    """A function gets its data converted, and params if it takes them."""
    assert FunctionModel(lambda data: data + 1).predict(1, params={"k": 2}) == 2
    assert FunctionModel(lambda data, params: (data, params)).predict(1, params={"k": 2}) == (1, {"k": 2})
    assert FunctionModel(hinted).hint == list[Message]


class Streaming(PythonModel):
    """A model with more to it than predict."""

    word = "hello"

    def load_context(self, context: Any) -> None:
        """Keep it."""
        self.seen = context

    def predict(self, context: Any, model_input: list[Message], params: Any = None) -> Any:
        """Show what came."""
        return context, model_input, params


def test_hinted_model() -> None:
    """The wrapper converts for the model inside and shows its other attributes."""
    wrapper = HintedModel(Streaming())
    wrapper.load_context("context")
    assert wrapper.seen == "context"
    assert wrapper.predict("c", pd.DataFrame({"text": ["a"]}), {"k": 1}) == ("c", [Message("a")], {"k": 1})
    assert wrapper.word == "hello"
    assert wrapper.predict_type_hints.input is None
    with pytest.raises(AttributeError):
        _ = wrapper.nothing


def test_a_model_without_predict_says_so() -> None:
    """Calling predict on a class that defines none names the class."""
    with pytest.raises(NotImplementedError, match="PythonModel defines no predict"):
        PythonModel().predict(1)


def test_slots_are_left_by_nobody() -> None:
    """A slot begins empty, holds what is set inside, nests, and is gone afterwards."""
    with open_slot({"a": 1}) as outer:
        set_model("one")
        with open_slot(None) as inner:
            assert inner.model is None
        assert current_slot() is outer
    assert outer.model == "one"
    assert current_slot() is None
    set_model("ignored")
    with open_slot(None) as later:
        pass
    assert later.model is None
