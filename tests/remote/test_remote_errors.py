"""The error of other machines, and what of an address anybody may see."""

from __future__ import annotations

import pickle

import pytest

from palate._remote_errors import shown_uri
from palate.errors import PalateError, RemoteFailed


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://host/a/b.zip", "https://host/a/b.zip"),
        ("https://me:secret@host:8443/a", "https://host:8443/a"),
        ("https://token@host/a", "https://host/a"),
        ("https://me:se@cret@host/a", "https://host/a"),
        ("https://host/a?signature=secret", "https://host/a?…"),
        ("https://host/a#secret", "https://host/a"),
        ("s3://bucket/a b/ü", "s3://bucket/a b/ü"),
        ("https://[secret/a", "https:…"),
        ("/a/folder?x", "/a/folder?x"),
        ("", ""),
    ],
)
def test_what_is_shown_of_an_address(uri: str, shown: str) -> None:
    """Credentials, query and fragment of an address are not shown; the rest is."""
    assert shown_uri(uri) == shown


def test_error_is_a_sentence() -> None:
    """The error is an OSError, tells where, what and why, and what to do; it goes through a process pool."""
    error = RemoteFailed("https://me:secret@host/x?y", doing="fetch", reason="nothing is there", hint="look")
    assert isinstance(error, PalateError)
    assert isinstance(error, OSError)
    assert str(error) == "Could not fetch 'https://host/x?…': nothing is there. Hint: look."
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.uri, again.reason) == (str(error), error.uri, error.reason)
