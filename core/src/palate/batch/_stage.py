"""What a job has done so far, beside the place of its output: an interrupted one goes on from there.

A stage is the hidden folder ``.<name>.palate-batch``, locked while a job works in it::

    job.json             what the job is: whoever resumes it must mean the same
    00000007.0.arrow     the predictions of a part, one file for each set of types that they have
    00000007.jsonl       its bad rows
    00000007.json        says that the part is done; written last
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from palate.batch.errors import JobBusy, JobDiffers, JobUnfinished
from palate.errors import InvalidOption
from palate.storage import sync_directory, write_new

__all__ = ["Mark", "Stage", "open_stage"]

_JOB: Final = "job.json"
_LOCK: Final = "lock"
_FORMAT: Final = 1  # raised when an older stage can no longer be gone on with


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is known of a part that is done.

    Attributes:
        rows: how many rows have a prediction.
        rejected: how many are in the side file.
        pieces: how many files hold the predictions.
    """

    rows: int
    rejected: int
    pieces: int


class Stage:
    """The folder of one job.

    Attributes:
        folder: where it is.
        done: the parts that are done, by number.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[int, Mark] = {}

    @property
    def parts(self) -> list[tuple[int, Mark]]:
        """The parts that are done, in the order of their rows."""
        return sorted(self.done.items())

    @property
    def rows(self) -> int:
        """How many rows of these have a prediction."""
        return sum(mark.rows for mark in self.done.values())

    @property
    def rejected(self) -> int:
        """How many are in the side file."""
        return sum(mark.rejected for mark in self.done.values())

    def piece(self, part: int, number: int) -> Path:
        """Return where predictions of a part are, or will be."""
        return self.folder / f"{part:08}.{number}.arrow"

    def pieces(self, part: int, mark: Mark) -> list[Path]:
        """Return all files with the predictions of a part that is done."""
        return [self.piece(part, number) for number in range(mark.pieces)]

    def rejects(self, part: int) -> Path:
        """Return where its bad rows are, or will be."""
        return self.folder / f"{part:08}.jsonl"

    def finish(self, part: int, mark: Mark) -> None:
        """Say that a part is done; its files must be on disk. Raises OSError."""
        sync_directory(self.folder)  # what the mark tells of has its name before the mark has its own
        write_new(self.folder / f"{part:08}.json", json.dumps(asdict(mark)).encode())
        sync_directory(self.folder)
        self.done[part] = mark

    def read_marks(self) -> None:
        """Find out which parts are done. One whose mark was cut off, by a power cut, is not. Raises OSError."""
        for path in self.folder.glob("[0-9]*.json"):
            try:
                part, mark = int(path.stem), Mark(**json.loads(path.read_bytes()))
                needed = [*self.pieces(part, mark), *([self.rejects(part)] if mark.rejected else [])]
            except (ValueError, TypeError):
                path.unlink()
                continue
            if all(file.exists() for file in needed):
                self.done[part] = mark
            else:
                path.unlink()

    def remove(self) -> None:
        """Remove the folder, once nobody needs it any more; first what says that anything is done."""
        for path in self.folder.glob("[0-9]*.json"):
            with suppress(OSError):
                path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def open_stage(
    folder: Path,
    output: str,
    job: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    restore: Callable[[], object] = lambda: None,
) -> Iterator[Stage]:
    """Begin a job, or go on with one. What was done stays there when the block is left by an error.

    Args:
        folder: where the stage is.
        output: what the job makes, for errors.
        job: what it is, as JSON data: what it does for each row follows from it.
        resume: go on with what is there.
        overwrite: drop what is there, unless it is to be gone on with.
        restore: called before anything is dropped.

    Raises:
        InvalidOption: the folder is not this user's.
        JobBusy: another process is at it.
        JobUnfinished: parts of an earlier job are there, and neither was said.
        JobDiffers: the earlier job was another one.
        OSError: the disk refuses.
    """
    with _locked(folder, output):
        restore()
        stage = Stage(folder)
        stage.read_marks()
        if resume and stage.done:
            _require_same(folder, output, job)
        elif stage.done and not overwrite:
            raise JobUnfinished(output, parts=len(stage.done))
        else:
            _clear(stage, job)
        try:
            yield stage
        finally:
            if not stage.done:
                stage.remove()


@contextmanager
def _locked(folder: Path, output: str) -> Iterator[None]:
    path = folder / _LOCK
    descriptor = -1
    try:
        while descriptor < 0:
            _make_own(folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JobBusy(output) from None
            if not _is_there(path, descriptor):  # whoever had the lock has ended, and removed the folder
                os.close(descriptor)
                descriptor = -1
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _make_own(folder: Path) -> None:
    """Make the folder, or see that it is nobody else's: what is in it is believed, and removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            return
        reason = f"'{folder}', where a job for it keeps what it has done, is no folder of this user"
        raise InvalidOption("output", reason=reason, hint="remove that, or choose another output") from None


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _clear(stage: Stage, job: Mapping[str, Any]) -> None:
    for path in stage.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    stage.done.clear()
    write_new(stage.folder / _JOB, _dump(job))


def _require_same(folder: Path, output: str, job: Mapping[str, Any]) -> None:
    try:
        found = json.loads((folder / _JOB).read_bytes())
    except (OSError, ValueError):
        raise JobDiffers(output, differs="what it is, which cannot be read") from None
    wanted = json.loads(_dump(job))
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        raise JobDiffers(output, differs=" and ".join(differing))


def _dump(job: Mapping[str, Any]) -> bytes:
    return json.dumps({**job, "stage format": _FORMAT}, default=str).encode()
