"""A full disk is told from a model that cannot be written, whatever words a library has for it."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from palate._disk.refusals import disk_refusal


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow beyond ten thousand bytes, which stands for a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_without_room_is_found_out(tmp_path: Path, full_disk: None) -> None:
    """What the library says does not matter: a file is tried, and taken away again."""
    refusal = disk_refusal(tmp_path, RuntimeError("unexpected pos 64 vs 0"))
    assert refusal is not None
    assert refusal.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_tells_is_believed(tmp_path: Path) -> None:
    """The room may be there again, when the library has removed what it could not finish."""
    refusal = disk_refusal(tmp_path, RuntimeError("I/O error: No space left on device (os error 28)"))
    assert refusal is not None
    assert (refusal.errno, refusal.filename) == (errno.ENOSPC, str(tmp_path))


def test_other_failures_are_none_of_the_disks(tmp_path: Path) -> None:
    """A disk that takes a file is not to blame."""
    assert disk_refusal(tmp_path, ValueError("this estimator is not fitted")) is None
    assert list(tmp_path.iterdir()) == []
