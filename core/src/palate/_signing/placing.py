"""Putting a signature beside the files it is of: in one step, and never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from palate._disk.durable import sync_directory, write_new
from palate._disk.stages import open_stage
from palate.errors import PalateError, SaveFailed, SignatureExists

__all__ = ["place_signature"]

Undo = Callable[[], object]

# What file systems without hard links answer.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
# The directory around the model is another file system, or not ours to write in.
_NO_ROOM_BESIDE: Final = frozenset({errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS})


def place_signature(target: Path, content: bytes, *, overwrite: bool) -> None:
    """Write *content* to *target*, in a model directory; when this returns, it survives a power cut.

    It is made outside of the model, which would not be what its manifest lists if a killed process left half of it.

    Raises:
        SignatureExists: something is there, and *overwrite* is not set.
        SaveFailed: the disk refuses; what was there is then still there.
    """
    model = target.parent
    try:
        try:
            _place(target, content, model.parent, overwrite=overwrite)
        except OSError as exc:
            if exc.errno not in _NO_ROOM_BESIDE:
                raise
            _place(target, content, model, overwrite=overwrite)
    except PalateError:
        raise
    except OSError as exc:
        raise SaveFailed(str(target), cause=exc) from exc


def _place(target: Path, content: bytes, beside: Path, *, overwrite: bool) -> None:
    model = target.parent
    with open_stage(beside, f"{model.name}.{target.name}") as home:
        made = home / target.name
        write_new(made, content)
        undo = _replace(made, target) if overwrite else _put_if_absent(made, target)
        try:
            sync_directory(model)
        except BaseException:
            with suppress(OSError):
                undo()
            raise


def _put_if_absent(made: Path, target: Path) -> Undo:
    try:
        os.link(made, target)
    except FileExistsError as exc:
        raise SignatureExists(str(target.parent), place=target.name) from exc
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise SignatureExists(str(target.parent), place=target.name) from exc
        os.rename(made, target)
    return partial(os.unlink, target)


def _replace(made: Path, target: Path) -> Undo:
    kept = made.with_name("old")
    undo: Undo = partial(os.rename, kept, target)
    try:
        os.link(target, kept, follow_symlinks=False)
    except FileNotFoundError:
        undo = partial(os.unlink, target)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        undo = _leave
    os.rename(made, target)
    return undo


def _leave() -> None:
    """Undo nothing: without links, what was there is gone."""
