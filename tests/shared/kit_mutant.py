"""Makers of flavors that break one promise."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

__all__ = ["Mutant", "hook", "loads", "published", "saves"]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One broken flavor.

    Attributes:
        source: what is appended to the good flavor.
        members: what the class of tests has besides.
        message: what the failure has to say.
    """

    source: str
    message: str
    members: str = ""


def hook(name: str, body: str, message: str, *, members: str = "", before: str = "") -> Mutant:
    """Return a mutant in which one hook has another body."""
    arguments = {
        "save_model": "model, path, options",
        "load_model": "path, config, options",
        "predict": "model, data, method",
        "methods": "model",
        "rows_are_independent": "model, method",
        "takes_array": "model, method, columns",
        "requirements": "model, options",
        "executes_code": "path, config",
        "guarantees": "path, config",
        "pyfunc_section": "config",
        "infer_input_schema": "model",
        "mapped_files": "config",
        "sample_models": "",
    }[name]
    source = f"{textwrap.dedent(before)}\n@hookimpl\ndef {name}({arguments}):\n{textwrap.indent(_plain(body), '    ')}"
    return Mutant(source=source, message=message, members=_plain(members))


def _plain(text: str) -> str:
    return textwrap.dedent(text).strip("\n") + "\n"


def saves(body: str, message: str, **more: str) -> Mutant:
    """Return a mutant that does something besides writing the line."""
    return hook("save_model", "section = write_line(model, path, options)\n" + _plain(body), message, **more)


def loads(body: str, message: str, **more: str) -> Mutant:
    """Return a mutant that does something besides reading the line."""
    return hook("load_model", "line = read_line(path, config, options)\n" + _plain(body), message, **more)


def published(predict: str, message: str, **more: str) -> Mutant:
    """Return a mutant whose predictions are other ones once a model is published; until then Palate would notice."""
    marks = """
        @hookimpl
        def load_model(path, config, options):
            line = read_line(path, config, options)
            line._calls = None if is_stage(path) else 0
            line._home = path
            return line
    """
    head = """
        if getattr(model, "_calls", None) is None:
            return ask_line(model, data, method)
        model._calls += 1
    """
    more["before"] = _plain(more.get("before", "")) + _plain(marks)
    return hook("predict", _plain(head) + _plain(predict), message, **more)
