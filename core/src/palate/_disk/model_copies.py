"""Copies of whole models: each file's bytes are checked while they are copied, and on disk when it is done."""

from __future__ import annotations

import hashlib
import os
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
from palate._disk.transfer import Transfer
from palate.errors import ModelChanged

__all__ = ["copy_model"]

_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
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
    with Transfer() as transfer:
        copied = tuple(_copy(root, name, target, transfer) for name in names)
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


def _copy(root: Path, name: str, target: Path, transfer: Transfer) -> FileDigest:
    """Copy a file, and force it to disk; return what was copied."""
    place = target / name
    place.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    source = open_member(root, name)
    try:
        descriptor = os.open(place, _NEW_FILE, 0o666)
        try:
            size = os.fstat(source).st_size
            copied = transfer.copy(source, 0, descriptor, 0, size, sha256.update, sync=True)
        finally:
            os.close(descriptor)
        if copied != size or os.fstat(source).st_size != size:
            raise ModelChanged(str(root), changed=[name], cause=_WHILE_COPIED)
    finally:
        os.close(source)
    return FileDigest(name, size, sha256.hexdigest())
