"""Which HTTP status an error has: a table by class, looked up along the error's bases."""

from __future__ import annotations

from palate.errors import (
    DependencyMissing,
    InvalidInput,
    MethodNotFound,
    PalateError,
    Problem,
)
from palate.serving._wire import Failure
from palate.serving.errors import (
    BodyTooLarge,
    BodyTooSlow,
    MalformedBody,
    ModelRestarting,
    NotAcceptable,
    NotReady,
    PredictTimeout,
    QueueFull,
    UnknownModel,
    UnsupportedContent,
)

__all__ = ["describe_error", "retry_after", "status_of"]

_STATUS_OF: dict[type[PalateError], int] = {
    InvalidInput: 400,
    MalformedBody: 400,
    UnknownModel: 404,
    MethodNotFound: 404,
    NotAcceptable: 406,
    BodyTooSlow: 408,
    BodyTooLarge: 413,
    UnsupportedContent: 415,
    DependencyMissing: 415,  # of a body in a form for which a package is missing here
    QueueFull: 503,
    NotReady: 503,
    ModelRestarting: 503,
    PredictTimeout: 504,
    PalateError: 500,
}


def status_of(error: PalateError) -> int:
    """Return the HTTP status of an error."""
    return next(_STATUS_OF[kind] for kind in type(error).__mro__ if kind in _STATUS_OF)


def describe_error(error: PalateError, request_id: str) -> Failure:
    """Return what a client is told of an error."""
    problems: tuple[Problem, ...] = error.problems if isinstance(error, InvalidInput) else ()
    return Failure(status_of(error), type(error).__name__, str(error), problems, request_id)


def retry_after(error: PalateError) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that tells when to try again, for errors that pass."""
    if isinstance(error, QueueFull | NotReady | ModelRestarting) and error.retry_after is not None:
        return ((b"retry-after", str(error.retry_after).encode()),)
    return ()
