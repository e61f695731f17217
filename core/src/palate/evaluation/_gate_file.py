"""A gate: its rules, and what has to be known to evaluate a model for them; as one YAML file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias

from palate.errors import InvalidModelFile, InvalidOption, PalateError, Problem
from palate.evaluation._gate_rules import Rule, RuleSyntax, parse_rule
from palate.evaluation._near_names import meant_names
from palate.evaluation.results import Label, Task
from palate.locations import scheme_of
from palate.storage import read_yaml

__all__ = ["Gate", "InvalidGate", "make_gate", "read_gate"]

_MAX_BYTES: Final = 1 << 20
_Reading: TypeAlias = Callable[[object], Any]


class InvalidGate(InvalidOption):
    """A gate is malformed; ``problems`` lists all of it."""

    def __init__(self, source: str, *, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        points = "".join(f"\n  - {problem}" for problem in self.problems)
        hint = "a rule is written as 'accuracy >= 0.9' or 'f1 >= baseline - 0.01 with 95% confidence'"
        self.name, self.reason = source, f"it is no gate:{points}"
        PalateError.__init__(self, f"{source}: {self.reason}\nHint: {hint}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Rules that a model must keep, and how it is evaluated for them; None where the file leaves that open.

    Attributes:
        rules: all of them must be kept.
        source: the file, or where else the rules came from.
        digest: the SHA-256 of the file, by which a record names the gate.
        baseline: the model that rules compare with.
        data: the rows.
        target: the column, or columns, with what is true.
        task: binary, multiclass, multilabel or regression.
        positive: the class that is looked for.
        classes: of the columns of scores, where the model does not tell.
        by: columns that divide the rows into slices; those that rules name are added.
        weights: the column of sample weights.
        method: the model's method to call.
        confidence: of all intervals; every rule that names one names this one.
        resamples: of the bootstrap.
        seed: of the same.
        format: of the data.
        delimiter: of csv data.
    """

    rules: tuple[Rule, ...]
    source: str
    digest: str
    baseline: str | None = None
    data: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    task: Task | None = None
    positive: Label = None
    classes: tuple[Label, ...] | None = None
    by: tuple[str, ...] = ()
    weights: str | None = None
    method: str | None = None
    confidence: float | None = None
    resamples: int | None = None
    seed: int | None = None
    format: str | None = None
    delimiter: str | None = None

    @property
    def needs_baseline(self) -> bool:
        """Whether a rule compares with another model."""
        return any(rule.needs_baseline for rule in self.rules)

    @property
    def needs_latency(self) -> bool:
        """Whether a rule is about how long predictions take."""
        return any(rule.kind == "latency" for rule in self.rules)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that divide the rows."""
        return tuple(dict.fromkeys([*self.by, *(rule.scope.column for rule in self.rules if rule.scope)]))


def make_gate(rules: Sequence[str], *, source: str = "rules", **settings: Any) -> Gate:
    """Return a gate with rules as text; *settings* are the attributes of ``Gate``.

    Raises:
        InvalidGate: a rule cannot be read, or something else is not as it should be.
    """
    digest = hashlib.sha256("\n".join(rules).encode("utf-8", "surrogatepass")).hexdigest()
    return _build({"rules": list(rules), **settings}, source=source, digest=digest, folder=None)


def read_gate(path: str | PathLike[str], *, rules: Sequence[str] = ()) -> Gate:
    """Return the gate in a YAML file; paths in it are relative to its folder.

    Args:
        path: the file.
        rules: more of them, which must be kept besides.

    Raises:
        InvalidGate: it cannot be read, or *rules* name another confidence than the file; all problems at once.
    """
    source = os.fspath(path)
    try:
        with open(source, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise InvalidOption("gate", reason=f"'{source}': {exc.strerror}", hint="give a file that can be read") from exc
    if len(content) > _MAX_BYTES:
        raise InvalidGate(source, problems=[Problem((), "wrong_value", "it has more than 1 MiB")])
    try:
        document = read_yaml(content, source=source)
    except InvalidModelFile as exc:
        raise InvalidGate(source, problems=exc.problems) from exc
    digest = hashlib.sha256(content).hexdigest()
    if not isinstance(document, dict):
        raise InvalidGate(source, problems=[Problem((), "wrong_type", "it must be a mapping with a key 'rules'")])
    gate = _build(document, source=source, digest=digest, folder=Path(source).parent)
    return _with_rules(gate, make_gate(rules)) if rules else gate


# -- reading -----------------------------------------------------------------------------------------------------------


class _Wrong(ValueError):
    """A value is not what its key takes."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong("it must be text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [value]
    if not given or not all(isinstance(item, str) and item for item in given):
        raise _Wrong("it must be text, or a list of texts")
    return tuple(given)


