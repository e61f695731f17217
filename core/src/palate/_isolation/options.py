"""How a model is isolated: in which environment, and with how much memory and time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, cast, get_args

from palate.errors import InvalidOption

__all__ = ["Isolation", "check_isolation"]

Place: TypeAlias = Literal["auto", "here", "model"]
_PLACES = frozenset(get_args(Place))
_LONGEST_TIME = 1_000_000  # seconds; the kernel waits for 31 bits of milliseconds at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How ``load_model(uri, isolate=...)`` runs a model in another process.

    Attributes:
        LEAST_MEMORY: what *memory_limit* has to be at least: a process needs about that before it has a model.
        MOST_MEMORY: what it may be at most, which no machine has.
        environment: "here" for the packages and the Python of this process; "model" for an environment built from the
            model's own requirements (and kept for the next time); "auto" for the latter only if what is installed here
            differs in a way that matters; or the path of an environment, or of its interpreter, that has Palate in it.
        memory_limit: bytes that the process may have for data (``RLIMIT_DATA``), its model included; None for no limit.
        timeout: seconds that a call may take; then the process is ended. None for no limit.
        start_timeout: seconds to start the process and load the model. Building an environment does not count.

    Raises:
        InvalidOption: a value does not work.
    """

    LEAST_MEMORY: ClassVar[int] = 64 << 20
    MOST_MEMORY: ClassVar[int] = 1 << 50  # setrlimit takes no number of more than 63 bits

    environment: Place | str | os.PathLike[str] = "auto"
    memory_limit: int | None = None
    timeout: float | None = None
    start_timeout: float = 300.0

    def __post_init__(self) -> None:
        if not isinstance(self.environment, str | os.PathLike) or not os.fspath(self.environment):
            hint = "give 'auto', 'here', 'model', or the path of an environment"
            raise InvalidOption("environment", reason=f"it is {self.environment!r:.60}", hint=hint)
        limit = self.memory_limit
        if limit is not None and (type(limit) is not int or not self.LEAST_MEMORY <= limit <= self.MOST_MEMORY):
            reason = f"it is {limit!r:.60}, not a number of bytes from {self.LEAST_MEMORY:,} to {self.MOST_MEMORY:,}"
            hint = "give bytes, such as 2 << 30 (CLI: --memory-limit 2GiB), or None"
            raise InvalidOption("memory_limit", reason=reason, hint=hint)
        for name, value in (("timeout", self.timeout), ("start_timeout", self.start_timeout)):
            if not _is_time(value) and not (value is None and name == "timeout"):
                reason = f"it is {value!r:.60}, not a number of seconds above 0 and of at most {_LONGEST_TIME:,}"
                raise InvalidOption(name, reason=reason, hint="give seconds, such as 30.0")

    @property
    def place(self) -> Place | None:
        """Which environment is meant by its word; None if it is given by its path."""
        return cast(Place, self.environment) if self.environment in _PLACES else None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST_TIME


def check_isolation(isolate: object) -> Isolation | None:
    """Return what the argument ``isolate`` asks for; None for a model in this process.

    Raises:
        InvalidOption: it is neither True, False nor an Isolation.
    """
    if isolate is True:
        return Isolation()
    if isolate is False or isinstance(isolate, Isolation):
        return isolate or None
    hint = "give True, or palate.Isolation(memory_limit=..., timeout=...)"
    raise InvalidOption("isolate", reason=f"it is {type(isolate).__name__}", hint=hint)
