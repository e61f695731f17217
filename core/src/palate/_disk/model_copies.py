"""Copies of whole models: each file's bytes are checked while they are copied, and on disk when it is done."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from palate._disk.durable import write_new
from palate._disk.manifest import MAX_SIGNATURE_BYTES, SIGNATURE_FILE
from palate._disk.manifest_document import (
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    FileDigest,
    Manifest,
    parse_manifest,
)
from palate._disk.paths import list_files, open_member, read_small
from palate.errors import ModelChanged

__all__ = ["copy_model"]

_CHUNK: Final = 4 << 20
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE: Final = 0x40049409  # of linux/fs.h: both files then have the same blocks, until one is written to
_WHILE_COPIED: Final = "It was changed while it was being copied."


def copy_model(root: Path, target: Path, *, signature: bytes | None = None) -> Manifest:
    """Copy the model directory *root* into the empty directory *target*; return what it holds now.

    What MANIFEST.json does not list stays behind, but for a signature, whose place the one given takes. A directory
    without MANIFEST.json is given one.

    Raises:
        ModelChanged: a file is not what MANIFEST.json lists, or is missing.
        UnsafePath: a link, a special file or an unsafe name is there.
        OSError: the disk refuses.
    """
    present = list_files(root)
    document = read_small(root / MANIFEST_FILE, MAX_MANIFEST_BYTES) if MANIFEST_FILE in present else None
    manifest = None if document is None else parse_manifest(document)
    expected = {file.name: file for file in manifest.files} if manifest else {}
    names = [name for name in present if name in expected or (manifest is None and name != SIGNATURE_FILE)]
    if missing := expected.keys() - set(names):
        raise ModelChanged(str(root), missing=sorted(missing))
    with ThreadPoolExecutor(1, thread_name_prefix="palate-hash") as hashing:
        copied = tuple(_copy(root, name, target, hashing) for name in names)
    changed = [file.name for file in copied if manifest is not None and file != expected[file.name]]
    if changed:
        raise ModelChanged(str(root), changed=changed)
    found = manifest or Manifest(copied)
    if signature is None and SIGNATURE_FILE in present:
        signature = read_small(root / SIGNATURE_FILE, MAX_SIGNATURE_BYTES)
    if signature is not None:
        write_new(target / SIGNATURE_FILE, signature)
    # The very bytes: a signature is of them, too.
    write_new(target / MANIFEST_FILE, document or found.to_json().encode())
    return found


def _copy(root: Path, name: str, target: Path, hashing: ThreadPoolExecutor) -> FileDigest:
    """Copy a file, and force it to disk; return what was copied."""
    place = target / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(open_member(root, name), "rb", buffering=0) as source:
        descriptor = os.open(place, _NEW_FILE, 0o666)
        try:
            found = _transfer(source.fileno(), descriptor, name, hashing)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if os.fstat(source.fileno()).st_size != found.size:
            raise ModelChanged(str(root), changed=[name], cause=_WHILE_COPIED)
    return found


def _transfer(source: int, descriptor: int, name: str, hashing: ThreadPoolExecutor) -> FileDigest:
    """Copy the bytes, or let both files have the same, and hash those that are now in the copy.

    Hashing takes as long as copying: it is done by a thread of its own, a piece behind.
    """
    shared = _share_blocks(source, descriptor)
    sha256, size = hashlib.sha256(), 0
    behind: Future[None] | None = None
    while chunk := os.read(source, _CHUNK):
        if behind is not None:
            behind.result()
        behind = hashing.submit(sha256.update, chunk)
        size += len(chunk)
        if not shared:
            _write(descriptor, chunk)
    if behind is not None:
        behind.result()
    return FileDigest(name, size, sha256.hexdigest())


def _share_blocks(source: int, descriptor: int) -> bool:
    """Let a copy have the blocks of its source, where the file system can; return whether it has."""
    try:
        fcntl.ioctl(descriptor, _FICLONE, source)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        return False
    return True


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
