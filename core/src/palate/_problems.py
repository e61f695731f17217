"""What the errors of ``palate.errors``, which offers these names, are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["PalateError", "PalateWarning", "Problem", "ProblemKind", "ProblemsError"]

# Of a table with 600 wrong columns, nobody reads more.
_SHOWN_PROBLEMS = 20

ProblemKind = Literal["missing", "extra", "wrong_type", "wrong_value", "wrong_shape"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a document or in the data given to a model.

    ``where`` leads to it, outermost first: ``("flavors", "sklearn", "data")``,
    ``("inputs", "age")``, ``("params", "temperature")``.
    """

    where: tuple[str | int, ...]
    kind: ProblemKind
    message: str

    def __str__(self) -> str:
        place = ".".join(str(step) for step in self.where)
        return f"{place}: {self.message}" if place else self.message


class PalateError(Exception):
    """The base of every error that Palate raises on purpose. Each can be pickled, as process pools do."""

    def __reduce__(self) -> tuple[object, ...]:
        # Python's own way calls the class with the finished sentence, which is none of the facts that it takes.
        # An OSError keeps its number outside of its dict.
        number = {"errno": self.errno} if isinstance(self, OSError) else {}
        return _restore, (type(self), self.args, {**vars(self), **number})


def _restore(kind: type[PalateError], args: tuple[object, ...], facts: dict[str, object]) -> PalateError:
    error = kind.__new__(kind, *args)
    error.args = args
    for name, value in facts.items():
        setattr(error, name, value)
    return error


class ProblemsError(PalateError, ValueError):
    """An error that lists every problem found, not only the first; its text stops after twenty."""

    _headline = "{count} problem(s)"

    def __init__(self, problems: Iterable[Problem], *, source: str = "") -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.source = source
        head = self._headline.format(count=len(self.problems), source=source)
        if len(self.problems) == 1:
            super().__init__(f"{head}: {self.problems[0]}")
            return
        lines = [f"  - {problem}" for problem in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            lines.append(f"  - and {len(self.problems) - _SHOWN_PROBLEMS} more")
        super().__init__("\n".join([head + ":", *lines]))


class PalateWarning(UserWarning):
    """Something that the caller asked for was left out, as stock MLflow leaves it out."""
