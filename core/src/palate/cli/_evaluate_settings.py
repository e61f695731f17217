"""What ``palate evaluate`` is told: options and a gate's file, brought together; functions of the user's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palate.cli._delimiter import read_delimiter
from palate.errors import InvalidOption
from palate.evaluation import Gate, make_gate, read_gate
from palate.locations import scheme_of

__all__ = ["Subjects", "find_subjects", "gate_of", "load_metric", "settings_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """What is evaluated: the model, the one that it is compared with, the rows."""

    uri: str
    baseline: str | None
    data: str | None


def find_subjects(given: Sequence[str], baseline: str | None, gate: Gate | None) -> Subjects:
    """Return what the arguments name: URI, URI DATA, or URI URI_B DATA; *baseline* is the option.

    Two models are enough where the gate has the rows.
    """
    if not 1 <= len(given) <= 3:
        raise InvalidOption("arguments", reason=f"there are {len(given)}", hint="give URI DATA, or URI URI_B DATA")
    models, data = (list(given[:2]), given[2]) if len(given) == 3 else ([given[0]], given[1] if given[1:] else None)
    if len(given) == 2 and _is_model(given[1]):
        if gate is None or not gate.data:
            reason = f"'{given[1]}' is a model, and rows are missing"
            raise InvalidOption("DATA", reason=reason, hint="give URI URI_B DATA, or a gate that names the data")
        models, data = list(given), None
    if len(models) == 1:
        return Subjects(uri=models[0], baseline=baseline, data=data)
    if baseline is not None:
        raise InvalidOption("--baseline", reason="there are two models already", hint="give one, and the baseline")
    return Subjects(uri=models[1], baseline=models[0], data=data)


def _is_model(text: str) -> bool:
    """Whether an argument is the address of a model and not of rows, as far as it tells without a look at a server."""
    return scheme_of(text) == "models" or Path(text, "MLmodel").is_file()


def gate_of(file: str | None, rules: Sequence[str], settings: dict[str, Any]) -> Gate | None:
    """Return the gate of a file with the rules of --require besides; options take the place of what it sets."""
    if file is None and not rules:
        return None
    gate = make_gate(rules, source="--require") if file is None else read_gate(file, rules=rules)
    return replace(gate, **settings)


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    read = {**options, "delimiter": read_delimiter(options.get("delimiter"))}
    return {name: value for name, value in read.items() if value is not None and value != ()}


def load_metric(text: str) -> Callable[..., Any]:
    """Return the function that ``FILE.py:FUNCTION`` names; the file is run, and may import what stands beside it."""
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        raise InvalidOption("--metric", reason=f"{text!r:.80} names no function", hint="write FILE.py:FUNCTION")
    path = Path(file)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidOption("--metric", reason=f"'{file}' is no file of Python", hint="write FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    # It stays there: the function may import what stands beside it only when it is called.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as exc:  # a file of the user's own may raise anything
        raise InvalidOption("--metric", reason=f"'{file}': {type(exc).__name__}: {exc}", hint="mend the file") from exc
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidOption("--metric", reason=f"'{file}' has no function {name!r}", hint="define it with 'def'")
    return function  # type: ignore[no-any-return]  # whatever is callable; what it returns is checked at its call
