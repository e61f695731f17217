"""JSON from strangers: what two readers could understand in two ways is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.hookspecs import parse_json

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(document=DOCUMENTS)
def test_documents_come_back(document: object) -> None:
    """Whatever JSON holds is read as it was written."""
    assert parse_json(json.dumps(document).encode(), max_bytes=1 << 20) == document


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"{} {}", "Extra data"),
        (b"\xff\xfe", "utf-8"),
        (b" " * 200_001, "longer than 200,000 bytes"),
        (b"", "Expecting value"),
    ],
)
def test_what_is_refused(text: bytes, reason: str) -> None:
    """The reason is the error's text, always a ValueError."""
    with pytest.raises(ValueError, match=reason):
        parse_json(text, max_bytes=200_000)


def test_constants_on_request() -> None:
    """Python's own writer, and so many a framework, writes NaN."""
    assert math.isnan(parse_json(bytearray(b"[NaN]"), max_bytes=10, constants=True)[0])
