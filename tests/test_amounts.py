"""Sizes as people write them, on the command line and in the settings of a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.amounts import read_size, show_size


@pytest.mark.parametrize(
    ("written", "size"),
    [("2GiB", 2 << 30), ("500 MB", 500_000_000), ("1.5kib", 1536), ("16_777_216", 1 << 24), (" 7b ", 7), (1024, 1024)],
)
def test_a_size_is_read(written: object, size: int) -> None:
    """Units of 1000 and of 1024, in any letters; bytes without one."""
    assert read_size(written) == size


@pytest.mark.parametrize("written", ["", "2 fish", "GiB", "-1", "1e9", "0x10", "²", True, None, float("nan"), 10**30])
def test_what_is_no_size_is_refused(written: object) -> None:
    """The error says how to write one."""
    with pytest.raises(ValueError, match="cannot be read: write bytes, as a number or as 16MiB"):
        read_size(written)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_size_is_read_as_it_is_shown(size: int) -> None:
    """What documentation and errors show can be written."""
    assert read_size(show_size(size)) == size
