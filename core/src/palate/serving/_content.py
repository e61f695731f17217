"""What form a body has and what form the answer shall have: the headers Content-Type and Accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.message import Message
from importlib.util import find_spec

from palate.codecs import DataFormat
from palate.serving.errors import NotAcceptable, UnsupportedContent

__all__ = ["ANSWER_FORMATS", "BODY_FORMATS", "CONTENT_TYPES", "choose_format", "format_of_body", "has_header_line"]

CONTENT_TYPES: Mapping[DataFormat, bytes] = {
    "json": b"application/json",
    "csv": b"text/csv",
    "parquet": b"application/vnd.apache.parquet",
    "arrow": b"application/vnd.apache.arrow.stream",
    "npy": b"application/x-npy",
}
"""The content type of each form, as it is written in answers."""

# It may be away where models take no tables; what cannot be read then is not offered.
_UNREADABLE: frozenset[DataFormat] = frozenset() if find_spec("pyarrow") else frozenset(["parquet", "arrow"])


def _available(*formats: DataFormat) -> tuple[DataFormat, ...]:
    return tuple(name for name in formats if name not in _UNREADABLE)


BODY_FORMATS = _available("json", "csv", "parquet", "arrow", "npy")
"""The forms of a body, on routes that are not bound to JSON."""
ANSWER_FORMATS = _available("json", "arrow", "npy", "csv")
"""The forms of an answer there; the first for clients that have no preference."""

_FORMATS: dict[str, DataFormat] = {
    **{content_type.decode(): name for name, content_type in CONTENT_TYPES.items()},
    "application/vnd.apache.arrow.file": "arrow",
    # Names that were in use before parquet's was registered.
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
}


def format_of_body(headers: Mapping[bytes, bytes], readable: Sequence[DataFormat]) -> DataFormat:
    """Return the form that a request says its body has.

    Raises:
        UnsupportedContent: it says none, or none of *readable*, or a charset that is not UTF-8.
    """
    given = headers.get(b"content-type")
    if given == b"application/json":
        return "json"
    supported = [CONTENT_TYPES[name].decode() for name in readable]
    if given is None:
        raise UnsupportedContent("Content-Type", None, supported=supported)
    text = given.decode("latin-1")
    header = Message()
    header["content-type"] = text
    charset = header.get_content_charset() or "utf-8"
    found = _FORMATS.get(header.get_content_type())
    if found is None or found not in readable or charset.lower() not in ("utf-8", "utf8", "us-ascii") or "," in text:
        raise UnsupportedContent("Content-Type", text, supported=supported)
    return found


def has_header_line(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether csv begins with a line of names: unless its content type says ``header=absent`` (RFC 4180)."""
    header = Message()
    header["content-type"] = headers.get(b"content-type", b"").decode("latin-1")
    return header.get_param("header") != "absent"


def choose_format(headers: Mapping[bytes, bytes], available: Sequence[DataFormat]) -> DataFormat:
    """Return the form that a request prefers for the answer: of equal ones the first, JSON where it says nothing.

    Raises:
        NotAcceptable: it takes none of *available*.
    """
    given = headers.get(b"accept")
    if given is None or given == b"*/*" or given == b"application/json":
        return available[0]
    text = given.decode("latin-1")
    ranked = sorted(_ranges(text), key=lambda ranged: -ranged[1])
    for pattern, quality in ranked:
        for name in available:
            if quality > 0 and _matches(pattern, CONTENT_TYPES[name].decode()):
                return name
    raise NotAcceptable(text, available=[CONTENT_TYPES[name].decode() for name in available])


def _ranges(text: str) -> list[tuple[str, float]]:
    """Return the media ranges of an Accept header with their qualities; one that cannot be read counts as 0."""
    found = []
    for part in text.split(","):
        pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            found.append((pattern, float(quality)))
        except ValueError:
            found.append((pattern, 0.0))
    return found


def _matches(pattern: str, content_type: str) -> bool:
    return pattern in ("*/*", content_type) or pattern == content_type.partition("/")[0] + "/*"
