"""What each hook may answer: every check returns what is wrong with an answer, to follow the hook's name, or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING

from palate._late import LateModule
from palate.errors import CodeReason, InvalidOption, InvalidRequirement
from palate.hookspecs import EmbeddedType, Guarantees, SampleModel
from palate.model_file import plain_problems
from palate.schema import Schema
from palate.signature import Signature

if TYPE_CHECKING:
    from palate._environment import requirements
else:
    requirements = LateModule("palate._environment.requirements")

__all__ = ["ANSWERS", "copy_answer", "find_unfinished"]

_SEQUENCES = ("methods", "requirements", "executes_code", "embedded_types", "mapped_files")


def find_unfinished(answer: object) -> str | None:
    """Return what is wrong with an answer that has yet to be run; it is closed, so that nothing warns of it later."""
    if isinstance(answer, CoroutineType | GeneratorType):
        answer.close()
    elif not isinstance(answer, AsyncGeneratorType):
        return None
    return f"returned a {type(answer).__name__}; a hook is an ordinary function that returns its answer"


def copy_answer(hook: str, answer: object) -> object:
    """Return an answer as it is kept: somebody's own sequence, mapping or text may say something else the next time."""
    if hook in _SEQUENCES and isinstance(answer, Sequence) and not isinstance(answer, str):
        return tuple(str.__str__(part) if isinstance(part, str) else part for part in answer)
    if hook == "sample_models" and isinstance(answer, Mapping):
        return dict(answer)
    return answer


def _section(answer: object) -> str | None:
    if not isinstance(answer, dict):
        return f"must return a dict of plain YAML data, not a {type(answer).__name__}"
    problems = plain_problems(answer)
    return f"must return plain YAML data: {'; '.join(map(str, problems))}" if problems else None


def _pyfunc_section(answer: object) -> str | None:
    if answer is None:
        return None
    problem = _section(answer)
    if problem is None and not isinstance(dict(answer).get("loader_module", ""), str):  # type: ignore[call-overload]
        return "must name its loader_module as text"
    return problem


def _names(answer: Sequence[str]) -> str | None:
    return _sequence(answer, str) and "must return the names of files"


def _truth(answer: object) -> str | None:
    return None if isinstance(answer, bool) else f"must return True or False, not a {type(answer).__name__}"


def _model(answer: object) -> str | None:
    return "returned None" if answer is None else None


def _sequence(answer: object, kind: type) -> str | None:
    if isinstance(answer, str) or not isinstance(answer, Sequence) or not all(isinstance(a, kind) for a in answer):
        return f"must return a sequence of {kind.__name__}"
    return None


def _methods(answer: Sequence[str]) -> str | None:
    if problem := _sequence(answer, str):
        return problem
    # Any text is a name: a SavedModel's signatures have those that their author gave them.
    return None if len({*answer, ""}) == len(answer) + 1 else "must return names, each once and none empty"


def _requirements(answer: Sequence[str]) -> str | None:
    if problem := _sequence(answer, str):
        return problem
    try:
        requirements.parse_requirements(answer)
    except (InvalidRequirement, InvalidOption) as exc:
        return f"must return pip requirements. {exc}".removesuffix(".")
    return None


def _reasons(answer: Sequence[CodeReason]) -> str | None:
    if problem := _sequence(answer, CodeReason):
        return problem
    if all(isinstance(reason.file, str) and isinstance(reason.rule, str) for reason in answer):
        return None
    return "must return reasons whose file and rule are text"


def _schema(answer: object) -> str | None:
    if answer is None or isinstance(answer, Schema | Signature):
        return None
    return f"returned a {type(answer).__name__}, not a Schema, a Signature or None"


def _guarantees(answer: object) -> str | None:
    if not isinstance(answer, Guarantees):
        return f"returned a {type(answer).__name__}, not Guarantees"
    if not all(isinstance(said, bool) for said in (answer.no_code, answer.memory_safe, answer.bounded)):
        return "must say True or False of each promise"
    return _sequence(answer.exceptions, str) and "must list its exceptions as text"


def _embedded_types(answer: Sequence[EmbeddedType]) -> str | None:
    if problem := _sequence(answer, EmbeddedType):
        return problem
    if all(isinstance(kind.name, str) and callable(kind.check) for kind in answer):
        return None
    return "must give each type a full name and a function that checks"


def _sample_models(answer: object) -> str | None:
    if isinstance(answer, Mapping):
        kinds = [(type(name), type(sample)) for name, sample in answer.items()]
        if all(issubclass(name, str) and issubclass(sample, SampleModel) for name, sample in kinds):
            return None
    return "must return a dict of SampleModel by name"


# What predict answers is the model's own affair.
ANSWERS: Mapping[str, Callable[..., str | None]] = {
    "save_model": _section,
    "load_model": _model,
    "prepare": _model,
    "methods": _methods,
    "requirements": _requirements,
    "executes_code": _reasons,
    "infer_input_schema": _schema,
    "pyfunc_section": _pyfunc_section,
    "guarantees": _guarantees,
    "embedded_types": _embedded_types,
    "mapped_files": _names,
    "sample_models": _sample_models,
    "rows_are_independent": _truth,
    "takes_array": _truth,
}
"""The check of each hook's answer."""
