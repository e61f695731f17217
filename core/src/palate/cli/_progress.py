"""How far long work is: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Final

import click

from palate.batch import Progress

__all__ = ["ProgressLine", "duration_text"]

_TERMINAL_SECONDS: Final = 0.1
_PLAIN_SECONDS: Final = 10.0


class ProgressLine:
    """Shows, on standard error, the progress that it is called with."""

    def __init__(self) -> None:
        self._changes = sys.stderr.isatty()
        self._every = _TERMINAL_SECONDS if self._changes else _PLAIN_SECONDS
        self._shown = time.monotonic() - (_TERMINAL_SECONDS if self._changes else 0.0)
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show it, unless something was shown just now."""
        now = time.monotonic()
        if now - self._shown < self._every:
            return
        self._shown = now
        text = _progress_text(progress)
        with suppress(OSError):  # work goes on when nobody looks any more
            if not self._changes:
                click.echo(text, err=True)
                return
            click.echo("\r" + text.ljust(self._width), err=True, nl=False)
            self._width = len(text)

    def clear(self) -> None:
        """Take away the line that changes."""
        if self._width:
            with suppress(OSError):
                click.echo("\r" + " " * self._width + "\r", err=True, nl=False)
            self._width = 0


def _progress_text(progress: Progress) -> str:
    """Return one line: share, rows, rate, and the time that is left if it goes on like this."""
    share = progress.done / progress.size if progress.size else 1.0
    rate = progress.rows / progress.seconds if progress.seconds else 0.0
    parts = [f"{min(share, 1.0):4.0%}", f"{progress.rows:,} rows", f"{rate:,.0f} rows/s"]
    own = progress.done - progress.resumed
    if own > 0 and progress.seconds:
        left = max(progress.size - progress.done, 0) * progress.seconds / own
        parts.append(f"{duration_text(left)} left")
    if progress.rejected:
        parts.append(f"{progress.rejected:,} bad")
    return "  ".join(parts)


def duration_text(seconds: float) -> str:
    """Return seconds as people read them: 0.4 s, 12:30, 3:04:05."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
