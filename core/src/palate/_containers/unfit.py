"""What does not fit: why, and what to do about it; said by us, or by another package in words of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palate._containers.kinds import loaded_types
from palate.errors import InvalidInput, Problem, ProblemKind

__all__ = ["Unfit", "ask_package", "refusals"]


class Unfit(ValueError):
    """A value that cannot take the wanted form without changing; the text never shows the value.

    Attributes:
        kind: what kind of problem it is.
        message: what is wanted and what was given.
        hint: what to do about it, or None where the message says that too.
    """

    def __init__(self, kind: ProblemKind, message: str, *, hint: str | None = None) -> None:
        self.kind, self.message, self.hint = kind, message, hint
        super().__init__(message if hint is None else f"{message}. Hint: {hint}")

    def problem(self, *where: str | int) -> Problem:
        """Return it as the problem of the place that *where* leads to."""
        return Problem(where, self.kind, str(self))

    def invalid_input(self) -> InvalidInput:
        """Return it as what is wrong with the input as a whole."""
        return InvalidInput([self.problem("inputs")])


def refusals() -> tuple[type[BaseException], ...]:
    """Return what numpy, pandas, polars and pyarrow raise over values that they have no form for."""
    own = loaded_types("polars.exceptions", "PolarsError", "PanicException") + loaded_types("pyarrow", "ArrowException")
    # pandas goes by what values can do: it raises AttributeError over [{"a": 1}, 2], and pyarrow over a map KeyError.
    plain = (ValueError, TypeError, LookupError, AttributeError, OverflowError, NotImplementedError, RecursionError)
    return plain + own


def ask_package(package: str, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what a function of another package makes of values.

    Raises:
        Unfit: the package refuses them. Its own text may show values, so that ours takes its place.
    """
    try:
        return make(*args, **options)
    except refusals() as exc:
        raise Unfit("wrong_type", f"{package} has no type for values like these") from exc
