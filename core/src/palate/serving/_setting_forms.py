"""What a setting is, and the forms that its value has: one reader for file, environment, command line and Python.

A reader takes what any of the four brings (TOML's own types, or text) and raises ValueError with what is wrong of it,
as the end of a sentence that began with the setting's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple, TypeVar

from palate.amounts import read_amount, read_size, show_size

__all__ = [
    "PREFIX",
    "Form",
    "Setting",
    "choice",
    "choices",
    "count",
    "duration",
    "names",
    "paths",
    "size",
    "switch",
    "text",
]

PREFIX = "PALATE_SERVE_"

_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a setting's values look like.

    Attributes:
        noun: what it is called in help texts: "size", "duration", "a|b".
        read: makes the value from what was given.
        show: writes a value as ``read`` takes it.
    """

    noun: str
    read: Callable[[object], Any]
    show: Callable[[Any], str] = str


class Setting(NamedTuple):
    """One setting as sources and documents see it.

    Attributes:
        name: its name in the file and in Python.
        default: its value where nobody sets it.
        form: how its values are read and shown.
        help: one or two sentences.
    """

    name: str
    default: Any
    form: Form
    help: str

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def row(self) -> str:
        """Its row in a table in Markdown: name, default, value, what it does."""
        shown = self.form.show(self.default)
        default = f"`{shown}`" if shown else ""
        return f"| `{self.name}` | {default} | {self.form.noun.replace('|', ' or ')} | {self.help} |"


def count(lowest: int, highest: int) -> Form:
    """A whole number."""

    def read(given: object) -> int:
        value = read_amount(given, {"": 1}, "write a whole number")
        if value != int(value):
            raise ValueError(f"{given!r:.40} is not a whole number")
        return _bounded(int(value), lowest, highest, str)

    return Form(noun="number", read=read, show=str)


def size(lowest: int, highest: int, *, optional: bool = False) -> Form:
    """A number of bytes: 16777216 or "16MiB"."""

    def read(given: object) -> int | None:
        if given is None and optional:
            return None
        return _bounded(read_size(given), lowest, highest, show_size)

    return Form(noun="size", read=read, show=lambda value: "" if value is None else show_size(value))


def duration(lowest: float, highest: float) -> Form:
    """A number of seconds: 30, 0.5, "30s", "500ms", "1m", "1h"."""

    def read(given: object) -> float:
        value = read_amount(given, {"": 1.0, **_DURATIONS}, "write seconds, as a number or as 500ms, 30s, 1m, 1h")
        return _bounded(float(value), lowest, highest, _show_duration)

    return Form(noun="duration", read=read, show=_show_duration)


def switch() -> Form:
    """True or false."""

    def read(given: object) -> bool:
        if isinstance(given, bool):
            return given
        if isinstance(given, str) and given.strip().lower() in _SWITCHES:
            return _SWITCHES[given.strip().lower()]
        raise ValueError(f"{given!r:.40} is neither true nor false")

    return Form(noun="true|false", read=read, show=lambda value: str(value).lower())


def text(pattern: str, told: str, *, longest: int, optional: bool = False) -> Form:
    """Text that matches *pattern*; *told* says what that is. None passes if it is *optional*."""

    def read(given: object) -> str | None:
        if given is None and optional:
            return None
        if not isinstance(given, str) or not re.fullmatch(pattern, given):
            raise ValueError(f"{given!r:.40} is not {told}")
        if len(given.encode("utf-8", "surrogateescape")) > longest:
            raise ValueError(f"it is longer than {longest} bytes")
        return given

    return Form(noun="text", read=read, show=lambda value: value or "")


def choice(allowed: Sequence[str]) -> Form:
    """One of several words."""

    def read(given: object) -> str:
        if not isinstance(given, str) or given not in allowed:
            raise ValueError(f"{given!r:.40} is none of {', '.join(allowed)}")
        return given

    return Form(noun="|".join(allowed), read=read)


def choices(allowed: Sequence[str]) -> Form:
    """Some of several words, at least one of them: a list, or text with commas."""

    def read(given: object) -> tuple[str, ...]:
        words = _listed(given)
        for word in words:
            if word not in allowed:
                raise ValueError(f"{word!r:.40} is none of {', '.join(allowed)}")
        if not words:
            raise ValueError(f"there is none; give some of {', '.join(allowed)}")
        return words

    return Form(noun=f"some of {', '.join(allowed)}", read=read, show=",".join)


def names(pattern: str, told: str) -> Form:
    """Any number of texts that match *pattern*: a list, or text with commas."""

    def read(given: object) -> tuple[str, ...]:
        words = _listed(given)
        for word in words:
            if not re.fullmatch(pattern, word):
                raise ValueError(f"{word!r:.60} is not {told}")
        return words

    return Form(noun="list", read=read, show=",".join)


def paths() -> Form:
    """Any number of paths: a list, or text with commas."""

    def read(given: object) -> tuple[str, ...]:
        several = given if isinstance(given, list | tuple) else [given]
        words = _listed([str(path) if isinstance(path, PurePath) else path for path in several])
        for word in words:
            if "\0" in word:
                raise ValueError(f"{word!r:.60} is not a path")
        return words

    return Form(noun="list", read=read, show=",".join)


def _listed(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
        raise ValueError("it is not a list of texts")
    # The command line may repeat an option, each time with commas.
    words = (word.strip() for part in given for word in part.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _bounded(value: _Number, lowest: _Number, highest: _Number, show: Callable[[_Number], str]) -> _Number:
    if not lowest <= value <= highest:
        raise ValueError(f"{show(value):.40} is not between {show(lowest)} and {show(highest)}")
    return value


def _show_duration(value: float) -> str:
    return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"
