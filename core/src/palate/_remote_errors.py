"""The error of what is fetched from, or kept on, another machine; ``palate.errors`` offers it."""

from __future__ import annotations

from urllib.parse import urlsplit

from palate._problems import PalateError

__all__ = ["RemoteFailed", "shown_uri"]


class RemoteFailed(PalateError, OSError):
    """A server that files are fetched from, or kept on, could not be reached, refused, or broke off.

    ``uri`` is without what may be secret in it: a user's name and password, and the query, where signatures stand.
    """

    def __init__(self, uri: str, *, doing: str, reason: str, hint: str) -> None:
        self.uri, self.doing, self.reason = shown_uri(uri), doing, reason
        super().__init__(f"Could not {doing} '{self.uri}': {reason}. Hint: {hint}.")


def shown_uri(uri: str) -> str:
    """Return *uri* as it may be shown to anybody and written to logs: without credentials, query and fragment."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # such as a port that is none; what of it is secret cannot be told then
        return uri.partition(":")[0] + ":…"
    if not parts.scheme or "://" not in uri:
        return uri
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"
