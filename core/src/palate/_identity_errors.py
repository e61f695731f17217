"""Errors about who vouches for a model; ``palate.errors`` offers them."""

from __future__ import annotations

from palate._problems import PalateError

__all__ = ["InvalidKey", "SignatureExists", "SignatureInvalid", "SignatureMissing"]

_UNTRUSTED = "do not use the model: fetch it again from where it came, with its signature"


class SignatureInvalid(PalateError, ValueError):
    """A signature is malformed, or by another key, or of other files; *source* is what it is of."""

    def __init__(self, source: str, *, reason: str, hint: str = _UNTRUSTED) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"The signature of '{source}' was refused: {reason}. Hint: {hint}.")


class SignatureMissing(PalateError, PermissionError):
    """A signature is demanded of a model, and it has none."""

    def __init__(self, source: str, *, place: str) -> None:
        self.source, self.place = source, place
        super().__init__(
            f"'{source}' is not signed: there is no {place}. Hint: ask whoever publishes the model for its signature, "
            "or sign it yourself ('palate sign', 'palate store sign') if you know where it came from."
        )


class SignatureExists(PalateError, FileExistsError):
    """The model is signed already."""

    def __init__(self, source: str, *, place: str) -> None:
        self.source, self.place = source, place
        super().__init__(
            f"'{source}' is signed already: {place} is there. Hint: pass overwrite=True (CLI: --overwrite) to put "
            "another signature in its place."
        )


class InvalidKey(PalateError, ValueError):
    """A key cannot be read, or is not of a kind that signs models; the text never shows any of it."""

    def __init__(self, source: str, *, reason: str, hint: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"The key '{source}' cannot be used: {reason}. Hint: {hint}.")