def _label(value: object) -> Label:
    if not isinstance(value, str | int | float | bool):
        raise _Wrong("it must be one of the classes")
    return value


def _labels(value: object) -> tuple[Label, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise _Wrong("it must be a list of classes")
    return tuple(map(_label, value))


def _task(value: object) -> Task:
    match value:
        case "binary" | "multiclass" | "multilabel" | "regression":
            return value
    raise _Wrong("it must be binary, multiclass, multilabel or regression")


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise _Wrong("it must be a whole number, 0 or more")
    return value


def _confidence(value: object) -> float:
    if not isinstance(value, float) or not 0.5 <= value < 1:
        raise _Wrong("it must be a number from 0.5 to below 1, such as 0.95")
    return value


_READINGS: Final[dict[str, _Reading]] = {
    "baseline": _text,
    "data": _texts,
    "target": _texts,
    "task": _task,
    "positive": _label,
    "classes": _labels,
    "by": _texts,
    "weights": _text,
    "method": _text,
    "confidence": _confidence,
    "resamples": _count,
    "seed": _count,
    "format": _text,
    "delimiter": _text,
}


def _build(document: dict[Any, Any], *, source: str, digest: str, folder: Path | None) -> Gate:
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    rules = _read_rules(document.get("rules"), problems)
    for key, value in document.items():
        if key == "rules" or value is None:
            continue
        if key not in _READINGS:
            problems.append(Problem((str(key),), "extra", f"there is no such key: {meant_names(str(key), _keys())}"))
            continue
        try:
            found[key] = _READINGS[key](value)
        except _Wrong as exc:
            problems.append(Problem((key,), "wrong_value", str(exc)))
    _check_confidences(rules, found, problems)
    if problems:
        raise InvalidGate(source, problems=problems)
    if folder is not None:
        _place(found, folder)
    return Gate(rules=tuple(rules.values()), source=source, digest=digest, **found)


def _keys() -> list[str]:
    return ["rules", *_READINGS]


def _read_rules(given: object, problems: list[Problem]) -> dict[int, Rule]:
    """Return the rules by their number in the list."""
    if given is None or given == []:
        problems.append(Problem(("rules",), "missing", "there must be at least one rule"))
        return {}
    if not isinstance(given, list):
        problems.append(Problem(("rules",), "wrong_type", "it must be a list of rules"))
        return {}
    rules: dict[int, Rule] = {}
    for number, text in enumerate(given, 1):
        where = ("rules", number)
        if not isinstance(text, str):
            problems.append(Problem(where, "wrong_type", "a rule is text; put quotes around it"))
            continue
        try:
            rules[number] = parse_rule(text)
        except RuleSyntax as exc:
            problems.append(Problem(where, "wrong_value", f"{text!r:.200}: {exc}"))
    return rules


def _check_confidences(rules: dict[int, Rule], found: dict[str, Any], problems: list[Problem]) -> None:
    """Let all of a gate be about one confidence, which is then that of the evaluation."""
    named = {number: rule.confidence for number, rule in rules.items() if rule.confidence is not None}
    wanted = found.get("confidence", next(iter(named.values()), None))
    for number, confidence in named.items():
        if confidence != wanted:
            told = f"its confidence is {confidence:.6g}, and that of the gate {wanted:.6g}: there can be only one"
            problems.append(Problem(("rules", number), "wrong_value", told))
    if wanted is not None:
        found["confidence"] = wanted


def _with_rules(gate: Gate, more: Gate) -> Gate:
    """Return a gate with the rules of another besides, and with the confidence that either names."""
    found: dict[str, Any] = {} if gate.confidence is None else {"confidence": gate.confidence}
    problems: list[Problem] = []
    _check_confidences(dict(enumerate(more.rules, 1)), found, problems)
    if problems:
        raise InvalidGate(f"rules besides {gate.source}", problems=problems)
    return replace(gate, rules=(*gate.rules, *more.rules), **found)


def _place(found: dict[str, Any], folder: Path) -> None:
    """Let paths lead from the folder of the file, wherever it is read from."""

    def placed(text: str) -> str:
        return text if scheme_of(text) else str(folder / text)

    if "baseline" in found:
        found["baseline"] = placed(found["baseline"])
    if "data" in found:
        found["data"] = tuple(map(placed, found["data"]))
