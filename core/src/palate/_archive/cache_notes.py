"""What the cache remembers of the sources of its directories, in small files beside them; each may be lost at any time.

A note that is missing, damaged or of something that is gone costs time, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from palate._disk.durable import replace_file

__all__ = ["note_path", "read_note", "tidy_notes", "write_note"]

_MAX_BYTES: Final = 4096
_MAX_NOTES: Final = 1_000
# Whatever is younger may belong to what somebody is just about to make.
_YOUNG_SECONDS: Final = 600.0
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE: Final = re.compile(r"\.(?P<name>[0-9a-f]{64})\.(?P<kind>[a-z]+)(?P<unfinished>\.[0-9]+-[0-9a-f]{16}\.new)?")


def note_path(folder: Path, source: bytes, kind: str) -> Path:
    """Return where the note of that *kind*, a word, on a source is."""
    return folder / f".{hashlib.sha256(source).hexdigest()}.{kind}"


def read_note(path: Path) -> dict[str, Any]:
    """Return the facts in a note; none if there is none, or if it is damaged."""
    with suppress(OSError, ValueError, RecursionError), open(os.open(path, _READ), "rb") as file:
        found = json.loads(file.read(_MAX_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def write_note(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a note, in place of an older one; where the disk refuses there is none."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(8).hex()}.new")
    with suppress(OSError):
        replace_file(path, json.dumps(facts).encode(), temporary=unfinished)


def tidy_notes(folder: Path) -> None:
    """Remove notes on directories that are gone, what killed processes have left, and of all notes those too many."""
    try:
        with os.scandir(folder) as entries:
            files = {entry.name: entry for entry in entries if entry.is_file(follow_symlinks=False)}
    except OSError:
        return
    old = time.time() - _YOUNG_SECONDS
    kept: list[tuple[float, Path]] = []
    for name, entry in files.items():
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        with suppress(OSError):  # somebody else was faster
            age = entry.stat(follow_symlinks=False).st_mtime
            if age < old and not _is_of_use(folder, match):
                os.unlink(entry.path)
            elif match["kind"] != "used":
                kept.append((age, Path(entry.path)))
    for _, path in sorted(kept)[:-_MAX_NOTES]:
        with suppress(OSError):
            path.unlink()


def _is_of_use(folder: Path, match: re.Match[str]) -> bool:
    if match["unfinished"] or match["kind"] == "lock":
        return False
    name = match["name"] if match["kind"] == "used" else read_note(folder / match[0]).get("name")
    return isinstance(name, str) and os.path.isdir(folder / name)
