"""What can go wrong between a client and a served model; each error names no HTTP status (``_statuses`` does).

ServingError (PalateError)
├── MalformedBody (ValueError)         a body that is not what its content type says
├── UnsupportedContent (ValueError)    a content type, charset or encoding that is not read here
├── NotAcceptable (ValueError)         no form of the answer that the client takes
├── BodyTooLarge (ValueError)          more bytes than the server takes, before or after decompression
├── BodyTooSlow (TimeoutError)         the body did not arrive in time
├── UnknownModel (LookupError)         no served model, or version, of that name
├── QueueFull (RuntimeError)           more is waiting than the server lets wait
├── NotReady (RuntimeError)            the model is not, or no longer, ready to predict
├── PredictTimeout (TimeoutError)      the model did not answer in time
└── ModelFailed (RuntimeError)         the model itself raised on input that fits its signature
"""

from __future__ import annotations

from collections.abc import Sequence

from palate.errors import PalateError

__all__ = [
    "BodyTooLarge",
    "BodyTooSlow",
    "MalformedBody",
    "ModelFailed",
    "ModelRestarting",
    "NotAcceptable",
    "NotReady",
    "PredictTimeout",
    "QueueFull",
    "ServingError",
    "UnknownModel",
    "UnsupportedContent",
]


class ServingError(PalateError):
    """The base of what a server tells its clients."""


class MalformedBody(ServingError, ValueError):
    """A body is not what its content type, or its protocol, says. The text shows nothing of the body."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        self.reason = reason
        super().__init__(f"The body cannot be read: {reason}." + (f" Hint: {hint}." if hint else ""))


class UnsupportedContent(ServingError, ValueError):
    """A content type, charset or content encoding that this route does not read."""

    def __init__(self, header: str, given: str | None, *, supported: Sequence[str]) -> None:
        self.header, self.given, self.supported = header, given, tuple(supported)
        told = f"{given!r:.80} is not read here" if given else "there is none"
        super().__init__(f"{header}: {told}. Hint: send {' or '.join(self.supported)}.")


class NotAcceptable(ServingError, ValueError):
    """The client takes none of the forms in which this answer can be given."""

    def __init__(self, accept: str, *, available: Sequence[str]) -> None:
        self.accept, self.available = accept, tuple(available)
        super().__init__(f"Accept: {accept!r:.80} names no form of this answer. Hint: {', '.join(self.available)}.")


class BodyTooLarge(ServingError, ValueError):
    """A body has more bytes than the server takes."""

    def __init__(self, limit: int, *, decompressed: bool = False) -> None:
        self.limit = limit
        when = " after decompression" if decompressed else ""
        super().__init__(
            f"The body is longer than {limit:,} bytes{when}. Hint: send fewer rows at once, or a binary form; "
            "the server's setting is max_body_bytes."
        )


class BodyTooSlow(ServingError, TimeoutError):
    """The body did not arrive within the deadline."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The body did not arrive within {seconds:g} s. Hint: send it at once, as long as it says it is."
        )


class UnknownModel(ServingError, LookupError):
    """No model, or no version of it, of that name is served."""

    def __init__(self, name: str, *, version: str | None = None, available: Sequence[str]) -> None:
        self.name, self.version, self.available = name, version, tuple(available)
        asked = f"{name!r:.60}" if version is None else f"version {version!r:.40} of {name!r:.60}"
        super().__init__(f"No model {asked} is served here (there is: {', '.join(self.available) or 'none'}).")


class QueueFull(ServingError, RuntimeError):
    """As much is waiting for the model as the server lets wait; nothing was done with this request."""

    def __init__(self, *, requests: int, rows: int, retry_after: int) -> None:
        self.requests, self.rows, self.retry_after = requests, rows, retry_after
        super().__init__(
            f"{requests:,} requests with {rows:,} rows are waiting for the model, which is as much as the server lets "
            f"wait. Hint: try again in {retry_after} s."
        )


class NotReady(ServingError, RuntimeError):
    """The model takes no requests: its golden predictions failed, or the server is shutting down."""

    def __init__(self, name: str, *, reason: str, retry_after: int | None = None) -> None:
        self.name, self.reason, self.retry_after = name, reason, retry_after
        hint = "" if retry_after is None else f" Hint: try again in {retry_after} s."
        super().__init__(f"The model '{name}' does not take requests: {reason}.{hint}")


class ModelRestarting(ServingError, RuntimeError):
    """The process of an isolated model ended, and is being replaced; the server's log has more under the id."""

    retry_after = 1

    def __init__(self, incident: str) -> None:
        self.incident = incident
        super().__init__(
            f"The model's process ended, and is started again. Hint: try again in {self.retry_after} s; if it is this "
            f"input that ends it, the server's log has the cause under the id {incident}."
        )


class PredictTimeout(ServingError, TimeoutError):
    """The model did not answer within the deadline."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The model did not answer within {seconds:g} s. Hint: send fewer rows, or raise predict_timeout."
        )


class ModelFailed(ServingError, RuntimeError):
    """The model itself raised, on input that fits its signature.

    The text names the incident, not the cause: that, with its traceback, is in the server's log under the same id.
    """

    def __init__(self, incident: str) -> None:
        self.incident = incident
        super().__init__(
            f"The model failed on this input. Hint: the server's log has the cause under the id {incident}."
        )
